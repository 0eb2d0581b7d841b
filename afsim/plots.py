"""Pictures of numbers, and what they share: accuracy by steps, and tables as colours.

Pure functions of the rows (see :mod:`afsim.rows`); :mod:`afsim.frontier` has the other picture of a comparison.
The figures are made without pyplot, so no backend is chosen and nothing has to be closed; saved twice, they give
the same bytes.
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
from afsim.rows import FIELDS, Row, is_whole_stack, number

# Okabe and Ito (2008), without the yellow, which is too pale for a line on white, and the black, which is taken.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # one more than colours, so that the pairs repeat late
DASHES = ((0, (6, 3)), (0, (2, 2)), (0, (6, 2, 1, 2)), (0, (1, 3)), (0, (8, 2, 2, 2, 2, 2)))
REFERENCE = "#333333"
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
}
_ERRORS = ("mae", "rmse", "exact_mae", "p95", "worst_start_mae")
_METRICS = tuple(_LABELS)
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
    field = drawable(rows, metric)
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(rows, field, metric)
        for i, (policy, points) in enumerate(policy_lines(rows)):
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
def drawable(rows: Sequence[Row], metric: str) -> str:
    """Return the metric, or relative sharpness where no row has a label."""
    if not rows:
        raise AfsimError("nothing to draw: the comparison has no rows")
    for field in (metric, "relative_sharpness"):
        if any(math.isfinite(number(row, field)) for row in rows):
            return field
    raise WithheldError(f"nothing to draw: every row withholds {metric!r} and 'relative_sharpness'")


def policy_lines(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
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
        error_scale(axes)
    return figure, axes


def error_scale(axes: Axes) -> None:
    """Make the y axis logarithmic, and linear near 0, where an oracle's errors are."""
    axes.set_yscale("symlog", linthresh=_LINEAR_BELOW, linscale=0.25)
    decades = (0.1, 1, 10, 100)
    axes.yaxis.set_major_locator(FixedLocator([0.0, *(m * d for d in decades for m in (1, 2, 3, 5, 7))]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _draw_levels(axes: Axes, rows: Sequence[Row], field: str) -> None:
    """Draw the whole-stack rows: dashed levels."""
    for i, row in enumerate(row for row in rows if is_whole_stack(row)):
        label, dashes = f"{row['policy']} (whole stack)", DASHES[i % len(DASHES)]
        axes.axhline(number(row, field), color=REFERENCE, linewidth=1.1, linestyle=dashes, label=label, zorder=1.5)


def _finish(figure: Figure, axes: Axes, field: str) -> None:
    if field in _ERRORS:
        axes.set_ylim(bottom=max(axes.get_ylim()[0], -_LINEAR_BELOW / 4))  # errors are never negative
    figure.legend(loc="outside right upper")
