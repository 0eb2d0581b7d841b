"""Networks of several slices in the seat: they say what the networks say of all that was seen."""

from pathlib import Path

import numpy as np
import pytest
import torch

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.modelfile import ModelRecord, load, save
from afsim.modelkinds import model_kind
from afsim.networkinput import observe, observe_stacks
from afsim.networks import Config, OneHotConfig, infer, make_network
from afsim.policies import make
from afsim.policies.learned_steps import LearnedD1Steps, LearnedDStar
from afsim.policy import Status
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.task import FocusTask, Observation
from tests.conftest import make_stack
from tests.seating import tiny_network

N = 12


def stored(folder: Path, name: str, config: Config, *, temperature: float = 1.0) -> Path:
    """Store an untrained network."""
    path = folder / f"{name}.safetensors"
    record = ModelRecord("none", 0, {"temperature": temperature}, {"model": name})
    save(make_network(config, len(name)), path, record)
    return path


def files(folder: Path, family: str, steps: int) -> list[Path]:
    """Return the files of networks for so many steps."""
    names = ["d1", *(f"d1-{step}step" for step in range(2, steps + 1))]
    if family == "compact":
        return [tiny_network(name, N) for name in names]
    return [stored(folder, name, OneHotConfig(n=N, width=0.1)) for name in names]


@pytest.mark.parametrize("family", ["compact", "one-hot"])
def test_each_step_is_its_networks_answer_to_all_slices_so_far(
    family: str, stacks: StackSet, tmp_path: Path
) -> None:
    paths = files(tmp_path, family, 3)
    task = FocusTask(Camera(stacks), budget=3, reward="none")
    policy = make(f"learned-d1-2step:{'+'.join(map(str, paths))}", task.spec)
    arena = Arena(task.camera, starts=[0, 4, 11])
    episodes = arena.play(policy, task)
    networks = [load(path).network for path in paths]
    for lane in range(0, len(episodes.stack), 4):
        stack = stacks[int(episodes.stack[lane])]
        commands = episodes.commands[lane].astype(int)
        for step, network in enumerate(networks):
            path = commands[: step + 1]
            seen = np.array(list(dict.fromkeys(path[::-1]))[::-1])
            region = stacks.regions[int(episodes.stack[lane])][None]
            observations = observe(stack.normalized()[seen], seen, region, N, lanes=np.zeros(len(seen), int))
            logits = infer(network, observations)[0]
            chosen = commands[step + 1]
            assert logits[chosen] >= logits.max() - 1e-4


@pytest.mark.parametrize("family", ["compact", "one-hot"])
def test_a_whole_stack_is_judged_as_by_its_network(family: str, stacks: StackSet, tmp_path: Path) -> None:
    config = OneHotConfig(n=N, width=0.1)
    path = tiny_network("d-star", N) if family == "compact" else stored(tmp_path, "d-star", config, temperature=2.0)
    task = FocusTask(Camera(stacks), budget=1, reward="none")
    policy = make(f"learned-d-star:{path}", task.spec)
    assert isinstance(policy, LearnedDStar)
    arena = Arena(task.camera, starts=[2, 9])
    episodes = arena.play(policy, task)
    images = np.stack([stacks[i].normalized() for i in range(len(stacks))])
    model = load(path)
    logits = infer(model.network, observe_stacks(images, stacks.regions)).double()
    expected = torch.softmax(logits / model.record.metrics.get("temperature", 1.0), dim=1).numpy()
    picked = episodes.commands[:, -1].astype(int)
    assert (logits.numpy()[episodes.stack, picked] >= logits.max(dim=1).values.numpy()[episodes.stack] - 1e-4).all()
    padded = np.pad(expected, ((0, 0), (1, 1)))[episodes.stack]
    lanes = np.arange(len(picked))
    near = sum(padded[lanes, picked + shift] for shift in range(3))
    np.testing.assert_allclose(episodes.confidence, near, rtol=1e-4)
    assert (episodes.status[:, -1] == Status.FOCUSED).all()
    assert episodes.whole_stack


def test_large_contributions_are_not_kept(
    stacks: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = FocusTask(Camera(stacks), budget=2, reward="none")
    options = {"model": ",".join(str(tiny_network(name, N)) for name in ("d1", "d1-2step"))}
    arena = Arena(task.camera, starts=[0, 5])
    kept = arena.play(LearnedD1Steps(task.spec, **options), task)
    monkeypatch.setattr("afsim.rollout._MOST_KEPT_BYTES", 100)
    monkeypatch.setattr(Arena, "features", None)
    unkept = Arena(task.camera, starts=[0, 5]).play(LearnedD1Steps(task.spec, **options), task)
    assert np.array_equal(kept.commands, unkept.commands)


def test_a_slice_seen_again_tells_nothing_new() -> None:
    spec = FocusTask(Camera(StackSet.from_stacks([make_stack(5.0, n=N)])), budget=4, reward="none").spec
    policy = LearnedD1Steps(spec, model=",".join(str(tiny_network(name, N)) for name in ("d1", "d1-2step")))
    said = np.random.default_rng(0).normal(size=(2, policy.feature_size)).astype(np.float32)
    memory = policy.begin(np.zeros(2, np.uint64), None)  # type: ignore[arg-type]
    observation: Observation = {"command": np.array([[3.0], [7.0]]) / (N - 1), "steps_left": np.ones((2, 1))}
    _, once = policy.decide(said, observation, memory)
    _, twice = policy.decide(said + 1.0, observation, once)
    assert np.array_equal(once.evidence, twice.evidence)
    assert twice.looks.tolist() == [2, 2]
    assert twice.seen.sum(axis=1).tolist() == [1, 1]


def test_files_must_be_of_the_steps_in_order(stacks: StackSet) -> None:
    spec = FocusTask(Camera(stacks), reward="none").spec
    one, two, three = (str(tiny_network(name, N)) for name in ("d1", "d1-2step", "d1-3step"))
    assert make(f"learned-d1-2step:{one}+{two}+{three}", spec).kinds == ("d1", "d1-2step", "d1-3step")  # type: ignore[attr-defined]
    with pytest.raises(AfsimError, match="expected two files or more"):
        make(f"learned-d1-2step:{one}", spec)
    with pytest.raises(AfsimError, match="is the model d1-3step, expected d1-2step"):
        make(f"learned-d1-2step:{one}+{three}", spec)
    assert model_kind("d1-3step").previous == ("d1", "d1-2step")
