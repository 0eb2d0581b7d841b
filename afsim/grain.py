"""The noise of pixels: normal numbers from counters, and what enlarging a recording did to its noise.

A normal number is looked up by 16 bits of a word that is mixed from a lane's key and the number of the pixel. The
sensor's dual pixels are twice as tall as wide; recordings are enlarged twofold along that axis, bilinearly with
half-pixel centres, so that neighbours there share their noise.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled

SingleArray = npt.NDArray[np.float32]

_QUANTILES: Final = 1 << 16

UPSAMPLED: Final = {"none": 0, "rows": 1, "columns": 2}
# Variance that is left of white noise after bilinear enlargement by two: 0.75^2 + 0.25^2.
UPSAMPLED_VARIANCE: Final = 0.625
# Correlation of the noise of pixels 0, 1, 2 and 3 apart along the enlarged axis, mean over where they lie.
UPSAMPLED_CORRELATION: Final = (1.0, 0.75, 0.3, 0.05)


@cache
def normal_quantiles() -> SingleArray:
    """Return 65,536 equally likely values of a normal distribution, (65536,) float32, of mean 0 and variance 1.

    They end at 4.3 standard deviations, beyond which one number in 60,000 lies.
    """
    from scipy.special import ndtri  # here, because a camera without noise never needs it

    values = ndtri((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    values /= np.sqrt(np.mean(values**2))
    return np.asarray(values, dtype=np.float32)


@compiled
def draw_normals(key: np.uint64, quantiles: SingleArray, out: SingleArray) -> None:
    """Write independent standard normal numbers (4 m,): four from each word of the counter."""
    words = out.size // 4
    mask, step = np.uint64(0xFFFF), np.uint64(0x9E3779B97F4A7C15)
    for j in range(words):
        # SplitMix64 (Steele, Lea and Flood, 2014): its j-th number, whichever were drawn before.
        word = key + np.uint64(j) * step
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        word = word ^ (word >> np.uint64(31))
        out[j] = quantiles[word & mask]
        out[words + j] = quantiles[(word >> np.uint64(16)) & mask]
        out[2 * words + j] = quantiles[(word >> np.uint64(32)) & mask]
        out[3 * words + j] = quantiles[word >> np.uint64(48)]


@compiled
def spread(
    drawn: SingleArray, upsampled: int, views: int, h: int, w: int, margin: int, normals: SingleArray
) -> None:
    """Write normal numbers (views * h * w,) of unit variance, as a recording's enlargement correlates them."""
    if upsampled == 0:
        normals[:] = drawn[: normals.size]
        return
    unit = np.float32(1.0 / np.sqrt(UPSAMPLED_VARIANCE))
    near, far = np.float32(0.75) * unit, np.float32(0.25) * unit
    rows, columns = native_size(upsampled, h, w)
    native = drawn[: views * rows * columns].reshape((views, rows, columns))
    out = normals.reshape((views, h, w))
    for view in range(views):
        for v in range(h):
            if upsampled == 1:
                i, side = _native(v + margin, margin)
                for u in range(w):
                    out[view, v, u] = near * native[view, i, u] + far * native[view, i + side, u]
            else:
                for u in range(w):
                    i, side = _native(u + margin, margin)
                    out[view, v, u] = near * native[view, v, i] + far * native[view, v, i + side]


@compiled
def native_size(upsampled: int, h: int, w: int) -> tuple[int, int]:
    """Return rows and columns of dual pixels that an image of h x w pixels needs."""
    if upsampled == 1:
        return h // 2 + 3, w
    if upsampled == 2:
        return h, w // 2 + 3
    return h, w


@compiled
def _native(stored: int, margin: int) -> tuple[int, int]:
    """Return the nearer native pixel of a stored one, from the first that is drawn, and which side the other is."""
    return stored // 2 - margin // 2 + 1, 1 if stored % 2 else -1


@compiled
def noise_left(weights: tuple[np.float32, np.float32, np.float32, np.float32], correlated: bool) -> np.float32:
    """Return the share of a slice's noise variance that the weighted sum of four neighbouring pixels has."""
    a, b, c, d = weights
    own = a * a + b * b + c * c + d * d
    if not correlated:
        return own
    _, one, two, three = UPSAMPLED_CORRELATION
    near, next_but_one = a * b + b * c + c * d, a * c + b * d
    return np.float32(own + 2.0 * (one * near + two * next_but_one + three * a * d))
