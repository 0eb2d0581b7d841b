"""What determines an episode but for its moves: a recording, a camera, where it starts, and how many steps."""

from dataclasses import dataclass

from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.cockpit.opened import DEMO_SET, Opened
from afsim.keys import lane_keys
from afsim.lens import make_lens
from afsim.sensor import make_sensor
from afsim.stackset import StackSet
from afsim.task import FocusTask
from afsim.taskspec import make_timing


@dataclass(frozen=True)
class Setup:
    """Plain values, so that a link and a file can carry them.

    Attributes
    ----------
    stacks : str
        Name of an opened set.
    stack, start : int
        Which recording, from which index.
    steps : int
        Moves there are, at least 1; ten as in :class:`afsim.game.PlayConfig`.
    seed : int
        Of the draws of lens, noise and policies: those of ``afsim compare`` and ``afsim trace``.
    lens, sensor, timing : str
        Presets, perhaps with changes: ``worn_warm,hysteresis=0``.
    breathing : float
        Gain on the recorded focal breathing: 1 as recorded, 0 registered.
    """

    stacks: str = DEMO_SET
    stack: int = 0
    start: int = 0
    steps: int = 10
    seed: int = 0
    lens: str = "ideal"
    sensor: str = "none"
    timing: str = "frames"
    breathing: float = 1.0


def make_task(setup: Setup, opened: Opened) -> FocusTask:
    """Return the game of a setup: absolute moves, with declaring, over an opened set.

    Raises
    ------
    AfsimError
        For a set, preset, number of steps or breathing that does not exist.
    """
    check_whole("steps", setup.steps, least=1, most=1000)
    camera = Camera(
        opened.stacks(setup.stacks), make_lens(setup.lens), make_sensor(setup.sensor), breathing=setup.breathing
    )
    return FocusTask(camera, budget=setup.steps, declare=True, reward="none", timing=make_timing(setup.timing))


def draw(stacks: StackSet, seed: int) -> tuple[int, int]:
    """Return the stack and the start that a seed draws, as ``afsim play --seed`` does."""
    task = FocusTask(Camera(stacks), reward="none")
    lane = task.reset(lane_keys(seed, [0])).lanes[0]
    return int(lane["stack"]), int(lane["start"])
