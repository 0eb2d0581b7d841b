"""Figures 2 to 5 of "Learning to Autofocus" from the simulator, with the numbers that the paper prints beside ours.

Figure 2: blur and disparity against the index. Figure 3: a saturated point of light has a larger gradient out of
focus. Figure 4: noise drowns the contrast of a patch of little texture. Figure 5: edges enter by focal breathing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from afsim.canvas import Surface, canvas_size
from afsim.checks import check_whole
from afsim.errors import AfsimError
from afsim.exposure import LEVELS, add_noise, digitise, upsample
from afsim.measures import mean_gradient_magnitude
from afsim.optics import blur_diameter_px, disparity_px, lta49_diopters
from afsim.pupil import FIELD_RADIUS_PX, Pupil, alpha_of, make_pupil
from afsim.render import render_views
from afsim.sensor import Sensor, make_sensor
from afsim.stack import Image
from afsim.staging import staged_files
from afsim.tables import markdown_table, write_table
from afsim.textures import smooth_noise

FloatArray = npt.NDArray[np.float64]

_OBJECTS: Final = (4, 16, 28, 40)
PSF_OFFSETS: Final = (-18, -9, 0, 9, 18)
_SATURATION: Final = (1.0, 2.0, 4.0, 16.0, 64.0)
_RADII: Final = np.linspace(0.0, 5.0, 51)
_TILE: Final = 41  # side of the pictures of a point, in pixels
_LIGHTS: Final = ("none", "indoor", "dim", "dark")
# Peripheral patch of Figure 5: near the corner of the frame, where content moves most.
_PERIPHERY_PX: Final = (820.0, 560.0)


@dataclass(frozen=True)
class FiguresConfig:
    """How the figures are made."""

    out: Path = Path("out/figures")
    """Folder for figure_2.png ... figure_5.png, rows.csv and table.md."""
    size: int = 128
    """Height and width of the rendered patches in pixels, even."""
    step: int = 1
    """Only every so many slices of the 49 are rendered."""
    repeats: int = 50
    """Exposures with noise of their own in each light of Figure 4."""
    seed: int = 0
    """Of textures and noise."""
    quiet: bool = False
    """No table on the screen."""


class Study(NamedTuple):
    """What the figures show: rows of curves and numbers, and pictures by name, the views (..., H, W) of patches."""

    rows: list[dict[str, object]]
    pictures: dict[str, FloatArray]


def run(config: FiguresConfig) -> list[dict[str, object]]:
    """Return all rows: figure, quantity, series, ``at`` (an index, a radius or an amplitude), ours, the paper's."""
    return study(config).rows


def study(config: FiguresConfig) -> Study:
    """Make the rows and pictures of all four figures.

    Raises
    ------
    AfsimError
        For a number in ``config`` that is too small, or an odd size.
    """
    for name, least in (("size", 8), ("step", 1), ("repeats", 1), ("seed", 0)):
        check_whole(name, getattr(config, name), least=least)
    if config.size % 2:
        raise AfsimError(f"size must be even, got {config.size}")
    parts = [make(config) for make in (blur_and_disparity, saturated_point, noise, focal_breathing)]
    pictures = {name: picture for part in parts for name, picture in part.pictures.items()}
    return Study([row for part in parts for row in part.rows], pictures)


def main(config: FiguresConfig) -> int:
    """Write figure_2.png ... figure_5.png, rows.csv and table.md, the numbers that the paper prints and ours."""
    from afsim.experiments.figures_report import draw_figures, printed_table, save_png

    found = study(config)
    with staged_files(config.out) as folder:
        write_table(found.rows, folder / "rows.csv")
        heading, lines = printed_table(found.rows)
        (folder / "table.md").write_text(markdown_table(heading, lines), encoding="utf-8")
        for name, figure in draw_figures(found).items():
            save_png(figure, folder / f"{name}.png")
    if not config.quiet:
        print(markdown_table(heading, lines))
        print(f"Written: {config.out}")
    return 0


def _row(
    figure: int, quantity: str, series: str, at: float, ours: float, paper: float = np.nan
) -> dict[str, object]:
    return {
        "figure": figure,
        "quantity": quantity,
        "series": series,
        "at": float(at),
        "ours": float(ours),
        "paper": paper,
    }


def _curve(
    figure: int, quantity: str, series: str, at: Sequence[float], ours: FloatArray
) -> list[dict[str, object]]:
    return [_row(figure, quantity, series, x, y) for x, y in zip(at, ours, strict=True)]


def _slices(config: FiguresConfig) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return the indices of the rendered slices, and all focus distances."""
    focus = lta49_diopters()
    return np.arange(0, len(focus), config.step), focus


# ---------------------------------------------------------------------- figure 2
def blur_and_disparity(config: FiguresConfig) -> Study:
    """Measure blur and disparity of points of light at several depths against the index, and picture the points."""
    indices, focus = _slices(config)
    pupil = make_pupil()
    rows = []
    for k in _OBJECTS:
        series, blur = f"object at {k}", blur_diameter_px(focus[indices], focus[k])
        views = _point(float(focus[k]), focus[indices], 1.0, config.size)
        left, right = _centroids(views).T
        rows += _curve(2, "blur_px", series, indices.tolist(), np.abs(blur))
        expected = disparity_px(focus[indices], focus[k], alpha=alpha_of(pupil))
        rows += _curve(2, "disparity_px", series, indices.tolist(), expected)
        rows += _curve(2, "disparity_rendered_px", series, indices.tolist(), right - left)
    middle = len(focus) // 2
    points = _point(float(focus[middle]), focus[middle + np.array(PSF_OFFSETS)], 1.0, _TILE)
    return Study(rows, {"points": points})


def _point(depth: float, focus: FloatArray, sigma_px: float, size: int) -> FloatArray:
    """Render a point of light, a Gaussian of sum 1, in the middle of the field, without breathing."""
    side = canvas_size(focus, (depth, depth), (0.0, 0.0), size, breathing=0.0)
    offset = np.arange(side) - side // 2
    profile = np.exp(-0.5 * (offset / sigma_px) ** 2)
    light = np.outer(profile, profile) / profile.sum() ** 2
    views = render_views(
        [Surface(light, depth)], focus, (0.0, 0.0), size=size, pupil=make_pupil(), breathing=0.0, native=False
    )
    return np.asarray(views)


def _centroids(images: FloatArray) -> FloatArray:
    offset = np.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2.0
    return np.asarray((images * offset).sum(axis=(-2, -1)) / images.sum(axis=(-2, -1)))


# ---------------------------------------------------------------------- figure 3
def saturated_point(config: FiguresConfig) -> Study:
    """Measure the gradient of a point of light that saturates, under blur of either kind and over a stack."""
    in_focus, disc = disc_of_radius(0.0), disc_of_radius(1.0)
    gaussian = gaussian_of_sigma(0.71)
    reached = float(brentq(lambda A: gradient_norm(clipped(A * disc)) - 2.45, 2.0, 6.0))
    beats = float(brentq(lambda A: gradient_norm(clipped(A * disc)) - gradient_norm(in_focus), 0.5, 4.0))
    rows = [
        _row(3, "gradient_norm", "in focus", 1.0, gradient_norm(in_focus), 1.22),
        _row(3, "gradient_norm", "Gaussian, sigma 0.71 px", 1.0, gradient_norm(gaussian), 0.62),
        _row(3, "gradient_norm", "disc, radius 1 px", 4.1, gradient_norm(clipped(4.1 * disc)), 2.45),
        _row(3, "amplitude", "disc reaches the paper's 2.45", 2.45, reached),
        _row(3, "amplitude", "disc reaches the point in focus", gradient_norm(in_focus), beats),
    ]
    for A in _SATURATION:
        for kind, kernel in (("disc", disc_of_radius), ("Gaussian", _gaussian_like_disc)):
            norms = np.array([gradient_norm(clipped(A * kernel(r))) for r in _RADII.tolist()])
            rows += _curve(3, f"gradient_norm_{kind}", f"A = {A:g}", _RADII.tolist(), norms)
    indices, focus = _slices(config)
    truth = len(focus) // 2
    green = _point(float(focus[truth]), focus[indices], 0.5, min(config.size, 64)).mean(axis=1)
    brightest = _point(float(focus[truth]), focus[[truth]], 0.5, 33).max()
    for A in _SATURATION:
        norms = np.array([gradient_norm(clipped(A / brightest * image)) for image in green])
        rows += _curve(3, "gradient_norm_stack", f"A = {A:g}", indices.tolist(), norms)
        rows.append(_row(3, "peak_index", f"A = {A:g}", A, float(indices[int(norms.argmax())])))
    return Study(rows, {"saturated": np.stack([in_focus, gaussian, clipped(4.1 * disc)])})


def disc_of_radius(radius_px: float) -> FloatArray:
    """Return a disc of sum 1 on pixels that collect light over their area; radius 0 is one pixel."""
    pupil = _fine_disc()
    at = np.rint(pupil.centres * radius_px).astype(np.int64) + _TILE // 2
    image = np.zeros((_TILE, _TILE))
    np.add.at(image, (at[:, None], at), pupil.left)
    return image


@cache
def _fine_disc() -> Pupil:
    return make_pupil("disc", cells=200)


def gaussian_of_sigma(sigma_px: float) -> FloatArray:
    """Return a Gaussian of sum 1, sampled at the middles of the pixels as image filters do; 0 is one pixel."""
    offset = np.arange(_TILE) - _TILE // 2
    profile = np.exp(-0.5 * (offset / max(sigma_px, 1e-3)) ** 2)
    return np.asarray(np.outer(profile, profile) / profile.sum() ** 2)


def _gaussian_like_disc(radius_px: float) -> FloatArray:
    return gaussian_of_sigma(radius_px / 2.0)  # the same second moment


def clipped(image: FloatArray) -> FloatArray:
    """Return an image as a sensor sees it that saturates at 1."""
    return np.minimum(image, 1.0)


def gradient_norm(image: FloatArray) -> float:
    """Return the L2 norm of the gradients of a whole image (H, W), by Sobel kernels over 4, borders replicated."""
    mean_square = float(mean_gradient_magnitude(image.astype(np.float32)))  # of kernels that are not over 4
    return float(np.sqrt(mean_square * image.size)) / 4.0


# ---------------------------------------------------------------------- figure 4
def noise(config: FiguresConfig) -> Study:
    """Measure the contrast of a patch of little texture in ever less light, and where its largest value lies."""
    indices, focus = _slices(config)
    truth, field, rng = 18, (150.0, -90.0), np.random.default_rng(config.seed)
    side = canvas_size(focus, (float(focus[truth]),) * 2, field, config.size)
    radiance = 0.12 * (1.0 + 0.03 * smooth_noise(rng, side, 0.9) + 0.10 * smooth_noise(rng, side, 25.0))
    scene = [Surface(radiance, float(focus[truth]))]
    pupil = make_pupil(field=_over_radius(field))
    views = render_views(scene, focus[indices], field, size=config.size, pupil=pupil, reference=focus[24])
    near = int(np.abs(indices - truth).argmin())
    rows, pictures = [_row(4, "truth", "", 0.0, truth)], {}
    for name in _LIGHTS:
        sensor = make_sensor(name)
        repeats = range(config.repeats if sensor.adds_noise else 1)
        exposures = [_exposed(views, sensor, np.random.default_rng([config.seed, repeat])) for repeat in repeats]
        contrasts = np.stack([mean_gradient_magnitude(green) for green in exposures])
        best = contrasts.argmax(axis=1)
        errors = np.abs(indices[best] - truth)
        # What is drawn is the exposure of the median error.
        shown = int(errors.argsort(kind="stable")[len(errors) // 2])
        curve = contrasts[shown] / contrasts[shown].max()
        rows += _curve(4, "contrast", name, indices.tolist(), curve)
        rows.append(_row(4, "argmax", name, sensor.iso, float(indices[best[shown]])))
        rows.append(_row(4, "mean_absolute_error", name, sensor.iso, float(errors.mean())))
        pictures[f"noise_{name}"] = exposures[shown][[best[shown], near]].astype(np.float64)
    return Study(rows, pictures)


def _exposed(views: FloatArray, sensor: Sensor, rng: np.random.Generator) -> Image:
    """Return green (n, H, W) of native views: noise, clipping, ten bits, upsampling, and the mean of the views."""
    shot, read = sensor.noise(2)
    return np.asarray(LEVELS.normalize(upsample(digitise(add_noise(views, shot, read, rng)))).mean(axis=1))


def _over_radius(field_px: tuple[float, float]) -> tuple[float, float]:
    return field_px[0] / FIELD_RADIUS_PX, field_px[1] / FIELD_RADIUS_PX


# ---------------------------------------------------------------------- figure 5
def focal_breathing(config: FiguresConfig) -> Study:
    """Measure the gradient of a patch that edges enter as the lens focuses nearer, with breathing and without."""
    indices, focus = _slices(config)
    truth, rng = 12, np.random.default_rng(config.seed)
    depth = float(focus[truth])
    side = canvas_size(focus, (depth, depth), _PERIPHERY_PX, config.size, reference=depth)
    wall = 0.25 * (1.0 + 0.032 * smooth_noise(rng, side, 1.5))
    # A board on the side of the frame's centre, whose edges lie just outside the patch in focus.
    from_border = np.arange(side, dtype=np.float64) - (side - config.size) / 2.0
    scene = [Surface(wall + 0.15 * _bars(from_border), depth)]
    pupil, rows, pictures = make_pupil(field=_over_radius(_PERIPHERY_PX)), [], {}
    for name, gain in (("breathing", 1.0), ("no breathing", 0.0)):
        views = render_views(
            scene, focus[indices], _PERIPHERY_PX, size=config.size, pupil=pupil, breathing=gain, reference=depth
        )
        green = _exposed(views / pupil.left.sum(), make_sensor("none"), rng)
        norms = np.array([gradient_norm(image) for image in green])
        rows += _curve(5, "gradient_norm", name, indices.tolist(), norms)
        near, best = int(np.abs(indices - truth).argmin()), int(norms.argmax())
        rows.append(_row(5, "in_focus", name, float(indices[near]), norms[near], 0.88 if gain else np.nan))
        rows.append(_row(5, "largest", name, float(indices[best]), norms[best], 1.02 if gain else np.nan))
        pictures[name] = np.stack([green[near], green[best]])
    return Study(rows, pictures)


def _bars(x: npt.NDArray[np.floating]) -> FloatArray:
    """Return bars 7 pixels wide with soft flanks, by the distance right of the patch's left border in focus."""
    return np.asarray(np.where(x < -5.0, np.clip(2.0 - np.abs((-x - 5.0) % 14.0 - 4.5) / 2.0, 0.0, 1.0), 0.0))
