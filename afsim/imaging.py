"""The compiled loop of an exposure: mix slices, shift and scale them, add noise, clip, quantise.

Every lane's arithmetic is its own, so a batch gives what its lanes give alone.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.grain import draw_normals, native_size, spread
from afsim.jit import compiled
from afsim.keys import Keys, mix
from afsim.lookup import value_at
from afsim.sampling import Shape, add_sampled

FloatArray = npt.NDArray[np.float64]
SingleArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
AnyImage = npt.NDArray[np.generic]


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
        From :func:`afsim.grain.normal_quantiles`.
    digits : float
        Digital numbers between black and white; 0 adds no noise and rounds nothing.
    blends : bool
        Whether noise that the mixture averages away is put back.
    upsampled : int
        One of :data:`afsim.grain.UPSAMPLED`: the axis along which the recording, and its noise, was enlarged.
    """

    total: SingleArray
    recorded: SingleArray
    keys: Keys
    quantiles: SingleArray
    digits: float
    blends: bool
    upsampled: int


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
def are_sound(ids: IntArray, positions: FloatArray, weights: FloatArray, stacks: int) -> bool:
    """Tell whether every lane looks at a stack there is, and its places and shares are numbers."""
    sound = True
    for lane in range(ids.size):
        sound &= 0 <= ids[lane] < stacks
        for sample in range(positions.shape[1]):
            sound &= np.isfinite(positions[lane, sample]) and np.isfinite(weights[lane, sample])
    return bool(sound)


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
    rows, columns = native_size(grain.upsampled, h, w)
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
        here = value_at(views.scales, place)
        for k in range(shape.n):
            if shares[k] != 0.0:
                # Where a neighbour's content is, seen at the scale of the place between them.
                moved = views.scales[k] / here - 1.0
                at_x, at_y = x + views.arms[lane, 0] * moved, y + views.arms[lane, 1] * moved
                add_sampled(slices[first + k], shape, step, at_x, at_y, shares[k], grain.upsampled, image, squares)
        if grain.digits == 0.0:
            _write(image, scale, out[lane])
            continue
        if not grain.blends:
            squares[:] = np.float32(1.0)
        draw_normals(mix(grain.keys[lane], np.uint64(0)), grain.quantiles, drawn)
        spread(drawn, grain.upsampled, shape.views, h, w, shape.margin, normals)
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
            # What is recorded at white is far above it: its noise does not show.
            variance = variance if x < white else none
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
