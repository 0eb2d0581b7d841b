"""The paper's Table 3: contrast rows and I* on stacks registered against focal breathing, and as recorded.

Registered stacks are the same patches, so the change of each row is paired, stack by stack.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.experiments import learned_rows
from afsim.experiments.paper_tables import TABLE_1, TABLE_3
from afsim.experiments.table_report import side_by_side
from afsim.experiments.table_rows import Entry, in_order, labelled, make_row, play, whole_stack_arena
from afsim.measures import MEASURES
from afsim.metrics import mean_interval
from afsim.options import command_line
from afsim.registration import register
from afsim.rows import Row, number
from afsim.setconfig import DEMO
from afsim.sets import open_demo
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import write_table

FloatArray = npt.NDArray[np.float64]
Registered = Literal["none", "calibrated", "search"]

REGISTRATIONS: Final[tuple[Registered, ...]] = get_args(Registered)
"""As recorded, registered by the focus distances, and by a search in the pixels."""

# What a patch in a corner of the frame moves by, from the far end of the sweep to the near one, is less.
_DEMO_MARGIN: Final = 64


@dataclass(frozen=True)
class Table3Config:
    """What the table is made of."""

    stacks: Path | None = None
    """A stored set with a margin; by default the demo set, rendered once with a margin of 64 pixels (0.8 GB)."""
    out: Path = Path("out/table3")
    """Folder for rows.csv and table.md."""
    seed: int = 0
    """Of the episodes' keys."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


class Played(NamedTuple):
    """A row's entry and its error (N,) on each stack."""

    row: dict[str, object]
    error: FloatArray


def entries() -> Iterator[Entry]:
    """Yield the contrast rows that the paper's Table 3 has."""
    names = {row.name for row in TABLE_3}
    for measure in MEASURES.values():
        if measure.reproduction and measure.paper_name in names:
            yield Entry("I*", measure.paper_name, f"sweep:{measure.name}")


def run(config: Table3Config, *, stacks: StackSet | None = None) -> list[dict[str, object]]:
    """Play the rows on the stacks as recorded and on both kinds of registered ones.

    Returns
    -------
    list of dict
        As of Table 1, with the ``registration`` and the mean ``change`` of the absolute error by it, with its 95 %
        interval: below 0 the row gains; NaN without registration. The paper's figures of unregistered stacks are
        those of its Table 1.

    Raises
    ------
    AfsimError
        For a set without labels, distances or a margin, or options out of range.
    """
    check_whole("seed", config.seed, least=0)
    stacks = labelled(stacks if stacks is not None else _open(config.stacks))
    rows: list[dict[str, object]] = []
    recorded: dict[str, FloatArray] = {}
    steps = track(REGISTRATIONS, "sets", console=Console(stderr=True), disable=config.quiet, transient=True)
    for registration in steps:
        played = _play(registration, stacks, recorded, config.seed)
        if registration == "none":
            recorded = {str(one.row["policy"]): one.error for one in played}
        rows += in_order([one.row for one in played])
    return rows


def _open(path: Path | None) -> StackSet:
    return open_demo(config=replace(DEMO, margin=_DEMO_MARGIN)) if path is None else StackSet.open(path)


def _play(registration: Registered, stacks: StackSet, recorded: dict[str, FloatArray], seed: int) -> list[Played]:
    """Play all rows on the stacks in one registration; ``recorded`` has the errors by policy without one."""
    shown, paper = stacks, TABLE_1
    if registration != "none":
        shown, paper = register(stacks, registration), TABLE_3
    arena = whole_stack_arena(Camera(shown), seed)
    played = []
    for entry in [*entries(), *learned_rows.whole_stack(shown, kinds=("I*",)).entries]:
        outcome = play(entry, arena)
        row = {"registration": registration, **make_row(entry, outcome, paper)}
        # Withheld where there is nothing to compare with.
        change = np.abs(outcome.error) - np.abs(recorded.get(entry.policy, np.full(len(stacks), np.nan)))
        row["change"] = float(change.mean())
        row["change_lo"], row["change_hi"] = mean_interval(change, outcome.scene)
        played.append(Played(row, outcome.error))
    return played


def _change(row: Row) -> str:
    if row["registration"] == "none":
        return "–"
    low, high = number(row, "change_lo"), number(row, "change_hi")
    return f"{number(row, 'change'):+.3f}" + ("" if np.isnan(low) else f" ({low:+.3f} ... {high:+.3f})")


def table(rows: list[dict[str, object]]) -> str:
    """Return the table as text, a part for each registration."""
    parts = []
    for registration in REGISTRATIONS:
        own = [row for row in rows if row["registration"] == registration]
        title, paper = f"Registration: {registration}", TABLE_3
        if registration == "none":
            names = {row.name for row in TABLE_3}
            title, paper = "Without registration", tuple(r for r in TABLE_1 if r.kind == "I*" and r.name in names)
        parts.append(f"# {title}\n\n{side_by_side(own, paper, {'change of MAE (95 %)': _change})}")
    return "\n".join(parts)


def main(config: Table3Config) -> int:
    """Make the table and write rows.csv and table.md."""
    with staged_files(config.out) as folder:
        rows = run(config)
        write_table(rows, folder / "rows.csv")
        text = table(rows)
        head = ["# Table 3: ours (the paper's)", f"`{command_line('study table3', config)}`"]
        (folder / "table.md").write_text("\n\n".join([*head, text]), encoding="utf-8")
    if not config.quiet:
        print(text)
        print(f"Written: {config.out / 'table.md'} and rows.csv beside it")
    return 0
