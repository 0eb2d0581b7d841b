"""A patch as the page shows it: one view, green, or the difference of the views, as a PNG in a data URL."""

import base64
from functools import cache
from typing import Final

import cv2
import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from afsim.contactsheet import display_curve, display_range
from afsim.errors import AfsimError, unknown
from afsim.patch_disparity import PatchDisparity, zncc_disparity
from afsim.stack import Image
from afsim.stackset import StackSet
from afsim.task import FocusTask

Pixels = npt.NDArray[np.uint8]

VIEWS: Final = ("green", "left", "right", "difference")
"""How a patch is looked at."""

# Every so-manieth slice tells the range of grey of a stack: the same before and after the focus is found.
_SLICES_APART: Final = 6
# Purple where the left view is brighter, orange where the right one is: told apart by every eye.
_DIFFERENCES: Final = "PuOr"
# Of the range of grey: differences of so much have the full colour.
_FULL_DIFFERENCE: Final = 0.25
# In pixels: covers the whole sweep of the Pixel 3.
_REACH: Final = 16


def views_of(count: int) -> tuple[str, ...]:
    """Return how patches of so many views can be looked at."""
    return VIEWS if count == 2 else VIEWS[:1]


def grey_range(stacks: StackSet, stack: int) -> tuple[float, float]:
    """Return the signals that are black and white in all pictures of a stack."""
    images = stacks.levels.normalize(np.asarray(stacks.images[stack, ::_SLICES_APART]))
    return display_range(np.asarray(images.mean(axis=1), dtype=np.float32))


def picture(image: Image, view: str, shown_range: tuple[float, float]) -> Pixels:
    """Return a patch (V, H, W) as pixels: (H, W) of grey, or (H, W, 3) of red, green and blue for ``difference``.

    Raises
    ------
    AfsimError
        For a view that does not exist, or that the patch does not have.
    """
    if view not in VIEWS:
        raise unknown("view", view, VIEWS)
    if view not in views_of(len(image)):
        raise AfsimError(f"view {view!r} needs two views, but these stacks have {len(image)}")
    if view == "difference":
        low, high = shown_range
        shown = 0.5 + 0.5 * (image[1] - image[0]) / max(_FULL_DIFFERENCE * (high - low), 1e-9)
        coloured: Pixels = np.take(_colours(), as_pixels(shown.clip(0.0, 1.0)), axis=0)
        return coloured
    plane = image.mean(axis=0) if view == "green" else image[VIEWS.index(view) - 1]
    return as_pixels(display_curve(plane, shown_range))


def as_pixels(shown: npt.NDArray[np.floating]) -> Pixels:
    """Return numbers in 0 ... 1 as uint8."""
    return np.asarray(np.rint(shown * 255), dtype=np.uint8)


@cache
def _colours() -> Pixels:
    colours = np.asarray(mpl.colormaps[_DIFFERENCES](np.arange(256)))[::-1, :3]
    return as_pixels(colours)


def data_url(pixels: Pixels) -> str:
    """Return pixels as a PNG in a data URL."""
    done, coded = cv2.imencode(".png", pixels if pixels.ndim == 2 else pixels[..., ::-1])
    assert done
    return "data:image/png;base64," + base64.b64encode(coded.tobytes()).decode("ascii")


def disparity_of(task: FocusTask, image: Image) -> PatchDisparity | None:
    """Return the disparity between the views of a patch, or None where it has one view or no room for the reach."""
    views = image if task.spec.dp_axis == "columns" else image.swapaxes(-1, -2)
    try:
        return zncc_disparity(views, reach=_REACH)
    except AfsimError:
        return None
