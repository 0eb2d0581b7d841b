"""What the tests of the renderer share: canvases, a camera, pupils."""

from functools import partial

import numpy as np
import numpy.typing as npt

from afsim.optics import lta49_diopters
from afsim.pupil import make_pupil
from afsim.render import render_views

FloatArray = npt.NDArray[np.float64]
FOCUS = lta49_diopters()
CENTRE = (0.0, 0.0)
PUPIL = make_pupil()
HALF_DISC = make_pupil("half_disc")

square = partial(render_views, native=False)


def blob(side: int, sigma: float = 2.0) -> FloatArray:
    """Return a Gaussian spot in the middle of a canvas."""
    offset = np.arange(side) - side // 2
    profile = np.exp(-0.5 * (offset / sigma) ** 2)
    return np.outer(profile, profile)


def random_light(side: int, seed: int = 0) -> FloatArray:
    """Return random light on a canvas."""
    return np.random.default_rng(seed).uniform(0.2, 1.0, (side, side))


def half_plane(side: int, at: float = 0.0) -> FloatArray:
    """Return an opacity that is 0 left of ``at`` pixels right of the middle and 1 right of it, softly."""
    x = np.arange(side) - side // 2
    return np.broadcast_to(np.clip((x - at) / 2.0 + 0.5, 0.0, 1.0), (side, side)).copy()


def centroids(images: FloatArray) -> FloatArray:
    """Return the centroid in x of images (..., H, W), from their middle."""
    offset = np.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2.0
    return np.asarray((images * offset).sum(axis=(-2, -1)) / images.sum(axis=(-2, -1)))
