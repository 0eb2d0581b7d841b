"""Calibration: stacks of known slope and offset are fitted; how a calibration is used, kept and refused."""

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tyro
from scipy.ndimage import gaussian_filter

from afsim.calibrate import CalibrateConfig, main
from afsim.calibration import (
    DisparityCalibration,
    ErrorModel,
    Provenance,
    cell_weights,
    shipped_calibration,
)
from afsim.calibrationfit import fit_calibration
from afsim.errors import AfsimError, StoreError
from afsim.optics import PIXEL3_FOCAL_LENGTH_M, diopters_of_index, lta49_diopters, magnification
from afsim.patch_disparity import ESTIMATORS
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from tests.conftest import LEVELS, make_stack

LTA49 = lta49_diopters()
TABLE = LTA49[10:26]
ERRORS = ErrorModel(0.2, (0.5, 1.5), (0.9,), ((0.5, 0.9), (0.4, 0.8), (0.3, 0.7), (0.1, 0.1)))
SOURCE = Provenance("made", "0" * 64, 20, 300, "afsim calibrate")
# Slope over the field rises with x, offset with y.
SLOPES = ((1.0, 1.2, 1.4), (1.0, 1.2, 1.4))
OFFSETS = ((-0.3, -0.3, -0.3), (0.3, 0.3, 0.3))
MADE = DisparityCalibration("zncc", 3, SLOPES, OFFSETS, ERRORS, PIXEL3_FOCAL_LENGTH_M, SOURCE)


def disparity(truth: float, region: tuple[float, float], made: DisparityCalibration = MADE) -> np.ndarray:
    """Return what a calibration says the disparity is, in pixels, at each slice of the table."""
    slope, offset = made.slope_offset(np.array([region]))
    return slope * magnification(TABLE) * (TABLE - diopters_of_index(truth, TABLE)) + offset


def disparate_stack(truth: float, region: tuple[float, float], seed: int, *, upright: bool = False) -> FocalStack:
    """Make a stack whose views are shifted as the calibration says, and nothing else changes."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((24, 64)), 1.5, mode="wrap")
    phase = np.exp(-2j * np.pi * np.fft.rfftfreq(64)[None] * disparity(truth, region)[:, None])
    left = np.broadcast_to(noise / noise.std(), (len(TABLE), 24, 64))
    right = np.fft.irfft(np.fft.rfft(left) * phase[:, None], 64)
    raw = np.rint(LEVELS.black + (0.4 + 0.08 * np.stack([left, right], 1)) * (LEVELS.white - LEVELS.black))
    images = raw.clip(0, LEVELS.white).astype(np.uint16)
    return FocalStack(
        np.ascontiguousarray(images.swapaxes(-1, -2)) if upright else images,
        LEVELS,
        diopters=TABLE,
        best_index=round(truth),
        best_index_exact=truth,
        region=region[::-1] if upright else region,
        name=f"{seed}",
        metadata={"dp_axis": "rows"} if upright else {},
    )


def disparate_stacks(count: int = 36, *, upright: bool = False) -> StackSet:
    rng = np.random.default_rng(0)
    return StackSet.from_stacks(
        disparate_stack(rng.uniform(3, 12), tuple(rng.uniform(-0.9, 0.9, 2)), seed, upright=upright)
        for seed in range(count)
    )


@pytest.fixture(scope="module")
def fitted() -> DisparityCalibration:
    return fit_calibration(disparate_stacks(150), grid=(2, 3))


# ---------------------------------------------------------------------- using one
@pytest.mark.parametrize("region", [(0.0, 0.0), (-0.9, 0.4), (0.8, -1.0)])
def test_every_slice_is_told_from_every_other(region: tuple[float, float]) -> None:
    stands, truth = (grid.ravel() for grid in np.meshgrid(np.arange(16.0), np.arange(16.0)))
    shift = np.stack([disparity(each, region) for each in range(16)])[truth.astype(int), stands.astype(int)]
    places = np.tile(region, (len(shift), 1))
    np.testing.assert_array_equal(MADE.index(shift, stands, places, TABLE), truth)
    np.testing.assert_allclose(MADE.fractional(shift, stands, places, TABLE), truth, atol=1e-9)


def test_the_inverse_is_the_formula() -> None:
    # Centre of the field: slope 1.2, offset 0; focused at slice 20 of the paper's table.
    scaled = 1.2 / (1.0 - 4.44e-3 * LTA49[20])
    depth = MADE.depth([1.5], [20], [[0.0, 0.0]], LTA49)
    np.testing.assert_allclose(depth, LTA49[20] - 1.5 / scaled)
    # The right view farther right: the object is behind the focus, at a smaller index.
    assert MADE.index([1.5], [20], [[0.0, 0.0]], LTA49)[0] < 20 < MADE.index([-1.5], [20], [[0.0, 0.0]], LTA49)[0]


def test_results_stay_within_the_table_and_nothing_seen_stays_where_it_is() -> None:
    places = np.zeros((4, 2))
    index = MADE.index([90.0, -90.0, np.nan, np.nan], [5, 5, 5, 6.8], places, TABLE)
    assert index.tolist() == [0, 15, 5, 7]
    assert np.isnan(MADE.depth([np.nan], [5], places[:1], TABLE)).all()


def test_slope_and_offset_are_bilinear_between_centres_and_even_beyond() -> None:
    places = [(0.0, 0.0), (1 / 3, 0.0), (2 / 3, 0.5), (1.0, 1.0), (-1.0, -1.0), (-2 / 3, 0.25)]
    slope, offset = MADE.slope_offset(places)
    np.testing.assert_allclose(slope, [1.2, 1.3, 1.4, 1.4, 1.0, 1.0])
    np.testing.assert_allclose(offset, [0.0, 0.0, 0.3, 0.3, -0.3, 0.15])


def test_the_weights_of_cells_add_up_to_one() -> None:
    weights = cell_weights(np.random.default_rng(0).uniform(-1, 1, (50, 2)), (6, 8))
    assert weights.shape == (50, 48)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert ((weights > 0).sum(axis=1) <= 4).all()
    assert cell_weights([[0.3, 0.3]], (1, 1)).tolist() == [[1.0]]


def test_how_sure_an_estimate_is_depends_on_size_and_confidence() -> None:
    shift = [0.1, 0.1, -1.0, 2.0, 3.0, -3.0, np.nan]
    likely = MADE.within_one(shift, [0.5, 0.95, 0.95, 0.5, 0.0, 0.0, 0.0])
    assert likely.tolist() == [0.5, 0.9, 0.8, 0.3, 0.1, 0.1, 0.0]


# ---------------------------------------------------------------------- fitting one
def test_slope_and_offset_are_found_over_the_field(fitted: DisparityCalibration) -> None:
    places = [(0.0, 0.0), (-0.6, 0.5), (0.6, -0.5), (0.6, 0.5)]
    for found, true in zip(fitted.slope_offset(places), MADE.slope_offset(places), strict=True):
        # Cells lean on the whole field, so that the ends of the range come out a little nearer to its middle.
        np.testing.assert_allclose(found, true, atol=0.1)
    assert fitted.errors.residual_px < 0.1
    assert fitted.provenance.stacks == 150
    assert len(fitted.provenance.sha256) == 64


def test_what_was_fitted_leads_to_the_truth_and_knows_it(fitted: DisparityCalibration) -> None:
    stacks = disparate_stacks(6)
    views = np.stack([stack.normalized() for stack in stacks])
    shift, confidence = ESTIMATORS["zncc"](views)
    stack, stands = np.nonzero(confidence > 0)
    index = fitted.index(shift[stack, stands], stands, stacks.regions[stack], TABLE)
    assert np.abs(index - stacks.truth[stack]).max() <= 1.0
    assert fitted.within_one(shift[stack, stands], confidence[stack, stands]).min() > 0.8
    assert fitted.within_one([3.0], [0.0])[0] < 0.5


def test_a_few_wrong_stacks_hardly_matter(fitted: DisparityCalibration) -> None:
    stacks = list(disparate_stacks())
    wrong = [replace(stack, best_index_exact=None, best_index=15) for stack in stacks[:3]]
    robust = fit_calibration(StackSet.from_stacks([*wrong, *stacks[3:]]), grid=(1, 1))
    clean = fit_calibration(StackSet.from_stacks(stacks[3:]), grid=(1, 1))
    np.testing.assert_allclose(robust.slopes, clean.slopes, atol=0.06)
    np.testing.assert_allclose(robust.offsets, clean.offsets, atol=0.06)


def test_cells_without_patches_follow_the_whole_field() -> None:
    right = StackSet.from_stacks(stack for stack in disparate_stacks(60) if stack.region[0] > 0)
    whole, cells = fit_calibration(right, grid=(1, 1)), fit_calibration(right, grid=(1, 4))
    assert cells.slopes[0][0] == pytest.approx(whole.slopes[0][0], abs=1e-4)
    assert cells.slopes[0][3] > cells.slopes[0][2] > 1.2


def test_estimates_of_one_defocus_tell_no_slope() -> None:
    # Within a tenth of an index of the truth there is one slice a stack, in focus: it shows the offset alone.
    stacks = StackSet.from_stacks(disparate_stack(6.0, (0.0, 0.0), seed) for seed in range(14))
    with pytest.raises(AfsimError, match="all estimates are of one defocus"):
        fit_calibration(stacks, grid=(1, 1), most_defocus=0.1)


def test_upright_recordings_are_the_turned_problem() -> None:
    flat, upright = (fit_calibration(disparate_stacks(16, upright=each), grid=(2, 3)) for each in (False, True))
    assert (flat.slopes, flat.offsets, flat.errors) == (upright.slopes, upright.offsets, upright.errors)


def test_every_stack_is_told_of_and_the_fit_repeats() -> None:
    stacks = disparate_stacks(14)
    told: list[int] = []
    one, other = (fit_calibration(stacks, "ssd", grid=(1, 2), progress=told.append) for _ in range(2))
    assert one == other
    assert sum(told) == 28


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: StackSet.from_stacks([make_stack(distances=False)]), "its focus distances are unknown"),
        (lambda: StackSet.from_stacks([make_stack(views=1)]), r"it needs dual-pixel stacks \(2 views\)"),
        (lambda: StackSet.from_stacks([make_stack(labelled=False)]), "no stack has a label"),
        (lambda: disparate_stacks(11), "11 of 11 stacks have a label .* expected at least 12"),
        (lambda: StackSet.from_stacks([make_stack()] * 20), "too few patches to calibrate zncc: 0 of 20"),
    ],
)
def test_sets_that_do_not_tell_are_refused(change: Callable[[], StackSet], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        fit_calibration(change())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "luck"}, "unknown disparity estimator 'luck'"),
        ({"reach": 40}, "a reach of 40 pixels needs patches"),
        ({"grid": 3}, r"grid must be \(rows, columns\), got 3"),
        ({"grid": (2, 3, 4)}, r"grid must be \(rows, columns\), got \(2, 3, 4\)"),
        ({"grid": (0, 3)}, "rows of the grid must be at least 1, got 0"),
        ({"most_defocus": 0.0}, "most_defocus must be above 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        fit_calibration(disparate_stacks(2), **options)


# ---------------------------------------------------------------------- keeping one
def test_a_calibration_comes_back_as_it_was_saved(tmp_path: Path, fitted: DisparityCalibration) -> None:
    for made in (MADE, fitted):
        made.save(tmp_path / "new" / "made.json")
        assert DisparityCalibration.load(tmp_path / "new" / "made.json") == made
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["made.json"]


def changed(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda record: {**record, **fields}


def changed_errors(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda record: {**record, "errors": {**record["errors"], **fields}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: [1, 2], "is no calibration of disparity"),
        (changed(format="afsim-stackset"), "is no calibration of disparity"),
        (changed(version=2), "has version 2; this afsim reads versions 1 to 1"),
        (changed(version=0), "has version 0"),
        (changed(version=True), "has version True"),
        (changed_errors(residual_px=-0.1), "residual_px must be at least 0"),
        (changed_errors(residual_px=float("nan")), "residual_px must be finite"),
        (changed_errors(shift_edges_px=[1.5, 0.5]), "shift_edges_px must rise"),
        (changed_errors(shift_edges_px=[0.5, float("inf")]), "shift_edges_px must be finite"),
        (changed_errors(confidence_edges=[0.9, 0.9]), "confidence_edges must rise"),
        (changed_errors(within_one=[[0.5, 1.9]] * 4), "within_one must lie in 0 ... 1"),
        (changed(version="new"), "has version 'new'"),
        (lambda record: {k: v for k, v in record.items() if k != "reach"}, "is damaged: 'reach' is missing"),
        (changed(slopes_px_per_diopter=[[1.0, 2.0], [3.0]]), "is damaged: "),
        (changed(slopes_px_per_diopter=[[1.0, -2.0, 1.0]] * 2), "slopes must have one sign"),
        (changed(offsets_px=[[0.0]]), r"offsets must have shape \(2, 3\)"),
        (changed(offsets_px=[[float("nan")] * 3] * 2), "offsets must be finite"),
        (changed(offsets_px="none"), "is damaged: "),
        (changed(estimator="luck"), "is damaged: unknown disparity estimator 'luck'"),
        (changed(provenance={"set": "x"}), "is damaged: "),
        (changed(errors=[1]), "is damaged: "),
        (changed(reach="far"), "reach must be a whole number"),
    ],
)
def test_files_that_are_none_are_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    file = tmp_path / "made.json"
    MADE.save(file)
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(StoreError, match=message) as caught:
        DisparityCalibration.load(file)
    assert str(file) in str(caught.value)


def test_files_that_are_not_there_or_cut_off_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such file; 'afsim calibrate' makes a calibration"):
        DisparityCalibration.load(tmp_path / "gone.json")
    MADE.save(tmp_path / "cut.json")
    (tmp_path / "cut.json").write_text((tmp_path / "cut.json").read_text()[:200])
    for damaged in (tmp_path / "cut.json", tmp_path, tmp_path / "cut.json" / "under.json"):
        with pytest.raises(StoreError, match="is damaged or no calibration"):
            DisparityCalibration.load(damaged)
    with pytest.raises(StoreError, match="is a folder; expected a file"):
        MADE.save(tmp_path)


def test_regions_of_another_shape_are_refused() -> None:
    with pytest.raises(AfsimError, match=r"region must be \(N, 2\)"):
        MADE.slope_offset([0.0, 0.0])


# ---------------------------------------------------------------------- the shipped ones, and the command
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("reach", [3, 16])
def test_those_shipped_were_fitted_on_the_training_set(estimator: str, reach: int) -> None:
    shipped = shipped_calibration(estimator, reach)
    assert (shipped.estimator, shipped.reach, shipped.provenance.set) == (estimator, reach, "bench-train")
    command, *words = shlex.split(shipped.provenance.command)
    repeated = tyro.cli(CalibrateConfig, args=words[1:])
    assert (command, words[0]) == ("afsim", "calibrate")
    assert (repeated.stacks.name, repeated.estimator, repeated.reach) == ("bench-train", estimator, reach)
    # Between the softest and the hardest split of a phone's pixels: 0.2 to 0.34 pixels an index.
    assert all(1.0 < slope < 1.7 for row in shipped.slopes for slope in row)


def test_those_shipped_were_fitted_on_the_same_stacks() -> None:
    shipped = [shipped_calibration(estimator, reach) for estimator in ESTIMATORS for reach in (3, 16)]
    assert len({each.provenance.sha256 for each in shipped}) == 1


def test_one_that_is_not_shipped_tells_how_to_make_it() -> None:
    with pytest.raises(
        AfsimError, match=r"no calibration of zncc with a reach of 5 .* afsim calibrate --stacks SET"
    ):
        shipped_calibration("zncc", 5)


def test_the_command_writes_what_policies_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disparate_stacks(14).save(tmp_path / "set")
    config = CalibrateConfig(tmp_path / "set", tmp_path / "out.json", reach=4, grid=(1, 2))
    assert main(config) == 0
    made = DisparityCalibration.load(tmp_path / "out.json")
    assert (made.reach, np.shape(made.slopes)) == (4, (1, 2))
    assert made.provenance.set == "set"
    told = "afsim calibrate --stacks set --out out.json --reach 4 --grid 1 2"
    assert made.provenance.command == told
    assert "zncc, reach 4" in capsys.readouterr().out
    with pytest.raises(StoreError, match="is a folder; expected a file"):
        main(replace(config, out=tmp_path))


def test_a_place_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file is a file; expected a folder"):
        # The set, which is opened later, is not there either.
        main(CalibrateConfig(tmp_path / "nowhere", tmp_path / "file" / "out.json", quiet=True))
