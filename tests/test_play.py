"""The game in the hands of a person: pure, in the terminal, and in a window."""

import io
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backend_bases import FigureCanvasBase, KeyEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from afsim.errors import AfsimError
from afsim.game import Game, PlayConfig, find_stack, text_bars, text_picture
from afsim.play import GameWindow, has_display, play_terminal, play_window, run
from afsim.stackset import StackSet
from afsim.taskspec import TIMINGS

# Stack 3 has its label at 7 and its exact truth at 6.6.
CONFIG = PlayConfig(stack=3, start=2, steps=4)


@pytest.fixture
def game(stacks: StackSet) -> Game:
    return Game.begin(CONFIG, stacks)


def played(game: Game, *keys: str) -> Game:
    for key in keys:
        result = game.apply(key)
        assert isinstance(result, Game), result
        game = result
    return game


def press(canvas: FigureCanvasBase, *keys: str) -> None:
    for key in keys:
        canvas.callbacks.process("key_press_event", KeyEvent("key_press_event", canvas, key))


# ---------------------------------------------------------------------- the game
@pytest.mark.parametrize(
    ("key", "command"),
    [("l", 3), ("right", 3), ("h", 1), ("left", 1), ("L", 7), ("up", 7), ("H", 0), ("down", 0), ("11", 11)],
)
def test_a_key_moves_the_lens(game: Game, key: str, command: int) -> None:
    after = played(game, key)
    assert after.command == command
    assert after.state.lanes[0]["step"] == 1
    assert game.command == 2  # the game before is as it was


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ("", "u", "no move to undo"),
        ("", "x", "unknown key 'x'"),
        ("", "12", "no index 12; expected 0 ... 11"),
        ("0", "h", "at index 0 already"),
        ("11", "L", "at index 11 already"),
        ("q", "l", "over"),
        ("d", "u", "over"),
        ("3 4 5 6", "l", "over"),
    ],
)
def test_a_key_that_changes_nothing_says_why(game: Game, keys: str, key: str, message: str) -> None:
    answer = played(game, *keys.split()).apply(key)
    assert isinstance(answer, str)
    assert message in answer


def test_undo_returns_to_the_very_state_before(game: Game) -> None:
    before = played(game, "L")
    after = played(before, "l", "u")
    assert after.state is before.state
    assert after.undone == 1
    np.testing.assert_array_equal(after.sharpness(), before.sharpness())
    np.testing.assert_array_equal(after.picture(), before.picture())


def test_the_patch_is_the_recorded_slice(game: Game, stacks: StackSet) -> None:
    seen = played(game, "9").trace.moments[-1].image.mean(axis=0)
    np.testing.assert_allclose(seen, stacks[3].green()[9], atol=1e-6)


def test_sharpness_is_known_where_looked_and_relative_to_the_best_seen(game: Game) -> None:
    seen = played(game, "7", "10").sharpness()
    assert np.flatnonzero(~np.isnan(seen)).tolist() == [2, 7, 10]
    assert seen[7] == 1.0
    assert seen[2] < seen[10] < 1.0


def test_the_truth_is_not_shown_before_the_end(stacks: StackSet, game: Game) -> None:
    other = StackSet.from_stacks([replace(stack, best_index=0, best_index_exact=0.0) for stack in stacks])
    relabelled = played(Game.begin(CONFIG, other), "L")
    assert relabelled.status() == played(game, "L").status()
    assert relabelled.score() != played(game, "L").score()


def test_the_score_of_a_declared_game(game: Game, stacks: StackSet) -> None:
    text = "\n".join(played(game, "9", "7", "d").score())
    assert repr(stacks.names[3]) in text
    assert "declared at index 7" in text
    assert "2 of 4 steps" in text
    assert "label 7, exact 6.60" in text
    assert "error +0, exact error +0.40 (success)" in text
    assert "sharpness 100 % of the stack's best slice" in text
    assert "a full sweep would have chosen index 7 (exact error +0.40) after 12 exposures" in text


def test_a_miss_is_called_a_miss(game: Game) -> None:
    text = "\n".join(played(game, "9", "q").score())
    assert "abandoned" in text
    assert "error +2, exact error +2.40 (missed" in text


def test_travel_and_time_come_from_the_task(game: Game) -> None:
    after = played(game, "5", "3")
    lane = after.state.lanes[0]
    assert lane["travel_index"] == 5.0
    assert f"travel {lane['travel_um']:.1f} µm, time {lane['time_ms']:.1f} ms" in after.status()
    assert "2 step(s) left" in after.status()


def test_without_label_and_distances_they_are_withheld_by_name(unlabelled_stacks: StackSet) -> None:
    game = played(Game.begin(PlayConfig(stack=0, start=0), unlabelled_stacks), "L", "H", "3", "d")
    assert "travel 13 indices, time withheld" in game.status()
    text = "\n".join(game.score())
    assert "truth, error and exact error withheld: the stack has no label" in text
    assert "sharpness 100 % of the stack's best slice" in text
    assert "a full sweep would have chosen index 3" in text
    assert "nan" not in text


def test_an_exact_truth_without_a_label_gives_only_the_exact_error(stacks: StackSet) -> None:
    unlabelled = StackSet.from_stacks([replace(stacks[3], best_index=None)])
    text = "\n".join(played(Game.begin(PlayConfig(start=7), unlabelled), "d").score())
    assert "label withheld, exact 6.60" in text
    assert "error withheld, exact error +0.40 (success)" in text


def test_a_flat_stack_can_be_played(stacks: StackSet) -> None:
    flat = StackSet.from_stacks([replace(stacks[0], images=np.full_like(stacks[0].images, 500))])
    game = played(Game.begin(PlayConfig(start=3), flat), "l")
    assert "sharpness 100 %" in game.status()
    assert np.isfinite(game.picture()).all()


def test_the_seed_draws_stack_and_start(stacks: StackSet) -> None:
    def drawn(seed: int) -> tuple[int, int]:
        lane = Game.begin(PlayConfig(seed=seed), stacks).state.lanes[0]
        return int(lane["stack"]), int(lane["start"])

    assert drawn(7) == drawn(7)
    assert len({drawn(seed) for seed in range(8)}) > 1


def test_a_stack_is_found_by_index_or_name(stacks: StackSet) -> None:
    assert find_stack(stacks, 4) == 4
    assert find_stack(stacks, stacks.names[4]) == 4
    assert find_stack(stacks, None) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stack": "moon"}, "unknown stack 'moon'; expected an index in 0 ... 5 or the name"),
        ({"stack": 6}, "stack must be integers in 0 ... 5"),
        ({"start": 12}, "start must be integers in 0 ... 11"),
        ({"start": -1}, "start must be integers in 0 ... 11"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"lens": "glass"}, "unknown lens preset 'glass'"),
        ({"sensor": "film"}, "unknown sensor preset 'film'"),
        ({"timing": "hours"}, "unknown timing preset 'hours'"),
        ({"breathing": -1.0}, "breathing must be a number of at least 0, got -1.0"),
    ],
)
def test_what_does_not_exist_is_named(stacks: StackSet, change: dict[str, object], message: str) -> None:
    with pytest.raises(AfsimError, match=message.replace(".", r"\.")):
        Game.begin(replace(CONFIG, **change), stacks)  # type: ignore[arg-type]


def test_timing_and_breathing_are_as_asked_for(stacks: StackSet) -> None:
    plain = Game.begin(CONFIG, stacks)
    other = Game.begin(replace(CONFIG, timing="free,inference_ms=32.5", breathing=0.0), stacks)
    assert (plain.task.spec.timing, plain.task.camera.breathing) == (TIMINGS["frames"], 1.0)
    assert (other.task.spec.timing.mode, other.task.spec.timing.inference_ms) == ("free", 32.5)
    assert other.task.camera.breathing == 0.0


# ---------------------------------------------------------------------- in the terminal
def test_text_picture_is_half_as_high_as_wide_and_keeps_the_order_of_greys() -> None:
    ramp = np.tile(np.linspace(0.0, 1.0, 50, dtype=np.float32), (50, 1))
    lines = text_picture(ramp, columns=10)
    assert len(lines) == 5
    assert set(lines) == {"  ░░▒▒▓▓██"}


def test_text_picture_of_few_pixels_has_a_character_for_each_column() -> None:
    assert text_picture(np.array([[0.0, 1.0, 0.5]], dtype=np.float32)) == [" █▒"]


def test_text_bars_mark_the_command_and_what_is_unseen() -> None:
    assert text_bars(np.array([np.nan, 0.0, 1.0, 0.5]), 2) == ["·▁█▅", "  ^ 2"]


def test_a_terminal_game_is_the_same_game(game: Game) -> None:
    out = io.StringIO()
    ended = play_terminal(game, ["x\n", "\n", "\x1b[A\x1b[C u\n", "d l l\n", "9\n"], out)
    assert ended.command == 7
    assert ended.score() == played(game, "up", "right", "u", "d").score()
    text = out.getvalue()
    assert "unknown key 'x'" in text
    assert text.endswith("\n".join(ended.score()) + "\n")
    assert text.count("exact error") == 2  # the error and the sweep's, once, at the end


def test_the_end_of_the_input_abandons(game: Game) -> None:
    ended = play_terminal(game, ["l"], io.StringIO())
    assert ended.abandoned
    assert ended.command == 3


def test_run_plays_a_stored_set_from_standard_input(
    stacks: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stacks.save(tmp_path / "set")
    monkeypatch.setattr("sys.stdin", io.StringIO("L\nd\n"))
    assert run(replace(CONFIG, stacks=tmp_path / "set", terminal=True)) == 0
    assert "declared at index 7" in capsys.readouterr().out


def test_without_a_display_run_falls_back_to_the_terminal(
    stacks: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plt.switch_backend("agg")
    assert not has_display()
    stacks.save(tmp_path / "set")
    monkeypatch.setattr("sys.stdin", io.StringIO("q\n"))
    assert run(replace(CONFIG, stacks=tmp_path / "set")) == 0
    assert "abandoned" in capsys.readouterr().out


# ---------------------------------------------------------------------- in a window
def test_a_window_takes_arrows_and_numbers(game: Game) -> None:
    canvas = FigureCanvasAgg(Figure())
    window = GameWindow(canvas.figure, game)
    press(canvas, "up", "shift", "enter", "1", "2", "backspace", "1", "enter")
    assert window.game.command == 11
    assert window.game.state.lanes[0]["step"] == 2
    press(canvas, "u", "d")
    assert window.game.score() == played(game, "up", "11", "u", "d").score()


def test_a_window_shows_the_patch_the_bars_and_in_the_end_the_score(game: Game) -> None:
    canvas = FigureCanvasAgg(Figure())
    window = GameWindow(canvas.figure, game)
    press(canvas, "7")
    assert window.game is game  # a digit waits for Enter
    press(canvas, "enter")
    picture, bars = canvas.figure.axes
    np.testing.assert_array_equal(picture.images[0].get_array(), window.game.picture())
    heights = [bar.get_height() for bar in bars.patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose(heights, np.nan_to_num(window.game.sharpness()))
    assert canvas.figure.get_suptitle().strip() == window.game.status()
    press(canvas, "d")
    assert canvas.figure.get_suptitle().strip() == "\n".join(window.game.score())
    canvas.draw()  # type: ignore[no-untyped-call]


def test_play_window_keeps_matplotlibs_shortcuts_away(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    plt.switch_backend("agg")
    still_open = []

    def show() -> None:
        press(plt.gcf().canvas, "l", "q")
        still_open.append(bool(plt.get_fignums()))

    monkeypatch.setattr(plt, "show", show)
    ended = play_window(game)
    assert still_open == [True]
    assert ended.abandoned
    assert ended.command == 3
    assert plt.get_fignums() == []


def test_closing_the_window_abandons(game: Game, monkeypatch: pytest.MonkeyPatch) -> None:
    plt.switch_backend("agg")
    monkeypatch.setattr(plt, "show", lambda: None)
    assert play_window(game).abandoned
