"""Files of agents: what is stored comes back, and what is no agent is refused before anything is unpickled."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afsim.agentfile import ALGORITHMS, Agent, algorithm_class, finish, load_agent, read_record, save_agent
from afsim.errors import AfsimError, StoreError
from tests.seating import tiny_agent

CONTRIBUTED = [name for name, (package, _) in ALGORITHMS.items() if package == "sb3_contrib"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_agent_comes_back_as_it_was(algorithm: str, tmp_path: Path) -> None:
    if algorithm in CONTRIBUTED:
        pytest.importorskip("sb3_contrib")
    agent = load_agent(tiny_agent(7, 1, algorithm))
    vectors = np.array([agent.model.observation_space.sample() for _ in range(20)])
    wanted = agent.model.predict(vectors, deterministic=True)[0]
    record = replace(agent.record, metrics={"success": 0.5}, training={"command": "afsim train rl"})
    save_agent(finish(Agent(agent.model, record)), tmp_path / "again.zip")
    again = load_agent(tmp_path / "again.zip")
    assert again.record == read_record(tmp_path / "again.zip") == record
    np.testing.assert_array_equal(again.model.predict(vectors, deterministic=True)[0], wanted)


def changed(path: Path, entry: str) -> Path:
    """Write a copy of an agent's file with another record."""
    with zipfile.ZipFile(tiny_agent(7, 1)) as archive, zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            copy.writestr(name, entry if name == "afsim.json" else archive.read(name))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version 2 of the format, expected 1: made by a newer afsim"),
        ({"format": "other"}, "no agent of ours"),
        ({"colour": "red"}, "colour"),
        ({"algorithm": "luck"}, "'luck', expected one of ppo"),
    ],
)
def test_records_of_another_form_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with zipfile.ZipFile(tiny_agent(7, 1)) as archive:
        told = json.loads(archive.read("afsim.json")) | changes
    with pytest.raises(StoreError, match=message):
        load_agent(changed(tmp_path / "agent.zip", json.dumps(told)))


def test_files_that_are_no_agents_are_refused_with_their_name(tmp_path: Path) -> None:
    path = tmp_path / "agent.zip"
    with pytest.raises(StoreError, match=r"agent\.zip"):
        load_agent(path)
    path.write_bytes(b"no zip")
    with pytest.raises(StoreError, match=r"agent\.zip cannot be read"):
        load_agent(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", "{}")
    with pytest.raises(StoreError, match="not written by 'afsim train rl'"):
        load_agent(path)


def test_damage_inside_is_told(tmp_path: Path) -> None:
    path = tmp_path / "agent.zip"
    with zipfile.ZipFile(tiny_agent(7, 1)) as archive, zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            copy.writestr(name, archive.read(name)[:40] if name == "policy.pth" else archive.read(name))
    with pytest.raises(StoreError, match=r"agent\.zip cannot be read as an agent"):
        load_agent(path)


def test_nothing_is_half_written(tmp_path: Path) -> None:
    agent = load_agent(tiny_agent(7, 1))
    bad = replace(agent.record, metrics={"success": float("nan")})
    with pytest.raises(AfsimError, match="finite numbers"):
        save_agent(Agent(agent.model, bad), tmp_path / "a.zip")
    with pytest.raises(AfsimError, match=r"must end in \.zip"):
        save_agent(agent, tmp_path / "agent.pt")
    assert list(tmp_path.iterdir()) == []


def test_unknown_and_missing_algorithms_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AfsimError, match="unknown algorithm 'sac'"):
        algorithm_class("sac")
    monkeypatch.setitem(ALGORITHMS, "qrdqn", ("sb3_contrib_that_is_not_there", "QRDQN"))
    with pytest.raises(AfsimError, match=r"pip install 'afsim\[rl\]'"):
        algorithm_class("qrdqn")
