"""A real dual pixel beside ours: measured blur kernels against our pupils, and the disparity of real pictures.

The recordings are those of Xin et al. (ICCV 2021) with a Google Pixel 4: blur kernels of both views, measured at
one defocus on a grid over the field, pictures of white sheets, and scenes with a defocus map. They are not part of
afsim.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from afsim.disparity import Disparity, local_disparity, without_shading
from afsim.dualpixel import AXES, Axis
from afsim.errors import AfsimError, ReaderError
from afsim.imagefile import read_grey16, read_image
from afsim.kernelfit import KERNEL_MODELS, KernelFit, fit_kernels
from afsim.pupil import FIELD_RADIUS_PX
from afsim.staging import staged_files
from afsim.tables import write_table

FloatArray = npt.NDArray[np.float64]
T = TypeVar("T")

_BLACK: Final = 1024
SIDES: Final = ("left", "right")
"""Folders of the two views, and the ends of the calibration's names."""
_GRID: Final = (6, 8)  # rows and columns of the measured kernels
_PARAMETERS: Final = ("width", "crosstalk", "split", "cats_eye_x", "cats_eye_y", "tilt_x", "tilt_y")
# A window's defocus must be known over most of it, and even: within 10 of 255 steps.
_KNOWN_SHARE: Final = 0.9
_EVEN_STEPS: Final = 10.0


@dataclass(frozen=True)
class RealDualPixelConfig:
    """What is read, and how windows are matched."""

    data: Path | None = None
    """Folder with left, right, defocus and calibration; pixel4_dp in the folder AFSIM_REAL_DATA by default."""
    out: Path = Path("out/real_dual_pixel")
    """Folder for kernels.csv, disparity.csv, table.md and the pictures."""
    models: str = ",".join(KERNEL_MODELS)
    """Models to fit to the kernels, separated by commas; the last one's fit is drawn."""
    every: int = 1
    """Fit the kernels of every so many rows and columns of the grid."""
    window: int = 48
    """Side of the matched windows in pixels."""
    stride: int = 24
    """Distance of the windows in pixels."""
    least_confidence: float = 0.9
    """Correlation from which a window counts."""
    largest_error: float = 0.3
    """Standard error in pixels up to which a window counts."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


class Site(NamedTuple):
    """One place of the kernel grid."""

    row: int
    column: int
    x: float
    """Position in the field over 1260 px, as pupils take it."""
    y: float
    kernels: FloatArray
    share: float
    """The left view's share of the light, by the white sheets; 0.5 on average over the field."""


class SceneMatch(NamedTuple):
    """What the matcher finds in one scene along the split, and the defocus map."""

    name: str
    left: FloatArray
    disparity: Disparity
    defocus: FloatArray
    """(r, c) median of each window, 0 ... 255; NaN where it is not known or uneven."""
    used: npt.NDArray[np.bool_]


class Study(NamedTuple):
    """All that is found: one row a kernel and model, one a scene and axis, and what the pictures show."""

    kernels: list[dict[str, object]]
    disparity: list[dict[str, object]]
    sites: list[Site]
    fits: list[KernelFit]
    """Of the last model, site by site."""
    matches: list[SceneMatch]


def run(config: RealDualPixelConfig) -> Study:
    """Fit the kernels and match the scenes.

    Raises
    ------
    AfsimError
        Where the recordings are missing or are not what is expected, or a model does not exist.
    """
    data = data_folder(config.data)
    models = [name.strip() for name in config.models.split(",") if name.strip()]
    if not models or config.every < 1:
        raise AfsimError(f"expected at least one model and every >= 1, got {config.models!r} and {config.every}")
    sites = [site for site in read_sites(data) if not (site.row % config.every or site.column % config.every)]
    jobs = [(model, site) for model in models for site in sites]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(lambda job: _fit(*job), jobs)
        fits = list(_tracked(done, len(jobs), "kernels", config.quiet))
    rows = [_kernel_row(site, fit) for (_, site), fit in zip(jobs, fits, strict=True)]
    matches, disparities = _match_scenes(data, config)
    return Study(rows, disparities, sites, fits[-len(sites) :], matches)


def data_folder(folder: Path | None) -> Path:
    """Return the folder of the recordings.

    Raises
    ------
    ReaderError
        Where there is none.
    """
    root = os.environ.get("AFSIM_REAL_DATA")
    if folder is None and not root:
        raise ReaderError("no recordings: give --data FOLDER, or the folder above it in AFSIM_REAL_DATA")
    found = Path(folder or Path(root or "") / "pixel4_dp")
    if not (found / "calibration").is_dir():
        raise ReaderError(f"{found}: expected the folders calibration, left, right and defocus")
    return found


def _tracked(items: Iterator[T], total: int, what: str, quiet: bool) -> Iterator[T]:
    yield from track(items, what, total, console=Console(stderr=True), disable=quiet, transient=True)


# ---------------------------------------------------------------------- kernels
def read_sites(data: Path) -> list[Site]:
    """Read the measured kernels and where they lie, row by row."""
    kernels = np.stack([_read_kernels(data / "calibration" / f"blur_kernels_{side}.npy") for side in SIDES], 1)
    white = [read_light(data / "calibration" / f"white_sheet_{side}.png") for side in SIDES]
    rows, columns = _GRID
    height, width = white[0].shape
    tile = height // rows, width // columns
    left, right = (sheet.reshape(rows, tile[0], columns, tile[1]).mean(axis=(1, 3)) for sheet in white)
    share = left / (left + right)
    share += 0.5 - share.mean()  # one view being brighter everywhere is its gain
    sites = []
    for i, pair in enumerate(kernels):
        row, column = divmod(i, columns)
        y, x = ((k + 0.5) * t - size / 2.0 for k, t, size in zip((row, column), tile, (height, width), strict=True))
        sites.append(Site(row, column, x / FIELD_RADIUS_PX, y / FIELD_RADIUS_PX, pair, float(share[row, column])))
    return sites


def _read_kernels(path: Path) -> FloatArray:
    if not path.is_file():
        raise ReaderError(f"{path}: no such file")
    kernels = np.load(path, allow_pickle=False)
    count = _GRID[0] * _GRID[1]
    if kernels.ndim != 3 or len(kernels) != count:
        raise ReaderError(f"{path}: shape {kernels.shape}, expected {count} kernels")
    return np.asarray(kernels, dtype=np.float64)


def read_light(path: Path) -> FloatArray:
    """Read a picture of one view, black level subtracted."""
    return read_grey16(path).astype(np.float64) - _BLACK


def _fit(model: str, site: Site) -> KernelFit:
    # Only a tilt needs the sheets to be told from a split.
    tilted = model in KERNEL_MODELS and "tilt_x" in KERNEL_MODELS[model].free
    return fit_kernels(site.kernels, model, share=site.share if tilted else None)


def separation(kernels: FloatArray) -> tuple[float, float]:
    """Return how far the right kernel's centroid lies from the left one's, x and y in pixels."""
    line = np.arange(kernels.shape[-1])
    x, y = (kernels.sum(axis=axis) @ line / kernels.sum(axis=(1, 2)) for axis in (1, 2))
    return float(x[1] - x[0]), float(y[1] - y[0])


def _kernel_row(site: Site, fit: KernelFit) -> dict[str, object]:
    apart_x, apart_y = separation(site.kernels)
    return {
        "model": fit.model,
        "row": site.row,
        "column": site.column,
        "field_x": site.x,
        "field_y": site.y,
        "residual_left": fit.residual[0],
        "residual_right": fit.residual[1],
        "alpha": fit.alpha,
        "diameter_px": fit.diameter_px,
        "offset_x_px": fit.offset_px[0],
        "offset_y_px": fit.offset_px[1],
        "sigma_px": fit.sigma_px,
        **{name: fit.parameters.get(name, float("nan")) for name in _PARAMETERS},
        "left_fraction": fit.left_fraction,
        "left_fraction_by_sheets": site.share,
        "separation_x_px": apart_x,
        "separation_y_px": apart_y,
    }


# ---------------------------------------------------------------------- disparity
def _match_scenes(data: Path, config: RealDualPixelConfig) -> tuple[list[SceneMatch], list[dict[str, object]]]:
    white = [read_light(data / "calibration" / f"white_sheet_{side}.png") for side in SIDES]
    names = sorted(path.stem for path in (data / "left").glob("*.png"))
    if not names:
        raise ReaderError(f"{data / 'left'}: no pictures")
    matches, rows = [], []
    for name in _tracked(iter(names), len(names), "scenes", config.quiet):
        views = [
            without_shading(read_light(data / side / f"{name}.png"), sheet)
            for side, sheet in zip(SIDES, white, strict=True)
        ]
        defocus = read_image(data / "defocus" / f"{name}.png").astype(np.float64)
        by_axis = {axis: match(name, views, defocus, axis, config) for axis in AXES}
        matches.append(by_axis["columns"])
        rows += [_disparity_row(name, axis, [found]) for axis, found in by_axis.items()]
    return matches, [*rows, _disparity_row("all", "columns", matches)]


def match(
    name: str, views: list[FloatArray], defocus: FloatArray, axis: Axis, config: RealDualPixelConfig
) -> SceneMatch:
    """Match the views of a scene along one axis, and say which windows count and what their defocus is."""
    found = local_disparity(*views, axis=axis, window=config.window, stride=config.stride)
    medians = np.full(found.shift.shape, np.nan)
    for i, j in np.ndindex(medians.shape):
        top, left = (round(float(c) - (config.window - 1) / 2.0) for c in (found.rows[i], found.columns[j]))
        part = defocus[top : top + config.window, left : left + config.window]
        known = part[part > 0]
        if known.size >= _KNOWN_SHARE * part.size and known.std() <= _EVEN_STEPS:
            medians[i, j] = np.median(known)
    used = np.isfinite(medians) & (found.confidence >= config.least_confidence)
    return SceneMatch(name, views[0], found, medians, used & (found.error <= config.largest_error))


def _disparity_row(name: str, axis: Axis, matches: list[SceneMatch]) -> dict[str, object]:
    from scipy.stats import spearmanr  # here, because it takes long to load

    shift = np.concatenate([one.disparity.shift[one.used] for one in matches])
    defocus = np.concatenate([one.defocus[one.used] for one in matches])
    known = [np.isfinite(one.defocus) for one in matches]
    confidence = np.concatenate([one.disparity.confidence[k] for one, k in zip(matches, known, strict=True)])
    enough = len(shift) > 2 and np.ptp(shift) > 0 and np.ptp(defocus) > 0
    low, middle, high = np.percentile(shift, [5, 50, 95]) if len(shift) else (np.nan,) * 3
    return {
        "scene": name,
        "axis": axis,
        "windows": sum(int(k.sum()) for k in known),
        "used": len(shift),
        "rank_correlation": float(spearmanr(shift, defocus).statistic) if enough else float("nan"),
        "confidence_median": float(np.median(confidence)) if len(confidence) else float("nan"),
        "shift_p5_px": float(low),
        "shift_p50_px": float(middle),
        "shift_p95_px": float(high),
    }


def main(config: RealDualPixelConfig) -> int:
    """Run the study, print its tables, and write kernels.csv, disparity.csv, table.md and three pictures."""
    from afsim.experiments import real_dual_pixel_report as report

    with staged_files(config.out) as folder:
        study = run(config)
        write_table(study.kernels, folder / "kernels.csv")
        write_table(study.disparity, folder / "disparity.csv")
        text = report.tables(study)
        (folder / "table.md").write_text(text, encoding="utf-8")
        for draw in (report.draw_kernels, report.draw_field, report.draw_disparity):
            draw(study).savefig(folder / f"{draw.__name__.removeprefix('draw_')}.png", dpi=120)
    if not config.quiet:
        print(text)
        print(f"Written: {config.out / 'table.md'}, kernels.csv, disparity.csv and pictures beside it")
    return 0
