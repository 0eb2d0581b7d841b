"""The game: what a step counts and costs, how it ends, and that a state is a value."""

from typing import Any

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.keys import lane_keys
from afsim.optics import lens_extension_um, lta49_diopters
from afsim.stackset import StackSet
from afsim.task import INFO_FIELDS, FocusTask, TaskSpec, TaskState, Timing

# What every command costs before the lens moves, by Timing's defaults.
FRAME_MS, DECISION_MS = 100.0 / 3.0, 2.5


def make_task(stacks: StackSet, **options: Any) -> FocusTask:
    """Make the game on an ideal camera."""
    return FocusTask(Camera(stacks), **options)


def begin(task: FocusTask, stack: object = 2, start: object = 8, lanes: int = 1) -> TaskState:
    """Begin games at a given stack and start."""
    return task.reset(lane_keys(0, np.arange(lanes)), stack=np.asarray(stack), start=np.asarray(start))


def play(task: FocusTask, state: TaskState, *actions: object) -> tuple[TaskState, list[float]]:
    """Play one game through some actions."""
    rewards = []
    for action in actions:
        state, reward = task.step(state, np.array([action]))
        rewards.append(float(reward[0]))
    return state, rewards


def same(one: TaskState, other: TaskState) -> bool:
    """Say whether two states are equal to the last bit."""
    return one.lanes.tobytes() == other.lanes.tobytes() and one.lens.tobytes() == other.lens.tobytes()


# ---------------------------------------------------------------------- beginning
def test_a_game_begins_at_its_start_with_nothing_counted(stacks: StackSet) -> None:
    task = make_task(stacks)
    info = task.info(begin(task))[0]
    assert (info["stack"], info["start"], info["command"], info["position"]) == (2, 8, 8.0, 8.0)
    for name in ("step", "moves", "reversals", "travel_index", "travel_um", "time_ms"):
        assert info[name] == 0


def test_stack_and_start_are_drawn_from_the_key_over_the_whole_range(stacks: StackSet) -> None:
    task = make_task(stacks)
    lanes = task.reset(lane_keys(0, np.arange(400))).lanes
    assert set(lanes["stack"]) == set(range(6))
    assert set(lanes["start"]) == set(range(12))
    assert task.reset(lane_keys(0, [7])).lanes[0] == lanes[7]


@pytest.mark.parametrize("value", [-1, 12, 2.0, np.nan])
def test_a_start_that_is_no_index_is_refused(stacks: StackSet, value: object) -> None:
    with pytest.raises(AfsimError, match=r"start must be integers in 0 \.\.\. 11, got"):
        begin(make_task(stacks), start=value)


def test_stacks_that_are_not_one_a_game_are_refused(stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match=r"stack must be integers in 0 \.\.\. 5, got \[0, 6\]"):
        begin(make_task(stacks), stack=[0, 6], lanes=2)
    with pytest.raises(AfsimError, match=r"stack must be one number or 3, one a game, got shape \(2,\)"):
        begin(make_task(stacks), stack=[0, 1], lanes=3)


# ---------------------------------------------------------------------- what is counted
def test_steps_moves_reversals_and_travel_are_counted(stacks: StackSet) -> None:
    task = make_task(stacks, budget=6)
    state, _ = play(task, begin(task), 3, 3, 5, 9, 4)
    info = task.info(state)[0]
    assert (info["step"], info["moves"], info["reversals"]) == (5, 4, 2)
    assert info["travel_index"] == 5 + 0 + 2 + 4 + 5
    table = lens_extension_um(lta49_diopters()[:12])
    assert info["travel_um"] == pytest.approx(np.abs(np.diff(table[[8, 3, 3, 5, 9, 4]])).sum())


def test_resting_between_two_moves_of_one_heading_is_no_reversal(stacks: StackSet) -> None:
    task = make_task(stacks)
    assert task.info(play(task, begin(task), 7, 7, 6)[0])[0]["reversals"] == 0
    assert task.info(play(task, begin(task), 7, 7, 8)[0])[0]["reversals"] == 1


def test_the_error_rounds_half_up_and_the_exact_error_does_not(stacks: StackSet) -> None:
    task = make_task(stacks, action_mode="continuous")
    state, _ = play(task, begin(task, stack=1), [2 * 4.5 / 11 - 1])
    info = task.info(state)[0]
    assert info["best_index"] == 2
    assert info["best_index_exact"] == 2.3
    assert info["error"] == 5 - 2
    assert info["exact_error"] == pytest.approx(4.5 - 2.3)
    assert not info["success"]
    assert task.info(begin(task, stack=1, start=3))[0]["success"]


# ---------------------------------------------------------------------- what it costs
def test_a_learned_step_on_the_ideal_lens_takes_two_frames(stacks: StackSet) -> None:
    task = make_task(stacks, timing=Timing(inference_ms=32.5))
    state, _ = play(task, begin(task), 3)
    assert state.lanes["time_ms"][0] == pytest.approx(200.0 / 3.0)


@pytest.mark.parametrize(("inference_ms", "frames"), [(FRAME_MS - 10.5, 1), (FRAME_MS - 10.4, 2), (0.0, 1)])
def test_an_exposure_ends_on_a_frame(stacks: StackSet, inference_ms: float, frames: int) -> None:
    task = make_task(stacks, timing=Timing(inference_ms=inference_ms))
    assert play(task, begin(task), 3)[0].lanes["time_ms"][0] == pytest.approx(frames * FRAME_MS)


def test_the_last_move_is_not_exposed(stacks: StackSet) -> None:
    task = make_task(stacks, budget=2)
    state, _ = play(task, begin(task), 3, 5)
    assert state.lanes["done"][0]
    assert state.lanes["time_ms"][0] == pytest.approx(FRAME_MS + DECISION_MS)


# ---------------------------------------------------------------------- how it ends
def test_a_game_ends_with_its_budget_and_then_stays(stacks: StackSet) -> None:
    task = make_task(stacks, budget=2, reward="dense")
    state, _ = play(task, begin(task), 3)
    assert not state.lanes["done"][0]
    state, _ = play(task, state, 4)
    assert state.lanes["done"][0]
    after, rewards = play(task, state, 9)
    assert same(after, state)
    assert rewards == [0.0]


@pytest.mark.parametrize("mode", ["absolute", "relative", "continuous"])
def test_declaring_ends_without_move_or_step(stacks: StackSet, mode: Any) -> None:
    task = make_task(stacks, declare=True, action_mode=mode)
    last = [0.5, 0.5] if mode == "continuous" else task.spec.actions - 1
    state, rewards = play(task, begin(task), last)
    info = task.info(state)[0]
    assert info["declared"]
    assert state.lanes["done"][0]
    assert (info["step"], info["moves"], info["position"]) == (0, 0, 8.0)
    assert info["time_ms"] == DECISION_MS
    assert rewards == [-3.0 / 11.0]
    assert task.observe(state)["steps_left"][0, 0] == 0


def test_last_ends_a_game_before_its_budget(stacks: StackSet) -> None:
    task = make_task(stacks)
    state, rewards = task.step(begin(task, lanes=2), np.array([5, 5]), last=np.array([True, False]))
    assert state.lanes["done"].tolist() == [True, False]
    assert state.lanes["time_ms"].tolist() == pytest.approx([DECISION_MS, FRAME_MS])
    state, rewards = task.step(begin(task, lanes=2), np.array([7, 7]), last=np.array([True, False]))
    assert rewards.tolist() == [-2.0 / 11.0, 0.0]


# ---------------------------------------------------------------------- actions
def test_relative_actions_move_by_a_difference_and_stop_at_the_ends(stacks: StackSet) -> None:
    task = make_task(stacks, action_mode="relative")
    assert task.spec.actions == 23
    state, _ = play(task, begin(task), 11 - 3)
    assert state.lanes["command"][0] == 5
    state, _ = play(task, state, 22)
    assert state.lanes["command"][0] == 11


@pytest.mark.parametrize(("action", "command"), [(-1.0, 0.0), (0.0, 5.5), (1.0, 11.0)])
def test_continuous_actions_span_the_range(stacks: StackSet, action: float, command: float) -> None:
    task = make_task(stacks, action_mode="continuous")
    assert play(task, begin(task), [action])[0].lanes["command"][0] == command


@pytest.mark.parametrize("action", [-1, 12, 3.0, np.nan, True, "3", [3]])
def test_actions_that_are_no_index_are_refused(stacks: StackSet, action: object) -> None:
    task = make_task(stacks)
    with pytest.raises(AfsimError, match=r"actions must be .*in 0 \.\.\. 11, got"):
        play(task, begin(task), action)


@pytest.mark.parametrize("action", [[np.nan], [1.01], [-np.inf]])
def test_continuous_actions_outside_the_range_are_refused(stacks: StackSet, action: object) -> None:
    task = make_task(stacks, action_mode="continuous")
    with pytest.raises(AfsimError, match=r"continuous actions must lie in \[-1, 1\], got"):
        play(task, begin(task), action)


@pytest.mark.parametrize("action", [0.5, [0.5, 1.0], ["left"]])
def test_continuous_actions_of_another_shape_are_refused(stacks: StackSet, action: object) -> None:
    task = make_task(stacks, action_mode="continuous")
    with pytest.raises(AfsimError, match=r"continuous actions must be numbers of shape \(1, 1\), got shape"):
        play(task, begin(task), action)


@pytest.mark.parametrize("n", [2, 12, 49, 200])
@pytest.mark.parametrize("mode", ["absolute", "relative", "continuous"])
@pytest.mark.parametrize("declare", [False, True])
def test_decoding_an_encoded_command_gives_the_command(n: int, mode: Any, declare: bool) -> None:
    spec = TaskSpec(n, 1, 8, 8, 5, action_mode=mode, declare=declare)
    command, current = (grid.ravel().astype(np.float64) for grid in np.meshgrid(np.arange(n), np.arange(n)))
    never = np.zeros(len(command), dtype=np.bool_)
    got, declares = spec.decode(spec.encode(command, current, never), current)
    np.testing.assert_array_equal(got, command)
    assert not declares.any()
    if declare:
        got, declares = spec.decode(spec.encode(command, current, ~never), current)
        np.testing.assert_array_equal(got, current)
        assert declares.all()


def test_options_that_do_not_exist_are_refused(stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="steps must be at least 1, got 0"):
        make_task(stacks, budget=0)
    with pytest.raises(AfsimError, match="unknown action mode 'polar'; expected one of: absolute, continuous"):
        make_task(stacks, action_mode="polar")
    with pytest.raises(
        AfsimError, match="unknown reward preset 'gold'; expected one of: approach, dense, final, none"
    ):
        make_task(stacks, reward="gold")


# ---------------------------------------------------------------------- rewards
def test_the_final_reward_comes_once_and_the_dense_one_always(stacks: StackSet) -> None:
    final, dense = make_task(stacks, budget=3), make_task(stacks, budget=3, reward="dense")
    assert play(final, begin(final), 3, 9, 7)[1] == [0.0, 0.0, -2 / 11]
    assert play(dense, begin(dense), 3, 9, 7)[1] == [-2 / 11, -4 / 11, -2 / 11]


def test_the_sharpness_reward_needs_no_label(unlabelled_stacks: StackSet) -> None:
    task = make_task(unlabelled_stacks, budget=1, reward="sharpness")
    rewards = [play(task, begin(task, stack=0), k)[1][0] for k in range(12)]
    assert int(np.argmax(rewards)) == 3
    assert max(rewards) == 0.0
    assert min(rewards) > -1.0


@pytest.mark.parametrize("reward", ["final", "dense"])
def test_rewards_that_need_labels_name_a_stack_without(unlabelled_stacks: StackSet, reward: str) -> None:
    with pytest.raises(AfsimError, match="needs a label for every stack, but 'stack-0-3' has none; use reward="):
        make_task(unlabelled_stacks, reward=reward)


def test_without_label_and_distances_everything_else_is_still_there(unlabelled_stacks: StackSet) -> None:
    task = make_task(unlabelled_stacks, reward="sharpness")
    state, _ = play(task, begin(task, stack=0), 3)
    info = task.info(state)[0]
    for name in ("best_index", "best_index_exact", "error", "exact_error", "travel_um", "time_ms"):
        assert np.isnan(info[name])
    assert not info["labelled"]
    assert not info["success"]
    assert info["travel_index"] == 5.0
    assert info.dtype.names == INFO_FIELDS


# ---------------------------------------------------------------------- what is seen
def test_the_observation_describes_the_game(stacks: StackSet) -> None:
    task = make_task(stacks, budget=4)
    state, _ = play(task, begin(task), 3)
    seen = task.observe(state)
    np.testing.assert_array_equal(seen["image"][0], stacks[2].normalized()[3])
    assert seen["command"][0, 0] == np.float32(3 / 11)
    assert seen["steps_left"][0, 0] == 3
    np.testing.assert_array_equal(seen["region"][0], stacks[2].region)
    assert {value.dtype for value in seen.values()} == {np.dtype(np.float32)}


# ---------------------------------------------------------------------- a state is a value
@pytest.mark.parametrize("mode", ["absolute", "relative", "continuous"])
def test_a_step_changes_no_state_and_repeats_exactly(stacks: StackSet, mode: Any) -> None:
    task = make_task(stacks, action_mode=mode)
    first, second = ([0.3], [-0.2]) if mode == "continuous" else (3, 9)
    old = begin(task)
    kept = TaskState(old.lanes.copy(), old.lens.copy())
    once, _ = play(task, old, first, second)
    play(task, old, second)
    assert same(old, kept)
    assert same(play(task, old, first, second)[0], once)


def test_a_batch_is_its_single_games(stacks: StackSet) -> None:
    task = make_task(stacks, budget=3, declare=True, reward="dense")
    rng = np.random.default_rng(3)
    keys, actions = lane_keys(1, np.arange(40)), rng.integers(0, 13, (4, 40))
    batch, singles = task.reset(keys), [task.reset(keys[i : i + 1]) for i in range(40)]
    for row in actions:
        batch, reward = task.step(batch, row)
        played = [task.step(one, row[i : i + 1]) for i, one in enumerate(singles)]
        singles = [state for state, _ in played]
        np.testing.assert_array_equal(reward, np.concatenate([each for _, each in played]))
        assert batch.lanes.tobytes() == b"".join(one.lanes.tobytes() for one in singles)
        np.testing.assert_array_equal(
            task.observe(batch)["image"], np.concatenate([task.observe(one)["image"] for one in singles])
        )


def test_the_reward_none_is_zero_and_needs_no_labels(unlabelled_stacks: StackSet) -> None:
    task = FocusTask(Camera(unlabelled_stacks), budget=2, reward="none")
    state = task.reset(lane_keys(0, np.arange(3)))
    for _ in range(2):
        state, rewards = task.step(state, np.array([0, 1, 2]))
        assert rewards.tolist() == [0.0, 0.0, 0.0]
    assert state.lanes["done"].all()
