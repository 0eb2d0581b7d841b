"""The compiled loop of an exposure: mix slices, shift and scale them, add noise, clip, quantise.

Every lane's arithmetic is its own, so a batch gives what its lanes give alone. Noise comes from counters: the
normal number of a pixel is looked up by 16 bits of a word that is mixed from the lane's key and the pixel's number.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled
from afsim.keys import Keys, mix
from afsim.sampling import Shape, add_sampled

FloatArray = npt.NDArray[np.float64]
SingleArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
AnyImage = npt.NDArray[np.generic]

_QUANTILES: Final = 1 << 16

UPSAMPLED: Final = {"none": 0, "rows": 1, "columns": 2}
# Variance that is left of white noise after bilinear enlargement by two: 0.75^2 + 0.25^2.
UPSAMPLED_VARIANCE: Final = 0.625


class Scale(NamedTuple):
    """How values become others: clip((value - black) gain + half, low, top), all float32."""

    black: np.float32
    gain: np.float32
    half: np.float32
    low: np.float32
    top: np.float32


class Views(NamedTuple):
    """Where N lanes look.

    Attributes
    ----------
    steps : (N,) float64
        Step of each lane's sampling grid in recorded pixels.
    firsts : (N, 2) float64
        The grid's first point, x and y in recorded pixels.
    arms : (N, 2) float64
        From the principal point to the middle of the patch, x and y in recorded pixels.
    scales : (n,) float64
        Image scale of the slices as recorded: breathing moves a patch's content by its arm times that.
    """

    steps: FloatArray
    firsts: FloatArray
    arms: FloatArray
    scales: FloatArray


class Grain(NamedTuple):
    """What noise N lanes have.

    Attributes
    ----------
    total, recorded : (N, 2) float32
        (S, O) that an image should have, and that a recorded slice has.
    keys : (N,) uint64
        Seeds.
    quantiles : (65536,) float32
        :func:`normal_quantiles`.
    digits : float
        Digital numbers between black and white; 0 adds no noise and rounds nothing.
    blends : bool
        Whether noise that the mixture averages away is put back.
    upsampled : int
        One of ``UPSAMPLED``: the axis along which the recording was enlarged twofold, and its noise with it.
    """

    total: SingleArray
    recorded: SingleArray
    keys: Keys
    quantiles: SingleArray
    digits: float
    blends: bool
    upsampled: int


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
def replay(
    slices: npt.NDArray[np.uint16],
    n: int,
    ids: IntArray,
    positions: FloatArray,
    raw: bool,
    scale: Scale,
    out: AnyImage,
    begin: int,
    end: int,
) -> None:
    """Write lanes begin ... end-1 as recorded, all at whole positions (N, 1): what :func:`develop` would write."""
    for lane in range(begin, end):
        _copy(slices[ids[lane] * n + int(positions[lane, 0])], raw, scale, out[lane])


@compiled
def are_whole(positions: FloatArray, n: int) -> bool:
    """Tell whether positions (N, S) are one whole index of 0 ... n-1 each."""
    whole = positions.shape[1] == 1
    for lane in range(positions.shape[0] if whole else 0):
        place = positions[lane, 0]
        whole &= place == np.floor(place) and 0.0 <= place <= n - 1.0
    return bool(whole)


@compiled
def develop(
    slices: npt.NDArray[np.uint16],
    shape: Shape,
    ids: IntArray,
    positions: FloatArray,
    weights: FloatArray,
    nearest: bool,
    views: Views,
    grain: Grain,
    raw: bool,
    scale: Scale,
    levels: Scale,
    finish: Scale,
    out: AnyImage,
    begin: int,
    end: int,
) -> None:
    """Write lanes begin ... end-1 of an exposure.

    Parameters
    ----------
    slices : (stacks * n, pixels) uint16
        All slices of all stacks.
    ids : (N,) int64
    positions, weights : (N, S) float64
        Where each lens is during the exposure, and for what share of it.
    nearest : bool
        Take the nearest slices instead of blending neighbours.
    raw : bool
        Whether ``out`` holds raw values, so that a slice that is seen alone is a plain copy.
    scale, levels, finish : Scale
        From raw values to ``out``, from raw values to normalised ones, and from those to ``out``.
    """
    h, w = shape.height - 2 * shape.margin, shape.width - 2 * shape.margin
    shares = np.empty(shape.n)
    image, squares = np.empty(shape.views * h * w, np.float32), np.empty(h * w, np.float32)
    rows, columns = _native_size(grain.upsampled, h, w)
    normals = np.empty(image.size, np.float32)
    drawn = np.empty((shape.views * rows * columns + 3) // 4 * 4, np.float32)
    digits = np.float32(grain.digits)
    for lane in range(begin, end):
        share_slices(positions[lane], weights[lane], nearest, shares)
        only, first = int(np.argmax(shares)), ids[lane] * shape.n
        step, x, y = views.steps[lane], views.firsts[lane, 0], views.firsts[lane, 1]
        alone = shares[only] == 1.0 and grain.digits == 0.0
        if alone and step == 1.0 and x == 0.0 and y == 0.0 and shape.margin == 0:
            _copy(slices[first + only], raw, scale, out[lane])
            continue
        image[:] = np.float32(0.0)
        squares[:] = np.float32(0.0)
        place = (shares * np.arange(shape.n)).sum()
        here = _at(views.scales, place)
        for k in range(shape.n):
            if shares[k] != 0.0:
                # Where a neighbour's content is, seen at the scale of the place between them.
                moved = views.scales[k] / here - 1.0
                at_x, at_y = x + views.arms[lane, 0] * moved, y + views.arms[lane, 1] * moved
                add_sampled(slices[first + k], shape, step, at_x, at_y, shares[k], image, squares)
        if grain.digits == 0.0:
            _write(image, scale, out[lane])
            continue
        if not grain.blends:
            squares[:] = np.float32(1.0)
        draw_normals(mix(grain.keys[lane], np.uint64(0)), grain.quantiles, drawn)
        _spread(drawn, grain.upsampled, shape.views, h, w, shape.margin, normals)
        _write_noisy(
            image, squares, grain.total[lane], grain.recorded[lane], normals, levels, digits, finish, out[lane]
        )


@compiled
def share_slices(positions: FloatArray, weights: FloatArray, nearest: bool, shares: FloatArray) -> None:
    """Write what share each slice has in an exposure: positions and weights (S,), shares (n,)."""
    n = shares.size
    shares[:] = 0.0
    for sample in range(positions.size):
        place = min(max(positions[sample], 0.0), n - 1.0)
        if nearest:
            place = np.floor(place + 0.5)
        below = min(int(place), n - 2)
        shares[below] += weights[sample] * (1.0 - (place - below))
        shares[below + 1] += weights[sample] * (place - below)


@compiled
def _at(table: FloatArray, index: float) -> float:
    below = min(max(int(index), 0), table.size - 2)
    return float(table[below] + (index - below) * (table[below + 1] - table[below]))


@compiled
def _copy(row: npt.NDArray[np.uint16], raw: bool, scale: Scale, out: AnyImage) -> None:
    """Write a recorded slice as it is, or scaled."""
    if raw:
        for p in range(row.size):
            out[p] = row[p]
        return
    black, gain, half, low, top = scale.black, scale.gain, scale.half, scale.low, scale.top
    for p in range(row.size):
        value = (np.float32(row[p]) - black) * gain + half
        out[p] = min(max(value, low), top)


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
def _spread(
    drawn: SingleArray, upsampled: int, views: int, h: int, w: int, margin: int, normals: SingleArray
) -> None:
    """Write normal numbers (views * h * w,) of unit variance, as a recording's enlargement correlates them.

    The sensor's dual pixels are twice as tall as wide; recordings are enlarged along that axis, bilinearly with
    half-pixel centres, so that neighbours there share their noise.
    """
    if upsampled == 0:
        normals[:] = drawn[: normals.size]
        return
    unit = np.float32(1.0 / np.sqrt(UPSAMPLED_VARIANCE))
    near, far = np.float32(0.75) * unit, np.float32(0.25) * unit
    rows, columns = _native_size(upsampled, h, w)
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
def _native_size(upsampled: int, h: int, w: int) -> tuple[int, int]:
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
def _write_noisy(
    image: SingleArray,
    squares: SingleArray,
    total: SingleArray,
    recorded: SingleArray,
    normals: SingleArray,
    levels: Scale,
    digits: np.float32,
    finish: Scale,
    out: AnyImage,
) -> None:
    """Write one lane's values (views * pixels,) with the noise they lack, clipped and rounded to digits.

    ``total`` and ``recorded`` (2,) are the (S, O) that the image should have and that its slices had; mixing and
    sampling have left ``squares`` (pixels,) of the latter.
    """
    pixels = squares.size
    none, half, white = np.float32(0.0), np.float32(0.5), np.float32(1.0)
    # Single numbers, and comparisons in place of min and max: only so does the loop become one of vectors.
    black, gain, low = levels.black, levels.gain, levels.low
    shot, read, shot_left, read_left = total[0], total[1], recorded[0], recorded[1]
    digit = white / digits
    finish_gain, finish_half, finish_low, finish_top = finish.gain, finish.half, finish.low, finish.top
    for view in range(image.size // pixels):
        begin, end = view * pixels, (view + 1) * pixels
        values, drawn, written = image[begin:end], normals[begin:end], out[begin:end]
        for p in range(pixels):
            x = (values[p] - black) * gain
            light = x if x > none else none
            variance = shot * light + read - squares[p] * (shot_left * light + read_left)
            variance = variance if variance > none else none
            x += np.sqrt(variance) * drawn[p]
            x = x if x > low else low
            x = x if x < white else white
            x = np.floor(x * digits + half) * digit * finish_gain + finish_half
            x = x if x > finish_low else finish_low
            written[p] = x if x < finish_top else finish_top


@compiled
def _write(image: SingleArray, scale: Scale, out: AnyImage) -> None:
    """Write one lane's values, scaled, as whatever type ``out`` has."""
    black, gain, half, low, top = scale.black, scale.gain, scale.half, scale.low, scale.top
    for p in range(image.size):
        value = (image[p] - black) * gain + half
        value = value if value > low else low
        out[p] = value if value < top else top
