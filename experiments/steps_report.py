"""Tables and pictures of :mod:`afsim.experiments.steps`: pure functions of its rows."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from afsim.experiments.steps import LEVELS, Level, StepsConfig, Study
from afsim.frontier import frontier
from afsim.options import command_line
from afsim.plots import save
from afsim.rows import Row, number
from afsim.tables import markdown_table

_NEVER: Final = "–"

_MEANING: Final = """\
A cell is the smallest budget of steps with which a policy reaches the level, and in brackets the smallest with
which it surely does: the 95 % interval (bootstrap by scene) lies beyond it. A dash: no budget does. Success: the
lens ends within 1 slice of the exact truth. Policies that see the whole stack count the slices that they see.
"""


def tables(needs: Sequence[Row], levels: Sequence[Level] = LEVELS) -> dict[str, list[list[str]]]:
    """Return a table for each camera, by its name: a heading, then one line a policy, the most successful first."""
    found: dict[str, list[list[str]]] = {}
    for name in dict.fromkeys(f"{row['lens']}, {row['sensor']}" for row in needs):
        own = [row for row in needs if f"{row['lens']}, {row['sensor']}" == name]
        own.sort(key=lambda row: -number(row, "best_success"))
        heading = [
            "policy",
            *(level.title for level in levels),
            "best success (%)",
            "with steps",
            "exact MAE",
            "ms",
        ]
        found[name] = [heading, *(_line(row, levels) for row in own)]
    return found


def _line(row: Row, levels: Sequence[Level]) -> list[str]:
    cells = [_cell(number(row, level.title), number(row, f"{level.title}, surely")) for level in levels]
    time = number(row, "its_time_ms")
    return [
        str(row["policy"]),
        *cells,
        f"{100.0 * number(row, 'best_success'):.1f}",
        f"{number(row, 'its_steps'):.0f}",
        f"{number(row, 'its_exact_mae'):.2f}",
        _NEVER if math.isnan(time) else f"{time:.0f}",
    ]


def _cell(reached: float, surely: float) -> str:
    """Return ``4``, ``4 (6)`` or ``4 (–)``: where a level is reached, and surely so."""
    if math.isnan(reached):
        return _NEVER
    if reached == surely:
        return f"{reached:.0f}"
    return f"{reached:.0f} ({_NEVER if math.isnan(surely) else f'{surely:.0f}'})"


def write_text(found: Study, needs: Sequence[Row], config: StepsConfig, path: Path) -> None:
    """Write the tables as Markdown, with the command and what is to be known."""
    row = found.rows[0]
    parts = [
        f"`{command_line('study steps', config)}`",
        f"{row['stacks']} stacks of {row['scenes']} scenes.",
        _MEANING.strip(),
    ]
    parts += found.notes
    for name, (heading, *lines) in tables(needs).items():
        parts += [f"## {name}", markdown_table(heading, lines).rstrip()]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def write_pictures(found: Study, folder: Path) -> None:
    """Write the frontier of each camera; the same rows give the same bytes."""
    for lens, sensor in dict.fromkeys((str(row["lens"]), str(row["sensor"])) for row in found.rows):
        own = [row for row in found.rows if (row["lens"], row["sensor"]) == (lens, sensor)]
        save(frontier(own), folder, f"frontier_{lens}_{sensor}")
