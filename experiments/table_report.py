"""Text and pictures of the paper's tables: pure functions of the rows."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter
from matplotlib.transforms import Bbox

from afsim.experiments.paper_tables import PaperRow
from afsim.experiments.table_rows import KINDS, STAND_IN
from afsim.measures import get_measure
from afsim.metrics import PAPER_COLUMNS
from afsim.plots import COLOURS, STYLE
from afsim.rows import Row, number
from afsim.tables import markdown_table

_HEADINGS: Final = ("= 0", "≤ 1", "≤ 2", "≤ 4", "MAE", "RMSE")
_SEEN: Final = {
    "I*": "I*: the whole stack, green",
    "D*": "D*: the whole stack, dual pixels",
    "D1": "D1: one slice, dual pixels",
    "I1": "I1: one slice, green",
    "chance": "Chance",
}
_NONE: Final = "–"
# Families of rows in the picture: the module that computes the measure.
_FAMILIES: Final = {
    "measure_statistics": ("I*: statistics of intensity", "D"),
    "measure_frequency": ("I*: discrete cosine transform", "v"),
    "measure_gradients": ("I*: derivatives", "o"),
    "measure_local": ("I*: ratio to a local mean", "^"),
    "measure_wavelets": ("I*: wavelets", "s"),
    "measure_stereo": ("D*: likeness of both views", "X"),
}
_ONE_SLICE: Final = ("D1: one slice", "P")
_DARK: Final = "#333333"
_LEAST_RMSE: Final = 0.3  # slices: rows without error, which a logarithm has no place for, are drawn here
_OUTLIERS: Final = 10  # as many names as fit
_NAME_SIZE: Final = 7.5
_SPARE_PX: Final = 6  # around names: at the resolution of a file they are not exactly as wide as they were placed


# ---------------------------------------------------------------------- tables
def side_by_side(
    rows: Sequence[Row], paper: Iterable[PaperRow], extra: Mapping[str, Callable[[Row], str]] | None = None
) -> str:
    """Return a table for each kind, ours with the paper's figures in brackets.

    Parameters
    ----------
    rows : sequence of mapping
        Ours, in order. Other readings of the paper's rows, extensions of them and stand-ins are marked.
    paper : iterable of PaperRow
        The table. Rows that nothing of ours stands for come last, with the paper's figures alone.
    extra : mapping, optional
        Further columns: a heading, and what gives the cell of a row.
    """
    parts = []
    paper = list(paper)
    for kind in KINDS:
        own = [row for row in rows if row["kind"] == kind]
        played = {(row["name"], row["steps"]) for row in own if row["reproduction"] or row["extension"] == STAND_IN}
        missing = [row for row in paper if row.kind == kind and (row.name, row.steps) not in played]
        if not own and not missing:
            continue
        columns = {**(extra or {}), **({"failed (%)": _failed} if kind == "D1" else {})}
        headings = ["row", "policy", "steps", *_HEADINGS, "95 % of RMSE", *columns]
        lines = [[*_line(row), *(cell(row) for cell in columns.values())] for row in own]
        lines += [[*_paper_line(row), *(_NONE for _ in columns)] for row in missing]
        parts.append(f"## {_SEEN[kind]}{_size(own)}\n\n{markdown_table(headings, lines)}")
    return "\n".join(parts)


def _size(rows: Sequence[Row]) -> str:
    """Say of how many stacks rows are, where all are of the same."""
    sizes = {(row["stacks"], row["scenes"], row["episodes"]) for row in rows}
    if len(sizes) != 1:
        return ""
    stacks, scenes, episodes = sizes.pop()
    return f" ({stacks} stacks of {scenes} scenes, {episodes} predictions)"


def _line(row: Row) -> list[str]:
    name = f"{row['name']}{'†' if row['crop'] else ''}"
    if row["extension"]:
        name += f" ({row['extension']})"
    elif not row["reproduction"] and row["kind"] != "chance":
        name += " (other reading)"
    cells = []
    for field in PAPER_COLUMNS:
        printed = number(row, f"paper_{field}")
        cells.append(f"{number(row, field):.3f}" + ("" if math.isnan(printed) else f" ({printed:.3f})"))
    low, high = number(row, "rmse_lo"), number(row, "rmse_hi")
    interval = _NONE if math.isnan(low) else f"{low:.2f} ... {high:.2f}"
    return [name, f"`{row['policy']}`", str(row["steps"]), *cells, interval]


def _paper_line(row: PaperRow) -> list[str]:
    cells = [f"{_NONE} ({getattr(row, field):.3f})" for field in PAPER_COLUMNS]
    return [f"{row.name}{'†' if row.crop else ''}", _NONE, str(row.steps), *cells, _NONE]


def _failed(row: Row) -> str:
    return f"{100 * number(row, 'failed'):.1f}"


# ---------------------------------------------------------------------- agreement
def agreement_text(rows: Sequence[Row]) -> str:
    """Return in words how far each kind of rows agrees with the paper's."""
    return "\n\n".join(_agreement_of(row) for row in rows)


def _agreement_of(row: Row) -> str:
    same = "also our two best" if row["same_best_two"] else "not our two best"
    share = number(row, "same_best_two_share")
    often = "" if math.isnan(share) else f", and are in {100 * share:.0f} % of the resampled sets"
    return (
        f"**{row['kind']}**, {row['rows']} rows on {row['stacks']} stacks of {row['scenes']} scenes: "
        f"{_order(row)}; {_size_of_errors(row)}. "
        f"Best row: {row['best']} (the paper's: {row['paper_best']}); worst: {row['worst']} (the paper's: "
        f"{row['paper_worst']}). The paper's two best, {str(row['paper_best_two']).replace('; ', ' and ')}, are "
        f"{same}{often}. Farthest below the paper: {row['lowest']}, {number(row, 'lowest_ratio'):.2f} times its "
        f"RMSE; farthest above: {row['highest']}, {number(row, 'highest_ratio'):.2f} times."
    )


def _order(row: Row) -> str:
    if math.isnan(number(row, "rank_correlation")):
        return "our rows have one RMSE, so that no order can be compared with the paper's"
    return f"the rank correlation of our RMSE with the paper's is {_with_interval(row, 'rank_correlation')}"


def _size_of_errors(row: Row) -> str:
    rms = number(row, "log_ratio_rms")
    if math.isnan(rms):
        return "a row of ours is without error, so that the ratios to the paper's RMSE have no logarithm"
    told = _with_interval(row, "log_ratio_rms")
    return f"the logarithm of their ratio has an rms of {told}, which is a factor of {math.exp(rms):.2f}"


def _with_interval(row: Row, field: str) -> str:
    low, high = number(row, f"{field}_lo"), number(row, f"{field}_hi")
    interval = "" if math.isnan(low) else f" (95 %: {low:.3f} ... {high:.3f})"
    return f"{number(row, field):.3f}{interval}"


# ---------------------------------------------------------------------- picture
def draw_agreement(rows: Sequence[Row], agreed: Sequence[Row]) -> Figure:
    """Draw our RMSE against the paper's, with 95 % intervals, on logarithmic axes.

    Rows on the line agree with the paper; the band is a factor of 2. The rows that are farthest from the line are
    named. Only rows that stand for the paper's are drawn.

    Parameters
    ----------
    rows : sequence of mapping
        The table.
    agreed : sequence of mapping
        Its agreement with the paper, for the title.
    """
    drawn = [row for row in rows if row["reproduction"] and not math.isnan(number(row, "paper_rmse"))]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.8, 6.8), layout="constrained")
        canvas = FigureCanvasAgg(figure)  # measures the names, so that they can be kept apart
        axes = figure.add_subplot()
        least, most = _limits(drawn)
        axes.fill_between([least, most], [least / 2, most / 2], [least * 2, most * 2], color="#f1f1f1", zorder=0.5)
        axes.plot([least, most], [least, most], color="#888888", linewidth=1.0, zorder=1)
        for i, (module, (label, marker)) in enumerate([*_FAMILIES.items(), ("", _ONE_SLICE)]):
            own = [row for row in drawn if _module(row) == module]
            if own:
                _draw_family(axes, own, label, marker, COLOURS[i] if i < len(COLOURS) else _DARK)
        axes.set(xscale="log", yscale="log", xlim=(least, most), ylim=(least, most), aspect="equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([0.3, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 49]))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.set_xlabel("RMSE in the paper's Table 1 (slices)")
        axes.set_ylabel("our RMSE (slices)")
        axes.set_title("; ".join(_title(row) for row in agreed), fontsize=9.5)
        axes.legend(loc="best", fontsize=8.5)
        _name_outliers(canvas, axes, drawn)
    return figure


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Return limits for both axes that hold all points and the ends of their intervals."""
    values = [number(row, field) for row in rows for field in ("rmse", "paper_rmse", "rmse_lo", "rmse_hi")]
    shown = [max(value, _LEAST_RMSE) for value in values if not math.isnan(value)] or [1.0]
    return min(shown) / 1.15, max(shown) * 1.15


def _module(row: Row) -> str:
    """Return the module that computes a row's measure; nothing where the policy is no measure's."""
    _, sweep, name = str(row["policy"]).partition("sweep:")
    if not sweep:
        return ""
    function = get_measure(name).function
    return str(getattr(function, "func", function).__module__).rpartition(".")[2]


def _at(row: Row) -> tuple[float, float]:
    return number(row, "paper_rmse"), max(number(row, "rmse"), _LEAST_RMSE)


def _draw_family(axes: Axes, rows: Sequence[Row], label: str, marker: str, colour: str) -> None:
    for row in rows:
        ends = [max(number(row, f"rmse_{end}"), _LEAST_RMSE) for end in ("lo", "hi")]
        if not any(map(math.isnan, ends)):
            axes.plot([_at(row)[0]] * 2, ends, color=colour, linewidth=1.0, alpha=0.35, zorder=2)
    axes.plot(
        *zip(*(_at(row) for row in rows), strict=True),
        linestyle="none",
        marker=marker,
        markersize=7,
        color=colour,
        markeredgecolor="white",
        markeredgewidth=0.6,
        label=label,
        zorder=3,
    )


def _title(row: Row) -> str:
    if math.isnan(number(row, "rank_correlation")):
        return f"{row['kind']}: rows of one RMSE"
    low, high = number(row, "rank_correlation_lo"), number(row, "rank_correlation_hi")
    interval = "" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    text = f"{row['kind']}: rank correlation {number(row, 'rank_correlation'):.2f}{interval}"
    return text.replace("-", "−")


def _name_outliers(canvas: FigureCanvasAgg, axes: Axes, rows: Sequence[Row]) -> None:
    """Name the rows that are farthest from the line, each where it covers neither a point nor another name."""
    canvas.figure.draw_without_rendering()  # the layout moves the axes
    canvas.figure.set_layout_engine("none")  # and no more: names stay where there is room for them
    inside, points_px = axes.get_window_extent(), canvas.figure.dpi / 72
    pixels = [tuple(axes.transData.transform(_at(row))) for row in rows]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in pixels]
    if (legend := axes.get_legend()) is not None:
        taken.append(legend.get_window_extent())
    farthest = sorted(rows, key=lambda row: -abs(math.log(_at(row)[1] / _at(row)[0])))[:_OUTLIERS]
    for row in farthest:
        name = axes.annotate(
            str(row["name"]),
            _at(row),
            (0, 0),
            textcoords="offset points",
            fontsize=_NAME_SIZE,
            color=_DARK,
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkB": 4},
        )
        name.get_window_extent()  # puts the name in its place
        at_point = Text.get_window_extent(name)  # without the line to the point
        for dx, dy in _places(at_point.width / points_px, at_point.height / points_px):
            text = at_point.translated(dx * points_px, dy * points_px)
            if inside.contains(*text.min) and inside.contains(*text.max) and not text.count_overlaps(taken):
                name.set_position((dx, dy))
                taken.append(text.padded(_SPARE_PX))
                break
        else:
            name.remove()


def _places(width: float, height: float) -> Iterator[tuple[float, float]]:
    """Yield where the centre of a name of that size may be, from its point: ever farther, all around; in points."""
    for distance in (8, 16, 26, 40, 60, 85):
        for step in range(8):
            x, y = math.cos(step * math.pi / 4), math.sin(step * math.pi / 4)
            # Its nearest side, or corner, is at the distance.
            sideways, upwards = (0.0 if abs(v) < 0.1 else math.copysign(0.5, v) for v in (x, y))
            yield distance * x + sideways * width, distance * y + upwards * height
