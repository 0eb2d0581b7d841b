"""The picture of a comparison: error and success against lens travel, time and steps, one line a policy.

A pure function of the rows (see :mod:`afsim.rows`), as the pictures of :mod:`afsim.plots` are.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from afsim.plots import COLOURS, DASHES, REFERENCE, STYLE, drawable, error_scale, policy_lines
from afsim.rows import Row, differs, is_whole_stack, number, reference_of, travel_field

FloatArray = npt.NDArray[np.float64]

_PANEL_INCHES: Final = 2.55
_ROW_INCHES: Final = 2.6
_LABEL_INCHES: Final = 0.148
_LEFT_INCHES, _TOP_INCHES, _BOTTOM_INCHES, _GAP_INCHES = 0.72, 0.2, 0.86, 0.24
_LETTER_INCHES: Final = 0.077
# Three of Tol's muted colours (2018) after those of Okabe and Ito, since there are more than six strategies.
_COLOURS: Final = (*COLOURS, "#332288", "#882255", "#999933")
_MARKERS: Final = ("o", "s", "^", "D", "v", "p")
# Intervals of more policies hide one another.
_MOST_BANDS: Final = 5
# What costs more than so many times what the other policies do is told at the edge.
_FAR: Final = 1.4
# An optimum below this share of the least error would take the room of the lines; it is told as a number.
_NEAR: Final = 0.1
# After as many policies as colours, the colours start again with other dashes.
_LINES: Final[tuple[Any, ...]] = ("solid", (0, (5, 1.6)), (0, (1.4, 1.3)), (0, (6, 1.5, 1.4, 1.5)))
_SHORT: Final = {
    "exact_mae": "mean exact error (slices)",
    "success": "share within 1 slice",
    "relative_sharpness": "sharpness / best",
    "travel_um": "lens travel (µm)",
    "travel_index": "lens travel (slices)",
    "time_ms": "time (ms, simulated)",
    "steps": "steps m",
}


class _Label(NamedTuple):
    """A name beside the last panel: the height of its line's end in data, and how it is drawn."""

    text: str
    x: float
    y: float
    colour: str


def frontier(rows: Sequence[Row]) -> Figure:
    """Draw what each further step buys and costs: exact error and success, against travel, time and steps.

    Each multi-step policy is a line through its budgets; a full marker says that its exact error is surely smaller
    than its reference's (see ``difference`` in the rows), a hollow one that it may not be, a cross that it is
    surely larger. Each whole-stack row is a star at what its sweep costs, with a dashed level. No error can be in
    the grey area, below the optimum. Where no row has a label, relative sharpness takes the place of both error and
    success; what is withheld is left out.

    Raises
    ------
    AfsimError
        For no rows.
    WithheldError
        Where no row has a value to draw.
    """
    field = drawable(rows, "exact_mae")
    fields = (field,) if field == "relative_sharpness" else (field, "success")
    across = [travel_field(rows), *(["time_ms"] if _is_known(rows, "time_ms") else []), "steps"]
    with mpl.rc_context({**STYLE, "font.size": 9.0}):
        figure, panels = _panels(rows, fields, across)
        for line, each in zip(panels, fields, strict=True):
            for axes, x in zip(line, across, strict=True):
                lines = list(policy_lines(rows))
                for i, (_, points) in enumerate(lines):
                    _draw_line(axes, points, i, (x, each), bands=x == "steps" and len(lines) <= _MOST_BANDS)
                _limit(axes, rows, (x, each))
                _draw_bounds(axes, rows, (x, each))
            _write_labels(line[-1], _labels(rows, each))
        _explain(figure, rows)
    return figure


def _is_known(rows: Sequence[Row], field: str) -> bool:
    return any(math.isfinite(number(row, field)) for row in rows)


# ---------------------------------------------------------------------- the canvas
def _panels(rows: Sequence[Row], fields: Sequence[str], across: Sequence[str]) -> tuple[Figure, list[list[Axes]]]:
    """Make the panels, a line for each field; the names have room at the right."""
    names = [label.text for field in fields for label in _labels(rows, field)]
    high = max(_ROW_INCHES, _LABEL_INCHES * (len(names) / len(fields) + 1))
    right = 0.35 + _LETTER_INCHES * max(map(len, names))
    width = _LEFT_INCHES + len(across) * _PANEL_INCHES + (len(across) - 1) * _GAP_INCHES + right
    height = _TOP_INCHES + len(fields) * high + (len(fields) - 1) * _GAP_INCHES + _BOTTOM_INCHES
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(fields),
        len(across),
        left=_LEFT_INCHES / width,
        right=1.0 - right / width,
        top=1.0 - _TOP_INCHES / height,
        bottom=_BOTTOM_INCHES / height,
        wspace=_GAP_INCHES / _PANEL_INCHES,
        hspace=_GAP_INCHES / high,
    )
    panels: list[list[Axes]] = []
    for i, field in enumerate(fields):
        panels.append([])
        for j, x in enumerate(across):
            beside, above = (panels[i][0] if j else None), (panels[0][j] if i else None)
            axes = figure.add_subplot(grid[i, j], sharex=above, sharey=beside)
            panels[i].append(axes)
            axes.tick_params(labelleft=j == 0, labelbottom=i == len(fields) - 1, length=2.5)
            if i == len(fields) - 1:
                axes.set_xlabel(_SHORT[x])
            if x == "steps":
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[i][0].set_ylabel(_SHORT[field] + ("" if _is_known(rows, "exact_mae") else "\n(no labels)"))
        if field == "exact_mae":
            error_scale(panels[i][0])
    return figure, panels


# ---------------------------------------------------------------------- lines
def _colour(i: int) -> str:
    return _COLOURS[i % len(_COLOURS)]


def _draw_line(axes: Axes, points: Sequence[Row], i: int, fields: tuple[str, str], *, bands: bool) -> None:
    """Draw a policy's budgets: a line, its intervals where wanted, and markers that tell sure differences."""
    colour, dashes = _colour(i), _LINES[i // len(_COLOURS) % len(_LINES)]
    x, y = (np.array([number(row, field) for row in points]) for field in fields)
    if bands and f"{fields[1]}_lo" in points[0]:
        low, high = ([number(row, fields[1] + end) for row in points] for end in ("_lo", "_hi"))
        axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
    axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.5, label=str(points[0]["policy"]), zorder=2.2)
    sure = np.array([differs(row) for row in points])
    common: dict[str, Any] = {"linestyle": "none", "color": colour, "markeredgecolor": colour, "zorder": 2.4}
    marker = _MARKERS[i % len(_MARKERS)]
    styles: tuple[tuple[npt.NDArray[np.bool_], dict[str, Any]], ...] = (
        (sure < 0, {"marker": marker, "markersize": 4.2, "markeredgewidth": 0.8}),
        (sure == 0, {"marker": marker, "markersize": 4.2, "markeredgewidth": 0.8, "markerfacecolor": "white"}),
        (sure > 0, {"marker": "x", "markersize": 5.5, "markeredgewidth": 1.5}),
    )
    for chosen, style in styles:
        if chosen.any():
            axes.plot(x[chosen], y[chosen], **common, **style)


def _limit(axes: Axes, rows: Sequence[Row], fields: tuple[str, str]) -> None:
    """Set where the axes end: at 0 where that is near, below the optimum of errors, and where policies end."""
    x, y = fields
    if y == "success":
        axes.set_ylim(-0.02, 1.02)
    elif y == "exact_mae":
        axes.set_ylim(bottom=_lowest(rows))
    if x != "steps":
        spent = [number(row, x) for row in rows if not is_whole_stack(row)]
        sweeps = [number(row, x) for row in rows if is_whole_stack(row)]
        most = max((value for value in spent if math.isfinite(value)), default=max(sweeps, default=0.0))
        within = [value for value in sweeps if value <= _FAR * most]
        axes.set_xlim(0.0, 1.06 * max([most, *within, 1e-9]))


def _draw_bounds(axes: Axes, rows: Sequence[Row], fields: tuple[str, str]) -> None:
    """Draw the whole-stack rows, those far beyond the others at the edge, and the optimum of the error."""
    x, y = fields
    for i, row in enumerate(row for row in rows if is_whole_stack(row)):
        value, dashes = number(row, y), DASHES[i % len(DASHES)]
        label = f"{row['policy']} (whole stack)"
        axes.axhline(value, color=REFERENCE, linewidth=1.0, linestyle=dashes, label=label, zorder=1.5)
        if x != "steps":
            edge, at = axes.get_xlim()[1], number(row, x)
            star: dict[str, Any] = {"marker": "*", "markersize": 10, "color": "white", "markeredgecolor": REFERENCE}
            axes.plot(min(at, edge), value, linestyle="none", clip_on=False, zorder=4, **star)
            if at > edge:
                text = f"at {at:.0f} \N{RIGHTWARDS ARROW}"
                place: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "fontsize": 8}
                place["path_effects"] = [withStroke(linewidth=2.0, foreground="white")]
                axes.annotate(text, (edge, value), xytext=(-7, 4), color=REFERENCE, **place)
    if y == "exact_mae" and _lowest(rows) < _optimum(rows):
        axes.axhspan(0.0, _optimum(rows), color="#d9d9d9", linewidth=0, zorder=0.5)


def _optimum(rows: Sequence[Row]) -> float:
    """Return the least error that any budget of the searches allows; NaN where it is not known."""
    searches = [row for row in rows if not is_whole_stack(row)] or rows
    known = [value for row in searches if math.isfinite(value := number(row, "optimum"))]
    return min(known, default=math.nan)


def _lowest(rows: Sequence[Row]) -> float:
    """Return where the axis of errors ends: below the optimum, unless that is far from what policies reach."""
    least = min(value for row in rows if math.isfinite(value := number(row, "exact_mae")))
    optimum = _optimum(rows)
    return 0.7 * min(optimum, least) if optimum >= _NEAR * least else 0.45 * least


# ---------------------------------------------------------------------- names
def _labels(rows: Sequence[Row], field: str) -> list[_Label]:
    """Return a name for each line, level and area."""
    largest = max(number(row, "steps") for row in rows)
    found = []
    for i, (policy, points) in enumerate(policy_lines(rows)):
        ends = [row for row in points if math.isfinite(number(row, field))]
        if ends:
            found.append(_Label(policy, number(ends[-1], "steps"), number(ends[-1], field), _colour(i)))
    for row in rows:
        if is_whole_stack(row) and math.isfinite(number(row, field)):
            found.append(_Label(f"{row['policy']}, whole stack", largest, number(row, field), REFERENCE))
    if field == "exact_mae" and _lowest(rows) < _optimum(rows):
        found.append(_Label("below the optimum", largest, 0.85 * _optimum(rows), "#777777"))
    elif field == "exact_mae" and _is_known(rows, "optimum"):
        text = f"(optimum: {_optimum(rows):.2f})"
        found.append(_Label(text, largest, _lowest(rows), "#777777"))
    return found


def _write_labels(axes: Axes, labels: Sequence[_Label]) -> None:
    """Write the names right of a panel, each as near to its line's end as the others leave room."""
    figure = axes.figure
    inches = figure.get_size_inches()[1] * axes.get_position().height  # type: ignore[union-attr]
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = np.array([to_axes.transform((label.x, label.y)) for label in labels])
    for label, end, y in zip(labels, ends, spread(ends[:, 1], _LABEL_INCHES / inches), strict=True):
        axes.annotate(
            label.text,
            xy=(float(end[0]), float(end[1])),
            xytext=(1.06, float(y)),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=8.5,
            color=label.colour,
            arrowprops={
                "arrowstyle": "-",
                "color": label.colour,
                "linewidth": 0.6,
                "shrinkA": 1,
                "shrinkB": 3,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def spread(places: FloatArray, apart: float) -> FloatArray:
    """Return places (L,) at least ``apart`` from one another, in the same order, near to the given ones, in [0, 1].

    Where they are given too close, the least squares solution: neighbours that push one another share the way
    (isotonic regression of the places less their ranks, by pooling adjacent violators).
    """
    order = np.argsort(places, kind="stable")
    pools: list[tuple[float, int]] = []
    for rank, place in enumerate(places[order]):
        pools.append((float(place) - rank * apart, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, count), (b, more) = pools[-2:]
            pools[-2:] = [((a * count + b * more) / (count + more), count + more)]
    level = np.concatenate([np.full(count, value) for value, count in pools])
    level = level.clip(0.0, max(0.0, 1.0 - (len(places) - 1) * apart))
    out = np.empty(len(places))
    out[order] = level + np.arange(len(places)) * apart
    return out


def _explain(figure: Figure, rows: Sequence[Row]) -> None:
    """Say below the panels what the markers mean."""
    kinds = [differs(row) for row in rows if not is_whole_stack(row)]
    if not _is_known([row for row in rows if not is_whole_stack(row)], "difference_lo"):
        return
    against = reference_of(rows)
    plain: dict[str, Any] = {"linestyle": "none", "color": REFERENCE, "markeredgecolor": REFERENCE}
    entries = (
        (-1, Line2D([], [], marker="o", markersize=4.2, **plain), "surely less error"),
        (0, Line2D([], [], marker="o", markersize=4.2, markerfacecolor="white", **plain), "no sure difference"),
        (1, Line2D([], [], marker="x", markersize=5.5, **plain), "surely more"),
    )
    shown = [(handle, text) for kind, handle, text in entries if kind in kinds]
    than = f"than {'that ' + against if against.startswith('of') else against}"
    shown[-1] = (shown[-1][0], f"{shown[-1][1]}   ({than}; 95 % interval of paired differences, by scene)")
    handles, texts = zip(*shown, strict=True)
    figure.legend(
        handles, texts, loc="lower left", ncols=len(shown), fontsize=8.5, handletextpad=0.2, columnspacing=1.4
    )
