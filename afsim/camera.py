"""Replay of recorded stacks: the image at any lens position, for a batch of stacks at once."""

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from afsim.actuator import Actuator
from afsim.errors import AfsimError, unknown
from afsim.framing import Framing
from afsim.grain import UPSAMPLED, UPSAMPLED_VARIANCE, normal_quantiles
from afsim.imaging import Grain, Scale, are_sound, are_whole, develop, replay
from afsim.jit import over_lanes
from afsim.keys import Keys, lane_keys
from afsim.lens import Lens
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
    margin : int, optional
        Pixels cut off at each border of the recorded patches; by default those that the set was rendered with for
        that purpose. What breathing and a shifted lens bring into view comes from there; beyond it the border
        repeats.

    Raises
    ------
    AfsimError
        For an option that does not exist or does not fit, and for a change of breathing that would look further
        beyond the recorded patches than lens shifts do: they need a margin then.
    """

    stacks: StackSet
    lens: Lens = field(default_factory=Lens)
    sensor: Sensor = field(default_factory=Sensor)
    interpolation: Interpolation = "linear"
    breathing: float = 1.0
    margin: int | None = None

    def __post_init__(self) -> None:
        if self.interpolation not in get_args(Interpolation):
            raise unknown("interpolation", self.interpolation, get_args(Interpolation))
        assert self.framing  # it checks itself when it is made

    @cached_property
    def framing(self) -> Framing:
        """Where the pixels of an image lie in the recorded patches."""
        return Framing(self.stacks, self.lens.focal_length_m, self.breathing, self.margin)

    @cached_property
    def actuator(self) -> Actuator:
        """The lens in front of the focus distances of the stacks."""
        return Actuator(self.lens, self.stacks.n, self.stacks.diopters)

    @property
    def height(self) -> int:
        """Rows of an image."""
        return self.stacks.geometry.height - 2 * self.framing.crop

    @property
    def width(self) -> int:
        """Columns of an image."""
        return self.stacks.geometry.width - 2 * self.framing.crop

    @property
    def replays_exactly(self) -> bool:
        """Whether the same command always gives the same image, so that what is seen can be kept."""
        # At whole positions noise is put back only where pixels are resampled.
        resamples = not self.framing.moves_nothing or self.lens.lateral > 0
        noisy = self.sensor.iso > 0 or (self.sensor.blends and resamples)
        return self.lens.is_exact and not (self.sensor.fresh and noisy)

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
        axis = self.framing.told("upsampled", "none")
        if axis not in UPSAMPLED:
            raise unknown("axis of enlargement in the stacks' metadata", axis, UPSAMPLED)
        return UPSAMPLED[axis]

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
            For an image kind that does not exist, an ``out`` of another shape, type or layout, stacks that there
            are not, or places that are no numbers.
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
        _check_lanes(ids, positions, weights, keys, shifts, len(self.stacks))
        rows = out.reshape(len(ids), -1)
        slices, raw, scale, n = self._slices, kind == "uint16", self._scalings[kind], self.stacks.n
        shown = shifts is None and self.framing.moves_nothing and not self.sensor.adds_noise
        if shown and are_whole(positions, n):

            def replay_some(begin: int, end: int) -> None:
                replay(slices, n, ids, positions, raw, scale, rows, begin, end)

            over_lanes(replay_some, len(ids), at_least=_LANES_PER_THREAD)
            return out
        geometry = self.stacks.geometry
        form = Shape(n, geometry.views, geometry.height, geometry.width, self.framing.crop)
        views, grain = self.framing.views(ids, positions, weights, shifts), self._grain(ids, positions, keys)
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


def _check_lanes(
    ids: IntArray, positions: FloatArray, weights: FloatArray, keys: Keys, shifts: FloatArray | None, stacks: int
) -> None:
    lanes = len(ids)
    if positions.ndim != 2 or positions.shape != weights.shape or len(positions) != lanes:
        raise AfsimError(
            f"positions and weights must both be ({lanes}, S), got {positions.shape} and {weights.shape}"
        )
    if len(keys) != lanes or (shifts is not None and shifts.shape != (lanes, 2)):
        moved = None if shifts is None else shifts.shape
        raise AfsimError(f"keys must be ({lanes},) and shifts ({lanes}, 2), got {len(keys)} keys, shifts {moved}")
    if not are_sound(ids, positions, weights, stacks):
        raise AfsimError(
            f"ids must be in 0 ... {stacks - 1} and positions and weights finite; got ids from {np.min(ids)} to "
            f"{np.max(ids)}, positions from {np.min(positions)} to {np.max(positions)}"
        )


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
