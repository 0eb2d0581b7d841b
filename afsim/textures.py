"""Procedural textures, shading and their like: linear light of mean 1 on square canvases, drawn from a generator.

Each function takes a :class:`numpy.random.Generator` and the canvas' side first, and gives (side, side) float64.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_OVERSAMPLING: Final = 3  # of drawn shapes, along each axis: edges are smooth to a tenth of the contrast
_SHIFT: Final = 4  # OpenCV's fixed point: sixteenths of an oversampled pixel
_FONTS: Final = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf")
_WORDS: Final = """
    a and aperture as at autumn bread by camera city depth early field focus for from garden glass green harbour
    in is it late lens letter light market measure morning near no of on one only paper river road salt sharp
    stone street table than that the three to train under very was water what window with 12 1968 27.50 3 40 0.5
"""


# ---------------------------------------------------------------------- textures
def dead_leaves(rng: np.random.Generator, side: int) -> FloatArray:
    """Draw overlapping discs, ellipses and polygons whose sizes follow a power law (Lee, Mumford and Huang, 2001).

    Radii with the density r^-3, from a smallest one of 1.5 to 6 px to a third of the side; light log-normal; half
    of the leaves carry a fine texture of their own.
    """
    smallest = np.exp(rng.uniform(np.log(1.5), np.log(6.0)))
    largest = max(side / 3.0, 2.0 * smallest)
    # A disc of every size covers its share of the canvas some six times, which leaves no hole worth seeing.
    count = int(6.0 * side**2 / (2.0 * np.pi * smallest**2 * np.log(largest / smallest)))
    radii = 1.0 / np.sqrt(rng.uniform(1.0 / largest**2, 1.0 / smallest**2, count))
    labels = leaf_labels(rng, side, radii)
    light = np.exp(rng.normal(0.0, rng.uniform(0.4, 0.8), count + 1))
    image = _shrink(light[labels])
    textured = _shrink((rng.uniform(size=count + 1) < 0.5)[labels].astype(np.float64))
    fine = power_noise(rng, side, rng.uniform(0.5, 1.0))
    return unit_mean(image * np.exp(rng.uniform(0.05, 0.2) * textured * fine))


def large_shapes(rng: np.random.Generator, side: int) -> FloatArray:
    """Draw a few large shapes of different light with a weak fine texture over them: furniture, walls, boxes."""
    count = int(rng.integers(6, 15))
    labels = leaf_labels(rng, side, side * rng.uniform(0.12, 0.35, count))
    image = _shrink(np.exp(rng.normal(0.0, 0.6, count + 1))[labels])
    return unit_mean(image * np.exp(rng.uniform(0.02, 0.08) * power_noise(rng, side, rng.uniform(0.4, 1.0))))


def cloth(rng: np.random.Generator, side: int) -> FloatArray:
    """Draw noise of a 1/f kind, half of the time over a weave of threads 3 to 8 px wide: cloth, skin, plaster.

    The exponent of the amplitude, 0.6 to 2, makes it rough or smooth.
    """
    image = np.exp(rng.uniform(0.25, 0.6) * power_noise(rng, side, rng.uniform(0.6, 2.0)))
    if rng.uniform() < 0.5:
        image = image * _weave(rng, side)
    return unit_mean(image)


def even(rng: np.random.Generator, side: int, contrast: tuple[float, float] = (0.01, 0.12)) -> FloatArray:
    """Draw a surface with hardly any texture: 1/f noise of log-uniform ``contrast`` (deviation over mean)."""
    strength = np.exp(rng.uniform(*np.log(contrast)))
    return unit_mean(np.exp(strength * power_noise(rng, side, rng.uniform(0.8, 1.4))))


def text(rng: np.random.Generator, side: int) -> FloatArray:
    """Draw lines of print, dark on light or light on dark, in a font and size of their own, slightly turned."""
    ink = text_ink(rng, side)
    paper = np.exp(0.03 * power_noise(rng, side, 1.0))
    dark = rng.uniform(0.05, 0.3)
    if rng.uniform() < 0.25:
        ink = 1.0 - ink
    return unit_mean(paper * (1.0 - (1.0 - dark) * ink))


TEXTURES: Final[dict[str, Callable[[np.random.Generator, int], FloatArray]]] = {
    "leaves": dead_leaves,
    "shapes": large_shapes,
    "cloth": cloth,
    "even": even,
    "text": text,
}


# ---------------------------------------------------------------------- what is done to a texture
def with_contrast(texture: FloatArray, exponent: float) -> FloatArray:
    """Return the texture to the power of ``exponent``, of mean 1 again: more contrast above 1, less below."""
    return unit_mean(np.maximum(texture, 0.0) ** exponent)


def shading(rng: np.random.Generator, side: int, strength: float, scale_px: float) -> FloatArray:
    """Return ``exp(strength * smooth field)``: large-scale light and shade of standard deviation ``scale_px``."""
    return unit_mean(np.exp(strength * smooth_noise(rng, side, scale_px)))


def luminance_edge(rng: np.random.Generator, side: int, log_amplitude: float, reach_px: float) -> FloatArray:
    """Return a step of light along a straight line that passes within ``reach_px`` of the middle."""
    turn, offset = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-reach_px, reach_px)
    x, y = coordinates(side)
    step = np.clip(0.5 + x * np.cos(turn) + y * np.sin(turn) - offset, 0.0, 1.0)
    return unit_mean(np.exp(log_amplitude * step))


def highlights(
    rng: np.random.Generator, side: int, count: int, amplitude: tuple[float, float], radius_px: tuple[float, float]
) -> FloatArray:
    """Return ``count`` small discs of light on black, within a middle of two thirds of the side.

    Parameters
    ----------
    amplitude, radius_px : (float, float)
        Ranges of log-uniform draws.
    """
    x, y = coordinates(side)
    image = np.zeros((side, side))
    for _ in range(count):
        cx, cy = rng.uniform(-side / 3.0, side / 3.0, 2)
        radius, light = (float(np.exp(rng.uniform(*np.log(bounds)))) for bounds in (radius_px, amplitude))
        # A disc with soft flanks: one with sharp flanks would ring once it is interpolated.
        image += light / (1.0 + np.exp((np.hypot(x - cx, y - cy) - radius).clip(-20.0, 20.0) / 0.4))
    return image


def unit_mean(image: FloatArray) -> FloatArray:
    """Return the image over its mean."""
    return np.asarray(image / image.mean())


# ---------------------------------------------------------------------- building blocks
def coordinates(side: int) -> tuple[FloatArray, FloatArray]:
    """Return x (1, side) and y (side, 1) of the canvas' pixels, 0 at its middle."""
    offset = np.arange(side, dtype=np.float64) - (side - 1) / 2.0
    return offset[None, :], offset[:, None]


def power_noise(rng: np.random.Generator, side: int, exponent: float) -> FloatArray:
    """Return Gaussian noise of deviation 1 whose amplitude falls as frequency^-exponent (1: as in photographs)."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    return _filtered(rng, side, frequency**-exponent)


def smooth_noise(rng: np.random.Generator, side: int, scale_px: float) -> FloatArray:
    """Return Gaussian noise of deviation 1, blurred by a Gaussian of ``scale_px``."""
    frequency2 = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side)[None, :] ** 2
    frequency2[0, 0] = np.inf
    return _filtered(rng, side, np.exp(-2.0 * np.pi**2 * scale_px**2 * frequency2))


def _filtered(rng: np.random.Generator, side: int, gain: FloatArray) -> FloatArray:
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * gain, s=(side, side))
    return np.asarray(field / max(float(field.std()), 1e-30))


def leaf_layer(rng: np.random.Generator, side: int, radii: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Draw scattered leaves: return their opacity and their light, both (side, side)."""
    labels = leaf_labels(rng, side, radii)
    light = np.exp(rng.normal(0.0, 0.6, len(radii) + 1))
    light[0] = 0.0
    alpha = _shrink((labels > 0).astype(np.float64))
    seen: FloatArray = _shrink(light[labels]) / np.maximum(alpha, 1e-3)
    return alpha, seen


def leaf_labels(rng: np.random.Generator, side: int, radii: FloatArray) -> IntArray:
    """Draw one shape a radius over one another; return which one is seen, 0 for none, three times oversampled.

    Returns
    -------
    (3 side, 3 side) int64
        0 ... len(radii).
    """
    import cv2

    wide = _OVERSAMPLING * side
    labels = np.zeros((wide, wide), dtype=np.int32)
    count = len(radii)
    centres = rng.uniform(0.0, wide, (count, 2))
    corners = rng.integers(0, 9, count)  # 0 to 2: an ellipse
    squeeze, turns = rng.uniform(0.45, 1.0, count), rng.uniform(0.0, 360.0, count)
    for i in range(count):
        points = _outline(radii[i] * _OVERSAMPLING, int(corners[i]), squeeze[i], turns[i])
        points = np.rint((centres[i] + points) * 2**_SHIFT).astype(np.int32)
        cv2.fillConvexPoly(labels, points, i + 1, lineType=cv2.LINE_8, shift=_SHIFT)
    return labels.astype(np.int64)


def _outline(radius: float, corners: int, squeeze: float, turn: float) -> FloatArray:
    """Return the outline of an ellipse (fewer than 3 corners) or polygon around 0, (points, 2)."""
    number = corners if corners >= 3 else int(np.clip(2.0 * radius, 8, 48))
    angle = np.arange(number) * (2.0 * np.pi / number)
    x, y = radius * np.cos(angle), squeeze * radius * np.sin(angle)
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    return np.stack((x * cos - y * sin, x * sin + y * cos), axis=1)


def _shrink(image: FloatArray) -> FloatArray:
    """Average an oversampled image down to the canvas."""
    side = len(image) // _OVERSAMPLING
    return np.asarray(image.reshape(side, _OVERSAMPLING, side, _OVERSAMPLING).mean(axis=(1, 3)))


def _weave(rng: np.random.Generator, side: int) -> FloatArray:
    """Return threads that go over and under each other, on a slightly uneven grid."""
    x, y = coordinates(side)
    turn, period = rng.uniform(0.0, np.pi), rng.uniform(3.0, 8.0)
    uneven = 0.15 * period * smooth_noise(rng, side, 4.0 * period)
    u = (x * np.cos(turn) + y * np.sin(turn) + uneven) / period
    v = (y * np.cos(turn) - x * np.sin(turn) + uneven) / period
    over = np.cos(np.pi * np.floor(u)) * np.cos(np.pi * np.floor(v))
    thread = np.where(over > 0, np.sin(np.pi * u) ** 2, np.sin(np.pi * v) ** 2)
    return np.asarray(1.0 + rng.uniform(0.2, 0.8) * (thread - 0.5))


def text_ink(rng: np.random.Generator, side: int) -> FloatArray:
    """Draw lines of words, (side, side), 1 for ink and 0 for paper, with soft edges."""
    import cv2

    font = _font(str(rng.choice(_FONTS)))
    font.set_size(float(np.exp(rng.uniform(np.log(7.0), np.log(30.0)))), 72.0)
    wide = int(1.5 * side)  # room for the turn
    sheet, top = np.zeros((wide, wide), dtype=np.uint8), 0
    while top < wide:
        line = _line(rng, font, wide)
        rows = line[: wide - top, :wide]
        sheet[top : top + rows.shape[0], : rows.shape[1]] = rows
        top += round(line.shape[0] * rng.uniform(1.05, 1.5)) + 1
    turn = cv2.getRotationMatrix2D((wide / 2.0, wide / 2.0), rng.uniform(-30.0, 30.0), 1.0)
    start = (wide - side) // 2
    ink = cv2.warpAffine(sheet, turn, (wide, wide), flags=cv2.INTER_LINEAR)[
        start : start + side, start : start + side
    ]
    return np.asarray(ink / 255.0)


def _line(rng: np.random.Generator, font: "FT2Font", wide: int) -> npt.NDArray[np.uint8]:
    """Return one line of words at least ``wide`` pixels wide."""
    known = _WORDS.split()
    words = [str(rng.choice(known))]
    while True:
        font.set_text(" ".join(words), 0.0)
        if font.get_width_height()[0] >= 64 * wide:
            break
        words += [str(word) for word in rng.choice(known, 8)]
    font.draw_glyphs_to_bitmap(antialiased=True)
    return np.asarray(font.get_image(), dtype=np.uint8)


def _font(name: str) -> "FT2Font":
    """Load a font: anew each time, because it remembers its text and threads must not share that."""
    from matplotlib import get_data_path  # here, because it takes long and a stored set never needs it
    from matplotlib.ft2font import FT2Font

    return FT2Font(f"{get_data_path()}/fonts/ttf/{name}")
