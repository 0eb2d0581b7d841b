"""The search for hyper-parameters: a study that stops, goes on, and keeps the best agent."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afsim import cli
from afsim.agentfile import read_record
from afsim.errors import AfsimError, StoreError
from afsim.experiments import search_rl
from afsim.experiments.search_rl import SearchRlConfig, run_search
from afsim.experiments.train_rl import run
from afsim.stackset import StackSet
from tests.conftest import make_stack

optuna = pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("search")
    for name, seed in (("train", 0), ("validation", 50)):
        truths = np.random.default_rng(seed).uniform(0.5, 10.5, 12)
        StackSet.from_stacks(
            make_stack(truth, seed=seed + i, size=40, views=1, name=f"{name}-{i}") for i, truth in enumerate(truths)
        ).save(path / name)
    return path


@pytest.fixture(autouse=True)
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cache").mkdir(exist_ok=True)
    monkeypatch.setenv("AFSIM_CACHE", str(folder / "cache"))


def config_of(folder: Path, **options: Any) -> SearchRlConfig:
    usual: dict[str, Any] = {
        "out": folder / "best.zip",
        "sight": "contrast",
        "steps": (2,),
        "timesteps": 600,
        "lanes": 8,
        "validate_every": 300,
        "hyper": "n_steps=8,batch_size=32",
        "study": folder / "study.sqlite",
        "trials": 3,
        "quiet": True,
    }
    return SearchRlConfig(folder / "train", folder / "validation", **(usual | options))


def test_it_stops_goes_on_and_keeps_the_best(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(folder)
    train, begun = run, list[Any]()

    def stopping(*given: Any, **options: Any) -> Any:
        begun.append(given)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return train(*given, **options)

    with monkeypatch.context() as patched:
        patched.setattr(search_rl, "run", stopping)
        with pytest.raises(KeyboardInterrupt):
            run_search(config)
    assert config.study.is_file()
    with pytest.raises(StoreError, match="is there already: --resume goes on with it"):
        run_search(config)
    study = run_search(replace(config, resume=True))
    ended = [trial for trial in study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(ended) == 3
    assert [trial.state.name for trial in study.trials].count("FAIL") == 1
    assert len({trial.params["learning_rate"] for trial in study.trials}) == 4  # nothing is proposed twice
    record = read_record(config.out)
    best = study.best_trial
    assert max(row["return"] for row in record.training["log"]) == best.value
    assert record.training["hyper"] == best.user_attrs["hyper"]
    assert record.training["hyper"].startswith("n_steps=8,batch_size=32,learning_rate=")
    assert record.training["command"].startswith("afsim train rl")
    assert config.out.with_suffix(".csv").is_file()
    assert len(run_search(replace(config, resume=True)).trials) == 4  # nothing is left to do
    with pytest.raises(StoreError, match="is a study of trainings with another reward, timesteps"):
        run_search(replace(config, resume=True, timesteps=900, reward="final"))


def test_what_is_behind_is_broken_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    returns = iter([[0.5, 0.6]] * 4 + [[0.1, 0.9]])
    told: list[int] = []

    def training(config: Any, judge: Any) -> Any:
        rows: list[dict[str, float]] = []
        for place, value in enumerate(next(returns)):
            rows.append({"timesteps": place, "return": value})
            told.append(place)
            judge(rows)
        config.out.write_bytes(b"agent")
        config.out.with_suffix(".csv").write_bytes(b"log")
        record = type("Record", (), {"training": {"log": rows}})
        return type("Agent", (), {"record": record})

    monkeypatch.setattr(search_rl, "run", training)
    out = folder / "broken" / "best.zip"
    study = run_search(config_of(folder, study=folder / "broken.sqlite", trials=5, out=out))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 4 + ["PRUNED"]
    assert told == [0, 1] * 4 + [0]
    assert study.best_trial.number == 0
    assert out.read_bytes() == b"agent"


def test_other_files_and_options_are_refused(folder: Path) -> None:
    with pytest.raises(AfsimError, match="trials must be at least 1"):
        run_search(config_of(folder, trials=0))
    with pytest.raises(StoreError, match=r"there is no study .*none\.sqlite"):
        run_search(config_of(folder, study=folder / "none.sqlite", resume=True))
    text = folder / "text.sqlite"
    text.write_text("no study, but long enough that it could be one" * 99)
    with pytest.raises(StoreError, match=r"text\.sqlite cannot be read as a study"):
        run_search(config_of(folder, study=text, resume=True))
    assert text.read_text().startswith("no study")


def test_the_command_tells_what_was_tried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"search rl --stacks {folder / 'train'} --validation {folder / 'validation'} --out {folder / 'cli.zip'}"
    options = f"--study {folder / 'cli.sqlite'} --trials 1 --sight contrast --steps 2 --timesteps 200 --lanes 8"
    assert cli.main([*words.split(), *options.split(), "--hyper", "n_steps=8,batch_size=32"]) == 0
    said = capsys.readouterr().out
    assert "complete" in said
    assert "learning_rate=" in said
    assert (folder / "cli.zip").is_file()
