"""Policies under every budget in front of one camera: a row for each, compared with an optimum and a reference."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from afsim.clairvoyant import clairvoyant_bound
from afsim.costs import CostModel
from afsim.errors import unknown
from afsim.metrics import Reference, exact_errors, summarize
from afsim.policies import make
from afsim.policy import FocusPolicy
from afsim.rollout import Arena, Episodes
from afsim.rows import START
from afsim.task import FocusTask

FloatArray = npt.NDArray[np.float64]
Advance = Callable[[str, int | None], None]


def play_budgets(
    arena: Arena,
    tasks: Sequence[FocusTask],
    names: Sequence[str],
    *,
    baseline: str | None = None,
    cost: CostModel | None = None,
    advance: Advance = lambda name, lanes: None,
) -> list[dict[str, object]]:
    """Let policies play an arena's episodes under every budget; return their rows in the order of ``names``.

    A whole-stack policy makes one prediction, so it has one row.

    Parameters
    ----------
    arena : Arena
        The (stack, start) pairs.
    tasks : sequence of FocusTask
        Games over the arena's camera, by rising budget.
    names : sequence of str
        Of policies.
    baseline : str, optional
        The one of them with which exact errors are compared, episode by episode, at the same budget. By default
        each budget is compared with the one before it, the first with the start: whether further steps help.
    cost : CostModel, optional
        Of which optimum and regret are; the exact error by default.
    advance : callable
        Told a policy and the number of its episodes that have ended; None when it is done.

    Raises
    ------
    AfsimError
        For a policy that does not exist or does not fit the stacks, or a baseline that is not played.
    """
    if baseline is not None and baseline not in names:
        raise unknown("baseline", baseline, names)
    seats = {name: [make(name, task.spec) for task in tasks] for name in names}
    cost = cost or CostModel()
    stacks, optimum, references = arena.camera.stacks, Optimum(arena, cost), _References(baseline)
    cost.check_known(diopters=stacks.diopters is not None)
    rows: dict[str, list[dict[str, object]]] = {}
    for name in sorted(names, key=lambda name: name != baseline):
        rows[name] = []
        for episodes, task in played(arena, tasks, name, seats[name], advance):
            steps = task.spec.budget
            start, end = (exact_errors(episodes, stacks, step=step) for step in (0, -1))
            against = references.of(name, steps, start, end, whole_stack=episodes.whole_stack)
            bound = optimum.of(task, whole_stack=episodes.whole_stack)
            charged, sharpness = cost.of(episodes, stacks), arena.sharpness
            rows[name].append(
                summarize(
                    name, steps, episodes, stacks, sharpness, charged=charged, optimum=bound, reference=against
                )
            )
        advance(name, None)
    return [row for name in names for row in rows[name]]


def played(
    arena: Arena, tasks: Sequence[FocusTask], name: str, seats: Sequence[FocusPolicy], advance: Advance
) -> Iterator[tuple[Episodes, FocusTask]]:
    """Yield a policy's episodes, budget by budget; of a whole stack once."""
    for task, policy in zip(tasks, seats, strict=True):
        episodes = arena.play(policy, task, progress=partial(advance, name))
        yield episodes, task
        if episodes.whole_stack:
            return


class _References:
    """What each row is compared with: the baseline, which is played first, or the row before."""

    def __init__(self, baseline: str | None) -> None:
        self._baseline = baseline
        self._known: dict[int, Reference] = {}
        self._whole: Reference | None = None
        self._before: tuple[str, Reference] | None = None

    def of(self, name: str, steps: int, start: FloatArray, end: FloatArray, *, whole_stack: bool) -> Reference:
        """Return the reference of a row whose exact errors (E,) are these at the start and at the end."""
        if self._baseline is None:
            follows = self._before is not None and self._before[0] == name
            reference = self._before[1] if follows and self._before else Reference(START, start)
            self._before = name, Reference(f"{steps} step{'s' if steps > 1 else ''}", end)
            return reference
        if name == self._baseline:
            self._known[steps] = Reference(name, end)
            self._whole = self._known[steps] if whole_stack else None
        # One prediction of a whole stack stands for every budget, and is compared with the largest.
        return self._whole or self._known[max(self._known) if whole_stack else steps]


class Optimum:
    """The cost below which no policy comes in the mean, of each episode of an arena; kept by budget."""

    def __init__(self, arena: Arena, cost: CostModel) -> None:
        self._arena, self._cost = arena, cost
        self._known: dict[int, FloatArray | None] = {}

    def of(self, task: FocusTask, *, whole_stack: bool) -> FloatArray | None:
        """Return the optimum (E,); None where there is none to be had (:func:`has_optimum`)."""
        # A sweep takes a step a slice, and one to the peak.
        budget = task.spec.n + 1 if whole_stack else task.spec.budget
        if budget not in self._known:
            game = FocusTask(task.camera, budget=budget, reward="none", timing=task.spec.timing)
            found = clairvoyant_bound(self._arena, game, self._cost) if has_optimum(task) else None
            self._known[budget] = found
        return self._known[budget]


def has_optimum(task: FocusTask) -> bool:
    """Tell whether errors have a bound: not of a lens that swings and is exposed before it has settled."""
    return not (task.camera.actuator.lens.ringing and task.spec.timing.wait_ms is not None)
