"""Replay of recorded stacks: the image at any lens position, for a batch of stacks at once."""

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError, unknown
from afsim.jit import compiled, over_lanes
from afsim.keys import Keys
from afsim.lens import Lens
from afsim.sensor import Sensor
from afsim.stackset import StackSet

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
AnyImage = npt.NDArray[np.generic]
Interpolation = Literal["nearest", "linear"]
ImageKind = Literal["float32", "uint8", "uint16"]

_KINDS: Final = get_args(ImageKind)
# Fewer lanes than this a thread are done sooner by one thread than handed over (about 50 us).
_LANES_PER_THREAD: Final = 16


@dataclass(frozen=True, eq=False)
class Camera:
    """A lens and a sensor in front of recorded stacks.

    Attributes
    ----------
    stacks : StackSet
        The recordings. Breathing is in them and is not added again.
    lens, sensor : Lens, Sensor
        The imperfections of the camera; none by default.
    interpolation : {"linear", "nearest"}
        Between slices: a linear blend (a mixture of two discs whose diameters differ by less than a pixel equals
        the disc between them to second order), or the nearest recorded slice. At whole positions both give the
        recorded slice itself.
    """

    stacks: StackSet
    lens: Lens = field(default_factory=Lens)
    sensor: Sensor = field(default_factory=Sensor)
    interpolation: Interpolation = "linear"

    def __post_init__(self) -> None:
        if self.interpolation not in get_args(Interpolation):
            raise unknown("interpolation", self.interpolation, get_args(Interpolation))

    @property
    def replays_exactly(self) -> bool:
        """Whether the same command always gives the same recorded slice, so that what is seen can be kept."""
        return self.lens.name == "ideal" and not self.sensor.adds_noise

    @cached_property
    def _slices(self) -> npt.NDArray[np.uint16]:
        """All slices as rows, (N * n, V * H * W); a view."""
        images = np.asarray(self.stacks.images)
        return np.ascontiguousarray(images).reshape(images.shape[0] * images.shape[1], -1)

    @cached_property
    def _scalings(self) -> dict[ImageKind, tuple[np.float32, ...]]:
        return {kind: _scaling(kind, *self.stacks.levels) for kind in _KINDS}

    def __getstate__(self) -> dict[str, object]:
        """Pickle and copy the fields alone: the rows kept above would carry every pixel along."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def capture(
        self,
        ids: IntArray,
        positions: FloatArray,
        weights: FloatArray,
        keys: Keys,
        *,
        kind: ImageKind = "float32",
        out: AnyImage | None = None,
    ) -> AnyImage:
        """Expose one image a lane.

        Parameters
        ----------
        ids : (N,) int64
            Which stack each lane looks at.
        positions, weights : (N, S) float64
            Where the lens is during the exposure, as indices in [0, n-1], and the share of time it is there.
        keys : (N,) uint64
            Seeds of the noise.
        kind : {"float32", "uint8", "uint16"}
            Normalised linear raw (0 black, 1 white, not above 1); the same as 0 ... 255, negatives cut; or raw DN.
        out : (N, V, H, W), optional
            Written to and returned.

        Returns
        -------
        (N, V, H, W) of ``kind``

        Raises
        ------
        AfsimError
            For an image kind that does not exist, or an ``out`` of another shape, type or layout.
        """
        if kind not in _KINDS:
            raise unknown("image kind", kind, _KINDS)
        geometry = self.stacks.geometry
        shape = (len(ids), geometry.views, geometry.height, geometry.width)
        if out is None:
            out = np.empty(shape, dtype=kind)
        elif out.shape != shape or out.dtype != kind or not out.flags.c_contiguous:
            raise AfsimError(
                f"out must be contiguous {kind} of shape {shape}, got {out.dtype} of shape {out.shape} "
                f"and strides {out.strides}"
            )
        rows = out.reshape(len(ids), -1)
        slices, n = self._slices, geometry.n
        black, gain, half, low, top = self._scalings[kind]
        nearest, raw = self.interpolation == "nearest", kind == "uint16"

        def expose(begin: int, end: int) -> None:
            _blend(slices, n, ids, positions, weights, nearest, raw, black, gain, half, low, top, rows, begin, end)

        over_lanes(expose, len(ids), at_least=_LANES_PER_THREAD)
        if self.sensor.adds_noise and kind == "float32":
            out[...] = self.sensor.expose(out.astype(np.float32, copy=False), keys)
        return out


def _scaling(kind: ImageKind, black: int, white: int) -> tuple[np.float32, ...]:
    """Return (black, gain, half, low, top): a value v becomes clip((v - black) gain + half, low, top)."""
    single = np.float32
    if kind == "float32":
        gain = single(1.0 / (white - black))
        return single(black), gain, single(0.0), single(-black) * gain, single(1.0)
    if kind == "uint8":
        return single(black), single(255.0 / (white - black)), single(0.5), single(0.0), single(255.0)
    return single(0.0), single(1.0), single(0.5), single(0.0), single(65535.0)


@compiled
def _blend(
    slices: npt.NDArray[np.uint16],
    n: int,
    ids: IntArray,
    positions: FloatArray,
    weights: FloatArray,
    nearest: bool,
    raw: bool,
    black: np.float32,
    gain: np.float32,
    half: np.float32,
    low: np.float32,
    top: np.float32,
    out: AnyImage,
    begin: int,
    end: int,
) -> None:
    """Write the scaled mixture of slices of lanes begin ... end-1; every lane's arithmetic is its own."""
    pixels = slices.shape[1]
    for lane in range(begin, end):
        first = ids[lane] * n
        samples = positions.shape[1]
        place = min(max(positions[lane, 0], 0.0), n - 1.0)
        if nearest:
            place = np.floor(place + 0.5)
        below = int(place)
        if samples == 1 and place == below:
            row = slices[first + below]
            if raw:
                for p in range(pixels):
                    out[lane, p] = row[p]
                continue
            for p in range(pixels):
                value = (np.float32(row[p]) - black) * gain + half
                out[lane, p] = min(max(value, low), top)
            continue
        mixed = np.zeros(pixels, dtype=np.float32)
        for sample in range(samples):
            place = min(max(positions[lane, sample], 0.0), n - 1.0)
            if nearest:
                place = np.floor(place + 0.5)
            below = min(int(place), n - 2)
            share = np.float32(place - below)
            weight = np.float32(weights[lane, sample])
            row, next_row = slices[first + below], slices[first + below + 1]
            for p in range(pixels):
                a = np.float32(row[p])
                mixed[p] += weight * (a + share * (np.float32(next_row[p]) - a))
        for p in range(pixels):
            value = (mixed[p] - black) * gain + half
            out[lane, p] = min(max(value, low), top)
