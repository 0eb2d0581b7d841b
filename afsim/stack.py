"""One recorded focal stack: a scene photographed at n lens positions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.errors import StackError

FloatArray = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
RawImage = npt.NDArray[np.uint16]
Direction = Literal["far-first", "unknown"]
DIRECTIONS: Final[tuple[Direction, ...]] = ("far-first", "unknown")


class Levels(NamedTuple):
    """Black and white level of raw data, in digital numbers (DN)."""

    black: int
    white: int

    def normalize(self, raw: npt.NDArray[np.generic]) -> Image:
        """Return raw DN as float32 with 0 at the black and 1 at the white level, not above 1."""
        scale = np.float32(1.0 / (self.white - self.black))
        image: Image = (raw.astype(np.float32) - np.float32(self.black)) * scale
        np.minimum(image, np.float32(1.0), out=image)
        return image


class Geometry(NamedTuple):
    """What all stacks of one set share.

    ``diopters`` is a tuple of n values, far first, or None where the distances are unknown.
    """

    n: int
    views: int
    height: int
    width: int
    levels: Levels
    direction: Direction
    diopters: tuple[float, ...] | None

    def __str__(self) -> str:
        """Describe the geometry in one line."""
        known = "known distances" if self.diopters is not None else "unknown distances"
        return (
            f"{self.n} slices x {self.views} view(s) x {self.height} x {self.width}, "
            f"levels {self.levels.black}..{self.levels.white}, {known}, {self.direction}"
        )


def check_geometry(geometry: Geometry, where: str) -> None:
    """Raise :class:`StackError` where a geometry is impossible; ``where`` names the stack or set."""
    if geometry.n < 2:
        raise StackError(f"{where}: a focal stack needs at least 2 slices, got {geometry.n}")
    if geometry.views not in (1, 2):
        raise StackError(f"{where}: views must be 1 (green) or 2 (left, right), got {geometry.views}")
    if geometry.height < 1 or geometry.width < 1:
        raise StackError(f"{where}: empty images of {geometry.height} x {geometry.width} pixels")
    black, white = geometry.levels
    if not 0 <= black < white <= 65535:
        raise StackError(f"{where}: levels must satisfy 0 <= black < white <= 65535, got {black}, {white}")
    if geometry.direction not in DIRECTIONS:
        raise StackError(f"{where}: direction must be one of {DIRECTIONS}, got {geometry.direction!r}")
    if geometry.diopters is not None:
        check_diopters(np.asarray(geometry.diopters), geometry.n, where)
        if geometry.direction != "far-first":
            raise StackError(f"{where}: distances are known, so direction must be 'far-first'")


def check_diopters(diopters: FloatArray, n: int, where: str) -> None:
    """Raise :class:`StackError` unless ``diopters`` are n finite, non-negative, increasing values."""
    if diopters.shape != (n,):
        raise StackError(f"{where}: expected {n} focus distances, one a slice, got {diopters.size}")
    if not np.isfinite(diopters).all():
        k = int(np.flatnonzero(~np.isfinite(diopters))[0])
        raise StackError(f"{where}: focus distance of slice {k} is {diopters[k]} dioptres, expected a number")
    if (diopters < 0).any():
        k = int(np.flatnonzero(diopters < 0)[0])
        raise StackError(f"{where}: focus distance of slice {k} is {diopters[k]:g} dioptres, expected >= 0")
    steps = np.diff(diopters)
    if (steps <= 0).any():
        k = int(np.flatnonzero(steps <= 0)[0])
        raise StackError(
            f"{where}: focus distances must come nearer from slice to slice (dioptres increase), "
            f"but slice {k} has {diopters[k]:g} and slice {k + 1} has {diopters[k + 1]:g} dioptres"
        )


@dataclass(frozen=True, eq=False)
class FocalStack:
    """One scene at n lens positions, index 0 far and index n-1 near (where the direction is known).

    Parameters
    ----------
    images : (n, V, H, W) uint16
        Raw digital numbers, linear in light. V = 2 is (left, right) dual pixel, V = 1 is green.
    levels : Levels
        Black and white level of ``images`` in DN.
    diopters : (n,) float64 or None
        Focus distance of each slice in dioptres, increasing; None where unknown.
    best_index : int or None
        The label: the slice in focus, perhaps noisy.
    best_index_exact : float or None
        The fractional, noise-free truth; rendered stacks only.
    region : (float, float)
        Centre of the region in the field, x and y in [-1, 1].
    noise : (float, float) or None
        Shot and read noise (S, O): variance = S x + O of the normalised signal x.
    direction : {"far-first", "unknown"}
        Whether index 0 is known to be the far end.
    name, scene : str
        The stack's own name, and what it shares with others of the same photograph or place.
    metadata : mapping
        Source, camera, licence and the like; plain JSON values.

    Raises
    ------
    StackError
        Where the parts do not fit together; the message names the stack, the field and the value.
    """

    images: RawImage
    levels: Levels
    diopters: FloatArray | None = None
    best_index: int | None = None
    best_index_exact: float | None = None
    region: tuple[float, float] = (0.0, 0.0)
    noise: tuple[float, float] | None = None
    direction: Direction = "far-first"
    name: str = "stack"
    scene: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"stack {self.name!r}"
        if self.images.ndim != 4:
            raise StackError(f"{where}: images must be (n, views, height, width), got shape {self.images.shape}")
        if self.images.dtype != np.uint16:
            raise StackError(f"{where}: images must be uint16 DN, got {self.images.dtype}")
        check_geometry(self.geometry, where)
        self._check_labels(where)

    def _check_labels(self, where: str) -> None:
        last = self.n - 1
        label = self.best_index
        if label is not None and (not 0 <= label <= last or int(label) != label):
            raise StackError(f"{where}: best_index must be an integer in 0 ... {last}, got {label}")
        exact = self.best_index_exact
        if exact is not None and not 0 <= exact <= last:
            raise StackError(f"{where}: best_index_exact must be in 0 ... {last}, got {exact}")
        if not all(-1 <= value <= 1 for value in self.region):
            raise StackError(f"{where}: region (x, y) must lie in [-1, 1], got {self.region}")
        if self.noise is not None and not all(value >= 0 and np.isfinite(value) for value in self.noise):
            raise StackError(f"{where}: noise (S, O) must be finite and >= 0, got {self.noise}")

    @property
    def n(self) -> int:
        """Number of slices."""
        return int(self.images.shape[0])

    @property
    def geometry(self) -> Geometry:
        """What this stack must share with the others of a set."""
        diopters = None if self.diopters is None else tuple(float(value) for value in self.diopters)
        n, views, height, width = self.images.shape
        return Geometry(n, views, height, width, self.levels, self.direction, diopters)

    def normalized(self) -> Image:
        """Return the images as (n, V, H, W) float32 with 0 at the black and 1 at the white level."""
        return self.levels.normalize(self.images)

    def green(self) -> Image:
        """Return the green images (n, H, W) float32: the mean of the views."""
        return np.asarray(self.normalized().mean(axis=1), dtype=np.float32)
