"""Replay of recorded stacks: the image at any lens position, for a batch of stacks at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from afsim.actuator import Actuator
from afsim.errors import AfsimError, WithheldError, unknown
from afsim.imaging import (
    UPSAMPLED,
    UPSAMPLED_VARIANCE,
    Grain,
    Scale,
    Views,
    are_whole,
    develop,
    normal_quantiles,
    replay,
)
from afsim.jit import over_lanes
from afsim.keys import Keys, lane_keys
from afsim.lens import Lens
from afsim.optics import magnification
from afsim.sampling import Shape
from afsim.sensor import Sensor
from afsim.stack import Levels
from afsim.stackset import StackSet

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
AnyImage = npt.NDArray[np.generic]
Interpolation = Literal["nearest", "linear"]
ImageKind = Literal["float32", "uint8", "uint16"]

_KINDS: Final = get_args(ImageKind)
# Fewer lanes than this a thread are done sooner by one thread than handed over (about 50 us).
_LANES_PER_THREAD: Final = 16
_NO_QUANTILES: Final = np.zeros(1, dtype=np.float32)
# Erring cameras take ten times as long for a lane.
_ERRING_LANES_PER_THREAD: Final = 4
# Width and height in pixels of the recordings of "Learning to Autofocus" where a set does not tell its own.
_FRAME_PX: Final = (2016, 1512)


@dataclass(frozen=True, eq=False)
class Camera:
    """A lens and a sensor in front of recorded stacks.

    Attributes
    ----------
    stacks : StackSet
        The recordings.
    lens, sensor : Lens, Sensor
        The imperfections of the camera; none by default.
    interpolation : {"linear", "nearest"}
        Between slices: a linear blend (a mixture of two discs whose diameters differ by less than a pixel equals
        the disc between them to second order) after aligning what breathing moves apart, or the nearest recorded
        slice. At whole positions both give the recorded slice itself.
    breathing : float
        Gain on the focal breathing that is in the recording: 1 leaves it as recorded, 0 removes it (registered),
        2 doubles it. The zoom is that of a thin lens about the principal point, or ``breathing`` times that where
        the set's metadata have such a number.
    margin : int
        Pixels cut off at each border of the recorded patches. What breathing and a shifted lens bring into view
        comes from there; beyond it the border repeats.
    """

    stacks: StackSet
    lens: Lens = field(default_factory=Lens)
    sensor: Sensor = field(default_factory=Sensor)
    interpolation: Interpolation = "linear"
    breathing: float = 1.0
    margin: int = 0

    def __post_init__(self) -> None:
        if self.interpolation not in get_args(Interpolation):
            raise unknown("interpolation", self.interpolation, get_args(Interpolation))
        geometry = self.stacks.geometry
        if not 0 <= 2 * self.margin < min(geometry.height, geometry.width):
            raise AfsimError(
                f"margin must be at least 0 and leave something of {geometry.height} x {geometry.width} pixels, "
                f"got {self.margin}"
            )
        if not np.isfinite(self.breathing) or self.breathing < 0:
            raise AfsimError(f"breathing must be a number of at least 0, got {self.breathing}")
        if self.breathing != 1.0 and geometry.diopters is None:
            raise WithheldError("breathing cannot be changed: the focus distances of these stacks are unknown")

    @cached_property
    def actuator(self) -> Actuator:
        """The lens in front of the focus distances of the stacks."""
        return Actuator(self.lens, self.stacks.n, self.stacks.diopters)

    @property
    def height(self) -> int:
        """Rows of an image."""
        return self.stacks.geometry.height - 2 * self.margin

    @property
    def width(self) -> int:
        """Columns of an image."""
        return self.stacks.geometry.width - 2 * self.margin

    @property
    def replays_exactly(self) -> bool:
        """Whether the same command always gives the same image, so that what is seen can be kept."""
        # At whole positions noise is put back only where pixels are resampled.
        noisy = self.sensor.iso > 0 or (self.sensor.blends and self._resamples)
        return self.lens.is_exact and not (self.sensor.fresh and noisy)

    @property
    def _resamples(self) -> bool:
        return self.breathing != 1.0 or self.margin > 0 or self.lens.lateral > 0

    @cached_property
    def _replays(self) -> bool:
        """Whether slices at whole positions are shown as they are recorded."""
        return not self.sensor.adds_noise and self.breathing == 1.0 and self.margin == 0

    @cached_property
    def _slices(self) -> npt.NDArray[np.uint16]:
        """All slices as rows, (N * n, V * H * W); a view."""
        images = np.asarray(self.stacks.images)
        return np.ascontiguousarray(images).reshape(images.shape[0] * images.shape[1], -1)

    @cached_property
    def _scalings(self) -> dict[ImageKind, Scale]:
        return {kind: _scaling(kind, self.stacks.levels) for kind in _KINDS}

    @cached_property
    def _finishes(self) -> dict[ImageKind, Scale]:
        return {kind: _finish(kind, self.stacks.levels) for kind in _KINDS}

    @cached_property
    def recorded_noise(self) -> FloatArray:
        """Noise (N, 2) of the recordings, S and O of each view; estimated from the pixels where it is not known."""
        from afsim.noisefit import estimate_noise  # here, because it takes long to load and is rarely needed

        return np.array([stack.noise or estimate_noise(stack) for stack in self.stacks])

    @cached_property
    def _upsampled(self) -> int:
        """The axis along which the recordings were enlarged, one of ``UPSAMPLED``; alike in all of a set."""
        metadata = {**self.stacks.metadata, **self.stacks[0].metadata}
        return UPSAMPLED[str(metadata.get("upsampled", "none"))]

    @cached_property
    def _scales(self) -> FloatArray:
        """Image scale (n,) of the slices as recorded; all 1 where the focus distances are unknown."""
        diopters = self.stacks.diopters
        if diopters is None:
            return np.ones(self.stacks.n)
        recorded = self.stacks.metadata.get("breathing", 1.0)
        power = float(recorded)  # type: ignore[arg-type]  # plain JSON: a number
        return np.asarray(magnification(diopters, self.lens.focal_length_m) ** power)

    @cached_property
    def _zooms(self) -> FloatArray:
        """Step (n,) of the sampling grid at each index, in recorded pixels, that changes the breathing."""
        scale = self._scales ** (self.breathing - 1.0)
        # Relative to the slice that shows the least: around the principal point no other looks beyond its border.
        return np.asarray(scale.min() / scale)

    @cached_property
    def _centres(self) -> FloatArray:
        """Where the principal point is in each patch (N, 2), x and y in recorded pixels."""
        geometry = self.stacks.geometry
        frames = [_frame_px({**self.stacks.metadata, **stack.metadata}) for stack in self.stacks]
        middle = (np.array([geometry.width, geometry.height]) - 1.0) / 2.0
        return np.asarray(middle - self.stacks.regions * (np.array(frames) / 2.0))

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
        shifts: FloatArray | None = None,
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
            Seeds of fresh noise, one an exposure; frozen noise depends on stack and position alone.
        shifts : (N, 2) float64, optional
            How far the image is shifted, x and y in pixels.
        kind : {"float32", "uint8", "uint16"}
            Normalised linear raw (0 black, 1 white, not above 1); the same as 0 ... 255, negatives cut; or raw DN.
        out : (N, V, H, W), optional
            Written to and returned.

        Returns
        -------
        (N, V, H, W) of ``kind``, without the margins

        Raises
        ------
        AfsimError
            For an image kind that does not exist, or an ``out`` of another shape, type or layout.
        """
        if kind not in _KINDS:
            raise unknown("image kind", kind, _KINDS)
        shape = (len(ids), self.stacks.geometry.views, self.height, self.width)
        if out is None:
            out = np.empty(shape, dtype=kind)
        elif out.shape != shape or out.dtype != kind or not out.flags.c_contiguous:
            raise AfsimError(
                f"out must be contiguous {kind} of shape {shape}, got {out.dtype} of shape {out.shape} "
                f"and strides {out.strides}"
            )
        rows = out.reshape(len(ids), -1)
        slices, raw, scale, n = self._slices, kind == "uint16", self._scalings[kind], self.stacks.n
        if shifts is None and self._replays and are_whole(positions, n):

            def replay_some(begin: int, end: int) -> None:
                replay(slices, n, ids, positions, raw, scale, rows, begin, end)

            over_lanes(replay_some, len(ids), at_least=_LANES_PER_THREAD)
            return out
        geometry = self.stacks.geometry
        form = Shape(n, geometry.views, geometry.height, geometry.width, self.margin)
        views, grain = self._views(ids, positions, weights, shifts), self._grain(ids, positions, keys)
        nearest, levels, finish = self.interpolation == "nearest", self._scalings["float32"], self._finishes[kind]

        def expose(begin: int, end: int) -> None:
            develop(
                slices,
                form,
                ids,
                positions,
                weights,
                nearest,
                views,
                grain,
                raw,
                scale,
                levels,
                finish,
                rows,
                begin,
                end,
            )

        over_lanes(expose, len(ids), at_least=_ERRING_LANES_PER_THREAD)
        return out

    def _views(self, ids: IntArray, positions: FloatArray, weights: FloatArray, shifts: FloatArray | None) -> Views:
        """Return each lane's sampling grid, in recorded pixels."""
        place = np.einsum("ns,ns->n", positions, weights)
        steps = np.interp(place, np.arange(self.stacks.n), self._zooms)
        first = self.margin - (np.zeros((len(ids), 2)) if shifts is None else shifts)
        centres = self._centres[ids]
        # Written so that a step of 1 leaves whole pixels whole.
        firsts = first + (steps[:, None] - 1.0) * (first - centres)
        geometry = self.stacks.geometry
        middle = (np.array([geometry.width, geometry.height]) - 1.0) / 2.0
        return Views(steps, firsts, middle - centres, self._scales)

    def _grain(self, ids: IntArray, positions: FloatArray, keys: Keys) -> Grain:
        """Return the noise that each lane should have and its slices had, and its seeds."""
        if not self.sensor.adds_noise:
            none = np.zeros((len(ids), 2), dtype=np.float32)
            return Grain(none, none, keys, _NO_QUANTILES, 0.0, False, 0)
        recorded, upsampled = self.recorded_noise[ids], self._upsampled
        own = np.array(self.sensor.noise(self.stacks.geometry.views)) * (UPSAMPLED_VARIANCE if upsampled else 1.0)
        # Noise cannot be taken away: a sensor that is better than the recording's adds none.
        total = np.maximum(recorded, own)
        if not self.sensor.fresh:
            keys = lane_keys(0, ids * 2**20 + np.rint(positions[:, 0] * 2**10).astype(np.int64))
        black, white = self.stacks.levels
        # Without noise of the sensor's own, digits are those of the recording.
        digits = self.sensor.steps if self.sensor.iso > 0 else float(white - black)
        single = np.float32
        return Grain(
            total.astype(single),
            recorded.astype(single),
            keys,
            normal_quantiles(),
            digits,
            self.sensor.blends,
            upsampled,
        )


def _frame_px(metadata: Mapping[str, Any]) -> tuple[float, float]:
    """Return width and height of the frame that a patch is cut from; the long side is along the split."""
    width, height = metadata.get("frame_px", _FRAME_PX[::-1] if metadata.get("dp_axis") == "rows" else _FRAME_PX)
    return float(width), float(height)


def _scaling(kind: ImageKind, levels: Levels) -> Scale:
    """Return how raw values become images of a kind."""
    black, white = levels
    single = np.float32
    if kind == "float32":
        gain = single(1.0 / (white - black))
        return Scale(single(black), gain, single(0.0), single(-black) * gain, single(1.0))
    if kind == "uint8":
        return Scale(single(black), single(255.0 / (white - black)), single(0.5), single(0.0), single(255.0))
    return Scale(single(0.0), single(1.0), single(0.5), single(0.0), single(65535.0))


def _finish(kind: ImageKind, levels: Levels) -> Scale:
    """Return how normalised values become images of a kind."""
    single, none = np.float32, np.float32(0.0)
    black, white = levels
    if kind == "float32":
        return Scale(none, single(1.0), none, single(-black) * single(1.0 / (white - black)), single(1.0))
    if kind == "uint8":
        return Scale(none, single(255.0), single(0.5), none, single(255.0))
    return Scale(none, single(white - black), single(black + 0.5), none, single(65535.0))
