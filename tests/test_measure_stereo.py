"""Stereo measures: known values, invariances, slow references, and more shift, smaller value."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter, generic_filter

from afsim.errors import AfsimError
from afsim.measure_stereo import (
    STEREO_MEASURES,
    StereoMeasure,
    Views,
    census_transform,
    normalized_cross_correlation,
    normalized_envelope,
    normalized_sad,
    rank_transform,
    ternary_census,
)

Image = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

# The block of 3 x 3 pixels whose census codes are printed in the literature.
BLOCK = np.array([[124, 74, 32], [124, 64, 18], [157, 116, 84]], np.float32)
MEASURES = {name: row.function for name, row in STEREO_MEASURES.items()}
STANDARDISED = (
    "normalized_sad",
    "normalized_cross_correlation",
    "normalized_envelope_l2",
    "normalized_envelope_l1",
)

every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=list(MEASURES))
every_standardised = pytest.mark.parametrize("measure", [MEASURES[n] for n in STANDARDISED], ids=STANDARDISED)
every_window = pytest.mark.parametrize("window", [3, 5, 7])


def noise(*shape: int, seed: int = 0) -> Views:
    return np.random.default_rng(seed).uniform(0.1, 0.9, shape).astype(np.float32)


def shuffled(seed: int) -> Image:
    """Return 32 x 32 different values in random order."""
    return (np.random.default_rng(seed).permutation(1024).reshape(32, 32) / 1024).astype(np.float32)


def pair(left: npt.NDArray[np.floating], right: npt.NDArray[np.floating]) -> Views:
    return np.stack([left, right]).astype(np.float32)


# ------------------------------------------------------------------------------ slow references
def neighbours(view: Image, window: int) -> Image:
    """Return (window^2 - 1, H, W): what lies around each pixel, row by row, without the pixel itself."""
    r, (h, w) = window // 2, view.shape
    padded = np.pad(view, r, mode="edge")
    offsets = [(y, x) for y in range(window) for x in range(window) if (y, x) != (r, r)]
    return np.stack([padded[y : y + h, x : x + w] for y, x in offsets])


def ranks(view: Image, window: int) -> FloatArray:
    def rank(values: FloatArray) -> float:
        return float((values < values[window**2 // 2]).sum())

    return generic_filter(view.astype(np.float64), rank, size=window, mode="nearest")


def digits(view: Image, window: int, threshold: float) -> FloatArray:
    apart = neighbours(view, window) - view
    return (apart > np.float32(threshold)).astype(np.float64) - (apart < -np.float32(threshold))


def standard(view: Image) -> FloatArray:
    exact = view.astype(np.float64)
    return np.asarray((exact - exact.mean()) / exact.std())


def dissimilarity(left: FloatArray, right: FloatArray) -> FloatArray:
    """Birchfield and Tomasi's, one pixel at a time."""
    apart = np.empty_like(left)
    for y, x in np.ndindex(left.shape):
        sides = []
        for a, b in ((left, right), (right, left)):
            near = [b[y, x], (b[y, x] + b[y, max(x - 1, 0)]) / 2, (b[y, x] + b[y, min(x + 1, b.shape[1] - 1)]) / 2]
            sides.append(max(0.0, a[y, x] - max(near), min(near) - a[y, x]))
        apart[y, x] = min(sides)
    return apart


def test_the_references_have_the_codes_of_the_literature() -> None:
    assert ranks(BLOCK, 3)[1, 1] == 2
    assert (neighbours(BLOCK, 3) > BLOCK)[:, 1, 1].astype(int).tolist() == [1, 1, 0, 1, 0, 1, 1, 1]
    assert (digits(BLOCK, 3, 16.0)[:, 1, 1] + 1).tolist() == [2, 1, 0, 2, 0, 2, 2, 2]


@every_window
@pytest.mark.parametrize("seed", [0, 1])
def test_windows_equal_their_references(window: int, seed: int) -> None:
    # Coarse, so that there are ties.
    views = pair(*np.round(noise(2, 18, 25, seed=seed) * 64) / 64)
    left, right = views
    rank = -np.abs(ranks(left, window) - ranks(right, window)).mean()
    assert float(rank_transform(views, window=window)) == rank
    bits = [neighbours(view, window) < view for view in views]
    assert float(census_transform(views, window=window)) == -(bits[0] != bits[1]).sum(axis=0).mean()
    for eps, scale in ((0.0, 1.0), (0.11, 1.0), (3000.0, 16383.0)):
        codes = [digits(view, window, eps / scale) for view in views]
        ternary = -np.abs(codes[0] - codes[1]).sum(axis=0).mean()
        assert float(ternary_census(views, eps=eps, scale=scale, window=window)) == ternary


def test_the_block_equals_its_references() -> None:
    views = pair(BLOCK, np.full_like(BLOCK, 7.0))
    assert float(rank_transform(views, window=3)) == -ranks(BLOCK, 3).mean()
    assert float(census_transform(views, window=3)) == -ranks(BLOCK, 3).mean()
    ternary = -np.abs(digits(BLOCK, 3, 16.0)).sum(axis=0).mean()
    assert float(ternary_census(views, eps=16.0, scale=1.0, window=3)) == ternary


@pytest.mark.parametrize("seed", [0, 1])
def test_standardised_measures_equal_their_references(seed: int) -> None:
    views = noise(2, 24, 37, seed=seed)
    views[1] = 0.5 * views[0] + 0.3 * views[1]
    left, right = standard(views[0]), standard(views[1])
    assert float(normalized_sad(views)) == pytest.approx(-np.abs(left - right).mean(), rel=1e-12)
    correlation = np.corrcoef(views[0].ravel(), views[1].ravel())[0, 1]
    assert float(normalized_cross_correlation(views)) == pytest.approx(correlation, rel=1e-6)
    matched = cv2.matchTemplate(views[0], views[1], cv2.TM_CCOEFF_NORMED)[0, 0]
    assert float(normalized_cross_correlation(views)) == pytest.approx(float(matched), rel=1e-5)
    apart = dissimilarity(left, right)
    assert float(normalized_envelope(views)) == pytest.approx(-apart.mean(), rel=1e-6)
    assert float(normalized_envelope(views, power=2)) == pytest.approx(-(apart**2).mean(), rel=1e-6)
    turned = np.swapaxes(views, -1, -2)
    assert float(normalized_envelope(turned, axis="rows")) == pytest.approx(-apart.mean(), rel=1e-6)


# ------------------------------------------------------------------------------ known values
def test_independent_noise_has_the_values_of_the_theory() -> None:
    views = np.random.default_rng(0).normal(0.5, 0.1, (2, 128, 128)).astype(np.float32)
    assert float(normalized_sad(views)) == pytest.approx(-2 / np.sqrt(np.pi), rel=0.02)
    assert float(normalized_cross_correlation(views)) == pytest.approx(0.0, abs=0.03)
    # Half of the 24 neighbours; a few less, because repeated borders equal the pixel itself.
    assert -12.0 < float(census_transform(views)) < -11.6
    # Ranks within independent views are even over 0 ... 24, so they differ by (25^2 - 1) / (3 * 25) on average.
    assert float(rank_transform(views)) == pytest.approx(-8.32, rel=0.05)


@pytest.mark.parametrize(("shift", "value"), [(0.5, 0.0), (1.0, 2.0), (2.0, 6.0)])
def test_the_envelope_of_shifted_ramps(shift: float, value: float) -> None:
    left = np.tile(4.0 * np.arange(32.0), (16, 1)).astype(np.float32)
    # Up in one half and down in the other: the means are equal, and a large least_std is the same gain for both.
    moved = np.repeat(np.array([shift, -shift], np.float32), 8)[:, None] * 4
    views = pair(left, left + moved)
    assert 1e3 * float(normalized_envelope(views, least_std=1e3)) == pytest.approx(-value, abs=1e-4)
    assert 1e6 * float(normalized_envelope(views, power=2, least_std=1e3)) == pytest.approx(-(value**2), abs=1e-3)


def test_ternary_census_at_zero_is_twice_the_census() -> None:
    views = pair(shuffled(0), shuffled(1))
    assert float(ternary_census(views, eps=0.0)) == 2 * float(census_transform(views))


def test_epsilon_is_in_units_of_fourteen_bits() -> None:
    below = (np.random.default_rng(0).uniform(0.0, 29.0, (2, 32, 32)) / 16383).astype(np.float32)
    assert float(ternary_census(below)) == 0.0
    assert float(ternary_census(below, eps=10.0)) < 0.0
    assert float(ternary_census(below, eps=29.0, scale=65535.0)) < 0.0
    assert float(ternary_census(below * 1024, eps=0.125, scale=4.0)) == float(
        ternary_census(below * 1024, eps=0.03125, scale=1.0)
    )


# ------------------------------------------------------------------------------ invariances and bounds
@pytest.mark.parametrize("measure", [rank_transform, census_transform])
@every_window
def test_increasing_maps_change_no_order(measure: StereoMeasure, window: int) -> None:
    left, right = shuffled(0), shuffled(1)
    score = measure(pair(left, right), window=window)  # type: ignore[call-arg]
    for mapped in (pair(left**2, right), pair(left, np.exp(3 * right)), pair(0.1 * left + 0.4, right**3)):
        assert measure(mapped, window=window) == score  # type: ignore[call-arg]
    assert measure(pair(left, left**2), window=window) == 0.0  # type: ignore[call-arg]


@every_standardised
def test_gain_and_offset_of_a_view_cancel(measure: StereoMeasure) -> None:
    left, right = noise(2, 48, 40)
    score = float(measure(pair(left, right)))
    assert float(measure(pair(left, np.float32(0.6) * right + np.float32(0.3)))) == pytest.approx(score, rel=1e-5)
    assert float(measure(pair(np.float32(2.0) * left, right))) == pytest.approx(score, rel=1e-5)
    most = 1.0 if measure is normalized_cross_correlation else 0.0
    assert float(measure(pair(left, np.float32(0.6) * left + np.float32(0.3)))) == pytest.approx(most, abs=1e-6)


@pytest.mark.parametrize("eps", [30.0, 10.0])
def test_an_offset_changes_no_ternary_code(eps: float) -> None:
    left, right = shuffled(0) / 2, shuffled(1) / 2
    assert ternary_census(pair(left, left + 0.25), eps=eps) == 0.0
    assert ternary_census(pair(left, right + 0.25), eps=eps) == ternary_census(pair(left, right), eps=eps)


@every_measure
def test_identical_views_are_the_most_alike(measure: StereoMeasure) -> None:
    left, right = noise(2, 48, 40)
    same = float(measure(pair(left, left)))
    if measure is normalized_cross_correlation:
        assert same == pytest.approx(1.0, abs=1e-12)
    else:
        assert same == 0.0
        assert not np.signbit(same)
    for other in (right, 0.9 * left + 0.1 * right, gaussian_filter(left, 1.0), left[::-1], left[:, ::-1], 1 - left):
        assert float(measure(pair(left, other))) < same


def test_a_negative_correlates_to_minus_one_and_no_cost_is_positive() -> None:
    left = noise(48, 40)
    views = pair(left, 1 - np.float32(0.5) * left)
    assert float(normalized_cross_correlation(views)) == pytest.approx(-1.0, abs=1e-6)
    least = {"rank_transform": -24.0, "census_transform": -24.0, "ternary_census_30": -48.0}
    for name, measure in MEASURES.items():
        assert least.get(name, -np.inf) <= float(measure(views)) < 0.0


@every_measure
def test_more_shift_smaller_value(measure: StereoMeasure) -> None:
    texture = gaussian_filter(noise(128, 160), 2.0)
    values = [float(measure(pair(texture[:, 16:144], texture[:, 16 - s : 144 - s]))) for s in (0, 1, 2, 3, 4)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 5
    back = [float(measure(pair(texture[:, 16:144], texture[:, 16 + s : 144 + s]))) for s in (0, 1, 2, 3, 4)]
    assert back == pytest.approx(values, rel=0.1)


def test_the_envelope_forgives_along_its_axis() -> None:
    texture = gaussian_filter(noise(129, 129), 2.0)
    across, down = pair(texture[:128, :128], texture[:128, 1:]), pair(texture[:128, :128], texture[1:, :128])
    assert normalized_envelope(across) > 1.2 * normalized_envelope(across, axis="rows")
    assert normalized_envelope(down, axis="rows") > 1.2 * normalized_envelope(down)
    for views in (across, down, noise(2, 40, 40)):
        assert normalized_sad(views) <= normalized_envelope(views) <= 0.0


@every_measure
def test_left_and_right_are_exchangeable(measure: StereoMeasure) -> None:
    views = noise(3, 2, 24, 37)
    np.testing.assert_array_equal(measure(views[:, ::-1]), measure(views))


# ------------------------------------------------------------------------------ odd input
@every_measure
def test_views_without_texture_have_a_defined_value(measure: StereoMeasure) -> None:
    left = noise(24, 37)
    for a, b in ((0.0, 0.0), (1.0, 1.0), (0.3, 0.7), (0.0, 1.0)):
        score = float(measure(pair(np.full((24, 37), a, np.float32), np.full((24, 37), b, np.float32))))
        assert score == pytest.approx(0.0, abs=1e-9)
    dark = float(measure(pair(left, np.zeros_like(left))))
    assert np.isfinite(dark)
    assert dark == pytest.approx(0.0, abs=1e-9) if measure is normalized_cross_correlation else dark < 0.0
    for thin in (left[:1], left[:, :1]):
        assert float(measure(pair(thin, thin[::-1, ::-1]))) < 1.0


def test_what_varies_less_than_anything_recorded_is_as_good_as_constant() -> None:
    left, right = 1e-8 * noise(2, 24, 37).astype(np.float64)
    apart = np.abs((left - left.mean()) - (right - right.mean())).mean()
    assert float(normalized_sad(pair(left, right))) == pytest.approx(-apart / 1e-6, rel=1e-5)


@every_measure
def test_a_batch_is_a_loop(measure: StereoMeasure) -> None:
    views = noise(2, 3, 2, 24, 37)
    views.flags.writeable = False
    batch = measure(views)
    assert batch.shape == (2, 3)
    assert batch.dtype == np.float64
    np.testing.assert_array_equal(batch, [[float(measure(one)) for one in row] for row in views])
    np.testing.assert_array_equal(measure(views.astype(np.float64)), batch)
    assert measure(views[:, :0]).shape == (2, 0)


@every_measure
@pytest.mark.parametrize("shape", [(1, 16, 16), (16, 16), (49, 16, 16), (3, 1, 16, 16), (2, 0, 16)])
def test_green_images_are_refused(measure: StereoMeasure, shape: tuple[int, ...]) -> None:
    with pytest.raises(AfsimError, match=r"expected shape \(\.\.\., 2, H, W\), got"):
        measure(np.zeros(shape, np.float32))


@every_measure
def test_lists_of_floats_are_views_and_other_kinds_are_refused_by_name(measure: StereoMeasure) -> None:
    views = noise(2, 9, 12)
    assert float(measure(views.tolist())) == float(measure(views))
    with pytest.raises(AfsimError, match=r"of floats, normalised .*, got uint16"):
        measure((views * 1023).astype(np.uint16))
    with pytest.raises(AfsimError, match="as an array of floats: "):
        measure([[[0.5, 0.5], [0.5]]] * 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("measure", [rank_transform, census_transform, ternary_census])
def test_windows_that_do_not_fit_are_refused(measure: StereoMeasure) -> None:
    views = noise(2, 8, 11)
    for window in (4, 13):
        with pytest.raises(AfsimError, match=f"odd and at most the longer side of 8 x 11, got {window}"):
            measure(views, window=window)  # type: ignore[call-arg]
    for wrong in (1, -3, 5.0):
        with pytest.raises(AfsimError, match="window must be"):
            measure(views, window=wrong)  # type: ignore[call-arg]
    assert np.isfinite(measure(views, window=11))  # type: ignore[call-arg]


def test_options_out_of_range_are_refused() -> None:
    views = noise(2, 8, 8)
    with pytest.raises(AfsimError, match="eps must be at least 0"):
        ternary_census(views, eps=-1.0)
    with pytest.raises(AfsimError, match="scale must be above 0"):
        ternary_census(views, scale=0.0)
    with pytest.raises(AfsimError, match="power must be"):
        normalized_envelope(views, power=3)  # type: ignore[arg-type]
    with pytest.raises(AfsimError, match="unknown axis 'x'"):
        normalized_envelope(views, axis="x")  # type: ignore[arg-type]
    for measure in (normalized_sad, normalized_cross_correlation, normalized_envelope):
        with pytest.raises(AfsimError, match="least_std must be above 0"):
            measure(views, least_std=0.0)


def test_the_rows_are_those_of_the_paper() -> None:
    assert [(row.paper_name, row.references) for row in STEREO_MEASURES.values()] == [
        ("Normalized SAD", (11,)),
        ("Ternary Census (L1, ε = 30)", (36,)),
        ("Normalized Cross-Correlation", (2, 11)),
        ("Rank Transform (L1)", (49,)),
        ("Census Transform (Hamming)", (49,)),
        ("Ternary Census (L1, ε = 10)", (36,)),
        ("Normalized Envelope (L2)", (3,)),
        ("Normalized Envelope (L1)", (3,)),
    ]
    views = noise(2, 24, 24)
    assert MEASURES["ternary_census_30"](views) == ternary_census(views, eps=30.0)
    assert MEASURES["ternary_census_10"](views) == ternary_census(views, eps=10.0)
    assert MEASURES["normalized_envelope_l1"](views) == normalized_envelope(views, power=1)
    assert MEASURES["normalized_envelope_l2"](views) == normalized_envelope(views, power=2)
