"""Training agents: a tiny one learns, goes on where it was stopped, and plays in the seat as in its environment."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from stable_baselines3.common.base_class import BaseAlgorithm

from afsim import cli
from afsim.agentfile import load_agent, read_record
from afsim.camera import Camera
from afsim.errors import AfsimError, StoreError, UnsuitableError
from afsim.experiments.agent_ground import validate
from afsim.experiments.train_rl import TrainRlConfig, run
from afsim.policies import make
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.task import FocusTask
from tests.conftest import make_stack
from tests.seating import ends_in
from tests.test_agentfile import CONTRIBUTED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two sets and a cache."""
    path = tmp_path_factory.mktemp("agents")
    for name, seed in (("train", 0), ("validation", 50)):
        truths = np.random.default_rng(seed).uniform(0.5, 10.5, 24)
        StackSet.from_stacks(
            make_stack(truth, seed=seed + i, size=40, views=1, name=f"{name}-{i}") for i, truth in enumerate(truths)
        ).save(path / name)
    return path


@pytest.fixture(scope="module", autouse=True)
def cache(folder: Path) -> Any:
    (folder / "cache").mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AFSIM_CACHE", str(folder / "cache"))
        yield


def config_of(folder: Path, **options: Any) -> TrainRlConfig:
    usual: dict[str, Any] = {
        "out": folder / "agent.zip",
        "sight": "contrast",
        "steps": (3,),
        "timesteps": 40_000,
        "lanes": 16,
        "validate_every": 20_000,
        "quiet": True,
    }
    return TrainRlConfig(folder / "train", folder / "validation", **(usual | options))


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    """Return a tiny PPO agent's file, trained for a few seconds."""
    run(config_of(folder))
    return folder / "agent.zip"


def test_a_tiny_agent_beats_chance_by_a_margin(trained: Path) -> None:
    found = read_record(trained).metrics
    chance = 2 / 12  # one index and its neighbours, a little less at the ends
    assert found["success"] > chance + 0.2
    assert found["exact MAE"] < 2.0  # going anywhere: about 4
    log = trained.with_suffix(".csv").read_text(encoding="utf-8").splitlines()
    assert log[0] == "timesteps,return,success,declared,wrong,exact MAE,steps,time_ms"
    assert len(log) == 3
    assert not trained.with_suffix(".checkpoint.zip").exists()


def test_in_its_seat_it_plays_as_in_its_environment(folder: Path, trained: Path) -> None:
    stacks = StackSet.open(folder / "validation")
    camera = Camera(stacks)
    task = FocusTask(camera, budget=3, reward="none")
    arena = Arena(camera, starts=[0, 5, 11])
    episodes = arena.play(make(f"rl:{trained}", task.spec), task)
    agent = load_agent(trained)
    config = config_of(folder)
    env = config.environment(config.ground(folder / "validation"), 0, len(arena.stack))
    ends = ends_in(env, agent, arena)
    np.testing.assert_array_equal(episodes.positions[:, -1], ends)
    success = np.abs(episodes.positions[:, -1] - stacks.truth[episodes.stack]) <= 1
    assert success.mean() > 0.35


def test_training_again_with_the_same_seed_gives_the_same_agent(folder: Path) -> None:
    logs = []
    for seed in (0, 0, 1):
        run(config_of(folder, out=folder / "again.zip", timesteps=3_000, validate_every=1_000, seed=seed))
        logs.append((folder / "again.csv").read_text(encoding="utf-8").splitlines())
    assert len(logs[0]) == 4
    assert logs[0] == logs[1] != logs[2]


def test_it_goes_on_from_its_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(folder, out=folder / "stopped.zip", timesteps=6_000, validate_every=2_000)
    learn = BaseAlgorithm.save
    saves = []

    def stopping(self: Any, *given: Any, **options: Any) -> None:
        learn(self, *given, **options)
        saves.append(self.num_timesteps)
        if len(saves) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(BaseAlgorithm, "save", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(config)
    checkpoint = folder / "stopped.checkpoint.zip"
    assert read_record(checkpoint).training["log"][-1]["timesteps"] == saves[0]
    agent = run(replace(config, resume=True))
    log = agent.record.training["log"]
    assert log[0]["timesteps"] == saves[0]
    assert max(row["timesteps"] for row in log) <= 7_000
    assert not checkpoint.exists()
    with pytest.raises(StoreError, match="no checkpoint"):
        run(replace(config, resume=True))


def test_a_checkpoint_of_another_training_is_refused(folder: Path, trained: Path) -> None:
    checkpoint = folder / "other.checkpoint.zip"
    checkpoint.write_bytes(trained.read_bytes())
    with pytest.raises(AfsimError, match="was trained with reward 'success', got 'final'"):
        run(config_of(folder, out=folder / "other.zip", reward="final", resume=True))
    assert checkpoint.exists()


@pytest.mark.parametrize("algorithm", ["dqn", "qrdqn", "recurrent_ppo"])
def test_every_algorithm_trains_and_plays(folder: Path, algorithm: str) -> None:
    if algorithm in CONTRIBUTED:
        pytest.importorskip("sb3_contrib")
    out = folder / f"{algorithm}.zip"
    agent = run(config_of(folder, out=out, algo=algorithm, timesteps=12_000, lanes=16, lens="ideal/worn_warm"))
    assert agent.model.num_timesteps >= 12_000
    assert agent.model._n_updates > 0
    task = FocusTask(Camera(StackSet.open(folder / "validation")), budget=3, reward="none")
    episodes = Arena(task.camera, starts=[3]).play(make(f"rl:{out}", task.spec), task)
    np.testing.assert_array_equal(episodes.length, episodes.observations)
    assert episodes.positions.shape == (24, 4)


def test_validation_is_the_same_each_time_and_knows_a_perfect_agent(folder: Path) -> None:
    config = config_of(folder, steps=(3,), reward="success,step=0.1")
    ground = config.ground(folder / "validation")
    env = config.environment(ground, 0, 40)

    class Knowing:
        def predict(self, observation: Any, state: Any, starts: Any, deterministic: bool) -> Any:
            games = [cast(Any, part.unwrapped)._replay.state.lanes for part in env.parts]
            lanes = np.concatenate(games)
            wanted = np.rint(ground.stacks.truth[lanes["stack"]])
            return (wanted - lanes["command"] + 11).astype(np.int64), None

    found = validate(Knowing(), env)
    assert found == validate(Knowing(), env)
    assert found["success"] == found["declared"] == 1.0
    assert found["wrong"] == 0.0
    assert 0.5 < found["steps"] <= 1.0
    # In focus and declared, less one step and four times the rounding.
    assert found["return"] == pytest.approx(1.5 - 0.1 * found["steps"] - 4 * found["exact MAE"] / 11)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algo": "sac"}, "unknown algorithm 'sac'"),
        ({"sight": "smell"}, "unknown sight 'smell'"),
        ({"reward": "applause"}, "unknown reward preset 'applause'"),
        ({"lens": "rubber"}, "unknown lens preset 'rubber'"),
        ({"lanes": 1, "steps": (2, 3)}, "lanes must be at least 2, one for each camera and budget"),
        ({"timesteps": 0}, "timesteps must be at least 1"),
        ({"steps": (0,)}, "steps must be at least 1"),
        ({"out": Path("agent.pt")}, "must end in .zip"),
    ],
)
def test_wrong_configurations_are_refused_before_anything_is_written(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(AfsimError, match=message):
        run(config_of(folder, **options))
    assert sorted(folder.rglob("*")) == before


def test_an_agent_is_for_stacks_like_its_own(folder: Path, trained: Path) -> None:
    for stack in (make_stack(n=9, size=40, views=1), make_stack(size=40)):
        spec = FocusTask(Camera(StackSet.from_stacks([stack]))).spec
        with pytest.raises(UnsuitableError, match="is for stacks of"):
            make(f"rl:{trained}", spec)


def test_the_command_trains_and_says_what_was_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"train rl --stacks {folder / 'train'} --validation {folder / 'validation'} --out {folder / 'cli.zip'}"
    options = "--sight contrast --steps 2 --timesteps 600 --lanes 8 --validate-every 300 --reward success,step=0"
    assert cli.main([*words.split(), *options.split()]) == 0
    assert "success" in capsys.readouterr().out
    assert read_record(folder / "cli.zip").training["reward"] == "success,step=0"
