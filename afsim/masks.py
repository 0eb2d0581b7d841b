"""Shapes of surfaces in front of others: opacities 0 ... 1 on square canvases, drawn from a generator.

Each function takes a :class:`numpy.random.Generator`, the canvas' side and the size of the patch in its middle, and
gives (side, side) float64 with edges one pixel wide. Places and widths are those of a patch of 128 pixels; they
scale with ``size``, but for the thinnest lines.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.textures import coordinates, smooth_noise

FloatArray = npt.NDArray[np.float64]
Mask = Callable[[np.random.Generator, int, int], FloatArray]

_PATCH: Final = 128.0  # the patch that the sizes below are for
_OVERSAMPLING: Final = 4  # of drawn lines, along each axis
_SHIFT: Final = 4  # OpenCV's fixed point: sixteenths of an oversampled pixel


# ---------------------------------------------------------------------- masks of the study
def half_plane(rng: np.random.Generator, side: int, size: int) -> FloatArray:
    """Cover one side of a straight edge that passes -75 to 75 px from the middle, now and then beside the patch."""
    return _covered(_along(side, rng.uniform(0.0, 2.0 * np.pi)) - rng.uniform(-75.0, 75.0) * size / _PATCH)


def blob(rng: np.random.Generator, side: int, size: int) -> FloatArray:
    """Cover where a smooth random field is high: a soft outline, of a quarter to three quarters of the canvas."""
    scale = np.exp(rng.uniform(np.log(12.0), np.log(40.0))) * size / _PATCH
    field = smooth_noise(rng, side, scale) - rng.uniform(-0.6, 0.6)
    steepness = np.hypot(*np.gradient(field))
    return _covered(field / np.maximum(steepness, 1e-6))


def strip(rng: np.random.Generator, side: int, size: int) -> FloatArray:
    """Cover a straight strip, 4 to 50 px wide: a pole, a table's edge, a finger."""
    width = np.exp(rng.uniform(np.log(4.0), np.log(50.0))) * size / _PATCH
    across = _along(side, rng.uniform(0.0, np.pi)) - rng.uniform(-50.0, 50.0) * size / _PATCH
    return _covered(width / 2.0 - np.abs(across))


def disc_or_box(rng: np.random.Generator, side: int, size: int) -> FloatArray:
    """Cover a disc or a turned box, 20 to 90 px across."""
    x, y = coordinates(side)
    cx, cy = rng.uniform(-45.0, 45.0, 2) * size / _PATCH
    radius = rng.uniform(10.0, 45.0) * size / _PATCH
    if rng.uniform() < 0.5:
        return _covered(radius - np.hypot(x - cx, y - cy))
    turn, squeeze = rng.uniform(0.0, np.pi), rng.uniform(0.4, 1.0)
    u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
    v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
    return _covered(np.minimum(radius - np.abs(u), radius * squeeze - np.abs(v)))


MASKS: Final[dict[str, Mask]] = {
    "half_plane": half_plane,
    "blob": blob,
    "strip": strip,
    "disc_or_box": disc_or_box,
}


def _along(side: int, turn: float) -> FloatArray:
    x, y = coordinates(side)
    return np.asarray(x * np.cos(turn) + y * np.sin(turn))


def _covered(distance: FloatArray) -> FloatArray:
    """Return how much of a pixel lies inside, from its distance to the edge (positive inside)."""
    return np.clip(0.5 + distance, 0.0, 1.0)


# ---------------------------------------------------------------------- thin structures
def wires(rng: np.random.Generator, side: int, size: int) -> FloatArray:
    """Cover 2 to 7 sagging wires or bars, 0.8 to 4 px wide, nearly parallel, now and then crossed by others."""
    lines: list[tuple[FloatArray, float]] = []
    for _ in range(1 if rng.uniform() < 0.6 else 2):
        turn, width = rng.uniform(0.0, np.pi), np.exp(rng.uniform(np.log(0.8), np.log(4.0)))
        gap, sag = rng.uniform(10.0, 35.0) * size / _PATCH, rng.normal(0.0, 0.0003) * _PATCH / size
        number = int(rng.integers(2, 8))
        u = np.linspace(-side, side, 65)
        for row in range(number):
            v = (row - (number - 1) / 2.0) * gap + rng.normal(0.0, 0.1 * gap) + sag * u**2
            lines.append((_turned(u, v, turn + rng.normal(0.0, 0.02)), width))
    return _drawn(lines, side)


def branches(rng: np.random.Generator, side: int, size: int) -> FloatArray:
    """Cover 1 to 3 twigs that reach in from outside and fork, 1 to 8 px wide."""
    lines: list[tuple[FloatArray, float]] = []
    scale = size / _PATCH
    for _ in range(int(rng.integers(1, 4))):
        turn = rng.uniform(0.0, 2.0 * np.pi)
        along, width = np.array([np.cos(turn), np.sin(turn)]), rng.uniform(3.0, 8.0) * scale
        start = -0.5 * size * along + rng.normal(0.0, 15.0 * scale, 2)
        lines.append((np.stack((start - side * along, start)), width))
        _grow(rng, start, turn, width, scale, lines)
    return _drawn(lines, side)


def _grow(
    rng: np.random.Generator,
    start: FloatArray,
    turn: float,
    width: float,
    scale: float,
    lines: list[tuple[FloatArray, float]],
) -> None:
    """Add a crooked twig from ``start`` and the twigs that fork from it, each thinner, to ``lines``."""
    if width < 0.9 * min(scale, 1.0) or len(lines) > 60:
        return
    steps = int(rng.integers(6, 14))
    turns = turn + np.cumsum(rng.normal(0.0, 0.16, steps))
    lengths = rng.uniform(4.0, 9.0) * scale
    path = start + np.cumsum(np.stack((np.cos(turns), np.sin(turns)), axis=1) * lengths, axis=0)
    path = np.concatenate((start[None], path))
    lines.append((path, width))
    for fork in sorted(rng.choice(np.arange(2, steps + 1), size=int(rng.integers(2, 4)), replace=False)):
        bend = rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 0.9)
        _grow(rng, path[fork], turns[fork - 1] + bend, width * rng.uniform(0.45, 0.75), scale, lines)


def hair(rng: np.random.Generator, side: int, size: int) -> FloatArray:
    """Cover 10 to 45 strands of hair or grass, 0.6 to 1.6 px wide, that run together and curl."""
    turn, bend = rng.uniform(0.0, 2.0 * np.pi), rng.normal(0.0, 0.004) * _PATCH / size
    u = np.linspace(-0.7 * side, 0.7 * side, 41)
    lines = []
    for _ in range(int(rng.integers(10, 46))):
        at, curl = rng.uniform(-0.5, 0.5) * size, bend + rng.normal(0.0, 0.0015) * _PATCH / size
        wave = rng.uniform(0.0, 4.0) * np.sin(u / rng.uniform(15.0, 40.0) + rng.uniform(0.0, 6.3))
        lines.append((_turned(u, at + curl * u**2 + wave, turn + rng.normal(0.0, 0.12)), rng.uniform(0.6, 1.6)))
    return _drawn(lines, side)


THIN: Final[dict[str, Mask]] = {"wires": wires, "branches": branches, "hair": hair}


def _turned(u: FloatArray, v: FloatArray, turn: float) -> FloatArray:
    return np.stack((u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn)), axis=1)


def _drawn(lines: list[tuple[FloatArray, float]], side: int) -> FloatArray:
    """Draw lines, each a path (points, 2) from the canvas' middle and its width in pixels."""
    import cv2

    sheet = np.zeros((side * _OVERSAMPLING,) * 2, dtype=np.uint8)
    for path, width in lines:
        points = np.rint((path + side / 2.0) * _OVERSAMPLING * 2**_SHIFT).astype(np.int32)
        thickness = max(1, round(float(width) * _OVERSAMPLING))
        cv2.polylines(sheet, [points], False, 255, thickness, cv2.LINE_8, _SHIFT)
    blocks = sheet.reshape(side, _OVERSAMPLING, side, _OVERSAMPLING)
    return np.asarray(blocks.mean(axis=(1, 3)) / 255.0)
