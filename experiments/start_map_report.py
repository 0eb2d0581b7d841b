"""Pictures of :mod:`afsim.experiments.start_map`: maps of starts, and searches of single stacks step by step."""

from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from afsim.basins import Fate, by_start
from afsim.drawing import to_rgb
from afsim.experiments.start_map import Mapped, StartMapConfig, Study
from afsim.plots import STYLE
from afsim.stackset import StackSet
from afsim.video import write_film

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Exact errors in slices where a colour ends; in the middle what is in focus.
_BOUNDS: Final = (-48, -16, -8, -4, -2, -1, 1, 2, 4, 8, 16, 48)
# Okabe and Ito (2008).
FATES: Final = {
    Fate.IN_FOCUS: ("#f2f2f2", "in focus (within 1)"),
    Fate.NEAR: ("#c9c9c9", "near (within 2)"),
    Fate.FAILED: ("#56B4E9", "failed, and says so"),
    Fate.NEVER_ENDING: ("#E69F00", "still searching"),
    Fate.CYCLE: ("#CC79A7", "in a cycle"),
    Fate.WRONG: ("#D55E00", "focused, but wrong"),
}
"""The colour of each fate, and its name."""
_TRUTH: Final = "#009E73"
_DPI: Final = 130
_COLUMNS: Final = 4


def write_pictures(found: Study, config: StartMapConfig, folder: Path) -> None:
    """Write the pictures of every policy, and films where they are wanted; the same study gives the same bytes."""
    chosen = spread_over_truths(found.stacks, config.scenes)
    for each in found.maps:
        name = each.policy.replace(":", "_")
        for figure, what in (
            (draw_map(each, found.stacks), "map"),
            (draw_scenes(each, found.stacks, chosen), "scenes"),
        ):
            with mpl.rc_context(STYLE):
                figure.savefig(folder / f"{what}_{name}.png", dpi=_DPI)
        if config.film:
            last = each.episodes.commands.shape[1]
            film = (to_rgb(draw_scenes(each, found.stacks, chosen, step=step)) for step in range(last))
            write_film(film, folder / f"scenes_{name}.gif")


def spread_over_truths(stacks: StackSet, count: int) -> IntArray:
    """Return stacks (at most ``count``) spread evenly over the sorted truths."""
    order = np.argsort(stacks.truth, kind="stable")
    return order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(np.int64))]


# ---------------------------------------------------------------------- the map
def draw_map(mapped: Mapped, stacks: StackSet) -> Figure:
    """Draw all starts of all stacks, the stacks by rising truth: the signed error at the end, and how it ended."""
    order = np.argsort(stacks.truth, kind="stable")
    error = by_start(mapped.ends.error, mapped.episodes)[order].T
    fate = by_start(mapped.ends.fate, mapped.episodes)[order].T
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(9.6, 4.4), layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=(1.0, 0.045))
        left = figure.add_subplot(grid[0, 0])
        right = figure.add_subplot(grid[0, 1], sharey=left)
        scale, key = figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
        colours = mpl.colormaps["PuOr"].resampled(len(_BOUNDS) - 1)
        image = _show(left, error, colours, BoundaryNorm(_BOUNDS, colours.N), stacks.truth[order])
        bar = figure.colorbar(image, cax=scale, orientation="horizontal", ticks=_BOUNDS)
        bar.set_label("exact error in slices (negative: too far)")
        fates = ListedColormap([colour for colour, _ in FATES.values()])
        _show(right, fate, fates, BoundaryNorm(np.arange(len(FATES) + 1) - 0.5, len(FATES)), stacks.truth[order])
        left.set_ylabel("start index")
        right.tick_params(labelleft=False)
        key.set_axis_off()
        patches = [
            Patch(facecolor=FATES[fate][0], edgecolor="#888888", label=_share(mapped, fate)) for fate in Fate
        ]
        key.legend(handles=patches, loc="upper center", ncols=2, fontsize=8, borderaxespad=0.0)
        figure.suptitle(_title(mapped), x=0.01, ha="left", fontsize=10)
    return figure


def _show(
    axes: Axes, values: npt.NDArray[np.generic], colours: Colormap, norm: BoundaryNorm, truth: FloatArray
) -> mpl.image.AxesImage:
    image = axes.imshow(values, origin="lower", aspect="auto", cmap=colours, norm=norm, interpolation="nearest")
    axes.plot(np.arange(len(truth)), truth, color="white", linewidth=3.0)
    axes.plot(np.arange(len(truth)), truth, color=_TRUTH, linewidth=1.5)
    axes.set_xlabel("stacks, by rising truth (the line)")
    axes.spines[:].set_visible(False)
    return image


def _share(mapped: Mapped, fate: Fate) -> str:
    return f"{FATES[fate][1]}: {100.0 * (mapped.ends.fate == fate).mean():.1f} %"


def _title(mapped: Mapped) -> str:
    steps = mapped.episodes.commands.shape[1] - 1
    return f"{mapped.policy}: where each start ends after at most {steps} steps"


# ---------------------------------------------------------------------- single stacks
def draw_scenes(mapped: Mapped, stacks: StackSet, chosen: IntArray, *, step: int | None = None) -> Figure:
    """Draw the searches of some stacks, a panel each: where the lens is after each step, from every start.

    ``step`` draws as far as that step alone: a frame of a film.
    """
    rows = -(-len(chosen) // _COLUMNS)
    with mpl.rc_context(STYLE):
        # Even numbers of pixels, as films want them.
        figure = Figure(figsize=(9.6, 0.9 + 1.7 * rows), dpi=100, layout="constrained")
        panels = np.atleast_1d(figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)).ravel()
        for axes, stack in zip(panels, chosen, strict=False):
            _draw_searches(axes, mapped, int(stack), stacks, step)
        for axes in panels[len(chosen) :]:
            axes.set_visible(False)
        figure.supxlabel("steps", fontsize=9)
        figure.supylabel("index of the lens", fontsize=9)
        handles = [Patch(facecolor=line_colour(fate), label=text) for fate, (_, text) in FATES.items()]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), fontsize=8)
    return figure


def line_colour(fate: Fate) -> str:
    """Return the colour in which a fate is drawn as a line."""
    # What is pale on a map is darker as a line.
    return {Fate.IN_FOCUS: "#b0b0b0", Fate.NEAR: "#707070"}.get(fate, FATES[fate][0])


def _draw_searches(axes: Axes, mapped: Mapped, stack: int, stacks: StackSet, step: int | None) -> None:
    episodes, ends = mapped.episodes, mapped.ends
    last = episodes.positions.shape[1] - 1
    shown = slice(0, (last if step is None else step) + 1)
    own = np.flatnonzero(episodes.stack == stack)
    for i in own[np.argsort(ends.fate[own], kind="stable")]:
        fate = Fate(int(ends.fate[i]))
        positions = episodes.positions[i, shown]
        axes.plot(np.arange(len(positions)), positions, color=line_colour(fate), linewidth=0.7, alpha=0.8)
        axes.plot(len(positions) - 1, positions[-1], ".", color=line_colour(fate), markersize=4)
    axes.axhline(stacks.truth[stack], color=_TRUTH, linewidth=1.2, zorder=3)
    axes.set(xlim=(-0.3, last + 0.3), ylim=(-1.0, stacks.n))
    inside = float((ends.fate[own] == Fate.IN_FOCUS).mean())
    axes.set_title(f"{stacks.names[stack]}: {100 * inside:.0f} %", fontsize=8, loc="left")
