"""The contrast measures once more, as one would write them first with OpenCV, PyWavelets, SciPy and NumPy.

What :mod:`afsim.experiments.bench_measures` measures against: single precision as the images are, one image (H, W)
after another, nothing shared between measures.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import pywt
from scipy.ndimage import gaussian_filter

Image = npt.NDArray[np.float32]
Reference = Callable[[Image], float]

_ONE_DN: Final = np.float32(1.0 / 1023.0)
_BORDER: Final = cv2.BORDER_REPLICATE
_LAPLACIAN: Final = np.array([[1, 4, 1], [4, -20, 4], [1, 4, 1]], np.float32) / np.float32(6.0)
_SECOND: Final = np.array([[-1, 2, -1]], np.float32)
_FALLING: Final = np.diag(np.array([-1, 2, -1], np.float32)) * np.float32(np.sqrt(0.5))
_MODIFIED: Final = np.outer([1, 1, -1, -1], [1, 1, -1, -1]).astype(np.float32)


def _filtered(image: Image, kernel: Image) -> Image:
    return np.asarray(cv2.filter2D(image, cv2.CV_32F, kernel, borderType=_BORDER), dtype=np.float32)


def total_variation(image: Image, power: int) -> float:
    """Return the total variation, of absolute values (power 1) or of squares (2)."""
    across, down = cv2.absdiff(image[:, 1:], image[:, :-1]), cv2.absdiff(image[1:], image[:-1])
    if power == 2:
        across, down = across * across, down * down
    return float(across.mean() + down.mean())


def _gradient(image: Image) -> tuple[Image, Image]:
    return (
        np.asarray(cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3, borderType=_BORDER), dtype=np.float32),
        np.asarray(cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3, borderType=_BORDER), dtype=np.float32),
    )


def _tenengrad(image: Image) -> float:
    x, y = _gradient(image)
    return float((x * x + y * y).mean())


def _modified_laplacian(image: Image, diagonal: bool) -> float:
    kernels = [_SECOND, _SECOND.T.copy(), *((_FALLING, _FALLING[::-1].copy()) if diagonal else ())]
    return float(sum(np.abs(_filtered(image, kernel)).mean() for kernel in kernels))


def _moment(image: Image, kind: str) -> float:
    return float(image.std() / image.mean() if kind == "share" else image.var(ddof=int(kind == "trace")))


def _counted(image: Image, threshold: float) -> float:
    x, y = image[:-1, 1:] - image[:-1, :-1], image[1:, :-1] - image[:-1, :-1]
    return float((cv2.magnitude(x, y) > np.float32(threshold / 1023.0)).mean())


def _entropy(image: Image) -> float:
    # Pixels to the nearest of 256 levels, which saturate.
    levels = cv2.convertScaleAbs(np.maximum(image, 0.0), alpha=255.0)
    count = cv2.calcHist([levels], [0], None, [256], [0, 256]).ravel()
    share = count[count > 0] / image.size
    return float(-(share * np.log2(share)).sum())


def _percentiles(image: Image, percent: float) -> float:
    low, high = np.percentile(image, [percent, 100.0 - percent])
    return float(high - low)


def _cosine_energy(image: Image, low: bool) -> float:
    squares = np.asarray(cv2.dct(image) ** 2, dtype=np.float32)
    # Without normalisation, frequencies along an axis count double, and the mean four times.
    squares[0] *= 2
    squares[:, 0] *= 2
    chosen = squares[[0, 0, 1, 1, 2], [1, 2, 0, 1, 0]].sum() if low else squares.sum() - squares[0, 0]
    return float(chosen / squares[0, 0])


def local_mean(kind: str, sigma: float, image: Image, *, scipy: bool = False) -> float:
    """Return the mean "ratio", "log" or "distance" to the image under a Gaussian, of OpenCV or SciPy."""
    if scipy:
        blurred = gaussian_filter(image, sigma, mode="nearest", truncate=4.0)
    else:
        side = 2 * int(4.0 * sigma + 0.5) + 1
        blurred = np.asarray(cv2.GaussianBlur(image, (side, side), sigma, borderType=_BORDER), dtype=np.float32)
    mu, i = np.maximum(blurred, _ONE_DN), np.maximum(image, _ONE_DN)
    if kind == "ratio":
        return float(np.maximum(i / mu, mu / i).mean())
    if kind == "log":
        return float(np.abs(np.log(i / mu)).mean())
    return float(((i - mu) ** 2 / (i * i + mu * mu)).mean())


def _wavelet(kind: str, level: int, image: Image) -> float:
    coarse, details, *_ = pywt.wavedec2(image, "db6", mode="symmetric", level=level)
    bands = np.stack(details)
    if kind == "sum":
        return float(np.abs(bands).mean(axis=(1, 2)).sum())
    if kind == "variance":
        return float(np.abs(bands).var(axis=(1, 2)).sum())
    if kind == "ratio":
        return float((bands * bands).sum() / (coarse * coarse).sum())
    below = np.maximum(np.abs(coarse), _ONE_DN * np.float32(2.0**level))
    return float(np.log1p(np.abs(bands) / below).mean(axis=(1, 2)).sum())


def references() -> dict[str, Reference]:
    """Return other libraries' implementation, for one image (H, W), of each measure that reproduces a row."""
    found: dict[str, Reference] = {
        "dct_reduced_energy_ratio": partial(_cosine_energy, low=True),
        "dct_energy_ratio": partial(_cosine_energy, low=False),
        "modified_dct": lambda image: float(
            cv2.filter2D(image, cv2.CV_32F, _MODIFIED, anchor=(1, 1), borderType=_BORDER).mean()
        ),
        "total_variation_l1_over_variance": lambda image: total_variation(image, 1) / float(image.var()),
        "total_variation_l2_over_variance": lambda image: total_variation(image, 2) / float(image.var()),
        "histogram_entropy": _entropy,
        "eigenvalue_trace": partial(_moment, kind="trace"),
        "intensity_variance": partial(_moment, kind="variance"),
        "intensity_coefficient_of_variation": partial(_moment, kind="share"),
        "sum_modified_laplacian": partial(_modified_laplacian, diagonal=False),
        "diagonal_laplacian": partial(_modified_laplacian, diagonal=True),
        "laplacian_energy": lambda image: float((_filtered(image, _LAPLACIAN) ** 2).mean()),
        "absolute_laplacian_variance": lambda image: float(np.abs(_filtered(image, _LAPLACIAN)).var()),
        "mean_gradient_magnitude": _tenengrad,
        "gradient_magnitude_variance": lambda image: float(cv2.magnitude(*_gradient(image)).var()),
    }
    for threshold in (3, 10):
        found[f"gradient_count_{threshold}"] = partial(_counted, threshold=threshold)
    for percent in (3, 1, 0.3):
        found[f"percentile_range_{percent}"] = partial(_percentiles, percent=percent)
    for s in (1, 2, 4):
        found[f"mean_local_ratio_{s}"] = partial(local_mean, "ratio", s)
        found[f"mean_local_log_ratio_{s}"] = partial(local_mean, "log", s)
        found["mean_local_norm_dist_sq" + ("" if s == 2 else f"_{s}")] = partial(local_mean, "distance", s)
    for level in (2, 3):
        for kind in ("sum", "variance", "ratio"):
            found[f"wavelet_{kind}_{level}"] = partial(_wavelet, kind, level)
        found[f"mean_wavelet_log_ratio_{level}"] = partial(_wavelet, "log", level)
    return found
