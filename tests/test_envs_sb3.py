"""The adapter for Stable-Baselines3: its conventions, its training and its evaluation."""

from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, is_vecenv_wrapped

from afsim.envs import AutofocusEnv, OneHotSlices, VectorOneHotSlices
from afsim.envs.sb3 import AutofocusVecEnv
from afsim.errors import AfsimError
from afsim.policies import make
from afsim.stackset import StackSet
from tests.conftest import make_stack


def assert_same(first: Any, second: Any) -> None:
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list | tuple):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("wrapped", [False, True])
def test_it_equals_sb3s_loop_over_single_environments(stacks: StackSet, wrapped: bool) -> None:
    def single() -> Any:
        env = AutofocusEnv(stacks=stacks, declare=True)
        return OneHotSlices(env) if wrapped else env

    native = AutofocusVecEnv(3, wrapper=VectorOneHotSlices if wrapped else None, stacks=stacks, declare=True)
    loop = DummyVecEnv([single] * 3)
    native.seed(5)
    loop.seed(5)
    assert_same(native.reset(), loop.reset())
    assert_same(native.reset_infos, loop.reset_infos)
    rng = np.random.default_rng(0)
    for actions in rng.integers(0, 13, (15, 3)):
        given, wanted = native.step(actions), loop.step(actions)
        assert_same(given, wanted)
        assert given[1].dtype == wanted[1].dtype
        assert_same(native.reset_infos, loop.reset_infos)


def test_a_time_limit_is_told_apart_from_an_end_as_sb3_does(stacks: StackSet) -> None:
    options: dict[str, Any] = {"stacks": stacks, "declare": True, "time_limit_ms": 60.0, "steps": 4}
    native = AutofocusVecEnv(3, **options)
    loop = DummyVecEnv([lambda: AutofocusEnv(**options)] * 3)
    native.seed(5)
    loop.seed(5)
    assert_same(native.reset(), loop.reset())
    late = 0
    for actions in np.random.default_rng(0).integers(0, 13, (20, 3)):
        given, wanted = native.step(actions), loop.step(actions)
        assert_same(given, wanted)
        late += sum(info["TimeLimit.truncated"] for info in given[3])
    assert late > 5


@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_ppo_trains(kind: Any) -> None:
    stacks = StackSet.from_stacks([make_stack(5.0, size=36)])  # the least that SB3's CNN takes
    env = VecMonitor(AutofocusVecEnv(8, stacks=stacks, reward="dense", steps=3, image_kind=kind))
    small = {"net_arch": [16]}
    model = PPO("MultiInputPolicy", env, n_steps=125, batch_size=250, n_epochs=1, seed=0, policy_kwargs=small)
    before = [value.detach().clone() for value in model.policy.parameters()]
    model.learn(2_000)
    assert model.num_timesteps == 2_000
    assert any((old != new).any() for old, new in zip(before, model.policy.parameters(), strict=True))
    assert model.ep_info_buffer is not None
    assert {episode["l"] for episode in model.ep_info_buffer} == {3}


def test_policies_run_in_sb3s_evaluation(stacks: StackSet) -> None:
    env = VecMonitor(AutofocusVecEnv(4, stacks=stacks, steps=6))
    rewards = {}
    for name in ("hill_climb", "random"):
        env.seed(0)
        policy: Any = make(name, env.get_attr("task_spec")[0])
        given, lengths = evaluate_policy(policy, env, n_eval_episodes=24, return_episode_rewards=True)
        assert lengths == [6] * 24
        rewards[name] = np.mean(given)
    assert rewards["hill_climb"] > rewards["random"] + 0.1


def test_options_seeds_and_attributes(stacks: StackSet) -> None:
    env = AutofocusVecEnv(3, stacks=stacks)
    assert env.seed(4) == [4, 5, 6]
    first = env.reset()
    env.seed(4)
    assert_same(env.reset(), first)
    env.set_options([{"start": 1}, {"start": 2}, {"start": 3}])
    assert env.reset()["command"][:, 0].tolist() == pytest.approx([1 / 11, 2 / 11, 3 / 11])
    env.set_options([{"start": 1}, {}, {}])
    with pytest.raises(AfsimError, match="start"):
        env.reset()
    assert len(env.get_attr("task_spec", indices=[0, 2])) == 2
    assert env.has_attr("task")
    assert not env.has_attr("nonsense")
    with pytest.raises(AttributeError, match="nonsense"):
        env.get_attr("nonsense")
    env.set_attr("note", "shared")
    assert env.get_attr("note", indices=1) == ["shared"]
    with pytest.raises(AfsimError, match="note"):
        env.set_attr("note", "alone", indices=0)
    env.close()


def test_it_knows_its_wrappers(stacks: StackSet) -> None:
    plain, wrapped = (
        AutofocusVecEnv(2, stacks=stacks),
        AutofocusVecEnv(2, wrapper=VectorOneHotSlices, stacks=stacks),
    )
    assert plain.env_is_wrapped(Monitor) == [False, False]
    assert wrapped.env_is_wrapped(VectorOneHotSlices, indices=0) == [True]  # type: ignore[arg-type]
    assert is_vecenv_wrapped(VecMonitor(plain), VecMonitor)
    assert plain.get_attr("task")[0] is plain.env.unwrapped.task  # type: ignore[attr-defined]
    assert wrapped.get_attr("task")[0].spec.n == 12


def test_it_renders_all_lanes_as_one_picture(stacks: StackSet) -> None:
    env = AutofocusVecEnv(4, stacks=stacks, render_mode="rgb_array")
    env.reset()
    one, picture = env.get_images()[0], env.render()
    assert picture is not None
    assert picture.shape == (2 * one.shape[0], 2 * one.shape[1], 3)
