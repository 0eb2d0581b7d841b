"""Contrast measures: analytic values, invariances, and more blur, less contrast."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from afsim.errors import AfsimError
from afsim.measures import (
    MEASURES,
    Measure,
    get_measure,
    laplacian_variance,
    mean_gradient_magnitude,
    mean_local_norm_dist_sq,
    relative_sharpness,
    sum_modified_laplacian,
)

# A step of height 20 on 50 at column 64 of 128. Large beside the clamp of one DN, which it never meets.
STEP = np.full((128, 128), 50.0, np.float32)
STEP[:, 64:] += 20.0
TEXTURE = np.random.default_rng(0).uniform(0.2, 0.8, (64, 64)).astype(np.float32)

every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=list(MEASURES))


@pytest.mark.parametrize(
    ("measure", "value"),
    [(sum_modified_laplacian, 20 / 64), (laplacian_variance, 6.25), (mean_gradient_magnitude, 100.0)],
)
def test_a_step_has_the_value_of_the_formula(measure: Measure, value: float) -> None:
    assert float(measure(STEP)) == pytest.approx(value, rel=1e-5)
    assert float(measure(STEP.T)) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(("sigma", "value"), [(1.0, 8.467159e-5), (2.0, 1.9987e-4), (4.0, 4.1395e-4)])
def test_the_norm_dist_sq_of_a_step(sigma: float, value: float) -> None:
    assert float(mean_local_norm_dist_sq(STEP, sigma=sigma)) == pytest.approx(value, rel=1e-3)


@every_measure
def test_an_even_image_has_no_contrast(measure: Measure) -> None:
    assert float(measure(np.full((32, 32), 0.5, np.float32))) == pytest.approx(0.0, abs=1e-10)
    assert float(measure(np.zeros((32, 32), np.float32))) == 0.0


def test_a_ramp_has_no_laplacian_inside() -> None:
    ramp = np.tile(np.arange(32, dtype=np.float32), (32, 1))
    # Only the replicated first and last column bend, by 1 each.
    assert float(sum_modified_laplacian(ramp)) == pytest.approx(2 / 32)


@pytest.mark.parametrize("measure", [sum_modified_laplacian, laplacian_variance, mean_gradient_magnitude])
def test_an_offset_changes_no_difference(measure: Measure) -> None:
    assert float(measure(TEXTURE + np.float32(0.1))) == pytest.approx(float(measure(TEXTURE)), rel=1e-4)


@pytest.mark.parametrize(
    ("measure", "power"),
    [
        (sum_modified_laplacian, 1),
        (laplacian_variance, 2),
        (mean_gradient_magnitude, 2),
        (mean_local_norm_dist_sq, 0),
    ],
)
def test_a_gain_counts_to_its_power(measure: Measure, power: int) -> None:
    assert float(measure(TEXTURE * np.float32(1.7))) == pytest.approx(
        1.7**power * float(measure(TEXTURE)), rel=1e-4
    )


def test_the_norm_dist_sq_is_bounded_in_the_dark_and_below_black() -> None:
    dark = np.random.default_rng(1).normal(0.0, 0.05, (64, 64)).astype(np.float32)
    assert 0.0 < float(mean_local_norm_dist_sq(dark)) < 1.0


@every_measure
def test_more_blur_smaller_value(measure: Measure) -> None:
    values = [float(measure(gaussian_filter(TEXTURE, sigma))) for sigma in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 2 * values[-1]


@every_measure
def test_a_batch_is_a_loop(measure: Measure) -> None:
    images = np.random.default_rng(2).uniform(0.0, 1.0, (2, 3, 24, 40)).astype(np.float32)
    batch = measure(images)
    assert batch.shape == (2, 3)
    assert batch.dtype == np.float64
    loop = [[float(measure(image)) for image in row] for row in images]
    np.testing.assert_array_equal(batch, loop)


def test_a_measure_is_found_by_name_or_refused() -> None:
    assert get_measure("laplacian_variance") is laplacian_variance
    with pytest.raises(AfsimError, match="unknown contrast measure 'entropy'; expected one of: laplacian_variance"):
        get_measure("entropy")


def test_relative_sharpness_is_one_at_the_sharpest_and_where_nothing_is_sharp() -> None:
    stack = np.stack([gaussian_filter(TEXTURE, sigma) for sigma in (2.0, 0.5, 1.0)])
    share = relative_sharpness(stack)
    assert share.argmax() == 1
    assert share.max() == 1.0
    assert share.min() > 0.0
    np.testing.assert_array_equal(relative_sharpness(np.zeros((3, 16, 16), np.float32)), 1.0)
