"""What a policy may know before it starts: the size of the game, what an action means, what a step costs."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from afsim.dualpixel import Axis
from afsim.errors import AfsimError, unknown
from afsim.jit import compiled
from afsim.options import from_text

FloatArray = npt.NDArray[np.float64]
ActionMode = Literal["absolute", "relative", "continuous"]
TimingMode = Literal["frames", "free"]


@dataclass(frozen=True)
class Timing:
    """What a step costs, declared rather than measured: milliseconds of a 30 fps camera.

    A step is: decide, send the command, wait for the lens, expose, read out.

    Attributes
    ----------
    mode : {"frames", "free"}
        ``frames``: exposures end on frame boundaries, and the read-out lies inside the frame. ``free``: the plain
        sum, read-out included.
    frame_ms : float
        Frame period; libcamera's autofocus runs at most at 30 Hz.
    command_ms : float
        Sending a command to the driver (assumed: two or three bytes at 400 kHz and some slack).
    inference_ms : float
        Deciding; 2 ms for classical measures (assumed; the paper's network takes 32.5 ms).
    readout_ms : float
        Reading out the region, in ``free`` mode: 128 of 1512 rows of about 30 ms (assumed).
    settle_index : float
        How near, in indices, the lens must stay to its resting place before an exposure begins; half an index is
        what a sharpness curve resolves.
    wait_ms : float or None
        Wait so long after each move instead; the lens may then still move while it exposes.

    Raises
    ------
    AfsimError
        For a mode that does not exist, or a time that is none.
    """

    mode: TimingMode = "frames"
    frame_ms: float = 100.0 / 3.0
    command_ms: float = 0.5
    inference_ms: float = 2.0
    readout_ms: float = 2.5
    settle_index: float = 0.5
    wait_ms: float | None = None

    def __post_init__(self) -> None:
        if self.mode not in get_args(TimingMode):
            raise unknown("timing mode", self.mode, get_args(TimingMode))
        for name in ("frame_ms", "settle_index"):
            if not 0 < getattr(self, name) < math.inf:
                raise AfsimError(f"timing {name} must be a number above 0, got {getattr(self, name)}")
        for name in ("command_ms", "inference_ms", "readout_ms", "wait_ms"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise AfsimError(f"timing {name} must be a number of at least 0, got {value}")

    @property
    def decision_ms(self) -> float:
        """What a step costs before the lens moves, in milliseconds."""
        return self.inference_ms + self.command_ms

    @property
    def after_ms(self) -> float:
        """What passes between the end of an exposure and the next decision, in milliseconds."""
        return self.readout_ms if self.mode == "free" else 0.0


TIMINGS: Final[dict[str, Timing]] = {"frames": Timing(), "free": Timing(mode="free")}


def make_timing(text: str) -> Timing:
    """Return ``"frames"`` or ``"free"``, perhaps with changes: ``"frames,inference_ms=32.5,wait_ms=0"``."""
    return from_text(text, TIMINGS, "timing")


@dataclass(frozen=True)
class TaskSpec:
    """What a policy may know before it starts.

    Attributes
    ----------
    n : int
        Number of indices.
    views, height, width : int
        Of the images.
    budget : int
        Steps m: predictions, each with its move, after the start slice.
    diopters : tuple of n floats, or None
        Focus distances where known.
    action_mode : {"absolute", "relative", "continuous"}
        An action is an index; an index difference plus n-1; or a number in [-1, 1] from far to near.
    declare : bool
        Whether one more action (the last; for continuous, a second number above 0) declares the focus found.
    timing : Timing
        Declared costs.
    dp_axis : {"rows", "columns"}
        Along which the two views of dual pixels are shifted against each other (:mod:`afsim.dualpixel`).
    """

    n: int
    views: int
    height: int
    width: int
    budget: int
    diopters: tuple[float, ...] | None = None
    action_mode: ActionMode = "absolute"
    declare: bool = False
    timing: Timing = field(default_factory=Timing)
    dp_axis: Axis = "columns"

    def __post_init__(self) -> None:
        if self.budget < 1:
            raise AfsimError(f"steps must be at least 1, got {self.budget}")
        if self.action_mode not in get_args(ActionMode):
            raise unknown("action mode", self.action_mode, get_args(ActionMode))

    @cached_property
    def actions(self) -> int:
        """Number of discrete actions (0 for the continuous mode)."""
        moves = {"absolute": self.n, "relative": 2 * self.n - 1, "continuous": 0}[self.action_mode]
        return moves + (1 if self.declare and moves else 0)

    def encode(
        self, command: FloatArray, current: FloatArray, declare: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.generic]:
        """Return the actions (N,), or (N, 1 or 2) if continuous, that ask for ``command`` or declare."""
        if self.action_mode == "continuous":
            target = (2.0 * command / (self.n - 1) - 1.0).astype(np.float32)
            if not self.declare:
                return target[:, None]
            return np.stack([target, np.where(declare, 1.0, -1.0).astype(np.float32)], axis=1)
        shift = np.zeros_like(command) if self.action_mode == "absolute" else self.n - 1.0 - current
        action = np.rint(command + shift).astype(np.int64)
        return np.where(declare, self.actions - 1, action) if self.declare else action

    def decode(
        self, actions: npt.NDArray[np.generic], current: FloatArray
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Return the commands (N,) and which lanes declare, or raise for actions that are none."""
        lanes, actions = len(current), np.asarray(actions)
        if self.action_mode == "continuous":
            return self._decode_continuous(actions, current)
        if actions.dtype.kind not in "iu" or actions.shape != (lanes,):
            raise AfsimError(
                f"actions must be {lanes} integer(s) in 0 ... {self.actions - 1}, "
                f"got shape {actions.shape} of {actions.dtype}: {actions!r}"
            )
        # Signed, a huge unsigned number is negative, hence out of range too.
        if not _all_within(actions.astype(np.int64), self.actions):
            raise AfsimError(f"actions must be in 0 ... {self.actions - 1}, got {actions.tolist()}")
        command = actions.astype(np.float64)
        if self.action_mode == "relative":
            command = np.clip(current + command - (self.n - 1.0), 0.0, self.n - 1.0)
        if not self.declare:
            return command, np.zeros(lanes, dtype=np.bool_)
        declares = actions == self.actions - 1
        return np.where(declares, current, command), declares

    def _decode_continuous(
        self, actions: npt.NDArray[np.generic], current: FloatArray
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        shape = (len(current), 2 if self.declare else 1)
        if actions.dtype.kind not in "fiu" or actions.shape != shape:
            raise AfsimError(
                f"continuous actions must be numbers of shape {shape}, got shape {actions.shape} of {actions.dtype}"
            )
        values = actions.astype(np.float64)
        if not (np.abs(values) <= 1.0).all():
            raise AfsimError(f"continuous actions must lie in [-1, 1], got {actions.tolist()}")
        # Actions are single precision: rounded to what it resolves, so that whole indices are whole.
        command = np.round((values[:, 0] + 1.0) / 2.0 * (self.n - 1), 4)
        declares = values[:, 1] > 0 if self.declare else np.zeros(len(current), dtype=np.bool_)
        return np.where(declares, current, command), declares


@compiled
def _all_within(numbers: npt.NDArray[np.int64], count: int) -> bool:
    """Tell whether all numbers are in 0 ... count-1."""
    inside = True
    for number in numbers:
        inside &= 0 <= number < count
    return inside
