"""What a step costs: the table of the specification, whole frames, free cameras, and exposures in motion."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.keys import lane_keys
from afsim.lens import LENSES, Lens
from afsim.policies import make
from afsim.rollout import Arena
from afsim.sensor import Sensor
from afsim.stackset import StackSet
from afsim.task import FocusTask, TaskState
from afsim.taskspec import TIMINGS, Timing, make_timing
from tests.conftest import make_stack

FRAME_MS = 100.0 / 3.0
CONTRAST_MS, LEARNED_MS = 2.0, 32.5


def make_task(
    stacks: StackSet,
    timing: Timing | None = None,
    *,
    exposure_ms: float = 10.0,
    lens: Lens | None = None,
    **options: Any,
) -> FocusTask:
    """Make the game with a lens and costs."""
    camera = Camera(stacks, lens or Lens(), Sensor(exposure_ms=exposure_ms))
    return FocusTask(camera, timing=timing, **options)


def begin(task: FocusTask, lanes: int = 1) -> TaskState:
    """Begin games at index 8."""
    return task.reset(lane_keys(0, np.arange(lanes)), stack=0, start=8)


def step_ms(task: FocusTask) -> float:
    """Return what one step costs that is not the last, with a move."""
    state, _ = task.step(begin(task), np.array([3]))
    return float(task.info(state)["time_ms"][0])


# ---------------------------------------------------------------------- the table
@pytest.mark.parametrize(
    ("inference_ms", "settling_ms", "exposure_ms", "total_ms", "frames"),
    [
        (CONTRAST_MS, 12.0, 10.0, 24.5, 1),
        (CONTRAST_MS, 12.0, FRAME_MS, 47.8, 2),
        (LEARNED_MS, 0.0, 10.0, 43.0, 2),
        (LEARNED_MS, 0.0, FRAME_MS, 66.3, 2),
        (LEARNED_MS, 12.0, 10.0, 55.0, 2),
        (LEARNED_MS, 12.0, FRAME_MS, 78.3, 3),
        (LEARNED_MS, 55.0, 10.0, 98.0, 3),
        (LEARNED_MS, 55.0, FRAME_MS, 121.3, 4),
        (LEARNED_MS, 85.0, FRAME_MS, 151.3, 5),
        (LEARNED_MS, 7.0, 10.0, 50.0, 2),
    ],
)
def test_a_step_costs_what_is_specified(
    stacks: StackSet, inference_ms: float, settling_ms: float, exposure_ms: float, total_ms: float, frames: int
) -> None:
    timing = Timing(inference_ms=inference_ms, wait_ms=settling_ms)
    free = replace(timing, mode="free", readout_ms=0.0)
    assert step_ms(make_task(stacks, free, exposure_ms=exposure_ms)) == pytest.approx(total_ms, abs=0.05)
    assert step_ms(make_task(stacks, timing, exposure_ms=exposure_ms)) == pytest.approx(frames * FRAME_MS)


def test_a_learned_step_of_an_ideal_lens_takes_two_frames(stacks: StackSet) -> None:
    assert step_ms(make_task(stacks, Timing(inference_ms=LEARNED_MS))) == pytest.approx(66.7, abs=0.05)


def test_a_sweep_of_49_slices_takes_49_frames_and_a_decision() -> None:
    stacks = StackSet.from_stacks([make_stack(20.0, n=49, size=8)])
    task = make_task(stacks)
    episodes = Arena(task.camera, starts=[0, 30]).play(make("sweep", task.spec), task)
    np.testing.assert_allclose(episodes.times[:, -1], 1633.3 + task.spec.timing.decision_ms, atol=0.1)


# ---------------------------------------------------------------------- frames and free
@pytest.mark.parametrize("name", [name for name, lens in LENSES.items() if lens.ringing])
def test_a_moving_lens_is_waited_for_as_long_as_it_takes(stacks: StackSet, name: str) -> None:
    for mode in ("frames", "free"):
        task = make_task(stacks, TIMINGS[mode], lens=LENSES[name])
        before = begin(task, 20)
        command = np.arange(20) % 12
        settling = task.camera.actuator.settling_ms(
            before.lens, command.astype(np.float64), 10.0 + task.spec.timing.after_ms + 2.5, 0.5
        )
        state, _ = task.step(before, command)
        total = 2.5 + settling + 10.0
        expected = total + 2.5 if mode == "free" else np.ceil(total / FRAME_MS) * FRAME_MS
        np.testing.assert_allclose(state.lanes["time_ms"], expected)
        assert not settling[command == 8].any()
        assert settling.max() > 10.0 or name == "closed_loop"


def test_a_free_camera_pays_the_plain_sum_and_the_read_out(stacks: StackSet) -> None:
    timing = Timing(mode="free", inference_ms=7.0, command_ms=1.0, readout_ms=4.0, wait_ms=3.0)
    assert step_ms(make_task(stacks, timing, exposure_ms=12.0)) == pytest.approx(7.0 + 1.0 + 3.0 + 12.0 + 4.0)


def test_a_command_that_does_not_change_is_not_waited_for(stacks: StackSet) -> None:
    task = make_task(stacks, Timing(mode="free", wait_ms=40.0))
    state, _ = task.step(begin(task, 2), np.array([8, 3]))
    assert (state.lanes["time_ms"][1] - state.lanes["time_ms"][0]) == pytest.approx(40.0)


@pytest.mark.parametrize("mode", ["frames", "free"])
def test_the_last_move_costs_a_decision_and_settling_but_no_exposure(stacks: StackSet, mode: Any) -> None:
    task = make_task(stacks, Timing(mode=mode, wait_ms=25.0), budget=1)
    state, _ = task.step(begin(task), np.array([3]))
    assert state.lanes["time_ms"][0] == pytest.approx(2.5 + 25.0)


def test_a_declaration_costs_a_decision(stacks: StackSet) -> None:
    task = make_task(stacks, lens=LENSES["worn_warm"], declare=True)
    state, _ = task.step(begin(task), np.array([12]))
    assert state.lanes["time_ms"][0] == pytest.approx(2.5)


def test_a_declaration_leaves_the_lens_and_what_is_seen_as_they_are(stacks: StackSet) -> None:
    task = make_task(stacks, lens=LENSES["worn_warm"], declare=True)
    before = begin(task)
    after, _ = task.step(before, np.array([12]))
    assert after.lens.tobytes() == before.lens.tobytes()
    np.testing.assert_array_equal(task.observe(after)["image"], task.observe(before)["image"])
    assert after.lanes["position"] == before.lanes["position"]


def test_the_exposure_ends_on_a_frame_and_the_lens_goes_on_settling_until_it_begins(stacks: StackSet) -> None:
    # 2.5 ms to decide and 10 ms to expose leave 20.8 ms of a frame to a lens that is given none.
    lens = replace(LENSES["worn_warm"], shaper="none", jitter=0.0, crosstalk=0.0, hysteresis=0.0)
    hurried = make_task(stacks, Timing(wait_ms=0.0), lens=lens)
    waiting = make_task(stacks, Timing(mode="free", wait_ms=FRAME_MS - 12.5, readout_ms=0.0), lens=lens)
    one, other = (task.step(begin(task), np.array([3]))[0] for task in (hurried, waiting))
    assert one.lens["x"] == pytest.approx(other.lens["x"], abs=1e-9)
    assert one.lanes["time_ms"] == pytest.approx(other.lanes["time_ms"])


# ---------------------------------------------------------------------- exposures in motion
def spread(task: FocusTask) -> np.ndarray:
    """Return how far (N,) each lens travels during the exposure after a move of 5 indices."""
    state, _ = task.step(begin(task, 10), np.full(10, 3))
    path, weights = task.camera.actuator.exposure_path(state.lens, task.camera.sensor.exposure_ms)
    seen = [np.ptp(one[share > 0]) for one, share in zip(path, weights, strict=True)]
    return np.array(seen)


def test_who_does_not_wait_exposes_in_motion(stacks: StackSet) -> None:
    lens = replace(LENSES["typical_phone"], shaper="none")
    assert (spread(make_task(stacks, make_timing("free,wait_ms=0"), lens=lens)) > 2.0).all()
    # Settled to half an index, it still swings by at most that to either side.
    assert (spread(make_task(stacks, TIMINGS["free"], lens=lens)) <= 1.2).all()
    assert (spread(make_task(stacks, make_timing("free,wait_ms=200"), lens=lens)) == 0.0).all()


def test_an_image_in_motion_is_a_mixture_of_what_the_lens_passes(stacks: StackSet) -> None:
    lens = replace(LENSES["typical_phone"], shaper="none", lateral=0.0)
    task = make_task(stacks, make_timing("free,wait_ms=0"), lens=lens)
    state, _ = task.step(begin(task), np.array([7]))
    path, weights = task.camera.actuator.exposure_path(state.lens, 10.0)
    still = task.camera.capture(
        np.zeros(32, np.int64), path[0][:, None], np.ones((32, 1)), lane_keys(0, np.arange(32))
    )
    expected = np.tensordot(weights[0], still.astype(np.float64), axes=1)
    np.testing.assert_allclose(task.observe(state)["image"][0], expected, atol=1e-5)
    assert state.lanes["position"][0] == pytest.approx(float(path[0] @ weights[0]))


# ---------------------------------------------------------------------- where time is told
def test_time_adds_up_in_info_and_in_episodes(stacks: StackSet) -> None:
    task = make_task(stacks, lens=LENSES["typical_phone"], budget=3)
    arena = Arena(task.camera)
    episodes = arena.play(make("random", task.spec), task)
    lane = 17
    state = task.reset(arena.keys[[lane]], stack=arena.stack[[lane]], start=arena.start[[lane]])
    told = [0.0]
    for command in episodes.commands[lane, 1:]:
        state, _ = task.step(state, np.array([int(command)]))
        told.append(float(task.info(state)["time_ms"][0]))
    np.testing.assert_array_equal(episodes.times[lane], told)
    assert (np.diff(told) > 0).all()


@pytest.mark.parametrize("mode", ["frames", "free"])
def test_the_lens_ages_with_the_game(stacks: StackSet, mode: str) -> None:
    task = make_task(stacks, TIMINGS[mode], lens=LENSES["worn_warm"], exposure_ms=20.0)
    state = begin(task, 5)
    for command in (3, 3, 11, 0):
        state, _ = task.step(state, np.full(5, command))
        np.testing.assert_allclose(state.lens["clock"], state.lanes["time_ms"])


def test_ringing_costs_time_and_shaping_it_away_saves_some(stacks: StackSet) -> None:
    spent = {}
    for shaper in ("none", "ZVD"):
        task = make_task(stacks, lens=replace(LENSES["typical_phone"], shaper=shaper), budget=4)
        spent[shaper] = Arena(task.camera).play(make("random", task.spec), task).times[:, -1].mean()
    task = make_task(stacks, budget=4)
    ideal = Arena(task.camera).play(make("random", task.spec), task).times[:, -1].mean()
    assert ideal < spent["ZVD"] < spent["none"]


def test_a_longer_exposure_costs_time(stacks: StackSet) -> None:
    assert step_ms(make_task(stacks, exposure_ms=FRAME_MS)) > step_ms(make_task(stacks, exposure_ms=5.0))


# ---------------------------------------------------------------------- options
def test_timings_are_made_by_text() -> None:
    assert make_timing("frames") == Timing()
    assert make_timing("free").mode == "free"
    timing = make_timing("frames,inference_ms=32.5,wait_ms=0")
    assert timing == Timing(inference_ms=32.5, wait_ms=0.0)
    assert timing.decision_ms == 33.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "slow"}, "unknown timing mode 'slow'; expected one of: frames, free"),
        ({"frame_ms": 0.0}, "timing frame_ms must be a number above 0, got 0.0"),
        ({"settle_index": -1.0}, "timing settle_index must be a number above 0"),
        ({"inference_ms": -1.0}, "timing inference_ms must be a number of at least 0, got -1.0"),
        ({"command_ms": float("nan")}, "timing command_ms must be a number of at least 0, got nan"),
        ({"readout_ms": float("inf")}, "timing readout_ms must be a number of at least 0"),
        ({"wait_ms": -0.5}, "timing wait_ms must be a number of at least 0, got -0.5"),
    ],
)
def test_costs_that_cannot_be_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        Timing(**options)


@pytest.mark.parametrize(
    ("text", "message"),
    [("hours", "unknown timing preset 'hours'; expected one of: frames, free"), ("free,tea_ms=1", "'tea_ms'")],
)
def test_text_that_is_no_timing_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make_timing(text)
