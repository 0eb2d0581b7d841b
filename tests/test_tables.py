"""Tables of studies: what is written is what was given, and what does not fit is named."""

from pathlib import Path

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.tables import markdown_table, write_table


def test_rows_become_lines_and_nothing_stands_for_nan(tmp_path: Path) -> None:
    rows = [{"name": "a, b", "x": 1 / 3, "n": 2}, {"name": "c", "x": np.float64("nan"), "n": 10**7}]
    write_table(rows, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text("utf-8") == 'name,x,n\n"a, b",0.333333,2\nc,,10000000\n'


def test_rows_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(AfsimError, match="no rows"):
        write_table([], tmp_path / "table.csv")
    with pytest.raises(AfsimError, match="row 1 has the fields b, expected a"):
        write_table([{"a": 1}, {"b": 2}], tmp_path / "table.csv")
    assert not (tmp_path / "table.csv").exists()


def test_markdown_has_a_line_for_each_line() -> None:
    text = markdown_table(["what", "value"], [["x", "1"], ["y", ""]])
    assert text == "| what | value |\n| --- | ---: |\n| x | 1 |\n| y |  |\n"
    with pytest.raises(AfsimError, match="line 1 has 1 cells, expected 2"):
        markdown_table(["what", "value"], [["x", "1"], ["y"]])
