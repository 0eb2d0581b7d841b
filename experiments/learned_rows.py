"""The rows of the paper's own models ("Our Model"), played by the networks that come with afsim."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from afsim.camera import Camera
from afsim.errors import UnsuitableError
from afsim.experiments.table_rows import Entry, Kind
from afsim.policies import make
from afsim.stackset import StackSet
from afsim.task import FocusTask

OUR_MODEL: Final = "Our Model"
"""The paper's name of its rows."""

_WHOLE_STACK: Final[tuple[tuple[Kind, str], ...]] = (("I*", "learned-i-star"), ("D*", "learned-d-star"))
_SINGLE: Final[tuple[tuple[Kind, str], ...]] = (("D1", "learned-d1"), ("I1", "learned-i1"))


class LearnedRows(NamedTuple):
    """Rows that can be played of a set, and why others cannot.

    Attributes
    ----------
    entries : list of Entry
        The rows.
    notes : list of str
        What is missing, a line each.
    """

    entries: list[Entry]
    notes: list[str]


def whole_stack(stacks: StackSet, *, kinds: tuple[Kind, ...] = ("I*", "D*")) -> LearnedRows:
    """Return the rows of the networks that see whole stacks."""
    return _playable(stacks, (Entry(kind, OUR_MODEL, policy) for kind, policy in _WHOLE_STACK if kind in kinds))


def single_slice(stacks: StackSet, *, steps: int = 1, extras: bool = True) -> LearnedRows:
    """Return the rows of one slice, budget by budget.

    One step is the single-slice network's. From two steps on there is a network for each step, as in the paper; as
    an extra, the single-slice network is asked again where it went.
    """
    return _playable(stacks, _single(steps, extras))


def _single(steps: int, extras: bool) -> Iterator[Entry]:
    for kind, policy in _SINGLE:
        for step in range(1, steps + 1):
            yield Entry(kind, OUR_MODEL, policy if step == 1 else f"{policy}-2step", steps=step)
            if step > 1 and extras:
                again = "extension, the one-step network again"
                yield Entry(kind, OUR_MODEL, policy, reproduction=False, steps=step, extension=again)


def _playable(stacks: StackSet, entries: Iterator[Entry]) -> LearnedRows:
    spec = FocusTask(Camera(stacks), reward="none").spec
    played, reasons = list[Entry](), dict[str, list[str]]()
    for entry in entries:
        try:
            make(entry.policy, spec)
        except UnsuitableError as error:
            reasons.setdefault(str(error), []).append(f"{entry.kind} {entry.name}, {entry.steps} step(s)")
        else:
            played.append(entry)
    return LearnedRows(played, [f"Left out: {'; '.join(rows)}: {why}." for why, rows in reasons.items()])
