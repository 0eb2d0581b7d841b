"""What tests of lenses and exposures share: lenses that err in one way, and single moves and exposures of them."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from afsim.actuator import Actuator
from afsim.camera import Camera, ImageKind
from afsim.keys import lane_keys
from afsim.lens import LENSES, Lens
from afsim.lensstate import LensState
from afsim.optics import lens_extension_um, lta49_diopters
from afsim.stack import FocalStack, Levels
from afsim.stackset import StackSet
from tests.conftest import LEVELS

N = 49
LTA49 = lta49_diopters()
TABLE_UM = lens_extension_um(LTA49)
# From the beginning of an exposure to the command that follows it, with defaults: 10 ms exposed, 2.5 ms to decide.
LEAD_MS, EXPOSURE_MS = 12.5, 10.0
ERRING = [name for name, lens in LENSES.items() if not lens.is_exact]
# A lens whose shift makes the camera sample between pixels; the shift itself is given to each exposure.
SHIFTING = Lens(name="shifting", lateral=1.0)


def one_error(**fields: Any) -> Lens:
    """Make a lens with nothing but these imperfections."""
    return replace(Lens(), name="test", **fields)


def steady(name: str, **fields: Any) -> Lens:
    """Return a preset without what differs from move to move or from frame to frame."""
    still: dict[str, Any] = {"hysteresis": 0.0, "jitter": 0.0, "crosstalk": 0.0}
    return replace(LENSES[name], **{**still, **fields})


def park(lens: Lens, command: Any, lanes: int = 1, *, seed: int = 0) -> tuple[Actuator, LensState]:
    """Park ``lanes`` lenses at a command, one for all or one each, in front of the recordings' distances."""
    actuator = Actuator(lens, N, LTA49)
    commands = np.broadcast_to(np.asarray(command, dtype=np.float64), (lanes,)).copy()
    return actuator, actuator.park(commands, lane_keys(seed, np.arange(lanes)), EXPOSURE_MS)


def move(
    actuator: Actuator, state: LensState, command: Any, wait_ms: float = 500.0, lead_ms: float = 0.0
) -> LensState:
    """Move all lenses and wait until an exposure begins."""
    commands = np.broadcast_to(np.asarray(command, dtype=np.float64), (len(state),)).copy()
    return actuator.move(state, commands, lead_ms, np.full(len(state), wait_ms), EXPOSURE_MS)


def shoot(
    camera: Camera,
    ids: Any,
    positions: Any,
    *,
    shifts: Any = None,
    kind: ImageKind = "float32",
    seed: int = 0,
    weights: Any = None,
) -> np.ndarray:
    """Expose one image for each of ``ids``; what is one for all is repeated, a path and its weights too."""
    ids = np.atleast_1d(np.asarray(ids, dtype=np.int64))
    places = np.asarray(positions, dtype=np.float64)
    if weights is None:
        places, shares = np.broadcast_to(places, ids.shape)[:, None].copy(), np.ones((len(ids), 1))
    else:
        places, shares = np.tile(places, (len(ids), 1)), np.tile(np.float64(weights), (len(ids), 1))
    moved = None if shifts is None else np.broadcast_to(np.asarray(shifts, dtype=np.float64), (len(ids), 2)).copy()
    return camera.capture(ids, places, shares, lane_keys(seed, np.arange(len(ids))), shifts=moved, kind=kind)


def make_flat(
    levels: Any,
    *,
    noise: tuple[float, float] = (0.0, 0.0),
    n: int = 4,
    size: int = 64,
    scale: Levels = LEVELS,
    views: int = 2,
) -> StackSet:
    """Make a stack of each grey level (0 ... 1), noisy as it says: each slice independently."""
    rng = np.random.default_rng(0)
    stacks = []
    for i, level in enumerate(np.atleast_1d(levels)):
        sigma = math.sqrt(noise[0] * level + noise[1])
        image = level + sigma * rng.standard_normal((n, views, size, size))
        raw = np.rint(scale.black + (scale.white - scale.black) * image).clip(0, 65535).astype(np.uint16)
        stacks.append(FocalStack(raw, scale, diopters=lta49_diopters()[:n], noise=noise, name=str(i)))
    return StackSet.from_stacks(stacks)


def variance(images: np.ndarray) -> float:
    """Return the variance over the pixels and views of images that are flat but for noise."""
    return float(images.astype(np.float64).var())
