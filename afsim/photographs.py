"""Photographs that serve as textures: those inside the wheels of scikit-image and matplotlib, in linear light."""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError, unknown

FloatArray = npt.NDArray[np.float64]


class Photograph(NamedTuple):
    """Where a photograph lies, and ``scale``, the largest size, as a factor, at which it is sharp to the pixel."""

    package: str
    file: str
    scale: float = 1.0


# Each was looked at: what is blurred (cell, clock_motion), drawn (logo, horse, phantom, the chessboards, color),
# or nearly black or even (hubble_deep_field, moon) is left out.
PHOTOGRAPHS: Final = {
    "astronaut": Photograph("skimage", "data/astronaut.png"),
    "brick": Photograph("skimage", "data/brick.png", 0.6),
    "camera": Photograph("skimage", "data/camera.png"),
    "chelsea": Photograph("skimage", "data/chelsea.png"),
    "coffee": Photograph("skimage", "data/coffee.png"),
    "coins": Photograph("skimage", "data/coins.png"),
    "grace_hopper": Photograph("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "grass": Photograph("skimage", "data/grass.png"),
    "gravel": Photograph("skimage", "data/gravel.png"),
    "ihc": Photograph("skimage", "data/ihc.png"),
    "motorcycle": Photograph("skimage", "data/motorcycle_left.png"),
    "page": Photograph("skimage", "data/page.png"),
    "retina": Photograph("skimage", "data/retina.jpg", 0.5),
    "rocket": Photograph("skimage", "data/rocket.jpg"),
    "text": Photograph("skimage", "data/text.png"),
}


@cache
def read_photograph(name: str) -> FloatArray:
    """Return the green channel of a photograph in linear light, (H, W), 0 ... 1 (sRGB undone, IEC 61966-2-1).

    Raises
    ------
    AfsimError
        For an unknown name, or where the package that holds the photograph lacks it.
    """
    import skimage.io  # here, because it takes long and a stored set never needs it

    if name not in PHOTOGRAPHS:
        raise unknown("photograph", name, PHOTOGRAPHS)
    photograph = PHOTOGRAPHS[name]
    spec = importlib.util.find_spec(photograph.package)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    path = next((Path(folder) / photograph.file for folder in folders), Path(photograph.file))
    if not path.is_file():
        raise AfsimError(
            f"{path} is missing: expected a photograph that the wheel of {photograph.package} contains"
        )
    image = skimage.io.imread(path)
    encoded = (image if image.ndim == 2 else image[..., 1]) / 255.0
    linear: FloatArray = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear


def photograph_crop(
    rng: np.random.Generator, side: int, name: str, scale: tuple[float, float] = (1.0, 1.0)
) -> FloatArray:
    """Draw a square crop of a photograph, at a random size, turned and mirrored at random; its mean is 1.

    Parameters
    ----------
    rng : Generator
        Where the crop is drawn from.
    side : int
        Height and width of the crop. A photograph that is smaller is continued by its mirror image.
    name : str
        One of :data:`PHOTOGRAPHS`.
    scale : (float, float)
        Range of the size, log-uniform, as a factor on that at which the photograph is sharp to the pixel. Smaller
        than ``side`` it is not shown.

    Returns
    -------
    (side, side) float64
        Linear light.
    """
    import cv2

    image, sharp = read_photograph(name), PHOTOGRAPHS[name].scale
    factor = sharp * np.exp(rng.uniform(*np.log(scale)))
    factor = max(factor, min(side / min(image.shape), sharp))
    taken = max(2, round(side / factor))
    short = [max(0, taken - length) for length in image.shape]
    if any(short):
        image = np.pad(image, [(0, length) for length in short], mode="symmetric")
    top, left = (int(rng.integers(length - taken + 1)) for length in image.shape)
    crop = image[top : top + taken, left : left + taken]
    if taken != side:
        how = cv2.INTER_AREA if taken > side else cv2.INTER_CUBIC
        crop = np.maximum(cv2.resize(crop, (side, side), interpolation=how), 0.0)
    crop = np.rot90(crop, int(rng.integers(4)))
    if rng.integers(2):
        crop = crop[:, ::-1]
    # The darkest of eight bits, so that a black crop does not become noise.
    return np.asarray(crop / max(crop.mean(), 1.0 / 255.0 / 12.92))
