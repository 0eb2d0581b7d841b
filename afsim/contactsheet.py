"""Look at a stack set: its facts in words, and a contact sheet of some slices of some stacks."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from afsim.errors import AfsimError
from afsim.stack import FocalStack, Image
from afsim.stackset import StackSet

_BEST_COLOUR: Final = "gold"
# Linear raw is dark to the eye: the darkest and brightest 0.5 % of a stack's pixels set its range, and a square
# root, near the display curve of sRGB, lifts its shadows.
_PERCENTILES: Final = (0.5, 99.5)
_THUMBNAIL_PX: Final = 192


def describe(stacks: StackSet) -> list[tuple[str, str]]:
    """Return the facts of a set, as pairs of a word and what it is.

    Parameters
    ----------
    stacks : StackSet
        Stored or in memory.
    """
    geometry, labels = stacks.geometry, stacks.truth[stacks.labelled]
    facts = [
        ("stacks", str(len(stacks))),
        ("scenes", str(len(set(stacks.scenes)))),
        ("labelled", f"{len(labels)} of {len(stacks)}"),
    ]
    if len(labels):
        facts.append(("best slice", f"{labels.min():g} ... {labels.max():g}, median {np.median(labels):g}"))
    facts += [
        ("slices", f"{geometry.n}, {geometry.direction}"),
        ("views", "2 (left, right)" if geometry.views == 2 else "1 (green)"),
        ("size", f"{geometry.height} x {geometry.width} pixels"),
        ("levels", f"black {geometry.levels.black}, white {geometry.levels.white}"),
        ("focus distances", _distances(stacks)),
        ("size of images", f"{stacks.images.nbytes / 1e6:.1f} MB"),
    ]
    if stacks.path is not None:
        on_disk = sum(file.stat().st_size for file in stacks.path.iterdir() if file.is_file())
        facts += [("folder", str(stacks.path)), ("size on disk", f"{on_disk / 1e6:.1f} MB")]
    facts += [(key, str(value)) for key, value in stacks.metadata.items()]
    return [*facts, ("digest", stacks.digest)]


def contact_sheet(stacks: StackSet, path: Path, *, rows: int = 3, columns: int = 7) -> None:
    """Draw several slices of several stacks, the best one of each framed in gold (as in figure 6(d) of the paper).

    Stacks are taken evenly from the set, slices evenly from far to near; the labelled slice takes the place of
    the one nearest to it. Stacks without a label have no frame.

    Parameters
    ----------
    stacks : StackSet
        At least one stack.
    path : Path
        The picture to write; its suffix tells the format (PNG, PDF, SVG ...).
    rows, columns : int
        Most stacks and most slices to draw.

    Raises
    ------
    AfsimError
        Where the set is empty, or ``rows`` or ``columns`` is below 1.
    """
    if rows < 1 or columns < 1 or not len(stacks):
        raise AfsimError(
            f"a contact sheet of {len(stacks)} stacks, {rows} rows, {columns} columns; expected at least 1 each"
        )
    chosen = _evenly(len(stacks), rows)
    columns = min(columns, stacks.n)
    figure = Figure(figsize=(1.6 * columns, 1.75 * len(chosen) + 0.2), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(chosen), columns, squeeze=False)
    for axes, position in zip(grid, chosen, strict=True):
        _draw_stack(axes, stacks[int(position)], float(stacks.truth[position]))
    figure.savefig(path, dpi=120)


def _draw_stack(row: npt.NDArray[np.object_], stack: FocalStack, truth: float) -> None:
    best = None if np.isnan(truth) else int(np.floor(truth + 0.5))
    slices = slices_to_show(stack.n, len(row), best)
    pictures = display_curve(_shrink(stack, slices))
    for axes, k, picture in zip(row, slices, pictures, strict=True):
        axes.imshow(picture, cmap="gray", vmin=0.0, vmax=1.0)
        axes.set_xticks([])
        axes.set_yticks([])
        distance = "" if stack.diopters is None else f"  {stack.diopters[k]:.2f} D"
        axes.set_title(f"{k}{distance}", fontsize=8)
        _frame(axes, best == k)
    row[0].set_ylabel(stack.name, fontsize=7)


def slices_to_show(n: int, columns: int, best: int | None) -> list[int]:
    """Return which slices are drawn: evenly spread over n, the nearest replaced by the best one."""
    slices = _evenly(n, columns)
    if best is not None:
        slices[int(np.argmin(np.abs(slices - best)))] = best
    return [int(k) for k in slices]


def display_range(images: Image) -> tuple[float, float]:
    """Return the signals that are shown as black and as white: the percentiles 0.5 and 99.5 of linear images."""
    low, high = np.percentile(images, _PERCENTILES)
    return float(low), float(high)


def display_curve(images: Image, shown_range: tuple[float, float] | None = None) -> Image:
    """Return linear images as 0 ... 1 for display: cut at a range (by default their own), square root."""
    low, high = shown_range or display_range(images)
    shown = np.sqrt(np.clip((images - low) / max(high - low, 1e-9), 0.0, 1.0))
    return np.asarray(shown, dtype=np.float32)


def _shrink(stack: FocalStack, slices: list[int]) -> Image:
    """Return the green of some slices, every so-manieth pixel, and only these pixels read."""
    step = max(1, min(stack.images.shape[2:]) // _THUMBNAIL_PX)
    raw = np.stack([stack.images[k, :, ::step, ::step] for k in slices])
    return np.asarray(stack.levels.normalize(raw).mean(axis=1), dtype=np.float32)


def _frame(axes: Axes, is_best: bool) -> None:
    for spine in axes.spines.values():
        spine.set_visible(is_best)
        spine.set(edgecolor=_BEST_COLOUR, linewidth=4.0)


def _evenly(n: int, most: int) -> npt.NDArray[np.int64]:
    return np.unique(np.rint(np.linspace(0, n - 1, min(n, most))).astype(np.int64))


def _distances(stacks: StackSet) -> str:
    table = stacks.diopters
    if table is None:
        return "unknown"
    far = "infinity" if table[0] == 0 else f"{1.0 / table[0]:.3g} m"
    return f"{far} ... {1.0 / table[-1]:.3g} m ({table[0]:.3g} ... {table[-1]:.3g} dioptres)"
