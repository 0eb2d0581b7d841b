"""A page's session: episodes, scores, advice, and what was opened for it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afsim.cockpit.board import Board
from afsim.cockpit.catalogue import TRAITS, make_catalogue, uphill_share
from afsim.cockpit.link import State
from afsim.cockpit.opened import Opened
from afsim.cockpit.scoring import score_row, standings
from afsim.cockpit.session import Session, advice
from afsim.cockpit.setup import Setup
from afsim.cockpit.startmap import map_words, start_map
from afsim.errors import AfsimError
from afsim.policies import POLICIES, files_of
from afsim.policies.text import file_options
from afsim.rollout import Arena
from afsim.stackset import StackSet
from tests.cockpits import SET, SETUP, board, opened


@pytest.fixture
def session(stacks: StackSet) -> Session:
    return Session(opened(stacks), SETUP)


def go(session: Session, *commands: int | None) -> None:
    for command in commands:
        session.apply(session.board.moved(command))


# ---------------------------------------------------------------------- episodes
def test_a_session_begins_with_those_who_can_play(session: Session, unlabelled_stacks: StackSet) -> None:
    assert session.board.texts() == ["you", "hill_climb *0", "bayesian *0"]  # D1 is for 49 slices
    assert session.players() == ["hill_climb", "bayesian"]
    other = Session(opened(unlabelled_stacks), replace(SETUP, stack=0))
    assert other.views == ("green",)


def test_another_episode_is_drawn_by_the_next_seed(session: Session) -> None:
    go(session, 5)
    session.draw_another()
    assert session.board.setup.seed == 1
    assert session.board.texts() == ["you", "hill_climb *0", "bayesian *0"]


def test_a_setup_that_cannot_be_played_leaves_the_page_as_it_is(session: Session) -> None:
    before = session.board
    for setup in (replace(SETUP, start=99), replace(SETUP, lens="magic"), replace(SETUP, stacks="nowhere")):
        with pytest.raises(AfsimError):
            session.begin(setup)
        with pytest.raises(AfsimError):
            session.change(setup)
        with pytest.raises(AfsimError):
            session.load(State(setup))
    assert session.board is before


def test_a_changed_camera_plays_the_moves_again(session: Session) -> None:
    go(session, 5, 7)
    session.apply(session.board.back())
    session.change(replace(SETUP, lens="worn_warm", sensor="dim"))
    assert session.board.texts()[0] == "you 5"
    assert session.board.undone == 1
    assert session.board.setup.lens == "worn_warm"


def test_a_link_brings_its_view(session: Session, unlabelled_stacks: StackSet) -> None:
    session.load(State(SETUP, ("you 3",), view="difference", zoom=4))
    assert (session.view, session.zoom) == ("difference", 4)
    assert session.state == State(SETUP, ("you 3",), view="difference", zoom=4)
    other = Session(opened(unlabelled_stacks), replace(SETUP, stack=0))
    other.load(State(replace(SETUP, stack=0), view="difference"))
    assert other.view == "green"


def test_views_and_zooms_come_round(session: Session) -> None:
    seen = []
    for _ in range(5):
        seen.append((session.view, session.zoom))
        session.next_view()
        session.next_zoom()
    assert seen == [("green", 1), ("left", 2), ("right", 4), ("difference", 1), ("green", 2)]


# ---------------------------------------------------------------------- scores
def test_you_are_scored_against_the_policies(session: Session) -> None:
    assert session.scores == []
    go(session, 9, 7, None)
    mine, climb, bayes = session.scores
    assert [score.player for score in session.scores] == ["you", "hill_climb", "bayesian"]
    assert mine.exact_error == pytest.approx(0.4)
    assert [mine.steps, mine.note, mine.counts] == [2, "", True]  # to declare is no step
    # The policies are scored at their ends, whether one has looked at them or not.
    end = session.board.lines[1].trace.end
    assert (climb.exact_error, climb.time_ms) == (end["exact_error"], end["time_ms"])
    assert bayes.counts
    assert score_row(mine)["exact error"] == "+0.40"
    assert [row["player"] for row in standings(session.scores)] == ["you", "hill_climb", "bayesian"]


def test_a_policy_added_after_the_end_is_scored_too(session: Session) -> None:
    go(session, None)
    session.apply(session.board.added("fixed"))
    assert [score.player for score in session.scores][-1] == "fixed"
    assert len(session.scores) == 4


def test_giving_up_and_known_truths_do_not_count(session: Session) -> None:
    session.apply(session.board.shown())
    assert (session.scores[0].note, session.scores[0].counts) == ("not ended, the truth was known", False)
    go(session, 7, None)
    assert (session.scores[0].note, session.scores[0].counts) == ("the truth was known", False)
    session.begin(replace(SETUP, start=9))  # the same recording
    go(session, 7, None)
    assert (session.scores[0].note, session.scores[0].counts) == ("the truth was known", False)
    session.begin(replace(SETUP, stack=0))
    go(session, 3)
    session.apply(session.board.back())
    go(session, 1, None)
    assert (session.scores[0].note, session.scores[0].counts) == ("1 undone", True)
    rows = {row["player"]: row for row in standings(session.scores)}
    assert rows["you"]["episodes"] == "1"
    assert rows["hill_climb"]["episodes"] == "3"
    assert rows["you"]["within 1"] == "100 %"


def test_without_labels_sharpness_is_scored(unlabelled_stacks: StackSet) -> None:
    session = Session(opened(unlabelled_stacks), replace(SETUP, stack=0, start=0))
    go(session, 3, None)
    row = standings(session.scores)[0]
    assert row["exact error"] == row["within 1"] == row["time"] == "withheld"
    assert row["sharpness"] == "100 %"


# ---------------------------------------------------------------------- advice and maps
def test_advice_is_what_the_bayesian_policy_would_do(stacks: StackSet) -> None:
    mine = board(stacks).moved(4)
    found = advice(mine)
    assert found is not None
    belief, command = found
    played = mine.handed_to(0, "bayesian").yours
    assert command == played.next_command
    np.testing.assert_array_equal(belief, played.trace.belief(1))
    assert advice(mine.moved(None)) is None


def test_the_map_of_a_stack_is_that_of_all_stacks(stacks: StackSet) -> None:
    """Its lens, noise and draws are those of the comparison of all stacks."""
    mine = board(stacks, lens="worn_warm", sensor="dim", seed=3)
    found = start_map(mine, "hill_climb")
    arena = Arena(mine.task.camera, seed=3)
    whole = arena.play(mine.opened.policy("hill_climb", mine.task.spec), mine.task)
    np.testing.assert_array_equal(found.end, whole.positions[whole.stack == 3, -1])
    assert found.start.tolist() == list(range(12))
    assert map_words(found).startswith("hill_climb from all 12 starts. ")


@pytest.mark.parametrize("wanted", [[6], [-1], []])
def test_an_arena_of_stacks_that_do_not_exist_is_refused(stacks: StackSet, wanted: list[int]) -> None:
    with pytest.raises(AfsimError, match=r"stacks must be indices in 0 \.\.\. 5"):
        Arena(board(stacks).task.camera, stacks=wanted)


# ---------------------------------------------------------------------- what is open
def test_sets_are_named_by_their_folders(stacks: StackSet, tmp_path: Path) -> None:
    for folder in ("a/mine", "b/mine", "c/demo"):
        stacks.save(tmp_path / folder)
    known = Opened([tmp_path / "a" / "mine", tmp_path / "b" / "mine", tmp_path / "c" / "demo", stacks])
    assert known.sets == ("mine", "mine-2", "demo-2", SET, "demo")
    assert known.stacks("mine").path == tmp_path / "a" / "mine"
    assert known.stacks("mine-2").path == tmp_path / "b" / "mine"
    assert known.catalogue("mine") is known.catalogue("mine")


def test_the_demo_set_is_opened_when_asked_for(stacks: StackSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afsim.cockpit.opened.open_demo", lambda: stacks)
    known = Opened()
    assert known.sets == ("demo",)
    assert known.stacks("demo") is known.stacks("demo") is stacks
    assert Session(known, Setup()).board.setup.stacks == "demo"


@pytest.mark.parametrize("name", ["/etc", "../mine", "in memory/", ""])
def test_a_path_is_no_set(stacks: StackSet, name: str) -> None:
    with pytest.raises(AfsimError, match="unknown set"):
        opened(stacks).stacks(name)


@pytest.mark.parametrize(
    "text",
    [
        "rl:agent.zip",
        "rl;model=agent.zip",
        "learned-d1:/etc/passwd",
        "learned-d1-2step:a+b",
        "learned_bayesian;likelihood=x.json",
        "zncc_disparity;calibration=x",
        "bayesian;model=x",
        "one_sided:rl:agent.zip",
        "one_sided;inner=rl:agent.zip",
    ],
)
def test_pages_name_no_files(stacks: StackSet, text: str) -> None:
    with pytest.raises(AfsimError, match=r"names the file .* pages play only the files"):
        board(stacks).added(text)


def test_files_named_at_the_start_may_be_played(stacks: StackSet, tmp_path: Path) -> None:
    text = f"zncc_disparity;calibration={tmp_path / 'none.json'}"
    known = opened(stacks, text)
    assert known.policies == (*POLICIES, text)
    with pytest.raises(AfsimError, match="there is no such file"):  # so it was read
        known.policy(text, board(stacks).task.spec)
    with pytest.raises(AfsimError, match="unknown policy 'magic'"):
        opened(stacks, "magic")


def test_every_option_that_names_a_file_is_known() -> None:
    found = {name: file_options(kind) for name, kind in POLICIES.items()}
    assert {option for options in found.values() for option in options} == {"model", "likelihood", "calibration"}
    assert found["curve_fit"] == []  # whose model is a curve
    assert files_of("curve_fit;model=gaussian") == files_of("hill_climb:laplacian_energy") == []
    assert files_of("one_sided:rl:x") == files_of("learned_bayesian;likelihood=x") == ["x"]


# ---------------------------------------------------------------------- the catalogue
@pytest.mark.parametrize(
    ("curve", "share"),
    [
        ([0, 1, 2, 1, 0], 1.0),
        ([2, 1, 0.5, 1.5, 3], 0.6),
        ([1, 1, 1, 1], 0.25),
        ([5, 4, 3], 1.0),
        ([3, 0, 2, 0], 0.5),
    ],
)
def test_uphill_leads_to_the_top_from_so_many_places(curve: list[float], share: float) -> None:
    assert uphill_share(np.array(curve, dtype=np.float64)) == pytest.approx(share)


def test_stacks_are_filtered_by_thirds(stacks: StackSet) -> None:
    found = make_catalogue(stacks)
    assert found.sharpest.tolist() == [1, 2, 5, 7, 9, 10]
    assert found.chosen() == list(range(6))
    assert found.chosen("SCENE-1") == [2, 3]
    assert found.chosen(depth="far") == [0, 1]
    assert found.chosen("scene-2", depth="near") == [4, 5]
    assert sorted(i for third in TRAITS["light"].thirds for i in found.chosen(light=third)) == list(range(6))
    assert found.thumbnail(0).startswith("data:image/png;base64,")
    for words, message in (({"depth": "deep"}, "unknown depth 'deep'"), ({"size": "big"}, "unknown filter 'size'")):
        with pytest.raises(AfsimError, match=message):
            found.chosen(**words)


def test_depth_is_withheld_without_labels(unlabelled_stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="depth is withheld: no stack of this set has a label"):
        make_catalogue(unlabelled_stacks).chosen(depth="far")


def test_boards_are_values(stacks: StackSet) -> None:
    one: Board = board(stacks)
    one.moved(5)
    assert one.texts() == ["you"]
