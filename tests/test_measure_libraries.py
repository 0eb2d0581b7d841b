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

from afsim.measure_wavelets import wavelet_sum
from afsim.measures import MEASURES, Image

FloatArray = npt.NDArray[np.float64]

entropy_of: Any = shannon_entropy  # ships no types

# Odd and unlike sides; light that reaches from below black to above white.
IMAGE = np.clip(
    gaussian_filter(np.random.default_rng(5).normal(0.4, 0.8, (75, 98)), 0.8), -0.05, 1.05, dtype=np.float64
).astype(np.float32)
DOUBLE: FloatArray = IMAGE.astype(np.float64)
# Dark and light halves, each even: what is rounded in the light must not count in the dark.
HALVES = np.where(np.arange(98) < 49, 0.01, 0.9)[None].repeat(75, axis=0).astype(np.float32)
LAPLACIAN = np.array([[1.0, 4.0, 1.0], [4.0, -20.0, 4.0], [1.0, 4.0, 1.0]]) / 6.0


def score(name: str, image: Image = IMAGE) -> float:
    return float(MEASURES[name](image))


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
@pytest.mark.parametrize("image", [IMAGE, HALVES], ids=["texture", "halves"])
@pytest.mark.parametrize("level", [2, 3])
def test_wavelets_are_those_of_pywavelets(level: int, image: Image) -> None:
    double = image.astype(np.float64)
    approximation, details, *_ = pywt.wavedec2(double, "db6", mode="symmetric", level=level)
    size, energy = np.abs(np.stack(details)), sum(band**2 for band in details)
    dn = 2.0**level / 1023.0
    shares = np.log1p(size / np.maximum(np.abs(approximation), dn))
    expected = {
        "wavelet_sum": size.mean(axis=(1, 2)).sum(),
        "wavelet_variance": size.var(axis=(1, 2)).sum(),
        "wavelet_ratio": energy.sum() / (approximation**2).sum(),
        "mean_wavelet_log_ratio": shares.mean(axis=(1, 2)).sum(),
        "mean_wavelet_log_energy_ratio": np.log((energy + dn**2) / (approximation**2 + dn**2)).mean(),
    }
    for name, value in expected.items():
        # The limit that its docstring tells.
        rel = 3e-4 if name == "mean_wavelet_log_ratio" and image is HALVES else 1e-5
        assert score(f"{name}_{level}", image) == pytest.approx(value, rel=rel), name


@pytest.mark.filterwarnings("ignore:Level value:UserWarning")
@pytest.mark.parametrize("wavelet", ["haar", "db6", "bior2.2", "sym5"])
@pytest.mark.parametrize("size", [(1, 1), (2, 40), (5, 7), (31, 64)])
def test_any_wavelet_of_any_size_is_that_of_pywavelets(wavelet: str, size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).random(size, dtype=np.float32)
    for level in (1, 2, 4):
        _, details, *_ = pywt.wavedec2(image.astype(np.float64), wavelet, mode="symmetric", level=level)
        expected = np.abs(np.stack(details)).mean(axis=(1, 2)).sum()
        found = float(wavelet_sum(image, level=level, wavelet=wavelet))
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("image", [IMAGE, HALVES], ids=["texture", "halves"])
@pytest.mark.parametrize("sigma", [1, 2, 4])
def test_local_ratios_are_those_of_scipy_in_double_precision(sigma: int, image: Image) -> None:
    double = image.astype(np.float64)
    mu = np.maximum(gaussian_filter(double, sigma, mode="nearest", truncate=4.0), 1 / 1023)
    i = np.maximum(double, 1 / 1023)
    assert score(f"mean_local_ratio_{sigma}", image) == close(np.maximum(i / mu, mu / i).mean())
    assert score(f"mean_local_log_ratio_{sigma}", image) == close(np.abs(np.log(i / mu)).mean())
    name = "mean_local_norm_dist_sq" + ("" if sigma == 2 else f"_{sigma}")
    assert score(name, image) == close(((i - mu) ** 2 / (i**2 + mu**2)).mean())
