"""Tables and pictures of :mod:`afsim.experiments.real_dual_pixel`: pure functions of what the study found."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from afsim.experiments.real_dual_pixel import SceneMatch, Study
from afsim.rows import Row, number
from afsim.tables import markdown_table

FloatArray = npt.NDArray[np.float64]

_KERNEL_CROP: Final = 21  # pixels either side of the middle that are drawn
_FIELD_QUANTITIES: Final = ("alpha", "diameter_px", "sigma_px", "width", "crosstalk", "split", "left_fraction")


# ---------------------------------------------------------------------- tables
def tables(study: Study) -> str:
    """Return the study as Markdown: models, the field, the law over the field, and the scenes."""
    parts = (
        ("Models fitted to the measured kernels: median over the field [least, largest]", model_table(study)),
        ("The last model over the field, by distance from the centre", field_table(study)),
        ("Laws over the field: slope through the centre, by least squares", law_table(study)),
        ("Disparity of the scenes against their defocus maps", disparity_table(study)),
    )
    return "\n".join(f"### {title}\n\n{table}" for title, table in parts)


def _column(rows: Iterable[Row], field: str) -> FloatArray:
    return np.array([number(row, field) for row in rows])


def _told(value: float, form: str) -> str:
    return f"{value:{form}}" if np.isfinite(value) else ""


def _of(study: Study, model: str) -> list[dict[str, object]]:
    return [row for row in study.kernels if row["model"] == model]


def _range(values: FloatArray, digits: int) -> str:
    if not np.isfinite(values).any():
        return ""
    low, high = np.nanmin(values), np.nanmax(values)
    return f"{np.nanmedian(values):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def model_table(study: Study) -> str:
    """Return a line for each model: residuals, alpha, diameter."""
    lines = []
    for model in dict.fromkeys(str(row["model"]) for row in study.kernels):
        rows = _of(study, model)
        central = [row for row in rows if np.hypot(number(row, "field_x"), number(row, "field_y")) < 0.2]
        middle = np.concatenate([_column(central, f"residual_{side}") for side in ("left", "right")])
        lines.append(
            [
                model,
                _range(_column(rows, "residual_left"), 3),
                _range(_column(rows, "residual_right"), 3),
                _range(middle, 3) if len(middle) else "",
                _range(_column(rows, "alpha"), 3),
                _range(_column(rows, "diameter_px"), 1),
            ]
        )
    heads = ["model", "residual left", "residual right", "residual within 0.2", "alpha", "diameter (px)"]
    return markdown_table(heads, lines)


def field_table(study: Study) -> str:
    """Return the last model's quantities in four rings around the centre of the field."""
    rows = _of(study, study.fits[-1].model)
    radius = np.hypot(_column(rows, "field_x"), _column(rows, "field_y"))
    rings = np.linspace(0.0, radius.max() + 1e-9, 5)
    lines = []
    for low, high in pairwise(rings.tolist()):
        inside = [row for row, r in zip(rows, radius, strict=True) if low <= r < high]
        if not inside:
            continue
        values = [_column(inside, name) for name in _FIELD_QUANTITIES]
        residual = np.concatenate([_column(inside, f"residual_{side}") for side in ("left", "right")])
        apart = _column(inside, "separation_x_px")
        cells = [
            _range(np.abs(v) if name == "split" else v, 2)
            for name, v in zip(_FIELD_QUANTITIES, values, strict=True)
        ]
        lines.append([f"{low:.2f} ... {high:.2f}", str(len(inside)), _range(residual, 3), _range(apart, 2), *cells])
    names = ["abs(split)" if name == "split" else name for name in _FIELD_QUANTITIES]
    return markdown_table(["radius / 1260 px", "kernels", "residual", "centroids apart (px)", *names], lines)


def law_table(study: Study) -> str:
    """Return slopes over the field: of split, tilt and cat's eye, what pupils take as constants."""
    lines = []
    for model in dict.fromkeys(str(row["model"]) for row in study.kernels):
        rows = _of(study, model)
        x, y = _column(rows, "field_x"), _column(rows, "field_y")
        radius = np.hypot(x, y)
        split = _column(rows, "split")
        if not np.isfinite(split).all():
            continue
        laws = [("split = a x", x, split)]
        for name in ("cats_eye", "tilt"):
            vx, vy = _column(rows, f"{name}_x"), _column(rows, f"{name}_y")
            if not np.isfinite(vx).all():
                continue
            outwards, sideways = (vx * x + vy * y) / radius, (vy * x - vx * y) / radius
            laws.append((f"{name}, outwards = a r", radius, outwards))
            # Which of the two discs is the barrel's, a shape alone does not tell: only sizes count.
            laws.append((f"abs({name}, sideways) = a r", radius, np.abs(sideways)))
        for law, along, values in laws:
            slope = float(along @ values / (along @ along))
            left = float(np.sqrt(np.mean((values - slope * along) ** 2)))
            lines.append([f"{model}: {law}", f"{slope:+.2f}", f"{left:.2f}"])
    return markdown_table(["law", "a", "rms deviation"], lines)


def disparity_table(study: Study) -> str:
    """Return a line for each scene and axis."""
    heads = [
        "scene",
        "axis",
        "windows",
        "used",
        "rank correlation",
        "correlation of windows",
        "shift 5/50/95 % (px)",
    ]
    lines = []
    for row in study.disparity:
        shifts = " / ".join(_told(number(row, f"shift_p{p}_px"), ".2f") for p in (5, 50, 95))
        lines.append(
            [
                str(row["scene"]),
                str(row["axis"]),
                str(row["windows"]),
                str(row["used"]),
                _told(number(row, "rank_correlation"), "+.3f"),
                _told(number(row, "confidence_median"), ".3f"),
                shifts,
            ]
        )
    return markdown_table(heads, lines)


# ---------------------------------------------------------------------- pictures
def draw_kernels(study: Study) -> Figure:
    """Draw the measured kernels, the last model's, and their difference, both views, as they lie in the field."""
    figure = Figure(figsize=(14, 7.2), layout="constrained")
    axes = figure.subplots(2, 3)
    for view, side in enumerate(("left", "right")):
        measured = _mosaic(study, [site.kernels[view] / site.kernels[view].sum() for site in study.sites])
        fitted = _mosaic(study, [fit.kernels[view] for fit in study.fits])
        top = measured.max()
        for ax, image, title in zip(
            axes[view],
            (measured, fitted, measured - fitted),
            ("measured", study.fits[-1].model, "difference"),
            strict=True,
        ):
            signed = title == "difference"
            shown = ax.imshow(
                image,
                cmap="RdBu" if signed else "magma",
                vmin=-top / 2 if signed else 0,
                vmax=top / 2 if signed else top,
            )
            ax.set(title=f"{side}: {title}", xticks=[], yticks=[])
            figure.colorbar(shown, ax=ax, shrink=0.7)
    return figure


def _mosaic(study: Study, images: Sequence[FloatArray]) -> FloatArray:
    """Put the middles of images (K, K) where their sites lie."""
    rows, columns = (sorted({site[k] for site in study.sites}) for k in (0, 1))
    middle = images[0].shape[-1] // 2
    reach = min(_KERNEL_CROP, middle)
    side = 2 * reach + 1
    out = np.zeros((len(rows) * side, len(columns) * side))
    for site, image in zip(study.sites, images, strict=True):
        top, left = rows.index(site.row) * side, columns.index(site.column) * side
        out[top : top + side, left : left + side] = image[
            middle - reach : middle + reach + 1, middle - reach : middle + reach + 1
        ]
    return out


def draw_field(study: Study) -> Figure:
    """Draw maps of the last model's quantities over the field."""
    rows = _of(study, study.fits[-1].model)
    names = (
        "alpha",
        "diameter_px",
        "width",
        "split",
        "left_fraction_by_sheets",
        "separation_x_px",
        "residual_left",
        "residual_right",
    )
    shown = [name for name in names if np.isfinite(_column(rows, name)).any()]
    figure = Figure(figsize=(15, 6.2), layout="constrained")
    for ax, name in zip(figure.subplots(2, 4).flat, shown, strict=False):
        _draw_map(figure, ax, rows, name)
    for ax in figure.axes:
        if not ax.has_data():
            ax.set_axis_off()
    figure.suptitle(f"{study.fits[-1].model} over the field")
    return figure


def _draw_map(figure: Figure, ax: Axes, rows: Sequence[Row], name: str) -> None:
    lines, columns = (sorted({int(number(row, key)) for row in rows}) for key in ("row", "column"))
    grid = np.full((len(lines), len(columns)), np.nan)
    for row in rows:
        grid[lines.index(int(number(row, "row"))), columns.index(int(number(row, "column")))] = number(row, name)
    image = ax.imshow(grid, cmap="cividis")
    for (i, j), value in np.ndenumerate(grid):
        light = value < (np.nanmin(grid) + np.nanmax(grid)) / 2.0
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color="white" if light else "black")
    ax.set(title=name, xticks=[], yticks=[])
    figure.colorbar(image, ax=ax, shrink=0.7)


def draw_disparity(study: Study) -> Figure:
    """Draw each scene: the left view, the defocus map in its windows, the disparity, and one against the other."""
    count = len(study.matches)
    figure = Figure(figsize=(15, 3.0 * count), layout="constrained")
    spread = np.concatenate([one.disparity.shift[one.used] for one in study.matches] or [np.zeros(1)])
    low, high = np.percentile(spread, [1, 99]) if len(spread) else (-1.0, 1.0)
    axes = figure.subplots(count, 4, squeeze=False, width_ratios=(1.3, 1.3, 1.3, 1))
    for line, one in zip(axes, study.matches, strict=True):
        _draw_scene(figure, line.tolist(), one, (float(low), float(high)))
    return figure


def _draw_scene(figure: Figure, axes: list[Axes], one: SceneMatch, limits: tuple[float, float]) -> None:
    picture, map_, found, scatter = axes
    light = np.clip(one.left / np.percentile(one.left, 99.5), 0.0, 1.0) ** 0.5
    picture.imshow(light, cmap="gray")
    picture.set(title=f"scene {one.name}, left", xticks=[], yticks=[])
    image = map_.imshow(one.defocus, cmap="cividis", vmin=0, vmax=255)
    map_.set(title="defocus map, even windows", xticks=[], yticks=[])
    figure.colorbar(image, ax=map_, shrink=0.8)
    shown = np.where(one.disparity.confidence > 0, one.disparity.shift, np.nan)
    image = found.imshow(shown, cmap="viridis", vmin=limits[0], vmax=limits[1])
    found.set(title="disparity (px)", xticks=[], yticks=[])
    figure.colorbar(image, ax=found, shrink=0.8)
    scatter.plot(one.defocus[one.used], one.disparity.shift[one.used], ".", markersize=3, alpha=0.4)
    scatter.set(xlabel="defocus map", ylabel="disparity (px)", xlim=(0, 258))
