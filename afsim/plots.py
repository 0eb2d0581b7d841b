"""The pictures of a comparison: accuracy by steps, and accuracy against lens travel.

Pure functions of the rows (see :mod:`afsim.report`). The figures are made without pyplot, so no backend is chosen
and nothing has to be closed; saved twice, they give the same bytes.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

from afsim.errors import AfsimError, WithheldError, unknown
from afsim.rows import FIELDS, Row, is_whole_stack, number, travel_field

# Okabe and Ito (2008), without the yellow, which is too pale for a line on white, and the black, which is taken.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # one more than colours, so that the pairs repeat late
_DASHES = ((0, (6, 3)), (0, (2, 2)), (0, (6, 2, 1, 2)), (0, (1, 3)), (0, (8, 2, 2, 2, 2, 2)))
_REFERENCE = "#333333"
_SIZE_INCHES = (7.6, 4.4)
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same letters
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "afsim",
}
_LABELS = {
    "eq0": "share on the label",
    "le1": "share within 1 slice",
    "le2": "share within 2 slices",
    "le4": "share within 4 slices",
    "mae": "mean absolute error (slices)",
    "rmse": "root mean square error (slices)",
    "exact_mae": "mean absolute exact error (slices)",
    "success": "success: share with |exact error| ≤ 1",
    "p95": "95th percentile of |error| (slices)",
    "worst_start_mae": "mean absolute error from the worst start (slices)",
    "relative_sharpness": "sharpness relative to the stack's best",
    "travel_um": "lens travel (µm, mean per episode)",
    "travel_index": "lens travel (slices, mean per episode)",
}
_ERRORS = ("mae", "rmse", "exact_mae", "p95", "worst_start_mae")
_METRICS = tuple(name for name in _LABELS if not name.startswith("travel"))
_LINEAR_BELOW = 0.1  # slices; an oracle's error is 0, which a logarithm has no place for


def error_by_steps(rows: Sequence[Row], *, metric: str = "mae") -> Figure:
    """Draw a metric against the number of steps.

    Parameters
    ----------
    rows : sequence of mapping
        The comparison: each multi-step policy becomes a line with its 95 % bootstrap band (where the metric has
        one), each whole-stack row a dashed level.
    metric : str
        A field of the rows. Where no row has a label, relative sharpness takes its place and the axis says so.

    Raises
    ------
    AfsimError
        For a metric that is not known.
    WithheldError
        Where no row has a value to draw.
    """
    if metric not in _METRICS:
        raise unknown("metric", metric, _METRICS)
    field = _drawable(rows, metric)
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(rows, field, metric)
        for i, (policy, points) in enumerate(_lines(rows)):
            steps = [number(row, "steps") for row in points]
            colour = COLOURS[i % len(COLOURS)]
            if f"{field}_lo" in FIELDS:
                low, high = ([number(row, field + end) for row in points] for end in ("_lo", "_hi"))
                axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(steps, [number(row, field) for row in points], label=policy, **_line_style(i))
        _draw_levels(axes, rows, field)
        axes.set_xlabel("steps (predictions after the start slice)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _finish(figure, axes, field)
    return figure


def frontier(rows: Sequence[Row]) -> Figure:
    """Draw accuracy against lens travel: better is lower (higher for sharpness) and further left.

    Each multi-step policy is a line through its budgets, numbered by steps; each whole-stack row is a star at the
    travel of its sweep, with a dashed level. Travel is in micrometres, or in slices where that is withheld.

    Raises
    ------
    WithheldError
        Where no row has a value to draw.
    """
    field, travel = _drawable(rows, "mae"), travel_field(rows)
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(rows, field, "mae")
        for i, (policy, points) in enumerate(_lines(rows)):
            at = [(number(row, travel), number(row, field)) for row in points]
            axes.plot(*zip(*at, strict=True), label=policy, **_line_style(i))
            if len({point for point in at if math.isfinite(sum(point))}) > 1:
                _number_steps(axes, points, at, COLOURS[i % len(COLOURS)])
        _draw_levels(axes, rows, field, travel)
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        axes.set_xlabel(_LABELS[travel] + "; numbers are steps")
        _finish(figure, axes, field)
    return figure


def _number_steps(axes: Axes, points: Sequence[Row], at: Sequence[tuple[float, float]], colour: str) -> None:
    """Write the steps beside the points of a line, as far as the numbers keep apart."""
    least = 0.02 * max(x for x, _ in at if math.isfinite(x))
    numbered = -math.inf
    for row, (x, y) in zip(points, at, strict=True):
        if math.isfinite(x) and math.isfinite(y) and x - numbered >= least:
            numbered = x
            text = f"{number(row, 'steps'):g}"
            axes.annotate(text, (x, y), (4, 4), textcoords="offset points", fontsize=7.5, color=colour)


def heat_map(
    lines: Sequence[str], columns: Sequence[str], values: npt.NDArray[np.float64], *, label: str
) -> Figure:
    """Draw a table of positive numbers (lines, columns) as colours on a logarithmic scale, the numbers in them."""
    size = (2.6 + 0.95 * len(columns), 0.9 + 0.26 * len(lines))
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        shown = np.maximum(values, _LINEAR_BELOW)
        image = axes.imshow(shown, norm=LogNorm(), cmap="cividis_r", aspect="auto")
        dark = np.log(shown) > np.log(shown.max()) * 0.55 + np.log(shown.min()) * 0.45
        for (line, column), value in np.ndenumerate(values):
            colour = "white" if dark[line, column] else "black"
            axes.text(column, line, f"{value:.2f}", ha="center", va="center", color=colour)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(lines)), lines)
        axes.xaxis.tick_top()
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        figure.colorbar(image, ax=axes, label=label, shrink=0.6)
    return figure


def save(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as ``name.png`` and ``name.svg``; the same figure gives the same bytes.

    Returns
    -------
    list of Path
        The two files, PNG first.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with mpl.rc_context(STYLE):
        figure.savefig(png, dpi=160)
        figure.savefig(svg, metadata={"Date": None})
    return [png, svg]


# ---------------------------------------------------------------------- parts
def _drawable(rows: Sequence[Row], metric: str) -> str:
    """Return the metric, or relative sharpness where no row has a label."""
    if not rows:
        raise AfsimError("nothing to draw: the comparison has no rows")
    for field in (metric, "relative_sharpness"):
        if any(math.isfinite(number(row, field)) for row in rows):
            return field
    raise WithheldError(f"nothing to draw: every row withholds {metric!r} and 'relative_sharpness'")


def _lines(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Yield each multi-step policy, in the rows' order, with its rows by rising steps."""
    multi_step = [row for row in rows if not is_whole_stack(row)]
    for policy in dict.fromkeys(str(row["policy"]) for row in multi_step):
        own = [row for row in multi_step if row["policy"] == policy]
        yield policy, sorted(own, key=lambda row: number(row, "steps"))


def _line_style(i: int) -> dict[str, Any]:
    """Return how the i-th policy is drawn; where the colours start again the markers are hollow."""
    colour = COLOURS[i % len(COLOURS)]
    filled = i // len(COLOURS) % 2 == 0
    return {
        "color": colour,
        "linewidth": 1.6,
        "marker": _MARKERS[i % len(_MARKERS)],
        "markersize": 5.5,
        "markerfacecolor": colour if filled else "white",
        "markeredgecolor": "white" if filled else colour,
        "markeredgewidth": 0.6 if filled else 1.2,
    }


def _canvas(rows: Sequence[Row], field: str, wanted: str) -> tuple[Figure, Axes]:
    """Make an empty figure whose y axis fits the field."""
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    instead = "\n(no labels: errors are withheld)" if field != wanted else ""
    axes.set_ylabel(_LABELS[field] + instead)
    if field in _ERRORS:
        axes.set_yscale("symlog", linthresh=_LINEAR_BELOW, linscale=0.25)
        decades = (0.1, 1, 10, 100)
        axes.yaxis.set_major_locator(FixedLocator([0.0, *(m * d for d in decades for m in (1, 2, 3, 5, 7))]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    return figure, axes


def _draw_levels(axes: Axes, rows: Sequence[Row], field: str, travel: str | None = None) -> None:
    """Draw the whole-stack rows: dashed levels, with a star at their travel where that is asked for and known."""
    for i, row in enumerate(row for row in rows if is_whole_stack(row)):
        value = number(row, field)
        label = f"{row['policy']} (whole stack)"
        dashes = _DASHES[i % len(_DASHES)]
        axes.axhline(value, color=_REFERENCE, linewidth=1.1, linestyle=dashes, label=label, zorder=1.5)
        if travel is not None:
            axes.plot(
                number(row, travel),
                value,
                marker="*",
                markersize=10,
                color="white",
                markeredgecolor=_REFERENCE,
                linestyle="none",
            )


def _finish(figure: Figure, axes: Axes, field: str) -> None:
    if field in _ERRORS:
        axes.set_ylim(bottom=max(axes.get_ylim()[0], -_LINEAR_BELOW / 4))  # errors are never negative
    figure.legend(loc="outside right upper")
