"""The pictures: every policy is drawn, what is withheld is not, and the files are the same twice."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from afsim.errors import AfsimError, WithheldError
from afsim.plots import error_by_steps, save
from afsim.rows import FIELDS

POLICIES = ("contrast", "disparity", "network", "random")


def make_row(policy: str, steps: int, mae: float, **other: object) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(FIELDS, 0.5)
    row |= {"policy": policy, "kind": "multi-step", "steps": steps, "mae": mae, "mae_lo": 0.85 * mae}
    row |= {"mae_hi": 1.2 * mae, "travel_index": 4.0 * steps, "travel_um": 31.0 * steps, "relative_sharpness": 0.9}
    return row | other


def make_rows() -> list[dict[str, object]]:
    """Make four policies at five budgets, given from the largest down, and two whole-stack rows."""
    rows = [make_row(p, m, (2.0 + 3 * i) / m) for i, p in enumerate(POLICIES) for m in (5, 4, 3, 2, 1)]
    rows.append(make_row("I* peak", 1, 2.2, kind="whole-stack", travel_um=450.0, travel_index=80.0))
    rows.append(make_row("D* network", 1, 0.9, kind="whole-stack", travel_um=450.0, travel_index=80.0))
    return rows


def unlabelled() -> list[dict[str, object]]:
    return [row | dict.fromkeys(("mae", "mae_lo", "mae_hi"), math.nan) for row in make_rows()]


def line(figure: Figure, label: str) -> tuple[list[float], list[float]]:
    (found,) = [drawn for drawn in figure.axes[0].lines if drawn.get_label() == label]
    x, y = np.asarray(found.get_xdata()), np.asarray(found.get_ydata())
    return list(map(float, x)), list(map(float, y))


def test_a_line_goes_through_a_policys_budgets_by_rising_steps() -> None:
    assert line(error_by_steps(make_rows()), "contrast") == ([1, 2, 3, 4, 5], [2.0, 1.0, 2 / 3, 0.5, 0.4])


def test_each_policy_has_a_band_that_spans_its_interval() -> None:
    figure = error_by_steps(make_rows())
    bands = figure.axes[0].collections
    assert len(bands) == len(POLICIES)
    heights = bands[0].get_paths()[0].get_extents()
    assert (heights.y0, heights.y1) == pytest.approx((0.85 * 0.4, 1.2 * 2.0))


def test_whole_stack_rows_are_dashed_levels() -> None:
    figure = error_by_steps(make_rows())
    assert line(figure, "I* peak (whole stack)")[1] == [2.2, 2.2]
    assert line(figure, "D* network (whole stack)")[1] == [0.9, 0.9]


def test_policies_differ_in_colour_and_in_marker() -> None:
    lines = [drawn for drawn in error_by_steps(make_rows()).axes[0].lines if drawn.get_label() in POLICIES]
    assert len({drawn.get_color() for drawn in lines}) == len(POLICIES)
    assert len({drawn.get_marker() for drawn in lines}) == len(POLICIES)


def test_without_labels_sharpness_is_drawn_and_the_axis_says_so() -> None:
    figure = error_by_steps(unlabelled())
    assert line(figure, "contrast")[1] == [0.9] * 5
    assert "sharpness" in figure.axes[0].get_ylabel()
    assert "withheld" in figure.axes[0].get_ylabel()


def test_an_error_of_zero_is_inside_the_picture() -> None:
    axes = error_by_steps([*make_rows(), make_row("oracle", 1, 0.0)]).axes[0]
    bottom, top = axes.get_ylim()
    assert bottom <= 0.0 < top
    assert bottom > -0.1


def test_what_cannot_be_drawn_is_refused_by_name() -> None:
    with pytest.raises(AfsimError, match=r"metric 'speed'.*rmse"):
        error_by_steps(make_rows(), metric="speed")
    with pytest.raises(AfsimError, match="no rows"):
        error_by_steps([])
    with pytest.raises(WithheldError, match="relative_sharpness"):
        error_by_steps([row | {"relative_sharpness": math.nan} for row in unlabelled()])


def test_the_files_are_the_same_twice(tmp_path: Path) -> None:
    first = save(error_by_steps(make_rows()), tmp_path / "a", "steps")
    again = save(error_by_steps(make_rows()), tmp_path / "b", "steps")
    assert [path.name for path in first] == ["steps.png", "steps.svg"]
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_one_row_with_withheld_intervals_is_drawn(tmp_path: Path) -> None:
    row = make_row("contrast", 1, 2.0, mae_lo=math.nan, mae_hi=math.nan)
    assert all(path.stat().st_size for path in save(error_by_steps([row]), tmp_path, "one"))


def test_no_pyplot_is_needed() -> None:
    source = Path(sys.modules[error_by_steps.__module__].__file__ or "").read_text(encoding="utf-8")
    assert "import matplotlib.pyplot" not in source
    assert "from matplotlib import pyplot" not in source
