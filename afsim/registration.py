"""Registration of focal stacks: undo what focal breathing moves, by resampling every slice to one slice's framing.

Table 3 of the paper (section 7.3) compares contrast measures on stacks that were registered in two ways: by a
zoom-and-crop calibrated with the reported focus distances, and by a grid search for the zoom that leaves the least
squared difference. Both are a zoom about the principal point here, so both views of a slice get the same map. What
lies beyond a recorded patch is never made up: a set is refused where it would be needed.
"""

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from afsim.checks import check_number, check_whole
from afsim.errors import AfsimError, WithheldError, unknown
from afsim.framing import Framing
from afsim.grain import UPSAMPLED
from afsim.inorder import in_order
from afsim.jit import compiled
from afsim.optics import PIXEL3_FOCAL_LENGTH_M, magnification
from afsim.sampling import Shape, add_sampled
from afsim.stack import FocalStack, Geometry, RawImage
from afsim.stackset import StackSet
from afsim.stackstore import index_rows, merge_index
from afsim.zoomsearch import fit_gain, search_zooms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Method = Literal["calibrated", "search"]

# A search with a larger standard error of the gain is not believed. On rendered stacks it is off by about three
# times its standard error, because drift sideways looks like zoom; so this is 0.15, and six recordings of a Pixel 3
# differ by 0.1 (standard deviation) anyway.
_LARGEST_ERROR: Final = 0.05
# Breathing gains found on recordings lie within 0.3 of each other: what is farther off is a false match.
_LARGEST_CHANGE: Final = 0.6
# A lens whose image scale changes ten times as much as a thin lens's is none.
_LARGEST_GAIN: Final = 10.0
# Rounding of places at the border, in pixels.
_ROUNDING_PX: Final = 1e-6
# What cubic convolution takes in beyond a place.
_SPARE_PX: Final = 1


@dataclass(frozen=True, eq=False)
class Registration:
    """How the stacks of a set are registered.

    Attributes
    ----------
    stacks : StackSet
        The recordings. Their metadata may tell ``breathing``, ``frame_px`` and ``margin``, as for
        :class:`afsim.framing.Framing`.
    method : {"calibrated", "search"}
        Whether the zoom of each slice is that of the focus distances, or searched for in each stack's pixels. Where
        a stack's pixels do not determine it, a search takes the calibrated zoom, and the stack's metadata say so.
    reference : int, optional
        The slice whose framing all get. By default the nearest, which shows the least, where every patch contains
        its principal point, as whole frames do: then nothing is missing. Patches away from it are cropped from a
        larger recording anyway; they take the middle slice, whose framing a rendered set's labels refer to.
    gain : float, optional
        Breathing of the lens over a thin lens's, for the calibration. By default what the set tells (rendered sets
        1.3, as was measured on the paper's camera), because a calibration is of the lens that recorded; 1 where it
        tells nothing. With 1 the reported distances alone count, which leaves some breathing, as in the paper.
    margin : int, optional
        Pixels cut off at each border; by default those that the set was recorded or rendered with for that purpose.
    focal_length_m : float
        Of the lens, in metres; the Pixel 3's by default.

    Raises
    ------
    WithheldError
        Where the focus distances are unknown.
    AfsimError
        For an option that does not fit, or a zoom that looks beyond the recorded patches.
    """

    stacks: StackSet
    method: Method = "calibrated"
    reference: int | None = None
    gain: float | None = None
    margin: int | None = None
    focal_length_m: float = PIXEL3_FOCAL_LENGTH_M

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise unknown("registration", self.method, get_args(Method))
        if self.stacks.diopters is None:
            raise WithheldError("stacks cannot be registered: their focus distances are unknown")
        if self.reference is not None:
            check_whole("reference", self.reference, least=0, most=self.stacks.n - 1)
        if self.gain is not None:
            check_number("gain", self.gain, least=0.0, most=_LARGEST_GAIN)
        check_number("focal_length_m", self.focal_length_m, above=0.0)
        if len(self.stacks) == 0:
            raise AfsimError(f"there is no stack to register in {self.stacks!r}")
        missing = self._beyond(self.centres, self.told_gain)
        if (most := float(missing.max())) > 0.0:
            raise AfsimError(
                f"registration to slice {self.at} looks {most:.1f} pixels beyond the patch of stack "
                f"{self.stacks.names[int(missing.argmax())]!r} of {self.stacks!r} with {self.crop} pixels cut off "
                "at each border; record or render with a margin of at least "
                f"{self.crop + int(np.ceil(most)) + _SPARE_PX}, or choose another reference"
            )

    # ------------------------------------------------------------------ what the options mean
    @cached_property
    def framing(self) -> Framing:
        """Where the principal point lies in the patches."""
        return Framing(self.stacks, self.focal_length_m, 1.0, self.margin)

    @property
    def crop(self) -> int:
        """Pixels cut off at each border."""
        return self.framing.crop

    @property
    def geometry(self) -> Geometry:
        """Geometry of the registered stacks: the recorded one without the borders."""
        recorded = self.stacks.geometry
        return recorded._replace(height=recorded.height - 2 * self.crop, width=recorded.width - 2 * self.crop)

    @cached_property
    def centres(self) -> FloatArray:
        """The principal point (N, 2) of each patch, x and y in recorded pixels."""
        ids = np.arange(len(self.stacks))
        place = np.zeros((len(ids), 1))
        return self._last / 2.0 - self.framing.views(ids, place, place + 1.0, None).arms

    @cached_property
    def told_gain(self) -> float:
        """Breathing of the lens over a thin lens's: as given, else what the set tells."""
        return float(self.framing.told("breathing", 1.0)) if self.gain is None else float(self.gain)

    @cached_property
    def at(self) -> int:
        """The slice whose framing all get."""
        if self.reference is not None:
            return int(self.reference)
        inside = (self.centres >= self.crop) & (self.centres <= self._last - self.crop)
        return self.stacks.n - 1 if inside.all() else self.stacks.n // 2

    @cached_property
    def growth(self) -> FloatArray:
        """Logarithm (n,) of the thin lens's image scale over that at the reference."""
        scale = magnification(self.stacks.diopters, self.focal_length_m)  # type: ignore[arg-type]  # checked above
        return np.asarray(np.log(scale / scale[self.at]))

    @cached_property
    def _last(self) -> FloatArray:
        """Last column and row (2,) of a recorded patch."""
        return np.array([self.stacks.geometry.width, self.stacks.geometry.height]) - 1.0

    def _grids(self, centres: FloatArray, gain: float) -> tuple[FloatArray, FloatArray]:
        """Return steps (n,) and first points (..., n, 2) of the slices' grids, for ``centres`` (..., 2)."""
        steps = np.exp(gain * self.growth)
        # Written so that a step of 1 leaves whole pixels whole.
        return steps, self.crop + (steps[:, None] - 1.0) * (self.crop - centres[..., None, :])

    def _beyond(self, centres: FloatArray, gain: float) -> FloatArray:
        """Return how many pixels beyond the recorded patch the grids of each of ``centres`` (N, 2) look, (N,)."""
        steps, first = self._grids(centres, gain)
        last = first + steps[:, None] * (self._last - 2 * self.crop)
        missing = np.maximum(-first, last - self._last).max(axis=(1, 2))
        return np.where(missing > _ROUNDING_PX, missing, 0.0)

    # ------------------------------------------------------------------ the work
    def stack(self, i: int) -> FocalStack:
        """Return stack ``i`` registered: the same whichever others are."""
        stack = self.stacks[i]
        record: dict[str, Any] = {"gain": round(self.told_gain, 6)}
        if self.method == "search":
            record = self._search(stack, self.centres[i])
        steps, firsts = self._grids(self.centres[i], float(record["gain"]))
        images, left = self._resample(stack.images, steps, firsts)
        record["noise_left"] = [round(float(left.min()), 4), round(float(left.max()), 4)]
        noise = stack.noise and (stack.noise[0] * float(left.mean()), stack.noise[1] * float(left.mean()))
        told = {"margin": 0, "breathing": self._breathing_left(stack, record), "registration": record}
        return replace(stack, images=images, noise=noise, metadata={**stack.metadata, **told})

    def _breathing_left(self, stack: FocalStack, record: Mapping[str, Any]) -> float:
        """Return what is left of a stack's own breathing: nothing that a search has found in its pixels."""
        if self.method == "search" and "fallback" not in record:
            return 0.0
        told: Any = stack.metadata.get("breathing", self.framing.told("breathing", 1.0))
        return round(float(told) - float(record["gain"]), 6)

    def _search(self, stack: FocalStack, centre: FloatArray) -> dict[str, Any]:
        """Search for a stack's gain and say what was found; the calibrated gain where there is no hold."""
        green = stack.images.sum(axis=1, dtype=np.float32)
        found = fit_gain(search_zooms(green, centre, self.told_gain * self.growth, self.at), self.growth)
        why = ""
        if not found.error <= _LARGEST_ERROR or abs(found.gain - self.told_gain) > _LARGEST_CHANGE:
            why = "the pixels do not determine the zoom"
        elif self._beyond(centre[None], found.gain)[0] > 0.0:
            why = "the zoom that was found looks beyond the patch"
        record: dict[str, Any] = {"gain": round(self.told_gain if why else found.gain, 6), "slices": found.slices}
        if np.isfinite(found.error):
            record["gain_error"] = round(found.error, 6)
        return {**record, "fallback": f"calibrated: {why}"} if why else record

    def _resample(self, images: RawImage, steps: FloatArray, firsts: FloatArray) -> tuple[RawImage, FloatArray]:
        """Return slices on their grids, and the share (n,) of the noise's variance that is left in each."""
        n, views, height, width = images.shape
        shape = Shape(n, views, height, width, self.crop)
        out = np.empty((n, views, height - 2 * self.crop, width - 2 * self.crop), dtype=np.uint16)
        left = np.empty(n)
        # A copy, because numba compiles once more for arrays that are read-only, as mapped ones are.
        slices = np.array(images, order="C").reshape(n, -1)
        axis = UPSAMPLED.get(str(self.framing.told("upsampled", "none")), 0)
        _resample(slices, shape, steps, firsts, axis, float(self.stacks.levels.white), out.reshape(n, -1), left)
        return out, left

    def in_order(self, *, workers: int | None = None) -> Generator[FocalStack, None, None]:
        """Register all stacks in order, on all cores (or ``workers`` threads)."""
        return in_order(self.stack, range(len(self.stacks)), workers=workers)

    @property
    def metadata(self) -> Mapping[str, object]:
        """What the registered set says of itself."""
        left = 0.0 if self.method == "search" else float(self.framing.told("breathing", 1.0)) - self.told_gain
        return {
            **self.stacks.metadata,
            "margin": 0,
            "breathing": round(left, 6),
            "noise": "(S, O) of the recording times the share that interpolation leaves of its variance, the mean "
            "over the slices (least and most: noise_left); neighbouring pixels share noise",
            "registration": {
                "method": self.method,
                "reference": self.at,
                "gain": self.told_gain,
                "margin": self.crop,
                "interpolation": "cubic convolution",
                "source_sha256": self.stacks.digest,
            },
        }


def register(
    stacks: StackSet,
    method: Method = "calibrated",
    *,
    reference: int | None = None,
    gain: float | None = None,
    margin: int | None = None,
) -> StackSet:
    """Return the stacks registered against focal breathing, in memory.

    Parameters
    ----------
    stacks, method, reference, gain, margin
        As in :class:`Registration`.

    Returns
    -------
    StackSet
        Without the margins. Raw values on the recording's levels: resampled by cubic convolution (Keys, 1981),
        rounded, and cut off at 0 and at the white level (or the brightest recorded value, if that is higher).
        The reference slice is the recorded one. Labels are kept. The metadata tell ``breathing``, what is left of
        it by the gain that was used, and ``registration``.

    Raises
    ------
    AfsimError
        As :class:`Registration`.

    Notes
    -----
    ``registered_k(r) = I_k(r (M_k / M_ref) ** gain)``, r from the principal point of the frame, M the thin lens's
    image scale (paper, section 7.3). Slices that are resampled have less noise than the reference, which is not.
    """
    registration = Registration(stacks, method, reference, gain, margin)
    geometry = registration.geometry
    images = np.empty((len(stacks), geometry.n, geometry.views, geometry.height, geometry.width), dtype=np.uint16)
    rows = []
    with closing(registration.in_order()) as registered:
        for i, stack in enumerate(registered):
            images[i] = stack.images
            rows.append(index_rows([stack]))
    return StackSet(geometry, images, merge_index(rows), registration.metadata)


@compiled
def _resample(
    slices: npt.NDArray[np.uint16],
    shape: Shape,
    steps: FloatArray,
    firsts: FloatArray,
    upsampled: int,
    white: float,
    out: npt.NDArray[np.uint16],
    left: FloatArray,
) -> None:
    """Write slices (n, pixels) on the grids ``steps`` (n,) from ``firsts`` (n, 2), and what noise is left (n,)."""
    h, w = shape.height - 2 * shape.margin, shape.width - 2 * shape.margin
    image, squares = np.empty(shape.views * h * w, np.float32), np.empty(h * w, np.float32)
    half, low = np.float32(0.5), np.float32(0.0)
    for k in range(shape.n):
        image[:] = low
        squares[:] = low
        add_sampled(slices[k], shape, steps[k], firsts[k, 0], firsts[k, 1], 1.0, upsampled, image, squares)
        top = np.float32(max(white, float(slices[k].max())))
        for p in range(image.size):
            out[k, p] = np.uint16(min(max(image[p], low), top) + half)
        left[k] = squares.mean()
