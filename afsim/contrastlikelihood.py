"""How likely a curve is that was seen in part, given where the focus lies: contrast, or disparity, by defocus.

A curve is what a feature shows over the steps of defocus from the focus: the logarithm of a contrast, whose ratios
between slices tell where the peak lies, or a disparity. Curves of patches differ in height, width and shape, and
the slices of one patch share those: neighbouring slices are not independent evidence. So the curve is drawn whole,
from a mixture of Student's t distributions whose covariance is of few factors and what is independent from slice to
slice (mixtures of factor analysers; McLachlan, Bean and Ben-Tovim Jones, 2007). The height is one of the factors:
it is integrated out, by as much as it varied in the fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import lgamma
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from afsim.checks import check_finite, check_number
from afsim.curveloop import Curve, Seen, curve_logs
from afsim.errors import AfsimError
from afsim.jit import over_lanes

FloatArray = npt.NDArray[np.float64]

# Contrasts below are none: the least of 128 x 128 pixels that differ by one ten-bit number is above.
_LEAST_CONTRAST: Final = 1e-12
# A curve is never seen at more places.
MOST_SEEN: Final = 1024
_LANES_A_THREAD: Final = 64
# By how much the sum of weights of five digits may differ from 1.
_ROUNDED: Final = 1e-3


def log_contrast(contrast: npt.ArrayLike) -> FloatArray:
    """Return the logarithms of contrasts (...), NaN where there is none (0, negative or no number)."""
    values = np.asarray(contrast, dtype=np.float64)
    usable = np.isfinite(values) & (values > _LEAST_CONTRAST)
    return np.where(usable, np.log(np.where(usable, values, 1.0)), np.nan)


def log_gammas(dof: float, count: int) -> FloatArray:
    """Return the logarithms (count,) of gamma((dof + s) / 2) / gamma(dof / 2) of s = 0, 1, ... values."""
    return np.array([lgamma((dof + s) / 2) - lgamma(dof / 2) for s in range(count)])


@dataclass(frozen=True, eq=False)
class CurveLikelihood:
    """A mixture of J curves over D steps of defocus, with R factors each.

    Attributes
    ----------
    weights : (J,) float64
        Shares, summing to 1.
    mean : (J, D) float64
        Curves over the defocus -(D-1)/2 ... (D-1)/2, in steps; beyond as at the ends.
    factors : (J, R, D) float64
        In what ways they vary, by one standard deviation each.
    variance : (J, D) float64
        Of what is independent from slice to slice.
    dof : float
        Degrees of freedom of Student's t: the fewer, the more often a whole patch is unlike all others.
    overlap : float
        How much each further slice repeats the others, beyond what the factors tell: s slices weigh
        ``s / (1 + overlap (s - 1))`` of s.

    Raises
    ------
    AfsimError
        For parts that do not fit together.
    """

    weights: FloatArray
    mean: FloatArray
    factors: FloatArray
    variance: FloatArray
    dof: float
    overlap: float = 0.0

    def __post_init__(self) -> None:
        shape = np.shape(self.factors)
        if len(shape) != 3 or 0 in shape or shape[2] < 3 or shape[2] % 2 == 0:
            raise AfsimError(f"curve likelihood: factors must be (J, R, D) with an odd D, got shape {shape}")
        parts, steps = shape[0], shape[2]
        check_number("curve likelihood: dof", self.dof, above=0.0)
        check_number("curve likelihood: overlap", self.overlap, least=0.0)
        for name, expected in (("weights", (parts,)), ("mean", (parts, steps)), ("factors", shape)):
            object.__setattr__(self, name, check_finite(f"curve likelihood: {name}", getattr(self, name), expected))
        variance = check_finite("curve likelihood: variance", self.variance, (parts, steps))
        object.__setattr__(self, "variance", variance)
        if (variance <= 0.0).any():
            raise AfsimError(f"curve likelihood: variance must be above 0, got {variance.min()}")
        if (self.weights <= 0.0).any() or abs(self.weights.sum() - 1.0) > 1e-6:
            raise AfsimError(f"curve likelihood: weights must be above 0 and sum to 1, got {self.weights}")

    @cached_property
    def curve(self) -> Curve:
        """The same as compiled loops take it."""
        return Curve(
            np.log(self.weights),
            np.ascontiguousarray(self.mean),
            np.ascontiguousarray(self.factors.transpose(0, 2, 1)),
            np.ascontiguousarray(self.variance),
            log_gammas(self.dof, MOST_SEEN),
            float(self.dof),
            float(self.overlap),
            0.0,
        )

    def log_of(
        self,
        values: npt.ArrayLike,
        places: npt.ArrayLike,
        targets: npt.ArrayLike,
        *,
        noise: npt.ArrayLike = 1.0,
        shake: tuple[float, float] = (0.0, 0.0),
        extra: float = 0.0,
    ) -> FloatArray:
        """Return the log-likelihood (N, T) of every target.

        Parameters
        ----------
        values : (N, S) array_like
            Of slices; NaN where there is none.
        places : (N, S) array_like
            Where they were taken, in steps.
        targets : (T,) array_like
            Where the focus may lie, in steps.
        noise : (N, S) array_like
            By how much the independent variance of each value is larger than usual.
        shake : (float, float)
            Variance of the places, in squared steps: constant, and by squared distance from the focus.
        extra : float
            Independent variance of every value besides.

        Raises
        ------
        AfsimError
            For shapes that do not fit, or more slices than can be weighed.
        """
        known = np.ascontiguousarray(values, dtype=np.float64)
        at = np.ascontiguousarray(np.broadcast_to(np.asarray(places, dtype=np.float64), known.shape))
        goals = np.ascontiguousarray(targets, dtype=np.float64)
        if known.ndim != 2 or goals.ndim != 1 or known.shape[1] >= MOST_SEEN:
            raise AfsimError(
                f"curve likelihood: values must be (N, S) with S < {MOST_SEEN} and targets (T,), got shapes "
                f"{known.shape} and {goals.shape}"
            )
        loud = np.ascontiguousarray(np.broadcast_to(np.asarray(noise, dtype=np.float64), known.shape))
        logs, seen, shakes = np.empty((len(known), goals.size)), Seen(known, at, loud), np.array(shake)
        curve = self.curve._replace(extra=float(extra))

        def measure(begin: int, end: int) -> None:
            curve_logs(curve, seen, goals, shakes, begin, end, logs)

        over_lanes(measure, len(known), at_least=_LANES_A_THREAD)
        return logs

    # ------------------------------------------------------------------ on disk
    def record(self) -> dict[str, Any]:
        """Return plain JSON values, with the digits that matter."""
        parts = {name: getattr(self, name).round(5).tolist() for name in ("weights", "mean", "factors")}
        variance = [[float(f"{value:.4g}") for value in row] for row in self.variance]
        return {**parts, "variance": variance, "dof": self.dof, "overlap": self.overlap}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "CurveLikelihood":
        """Make it from what :meth:`record` returned.

        Raises
        ------
        AfsimError
            For weights whose sum is not 1 as far as they were rounded, or what the parts themselves refuse.
        """
        weights = np.asarray(record["weights"], dtype=np.float64)
        if not abs(weights.sum() - 1.0) <= _ROUNDED:
            raise AfsimError(f"curve likelihood: weights must sum to 1, got {weights.tolist()}")
        mean, factors, variance = (
            np.asarray(record[name], dtype=np.float64) for name in ("mean", "factors", "variance")
        )
        return cls(weights / weights.sum(), mean, factors, variance, float(record["dof"]), float(record["overlap"]))
