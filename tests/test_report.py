"""The tables and the page: withheld stays withheld, the same rows give the same bytes, the page stands alone."""

import csv
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from afsim.errors import AfsimError
from afsim.page import write_html
from afsim.report import WITHHELD, columns, screen_table, table
from afsim.rows import FIELDS, Row, at_steps, write_csv, write_json

NAN = math.nan
LABELLED_FIELDS = [
    f
    for f in FIELDS
    if f.startswith(("eq0", "le", "mae", "rmse", "exact", "success", "p95", "worst", "reach", "clamped"))
]


def make_row(policy: str, steps: int, mae: float, **other: object) -> dict[str, object]:
    """Make a whole row around an error: the other numbers only have to be distinct and plausible."""
    row: dict[str, object] = dict.fromkeys(FIELDS, 0.5)
    row |= {"policy": policy, "kind": "multi-step", "steps": steps, "episodes": 294, "labelled": 294}
    row |= {"stacks": 6, "scenes": 3, "mae": mae, "mae_lo": 0.8 * mae, "mae_hi": 1.2 * mae, "worst_start": 48}
    row |= {"rmse": 1.3 * mae, "rmse_lo": mae, "rmse_hi": 1.6 * mae, "travel_index": 9.0 * steps, "travel_um": 61.0}
    return row | other


def withheld(row: Row, *fields: str) -> dict[str, object]:
    return dict(row) | {f: -1 if f == "worst_start" else NAN for f in fields}


ROWS = [
    make_row("contrast", 1, 6.0),
    make_row("contrast", 3, 3.0),
    make_row("disparity", 1, 2.0),
    make_row("I* peak", 1, 1.5, kind="whole-stack"),
]


def on_screen(rows: list[dict[str, object]], width: int = 140, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(screen_table(rows, width=width, **options))  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class Page(HTMLParser):
    """Collects what a browser would fetch or run, and the text of the table's cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.cells: list[str] = []
        self.tooltips: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.sources += [value for name in ("src", "href") if (value := given.get(name)) is not None]
        if tag in ("td", "th"):
            self.cells.append("")
            self.tooltips += [given.get("title") or ""] if given.get("scope") == "col" else []

    def handle_data(self, data: str) -> None:
        if self.cells and self.tags[-1] in ("td", "th"):
            self.cells[-1] += data.strip()


def make_page(tmp_path: Path, rows: list[dict[str, object]] = ROWS, **other: object) -> str:
    picture = tmp_path / "dot.svg"
    picture.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    given: dict[str, object] = {"title": "A <b> & c", "notes": [], "config": {"command": "afsim compare"}}
    given |= {"pictures": {"a dot": picture}} | other
    write_html(tmp_path / "page.html", rows=rows, **given)  # type: ignore[arg-type]
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_screen_shows_the_largest_budget_of_each_policy_and_every_whole_stack_row() -> None:
    assert [(row["policy"], row["steps"]) for row in at_steps(ROWS)] == [
        ("contrast", 3),
        ("disparity", 1),
        ("I* peak", 1),
    ]
    assert [row["policy"] for row in at_steps(ROWS, 3)] == ["contrast", "I* peak"]


def test_a_budget_that_nobody_has_is_refused_by_name() -> None:
    with pytest.raises(AfsimError, match=r"steps = 7.*\[1, 3\]"):
        at_steps(ROWS, 7)


def test_every_line_of_the_table_has_a_cell_for_every_heading() -> None:
    lines = table(ROWS)
    assert len(lines) == 1 + len(ROWS)
    assert {len(line) for line in lines} == {len(columns(ROWS))}
    assert lines[1][lines[0].index("MAE")] == "6.00"
    assert lines[1][lines[0].index("RMSE [95 %]")] == "7.80 [6.00, 9.60]"
    assert lines[4][lines[0].index("steps")] == "all"


def test_withheld_numbers_are_dashes_and_never_nan() -> None:
    rows = [withheld(row, *LABELLED_FIELDS, "time_ms", "focused_but_wrong") for row in ROWS]
    text = on_screen(rows, notes=["Errors: no stack has a label."])
    assert "nan" not in text.lower()
    assert "withheld" in text
    assert "Errors: no stack has a label." in text
    line = table(rows)[1]
    assert line[2:8] == [WITHHELD] * 6
    assert line[-1] == f"50 / 50 / {WITHHELD}"


def test_a_difference_has_its_interval_and_a_star_where_it_is_sure() -> None:
    rows = [
        make_row("sure", 1, 1.0, difference=-0.5, difference_lo=-0.8, difference_hi=-0.2, against="sweep"),
        make_row("not", 1, 1.0, difference=0.1, difference_lo=-0.2, difference_hi=0.4, against="sweep"),
        make_row("alone", 1, 1.0, difference=0.1, difference_lo=NAN, difference_hi=NAN, against="sweep"),
        withheld(make_row("none", 1, 1.0, against=""), "difference", "difference_lo", "difference_hi"),
    ]
    heading, *lines = table(rows)
    at = heading.index("difference [95 %]")
    assert [line[at] for line in lines] == ["-0.50 [-0.80, -0.20]*", "+0.10 [-0.20, +0.40]", "+0.10", WITHHELD]
    (meaning,) = [column.meaning for column in columns(rows) if column.header == "difference [95 %]"]
    assert "minus that of sweep" in meaning


def test_what_was_not_compared_has_no_column() -> None:
    rows = [withheld(row, "difference", "regret") for row in ROWS]
    assert not {"difference [95 %]", "regret"} & set(table(rows)[0])
    assert "regret" in table(ROWS)[0]
    shown = on_screen(rows, 80)
    assert "Left out at this width" in shown
    assert "regret" not in shown


def test_nothing_withheld_needs_no_footnote() -> None:
    assert "withheld" not in on_screen(ROWS)


def test_travel_is_in_slices_where_any_row_withholds_micrometres() -> None:
    assert "travel (µm)" in table(ROWS)[0]
    assert "travel (slices)" in table([*ROWS[1:], withheld(ROWS[0], "travel_um")])[0]


@pytest.mark.parametrize("width", [60, 80, 120, 240])
def test_no_width_of_the_screen_cuts_a_number_short(width: int) -> None:
    text = on_screen([make_row("net[red]", 3, 13.0)], width)
    assert "…" not in text
    assert "net[red]" in text
    assert "16.90 [13.00, 20.80]" in text
    assert ("Left out at this width" in text) == (width < 240)


def test_the_csv_has_all_columns_in_order_and_leaves_withheld_empty(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_csv([withheld(ROWS[0], "mae", "worst_start"), ROWS[1] | {"mae": 1 / 3}], path)
    assert b"\r" not in path.read_bytes()
    with path.open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert tuple(first) == FIELDS
    assert (first["mae"], first["worst_start"], first["rmse"]) == ("", "", "7.8")
    assert (second["mae"], second["worst_start"], second["steps"]) == ("0.333333", "48", "3")


def test_the_csv_does_not_depend_on_the_order_of_a_rows_fields(tmp_path: Path) -> None:
    write_csv(ROWS, tmp_path / "a.csv")
    write_csv([dict(reversed(row.items())) for row in ROWS], tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_row_with_other_fields_is_refused_with_its_index(tmp_path: Path) -> None:
    with pytest.raises(AfsimError, match=r"row 1.*speed"):
        write_csv([ROWS[0], ROWS[1] | {"speed": 1.0}], tmp_path / "rows.csv")
    with pytest.raises(AfsimError, match=r"contrast.*mae.*None"):
        table([{**ROWS[0], "mae": None}])


def test_json_keeps_the_order_and_refuses_what_is_not_json(tmp_path: Path) -> None:
    write_json({"z": 1, "a": "µm"}, tmp_path / "config.json")
    text = (tmp_path / "config.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == ["z", "a"]
    for bad in (NAN, object()):
        with pytest.raises(AfsimError, match="configuration"):
            write_json({"bad": bad}, tmp_path / "config.json")


def test_the_page_refers_to_nothing_outside_itself(tmp_path: Path) -> None:
    text = make_page(tmp_path)
    page = Page(text)
    assert page.sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"https?://|url\(|@import", text)
    assert 'name="viewport"' in text


def test_the_page_escapes_text_and_ends_with_the_command(tmp_path: Path) -> None:
    rows = [make_row("<script>", 1, 2.0)]
    text = make_page(tmp_path, rows, notes=["a < b"], config={"stacks": "<x>", "command": "afsim compare 'a&b'"})
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "A &lt;b&gt; &amp; c" in text
    assert "a &lt; b" in text
    assert "&lt;x&gt;" in text
    assert text.index("afsim compare") > text.index("</table>")


def test_the_page_has_every_row_and_explains_every_column(tmp_path: Path) -> None:
    page = Page(make_page(tmp_path))
    assert page.cells == [cell for line in table(ROWS) for cell in line]
    assert all(page.tooltips)
    assert len(page.tooltips) == len(columns(ROWS))


def test_the_page_is_the_same_twice(tmp_path: Path) -> None:
    assert make_page(tmp_path) == make_page(tmp_path)


def test_the_page_refuses_no_rows_and_pictures_it_cannot_embed(tmp_path: Path) -> None:
    with pytest.raises(AfsimError, match="no rows"):
        make_page(tmp_path, [])
    with pytest.raises(AfsimError, match=r"picture.*\.gif"):
        make_page(tmp_path, pictures={"a": tmp_path / "a.gif"})
