"""What a search is charged: how far from focus it ends, and what it took to get there."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.checks import check_finite, check_number, check_switch
from afsim.errors import AfsimError, WithheldError
from afsim.optics import lens_extension_um
from afsim.options import from_text
from afsim.rollout import Episodes
from afsim.stackset import StackSet
from afsim.taskspec import Timing

FloatArray = npt.NDArray[np.float64]

_WEIGHTS: Final = ("error", "move", "travel_index", "travel_um", "time_ms")


@dataclass(frozen=True)
class CostModel:
    """Weights of what an episode is charged; only the error by default, as the paper has it.

    Attributes
    ----------
    error : float
        Per index of the final exact error: where the lens is, not what it was told, minus the exact truth.
    squared : bool
        Whether the error counts squared.
    cap : float
        Errors beyond so many indices count as this; infinite by default.
    move : float
        Per command that differs from the last.
    travel_index, travel_um : float
        Per index and per micrometre of lens travel.
    time_ms : float
        Per millisecond.

    Raises
    ------
    AfsimError
        For a weight that is negative or no number, or a cap that is not above 0.
    """

    error: float = 1.0
    squared: bool = False
    cap: float = math.inf
    move: float = 0.0
    travel_index: float = 0.0
    travel_um: float = 0.0
    time_ms: float = 0.0

    def __post_init__(self) -> None:
        for name in _WEIGHTS:
            check_number(f"cost {name}", getattr(self, name), least=0.0)
        check_switch("cost squared", self.squared)
        if self.cap != math.inf:
            check_number("cost cap", self.cap, above=0.0)

    @property
    def charges_travel(self) -> bool:
        """Whether travel costs anything."""
        return self.travel_index > 0.0 or self.travel_um > 0.0

    def of_error(self, error: npt.ArrayLike) -> FloatArray:
        """Return what errors (...) in indices cost; NaN where they are."""
        size = np.minimum(np.abs(np.asarray(error, dtype=np.float64)), self.cap)
        return np.asarray(self.error * (size**2 if self.squared else size))

    def of_ways(self, n: int, diopters: npt.ArrayLike | None = None) -> FloatArray:
        """Return what the way from each of n indices to each costs, (n, n): the move and the travel, but no time.

        Raises
        ------
        AfsimError
            Where micrometres are charged and ``diopters`` are not n distances.
        """
        index = np.arange(n, dtype=np.float64)
        away = np.abs(index[:, None] - index[None, :])
        ways = self.move * (away > 0.0) + self.travel_index * away
        if self.travel_um > 0.0 and diopters is not None:
            um = check_finite("cost travel_um: extensions", lens_extension_um(diopters), (n,))
            ways = ways + self.travel_um * np.abs(um[:, None] - um[None, :])
        return ways

    def of(self, episodes: Episodes, stacks: StackSet) -> FloatArray:
        """Return what each episode (E,) cost; NaN where the stack has no truth.

        Raises
        ------
        WithheldError
            Where micrometres or milliseconds are charged that the recordings do not determine.
        """
        self.check_known(diopters=stacks.diopters is not None)
        cost = self.of_error(episodes.positions[:, -1] - stacks.truth[episodes.stack])
        spent = (
            (self.move, episodes.moves),
            (self.travel_index, episodes.travel_index),
            (self.travel_um, episodes.travel_um),
            (self.time_ms, episodes.times[:, -1]),
        )
        for weight, amount in spent:
            # What is withheld is NaN, and costs nothing where it is not charged.
            if weight > 0.0:
                cost = cost + weight * amount
        return cost

    def check_known(self, *, diopters: bool) -> None:
        """Raise unless what is charged is known: without focus distances neither travel in um nor time is."""
        charged = [name for name in ("travel_um", "time_ms") if getattr(self, name) > 0.0]
        if charged and not diopters:
            raise WithheldError(f"cost {charged[0]} needs known focus distances, but the stacks have none")


COSTS: Final[dict[str, CostModel]] = {"error": CostModel(), "squared": CostModel(squared=True)}


def make_cost(text: str) -> CostModel:
    """Return ``"error"`` or ``"squared"``, perhaps with changes: ``"error,move=0.05,time_ms=0.002"``."""
    return from_text(text, COSTS, "cost")


def least_times(timing: Timing, exposure_ms: float) -> tuple[float, float]:
    """Return the least milliseconds that a step takes with its exposure, and without (the last one)."""
    busy = timing.decision_ms + exposure_ms
    frame = timing.frame_ms
    whole = frame * math.ceil(busy / frame - 1e-9) if timing.mode == "frames" else busy
    return whole + timing.after_ms, timing.decision_ms


def regret(episodes: Episodes, stacks: StackSet, cost: CostModel, optimum: npt.ArrayLike) -> FloatArray:
    """Return by how much each episode (E,) cost more than an optimum; NaN where the stack has no truth.

    Parameters
    ----------
    episodes : Episodes
        What a policy did.
    stacks : StackSet
        On what.
    cost : CostModel
        What it is charged; the optimum must be of the same.
    optimum : (E,), (N, n) or (n,) array_like
        Of each episode (:func:`afsim.clairvoyant.clairvoyant_bound`), of each stack and start, or of each start
        (``value`` of :func:`afsim.beliefplan.plan`). An expected cost: single episodes may do better.

    Raises
    ------
    AfsimError
        For an optimum of another shape.
    """
    table, count, n = np.asarray(optimum, dtype=np.float64), len(stacks), stacks.n
    episodes_shape = episodes.stack.shape
    if table.shape == episodes_shape:
        best = table
    elif table.shape == (count, n):
        best = table[episodes.stack, episodes.start]
    elif table.shape == (n,):
        best = table[episodes.start]
    else:
        raise AfsimError(
            f"optimum must have shape {episodes_shape} (episodes), ({count}, {n}) or ({n},), got {table.shape}"
        )
    return np.asarray(cost.of(episodes, stacks) - best)
