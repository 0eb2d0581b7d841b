"""What a policy may know before it starts: the size of the game, what an action means, what a step costs."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError, unknown
from afsim.jit import compiled

FloatArray = npt.NDArray[np.float64]
ActionMode = Literal["absolute", "relative", "continuous"]


@dataclass(frozen=True)
class Timing:
    """What a step costs, declared rather than measured: milliseconds of a 30 fps camera.

    Attributes
    ----------
    frame_ms : float
        Frame period; a new exposure ends on a frame boundary (libcamera's autofocus runs at most at 30 Hz).
    command_ms : float
        Sending a command to the driver (assumed: two or three bytes at 400 kHz and some slack).
    inference_ms : float
        Deciding; 2 ms for classical measures (assumed; the paper's network takes 32.5 ms).
    """

    frame_ms: float = 100.0 / 3.0
    command_ms: float = 0.5
    inference_ms: float = 2.0

    @property
    def decision_ms(self) -> float:
        """What a step costs before the lens moves, in milliseconds."""
        return self.inference_ms + self.command_ms

    def frames_ms(self, busy_ms: float) -> float:
        """Return ``busy_ms`` rounded up to whole frames."""
        return self.frame_ms * math.ceil(busy_ms / self.frame_ms - 1e-9)


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
