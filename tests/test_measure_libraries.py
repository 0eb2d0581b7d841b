"""The contrast measures against other implementations: SciPy, OpenCV, scikit-image, PyWavelets, NumPy."""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import pywt
from scipy.fft import dctn
from scipy.ndimage import convolve, gaussian_filter
from skimage.measure import shannon_entropy

from afsim.measures import MEASURES

FloatArray = npt.NDArray[np.float64]

entropy_of: Any = shannon_entropy  # ships no types

# Odd and unlike sides; light that reaches from below black to above white.
IMAGE = np.clip(
    gaussian_filter(np.random.default_rng(5).normal(0.4, 0.8, (75, 98)), 0.8), -0.05, 1.05, dtype=np.float64
).astype(np.float32)
DOUBLE: FloatArray = IMAGE.astype(np.float64)
LAPLACIAN = np.array([[1.0, 4.0, 1.0], [4.0, -20.0, 4.0], [1.0, 4.0, 1.0]]) / 6.0


def score(name: str) -> float:
    return float(MEASURES[name](IMAGE))


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-5)


def filtered(kernel: npt.ArrayLike) -> FloatArray:
    return np.asarray(convolve(DOUBLE, np.asarray(kernel, dtype=np.float64), mode="nearest"))


def test_sobel_is_that_of_opencv() -> None:
    gx, gy = (
        np.asarray(cv2.Sobel(DOUBLE, cv2.CV_64F, dx, 1 - dx, ksize=3, borderType=cv2.BORDER_REPLICATE))
        for dx in (1, 0)
    )
    magnitude = np.hypot(gx, gy)
    assert score("mean_gradient_magnitude") == close((magnitude**2).mean())
    assert score("mean_gradient_magnitude_root") == close(magnitude.mean())
    assert score("gradient_magnitude_variance") == close(magnitude.var())


def test_laplacians_are_those_of_scipy() -> None:
    response = filtered(LAPLACIAN)
    assert score("laplacian_energy") == close((response**2).mean())
    assert score("laplacian_variance") == close(response.var())
    assert score("absolute_laplacian_variance") == close(np.abs(response).var())
    across = np.abs(filtered([[-1, 2, -1]])) + np.abs(filtered([[-1], [2], [-1]]))
    assert score("sum_modified_laplacian") == close(across.mean())
    falling = [[-1, 0, 0], [0, 2, 0], [0, 0, -1]]
    diagonal = (np.abs(filtered(falling)) + np.abs(filtered(falling[::-1]))) / math.sqrt(2.0)
    assert score("diagonal_laplacian") == close((across + diagonal).mean())


def test_total_variation_is_that_of_numpy() -> None:
    dx, dy = np.diff(DOUBLE, axis=1), np.diff(DOUBLE, axis=0)
    first, second = np.abs(dx).mean() + np.abs(dy).mean(), (dx**2).mean() + (dy**2).mean()
    assert score("total_variation_l1") == close(first)
    assert score("total_variation_l2") == close(second)
    assert score("total_variation_l1_over_variance") == close(first / DOUBLE.var())
    assert score("total_variation_l2_over_variance") == close(second / DOUBLE.var())


@pytest.mark.parametrize("white", [255.0, 1023.0])
@pytest.mark.parametrize("threshold", [3, 10])
def test_the_gradient_count_is_that_of_numpy(threshold: int, white: float) -> None:
    gradient = white * np.hypot(np.diff(DOUBLE, axis=1)[:-1], np.diff(DOUBLE, axis=0)[:, :-1])
    name = f"gradient_count_{threshold}" + ("_8bit" if white == 255.0 else "")
    assert score(name) == close((gradient > threshold).mean())


def test_statistics_are_those_of_numpy_and_scikit_image() -> None:
    assert score("intensity_variance") == close(DOUBLE.var())
    assert score("intensity_coefficient_of_variation") == close(DOUBLE.std() / DOUBLE.mean())
    centred = DOUBLE - DOUBLE.mean()
    assert score("eigenvalue_trace") == close(np.linalg.eigvalsh(centred @ centred.T).sum() / (DOUBLE.size - 1))
    eight_bit = np.rint(255.0 * np.clip(DOUBLE, 0.0, 1.0)).astype(np.uint8)
    assert score("histogram_entropy") == close(entropy_of(eight_bit))
    for p in (3, 1, 0.3):
        high, low = np.percentile(DOUBLE, [100 - p, p])
        assert score(f"percentile_range_{p}") == close(high - low)


def dct_ratios(c: FloatArray) -> tuple[float, float]:
    squares = c**2
    five = squares[0, 1] + squares[0, 2] + squares[1, 0] + squares[1, 1] + squares[2, 0]
    return (squares.sum() - squares[0, 0]) / squares[0, 0], five / squares[0, 0]


def test_energy_ratios_are_those_of_a_cosine_transform() -> None:
    energy, reduced = dct_ratios(np.asarray(dctn(DOUBLE)))
    assert score("dct_energy_ratio") == close(energy)
    assert score("dct_reduced_energy_ratio") == close(reduced)


def test_energy_ratios_of_blocks_are_those_of_cosine_transforms() -> None:
    light = DOUBLE * 0.5 + 0.2  # no block without light
    blocks = [light[y : y + 8, x : x + 8] for y in range(0, 72, 8) for x in range(0, 96, 8)]
    energy, reduced = np.mean([dct_ratios(np.asarray(dctn(block, norm="ortho"))) for block in blocks], axis=0)
    image = light.astype(np.float32)
    assert float(MEASURES["dct_energy_ratio_8x8"](image)) == close(energy)
    assert float(MEASURES["dct_reduced_energy_ratio_8x8"](image)) == close(reduced)


def test_the_modified_cosine_transform_is_a_correlation_of_opencv() -> None:
    u = np.array([1.0, 1.0, -1.0, -1.0])
    response = np.asarray(
        cv2.filter2D(DOUBLE, cv2.CV_64F, np.outer(u, u), anchor=(1, 1), borderType=cv2.BORDER_REPLICATE)
    )
    assert score("modified_dct") == close(response.mean())
    assert score("modified_dct_energy") == close((response**2).mean())


@pytest.mark.filterwarnings("ignore:Level value:UserWarning")  # at level 3 borders reach everywhere
@pytest.mark.parametrize("level", [2, 3])
def test_wavelets_are_those_of_pywavelets(level: int) -> None:
    approximation, details, *_ = pywt.wavedec2(DOUBLE, "db6", mode="symmetric", level=level)
    size, energy = np.abs(np.stack(details)), sum(band**2 for band in details)
    assert score(f"wavelet_sum_{level}") == close(size.mean(axis=(1, 2)).sum())
    assert score(f"wavelet_variance_{level}") == close(size.var(axis=(1, 2)).sum())
    assert score(f"wavelet_ratio_{level}") == close(energy.sum() / (approximation**2).sum())
    dn = 2.0**level / 1023.0
    shares = np.log1p(size / np.maximum(np.abs(approximation), dn))
    assert score(f"mean_wavelet_log_ratio_{level}") == close(shares.mean(axis=(1, 2)).sum())
    logarithms = np.log((energy + dn**2) / (approximation**2 + dn**2))
    assert score(f"mean_wavelet_log_energy_ratio_{level}") == close(logarithms.mean())


@pytest.mark.parametrize("sigma", [1, 2, 4])
def test_local_ratios_are_those_of_scipy_in_double_precision(sigma: int) -> None:
    mu = np.maximum(gaussian_filter(DOUBLE, sigma, mode="nearest", truncate=4.0), 1 / 1023)
    i = np.maximum(DOUBLE, 1 / 1023)
    assert score(f"mean_local_ratio_{sigma}") == close(np.maximum(i / mu, mu / i).mean())
    assert score(f"mean_local_log_ratio_{sigma}") == close(np.abs(np.log(i / mu)).mean())
    name = "mean_local_norm_dist_sq" + ("" if sigma == 2 else f"_{sigma}")
    assert score(name) == close(((i - mu) ** 2 / (i**2 + mu**2)).mean())
