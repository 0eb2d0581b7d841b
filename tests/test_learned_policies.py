"""Trained networks in the seat: what they are read from, what they say, and that it depends on nothing else."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from afsim.camera import Camera
from afsim.errors import AfsimError, StoreError, UnsuitableError
from afsim.modelfile import ModelRecord, load, save
from afsim.modelkinds import model_kind, shipped_model
from afsim.networkinput import observe
from afsim.networks import CompactConfig, infer, make_network
from afsim.policies import LearnedD1, LearnedI1, make
from afsim.policy import Status
from afsim.rollout import Arena
from afsim.sets import open_demo
from afsim.stackset import StackSet
from afsim.task import FocusTask

SHIPPED = ["d1", "i1", "d1-2step", "i1-2step", "d-star", "i-star"]


@pytest.fixture(scope="module")
def stacks() -> StackSet:
    """Return two of the demo's stacks."""
    return open_demo()[:2]


@pytest.fixture(scope="module")
def task(stacks: StackSet) -> FocusTask:
    """Return a game of two steps."""
    return FocusTask(Camera(stacks), budget=2, reward="none")


def stored(folder: Path, kind: str = "d1", *, n: int = 49, views: int = 2, seed: int = 0) -> str:
    """Store a tiny network."""
    path = folder / f"{kind}-{n}-{seed}.safetensors"
    network = make_network(CompactConfig(n=n, views=views, width=0.1, features=16, hidden=16), seed)
    save(network, path, ModelRecord("set", 0, training={"model": kind}))
    return str(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_networks_say_what_they_are(name: str) -> None:
    model = load(shipped_model(name))
    assert model.record.training["model"] == name
    assert model.network.config.views == model_kind(name).views
    assert model.record.metrics["exact MAE"] < 2.6
    assert str(model.record.training["command"]).startswith(f"afsim train {name} --stacks bench-train")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_networks_focus_the_demo(name: str, stacks: StackSet, task: FocusTask) -> None:
    arena = Arena(task.camera, starts=range(0, 49, 8))
    episodes = arena.play(make(f"learned-{name}", task.spec), task)
    error = np.abs(episodes.positions[:, -1] - stacks.truth[episodes.stack])
    start = np.abs(episodes.positions[:, 0] - stacks.truth[episodes.stack])
    assert error.mean() < 0.2 * start.mean()


def test_what_a_network_says_is_a_distribution_and_does_not_depend_on_the_batch(task: FocusTask) -> None:
    policy = make("learned-d1", task.spec)
    assert isinstance(policy, LearnedD1)
    images = np.random.default_rng(0).uniform(size=(3, 2, 128, 128)).astype(np.float32)
    command, region = np.array([3.0, 20.0, 48.0]), np.zeros((3, 2))
    together = policy.features(images, command, region)
    assert together.shape == (3, 49)
    np.testing.assert_allclose(together.sum(axis=1), 1.0, atol=1e-9)
    alone = policy.features(images[1:2], command[1:2], region[1:2])
    assert np.array_equal(alone[0], together[1])
    model = load(shipped_model("d1"))
    logits = infer(model.network, observe(images[1:2], command[1:2], region[1:2], 49)).double()
    expected = torch.softmax(logits / model.record.metrics["temperature"], dim=1)
    np.testing.assert_allclose(alone, expected, atol=1e-5)


def test_it_goes_to_the_most_probable_index_and_says_how_sure_it_is(task: FocusTask) -> None:
    policy = make("learned-d1", task.spec)
    shares = np.full((3, 49), 0.2 / 46)
    shares[:, 29:32] = (0.2, 0.4, 0.2)
    shares[2] = 1.0 / 49  # the first of equals, at the end of the range
    observation = {
        "command": np.array([[30.0], [3.0], [0.0]]) / 48,
        "region": np.zeros((3, 2)),
        "steps_left": np.ones((3, 1)),
    }
    command, memory = policy.decide(shares, observation, policy.begin(np.zeros(3, np.uint64), None))  # type: ignore[arg-type]
    assert command.tolist() == [30.0, 30.0, 0.0]
    assert memory.status.tolist() == [Status.FOCUSED, Status.SEARCHING, Status.SEARCHING]
    np.testing.assert_allclose(memory.confidence, [0.8, 0.8, 2 / 49], rtol=1e-6)


def test_it_sees_a_slice_once_and_plays_as_from_images(stacks: StackSet, tmp_path: Path) -> None:
    camera = Camera(stacks)
    game = FocusTask(camera, budget=3, reward="none")
    policy = LearnedD1(game.spec, model=stored(tmp_path))
    calls: list[int] = []

    class Counting(LearnedD1):
        def features(self, image, command, region):  # type: ignore[no-untyped-def]
            calls.append(len(image))
            return super().features(image, command, region)

    arena = Arena(camera, starts=[0, 20, 40])
    kept = arena.play(Counting(game.spec, model=policy.model), game)
    assert sum(calls) == 2 * 49
    from_images = arena.play(_Foreign(policy), game)  # sees the images of an environment
    assert np.array_equal(kept.commands, from_images.commands)


class _Foreign:
    """A policy behind nothing but SB3's signature."""

    def __init__(self, policy: LearnedD1 | LearnedI1) -> None:
        self.predict = policy.predict


def test_files_tell_networks_apart(task: FocusTask, tmp_path: Path) -> None:
    one, other = (make(f"learned-d1:{stored(tmp_path, seed=seed)}", task.spec) for seed in (0, 1))
    assert one.feature_key != other.feature_key
    twin = pickle.loads(pickle.dumps(copy.deepcopy(one)))
    assert twin == one


def test_green_networks_take_both_views_summed(task: FocusTask) -> None:
    policy = make("learned-i1", task.spec)
    assert isinstance(policy, LearnedI1)
    images = np.random.default_rng(1).uniform(size=(1, 2, 128, 128)).astype(np.float32)
    command, region = np.array([12.0]), np.zeros((1, 2))
    both = policy.features(images, command, region)
    green = policy.features(images.mean(axis=1, keepdims=True), command, region)
    np.testing.assert_allclose(both, green, atol=1e-6)
    assert np.array_equal(policy.features(images[:, ::-1].copy(), command, region), both)


def test_what_does_not_fit_is_refused(task: FocusTask, tmp_path: Path) -> None:
    with pytest.raises(AfsimError, match="is the model i1, expected d1"):
        make(f"learned-d1:{stored(tmp_path, 'i1', views=1)}", task.spec)
    with pytest.raises(UnsuitableError, match="stacks of 9 slices, but these have 49"):
        make(f"learned-d1:{stored(tmp_path, n=9)}", task.spec)
    with pytest.raises(StoreError, match="no model file"):
        make(f"learned-d1:{tmp_path / 'none.safetensors'}", task.spec)
    with pytest.raises(AfsimError, match=r"no network d1-3step is shipped \(there are: d-star, d1, d1-2step"):
        shipped_model("d1-3step")
