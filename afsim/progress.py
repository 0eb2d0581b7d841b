"""What all long jobs show and ask before they begin: a bar on the error stream, and room on the disk."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from afsim.errors import StoreError

T = TypeVar("T")


@contextmanager
def progress(*, shown: bool, transient: bool = False) -> Iterator[Progress]:
    """Yield a bar on the error stream; it is removed at the end where it is ``transient``."""
    # What is done comes last: its length varies, and the bar stays where it is.
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), disable=not shown, transient=transient) as bar:
        yield bar


def with_bar(items: Iterable[T], what: str, total: int, *, done: int = 0, shown: bool) -> Iterator[T]:
    """Pass on ``items``, with a bar that says ``what`` is done; ``done`` of ``total`` were before."""
    with progress(shown=shown) as bar:
        task = bar.add_task(what, total=total, completed=done)
        for item in items:
            yield item
            bar.advance(task)


def check_room(folder: Path, wanted: int) -> None:
    """Raise unless the disk of a folder, which stands in for its target beside it, has ``wanted`` bytes free.

    Raises
    ------
    StoreError
        Naming both numbers.
    """
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise StoreError(
            f"no room in {folder.parent}: the stacks take {wanted / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        )
