"""Agents that learn from pixels: what they see, their network, and that their seat shows them the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from afsim.agentfile import ALGORITHMS, load_agent
from afsim.agentrecipe import agent_recipe, changes_of, hyperparameters, replay_size
from afsim.camera import Camera
from afsim.envs import AutofocusEnv, FeatureVector, LastObservations
from afsim.errors import AfsimError, UnsuitableError
from afsim.experiments.train_rl import TrainRlConfig, run
from afsim.policies import make
from afsim.recollection import RecentRecall, recall_of
from afsim.rollout import Arena
from afsim.sight import PixelSight, make_sight
from afsim.sliceextractor import SliceExtractor
from afsim.stackset import StackSet
from afsim.task import FocusTask
from tests.conftest import make_stack
from tests.seating import ends_in
from tests.test_agentfile import CONTRIBUTED

LAST = 11


def stacks_of(seed: int, count: int = 12, **options: Any) -> StackSet:
    truths = np.random.default_rng(seed).uniform(0.5, 10.5, count)
    return StackSet.from_stacks(
        make_stack(truth, seed=seed + i, size=40, **options) for i, truth in enumerate(truths)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pixels")
    for name, seed in (("train", 0), ("validation", 50)):
        stacks_of(seed).save(path / name)
    return path


def config_of(folder: Path, **options: Any) -> TrainRlConfig:
    usual: dict[str, Any] = {
        "out": folder / "agent.zip",
        "sight": "pixels:2",
        "steps": (2, 3),
        "timesteps": 256,
        "lanes": 16,
        "validate_every": 128,
        "quiet": True,
    }
    return TrainRlConfig(folder / "train", folder / "validation", **(usual | options))


def test_the_sight_of_pixels_is_the_last_observations_in_eight_bits() -> None:
    stacks = stacks_of(3, 2)
    one = FeatureVector(AutofocusEnv(stacks=stacks, image_kind="uint8"), "pixels:2")
    other = LastObservations(AutofocusEnv(stacks=stacks, image_kind="uint8"), 2)
    from_float = FeatureVector(AutofocusEnv(stacks=stacks), "pixels:2")
    assert isinstance(one.observation_space, spaces.Dict)
    assert isinstance(other.observation_space, spaces.Dict)
    for name in ("image", "command", "region"):
        assert one.observation_space[name] == other.observation_space[name]
    assert from_float.observation_space == one.observation_space
    returned = [env.reset(seed=5)[0] for env in (one, other, from_float)]
    for action in (3, 9, 4):
        for name, wanted in returned[1].items():
            if name == "steps_left":
                np.testing.assert_allclose(returned[0][name], 1 / wanted)
                continue
            np.testing.assert_array_equal(returned[0][name], wanted)
            # Pixels that lie between two levels may be rounded either way.
            apart = np.abs(returned[2][name].astype(np.float64) - wanted)
            assert apart.max() <= 1
            assert np.mean(apart > 0) < 0.01
        assert returned[0] in one.observation_space
        returned = [env.step(action)[0] for env in (one, other, from_float)]


@pytest.mark.parametrize("views", [1, 2])
def test_the_network_takes_each_slice_alone_and_none_that_was_not_seen(views: int) -> None:
    space = spaces.Dict(
        {
            "image": spaces.Box(0, 255, (2 * views, 40, 48), np.uint8),
            "command": spaces.Box(-1.0, 1.0, (2,), np.float32),
            "region": spaces.Box(-1.0, 1.0, (2,), np.float32),
            "steps_left": spaces.Box(0.0, 1.0, (1,), np.float32),
        }
    )
    torch.manual_seed(0)
    network = SliceExtractor(space, size=8)
    images = torch.rand(3, 2, views, 40, 48)
    seen = {
        "image": images.flatten(1, 2),
        "command": torch.tensor([[0.25, 0.5], [-1.0, 0.5], [0.5, 0.25]]),
        "region": torch.tensor([[0.1, -0.2]]).repeat(3, 1),
        "steps_left": torch.full((3, 1), 0.4),
    }
    told = network(seen)
    assert told.shape == (3, network.features_dim) == (3, 21)
    swapped = {**seen, "image": images.flip(1).flatten(1, 2), "command": seen["command"].flip(1)}
    torch.testing.assert_close(network(swapped)[[0, 2], :8], told[[0, 2], 8:16])
    assert (told[1, :8] == 0).all()
    assert (told[0, :16] > 0).any()
    torch.testing.assert_close(told[0, 16:], torch.tensor([0.25, 0.5, 0.1, -0.2, 0.4]))
    # Brightness alone tells nothing.
    torch.testing.assert_close(network({**seen, "image": seen["image"] / 2})[0], told[0], atol=1e-5, rtol=1e-4)


def test_in_its_seat_it_sees_what_it_learned_from(folder: Path) -> None:
    config = config_of(folder, imitation=256, sensor="none+dim", lens="ideal+worn_warm")
    run(config)
    log = config.out.with_suffix(".csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [float(row.split(",")[0]) for row in log] == [0, 512]  # one rollout of 32 steps
    agent = load_agent(config.out)
    task = FocusTask(Camera(StackSet.open(folder / "validation")), budget=3, reward="none")
    arena = Arena(task.camera, starts=[0, 5, 11])
    episodes = arena.play(make(f"rl:{config.out}", task.spec), task)
    plain = config_of(folder, steps=(3,))
    env = plain.environment(plain.ground(folder / "validation"), 0, len(arena.stack))
    ends = ends_in(env, agent, arena)
    # Of rounding to eight bits: an action that is as good as another may turn.
    assert np.mean(episodes.positions[:, -1] == ends) > 0.9
    assert len(np.unique(ends)) > 1
    other = FocusTask(Camera(StackSet.from_stacks([make_stack(size=48)]))).spec
    with pytest.raises(UnsuitableError, match="was trained on images of 40 x 40 pixels, but these have 48 x 48"):
        make(f"rl:{config.out}", other)


@pytest.mark.parametrize("algorithm", ["dqn", "qrdqn", "recurrent_ppo"])
def test_other_algorithms_learn_from_pixels_too(folder: Path, algorithm: str) -> None:
    if algorithm in CONTRIBUTED:
        pytest.importorskip("sb3_contrib")
    hyper = "learning_starts=32" if "dqn" in algorithm else "n_steps=8"
    config = config_of(folder, algo=algorithm, out=folder / f"{algorithm}.zip", hyper=hyper, sight="pixels:1")
    agent = run(config)
    assert agent.model._n_updates > 0
    spec = FocusTask(Camera(stacks_of(9, 2))).spec
    action, _ = make(f"rl:{config.out}", spec).predict(AutofocusEnv(stacks=stacks_of(9, 2)).reset(seed=0)[0])
    assert 0 <= int(action) <= LAST


def test_buffers_and_batches_are_what_memory_has_room_for() -> None:
    spec = FocusTask(Camera(stacks_of(1, 1))).spec
    recall = recall_of(make_sight("pixels", spec), spec)
    assert isinstance(recall, RecentRecall)
    large = spaces.Dict({"image": spaces.Box(0, 255, (6, 128, 128), np.uint8)})
    assert replay_size(large) == 2**29 // (2 * 6 * 128 * 128)
    numbers = hyperparameters("ppo", recall, large, 256, {})
    assert numbers["n_steps"] * 256 * 6 * 128 * 128 <= 2**29
    for algorithm in ALGORITHMS:
        assert "MultiInput" in agent_recipe(algorithm, recall, large, 8)["policy"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate", "must be NAME=NUMBER"),
        ("gamma=1,gamma=0.9", "each once"),
        ("gamma=one", "expected a number, got 'one'"),
        ("luck=1", "unknown hyper-parameter 'luck'"),
        ("n_epochs=1.5", "n_epochs must be a whole number"),
        ("gamma=-1", "gamma must be at least 0"),
    ],
)
def test_wrong_changes_are_refused(text: str, message: str) -> None:
    spec = FocusTask(Camera(stacks_of(1, 1))).spec
    recall, space = recall_of(PixelSight(), spec), spaces.Box(0, 255, (2, 40, 40), np.uint8)
    with pytest.raises(AfsimError, match=message):
        agent_recipe("ppo", recall, space, 8, changes_of(text))


def test_changes_come_through() -> None:
    spec = FocusTask(Camera(stacks_of(1, 1))).spec
    recall, space = recall_of(PixelSight(), spec), spaces.Box(0, 255, (2, 40, 40), np.uint8)
    recipe = agent_recipe("ppo", recall, space, 8, changes_of("units=32, n_epochs=1, learning_rate=0.002"))
    assert recipe["policy_kwargs"]["net_arch"] == [32, 32]
    assert recipe["n_epochs"] == 1
    assert recipe["learning_rate"](1.0) == pytest.approx(0.002)
    assert recipe["learning_rate"](0.25) == pytest.approx(0.0005)


@pytest.mark.parametrize(
    ("sight", "message"), [("pixels:none", "expected a whole number, got 'none'"), ("pixels:0", "at least 1")]
)
def test_sights_of_no_slices_are_refused(sight: str, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make_sight(sight, FocusTask(Camera(stacks_of(1, 1))).spec)
