"""The best that a policy can do which sees one feature of each slice: planning over beliefs about the focus.

The model: the focus k* is drawn from a prior; the lens is ideal; the slice at index k shows the bin z of a feature
with probability P(z | k, k*) (:class:`afsim.likelihood.Likelihood`), independently of what other slices show. The
start slice is seen; then each of m steps is a command, and all but the last are followed by an image. An episode
may end with any command. Nothing that sees only z has a lower expected cost in this model.

Few steps are solved exactly, by backward induction over every belief that can arise. For more there are bounds, in
:mod:`afsim.beliefbounds`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.belief import normalised
from afsim.beliefloop import Book, choose
from afsim.checks import check_finite, check_whole
from afsim.costs import CostModel, least_times
from afsim.errors import AfsimError
from afsim.jit import over_lanes
from afsim.likelihood import Likelihood
from afsim.taskspec import Timing

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# By default a few seconds, since each takes a third of a microsecond.
MOST_BELIEFS: Final = 2e7
_MOST_STEPS: Final = 3
# Where in its index the focus lies, when errors are of an exact truth: as good as any to 1e-3 of an index.
_WITHIN: Final = (np.arange(32) + 0.5) / 32 - 0.5


class Decision(NamedTuple):
    """What to do first: ``cost`` (B,) expected from here, ``command`` (B,), and whether it ``looks`` (B,) there.

    Otherwise the episode ends there.
    """

    cost: FloatArray
    command: IntArray
    looks: BoolArray


@dataclass(frozen=True, eq=False)
class SearchModel:
    """What can be seen and what it costs, over n indices.

    Attributes
    ----------
    prior : (n,) float64
        Log-probabilities of the focus.
    likelihood : Likelihood
        Of the feature.
    loss : (n, n) float64
        Of ending at an index (first) with the focus at another (second).
    go : (n, n) float64
        Of the way from an index (first) to another (second).
    step, end : float
        Of the time of a step with an image, and of the last one.
    """

    prior: FloatArray
    likelihood: Likelihood
    loss: FloatArray
    go: FloatArray
    step: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        n = self.n
        check_finite("search model: loss", self.loss, (n, n))
        check_finite("search model: go", self.go, (n, n))
        if np.shape(self.prior) != (n,) or np.isnan(self.prior).any():
            raise AfsimError(f"search model: prior must be {n} log-probabilities, got {self.prior}")
        object.__setattr__(self, "prior", normalised(self.prior))

    @property
    def n(self) -> int:
        """Number of indices."""
        return self.likelihood.n

    @cached_property
    def book(self) -> Book:
        """The model as the compiled loops take it."""
        return self.booked(tells=False)

    def booked(self, *, tells: bool) -> Book:
        """Return the model as the compiled loops take it; who ``tells`` tells the focus after the last image."""
        # Who is told the focus goes where it costs least, and ends there.
        told = (self.go[:, :, None] + self.loss[None, :, :]).min(axis=1) + self.end
        focus_last = np.ascontiguousarray(self.likelihood.table.transpose(0, 2, 1))
        loss, told = np.ascontiguousarray(self.loss.T), np.ascontiguousarray(told.T)
        go = np.ascontiguousarray(self.go, dtype=np.float64)
        return Book(focus_last, loss, told, tells, go, float(self.step), float(self.end))

    def decide(self, belief: FloatArray, at: IntArray, seen: BoolArray, steps: int) -> Decision:
        """Return what is best with ``steps`` (1 ... 3) left; with more, what would be best with three left.

        Parameters
        ----------
        belief : (B, n) float64
            Log-probabilities.
        at : (B,) int64
            Where the lens stands.
        seen : (B, n) bool
            Which indices were seen, and would tell nothing new.
        steps : int
            Commands left.
        """
        return decided(np.exp(belief), at, seen, min(steps, _MOST_STEPS), self.book)


def make_search_model(
    prior: FloatArray,
    likelihood: Likelihood,
    cost: CostModel,
    *,
    timing: Timing | None = None,
    exposure_ms: float = 10.0,
    diopters: npt.ArrayLike | None = None,
    exact_truth: bool = True,
) -> SearchModel:
    """Return the model of a feature, a prior (n,) of log-probabilities, and a cost.

    Parameters
    ----------
    prior, likelihood, cost
        What is believed at the start, what is seen, what is charged.
    timing, exposure_ms
        What a step takes at least; those of a task and a sensor by default.
    diopters : (n,) array_like, optional
        Focus distances, where micrometres or milliseconds are charged.
    exact_truth : bool
        Whether errors are of a fractional truth, which then lies anywhere within half an index of k*; otherwise
        truths are labels.

    Raises
    ------
    WithheldError
        For a cost of micrometres or milliseconds without distances.
    """
    n = likelihood.n
    cost.check_known(diopters=diopters is not None)
    index = np.arange(n, dtype=np.float64)
    apart = index[:, None] - index[None, :]
    loss = cost.of_error(apart[:, :, None] + (_WITHIN if exact_truth else np.zeros(1))).mean(axis=2)
    go = cost.of_ways(n, diopters)
    step, end = least_times(timing or Timing(), exposure_ms)
    return SearchModel(prior, likelihood, loss, go, cost.time_ms * step, cost.time_ms * end)


class Plan(NamedTuple):
    """The optimum of S start indices.

    ``value`` (S,) is the lowest expected cost of an episode; ``command`` (S, Z) and ``looks`` (S, Z) are the first
    one after each bin that the start slice may show, and whether an image follows.
    """

    value: FloatArray
    command: IntArray
    looks: BoolArray


def plan(
    model: SearchModel, steps: int, *, starts: npt.ArrayLike | None = None, most_beliefs: float = MOST_BELIEFS
) -> Plan:
    """Return the optimum of m = 1, 2 or 3 steps, exactly, by backward induction over beliefs.

    Parameters
    ----------
    model : SearchModel
        What can be seen and what it costs.
    steps : int
        Steps m.
    starts : (S,) array_like of int, optional
        Start indices; all n by default.
    most_beliefs : float
        How many beliefs may be gone through, some three million a second of one core.

    Raises
    ------
    AfsimError
        For more than three steps, or more beliefs than that: n = 49 with 12 bins and three steps leaves room for
        four starts by default. :func:`afsim.beliefbounds.bracket` has no such limit.
    """
    check_whole("steps", steps, least=1)
    every = np.arange(model.n) if starts is None else np.asarray(starts, dtype=np.int64)
    beliefs = every.size * model.likelihood.bins * float(model.n * model.likelihood.bins) ** (steps - 1)
    if steps > _MOST_STEPS or beliefs > most_beliefs:
        raise AfsimError(
            f"{steps} steps from {every.size} starts are {beliefs:.2g} beliefs: too many to go through"
        )
    return planned(model, steps, every, model.book)


def planned(model: SearchModel, steps: int, starts: IntArray, book: Book) -> Plan:
    """Return the plan by a book; without limits."""
    bins = model.likelihood.bins
    weights, at, seen = first_images(model, starts)
    first = decided(weights, at, seen, steps, book)
    shape = (starts.size, bins)
    return Plan(first.cost.reshape(shape).sum(axis=1), first.command.reshape(shape), first.looks.reshape(shape))


def first_images(model: SearchModel, starts: IntArray) -> tuple[FloatArray, IntArray, BoolArray]:
    """Return weights (S Z, n) after the start slice, where the lens stands, and what was seen."""
    weights = (np.exp(model.prior) * model.book.seen[starts]).reshape(-1, model.n)
    at = np.repeat(starts, model.likelihood.bins)
    return weights, at, at[:, None] == np.arange(model.n)


def decided(weights: FloatArray, at: IntArray, seen: BoolArray, steps: int, book: Book) -> Decision:
    """Return what is best for beliefs that are weights (B, n)."""
    count = len(weights)
    value, where, more = np.empty(count), np.empty(count, dtype=np.int64), np.empty(count, dtype=np.bool_)
    given = np.ascontiguousarray(weights), np.ascontiguousarray(at, dtype=np.int64), np.array(seen, dtype=np.bool_)

    def solve(begin: int, stop: int) -> None:
        choose(*given, steps, book, begin, stop, value, where, more)

    over_lanes(solve, count, at_least=4)
    return Decision(value, where, more)
