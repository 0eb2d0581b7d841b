"""How many steps does each strategy need? The smallest budget that reaches a level, in good and in bad cameras.

Every policy plays under budgets 1 ... M in every lens and light. An ideal lens in front of the recordings as they
are lets features be kept, so it is played from all starts under all budgets. Where the lens errs or noise is drawn
anew, every exposure has to be taken: starts are spread evenly, and budgets are those of ``erring_budgets``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.errors import AfsimError
from afsim.experiments.budgets import play_budgets
from afsim.experiments.compare import open_stacks, progress_bar
from afsim.experiments.seats import seated, spread_evenly
from afsim.lens import make_lens
from afsim.rollout import Arena, budgets
from afsim.rows import Row, is_whole_stack, number
from afsim.sensor import make_sensor
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import write_table
from afsim.task import FocusTask

# What the bar of progress says.
_BAR: Final = "all"
# Of the tables, in characters, where the output is narrower: numbers are not cut.
_LEAST_WIDTH: Final = 118


@dataclass(frozen=True)
class StepsConfig:
    """Who plays in which cameras."""

    stacks: Path | None = None
    """A stored set; the embedded demo set by default."""
    policies: str = ""
    """Names, separated by commas; by default all but the yardsticks stay, random, fixed and oracle."""
    steps: int = 12
    """Budgets 1 ... M: predictions, each with its move, after the start slice."""
    lenses: str = "ideal,typical_phone,worn_warm"
    """Lens presets, separated by commas."""
    sensors: str = "recorded,bright,dark"
    """Sensor presets, separated by commas; recorded is the noise of the recordings alone."""
    starts: int = 7
    """Where the camera errs: starts, spread evenly from the far to the near end."""
    erring_budgets: str = "1,2,3,4,6,8,12"
    """Where the camera errs: which of the budgets."""
    most: int = 64
    """Stacks, spread evenly over the set; 0 for all."""
    out: Path = Path("out/steps")
    """Folder for rows.csv, table.md and a picture a condition."""
    seed: int = 0
    """Of the lenses and the noise."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


class Level(NamedTuple):
    """What is to be reached: a field of the rows, and the value that is good enough."""

    field: str
    value: float
    title: str

    def is_reached(self, row: Row, end: str = "") -> bool:
        """Tell whether a row reaches it; with ``end`` its interval's worse end (never where there is none)."""
        value = number(row, self.field + end)
        return value >= self.value if self.field == "success" else value <= self.value

    @property
    def worse_end(self) -> str:
        """Suffix of the interval's end that is farther from the level."""
        return "_lo" if self.field == "success" else "_hi"


LEVELS: Final = (
    *(Level("success", share, f"success ≥ {100 * share:.0f} %") for share in (0.5, 0.7, 0.9)),
    *(Level("exact_mae", error, f"exact MAE ≤ {error:g}") for error in (4.0, 2.0, 1.0)),
)


class Condition(NamedTuple):
    """A camera of the study, who starts where in it, and under which budgets."""

    lens: str
    sensor: str
    arena: Arena
    tasks: list[FocusTask]

    @property
    def episodes(self) -> int:
        """Of each policy that does not see the whole stack at once."""
        return len(self.arena.stack) * len(self.tasks)

    @property
    def name(self) -> str:
        """Lens and light."""
        return f"{self.lens}, {self.sensor}"


class Study(NamedTuple):
    """Rows of :func:`afsim.metrics.summarize` with ``lens`` and ``sensor`` before them, and what is to be known."""

    rows: list[dict[str, object]]
    notes: list[str]


def run(config: StepsConfig, *, stacks: StackSet | None = None, console: Console | None = None) -> Study:
    """Play every policy in every camera. ``stacks`` replaces ``config.stacks``.

    Raises
    ------
    AfsimError
        For stacks without a truth, or options that do not exist.
    """
    check_whole("most", config.most, least=0)
    stacks = stacks if stacks is not None else open_stacks(config.stacks)
    if not stacks.labelled.all():
        raise AfsimError("the study needs a truth or a label for every stack")
    chosen, thinned = stacks, list[str]()
    if 0 < config.most < len(stacks):
        chosen = stacks.select(np.asarray(spread_evenly(len(stacks), config.most)))
        thinned.append(f"{len(chosen)} of the {len(stacks)} stacks, spread evenly over the set (--most 0 for all).")
    cameras, notes = conditions(config, chosen)
    names, left_out = seated(config.policies, cameras[0].tasks[-1].spec)
    rows: list[dict[str, object]] = []
    # One bar for all: in some cameras there is one policy more.
    lanes = sum(camera.episodes * len(who_plays(names, camera)) for camera in cameras)
    with progress_bar(console, [_BAR], lanes, config.quiet) as advance:
        for camera in cameras:
            told = _Told(camera.episodes, partial(advance, _BAR))
            found = play_budgets(camera.arena, camera.tasks, who_plays(names, camera), advance=told)
            rows += [{"lens": camera.lens, "sensor": camera.sensor, **row} for row in found]
    return Study(rows, [*thinned, *left_out, *notes])


def who_plays(names: Sequence[str], camera: Condition) -> list[str]:
    """Return who plays in a camera: where the lens errs, the Bayesian policy also as one that knows its kind."""
    if camera.arena.camera.actuator.is_exact or "bayesian" not in names:
        return list(names)
    informed = f"bayesian;lens={camera.lens}"
    after = names.index("bayesian") + 1
    return list(dict.fromkeys([*names[:after], informed, *names[after:]]))


class _Told:
    """Tells a bar the episodes that are done, whoever plays: who ends early has done all of its own."""

    def __init__(self, each: int, advance: Callable[[int], None]) -> None:
        self._each, self._advance = each, advance
        self._done: dict[str, int] = {}

    def __call__(self, name: str, lanes: int | None) -> None:
        done = self._done.get(name, 0)
        step = self._each - done if lanes is None else lanes
        self._done[name] = done + step
        self._advance(step)


def conditions(config: StepsConfig, stacks: StackSet) -> tuple[list[Condition], list[str]]:
    """Return the cameras, and notes on what is left out or thinned.

    Raises
    ------
    AfsimError
        For presets that do not exist, or budgets that are none.
    """
    lenses, sensors = (_listed(text) for text in (config.lenses, config.sensors))
    every = list(budgets(config.steps))
    wanted = _whole_numbers(config.erring_budgets)
    few = [m for m in every if m in wanted]
    if not few or not lenses or not sensors:
        raise AfsimError(
            f"nothing to play: expected lenses, sensors and erring budgets in 1 ... {config.steps}, "
            f"got {config.lenses!r}, {config.sensors!r} and {config.erring_budgets!r}"
        )
    made = {name: make_lens(name) for name in lenses}
    notes, found = [], []
    starts = spread_evenly(stacks.n, config.starts)
    for lens in lenses:
        if stacks.diopters is None and not made[lens].is_exact:
            notes.append(f"The lens {lens} is left out: the focus distances are unknown.")
            continue
        for sensor in sensors:
            camera = Camera(stacks, made[lens], make_sensor(sensor))
            exact = camera.replays_exactly
            arena = Arena(camera, starts=None if exact else starts, seed=config.seed)
            chosen = every if exact else few
            tasks = [FocusTask(camera, budget=m, reward="none") for m in chosen]
            found.append(Condition(lens, sensor, arena, tasks))
    if not found:
        raise AfsimError("no camera is left: " + " ".join(notes))
    thinned = [one.name for one in found if not one.arena.camera.replays_exactly]
    if thinned and (len(starts) < stacks.n or few != every):
        many = ", ".join(map(str, few))
        notes.append(
            f"Starts {', '.join(map(str, starts))} and budgets {many} alone in: {'; '.join(thinned)}. "
            "A number of steps there is the smallest of these budgets."
        )
    return found, notes


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _whole_numbers(text: str) -> set[int]:
    """Read budgets; those above the largest are no error, since the default has some."""
    for word in _listed(text):
        if not word.isdecimal() or int(word) < 1:
            raise AfsimError(f"erring budgets: expected whole numbers of at least 1, got {word!r} in {text!r}")
    return {int(word) for word in _listed(text)}


# ---------------------------------------------------------------------- how many steps
def steps_needed(points: Sequence[Row], level: Level) -> tuple[float, float]:
    """Return the smallest budget of a policy that reaches a level, and the smallest that surely does.

    Surely: its 95 % interval lies beyond the level. NaN where none does. A whole stack counts as the slices that
    are seen of it.
    """
    found = []
    for end in ("", level.worse_end):
        reached = [_spent(row) for row in points if level.is_reached(row, end)]
        found.append(min(reached, default=math.nan))
    return found[0], found[1]


def _spent(row: Row) -> float:
    return number(row, "observations") if is_whole_stack(row) else number(row, "steps")


def need_rows(rows: Sequence[Row], levels: Sequence[Level] = LEVELS) -> list[dict[str, object]]:
    """Return one row for each camera and policy: the steps that each level takes, and the best that is reached."""
    keys = dict.fromkeys((str(row["lens"]), str(row["sensor"]), str(row["policy"])) for row in rows)
    found = []
    for lens, sensor, policy in keys:
        points = [row for row in rows if (row["lens"], row["sensor"], row["policy"]) == (lens, sensor, policy)]
        line: dict[str, object] = {"lens": lens, "sensor": sensor, "policy": policy}
        for level in levels:
            line[level.title], line[f"{level.title}, surely"] = steps_needed(points, level)
        best = max(points, key=lambda row: number(row, "success"))
        line["best_success"], line["its_steps"] = number(best, "success"), _spent(best)
        line["its_exact_mae"], line["its_time_ms"] = number(best, "exact_mae"), number(best, "time_ms")
        found.append(line)
    return found


def main(config: StepsConfig) -> int:
    """Run the study, print its table, and write rows.csv, needs.csv, table.md and the pictures."""
    from afsim.experiments.steps_report import tables, write_pictures, write_text  # here: it builds on this module

    with staged_files(config.out) as folder:
        found = run(config)
        needs = need_rows(found.rows)
        write_table(found.rows, folder / "rows.csv")
        write_table(needs, folder / "needs.csv")
        write_text(found, needs, config, folder / "table.md")
        write_pictures(found, folder)
    if not config.quiet:
        console = Console()
        console.width = max(console.width, _LEAST_WIDTH)
        for title, (heading, *lines) in tables(needs).items():
            screen = Table(title=f"steps needed: {title}")
            for column in heading:
                screen.add_column(column, no_wrap=column == "policy")
            for line in lines:
                screen.add_row(*line)
            console.print(screen)
        console.print(*found.notes, sep="\n")
        print(f"Written: {config.out / 'table.md'}, rows.csv, needs.csv and pictures beside it")
    return 0
