"""The table of a comparison, on the screen and for the page."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from afsim.rows import Row, at_steps, differs, is_whole_stack, number, reference_of, travel_field

WITHHELD = "–"


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes
    ----------
    header, meaning : str
        Its heading, and the sentence that explains it.
    show : callable
        Makes a row's cell.
    """

    header: str
    meaning: str
    show: Callable[[Row], str]


def _fixed(value: float, digits: int) -> str:
    return WITHHELD if math.isnan(value) else f"{value:.{digits}f}"


def _field(field: str, digits: int) -> Callable[[Row], str]:
    return lambda row: _fixed(number(row, field), digits)


def _steps(row: Row) -> str:
    return "all" if is_whole_stack(row) else _fixed(number(row, "steps"), 0)


def _rmse(row: Row) -> str:
    value, low, high = (number(row, "rmse" + end) for end in ("", "_lo", "_hi"))
    interval = "" if math.isnan(low) or math.isnan(high) else f" [{low:.2f}, {high:.2f}]"
    return _fixed(value, 2) + interval


def _outcome(row: Row) -> str:
    return " / ".join(_fixed(100 * number(row, name), 0) for name in ("focused", "failed", "focused_but_wrong"))


def _worst_start(row: Row) -> str:
    return f"{number(row, 'worst_start'):.0f}: {_fixed(number(row, 'worst_start_mae'), 1)}"


def _accuracy_columns() -> tuple[Column, ...]:
    share = "Share of episodes that end {} of the label (position rounded to a slice)."
    return (
        Column("= 0", share.format("on the slice"), _field("eq0", 3)),
        Column("≤ 1", share.format("within 1 slice"), _field("le1", 3)),
        Column("≤ 2", share.format("within 2 slices"), _field("le2", 3)),
        Column("≤ 4", share.format("within 4 slices"), _field("le4", 3)),
        Column("MAE", "Mean absolute error against the label, in slices.", _field("mae", 2)),
        Column("RMSE [95 %]", "Root mean square error, in slices; bootstrap interval by scene.", _rmse),
        Column(
            "exact MAE",
            "Mean absolute error of the unrounded position against the exact truth.",
            _field("exact_mae", 2),
        ),
        Column("success", "Share of episodes that end within 1 slice of the exact truth.", _field("success", 3)),
        Column("p95", "95th percentile of the absolute error against the label, in slices.", _field("p95", 1)),
        Column(
            "worst start",
            "The start index from which the mean absolute error is largest, and that error.",
            _worst_start,
        ),
    )


def _difference(row: Row) -> str:
    value, low, high = (number(row, "difference" + end) for end in ("", "_lo", "_hi"))
    interval = "" if math.isnan(low) or math.isnan(high) else f" [{low:+.2f}, {high:+.2f}]"
    return WITHHELD if math.isnan(value) else f"{value:+.2f}{interval}{'*' if differs(row) else ''}"


def _comparison_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Return what compares exact errors with the optimum, and with another policy or budget, where known."""
    found: tuple[Column, ...] = ()
    if any(not math.isnan(number(row, "regret")) for row in rows):
        meaning = (
            "Mean cost above the clairvoyant bound: the least expected cost of a lens that is told the truth and "
            "moves by whole slices. The cost is the exact error where no other was asked for."
        )
        found += (Column("regret", meaning, _field("regret", 2)),)
    if any(not math.isnan(number(row, "difference")) for row in rows):
        meaning = (
            f"Exact MAE minus that {reference_of(rows)}, episode by episode; bootstrap interval by scene, "
            "* where it excludes 0."
        )
        found += (Column("difference [95 %]", meaning, _difference),)
    return found


def _sharpness_columns() -> tuple[Column, ...]:
    meaning = "Sharpness of the slice ended at over that of the stack's best slice, mean per episode."
    return (Column("sharpness / best", meaning, _field("relative_sharpness", 3)),)


def _reach_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Return what tells the episodes apart whose target an erring lens cannot reach; nothing where all can."""
    if not any(number(row, "reachable") < 1.0 for row in rows):
        return ()
    return (
        Column(
            "reach (%)",
            "Share of episodes whose target the erring lens can reach by some command, to half a slice.",
            lambda row: _fixed(100 * number(row, "reachable"), 1),
        ),
        Column(
            "exact reach / else",
            "Exact MAE of the episodes whose target is within reach, and of the others.",
            lambda row: " / ".join(_fixed(number(row, f"exact_mae_{end}reachable"), 2) for end in ("", "un")),
        ),
    )


def columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Return the columns: sharpness for accuracy where nothing is labelled, travel in a unit all rows have."""
    travel = travel_field(rows)
    unit, digits = ("µm", 0) if travel == "travel_um" else ("slices", 1)
    accuracy = _accuracy_columns() if any(number(row, "labelled") for row in rows) else _sharpness_columns()
    return (
        Column("policy", "The policy's registered name.", lambda row: str(row["policy"])),
        Column("steps", "Predictions that a policy may make; all: one prediction from the whole stack.", _steps),
        *accuracy,
        *_comparison_columns(rows),
        *_reach_columns(rows),
        Column("obs.", "Observations: slices exposed, mean per episode.", _field("observations", 1)),
        Column("moves", "Lens commands that differ from the last, mean per episode.", _field("moves", 1)),
        Column("reversals", "Changes of the lens's direction, mean per episode.", _field("reversals", 1)),
        Column(f"travel ({unit})", f"Path of the lens, in {unit}, mean per episode.", _field(travel, digits)),
        Column("time (ms)", "Simulated from declared costs, mean per episode.", _field("time_ms", 0)),
        Column(
            "focused / failed / wrong (%)",
            "Episodes that the policy calls focused, that it calls failed, and that it calls focused "
            "although they end more than 2 slices from the best focus.",
            _outcome,
        ),
    )


def table(rows: Sequence[Row]) -> list[list[str]]:
    """Format a comparison: the headings, then one list of cells per row; withheld values are dashes."""
    shown = columns(rows)
    return [[column.header for column in shown], *([column.show(row) for column in shown] for row in rows)]


# What a narrow terminal loses first: each is coarse, told by a column that stays, or drawn in the frontier.
_LEAVES_FIRST = (
    *(
        "difference [95 %]",
        "regret",
        "success",
        "p95",
        "worst start",
        "reversals",
        "≤ 2",
        "moves",
        "exact MAE",
        "≤ 4",
        "exact reach / else",
    ),
    *("reach (%)", "obs."),
    *("focused / failed / wrong (%)", "time (ms)", "≤ 1", "= 0"),
)


def _broken(heading: str) -> str:
    """Return a heading over several lines, as the terminal shows it."""
    return heading.replace(" / ", "\n/ ").replace(" (", "\n(").replace(" [", "\n[")


def _fit(columns_of_cells: list[tuple[str, ...]], width: int) -> tuple[list[tuple[str, ...]], list[str]]:
    """Drop columns until the table fits; return those that stay and the headings of those that left."""
    left_out: list[str] = []
    for leaving in _LEAVES_FIRST:
        if (
            sum(max(map(len, (*_broken(heading).splitlines(), *cells))) + 2 for heading, *cells in columns_of_cells)
            + 1
            <= width
        ):
            break
        left_out += [column[0] for column in columns_of_cells if column[0] == leaving]
        columns_of_cells = [column for column in columns_of_cells if column[0] != leaving]
    return columns_of_cells, left_out


def screen_table(
    rows: Sequence[Row], *, steps: int | None = None, notes: Sequence[str] = (), width: int | None = None
) -> Table:
    """Make the table for the terminal: one budget of each policy.

    Parameters
    ----------
    rows : sequence of mapping
        The comparison.
    steps : int, optional
        The budget to show; by default the largest of each policy.
    notes : sequence of str
        What is withheld and why; printed below.
    width : int, optional
        The terminal's width in characters. A table that is wider leaves out columns, and says which, because a
        number that is cut short is a wrong number. By default all columns stay (about 200 characters).

    Raises
    ------
    AfsimError
        Where no policy has that budget, or a row lacks a field.
    """
    by_column = list(zip(*table(at_steps(rows, steps)), strict=True))
    left_out: list[str] = []
    if width is not None:
        by_column, left_out = _fit(by_column, width)
    below = footnotes(zip(*(cells for _, *cells in by_column), strict=True), notes)
    if left_out:
        below.append(f"Left out at this width: {', '.join(left_out)}.")
    caption = Text("\n".join(below), style="dim")
    screen = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    for heading, *_ in by_column:
        screen.add_column(Text(_broken(heading)), justify="left" if heading == "policy" else "right", no_wrap=True)
    for line in zip(*(cells for _, *cells in by_column), strict=True):
        screen.add_row(*(Text(cell) for cell in line))
    return screen


def footnotes(lines: Iterable[Sequence[str]], notes: Sequence[str]) -> list[str]:
    """Return the notes, after one that explains the dash where a cell shows it."""
    dashed = any(WITHHELD in cell.split() for line in lines for cell in line[1:])
    return [*([f"{WITHHELD} withheld: the recording does not determine it."] if dashed else []), *notes]
