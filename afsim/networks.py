"""The networks: the paper's one-hot family, and a compact one that looks at each slice alone.

Both take :class:`afsim.networkinput.Observations` and return logits (N, n) of the absolute index, so training,
policies and evaluation need not know which one they have. A configuration says everything about a network but its
weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from afsim.checks import check_number, check_switch, check_whole
from afsim.errors import AfsimError
from afsim.gatherconv import gathered_convolution, sum_over_lanes
from afsim.mobilenet import MobileNetV2, Trunk, check_width, initialise
from afsim.networkinput import (
    Observations,
    as_views,
    lens_position,
    nearest_index,
    one_hot,
    relative_to_mean,
    sum_and_difference,
    with_planes,
)

# Where lanes have observed more than this share of the slices, the whole input is convolved. Measured on one core:
# the gathered convolution breaks even at 12 to 24 of 49 slices, forward and backward, for widths of 0.25 to 4.
_DENSE_SHARE: Final = 0.25
# More would be no compact network; a damaged file shall not ask for terabytes.
_MOST_UNITS: Final = 65536


@dataclass(frozen=True)
class OneHotConfig:
    """The paper's network: a channel for each view of each slice, those not observed all zeros (section 6).

    Attributes
    ----------
    n : int
        Number of slices.
    views : int
        2 for dual pixel (D1, D*: 98 channels), 1 for green (I1, I*: 49).
    width : float
        Width multiplier; the paper's is 4, so that the first layer has more filters than the input has channels.
    dropout : float
        Not stated in the paper, hence 0.
    """

    n: int = 49
    views: int = 2
    width: float = 4.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check_common(self)


@dataclass(frozen=True)
class CompactConfig:
    """A small trunk for each slice alone, then one decision from all of them (ours).

    Attributes
    ----------
    n, views : int
        As in :class:`OneHotConfig`.
    width : float
        Width multiplier of the trunk; 0.35 is the reference implementations' smallest published model.
    features : int
        What is kept of each slice: 256 numbers, a fifth of MobileNetV2's, so 1 KiB (our choice).
    hidden : int
        Units of the layer between features and logits (our choice).
    relative : bool
        Whether the head has 2n-1 logits, of moves from the command in force, of which the n possible ones are
        taken. What a slice's blur and disparity tell is a distance to move, nearly the same wherever the lens is.
    mean_scaled : bool
        Whether each slice is taken relative to its mean, so that brightness does not matter.
    difference : bool
        Whether two views are given as their sum and difference rather than as left and right. On images that differ
        by their disparity alone a network learns with it within 400 steps, and without it nothing.
    dropout : float
        Before the last layer.
    """

    n: int = 49
    views: int = 2
    width: float = 0.35
    features: int = 256
    hidden: int = 256
    relative: bool = True
    mean_scaled: bool = True
    difference: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check_common(self)
        check_whole("features of the network", self.features, least=1, most=_MOST_UNITS)
        check_whole("hidden units of the network", self.hidden, least=1, most=_MOST_UNITS)
        check_switch("relative", self.relative)
        check_switch("mean_scaled", self.mean_scaled)
        check_switch("difference", self.difference)


Config = OneHotConfig | CompactConfig


def _check_common(config: Config) -> None:
    check_whole("number of slices of the network", config.n, least=2, most=1024)
    check_whole("views of the network", config.views, least=1, most=2)
    check_width(config.width)
    check_number("dropout", config.dropout, least=0.0, most=0.9)


class OneHotNetwork(nn.Module):
    """MobileNetV2 over the one-hot stack; any set of observed slices, a single one to all of them.

    The first layer gathers the weights of the observed slices where they are few (:mod:`afsim.gatherconv`).
    """

    def __init__(self, config: OneHotConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = MobileNetV2(config.n * config.views, config.n, config.width, dropout=config.dropout)

    def forward(self, observations: Observations) -> Tensor:
        """Return the logits (N, n)."""
        return self.from_responses(self.responses(observations))

    def responses(self, observations: Observations) -> Tensor:
        """Return the first layer's responses (N, 32 width, H/2, W/2)."""
        images = as_views(observations.images, self.config.views)
        indices, lanes, count = observations.indices, observations.lanes, observations.lane_count
        first = self.backbone.trunk.first
        if len(images) > _DENSE_SHARE * count * self.config.n:
            responses: Tensor = first(one_hot(images, indices, lanes, count, self.config.n))
            return responses
        return gathered_convolution(images, indices, lanes, first.weight, count)

    def from_responses(self, responses: Tensor) -> Tensor:
        """Return the logits (N, n) from (sums of) the first layer's responses.

        With :func:`afsim.gatherconv.stack_responses` a whole stack's responses are computed once for all starts.
        """
        return self.backbone.from_responses(responses)


class Pooled(NamedTuple):
    """What the compact network remembers of a set of slices, in any order.

    Sum and largest of their features, (N, features) each, and their number (N,), all floating point.
    """

    total: Tensor
    largest: Tensor
    number: Tensor


class CompactNetwork(nn.Module):
    """The same small trunk for each slice; features pooled by mean and maximum; a head for the logits.

    Mean and maximum do not depend on the order, and a head on pooled features can stand for any function of a set
    (Zaheer et al., "Deep sets", NeurIPS 2017). Against sums of first-layer responses this is what a policy can use:
    a slice's features do not depend on the other slices, so they are computed once for each slice of a stack and
    cached, and what a lane has seen is 2 x 256 numbers rather than a map of 64 x 64 x 32. The price: slices are
    compared by their features, not pixel by pixel.
    """

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.views + 3, config.width, config.features)
        outputs = 2 * config.n - 1 if config.relative else config.n
        self.head = nn.Sequential(
            nn.Linear(2 * self.trunk.features + 1, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, outputs),
        )

    def forward(self, observations: Observations) -> Tensor:
        """Return the logits (N, n)."""
        regions = observations.regions[observations.lanes]
        features = self.features(observations.images, observations.commands, regions)
        pooled = self.pool(features, observations.lanes, observations.lane_count)
        return self.from_pooled(pooled, observations.current)

    def features(self, images: Tensor, commands: Tensor, regions: Tensor) -> Tensor:
        """Return the features (M, features) of images (M, V, H, W) with commands (M,) and regions (M, 2)."""
        images = as_views(images, self.config.views)
        if self.config.mean_scaled:
            images = relative_to_mean(images)
        if self.config.difference and self.config.views == 2:
            images = sum_and_difference(images)
        features: Tensor = self.trunk(with_planes(images, commands, regions, self.config.n))
        return features

    def pool(self, features: Tensor, lanes: Tensor, lane_count: int) -> Pooled:
        """Return what N lanes remember of features (M, features) that belong to ``lanes`` (M,)."""
        where = lanes[:, None].expand_as(features)
        largest = features.new_zeros((lane_count, features.shape[1]))
        return Pooled(
            sum_over_lanes(features, lanes, lane_count),
            largest.scatter_reduce(0, where, features, "amax", include_self=False),
            sum_over_lanes(torch.ones_like(features[:, 0]), lanes, lane_count),
        )

    def add(self, pooled: Pooled, features: Tensor) -> Pooled:
        """Return the memory of N lanes after each saw one slice more, with features (N, features)."""
        largest = torch.maximum(pooled.largest, features)
        return Pooled(pooled.total + features, largest, pooled.number + 1.0)

    def from_pooled(self, pooled: Pooled, current: Tensor) -> Tensor:
        """Return the logits (N, n) of lanes whose command in force is ``current`` (N,)."""
        mean = pooled.total / pooled.number[:, None]
        position = lens_position(current, self.config.n)[:, None].to(mean.dtype)
        logits: Tensor = self.head(torch.cat((mean, pooled.largest, position), dim=1))
        return absolute_logits(logits, current, self.config.n) if self.config.relative else logits


def absolute_logits(moves: Tensor, current: Tensor, n: int) -> Tensor:
    """Return the logits (N, n) of indices from those of moves (N, 2n-1), a move of -(n-1) first.

    From the command ``current`` (N,) only n of the moves lead to an index; the others are left out.
    """
    if moves.shape != (len(current), 2 * n - 1):
        raise AfsimError(f"expected logits of {2 * n - 1} moves for {len(current)} lanes, got {tuple(moves.shape)}")
    first = n - 1 - nearest_index(current)
    return moves.gather(1, first[:, None] + torch.arange(n, device=moves.device))


FocusNetwork = OneHotNetwork | CompactNetwork


class Family(NamedTuple):
    """A network class and its configuration's."""

    network: type[Any]
    config: type[Any]


FAMILIES: Final[Mapping[str, Family]] = {
    "one-hot": Family(OneHotNetwork, OneHotConfig),
    "compact": Family(CompactNetwork, CompactConfig),
}


def family_of(config: Config) -> str:
    """Return the name of the family that a configuration is of."""
    return next(name for name, family in FAMILIES.items() if type(config) is family.config)


def empty_network(config: Config) -> FocusNetwork:
    """Return a network without weights, on torch's ``meta`` device: sizes, and no memory."""
    with torch.device("meta"):
        network: FocusNetwork = FAMILIES[family_of(config)].network(config)
    return network


def make_network(config: Config, seed: int) -> FocusNetwork:
    """Return a new network, its weights drawn from ``seed`` alone; in training mode, on the processor."""
    network: FocusNetwork = empty_network(config).to_empty(device="cpu")
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def infer(network: FocusNetwork, observations: Observations) -> Tensor:
    """Return the logits (N, n) float32 on the processor: no gradients; the network must be in evaluation mode.

    Raises
    ------
    AfsimError
        In training mode, in which the result would depend on the batch and change the network's statistics.
    """
    if network.training:
        raise AfsimError("the network is in training mode; call network.eval() before it is asked for predictions")
    with torch.inference_mode():
        logits: Tensor = network(observations.on(next(network.parameters()).device))
    return logits.float().cpu()
