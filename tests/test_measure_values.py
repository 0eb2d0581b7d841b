"""The contrast measures against values worked out by hand, on images whose contrast is known."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import pytest

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
from afsim.measure_wavelets import mean_wavelet_log_ratio, wavelet_ratio, wavelet_sum, wavelet_variance

SIZE = 128
BASE, HEIGHT = 50.0, 20.0  # large beside the clamp of one DN, which they never meet
COLUMN = np.arange(SIZE)


def single(image: npt.ArrayLike) -> Image:
    return np.asarray(image, dtype=np.float32)


def step(column: int = 64, height: float = HEIGHT) -> Image:
    """Return BASE, and ``height`` more from a column on."""
    return single(np.tile(BASE + height * (column <= COLUMN), (SIZE, 1)))


def checkerboard(cell: int, height: float = HEIGHT) -> Image:
    """Return cells of 0 and ``height``."""
    odd = COLUMN // cell % 2
    return single(height * (odd[:, None] ^ odd))


# h, h^2 / 4, ... as the formulas give them for a step of height h on a between columns 63 and 64.
STEP_VALUES: list[tuple[Callable[[Image], Score], float]] = [
    (total_variation_l1, 20 / 127),
    (total_variation_l2, 400 / 127),
    (total_variation_l1_over_variance, 20 / 127 / 100),
    (total_variation_l2_over_variance, 4 / 127),
    (partial(gradient_count, threshold=10.0), 1 / 127),
    (sum_modified_laplacian, 20 / 64),
    (diagonal_laplacian, 0.754442),
    (laplacian_energy, 6.25),
    (laplacian_variance, 6.25),
    (absolute_laplacian_variance, 6.25 - (20 / 64) ** 2),
    (mean_gradient_magnitude, 100.0),
    (mean_gradient_magnitude_root, 1.25),
    (gradient_magnitude_variance, 98.4375),
    (intensity_variance, 100.0),
    (intensity_coefficient_of_variation, 1 / 6),
    (eigenvalue_trace, 100.0061),
    (partial(percentile_range, percent=3.0), 20.0),
    (partial(percentile_range, percent=1.0), 20.0),
    (partial(percentile_range, percent=0.3), 20.0),
    (modified_dct, 0.0),
    (modified_dct_energy, 0.0),
    (dct_energy_ratio_8x8, 0.0),
    (partial(mean_local_ratio, sigma=1.0), 1.00201409),
    (partial(mean_local_ratio, sigma=2.0), 1.00434151),
    (partial(mean_local_ratio, sigma=4.0), 1.00883096),
    (partial(mean_local_log_ratio, sigma=1.0), 0.0019261),
    (partial(mean_local_log_ratio, sigma=2.0), 0.00413219),
    (partial(mean_local_log_ratio, sigma=4.0), 0.0083967),
    (partial(mean_local_norm_dist_sq, sigma=1.0), 8.467159e-5),
    (partial(mean_local_norm_dist_sq, sigma=2.0), 1.9987e-4),
    (partial(mean_local_norm_dist_sq, sigma=4.0), 4.1395e-4),
]


def name_of(case: object) -> str | None:
    if isinstance(case, partial):
        return f"{case.func.__name__}-{case.keywords}"
    return getattr(case, "__name__", None)


@pytest.mark.parametrize(("measure", "value"), STEP_VALUES, ids=name_of)
def test_a_step_has_the_value_of_the_formula(measure: Callable[[Image], Score], value: float) -> None:
    assert float(measure(step())) == pytest.approx(value, rel=2e-5, abs=1e-12)
    assert float(measure(step().T)) == pytest.approx(value, rel=2e-5, abs=1e-12)


def test_a_ramp_has_no_laplacian_inside() -> None:
    ramp = single(np.tile(np.arange(32.0), (32, 1)))
    # Only the replicated first and last column bend, by 1 each.
    assert float(sum_modified_laplacian(ramp)) == pytest.approx(2 / 32)


# ---------------------------------------------------------------------- scales
def test_a_count_is_of_gradients_above_the_threshold_on_its_scale() -> None:
    eight_bit = partial(gradient_count, white=255.0)
    assert float(eight_bit(step() / np.float32(255.0), threshold=10.0)) == pytest.approx(1 / 127)
    assert float(eight_bit(step(height=5.0) / np.float32(255.0), threshold=10.0)) == 0.0
    # Ten DN of ten bits are 2.5 of eight.
    assert float(gradient_count(step(height=5.0) / np.float32(255.0), threshold=10.0)) == pytest.approx(1 / 127)


@pytest.mark.parametrize(("levels", "bits"), [(1, 0.0), (2, 1.0), (128, 7.0)])
def test_the_entropy_of_equally_likely_levels_is_their_logarithm(levels: int, bits: float) -> None:
    image = single(np.tile(COLUMN % levels, (SIZE, 1))) / np.float32(255.0)
    assert float(histogram_entropy(image)) == pytest.approx(bits, abs=1e-12)


def test_levels_beyond_black_and_white_are_black_and_white() -> None:
    image = single([[-1.0, 0.0, 1.0, 2.0]])
    assert float(histogram_entropy(image)) == pytest.approx(1.0)


# ---------------------------------------------------------------------- the cosine transform
def test_one_frequency_of_the_whole_image_counts_half_its_squared_contrast_halved() -> None:
    wave = single(np.tile(50.0 + 5.0 * np.cos((2 * COLUMN + 1) * math.pi / 256), (SIZE, 1)))
    # 5^2 / (2 * 50^2), and half of it without normalisation.
    for measure in (dct_energy_ratio, dct_reduced_energy_ratio):
        assert float(measure(wave)) == pytest.approx(0.0025, rel=1e-5)
        assert float(measure(wave.T)) == pytest.approx(0.0025, rel=1e-5)


def test_one_frequency_of_each_block_counts_half_its_squared_contrast() -> None:
    wave = single(np.tile(50.0 + 5.0 * np.cos((2 * (COLUMN % 8) + 1) * math.pi / 16), (SIZE, 1)))
    for measure in (dct_energy_ratio_8x8, dct_reduced_energy_ratio_8x8):
        assert float(measure(wave)) == pytest.approx(0.005, rel=1e-5)


def test_a_step_within_a_block_counts_in_its_column_of_blocks() -> None:
    assert float(dct_energy_ratio_8x8(step(60))) == pytest.approx(0.00173611, rel=1e-5)


def test_blocks_that_the_border_cuts_are_left_out() -> None:
    image = np.full((19, 12), 0.5, np.float32)
    image[16:], image[:, 8:] = 0.1, 0.9
    assert float(dct_energy_ratio_8x8(image)) == 0.0
    assert float(dct_energy_ratio_8x8(image[:7])) == 0.0


def test_the_modified_cosine_transform_answers_to_a_checkerboard_of_two_pixels() -> None:
    board = checkerboard(2)
    # Where cells and mask agree, in one pixel of four, it is +-8 h.
    assert float(modified_dct_energy(board[1:-1, 1:-1])) == pytest.approx((8.0 * HEIGHT) ** 2 / 4.0, rel=0.05)
    spot = np.zeros((9, 9), np.float32)
    spot[4, 4] = 1.0
    assert float(modified_dct_energy(spot)) == pytest.approx(16 / 81)
    assert float(modified_dct(spot)) == pytest.approx(0.0, abs=1e-15)


# ---------------------------------------------------------------------- wavelets
@pytest.mark.parametrize(("cell", "level"), [(1, 1), (2, 2), (4, 3)])
def test_a_checkerboard_lies_in_one_level_of_haar(cell: int, level: int) -> None:
    board = checkerboard(cell)
    for other in (1, 2, 3):
        # Its diagonal details are +-2^level h / 2, as are the approximations; coarser levels see an even image.
        here = other == level
        assert float(wavelet_sum(board, level=other, wavelet="haar")) == pytest.approx(
            2.0 ** (level - 1) * HEIGHT if here else 0.0, abs=1e-10
        )
        assert float(wavelet_variance(board, level=other, wavelet="haar")) == pytest.approx(0.0, abs=1e-10)
        assert float(wavelet_ratio(board, level=other, wavelet="haar")) == pytest.approx(float(here), abs=1e-10)
        assert float(mean_wavelet_log_ratio(board, level=other, wavelet="haar")) == pytest.approx(
            math.log(2.0) if here else 0.0, abs=1e-10
        )


@pytest.mark.parametrize("level", [2, 3])
def test_an_even_image_has_no_details(level: int) -> None:
    even = np.full((SIZE, SIZE), 0.5, np.float32)
    for measure in (wavelet_sum, wavelet_variance, wavelet_ratio, mean_wavelet_log_ratio):
        assert float(measure(even, level=level)) == pytest.approx(0.0, abs=1e-12)


# ---------------------------------------------------------------------- neighbourhoods
def test_the_norm_dist_sq_is_bounded_in_the_dark_and_below_black() -> None:
    dark = np.random.default_rng(1).normal(0.0, 0.05, (64, 64)).astype(np.float32)
    assert 0.0 < float(mean_local_norm_dist_sq(dark)) < 1.0


def test_what_lies_below_one_digital_number_has_no_local_contrast() -> None:
    dark = np.random.default_rng(1).uniform(-1.0, 1.0, (64, 64)).astype(np.float32) / np.float32(1023.0)
    assert float(mean_local_ratio(dark, sigma=2.0)) == pytest.approx(1.0)
    assert float(mean_local_log_ratio(dark, sigma=2.0)) == pytest.approx(0.0, abs=1e-12)
    assert float(mean_local_norm_dist_sq(dark)) == pytest.approx(0.0, abs=1e-12)


# ---------------------------------------------------------------------- around black
def test_a_mean_that_is_rounding_counts_as_the_least_one() -> None:
    # C(0, 0), 4 times the sum, is 0: the ratios are those over 1e-6, not over 0.
    balanced = single(np.where(COLUMN < 64, 1e-3, -1e-3) * np.ones((SIZE, 1)))
    variance, pixels = float(intensity_variance(balanced)), SIZE**2
    least = 1e-6 / (4 * pixels) ** 2  # of the squared mean
    # The rows are alike, so that their variance counts twice.
    assert float(dct_energy_ratio(balanced)) == pytest.approx(2 * variance / (4 * least), rel=1e-5)
    assert np.isfinite(dct_reduced_energy_ratio(balanced))
    assert float(intensity_coefficient_of_variation(balanced)) == 0.0
    brighter = balanced + np.float32(1e-9)
    assert float(intensity_coefficient_of_variation(brighter)) <= math.sqrt(variance / least)
