"""What the page shows, as plain values: pictures, charts, words, and the fields of presets."""

import base64
import json
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from afsim.cockpit import charts, words
from afsim.cockpit.presets import KINDS, as_text, changed, fields_of, preset_of
from afsim.cockpit.startmap import start_map
from afsim.cockpit.views import VIEWS, data_url, grey_range, picture, views_of
from afsim.errors import AfsimError
from afsim.lens import LENSES, Lens, make_lens
from afsim.sensor import make_sensor
from afsim.stackset import StackSet
from tests.cockpits import board
from tests.conftest import make_stack

RANGE = (0.0, 1.0)


def views(left: float, right: float) -> np.ndarray:
    return np.stack([np.full((8, 8), left), np.full((8, 8), right)]).astype(np.float32)


# ---------------------------------------------------------------------- pictures
@pytest.mark.parametrize(("view", "grey"), [("green", 0.25), ("left", 0.16), ("right", 0.34)])
def test_a_view_is_shown_with_the_eyes_curve(view: str, grey: float) -> None:
    shown = picture(views(0.16, 0.34), view, RANGE)
    assert (shown == round(255 * grey**0.5)).all()


def test_the_difference_has_a_colour_for_each_side() -> None:
    left, same, right = (
        picture(views(*pair), "difference", RANGE)[0, 0] for pair in ((0.5, 0.2), (0.3, 0.3), (0.2, 0.5))
    )
    assert left[2] > left[0]  # purple: more blue than red
    assert right[0] > right[2]  # orange: more red than blue
    assert np.ptp(same.astype(int)) < 5
    assert (picture(views(1.0, 0.0), "difference", RANGE) == picture(views(0.9, 0.0), "difference", RANGE)).all()


def test_a_view_that_is_not_there_is_named() -> None:
    assert views_of(2) == VIEWS
    with pytest.raises(AfsimError, match="unknown view 'x-ray'"):
        picture(views(0, 0), "x-ray", RANGE)
    with pytest.raises(AfsimError, match="view 'left' needs two views, but these stacks have 1"):
        picture(views(0, 0)[:1], "left", RANGE)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_a_data_url_holds_the_very_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    coded = base64.b64decode(data_url(pixels).removeprefix("data:image/png;base64,"))
    back = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_UNCHANGED)
    assert back is not None
    np.testing.assert_array_equal(back if back.ndim == 2 else back[..., ::-1], pixels)


def test_one_range_of_grey_serves_a_whole_stack(stacks: StackSet) -> None:
    low, high = grey_range(stacks, 3)
    seen = stacks[3].green()
    assert seen.min() - 0.01 <= low < high <= seen.max() + 0.01


# ---------------------------------------------------------------------- charts
def series(options: charts.Options, name: str) -> charts.Options:
    return next(each for each in options["series"] if each["name"] == name)


def test_a_chart_hides_the_truth_until_it_is_shown(stacks: StackSet) -> None:
    mine = board(stacks, "you 9 5", lens="worn_warm")
    hidden = charts.line_chart(mine, mine.yours, 200)
    assert [point["value"][0] for point in series(hidden, "contrast seen")["data"]] == [2, 5, 9]  # commands
    assert max(point["value"][1] for point in series(hidden, "contrast seen")["data"]) == 1.0
    assert series(hidden, "whole curve")["data"] == []
    assert "truth" not in json.dumps(hidden)
    shown = charts.line_chart(mine.shown(), mine.yours, 200)
    places = sorted(round(float(place), 4) for place in mine.yours.trace.lanes["position"])
    assert [point["value"][0] for point in series(shown, "contrast seen")["data"]] == places
    assert len(series(shown, "whole curve")["data"]) == 12
    assert "truth 6.60" in json.dumps(shown)


def test_relabelled_stacks_have_the_same_charts_while_the_truth_is_hidden(stacks: StackSet) -> None:
    other = StackSet.from_stacks([replace(stack, best_index=0, best_index_exact=0.0) for stack in stacks])
    one, two = (board(each, "you 9 5", "hill_climb *2", "bayesian *2") for each in (stacks, other))
    for a, b in zip(one.lines, two.lines, strict=True):
        assert charts.line_chart(one, a, 200) == charts.line_chart(two, b, 200)
        assert words.why(a) == words.why(b)
        assert [words.stands(a), words.decides(a)] == [words.stands(b), words.decides(b)]
        assert words.error_words(one, a) == words.error_words(two, b)


def test_charts_of_other_rows_have_another_number_of_series(stacks: StackSet) -> None:
    """ECharts merges charts that have as many: rows that come or go would be drawn over each other."""
    mine = board(stacks)
    kinds = [
        charts.line_chart(mine, mine.yours, 200),
        charts.line_chart(mine, mine.yours, 200, belief=np.full(12, 1 / 12)),
        charts.line_chart(mine, mine.yours, 200, belief=np.zeros(0), disparity=[[2.0, 1.5]]),
    ]
    assert [len(kind["grid"]) for kind in kinds] == [1, 2, 3]
    assert [len(kind["series"]) for kind in kinds] == [2, 3, 4]
    for kind in kinds:
        assert kind["grid"][-1]["top"] + kind["grid"][-1]["height"] < 200
        assert kind["aria"]["enabled"]


def test_a_policys_next_move_is_marked(stacks: StackSet) -> None:
    line = board(stacks, "you", "hill_climb").lines[1]
    marks = series(charts.line_chart(board(stacks), line, 200), "contrast seen")["markLine"]["data"]
    assert [mark["xAxis"] for mark in marks] == [line.next_command]


def test_the_map_draws_every_start_once(stacks: StackSet) -> None:
    found = start_map(board(stacks), "hill_climb")
    options = charts.map_chart(found, 6.6, 12, 2, 300)
    starts = sorted(point[0] for each in options["series"] for point in each["data"])
    assert starts == list(range(12))
    assert len({each["symbol"] for each in options["series"]}) == len(options["series"])


# ---------------------------------------------------------------------- words
def test_words_say_where_a_line_stands_and_why_it_moves(stacks: StackSet) -> None:
    mine = board(stacks, "you 9", "bayesian *1")
    assert words.stands(mine.yours).startswith("index 9 · step 1 of 6 · travel ")
    assert words.decides(mine.yours) == "your move"
    assert words.error_words(mine, mine.yours) == "error hidden until the truth is shown"
    assert words.error_words(mine.shown(), mine.yours) == "error +2, exact +2.40; lens at 9.00"
    told = " ".join(words.why(mine.lines[1]))
    assert "of the best seen" in told
    assert "It holds index" in told
    assert f"to {mine.lines[1].next_command}" in told or "stays" in told
    assert words.why(mine.yours)[-1] == "You decide."
    ended = board(stacks, "fixed *1").yours
    assert words.why(ended)[-1].startswith("It ended here: focused")
    assert words.decides(ended).startswith("ended · focused")


def test_what_a_recording_does_not_tell_is_withheld(unlabelled_stacks: StackSet) -> None:
    mine = board(unlabelled_stacks, "you 9", stack=0)
    assert "travel 7 indices, time withheld" in words.stands(mine.yours)
    assert "withheld" in words.error_words(mine.shown(), mine.yours)
    assert not any("isparity" in sentence for sentence in words.why(mine.yours))


def test_a_flat_patch_has_no_disparity() -> None:
    stack = make_stack(5.0, size=64)
    flat = StackSet.from_stacks([replace(stack, images=np.full_like(stack.images, 500))])
    mine = board(flat, stack=0)
    assert "no texture to match" in " ".join(words.why(mine.yours))


# ---------------------------------------------------------------------- presets
@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_preset_is_a_control_with_help(kind: str) -> None:
    first = next(iter(KINDS[kind].presets))
    found = fields_of(kind, first)
    assert {each.name for each in found} == {f.name for f in fields(KINDS[kind].presets[first])} - {"name"}
    assert all(each.help for each in found)


def test_a_changed_field_makes_a_text_that_the_command_line_reads() -> None:
    text = changed("lens", "worn_warm", "hysteresis", 0.0)
    text = changed("lens", text, "ringing", False)
    text = changed("lens", text, "codes", (-5, 900))
    assert text == "worn_warm,hysteresis=0.0,ringing=off,codes=-5:900"
    assert make_lens(text) == replace(
        LENSES["worn_warm"], name=text, hysteresis=0.0, ringing=False, codes=(-5, 900)
    )
    assert (
        changed("lens", text, "hysteresis", LENSES["worn_warm"].hysteresis) == "worn_warm,ringing=off,codes=-5:900"
    )
    assert preset_of(text) == "worn_warm"
    assert make_sensor(changed("sensor", "dim", "fresh", False)).fresh is False
    assert as_text(None) == "none"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hysteresis", -1.0, "hysteresis must be"),
        ("shaper", "magic", "unknown lens shaper"),
        ("gravity", 2.0, "gravity"),
    ],
)
def test_a_value_that_no_lens_has_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        changed("lens", "worn_warm", field, value)
    assert Lens()  # and nothing has changed
