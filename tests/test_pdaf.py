"""The phase servo on disparities that are fed to it directly, by the shipped calibration: no images, no camera."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.optics import lta49_diopters, magnification
from afsim.policies import make
from afsim.policies.pdaf import SPEEDS, Pdaf, index_at
from afsim.policy import FloatArray, Knowledge, Status
from afsim.task import TaskSpec

N = 49
TABLE = lta49_diopters()
SPEC = TaskSpec(N, 2, 128, 128, 30, diopters=tuple(TABLE.tolist()))
INDEX = np.arange(N)
PEAKS, STARTS = (grid.ravel() for grid in np.meshgrid(INDEX[::3], INDEX[::2], indexing="ij"))


class Run(NamedTuple):
    """Commands (steps + 1, lanes), the memory at the end, and observations (lanes) while it searched."""

    commands: FloatArray
    memory: Any
    observations: FloatArray


def shifts(policy: Any, objects: FloatArray, command: FloatArray) -> FloatArray:
    """Return the shift (lanes) that the calibration expects of objects in dioptres, by the paper's equation 5."""
    fitted = policy.disparity.fitted
    slope, offset = fitted.slope_offset(np.zeros((len(objects), 2)))
    focus = TABLE[command.astype(int)]
    return np.asarray(slope * magnification(focus, fitted.focal_length_m) * (focus - objects) + offset)


def follow(
    objects: Any, starts: Any, *, confidence: Any = 0.9, noise: float = 0.0, budget: int = 30, **options: Any
) -> Run:
    """Let the servo follow objects at distances in dioptres."""
    policy = make("pdaf", SPEC, **options)
    rng = np.random.default_rng(0)
    objects, command = np.asarray(objects, np.float64), np.asarray(starts, np.float64)
    lanes = len(command)
    memory = policy.begin(np.arange(lanes, dtype=np.uint64), Knowledge())
    commands, observations = [command], np.zeros(lanes)
    for step in range(budget):
        observation: dict[str, Any] = {
            "command": (command / (N - 1)).astype(np.float32)[:, None],
            "steps_left": np.full((lanes, 1), budget - step, np.float32),
            "region": np.zeros((lanes, 2), np.float32),
        }
        observations += memory.status == Status.SEARCHING
        sure = np.broadcast_to(confidence(step) if callable(confidence) else confidence, lanes)
        shift = shifts(policy, objects, command) + noise * rng.normal(size=lanes)
        features = np.stack([np.where(sure > 0, shift, np.nan), sure], axis=1)
        command, memory = policy.decide(features, observation, memory)
        assert ((command >= 0) & (command <= N - 1)).all()
        commands.append(command)
    return Run(np.array(commands), memory, observations)


@pytest.mark.parametrize("speed", ["normal", "fast"])
@pytest.mark.parametrize("estimator", ["zncc", "ssd"])
def test_it_comes_to_rest_at_the_object_from_every_start(speed: str, estimator: str) -> None:
    run, pace = follow(TABLE[PEAKS], STARTS, speed=speed, estimator=estimator), SPEEDS[speed]
    np.testing.assert_array_equal(run.commands[-1], PEAKS)
    assert (run.memory.status == Status.FOCUSED).all()
    # The way at full slew, then what is left by the gain until it is less than half an index, and a last look.
    way = np.abs(TABLE[PEAKS] - TABLE[STARTS]).max()
    assert run.observations.max() <= np.ceil(way / pace.max_slew) + (3 if speed == "normal" else 1) + 1


@pytest.mark.parametrize(("speed", "slew"), [("normal", 1.5), ("fast", 2.0), ("normal,max_slew=0.7", 0.7)])
def test_no_step_is_faster_than_the_slew(speed: str, slew: float) -> None:
    run = follow(TABLE[PEAKS], STARTS, speed=speed)
    steps = np.abs(np.diff(TABLE[run.commands.astype(int)], axis=0))
    half_an_index = np.diff(TABLE).max() / 2
    assert steps.max() <= slew + half_an_index
    assert steps.max() > slew - half_an_index


def test_it_never_turns_back_where_the_phase_is_exact() -> None:
    run = follow(TABLE[PEAKS], STARTS)
    steps = np.diff(run.commands, axis=0)
    assert (steps * np.sign(PEAKS - STARTS) >= 0).all()


def test_a_slew_of_less_than_an_index_still_arrives() -> None:
    run = follow(TABLE[[20]], [14], speed="normal,max_slew=0.01")
    assert run.commands[:7, 0].tolist() == [14, 15, 16, 17, 18, 19, 20]
    assert run.memory.status[0] == Status.FOCUSED


@pytest.mark.parametrize("speed", ["normal", "fast"])
def test_without_phase_it_stays_and_fails_after_the_dropouts(speed: str) -> None:
    run = follow(TABLE, INDEX, confidence=0.0, speed=speed)
    np.testing.assert_array_equal(run.commands, np.broadcast_to(INDEX, run.commands.shape))
    assert (run.memory.status == Status.FAILED).all()
    np.testing.assert_array_equal(run.observations, SPEEDS[speed].dropout_frames)
    np.testing.assert_array_equal(run.memory.confidence, 0.0)


def test_dropouts_that_end_in_time_do_no_harm() -> None:
    run = follow(TABLE[PEAKS], STARTS, confidence=lambda step: 0.9 if step % 6 == 5 else 0.0, budget=80)
    np.testing.assert_array_equal(run.commands[-1], PEAKS)
    assert (run.memory.status == Status.FOCUSED).all()


@pytest.mark.parametrize(("beyond", "end"), [(TABLE[0] - 1.6, 0), (TABLE[-1] + 1.6, N - 1)])
def test_an_object_far_beyond_an_end_fails_there(beyond: float, end: int) -> None:
    run = follow(np.full(N, beyond), INDEX)
    np.testing.assert_array_equal(run.commands[-1], end)
    assert (run.memory.status == Status.FAILED).all()


@pytest.mark.parametrize(("beyond", "end"), [(TABLE[0] - 0.2, 0), (TABLE[-1] + 0.2, N - 1)])
def test_an_object_just_beyond_an_end_is_as_near_as_it_gets(beyond: float, end: int) -> None:
    run = follow(np.full(N, beyond), INDEX)
    np.testing.assert_array_equal(run.commands[-1], end)
    assert (run.memory.status == Status.FOCUSED).all()


def test_noise_ends_it_near_the_object_within_its_frames() -> None:
    run = follow(TABLE[PEAKS], STARTS, noise=0.3)
    assert (run.memory.status == Status.FOCUSED).mean() > 0.95
    assert np.abs(run.commands[-1] - PEAKS).mean() < 1.0
    wild = follow(TABLE[PEAKS], STARTS, noise=30.0)
    assert (wild.memory.status != Status.SEARCHING).all()
    assert wild.observations.max() <= 20


def test_lanes_do_not_know_of_each_other() -> None:
    chosen = np.array([5, 100, 300])
    run, few = follow(TABLE[PEAKS], STARTS), follow(TABLE[PEAKS[chosen]], STARTS[chosen])
    np.testing.assert_array_equal(run.commands[:, chosen], few.commands)
    np.testing.assert_array_equal(run.memory.confidence[chosen], few.memory.confidence)


def test_views_that_are_shifted_along_the_rows_are_turned() -> None:
    views = np.random.default_rng(0).uniform(size=(3, 2, 64, 48)).astype(np.float32)
    columns = Pdaf(TaskSpec(N, 2, 64, 48, 5, diopters=SPEC.diopters))
    rows = Pdaf(TaskSpec(N, 2, 48, 64, 5, diopters=SPEC.diopters, dp_axis="rows"))
    seen = columns.features(views, np.zeros(3), np.zeros((3, 2)))
    turned = rows.features(np.ascontiguousarray(views.swapaxes(-1, -2)), np.zeros(3), np.zeros((3, 2)))
    np.testing.assert_array_equal(seen, turned)
    assert seen.shape == (3, 2)


def test_the_reach_is_the_widest_that_the_patches_have_room_for() -> None:
    assert Pdaf(SPEC).disparity.reach == 16
    assert Pdaf(TaskSpec(N, 2, 32, 32, 5, diopters=SPEC.diopters)).disparity.reach == 3
    assert Pdaf(SPEC, reach=3).disparity.reach == 3


def test_indices_are_nearest_in_dioptres_and_kept_within_the_table() -> None:
    asked = np.array([-5.0, TABLE[7] + 1e-6, (TABLE[20] + TABLE[21]) / 2 + 1e-6, 99.0])
    assert index_at(TABLE, asked).tolist() == [0, 7, 21, N - 1]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pdaf:warp", {}, "unknown speed preset 'warp'; expected one of: fast, normal"),
        ("pdaf", {"speed": "normal,max_slew=0"}, "speed max_slew must be"),
        ("pdaf", {"speed": "normal,pdaf_frames=0"}, "speed pdaf_frames must be"),
        ("pdaf", {"estimator": "luck"}, "unknown disparity estimator 'luck'; expected one of: ssd, zncc"),
        ("pdaf", {"reach": 99}, "a reach of 99 pixels needs patches"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make(name, SPEC, **options)
