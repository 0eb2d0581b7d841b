"""Import recordings into stored stack sets: one pass over the frames, all or nothing."""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress

import afsim
from afsim.errors import ReaderError
from afsim.progress import check_room
from afsim.progress import progress as progress_bar
from afsim.readers import READERS
from afsim.recording import Reader, Recording
from afsim.stack import Geometry
from afsim.stackstore import StackWriter, check_replaceable, index_rows
from afsim.staging import staged_folder


def import_stacks(source: Reader, out: Path, *, may_replace: bool = False, progress: bool = True) -> list[Path]:
    """Store all recordings a reader finds, as one stack set for each geometry.

    Nothing is left behind where it fails or is interrupted, and an old set stays as it was.

    Parameters
    ----------
    source : Reader
        The recordings, such as ``LearnAfReader(Path("train1"))``.
    out : Path
        Where the set goes. Recordings of several geometries go into sets of their own in folders under it, named
        by what they are: slices x views x height x width, with ``-2``, ``-3`` ... where those are the same but
        levels or focus distances differ.
    may_replace : bool
        Whether a set (or a folder of sets) at ``out`` is replaced as a whole.
    progress : bool
        Whether to show a progress bar on the error stream.

    Returns
    -------
    list of Path
        The folders of the sets.

    Raises
    ------
    ReaderError
        Where a recording cannot be used or nothing is found; the message names the file and the value.
    StoreError
        Where ``out`` exists already, or the disk has not enough room.
    """
    out = Path(out)
    if may_replace:
        check_replaceable(out)
    with staged_folder(out, may_replace=may_replace) as aside, progress_bar(shown=progress) as bar:
        recordings = _found(source, bar)
        groups = _by_geometry(recordings)
        check_room(aside, sum(recording.nbytes for recording in recordings))
        folders = {name: aside if len(groups) == 1 else aside / name for name in groups}
        slices = bar.add_task("", total=sum(recording.geometry.n for recording in recordings))
        for name, group in groups.items():
            folders[name].mkdir(exist_ok=True)
            with StackWriter(folders[name], group[0].geometry, _set_metadata(source)) as writer:
                for recording in group:
                    bar.update(slices, description=recording.name)
                    for _ in recording.fill(writer.extend(index_rows(recording.headers()))):
                        bar.advance(slices)
        bar.update(slices, description="done")
    return [out / folder.relative_to(aside) for folder in folders.values()]


def _found(source: Reader, bar: Progress) -> list[Recording]:
    """List the recordings that have stacks, before any frame is read: most mistakes show here."""
    looking = bar.add_task("looking for recordings", total=None)
    recordings = []
    for recording in source.recordings():
        if recording.cuts:
            recordings.append(recording)
        bar.advance(looking)
    bar.remove_task(looking)
    if not recordings:
        raise ReaderError(f"{source.source}: no stack found, or none kept by the reader's options")
    return recordings


def _by_geometry(recordings: Sequence[Recording]) -> dict[str, list[Recording]]:
    """Group recordings by geometry, in the order found, under the name of each group's folder."""
    groups: dict[Geometry, list[Recording]] = {}
    for recording in recordings:
        groups.setdefault(recording.geometry, []).append(recording)
    named: dict[str, list[Recording]] = {}
    taken: Counter[str] = Counter()
    for geometry, group in groups.items():
        _check_names(group)
        name = f"{geometry.n}x{geometry.views}x{geometry.height}x{geometry.width}"
        taken[name] += 1
        named[name if taken[name] == 1 else f"{name}-{taken[name]}"] = group
    return named


def _check_names(group: Sequence[Recording]) -> None:
    names = Counter(cut.name for recording in group for cut in recording.cuts)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ReaderError(
            f"stack names must differ within a set, but these occur more than once: {', '.join(twice[:5])}"
        )


def _set_metadata(source: Reader) -> dict[str, object]:
    """Say where a set comes from: the reader, its options (of paths only the last name), and our version."""
    names = [name for name, kind in READERS.items() if type(source) is kind]
    options = json.dumps(dataclasses.asdict(source), default=_plain)
    return {
        "reader": names[0] if names else type(source).__name__,
        "options": json.loads(options),
        "afsim": afsim.__version__,
    }


def _plain(value: object) -> str:
    return value.resolve().name if isinstance(value, Path) else str(value)
