"""One thread for each matrix product: callers that render on all cores want no second level of threads below."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Final

from threadpoolctl import ThreadpoolController

_LOCK: Final = threading.Lock()
_HELD: Final = ExitStack()
_holders = 0


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep the process's linear algebra to the calling thread inside the block; blocks may overlap and nest.

    The number of threads is one setting of the whole process, so the first block to begin makes it 1 and the last
    one to end gives back what it was.
    """
    global _holders
    with _LOCK:
        if _holders == 0:
            _HELD.enter_context(_controller().limit(limits=1, user_api="blas"))
        _holders += 1
    try:
        yield
    finally:
        with _LOCK:
            _holders -= 1
            if _holders == 0:
                _HELD.close()


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all loaded libraries, which takes a millisecond
