"""Augmentation of observations for training: mirror images, exposure, noise. Pure functions of a generator.

The paper states no augmentation. What is here changes no true index: a mirrored scene is as far away, and exposure
and noise are no matter of distance.
"""

from dataclasses import dataclass, fields
from typing import Final

import torch
from torch import Tensor

from afsim.checks import check_number
from afsim.dualpixel import AXES, Axis
from afsim.errors import unknown
from afsim.networkinput import Observations


@dataclass(frozen=True)
class Augmentation:
    """How observations are changed at random.

    Attributes
    ----------
    mirror_along, mirror_across : float
        Share of the lanes that are mirrored along and across the axis of the disparity, in [0, 1].
    gain_sd : float
        Standard deviation of the logarithm of the exposure, one for all slices of a lane.
    flicker_sd : float
        The same, one for each slice: recorded stacks flicker by 0.006 to 0.06.
    view_gain_sd : float
        The same, one for each view of each lane; recorded views differ by about 0.03.
    shot, read : float
        Noise added to each view beside what it has: variance ``shot x + read`` of the normalised signal x.
    """

    mirror_along: float = 0.5
    mirror_across: float = 0.5
    gain_sd: float = 0.0
    flicker_sd: float = 0.0
    view_gain_sd: float = 0.0
    shot: float = 0.0
    read: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            most = 1.0 if field.name.startswith("mirror") else float("inf")
            check_number(f"augmentation {field.name}", getattr(self, field.name), least=0.0, most=most)


NO_AUGMENTATION: Final = Augmentation(mirror_along=0.0, mirror_across=0.0)
# Beside mirror images: exposures a fifth apart, views that differ by 0.01 beyond what a recording has, and the
# noise of a sensor at base ISO with 3,300 photons at white (our choice).
AUGMENTATIONS: Final = {
    "none": NO_AUGMENTATION,
    "usual": Augmentation(gain_sd=0.2, view_gain_sd=0.01, shot=3e-4, read=1e-6),
}


def augmented(
    observations: Observations, augmentation: Augmentation, generator: torch.Generator, dp_axis: Axis = "columns"
) -> Observations:
    """Return the observations changed at random: mirrored, exposed anew, with noise.

    Parameters
    ----------
    observations : Observations
        They stay as they are.
    augmentation : Augmentation
        How.
    generator : torch.Generator
        On the observations' device; equal states, equal results.
    dp_axis : {"rows", "columns"}
        Along which the two views are shifted against each other.
    """
    for axis in AXES:
        share = augmentation.mirror_along if axis == dp_axis else augmentation.mirror_across
        drawn = torch.rand(observations.lane_count, generator=generator, device=generator.device)
        observations = mirrored(observations, drawn < share, axis, dp_axis)
    images = _exposed(observations, augmentation, generator)
    images = with_noise(images, augmentation.shot, augmentation.read, generator)
    return observations._replace(images=images)


def mirrored(observations: Observations, which: Tensor, axis: Axis, dp_axis: Axis) -> Observations:
    """Return the observations with the lanes ``which`` (N,) bool mirrored.

    Along ``"columns"`` each row is reversed, and so is the region's place x in the field; along ``"rows"`` y is.
    Where the views are shifted along the same axis, they change places as well: in the mirror it is the right half
    of the lens that sees what the left half saw. So the disparity keeps its sign.
    """
    for given in (axis, dp_axis):
        if given not in AXES:
            raise unknown("axis", given, AXES)
    turned = observations.images.flip(2 + AXES[axis])
    if axis == dp_axis:
        turned = turned.flip(1)
    images = torch.where(which[observations.lanes][:, None, None, None], turned, observations.images)
    component = 1 - AXES[axis]  # x goes with the columns, y with the rows
    regions = observations.regions.clone()
    regions[which, component] *= -1.0
    return observations._replace(images=images, regions=regions)


def with_noise(images: Tensor, shot: float, read: float, generator: torch.Generator) -> Tensor:
    """Return images (M, V, H, W) with noise of variance ``shot x + read``, clipped at white (1).

    Gaussian, which is near to photon noise where a pixel collects more than about 20 of them.
    """
    if shot == 0.0 and read == 0.0:
        return images
    deviation = (shot * images.clamp(min=0.0) + read).sqrt()
    drawn = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return (images + deviation * drawn).clamp(max=1.0)


def _exposed(observations: Observations, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Return the images with gains of lane, slice and view, clipped at white (1)."""
    images, lanes = observations.images, observations.lanes
    if augmentation.gain_sd == augmentation.flicker_sd == augmentation.view_gain_sd == 0.0:
        return images

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=images.device, dtype=images.dtype)

    logarithm = augmentation.gain_sd * draw(observations.lane_count, 1)[lanes]
    logarithm = logarithm + augmentation.flicker_sd * draw(len(images), 1)
    logarithm = logarithm + augmentation.view_gain_sd * draw(observations.lane_count, images.shape[1])[lanes]
    return (images * logarithm.exp()[:, :, None, None]).clamp(max=1.0)
