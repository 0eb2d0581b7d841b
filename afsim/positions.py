"""Where the slices of a recording were focused: tables of positions, their order, and which end is far."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np

from afsim.errors import ReaderError
from afsim.recording import check_complete
from afsim.stack import Direction

Order = Literal["far-first", "near-first", "unknown"]

_POSITION_COLUMNS: Final = ("index", "diopters", "metres")


class Table(NamedTuple):
    """Rows of a table of slices, in the order of the sweep."""

    rows: int
    files: tuple[str, ...] | None
    diopters: tuple[float, ...] | None
    best_index: int | None


class Arrangement(NamedTuple):
    """How slices are imported: the order in which to take them, the direction, and what is known of them."""

    order: tuple[int, ...]
    direction: Direction
    diopters: tuple[float, ...] | None
    best_index: int | None


def read_table(path: Path) -> Table:
    """Read a CSV table with one row a slice.

    Columns: ``file`` (optional), at most one of ``index`` (0 ... n-1, sorts the rows), ``diopters`` and ``metres``
    (focus distance), and ``best_index`` (optional): the slice in focus, counted from 0 in the order of the table;
    one row may have it, or several the same.

    Raises
    ------
    ReaderError
        Naming the file, the line, the column and the value.
    """
    if not path.is_file():
        raise ReaderError(f"{path}: no such file, expected a table of slices")
    with path.open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        columns = list(table.fieldnames or ())
        rows = [(table.line_num, row) for row in table]
    known = {"file", "best_index", *_POSITION_COLUMNS}
    if not columns or not set(columns) <= known:
        raise ReaderError(f"{path}: columns {columns}, expected some of {', '.join(sorted(known))}")
    given = [column for column in _POSITION_COLUMNS if column in columns]
    if len(given) > 1:
        raise ReaderError(f"{path}: columns {given}, expected only one of them")
    if given == ["index"]:
        numbered = [(_integer(row["index"], f"{path}, line {line}, index"), line, row) for line, row in rows]
        check_complete([number for number, _, _ in numbered], len(rows), f"{path}, column index")
        rows = [(line, row) for _, line, row in sorted(numbered, key=lambda item: item[0])]
    texts = [(row.get("best_index"), f"{path}, line {line}, best_index") for line, row in rows]
    labels = {_integer(text, where) for text, where in texts if text and text.strip()}
    if len(labels) > 1:
        raise ReaderError(f"{path}: best_index has the values {sorted(labels)}, expected the same in all rows")
    return Table(
        rows=len(rows),
        files=tuple((row["file"] or "").strip() for _, row in rows) if "file" in columns else None,
        diopters=_distances(rows, given[0], path) if given and given != ["index"] else None,
        best_index=labels.pop() if labels else None,
    )


def arrange(
    n: int, order: Order, diopters: Sequence[float] | None, best_index: int | None, where: str
) -> Arrangement:
    """Put n slices far-first where that is known: by their distances, or by the ``order`` they are said to have.

    Parameters
    ----------
    n : int
        Number of slices.
    order : {"far-first", "near-first", "unknown"}
        Order of the slices as recorded.
    diopters : (n,) or None
        Focus distances as recorded, in dioptres, rising or falling.
    best_index : int or None
        The label, counted as recorded; it goes with its slice.
    where : str
        For messages.

    Raises
    ------
    ReaderError
        Where the distances are not n non-negative numbers that rise or fall throughout, or contradict ``order``, or
        the label is no slice.
    """
    if n < 2:
        raise ReaderError(f"{where}: {n} slice(s), a focal stack needs at least 2")
    if best_index is not None and not 0 <= best_index < n:
        raise ReaderError(f"{where}: best_index is {best_index}, expected 0 ... {n - 1}")
    if diopters is not None:
        found = _order_of(diopters, n, where)
        if order not in ("unknown", found):
            raise ReaderError(f"{where}: order is {order}, but the focus distances are {found}")
        order = found
    taken = tuple(range(n))[:: -1 if order == "near-first" else 1]
    return Arrangement(
        order=taken,
        direction="unknown" if order == "unknown" else "far-first",
        diopters=None if diopters is None else tuple(float(diopters[k]) for k in taken),
        best_index=None if best_index is None else taken.index(best_index),
    )


def _order_of(diopters: Sequence[float], n: int, where: str) -> Order:
    if len(diopters) != n:
        raise ReaderError(f"{where}: {len(diopters)} focus distances for {n} slices, expected one a slice")
    for k, value in enumerate(diopters):
        if not 0 <= value < math.inf:
            raise ReaderError(f"{where}: slice {k} has {value} dioptres, expected a number of at least 0")
    steps = np.diff(diopters)
    falling = steps <= 0
    if falling.any() and (steps >= 0).any():
        k = int(np.flatnonzero(falling if np.count_nonzero(falling) <= len(steps) / 2 else steps >= 0)[0])
        raise ReaderError(
            f"{where}: focus distances must rise or fall from slice to slice, but slice {k} has {diopters[k]:g} "
            f"and slice {k + 1} has {diopters[k + 1]:g} dioptres"
        )
    return "near-first" if falling.all() else "far-first"


def _distances(rows: Sequence[tuple[int, dict[str, str]]], column: str, path: Path) -> tuple[float, ...]:
    diopters = []
    for line, row in rows:
        text = row[column] or ""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        # Infinity in metres is a real focus distance: 0 dioptres.
        fits = value > 0 if column == "metres" else 0 <= value < math.inf
        if not fits:
            least = "above" if column == "metres" else "of at least"
            raise ReaderError(f"{path}, line {line}, {column}: {text!r}, expected a number {least} 0")
        diopters.append(1.0 / value if column == "metres" else value)
    return tuple(diopters)


def _integer(text: str | None, where: str) -> int:
    if text is None or not text.strip().isdecimal():
        raise ReaderError(f"{where}: {text!r}, expected an integer of at least 0")
    return int(text)
