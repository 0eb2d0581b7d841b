"""Write aside, then rename: what is interrupted or fails leaves nothing behind."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from afsim.errors import StoreError


@contextmanager
def staged_folder(target: Path, *, may_replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside ``target`` that takes its name when the block ends without an error.

    Parameters
    ----------
    target : Path
        The folder to make.
    may_replace : bool
        Whether an existing ``target`` is replaced as a whole; otherwise it is refused.

    Raises
    ------
    StoreError
        Where ``target`` exists and may not be replaced, or is a file.
    """
    target = Path(target).resolve()
    _check_free(target, may_replace)
    missing = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
    try:
        yield aside
        give_usual_permissions(aside)
        _check_free(target, may_replace)
        take_name(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        _remove_empty(missing)


@contextmanager
def staged_files(folder: Path) -> Iterator[Path]:
    """Yield an empty folder whose files move into ``folder`` when the block ends without an error.

    Files of the same name in ``folder`` are replaced, all others are left as they are.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file; expected a folder to write results into")
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        yield aside
        for file in sorted(aside.iterdir()):
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        _remove_empty(missing)


def _check_free(target: Path, may_replace: bool) -> None:
    if target.exists() and not target.is_dir():
        raise StoreError(f"{target} is a file; expected a folder to make or replace")
    if target.exists() and not may_replace:
        raise StoreError(f"{target} exists already; choose another place or allow it to be replaced")


def take_name(aside: Path, target: Path) -> None:
    """Rename ``aside`` to ``target``; an old ``target`` is put back if that is interrupted."""
    old = aside.with_name(aside.name + ".old")
    try:
        if target.exists():
            target.rename(old)
        aside.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove_empty(folders: list[Path]) -> None:
    """Remove those of ``folders`` (innermost first) that nothing was written into."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def give_usual_permissions(path: Path) -> None:
    """Undo the private mode of temporary folders and files: they get what ``mkdir`` or ``open`` gives."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
