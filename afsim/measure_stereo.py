"""Stereo-similarity measures: how alike the two dual-pixel views of a slice are, higher where more alike.

In focus, both halves of the lens see the same image; out of focus, the views move apart. Each measure compares
left and right pixel by pixel, at zero disparity. It takes views (..., 2, H, W), normalised (0 black, 1 white) and
linear, and returns (...) float64: minus a cost, or a correlation. These are the rows marked D* of the paper's Table
1, defined as in the works it cites; what the paper does not give (window, scale of epsilon, normalisation) is an
option. Pixels are single precision and sums double, borders are repeated, and everything runs on the calling
thread without the interpreter's lock.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.checks import check_number, check_whole
from afsim.dualpixel import AXES, Axis
from afsim.errors import AfsimError, unknown
from afsim.measure_images import as_floats
from afsim.stereocosts import CENSUS, RANK, TERNARY, envelope_costs, standardised_costs, window_costs

Views = npt.NDArray[np.float32]
Score = npt.NDArray[np.float64]
StereoMeasure = Callable[[Views], Score]

# The white level, above black, of the scale on which the paper's epsilon is read: 14 bits.
_FOURTEEN_BITS: Final = 16383.0
# Less than any difference makes: one pixel in 128 x 128 that is off by one ten-bit number makes 7.6e-6.
_LEAST_STD: Final = 1e-6


# ------------------------------------------------------------------------------ of standardised views
def normalized_sad(views: Views, *, least_std: float = _LEAST_STD) -> Score:
    """Minus the sum of absolute differences, as a mean: -<|z(L) - z(R)|>, z(X) = (X - mean(X)) / std(X).

    "Normalized SAD" of Table 1, after Hannah, 1974. That each view is normalised by its own mean and standard
    deviation is inferred: dividing by brightness alone rewards blur. A gain or an offset of either view cancels.

    Parameters
    ----------
    views : (..., 2, H, W) float32
        Left and right, normalised (0 black, 1 white).
    least_std : float
        What a smaller standard deviation is replaced by; z of a constant view is 0.

    Returns
    -------
    (...) float64
        At most 0; -2 / sqrt(pi) for views of independent Gaussian noise.

    Raises
    ------
    AfsimError
        If ``views`` are not pairs of floats.
    """
    return _compare_standardised(False, views, least_std)


def normalized_cross_correlation(views: Views, *, least_std: float = _LEAST_STD) -> Score:
    """Zero-mean normalised cross-correlation: <z(L) z(R)>, z as in :func:`normalized_sad`.

    "Normalized Cross-Correlation" of Table 1, after Barnea and Silverman, 1972, and Hannah, 1974.

    Parameters
    ----------
    views : (..., 2, H, W) float32
        Left and right, normalised (0 black, 1 white).
    least_std : float
        What a smaller standard deviation is replaced by; z of a constant view is 0.

    Returns
    -------
    (...) float64
        From -1 to 1; 0 where a view is constant.

    Raises
    ------
    AfsimError
        If ``views`` are not pairs of floats.
    """
    return _compare_standardised(True, views, least_std)


def normalized_envelope(
    views: Views, *, power: Literal[1, 2] = 1, axis: Axis = "columns", least_std: float = _LEAST_STD
) -> Score:
    """Minus the mean dissimilarity of Birchfield and Tomasi, of standardised views: -<d(z(L), z(R))^power>.

    "Normalized Envelope (L1)" and "(L2)" of Table 1, after Birchfield and Tomasi, 1998. The envelope of a view at a
    pixel is the range [low, high] of its value and the two values midway to its neighbours. d is the smaller of the
    distances from L to the envelope of R and from R to the envelope of L, so that shifts up to half a pixel cost
    nothing on a slope. Standardised as in :func:`normalized_sad`, which this never falls below at power 1.

    Parameters
    ----------
    views : (..., 2, H, W) float32
        Left and right, normalised (0 black, 1 white).
    power : {1, 2}
        1 for L1, 2 for L2.
    axis : {"columns", "rows"}
        Along which axis the views are shifted, and the neighbours lie: "columns" as rendered, "rows" for recordings
        whose ``dp_axis`` is that.
    least_std : float
        What a smaller standard deviation is replaced by; z of a constant view is 0.

    Returns
    -------
    (...) float64
        At most 0.

    Raises
    ------
    AfsimError
        If ``views`` are not pairs of floats, or an option is not one of those.
    """
    pairs = _as_pairs(views)
    check_whole("power", power, least=1, most=2)
    check_number("least_std", least_std, above=0.0)
    if axis not in AXES:
        raise unknown("axis", axis, AXES)
    costs = np.empty(len(pairs))
    envelope_costs(pairs, axis == "rows", power == 2, float(least_std), costs)
    return _score(costs, views)


# ------------------------------------------------------------------------------ of neighbourhoods
def rank_transform(views: Views, *, window: int = 5) -> Score:
    """Minus the mean absolute difference of ranks: -<|r(L) - r(R)|>, r(X) = #{q in the window: X(q) < X(p)}.

    "Rank Transform (L1)" of Table 1, after Zabih and Woodfill, 1994. No increasing map of either view changes it.

    Parameters
    ----------
    views : (..., 2, H, W) float32
        Left and right, normalised (0 black, 1 white).
    window : int
        Side of the square window around p, odd, 3 to the longer side of the image. The paper gives none; 5 is
        assumed.

    Returns
    -------
    (...) float64
        From -(window^2 - 1) to 0.

    Raises
    ------
    AfsimError
        If ``views`` are not pairs of floats or the window does not fit.
    """
    return _compare_windows(RANK, views, window, 0.0)


def census_transform(views: Views, *, window: int = 5) -> Score:
    """Minus the mean Hamming distance of census codes: -<#{q in the window: [L(q) < L(p)] != [R(q) < R(p)]}>.

    "Census Transform (Hamming)" of Table 1, after Zabih and Woodfill, 1994. No increasing map of either view
    changes it.

    Parameters
    ----------
    views : (..., 2, H, W) float32
        Left and right, normalised (0 black, 1 white).
    window : int
        Side of the square window around p, odd, 3 to the longer side of the image. The paper gives none; 5 is
        assumed.

    Returns
    -------
    (...) float64
        From -(window^2 - 1) to 0; near minus half the neighbours for views of independent noise.

    Raises
    ------
    AfsimError
        If ``views`` are not pairs of floats or the window does not fit.
    """
    return _compare_windows(CENSUS, views, window, 0.0)


def ternary_census(views: Views, *, eps: float = 30.0, scale: float = _FOURTEEN_BITS, window: int = 5) -> Score:
    """Minus the mean L1 distance of ternary census codes: -<sum over q of |t(L) - t(R)|>.

    "Ternary Census (L1)" of Table 1, after Stein, 2004: t(X) is 1 where X(q) - X(p) > eps, -1 where it is < -eps,
    and 0 between. Where eps exceeds the contrast of a blurred image, all its digits are 0 and it seems perfect.

    Parameters
    ----------
    views : (..., 2, H, W) float32
        Left and right, normalised (0 black, 1 white).
    eps : float
        Threshold, at least 0, in units of ``scale``; the paper has 30 and 10.
    scale : float
        White minus black in the units of ``eps``. The paper gives none: 14 bits are inferred, because on coarser
        scales eps 10 would do far worse than the census, and in Table 1 it does as well.
    window : int
        Side of the square window around p, odd, 3 to the longer side of the image. The paper gives none; 5 is
        assumed.

    Returns
    -------
    (...) float64
        From -2 (window^2 - 1) to 0.

    Raises
    ------
    AfsimError
        If ``views`` are not pairs of floats, the window does not fit, or an option is out of range.
    """
    check_number("eps", eps, least=0.0)
    check_number("scale", scale, above=0.0)
    return _compare_windows(TERNARY, views, window, eps / scale)


class StereoRow(NamedTuple):
    """A D* row of Table 1: its function, its name as printed, and the numbers of the works it cites."""

    function: StereoMeasure
    paper_name: str
    references: tuple[int, ...]


# In the order of the table, worst first.
STEREO_MEASURES: Final[dict[str, StereoRow]] = {
    "normalized_sad": StereoRow(normalized_sad, "Normalized SAD", (11,)),
    "ternary_census_30": StereoRow(partial(ternary_census, eps=30.0), "Ternary Census (L1, ε = 30)", (36,)),
    "normalized_cross_correlation": StereoRow(
        normalized_cross_correlation, "Normalized Cross-Correlation", (2, 11)
    ),
    "rank_transform": StereoRow(rank_transform, "Rank Transform (L1)", (49,)),
    "census_transform": StereoRow(census_transform, "Census Transform (Hamming)", (49,)),
    "ternary_census_10": StereoRow(partial(ternary_census, eps=10.0), "Ternary Census (L1, ε = 10)", (36,)),
    "normalized_envelope_l2": StereoRow(partial(normalized_envelope, power=2), "Normalized Envelope (L2)", (3,)),
    "normalized_envelope_l1": StereoRow(partial(normalized_envelope, power=1), "Normalized Envelope (L1)", (3,)),
}


def _compare_standardised(correlate: bool, views: Views, least_std: float) -> Score:
    pairs = _as_pairs(views)
    check_number("least_std", least_std, above=0.0)
    costs = np.empty(len(pairs))
    standardised_costs(pairs, correlate, float(least_std), costs)
    return _score(costs, views)


def _compare_windows(kind: int, views: Views, window: int, threshold: float) -> Score:
    pairs = _as_pairs(views)
    height, width = pairs.shape[2:]
    check_whole("window", window, least=3)
    if window % 2 == 0 or window > max(height, width):
        raise AfsimError(f"window must be odd and at most the longer side of {height} x {width}, got {window}")
    costs = np.empty(len(pairs))
    window_costs(kind, pairs, window // 2, np.float32(threshold), costs)
    return _score(costs, views)


def _as_pairs(views: Views) -> Views:
    """Return the views as (N, 2, H, W) float32, or raise; those of a whole stack are not copied."""
    pairs = as_floats(views, "stereo measures compare two dual-pixel views (..., 2, H, W)")
    shape = pairs.shape
    if len(shape) < 3 or shape[-3] != 2 or 0 in shape[-2:]:
        raise AfsimError(
            f"stereo measures compare two dual-pixel views: expected shape (..., 2, H, W), got {shape}; "
            "green images, of one view, have no disparity"
        )
    return np.ascontiguousarray(pairs, dtype=np.float32).reshape(-1, *shape[-3:])


def _score(costs: Score, views: Views) -> Score:
    """Return minus the costs, in the shape of the views."""
    return np.asarray(0.0 - costs).reshape(np.shape(views)[:-3])
