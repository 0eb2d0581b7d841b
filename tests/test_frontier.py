"""The picture of a comparison: all that is known is drawn, sure differences are marked, names keep apart."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from afsim.errors import AfsimError, WithheldError
from afsim.frontier import frontier, spread
from afsim.plots import save
from tests.test_plots import make_row as row_of

FEW = ("contrast", "disparity", "network", "random")


def make_row(policy: str, steps: int, error: float, *, sure: int = 0, **other: object) -> dict[str, object]:
    """Make a row whose difference from its reference is surely negative, unsure (0), or surely positive."""
    known: dict[str, Any] = {"exact_mae": error, "exact_mae_lo": 0.9 * error, "exact_mae_hi": 1.1 * error}
    known |= {
        "success": 1.0 / (1.0 + error),
        "time_ms": 35.0 * steps,
        "optimum": 0.25,
        "against": f"{steps - 1} steps",
    }
    known |= {"difference_lo": sure - 0.5, "difference_hi": sure + 0.5, "difference": sure}
    return row_of(policy, steps, error, **(known | other))


def make_rows() -> list[dict[str, object]]:
    rows = [make_row(p, m, (2.0 + 3 * i) / m, sure=-1) for i, p in enumerate(FEW) for m in (3, 2, 1)]
    return [*rows, make_row("peak", 1, 0.9, kind="whole-stack", travel_um=90.0, time_ms=1636.0)]


def line(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    (found,) = [drawn for drawn in axes.lines if drawn.get_label() == label]
    x, y = np.asarray(found.get_xdata()), np.asarray(found.get_ydata())
    return list(map(float, x)), list(map(float, y))


def panels(figure: Figure) -> dict[tuple[str, str], Axes]:
    """Return the panels by what they are against and of what."""
    below = figure.axes[len(figure.axes) // 2 :] if len(figure.axes) > 3 else figure.axes
    x = [axes.get_xlabel() for axes in below]
    first = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    names = [(label, y) for y in first for label in x]
    return dict(zip(names, figure.axes, strict=True))


def test_error_and_success_are_drawn_against_travel_time_and_steps() -> None:
    found = panels(frontier(make_rows()))
    assert {x.split(" (")[0] for x, _ in found} == {"lens travel", "time", "steps m"}
    assert {y for _, y in found} == {"mean exact error (slices)", "share within 1 slice"}
    errors = [2.0, 1.0, 2 / 3]
    for (x, y), axes in found.items():
        at, values = line(axes, "contrast")
        across = {"lens": [31.0, 62.0, 93.0], "time": [35.0, 70.0, 105.0], "step": [1.0, 2.0, 3.0]}[x[:4]]
        assert at == across
        assert values == pytest.approx(errors if "error" in y else [1 / (1 + e) for e in errors])


def test_what_is_not_known_has_no_panel() -> None:
    unknown = [row | {"travel_um": math.nan, "time_ms": math.nan} for row in make_rows()]
    assert {x for x, _ in panels(frontier(unknown))} == {"lens travel (slices)", "steps m"}


def test_without_labels_sharpness_alone_is_drawn() -> None:
    withheld = ("exact_mae", "success", "optimum", "difference_lo", "difference_hi")
    figure = frontier([row | dict.fromkeys(withheld, math.nan) for row in make_rows()])
    assert len(figure.axes) == 3
    assert "no labels" in figure.axes[0].get_ylabel()
    assert line(figure.axes[-1], "contrast")[1] == [0.9] * 3
    assert not figure.legends


def test_markers_tell_sure_differences() -> None:
    rows = [make_row("a", m, 3.0, sure=sure) for m, sure in ((1, -1), (2, 0), (3, 1))]
    axes = frontier(rows).axes[2]
    drawn = {float(np.asarray(each.get_xdata())[0]): each for each in axes.lines if each.get_linestyle() == "None"}
    assert drawn[1.0].get_markerfacecolor() == drawn[1.0].get_color()
    assert drawn[2.0].get_markerfacecolor() == "white"
    assert drawn[3.0].get_marker() == "x"
    figure = frontier(rows)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[:2] == ["surely less error", "no sure difference"]
    assert "than with the budget before" in texts[2]


def test_the_legend_names_a_baseline_and_only_what_occurs() -> None:
    rows = [make_row("a", m, 3.0, sure=-1, against="sweep") for m in (1, 2)]
    (text,) = (text.get_text() for text in frontier(rows).legends[0].get_texts())
    assert text.startswith("surely less error")
    assert "than that of sweep" in text


def test_a_whole_stack_is_a_level_with_a_star_inside_the_panel_or_at_its_edge() -> None:
    figure = frontier(make_rows())
    travel, time = figure.axes[0], figure.axes[1]
    for axes in figure.axes[:3]:
        assert line(axes, "peak (whole stack)")[1] == [0.9, 0.9]
    stars = [
        next(np.asarray(each.get_xdata())[0] for each in axes.lines if each.get_marker() == "*")
        for axes in (travel, time)
    ]
    assert stars[0] == 90.0
    assert stars[1] == time.get_xlim()[1] < 200.0
    assert any("1636" in text.get_text() for text in time.texts)


def test_what_no_policy_can_reach_is_grey() -> None:
    axes = frontier(make_rows()).axes[0]
    (area,) = axes.patches
    assert area.get_window_extent().height > 0
    bottom, _ = axes.get_ylim()
    assert bottom == pytest.approx(0.7 * 0.25)
    names = [text.get_text() for text in frontier(make_rows()).axes[2].texts]
    assert "below the optimum" in names
    # An optimum far below what is reached would leave no room for the lines: it is told as a number.
    far = frontier([row | {"optimum": 1e-4} for row in make_rows()])
    assert not far.axes[0].patches
    assert any("optimum: 0.00" in text.get_text() for text in far.axes[2].texts)


def test_an_error_of_zero_is_inside_the_picture() -> None:
    axes = frontier([*make_rows(), make_row("oracle", 1, 0.0, optimum=0.0)]).axes[0]
    assert axes.get_ylim()[0] == 0.0


def test_every_line_and_level_has_its_name_in_its_colour() -> None:
    figure = frontier(make_rows())
    for axes in (figure.axes[2], figure.axes[5]):
        names = {text.get_text(): text.get_color() for text in axes.texts}
        assert {*FEW, "peak, whole stack"} <= set(names)
        for policy in FEW:
            (drawn,) = [each for each in axes.lines if each.get_label() == policy]
            assert names[policy] == drawn.get_color()


def test_many_policies_differ_in_colour_or_dashes() -> None:
    rows = [make_row(f"policy {i}", m, 1.0 + i, sure=-1) for i in range(20) for m in (1, 2)]
    axes = frontier(rows).axes[0]
    lines = [each for each in axes.lines if str(each.get_label()).startswith("policy")]
    looks = {(str(each.get_color()), str(getattr(each, "_dash_pattern", None))) for each in lines}
    assert len(lines) == len(looks) == 20


@pytest.mark.parametrize("draws", [0, 1, 2])
def test_names_keep_apart_and_in_order_and_inside(draws: int) -> None:
    places = np.random.default_rng(draws).uniform(0.0, 1.0, 12) ** (draws + 1)
    out = spread(places, 0.05)
    assert (np.argsort(out) == np.argsort(places)).all()
    assert np.diff(np.sort(out)).min() >= 0.05 - 1e-12
    assert out.min() >= 0.0
    assert out.max() <= 1.0 + 1e-12


def test_names_that_have_room_stay_where_they_are() -> None:
    np.testing.assert_allclose(spread(np.array([0.9, 0.1, 0.5]), 0.1), [0.9, 0.1, 0.5])
    np.testing.assert_allclose(spread(np.array([0.5, 0.5]), 0.1), [0.45, 0.55])


def test_no_two_names_overlap_in_the_picture() -> None:
    rows = [make_row(f"policy {i}", m, 1.0 + 0.01 * i, sure=-1) for i in range(14) for m in (1, 2)]
    figure = frontier(rows)
    figure.draw_without_rendering()
    for axes in (figure.axes[2], figure.axes[5]):
        # Of the letters alone, without the leaders.
        extents = [Text.get_window_extent(text) for text in axes.texts]
        boxes = sorted((extent.y0, extent.y1) for extent in extents)
        assert all(below[1] <= above[0] + 1.0 for below, above in pairwise(boxes))


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(AfsimError, match="no rows"):
        frontier([])
    nothing = dict.fromkeys(("exact_mae", "relative_sharpness"), math.nan)
    with pytest.raises(WithheldError, match="relative_sharpness"):
        frontier([row | nothing for row in make_rows()])


def test_the_files_are_the_same_twice(tmp_path: Path) -> None:
    first, again = (save(frontier(make_rows()), tmp_path / name, "frontier") for name in ("a", "b"))
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_one_row_is_drawn() -> None:
    assert len(frontier([make_row("a", 1, 2.0, difference_lo=math.nan, difference_hi=math.nan)]).axes) == 6
    assert len(frontier([make_row("a", 1, 2.0, kind="whole-stack")]).axes) == 6
