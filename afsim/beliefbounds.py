"""What policies cost in a search model: any policy exactly, and bounds of the best where steps are many."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.belief import expected_costs, normalised
from afsim.beliefplan import MOST_BELIEFS, SearchModel, first_images, plan, planned
from afsim.checks import check_whole
from afsim.errors import AfsimError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Decide = Callable[[FloatArray, IntArray, BoolArray, int], tuple[IntArray, BoolArray]]
"""A policy: beliefs (B, n) as log-probabilities, where the lens stands (B,), which indices were seen (B, n), steps
left -> the index to go to (B,), and whether to look there (B,) rather than to end there."""


def expected_cost(model: SearchModel, decide: Decide, steps: int) -> FloatArray:
    """Return what a policy is expected to cost in the model, (n,) by start: every history is gone through.

    Parameters
    ----------
    model : SearchModel
        What can be seen and what it costs.
    decide : callable
        The policy; see ``Decide``. An index that was seen shows nothing new. With one step left it ends.
    steps : int
        Steps m.

    Raises
    ------
    AfsimError
        For more histories than can be gone through.
    """
    check_whole("steps", steps, least=1)
    n, bins = model.n, model.likelihood.bins
    histories = n * float(bins) ** steps
    if histories > MOST_BELIEFS / n:
        raise AfsimError(f"{steps} steps of {bins} bins are {histories:.2g} histories: too many to go through")
    weights, at, seen = first_images(model, np.arange(n))
    start, total = at.copy(), np.zeros(n)
    with np.errstate(divide="ignore"):
        for left in range(steps, 0, -1):
            where, looks = decide(normalised(np.log(weights)), at, seen, left)
            looks = np.asarray(looks) & (left > 1)
            mass = weights.sum(axis=1)
            cost = mass * (model.go[at, where] + np.where(looks, model.step, model.end))
            cost += np.where(looks, 0.0, (weights * model.loss[where]).sum(axis=1))
            total += np.bincount(start, weights=cost, minlength=n)
            weights, at, seen, start = _next_images(model, weights[looks], where[looks], seen[looks], start[looks])
    return total


def _next_images(
    model: SearchModel, weights: FloatArray, at: IntArray, seen: BoolArray, start: IntArray
) -> tuple[FloatArray, IntArray, BoolArray, IntArray]:
    """Return all that may follow an image at ``at``, without what cannot happen."""
    bins, lanes = model.likelihood.bins, np.arange(len(at))
    shown = model.book.seen[at]
    # What was seen shows the same again: one way to go on, with nothing learnt.
    shown = np.where(seen[lanes, at][:, None, None], (np.arange(bins) == 0)[None, :, None], shown)
    after = (weights[:, None, :] * shown).reshape(-1, model.n)
    seen = seen.copy()
    seen[lanes, at] = True
    happens = after.sum(axis=1) > 0.0
    at, seen, start = (np.repeat(part, bins, axis=0)[happens] for part in (at, seen, start))
    return after[happens], at, seen, start


class Bracket(NamedTuple):
    """Bounds of the optimum, (n,) each by start: no policy costs less than ``lower``; one costs ``upper``."""

    lower: FloatArray
    upper: FloatArray


def bracket(model: SearchModel, steps: int, *, draws: int = 4096, seed: int = 0) -> Bracket:
    """Return bounds of the optimum of m steps; equal, and exact, for one and two.

    Parameters
    ----------
    model : SearchModel
        What can be seen and what it costs.
    steps : int
        Steps m.
    draws, seed
        Of :func:`seeing_everything`, of which ``lower`` takes the mean less three standard errors.

    Notes
    -----
    ``lower`` is the larger of two information relaxations: the focus is told after the second image (tighter than
    QMDP, which tells it after the first; Littman, Cassandra and Kaelbling, "Learning policies for partially
    observable environments", 1995), and all slices are seen at once. ``upper`` is what a policy costs that acts as
    were there but one image to come, and then looks again, three steps long; more steps never cost more.
    """
    check_whole("steps", steps, least=1)
    if steps <= 2:
        value = plan(model, steps).value
        return Bracket(value, value.copy())
    told = planned(model, 2, np.arange(model.n), model.booked(tells=True)).value
    mean, error = seeing_everything(model, draws=draws, seed=seed)
    return Bracket(np.maximum(told, mean - 3.0 * error), expected_cost(model, looking_ahead(model), 3))


def seeing_everything(model: SearchModel, *, draws: int = 4096, seed: int = 0) -> tuple[float, float]:
    """Return what ending costs after an image of every slice, all for nothing, and the standard error of that.

    The mean over ``draws`` foci and what they show, drawn with ``seed``; of each the expected cost of the best
    index. Less than any policy's expected cost, whatever its steps.
    """
    check_whole("draws", draws, least=2)
    rng, n = np.random.default_rng(seed), model.n
    focus = rng.choice(n, size=draws, p=np.exp(model.prior))
    chances = model.likelihood.table.cumsum(axis=2)
    belief = np.repeat(model.prior[None], draws, axis=0)
    with np.errstate(divide="ignore"):
        logs = np.log(model.likelihood.table)
    for k in range(n):
        below = chances[k, focus] <= rng.random(draws)[:, None]
        belief += logs[k, :, below.sum(axis=1).clip(0, model.likelihood.bins - 1)]
    ends = expected_costs(normalised(belief), model.loss).min(axis=1) + model.end
    return float(ends.mean()), float(ends.std(ddof=1) / np.sqrt(draws))


def looking_ahead(model: SearchModel) -> Decide:
    """Return the policy that looks one image ahead, at each step anew: optimal with up to two steps left."""

    def decide(belief: FloatArray, at: IntArray, seen: BoolArray, steps: int) -> tuple[IntArray, BoolArray]:
        best = model.decide(belief, at, seen, min(steps, 2))
        return best.command, best.looks

    return decide
