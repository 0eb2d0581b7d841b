"""Phase-detection autofocus: a servo on the disparity of the two dual-pixel views, as phones run it.

The rules are those of libcamera's Raspberry Pi controller. Its phase is in units of one sensor; here a calibrated
disparity gives the distance to the focus in dioptres, and its gains are shares of that.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.checks import check_number, check_whole
from afsim.disparitycosts import TILE
from afsim.errors import unknown
from afsim.keys import Keys
from afsim.optics import magnification, nearest_index
from afsim.options import from_text
from afsim.patch_disparity import REACH
from afsim.policies.calibrated import CalibratedDisparity
from afsim.policies.ssd_disparity import SsdDisparity
from afsim.policies.zncc_disparity import ZnccDisparity
from afsim.policy import Features, FloatArray, FocusPolicy, Knowledge, Status
from afsim.task import Observation

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

DISPARITIES: Final[dict[str, type[CalibratedDisparity]]] = {"zncc": ZnccDisparity, "ssd": SsdDisparity}
# Of the shipped calibrations the one that covers the paper's whole sweep.
WIDE_REACH: Final = 16
# 8 and 16 of the 512 at which libcamera's confidence counts in full.
CONF_EPSILON: Final = 8 / 512
CONF_THRESH: Final = 16 / 512


@dataclass(frozen=True)
class Speed:
    """How fast a controller goes: the IMX708 tuning of libcamera's Raspberry Pi controller, dioptres and frames.

    A frame is a step of the game: each is seen with the lens at rest, so nothing is skipped between.

    Attributes
    ----------
    step_coarse, step_fine : float
        Steps of the scans in dioptres, 0 or more; a fine step of 0 leaves the fine scan out.
    pdaf_gain : float
        Share of the distance that is gone at once, above 0. The tuning's gains, 0.016 and 0.02, are per unit of
        its sensor's phase; here the faster one is 1, and the other in proportion.
    pdaf_squelch : float
        Dioptres below which the lens is at its goal.
    max_slew : float
        Most dioptres in a frame, above 0.
    pdaf_frames, dropout_frames : int
        Frames that the servo may take, and how many in a row without phase end it.

    Raises
    ------
    AfsimError
        For a number out of range.
    """

    step_coarse: float = 1.0
    step_fine: float = 0.25
    pdaf_gain: float = 0.8
    pdaf_squelch: float = 0.125
    max_slew: float = 1.5
    pdaf_frames: int = 20
    dropout_frames: int = 6

    def __post_init__(self) -> None:
        for name in ("step_fine", "pdaf_squelch"):
            check_number(f"speed {name}", getattr(self, name), least=0.0)
        for name in ("step_coarse", "pdaf_gain", "max_slew"):
            check_number(f"speed {name}", getattr(self, name), above=0.0)
        for name in ("pdaf_frames", "dropout_frames"):
            check_whole(f"speed {name}", getattr(self, name), least=1)


SPEEDS: Final[dict[str, Speed]] = {
    "normal": Speed(),
    "fast": Speed(1.25, 0.0, pdaf_gain=1.0, max_slew=2.0, pdaf_frames=16, dropout_frames=4),
}


class Phase(NamedTuple):
    """What the two views say, of N lanes."""

    distance: FloatArray
    """Dioptres from the lens to the focus, not kept within the range; 0 where ``confidence`` is."""
    confidence: FloatArray
    """How alike the views are, 0 ... 1; 0: no phase."""
    likely: FloatArray
    """Probability that the calibration is within one index."""


class Servo(NamedTuple):
    """What the servo does, of N lanes."""

    command: FloatArray
    settled: BoolArray
    """At its goal, as near as whole indices come."""
    saturated: BoolArray
    """At an end of the range, and drawn beyond it by more than a frame's slew."""


class PdafMemory(NamedTuple):
    """Of N servos: ``frames`` (N,) with phase so far, ``dropouts`` (N,) in a row without."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    frames: IntArray
    dropouts: IntArray


@dataclass(frozen=True)
class PhasePolicy(FocusPolicy):
    """Base of a policy that follows calibrated disparity.

    Attributes
    ----------
    estimator : {"zncc", "ssd"}
        Of the disparity.
    reach : int or None
        Its largest shift in pixels; by default 16, which covers the whole range, where the patches have room for
        it, else 3, that of the paper's rows.
    calibration : str or None
        File made by ``afsim calibrate``; by default the shipped one.
    speed : str
        ``"normal"`` or ``"fast"``, perhaps with changes: ``"normal,max_slew=3"`` (:class:`Speed`).

    Raises
    ------
    AfsimError
        For an option that does not exist, or a reach that the patches have no room for.
    """

    requires: ClassVar[frozenset[str]] = frozenset({"views2", "diopters"})
    estimator: str = "zncc"
    reach: int | None = None
    calibration: str | None = None
    speed: str = "normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimator not in DISPARITIES:
            raise unknown("disparity estimator", self.estimator, DISPARITIES)
        # Made here, so that what does not fit is refused at once.
        assert self.disparity
        assert self.pace

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``NAME:SPEED``."""
        return {"speed": choice}

    @cached_property
    def disparity(self) -> CalibratedDisparity:
        """The policy whose features and calibration these are."""
        spec, reach = self.spec, self.reach
        if reach is None:
            along = spec.width if spec.dp_axis == "columns" else spec.height
            reach = WIDE_REACH if along >= TILE + 2 * WIDE_REACH else REACH
        return DISPARITIES[self.estimator](spec, reach=reach, calibration=self.calibration)

    @cached_property
    def pace(self) -> Speed:
        """The speed's numbers."""
        return from_text(self.speed, SPEEDS, "speed")

    @cached_property
    def table(self) -> FloatArray:
        """Focus distances (n,) in dioptres."""
        return np.asarray(self.spec.diopters, dtype=np.float64)

    def phase(self, features: Features, observation: Observation, here: IntArray) -> Phase:
        """Return what shift and confidence (N, 2) mean, seen from ``here`` (N,)."""
        shift, confidence = (features[:, column].astype(np.float64) for column in (0, 1))
        region = np.asarray(observation["region"], dtype=np.float64)
        # The calibration's x lies along the shift.
        region = region if self.spec.dp_axis == "columns" else region[:, ::-1]
        fitted = self.disparity.fitted
        slope, offset = fitted.slope_offset(region)
        distance = -(shift - offset) / (slope * magnification(self.table[here], fitted.focal_length_m))
        known = np.isfinite(distance) & np.isfinite(confidence) & (confidence > 0)
        likely = fitted.within_one(shift, confidence)
        return Phase(*(np.where(known, value, 0.0) for value in (distance, confidence, likely)))

    def servo(self, here: IntArray, phase: Phase) -> Servo:
        """Return the servo's next command: a share of the distance, slowly enough, in whole indices.

        A step that is cut short, but would round to none, is one index.
        """
        pace, table, n = self.pace, self.table, self.spec.n
        outward = np.where(here == 0, phase.distance < 0, (here == n - 1) & (phase.distance > 0))
        saturated = outward & (np.abs(phase.distance) > pace.max_slew)
        goal = index_at(table, table[here] + phase.distance)
        settled = (np.abs(phase.distance) < pace.pdaf_squelch) | (goal == here)
        step = (phase.distance * pace.pdaf_gain).clip(-pace.max_slew, pace.max_slew)
        command = moved(table, here, step)
        return Servo(np.where(settled, goal, command).astype(np.float64), settled & ~saturated, saturated)


@dataclass(frozen=True)
class Pdaf(PhasePolicy):
    """Follow the phase until it is nought: a proportional servo without memory of contrast.

    FOCUSED once the distance is below the squelch, or no whole index is nearer. FAILED where the phase draws the
    lens beyond an end of the range by more than a frame's slew, where it is lost for ``dropout_frames``, and where
    ``pdaf_frames`` do not suffice. The lens then stays. libcamera's tapering steps within the squelch are left out:
    they are shorter than an index, and would move nothing.
    """

    @property
    def feature_key(self) -> Hashable:
        """The disparity's."""
        return self.disparity.feature_key

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> FloatArray:
        """Return shift and confidence of each image, (N, 2)."""
        return self.disparity.features(image, command, region)

    def begin(self, keys: Keys, knowledge: Knowledge) -> PdafMemory:
        """Start with no frame seen."""
        lanes = len(keys)
        nought = np.zeros(lanes, np.int64)
        return PdafMemory(np.zeros(lanes, np.int8), np.zeros(lanes, np.float32), nought, nought.copy())

    def decide(
        self, features: Features, observation: Observation, memory: PdafMemory
    ) -> tuple[FloatArray, PdafMemory]:
        """Follow the phase a step further, or end."""
        here = np.rint(self.current(observation)).astype(np.int64)
        phase = self.phase(features, observation, here)
        told = phase.confidence >= CONF_EPSILON
        dropouts = np.where(told, 0, memory.dropouts + 1)
        frames = memory.frames + told
        servo = self.servo(here, phase)
        settled = told & servo.settled
        failed = dropouts >= self.pace.dropout_frames
        failed |= told & ~settled & (servo.saturated | (frames >= self.pace.pdaf_frames))
        status = np.where(settled, Status.FOCUSED, np.where(failed, Status.FAILED, Status.SEARCHING))
        ended = memory.status != Status.SEARCHING
        return np.where(ended | failed | ~told, here, servo.command), PdafMemory(
            np.where(ended, memory.status, status).astype(np.int8),
            np.where(ended, memory.confidence, phase.likely).astype(np.float32),
            frames,
            dropouts,
        )


def index_at(table: FloatArray, diopters: FloatArray) -> IntArray:
    """Return the index (N,) nearest to focus distances in dioptres, kept within the table."""
    return nearest_index(diopters.clip(table[0], table[-1]), table)


def moved(table: FloatArray, here: IntArray, step: FloatArray) -> IntArray:
    """Return the index (N,) that lies ``step`` (N,) dioptres off; one at least, where the step is not 0."""
    there = index_at(table, table[here] + step)
    there = np.where(there == here, here + np.sign(step).astype(np.int64), there)
    return np.asarray(there.clip(0, len(table) - 1))
