"""Focus measures: one number a slice, higher where it is sharper. The registry of all of them.

Contrast measures (family I*) take green images (..., H, W), stereo measures (family D*) both views (..., 2, H, W),
normalised (0 black, 1 white) and linear; all return (...) float64. Borders are replicated. Ties between slices go
to the smallest index.

A measure is named by what it computes; :attr:`Measure.paper_name` says which row of the paper's Table 1 it stands
for. Where the paper leaves a choice, the variant that its figures support reproduces the row, and the others are
extra rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np

from afsim.errors import AfsimError, unknown
from afsim.measure_frequency import (
    dct_energy_ratio,
    dct_energy_ratio_8x8,
    dct_reduced_energy_ratio,
    dct_reduced_energy_ratio_8x8,
    modified_dct,
    modified_dct_energy,
)
from afsim.measure_gradients import (
    absolute_laplacian_variance,
    diagonal_laplacian,
    gradient_count,
    gradient_magnitude_variance,
    laplacian_energy,
    laplacian_variance,
    mean_gradient_magnitude,
    mean_gradient_magnitude_root,
    sum_modified_laplacian,
    total_variation_l1,
    total_variation_l1_over_variance,
    total_variation_l2,
    total_variation_l2_over_variance,
)
from afsim.measure_images import Image, Score
from afsim.measure_local import mean_local_log_ratio, mean_local_norm_dist_sq, mean_local_ratio
from afsim.measure_statistics import (
    eigenvalue_trace,
    histogram_entropy,
    intensity_coefficient_of_variation,
    intensity_variance,
    percentile_range,
)
from afsim.measure_stereo import STEREO_MEASURES as _STEREO_ROWS
from afsim.measure_wavelets import (
    mean_wavelet_log_energy_ratio,
    mean_wavelet_log_ratio,
    wavelet_ratio,
    wavelet_sum,
    wavelet_variance,
)


@dataclass(frozen=True)
class Measure:
    """A focus measure; calling it is calling its function.

    Attributes
    ----------
    name : str
        Its key in :data:`MEASURES` or :data:`STEREO_MEASURES`.
    function : callable
        Of images (..., H, W), or views (..., 2, H, W), float32, normalised; returns (...) float64.
    paper_name : str
        The row of the paper's Table 1, as printed; of an extra row, the row that it is another reading of.
    references : tuple of int
        What the paper cites for the row, by number; empty where the row is the authors' own.
    reproduction : bool
        Whether it stands for the paper's row, or is an extra one.
    family : {"I*", "D*"}
        What it sees: the green images of the whole stack, or its dual-pixel views.
    ratios : bool
        Whether all scores are 0 or more, so that one is a share of another. Stereo scores are negative costs.
    """

    name: str
    function: Callable[[Image], Score]
    paper_name: str
    references: tuple[int, ...] = ()
    reproduction: bool = True
    family: Literal["I*", "D*"] = "I*"
    ratios: bool = True

    def __call__(self, image: Image) -> Score:
        """Return the scores (...) of images (..., H, W), or of views (..., 2, H, W)."""
        return self.function(image)


def _scaled() -> list[Measure]:
    """Return the measures that come at several thresholds, scales or levels."""
    rows = []
    for t in (3, 10):
        paper_name = f"Gradient Count (t = {t})"
        rows += [
            Measure(f"gradient_count_{t}", partial(gradient_count, threshold=t), paper_name, (18,)),
            Measure(
                f"gradient_count_{t}_8bit",
                partial(gradient_count, threshold=t, white=255.0),
                paper_name,
                (18,),
                reproduction=False,
            ),
        ]
    for p in (3, 1, 0.3):
        measured = partial(percentile_range, percent=p)
        rows.append(Measure(f"percentile_range_{p}", measured, f"Percentile Range (p = {p})", (32,)))
    for s in (1, 2, 4):
        ratio, logarithm, distance = (
            partial(function, sigma=float(s))
            for function in (mean_local_ratio, mean_local_log_ratio, mean_local_norm_dist_sq)
        )
        rows += [
            Measure(f"mean_local_ratio_{s}", ratio, f"Mean Local Ratio (σ = {s})", (15,)),
            Measure(f"mean_local_log_ratio_{s}", logarithm, f"Mean Local Log-Ratio (σ = {s})"),
            # Of sigma 2, which has the paper's best mean absolute error, the name goes without.
            Measure(
                "mean_local_norm_dist_sq" if s == 2 else f"mean_local_norm_dist_sq_{s}",
                distance,
                f"Mean Local Norm-Dist-Sq (σ = {s})",
            ),
        ]
    for level in (2, 3):
        total, variance, ratio, logarithm, energy = (
            partial(function, level=level)
            for function in (
                wavelet_sum,
                wavelet_variance,
                wavelet_ratio,
                mean_wavelet_log_ratio,
                mean_wavelet_log_energy_ratio,
            )
        )
        log_ratio = f"Mean Wavelet Log-Ratio (ℓ = {level})"
        rows += [
            Measure(f"wavelet_sum_{level}", total, f"Wavelet Sum (ℓ = {level})", (47,)),
            Measure(f"wavelet_variance_{level}", variance, f"Wavelet Variance (ℓ = {level})", (47,)),
            Measure(f"wavelet_ratio_{level}", ratio, f"Wavelet Ratio (ℓ = {level})", (44,)),
            Measure(f"mean_wavelet_log_ratio_{level}", logarithm, log_ratio),
            Measure(f"mean_wavelet_log_energy_ratio_{level}", energy, log_ratio, reproduction=False, ratios=False),
        ]
    return rows


_ROWS: Final = [
    Measure("dct_reduced_energy_ratio", dct_reduced_energy_ratio, "DCT Reduced Energy Ratio", (20,)),
    Measure("total_variation_l1_over_variance", total_variation_l1_over_variance, "Total Variation (L1)", (24, 30)),
    Measure("histogram_entropy", histogram_entropy, "Histogram Entropy", (18,)),
    Measure("modified_dct", modified_dct, "Modified DCT", (19,), ratios=False),
    Measure("dct_energy_ratio", dct_energy_ratio, "DCT Energy Ratio", (6,)),
    Measure("eigenvalue_trace", eigenvalue_trace, "Eigenvalue Trace", (43,)),
    Measure("intensity_variance", intensity_variance, "Intensity Variance", (18,)),
    Measure(
        "intensity_coefficient_of_variation",
        intensity_coefficient_of_variation,
        "Intensity Coefficient of Variation",
    ),
    Measure("total_variation_l2_over_variance", total_variation_l2_over_variance, "Total Variation (L2)", (30,)),
    Measure("sum_modified_laplacian", sum_modified_laplacian, "Sum of Modified Laplacian", (25,)),
    Measure("diagonal_laplacian", diagonal_laplacian, "Diagonal Laplacian", (41,)),
    Measure("laplacian_energy", laplacian_energy, "Laplacian Energy", (37,)),
    Measure("absolute_laplacian_variance", absolute_laplacian_variance, "Laplacian Variance", (27,)),
    Measure("mean_gradient_magnitude", mean_gradient_magnitude, "Mean Gradient Magnitude", (40,)),
    Measure("gradient_magnitude_variance", gradient_magnitude_variance, "Gradient Magnitude Variance", (27,)),
    *_scaled(),
    # Other readings of rows above.
    Measure("dct_reduced_energy_ratio_8x8", dct_reduced_energy_ratio_8x8, "DCT Reduced Energy Ratio", (20,), False),
    Measure("total_variation_l1", total_variation_l1, "Total Variation (L1)", (24, 30), False),
    Measure("modified_dct_energy", modified_dct_energy, "Modified DCT", (19,), False),
    Measure("dct_energy_ratio_8x8", dct_energy_ratio_8x8, "DCT Energy Ratio", (6,), False),
    Measure("total_variation_l2", total_variation_l2, "Total Variation (L2)", (30,), False),
    Measure("laplacian_variance", laplacian_variance, "Laplacian Variance", (27,), False),
    Measure("mean_gradient_magnitude_root", mean_gradient_magnitude_root, "Mean Gradient Magnitude", (40,), False),
]

MEASURES: Final[dict[str, Measure]] = {measure.name: measure for measure in _ROWS}
"""The contrast measures (I*) by name."""

STEREO_MEASURES: Final[dict[str, Measure]] = {
    name: Measure(name, row.function, row.paper_name, row.references, family="D*", ratios=False)
    for name, row in _STEREO_ROWS.items()
}
"""The stereo measures (D*) by name."""


def get_measure(name: str) -> Measure:
    """Return the measure ``name`` of either family, or raise naming those there are."""
    known = {**MEASURES, **STEREO_MEASURES}
    if name not in known:
        raise unknown("focus measure", name, known)
    return known[name]


def check_ratios(who: str, name: str) -> None:
    """Raise unless the scores of the measure ``name`` can be compared by their ratio, as ``who`` does."""
    if not get_measure(name).ratios:
        raise AfsimError(
            f"{who} compares contrasts by their ratio, which {name} has not: its scores may be negative"
        )


def relative_sharpness(green: Image) -> Score:
    """Return the sharpness of each slice (n, H, W) relative to the stack's best, (n,) in (0, 1].

    What stands in for accuracy where a stack has no label; measured by :func:`mean_local_norm_dist_sq`.
    """
    score = mean_local_norm_dist_sq(green)
    best = float(score.max(initial=0.0))
    return score / best if best > 0 else np.ones_like(score)


__all__ = [
    "MEASURES",
    "STEREO_MEASURES",
    "Image",
    "Measure",
    "Score",
    "check_ratios",
    "get_measure",
    "laplacian_variance",
    "mean_gradient_magnitude",
    "mean_local_norm_dist_sq",
    "relative_sharpness",
    "sum_modified_laplacian",
]
