"""Tables of studies: rows of any fields as CSV, lines of cells as Markdown."""

import csv
from collections.abc import Sequence
from pathlib import Path

from afsim.errors import AfsimError
from afsim.rows import Row, plain


def write_table(rows: Sequence[Row], path: str | Path) -> None:
    """Write rows as CSV: the first row's fields are the columns, six significant digits, NaN empty.

    Raises
    ------
    AfsimError
        Where there is no row, or one has other fields than the first.
    """
    if not rows:
        raise AfsimError(f"{path}: no rows to write")
    names = list(rows[0])
    for index, row in enumerate(rows):
        if set(row) != set(names):
            raise AfsimError(f"{path}: row {index} has the fields {', '.join(row)}, expected {', '.join(names)}")
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([plain(row[name]) for name in names] for row in rows)


def markdown_table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are flush right.

    Raises
    ------
    AfsimError
        Where a line has not one cell for each heading.
    """
    for index, line in enumerate(lines):
        if len(line) != len(headings):
            raise AfsimError(f"line {index} has {len(line)} cells, expected {len(headings)}")
    text = [headings, ["---", *["---:"] * (len(headings) - 1)], *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in text) + "\n"
