"""Work on many stacks at once, results in order: threads, and no more finished stacks than the caller fetches."""

import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from afsim.checks import check_whole

T = TypeVar("T")


def in_order(
    function: Callable[[int], T], numbers: range, *, workers: int | None = None, most: int | None = None
) -> Generator[T, None, None]:
    """Yield ``function(i)`` for all ``numbers`` in order, worked out by several threads.

    Parameters
    ----------
    function : callable
        Of a number; it must not depend on what was called before.
    numbers : range
        What to call it with.
    workers : int, optional
        Threads; one a core by default.
    most : int, optional
        Most threads where ``workers`` does not say how many, because each takes much memory.

    Raises
    ------
    AfsimError
        For ``workers`` below 1; and what ``function`` raises, in its turn.
    """
    if workers is not None:
        check_whole("workers", workers, least=1)
    workers = workers or min(os.cpu_count() or 1, most or os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="in-order")
    waiting: deque[Future[T]] = deque()
    try:
        for i in numbers:
            waiting.append(pool.submit(function, i))
            # Not all at once: finished stacks that nobody has fetched yet would fill the memory.
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
