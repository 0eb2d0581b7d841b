"""MobileNetV2 with a width multiplier, for any number of input channels.

Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks" (CVPR 2018), table 2; the paper builds its
model upon it with a width multiplier of 4 (section 6). Written here because the networks need the step between the
first convolution and the rest: the first is linear, so its responses to single slices can be added up.
"""

import copy
from typing import Final, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from afsim.checks import check_number, check_whole

N = TypeVar("N", bound=nn.Module)

FIRST_CHANNELS: Final = 32
LAST_CHANNELS: Final = 1280
_LARGEST_WIDTH: Final = 16.0


class Stage(NamedTuple):
    """A row of the paper's table 2: blocks that share a width, the first of them with the stride."""

    expansion: int
    channels: int
    blocks: int
    stride: int


STAGES: Final = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)


def scaled_channels(channels: int, width: float, divisor: int = 8) -> int:
    """Return ``channels`` times ``width``, rounded to a multiple of ``divisor`` and not down by more than 10 %.

    The rule of the reference implementation (``_make_divisible`` of TensorFlow's and torchvision's MobileNet).
    """
    wanted = channels * width
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded


def check_width(width: object) -> None:
    """Raise unless ``width`` is a width multiplier: above 0 and at most 16 (then there are 600 million weights)."""
    check_number("the network's width", width, above=0.0, most=_LARGEST_WIDTH)


def normalised_convolution(
    channels: int, filters: int, size: int, *, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return the layers of a convolution without bias, then batch normalisation; padded to keep the size."""
    convolution = nn.Conv2d(channels, filters, size, stride, (size - 1) // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(filters)]


class InvertedResidual(nn.Module):
    """Expand, filter each channel on its own, project without a non-linearity; added to its input where it fits."""

    def __init__(self, channels: int, filters: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [*normalised_convolution(channels, hidden, 1), nn.ReLU6(inplace=True)]
        layers += [*normalised_convolution(hidden, hidden, 3, stride=stride, groups=hidden), nn.ReLU6(inplace=True)]
        layers += normalised_convolution(hidden, filters, 1)
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and channels == filters

    def forward(self, maps: Tensor) -> Tensor:
        """Return the block's output (N, filters, H / stride, W / stride)."""
        filtered: Tensor = self.layers(maps)
        return maps + filtered if self.adds else filtered


class Trunk(nn.Module):
    """MobileNetV2 up to its pooled features.

    Parameters
    ----------
    channels : int
        Of the images.
    width : float
        Multiplier of all channel numbers, above 0 and at most 16.
    last : int
        Features before the multiplier, which only widens them: ``last * max(1, width)``, as in both reference
        implementations.

    Attributes
    ----------
    first : Conv2d
        The first convolution: 3 x 3, stride 2, no bias; ``weight`` (32 width, channels, 3, 3).
    features : int
        Number of features.
    """

    def __init__(self, channels: int, width: float, last: int = LAST_CHANNELS) -> None:
        super().__init__()
        check_whole("channels of the network's input", channels, least=1)
        check_width(width)
        check_whole("features of the network", last, least=1)
        filters = scaled_channels(FIRST_CHANNELS, width)
        self.features = scaled_channels(last, max(1.0, width))
        self.first = nn.Conv2d(channels, filters, 3, stride=2, padding=1, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(filters), nn.ReLU6(inplace=True)]
        for stage in STAGES:
            wider = scaled_channels(stage.channels, width)
            for block in range(stage.blocks):
                stride = stage.stride if block == 0 else 1
                layers.append(InvertedResidual(filters, wider, stride, stage.expansion))
                filters = wider
        layers += [*normalised_convolution(filters, self.features, 1), nn.ReLU6(inplace=True)]
        self.rest = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (N, features) of images (N, channels, H, W)."""
        return self.from_responses(self.first(images))

    def from_responses(self, responses: Tensor) -> Tensor:
        """Return the features (N, features) from the responses (N, 32 width, H/2, W/2) of the first convolution."""
        return self.maps(responses).mean(dim=(2, 3))

    def maps(self, responses: Tensor) -> Tensor:
        """Return the last feature maps (N, features, H/32, W/32), before they are pooled."""
        # Channels last is 2 to 3.6 times as fast on a processor, at every width.
        maps: Tensor = self.rest(responses.contiguous(memory_format=torch.channels_last))
        return maps


class MobileNetV2(nn.Module):
    """MobileNetV2: the trunk, dropout, and one linear layer.

    Parameters
    ----------
    channels, outputs : int
        Channels of the images, number of logits.
    width : float
        Multiplier of all channel numbers; the paper's is 4.
    dropout : float
        Share of features left out in training. The paper states none; the reference implementation of MobileNetV2
        has 0.2.
    """

    def __init__(self, channels: int, outputs: int, width: float, *, dropout: float = 0.0) -> None:
        super().__init__()
        check_whole("outputs of the network", outputs, least=1)
        check_number("dropout", dropout, least=0.0, most=0.9)
        self.trunk = Trunk(channels, width)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.trunk.features, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, outputs) of images (N, channels, H, W)."""
        return self.from_responses(self.trunk.first(images))

    def from_responses(self, responses: Tensor) -> Tensor:
        """Return the logits (N, outputs) from the responses (N, 32 width, H/2, W/2) of the first convolution."""
        logits: Tensor = self.classifier(self.dropout(self.trunk.from_responses(responses)))
        return logits


def fused(network: N) -> N:
    """Return a copy for inference alone: each normalisation made part of the convolution before it.

    Equal to float32 rounding, with half as many layers: a single image takes two thirds of the time.
    """
    copied = copy.deepcopy(network).eval()
    for sequence in [module for module in copied.modules() if isinstance(module, nn.Sequential)]:
        layers = list[nn.Module]()
        for layer in sequence:
            if isinstance(layer, nn.BatchNorm2d) and layers and isinstance(layers[-1], nn.Conv2d):
                layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
            else:
                layers.append(layer)
        del sequence[:]
        sequence.extend(layers)
    return copied


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights anew, as the reference implementation does.

    Convolutions and linear layers as He et al. (ICCV 2015), by fan-out; the last of them with a standard deviation
    of 0.01, so that all logits begin nearly equal; biases 0.

    Raises
    ------
    TypeError
        For a layer with weights that it does not know.
    """
    weighted = [layer for layer in network.modules() if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)]
    last = weighted[-1] if weighted else None
    for layer in network.modules():
        if layer is last:
            nn.init.normal_(layer.weight, 0.0, 0.01, generator=generator)
        elif layer in weighted:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", generator=generator)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
            continue
        elif any(True for _ in layer.parameters(recurse=False)):
            raise TypeError(f"initialise knows no {type(layer).__name__}")
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
