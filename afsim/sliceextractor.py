"""What agents that learn from pixels make of the slices they have seen last, before they decide."""

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from afsim.networkinput import relative_to_mean, sum_and_difference, with_planes

# Those of the network that Mnih et al. (Nature 2015) learned from pixels with, and half its filters: 7 million
# multiplications a slice of 128x128, so that two cores learn from some hundred steps a second.
_FILTERS = ((16, 8, 4), (32, 4, 2), (32, 3, 2))


class SliceExtractor(BaseFeaturesExtractor):
    """One small convolutional network for every slice, and what it says of each beside the commands.

    Slices are taken relative to their mean, two views as their sum and difference, with planes that tell the
    command and where in the field the region lies; a slice that was not seen yet says nothing.

    Parameters
    ----------
    observation_space : spaces.Dict
        As :class:`afsim.recollection.PixelRecall` has it: ``image`` (count V, H, W) uint8, at least 36 pixels high
        and wide, ``command`` (count,), ``region`` (2,), ``steps_left`` (1,).
    size : int
        How many numbers a slice becomes.
    """

    def __init__(self, observation_space: spaces.Dict, size: int = 64) -> None:
        (channels, height, width), (count,) = (observation_space[name].shape or () for name in ("image", "command"))
        super().__init__(observation_space, count * (size + 1) + 3)
        self._count, self._views = count, channels // count
        layers, before = list[nn.Module](), self._views + 3
        for filters, side, stride in _FILTERS:
            layers += [nn.Conv2d(before, filters, side, stride), nn.ReLU()]
            before = filters
        convolved = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            found = convolved(torch.zeros(1, self._views + 3, height, width)).shape[1]
        self.slice = nn.Sequential(convolved, nn.Linear(found, size), nn.ReLU())

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Return the features (N, count (size + 1) + 3) of observations, whose images SB3 has scaled to [0, 1]."""
        commands, region = observations["command"], observations["region"]
        images = observations["image"].reshape(-1, self._views, *observations["image"].shape[2:])
        images = relative_to_mean(images)
        if self._views == 2:
            images = sum_and_difference(images)
        # Told over n-1, commands are those of two slices.
        planes = with_planes(images, commands.flatten(), region.repeat_interleave(self._count, 0), 2)
        said = self.slice(planes).reshape(len(commands), self._count, -1)
        said = said * (commands >= 0.0)[:, :, None]
        return torch.cat([said.flatten(1), commands, region, observations["steps_left"]], dim=1)
