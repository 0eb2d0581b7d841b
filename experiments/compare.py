"""Compare policies by accuracy, steps, lens travel and time on one set of stacks.

Every policy plays every (stack, start) pair under every budget 1 ... M; rows, pictures and a page are written.
"""

import importlib.metadata
import math
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

import afsim
from afsim import StackSet
from afsim.camera import Camera, Interpolation
from afsim.costs import CostModel, make_cost
from afsim.experiments.budgets import Advance, play_budgets
from afsim.experiments.seats import ALL, policy_names, seated
from afsim.frontier import frontier
from afsim.lens import make_lens
from afsim.options import command_line
from afsim.page import write_html
from afsim.plots import error_by_steps, save
from afsim.report import screen_table
from afsim.rollout import Arena, budgets
from afsim.rows import write_csv, write_json
from afsim.sensor import make_sensor
from afsim.sets import open_demo
from afsim.staging import staged_files
from afsim.task import FocusTask
from afsim.taskspec import make_timing

_VERSIONS_OF: Final = ("numpy", "scipy", "numba", "gymnasium", "matplotlib")


@dataclass(frozen=True)
class CompareConfig:
    """What is compared on what."""

    stacks: Path | None = None
    """A set made by 'afsim data import'; the embedded demo set by default."""
    policies: str = "stay,random,fixed,hill_climb,sweep,oracle"
    """Names, separated by commas; a colon chooses a policy's main option (sweep:sum_modified_laplacian); all
    stands for every policy that can play the stacks, but for the yardsticks stay, random, fixed and oracle."""
    steps: int = 12
    """Budgets 1 ... M: predictions, each with its move, after the start slice."""
    baseline: str | None = None
    """Policy with which the exact errors of all are compared; by default each budget with the one before."""
    cost: str = "error"
    """Of which optimum and regret are: error or squared; its fields can be changed: --cost.move 0.05."""
    out: Path = Path("out/compare")
    """Folder for rows.csv, run.json, the pictures and report.html."""
    lens: str = "ideal"
    """Lens preset; its fields can be changed: --lens worn_warm --lens.hysteresis 0."""
    sensor: str = "none"
    """Sensor preset; --sensor dim --sensor.fresh off, and so on."""
    timing: str = "frames"
    """When exposures may end: frames or free; --timing.inference_ms 32.5, and so on."""
    breathing: float = 1.0
    """Gain on the recorded focal breathing: 1 as recorded, 0 registered."""
    margin: int | None = None
    """Pixels of the recorded patches to cut off at each border; by default the margin they were rendered with."""
    interpolation: Interpolation = "linear"
    """Between slices: linear or nearest."""
    seed: int = 0
    """Of the random draws of policies, lenses and sensors, 0 or more."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


def run(
    config: CompareConfig, *, stacks: StackSet | None = None, console: Console | None = None
) -> list[dict[str, object]]:
    """Play the comparison and return its rows, policy by policy and budget by budget.

    A whole-stack policy makes one prediction, so it has one row. ``stacks`` replaces ``config.stacks``.
    """
    stacks = stacks if stacks is not None else open_stacks(config.stacks)
    camera = camera_of(config, stacks)
    arena, timing, cost = Arena(camera, seed=config.seed), make_timing(config.timing), make_cost(config.cost)
    tasks = [FocusTask(camera, budget=m, reward="none", timing=timing) for m in budgets(config.steps)]
    names, _ = players(config, camera)
    with progress_bar(console, names, len(tasks) * len(arena.stack), config.quiet) as advance:
        return play_budgets(arena, tasks, names, baseline=config.baseline, cost=cost, advance=advance)


def camera_of(config: CompareConfig, stacks: StackSet) -> Camera:
    """Return the camera that all play in front of."""
    lens, sensor = make_lens(config.lens), make_sensor(config.sensor)
    return Camera(stacks, lens, sensor, config.interpolation, config.breathing, config.margin)


def players(config: CompareConfig, camera: Camera) -> tuple[list[str], list[str]]:
    """Return who plays, and a note on each of all that cannot.

    Who is asked for by name, and cannot play, is refused when it is seated.
    """
    names = policy_names(config.policies)
    asked = [name.strip() for name in config.policies.split(",")]
    if ALL not in asked:
        return names, []
    spec = FocusTask(camera, reward="none", timing=make_timing(config.timing)).spec
    kept, notes = seated(config.policies, spec)
    return [name for name in names if name in kept or name in asked], notes


def open_stacks(path: Path | None) -> StackSet:
    """Open the set at ``path``, or the embedded default."""
    return open_demo() if path is None else StackSet.open(path)


@contextmanager
def progress_bar(console: Console | None, names: Sequence[str], episodes: int, quiet: bool) -> Iterator[Advance]:
    """Yield ``advance(name, lanes)`` for so many episodes of each name; lanes None says that one is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console or Console(stderr=True), disable=quiet, transient=True) as bar:
        total = bar.add_task("episodes", total=episodes * len(names))
        done = dict.fromkeys(names, 0)

        def advance(name: str, lanes: int | None) -> None:
            step = episodes - done[name] if lanes is None else lanes
            done[name] += step
            bar.update(total, advance=step, description=f"playing {name}")

        yield advance


def notes_for(stacks: StackSet) -> list[str]:
    """Return what a reader of the numbers must know of the stacks: what is withheld, and why."""
    notes = []
    labelled = int(stacks.labelled.sum())
    if labelled == 0:
        notes.append("No stack has a label: errors are withheld; relative sharpness stands in for them.")
    elif labelled < len(stacks):
        notes.append(
            f"Errors are of the {labelled} labelled stacks of {len(stacks)}; the other columns are of all."
        )
    if stacks.diopters is None:
        notes.append(
            "The focus distances are unknown: travel is in indices, micrometres and milliseconds are withheld."
        )
    scenes = len({name for name, known in zip(stacks.scenes, stacks.labelled, strict=True) if known})
    if labelled and scenes < 2:
        notes.append("Intervals need at least two labelled scenes.")
    return notes


def main(config: CompareConfig) -> int:
    """Run the comparison, print its table, and write rows.csv, run.json, the pictures and report.html."""
    began = time.time()
    stacks = open_stacks(config.stacks)
    source = "demo" if config.stacks is None else config.stacks.resolve().name
    title = f"Policies on {source}"
    notes = notes_for(stacks) + players(config, camera_of(config, stacks))[1]
    if config.cost != CompareConfig.cost:
        notes.append(f"Optimum and regret are of the cost {config.cost}, not of the error alone.")
    # Opened before the run, so that a folder that cannot be written to is told at once.
    with staged_files(config.out) as folder:
        rows = run(config, stacks=stacks)
        record = _record(config, stacks, source, time.time() - began)
        write_csv(rows, folder / "rows.csv")
        write_json(record, folder / "run.json")
        error_picture = save(error_by_steps(rows), folder, "error_by_steps")[1]
        frontier_picture = save(frontier(drawn(rows, config)), folder, "frontier")[1]
        pictures = {
            "Accuracy against travel, time and steps": frontier_picture,
            "Error against steps": error_picture,
        }
        write_html(folder / "report.html", title=title, rows=rows, notes=notes, config=record, pictures=pictures)
    if not config.quiet:
        console = Console()
        console.print(Text.assemble((title, "bold"), f": {stacks!r}"))
        console.print(screen_table(rows, notes=notes, width=console.width))
        print(f"Written: {config.out / 'report.html'} and rows.csv, run.json, pictures beside it")
    return 0


def drawn(rows: Sequence[dict[str, object]], config: CompareConfig) -> list[dict[str, object]]:
    """Return the rows as they are drawn, over errors: the optimum of another cost than the error is left out."""
    if make_cost(config.cost) == CostModel():
        return list(rows)
    return [row | {"optimum": math.nan} for row in rows]


def _record(config: CompareConfig, stacks: StackSet, source: str, seconds: float) -> dict[str, object]:
    """Return what reproduces the run: configuration, data and versions; times last."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()}
    return {
        "command": command_line("compare", config),
        "config": plain,
        "stacks": {"name": source, "count": len(stacks), "sha256": stacks.digest, **stacks.metadata},
        "versions": {
            "afsim": afsim.__version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _VERSIONS_OF},
        },
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 1),
    }
