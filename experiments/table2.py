"""The paper's Table 2 from any set of stacks: single-slice disparity and trained networks, step after step.

Each budget is its own run, from every start. The reach is how far disparity is searched for: within 3 pixels, which
stands for the paper's rows, and within 16, which is nearly all that the sweep has. The network of the row "Learned
Depth" is not public; a network of our own stands in for it, where it is shipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.errors import AfsimError
from afsim.experiments import learned_rows
from afsim.experiments.compare import open_stacks
from afsim.experiments.paper_tables import TABLE_2
from afsim.experiments.table_report import side_by_side
from afsim.experiments.table_rows import STAND_IN, Entry, labelled, make_row, play
from afsim.field import inside_crop
from afsim.options import command_line
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import write_table

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

CROP: Final = 1.5
"""The image over the crop that the rows with a dagger are evaluated on (section 7 of the paper)."""

_PAPER_REACH: Final = 3  # pixels; the paper's level comes with it (SSD: Wadhwa et al., 2018)
_FULL_REACH: Final = 16  # pixels; a Pixel 3's sweep has 10 to 17
_ROWS: Final = (
    ("ZNCC Disparity with Calibration", "zncc_disparity", False),
    ("SSD Disparity", "ssd_disparity", True),
)
_STAND_IN: Final = Entry("D1", "Learned Depth", "learned_depth", False, crop=True, extension=STAND_IN)
_ABOUT_STAND_IN: Final = (
    "Learned Depth: the paper's network (Garg et al., 2019) is not public; our stand-in is a small network of the "
    "same idea, and its figures say nothing about theirs."
)


@dataclass(frozen=True)
class Table2Config:
    """What the table is made of."""

    stacks: Path | None = None
    """A stored set; the embedded demo set by default."""
    steps: int = 2
    """Budgets 1 ... M."""
    out: Path = Path("out/table2")
    """Folder for rows.csv and table.md."""
    seed: int = 0
    """Of the episodes' keys."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


class SingleSlice(NamedTuple):
    """What can be played of single dual-pixel slices of a set.

    Attributes
    ----------
    entries : list of Entry
        The rows: for each policy and reach, every budget; then the stand-in's.
    inside : (N,) bool
        The patches inside the crop.
    notes : list of str
        What is missing and why, and how many patches are inside the crop.
    """

    entries: list[Entry]
    inside: BoolArray
    notes: list[str]


def single_slice(stacks: StackSet, *, steps: int = 1, extras: bool = True) -> SingleSlice:
    """Return the rows of single dual-pixel slices, those with the full reach as extras.

    There are none for stacks of one view or of unknown distances, and none on the crop where it holds no patch.
    """
    everywhere = np.ones(len(stacks), dtype=np.bool_)
    if stacks.geometry.views != 2:
        return SingleSlice([], everywhere, ["These stacks have one view: the rows of dual pixels are left out."])
    if stacks.diopters is None:
        return SingleSlice([], everywhere, ["The focus distances are unknown: the rows of one slice are left out."])
    inside = inside_crop(stacks, CROP)
    notes = [f"† on the {int(inside.sum())} of {len(stacks)} patches that lie inside the {CROP:g}x crop."]
    entries = list(_entries(steps, extras))
    if _has_stand_in(stacks.diopters):
        entries += [replace(_STAND_IN, steps=step) for step in range(1, steps + 1)]
        notes.append(_ABOUT_STAND_IN)
    return SingleSlice([one for one in entries if inside.any() or not one.crop], inside, notes)


def _has_stand_in(diopters: FloatArray) -> bool:
    """Return whether a network is shipped that stands in for Learned Depth at these focus distances (n,)."""
    from afsim.depthfile import load_depth, shipped_depth  # with torch, which no other row needs

    path = shipped_depth()
    return path is not None and load_depth(path).calibration.covers(diopters)


def _entries(steps: int, extras: bool) -> Iterator[Entry]:
    for name, policy, crop in _ROWS:
        for reach in (_PAPER_REACH, _FULL_REACH):
            if reach == _PAPER_REACH or extras:
                for step in range(1, steps + 1):
                    extension = "" if reach == _PAPER_REACH else f"extension, reach {reach}"
                    yield Entry("D1", name, f"{policy}:{reach}", not extension, step, crop, extension)


def run(config: Table2Config, *, stacks: StackSet | None = None) -> list[dict[str, object]]:
    """Play every policy from every start, budget by budget, and return the rows.

    Raises
    ------
    AfsimError
        For a set without labels, one that no row can be played on, and for options out of range.
    """
    return _reproduce(config, stacks)[0]


def _reproduce(config: Table2Config, stacks: StackSet | None) -> tuple[list[dict[str, object]], list[str]]:
    check_whole("steps", config.steps, least=1)
    check_whole("seed", config.seed, least=0)
    stacks = labelled(stacks if stacks is not None else open_stacks(config.stacks))
    played = single_slice(stacks, steps=config.steps)
    learned = learned_rows.single_slice(stacks, steps=config.steps)
    entries, notes = [*played.entries, *learned.entries], [*played.notes, *learned.notes]
    if not entries:
        raise AfsimError(f"nothing of Table 2 can be played on {stacks!r}: {' '.join(notes)}")
    arena, rows = Arena(Camera(stacks), seed=config.seed), []
    for entry in track(entries, "rows", console=Console(stderr=True), disable=config.quiet, transient=True):
        outcome = play(entry, arena, inside=played.inside if entry.crop else None)
        rows.append(make_row(entry, outcome, TABLE_2))
    return rows, notes


def main(config: Table2Config) -> int:
    """Make the table and write rows.csv and table.md."""
    with staged_files(config.out) as folder:
        rows, notes = _reproduce(config, None)
        write_table(rows, folder / "rows.csv")
        table = side_by_side(rows, TABLE_2)
        parts = ["# Table 2: ours (the paper's)", f"`{command_line('study table2', config)}`", *notes, table]
        (folder / "table.md").write_text("\n\n".join(parts), encoding="utf-8")
    if not config.quiet:
        print(table)
        print(f"Written: {config.out / 'table.md'} and rows.csv beside it")
    return 0
