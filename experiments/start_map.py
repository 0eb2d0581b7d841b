"""From which starts does a policy find the focus? Every start of every stack: where it ends.

A policy whose result depends on its start has traps: indices that attract starts though they are not in focus.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from afsim.basins import Ends, Fate, Trap, basin_widths, by_start, ends_of, traps
from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.errors import AfsimError
from afsim.experiments.compare import open_stacks, progress_bar
from afsim.experiments.seats import seated
from afsim.lens import make_lens
from afsim.metrics import IN_FOCUS, mean_interval
from afsim.options import command_line
from afsim.policies import make
from afsim.policy import Status
from afsim.rollout import Arena, Episodes
from afsim.sensor import make_sensor
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import markdown_table, write_table
from afsim.task import FocusTask

FloatArray = npt.NDArray[np.float64]

# What attracts one start alone is no trap that a table needs to tell.
_FEWEST_STARTS: Final = 2
# What table.md has, and a screen has no room for.
_ON_PAPER_ALONE: Final = ("near", "from nowhere", "traps a stack", "largest trap")
# Of the table, in characters, where the output is narrower: numbers are not cut.
_LEAST_WIDTH: Final = 120


@dataclass(frozen=True)
class StartMapConfig:
    """Who starts where."""

    stacks: Path | None = None
    """A stored set; the embedded demo set by default."""
    policies: str = "hill_climb,coarse_to_fine,curve_fit,pdaf,hybrid"
    """Names, separated by commas."""
    steps: int = 12
    """Budget of every policy."""
    lens: str = "ideal"
    """Lens preset; its fields can be changed: --lens worn_warm --lens.hysteresis 0."""
    sensor: str = "none"
    """Sensor preset; --sensor dim --sensor.fresh off, and so on."""
    worst: int = 5
    """Stacks of each policy in the table of worst cases: of each its worst start."""
    scenes: int = 12
    """Stacks whose searches are drawn, spread evenly over the truths."""
    film: bool = False
    """Write their searches as films, too, a frame a step."""
    out: Path = Path("out/start_map")
    """Folder for rows.csv, traps.csv, table.md and the pictures."""
    seed: int = 0
    """Of the random draws of policies, lenses and sensors."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


class Mapped(NamedTuple):
    """What a policy did from everywhere."""

    policy: str
    episodes: Episodes
    ends: Ends


class Study(NamedTuple):
    """The stacks, what the policies did, and who could not play."""

    stacks: StackSet
    maps: list[Mapped]
    notes: list[str]


def study(config: StartMapConfig, *, stacks: StackSet | None = None, console: Console | None = None) -> Study:
    """Let every policy play every start of every stack. ``stacks`` replaces ``config.stacks``.

    Raises
    ------
    AfsimError
        For stacks without a truth, or options that do not exist.
    """
    for name, least in (("steps", 1), ("worst", 1), ("scenes", 1), ("seed", 0)):
        check_whole(name, getattr(config, name), least=least)
    stacks = stacks if stacks is not None else open_stacks(config.stacks)
    if not stacks.labelled.all():
        raise AfsimError("the study needs a truth or a label for every stack")
    camera = Camera(stacks, make_lens(config.lens), make_sensor(config.sensor))
    arena, task = Arena(camera, seed=config.seed), FocusTask(camera, budget=config.steps, reward="none")
    names, notes = seated(config.policies, task.spec)
    maps = []
    with progress_bar(console, names, len(arena.stack), config.quiet) as advance:
        for name in names:
            episodes = arena.play(make(name, task.spec), task)
            maps.append(Mapped(name, episodes, ends_of(episodes, stacks.truth)))
            advance(name, None)
    return Study(stacks, maps, notes)


# ---------------------------------------------------------------------- rows
def rows_of(found: Study) -> list[dict[str, object]]:
    """Return one row a policy: where its starts end, and how."""
    return [_row(each, found.stacks) for each in found.maps]


def _row(mapped: Mapped, stacks: StackSet) -> dict[str, object]:
    episodes, ends = mapped.episodes, mapped.ends
    inside = np.abs(ends.error) <= IN_FOCUS
    scenes = [stacks.scenes[i] for i in episodes.stack]
    low, high = mean_interval(inside.astype(np.float64), scenes)
    table = by_start(inside, episodes)
    attracting = [len(trap.starts) for trap in traps(episodes, ends)]
    return {
        "policy": mapped.policy,
        "stacks": len(stacks),
        "episodes": len(inside),
        "in_focus": float(inside.mean()),
        "in_focus_lo": low,
        "in_focus_hi": high,
        "exact_mae": float(np.abs(ends.error).mean()),
        "steps": float(ends.steps.mean()),
        "basin_width": float(basin_widths(episodes, ends, stacks.truth).mean()),
        "from_everywhere": float(table.all(axis=1).mean()),
        "from_nowhere": float((~table.any(axis=1)).mean()),
        "traps_a_stack": sum(count >= _FEWEST_STARTS for count in attracting) / len(stacks),
        "largest_trap": max(attracting, default=0),
        "worse_than_start": float(ends.worse.mean()),
        **{fate.name.lower(): float((ends.fate == fate).mean()) for fate in list(Fate)[1:]},
    }


def trap_rows(found: Study) -> list[dict[str, object]]:
    """Return one row for each trap of a policy in a stack, the most attractive of each stack first."""
    return [
        {"policy": each.policy, **_trap_row(trap, found.stacks)}
        for each in found.maps
        for trap in traps(each.episodes, each.ends)
    ]


def _trap_row(trap: Trap, stacks: StackSet) -> dict[str, object]:
    return {
        "stack": stacks.names[trap.stack],
        "truth": float(stacks.truth[trap.stack]),
        "index": trap.place,
        "error": trap.error,
        "starts": len(trap.starts),
        "first_start": int(trap.starts[0]),
        "last_start": int(trap.starts[-1]),
        "wrong": trap.wrong,
        "never_ending": trap.never_ending,
    }


def worst_cases(mapped: Mapped, most: int) -> list[int]:
    """Return the episodes with the largest errors, at most one a stack and only those out of focus."""
    size = np.abs(mapped.ends.error)
    order = np.argsort(-size, kind="stable")
    _, first = np.unique(mapped.episodes.stack[order], return_index=True)
    return [int(i) for i in order[np.sort(first)][:most] if size[i] > IN_FOCUS]


# ---------------------------------------------------------------------- what is written
def table(rows: list[dict[str, object]]) -> list[list[str]]:
    """Return the study as text: a heading, then one line a policy; shares in per cent."""
    shares = ("in_focus", "near", "failed", "never_ending", "cycle", "wrong", "worse_than_start")
    stacks = ("from_everywhere", "from_nowhere")
    heading = [
        "policy",
        "exact MAE",
        "steps",
        "basin width",
        *(name.replace("_", " ") for name in (*shares, *stacks)),
    ]
    lines = [[*heading, "traps a stack", "largest trap"]]
    for row in rows:
        numbers = [f"{row[name]:.1f}" for name in ("steps", "basin_width")]
        shown = [f"{100.0 * float(str(row[name])):.1f}" for name in (*shares, *stacks)]
        traps_shown = [f"{row['traps_a_stack']:.2f}", f"{row['largest_trap']}"]
        lines.append([str(row["policy"]), f"{row['exact_mae']:.2f}", *numbers, *shown, *traps_shown])
    return lines


def worst_table(found: Study, most: int) -> list[list[str]]:
    """Return the worst cases as text: a heading, then a line each."""
    lines = [["policy", "stack", "truth", "start", "end", "error", "steps", "status", "starts that end there"]]
    stacks = found.stacks
    for each in found.maps:
        episodes, ends = each.episodes, each.ends
        for i in worst_cases(each, most):
            stack = int(episodes.stack[i])
            together = int(((episodes.stack == stack) & (ends.place == ends.place[i])).sum())
            status = Status(int(ends.status[i])).name.lower()
            fate = Fate(int(ends.fate[i]))
            where = [stacks.names[stack], f"{stacks.truth[stack]:.1f}", f"{episodes.start[i]}", f"{ends.place[i]}"]
            told = f"{status}, in a cycle of {ends.period[i]}" if fate == Fate.CYCLE else status
            lines.append([each.policy, *where, f"{ends.error[i]:+.1f}", f"{ends.steps[i]}", told, f"{together}"])
    return lines


_MEANING: Final = """\
Shares in per cent of all starts of all stacks. In focus: within 1 slice of the exact truth; near: within 2. Beyond
that: failed, as the policy says; never ending: still searching when its steps are used; cycle: that, and its
commands repeat; wrong: it says that it is focused. Worse than start: it ends more than a slice farther from the
truth than it started. Basin width: starts in a row around the truth that end in focus. From everywhere, from
nowhere: stacks of which all, or no, starts end in focus. Trap: an index out of focus where two or more starts of a
stack end; the largest one, in starts.
"""


def write_text(found: Study, config: StartMapConfig, path: Path) -> None:
    """Write the tables as Markdown, the command with them."""
    heading, *lines = table(rows_of(found))
    worst_heading, *worst = worst_table(found, config.worst)
    parts = [
        f"`{command_line('study start_map', config)}`",
        markdown_table(heading, lines).rstrip(),
        _MEANING.strip(),
    ]
    parts += [
        *found.notes,
        "Worst cases: of each policy the stacks with the largest errors, of each the worst start.",
    ]
    path.write_text("\n\n".join(parts) + "\n\n" + markdown_table(worst_heading, worst), encoding="utf-8")


def main(config: StartMapConfig) -> int:
    """Run the study, print its table, and write tables and pictures."""
    from afsim.experiments.start_map_report import write_pictures  # here: it builds on this module

    with staged_files(config.out) as folder:
        found = study(config)
        rows = rows_of(found)
        write_table(rows, folder / "rows.csv")
        if trapped := trap_rows(found):
            write_table(trapped, folder / "traps.csv")
        write_text(found, config, folder / "table.md")
        write_pictures(found, config, folder)
    if not config.quiet:
        shown: list[list[str]] = []
        screen = Table(title="where starts end, in per cent")
        for heading, *cells in zip(*table(rows), strict=True):
            if heading not in _ON_PAPER_ALONE:
                screen.add_column(heading, no_wrap=heading == "policy")
                shown.append(cells)
        for line in zip(*shown, strict=True):
            screen.add_row(*line)
        console = Console()
        console.width = max(console.width, _LEAST_WIDTH)
        console.print(screen, *found.notes, sep="\n")
        print(f"Written: {config.out / 'table.md'}, rows.csv, traps.csv and pictures beside it")
    return 0
