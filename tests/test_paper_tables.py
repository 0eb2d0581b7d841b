"""The paper's tables as data: they contradict neither themselves nor the measures that stand for their rows."""

from itertools import pairwise

import pytest

from afsim.experiments.paper_tables import TABLE_1, TABLE_2, TABLE_3, PaperRow
from afsim.measures import MEASURES, STEREO_MEASURES

ALL = [*TABLE_1, *TABLE_2, *TABLE_3]


def test_every_measure_that_stands_for_a_row_joins_exactly_one() -> None:
    printed = [(row.kind, row.name) for row in TABLE_1]
    assert len(set(printed)) == len(printed)
    standing = [
        (measure.family, measure.paper_name)
        for measure in (*MEASURES.values(), *STEREO_MEASURES.values())
        if measure.reproduction
    ]
    assert len(set(standing)) == len(standing)
    assert set(standing) == {row for row in printed if row[0] in ("I*", "D*") and row[1] != "Our Model"}


def test_extra_measures_name_the_row_that_they_read_otherwise() -> None:
    names = {row.name for row in TABLE_1}
    assert {measure.paper_name for measure in MEASURES.values()} <= names


def test_table_1_is_complete_and_sorted_by_rmse() -> None:
    counts = {kind: sum(row.kind == kind for row in TABLE_1) for kind in ("I*", "D*", "D1", "I1")}
    assert counts == {"I*": 38, "D*": 9, "D1": 4, "I1": 1}
    for one, other in pairwise(TABLE_1):
        assert one.kind != other.kind or one.rmse >= other.rmse


@pytest.mark.parametrize("row", ALL, ids=lambda row: f"{row.kind} {row.name} {row.steps}")
def test_a_row_is_possible(row: PaperRow) -> None:
    assert 0 < row.eq0 < row.le1 < row.le2 < row.le4 < 1
    assert row.rmse > row.mae
    # Each share counts errors that are at least the next whole number.
    assert row.mae >= (1 - row.eq0) + (1 - row.le1) + (1 - row.le2) + (1 - row.le4) - 0.003


def test_the_first_step_of_table_2_is_in_table_1() -> None:
    first = {row for row in TABLE_2 if row.steps == 1}
    assert len(first) == 4
    assert first <= set(TABLE_1)
    assert {(row.kind, row.name) for row in TABLE_2 if row.steps == 2} == {(row.kind, row.name) for row in first}


def test_table_3_has_seven_contrast_rows_of_table_1_and_the_model() -> None:
    printed = {(row.kind, row.name): row for row in TABLE_1}
    assert len(TABLE_3) == 8
    for row in TABLE_3:
        assert printed[row.kind, row.name] != row


def test_what_section_7_says_of_the_tables_holds() -> None:
    rows = {(row.kind, row.name): row for row in TABLE_1}
    learned, ours = rows["D1", "Learned Depth"], rows["D1", "Our Model"]
    assert (round(ours.rmse, 2), learned.rmse, ours.mae, learned.mae) == (3.11, 11.351, 2.235, 7.176)
    assert round(100 * learned.mae / 49, 1) == 14.6
    assert [row.name for row in TABLE_1 if row.crop] == ["SSD Disparity", "Learned Depth"]
    assert rows["I1", "Our Model"].le2 == 0.597  # as printed
