"""The vector environment equals single environments, lane by lane, in every autoreset mode."""

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from afsim.envs import AutofocusEnv, AutofocusVectorEnv
from afsim.errors import AfsimError
from afsim.stackset import StackSet

MODES = list(AutoresetMode)
OPTIONS: list[dict[str, Any]] = [
    {"steps": 3, "declare": True},
    {"steps": 4, "action_mode": "relative", "reward": "dense", "image_kind": "uint8"},
    {"steps": 2, "action_mode": "continuous", "declare": True, "reward": "sharpness", "image_kind": "uint16"},
    {"steps": 6, "declare": True, "reward": "success,move=0.01", "time_limit_ms": 90.0},
]


def assert_same(first: Any, second: Any) -> None:
    """Equal bit for bit, types of arrays included."""
    if isinstance(first, dict):
        assert isinstance(second, dict)
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, tuple | list) or (isinstance(first, np.ndarray) and first.dtype == object):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif first is None:
        assert second is None
    else:
        assert np.asarray(first).dtype == np.asarray(second).dtype
        np.testing.assert_array_equal(first, second)


def sampled(env: gym.vector.VectorEnv[Any, Any, Any], steps: int) -> list[Any]:
    env.action_space.seed(11)
    return [env.action_space.sample() for _ in range(steps)]


def played(env: gym.vector.VectorEnv[Any, Any, Any], steps: int, seed: Any) -> list[Any]:
    """Reset and play; a lane that has ended is reset by hand where the environment does not."""
    returned: list[Any] = [env.reset(seed=seed)]
    ended = np.zeros(env.num_envs, dtype=np.bool_)
    for actions in sampled(env, steps):
        if env.metadata["autoreset_mode"] is AutoresetMode.DISABLED and ended.any():
            returned.append(env.reset(options={"reset_mask": ended.copy()}))
        returned.append(env.step(actions))
        ended = returned[-1][2] | returned[-1][3]
    return returned


@pytest.mark.parametrize("seed", [7, [4, 400, 4, 0, 2**31]])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("mode", MODES)
def test_vector_equals_single(stacks: StackSet, mode: AutoresetMode, options: dict[str, Any], seed: Any) -> None:
    native = AutofocusVectorEnv(5, stacks=stacks, autoreset_mode=mode, **options)
    loop = SyncVectorEnv([lambda: AutofocusEnv(stacks=stacks, **options)] * 5, autoreset_mode=mode)
    assert native.observation_space == loop.observation_space
    assert native.action_space == loop.action_space
    assert native.single_action_space == loop.single_action_space
    assert_same(played(native, 20, seed), played(loop, 20, seed))


def test_lanes_do_not_depend_on_each_other(stacks: StackSet) -> None:
    few = AutofocusVectorEnv(2, stacks=stacks, declare=True, autoreset_mode="SameStep")
    many = AutofocusVectorEnv(40, stacks=stacks, declare=True, autoreset_mode="SameStep")
    few.reset(seed=3)
    many.reset(seed=3)
    for actions in sampled(many, 20):
        little, much = few.step(actions[:2]), many.step(actions)
        np.testing.assert_array_equal(little[0]["image"], much[0]["image"][:2])
        np.testing.assert_array_equal(little[1], much[1][:2])


def test_make_vec_takes_the_mode(stacks: StackSet) -> None:
    env = gym.make_vec("afsim/Autofocus-v0", num_envs=3, stacks=stacks, autoreset_mode="SameStep")
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert AutofocusVectorEnv.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert env.unwrapped.task_spec.n == 12  # type: ignore[attr-defined]


def test_options_are_for_all_lanes_or_for_each(stacks: StackSet) -> None:
    env = AutofocusVectorEnv(3, stacks=stacks)
    _, info = env.reset(seed=0, options={"stack": [5, 0, 2], "start": 7})
    assert info["stack"].tolist() == [5, 0, 2]
    assert info["start"].tolist() == [7, 7, 7]
    _, info = env.reset(options={"stack": [stacks.names[1], 3, stacks.names[0]]})
    assert info["stack"].tolist() == [1, 3, 0]
    mask = np.array([False, True, False])
    _, info = env.reset(options={"stack": [4, 5, 4], "start": 1, "reset_mask": mask})
    assert env._replay.state.lanes["stack"].tolist() == [1, 5, 0]
    assert info["_stack"].tolist() == mask.tolist()


def test_the_callers_options_are_not_changed(stacks: StackSet) -> None:
    env = AutofocusVectorEnv(2, stacks=stacks)
    env.reset(seed=0)
    options = {"reset_mask": np.array([True, False])}
    env.reset(options=options)
    assert list(options) == ["reset_mask"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_copy_goes_on_alike_and_apart(stacks: StackSet, mode: AutoresetMode, copied: Any) -> None:
    env = AutofocusVectorEnv(4, stacks=stacks, autoreset_mode=mode, declare=True)
    played(env, 3, 2)
    twin = copied(env)
    actions = sampled(env, 12)
    assert_same([env.step(a) for a in actions], [twin.step(a) for a in actions])


@pytest.mark.parametrize("mode", MODES)
def test_what_is_kept_never_changes(stacks: StackSet, mode: AutoresetMode) -> None:
    env = AutofocusVectorEnv(4, stacks=stacks, autoreset_mode=mode, declare=True)
    kept = played(env, 12, 2)
    then = copy.deepcopy(kept)
    played(env, 12, 9)
    assert_same(kept, then)


def test_one_lane_of_an_observation_keeps_the_memory(stacks: StackSet) -> None:
    env = AutofocusVectorEnv(4, stacks=stacks)
    kept = [env.reset(seed=0)[0]["image"][2, 0, 4:]]
    then = kept[0].copy()
    for _ in range(10):
        env.reset()
    np.testing.assert_array_equal(kept[0], then)


def test_a_step_needs_a_reset_of_all_lanes(stacks: StackSet) -> None:
    env = AutofocusVectorEnv(2, stacks=stacks)
    with pytest.raises(ResetNeeded):
        env.step(np.array([0, 0]))
    with pytest.raises(ResetNeeded):
        env.reset(options={"reset_mask": np.array([True, False])})


def test_disabled_autoreset_refuses_lanes_that_have_ended(stacks: StackSet) -> None:
    env = AutofocusVectorEnv(3, stacks=stacks, declare=True, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    env.step(np.array([0, 12, 0]))
    with pytest.raises(AfsimError, match=r"\[1\]"):
        env.step(np.array([0, 0, 0]))


@pytest.mark.parametrize("actions", [[0, 0], [0, 0, 12], [0, -1, 0], [0.0, 1.0, 2.0], 0, [[0], [0], [0]]])
def test_what_are_no_actions_is_refused(stacks: StackSet, actions: Any) -> None:
    env = AutofocusVectorEnv(3, stacks=stacks)
    env.reset(seed=0)
    with pytest.raises(AfsimError, match="actions"):
        env.step(np.array(actions))


@pytest.mark.parametrize(
    "arguments",
    [
        {"seed": [1, 2]},
        {"options": {"reset_mask": np.array([True])}},
        {"options": {"reset_mask": np.array([1, 0, 1])}},
        {"options": {"reset_mask": np.zeros(3, dtype=np.bool_)}},
        {"options": {"start": [1, 2]}},
    ],
)
def test_bad_resets_are_refused(stacks: StackSet, arguments: dict[str, Any]) -> None:
    with pytest.raises(AfsimError, match=r"seed|reset_mask|start"):
        AutofocusVectorEnv(3, stacks=stacks).reset(**arguments)


@pytest.mark.parametrize("options", [{"autoreset_mode": "Never"}, {"render_mode": "human"}, {"num_envs": 0}])
def test_bad_options_are_refused(stacks: StackSet, options: dict[str, Any]) -> None:
    with pytest.raises(AfsimError, match=str(next(iter(options.values())))):
        AutofocusVectorEnv(**{"num_envs": 2, "stacks": stacks, **options})


def test_a_picture_of_each_lane(stacks: StackSet) -> None:
    env = AutofocusVectorEnv(2, stacks=stacks, render_mode="rgb_array")
    single = AutofocusEnv(stacks=stacks, render_mode="rgb_array")
    env.reset(seed=0)
    single.reset(seed=1)
    for _ in range(6):  # over the end of an episode
        env.step(np.array([3, 4]))
        if single._ended:
            single.reset()
        else:
            single.step(4)
    frames = env.render()
    assert frames is not None
    assert len(frames) == 2
    np.testing.assert_array_equal(frames[1], single.render())
