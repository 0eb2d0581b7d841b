"""Every policy of the registry keeps the same promises; a new one is tested by its line in the registry."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.errors import AfsimError, PrivilegedPolicyError
from afsim.keys import lane_keys
from afsim.policies import POLICIES
from afsim.policy import REQUIREMENTS, FocusPolicy, Knowledge, Predictor, Status, restart
from afsim.stackset import StackSet
from afsim.task import FocusTask, Observation, TaskSpec
from tests.seating import make

PRIVILEGED = {"stack", "truth"}
OPEN = [name for name, kind in POLICIES.items() if not kind.requires & PRIVILEGED]
CLOSED = [name for name in POLICIES if name not in OPEN]
SPEC = TaskSpec(12, 2, 32, 32, 5, diopters=tuple(np.linspace(0.3, 9.8, 12).tolist()))

every_policy = pytest.mark.parametrize("name", POLICIES)
open_policy = pytest.mark.parametrize("name", OPEN)
every_mode = pytest.mark.parametrize(
    ("mode", "declare"),
    [(mode, declare) for mode in ("absolute", "relative", "continuous") for declare in (False, True)],
)


def mapped(tree: Any, function: Any) -> Any:
    """Return a memory with a function of every array, those of memories in it included."""
    fields = (mapped(field, function) if isinstance(field, tuple) else function(field) for field in tree)
    return type(tree)(*fields)


def arrays_of(tree: Any) -> list[Any]:
    """Return all arrays of a memory."""
    return [array for field in tree for array in (arrays_of(field) if isinstance(field, tuple) else [field])]


def lanes_of(tree: Any, lanes: Any) -> Any:
    """Return some lanes of a memory."""
    return mapped(tree, lambda field: np.asarray(field)[lanes])


def assert_same(one: Any, other: Any) -> None:
    for field, (a, b) in zip(one._fields, zip(one, other, strict=True), strict=True):
        if isinstance(a, tuple):
            assert_same(a, b)
        else:
            np.testing.assert_array_equal(a, b, err_msg=field)


def single(observation: Observation, lane: int = 0) -> Observation:
    """Return the observation of one game, without the batch axis."""
    return {key: value[lane] for key, value in observation.items()}


def knowledge(policy: FocusPolicy, task: FocusTask, stack: np.ndarray) -> Knowledge:
    """Return what a rollout would tell the policy."""
    spec, images = task.spec, [task.camera.stacks[int(i)].normalized() for i in stack]
    indices = np.arange(spec.n, dtype=np.float64)
    seen = [policy.features(each, indices, np.zeros((spec.n, 2))) for each in images]
    return Knowledge(
        np.stack(seen) if "stack" in policy.requires else None,
        task.truth[stack] if "truth" in policy.requires else None,
    )


# ---------------------------------------------------------------------- every policy
@every_policy
def test_it_is_a_frozen_record_with_a_predict(name: str) -> None:
    policy = make(name, SPEC)
    assert isinstance(policy, Predictor)
    assert policy.requires <= REQUIREMENTS
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.spec = SPEC  # type: ignore[misc]
    assert make(name, SPEC) == policy
    assert hash(policy.feature_key) == hash(make(name, SPEC).feature_key)


@every_policy
@pytest.mark.parametrize("lanes", [1, 5])
def test_it_decides_commands_in_range_and_a_memory_of_every_lane(stacks: StackSet, name: str, lanes: int) -> None:
    task = FocusTask(Camera(stacks))
    policy = make(name, task.spec)
    keys = lane_keys(0, np.arange(lanes))
    state = task.reset(keys)
    memory = policy.begin(keys, knowledge(policy, task, state.lanes["stack"]))
    for _ in range(task.spec.budget):
        seen = task.observe(state)
        features = policy.features(seen["image"].astype(np.float32), policy.current(seen), np.zeros((lanes, 2)))
        command, memory = policy.decide(features, seen, memory)
        assert command.shape == (lanes,)
        assert ((command >= 0) & (command <= task.spec.n - 1)).all()
        assert all(len(array) == lanes for array in arrays_of(memory))
        assert np.isin(memory.status, list(Status)).all()
        assert ((memory.confidence >= 0) & (memory.confidence <= 1)).all()
        state, _ = task.step(state, np.rint(command).astype(np.int64))


@pytest.mark.parametrize("name", CLOSED)
def test_privileged_knowledge_comes_from_no_environment(stacks: StackSet, name: str) -> None:
    task = FocusTask(Camera(stacks))
    with pytest.raises(PrivilegedPolicyError, match=r"requires (stack|truth), which no environment gives"):
        make(name, task.spec).predict(task.observe(task.reset(lane_keys(0, [0]))))


# ---------------------------------------------------------------------- predict
@open_policy
@every_mode
@pytest.mark.parametrize("lanes", [1, 5])
def test_its_actions_are_valid_to_the_end(
    stacks: StackSet, name: str, mode: Any, declare: bool, lanes: int
) -> None:
    task = FocusTask(Camera(stacks), budget=15, action_mode=mode, declare=declare)
    policy = make(name, task.spec)
    memory: Any = None
    state = task.reset(lane_keys(0, np.arange(lanes)))
    for _ in range(task.spec.budget):
        actions, memory = policy.predict(task.observe(state), memory)
        state, _ = task.step(state, actions)
    assert state.lanes["done"].all()
    # Whoever says that the search is over declares it, where the game lets it.
    if declare:
        np.testing.assert_array_equal(state.lanes["declared"], memory.status != Status.SEARCHING)


@open_policy
@every_mode
def test_it_plays_the_same_in_every_action_mode(stacks: StackSet, name: str, mode: Any, declare: bool) -> None:
    ends = []
    for options in ({}, {"action_mode": mode, "declare": declare}):
        task = FocusTask(Camera(stacks), budget=15, **options)
        policy, memory = make(name, task.spec), None
        state = task.reset(lane_keys(3, np.arange(8)))
        for _ in range(task.spec.budget):
            actions, memory = policy.predict(task.observe(state), memory)
            state, _ = task.step(state, actions)
        ends.append(state.lanes)
    for field in ("position", "moves", "reversals", "travel_index"):
        np.testing.assert_array_equal(ends[0][field], ends[1][field])


@open_policy
def test_a_single_observation_gives_a_single_action(stacks: StackSet, name: str) -> None:
    task = FocusTask(Camera(stacks))
    policy, seen = make(name, task.spec), task.observe(task.reset(lane_keys(0, [4])))
    action, memory = policy.predict(single(seen))
    batched, _ = policy.predict(seen)
    assert np.ndim(action) == 0
    assert action == batched[0]
    assert len(memory.status) == 1
    again, _ = policy.predict(single(seen), memory, np.array([True]))
    assert again == action


@open_policy
def test_it_changes_nothing_it_is_given_and_repeats(stacks: StackSet, name: str) -> None:
    task = FocusTask(Camera(stacks))
    policy, seen = make(name, task.spec), task.observe(task.reset(lane_keys(0, np.arange(5))))
    _, memory = policy.predict(seen)
    seen_before = {key: value.copy() for key, value in seen.items()}
    memory_before = mapped(memory, np.copy)
    one, after = policy.predict(seen, memory)
    other, after_too = policy.predict(seen, memory, deterministic=True)
    assert_same(memory, memory_before)
    for key, value in seen.items():
        np.testing.assert_array_equal(value, seen_before[key])
    np.testing.assert_array_equal(one, other)
    assert_same(after, after_too)


@open_policy
def test_lanes_whose_episode_starts_forget_and_the_others_do_not(stacks: StackSet, name: str) -> None:
    task = FocusTask(Camera(stacks))
    policy, state = make(name, task.spec), task.reset(lane_keys(0, np.arange(5)))
    seen = task.observe(state)
    fresh_actions, fresh_memory = policy.predict(seen)
    kept_actions, kept_memory = policy.predict(seen, fresh_memory)
    starts = np.array([True, False, True, False, False])
    actions, memory = policy.predict(seen, fresh_memory, starts)
    np.testing.assert_array_equal(actions, np.where(starts, fresh_actions, kept_actions))
    assert_same(memory, restart(kept_memory, fresh_memory, starts))


@open_policy
def test_a_batch_is_its_single_lanes(stacks: StackSet, name: str) -> None:
    task = FocusTask(Camera(stacks), budget=8)
    policy, keys = make(name, task.spec), lane_keys(2, np.arange(6))
    state, memory = task.reset(keys), policy.begin(keys, Knowledge())
    alone = [lanes_of(memory, slice(i, i + 1)) for i in range(6)]
    for _ in range(task.spec.budget):
        seen = task.observe(state)
        actions, memory = policy.predict(seen, memory)
        for i in range(6):
            action, alone[i] = policy.predict(single(seen, i), alone[i])
            assert action == actions[i]
            assert_same(alone[i], lanes_of(memory, slice(i, i + 1)))
        state, _ = task.step(state, actions)


@open_policy
def test_bytes_are_seen_as_images(stacks: StackSet, name: str) -> None:
    task = FocusTask(Camera(stacks))
    seen = task.observe(task.reset(lane_keys(0, np.arange(5))), kind="uint8")
    actions, memory = make(name, task.spec).predict(seen)
    assert actions.shape == (5,)
    assert np.isfinite(memory.confidence).all()


# ---------------------------------------------------------------------- each for itself
def test_stay_stays_and_fixed_goes_to_its_index(stacks: StackSet) -> None:
    task = FocusTask(Camera(stacks))
    seen = task.observe(task.reset(lane_keys(0, np.arange(12)), start=np.arange(12)))
    assert make("stay", task.spec).predict(seen)[0].tolist() == list(range(12))
    assert set(make("fixed", task.spec).predict(seen)[0].tolist()) == {6}
    assert set(make("fixed:3", task.spec).predict(seen)[0].tolist()) == {3}


def test_random_draws_all_indices_from_the_lane_keys(stacks: StackSet) -> None:
    policy, keys = make("random", SPEC), lane_keys(0, np.arange(600))
    observation: Observation = {"command": np.zeros((600, 1), np.float32)}
    first, memory = policy.decide(np.zeros(600), observation, policy.begin(keys, Knowledge()))
    second, _ = policy.decide(np.zeros(600), observation, memory)
    assert set(first.astype(int)) == set(range(12))
    assert 0.02 < (first == second).mean() < 0.2


def test_the_oracle_rounds_half_up_and_stays_without_a_truth() -> None:
    policy = make("oracle", SPEC)
    memory = policy.begin(lane_keys(0, np.arange(3)), Knowledge(truth=np.array([4.5, 2.3, np.nan])))
    command, memory = policy.decide(np.zeros(3), {"command": np.full((3, 1), 7 / 11, np.float32)}, memory)
    assert command.tolist() == [5.0, 2.0, 7.0]
    assert memory.status.tolist() == [Status.FOCUSED, Status.FOCUSED, Status.FAILED]


def test_the_sweep_takes_the_first_of_the_sharpest() -> None:
    policy = make("sweep", SPEC)
    scores = np.ones((2, 12))
    scores[0, [4, 9]] = 2.0
    memory = policy.begin(lane_keys(0, np.arange(2)), Knowledge(stack=scores))
    command, memory = policy.decide(np.zeros(2), {"command": np.zeros((2, 1), np.float32)}, memory)
    assert command.tolist() == [4.0, 0.0]
    assert memory.confidence.tolist() == [0.5, 0.0]


# ---------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("psychic", {}, "unknown policy 'psychic'; expected one of: .*hill_climb"),
        ("stay:now", {}, "this policy has no option to choose, got 'now' after the colon"),
        ("stay", {"speed": 3}, "unknown option of policy 'stay' 'speed'"),
        ("fixed", {"idx": 3}, "unknown option of policy 'fixed' 'idx'; expected one of: index"),
        ("fixed:12", {}, r"fixed index must be in 0 \.\.\. 11, got 12"),
        ("fixed:-1", {}, r"fixed index must be in 0 \.\.\. 11, got -1"),
        ("fixed:--1", {}, "fixed:--1: expected an index, a whole number"),
        ("fixed:mid", {}, "fixed:mid: expected an index, a whole number"),
        ("sweep:luck", {}, "unknown focus measure 'luck'"),
        ("hill_climb:luck", {}, "unknown focus measure 'luck'"),
    ],
)
def test_what_does_not_exist_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make(name, SPEC, **options)


@pytest.mark.parametrize(
    ("requires", "missing", "message"),
    [
        ("views2", {"views": 1}, r"needs dual-pixel stacks \(2 views\), but these have 1 view"),
        ("diopters", {"diopters": None}, "needs known focus distances, but these stacks have none"),
    ],
)
def test_a_task_that_lacks_what_a_policy_requires_is_refused(
    requires: str, missing: dict[str, Any], message: str
) -> None:
    kind = type("Demanding", (FocusPolicy,), {"requires": frozenset({requires})})

    with pytest.raises(AfsimError, match=message):
        kind(dataclasses.replace(SPEC, **missing))
    kind(SPEC)
