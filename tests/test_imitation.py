"""Imitation: an actor is taught where the focus is, and nothing else of the model is touched."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv

from afsim.envs import AutofocusVectorEnv, VectorFeatureVector
from afsim.envs.sb3 import AutofocusVecEnv
from afsim.errors import AfsimError
from afsim.featuretable import FeatureTable
from afsim.imitation import teach, wanted_moves
from afsim.stackset import StackSet
from tests.conftest import make_stack

N = 12


class Told:
    """A sight that says of every index how likely it is: here as the table of the environment has it."""

    evidence = N
    marks = ("contrast",)
    feature_key = "told"

    def features(self, *given: Any) -> Any:
        raise NotImplementedError


@pytest.fixture(scope="module")
def stacks() -> StackSet:
    truths = np.random.default_rng(3).uniform(0.5, N - 1.5, 24)
    return StackSet.from_stacks(make_stack(truth, seed=i, views=1) for i, truth in enumerate(truths))


def environment(stacks: StackSet, lanes: int = 64, steps: int = 4) -> Any:
    # Each slice tells the distance to the focus, but not on which side of it: two slices tell.
    index = np.arange(N)
    off = np.abs(index[None, :] - stacks.truth[:, None])[:, :, None]
    evidence = -np.abs(np.abs(index[None, None, :] - index[None, :, None]) - off)
    values = np.concatenate([evidence, -off], axis=2).astype(np.float32)
    env = AutofocusVectorEnv(
        lanes,
        autoreset_mode=AutoresetMode.SAME_STEP,
        stacks=stacks,
        steps=steps,
        action_mode="relative",
        table=FeatureTable(values, N),
    )
    return VectorFeatureVector(env, Told())


def model_of(env: Any, seed: int = 0) -> PPO:
    sb3: VecEnv = AutofocusVecEnv(env=env)
    return PPO("MlpPolicy", sb3, n_steps=8, seed=seed, device="cpu", policy_kwargs={"net_arch": [64]})


def ends(model: PPO, env: Any) -> float:
    """Return the share of lanes that end within one slice, each having gone where the actor points."""
    observation, _ = env.reset(seed=99)
    for _ in range(4):
        action, _ = model.predict(observation, deterministic=True)
        observation, _, _, _, info = env.step(action)
    return float(np.mean(info["final_info"]["success"]))


def test_it_learns_where_the_focus_is_and_leaves_the_critic_alone(stacks: StackSet) -> None:
    env = environment(stacks)
    model = model_of(env)
    critic = [one.clone() for one in model.policy.value_net.parameters()]
    before, told = ends(model, env), list[int]()
    teach(model, env, 20_000, seed=0, advance=told.append)
    assert sum(told) == pytest.approx(20_000, abs=512)
    assert min(told) > 0
    assert ends(model, env) > max(before + 0.3, 0.65)  # by chance: three indices of twelve
    for was, now in zip(critic, model.policy.value_net.parameters(), strict=True):
        assert torch.equal(was, now)


def test_the_same_seed_teaches_the_same(stacks: StackSet) -> None:
    learned = []
    for seed in (0, 0, 1):
        env = environment(stacks, lanes=8)
        model = model_of(env)
        teach(model, env, 300, seed=seed)
        learned.append(torch.cat([one.detach().flatten() for one in model.policy.parameters()]))
    assert torch.equal(learned[0], learned[1])
    assert not torch.equal(learned[0], learned[2])


def test_moves_are_taught_as_seen_from_the_command_of_an_erring_lens() -> None:
    # The lens is at 5, the focus at 8, the command was 3: three on from the command, whatever the lens made of it.
    info = {"command": np.array([3.0, 3.0, 10.0]), "exact_error": np.array([-3.0, 0.4, -5.0])}
    assert taught(info, [], last=True) == [[2, 3, 4], [-1, 0], [0, 1]]  # the third out of reach: about the end


def test_before_the_last_step_what_was_not_seen_is_wanted() -> None:
    info = {"command": np.array([4.0, 5.0, 5.0]), "exact_error": np.array([-1.0, 0.0, 0.0])}
    seen = [(0, 4), (1, 5), (2, 4), (2, 5), (2, 6)]
    assert taught(info, seen, last=False) == [[1, 2], [-1, 1], [-1, 0, 1]]  # the third has seen all around it
    assert taught(info, seen, last=True) == [[0, 1, 2], [-1, 0, 1], [-1, 0, 1]]


def taught(info: dict[str, Any], seen: list[tuple[int, int]], *, last: bool) -> list[list[int]]:
    """Return the moves that are taught in each lane."""
    lanes = len(info["command"])
    looked = np.zeros((lanes, N), np.bool_)
    for lane, index in seen:
        looked[lane, index] = True
    mask = wanted_moves(info, looked, np.full(lanes, last))
    assert mask.shape == (lanes, 2 * N - 1)
    return [(np.flatnonzero(row) - (N - 1)).tolist() for row in mask]


def test_an_environment_of_other_spaces_is_refused(stacks: StackSet) -> None:
    env = environment(stacks)
    model = model_of(env)
    other: Any = gym.vector.VectorWrapper(env)
    other.single_action_space = spaces.Discrete(3)
    with pytest.raises(
        AfsimError, match=r"the action_space must be the model's, Discrete\(23\), got Discrete\(3\)"
    ):
        teach(model, other, 10, seed=0)
