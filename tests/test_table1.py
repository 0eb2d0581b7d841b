"""Table 1 of any set: its rows, how they agree with the paper's, and what is written."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from scipy.stats import spearmanr

from afsim import depthfile
from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.experiments.agreement import agreement, log_ratio_rms, rank_correlation
from afsim.experiments.paper_tables import TABLE_1
from afsim.experiments.table1 import Table1Config, chance, main, reproduce, run
from afsim.experiments.table_report import agreement_text, draw_agreement, side_by_side
from afsim.experiments.table_rows import KINDS, Entry, make_row, play, whole_stack_arena
from afsim.measures import MEASURES, STEREO_MEASURES
from afsim.metrics import PAPER_COLUMNS, labels
from afsim.rows import number
from afsim.stackset import StackSet
from tests.conftest import make_stack

QUICK = Table1Config(quiet=True)
PAPER = np.array([9.0, 7.0, 5.0, 3.0, 2.0])
NAMES = ["a", "b", "c", "d", "e"]


@pytest.fixture(scope="module", autouse=True)
def _no_stand_in() -> Iterator[None]:
    """Whether a stand-in for Learned Depth is shipped makes no difference here; test_table2 has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthfile, "_SHIPPED", Path("none"))
        yield


@pytest.fixture(scope="module")
def small() -> StackSet:
    """Four stacks of two scenes, 64 x 64, so that disparity can be searched for within 16 pixels."""
    truths = (2.0, 4.4, 6.6, 9.0)
    return StackSet.from_stacks(
        make_stack(truth, n=12, size=64, seed=i, scene=f"scene-{i // 2}") for i, truth in enumerate(truths)
    )


@pytest.fixture(scope="module")
def rows(small: StackSet) -> list[dict[str, object]]:
    """The table with all extra rows."""
    return run(Table1Config(extras=True, quiet=True), stacks=small)


# ---------------------------------------------------------------------- rows
def test_every_measure_and_disparity_has_a_row_and_chance_has_two(rows: list[dict[str, object]]) -> None:
    policies = [row["policy"] for row in rows]
    assert len(set(policies)) == len(policies)
    measures = {f"sweep:{name}" for name in (*MEASURES, *STEREO_MEASURES)}
    disparities = {f"{name}_disparity:{reach}" for name in ("zncc", "ssd") for reach in (3, 16)}
    assert set(policies) - measures - disparities == {"random", "fixed:5"}
    assert measures | disparities <= set(policies)


def test_rows_come_sorted_by_kind_and_then_by_rmse(rows: list[dict[str, object]]) -> None:
    order = [(KINDS.index(row["kind"]), -number(row, "rmse")) for row in rows]
    assert order == sorted(order)


def test_rows_join_the_paper_and_count_their_predictions(rows: list[dict[str, object]], small: StackSet) -> None:
    printed = {(row.kind, row.name): row for row in TABLE_1}
    for row in rows:
        assert (row["stacks"], row["scenes"]) == (4, 2)
        assert row["episodes"] == (len(small) if row["kind"] in ("I*", "D*") else len(small) * small.n)
        if row["kind"] == "chance" or row["extension"]:
            assert np.isnan(number(row, "paper_rmse"))
        else:
            paper = printed[row["kind"], row["name"]]  # type: ignore[index]
            assert [row[f"paper_{name}"] for name in PAPER_COLUMNS] == list(paper[4:])
        assert number(row, "rmse_lo") <= number(row, "rmse") <= number(row, "rmse_hi")
        assert np.isnan(number(row, "failed")) == (row["kind"] in ("I*", "D*"))


def test_without_extras_only_what_stands_for_the_paper_is_played(small: StackSet) -> None:
    played = run(QUICK, stacks=small)
    assert all(row["reproduction"] or row["kind"] == "chance" for row in played)
    assert len(played) == 37 + 8 + 2 + 2


def test_a_measure_is_right_where_the_texture_fades_from_the_truth(rows: list[dict[str, object]]) -> None:
    best = next(row for row in rows if row["policy"] == "sweep:mean_local_norm_dist_sq")
    assert (best["eq0"], best["rmse"]) == (1.0, 0.0)
    assert number(best, "exact_mae") == pytest.approx((0.0 + 0.4 + 0.4 + 0.0) / 4)


def test_the_best_constant_is_no_worse_than_any_other(small: StackSet) -> None:
    camera_labels = labels(small)
    constant = next(entry for entry in chance(small) if entry.name == "Best constant")
    index = int(constant.policy.removeprefix("fixed:"))
    rmse = [np.sqrt(((k - camera_labels) ** 2).mean()) for k in range(small.n)]
    assert rmse[index] == min(rmse)


def test_stacks_of_one_view_have_no_rows_of_dual_pixels() -> None:
    green = StackSet.from_stacks(make_stack(t, views=1, seed=int(t), scene=str(t)) for t in (3.0, 8.0))
    table = reproduce(QUICK, stacks=green)
    assert {row["kind"] for row in table.rows} == {"I*", "chance"}
    assert [row["kind"] for row in table.agreement] == ["I*"]
    assert "one view" in table.notes[0]


def test_without_distances_there_is_no_calibration_and_so_no_single_slice() -> None:
    unknown = StackSet.from_stacks(make_stack(t, seed=int(t), distances=False) for t in (3.0, 8.0))
    table = reproduce(QUICK, stacks=unknown)
    assert {row["kind"] for row in table.rows} == {"I*", "D*", "chance"}
    assert "distances are unknown" in table.notes[0]


def test_stacks_without_a_label_are_left_out_and_a_set_without_any_is_refused(unlabelled_stacks: StackSet) -> None:
    mixed = StackSet.from_stacks(make_stack(t, seed=int(t), views=1, labelled=t > 4) for t in (3.0, 5.0, 8.0))
    assert {row["stacks"] for row in run(QUICK, stacks=mixed)} == {2}
    with pytest.raises(AfsimError, match="no stack of the set has one"):
        run(QUICK, stacks=unlabelled_stacks)


def test_a_seed_out_of_range_is_refused(small: StackSet) -> None:
    with pytest.raises(AfsimError, match="seed"):
        run(Table1Config(seed=-1, quiet=True), stacks=small)


def test_a_mask_leaves_the_other_stacks_out(small: StackSet) -> None:
    entry = Entry("I*", "Intensity Variance", "sweep:intensity_variance", crop=True)
    arena = whole_stack_arena(Camera(small), 0)
    every = play(entry, arena)
    some = play(entry, arena, inside=np.array([True, False, True, False]))
    assert some.stack.tolist() == [0, 2]
    assert some.error.tolist() == every.error[[0, 2]].tolist()
    assert some.scene == ["scene-0", "scene-1"]
    row = make_row(entry, some, TABLE_1)
    assert (row["stacks"], row["crop"], row["paper_rmse"]) == (2, True, 14.593)


# ---------------------------------------------------------------------- agreement
def errors_of(rmse: np.ndarray, stacks: int = 12) -> np.ndarray:
    """Return errors (rows, stacks) of constant size, so that every resample has this RMSE."""
    signs = np.where(np.arange(stacks) % 2 == 0, 1.0, -1.0)
    return np.asarray(rmse[:, None] * signs)


SCENES = [f"scene-{i // 3}" for i in range(12)]


def test_the_same_order_agrees_wholly_and_the_reverse_not_at_all() -> None:
    same = agreement("I*", NAMES, errors_of(PAPER), PAPER, SCENES)
    assert same["rank_correlation"] == pytest.approx(1.0)
    assert (same["rank_correlation_lo"], same["rank_correlation_hi"]) == pytest.approx((1.0, 1.0))
    assert same["log_ratio_rms"] == pytest.approx(0.0, abs=1e-12)
    assert (same["best"], same["paper_best"], same["worst"], same["paper_worst"]) == ("e", "e", "a", "a")
    assert (same["same_best_two"], same["same_best_two_share"], same["paper_best_two"]) == (True, 1.0, "e; d")
    reverse = agreement("I*", NAMES, errors_of(PAPER[::-1].copy()), PAPER, SCENES)
    assert reverse["rank_correlation"] == pytest.approx(-1.0)
    assert (reverse["best"], reverse["worst"]) == ("a", "e")
    assert (reverse["same_best_two"], reverse["same_best_two_share"]) == (False, 0.0)


def test_errors_twice_as_large_keep_the_order_and_are_a_factor_of_two_off() -> None:
    row = agreement("D*", NAMES, errors_of(2 * PAPER), PAPER, SCENES)
    assert row["rank_correlation"] == pytest.approx(1.0)
    assert row["log_ratio_rms"] == pytest.approx(np.log(2.0))
    assert row["log_ratio_rms_lo"] == pytest.approx(np.log(2.0))
    assert (row["lowest_ratio"], row["highest_ratio"]) == pytest.approx((2.0, 2.0))


def test_the_rank_correlation_is_scipys_with_ties_and_in_batches() -> None:
    rng = np.random.default_rng(3)
    ours = rng.integers(0, 4, (50, 9)).astype(np.float64)  # full of ties
    paper = rng.integers(0, 6, 9).astype(np.float64)
    expected = [spearmanr(row, paper).statistic for row in ours]
    np.testing.assert_allclose(rank_correlation(ours, paper), expected, rtol=1e-12)
    assert rank_correlation(ours[7], paper) == rank_correlation(ours, paper)[7]


def test_intervals_hold_the_value_and_come_from_the_scenes_that_differ() -> None:
    rng = np.random.default_rng(5)
    errors = rng.normal(size=(5, 60)) * PAPER[:, None] ** 0.2  # so alike that the order is not sure
    scenes = [f"scene-{i // 6}" for i in range(60)]
    row = agreement("I*", NAMES, errors, PAPER, scenes)
    for name in ("rank_correlation", "log_ratio_rms"):
        low, high = number(row, f"{name}_lo"), number(row, f"{name}_hi")
        assert low <= number(row, name) <= high
        assert low < high
    assert row == agreement("I*", NAMES, errors, PAPER, scenes)
    alone = agreement("I*", NAMES, errors, PAPER, ["one"] * 60)
    assert np.isnan(number(alone, "rank_correlation_lo"))
    assert np.isnan(number(alone, "same_best_two_share"))
    assert alone["rank_correlation"] == row["rank_correlation"]


def test_a_row_without_error_has_no_logarithm() -> None:
    assert np.isnan(log_ratio_rms(np.array([0.0, 2.0]), np.array([1.0, 2.0])))
    assert log_ratio_rms(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0.0


# ---------------------------------------------------------------------- what is written
def test_the_text_has_ours_beside_the_papers_and_what_is_missing(rows: list[dict[str, object]]) -> None:
    text = side_by_side(rows, TABLE_1)
    for printed in TABLE_1:
        assert f"({printed.rmse:.3f})" in text
    line = next(line for line in text.splitlines() if "`sweep:wavelet_sum_3`" in line)
    row = next(row for row in rows if row["policy"] == "sweep:wavelet_sum_3")
    assert line.startswith(
        f"| Wavelet Sum (ℓ = 3) | `sweep:wavelet_sum_3` | 1 | {number(row, 'eq0'):.3f} (0.170) |"
    )
    assert "| Learned Depth† | – |" in text
    assert text.count("(other reading)") == sum(not row["reproduction"] for row in rows) - 4
    extended = [line for line in text.splitlines() if "(extension, reach 16)" in line]
    assert ["`zncc_disparity:16`" in line or "`ssd_disparity:16`" in line for line in extended] == [True, True]
    for line in extended:
        # No figure of the paper in brackets.
        assert line.count("(") == 1


def test_the_agreement_is_told_in_words() -> None:
    text = agreement_text([agreement("D*", NAMES, errors_of(2 * PAPER), PAPER, SCENES)])
    assert "rank correlation of our RMSE with the paper's is 1.000 (95 %: 1.000 ... 1.000)" in text
    assert "a factor of 2.00" in text
    assert "e and d, are also our two best" in text


def test_what_there_is_no_number_for_is_told_in_words() -> None:
    errors = errors_of(PAPER)
    errors[2] = 0.0
    perfect, even = agreement("I*", NAMES, errors, PAPER, SCENES), agreement("I*", NAMES, 0 * errors, PAPER, SCENES)
    assert "a row of ours is without error" in agreement_text([perfect])
    assert "no order can be compared" in agreement_text([even])
    for row in (perfect, even, agreement("I*", NAMES, errors, PAPER, ["one"] * 12)):
        assert "nan" not in agreement_text([row])


def test_names_in_the_picture_overlap_nothing(rows: list[dict[str, object]]) -> None:
    figure = draw_agreement(rows, [agreement("I*", NAMES, errors_of(PAPER), PAPER, SCENES)])
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert boxes
    for i, box in enumerate(boxes):
        assert box.count_overlaps(boxes[:i]) == 0
        assert axes.get_window_extent().count_overlaps([box]) == 1


def test_the_command_writes_the_same_bytes_twice(small: StackSet, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    small.save(folder)
    config = Table1Config(stacks=folder, out=tmp_path / "out", quiet=True)
    written = []
    for _ in range(2):
        assert main(config) == 0
        written.append({file.name: file.read_bytes() for file in config.out.iterdir()})
    names = {"rows.csv", "agreement.csv", "table.md", "agreement.png", "agreement.svg"}
    assert set(written[0]) == names
    assert written[0] == written[1]
    assert "`afsim study table1 --stacks set --out out`" in (config.out / "table.md").read_text("utf-8")
    with (config.out / "agreement.csv").open() as file:
        assert [row["kind"] for row in csv.DictReader(file)] == ["I*", "D*"]
