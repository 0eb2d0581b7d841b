"""The picture of one episode: what the policy sees, where the lens was, and how sharp it was there."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

_SIZE_INCHES = (7.2, 3.2)
_SEEN, _NOW, _TRUTH = "#0072B2", "#D55E00", "#009E73"  # Okabe and Ito (2008)
_GAP = 2  # columns between the views


def draw_episode(
    image: npt.NDArray[np.float32],
    commands: FloatArray,
    sharpness: FloatArray,
    n: int,
    *,
    truth: float | None = None,
) -> Figure:
    """Draw an episode so far.

    Parameters
    ----------
    image : (V, H, W) float32
        What is seen now, normalised; the views are shown side by side, from the darkest to the brightest pixel.
    commands : (T,) float64
        The indices asked for, the current one last.
    sharpness : (T,) float64
        Of the image seen at each of them.
    n : int
        Number of indices.
    truth : float, optional
        The index in focus; drawn where given and known.

    Returns
    -------
    Figure
        Made without pyplot: nothing to close.
    """
    figure = Figure(figsize=_SIZE_INCHES, dpi=100, layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1))
    _draw_views(figure.add_subplot(grid[:, 0]), image)
    path, curve = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])

    steps = np.arange(len(commands))
    path.plot(commands, steps, "o-", color=_SEEN, markersize=4, linewidth=1)
    path.plot(commands[-1:], steps[-1:], "o", color=_NOW, markersize=7)
    path.set(ylabel="step", ylim=(len(commands) - 0.5, -0.5), yticks=steps[:: max(1, len(steps) // 5)])
    curve.plot(commands, sharpness, "o", color=_SEEN, markersize=4)
    curve.plot(commands[-1:], sharpness[-1:], "o", color=_NOW, markersize=7)
    curve.set(xlabel="index (far to near)", ylabel="sharpness", yticks=[])
    for axes in (path, curve):
        axes.set_xlim(-0.5, n - 0.5)
        axes.spines[["top", "right"]].set_visible(False)
        if truth is not None and np.isfinite(truth):
            axes.axvline(truth, color=_TRUTH, linestyle="--", linewidth=1)
    return figure


def _draw_views(axes: Axes, image: npt.NDArray[np.float32]) -> None:
    height = image.shape[1]
    gap = np.full((height, _GAP), np.nan, dtype=np.float32)
    parts = [image[0]] if len(image) == 1 else [image[0], gap, image[1]]
    axes.imshow(np.concatenate(parts, axis=1), cmap="gray", interpolation="nearest")
    axes.set_axis_off()
    axes.set_title("green" if len(image) == 1 else "left and right view", fontsize=9)


def to_rgb(figure: Figure) -> npt.NDArray[np.uint8]:
    """Return a figure as pixels, (H, W, 3) uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba(), dtype=np.uint8)[..., :3].copy()  # type: ignore[no-untyped-call]
