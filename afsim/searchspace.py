"""The places that a belief about the focus is over, and what it costs to go and to end there."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.belief import normalised
from afsim.costs import CostModel, least_times
from afsim.knownlens import KnownLens
from afsim.sensor import Sensor
from afsim.taskspec import TaskSpec

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# How far beyond the range the command in focus may lie, in spreads of the lens's error: nine of ten do not.
_SPREADS: Final = 1.5
# A lens's error is blurred by no less than what an index cannot tell, in steps.
_LEAST_SPREAD: Final = 0.25


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """T places that may be the one to command, for a lens and a cost.

    Attributes
    ----------
    lens : KnownLens
        What is known of the lens.
    cost : CostModel
        What errors, moves, travel and time are charged.
    spec : TaskSpec
        Of the task.
    prior : (n,) float64 or None
        Probability of the focus at each index; None is uniform.
    """

    lens: KnownLens
    cost: CostModel
    spec: TaskSpec
    prior: FloatArray | None = None

    @cached_property
    def targets(self) -> FloatArray:
        """Places (T,) in steps: every index, and beyond by the lens's error."""
        places, (_, spread) = self.lens.places, self.lens.error
        beyond = np.arange(1, int(np.ceil(_SPREADS * spread)) + 1)
        return np.concatenate([places[0] - beyond[::-1], places, places[-1] + beyond])

    @property
    def beyond(self) -> int:
        """How many of them lie beyond either end of the range."""
        return (self.targets.size - self.spec.n) // 2

    @cached_property
    def nearest(self) -> IntArray:
        """The index (T,) of each target; for those beyond the range, its end."""
        return (np.arange(self.targets.size) - self.beyond).clip(0, self.spec.n - 1)

    @cached_property
    def log_prior(self) -> FloatArray:
        """Of the place (T,) to command: that of the focus, blurred by the errors of the lens."""
        places, (mean, spread) = self.lens.places, self.lens.error
        shares = np.full(self.spec.n, 1.0 / self.spec.n) if self.prior is None else self.prior
        if self.lens.lens.is_exact:
            return normalised(np.log(shares))
        away = (self.targets[:, None] - places[None, :] - mean) / max(spread, _LEAST_SPREAD)
        blur = np.exp(-0.5 * away**2)
        return normalised(np.log((blur / blur.sum(axis=0) * shares).sum(axis=1)))

    @cached_property
    def loss(self) -> FloatArray:
        """Cost (T, T) of ending at a target, or at the end of the range before it, with the focus at another."""
        index = self.index_of(self.targets)
        return self.cost.of_error(self.nearest[:, None] - index[None, :])

    def index_of(self, places: FloatArray) -> FloatArray:
        """Return places (...) in steps as indices; beyond the range a step is an index."""
        table = self.lens.places
        inside = np.interp(places, table, np.arange(self.spec.n))
        return np.asarray(inside + np.minimum(places - table[0], 0.0) + np.maximum(places - table[-1], 0.0))

    @cached_property
    def go(self) -> FloatArray:
        """Cost (n, n) of the way from an index to another."""
        return self.cost.of_ways(self.spec.n, self.spec.diopters)

    @property
    def step_cost(self) -> float:
        """Cost of the time that a step takes at least, with the usual exposure: a task does not tell its own."""
        step, _ = least_times(self.spec.timing, Sensor().exposure_ms)
        return self.cost.time_ms * step

    # ------------------------------------------------------------------ of beliefs
    def by_index(self, chances: FloatArray) -> FloatArray:
        """Return beliefs (N, n) by index from those over targets (N, T): what lies beyond counts at the ends."""
        beyond, n = self.beyond, self.spec.n
        belief = chances[:, beyond : beyond + n].copy()
        if beyond:
            # Running sums: a lane's bits do not depend on how many there are.
            belief[:, 0] += chances[:, :beyond].cumsum(axis=1)[:, -1]
            belief[:, -1] += chances[:, beyond + n :].cumsum(axis=1)[:, -1]
        return belief

    def within_one(self, chances: FloatArray, command: IntArray, extension: FloatArray) -> FloatArray:
        """Return the probability (N,) that the focus is within one index of where a command (N,) leads.

        Half of what is believed of the neighbours lies beyond: they stand for half an index on either side.
        """
        reached = self.index_of(self.lens.place_of(self.lens.moved(extension, command)))
        share = (1.5 - np.abs(self.index_of(self.targets)[None, :] - reached[:, None])).clip(0.0, 1.0)
        return np.asarray((share * chances).cumsum(axis=1)[:, -1].clip(0.0, 1.0))

    def end(self, chances: FloatArray, here: IntArray, extension: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return the command (N,) with which to end, and what that is expected to cost (N,), the way included.

        Of equal ones the nearest to ``here`` (N,), then the farthest in focus; ``extension`` (N,) of the lenses
        tells where commands lead.
        """
        expected, targets = np.empty((len(here), self.spec.n)), self.index_of(self.targets)
        reached = self.index_of(self.lens.reached(extension))
        for k in range(self.spec.n):
            loss = self.cost.of_error(reached[:, k, None] - targets[None, :])
            expected[:, k] = np.einsum("nt,nt->n", chances, loss)
        total = expected + self.go[here]
        lanes = np.arange(len(here))
        best = total.argmin(axis=1)
        best = np.where(total[lanes, here] <= total[lanes, best] + 1e-12, here, best)
        return best, total[lanes, best]
