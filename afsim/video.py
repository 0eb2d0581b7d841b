"""An episode as a film, a frame a step: GIF or MP4."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from afsim.drawing import to_rgb
from afsim.errors import AfsimError, unknown
from afsim.filmfacts import headline, write_facts
from afsim.filmpanels import (
    Reel,
    caption,
    contrast_limits,
    draw_belief,
    draw_curve,
    draw_patch,
    draw_track,
    is_best,
    make_reels,
)
from afsim.plots import STYLE
from afsim.trace import Trace

Frame = npt.NDArray[np.uint8]

# One can look at a step in 0.8 s; a longer film is played faster, so that it lasts about 15 s.
_STEP_SECONDS: Final = 0.8
_MOST_SECONDS: Final = 15.0
# The end is looked at for longer.
_HELD_STEPS: Final = 3
_DPI: Final = 100
_WIDTH_INCHES, _TITLE_INCHES, _ROW_INCHES, _TRACK_INCHES = 9.6, 0.7, 2.7, 1.8


def frames(traces: Sequence[Trace], names: Sequence[str]) -> Iterator[Frame]:
    """Yield a film of an episode and its forks, step by step; one that has ended stands still.

    Parameters
    ----------
    traces, names
        As :func:`afsim.filmstrip.filmstrip` takes them.

    Yields
    ------
    (H, W, 3) uint8
        960 pixels wide; both sides are even, as video wants them.

    Raises
    ------
    AfsimError
        See :func:`afsim.filmpanels.make_reels`.
    """
    reels, _ = make_reels(traces, names)
    for step in range(max(len(trace.moments) for trace in traces)):
        yield to_rgb(_draw_frame(reels, step))


def _draw_frame(reels: Sequence[Reel], step: int) -> Figure:
    rows, limits = len(reels), contrast_limits(reels)
    size = (_WIDTH_INCHES, _TITLE_INCHES + rows * _ROW_INCHES + _TRACK_INCHES)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, dpi=_DPI)
        top, bottom = 1.0 - _TITLE_INCHES / size[1], 0.5 / size[1]
        heights = [*[_ROW_INCHES] * rows, _TRACK_INCHES]
        grid = figure.add_gridspec(
            rows + 1, 3, height_ratios=heights, width_ratios=[1.0, 1.5, 1.0], left=0.055, right=0.98, top=top - 0.02
        )
        grid.update(bottom=bottom, hspace=0.42, wspace=0.2)
        for i, reel in enumerate(reels):
            now = min(step, len(reel.trace.moments) - 1)
            patch = figure.add_subplot(grid[i, 0])
            best = is_best(reel.trace, now)
            draw_patch(patch, reel.pictures[now], is_best=best, title=caption(reel.trace, now))
            believes = reel.trace.believes
            cell = grid[i, 1].subgridspec(2, 1, height_ratios=[2.2, 1.0], hspace=0.15) if believes else None
            curve = figure.add_subplot(grid[i, 1] if cell is None else cell[0])
            draw_curve(curve, reel, now, limits)
            curve.set_ylabel("contrast")
            if cell is not None:
                curve.tick_params(labelbottom=False)
                belief = figure.add_subplot(cell[1])
                draw_belief(belief, reel, now)
                belief.set_ylabel("belief")
            write_facts(figure.add_subplot(grid[i, 2]), reel, reels[0].trace if i else None)
        draw_track(figure.add_subplot(grid[rows, :]), reels, step)
        figure.suptitle(headline(reels), x=0.012, y=0.985, ha="left", va="top", fontsize=9)
    return figure


def write_film(film: Iterable[Frame], path: Path) -> None:
    """Write frames as a GIF or an MP4, by the ending of ``path``; the last one is held.

    Parameters
    ----------
    film : iterable of (H, W, 3) uint8
        At least one frame, all of one size, with even sides.
    path : Path
        Ends in ``.gif`` or ``.mp4``.

    Raises
    ------
    AfsimError
        For another ending, no frames, or a video that could not be written.
    """
    ending = path.suffix.lower()
    if ending not in (".gif", ".mp4"):
        raise unknown("ending of a film", path.suffix, (".gif", ".mp4"))
    kept = list(film)
    if not kept:
        raise AfsimError("a film needs at least one frame")
    seconds = min(_STEP_SECONDS, _MOST_SECONDS / len(kept))
    (_write_gif if ending == ".gif" else _write_mp4)(kept, path, seconds)


def _write_gif(film: Sequence[Frame], path: Path, seconds: float) -> None:
    from PIL import Image  # comes with matplotlib, which writes its pictures with it

    # One palette for all, so that nothing flickers: that of the last frame, which shows everything.
    palette = Image.fromarray(film[-1]).quantize(255, dither=Image.Dither.NONE)
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in film]
    lasting = [round(1000 * seconds)] * len(film)
    lasting[-1] *= _HELD_STEPS
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=lasting, loop=0, disposal=1)


def _write_mp4(film: Sequence[Frame], path: Path, seconds: float) -> None:
    import cv2

    height, width = film[0].shape[:2]
    # MPEG-4 part 2: what OpenCV's wheels can write everywhere.
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 1.0 / seconds, (width, height))
    if not writer.isOpened():
        raise AfsimError(f"{path}: OpenCV cannot write MP4 here; write a GIF instead")
    for frame in [*film, *[film[-1]] * (_HELD_STEPS - 1)]:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
