"""Compiled loops over lanes: typed access to numba, and threads that split a batch.

Threads of our own rather than numba's: its thread layers abort a process that forks (OpenMP) or that calls from
two Python threads at once (workqueue); functions compiled without the interpreter's lock do neither.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])

_WORKERS: Final = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
_pools: dict[int, ThreadPoolExecutor] = {}


def compiled(function: F) -> F:
    """Compile ``function`` at its first call, keep the result on disk, run it without the interpreter's lock.

    numba looks for changes in the function's own file alone, but compiled functions contain those they call, from
    other files too. So the results lie in a folder that is named by the content of all files that compile.
    """
    config: Any = numba.config
    usual = config.CACHE_DIR
    config.CACHE_DIR = str(_kernel_folder(usual))
    try:
        return cast(F, numba.njit(nogil=True, cache=True)(function))
    finally:
        config.CACHE_DIR = usual


@cache
def _kernel_folder(chosen: str) -> Path:
    """Return where compiled functions are kept: beside the bytecode, or in the folder of NUMBA_CACHE_DIR."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(package.glob("*.py")):
        content = file.read_bytes()
        if b"@compiled" in content:
            digest.update(content)
    parent = Path(chosen) if chosen else package / "__pycache__"
    folder = parent / f"kernels-{digest.hexdigest()[:16]}"
    if not chosen and not folder.exists():
        for old in parent.glob("kernels-*"):
            shutil.rmtree(old, ignore_errors=True)
    return folder


def over_lanes(kernel: Callable[[int, int], object], lanes: int, *, at_least: int) -> None:
    """Call ``kernel(start, stop)`` over all lanes, split over threads where each gets ``at_least`` lanes."""
    parts = min(_WORKERS, lanes // at_least)
    if parts < 2:
        kernel(0, lanes)
        return
    edges = [lanes * part // parts for part in range(parts + 1)]
    futures = [_pool().submit(kernel, edges[part], edges[part + 1]) for part in range(1, parts)]
    kernel(0, edges[1])
    for future in futures:
        future.result()


def _pool() -> ThreadPoolExecutor:
    """Return this process's threads: a forked child starts its own."""
    process = os.getpid()
    if process not in _pools:
        _pools[process] = ThreadPoolExecutor(_WORKERS, thread_name_prefix="afsim")
    return _pools[process]
