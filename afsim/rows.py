"""The rows of a comparison, one per policy and budget, and how to read them.

NaN (-1 for ``worst_start``) means withheld: the recording does not determine the number, so no writer shows one.
"""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from afsim.errors import AfsimError

Row = Mapping[str, object]

_PAPER = ("eq0", "le1", "le2", "le4", "mae", "rmse")
FIELDS = (
    *("policy", "kind", "steps", "episodes", "labelled", "stacks", "scenes"),
    *(name + end for name in _PAPER for end in ("", "_lo", "_hi")),
    *(name + end for name in ("exact_mae", "success") for end in ("", "_lo", "_hi")),
    *("p95", "worst_start", "worst_start_mae"),
    *("optimum", "regret", "regret_lo", "regret_hi"),
    *("against", "difference", "difference_lo", "difference_hi"),
    *("reachable", "clamped", "mae_reachable", "mae_unreachable", "exact_mae_reachable", "exact_mae_unreachable"),
    *("observations", "moves", "travel_index", "travel_um", "reversals", "time_ms"),
    *("focused", "failed", "focused_but_wrong", "relative_sharpness"),
)
"""The fields of a row, in the order of the CSV's columns."""
START = "the start"
"""What the smallest budget is compared with, where each is with the one before it."""


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


def differs(row: Row) -> int:
    """Tell whether a row's exact error is surely smaller (-1) or larger (1) than its reference's, or neither (0).

    Surely: the 95 % interval of the difference, episode by episode, excludes 0.
    """
    return int(number(row, "difference_lo") > 0.0) - int(number(row, "difference_hi") < 0.0)


def reference_of(rows: Iterable[Row]) -> str:
    """Name what exact errors are compared with: ``of POLICY``, or ``with the budget before``."""
    names = {str(row["against"]) for row in rows if row["against"]}
    return f"of {names.pop()}" if len(names) == 1 and START not in names else "with the budget before"


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


def plain(value: object) -> str:
    """Return a value as a cell of a CSV: numbers with six significant digits, NaN empty."""
    if isinstance(value, float):  # numpy's float64 is one
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)


def _cell(field: str, value: object) -> str:
    return "" if field == "worst_start" and value == -1 else plain(value)


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
        writer.writerows([_cell(field, row[field]) for field in FIELDS] for row in rows)


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
