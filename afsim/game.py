"""One game in a person's hands: a value that :meth:`Game.apply` turns into the next one, and its text pictures."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from afsim.camera import Camera
from afsim.contactsheet import display_curve
from afsim.errors import AfsimError
from afsim.keys import lane_keys
from afsim.lens import make_lens
from afsim.sensor import make_sensor
from afsim.stack import Image
from afsim.stackset import StackSet
from afsim.task import FocusTask, TaskState
from afsim.taskspec import make_timing
from afsim.trace import Trace, by_hand, opening

FloatArray = npt.NDArray[np.float64]

HELP: Final = (
    "l/h or right/left: +1/-1; L/H or up/down: +5/-5; a number: go to that index; "
    "u: undo; d: declare it focused; q: quit"
)
_SHIFTS: Final = {"l": 1, "right": 1, "h": -1, "left": -1, "L": 5, "up": 5, "H": -5, "down": -5}
KEYS: Final = frozenset({*_SHIFTS, "u", "d", "q"})
_SHADES: Final = " ░▒▓█"
_BARS: Final = "▁▂▃▄▅▆▇█"
_PICTURE_COLUMNS: Final = 48
# A character is about twice as high as it is wide.
_CHARACTER_ASPECT: Final = 2


@dataclass(frozen=True)
class PlayConfig:
    """Play one stack by hand.

    Attributes
    ----------
    stacks : Path or None
        Folder of a stored stack set; None for the demo set.
    stack : int, str or None
        Index or name of the stack; None draws one by the seed.
    start : int or None
        Index to start at; None draws one by the seed.
    steps : int
        Moves there are, at least 1. Ten, twice the environments' five: a person has no features to read off.
    seed : int
        Of the draws.
    lens : str
        Lens preset; its fields can be changed: --lens worn_warm --lens.hysteresis 0.
    sensor : str
        Sensor preset; --sensor dim --sensor.fresh off, and so on.
    timing : str
        When exposures may end: frames or free; --timing.inference_ms 32.5, and so on.
    breathing : float
        Gain on the recorded focal breathing: 1 as recorded, 0 registered.
    terminal : bool
        Play in the terminal even where there is a display.
    """

    stacks: Path | None = None
    stack: int | str | None = None
    start: int | None = None
    steps: int = 10
    seed: int = 0
    lens: str = "ideal"
    sensor: str = "none"
    timing: str = "frames"
    breathing: float = 1.0
    terminal: bool = False


@dataclass(frozen=True, eq=False)
class Game:
    """One episode in the hands of a person. A value: every key gives another game.

    Attributes
    ----------
    trace : Trace
        From the start slice to the present one, of a task with declaring; what was undone is not in it.
    undone : int
        How many moves were taken back, which no other policy may.
    abandoned : bool
        Whether the player quit.
    """

    trace: Trace
    undone: int = 0
    abandoned: bool = False

    @classmethod
    def begin(cls, config: PlayConfig, stacks: StackSet) -> Self:
        """Start the game that ``config`` describes on ``stacks``.

        The lens, drift and noise are those that policies meet at the same stack, start and seed.

        Raises
        ------
        AfsimError
            For a stack, start, number of steps, lens, sensor, timing or breathing that does not exist.
        """
        camera = Camera(stacks, make_lens(config.lens), make_sensor(config.sensor), breathing=config.breathing)
        timing = make_timing(config.timing)
        task = FocusTask(camera, budget=config.steps, declare=True, reward="none", timing=timing)
        stack = find_stack(stacks, config.stack)
        drawn = task.reset(lane_keys(config.seed, [0]), stack=stack, start=config.start).lanes[0]
        return cls(opening(task, int(drawn["stack"]), int(drawn["start"]), config.seed))

    @property
    def task(self) -> FocusTask:
        """The game's rules."""
        return self.trace.task

    @property
    def state(self) -> TaskState:
        """The present state, of one lane."""
        return self.trace.moments[-1].state

    @property
    def command(self) -> int:
        """The index asked for last."""
        return int(self.state.lanes[0]["command"])

    @property
    def over(self) -> bool:
        """Whether it was declared or abandoned, or all steps are used."""
        return self.abandoned or bool(self.state.lanes[0]["done"])

    def apply(self, key: str) -> "Game | str":
        """Return the game after ``key``, or why the key changes nothing (no step is used then).

        Parameters
        ----------
        key : str
            One of :data:`HELP`: a letter, the name of an arrow, or an index in digits.
        """
        if self.over:
            return "the game is over"
        if key == "q":
            return replace(self, abandoned=True)
        if key == "u":
            if len(self.trace.moments) == 1:
                return "there is no move to undo"
            return replace(self, trace=self.trace.until(len(self.trace.moments) - 2), undone=self.undone + 1)
        if key == "d":
            return replace(self, trace=by_hand(self.trace, None))
        last = self.task.spec.n - 1
        if key in _SHIFTS:
            target = min(max(self.command + _SHIFTS[key], 0), last)
        elif key.isascii() and key.isdigit():
            target = int(key)
        else:
            return f"unknown key {key!r}. {HELP}"
        if target > last:
            return f"there is no index {target}; expected 0 ... {last}"
        if target == self.command:
            return f"the lens is at index {target} already; d declares it focused"
        return replace(self, trace=by_hand(self.trace, target))

    # ------------------------------------------------------------------ what is shown
    def picture(self) -> Image:
        """Return the present image (H, W) as 0 ... 1 for display; all images seen share one range of grey."""
        shown = display_curve(np.stack([moment.image.mean(axis=0) for moment in self.trace.moments]))
        return np.asarray(shown[-1])

    def sharpness(self) -> FloatArray:
        """Return the contrast (n,) seen at each index relative to the best seen so far, NaN where not seen."""
        seen = np.full(self.task.spec.n, np.nan)
        for moment in self.trace.moments:
            seen[int(moment.state.lanes[0]["command"])] = moment.contrast
        best = np.nanmax(seen)
        return seen / best if best > 0 else np.where(np.isnan(seen), np.nan, 1.0)

    def status(self) -> str:
        """Return where the game stands, in one line without the truth."""
        left = self.task.spec.budget - int(self.state.lanes[0]["step"])
        relative = self.sharpness()[self.command]
        return (
            f"index {self.command}, {left} step(s) left, {_costs(self)}, "
            f"sharpness {100 * relative:.0f} % of the best seen"
        )

    def score(self) -> list[str]:
        """Return the truth and how well it was met, in lines; what the recording does not tell is named."""
        info = self.task.info(self.state)[0]
        stack, n = int(info["stack"]), self.task.spec.n
        ending = "declared" if info["declared"] else "abandoned" if self.abandoned else "all steps used"
        everywhere = self.task.relative_sharpness(np.full(n, stack), np.arange(n, dtype=np.float64))
        here = self.task.relative_sharpness(np.array([stack]), np.array([info["position"]]))[0]
        sweep = int(everywhere.argmax())
        lines = [
            f"stack {self.task.camera.stacks.names[stack]!r}: {ending} at index {self.command} "
            f"(the lens is at {info['position']:.2f})",
            f"{int(info['step'])} of {self.task.spec.budget} steps, {_costs(self)}, {self.undone} undone",
            f"sharpness {100 * here:.0f} % of the stack's best slice",
        ]
        if not info["labelled"]:
            why = "withheld: the stack has no label"
            return [*lines, f"truth, error and exact error {why}", f"a full sweep would have chosen index {sweep}"]
        truth = f"truth: label {_number(info['best_index'], '.0f')}, exact {info['best_index_exact']:.2f}"
        errors = f"error {_number(info['error'], '+.0f')}, exact error {info['exact_error']:+.2f}"
        verdict = "success" if info["success"] else "missed: success is an exact error of at most 1"
        off = f"{sweep - info['best_index_exact']:+.2f}"
        return [
            *lines,
            truth,
            f"{errors} ({verdict})",
            f"a full sweep would have chosen index {sweep} (exact error {off}) after {n} exposures",
        ]


def find_stack(stacks: StackSet, wanted: int | str | None) -> int | None:
    """Return the index of the stack of that index or name, or None where none is wanted.

    Raises
    ------
    AfsimError
        Where there is no such stack.
    """
    if isinstance(wanted, str):
        names = stacks.names
        if wanted not in names:
            some = ", ".join(repr(name) for name in names[:3])
            raise AfsimError(
                f"unknown stack {wanted!r}; expected an index in 0 ... {len(names) - 1} "
                f"or the name of one of the {len(names)} stacks, such as {some}"
            )
        return names.index(wanted)
    return wanted


def _number(value: float, form: str) -> str:
    return "withheld" if math.isnan(value) else format(value, form)


def _costs(game: Game) -> str:
    lane = game.state.lanes[0]
    if math.isnan(lane["travel_um"]):
        return f"travel {lane['travel_index']:g} indices, time withheld (focus distances unknown)"
    return f"travel {lane['travel_um']:.1f} µm, time {lane['time_ms']:.1f} ms"


def text_picture(picture: Image, columns: int = _PICTURE_COLUMNS) -> list[str]:
    """Return a picture (H, W) in 0 ... 1 as lines of block characters, the mean of the pixels under each."""
    height, width = picture.shape
    columns = min(columns, width)
    rows = max(1, round(columns * height / width / _CHARACTER_ASPECT))
    tops, lefts = (np.arange(count) * size // count for count, size in ((rows, height), (columns, width)))
    sums = np.add.reduceat(np.add.reduceat(picture, tops, axis=0), lefts, axis=1)
    areas = np.outer(np.diff([*tops, height]), np.diff([*lefts, width]))
    shades = np.minimum(sums / areas * len(_SHADES), len(_SHADES) - 1).astype(np.int64)
    return ["".join(_SHADES[shade] for shade in row) for row in shades]


def text_bars(sharpness: FloatArray, command: int) -> list[str]:
    """Return a bar (0 ... 1) for each index, a dot where it is NaN, and a mark below ``command``."""
    top = len(_BARS) - 1
    bars = "".join("·" if math.isnan(value) else _BARS[round(value * top)] for value in sharpness)
    return [bars, " " * command + f"^ {command}"]
