"""The tables of a comparison: on the screen, as CSV, and as one page that opens offline.

A comparison is a list of rows, one per policy and budget, with the fields of :data:`FIELDS`. NaN (-1 for
``worst_start``) means withheld: the recording does not determine the number, so no writer here shows one.
"""

import base64
import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from afsim.errors import AfsimError

Row = Mapping[str, object]

WITHHELD = "–"
_PAPER = ("eq0", "le1", "le2", "le4", "mae", "rmse")
FIELDS = (
    *("policy", "kind", "steps", "episodes", "labelled", "stacks", "scenes"),
    *(name + end for name in _PAPER for end in ("", "_lo", "_hi")),
    *("exact_mae", "success", "p95", "worst_start", "worst_start_mae"),
    *("observations", "moves", "travel_index", "travel_um", "reversals", "time_ms"),
    *("focused", "failed", "focused_but_wrong", "relative_sharpness"),
)
"""The fields of a row, in the order of the CSV's columns."""


# ---------------------------------------------------------------------- reading rows
def number(row: Row, field: str) -> float:
    """Return a numeric field of a row; NaN where it is withheld.

    Raises
    ------
    AfsimError
        Where the field is missing or not a number.
    """
    value = row.get(field)
    try:
        return float(value)  # type: ignore[arg-type]  # whatever is not a number is refused below
    except (TypeError, ValueError):
        where = f"row of policy {row.get('policy')!r}, field {field!r}"
        raise AfsimError(f"{where}: expected a number, got {value!r}") from None


def travel_field(rows: Iterable[Row]) -> str:
    """Name the unit of travel that all rows have: ``travel_um``, or ``travel_index`` where a row withholds that."""
    withheld = any(math.isnan(number(r, "travel_um")) and not math.isnan(number(r, "travel_index")) for r in rows)
    return "travel_index" if withheld else "travel_um"


def is_whole_stack(row: Row) -> bool:
    """Tell whether a row is one prediction from all slices."""
    return row["kind"] == "whole-stack"


def at_steps(rows: Sequence[Row], steps: int | None = None) -> list[Row]:
    """Keep one budget of each policy, and every whole-stack row.

    Parameters
    ----------
    rows : sequence of mapping
        The comparison.
    steps : int, optional
        The budget; by default the largest of each policy.

    Raises
    ------
    AfsimError
        Where no policy has that budget.
    """
    largest: dict[object, float] = {}
    for row in rows:
        largest[row["policy"]] = max(number(row, "steps"), largest.get(row["policy"], 0))
    budgets = sorted({int(number(row, "steps")) for row in rows if not is_whole_stack(row)})
    if steps is not None and steps not in budgets:
        raise AfsimError(f"no policy was run with steps = {steps}; the comparison has {budgets}")
    return [
        row
        for row in rows
        if is_whole_stack(row) or number(row, "steps") == (largest[row["policy"]] if steps is None else steps)
    ]


# ---------------------------------------------------------------------- the table's columns
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


def columns(rows: Iterable[Row]) -> tuple[Column, ...]:
    """Return the table's columns; the unit of travel is one that all rows have."""
    travel = travel_field(rows)
    unit, digits = ("µm", 0) if travel == "travel_um" else ("slices", 1)
    share = "Share of episodes that end {} of the label (position rounded to a slice)."
    return (
        Column("policy", "The policy's registered name.", lambda row: str(row["policy"])),
        Column("steps", "Predictions that a policy may make; all: one prediction from the whole stack.", _steps),
        Column("= 0", share.format("on the slice"), _field("eq0", 3)),
        Column("≤ 1", share.format("within 1 slice"), _field("le1", 3)),
        Column("≤ 2", share.format("within 2 slices"), _field("le2", 3)),
        Column("≤ 4", share.format("within 4 slices"), _field("le4", 3)),
        Column("MAE", "Mean absolute error against the label, in slices.", _field("mae", 2)),
        Column("RMSE [95 %]", "Root mean square error, in slices; bootstrap interval by scene.", _rmse),
        Column("obs.", "Observations: slices exposed, mean per episode.", _field("observations", 1)),
        Column("moves", "Lens commands that differ from the last, mean per episode.", _field("moves", 1)),
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


# What a narrow terminal loses first: each is coarse, or told by a column that stays.
_LEAVES_FIRST = ("≤ 2", "moves", "≤ 4", "obs.", "focused / failed / wrong (%)", "time (ms)", "≤ 1", "= 0")


def _fit(columns_of_cells: list[tuple[str, ...]], width: int) -> tuple[list[tuple[str, ...]], list[str]]:
    """Drop columns until the table fits; return those that stay and the headings of those that left."""
    left_out: list[str] = []
    for leaving in _LEAVES_FIRST:
        if sum(max(map(len, (*heading.split(), *cells))) + 2 for heading, *cells in columns_of_cells) + 1 <= width:
            break
        columns_of_cells = [column for column in columns_of_cells if column[0] != leaving]
        left_out.append(leaving)
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
        number that is cut short is a wrong number. By default all columns stay (about 115 characters).

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
        broken = heading.replace(" / ", "\n/ ").replace(" (", "\n(").replace(" [", "\n[")
        screen.add_column(Text(broken), justify="left" if heading == "policy" else "right", no_wrap=True)
    for line in zip(*(cells for _, *cells in by_column), strict=True):
        screen.add_row(*(Text(cell) for cell in line))
    return screen


def footnotes(lines: Iterable[Sequence[str]], notes: Sequence[str]) -> list[str]:
    """Return the notes, after one that explains the dash where a cell shows it."""
    dashed = any(WITHHELD in cell.split() for line in lines for cell in line[1:])
    return [*([f"{WITHHELD} withheld: the recording does not determine it."] if dashed else []), *notes]


# ---------------------------------------------------------------------- files
def _plain(field: str, value: object) -> str:
    if field == "worst_start" and value == -1:
        return ""
    if isinstance(value, float):  # numpy's float64 is one
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)


def write_csv(rows: Sequence[Row], path: str | Path) -> None:
    """Write a comparison as CSV: the columns of :data:`FIELDS`, six significant digits, withheld values empty.

    Raises
    ------
    AfsimError
        Where a row has other fields than these.
    """
    for index, row in enumerate(rows):
        if odd := set(FIELDS).symmetric_difference(row):
            raise AfsimError(f"row {index}: fields missing or unknown: {', '.join(sorted(odd))}")
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows([_plain(field, row[field]) for field in FIELDS] for row in rows)


def as_json(config: Mapping[str, object]) -> str:
    """Return a configuration as indented JSON, in its own order.

    Raises
    ------
    AfsimError
        Where it holds NaN, an infinity, or what JSON has no form for.
    """
    try:
        return json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AfsimError(f"configuration: expected plain JSON values; {error}") from error


def write_json(config: Mapping[str, object], path: str | Path) -> None:
    """Write a configuration as JSON; raises as :func:`as_json` does."""
    Path(path).write_text(as_json(config) + "\n", encoding="utf-8", newline="\n")


# ---------------------------------------------------------------------- the page
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light; --ink: #1d2329; --soft: #5c6670; --line: #dfe3e7; --tint: #f5f7f8 }}
* {{ box-sizing: border-box }}
body {{ margin: 0 auto; max-width: 1200px; padding: 1.5rem 1rem 3rem; color: var(--ink); background: #fff;
  font: 15px/1.5 system-ui, sans-serif }}
h1 {{ font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem }}
h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem }}
.lead, .notes, figcaption, dd {{ color: var(--soft) }}
.lead {{ margin: 0 }}
.pictures {{ display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)) }}
figure {{ margin: 0 }}
img {{ display: block; width: 100%; height: auto }}
.wide {{ overflow-x: auto; border-block: 1px solid var(--line) }}
table {{ border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums }}
th, td {{ padding: .25rem .5rem; text-align: right; white-space: nowrap }}
thead th {{ white-space: normal; vertical-align: bottom; cursor: help; border-bottom: 1px solid var(--soft) }}
th:first-child {{ position: sticky; left: 0; background: #fff; text-align: left }}
tbody + tbody {{ border-top: 1px solid var(--line) }}
tbody tr:hover > * {{ background: var(--tint) }}
dt {{ font-weight: 600 }}
dd {{ margin: 0 0 .35rem }}
pre {{ overflow-x: auto; padding: .75rem; background: var(--tint); font-size: .8rem }}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="lead">{lead}</p>
<section class="pictures">
{pictures}
</section>
<h2>All policies and budgets</h2>
<div class="wide" role="region" aria-label="All policies and budgets" tabindex="0">
<table>
{table}
</table>
</div>
{notes}
<details>
<summary>What the columns mean</summary>
<dl>
{legend}
</dl>
</details>
<h2>How this was made</h2>
<pre>{config}</pre>
</body>
</html>
"""
_MEDIA_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def _lead(rows: Sequence[Row]) -> str:
    policies = len({row["policy"] for row in rows})
    counts = {
        name: int(max(number(row, name) for row in rows)) for name in ("stacks", "scenes", "episodes", "labelled")
    }
    return (
        f"Policies: {policies}. Stacks: {counts['stacks']}, of scenes: {counts['scenes']}. "
        f"Episodes per row: {counts['episodes']}, with a label: {counts['labelled']}."
    )


def _figure(caption: str, path: Path) -> str:
    """Embed a picture as a data URI: unlike a pasted ``<svg>``, two of them cannot share an id by accident."""
    media_type = _MEDIA_TYPES.get(path.suffix)
    if media_type is None:
        raise AfsimError(f"picture {caption!r}: expected one of {', '.join(_MEDIA_TYPES)}, got {path}")
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    text = escape(caption)
    image = f'<img alt="{text}" src="data:{media_type};base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def _html_table(rows: Sequence[Row], lines: Sequence[Sequence[str]]) -> str:
    """Make the table's head and one body per run of rows of a policy."""
    heads = (f'<th scope="col" title="{escape(c.meaning)}">{escape(c.header)}</th>' for c in columns(rows))
    parts = [f"<thead><tr>{''.join(heads)}</tr></thead>"]
    for _, own in groupby(lines, key=lambda line: line[0]):
        body = (
            f'<tr><th scope="row">{escape(line[0])}</th>{"".join(f"<td>{escape(c)}</td>" for c in line[1:])}</tr>'
            for line in own
        )
        parts.append("<tbody>\n" + "\n".join(body) + "\n</tbody>")
    return "\n".join(parts)


def write_html(
    path: str | Path,
    *,
    title: str,
    rows: Sequence[Row],
    notes: Sequence[str],
    config: Mapping[str, object],
    pictures: Mapping[str, Path],
) -> None:
    """Write the comparison as one page that needs nothing else: no script, no network, no second file.

    Parameters
    ----------
    path : str or Path
        The file to write.
    title : str
        The page's title.
    rows : sequence of mapping
        The comparison; all budgets are shown.
    notes : sequence of str
        What is withheld and why.
    config : mapping
        Plain JSON values; shown last, so it should end with the command and the versions.
    pictures : mapping of str to Path
        SVG or PNG files by caption; their content is copied into the page.

    Raises
    ------
    AfsimError
        For no rows, a row that lacks a field, a picture of another format, or a config that is not JSON.
    """
    if not rows:
        raise AfsimError("nothing to report: the comparison has no rows")
    _, *lines = table(rows)
    notes_html = "".join(f'<p class="notes">{escape(note)}</p>' for note in footnotes(lines, notes))
    page = _PAGE.format(
        title=escape(title),
        lead=_lead(rows),
        pictures="\n".join(_figure(caption, Path(picture)) for caption, picture in pictures.items()),
        table=_html_table(rows, lines),
        notes=notes_html,
        legend="\n".join(f"<dt>{escape(c.header)}</dt><dd>{escape(c.meaning)}</dd>" for c in columns(rows)),
        config=escape(as_json(config)),
    )
    Path(path).write_text(page, encoding="utf-8", newline="\n")
