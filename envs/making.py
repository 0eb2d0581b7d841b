"""The game that an environment plays, made from its keyword arguments, and its spaces."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypedDict, TypeVar, get_args

import numpy as np
from gymnasium import spaces

from afsim.camera import Camera, ImageKind, Interpolation
from afsim.checks import check_switch, check_whole
from afsim.errors import AfsimError, unknown
from afsim.featuretable import FeatureTable
from afsim.lens import Lens, make_lens
from afsim.rewards import RewardModel
from afsim.sensor import Sensor, make_sensor
from afsim.sets import open_demo
from afsim.stackset import StackSet
from afsim.task import ActionMode, FocusTask, TaskSpec, Timing
from afsim.taskspec import make_timing

T = TypeVar("T")

_IMAGE_KINDS: Final = get_args(ImageKind)


class TaskOptions(TypedDict, total=False):
    """The keyword arguments of :func:`make_task`, which every environment takes."""

    stacks: StackSet | str | Path | None
    lens: str | Lens
    sensor: str | Sensor
    timing: str | Timing
    interpolation: Interpolation
    breathing: float
    margin: int | None
    steps: int
    action_mode: ActionMode
    declare: bool
    reward: str | RewardModel


def make_task(
    *,
    stacks: StackSet | str | Path | None = None,
    lens: str | Lens = "ideal",
    sensor: str | Sensor = "none",
    timing: str | Timing = "frames",
    interpolation: Interpolation = "linear",
    breathing: float = 1.0,
    margin: int | None = None,
    steps: int = 5,
    action_mode: ActionMode = "absolute",
    declare: bool = False,
    reward: str | RewardModel = "final",
) -> FocusTask:
    """Return the game that an environment plays.

    Parameters
    ----------
    stacks : StackSet or path, optional
        The recordings; the demo set where None.
    lens, sensor, timing : str, or Lens, Sensor and Timing
        A preset's name, perhaps with changes (``"worn_warm,hysteresis=0"``), or one made by hand.
    interpolation, breathing, margin
        See :class:`afsim.camera.Camera`.
    steps : int
        The budget m; 5, because the paper's best multi-step method is at its plateau there.
    action_mode, declare
        See :class:`afsim.task.TaskSpec`.
    reward : str or RewardModel
        See :class:`afsim.task.FocusTask`.

    Raises
    ------
    AfsimError
        For an option that does not exist, or a reward that needs labels on stacks without.
    """
    check_whole("steps", steps, least=1)
    check_switch("declare", declare)
    if stacks is None:
        stacks = open_demo()
    elif not isinstance(stacks, StackSet):
        stacks = StackSet.open(stacks)
    camera = Camera(
        stacks,
        _preset("lens", lens, Lens, make_lens),
        _preset("sensor", sensor, Sensor, make_sensor),
        interpolation,
        breathing,
        margin,
    )
    return FocusTask(
        camera,
        budget=steps,
        action_mode=action_mode,
        declare=declare,
        reward=reward,
        timing=_preset("timing", timing, Timing, make_timing),
    )


def _preset(what: str, given: object, kind: type[T], make: Callable[[str], T]) -> T:
    """Return what was made by hand as it is, and what was named as ``make`` makes it."""
    if isinstance(given, str):
        return make(given)
    if not isinstance(given, kind):
        raise AfsimError(f"{what} must be a preset's name or a {kind.__name__}, got {given!r}")
    return given


def observation_space(task: FocusTask, kind: ImageKind, table: FeatureTable | None = None) -> spaces.Dict:
    """Return the space of one game's observation: ``image``, ``command``, ``region`` and ``steps_left``.

    With a table, there are ``features`` in place of the image.
    """
    spec, (black, white) = task.spec, task.camera.stacks.levels
    if kind not in _IMAGE_KINDS:
        raise unknown("image kind", kind, _IMAGE_KINDS)
    # As single precision has it, in which the pixels are computed.
    darkest = np.float32(-black) * np.float32(1.0 / (white - black))
    low, high = {"float32": (float(darkest), 1.0), "uint8": (0, 255), "uint16": (0, 65535)}[kind]
    seen = {"image": spaces.Box(low, high, (spec.views, spec.height, spec.width), np.dtype(kind).type)}
    if table is not None:
        seen = {"features": spaces.Box(-np.inf, np.inf, table.values.shape[2:], np.float32)}
    return spaces.Dict(
        {
            **seen,
            "command": spaces.Box(0.0, 1.0, (1,), np.float32),
            "region": spaces.Box(-1.0, 1.0, (2,), np.float32),
            "steps_left": spaces.Box(0.0, float(spec.budget), (1,), np.float32),
        }
    )


def action_space(spec: TaskSpec) -> spaces.Discrete | spaces.Box:
    """Return the space of one game's action (see :class:`afsim.task.TaskSpec`)."""
    if spec.action_mode == "continuous":
        return spaces.Box(-1.0, 1.0, (2 if spec.declare else 1,), np.float32)
    return spaces.Discrete(spec.actions)
