"""What the contrast measures share: how images come in, one after another, and what the dark is divided by."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError

Image = npt.NDArray[np.float32]
Score = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float64]

# One digital number of a 10-bit sensor: below it, a ratio of intensities is a ratio of noise.
ONE_DN: Final = 1.0 / 1023.0


def as_images(image: Image) -> Image:
    """Return images (..., H, W) as one row of them (N, H, W), contiguous float32; no copy where they are already.

    Raises
    ------
    AfsimError
        For fewer than two axes, or images without pixels.
    """
    shape = np.shape(image)
    if len(shape) < 2 or 0 in shape[-2:]:
        raise AfsimError(f"a contrast measure needs images (..., H, W) of at least one pixel, got shape {shape}")
    count = int(np.prod(shape[:-2], dtype=np.int64))
    return np.ascontiguousarray(image, dtype=np.float32).reshape(count, *shape[-2:])


def each_image(function: Callable[[Image], float], image: Image) -> Score:
    """Return ``function`` of each image (H, W) of (..., H, W), as (...).

    One after another, so that an image stays in the processor's cache, memory does not grow with the batch, and
    no score depends on the images beside it.
    """
    scores = np.array([function(each) for each in as_images(image)], dtype=np.float64)
    return scores.reshape(np.shape(image)[:-2])


def ratio(above: float, below: float) -> float:
    """Return ``above`` / ``below``, and 0 where ``below`` is not positive: an image without light."""
    return above / below if below > 0.0 else 0.0
