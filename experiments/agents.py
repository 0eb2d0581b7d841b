"""What agents trained by reinforcement learning do: against other policies at equal steps, and where they go.

Success is as in the deep reinforcement learning of autofocus: the episode ends within one slice of the exact truth.
A policy that knows how to stop takes fewer steps than its budget, so policies are compared at equal mean steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from afsim.experiments.seats import policy_names, spread_evenly
from afsim.experiments.table_rows import labelled
from afsim.lens import make_lens
from afsim.metrics import exact_errors, mean_interval
from afsim.options import command_line
from afsim.plots import COLOURS, DASHES, STYLE, save
from afsim.policies import make
from afsim.policy import Status
from afsim.rewards import WITHIN
from afsim.rollout import Arena, Episodes
from afsim.rows import number
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import markdown_table, write_table
from afsim.task import FocusTask

FloatArray = npt.NDArray[np.float64]
Row = dict[str, object]


@dataclass(frozen=True)
class AgentsConfig:
    """Who is compared, in front of which lenses."""

    stacks: Path | None = None
    """A stored set; the embedded demo set by default."""
    policies: str = "rl,learned-d1-2step,learned_bayesian,bayesian,hybrid,hill_climb"
    """The agent first; then those it is compared with. A semicolon changes options, a colon chooses a file."""
    lenses: str = "ideal,typical_phone,worn_warm"
    """Lens presets, separated by commas."""
    steps: tuple[int, ...] = (1, 2, 3, 4, 6, 8)
    """Budgets."""
    starts: int = 49
    """How many start indices, spread evenly; all of them where there are no more. The map has all, where the lens
    is exact: there, what is seen of a slice is kept."""
    out: Path = Path("out/agents")
    """Folder for rows.csv, table.md and the pictures."""
    seed: int = 0
    """Of the episodes' keys."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


def run(config: AgentsConfig, *, stacks: StackSet | None = None) -> tuple[list[Row], dict[str, Episodes]]:
    """Play, and return a row for each lens, policy and budget, and the agent's episodes of its largest by lens.

    Returns
    -------
    rows : list of dict
        ``success``: ends within one slice. ``declared``: ends so and says so. ``wrong``: says so and is not.
        ``steps``, ``time_ms``: means. ``exact_mae`` with its interval by scene; ``difference``: that of the first
        policy minus this one's, paired, with its interval.
    episodes : dict of str to Episodes
        By lens.

    Raises
    ------
    AfsimError
        For a set without labels, or options out of range.
    UnsuitableError
        For a policy that cannot play the stacks.
    """
    check_whole("seed", config.seed, least=0)
    names, budgets = policy_names(config.policies), sorted(set(config.steps))
    if not budgets:
        raise AfsimError("steps must have at least one budget, got none")
    for budget in budgets:
        check_whole("steps", budget, least=1)
    stacks = labelled(stacks if stacks is not None else open_stacks(config.stacks))
    starts, rows, kept = spread_evenly(stacks.n, config.starts), [], {}
    lenses = [lens.strip() for lens in config.lenses.split(",")]
    turns = [(lens, name) for lens in lenses for name in names]
    arenas = {lens: Arena(Camera(stacks, make_lens(lens)), starts=starts, seed=config.seed) for lens in lenses}
    first, whole = dict[int, FloatArray](), dict[str, Arena]()
    for lens, name in track(turns, "policies", console=Console(stderr=True), disable=config.quiet, transient=True):
        arena = arenas[lens]
        for budget in budgets:
            task = FocusTask(arena.camera, budget=budget, reward="none")
            seat = arena
            if name == names[0] and arena.camera.replays_exactly:
                seat = whole.setdefault(lens, Arena(arena.camera, seed=config.seed))
            played = seat.play(make(name, task.spec), task)
            episodes = played.of(np.isin(played.start, arena.start))
            error = np.abs(exact_errors(episodes, stacks))
            if name == names[0]:
                first[budget], kept[lens] = error, played
            rows.append(_row(lens, name, budget, episodes, error, first[budget], stacks))
            if episodes.whole_stack:
                break
    return rows, kept


def _row(
    lens: str, name: str, budget: int, episodes: Episodes, error: FloatArray, first: FloatArray, stacks: StackSet
) -> Row:
    scenes = [stacks.scenes[i] for i in episodes.stack]
    hit, says = error <= WITHIN, episodes.status[:, -1] == Status.FOCUSED
    bounds = {"exact_mae": mean_interval(error, scenes), "difference": mean_interval(first - error, scenes)}
    row: Row = {
        "lens": lens,
        "policy": name,
        "budget": budget,
        "episodes": len(error),
        "success": float(hit.mean()),
        "declared": float((hit & says).mean()),
        "wrong": float((says & ~hit).mean()),
        "steps": float(episodes.length.mean()),
        "time_ms": float(episodes.times[:, -1].mean()),
        "exact_mae": float(error.mean()),
        "difference": float((first - error).mean()),
    }
    for field, (low, high) in bounds.items():
        row |= {f"{field}_lo": low, f"{field}_hi": high}
    return row


def best_of_others(rows: Sequence[Row], lens: str, name: str, cost: str, at: float) -> tuple[str, float]:
    """Return who of all but ``name`` succeeds most often at a mean cost (``steps`` or ``time_ms``), and how often.

    Between two budgets a policy is taken to succeed in between, as when either is chosen by lot; what it reaches at
    less cost it reaches at more. Nobody costs so little: ``("-", nan)``.
    """
    best = ("-", float("nan"))
    for other in dict.fromkeys(str(row["policy"]) for row in rows if row["policy"] != name):
        points = sorted(
            (number(row, cost), number(row, "success"))
            for row in rows
            if (row["lens"], row["policy"]) == (lens, other)
        )
        costs, successes = (np.array(column) for column in zip(*points, strict=True))
        if np.isnan(costs).any() or at < costs[0]:
            continue
        reached = float(np.interp(at, costs, np.maximum.accumulate(successes)))
        if not reached <= best[1]:
            best = (other, reached)
    return best


def table(rows: Sequence[Row], name: str) -> str:
    """Return the rows as Markdown: of the policy ``name`` with the best of the others at equal means, then all."""
    lines = []
    for row in rows:
        if row["policy"] != name:
            continue
        cells = [str(row["lens"]), str(row["budget"]), f"{number(row, 'success'):.3f}"]
        for cost, form in (("steps", ".2f"), ("time_ms", ".0f")):
            other, reached = best_of_others(rows, str(row["lens"]), name, cost, number(row, cost))
            ratio = number(row, "success") / reached
            cells += [f"{number(row, cost):{form}}", f"{reached:.3f} (`{other}`)", f"{ratio:.3f}"]
        lines.append(cells)
    names = ("lens", "budget", "success", "steps", "best other at equal steps", "ratio")
    first = markdown_table((*names, "ms", "best other at equal ms", "ratio"), lines)
    every = []
    for row in rows:
        cells = [f"{number(row, field):.3f}" for field in ("success", "declared", "wrong")]
        cells += [f"{number(row, 'steps'):.2f}", f"{number(row, 'time_ms'):.0f}"]
        for field in ("exact_mae", "difference"):
            low, high = number(row, f"{field}_lo"), number(row, f"{field}_hi")
            cells.append(f"{number(row, field):.2f} ({low:.2f} ... {high:.2f})")
        every.append([str(row["lens"]), f"`{row['policy']}`", str(row["budget"]), *cells])
    fields = ("success", "declared", "wrong", "steps", "ms", "exact MAE", f"`{name}`'s less this")
    return f"{first}\n\n{markdown_table(('lens', 'policy', 'budget', *fields), every)}"


def draw(rows: Sequence[Row]) -> Figure:
    """Draw success against mean steps (above) and milliseconds (below), lens by lens."""
    lenses = list(dict.fromkeys(str(row["lens"]) for row in rows))
    names = list(dict.fromkeys(str(row["policy"]) for row in rows))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * len(lenses) + 1.0, 6.4), layout="constrained")
        axes = figure.subplots(2, len(lenses), sharey=True, squeeze=False)
        for column, lens in enumerate(lenses):
            for line, (cost, label) in enumerate((("steps", "mean steps"), ("time_ms", "mean milliseconds"))):
                place = axes[line, column]
                for i, name in enumerate(names):
                    own = [row for row in rows if (row["lens"], row["policy"]) == (lens, name)]
                    style = {"color": COLOURS[i % len(COLOURS)], "linestyle": ("-", *DASHES)[i // len(COLOURS)]}
                    points = [[number(row, field) for row in own] for field in (cost, "success")]
                    place.plot(*points, marker="o", markersize=3, label=name, **style)
                place.set(xlabel=label, title=lens if line == 0 else None)
                place.set_ylim(0.0, 1.0)
        for place in axes[:, 0]:
            place.set_ylabel("ends within one slice")
        axes[0, 0].legend(fontsize=7)
    return figure


def draw_moves(episodes: dict[str, Episodes], stacks: StackSet) -> Figure:
    """Draw, lens by lens, the first move by start and truth, and the share of episodes declared by each step."""
    n = stacks.n
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * len(episodes) + 1.0, 6.4), layout="constrained")
        axes = figure.subplots(2, len(episodes), squeeze=False)
        shown: Any = None
        for column, (lens, played) in enumerate(episodes.items()):
            truth = np.rint(stacks.truth[played.stack]).astype(np.int64).clip(0, n - 1)
            total, count = np.zeros((n, n)), np.zeros((n, n))
            np.add.at(total, (truth, played.start), played.commands[:, 1] - played.commands[:, 0])
            np.add.at(count, (truth, played.start), 1.0)
            mean = np.divide(total, count, out=np.full((n, n), np.nan), where=count > 0)
            place = axes[0, column]
            shown = place.imshow(mean, origin="lower", cmap="RdBu_r", vmin=-(n - 1), vmax=n - 1, aspect="equal")
            place.set(xlabel="start index", ylabel="index in focus", title=lens)
            said = (played.status == Status.FOCUSED)[:, 1:]
            good = said & (np.abs(exact_errors(played, stacks)) <= WITHIN)[:, None]
            steps = np.arange(1, said.shape[1] + 1)
            below = axes[1, column]
            below.plot(steps, said.mean(axis=0), marker="o", markersize=3, color=COLOURS[0], label="declared")
            below.plot(
                steps, good.mean(axis=0), marker="o", markersize=3, color=COLOURS[1], label="and within one slice"
            )
            below.set(xlabel="step", ylim=(0, 1), xlim=(0.5, steps[-1] + 0.5))
        axes[1, 0].set_ylabel("share of episodes")
        axes[1, 0].legend(fontsize=8)
        figure.colorbar(shown, ax=axes[0].tolist(), label="first move (indices)")
    return figure


def main(config: AgentsConfig) -> int:
    """Play, and write rows.csv, table.md and the pictures."""
    with staged_files(config.out) as folder:
        stacks = open_stacks(config.stacks)
        rows, episodes = run(config, stacks=stacks)
        write_table(rows, folder / "rows.csv")
        name = policy_names(config.policies)[0]
        text = table(rows, name)
        parts = ["# What agents learn", f"`{command_line('study agents', config)}`", text]
        (folder / "table.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        save(draw(rows), folder, "success")
        save(draw_moves(episodes, labelled(stacks)), folder, "moves")
    if not config.quiet:
        print(text)
        print(f"Written: {config.out / 'table.md'}, rows.csv and the pictures success and moves beside it")
    return 0
