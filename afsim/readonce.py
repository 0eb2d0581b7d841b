"""Files that are read once: again only where they have changed since."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def file_version(path: Path) -> int:
    """Return what changes when a file does; 0 where there is none, so that reading it tells."""
    return path.stat().st_mtime_ns if path.exists() else 0


def read_once(read: Callable[[Path], T], *, most: int = 32) -> Callable[[Path], T]:
    """Return ``read``, which remembers what it found in so many files as long as they do not change."""

    @lru_cache(maxsize=most)
    def remembered(path: Path, version: int) -> T:
        return read(path)

    return lambda path: remembered(path, file_version(path))
