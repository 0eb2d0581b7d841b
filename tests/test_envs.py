"""The single environment: conformance, seeding, ownership of what it returns, and its errors."""

import copy
import os
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import afsim.envs
from afsim.camera import ImageKind
from afsim.envs import AutofocusEnv, register_environments
from afsim.errors import AfsimError
from afsim.setconfig import DEMO
from afsim.sets import demo_stacks
from afsim.stack import Levels
from afsim.stackset import StackSet
from afsim.task import INFO_FIELDS
from tests.conftest import make_stack

KINDS: tuple[ImageKind, ...] = ("float32", "uint8", "uint16")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"action_mode": "relative", "reward": "dense"},
    {"action_mode": "continuous", "reward": "sharpness"},
    {"action_mode": "absolute", "declare": True, "interpolation": "nearest"},
    {"action_mode": "relative", "declare": True},
    {"action_mode": "continuous", "declare": True},
]


def assert_same(first: Any, second: Any) -> None:
    """Observations or infos, nested in any way, equal bit for bit."""
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, tuple | list):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        np.testing.assert_array_equal(first, second)


def play(env: gym.Env[Any, Any], episodes: int, seed: int | None = 5) -> list[Any]:
    """Play random actions and return everything that was returned."""
    env.action_space.seed(1)
    returned: list[Any] = []
    for episode in range(episodes):
        returned.append(env.reset(seed=seed if episode == 0 else None))
        ended = False
        while not ended:
            result = env.step(env.action_space.sample())
            returned.append(result)
            ended = result[2]
    return returned


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_gymnasium_finds_nothing_wrong(stacks: StackSet, options: dict[str, Any], kind: ImageKind) -> None:
    env = gym.make("afsim/Autofocus-v0", stacks=stacks, image_kind=kind, render_mode="rgb_array", **options)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_sb3_finds_nothing_wrong(options: dict[str, Any], kind: ImageKind) -> None:
    big_enough = StackSet.from_stacks([make_stack(5.0, size=36)])  # for SB3's CNN, below which it warns
    with warnings.catch_warnings():
        if kind != "uint8":
            # SB3 says that its CNNs take uint8 images in 0 ... 255 only. True: it flattens these instead.
            warnings.filterwarnings("ignore", r"(?s).*image but its `dtype`.*", UserWarning)
            warnings.filterwarnings("ignore", r"(?s).*is an image but the\s+upper and lower.*", UserWarning)
        sb3_check_env(AutofocusEnv(stacks=big_enough, image_kind=kind, **options))


def test_rendering_conforms(stacks: StackSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    env = gym.make("afsim/Autofocus-v0", stacks=stacks)
    check_env(env.unwrapped)  # makes one environment for each render mode


def test_the_demo_set_is_played_without_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = demo_stacks(1, replace(DEMO, size=32))
    monkeypatch.setattr("afsim.envs.making.open_demo", lambda: small)
    env = gym.make("afsim/Autofocus-v0").unwrapped
    assert isinstance(env, AutofocusEnv)
    assert env.task.camera.stacks is small
    assert env.task_spec.budget == 5
    assert env.action_space == gym.spaces.Discrete(49)
    vector = gym.make_vec("afsim/Autofocus-v0", num_envs=8)
    assert isinstance(vector, afsim.envs.AutofocusVectorEnv)
    assert vector.action_space == gym.spaces.MultiDiscrete([49] * 8)


def test_the_id_can_name_the_module_that_registers_it(stacks: StackSet) -> None:
    env = gym.make("afsim.envs:afsim/Autofocus-v0", stacks=stacks)
    assert env.spec is not None
    assert env.spec.id == "afsim/Autofocus-v0"


def test_importing_the_environment_loads_neither_torch_nor_matplotlib() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import sys, afsim.envs; print(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(Path(afsim.__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {"torch", "stable_baselines3", "matplotlib"} & set(run.stdout.split()) == set()


def test_registering_twice_is_silent() -> None:
    before = gym.registry["afsim/Autofocus-v0"]
    register_environments()
    assert gym.registry["afsim/Autofocus-v0"] is before


def test_darkest_and_brightest_pixels_are_within_the_space() -> None:
    stack = make_stack(5.0)
    images = stack.images.copy()
    images[:, :, 0, :] = 0
    images[:, :, 1, :] = 65535
    for black in (1, 64, 1021, 4097):
        extreme = type(stack)(images, Levels(black, black + 959), best_index=5, direction="unknown")
        for kind in KINDS:
            env = AutofocusEnv(stacks=StackSet.from_stacks([extreme]), image_kind=kind)
            observation, _ = env.reset(seed=0)
            assert observation in env.observation_space, (black, kind)


def test_an_episode_takes_the_budget_and_reports_the_truth(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks, steps=3)
    _, info = env.reset(seed=0, options={"stack": 2, "start": 11})
    assert list(info) == list(INFO_FIELDS)
    assert (info["stack"], info["start"], info["command"]) == (2, 11, 11.0)
    rewards = []
    for action, ended in ((0, False), (4, False), (7, True)):
        observation, reward, terminated, truncated, info = env.step(action)
        rewards.append(reward)
        assert (terminated, truncated) == (ended, False)
    assert rewards == [0.0, 0.0, pytest.approx(-2.0 / 11.0)]  # the truth of stack 2 is 5
    assert info["error"] == 2.0
    assert observation["steps_left"] == 0.0
    assert {type(value) for value in info.values()} == {int, float, bool}


def test_a_time_limit_truncates_and_the_next_episode_has_all_its_time_again(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks, steps=5, time_limit_ms=80.0, reward="final,step=0.1")
    for _ in range(2):
        env.reset(seed=0, options={"stack": 2, "start": 0})
        endings = [env.step(action)[1:] for action in (3, 6, 9)]
        assert [ending[3]["time_ms"] < 80.0 for ending in endings] == [True, True, False]
        assert [ending[1:3] for ending in endings] == [(False, False), (False, False), (False, True)]
        # What is broken off has not ended by its rules: its error is not paid.
        assert [ending[0] for ending in endings] == [-0.1, -0.1, -0.1]
        with pytest.raises(AfsimError, match="has ended"):
            env.step(0)


def test_the_last_step_of_the_budget_terminates_even_if_it_is_late(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks, steps=1, time_limit_ms=1.0)
    env.reset(seed=0)
    assert env.step(3)[2:4] == (True, False)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), "soon"])
def test_a_time_limit_must_be_a_number_above_0(stacks: StackSet, limit: Any) -> None:
    with pytest.raises(AfsimError, match="time_limit_ms"):
        AutofocusEnv(stacks=stacks, time_limit_ms=limit)


def test_a_time_limit_needs_focus_distances(unlabelled_stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="time_limit_ms needs the focus distances"):
        AutofocusEnv(stacks=unlabelled_stacks, reward="none", time_limit_ms=100.0)


def test_a_stack_is_chosen_by_name(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks)
    assert env.reset(options={"stack": stacks.names[4]})[1]["stack"] == 4


def test_a_seed_repeats_all_episodes_after_it(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks)
    first = play(env, 6)
    assert_same(first, play(env, 6))
    assert_same(first, play(AutofocusEnv(stacks=stacks), 6))
    assert len({(r[1]["stack"], r[1]["start"]) for r in first if len(r) == 2}) > 3


def test_an_unseeded_environment_begins_somewhere_else_each_time(stacks: StackSet) -> None:
    starts = {
        tuple(env.reset()[1]["start"] for _ in range(8)) for env in (AutofocusEnv(stacks=stacks) for _ in range(4))
    }
    assert len(starts) == 4


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_alike_and_apart(stacks: StackSet, copied: Any) -> None:
    env = AutofocusEnv(stacks=stacks, render_mode="rgb_array")
    env.reset(seed=3)
    env.step(4)
    twin = copied(env)
    steps = [env.step(action) for action in (1, 9, 2)]
    assert_same(steps, [twin.step(action) for action in (1, 9, 2)])
    assert_same(env.render(), twin.render())
    assert_same(play(env, 2, seed=None), play(twin, 2, seed=None))


def test_a_mapped_set_is_pickled_as_its_path(stacks: StackSet, tmp_path: Path) -> None:
    stacks.save(tmp_path / "set")
    env = AutofocusEnv(stacks=tmp_path / "set")
    env.reset(seed=3)
    pickled = pickle.dumps(env)
    assert len(pickled) < stacks.images.nbytes / 4
    assert_same(env.step(2), pickle.loads(pickled).step(2))


def test_kept_observations_never_change(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks)
    kept = play(env, 5)
    then = copy.deepcopy(kept)
    play(env, 5, seed=None)
    assert_same(kept, then)


def test_memory_is_used_again_once_nobody_holds_it(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks)
    observation, _ = env.reset(seed=0)
    places = {observation["image"].ctypes.data}
    for _ in range(20):
        observation, _ = env.reset()
        places.add(observation["image"].ctypes.data)
    assert len(places) == 2  # the one in our hand, and the next


def test_a_step_needs_a_reset(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks)
    with pytest.raises(ResetNeeded, match="reset"):
        env.step(0)
    play(env, 1)
    with pytest.raises(AfsimError, match=r"ended.*reset"):
        env.step(0)


@pytest.mark.parametrize("action", [-1, 12, 3.0, float("nan"), True, None, [3], np.array([3]), "3"])
def test_what_is_no_action_is_refused_and_changes_nothing(stacks: StackSet, action: Any) -> None:
    env = AutofocusEnv(stacks=stacks)
    env.reset(seed=0)
    with pytest.raises(AfsimError, match="action"):
        env.step(action)
    assert env.step(3)[4]["step"] == 1


@pytest.mark.parametrize("action", [[1.5], [float("nan")], [0.1, 0.2], 0.3])
def test_what_is_no_continuous_action_is_refused(stacks: StackSet, action: Any) -> None:
    env = AutofocusEnv(stacks=stacks, action_mode="continuous")
    env.reset(seed=0)
    with pytest.raises(AfsimError, match="action"):
        env.step(np.array(action))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stak": 1}, "reset option 'stak'"),
        ({"stack": 6}, "0 ... 5"),
        ({"stack": "nobody"}, "'nobody'"),
        ({"start": 12}, "0 ... 11"),
        ({"start": 2.0}, "integers"),
        ({"start": [1, 2]}, "one value"),
    ],
)
def test_reset_options_that_mean_nothing_are_refused(stacks: StackSet, options: Any, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        AutofocusEnv(stacks=stacks).reset(options=options)


@pytest.mark.parametrize(
    "options",
    [
        {"image_kind": "float64"},
        {"render_mode": "ansi"},
        {"steps": 0},
        {"lens": "rubber"},
        {"sensor": "film"},
        {"reward": "applause"},
        {"action_mode": "wish"},
        {"interpolation": "cubic"},
        {"stacks": "/no/such/folder"},
    ],
)
def test_unknown_options_are_refused(stacks: StackSet, options: dict[str, Any]) -> None:
    with pytest.raises(AfsimError, match=str(next(iter(options.values())))):
        AutofocusEnv(**{"stacks": stacks, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 2.5}, "steps must be a whole number, got 2.5"),
        ({"steps": True}, "steps must be a whole number, got True"),
        ({"declare": "no"}, "declare must be True or False, got 'no'"),
        ({"lens": None}, "lens must be a preset's name or a Lens, got None"),
        ({"sensor": None}, "sensor must be a preset's name or a Sensor, got None"),
        ({"timing": 33.3}, "timing must be a preset's name or a Timing, got 33.3"),
    ],
)
def test_options_of_the_wrong_kind_are_refused_by_name(
    stacks: StackSet, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AfsimError, match=message):
        AutofocusEnv(**{"stacks": stacks, **options})


def test_stacks_without_labels_need_a_reward_without(unlabelled_stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="label"):
        AutofocusEnv(stacks=unlabelled_stacks)
    env = AutofocusEnv(stacks=unlabelled_stacks, reward="sharpness")
    check_info = play(env, 1)[-1][4]
    assert list(check_info) == list(INFO_FIELDS)
    assert not check_info["labelled"]
    assert np.isnan(check_info["error"])


def test_a_picture_shows_the_truth_only_on_request(stacks: StackSet) -> None:
    frames = {}
    for shown in (False, True):
        for truth in (1, 4):  # stacks of which the first image is made equal by choosing the same start
            env = AutofocusEnv(stacks=stacks.select([truth]), render_mode="rgb_array", render_truth=shown)
            env.reset(seed=0, options={"start": 3})
            env._trail._images[0] = np.zeros((2, 8, 8), np.float32)  # type: ignore[union-attr]
            env._trail._sharpness[0] = [1.0]  # type: ignore[union-attr]
            frames[shown, truth] = env.render()
    assert frames[False, 1].dtype == np.uint8
    np.testing.assert_array_equal(frames[False, 1], frames[False, 4])
    assert (frames[True, 1] != frames[True, 4]).any()


def test_a_picture_follows_the_episode(stacks: StackSet) -> None:
    env = AutofocusEnv(stacks=stacks, render_mode="rgb_array")
    env.reset(seed=0, options={"stack": 0, "start": 3})
    first = env.render()
    env.step(8)
    assert (env.render() != first).any()
    env.reset(options={"stack": 0, "start": 3})
    np.testing.assert_array_equal(env.render(), first)
