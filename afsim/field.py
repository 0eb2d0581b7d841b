"""Where patches lie in the frame: which are inside its centre crop."""

import numpy as np
import numpy.typing as npt

from afsim.checks import check_number
from afsim.framing import Framing, frame_px
from afsim.optics import PIXEL3_FOCAL_LENGTH_M
from afsim.stackset import StackSet


def inside_crop(stacks: StackSet, factor: float = 1.5) -> npt.NDArray[np.bool_]:
    """Tell which patches lie wholly inside the centre crop of the frame, as in the paper's rows with a dagger.

    Parameters
    ----------
    stacks : StackSet
        Patches, each without the margin that it may have been rendered with. Their metadata may tell ``frame_px``,
        width and height of the frame in pixels; the Pixel 3's otherwise.
    factor : float
        The crop is the frame's width over this by its height over this, at least 1; 1.5 as in the paper
        (section 7).

    Returns
    -------
    (N,) bool
        A patch whose border lies on that of the crop is inside.

    Raises
    ------
    AfsimError
        For a factor below 1.
    """
    check_number("factor of the crop", factor, least=1.0)
    margin = Framing(stacks, PIXEL3_FOCAL_LENGTH_M).crop
    patch = np.array([stacks.geometry.width, stacks.geometry.height]) - 2.0 * margin
    frames = np.array([frame_px({**stacks.metadata, **stack.metadata}) for stack in stacks])
    farthest = np.abs(stacks.regions) * frames / 2.0 + patch / 2.0
    # A thousandth of a pixel is the rounding of regions.
    return np.asarray((farthest <= frames / 2.0 / factor + 1e-3).all(axis=1))
