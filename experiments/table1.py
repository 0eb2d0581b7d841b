"""The paper's Table 1 from any set of stacks: measures, disparity of single slices, trained networks, and chance.

Ours stand beside what the paper prints, and the agreement of both is measured: do the rows come in the same order,
and are their errors as large. The lens is ideal and nothing is added to the recordings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.experiments import learned_rows
from afsim.experiments.agreement import agreement
from afsim.experiments.compare import open_stacks
from afsim.experiments.paper_tables import TABLE_1
from afsim.experiments.table2 import single_slice
from afsim.experiments.table_report import agreement_text, draw_agreement, side_by_side
from afsim.experiments.table_rows import (
    Entry,
    Kind,
    in_order,
    labelled,
    make_row,
    paper_row,
    play,
    whole_stack_arena,
)
from afsim.measures import MEASURES, STEREO_MEASURES
from afsim.metrics import labels
from afsim.options import command_line
from afsim.plots import save
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import write_table

FloatArray = npt.NDArray[np.float64]

_WHOLE_STACK: Final[tuple[Kind, ...]] = ("I*", "D*")


@dataclass(frozen=True)
class Table1Config:
    """What the table is made of."""

    stacks: Path | None = None
    """A stored set; the embedded demo set by default."""
    out: Path = Path("out/table1")
    """Folder for rows.csv, agreement.csv, table.md and the picture agreement."""
    extras: bool = False
    """Add other readings of the paper's rows, and extensions of them."""
    seed: int = 0
    """Of the chance row."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


class Table(NamedTuple):
    """A reproduced table.

    Attributes
    ----------
    rows : list of dict
        Sorted as the paper sorts them (:func:`afsim.experiments.table_rows.make_row`).
    agreement : list of dict
        Of the rows of whole stacks, a kind each (:func:`afsim.experiments.agreement.agreement`).
    notes : list of str
        What is missing, and why.
    """

    rows: list[dict[str, object]]
    agreement: list[dict[str, object]]
    notes: list[str]


def whole_stack(*, views: int, extras: bool) -> Iterator[Entry]:
    """Yield the rows of whole stacks with so many views, other readings of the paper's rows on demand."""
    for measure in (*MEASURES.values(), *STEREO_MEASURES.values()):
        if (measure.reproduction or extras) and (measure.family == "I*" or views == 2):
            yield Entry(measure.family, measure.paper_name, f"sweep:{measure.name}", measure.reproduction)


def chance(stacks: StackSet) -> Iterator[Entry]:
    """Yield what knows nothing of the stack: a random index, and the index with the least RMSE on these stacks."""
    squares = (np.arange(stacks.n)[:, None] - labels(stacks)) ** 2
    yield Entry("chance", "Uniform random", "random", reproduction=False)
    yield Entry("chance", "Best constant", f"fixed:{squares.mean(axis=1).argmin()}", reproduction=False)


def run(config: Table1Config, *, stacks: StackSet | None = None) -> list[dict[str, object]]:
    """Play every row and return them, sorted within each kind by RMSE, the largest first.

    Raises
    ------
    AfsimError
        For a set without labels, or options out of range.
    """
    return reproduce(config, stacks=stacks).rows


def reproduce(config: Table1Config, *, stacks: StackSet | None = None) -> Table:
    """Play every row and compare them with the paper's; raises as :func:`run` does."""
    check_whole("seed", config.seed, least=0)
    stacks = labelled(stacks if stacks is not None else open_stacks(config.stacks))
    camera = Camera(stacks)
    whole, single = whole_stack_arena(camera, config.seed), Arena(camera, seed=config.seed)
    slices = single_slice(stacks, extras=config.extras)
    learned = [learned_rows.whole_stack(stacks), learned_rows.single_slice(stacks)]
    listed = [*whole_stack(views=stacks.geometry.views, extras=config.extras), *slices.entries, *chance(stacks)]
    listed += [entry for rows in learned for entry in rows.entries]
    rows, errors = [], {}
    for entry in track(listed, "rows", console=Console(stderr=True), disable=config.quiet, transient=True):
        sees_all = entry.kind in _WHOLE_STACK
        outcome = play(entry, whole if sees_all else single, inside=slices.inside if entry.crop else None)
        rows.append(make_row(entry, outcome, TABLE_1))
        if sees_all and entry.reproduction and entry.name != learned_rows.OUR_MODEL:
            errors[entry] = outcome.error
    notes = [*slices.notes, *(note for rows in learned for note in rows.notes)]
    return Table(in_order(rows), _agreement(errors, stacks.scenes), notes)


def _agreement(errors: dict[Entry, FloatArray], scenes: Sequence[str]) -> list[dict[str, object]]:
    compared = []
    for kind in _WHOLE_STACK:
        own = [entry for entry in errors if entry.kind == kind]
        printed = [paper_row(kind, entry.name, 1, TABLE_1) for entry in own]
        if own:
            paper_rmse = np.array([row.rmse for row in printed if row is not None])
            names = [entry.name for entry in own]
            compared.append(agreement(kind, names, np.stack([errors[entry] for entry in own]), paper_rmse, scenes))
    return compared


def main(config: Table1Config) -> int:
    """Make the table and write rows.csv, agreement.csv, table.md and the picture agreement."""
    # Opened before the run, so that a folder that cannot be written to is told at once.
    with staged_files(config.out) as folder:
        table = reproduce(config)
        write_table(table.rows, folder / "rows.csv")
        write_table(table.agreement, folder / "agreement.csv")
        text = agreement_text(table.agreement)
        parts = [
            "# Table 1: ours (the paper's)",
            f"`{command_line('study table1', config)}`",
            *table.notes,
            text,
            side_by_side(table.rows, TABLE_1),
        ]
        (folder / "table.md").write_text("\n\n".join(parts), encoding="utf-8")
        save(draw_agreement(table.rows, table.agreement), folder, "agreement")
    if not config.quiet:
        print(text)
        print(f"Written: {config.out / 'table.md'}, rows.csv, agreement.csv and the picture agreement beside it")
    return 0
