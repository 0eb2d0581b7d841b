"""Table 2 of any set: disparity from single slices, budget by budget."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afsim import depthfile
from afsim.errors import AfsimError
from afsim.experiments.paper_tables import TABLE_1, TABLE_2
from afsim.experiments.table1 import Table1Config, reproduce
from afsim.experiments.table2 import _ROWS, Table2Config, main, run, single_slice
from afsim.experiments.table_report import side_by_side
from afsim.rows import number
from afsim.stackset import StackSet
from tests.conftest import make_stack
from tests.seating import tiny_depth

QUICK = Table2Config(quiet=True)


@pytest.fixture(autouse=True)
def _no_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a stand-in for Learned Depth is shipped makes no difference but where a test says so."""
    monkeypatch.setattr(depthfile, "_SHIPPED", Path("none"))


@pytest.fixture(scope="module")
def small() -> StackSet:
    """Three stacks of two scenes, 64 x 64, so that disparity can be searched for within 16 pixels."""
    return StackSet.from_stacks(
        make_stack(truth, n=12, size=64, seed=i, scene=f"scene-{i // 2}") for i, truth in enumerate((2.0, 6.0, 9.0))
    )


def test_every_policy_and_reach_has_a_row_for_each_budget(small: StackSet) -> None:
    rows = run(Table2Config(steps=3, quiet=True), stacks=small)
    policies = [f"{name}_disparity:{reach}" for name in ("zncc", "ssd") for reach in (3, 16)]
    assert [(row["policy"], row["steps"]) for row in rows] == [(p, m) for p in policies for m in (1, 2, 3)]
    assert {row["episodes"] for row in rows} == {len(small) * small.n}
    assert {row["kind"] for row in rows} == {"D1"}
    assert [row["reproduction"] for row in rows] == [str(row["policy"]).endswith(":3") for row in rows]


def test_rows_join_what_the_paper_prints(small: StackSet) -> None:
    printed = {(row.name, row.steps): row for row in TABLE_2 if row.kind == "D1"}
    for row in run(QUICK, stacks=small):
        paper = printed.get((str(row["name"]), row["steps"]))  # type: ignore[arg-type]
        assert (paper is None) == (row["name"] == "SSD Disparity")
        assert row["extension"] == ("" if str(row["policy"]).endswith(":3") else "extension, reach 16")
        if paper is None or row["extension"]:
            assert np.isnan(number(row, "paper_rmse"))
        else:
            assert (row["paper_mae"], row["paper_rmse"]) == (paper.mae, paper.rmse)


def test_rows_with_a_dagger_are_of_the_patches_inside_the_crop() -> None:
    stacks = [make_stack(truth, n=12, size=64, seed=i) for i, truth in enumerate((3.0, 6.0))]
    outside = replace(make_stack(9.0, n=12, size=64, seed=2, name="corner"), region=(0.9, 0.9))
    mixed = StackSet.from_stacks([*stacks, outside])
    rows = run(Table2Config(steps=1, quiet=True), stacks=mixed)
    assert {(row["crop"], row["stacks"]) for row in rows} == {(False, 3), (True, 2)}
    assert "2 of 3 patches" in single_slice(mixed).notes[0]
    cornered = StackSet.from_stacks([outside])
    assert {entry.crop for entry in single_slice(cornered).entries} == {False}
    assert "0 of 1 patches" in single_slice(cornered).notes[0]


def test_stacks_of_one_view_or_of_unknown_distances_are_refused() -> None:
    green = StackSet.from_stacks([make_stack(3.0, views=1)])
    with pytest.raises(AfsimError, match="one view"):
        run(QUICK, stacks=green)
    unknown = StackSet.from_stacks([make_stack(3.0, distances=False)])
    with pytest.raises(AfsimError, match="distances are unknown"):
        run(QUICK, stacks=unknown)


def test_a_shipped_stand_in_for_learned_depth_is_beside_the_papers_row_and_marked(
    small: StackSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depthfile, "_SHIPPED", tiny_depth())
    rows = run(Table2Config(steps=2, quiet=True), stacks=small)
    own = [row for row in rows if row["policy"] == "learned_depth"]
    printed = [row for row in TABLE_2 if row.name == "Learned Depth"]
    assert [(row["name"], row["steps"], row["crop"]) for row in own] == [("Learned Depth", m, True) for m in (1, 2)]
    assert [(row["paper_mae"], row["paper_rmse"]) for row in own] == [(row.mae, row.rmse) for row in printed]
    assert not any(row["reproduction"] for row in own)
    text = side_by_side(rows, TABLE_2)
    assert text.count("| Learned Depth† (our stand-in) | `learned_depth` |") == text.count("| Learned Depth†") == 2
    assert "not public" in single_slice(small).notes[1]
    table = reproduce(Table1Config(quiet=True), stacks=small)
    assert "| Learned Depth† (our stand-in) | `learned_depth` | 1 |" in side_by_side(table.rows, TABLE_1)
    beyond = StackSet.from_stacks([replace(make_stack(3.0, size=64), diopters=np.linspace(0.0, 40.0, 12))])
    assert {entry.name for entry in single_slice(beyond).entries} == {name for name, *_ in _ROWS}


@pytest.mark.parametrize("steps", [0, -1])
def test_no_step_is_refused(small: StackSet, steps: int) -> None:
    with pytest.raises(AfsimError, match="steps"):
        run(Table2Config(steps=steps, quiet=True), stacks=small)


def test_the_command_writes_the_same_bytes_twice(small: StackSet, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    small.save(folder)
    config = Table2Config(stacks=folder, out=tmp_path / "out", quiet=True)
    written = []
    for _ in range(2):
        assert main(config) == 0
        written.append({file.name: file.read_bytes() for file in config.out.iterdir()})
    assert set(written[0]) == {"rows.csv", "table.md"}
    assert written[0] == written[1]
    text = (config.out / "table.md").read_text("utf-8")
    assert "3 of 3 patches" in text
    assert "| Learned Depth† | – | 2 |" in text
    with (config.out / "rows.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 8
