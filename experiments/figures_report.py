"""Table and pictures of :mod:`afsim.experiments.figures`: pure functions of what the study found."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from afsim.experiments.figures import PSF_OFFSETS, Study
from afsim.plots import COLOURS, STYLE
from afsim.rows import Row, number

FloatArray = npt.NDArray[np.float64]

_GREY: Final = "#333333"
_INDEX: Final = "focal index (0 far, 48 near)"
_LIGHT_NAMES: Final = {
    "none": "no noise",
    "indoor": "indoor (ISO 400)",
    "dim": "dim (ISO 1600)",
    "dark": "dark (ISO 6400)",
}


def printed_table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return heading and lines of the numbers that the paper prints, and of what follows from them."""
    lines = []
    for row in rows:
        curve = str(row["quantity"]) in _CURVES and not math.isfinite(number(row, "paper"))
        if not curve:
            paper = number(row, "paper")
            ours = f"{number(row, 'ours'):.4g}"
            name = str(row["quantity"]).replace("_", " ")
            lines.append(
                [f"{row['figure']}", name, str(row["series"]), ours, f"{paper:.2f}" if paper == paper else ""]
            )
    return ["figure", "quantity", "of", "ours", "paper"], lines


_CURVES: Final = (
    *("blur_px", "disparity_px", "disparity_rendered_px", "contrast"),
    *("gradient_norm", "gradient_norm_disc", "gradient_norm_Gaussian", "gradient_norm_stack"),
)


def draw_figures(study: Study) -> dict[str, Figure]:
    """Return the four figures by name."""
    with mpl.rc_context(STYLE):
        return {
            "figure_2": _draw_blur(study),
            "figure_3": _draw_point(study),
            "figure_4": _draw_noise(study),
            "figure_5": _draw_breathing(study),
        }


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure; the same figure gives the same bytes."""
    with mpl.rc_context(STYLE):
        figure.savefig(path, dpi=130)


# ---------------------------------------------------------------------- parts
def _series(study: Study, quantity: str, figure: int) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return the curves of a quantity, without the numbers that stand alone."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in study.rows:
        if row["quantity"] == quantity and row["figure"] == figure and not math.isfinite(number(row, "paper")):
            found.setdefault(str(row["series"]), []).append((number(row, "at"), number(row, "ours")))
    return {name: (np.array(points)[:, 0], np.array(points)[:, 1]) for name, points in found.items()}


def _value(study: Study, figure: int, quantity: str, series: str) -> Row:
    return next(
        row for row in study.rows if (row["figure"], row["quantity"], row["series"]) == (figure, quantity, series)
    )


def _panel(axes: Axes, letter: str, title: str) -> None:
    axes.set_title(f"({letter}) {title}", loc="left", fontsize=9.5)


def _show(axes: Axes, image: FloatArray, title: str, top: float, *, gamma: float = 1.0) -> None:
    """Draw a grey picture from 0 to ``top``, one pixel a square, without axes."""
    shown = np.clip(image / top, 0.0, 1.0) ** gamma
    axes.imshow(shown, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set_title(title, fontsize=8.5)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _canvas(width: float, height: float, rows: int, columns: int, **options: Any) -> tuple[Figure, GridSpec]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_gridspec(rows, columns, **options)


# ---------------------------------------------------------------------- the figures
def _draw_blur(study: Study) -> Figure:
    figure = Figure(figsize=(9.4, 6.6), layout="constrained")
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=(1, 1.05)))
    blur, disparity = upper.subplots(1, 2)
    rendered = _series(study, "disparity_rendered_px", 2)
    for colour, (name, (at, values)) in zip(COLOURS, _series(study, "blur_px", 2).items(), strict=False):
        blur.plot(at, values, color=colour, label=name)
        disparity.plot(*_series(study, "disparity_px", 2)[name], color=colour, label=name)
        every = slice(None, None, max(1, len(at) // 12))
        disparity.plot(at[every], rendered[name][1][every], "o", color=colour, markersize=3.5)
    _panel(blur, "a", "blur diameter, equation 4")
    blur.set(xlabel=_INDEX, ylabel="blur diameter (px)")
    blur.legend(fontsize=8)
    _panel(disparity, "b", "disparity: equation 5 (lines), rendered views (dots)")
    disparity.set(xlabel=_INDEX, ylabel="right minus left (px)")
    points = study.pictures["points"]
    lower.suptitle("(c) a point of light at index 24, in the left and the right view", fontsize=9.5)
    for axes, pair, offset in zip(lower.subplots(2, len(PSF_OFFSETS)).T, points, PSF_OFFSETS, strict=True):
        for one, view, side in zip(axes, pair, ("left", "right"), strict=True):
            _show(one, view, f"{side}, lens at {24 + offset}", float(pair.max()), gamma=0.7)
            one.axvline((len(view) - 1) / 2.0, color=COLOURS[4], linewidth=0.7)
    return figure


def _draw_point(study: Study) -> Figure:
    figure, grid = _canvas(9.4, 6.4, 2, 6, height_ratios=(1, 1.35))
    named = ("in focus", "Gaussian, sigma 0.71 px", "disc, radius 1 px")
    for i, (name, image) in enumerate(zip(named, study.pictures["saturated"], strict=True)):
        row = _value(study, 3, "gradient_norm", name)
        middle = image.shape[0] // 2
        norms = f"gradient {number(row, 'ours'):.2f}, paper {number(row, 'paper'):.2f}"
        title = f"({'abc'[i]}) {name}" + (f", A = {number(row, 'at'):g}" if i == 2 else "") + f"\n{norms}"
        axes = figure.add_subplot(grid[0, 2 * i : 2 * i + 2])
        _show(axes, image[middle - 4 : middle + 5, middle - 4 : middle + 5], title, 1.0)
    radius, stack = figure.add_subplot(grid[1, :3]), figure.add_subplot(grid[1, 3:])
    gaussian = _series(study, "gradient_norm_Gaussian", 3)
    for colour, (name, curve) in zip(COLOURS, _series(study, "gradient_norm_disc", 3).items(), strict=False):
        radius.plot(*curve, color=colour, label=name)
        radius.plot(*gaussian[name], color=colour, linestyle=(0, (4, 2)), linewidth=1.0)
        at, values = _series(study, "gradient_norm_stack", 3)[name]
        stack.plot(at, values, color=colour, label=name)
        stack.plot(at[values.argmax()], values.max(), "o", color=colour, markersize=5)
    _panel(radius, "d", "clipped at 1: disc (solid), Gaussian (dashed)")
    radius.set(xlabel="blur radius (px)", ylabel="norm of the gradient")
    radius.legend(title="amplitude / white", fontsize=8, title_fontsize=8)
    _panel(stack, "e", "rendered stack of a light at index 24; dots: largest")
    stack.set(xlabel=_INDEX, ylabel="norm of the gradient")
    stack.axvline(24, color=_GREY, linewidth=0.9, linestyle=(0, (2, 2)))
    return figure


def _draw_noise(study: Study) -> Figure:
    figure, grid = _canvas(9.4, 4.0, 2, 4, width_ratios=(2.2, 1, 1, 1))
    axes, truth = figure.add_subplot(grid[:, 0]), number(_value(study, 4, "truth", ""), "ours")
    for colour, (name, (at, values)) in zip(COLOURS, _series(study, "contrast", 4).items(), strict=False):
        axes.plot(at, values, color=colour, label=_LIGHT_NAMES[name])
        axes.plot(at[values.argmax()], values.max(), "o", color=colour, markersize=5)
    axes.axvline(truth, color=_GREY, linewidth=0.9, linestyle=(0, (2, 2)), label="truth")
    _panel(axes, "a", "contrast in ever less light; dots: largest")
    axes.set(xlabel=_INDEX, ylabel="mean squared gradient over its largest", ylim=(0.0, None))
    axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 0.18))
    for column, name in enumerate(("none", "dim", "dark"), start=1):
        best = number(_value(study, 4, "argmax", name), "ours")
        error = number(_value(study, 4, "mean_absolute_error", name), "ours")
        pair = study.pictures[f"noise_{name}"]
        low, high = np.percentile(pair, [0.5, 99.5])
        largest = f"{_LIGHT_NAMES[name]}\nlargest: {best:.0f} (mean error {error:.1f})"
        names = (largest, f"in focus: {truth:.0f}")
        for line, title in enumerate(names):
            middle = slice(pair.shape[-1] // 2 - 32, pair.shape[-1] // 2 + 32)
            _show(
                figure.add_subplot(grid[line, column]), pair[line, middle, middle] - low, title, float(high - low)
            )
    return figure


def _draw_breathing(study: Study) -> Figure:
    figure, grid = _canvas(9.4, 3.7, 1, 3, width_ratios=(1.7, 1, 1))
    axes = figure.add_subplot(grid[0])
    for colour, (name, (at, values)) in zip(COLOURS, _series(study, "gradient_norm", 5).items(), strict=False):
        axes.plot(at, values, color=colour, label=name)
        axes.plot(at[values.argmax()], values.max(), "o", color=colour, markersize=5)
    truth = number(_value(study, 5, "in_focus", "breathing"), "at")
    axes.axvline(truth, color=_GREY, linewidth=0.9, linestyle=(0, (2, 2)), label="truth")
    _panel(axes, "a", "a patch far from the centre")
    axes.set(xlabel=_INDEX, ylabel="norm of the gradient", ylim=(0.0, None))
    axes.legend(fontsize=8)
    pair = study.pictures["breathing"]
    low, high = float(pair.min()), float(pair.max())
    for i, (quantity, name) in enumerate((("in_focus", "focused"), ("largest", "unfocused"))):
        row = _value(study, 5, quantity, "breathing")
        norms = f"gradient {number(row, 'ours'):.2f}, paper {number(row, 'paper'):.2f}"
        title = f"({'bc'[i]}) {name}, index {number(row, 'at'):.0f}\n{norms}"
        _show(figure.add_subplot(grid[1 + i]), pair[i] - low, title, high - low, gamma=0.6)
    return figure
