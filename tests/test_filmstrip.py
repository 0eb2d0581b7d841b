"""Pictures and films of episodes: what they show of which step, what they say, and the command that makes them."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.experiments.trace_command import TraceConfig, main, run, step_rows
from afsim.filmfacts import differences, facts, headline
from afsim.filmpanels import caption, contrast_limits, is_best, make_reels, number, verdict
from afsim.filmstrip import filmstrip, save_filmstrip, steps_to_show
from afsim.lens import make_lens
from afsim.policies import make
from afsim.sensor import make_sensor
from afsim.stackset import StackSet
from afsim.task import FocusTask
from afsim.trace import Trace, fork, record
from afsim.video import frames, write_film

NAMES = ("hill_climb", "fixed:7")


@pytest.fixture
def traces(stacks: StackSet) -> list[Trace]:
    """An episode of three moves on a stack that is sharpest at 6.6, label 7, and a fork that goes there."""
    task = FocusTask(Camera(stacks, make_lens("closed_loop"), make_sensor("dim")), budget=3, reward="none")
    episode = record(task, make("hill_climb", task.spec), 3, 1)
    return [episode, fork(episode, 2, make("fixed:7", task.spec))]


def texts(figure: Figure) -> str:
    """Return all words in a figure, a line each."""
    titles = [axes.get_title() for axes in figure.axes]
    return "\n".join([*titles, *(text.get_text() for axes in figure.axes for text in axes.texts)])


# ---------------------------------------------------------------------- which steps
@pytest.mark.parametrize(("last", "most"), [(3, 9), (8, 9), (9, 9), (50, 9), (50, 2)])
@pytest.mark.parametrize("first", [0, 2])
def test_steps_are_all_shown_or_evenly(first: int, last: int, most: int) -> None:
    steps = steps_to_show(first, last, most)
    assert (steps[0], steps[-1]) == (first, last)
    assert len(steps) == min(most, last - first + 1)
    gaps = np.diff(steps)
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize("always", [[3], [1, 2, 3], [49], [0, 25]])
def test_steps_that_are_wanted_are_shown(always: list[int]) -> None:
    steps = steps_to_show(0, 50, 9, always)
    assert {0, 50, *always} <= set(steps)
    assert len(set(steps)) == 9


# ---------------------------------------------------------------------- what is shown
def test_all_pictures_share_one_range_of_grey(traces: list[Trace]) -> None:
    (episode, forked), best = make_reels(traces, NAMES)
    assert best is not None
    np.testing.assert_array_equal(episode.pictures[:3], forked.pictures[:3])
    greens = np.concatenate([moment.image.mean(axis=0).ravel() for moment in traces[0].moments])
    shown = episode.pictures.ravel()
    order = np.argsort(greens)
    assert (np.diff(shown[order]) >= 0).all()
    assert 0.0 <= shown.min() < shown.max() <= 1.0


def test_the_best_slice_is_marked_where_the_lens_was(traces: list[Trace]) -> None:
    assert is_best(traces[1], 3)
    for trace in traces:
        marked = [is_best(trace, step) for step in range(len(trace.moments))]
        assert marked == [int(np.floor(p + 0.5)) == 7 for p in trace.lanes["position"]]


def test_every_sample_lies_inside_the_axes(traces: list[Trace]) -> None:
    low, high = contrast_limits(make_reels(traces, NAMES)[0])
    seen = [moment.contrast / traces[0].curve.max() for trace in traces for moment in trace.moments]
    assert low < min(seen)
    assert max(seen) < high
    assert high > 1.0


def test_words_tell_the_step(traces: list[Trace]) -> None:
    episode, forked = traces
    lanes = forked.lanes
    assert caption(forked, 2).startswith(
        f"step 2 · {lanes['time_ms'][2]:.0f} ms\nindex {lanes['command'][2]:.0f}, "
    )
    assert verdict(forked, 2) == ("go to 7", "focused 0.00")
    assert verdict(forked, 3) == ("the end", "focused 0.00")
    assert verdict(episode, 0)[0] == f"go to {episode.lanes['command'][1]:.0f}"
    assert "lens closed_loop, sensor dim, at most 3 steps" in headline(make_reels(traces, NAMES)[0])


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (-1.25, "+.1f", "\N{MINUS SIGN}1.2 ms"),
        (3.0, "+.0f", "+3 ms"),
        (-0.2, "+.0f", "0 ms"),
        (0.0, ".2f", "0.00 ms"),
        (np.nan, ".0f", "withheld"),
    ],
)
def test_numbers_have_true_minus_signs_and_zero_has_none(value: float, form: str, text: str) -> None:
    assert number(value, form, " ms") == text


def test_differences_are_of_the_end(traces: list[Trace]) -> None:
    episode, forked = traces
    assert set(differences(episode, episode).values()) == {"the same"}
    changes, old, new = differences(forked, episode), episode.end, forked.end
    closer = abs(old["exact_error"]) - abs(new["exact_error"])
    assert changes["exact error"] == f"{abs(closer):.2f} {'better' if closer > 0 else 'worse'}"
    later = f"{new['time_ms'] - old['time_ms']:+.0f}".replace("-", "\N{MINUS SIGN}")
    assert changes["time"] in (later, "the same")
    assert dict(facts(forked))["moves"] == str(new["moves"])


def test_a_strip_has_its_panels_and_is_the_same_twice(traces: list[Trace], tmp_path: Path) -> None:
    figure = filmstrip(traces, NAMES)
    # Patch and curve of steps 0 ... 3 and 2 ... 3; the best slice, two lists of facts, the track and its key.
    assert len(figure.axes) == 2 * (4 + 2) + 1 + 2 + 2
    words = texts(figure)
    for step in range(4):
        assert f"step {step} ·" in words
    assert "fixed:7 from step 2" in words
    assert "the best slice,\nindex 7" in words
    for name, drawn in (("one", figure), ("other", filmstrip(traces, NAMES))):
        save_filmstrip(drawn, tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.width == 1920


def test_without_label_and_distances_errors_and_times_are_withheld(unlabelled_stacks: StackSet) -> None:
    task = FocusTask(Camera(unlabelled_stacks), budget=2, reward="none")
    trace = record(task, make("hill_climb", task.spec), 0, 4)
    told = dict(facts(trace))
    assert [told[what] for what in ("error", "exact error", "time")] == ["withheld"] * 3
    assert told["travel"].endswith(" indices")
    words = texts(filmstrip([trace], ["hill_climb"]))
    assert "nan" not in words
    assert "best slice" not in words
    assert "step 1\nindex" in words


def test_episodes_that_do_not_belong_together_are_refused(traces: list[Trace]) -> None:
    task = traces[0].task
    other = record(task, make("stay", task.spec), 0, 1)
    with pytest.raises(AfsimError, match=r"episodes of one stack, got stacks \[3, 0\]"):
        make_reels([traces[0], other], NAMES)
    with pytest.raises(AfsimError, match=r"got 2 and 1 names"):
        make_reels(traces, ["hill_climb"])


# ---------------------------------------------------------------------- films
def test_a_film_has_a_frame_a_step(traces: list[Trace], tmp_path: Path) -> None:
    film = list(frames(traces, NAMES))
    assert len(film) == 4
    assert film[0].shape[1] == 960
    assert film[0].shape[0] % 2 == 0
    assert all((a != b).any() for a, b in pairwise(film))
    write_film(film, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as gif:
        assert getattr(gif, "n_frames", 1) == 4
        assert gif.size == (960, film[0].shape[0])
    write_film(film, tmp_path / "film.mp4")
    video = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 4 + 2  # the last one is held
    found, first = video.read()
    assert found
    assert np.abs(first[..., ::-1].astype(float) - film[0]).mean() < 4.0
    with pytest.raises(AfsimError, match=r"unknown ending of a film '.avi'; expected one of: .gif, .mp4"):
        write_film(film, tmp_path / "film.avi")
    with pytest.raises(AfsimError, match="at least one frame"):
        write_film([], tmp_path / "film.gif")


# ---------------------------------------------------------------------- the command
CONFIG = TraceConfig(stack=3, start=1, steps=3, lens="closed_loop", sensor="dim")


def test_the_command_writes_the_picture_and_the_steps(
    stacks: StackSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stacks.save(tmp_path / "set")
    config = replace(
        CONFIG, stacks=tmp_path / "set", out=tmp_path / "out" / "one.png", fork_at=2, fork_policy="fixed:7"
    )
    assert main(config) == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["one.json", "one.png"]
    told = json.loads((tmp_path / "out" / "one.json").read_text("utf-8"))
    assert [episode["policy"] for episode in told["episodes"]] == ["hill_climb", "fixed:7"]
    assert [len(episode["steps"]) for episode in told["episodes"]] == [4, 4]
    # The same until the other policy looks at the image of step 2.
    assert told["episodes"][0]["steps"][:2] == told["episodes"][1]["steps"][:2]
    places = [[step["position"] for step in episode["steps"][:3]] for episode in told["episodes"]]
    assert places[0] == places[1]
    assert (told["best_index"], told["truth"], len(told["curve"])) == (7, 6.6, 12)
    out = capsys.readouterr().out
    assert "fixed:7, from step 2" in out
    assert "Written:" in out


def test_rows_are_what_the_trace_holds(stacks: StackSet) -> None:
    traces, names = run(CONFIG, stacks=stacks)
    rows = step_rows(traces[0])
    assert names == ["hill_climb"]
    assert [row["command"] for row in rows] == traces[0].lanes["command"].tolist()
    assert [row["position"] for row in rows] == traces[0].lanes["position"].tolist()
    assert rows[0]["status"] == "SEARCHING"
    assert rows[-1]["error"] == traces[0].end["error"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fork_at": 2}, "fork-at 2 needs fork-policy"),
        ({"fork_at": 3, "fork_policy": "stay"}, r"3 moves can be forked at steps 0 \.\.\. 2, got 3"),
        ({"fork_policy": "climb"}, "unknown policy 'climb'"),
        ({"policy": "climb"}, "unknown policy 'climb'"),
        ({"stack": 6}, r"stack must be integers in 0 \.\.\. 5, got 6"),
        ({"stack": "desk"}, "unknown stack 'desk'"),
        ({"start": 12}, r"start must be integers in 0 \.\.\. 11, got 12"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"lens": "new"}, "unknown lens preset 'new'"),
        ({"sensor": "new"}, "unknown sensor preset 'new'"),
        ({"seed": -1}, "seed must be in 0"),
    ],
)
def test_values_that_do_not_exist_are_refused(stacks: StackSet, change: dict[str, object], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        run(replace(CONFIG, **change), stacks=stacks)  # type: ignore[arg-type]


def test_another_ending_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    with pytest.raises(
        AfsimError, match=r"unknown ending of the file to write '.jpg'; expected one of: .gif, .mp4"
    ):
        main(replace(CONFIG, stacks=tmp_path / "none", out=tmp_path / "one.jpg"))
    assert not list(tmp_path.iterdir())
