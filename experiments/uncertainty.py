"""Does a policy know when it is right? Calibration of its confidence, and the error of what it is surest of.

Confidence is how likely a policy says that it ends within one index of the focus. It is calibrated where of all
episodes with a confidence of 0.8 four in five do. Selective risk is the mean error of the surest share: who hands
the others to another method wants it to fall.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track

from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.errors import AfsimError
from afsim.experiments.compare import open_stacks
from afsim.experiments.seats import seated
from afsim.experiments.table_rows import labelled
from afsim.metrics import WRONG, mean_interval
from afsim.options import command_line
from afsim.plots import COLOURS, DASHES, REFERENCE, STYLE, save
from afsim.policies import make
from afsim.policy import Status
from afsim.rollout import Arena
from afsim.rows import number
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import markdown_table, write_table
from afsim.task import FocusTask

FloatArray = npt.NDArray[np.float64]

# Classes of equally many episodes, of the calibration error and the picture.
_CLASSES: Final = 15
# Shares of the episodes, surest first, whose error is told.
_SHARES: Final = (1.0, 0.9, 0.75, 0.5, 0.25)


@dataclass(frozen=True)
class UncertaintyConfig:
    """Whose confidence is looked at."""

    stacks: Path | None = None
    """A stored set; the embedded demo set by default."""
    policies: str = "learned-i1,learned-d1,learned-d1-2step,learned_bayesian:i1,learned_bayesian:d1,bayesian"
    """Policies, separated by commas."""
    steps: str = "1,2,4"
    """Budgets, separated by commas."""
    out: Path = Path("out/uncertainty")
    """Folder for rows.csv, table.md and the picture."""
    seed: int = 0
    """Of the episodes' keys."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


class Played(NamedTuple):
    """What a policy ended with under a budget: its confidence, exact error and status, all (E,), and the scenes."""

    policy: str
    steps: int
    confidence: FloatArray
    error: FloatArray
    status: npt.NDArray[np.int8]
    scene: list[str]


def run(config: UncertaintyConfig, *, stacks: StackSet | None = None) -> list[dict[str, object]]:
    """Play every pair under every budget and return a row for each policy and budget.

    Returns
    -------
    list of dict
        ``confidence`` and ``within``: mean of what is claimed, and the share that is so. ``calibration_error``:
        mean distance of both over classes of equal size. ``mae_SHARE``: exact, of the surest; ``aurc`` their mean
        over all shares, and ``aurc_least`` what it would be if errors were known. ``focused`` and
        ``focused_but_wrong``: shares of all episodes, the last with its interval by scene.

    Raises
    ------
    AfsimError
        For a set without labels, or options out of range.
    """
    return [row_of(played) for played in play(config, stacks)[0]]


def play(config: UncertaintyConfig, stacks: StackSet | None) -> tuple[list[Played], list[str]]:
    """Return what every policy ended with under every budget, and who could not play."""
    check_whole("seed", config.seed, least=0)
    steps = _steps(config.steps)
    stacks = labelled(stacks if stacks is not None else open_stacks(config.stacks))
    arena, scenes = Arena(Camera(stacks), seed=config.seed), stacks.scenes
    names, notes = seated(config.policies, FocusTask(arena.camera, reward="none").spec)
    played = []
    for name in track(names, "policies", console=Console(stderr=True), disable=config.quiet, transient=True):
        for budget in steps:
            task = FocusTask(arena.camera, budget=budget, reward="none")
            episodes = arena.play(make(name, task.spec), task)
            error = np.abs(episodes.positions[:, -1] - stacks.truth[episodes.stack])
            sure, scene = episodes.confidence.astype(np.float64), [scenes[i] for i in episodes.stack]
            played.append(Played(name, budget, sure, error, episodes.status[:, -1], scene))
            if episodes.whole_stack:
                break
    return played, notes


def _steps(text: str) -> list[int]:
    try:
        steps = [int(word) for word in text.split(",")]
    except ValueError:
        raise AfsimError(f"steps must be whole numbers separated by commas, got {text!r}") from None
    for step in steps:
        check_whole("steps", step, least=1)
    return steps


def row_of(played: Played) -> dict[str, object]:
    """Return the row of a policy under a budget."""
    within = played.error <= 1.0
    claimed, so = calibration(played.confidence, within)
    risk, least = selective_risk(played.confidence, played.error), selective_risk(-played.error, played.error)
    wrong = (played.status == Status.FOCUSED) & (played.error > WRONG)
    low, high = mean_interval(wrong.astype(np.float64), played.scene)
    row: dict[str, object] = {
        "policy": played.policy,
        "steps": played.steps,
        "episodes": len(within),
        "confidence": float(played.confidence.mean()),
        "within": float(within.mean()),
        "calibration_error": float(np.abs(claimed - so).mean()),
    }
    row |= {f"mae_{share:g}": float(risk[max(0, round(share * len(risk)) - 1)]) for share in _SHARES}
    row |= {"aurc": float(risk.mean()), "aurc_least": float(least.mean())}
    row |= {"focused": float((played.status == Status.FOCUSED).mean()), "focused_but_wrong": float(wrong.mean())}
    return row | {"focused_but_wrong_lo": low, "focused_but_wrong_hi": high}


def calibration(confidence: FloatArray, so: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Return, of classes of equally many episodes by confidence, what is claimed and the share that is so."""
    order = np.argsort(confidence, kind="stable")
    classes = np.array_split(order, min(_CLASSES, len(order)))
    claimed = np.array([confidence[each].mean() for each in classes])
    return claimed, np.array([so[each].mean() for each in classes])


def selective_risk(confidence: FloatArray, error: FloatArray) -> FloatArray:
    """Return the mean error (E,) of the 1, 2, ... E surest episodes; of equally sure ones the order is theirs."""
    order = np.argsort(-confidence, kind="stable")
    return np.asarray(error[order].cumsum() / np.arange(1, len(error) + 1))


def table(rows: list[dict[str, object]]) -> str:
    """Return the rows as a Markdown table."""
    shares = [f"MAE of {100 * share:.0f} %" for share in _SHARES]
    last = ["focused (%)", "but off by more than 2 (%)"]
    headings = ["policy", "steps", "claimed", "so", "calibration error", *shares, *last]
    lines = []
    for row in rows:
        low, high = (100 * number(row, f"focused_but_wrong_{end}") for end in ("lo", "hi"))
        wrong = f"{100 * number(row, 'focused_but_wrong'):.2f} ({low:.2f} ... {high:.2f})"
        cells = [f"{number(row, name):.3f}" for name in ("confidence", "within", "calibration_error")]
        cells += [f"{number(row, f'mae_{share:g}'):.2f}" for share in _SHARES]
        focused = f"{100 * number(row, 'focused'):.1f}"
        lines.append([f"`{row['policy']}`", str(row["steps"]), *cells, focused, wrong])
    return markdown_table(headings, lines)


def draw(games: list[Played]) -> Figure:
    """Draw calibration and selective risk, of each policy's largest budget."""
    largest = {played.policy: played for played in games}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot([0, 1], [0, 1], color=REFERENCE, linewidth=0.8)
        for i, (name, played) in enumerate(largest.items()):
            style = {"color": COLOURS[i % len(COLOURS)], "linestyle": ("-", *DASHES)[i // len(COLOURS)]}
            label = f"{name} ({played.steps} step{'s' if played.steps > 1 else ''})"
            left.plot(*calibration(played.confidence, played.error <= 1.0), marker="o", markersize=3, **style)
            risk = selective_risk(played.confidence, played.error)
            share = np.arange(1, len(risk) + 1) / len(risk)
            shown = share >= 0.02
            right.plot(100 * share[shown], risk[shown], label=label, **style)
        left.set(xlabel="claimed to be within 1 slice", ylabel="share that is", xlim=(0, 1), ylim=(0, 1))
        right.set(xlabel="surest episodes (%)", ylabel="mean absolute exact error (slices)", xlim=(0, 100))
        right.set_ylim(bottom=0.0)
        right.legend(fontsize=8)
    return figure


def main(config: UncertaintyConfig) -> int:
    """Play, and write rows.csv, table.md and the picture."""
    with staged_files(config.out) as folder:
        games, notes = play(config, None)
        rows = [row_of(played) for played in games]
        write_table(rows, folder / "rows.csv")
        text = table(rows)
        parts = ["# Does it know when it is right?", f"`{command_line('study uncertainty', config)}`", *notes, text]
        (folder / "table.md").write_text("\n\n".join(parts), encoding="utf-8")
        save(draw(games), folder, "uncertainty")
    if not config.quiet:
        print(text)
        print(f"Written: {config.out / 'table.md'}, rows.csv and the picture uncertainty beside it")
    return 0
