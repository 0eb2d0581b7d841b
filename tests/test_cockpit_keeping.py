"""Links, files and exports: a board goes out and comes back the same, and what is damaged is refused by name."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from afsim.cockpit.episodefile import episode_text, load_episode
from afsim.cockpit.exporting import export
from afsim.cockpit.link import State, query_of, read_query, state_of
from afsim.cockpit.opened import Opened
from afsim.cockpit.setup import Setup, draw
from afsim.errors import AfsimError, StoreError
from afsim.stackset import StackSet
from tests.cockpits import SETUP, board, opened
from tests.conftest import make_stack

TEXTS = ("you 4 9 > hill_climb *1", "bayesian *2", "sweep *3")


# ---------------------------------------------------------------------- links
@pytest.mark.parametrize(
    "state",
    [
        State(Setup("my set & more", 3, 4)),
        State(
            Setup("a", 1, 2, 3, 4, "worn_warm,codes=-5:900", "dim,fresh=off", "free", 0.5),
            TEXTS,
            3,
            True,
            "left",
            4,
        ),
        State(Setup("a"), ("you", "hill_climb:laplacian_energy;first_step=3 *0")),
    ],
)
def test_a_link_carries_the_whole_state(state: State) -> None:
    query = query_of(state)
    assert read_query(query, Setup("other", 9, 9, 9, 9)) != state or state.setup.steps != 10
    assert read_query(query, Setup()) == state
    assert " " not in query


def test_what_a_link_does_not_say_is_as_at_first() -> None:
    assert read_query("start=3", SETUP).setup == Setup(**{**SETUP.__dict__, "start": 3})


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("stack=x", "parameter 'stack': expected a whole number, got 'x'"),
        ("breathing=much", "parameter 'breathing': expected a number, got 'much'"),
        ("revealed=perhaps", "parameter 'revealed': expected on or off, got 'perhaps'"),
        ("file=/etc/passwd", "unknown parameter of a link 'file'; expected one of: .*line.*stacks"),
        ("start=1&start=2", "'start' is given twice"),
        ("view=x-ray", "unknown view 'x-ray'; expected one of: difference, green, left, right"),
        ("zoom=3", "unknown zoom 3; expected one of: 1, 2, 4"),
        ("undone=-1", "undone must be at least 0"),
    ],
)
def test_a_bad_link_says_what_is_wrong(query: str, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        read_query(query, Setup())


# ---------------------------------------------------------------------- files
@pytest.fixture
def saved(stacks: StackSet) -> str:
    shown = board(stacks, *TEXTS, lens="worn_warm", sensor="dim")
    return episode_text(shown, state_of(shown, "difference", 2))


def test_a_saved_episode_replays_bit_for_bit(stacks: StackSet, saved: str, tmp_path: Path) -> None:
    path = tmp_path / "episode.json"
    path.write_text(saved)
    for found in (load_episode(path, opened(stacks)), load_episode(Path("sent"), opened(stacks), saved.encode())):
        assert found.note == ""
        assert found.board.texts() == list(TEXTS)
        assert episode_text(found.board, found.state) == saved
    assert len(saved) < 4000


def test_a_set_is_found_by_what_is_in_it(stacks: StackSet, saved: str, tmp_path: Path) -> None:
    stacks.save(tmp_path / "renamed")
    other = StackSet.from_stacks([make_stack(4.0, seed=9)])
    found = load_episode(Path("sent"), Opened([other, tmp_path / "renamed"]), saved.encode())
    assert found.board.setup.stacks == "renamed"
    assert found.note == ""


def test_another_set_is_refused_by_name(stacks: StackSet, saved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = StackSet.from_stacks([make_stack(4.0, seed=9)])
    monkeypatch.setattr("afsim.cockpit.opened.open_demo", lambda: stacks[:2].in_memory())
    with pytest.raises(StoreError, match=r"sent: it was played on the set 'in memory' .* which is not open"):
        load_episode(Path("sent"), opened(other), saved.encode())


@pytest.mark.parametrize(("field", "what"), [("positions", "positions"), ("images_sha256", "images_sha256")])
def test_what_does_not_replay_is_told(stacks: StackSet, saved: str, field: str, what: str) -> None:
    record = json.loads(saved)
    if field == "positions":
        record["check"][1]["positions"][1] = float(np.nextafter(record["check"][1]["positions"][1], 99.0))
    else:
        record["check"][1][field] = "0" * 64
    note = load_episode(Path("sent"), opened(stacks), json.dumps(record).encode()).note
    assert f"bayesian does not replay bit for bit: its {what} differ" in note


def without(name: str) -> Any:
    def change(record: dict[str, Any]) -> None:
        del record[name]

    return change


def with_value(*path: str, value: object) -> Any:
    def change(record: dict[str, Any]) -> None:
        for name in path[:-1]:
            record = record[name]
        record[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("lines"), "sent is damaged: 'lines' is missing"),
        (without("check"), "sent is damaged: 'check' is missing"),
        (with_value("format", value="other"), "sent is no saved episode"),
        (with_value("version", value=99), "sent has version 99; this afsim reads versions 1 to 1"),
        (with_value("setup", "stack", value="x"), "sent is damaged: parameter 'stack': expected a whole number"),
        (with_value("setup", "path", value="/etc/passwd"), "sent is damaged: unknown parameter"),
        (with_value("lines", value=["you 3 99"]), "line 'you 3 99': there is no index 99"),
        (with_value("lines", value=["rl:/tmp/agent.zip *0"]), "names the file '/tmp/agent.zip'"),
    ],
)
def test_a_damaged_file_is_refused_by_name(stacks: StackSet, saved: str, change: Any, message: str) -> None:
    record = json.loads(saved)
    change(record)
    with pytest.raises(AfsimError, match=message):
        load_episode(Path("sent"), opened(stacks), json.dumps(record).encode())


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{"])
def test_what_is_no_file_of_ours_is_refused(stacks: StackSet, content: bytes) -> None:
    with pytest.raises(StoreError, match=r"sent is (no saved episode|damaged or no saved episode)"):
        load_episode(Path("sent"), opened(stacks), content)


def test_a_file_that_is_too_large_is_refused(stacks: StackSet) -> None:
    with pytest.raises(StoreError, match=r"sent: expected at most 1,000,000 bytes .*, got 1,000,001"):
        load_episode(Path("sent"), opened(stacks), b" " * 1_000_001)


def test_a_file_that_is_missing_is_named(stacks: StackSet, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such file; 'afsim cockpit' makes a saved episode"):
        load_episode(tmp_path / "nowhere.json", opened(stacks))


# ---------------------------------------------------------------------- exports
def test_the_steps_go_out_as_a_table(stacks: StackSet) -> None:
    shown = board(stacks, *TEXTS)
    name, content = export(shown, state_of(shown), "csv")
    assert name == "stack-3-6.6-from-2.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert [row["command"] for row in rows if row["player"] == "you > hill_climb"][:3] == ["2", "4", "9"]
    assert {row["player"] for row in rows} == {line.name for line in shown.lines}
    assert not {"position", "error", "exact_error"} & set(rows[0])
    told = list(csv.DictReader(io.StringIO(export(shown.shown(), state_of(shown), "csv")[1].decode())))
    assert float(told[0]["exact_error"]) == pytest.approx(2 - 6.6, abs=1e-3)


def test_a_file_is_named_without_folders() -> None:
    stack = make_stack(4.0, name="../desk/left & right")
    shown = board(StackSet.from_stacks([stack]), stack=0)
    assert export(shown, state_of(shown), "json")[0] == "..-desk-left-right-from-2.json"


def test_pictures_show_the_truth_and_wait_for_it(stacks: StackSet) -> None:
    shown = board(stacks, "you 4", "hill_climb *1")
    for kind in ("png", "gif", "mp4"):
        with pytest.raises(AfsimError, match="show the truth"):
            export(shown, state_of(shown), kind)
    image = cv2.imdecode(np.frombuffer(export(shown.shown(), state_of(shown), "png")[1], np.uint8), 1)
    assert image is not None
    assert image.shape[1] == 1920
    assert export(shown.shown(), state_of(shown), "gif")[1][:6] == b"GIF89a"


def test_the_episode_goes_out_as_its_file(stacks: StackSet) -> None:
    shown = board(stacks, *TEXTS)
    name, content = export(shown, state_of(shown), "json")
    assert name.endswith(".json")
    assert load_episode(Path(name), opened(stacks), content).note == ""
    with pytest.raises(AfsimError, match="unknown kind of file 'exe'"):
        export(shown, state_of(shown), "exe")


def test_a_seed_draws_what_the_terminal_game_draws(stacks: StackSet) -> None:
    from afsim.game import Game, PlayConfig

    for seed in range(4):
        lane = Game.begin(PlayConfig(seed=seed), stacks).state.lanes[0]
        assert draw(stacks, seed) == (lane["stack"], lane["start"])
