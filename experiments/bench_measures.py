"""Speed of the contrast measures as ratios: against OpenCV, PyWavelets and SciPy in a loop, and against reading.

The references are in :mod:`afsim.experiments.measure_references`. Ours gets all slices at once; nothing is shared
between measures on either side.
"""

import itertools
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from afsim.checks import check_number, check_whole
from afsim.experiments.bench import BenchConfig, print_row, turns
from afsim.experiments.measure_memory import memory_growth
from afsim.experiments.measure_references import Image, Reference, local_mean, references, total_variation
from afsim.jit import compiled, over_lanes
from afsim.measures import MEASURES
from afsim.sets import demo_stacks

FloatArray = npt.NDArray[np.float64]

# What a measure may add to the memory in use, in chunks of the images that it is given.
_MOST_CHUNKS: Final = 4.0
# Of the tables, in characters: names of measures are not cut where the output is a file.
_LEAST_WIDTH: Final = 118
# How many times longer than reading the images it may take.
_MOST_READINGS: Final = 40.0


@dataclass(frozen=True)
class MeasuresConfig:
    """What is measured, and how long."""

    stacks: int = 64
    """Demo stacks in memory: each 49 slices of 128 x 128, 3.2 MB in single precision."""
    rounds: int = 3
    """Turns; the median of a turn is reported."""
    seconds: float = 0.25
    """Length of each measurement in a turn."""


def run(config: MeasuresConfig) -> int:
    """Measure and print a table of ratios, those of all measures, and what memory they take.

    Raises
    ------
    AfsimError
        For a configuration that measures nothing.
    """
    check_whole("stacks", config.stacks, least=1)
    check_whole("rounds", config.rounds, least=1)
    check_number("seconds", config.seconds, above=0.0)
    images = np.stack([stack.green() for stack in demo_stacks(config.stacks)]).astype(np.float32, copy=False)
    found = rates(images, config)
    console = Console()
    console.width = max(console.width, _LEAST_WIDTH)
    table = Table("what", "afsim /s", "reference /s", "ratio", "wanted", title="slices a second, median of turns")
    for row in rows(found):
        print_row(table, row.what, row.ours, row.reference, row.wanted)
    console.print(table)
    every = Table("measure", "afsim /s", "reference /s", "ratio", "readings", "peak growth", title="every measure")
    growth = memory_growth(images.shape[1:])
    for name, rate in found.items():
        if name in MEASURES:
            every.add_row(name, *_cells(rate, found["reading"].ours), f"{growth[name]:.2f} chunks")
    console.print(every)
    console.print(
        f"readings: time over that of adding the pixels up on the same threads (at most {_MOST_READINGS:g}); "
        "peak growth: what the process grows by at most while it measures one stack, in a process of its own, over "
        f"the stack in single precision (at most {_MOST_CHUNKS:g}), given in double precision and not contiguous; "
        "nan where the system does not tell"
    )
    return 0


@dataclass(frozen=True)
class Rates:
    """Slices a second in each turn: ours, and the reference's, where there is one."""

    ours: list[float]
    reference: list[float]


@dataclass(frozen=True)
class Row:
    """A line of the table: rates in each turn, and the ratio that is wanted."""

    what: str
    ours: list[float]
    reference: list[float]
    wanted: float


def rates(images: Image, config: MeasuresConfig) -> dict[str, Rates]:
    """Return the rates of all measures, and of a few more comparisons, of images (stacks, n, H, W)."""
    bench = BenchConfig(rounds=config.rounds, seconds=config.seconds)
    pairs: dict[str, tuple[str, Reference | None]] = {name: (name, references().get(name)) for name in MEASURES}
    pairs["total_variation_l1"] = ("total_variation_l1", partial(total_variation, power=1))
    for s in (1, 2, 4):
        pairs[f"scipy_{s}"] = (f"mean_local_ratio_{s}", partial(local_mean, "ratio", s, scipy=True))
    found = {"reading": Rates(turns([_reading(images)], bench)[0], [])}
    for key, (name, reference) in pairs.items():
        steps = [_whole(name, images), *([] if reference is None else [_looping(reference, images)])]
        both = turns(steps, bench)
        found[key] = Rates(both[0], both[1] if len(both) == 2 else [])
    return found


def rows(found: dict[str, Rates]) -> list[Row]:
    """Return the lines of the table, given the rates of all."""
    reproduced = [found[name] for name, measure in MEASURES.items() if measure.reproduction]
    names = [("sum_modified_laplacian", 5.0), ("total_variation_l1", 5.0), ("mean_gradient_magnitude", 4.0)]
    lines = [
        Row(
            f"the {len(reproduced)} contrast measures, one after another / OpenCV, PyWavelets and NumPy",
            _together([each.ours for each in reproduced]),
            _together([each.reference for each in reproduced]),
            4.0,
        ),
        *(Row(f"{name} / OpenCV", found[name].ours, found[name].reference, wanted) for name, wanted in names),
    ]
    for s in (1, 2, 4):
        pair = found[f"scipy_{s}"]
        lines.append(Row(f"mean_local_ratio_{s} / scipy.ndimage", pair.ours, pair.reference, 3.5))
    for level in (2, 3):
        kinds = (f"wavelet_sum_{level}", f"wavelet_variance_{level}", f"wavelet_ratio_{level}")
        chosen = [found[name] for name in (*kinds, f"mean_wavelet_log_ratio_{level}")]
        ours, theirs = _together([each.ours for each in chosen]), _together([each.reference for each in chosen])
        lines.append(Row(f"the four wavelet measures, level {level} / PyWavelets", ours, theirs, 6.0))
    slowest = min(MEASURES, key=lambda name: statistics.median(found[name].ours))
    what = f"the slowest, {slowest} / reading the images"
    return [*lines, Row(what, found[slowest].ours, found["reading"].ours, 1.0 / _MOST_READINGS)]


def _together(rates_of_each: list[list[float]]) -> list[float]:
    """Return the rates of several done one after another, turn by turn."""
    return [1.0 / sum(1.0 / rate for rate in turn) for turn in zip(*rates_of_each, strict=True)]


def _cells(rate: Rates, reading: list[float]) -> list[str]:
    ours, read = statistics.median(rate.ours), statistics.median(reading)
    reference = statistics.median(rate.reference) if rate.reference else None
    other = ("", "") if reference is None else (f"{reference:,.0f}", f"{ours / reference:.1f}")
    return [f"{ours:,.0f}", *other, f"{read / ours:.1f}"]


def _whole(name: str, images: Image) -> tuple[Callable[[], None], int]:
    def score() -> None:
        MEASURES[name](images)

    return score, int(images.shape[0] * images.shape[1])


def _looping(reference: Reference, images: Image) -> tuple[Callable[[], None], int]:
    """Return a loop over one stack after another: how many there are does not change how fast it is."""
    stacks = itertools.cycle(range(len(images)))

    def loop() -> None:
        for image in images[next(stacks)]:
            reference(image)

    return loop, images.shape[1]


def _reading(images: Image) -> tuple[Callable[[], None], int]:
    flat = images.reshape(-1, *images.shape[2:])
    out = np.empty(len(flat))
    return lambda: over_lanes(lambda a, b: _add_up(flat, a, b, out), len(flat), at_least=16), len(flat)


@compiled
def _add_up(images: Image, start: int, stop: int, out: FloatArray) -> None:
    """Add up each image's pixels."""
    _, h, w = images.shape
    for i in range(start, stop):
        one, columns = images[i], np.zeros(w, np.float32)
        for v in range(h):
            row = one[v]
            for u in range(w):
                columns[u] += row[u]
        out[i] = columns.sum()
