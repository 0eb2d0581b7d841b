"""Policies that read a distance off disparity: where they go, when they say they are there, and what they need."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from afsim.calibration import DisparityCalibration, shipped_calibration
from afsim.calibrationfit import fit_calibration
from afsim.camera import Camera
from afsim.dualpixel import Axis
from afsim.errors import AfsimError, StoreError
from afsim.keys import lane_keys
from afsim.metrics import index_error
from afsim.patch_disparity import ESTIMATORS
from afsim.policies import POLICIES, make
from afsim.policy import FocusPolicy, Knowledge, Memory, Status
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.task import FocusTask, TaskSpec
from tests.test_calibration import MADE, TABLE, disparate_stacks

NAMES = ("zncc_disparity", "ssd_disparity")
SPEC = TaskSpec(16, 2, 24, 64, 5, diopters=tuple(TABLE.tolist()))

every_one = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Calibrations of the estimators on stacks of known slope."""
    folder = tmp_path_factory.mktemp("calibrations")
    for estimator in ESTIMATORS:
        fit_calibration(disparate_stacks(150), estimator, grid=(2, 3)).save(folder / f"{estimator}.json")
    return {f"{estimator}_disparity": str(folder / f"{estimator}.json") for estimator in ESTIMATORS}


def decided(policy: FocusPolicy, shift: Any, confidence: Any, command: Any) -> tuple[np.ndarray, Memory]:
    """Return what a policy decides at the centre of the field."""
    features = np.stack([np.asarray(shift, float), np.asarray(confidence, float)], axis=-1)
    stands = np.asarray(command, np.float32)[:, None] / np.float32(policy.spec.n - 1)
    seen: dict[str, Any] = {"command": stands, "region": np.zeros((len(features), 2), np.float32)}
    start: Memory = policy.begin(lane_keys(0, np.arange(len(features))), Knowledge())
    return policy.decide(features, seen, start)


# ---------------------------------------------------------------------- playing
@every_one
def test_one_look_within_the_reach_leads_to_the_truth_and_two_from_anywhere(name: str, files: Any) -> None:
    stacks = disparate_stacks(5)
    errors = []
    for budget in (1, 2):
        task = FocusTask(Camera(stacks), budget=budget)
        episodes = Arena(task.camera).play(make(name, task.spec, calibration=files[name]), task)
        error = np.abs(index_error(episodes.positions[:, -1], stacks.best_index[episodes.stack]))
        away = np.abs(episodes.start - stacks.truth[episodes.stack])
        assert (error[away <= 6] <= 1).all()
        errors.append(error.mean())
    assert errors[1] <= errors[0]
    assert errors[1] < 1.0


@every_one
def test_upright_recordings_are_played_as_others_are(name: str, files: Any) -> None:
    ends = []
    for upright in (False, True):
        task = FocusTask(Camera(disparate_stacks(4, upright=upright)), budget=2)
        assert task.spec.dp_axis == ("rows" if upright else "columns")
        ends.append(Arena(task.camera).play(make(name, task.spec, calibration=files[name]), task))
    np.testing.assert_array_equal(ends[0].commands, ends[1].commands)
    np.testing.assert_array_equal(ends[0].status, ends[1].status)


def test_it_says_so_where_it_is_there(files: Any) -> None:
    stacks = disparate_stacks(5)
    task = FocusTask(Camera(stacks), budget=4)
    episodes = Arena(task.camera).play(make("zncc_disparity", task.spec, calibration=files["zncc_disparity"]), task)
    said = episodes.status[:, -1] == Status.FOCUSED
    assert said.mean() > 0.8
    assert (np.abs(episodes.positions[:, -1] - stacks.truth[episodes.stack])[said] <= 1.0).all()


# ---------------------------------------------------------------------- deciding
@every_one
def test_where_nothing_is_seen_it_stays_and_has_failed(name: str) -> None:
    command, memory = decided(make(name, SPEC), [np.nan] * 3, [0.0] * 3, [0, 7, 15])
    assert command.tolist() == [0.0, 7.0, 15.0]
    assert memory.status.tolist() == [Status.FAILED] * 3
    assert memory.confidence.tolist() == [0.0] * 3


@every_one
def test_what_reaches_the_reach_is_used_and_never_focused(name: str) -> None:
    policy = make(name, SPEC)
    command, memory = decided(policy, [3.0, -3.0, 3.0], [0.0] * 3, [12, 3, 0])
    assert command[0] < 6
    assert command[1] > 9
    # At the far end a larger reach could lead no farther; still it is not known to be there.
    assert command[2] == 0.0
    assert memory.status.tolist() == [Status.SEARCHING] * 3


def test_focused_within_half_an_index_where_that_is_likely(tmp_path: Path) -> None:
    path = str(tmp_path / "made.json")
    MADE.save(path)
    policy = make("zncc_disparity", SPEC, calibration=path)
    at_it = 0.4 * 1.2 * 0.2
    command, memory = decided(policy, [at_it, 3 * at_it, at_it, 2.9], [0.95, 0.95, 0.95, 0.5], [8, 8, 2, 8])
    assert command[0] == 8.0
    assert memory.status.tolist() == [Status.FOCUSED, Status.SEARCHING, Status.FOCUSED, Status.SEARCHING]
    np.testing.assert_allclose(memory.confidence, [0.9, 0.9, 0.9, 0.3])
    unsure = replace(MADE, errors=MADE.errors._replace(within_one=((0.4, 0.4),) * 4))
    unsure.save(path)
    assert decided(make("zncc_disparity", SPEC, calibration=path), [0.0], [0.95], [8])[1].status[0] == 0


def test_the_place_in_the_field_counts_along_the_shift(tmp_path: Path) -> None:
    path = str(tmp_path / "made.json")
    MADE.save(path)
    for axis, region in (("columns", (0.9, 0.0)), ("rows", (0.0, 0.9))):
        spec = replace(SPEC, dp_axis=cast(Axis, axis), height=64)
        policy = make("zncc_disparity", spec, calibration=path)
        seen: dict[str, Any] = {
            "command": np.full((1, 1), 15 / 15, np.float32),
            "region": np.array([region], np.float32),
        }
        command, _ = policy.decide(np.array([[2.0, 0.9]]), seen, policy.begin(lane_keys(0, [0]), Knowledge()))
        assert (
            command[0]
            == MADE.index([2.0], [15], [[0.9, 0.0]], TABLE)[0]
            != MADE.index([2.0], [15], [[0, 0]], TABLE)[0]
        )


# ---------------------------------------------------------------------- options
@every_one
def test_the_reach_is_the_main_option_and_brings_its_own_calibration(name: str) -> None:
    wide: Any = make(f"{name}:16", SPEC)
    near: Any = make(name, SPEC)
    assert (wide.reach, near.reach) == (16, 3)
    assert wide.fitted == shipped_calibration(wide.estimator, 16)
    assert len({policy.feature_key for policy in (wide, near)}) == 2
    assert POLICIES[name].requires == {"views2", "diopters"}


def test_a_calibration_changes_no_feature(tmp_path: Path) -> None:
    MADE.save(tmp_path / "made.json")
    own = make("zncc_disparity", SPEC, calibration=str(tmp_path / "made.json"))
    assert own.feature_key == make("zncc_disparity", SPEC).feature_key
    assert DisparityCalibration.load(tmp_path / "made.json") == MADE


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("zncc_disparity:far", {}, "far: expected a reach, a whole number of pixels"),
        ("zncc_disparity:5", {}, "no calibration of zncc with a reach of 5"),
        ("ssd_disparity:30", {}, "a reach of 30 pixels needs patches of at least 8 pixels across and 68 along"),
        ("ssd_disparity", {"reach": 0}, "reach must be at least 1, got 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make(name, SPEC, **options)


def test_calibrations_of_another_estimator_or_reach_are_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "made.json")
    MADE.save(path)
    with pytest.raises(
        AfsimError, match=r"made.json calibrates zncc with a reach of 3 pixels, expected ssd with 3"
    ):
        make("ssd_disparity", SPEC, calibration=path)
    with pytest.raises(AfsimError, match="expected zncc with 16"):
        make("zncc_disparity:16", SPEC, calibration=path)
    with pytest.raises(StoreError, match="there is no such file"):
        make("zncc_disparity", SPEC, calibration=str(tmp_path / "gone.json"))


@every_one
def test_stacks_without_a_second_view_or_distances_are_refused(name: str, unlabelled_stacks: StackSet) -> None:
    for missing, message in (({"views": 1}, "needs dual-pixel stacks"), ({"diopters": None}, "focus distances")):
        with pytest.raises(AfsimError, match=message):
            make(name, replace(SPEC, **missing))
