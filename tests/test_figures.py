"""The paper's Figures 2 to 5: the numbers it prints, what each figure is there to show, and the files."""

import csv
from pathlib import Path

import numpy as np
import pytest

from afsim.experiments.figures import (
    FiguresConfig,
    Study,
    clipped,
    disc_of_radius,
    gaussian_of_sigma,
    gradient_norm,
    main,
    study,
)
from afsim.experiments.figures_report import draw_figures
from afsim.rows import number


@pytest.fixture(scope="module")
def found() -> Study:
    return study(FiguresConfig(size=64, step=6, repeats=3))


def _of(found: Study, figure: int, quantity: str, series: str) -> dict[float, float]:
    rows = [
        row for row in found.rows if (row["figure"], row["quantity"], row["series"]) == (figure, quantity, series)
    ]
    assert rows
    return {number(row, "at"): number(row, "ours") for row in rows}


def test_the_numbers_that_the_paper_prints_in_figure_3() -> None:
    point, disc = disc_of_radius(0.0), disc_of_radius(1.0)
    assert gradient_norm(point) == pytest.approx(1.2247, abs=1e-4)
    assert gradient_norm(gaussian_of_sigma(0.71)) == pytest.approx(0.62, abs=0.005)
    assert gradient_norm(clipped(4.1 * disc)) == pytest.approx(2.45, abs=0.02)
    assert gradient_norm(disc) == pytest.approx(0.675, abs=0.003)


def test_where_a_disc_overtakes_the_point_in_focus(found: Study) -> None:
    (beats,) = _of(found, 3, "amplitude", "disc reaches the point in focus").values()
    (reached,) = _of(found, 3, "amplitude", "disc reaches the paper's 2.45").values()
    assert beats == pytest.approx(1.81, abs=0.01)
    assert reached == pytest.approx(4.1, abs=0.05)


@pytest.mark.parametrize(("amplitude", "radius", "norm"), [(16.0, 2.0, 4.29), (64.0, 4.0, 6.36)])
def test_bright_points_have_larger_gradients_far_out_of_focus(amplitude: float, radius: float, norm: float) -> None:
    assert gradient_norm(clipped(amplitude * disc_of_radius(radius))) == pytest.approx(norm, rel=0.02)
    assert norm > gradient_norm(disc_of_radius(0.0))


def test_kernels_keep_the_light() -> None:
    for image in (disc_of_radius(0.0), disc_of_radius(3.3), gaussian_of_sigma(0.0), gaussian_of_sigma(1.7)):
        assert image.sum() == pytest.approx(1.0, abs=1e-9)


def test_a_saturated_light_looks_sharper_out_of_focus(found: Study) -> None:
    peaks = {A: _of(found, 3, "peak_index", f"A = {A:g}")[A] for A in (1.0, 64.0)}
    assert peaks[1.0] == 24
    assert abs(peaks[64.0] - 24) >= 6


def test_disparity_of_rendered_views_is_equation_5(found: Study) -> None:
    for k in (4, 16, 28, 40):
        expected = _of(found, 2, "disparity_px", f"object at {k}")
        rendered = _of(found, 2, "disparity_rendered_px", f"object at {k}")
        np.testing.assert_allclose(list(rendered.values()), list(expected.values()), rtol=0.01, atol=1e-3)
        assert all(np.sign(d) == np.sign(at - k) for at, d in expected.items() if at != k)


def test_noise_drowns_the_contrast(found: Study) -> None:
    errors = {light: next(iter(_of(found, 4, "mean_absolute_error", light).values())) for light in ("none", "dark")}
    assert errors["none"] == 0
    assert errors["dark"] > 0
    assert min(_of(found, 4, "contrast", "none").values()) < 0.2
    assert min(_of(found, 4, "contrast", "dark").values()) > 0.7


def test_breathing_moves_the_largest_gradient_away_from_focus(found: Study) -> None:
    (at,) = _of(found, 5, "in_focus", "breathing")
    (best,) = _of(found, 5, "largest", "breathing")
    assert at == 12
    assert best > at
    assert list(_of(found, 5, "largest", "no breathing")) == [at]


def test_the_command_writes_rows_table_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(FiguresConfig(out=tmp_path / "figures", size=32, step=12, repeats=2)) == 0
    names = sorted(file.name for file in (tmp_path / "figures").iterdir())
    assert names == [*(f"figure_{i}.png" for i in (2, 3, 4, 5)), "rows.csv", "table.md"]
    with (tmp_path / "figures" / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ours"] for row in rows if row["paper"] == "1.22"] == ["1.22474"]
    table = (tmp_path / "figures" / "table.md").read_text("utf-8")
    assert "| 3 | gradient norm | in focus | 1.225 | 1.22 |" in table
    assert table in capsys.readouterr().out


def test_pictures_say_what_they_show(found: Study) -> None:
    figures = draw_figures(found)
    assert list(figures) == ["figure_2", "figure_3", "figure_4", "figure_5"]
    for figure in figures.values():
        assert all(axes.get_xlabel() or axes.get_title() for axes in figure.axes)
