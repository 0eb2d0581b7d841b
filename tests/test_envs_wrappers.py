"""The wrappers that remember, against a slow reference that keeps every observation in a list."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from afsim.envs import (
    AutofocusEnv,
    AutofocusVectorEnv,
    LastObservations,
    OneHotSlices,
    VectorLastObservations,
    VectorOneHotSlices,
)
from afsim.errors import AfsimError
from afsim.stackset import StackSet

N, VIEWS, SIZE = 12, 2, 32
SINGLE: dict[str, Callable[[Any], Any]] = {"slices": OneHotSlices, "recent": lambda env: LastObservations(env, 3)}
VECTOR: dict[str, Callable[[Any], Any]] = {
    "slices": VectorOneHotSlices,
    "recent": lambda env: VectorLastObservations(env, 3),
}


def expected(encoding: str, episode: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a wrapper must give after the plain observations of an episode."""
    if encoding == "slices":
        image = np.zeros((N * VIEWS, SIZE, SIZE), np.float32)
        for seen in episode:
            k = round(float(seen["command"][0]) * (N - 1))
            image[2 * k], image[2 * k + 1] = seen["image"]
        return {**episode[-1], "image": image}
    blank = {"image": np.zeros((VIEWS, SIZE, SIZE), np.float32), "command": np.array([-1.0], np.float32)}
    last = ([blank] * 3 + episode)[-3:]
    joined = {name: np.concatenate([one[name] for one in last]) for name in ("image", "command")}
    return {**episode[-1], **joined}


def assert_same(first: Any, second: Any) -> None:
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, tuple | list) or (isinstance(first, np.ndarray) and first.dtype == object):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif first is None:
        assert second is None
    else:
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("mode", ["absolute", "continuous"])
@pytest.mark.parametrize("encoding", SINGLE)
def test_single_equals_the_reference(stacks: StackSet, encoding: str, mode: Any) -> None:
    plain = AutofocusEnv(stacks=stacks, steps=6, action_mode=mode)
    env = SINGLE[encoding](AutofocusEnv(stacks=stacks, steps=6, action_mode=mode))
    env.action_space.seed(3)
    for number in range(3):
        seed = 4 if number == 0 else None
        episode = [plain.reset(seed=seed)[0]]
        observation, ended = env.reset(seed=seed)[0], False
        while True:
            assert observation in env.observation_space
            assert_same(observation, expected(encoding, episode))
            if ended:
                break
            action = env.action_space.sample()
            observation, _, ended, _, _ = env.step(action)
            episode.append(plain.step(action)[0])


@pytest.mark.parametrize("kind", ["float32", "uint8"])
@pytest.mark.parametrize("encoding", VECTOR)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_vector_equals_single(stacks: StackSet, mode: AutoresetMode, encoding: str, kind: Any) -> None:
    options: dict[str, Any] = {"stacks": stacks, "declare": True, "image_kind": kind}
    native = VECTOR[encoding](AutofocusVectorEnv(4, autoreset_mode=mode, **options))
    loop = SyncVectorEnv([lambda: SINGLE[encoding](AutofocusEnv(**options))] * 4, autoreset_mode=mode)
    assert native.observation_space == loop.observation_space
    assert_same(native.reset(seed=8), loop.reset(seed=8))
    loop.action_space.seed(2)
    for _ in range(20):
        actions = loop.action_space.sample()
        given, wanted = native.step(actions), loop.step(actions)
        assert_same(given, wanted)
        assert given[0] in native.observation_space
        if mode is AutoresetMode.DISABLED and given[2].any():
            again = [env.reset(options={"reset_mask": given[2].copy()}) for env in (native, loop)]
            assert_same(again[0], again[1])


@pytest.mark.parametrize("encoding", SINGLE)
def test_gymnasium_finds_nothing_wrong(stacks: StackSet, encoding: str) -> None:
    with pytest.warns(UserWarning, match="different from the unwrapped version"):  # it is a wrapper: that is meant
        check_env(SINGLE[encoding](AutofocusEnv(stacks=stacks)), skip_render_check=True)


def test_a_wrapped_environment_is_made_again_from_its_spec(stacks: StackSet) -> None:
    env = LastObservations(gym.make("afsim/Autofocus-v0", stacks=stacks), 2)
    assert env.spec is not None
    again = gym.make(env.spec)
    assert again.observation_space == env.observation_space


def test_kept_observations_never_change(stacks: StackSet) -> None:
    for wrap in SINGLE.values():
        env = wrap(AutofocusEnv(stacks=stacks))
        kept = env.reset(seed=0)[0]
        then = {name: value.copy() for name, value in kept.items()}
        env.step(3)
        env.reset()
        assert_same(kept, then)


def test_what_cannot_be_remembered_is_refused(stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="autofocus environment"):
        OneHotSlices(gym.make("CartPole-v1"))
    with pytest.raises(AfsimError, match="autofocus environment"):
        OneHotSlices(gym.wrappers.FilterObservation(AutofocusEnv(stacks=stacks), ["command"]))
    with pytest.raises(AfsimError, match="count"):
        LastObservations(AutofocusEnv(stacks=stacks), 0)
