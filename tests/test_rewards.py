"""Rewards: each term is paid when and as it says, and no other."""

import itertools
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from afsim.envs import AutofocusEnv
from afsim.errors import AfsimError
from afsim.rewards import REWARDS, RewardModel, make_reward
from afsim.stackset import StackSet

NOTHING = {each.name: 0.0 for each in fields(RewardModel)}
DECLARES = 12


def paid(stacks: StackSet, actions: list[int], **weights: float) -> list[float]:
    """Play stack 2, whose truth is 5, from index 11, and return what each action is paid."""
    model = RewardModel(**{**NOTHING, **weights})
    env = AutofocusEnv(stacks=stacks, steps=max(3, len(actions)), declare=True, reward=model)
    env.reset(seed=0, options={"stack": 2, "start": 11})
    return [float(env.step(action)[1]) for action in actions]


@pytest.mark.parametrize(
    ("weights", "actions", "wanted"),
    [
        ({"final": 2.0}, [0, 4, 7], [0.0, 0.0, -4 / 11]),
        ({"final": 1.0}, [7, DECLARES], [0.0, -2 / 11]),
        ({"dense": 1.0}, [0, 4, 7], [-5 / 11, -1 / 11, -2 / 11]),
        ({"approach": 1.0}, [0, 4, 7], [1 / 11, 4 / 11, -1 / 11]),
        ({"hit": 1.0}, [5, 5, 4], [0.0, 0.0, 1.0]),
        ({"hit": 1.0}, [5, 5, 7], [0.0, 0.0, 0.0]),
        ({"declared": 1.0}, [6, DECLARES], [0.0, 1.0]),
        ({"declared": 1.0}, [5, 5, 5], [0.0, 0.0, 0.0]),
        ({"wrong": 1.0}, [6, DECLARES], [0.0, 0.0]),
        ({"wrong": 1.0}, [7, DECLARES], [0.0, -1.0]),
        ({"wrong": 1.0}, [0, 0, 0], [0.0, 0.0, 0.0]),
        ({"step": 0.5}, [5, 5, DECLARES], [-0.5, -0.5, 0.0]),
        ({"move": 0.5}, [5, 5, 6], [-0.5, 0.0, -0.5]),
    ],
)
def test_each_term_is_paid_as_it_says(
    stacks: StackSet, weights: dict[str, float], actions: list[int], wanted: list[float]
) -> None:
    assert paid(stacks, actions, **weights) == pytest.approx(wanted)


def test_milliseconds_are_those_of_the_simulated_clock(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks, steps=3, reward=RewardModel(**{**NOTHING, "time_ms": 0.01}))
    env.reset(seed=0, options={"stack": 2, "start": 11})
    total, before = 0.0, 0.0
    for action in (0, 5, 5):
        _, reward, _, _, info = env.step(action)
        assert reward == pytest.approx(-0.01 * (info["time_ms"] - before))
        total, before = total + float(reward), info["time_ms"]
    assert before > 50.0
    assert total == pytest.approx(-0.01 * before)


def test_terms_add_up(stacks: StackSet) -> None:
    actions, weights = [7, 5, DECLARES], {"final": 4.0, "hit": 0.5, "declared": 0.25, "step": 0.05, "move": 0.01}
    apart = np.sum([paid(stacks, actions, **{name: value}) for name, value in weights.items()], axis=0)
    assert paid(stacks, actions, **weights) == pytest.approx(apart.tolist())


def test_approach_sums_to_what_was_gained_whatever_the_way(stacks: StackSet) -> None:
    for way in itertools.permutations((0, 3, 9)):
        assert sum(paid(stacks, [*way, 4], approach=1.0)) == pytest.approx((6 - 1) / 11)


def test_sharpness_can_be_paid_beside_costs_without_labels(unlabelled_stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=unlabelled_stacks, steps=2, reward="sharpness,sharpness=2,move=0.5")
    env.reset(seed=0, options={"stack": 0, "start": 0})
    assert env.step(3)[1] == -0.5
    assert env.step(3)[1] == pytest.approx(0.0)  # the sharpest slice
    env.reset(seed=0, options={"stack": 0, "start": 0})
    assert env.step(0)[1] == 0.0
    assert -2.0 < float(env.step(0)[1]) < -0.1


def test_presets_can_be_changed_in_words() -> None:
    assert make_reward("success,move=0.02,step=0") == RewardModel(
        final=4.0, hit=1.0, declared=0.5, wrong=1.0, step=0.0, move=0.02
    )
    assert make_reward("none") == RewardModel(**NOTHING)
    assert all(make_reward(model) is model for model in REWARDS.values())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("applause", "unknown reward preset 'applause'"),
        ("final,luck=1", "luck"),
        ("final,move=-1", "reward move must be at least 0"),
        ("final,move=nan", "reward move must be finite"),
        (3.0, "reward must be a preset's name or a RewardModel, got 3.0"),
    ],
)
def test_what_is_no_reward_is_refused(given: Any, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make_reward(given)


@pytest.mark.parametrize("reward", ["approach", "success", "none,hit=1", "none,wrong=1"])
def test_a_reward_of_the_truth_needs_labels(unlabelled_stacks: StackSet, reward: str) -> None:
    with pytest.raises(AfsimError, match="needs a label for every stack"):
        AutofocusEnv(stacks=unlabelled_stacks, reward=reward)


def test_a_reward_of_milliseconds_needs_focus_distances(unlabelled_stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="counts milliseconds"):
        AutofocusEnv(stacks=unlabelled_stacks, reward="none,time_ms=0.01")
