"""The picture of an episode, a column a step: what was seen, the contrast so far, the belief, and the lens.

A fork is a row of its own below, from the step on where it left the episode, with what it changed in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from afsim.filmfacts import headline, write_facts
from afsim.filmpanels import (
    REFERENCE,
    SMALL,
    TRUTH,
    Reel,
    caption,
    contrast_limits,
    draw_belief,
    draw_curve,
    draw_patch,
    draw_track,
    is_best,
    make_reels,
)
from afsim.plots import STYLE
from afsim.stack import Image
from afsim.trace import Trace

MOST_COLUMNS: Final = 9
"""Columns that are readable in a picture of 1280 pixels; of a longer episode, some steps are shown."""

_LEAST_OF_FORK: Final = 3
_DPI: Final = 150


@dataclass(frozen=True)
class Sheet:
    """Where the panels are, in inches from the top left.

    Attributes
    ----------
    columns, rows : int
        Steps shown, and episodes.
    believes : bool
        Whether there is a belief to show.
    """

    columns: int
    rows: int
    believes: bool

    width = 12.8
    first = 2.75  # where the columns begin; left of them are the facts
    facts = 2.05  # their width
    margin = 0.12
    top = 0.62  # the title
    over_patch, over_curve, under_curve = 0.40, 0.40, 0.26
    curve, belief, track, under_track = 0.80, 0.42, 1.30, 0.48

    @property
    def pitch(self) -> float:
        """Width of a column and the gap after it."""
        return min((self.width - self.margin - self.first) / self.columns, 1.6)

    @property
    def patch(self) -> float:
        """Side of a patch."""
        return self.pitch - 0.09

    @property
    def row(self) -> float:
        """Height of an episode."""
        belief = self.belief + 0.06 if self.believes else 0.0
        return self.over_patch + self.patch + self.over_curve + self.curve + belief + self.under_curve

    @property
    def height(self) -> float:
        """Height of the picture."""
        return self.top + self.rows * self.row + 0.2 + self.track + self.under_track

    def panel(self, figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
        """Add an axes at a place."""
        box = (left / self.width, 1.0 - (top + height) / self.height, width / self.width, height / self.height)
        return figure.add_axes(box)


def steps_to_show(first: int, last: int, most: int, always: Sequence[int] = ()) -> list[int]:
    """Return at most ``most`` (at least 2) of the steps first ... last: both ends, ``always``, the rest evenly.

    Each of ``always`` takes the place of the inner step nearest to it that is still free.
    """
    if last - first < most:
        return list(range(first, last + 1))
    steps = np.rint(np.linspace(first, last, most)).astype(np.int64)
    free = set(range(1, most - 1))
    for wanted in always:
        if not (steps == wanted).any() and free:
            steps[min(free, key=lambda i: (abs(int(steps[i]) - wanted), i))] = wanted
        free -= {int(i) for i in np.flatnonzero(steps == wanted)}
    return sorted(int(step) for step in steps)


def filmstrip(traces: Sequence[Trace], names: Sequence[str]) -> Figure:
    """Draw an episode, and its forks below it.

    Parameters
    ----------
    traces : sequence of Trace
        The episode, and forks of it.
    names : sequence of str
        Of their policies.

    Returns
    -------
    Figure
        12.8 inches wide, made without pyplot: nothing to close.

    Raises
    ------
    AfsimError
        See :func:`afsim.filmpanels.make_reels`.
    """
    reels, best = make_reels(traces, names)
    shown, slots = _columns(traces)
    columns = max(slot + len(steps) for slot, steps in zip(slots, shown, strict=True))
    sheet = Sheet(columns, len(reels), any(trace.believes for trace in traces))
    limits = contrast_limits(reels)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(sheet.width, sheet.height), dpi=100)
        FigureCanvasAgg(figure)
        for i, reel in enumerate(reels):
            top = sheet.top + i * sheet.row
            for column, step in enumerate(shown[i], start=slots[i]):
                _draw_step(figure, sheet, top, column, reel, step, limits, is_first=column == slots[i])
            _draw_facts(figure, sheet, top, reels, i, best)
        below = sheet.top + sheet.rows * sheet.row + 0.2
        wide = sheet.width - sheet.margin - sheet.first
        draw_track(sheet.panel(figure, sheet.first, below, wide, sheet.track), reels)
        _draw_key(sheet.panel(figure, sheet.margin, below, sheet.facts, sheet.track), reels)
        figure.suptitle(headline(reels), x=0.009, y=1.0 - 0.1 / sheet.height, ha="left", va="top", fontsize=10.5)
    return figure


def save_filmstrip(figure: Figure, path: Path) -> None:
    """Write a filmstrip, 1920 pixels wide where it is a PNG; the same figure gives the same bytes."""
    with mpl.rc_context(STYLE):
        figure.savefig(path, dpi=_DPI)


# ---------------------------------------------------------------------- parts
def _columns(traces: Sequence[Trace]) -> tuple[list[list[int]], list[int]]:
    """Return the steps that each row shows, and the column at which it begins."""
    forks = [trace.forked_at or 0 for trace in traces]
    lasts = [len(trace.moments) - 1 for trace in traces]
    first = steps_to_show(0, lasts[0], MOST_COLUMNS, forks[1:])
    shown, slots = [first], [0]
    for step, last in zip(forks[1:], lasts[1:], strict=True):
        slot = first.index(step) if step in first else 0
        shown.append(steps_to_show(step, last, max(MOST_COLUMNS - slot, _LEAST_OF_FORK)))
        slots.append(slot)
    return shown, slots


def _draw_step(
    figure: Figure,
    sheet: Sheet,
    top: float,
    column: int,
    reel: Reel,
    step: int,
    limits: tuple[float, float],
    *,
    is_first: bool,
) -> None:
    """Draw a column: the patch, the curve and, where there is one, the belief."""
    left, width = sheet.first + column * sheet.pitch, sheet.patch
    top += sheet.over_patch
    axes = sheet.panel(figure, left, top, width, sheet.patch)
    draw_patch(axes, reel.pictures[step], is_best=is_best(reel.trace, step), title=caption(reel.trace, step))
    top += sheet.patch + sheet.over_curve
    panels = [(sheet.panel(figure, left, top, width, sheet.curve), "contrast")]
    draw_curve(panels[0][0], reel, step, limits)
    if sheet.believes:
        panels[0][0].tick_params(labelbottom=False)
        panels.append((sheet.panel(figure, left, top + sheet.curve + 0.06, width, sheet.belief), "belief"))
        draw_belief(panels[1][0], reel, step)
    for axes, label in panels:
        axes.tick_params(labelleft=is_first)
        if is_first:
            axes.set_ylabel(label, fontsize=SMALL + 0.5)


def _draw_facts(
    figure: Figure, sheet: Sheet, top: float, reels: Sequence[Reel], i: int, best: Image | None
) -> None:
    """Draw the left end of a row: the best slice above, unless it is a fork's; how the episode ended below it."""
    top += sheet.over_patch
    if i == 0 and best is not None:
        axes = sheet.panel(figure, sheet.margin, top, sheet.patch, sheet.patch)
        draw_patch(axes, best, is_best=True, title=f"the best slice,\nindex {reels[0].trace.label}")
        top += sheet.patch + 0.08
    below = sheet.panel(figure, sheet.margin, top, sheet.facts, 1.15)
    write_facts(below, reels[i], None if i == 0 else reels[0].trace)


def _draw_key(axes: Axes, reels: Sequence[Reel]) -> None:
    """Explain the marks."""
    axes.set_axis_off()
    style: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": reels[-1].colour}
    marks = [
        (Line2D([], [], color=REFERENCE, linewidth=1.6), "every slice, lens exactly there"),
        (Line2D([], [], color=TRUTH, linestyle="--", linewidth=1.3), "in focus (truth)"),
        (Line2D([], [], markersize=4.5, **style), "seen so far, where the lens was"),
        (Line2D([], [], markersize=9, markerfacecolor="none", markeredgewidth=1.4, **style), "seen now"),
    ]
    if any(reel.trace.forked_at for reel in reels):
        hollow = Line2D([], [], markersize=4.5, markerfacecolor="white", **style)
        marks.append((hollow, "seen before the fork"))
    handles, labels = zip(*marks, strict=True)
    axes.legend(
        handles, labels, loc="upper left", fontsize=SMALL, borderpad=0.0, borderaxespad=0.0, handlelength=1.6
    )
