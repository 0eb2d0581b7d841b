"""Table 3 of any set with a margin: seven contrast rows as recorded and registered, paired."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.experiments.paper_tables import TABLE_1, TABLE_3
from afsim.experiments.table3 import REGISTRATIONS, Table3Config, main, run, table
from afsim.rows import number
from afsim.stackset import StackSet
from tests.conftest import make_stack

QUICK = Table3Config(quiet=True)


def margined(breathing: float) -> StackSet:
    """Return four stacks of two scenes, 64 x 64 with 16 pixels to cut off at each border."""
    return StackSet.from_stacks(
        [make_stack(t, n=12, size=64, seed=i, scene=f"scene-{i // 2}") for i, t in enumerate((2.0, 5.0, 7.0, 9.0))],
        {"margin": 16, "breathing": breathing},
    )


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    """The table of stacks that say that they breathe, though they do not: registration blurs them."""
    return run(QUICK, stacks=margined(1.0))


def test_seven_rows_for_each_registration_sorted_by_rmse(rows: list[dict[str, object]]) -> None:
    names = {row.name for row in TABLE_3} - {"Our Model"}
    assert [row["registration"] for row in rows] == [each for each in REGISTRATIONS for _ in range(7)]
    for registration in REGISTRATIONS:
        own = [row for row in rows if row["registration"] == registration]
        assert {row["name"] for row in own} == names
        rmse = [number(row, "rmse") for row in own]
        assert rmse == sorted(rmse, reverse=True)


def test_unregistered_rows_stand_beside_table_1_and_registered_ones_beside_table_3(
    rows: list[dict[str, object]],
) -> None:
    for row in rows:
        paper = TABLE_1 if row["registration"] == "none" else TABLE_3
        printed = next(one for one in paper if (one.kind, one.name) == ("I*", row["name"]))
        assert (row["paper_mae"], row["paper_rmse"]) == (printed.mae, printed.rmse)


def test_the_change_is_the_difference_of_the_mean_absolute_errors(rows: list[dict[str, object]]) -> None:
    recorded = {row["policy"]: row for row in rows if row["registration"] == "none"}
    for row in rows:
        if row["registration"] == "none":
            assert np.isnan(number(row, "change"))
            assert np.isnan(number(row, "change_lo"))
        else:
            expected = number(row, "mae") - number(recorded[row["policy"]], "mae")
            assert number(row, "change") == pytest.approx(expected)
            assert number(row, "change_lo") <= number(row, "change") <= number(row, "change_hi")


def test_registering_what_does_not_breathe_changes_nothing() -> None:
    rows = run(QUICK, stacks=margined(0.0))
    assert {row["change"] for row in rows if row["registration"] == "calibrated"} == {0.0}


def test_a_set_without_distances_is_refused() -> None:
    unknown = StackSet.from_stacks([make_stack(3.0, distances=False), make_stack(8.0, distances=False)])
    with pytest.raises(AfsimError, match="distances"):
        run(QUICK, stacks=unknown)


def test_a_set_without_a_margin_is_refused() -> None:
    corner = StackSet.from_stacks([replace(make_stack(3.0, size=64), region=(0.9, 0.9))])
    with pytest.raises(AfsimError, match="margin"):
        run(QUICK, stacks=corner)


def test_the_command_writes_rows_and_the_table(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    margined(1.0).save(folder)
    config = Table3Config(stacks=folder, out=tmp_path / "out", quiet=True)
    written = []
    for _ in range(2):
        assert main(config) == 0
        written.append({file.name: file.read_bytes() for file in config.out.iterdir()})
    assert set(written[0]) == {"rows.csv", "table.md"}
    assert written[0] == written[1]
    with (config.out / "rows.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 21
    text = (config.out / "table.md").read_text("utf-8")
    assert text.endswith(table(run(config)))
    assert text.count("| Our Model | – | 1 | – (0.251)") == 2
