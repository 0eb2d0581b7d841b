"""Tables of :mod:`afsim.experiments.optimum`, and what they mean: pure functions of its rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from afsim.experiments.optimum import OptimumConfig, Study
from afsim.options import command_line
from afsim.rows import Row, number
from afsim.tables import markdown_table

MEANING: Final = """\
Cost: the mean over all stacks and starts. Regret: how much more than an optimum, with the 95 % interval of the mean
(bootstrap by scene). (a) is the clairvoyant bound: told the truth, moving by whole slices; below every policy.
(b) is the optimum of who sees one disparity of each slice and plans: exact for one and two steps, a bracket beyond,
of which both ends are told; a regret of 1.0 ... 1.2 lies between these.

(b) is optimal in its own model: disparities are cut into bins, and those of two slices are independent given the
focus. On recorded slices neither holds. Finer bins would lower it by a tenth or two, and so would more stacks to
fit it on: few draw it towards the mean. Policies that read disparity unbinned, or that weigh what slices of one
patch have in common, can come below it: a negative regret is no error. It bounds nothing for policies that see
contrast too (their rows say so), nor for disparity of another reach.
"""


def tables(rows: Sequence[Row]) -> dict[str, list[list[str]]]:
    """Return a table for each cost: a heading, then a line for each policy and budget."""
    heading = ["policy", "sees", "steps", "cost", "(a)", "regret (a)", "(b)", "regret (b)", "(b) is"]
    found: dict[str, list[list[str]]] = {}
    for row in rows:
        found.setdefault(str(row["cost"]), [heading]).append(_line(row))
    return found


def _line(row: Row) -> list[str]:
    low, high = (f"{number(row, f'regret_a_{end}'):+.2f}" for end in ("lo", "hi"))
    exact = row["bound_b"] == "exact"
    lower, upper = number(row, "optimum_b"), number(row, "optimum_b_most")
    most, least = number(row, "regret_b"), number(row, "regret_b_least")
    return [
        str(row["policy"]),
        str(row["sees"]),
        "all" if row["kind"] == "whole-stack" else str(row["steps"]),
        f"{number(row, 'mean_cost'):.2f}",
        f"{number(row, 'optimum_a'):.2f}",
        f"{number(row, 'regret_a'):+.2f} [{low}, {high}]",
        f"{lower:.2f}" if exact else f"{lower:.2f} ... {upper:.2f}",
        f"{most:+.2f}" if exact else f"{least:+.2f} ... {most:+.2f}",
        str(row["bound_b"]),
    ]


def write_text(found: Study, config: OptimumConfig, path: Path) -> None:
    """Write the tables as Markdown, with the command and what is to be known."""
    parts = [f"`{command_line('study optimum', config)}`", MEANING.strip(), *found.notes]
    for cost, (heading, *lines) in tables(found.rows).items():
        parts += [f"## Cost: {cost}", markdown_table(heading, lines).rstrip()]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
