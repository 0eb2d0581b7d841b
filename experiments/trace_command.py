"""Look at one episode slice by slice, and at what another policy would have done from any of its steps."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from afsim.camera import Camera, Interpolation
from afsim.errors import AfsimError, unknown
from afsim.experiments.compare import open_stacks
from afsim.filmfacts import differences, headline
from afsim.filmpanels import contrast_unit, make_reels, number
from afsim.filmstrip import filmstrip, save_filmstrip
from afsim.game import find_stack
from afsim.lens import make_lens
from afsim.policies import make
from afsim.policy import Status
from afsim.rows import write_json
from afsim.sensor import make_sensor
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.task import FocusTask
from afsim.taskspec import make_timing
from afsim.trace import Trace, fork, record
from afsim.video import frames, write_film

ENDINGS: Final = (".png", ".gif", ".mp4")


@dataclass(frozen=True)
class TraceConfig:
    """What is traced."""

    stacks: Path | None = None
    """A set made by 'afsim data import'; the embedded demo set by default."""
    policy: str = "hill_climb"
    """Who plays; a colon chooses a policy's main option (hill_climb:sum_modified_laplacian)."""
    stack: int | str = 0
    """Index or name of the stack."""
    start: int = 0
    """Index to start at."""
    steps: int = 8
    """Budget: predictions, each with its move, after the start slice. Eight, which a picture has columns for."""
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
    """Of the random draws of policies, lenses and sensors, as in 'afsim compare': its episodes are the same."""
    fork_policy: str | None = None
    """Who goes on from the step --fork-at, under the same lens, drift and noise."""
    fork_at: int | None = None
    """The step from which the other policy decides; 0 if only --fork-policy is given."""
    fork_shown: bool = True
    """Show the other policy first what was seen before its step; otherwise it is told nothing."""
    out: Path = Path("out/trace/episode.png")
    """A picture (.png), or a film with a frame a step (.gif, .mp4); the steps are written beside it as .json."""
    quiet: bool = False
    """No table on the screen."""


class Traced(NamedTuple):
    """An episode, perhaps a fork of it, and the names of their policies."""

    traces: list[Trace]
    names: list[str]


def run(config: TraceConfig, *, stacks: StackSet | None = None) -> Traced:
    """Play the episode of ``config``, and its fork if it has one. ``stacks`` replaces ``config.stacks``.

    Raises
    ------
    AfsimError
        For a value that does not exist, or a step to fork at without a policy.
    """
    if config.fork_at is not None and config.fork_policy is None:
        raise AfsimError(f"fork-at {config.fork_at} needs fork-policy: who goes on from that step")
    stacks = stacks if stacks is not None else open_stacks(config.stacks)
    lens, sensor = make_lens(config.lens), make_sensor(config.sensor)
    camera = Camera(stacks, lens, sensor, config.interpolation, config.breathing, config.margin)
    task = FocusTask(camera, budget=config.steps, reward="none", timing=make_timing(config.timing))
    names = [config.policy, *([config.fork_policy] if config.fork_policy else [])]
    policies = [make(name, task.spec) for name in names]
    stack = find_stack(stacks, config.stack)
    assert stack is not None
    traces = [record(task, policies[0], stack, config.start, config.seed)]
    if len(policies) > 1:
        traces.append(fork(traces[0], config.fork_at or 0, policies[1], shown=config.fork_shown))
    return Traced(traces, names)


def main(config: TraceConfig) -> int:
    """Trace the episode, print its steps, and write the picture or film with the steps beside it."""
    ending = config.out.suffix.lower()
    if ending not in ENDINGS:
        raise unknown("ending of the file to write", config.out.suffix, ENDINGS)
    traces, names = run(config)
    sidecar = config.out.with_suffix(".json").name
    with staged_files(config.out.parent) as folder:
        if ending == ".png":
            save_filmstrip(filmstrip(traces, names), folder / config.out.name)
        else:
            write_film(frames(traces, names), folder / config.out.name)
        write_json(summary(config, traces, names), folder / sidecar)
    if not config.quiet:
        console = Console()
        console.print(Text(headline(make_reels(traces, names)[0])))
        for trace, name in zip(traces, names, strict=True):
            console.print(steps_table(trace, name))
        for what, change in differences(traces[-1], traces[0]).items() if len(traces) > 1 else ():
            console.print(Text(f"  {names[1]} from step {traces[1].forked_at}, {what}: {change or 'withheld'}"))
        print(f"Written: {config.out} and {sidecar} beside it")
    return 0


# ---------------------------------------------------------------------- the steps in words and numbers
def step_rows(trace: Trace) -> list[dict[str, Any]]:
    """Return what happened, a row a step: plain numbers, None where withheld or not told.

    ``status`` and ``confidence`` are what the policy said on the move to this step; ``contrast`` is that of the
    image seen, relative to the sharpest slice; ``features`` is what the policy took from it where that is one or
    a few numbers; ``belief`` its probabilities having seen it, where its memory holds them.
    """
    unit, rows = contrast_unit(trace), []
    for step, (moment, lane) in enumerate(zip(trace.moments, trace.lanes, strict=True)):
        info = trace.task.info(moment.state)[0]
        features = None if moment.features is None else moment.features.ravel()
        belief = trace.belief(step)
        rows.append(
            {
                "step": step,
                "time_ms": _plain(lane["time_ms"]),
                "command": _plain(lane["command"]),
                "position": _plain(lane["position"]),
                "contrast": _plain(moment.contrast / unit),
                "features": None if features is None or len(features) > 4 else [_plain(x) for x in features],
                "status": Status(trace.status[step]).name,
                "confidence": _plain(trace.confidence[step]),
                "error": _plain(info["error"]),
                "exact_error": _plain(info["exact_error"]),
                "moves": int(lane["moves"]),
                "travel_index": _plain(lane["travel_index"]),
                "travel_um": _plain(lane["travel_um"]),
                "belief": None if belief is None else [_plain(x) for x in belief],
            }
        )
    return rows


def summary(config: TraceConfig, traces: Sequence[Trace], names: Sequence[str]) -> dict[str, Any]:
    """Return what is written beside the picture: the configuration, the truth, and the steps of each episode."""
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()}
    first = traces[0]
    return {
        "config": plain,
        "stack": first.task.camera.stacks.names[first.stack],
        "best_index": first.label,
        "truth": _plain(first.truth),
        "curve": [_plain(value) for value in first.curve / contrast_unit(first)],
        "episodes": [
            {"policy": name, "forked_at": trace.forked_at, "steps": step_rows(trace)}
            for name, trace in zip(names, traces, strict=True)
        ],
    }


def steps_table(trace: Trace, name: str) -> Table:
    """Return the steps as a table for the screen; those before a fork are left out."""
    began = "" if trace.forked_at is None else f", from step {trace.forked_at}"
    table = Table(title=f"{name}{began}", title_justify="left", box=None, header_style="bold")
    for column in ("step", "ms", "command", "lens at", "contrast", "says", "error", "travel µm"):
        table.add_column(column, justify="left" if column == "says" else "right", no_wrap=True)
    for row in step_rows(trace)[trace.forked_at or 0 :]:
        table.add_row(
            str(row["step"]),
            _cell(row["time_ms"], ".0f"),
            _cell(row["command"], ".0f"),
            _cell(row["position"], ".2f"),
            _cell(row["contrast"], ".3f"),
            f"{str(row['status']).lower()} {_cell(row['confidence'], '.2f', missing='')}",
            _cell(row["error"], "+.0f"),
            _cell(row["travel_um"], ".1f"),
        )
    return table


def _plain(value: Any) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None


def _cell(value: float | None, form: str, *, missing: str = "withheld") -> str:
    return missing if value is None else number(value, form)
