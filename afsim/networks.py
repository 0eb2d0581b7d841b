"""The networks: the paper's one-hot family, and a compact one that looks at each slice alone.

Both take :class:`afsim.networkinput.Observations` and return logits (N, n) of the absolute index, so training,
policies and evaluation need not know which one they have. A configuration says everything about a network but its
weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

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
# The compact network reads its map with these dilated convolutions of 5, so it sees 14 indices to each side; with
# planes of what was seen, the command in force and the position beside the map (our choice).
_DILATIONS: Final = (1, 2, 4)
_MAP_FILTERS: Final = 32
_MAP_PLANES: Final = 3
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
        Width multiplier of the trunk; at 0.5 all six networks of the paper's problems fit into 15 MB.
    features : int
        What is kept of each slice: 256 numbers, a fifth of MobileNetV2's, so 1 KiB (our choice).
    hidden : int
        Units of the layer between features and what is said of each move (our choice).
    channels : int
        Numbers that a slice says of each move (our choice).
    mean_scaled : bool
        Whether each slice is taken relative to its mean, so that brightness does not matter.
    difference : bool
        Whether two views are given as their sum and difference rather than as left and right. On images that differ
        by their disparity alone a network learns with it within 400 steps, and without it nothing.
    dropout : float
        Of the hidden units.
    """

    n: int = 49
    views: int = 2
    width: float = 0.5
    features: int = 256
    hidden: int = 128
    channels: int = 8
    mean_scaled: bool = True
    difference: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check_common(self)
        check_whole("features of the network", self.features, least=1, most=_MOST_UNITS)
        check_whole("hidden units of the network", self.hidden, least=1, most=_MOST_UNITS)
        check_whole("channels of the network's map", self.channels, least=1, most=_MOST_UNITS)
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

    The first layer gathers the weights of the observed slices where they are few (:mod:`afsim.gatherconv`). It is
    linear, so its response to a slice is what that slice contributes.
    """

    def __init__(self, config: OneHotConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = MobileNetV2(config.n * config.views, config.n, config.width, dropout=config.dropout)

    def forward(self, observations: Observations) -> Tensor:
        """Return the logits (N, n)."""
        views, lanes = as_views(observations.images, self.config.views), observations.lanes
        first, count = self.backbone.trunk.first, observations.lane_count
        if len(views) > _DENSE_SHARE * count * self.config.n:
            return self.from_responses(first(one_hot(views, observations.indices, lanes, count, self.config.n)))
        return self.from_responses(gathered_convolution(views, observations.indices, lanes, first.weight, count))

    def contributions(self, images: Tensor, commands: Tensor, regions: Tensor) -> Tensor:
        """Return the first layer's response to each slice, (M, 32 width, H/2, W/2): half a megabyte at width 1.

        Its parameters are those of :meth:`CompactNetwork.contributions`.
        """
        views, alone = as_views(images, self.config.views), torch.arange(len(images), device=images.device)
        weight = self.backbone.trunk.first.weight
        return gathered_convolution(views, nearest_index(commands), alone, weight, len(views))

    def read(self, evidence: Tensor, seen: Tensor, current: Tensor) -> Tensor:
        """Return the logits (N, n); as :meth:`CompactNetwork.read`, but only the evidence matters."""
        return self.from_responses(evidence)

    def contribution_shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of a slice's contribution, for images of that size."""
        return self.backbone.trunk.first.out_channels, -(-height // 2), -(-width // 2)

    def from_responses(self, responses: Tensor) -> Tensor:
        """Return the logits (N, n) from (sums of) the first layer's responses.

        With :func:`afsim.gatherconv.stack_responses` a whole stack's responses are computed once for all starts.
        """
        return self.backbone.from_responses(responses)


class CompactNetwork(nn.Module):
    """The same small trunk for each slice; what they say of each index is added up, then read along the indices.

    A slice's blur and disparity tell how far to move, nearly the same wherever the lens is. So each slice says
    ``channels`` numbers of each of the 2n-1 moves; laid over the indices that these moves lead to, they are summed
    over the slices that were seen, as evidence is (logarithms of likelihoods add), and do not depend on their order
    (Zaheer et al., "Deep sets", NeurIPS 2017). Three convolutions along the indices make logits of the sums, so
    slices can be compared with their neighbours too, as contrast must be.

    What a slice says does not depend on the other slices: for a policy it is computed once for each slice of a
    stack, and what a lane remembers is a sum, 392 numbers rather than images. The price: slices are compared by
    what is said of them, not pixel by pixel.
    """

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.views + 3, config.width, config.features)
        self.evidence = nn.Sequential(
            nn.Linear(self.trunk.features + 1, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.channels * (2 * config.n - 1)),
        )
        channels, layers = config.channels + _MAP_PLANES, list[nn.Module]()
        for dilation in _DILATIONS:
            layers += [nn.Conv1d(channels, _MAP_FILTERS, 5, padding=2 * dilation, dilation=dilation), nn.ReLU()]
            channels = _MAP_FILTERS
        self.reading = nn.Sequential(*layers, nn.Conv1d(channels, 1, 1))
        self._trunk_kept = False

    def keep_trunk(self) -> None:
        """Keep the trunk as it is in training, normalisations too: only what is made of its features is learned."""
        self._trunk_kept = True
        self.trunk.requires_grad_(False)
        self.trunk.eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode, as for every module; a trunk that is kept stays in evaluation mode."""
        super().train(mode)
        if self._trunk_kept:
            self.trunk.eval()
        return self

    def forward(self, observations: Observations) -> Tensor:
        """Return the logits (N, n)."""
        images, commands, lanes, regions, current = observations
        said = self.contributions(images, commands, regions[lanes])
        # Summed in full precision, in mixed precision too: there may be 49 of them.
        said = said.to(torch.promote_types(said.dtype, torch.float32))
        slices = nn.functional.one_hot(nearest_index(commands), self.config.n).to(said.dtype)
        count = regions.shape[0]
        return self.read(sum_over_lanes(said, lanes, count), sum_over_lanes(slices, lanes, count), current)

    def contributions(self, images: Tensor, commands: Tensor, regions: Tensor) -> Tensor:
        """Return what each slice says of each index, (M, channels, n), to be summed over a lane's slices.

        Parameters
        ----------
        images : (M, V, H, W) tensor
            Observed slices.
        commands : (M,) tensor
            Their commands.
        regions : (M, 2) tensor
            Where in the field each was taken.
        """
        n = self.config.n
        images = as_views(images, self.config.views)
        if self.config.mean_scaled:
            images = relative_to_mean(images)
        if self.config.difference and self.config.views == 2:
            images = sum_and_difference(images)
        features = self.trunk(with_planes(images, commands, regions, n))
        position = lens_position(commands, n)[:, None].to(features.dtype)
        said: Tensor = self.evidence(torch.cat((features, position), dim=1))
        return absolute(said.reshape(-1, self.config.channels, 2 * n - 1), commands, n)

    def contribution_shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of a slice's contribution, whatever the size of images."""
        return self.config.channels, self.config.n

    def read(self, evidence: Tensor, seen: Tensor, current: Tensor) -> Tensor:
        """Return the logits (N, n) of N lanes.

        Parameters
        ----------
        evidence : (N, ...) tensor
            The sum of the :meth:`contributions` of the slices that each has seen, none of them twice.
        seen : (N, n) tensor
            1 for these slices, 0 for the others.
        current : (N,) tensor
            The command in force in each lane.
        """
        n = self.config.n
        indices = torch.arange(n, device=evidence.device)
        here = indices == nearest_index(current)[:, None]
        planes = (seen, here, lens_position(indices, n).expand(seen.shape[0], n))
        stacked = torch.stack([plane.to(evidence.dtype) for plane in planes], dim=1)
        read: Tensor = self.reading(torch.cat((evidence, stacked), dim=1))[:, 0]
        return evidence[:, 0] + read


def absolute(moves: Tensor, commands: Tensor, n: int) -> Tensor:
    """Return what is said of indices (M, C, n), from what is said of moves (M, C, 2n-1), a move of -(n-1) first.

    From a command (M,) only n of the moves lead to an index; the others are left out.
    """
    if moves.ndim != 3 or len(moves) != len(commands) or moves.shape[2] != 2 * n - 1:
        raise AfsimError(
            f"expected (M, C, {2 * n - 1}) of moves from {len(commands)} commands, got {tuple(moves.shape)}"
        )
    first = n - 1 - nearest_index(commands)
    which = first[:, None, None] + torch.arange(n, device=moves.device)
    return moves.gather(2, which.expand(-1, moves.shape[1], -1))


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


def infer(network: nn.Module, observations: Observations) -> Tensor:
    """Return the logits (N, n) float32 on the processor: no gradients; the network must be in evaluation mode.

    Raises
    ------
    AfsimError
        In training mode, in which the result would depend on the batch and change the network's statistics.
    """
    if network.training:
        raise AfsimError("the network is in training mode; call network.eval() before it is asked for predictions")
    with torch.inference_mode():
        logits: Tensor = network(observations.on(next(network.parameters(), torch.empty(0)).device))
    return logits.float().cpu()
