"""What networks see: observed slices, each with its command and its lane, as tensors.

Images are normalised, 0 at the black and 1 at the white level: one scale for all, so that in the one-hot input of
the paper (section 6) zeros mean "not observed". Lanes may have observed different sets of slices, so observations
are a list, M of them for N lanes.
"""

from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from afsim.errors import AfsimError

# A slice whose mean is below 0.2 % of white is taken to be that bright: two digital numbers of ten bits.
_DARKEST_MEAN: Final = 0.002
# Makes the difference as large as the contrast of the sum: on rendered stacks the median ratio is 2.8.
_DIFFERENCE_GAIN: Final = 3.0


class Observations(NamedTuple):
    """Observed slices of N lanes, M in all; every lane has one at least, and none of a slice twice.

    Attributes
    ----------
    images : (M, V, H, W) float32
        Normalised; V = 2 is (left, right), V = 1 is green.
    commands : (M,) float32
        The command that each was taken at, as an index, perhaps fractional.
    lanes : (M,) int64
        The lane that each belongs to, 0 ... N-1.
    regions : (N, 2) float32
        Centre of each lane's region, x and y in [-1, 1] of the field.
    current : (N,) float32
        The command in force in each lane: that of its latest observation.
    """

    images: Tensor
    commands: Tensor
    lanes: Tensor
    regions: Tensor
    current: Tensor

    def on(self, device: torch.device | str) -> Self:
        """Return the same on another device."""
        return type(self)(*(part.to(device, non_blocking=True) for part in self))

    @property
    def lane_count(self) -> int:
        """Number of lanes N."""
        return len(self.regions)

    @property
    def indices(self) -> Tensor:
        """The slice (M,) int64 that each observation is of: the nearest to its command."""
        return nearest_index(self.commands)


def nearest_index(commands: Tensor) -> Tensor:
    """Return the index (...) int64 nearest to each command; halves are rounded up, as in the paper's columns."""
    return torch.floor(commands + 0.5).to(torch.int64)


def observe(
    images: npt.ArrayLike,
    commands: npt.ArrayLike,
    regions: npt.ArrayLike,
    n: int,
    *,
    lanes: npt.ArrayLike | None = None,
) -> Observations:
    """Gather observed slices into what a network takes.

    Parameters
    ----------
    images : (M, V, H, W) array_like
        Normalised images.
    commands : (M,) array_like
        Their commands, indices in 0 ... n-1.
    regions : (N, 2) array_like
        Centres of the lanes' regions.
    n : int
        Number of indices.
    lanes : (M,) array_like of int, optional
        The lane of each image; by default there is one image a lane. The last one of a lane is its latest. Of
        several of one slice the latest is kept.

    Raises
    ------
    AfsimError
        Where shapes, commands or lanes do not fit, a value is not finite, or a lane has no image.
    """
    pictures, command = np.asarray(images, np.float32), np.asarray(commands, np.float32)
    centres = np.asarray(regions, np.float32)
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 2):
        raise AfsimError(f"images must be (M, 1 or 2 views, H, W), got shape {pictures.shape}")
    if command.shape != (len(pictures),) or not ((command >= 0) & (command <= n - 1)).all():
        raise AfsimError(f"commands of {len(pictures)} images must be in 0 ... {n - 1}, one each, got {command}")
    if centres.ndim != 2 or centres.shape[1] != 2 or not (np.abs(centres) <= 1.0).all():
        raise AfsimError(f"regions must be (N, 2) in [-1, 1], got shape {centres.shape}: {centres}")
    lane = np.arange(len(pictures)) if lanes is None else np.asarray(lanes)
    if lane.shape != command.shape or lane.dtype.kind not in "iu":
        raise AfsimError(f"lanes of {len(pictures)} images must be integers, one each, got {lane!r}")
    if not np.array_equal(np.unique(lane), np.arange(len(centres))):
        raise AfsimError(f"lanes must be 0 ... {len(centres) - 1} (a region each), all with an image, got {lane}")
    if not np.isfinite(pictures).all():
        bad = int(np.flatnonzero(~np.isfinite(pictures).all(axis=(1, 2, 3)))[0])
        raise AfsimError(f"images must be finite, but image {bad} (command {command[bad]:g}) is not")
    # Copied: memory that may not be written to, such as a mapped file's, cannot be lent to torch.
    return _latest_of_each(
        torch.tensor(pictures),
        torch.tensor(command),
        torch.tensor(lane.astype(np.int64)),
        torch.tensor(centres),
    )


def observe_stacks(images: npt.ArrayLike, regions: npt.ArrayLike) -> Observations:
    """Gather whole stacks (N, n, V, H, W), every slice observed, far to near: the inputs of I* and D*."""
    pictures = np.asarray(images, np.float32)
    if pictures.ndim != 5:
        raise AfsimError(f"stacks must be (N, n, V, H, W), got shape {pictures.shape}")
    stacks, n = pictures.shape[:2]
    commands, lanes = np.tile(np.arange(n), stacks), np.repeat(np.arange(stacks), n)
    return observe(pictures.reshape(stacks * n, *pictures.shape[2:]), commands, regions, n, lanes=lanes)


def join(earlier: Observations, later: Observations) -> Observations:
    """Return what the same lanes have observed together, e.g. k0 and then k1.

    Where a lane looks at one slice twice, the later image stands: a one-hot input has room for one. So a first step
    that stays where it is leaves the second network a single slice.
    """
    if earlier.lane_count != later.lane_count or earlier.images.shape[1:] != later.images.shape[1:]:
        shapes = [(part.lane_count, *part.images.shape[1:]) for part in (earlier, later)]
        raise AfsimError(f"observations to join must have the same lanes and image size, got (N, V, H, W) {shapes}")
    images, commands, lanes = (torch.cat(pair) for pair in zip(earlier[:3], later[:3], strict=True))
    return _latest_of_each(images, commands, lanes, later.regions)


def _latest_of_each(images: Tensor, commands: Tensor, lanes: Tensor, regions: Tensor) -> Observations:
    """Drop all but the latest of a lane's images of one slice, and note the command in force."""
    order = torch.arange(len(lanes), device=lanes.device)
    latest = torch.zeros(len(regions), dtype=torch.int64, device=lanes.device)
    current = commands[latest.scatter_reduce(0, lanes, order, "amax", include_self=False)]
    indices = nearest_index(commands)
    slices, slot = torch.unique(lanes * (indices.max() + 1) + indices, return_inverse=True)
    if len(slices) < len(lanes):
        last = torch.zeros_like(slices).scatter_reduce(0, slot, order, "amax", include_self=False)
        kept = last.sort().values
        images, commands, lanes = images[kept], commands[kept], lanes[kept]
    return Observations(images, commands, lanes, regions, current)


def as_views(images: Tensor, views: int) -> Tensor:
    """Return images (M, V, H, W) as a network of so many views takes them: as they are, or (left + right) / 2.

    The paper's green channel is the sum of the views (section 6); halved, its white level is 1 again.

    Raises
    ------
    AfsimError
        For green images where both views are wanted.
    """
    if images.shape[1] == views:
        return images
    if images.shape[1] == 2 and views == 1:
        return images.mean(dim=1, keepdim=True)
    raise AfsimError(f"the network takes {views} view(s), got images with {images.shape[1]}")


def one_hot(images: Tensor, indices: Tensor, lanes: Tensor, lane_count: int, n: int) -> Tensor:
    """Return the paper's input (N, n V, H, W): slice k's views in channels k V ... k V + V-1, the rest zero.

    Parameters
    ----------
    images : (M, V, H, W) tensor
        Observed slices, at most one of each slice of a lane.
    indices, lanes : (M,) int64 tensors
        Slice and lane of each.
    lane_count, n : int
        Number of lanes N and of slices n.
    """
    channels = images.new_zeros((lane_count, n, *images.shape[1:]))
    return channels.index_put((lanes, indices), images).flatten(1, 2)


def relative_to_mean(images: Tensor) -> Tensor:
    """Return images (M, V, H, W) as contrast: each divided by its mean over both views, less 1.

    For networks that look at each slice alone; a one-hot input keeps one scale for all slices.
    """
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return images / mean.clamp(min=_DARKEST_MEAN) - 1.0


def sum_and_difference(images: Tensor) -> Tensor:
    """Return views (M, 2, H, W), left and right, as half their sum and three times left minus right.

    Nothing is lost, but the disparity no longer hides in a small difference of two channels that are nearly equal.
    """
    left, right = images[:, :1], images[:, 1:]
    return torch.cat(((left + right) / 2.0, _DIFFERENCE_GAIN * (left - right)), dim=1)


def with_planes(images: Tensor, commands: Tensor, regions: Tensor, n: int) -> Tensor:
    """Return images with three constant channels more: (M, V + 3, H, W).

    Parameters
    ----------
    images : (M, V, H, W) tensor
        Observed slices.
    commands : (M,) tensor
        Their commands; the plane is the lens's position, -1 at index 0 (far) and 1 at n-1 (near).
    regions : (M, 2) tensor
        Where in the field each was taken: planes x and y, in [-1, 1]. The pupil, and hence the disparity for one
        defocus, changes across the field.
    n : int
        Number of indices.
    """
    numbers = torch.cat((lens_position(commands, n)[:, None], regions), dim=1).to(images.dtype)
    return torch.cat((images, numbers[:, :, None, None].expand(-1, -1, *images.shape[2:])), dim=1)


def lens_position(commands: Tensor, n: int) -> Tensor:
    """Return commands 0 ... n-1 as -1 (far) ... 1 (near)."""
    return commands * (2.0 / (n - 1)) - 1.0
