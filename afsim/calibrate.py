"""Calibrate the disparity of a set's cameras: fit, with a bar, and write the file that policies read."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from afsim.calibration import DisparityCalibration
from afsim.calibrationfit import fit_calibration
from afsim.errors import StoreError
from afsim.options import command_line
from afsim.patch_disparity import REACH
from afsim.progress import progress
from afsim.stackset import StackSet
from afsim.staging import staged_files


@dataclass(frozen=True)
class CalibrateConfig:
    """Fit the disparity of dual-pixel stacks against their distances, over the field."""

    stacks: Path
    """A set of labelled dual-pixel stacks with known distances: never the one that policies are then tested on."""
    out: Path
    """File to write (JSON); one that is there is replaced."""
    estimator: Literal["zncc", "ssd"] = "zncc"
    """What measures the disparity of a patch: zncc (the whole patch) or ssd (tiles of 8 x 8 pixels)."""
    reach: int = REACH
    """Largest shift tried, in pixels: 3 as in the paper's rows, 16 for the whole sweep."""
    grid: tuple[int, int] = (6, 8)
    """Rows and columns of cells over the field, the columns along the shift."""
    quiet: bool = False
    """No progress bar, and nothing on the screen."""


def run(config: CalibrateConfig, *, stacks: StackSet | None = None) -> DisparityCalibration:
    """Return the calibration, fitted, with the command that repeats it; ``stacks`` replaces ``config.stacks``."""
    stacks = stacks if stacks is not None else StackSet.open(config.stacks)
    with progress(shown=not config.quiet, transient=True) as bar:
        task = bar.add_task(f"measuring {config.estimator}", total=int(stacks.labelled.sum()))
        fitted = fit_calibration(
            stacks,
            config.estimator,
            reach=config.reach,
            grid=config.grid,
            progress=lambda done: bar.advance(task, done),
        )
    return replace(fitted, provenance=fitted.provenance._replace(command=command_line("calibrate", config)))


def main(config: CalibrateConfig) -> int:
    """Fit the calibration, write it, and print what was found."""
    if config.out.is_dir():
        raise StoreError(f"{config.out} is a folder; expected a file to write a calibration to")
    # Opened before the run, so that a folder that cannot be written to is told at once.
    with staged_files(config.out.parent) as folder:
        fitted = run(config)
        fitted.save(folder / config.out.name)
    if not config.quiet:
        print(f"{config.out}: {describe(fitted)}")
    return 0


def describe(fitted: DisparityCalibration) -> str:
    """Return in one line what a calibration found."""
    slopes = [value for row in fitted.slopes for value in row]
    offsets = [value for row in fitted.offsets for value in row]
    source = fitted.provenance
    return (
        f"{fitted.estimator}, reach {fitted.reach}: {min(slopes):.3f} ... {max(slopes):.3f} pixels per dioptre, "
        f"{min(offsets):+.3f} ... {max(offsets):+.3f} pixels in focus, "
        f"spread {fitted.errors.residual_px:.3f} pixels "
        f"({source.estimates} estimates of {source.stacks} stacks of {source.set})"
    )
