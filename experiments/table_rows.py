"""Rows of the paper's tables: what a policy did on a set, in the paper's columns, beside what the paper prints."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.experiments.paper_tables import PaperRow
from afsim.metrics import PAPER_COLUMNS, index_error, labels, paper_columns, scene_intervals
from afsim.policies import make
from afsim.policy import Status
from afsim.rollout import Arena
from afsim.rows import Row, number
from afsim.stackset import StackSet
from afsim.task import FocusTask

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Kind = Literal["I*", "D*", "D1", "I1", "chance"]

KINDS: Final[tuple[Kind, ...]] = ("I*", "D*", "D1", "I1", "chance")
"""Kinds of rows in the order of the paper's tables; chance is not one of the paper's."""

STAND_IN: Final = "our stand-in"
"""The extension of a row that stands in for one whose method the paper does not give: figures side by side."""


@dataclass(frozen=True)
class Entry:
    """What a row is of.

    Attributes
    ----------
    kind : {"I*", "D*", "D1", "I1", "chance"}
        What the policy sees: the whole stack (*) or one slice (1), green (I) or dual pixels (D).
    name : str
        The paper's row; of an extra row, the row that it is another reading of.
    policy : str
        Who plays it.
    reproduction : bool
        Whether it stands for the paper's row, or is an extra one.
    steps : int
        Predictions, each with its move.
    crop : bool
        Whether only the patches inside the 1.5x crop count.
    extension : str
        What goes beyond the paper, of a row that does: it stands beside none of the paper's figures, unless it is a
        :data:`STAND_IN`, which is no reproduction either.
    """

    kind: Kind
    name: str
    policy: str
    reproduction: bool = True
    steps: int = 1
    crop: bool = False
    extension: str = ""


class Outcome(NamedTuple):
    """What a row is computed from.

    Attributes
    ----------
    error : (E,) float64
        The paper's integer errors.
    exact : (E,) float64
        Of the position against the exact truth.
    stack : (E,) int64
        The recording of each episode.
    scene : list of E str
        Its scene.
    failed : float
        Share of episodes whose policy said that it failed; NaN of whole stacks, which cannot.
    """

    error: FloatArray
    exact: FloatArray
    stack: IntArray
    scene: list[str]
    failed: float


def labelled(stacks: StackSet) -> StackSet:
    """Return the stacks that have a label or a truth.

    Raises
    ------
    AfsimError
        Where there is none.
    """
    if stacks.labelled.all():
        return stacks
    if not stacks.labelled.any():
        raise AfsimError("the paper's tables need a truth or a label, but no stack of the set has one")
    return stacks.select(stacks.labelled)


def whole_stack_arena(camera: Camera, seed: int) -> Arena:
    """Return the episodes of rows of whole stacks, one prediction a stack: where they start makes no difference."""
    return Arena(camera, starts=[0], seed=seed)


def play(entry: Entry, arena: Arena, *, inside: npt.NDArray[np.bool_] | None = None) -> Outcome:
    """Play a row's episodes.

    Parameters
    ----------
    entry : Entry
        What the row is of.
    arena : Arena
        A camera in front of labelled stacks, and where episodes start.
    inside : (N,) bool, optional
        The stacks that count; all by default.

    Raises
    ------
    AfsimError
        For a policy that does not exist or does not fit the stacks.
    """
    stacks = arena.camera.stacks
    task = FocusTask(arena.camera, budget=entry.steps, reward="none")
    episodes = arena.play(make(entry.policy, task.spec), task)
    chosen = np.ones(len(episodes.stack), np.bool_) if inside is None else inside[episodes.stack]
    stack, final = episodes.stack[chosen], episodes.positions[chosen, -1]
    failed = (episodes.status[chosen, -1] == Status.FAILED).mean()
    names = stacks.scenes
    return Outcome(
        error=index_error(final, labels(stacks)[stack]),
        exact=final - stacks.truth[stack],
        stack=stack,
        scene=[names[i] for i in stack],
        failed=float("nan") if episodes.whole_stack else float(failed),
    )


def make_row(entry: Entry, outcome: Outcome, paper: Iterable[PaperRow]) -> dict[str, object]:
    """Return a row: what it is of, the paper's columns with 95 % intervals by scene, and the paper's own figures.

    The paper's figures are withheld (NaN) where ``paper`` has no such row, and for an extension of one
    that is no stand-in.
    """
    intervals = scene_intervals(outcome.error, outcome.scene)
    row: dict[str, object] = {
        "kind": entry.kind,
        "name": entry.name,
        "policy": entry.policy,
        "reproduction": entry.reproduction,
        "extension": entry.extension,
        "steps": entry.steps,
        "crop": entry.crop,
        "stacks": len(np.unique(outcome.stack)),
        "scenes": len(set(outcome.scene)),
        "episodes": len(outcome.error),
    }
    for name, value in paper_columns(outcome.error).items():
        row[name], (row[f"{name}_lo"], row[f"{name}_hi"]) = value, intervals[name]
    row["exact_mae"] = float(np.abs(outcome.exact).mean())
    row["exact_rmse"] = float(np.sqrt((outcome.exact**2).mean()))
    row["failed"] = outcome.failed
    withheld = entry.extension not in ("", STAND_IN)
    printed = None if withheld else paper_row(entry.kind, entry.name, entry.steps, paper)
    for name in PAPER_COLUMNS:
        row[f"paper_{name}"] = float("nan") if printed is None else float(getattr(printed, name))
    return row


def paper_row(kind: str, name: str, steps: int, paper: Iterable[PaperRow]) -> PaperRow | None:
    """Return the paper's row of that kind, name and number of steps, or None."""
    return next((row for row in paper if (row.kind, row.name, row.steps) == (kind, name, steps)), None)


def in_order(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Return the rows as the paper sorts them: by kind, and within each by RMSE, the largest first."""
    return sorted(rows, key=lambda row: (KINDS.index(_kind(row)), -number(row, "rmse"), str(row["policy"])))


def _kind(row: Row) -> Kind:
    kind: Kind = row["kind"]  # type: ignore[assignment]  # rows are made of entries
    return kind
