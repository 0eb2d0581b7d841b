"""The registry of contrast measures: the paper's rows, and properties that hold for all or most of them."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from afsim.errors import AfsimError
from afsim.experiments import paper_tables
from afsim.measure_gradients import gradient_count
from afsim.measure_local import mean_local_ratio
from afsim.measure_statistics import histogram_entropy, percentile_range
from afsim.measure_wavelets import wavelet_sum
from afsim.measures import MEASURES, Measure, get_measure, laplacian_variance, relative_sharpness

# The rows I* of the paper's Table 1, without its own model, in its order.
TABLE_1 = [row.name for row in paper_tables.TABLE_1 if row.kind == "I*" and row.name != "Our Model"]
OWN = ("Intensity Coefficient", "Mean Local Log", "Mean Local Norm", "Mean Wavelet")  # without a reference

TEXTURE = np.random.default_rng(0).uniform(0.2, 0.8, (64, 64)).astype(np.float32)

# Measures that do not order this texture by blur: the five lowest frequencies and the border alone have no part in
# it, and over a variance that blur takes faster, total variation grows.
BLIND = {"dct_reduced_energy_ratio", "modified_dct", "total_variation_l1_over_variance"}

every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=list(MEASURES))
every_sane_measure = pytest.mark.parametrize("name", sorted(set(MEASURES) - BLIND))


# ---------------------------------------------------------------------- the registry
def test_each_row_of_the_paper_is_reproduced_once() -> None:
    assert len(TABLE_1) == 37
    assert sorted(each.paper_name for each in MEASURES.values() if each.reproduction) == sorted(TABLE_1)


@every_measure
def test_an_entry_is_complete(measure: Measure) -> None:
    assert MEASURES[measure.name] is measure
    assert measure.family == "I*"
    assert measure.paper_name in TABLE_1  # an extra row is another reading of one of these
    assert (measure.references == ()) == measure.paper_name.startswith(OWN)
    assert all(1 <= number <= 49 for number in measure.references)


def test_a_measure_is_found_by_name_or_refused() -> None:
    assert get_measure("laplacian_variance").function is laplacian_variance
    for name in ("mean_gradient_magnitude", "sum_modified_laplacian", "mean_local_norm_dist_sq"):
        assert get_measure(name).name == name
    with pytest.raises(AfsimError, match=r"unknown focus measure 'entropy'; expected one of: .*laplacian_variance"):
        get_measure("entropy")


# ---------------------------------------------------------------------- images of any shape and content
@every_measure
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_an_even_image_has_no_contrast(measure: Measure, value: float) -> None:
    score = float(measure(np.full((32, 48), value, np.float32)))
    assert np.isfinite(score)
    if measure.name.startswith("mean_local_ratio"):
        assert score == pytest.approx(1.0)
    elif measure.name.startswith("mean_wavelet_log_energy_ratio"):
        assert score <= 0.0  # the logarithm of no detail at all
    else:
        assert score == pytest.approx(0.0, abs=1e-10)


@every_measure
@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (64, 1), (2, 2), (7, 9), (33, 50)])
def test_an_image_of_any_size_and_light_has_a_finite_value(measure: Measure, shape: tuple[int, int]) -> None:
    texture = np.random.default_rng(3).uniform(0.2, 0.8, shape)
    around_black = np.random.default_rng(4).normal(0.0, 0.01, shape)
    images = np.stack((texture, around_black, np.zeros(shape), np.ones(shape)))
    assert np.isfinite(measure(images.astype(np.float32))).all()


@every_measure
def test_a_batch_is_a_loop(measure: Measure) -> None:
    images = np.random.default_rng(2).uniform(0.0, 1.0, (2, 20, 24, 40)).astype(np.float32)
    batch = measure(images)
    assert batch.shape == (2, 20)
    assert batch.dtype == np.float64
    loop = [[float(measure(image)) for image in row] for row in images]
    np.testing.assert_array_equal(batch, loop)
    assert measure(images[0, 0]).shape == ()
    assert measure(images[:0]).shape == (0, 20)


@every_measure
def test_neither_layout_nor_precision_of_the_input_counts(measure: Measure) -> None:
    np.testing.assert_array_equal(measure(TEXTURE.astype(np.float64)), measure(TEXTURE))
    stored = np.stack((TEXTURE, TEXTURE[::-1]), axis=-1)  # images beside each other, pixel by pixel
    np.testing.assert_array_equal(measure(np.moveaxis(stored, -1, 0)), [measure(TEXTURE), measure(TEXTURE[::-1])])


@every_measure
def test_an_image_is_not_written_to(measure: Measure) -> None:
    image = TEXTURE.copy()
    image.flags.writeable = False
    measure(image)
    np.testing.assert_array_equal(image, TEXTURE)


@every_measure
def test_like_images_tie(measure: Measure) -> None:
    scores = measure(np.stack([TEXTURE] * 5))
    assert np.unique(scores).size == 1
    assert scores.argmax() == 0


@every_measure
@pytest.mark.parametrize("shape", [(), (8,), (3, 0, 8)])
def test_no_image_no_measure(measure: Measure, shape: tuple[int, ...]) -> None:
    with pytest.raises(AfsimError, match=r"needs images \(..., H, W\) of at least one pixel, got shape"):
        measure(np.zeros(shape, np.float32))


@every_measure
def test_lists_of_floats_are_images(measure: Measure) -> None:
    image: Any = TEXTURE[:24, :16].tolist()
    assert float(measure(image)) == float(measure(TEXTURE[:24, :16]))


@every_measure
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8), np.uint16), "got uint16"),
        (np.zeros((8, 8), np.bool_), "got bool"),
        ([[0, 1], [1, 0]], "got int64"),
        ([[0.5, 0.5], [0.5]], "as an array of floats: "),
        (None, "got object"),
    ],
)
def test_what_is_no_float_is_refused_by_name(measure: Measure, image: Any, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        measure(image)


# The dense matrices of a line of 8000 pixels take half a gigabyte.
@every_measure
def test_a_long_image_takes_memory_by_its_pixels(measure: Measure) -> None:
    image = np.random.default_rng(6).random((40, 8000), dtype=np.float32)
    tracemalloc.start()
    try:
        assert np.isfinite(measure(image))
        assert tracemalloc.get_traced_memory()[1] < 20 * image.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("measure", "options", "message"),
    [
        (percentile_range, {"percent": 51.0}, "percent must be at least 0 and at most 50, got 51"),
        (histogram_entropy, {"bins": 1}, "bins must be at least 2, got 1"),
        (gradient_count, {"threshold": -1.0}, "threshold must be at least 0, got -1"),
        (gradient_count, {"threshold": 3.0, "white": 0.0}, "white must be above 0, got 0"),
        (mean_local_ratio, {"sigma": 0.0}, "sigma must be above 0, got 0"),
        (wavelet_sum, {"level": 0}, "level must be at least 1 and at most 20, got 0"),
        (wavelet_sum, {"level": 21}, "level must be at least 1 and at most 20, got 21"),
        (wavelet_sum, {"level": 2, "wavelet": ["db6"]}, r"wavelet must be a name .*, got \['db6'\]"),
        (wavelet_sum, {"level": 2, "wavelet": "db0"}, "unknown wavelet 'db0'; expected one of: bior1.1, .*db6"),
    ],
)
def test_what_an_option_cannot_be_is_refused(measure: Callable[..., object], options: Any, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        measure(TEXTURE, **options)


# ---------------------------------------------------------------------- what counts, and what does not
@every_sane_measure
def test_more_blur_smaller_value(name: str) -> None:
    values = [float(MEASURES[name](gaussian_filter(TEXTURE, sigma))) for sigma in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


def gain_power(name: str) -> int | None:
    """Return to which power a gain counts, None where a scale of intensities enters."""
    if name.startswith(("histogram_entropy", "gradient_count", "mean_wavelet_log_energy_ratio")):
        return None
    if name == "total_variation_l1_over_variance":
        return -1
    linear = ("total_variation_l1", "sum_modified", "diagonal", "percentile", "wavelet_sum")
    if name.startswith(linear) or name in {"modified_dct", "mean_gradient_magnitude_root"}:
        return 1
    squared = ("laplacian", "absolute_laplacian", "eigenvalue", "intensity_variance", "wavelet_variance")
    if name.startswith((*squared, "gradient_magnitude", "mean_gradient_magnitude")) or name in {
        "total_variation_l2",
        "modified_dct_energy",
    }:
        return 2
    return 0


@pytest.mark.parametrize("name", [name for name in MEASURES if gain_power(name) is not None])
def test_a_gain_counts_to_its_power(name: str) -> None:
    power = gain_power(name)
    assert power is not None
    once, more = float(MEASURES[name](TEXTURE)), float(MEASURES[name](TEXTURE * np.float32(1.7)))
    assert more == pytest.approx(1.7**power * once, rel=1e-4)


DIFFERENCES = [
    *("eigenvalue_trace", "intensity_variance", "modified_dct", "modified_dct_energy"),
    *(name for name in MEASURES if name.startswith(("percentile", "wavelet_sum", "wavelet_variance"))),
    *(name for name in MEASURES if "laplacian" in name or "gradient_magnitude" in name or "variation_l" in name),
]


@pytest.mark.parametrize("name", DIFFERENCES)
def test_an_offset_changes_no_difference(name: str) -> None:
    shifted = float(MEASURES[name](TEXTURE + np.float32(0.1)))
    assert shifted == pytest.approx(float(MEASURES[name](TEXTURE)), rel=1e-4, abs=1e-9)


def test_an_edge_has_the_same_total_variation_at_any_blur() -> None:
    edge = np.full((64, 64), 0.2, np.float32)
    edge[:, 32:] = 0.7
    images = np.stack([gaussian_filter(edge, sigma, mode="nearest") for sigma in (0.5, 1.0, 2.0, 4.0)])
    np.testing.assert_allclose(MEASURES["total_variation_l1"](images), 0.5 / 63, rtol=1e-5)
    squares = MEASURES["total_variation_l2"](images)
    assert squares[0] > 4.0 * squares[-1]


def test_relative_sharpness_is_one_at_the_sharpest_and_where_nothing_is_sharp() -> None:
    stack = np.stack([gaussian_filter(TEXTURE, sigma) for sigma in (2.0, 0.5, 1.0)])
    share = relative_sharpness(stack)
    assert share.argmax() == 1
    assert share.max() == 1.0
    assert share.min() > 0.0
    assert relative_sharpness(stack[:0]).shape == (0,)
    for value in (0.0, 0.3):
        np.testing.assert_array_equal(relative_sharpness(np.full((3, 16, 16), value, np.float32)), 1.0)
