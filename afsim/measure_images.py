"""What the contrast measures share: how images come in, how pixels add up, and what the dark is divided by.

Their loops work in single precision on a row at a time, and keep a sum for each column: so they become loops of
vectors, with no order of summation that a processor could change. After a few rows, sums go on in double precision.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError
from afsim.jit import compiled

Image = npt.NDArray[np.float32]
Score = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float64]

# One digital number of a 10-bit sensor: below it, a ratio of intensities is a ratio of noise.
ONE_DN: Final = 1.0 / 1023.0

# Rows that add up in single precision: what rounding loses is 1e-7 of the sum, as of each pixel.
ROWS_AT_ONCE: Final = 16

# A thread is worth its start from here on: a tenth of a millisecond of work for the fastest measures.
IMAGES_PER_THREAD: Final = 8


def as_images(image: npt.ArrayLike) -> Image:
    """Return images (..., H, W) as one row of them (N, H, W), contiguous float32; no copy where they are already.

    Raises
    ------
    AfsimError
        For fewer than two axes, images without pixels, or values that are no floats, such as raw numbers.
    """
    images = as_floats(image, "a contrast measure needs images (..., H, W)")
    shape = images.shape
    if len(shape) < 2 or 0 in shape[-2:]:
        raise AfsimError(f"a contrast measure needs images (..., H, W) of at least one pixel, got shape {shape}")
    count = int(np.prod(shape[:-2], dtype=np.int64))
    return np.ascontiguousarray(images, dtype=np.float32).reshape(count, *shape[-2:])


def as_floats(values: npt.ArrayLike, what: str) -> npt.NDArray[np.floating]:
    """Return values as an array of floats of any precision; raise, beginning with ``what``, for anything else."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise AfsimError(f"{what} as an array of floats: {error}") from None
    if array.dtype.kind != "f":
        raise AfsimError(f"{what} of floats, normalised to 0 black and 1 white, got {array.dtype}")
    return array


@compiled
def carry(part: Image, columns: FloatArray) -> None:
    """Add the columns' sums in single precision to those in double, and begin again with 0."""
    for u in range(columns.size):
        columns[u] += part[u]
    for u in range(columns.size):
        part[u] = np.float32(0.0)


@compiled
def mean_of(one: Image, part: Image, columns: FloatArray) -> float:
    """Return the mean of an image (h, w), given room (w,) for its columns' sums, ``part`` of them 0.

    What adds up is how pixels differ from the first: an even image's mean is that pixel, and not what rounding
    makes of it.
    """
    h, w = one.shape
    first = one[0, 0]
    columns[:] = 0.0
    for v in range(h):
        row = one[v]
        for u in range(w):
            part[u] += row[u] - first
        if (v + 1) % ROWS_AT_ONCE == 0 or v + 1 == h:
            carry(part, columns)
    return float(first + columns.sum() / (h * w))


@compiled
def frame(image: Image, framed: Image) -> None:
    """Write an image (h, w) with one pixel repeated at each border, (h + 2, w + 2)."""
    h, w = image.shape
    for v in range(h + 2):
        row, line = image[min(max(v - 1, 0), h - 1)], framed[v]
        for u in range(w):
            line[u + 1] = row[u]
        line[0], line[w + 1] = row[0], row[w - 1]
