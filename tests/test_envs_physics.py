"""Games with lenses that err and sensors that are noisy: conformance, repetition, batch = single, rollouts."""

import copy
import pickle
import warnings
from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from afsim import rollout
from afsim.camera import Camera
from afsim.envs import AutofocusEnv, AutofocusVectorEnv
from afsim.errors import AfsimError, WithheldError
from afsim.lens import LENSES, make_lens
from afsim.policies import POLICIES
from afsim.rollout import Arena, Episodes
from afsim.sensor import SENSORS, make_sensor
from afsim.stackset import StackSet
from afsim.task import FocusTask
from afsim.taskspec import make_timing
from tests.conftest import make_stack
from tests.seating import make

WORST: dict[str, Any] = {"lens": "worn_warm", "sensor": "dark"}


def same(first: Any, second: Any) -> None:
    """Check that observations or infos, nested in any way, are equal bit for bit."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            same(first[key], second[key])
    elif isinstance(first, tuple | list):
        for one, other in zip(first, second, strict=True):
            same(one, other)
    else:
        np.testing.assert_array_equal(first, second)


def play(env: gym.Env[Any, Any], actions: list[Any], seed: int | None = 5) -> list[Any]:
    """Play one episode and return everything that was returned."""
    return [env.reset(seed=seed), *(env.step(action) for action in actions)]


# ---------------------------------------------------------------------- conformance
@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("lens", LENSES)
def test_gymnasium_finds_nothing_wrong(stacks: StackSet, lens: str, sensor: str) -> None:
    env = gym.make("afsim/Autofocus-v0", stacks=stacks, lens=lens, sensor=sensor, render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("options", [{"image_kind": "uint8"}, {"image_kind": "uint16", "declare": True}])
def test_gymnasium_finds_nothing_wrong_with_other_kinds(stacks: StackSet, options: dict[str, Any]) -> None:
    check_env(AutofocusEnv(stacks=stacks, **WORST, **options), skip_render_check=True)


@pytest.mark.parametrize("mode", ["relative", "continuous"])
def test_gymnasium_finds_nothing_wrong_with_other_actions_timings_and_geometry(stacks: StackSet, mode: Any) -> None:
    env = AutofocusEnv(
        stacks=stacks, **WORST, action_mode=mode, timing="free,wait_ms=0", breathing=0.0, margin=3, reward="dense"
    )
    assert env.reset(seed=0)[0]["image"].shape == (2, 26, 26)
    check_env(env, skip_render_check=True)


@pytest.mark.parametrize("lens", LENSES)
def test_sb3_finds_nothing_wrong(lens: str) -> None:
    big_enough = StackSet.from_stacks([make_stack(5.0, size=36)])  # for SB3's CNN, below which it warns
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3_check_env(AutofocusEnv(stacks=big_enough, image_kind="uint8", lens=lens, sensor="dim"))


@pytest.mark.parametrize("kind", ["float32", "uint8", "uint16"])
def test_the_noisiest_pixels_are_within_the_space(kind: Any) -> None:
    black_and_white = make_stack(5.0)
    black_and_white.images[:, :, ::2], black_and_white.images[:, :, 1::2] = 64, 1023
    env = AutofocusEnv(stacks=StackSet.from_stacks([black_and_white]), image_kind=kind, **WORST)
    for observation, *_ in play(env, [0, 4, 11, 3, 7]):
        assert observation in env.observation_space


# ---------------------------------------------------------------------- the same again
def test_a_seed_repeats_lens_and_noise(stacks: StackSet) -> None:
    actions = [0, 11, 4, 4, 7]
    same(*(play(AutofocusEnv(stacks=stacks, **WORST), actions) for _ in range(2)))
    first, other = (play(AutofocusEnv(stacks=stacks, **WORST), actions, seed) for seed in (5, 6))
    assert first[-1][4]["position"] != other[-1][4]["position"]


def test_presets_by_name_by_text_and_by_hand_are_the_same(stacks: StackSet) -> None:
    by_text = AutofocusEnv(stacks=stacks, lens="worn_warm,gain=0", sensor="dark,iso=800", timing="free,frame_ms=20")
    by_hand = AutofocusEnv(
        stacks=stacks,
        lens=make_lens("worn_warm,gain=0"),
        sensor=make_sensor("dark,iso=800"),
        timing=make_timing("free,frame_ms=20"),
    )
    actions = [0, 11, 4, 4, 7]
    same(play(by_text, actions), play(by_hand, actions))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_alike_and_apart(stacks: StackSet, copied: Any) -> None:
    env = AutofocusEnv(stacks=stacks, **WORST)
    play(env, [4])
    twin = copied(env)
    same([env.step(action) for action in (1, 9, 2)], [twin.step(action) for action in (1, 9, 2)])


def test_two_policies_meet_the_same_lens(stacks: StackSet) -> None:
    states = []
    for actions in ([0, 11, 4], [3, 3, 3]):
        env = AutofocusEnv(stacks=stacks, **WORST)
        play(env, actions)
        states.append(env._replay.state.lens)
    for field in ("offset", "gain", "bow", "up", "kelvin", "detuning", "lowest", "highest"):
        assert states[0][field] == states[1][field]


# ---------------------------------------------------------------------- what is seen and told
def test_a_policy_sees_its_command_and_only_info_where_the_lens_is(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks, **WORST, steps=8)
    returned = play(env, [0, 2, 4, 6, 8])
    assert len({info["position"] - info["command"] for *_, info in returned}) > 3
    for (observation, *_, info), command in zip(returned[1:], (0, 2, 4, 6, 8), strict=True):
        assert observation["command"][0] == np.float32(command / 11)
        assert info["command"] == command
        assert info["clamped"] == (not 0.0 <= info["position"] <= 11.0)
        assert info["exact_error"] == info["position"] - info["best_index_exact"]


def test_a_visit_to_the_same_index_looks_different_in_fresh_noise_alone(stacks: StackSet) -> None:
    for fresh in ("on", "off"):
        env = AutofocusEnv(stacks=stacks, sensor=f"dark,fresh={fresh}")
        images = [returned[0]["image"] for returned in play(env, [3, 8, 3, 8])[1:]]
        assert (images[0] == images[2]).all() == (fresh == "off")
        assert (images[0] != images[1]).any()


def test_travel_and_reward_are_of_the_lens_and_not_of_the_command(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks, **WORST, steps=2)
    (_, start), first, last = play(env, [2, 9])
    places = [start["position"], first[4]["position"], last[4]["position"]]
    assert last[4]["travel_index"] == pytest.approx(np.abs(np.diff(places)).sum())
    assert last[1] == pytest.approx(-abs(last[4]["exact_error"]) / 11)


# ---------------------------------------------------------------------- batches
def played(env: gym.vector.VectorEnv[Any, Any, Any], steps: int, seed: int) -> list[Any]:
    """Reset and play sampled actions."""
    env.action_space.seed(11)
    actions = [env.action_space.sample() for _ in range(steps)]
    return [env.reset(seed=seed), *(env.step(action) for action in actions)]


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 3, "declare": True},
        {"steps": 2, "action_mode": "relative", "image_kind": "uint8", "breathing": 2.0, "margin": 2},
        {"steps": 2, "action_mode": "continuous", "image_kind": "uint16", "timing": "free,wait_ms=1"},
    ],
)
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_vector_equals_single(stacks: StackSet, mode: AutoresetMode, options: dict[str, Any]) -> None:
    native = AutofocusVectorEnv(5, stacks=stacks, autoreset_mode=mode, **WORST, **options)
    loop = SyncVectorEnv([lambda: AutofocusEnv(stacks=stacks, **WORST, **options)] * 5, autoreset_mode=mode)
    assert native.observation_space == loop.observation_space
    ours, theirs = played(native, 12, 7), played(loop, 12, 7)
    for one, other in zip(ours, theirs, strict=True):
        same(one[0], other[0])
        same(one[1:-1], other[1:-1])
        for name in ("position", "time_ms", "travel_um", "reachable"):
            np.testing.assert_array_equal(one[-1][name], other[-1][name])


# ---------------------------------------------------------------------- rollouts
@pytest.mark.parametrize("name", POLICIES)
def test_a_rollout_is_the_same_however_the_work_is_cut(
    stacks: StackSet, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Camera(stacks, LENSES["worn_warm"], SENSORS["dark"])
    task = FocusTask(camera, budget=3, reward="none")
    whole = Arena(camera, starts=[0, 5]).play(make(name, task.spec), task)
    monkeypatch.setattr(rollout, "_LANES_OF_IMAGES", 5)
    cut = Arena(camera, starts=[0, 5]).play(make(name, task.spec), task)
    for each in fields(Episodes):
        np.testing.assert_array_equal(getattr(whole, each.name), getattr(cut, each.name), err_msg=each.name)


def test_a_rollout_plays_the_lens_of_its_key_whatever_the_policy(stacks: StackSet) -> None:
    camera = Camera(stacks, LENSES["worn_warm"])
    task = FocusTask(camera, budget=2, reward="none")
    arena = Arena(camera)
    episodes = [arena.play(make(name, task.spec), task) for name in ("stay", "random", "oracle")]
    for other in episodes[1:]:
        np.testing.assert_array_equal(other.positions[:, 0], episodes[0].positions[:, 0])
        np.testing.assert_array_equal(other.reachable, episodes[0].reachable)
    # Jitter moves a lens that stays.
    assert (np.abs(np.diff(episodes[0].positions, axis=1)) > 0).mean() > 0.3


def test_a_search_is_misled_by_noise_fresh_or_frozen(stacks: StackSet) -> None:
    seen = []
    for sensor in ("none", "dark", "dark,fresh=off"):
        camera = Camera(stacks, sensor=make_sensor(sensor))
        task = FocusTask(camera, budget=4, reward="none")
        seen.append(Arena(camera).play(make("hill_climb", task.spec), task))
    assert (seen[0].commands != seen[1].commands).any()
    assert (seen[1].commands != seen[2].commands).any()


# ---------------------------------------------------------------------- errors
def test_without_distances_only_an_ideal_lens_can_be_played(unlabelled_stacks: StackSet) -> None:
    with pytest.raises(WithheldError, match="lens 'typical_phone' needs known focus distances"):
        AutofocusEnv(stacks=unlabelled_stacks, lens="typical_phone", reward="sharpness").reset(seed=0)
    noisy = AutofocusEnv(stacks=unlabelled_stacks, sensor="dim", reward="sharpness")
    observation, info = noisy.reset(seed=0)
    assert observation in noisy.observation_space
    assert info["reachable"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lens": "worn_warm,friction=0"}, "unknown lens option 'friction'"),
        ({"sensor": "dark,iso=loud"}, "sensor option 'iso': expected a number, got 'loud'"),
        ({"timing": "hours"}, "unknown timing preset 'hours'"),
        ({"margin": 16}, "margin must be a whole number of at least 0"),
        ({"breathing": -1.0}, "breathing must be a number of at least 0"),
    ],
)
def test_unknown_options_are_refused_by_name(stacks: StackSet, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        AutofocusEnv(stacks=stacks, **options)
