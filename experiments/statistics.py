"""Real and rendered stacks side by side: noise, light, contrast, sharpness peaks, flicker, breathing, truth.

The real stacks are the 49-slice patches of "Learning to Autofocus", which are not part of afsim. The last column of
the table has what an earlier study of twelve scenes, of which these are eight, found with other programs.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from afsim.dualpixel import Axis
from afsim.errors import AfsimError, ReaderError
from afsim.experiments.compare import open_stacks
from afsim.read_patches import LearnAfPatchesReader
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from afsim.stackstats import PEAKS, StackStatistics, correlation_of_flicker, stack_statistics
from afsim.staging import staged_files
from afsim.tables import markdown_table, write_table

FloatArray = npt.NDArray[np.float64]

# Cycles per pixel at which spectra are told, and from which noise stands clear of what focus changes.
_FREQUENCIES: Final = (0.23, 0.33, 0.43)
# Largest standard error of a gain that is told: rendered planes below it are right within 0.1.
_LARGEST_ERROR: Final = 0.06
_PERCENTILES: Final = (10, 25, 50, 75, 90)


@dataclass(frozen=True)
class StatisticsConfig:
    """What is measured."""

    real: Path | None = None
    """Folder of the real patches; learnaf_patches in the folder AFSIM_REAL_DATA by default."""
    stacks: Path | None = None
    """Rendered set to lay beside them; the embedded demo set by default."""
    most: int = 200
    """Stacks of the rendered set, spread evenly over it."""
    real_split: Axis = "rows"
    """Axis of the dual pixels' split in the real files, which are stored upright."""
    out: Path = Path("out/statistics")
    """Folder for statistics.csv, stacks.csv, table.md and statistics.png."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


class Measured(NamedTuple):
    """Statistics of the stacks of both populations."""

    real: list[StackStatistics]
    rendered: list[StackStatistics]


class Quantity(NamedTuple):
    """A number of a population of stacks."""

    name: str
    of: Callable[[Sequence[StackStatistics]], float]
    known: str = ""
    """What the earlier study found."""


def run(config: StatisticsConfig, *, rendered: StackSet | None = None) -> Measured:
    """Measure the real stacks and the rendered ones; ``rendered`` replaces ``config.stacks``.

    Raises
    ------
    AfsimError
        Where a set is missing or damaged, or no stack is asked for.
    """
    if config.most < 1:
        raise AfsimError(f"most must be at least 1, got {config.most}")
    real = [
        stack for found in LearnAfPatchesReader(real_folder(config.real)).recordings() for stack in found.stacks()
    ]
    stacks = rendered if rendered is not None else open_stacks(config.stacks)
    chosen = np.unique(np.linspace(0, len(stacks) - 1, min(config.most, len(stacks))).round().astype(int))
    return Measured(
        _measure(real, "real", config, config.real_split),
        _measure((stacks[int(i)] for i in chosen), "rendered", config, None, len(chosen)),
    )


def real_folder(folder: Path | None) -> Path:
    """Return the folder of the real patches, or raise :class:`ReaderError` where there is none."""
    root = os.environ.get("AFSIM_REAL_DATA")
    if folder is None and not root:
        raise ReaderError("no real patches: give --real FOLDER, or the folder above it in AFSIM_REAL_DATA")
    return folder or Path(root or "") / "learnaf_patches"


def _measure(
    stacks: Iterable[FocalStack], what: str, config: StatisticsConfig, split: Axis | None, count: int | None = None
) -> list[StackStatistics]:
    bar = track(stacks, what, count, console=Console(stderr=True), disable=config.quiet, transient=True)
    return [stack_statistics(stack, split=split) for stack in bar]


# ---------------------------------------------------------------------- quantities
def values_of(stacks: Sequence[StackStatistics], get: Callable[[StackStatistics], float]) -> FloatArray:
    """Return a number of each stack, without those that are withheld."""
    values = np.array([get(stack) for stack in stacks], dtype=np.float64)
    return values[np.isfinite(values)]


def percentile(get: Callable[[StackStatistics], float], percent: float) -> Callable[..., float]:
    """Return the function that gives a percentile over the stacks; NaN where no stack has the value."""

    def of(stacks: Sequence[StackStatistics]) -> float:
        values = values_of(stacks, get)
        return float(np.percentile(values, percent)) if len(values) else float("nan")

    return of


def _log_sd(get: Callable[[StackStatistics], float]) -> Callable[..., float]:
    def of(stacks: Sequence[StackStatistics]) -> float:
        values = values_of(stacks, get)
        return float(np.log(values[values > 0]).std()) if (values > 0).any() else float("nan")

    return of


def power_at(frequency: FloatArray, power: FloatArray, wanted: float) -> float:
    """Return the power at a frequency relative to frequency 0; between frequencies its logarithm is linear."""
    log = np.log(np.maximum(power, 1e-12))
    return float(np.exp(np.interp(wanted, frequency, log) - log[0]))


def _noise_power(direction: str, wanted: float) -> Callable[[StackStatistics], float]:
    return lambda stack: power_at(stack.frequency, getattr(stack, f"noise_{direction}"), wanted)


def trusted_gain(stack: StackStatistics) -> float:
    """Return the breathing gain, NaN where its standard error is large."""
    return stack.breathing.gain if stack.breathing.error < _LARGEST_ERROR else float("nan")


def _flicker_lag(stack: StackStatistics) -> float:
    return float(np.corrcoef(stack.flicker[1:], stack.flicker[:-1])[0, 1]) if stack.flicker.any() else float("nan")


def _peak(i: int) -> Callable[[StackStatistics], float]:
    return lambda stack: stack.peaks[i] if np.isfinite(stack.truth) else float("nan")


def _common_flicker(stacks: Sequence[StackStatistics]) -> float:
    """Return the median correlation of the flicker of patches A and B of a scene; NaN without such pairs."""
    by_name = {stack.name: stack for stack in stacks}
    pairs = [(by_name[f"{name[:-2]}/A"], by_name[name]) for name in by_name if name.endswith("/B")]
    found = [correlation_of_flicker(*pair) for pair in pairs]
    return float(np.median(found)) if found else float("nan")


def _count(test: Callable[[StackStatistics], bool]) -> Callable[..., float]:
    return lambda stacks: float(sum(test(stack) for stack in stacks))


def _spread(name: str, get: Callable[[StackStatistics], float], known: Sequence[str] = ()) -> list[Quantity]:
    told = known or [""] * len(_PERCENTILES)
    return [Quantity(f"{name}, {p} %", percentile(get, p), k) for p, k in zip(_PERCENTILES, told, strict=True)]


def _noise_quantities() -> list[Quantity]:
    across = zip(_FREQUENCIES, (".18", ".019", "1.4e-4"), strict=True)
    return [
        *_spread("noise S of green, stored pixels", lambda s: s.shot, ("", "", "8.8e-5", "", "")),
        Quantity("noise S, log sd", _log_sd(lambda s: s.shot), ".6"),
        Quantity("noise O of green, 50 %", percentile(lambda s: s.read, 50), "< 1e-7"),
        *(
            Quantity(f"noise power across the split at {f} / 0", percentile(_noise_power("across", f), 50), known)
            for f, known in across
        ),
        *(
            Quantity(f"noise power along the split at {f} / 0", percentile(_noise_power("along", f), 50), "1")
            for f in _FREQUENCIES
        ),
    ]


def _light_quantities() -> list[Quantity]:
    return [
        *_spread("mean level", lambda s: s.level, ("", "", ".07 ... .10", "", "")),
        Quantity("mean level, log sd", _log_sd(lambda s: s.level), "1.2"),
        Quantity("brightest pixel, largest", percentile(lambda s: s.highest, 100), ".75"),
        *_spread("contrast (sd / mean) in focus", lambda s: s.contrast, (".09", ".26", ".39", ".76", ".88")),
        *_spread(
            "gradient along the split / mean",
            lambda s: s.gradient_along[0],
            (".033", ".057", ".077", ".141", ".214"),
        ),
        Quantity("gradient along, median pixel", percentile(lambda s: s.gradient_along[1], 50), ".052"),
        Quantity("gradient along, 90 % pixel", percentile(lambda s: s.gradient_along[2], 50), ".18"),
        Quantity("gradient along, 99 % pixel", percentile(lambda s: s.gradient_along[3], 50), ".46"),
        Quantity("gradient across the split / mean, 50 %", percentile(lambda s: s.gradient_across, 50), ".046"),
    ]


def _motion_quantities() -> list[Quantity]:
    return [
        *(
            Quantity(f"peak ln(max / median), labelled, {name}", percentile(_peak(i), 50), known)
            for i, (name, known) in enumerate(zip(PEAKS, (".49", "1.4", "1.6", ".29"), strict=True))
        ),
        *_spread(
            "flicker, sd of a slice",
            lambda s: float(s.flicker.std()),
            ("", "", ".0055 ... .013", "", ".05 ... .10"),
        ),
        Quantity("flicker, correlation with the next slice, 50 %", percentile(_flicker_lag, 50), ".2 ... .65"),
        Quantity("flicker, correlation of patches A and B, 50 %", _common_flicker, ".88 ... 1.00"),
        *_spread("drift k48 / k0", lambda s: s.drift, (".50 least", "", "", "", "1.13 largest")),
        *_spread("breathing gain", trusted_gain, ("1.24 least", "", "1.40", "", "1.53 largest")),
        Quantity("stacks with a breathing gain", _count(lambda s: s.breathing.error < _LARGEST_ERROR), "7 of 12"),
        Quantity("jitter (px), 50 %", percentile(lambda s: s.breathing.jitter_px, 50), ".04 ... .10"),
        Quantity("sway (px), 50 %", percentile(lambda s: s.breathing.sway_px, 50), ".05 ... .3"),
        *_spread("index in focus", lambda s: s.truth, ("3", "", "12", "", "25")),
        Quantity("stacks", _count(lambda s: True), "24"),
    ]


def quantities() -> list[Quantity]:
    """Return what is compared, in the order of the table."""
    return [*_noise_quantities(), *_light_quantities(), *_motion_quantities()]


def main(config: StatisticsConfig) -> int:
    """Measure, print the table, and write statistics.csv, stacks.csv, table.md and statistics.png."""
    from afsim.experiments import statistics_report as report

    with staged_files(config.out) as folder:
        measured = run(config)
        rows = report.rows_of(measured)
        headings, lines = ["quantity", "real", "rendered", "known"], report.lines_of(rows)
        write_table(rows, folder / "statistics.csv")
        write_table(report.stack_rows(measured), folder / "stacks.csv")
        (folder / "table.md").write_text(markdown_table(headings, lines), encoding="utf-8")
        report.draw(measured).savefig(folder / "statistics.png", dpi=110)
    if not config.quiet:
        screen = Table(*headings, title="real and rendered stacks")
        for line in lines:
            screen.add_row(*line)
        Console().print(screen)
        print(f"Written: {config.out / 'table.md'}, statistics.csv, stacks.csv and statistics.png beside it")
    return 0
