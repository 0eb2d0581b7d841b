"""The folder of a set that is being rendered: claimed by one process, with a journal of finished stacks.

It lies beside the target as ``NAME.partial`` and holds the set's image file, as far as it goes, the description of
what is rendered, and the journal with one line a stack.
"""

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError, StoreError
from afsim.setconfig import SetConfig, description
from afsim.stack import FocalStack
from afsim.stackstore import Index, index_rows

DESCRIPTION: Final = "description.json"
JOURNAL: Final = "journal.jsonl"
_IMAGES: Final = "images.u16"


def partial_folder(target: Path) -> Path:
    """Return where the stacks of a set wait that is to become ``target``."""
    target = Path(target).resolve()
    return target.with_name(f"{target.name}.partial")


@contextmanager
def claimed(partial: Path, config: SetConfig) -> Iterator[None]:
    """Make the folder or take it over, and keep other processes out of it; remove it where nothing was finished."""
    wanted = json.dumps(description(config), indent=1, sort_keys=True) + "\n"
    partial.mkdir(parents=True, exist_ok=True)
    with (partial / DESCRIPTION).open("a+") as file:
        _lock(file, partial)
        file.seek(0)
        found = file.read()
        if found and found != wanted:
            raise StoreError(
                f"{partial} holds a part of another set ({_differences(found, wanted)}); "
                "remove it or render to another place"
            )
        if not found:
            file.write(wanted)
            file.flush()
        try:
            yield
        finally:
            if partial.is_dir() and not journal_lines(partial / JOURNAL):
                shutil.rmtree(partial, ignore_errors=True)


def _lock(file: IO[str], partial: Path) -> None:
    """Hold the folder until the file is closed, by whatever end of the process."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock: two renderings at once into one place are then on their own
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StoreError(f"{partial} is being rendered by another process") from error


def _differences(found: str, wanted: str) -> str:
    """Say in what two descriptions differ."""
    try:
        old, new = json.loads(found), json.loads(wanted)
        names = [name for name in new if old.get(name) != new[name]]
    except (json.JSONDecodeError, AttributeError):
        return f"its {DESCRIPTION} is damaged"
    return f"other {', '.join(names) or 'fields'}"


# ---------------------------------------------------------------------- its journal
def journal_line(stack: FocalStack) -> str:
    """Return what the journal says of a finished stack: all but its pixels, and their hash."""
    return json.dumps(
        {
            "sha256": _hash(stack.images),
            "name": stack.name,
            "scene": stack.scene,
            "best_index": stack.best_index,
            "best_index_exact": stack.best_index_exact,
            "region": stack.region,
            "noise": stack.noise,
            "metadata": dict(stack.metadata),
        }
    )


def _hash(images: npt.NDArray[np.uint16]) -> str:
    return hashlib.sha256(np.ascontiguousarray(images, dtype="<u2").data).hexdigest()


def journal_lines(journal: Path) -> list[str]:
    """Return the complete lines of a journal."""
    with suppress(FileNotFoundError):
        return journal.read_text().split("\n")[:-1]
    return []


def finished_rows(partial: Path, config: SetConfig) -> list[Index]:
    """Return the index rows of the stacks that are there, whole and unharmed; the rest is cut off."""
    geometry, file = config.geometry, partial / _IMAGES
    shape = (geometry.n, geometry.views, geometry.height, geometry.width)
    size = 2 * int(np.prod(shape))
    there = file.stat().st_size // size if file.is_file() else 0
    rows: list[Index] = []
    lines = journal_lines(partial / JOURNAL)[: min(there, config.count)]
    for i, line in enumerate(lines):
        images = np.memmap(file, dtype="<u2", mode="r", offset=i * size, shape=shape)
        stack = _stack(line, images, config)
        if stack is None:
            break
        rows.append(index_rows([stack]))
    if file.is_file():
        with file.open("r+b") as open_file:
            open_file.truncate(len(rows) * size)
    (partial / JOURNAL).write_text("".join(f"{line}\n" for line in lines[: len(rows)]))
    return rows


def _stack(line: str, images: npt.NDArray[np.uint16], config: SetConfig) -> FocalStack | None:
    """Return the stack that a line of the journal tells of, or None where line or images are damaged."""
    try:
        record: dict[str, Any] = json.loads(line)
        if record.pop("sha256") != _hash(images):
            return None
        record |= {"region": tuple(record["region"]), "noise": tuple(record["noise"])}
        geometry = config.geometry
        return FocalStack(images, geometry.levels, np.array(geometry.diopters), **record)
    except (AfsimError, AttributeError, KeyError, TypeError, ValueError):
        return None


@contextmanager
def full_disk_told(partial: Path) -> Iterator[None]:
    """Turn "no space left" and its like, outside of the writer's own care, into a :class:`StoreError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
        raise StoreError(f"no room in {partial}: {error.strerror}; finished stacks are kept there") from error
