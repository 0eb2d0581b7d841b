"""The claims: what is read from tables, what is measured of a network's errors, and what holds."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from afsim.errors import StoreError
from afsim.experiments import claims
from afsim.experiments.claim_list import CLAIMS, Figures
from afsim.experiments.claims import ClaimsConfig, Sides, sides
from afsim.experiments.paper_tables import TABLE_1, TABLE_2, TABLE_3, PaperRow
from afsim.stackset import StackSet

N = 21


def as_rows(table: tuple[PaperRow, ...], **more: str) -> list[dict[str, str]]:
    """Return the paper's own rows as ours, which agree with it in everything."""
    return [
        {
            **{name: str(value) for name, value in row._asdict().items()},
            "reproduction": "True",
            "extension": "",
            "exact_mae": str(row.mae - 0.4),
            **more,
        }
        for row in table
    ]


def paper() -> dict[str, list[dict[str, str]]]:
    """Return the paper's tables, with a full reach that helps, and the change by registration."""
    reach = {"kind": "D1", "name": "ZNCC", "steps": "1", "mae": "3.0", "rmse": "5", "exact_mae": "2.5"}
    reach |= {"reproduction": "False", "extension": "extension, reach 16"}
    before = {row.name: row.mae for row in TABLE_1 if row.kind == "I*"}
    registered = [
        row | {"change": str(float(row["mae"]) - before[row["name"]]), "change_hi": "0.1"}
        for row in as_rows(TABLE_3, registration="calibrated")
    ]
    recorded = as_rows(tuple(r for r in TABLE_1 if r.kind == "I*" and r.name == "Our Model"), registration="none")
    return {"table1": as_rows(TABLE_1), "table2": [*as_rows(TABLE_2), reach], "table3": [*recorded, *registered]}


def verdicts(tables: Mapping[str, list[dict[str, str]]], found: Mapping[str, Sides]) -> dict[str, bool | None]:
    """Return what is found of each claim."""
    figures = Figures(tables, found)
    return {claim.says: claim.of(figures).holds for claim in CLAIMS}


def test_the_papers_own_figures_bear_out_its_claims() -> None:
    green, dual = Sides(0.8, 0.1, 0.3, 0.05, 0.4), Sides(0.1, 0.1, 0.01, 0.01, 0.02)
    assert set(verdicts(paper(), {"i1": green, "d1": dual}).values()) == {True}


def test_a_worse_network_fails_what_it_should() -> None:
    tables = paper()
    for row in tables["table1"] + tables["table2"]:
        if row["name"] == "Our Model" and row["kind"] == "D1":
            row.update(mae="5.0", rmse="7.0", exact_mae="4.0")
    found = verdicts(tables, {})
    failed = {says for says, holds in found.items() if holds is False}
    assert "D1 is better than Learned Depth by a factor of three in MAE" in failed
    assert "A second step improves D1" in failed  # 5.0, then 5.0
    assert found["I* is better than every contrast measure"] is True
    assert found["I1's errors mirror about the slice it sees"] is None


def test_a_row_that_is_missing_leaves_its_claims_open() -> None:
    tables = paper()
    tables["table2"] = [row for row in tables["table2"] if row["name"] != "Learned Depth"]
    found = verdicts(tables, {})
    assert found["A second step improves Learned Depth"] is None
    assert found["A second step improves ZNCC disparity"] is True


@pytest.mark.parametrize("mirrors", [True, False])
def test_mirrored_errors_are_told_from_others(mirrors: bool) -> None:
    truth = np.linspace(2.0, 18.0, 40)
    slices = np.arange(N)
    said = np.where(mirrors, 2 * slices[None, :] - truth[:, None], truth[:, None])
    said = np.where((said < 0) | (said > N - 1), truth[:, None], said).round().astype(int)
    shares = np.eye(N)[said]
    found = sides(shares, truth)
    if mirrors:
        assert found.mirrored == 1.0
        assert found.chance < 0.5
        assert found.gross_inside > 0.8
        assert found.split == pytest.approx(1.0, abs=0.1)
    else:
        assert np.isnan(found.mirrored)
        assert found.gross_inside == found.split == 0.0
    assert found.gross_outside == 0.0


def test_two_modes_are_split() -> None:
    shares = np.zeros((1, N, N))
    shares[0, :, 4] = 0.6
    for k in range(N):
        shares[0, k, min(max(2 * k - 4, 0), N - 1)] += 0.4
    assert sides(shares, np.array([4.0])).split == 1.0


def test_the_study_reads_tables_and_names_what_is_missing(stacks: StackSet, tmp_path: Path) -> None:
    for name, rows in paper().items():
        (tmp_path / name).mkdir()
        names = sorted({key for row in rows for key in row})
        with (tmp_path / name / "rows.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(rows)
    stacks.save(tmp_path / "set")
    config = ClaimsConfig(tmp_path, tmp_path / "set", tmp_path / "out", quiet=True)
    assert claims.main(config) == 0
    text = (tmp_path / "out" / "table.md").read_text("utf-8")
    assert "18 of 21 hold" in text  # shipped networks are for 49 slices, these stacks have 12
    assert text.count("| unknown |") == 3
    (tmp_path / "table3" / "rows.csv").unlink()
    with pytest.raises(StoreError, match="afsim study table3"):
        claims.run(config)
