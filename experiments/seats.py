"""Who plays in a study: all policies that are no mere yardstick, as far as the stacks let them."""

from collections.abc import Sequence
from typing import Final

from afsim.errors import AfsimError, UnsuitableError
from afsim.policies import POLICIES, make
from afsim.task import TaskSpec

# They show where a scale begins and ends; no strategy is to be learnt from them.
YARDSTICKS: Final = ("stay", "random", "fixed", "oracle")

ALL: Final = "all"
"""Stands for :func:`strategies` in a list of names."""


def strategies() -> list[str]:
    """Return the names of all policies, with their default options, but for the yardsticks."""
    return [name for name in POLICIES if name not in YARDSTICKS]


def policy_names(text: str) -> list[str]:
    """Read names separated by commas; ``all`` stands for all strategies that are not named besides.

    Raises
    ------
    AfsimError
        For none, or one twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise AfsimError("no policies to compare; expected names separated by commas")
    if duplicated := {name for name in names if names.count(name) > 1}:
        raise AfsimError(f"policies named twice: {', '.join(sorted(duplicated))}")
    others = [name for name in strategies() if name not in names]
    return [each for name in names for each in (others if name == ALL else [name])]


def seated(text: str, spec: TaskSpec) -> tuple[list[str], list[str]]:
    """Return the policies that can play a game, and a note on each that cannot.

    Parameters
    ----------
    text : str
        Names, separated by commas; nothing, or ``all``, for :func:`strategies`.
    spec : TaskSpec
        Of the game.

    Raises
    ------
    AfsimError
        For a name that does not exist, an option that is wrong in itself, or where nobody is left.
    """
    kept, notes = [], []
    for name in policy_names(text if text.strip() else ALL):
        try:
            make(name, spec)
        except UnsuitableError as error:
            notes.append(f"{name} is left out: {error}.")
        else:
            kept.append(name)
    if not kept:
        raise AfsimError("none of the policies can play these stacks; " + " ".join(notes))
    return kept, notes


def spread_evenly(n: int, count: int) -> Sequence[int]:
    """Return at most ``count`` of the indices 0 ... n-1, both ends among them."""
    if count < 1:
        raise AfsimError(f"starts must be at least 1, got {count}")
    if count == 1:
        return [n // 2]
    count = min(count, n)
    return sorted({round(i * (n - 1) / (count - 1)) for i in range(count)})
