"""The paper's Figures 7 to 10 from any set: what baselines and networks choose, and what networks say.

The paper shows patches that it picked. Here they are picked by a rule: the greatest difference between the
baseline's error and the network's (Figures 7 to 9), and the slice of which I1 is in two minds the most (Figure 10).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.contactsheet import display_curve
from afsim.experiments.compare import open_stacks
from afsim.experiments.table_rows import labelled, whole_stack_arena
from afsim.options import command_line
from afsim.plots import COLOURS, REFERENCE, STYLE, save
from afsim.policies import make
from afsim.policies.learned import LearnedSingle
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.staging import staged_files
from afsim.tables import markdown_table, write_table
from afsim.task import FocusTask

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_DARKEST: Final = 0.1
"""Share of the stacks, by their mean light, that Figure 8 is picked from."""
_SHOWN: Final = 3
# Figure 10a in the paper is of slice 25 of 49; where another is not said, a slice between these shares is picked.
_MIDDLE: Final = (0.3, 0.7)


@dataclass(frozen=True)
class PredictionsConfig:
    """What is looked at."""

    stacks: Path | None = None
    """A stored set of dual-pixel stacks of 49 slices; the embedded demo set by default."""
    depth_baseline: str = "learned_depth"
    """Of Figure 7."""
    dark_baseline: str = "zncc_disparity"
    """Of Figure 8."""
    contrast_baseline: str = "sweep:mean_local_norm_dist_sq_4"
    """Of Figure 9, as in the paper."""
    out: Path = Path("out/predictions")
    """Folder for rows.csv, table.md and the pictures figure_7 to figure_10."""
    seed: int = 0
    """Of the episodes' keys."""
    quiet: bool = False
    """No table on the screen."""


class Choice(NamedTuple):
    """A patch with what was chosen: indices as the paper rounds them.

    Attributes
    ----------
    figure : int
        Of the paper.
    stack, start : int
        Which patch; the slice that was seen, -1 for all.
    baseline, ours, truth : int
        Indices.
    """

    figure: int
    stack: int
    start: int
    baseline: int
    ours: int
    truth: int


class Study(NamedTuple):
    """The patches of Figures 7 to 9, and of Figure 10 what I1 and D1 say of every slice (n, n) of one patch."""

    stacks: StackSet
    choices: list[Choice]
    stack: int
    start: int
    said: dict[str, FloatArray]


def study(config: PredictionsConfig, *, stacks: StackSet | None = None) -> Study:
    """Play baselines and networks, and pick the patches.

    Raises
    ------
    UnsuitableError
        For stacks that a policy is not for.
    """
    check_whole("seed", config.seed, least=0)
    stacks = labelled(stacks if stacks is not None else open_stacks(config.stacks))
    camera = Camera(stacks)
    single, whole = Arena(camera, seed=config.seed), whole_stack_arena(camera, config.seed)
    light = np.array([stacks[i].normalized().mean() for i in range(len(stacks))])
    dark = light <= np.quantile(light, _DARKEST)
    choices = [
        *_picked(7, single, config.depth_baseline, "learned-d1", np.ones(len(stacks), np.bool_)),
        *_picked(8, single, config.dark_baseline, "learned-d1", dark),
        *_picked(9, whole, config.contrast_baseline, "learned-i-star", np.ones(len(stacks), np.bool_)),
    ]
    spec, tables = FocusTask(camera, reward="none").spec, dict[str, FloatArray]()
    for name in ("learned-i1", "learned-d1"):
        policy = make(name, spec)
        assert isinstance(policy, LearnedSingle)
        tables[name] = np.asarray(single.features(policy), dtype=np.float64)
    stack, start = _in_two_minds(tables["learned-i1"], stacks.truth)
    return Study(stacks, choices, stack, start, {name: said[stack] for name, said in tables.items()})


def _picked(figure: int, arena: Arena, baseline: str, ours: str, among: npt.NDArray[np.bool_]) -> list[Choice]:
    """Return the patches where the network is right and the baseline is wrong by most, one a scene."""
    task = FocusTask(arena.camera, budget=1, reward="none")
    games = [arena.play(make(name, task.spec), task) for name in (baseline, ours)]
    ends = [np.floor(game.positions[:, -1] + 0.5).astype(np.int64) for game in games]
    truth = np.floor(arena.camera.stacks.truth + 0.5).astype(np.int64)[games[0].stack]
    apart = np.abs(ends[0] - truth) - np.abs(ends[1] - truth) * arena.camera.stacks.n
    order = np.argsort(-np.where(among[games[0].stack], apart, -np.inf), kind="stable")
    scenes, picked = set[str](), list[Choice]()
    for lane in order:
        stack = int(games[0].stack[lane])
        if arena.camera.stacks.scenes[stack] in scenes:
            continue
        scenes.add(arena.camera.stacks.scenes[stack])
        start = -1 if games[0].whole_stack else int(games[0].start[lane])
        picked.append(Choice(figure, stack, start, int(ends[0][lane]), int(ends[1][lane]), int(truth[lane])))
        if len(picked) == _SHOWN:
            break
    return picked


def _in_two_minds(said: FloatArray, truth: FloatArray) -> tuple[int, int]:
    """Return the stack and the middle slice whose distribution has most on the lesser side of the slice."""
    n = said.shape[1]
    index = np.arange(n)
    sides = np.stack(
        [(said * (index[None, :] < index[:, None])).sum(axis=2), (said * (index > index[:, None])).sum(2)]
    )
    middle = (index >= _MIDDLE[0] * n) & (index <= _MIDDLE[1] * n)
    far = np.abs(index[None, :] - truth[:, None]) >= 4.0
    stack, start = np.unravel_index(np.where(middle & far, sides.min(axis=0), -1.0).argmax(), said.shape[:2])
    return int(stack), int(start)


# ---------------------------------------------------------------------- pictures
def draw(found: Study, config: PredictionsConfig) -> dict[str, Figure]:
    """Return the pictures by name."""
    with mpl.rc_context(STYLE):
        return {
            "figure_7": _draw_choices(found, 7, config.depth_baseline, "learned-d1"),
            "figure_8": _draw_choices(found, 8, config.dark_baseline, "learned-d1"),
            "figure_9": _draw_choices(found, 9, config.contrast_baseline, "learned-i-star"),
            "figure_10": _draw_distributions(found),
        }


def _draw_choices(found: Study, number: int, baseline: str, ours: str) -> Figure:
    """Draw input, the baseline's slice, the network's, and the true one: a row a patch, equally bright."""
    choices = [choice for choice in found.choices if choice.figure == number]
    figure = Figure(figsize=(7.6, 2.05 * len(choices) + 0.3), layout="constrained")
    axes = figure.subplots(len(choices), 4, squeeze=False)
    for row, choice in zip(axes, choices, strict=True):
        green = found.stacks[choice.stack].green()
        top = float(np.quantile(green, 0.995))
        columns = (
            ("input", choice.start),
            (baseline, choice.baseline),
            (ours, choice.ours),
            ("truth", choice.truth),
        )
        for axis, (title, index) in zip(row, columns, strict=True):
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
            if index < 0:
                axis.text(0.5, 0.5, f"all {found.stacks.n} slices", ha="center", va="center")
                axis.set(xlim=(0, 1), ylim=(0, 1))
            else:
                axis.imshow(display_curve(np.clip(green[index] / top, 0.0, 1.0)), cmap="gray", vmin=0.0, vmax=1.0)
            axis.set_title(title if index < 0 else f"{title}: {index}", fontsize=8)
    return figure


def _draw_distributions(found: Study) -> Figure:
    """Draw what I1 and D1 say of one slice, and where I1 goes from every slice."""
    truth, n = float(found.stacks.truth[found.stack]), found.stacks.n
    figure = Figure(figsize=(9.2, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, (name, said) in zip(COLOURS, found.said.items(), strict=False):
        left.plot(said[found.start], color=colour, label=name)
        right.plot(said.argmax(axis=1), ".", color=colour, label=name)
    left.axvline(truth, color=REFERENCE, linewidth=0.8, label="truth")
    left.axvline(found.start, color=REFERENCE, linewidth=0.8, linestyle=":", label="the slice it sees")
    left.set(xlabel="focal index", ylabel="probability", title=f"(a) given slice {found.start}")
    index = np.arange(n)
    right.axhline(truth, color=REFERENCE, linewidth=0.8, label="truth")
    mirror = 2 * index - truth
    inside = (mirror >= 0) & (mirror <= n - 1)
    right.plot(
        index[inside], mirror[inside], color=REFERENCE, linewidth=0.8, linestyle="--", label="its mirror image"
    )
    right.set(xlabel="the slice it sees", ylabel="predicted focal index", title="(b) given every slice")
    for axis in (left, right):
        axis.legend(fontsize=8)
    return figure


def main(config: PredictionsConfig) -> int:
    """Play, and write rows.csv, table.md and the pictures."""
    with staged_files(config.out) as folder:
        found = study(config)
        rows = [
            {"figure": one.figure, "patch": found.stacks.names[one.stack], "seen": one.start}
            | {"baseline": one.baseline, "ours": one.ours, "truth": one.truth}
            for one in found.choices
        ]
        write_table(rows, folder / "rows.csv")
        names = ("figure", "patch", "seen", "baseline", "ours", "truth")
        lines = [[("all" if row[name] == -1 else str(row[name])) for name in names] for row in rows]
        last = f"Figure 10: patch {found.stacks.names[found.stack]}, slice {found.start}."
        parts = ["# Figures 7 to 10", f"`{command_line('study predictions', config)}`", last]
        (folder / "table.md").write_text("\n\n".join([*parts, markdown_table(names, lines)]), encoding="utf-8")
        for name, figure in draw(found, config).items():
            save(figure, folder, name)
    if not config.quiet:
        print(f"Written: {config.out / 'table.md'}, rows.csv and pictures beside it")
    return 0
