"""Compare policies by accuracy, steps, lens travel and time on one set of stacks.

Every policy plays every (stack, start) pair under every budget 1 ... M; rows, pictures and a page are written.
"""

import importlib.metadata
import platform
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

import afsim
from afsim import StackSet
from afsim.camera import Camera, Interpolation
from afsim.errors import AfsimError
from afsim.lens import make_lens
from afsim.metrics import summarize
from afsim.page import write_html
from afsim.plots import error_by_steps, frontier, save
from afsim.policies import make
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
    """Names, separated by commas; a colon chooses a policy's main option (sweep:sum_modified_laplacian)."""
    steps: int = 12
    """Budgets 1 ... M: predictions, each with its move, after the start slice."""
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
    camera = Camera(
        stacks,
        make_lens(config.lens),
        make_sensor(config.sensor),
        config.interpolation,
        config.breathing,
        config.margin,
    )
    arena, timing = Arena(camera, seed=config.seed), make_timing(config.timing)
    tasks = [FocusTask(camera, budget=m, reward="none", timing=timing) for m in budgets(config.steps)]
    names = [name.strip() for name in config.policies.split(",") if name.strip()]
    if not names:
        raise AfsimError("no policies to compare; expected names separated by commas")
    if duplicated := {name for name in names if names.count(name) > 1}:
        raise AfsimError(f"policies named twice: {', '.join(sorted(duplicated))}")
    policies = {name: [make(name, task.spec) for task in tasks] for name in names}
    rows = []
    with _progress(console, names, len(tasks) * len(arena.stack), config.quiet) as advance:
        for name in names:
            for task, policy in zip(tasks, policies[name], strict=True):
                episodes = arena.play(policy, task, progress=partial(advance, name))
                rows.append(summarize(name, task.spec.budget, episodes, stacks, arena.sharpness))
                if episodes.whole_stack:
                    break
            advance(name, None)
    return rows


def open_stacks(path: Path | None) -> StackSet:
    """Open the set at ``path``, or the embedded default."""
    return open_demo() if path is None else StackSet.open(path)


@contextmanager
def _progress(
    console: Console | None, names: list[str], episodes: int, quiet: bool
) -> Iterator[Callable[[str, int | None], None]]:
    """Yield ``advance(name, lanes)``; lanes None says that the policy is done."""
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
    notes = notes_for(stacks)
    # Opened before the run, so that a folder that cannot be written to is told at once.
    with staged_files(config.out) as folder:
        rows = run(config, stacks=stacks)
        record = _record(config, stacks, source, time.time() - began)
        write_csv(rows, folder / "rows.csv")
        write_json(record, folder / "run.json")
        error_picture = save(error_by_steps(rows), folder, "error_by_steps")[1]
        frontier_picture = save(frontier(rows), folder, "frontier")[1]
        pictures = {"Error against steps": error_picture, "Accuracy against lens travel": frontier_picture}
        write_html(folder / "report.html", title=title, rows=rows, notes=notes, config=record, pictures=pictures)
    if not config.quiet:
        console = Console()
        console.print(Text.assemble((title, "bold"), f": {stacks!r}"))
        console.print(screen_table(rows, notes=notes, width=console.width))
        print(f"Written: {config.out / 'report.html'} and rows.csv, run.json, pictures beside it")
    return 0


def _record(config: CompareConfig, stacks: StackSet, source: str, seconds: float) -> dict[str, object]:
    """Return what reproduces the run: configuration, data and versions; times last."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()}
    return {
        "command": command_line(config),
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


def command_line(config: CompareConfig) -> str:
    """Return the shell command that repeats a comparison: its options that differ from the defaults."""
    default = CompareConfig()
    words = ["afsim", "compare"]
    for name, value in asdict(config).items():
        if value != getattr(default, name):
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join(words)
