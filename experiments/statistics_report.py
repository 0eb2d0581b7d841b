"""Rows, table and picture of :mod:`afsim.experiments.statistics`: pure functions of what was measured."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from afsim.experiments.statistics import Measured, quantities, trusted_gain, values_of
from afsim.stackstats import StackStatistics

_REAL, _RENDERED = "#D55E00", "#0072B2"  # Okabe and Ito (2008)


def rows_of(measured: Measured) -> list[dict[str, object]]:
    """Return one row a quantity: real, rendered, and what was known of the real stacks."""
    return [
        {"quantity": q.name, "real": q.of(measured.real), "rendered": q.of(measured.rendered), "known": q.known}
        for q in quantities()
    ]


def stack_rows(measured: Measured) -> list[dict[str, object]]:
    """Return one row a stack."""
    return [
        {
            "population": population,
            "stack": s.name,
            "scene": s.scene,
            "shot": s.shot,
            "read": s.read,
            "level": s.level,
            "contrast": s.contrast,
            "gradient_along": s.gradient_along[0],
            "gradient_across": s.gradient_across,
            **{f"peak_{i}": peak for i, peak in enumerate(s.peaks)},
            "flicker_sd": float(s.flicker.std()),
            "drift": s.drift,
            "breathing_gain": s.breathing.gain,
            "breathing_error": s.breathing.error,
            "jitter_px": s.breathing.jitter_px,
            "truth": s.truth,
        }
        for population, stacks in measured._asdict().items()
        for s in stacks
    ]


def lines_of(rows: Sequence[dict[str, object]]) -> list[list[str]]:
    """Return the cells of the table: three significant digits, nothing where a number is withheld."""
    shown = [
        [row["quantity"], *(f"{row[name]:.3g}".replace("nan", "") for name in ("real", "rendered"))] for row in rows
    ]
    return [[*(str(cell) for cell in line), str(row["known"])] for line, row in zip(shown, rows, strict=True)]


def draw(measured: Measured) -> Figure:
    """Draw the noise spectra and the distributions of the main quantities, real and rendered."""
    figure = Figure(figsize=(15, 7), layout="constrained")
    spectra, *others = figure.subplots(2, 4).flat
    _draw_spectra(spectra, measured)
    panels: tuple[tuple[str, Callable[[StackStatistics], float], bool], ...] = (
        ("noise S of green (stored pixels)", lambda s: s.shot, True),
        ("mean level", lambda s: s.level, True),
        ("contrast (sd / mean) in focus", lambda s: s.contrast, True),
        ("gradient along the split / mean", lambda s: s.gradient_along[0], True),
        ("flicker, sd of a slice", lambda s: float(s.flicker.std()), True),
        ("breathing gain over a thin lens", trusted_gain, False),
        ("index in focus", lambda s: s.truth, False),
    )
    for axes, (title, get, log) in zip(others, panels, strict=True):
        _draw_distribution(axes, measured, title, get, log=log)
    return figure


def _draw_spectra(axes: Axes, measured: Measured) -> None:
    f = np.linspace(0.0, 0.5, 101)
    axes.plot(f, np.cos(np.pi * f) ** 6 + 1e-12, color="#888888", linewidth=1, label="cos(pi f)^6")
    for stacks, colour, name in ((measured.real, _REAL, "real"), (measured.rendered, _RENDERED, "rendered")):
        for direction, style in (("across", "-"), ("along", "--")):
            frequency = stacks[0].frequency
            power = np.median([getattr(s, f"noise_{direction}") for s in stacks], axis=0)
            axes.plot(frequency, power / power[0], style, color=colour, label=f"{name}, {direction} the split")
    axes.set(title="noise power / that at 0", xlabel="cycles per pixel", yscale="log", ylim=(1e-5, 3))
    axes.legend(frameon=False, fontsize=7)


def _draw_distribution(
    axes: Axes, measured: Measured, title: str, get: Callable[[StackStatistics], float], *, log: bool
) -> None:
    for stacks, colour, name in ((measured.real, _REAL, "real"), (measured.rendered, _RENDERED, "rendered")):
        values = np.sort(values_of(stacks, get))
        if len(values):
            axes.step(values, (np.arange(len(values)) + 0.5) / len(values), color=colour, where="mid", label=name)
    axes.set(title=title, ylim=(0, 1), ylabel="share of stacks below")
    if log and axes.has_data():
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())  # they would overlap
    axes.legend(frameon=False, fontsize=7)
