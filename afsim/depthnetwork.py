"""A small U-Net from one dual-pixel slice to relative inverse depth: our stand-in for the paper's "Learned Depth".

The paper's row is DPNet (Garg et al., "Learning single camera depth estimation using dual-pixels", ICCV 2019),
whose weights are not public. Like it, this network is told neither where the lens stands nor where in the field it
looks, so that it can know inverse depth only up to an affine map that is one for a photograph.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from afsim.checks import check_whole
from afsim.errors import AfsimError
from afsim.mobilenet import initialise, normalised_convolution
from afsim.networkinput import relative_to_mean, sum_and_difference

# Levels are halved in size one after the other; the map is that of the second, a quarter of the image.
_LEAST_LEVELS: Final = 2
_MOST_LEVELS: Final = 7
_MOST_CHANNELS: Final = 512


@dataclass(frozen=True)
class DepthConfig:
    """Size of the network.

    Attributes
    ----------
    channels : tuple of int
        Of each level, finest first, at 1/2, 1/4, ... of the image. The four levels by default see all of a patch of
        128 pixels, with 105,000 weights (our choice).
    """

    channels: tuple[int, ...] = (16, 32, 48, 48)

    def __post_init__(self) -> None:
        if not isinstance(self.channels, tuple) or not _LEAST_LEVELS <= len(self.channels) <= _MOST_LEVELS:
            raise AfsimError(
                f"channels of the depth network must be {_LEAST_LEVELS} to {_MOST_LEVELS} numbers, "
                f"got {self.channels!r}"
            )
        for channels in self.channels:
            check_whole("channels of the depth network", channels, least=1, most=_MOST_CHANNELS)


class DepthNetwork(nn.Module):
    """Down by halves, up again to a quarter of the image, with what was seen on the way down beside."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.config = config
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        above, size = 2, 5
        for channels in config.channels:
            layers = [*normalised_convolution(above, channels, size, stride=2), nn.ReLU(inplace=True)]
            self.down.append(nn.Sequential(*layers))
            above, size = channels, 3
        for channels in config.channels[-2:0:-1]:
            layers = [*normalised_convolution(above + channels, channels, 3), nn.ReLU(inplace=True)]
            self.up.append(nn.Sequential(*layers))
            above = channels
        self.last = nn.Conv2d(above, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the values (N,) of patches: the mean of their maps.

        The mean in training and afterwards: the median, which the paper's truth is, passes a gradient to one pixel
        only, and is not what a network that was trained by its mean has learned.

        Parameters
        ----------
        images : (N, 2, H, W) tensor
            Normalised left and right views, shifted against each other along the columns.
        """
        return self.maps(images).mean(dim=(1, 2))

    def maps(self, images: Tensor) -> Tensor:
        """Return the relative inverse depth (N, H/4, W/4) of images (N, 2, H, W), in no unit."""
        if images.ndim != 4 or images.shape[1] != 2:
            raise AfsimError(f"the depth network takes images (N, 2, H, W), got shape {tuple(images.shape)}")
        maps = sum_and_difference(relative_to_mean(images)).contiguous(memory_format=torch.channels_last)
        seen = []
        for down in self.down:
            maps = down(maps)
            seen.append(maps)
        for up, beside in zip(self.up, seen[-2:0:-1], strict=True):
            larger = functional.interpolate(maps, size=beside.shape[2:], mode="nearest")
            maps = up(torch.cat((larger, beside), dim=1))
        mapped: Tensor = self.last(maps)
        return mapped[:, 0]


def make_depth_network(config: DepthConfig, seed: int) -> DepthNetwork:
    """Return a new network, its weights drawn from ``seed`` alone; in training mode, on the processor."""
    network = empty_depth_network(config).to_empty(device="cpu")
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def empty_depth_network(config: DepthConfig) -> DepthNetwork:
    """Return a network without weights, on torch's ``meta`` device."""
    with torch.device("meta"):
        return DepthNetwork(config)
