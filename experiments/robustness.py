"""Which imperfection breaks which policy: each alone, each taken out of a worn lens, and the presets.

Every policy plays the same episodes in every camera, so that differences are paired. Errors are those of the real
position against the exact truth, as no policy sees them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.errors import AfsimError
from afsim.experiments.compare import open_stacks
from afsim.lens import LENSES, Lens, make_lens
from afsim.metrics import mean_interval
from afsim.plots import heat_map, save
from afsim.policies import make
from afsim.rollout import Arena
from afsim.sensor import SENSORS, Sensor
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import markdown_table, write_table
from afsim.task import FocusTask

FloatArray = npt.NDArray[np.float64]

# For each imperfection the fields that switch it off at zero, and those that say how large it is.
_IMPERFECTIONS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "offset": (("offset",), ()),
    "gain": (("gain",), ()),
    "bow": (("bow",), ()),
    "gravity": (("gravity",), ("orientation", "orientation_law", "resonance")),
    "temperature": (("thermal", "magnet"), ("temperature", "temperature_sd", "warming")),
    "hysteresis": (("hysteresis",), ()),
    "ringing": (("ringing",), ("resonance", "damping", "shaper", "mistuning")),
    "jitter": (("jitter",), ()),
    "crosstalk": (("crosstalk",), ()),
    "lateral shift": (("lateral",), ()),
}


@dataclass(frozen=True)
class RobustnessConfig:
    """What is tried on what."""

    stacks: Path | None = None
    """A stored set; the embedded demo set by default."""
    policies: str = "fixed,hill_climb,sweep,oracle"
    """Names, separated by commas."""
    steps: int = 8
    """Budget of every policy."""
    start_step: int = 8
    """Episodes start at every so many indices."""
    lens: str = "worn_warm"
    """Lens preset whose imperfections are taken one by one."""
    out: Path = Path("out/robustness")
    """Folder for rows.csv, table.md and robustness.png."""
    seed: int = 0
    """Of the lenses and the noise."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


class Condition(NamedTuple):
    """One camera of the study."""

    group: str
    name: str
    lens: Lens
    sensor: Sensor
    breathing: float = 1.0


def conditions(preset: Lens, *, distances: bool = True, breathing: bool = True) -> Iterator[Condition]:
    """Yield the cameras: the reference first, then each imperfection alone, each taken out, presets and light.

    Without focus ``distances`` nothing that is measured in micrometres can be tried, so only the light is.
    Breathing is changed only where the recordings have enough margin for it.
    """
    plain, ideal = SENSORS["recorded"], LENSES["ideal"]
    yield Condition("reference", "ideal lens, as recorded", ideal, plain)
    if distances:
        present = {name: one for name, one in _IMPERFECTIONS.items() if any(getattr(preset, f) for f in one[0])}
        for name, (switches, sizes) in present.items():
            values: dict[str, Any] = {field: getattr(preset, field) for field in (*switches, *sizes)}
            yield Condition("alone", name, replace(ideal, name=name, **values), plain)
        for name, (switches, _) in present.items():
            off: dict[str, Any] = {field: type(getattr(preset, field))(0) for field in switches}
            yield Condition("without", f"{preset.name} without {name}", replace(preset, **off), plain)
        for name, lens in LENSES.items():
            if name != "ideal":
                yield Condition("preset", name, lens, plain)
    if distances and breathing:
        yield Condition("breathing", "breathing removed", ideal, plain, 0.0)
        yield Condition("breathing", "breathing doubled", ideal, plain, 2.0)
    for name in ("bright", "indoor", "dim", "dark"):
        yield Condition("light", name, ideal, SENSORS[name])
    if distances:
        yield Condition("preset", "typical_phone, indoor", LENSES["typical_phone"], SENSORS["indoor"])
        yield Condition("preset", "worn_warm, dark", LENSES["worn_warm"], SENSORS["dark"])


def run(config: RobustnessConfig, *, stacks: StackSet | None = None) -> list[dict[str, object]]:
    """Play every policy in every camera and return one row for each.

    Raises
    ------
    AfsimError
        For stacks without a truth, or options that do not exist.
    """
    for name, least in (("steps", 1), ("start_step", 1), ("seed", 0)):
        check_whole(name, getattr(config, name), least=least)
    stacks = stacks if stacks is not None else open_stacks(config.stacks)
    if not stacks.labelled.all():
        raise AfsimError("the study needs a truth or a label for every stack")
    names = [name.strip() for name in config.policies.split(",")]
    distances = stacks.diopters is not None
    cameras = list(conditions(make_lens(config.lens), distances=distances, breathing=_has_margin(stacks)))
    rows: list[dict[str, object]] = []
    reference: dict[str, FloatArray] = {}
    for condition in track(cameras, "cameras", console=Console(stderr=True), disable=config.quiet, transient=True):
        camera = Camera(stacks, condition.lens, condition.sensor, breathing=condition.breathing)
        arena = Arena(camera, starts=np.arange(0, stacks.n, config.start_step), seed=config.seed)
        task = FocusTask(camera, budget=config.steps, reward="none")
        for name in names:
            row, errors = _row(condition, name, arena, task, reference.get(name))
            reference.setdefault(name, errors)
            rows.append(row)
    return rows


def _has_margin(stacks: StackSet) -> bool:
    """Tell whether breathing can be removed and doubled without looking beyond the recorded patches."""
    try:
        return all(Camera(stacks, breathing=gain) is not None for gain in (0.0, 2.0))
    except AfsimError:
        return False


def _row(
    condition: Condition, name: str, arena: Arena, task: FocusTask, reference: FloatArray | None
) -> tuple[dict[str, object], FloatArray]:
    stacks = arena.camera.stacks
    episodes = arena.play(make(name, task.spec), task)
    errors = np.abs(episodes.positions[:, -1] - stacks.truth[episodes.stack])
    scenes = [stacks.scenes[i] for i in episodes.stack]
    low, high = mean_interval(errors, scenes)
    harm = errors - (errors if reference is None else reference)
    harm_low, harm_high = mean_interval(harm, scenes)
    row = {
        "group": condition.group,
        "condition": condition.name,
        "policy": name,
        "episodes": len(errors),
        "exact_mae": float(errors.mean()),
        "exact_mae_lo": low,
        "exact_mae_hi": high,
        "harm": float(harm.mean()),
        "harm_lo": harm_low,
        "harm_hi": harm_high,
        "success": float((errors <= 1.0).mean()),
        "reachable": float(episodes.reachable.mean()),
        "steps": float(episodes.observations.mean()),
        "time_ms": float(episodes.times[:, -1].mean()),
    }
    return row, errors


# ---------------------------------------------------------------------- what is written
def table(rows: list[dict[str, object]]) -> list[list[str]]:
    """Return the study as text: a heading, then one line a camera with each policy's error.

    A star marks an error that differs from the reference's: the paired interval excludes 0.
    """
    names = list(dict.fromkeys(str(row["policy"]) for row in rows))
    lines = [["camera", *names, "reachable (%)"]]
    for condition in dict.fromkeys(str(row["condition"]) for row in rows):
        cells = [row for row in rows if row["condition"] == condition]
        lines.append([condition, *(_cell(row) for row in cells), f"{100 * _number(cells[0], 'reachable'):.1f}"])
    return lines


def _cell(row: dict[str, object]) -> str:
    differs = _number(row, "harm_lo") > 0 or _number(row, "harm_hi") < 0
    return f"{_number(row, 'exact_mae'):.2f}{'*' if differs else ''}"


def _number(row: dict[str, object], field: str) -> float:
    value = row[field]
    assert isinstance(value, int | float)
    return float(value)


def _grid(rows: list[dict[str, object]]) -> tuple[list[str], list[str], FloatArray]:
    """Return cameras, policies, and the errors (cameras, policies)."""
    heading, *lines = table(rows)
    values = [[float(cell.rstrip("*")) for cell in line[1:-1]] for line in lines]
    return [line[0] for line in lines], heading[1:-1], np.array(values)


def main(config: RobustnessConfig) -> int:
    """Run the study, print its table, and write rows.csv, table.md and robustness.png."""
    with staged_files(config.out) as folder:
        rows = run(config)
        write_table(rows, folder / "rows.csv")
        heading, *lines = table(rows)
        (folder / "table.md").write_text(markdown_table(heading, lines), encoding="utf-8")
        save(heat_map(*_grid(rows), label="exact error in slices"), folder, "robustness")
    if not config.quiet:
        screen = Table(*heading, title="exact error in slices; * differs from the first line")
        for line in lines:
            screen.add_row(*line)
        Console().print(screen)
        print(f"Written: {config.out / 'table.md'}, rows.csv and robustness.png beside it")
    return 0
