"""MobileNetV2: published sizes, the block against its definition, and how it is initialised."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional

from afsim.errors import AfsimError
from afsim.mobilenet import InvertedResidual, MobileNetV2, Trunk, initialise, scaled_channels


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small batches only lose by threads, and much so beside other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def parameters(channels: int, outputs: int, width: float) -> int:
    with torch.device("meta"):
        network = MobileNetV2(channels, outputs, width)
    return sum(parameter.numel() for parameter in network.parameters())


def small_network(seed: int = 0) -> MobileNetV2:
    network = MobileNetV2(2, 7, 0.25)
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def images(count: int, channels: int = 2, size: int = 32) -> torch.Tensor:
    return torch.rand((count, channels, size, size), generator=torch.Generator().manual_seed(1))


def test_the_reference_network_has_its_published_number_of_parameters() -> None:
    assert parameters(3, 1000, 1.0) == 3_504_872


@pytest.mark.parametrize(("channels", "millions"), [(1, 34.64), (49, 34.70), (98, 34.75)])
def test_the_networks_of_the_paper_have_the_size_that_follows_from_it(channels: int, millions: float) -> None:
    assert round(parameters(channels, 49, 4.0) / 1e6, 2) == millions


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [
        (32, 4.0, 128),
        (1280, 4.0, 5120),
        (32, 1.0, 32),
        (32, 0.35, 16),  # 11.2 would go down to 8, by more than 10 %
        (24, 0.35, 8),
        (96, 1.4, 136),  # 134.4
        (320, 1.4, 448),
        (16, 0.1, 8),  # never below the divisor
    ],
)
def test_channels_are_rounded_as_in_the_reference(channels: int, width: float, expected: int) -> None:
    assert scaled_channels(channels, width) == expected


@pytest.mark.parametrize(("width", "first", "features"), [(4.0, 128, 5120), (1.0, 32, 1280), (0.25, 8, 1280)])
def test_first_and_last_channels_follow_the_width(width: float, first: int, features: int) -> None:
    with torch.device("meta"):
        trunk = Trunk(98, width)
    assert trunk.first.weight.shape == (first, 98, 3, 3)
    assert trunk.features == features


def test_a_patch_of_128_pixels_becomes_a_map_of_4_by_4() -> None:
    trunk = Trunk(3, 0.25, 64)
    responses = trunk.first(images(1, 3, 128))
    assert responses.shape == (1, 8, 64, 64)
    maps = trunk.eval().maps(responses)
    assert maps.shape == (1, 64, 4, 4)
    assert torch.equal(trunk.from_responses(responses), maps.mean(dim=(2, 3)))


def test_a_block_expands_filters_and_projects() -> None:
    block = InvertedResidual(8, 8, stride=1, expansion=6)
    initialise(block, torch.Generator().manual_seed(3))
    block.eval()
    maps = images(2, 8, 9) - 0.5
    expand, depthwise, project = (layer.weight for layer in block.layers if isinstance(layer, nn.Conv2d))
    scale = 1.0 / math.sqrt(1.0 + 1e-5)  # batch normalisation with a mean of 0 and a variance of 1
    hidden = (scale * functional.conv2d(maps, expand)).clamp(0.0, 6.0)
    padded = functional.pad(hidden, (1, 1, 1, 1))
    filtered = sum(
        padded[:, :, y : y + 9, x : x + 9] * depthwise[None, :, 0, y, x, None, None]
        for y in range(3)
        for x in range(3)
    )
    assert isinstance(filtered, torch.Tensor)
    expected = maps + scale * functional.conv2d((scale * filtered).clamp(0.0, 6.0), project)
    torch.testing.assert_close(block(maps), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("filters", "stride", "adds"), [(8, 1, True), (8, 2, False), (16, 1, False)])
def test_a_block_is_added_only_where_it_fits(filters: int, stride: int, adds: bool) -> None:
    block = InvertedResidual(8, filters, stride, expansion=6)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    maps = images(1, 8, 8)
    expected = maps if adds else torch.zeros(1, filters, 8 // stride, 8 // stride)
    assert torch.equal(block(maps), expected)


def test_every_parameter_learns() -> None:
    network = small_network()
    network(images(3)).square().sum().backward()
    idle = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


def test_the_rest_takes_the_first_layers_responses() -> None:
    network = small_network()
    network(images(6))  # statistics to normalise with
    network.eval()
    batch = images(3)
    logits = network(batch)
    assert logits.std() > 1e-3
    assert torch.equal(logits, network.from_responses(network.trunk.first(batch)))
    single = torch.cat([network(image[None]) for image in batch])
    torch.testing.assert_close(logits, single, rtol=1e-4, atol=1e-5)


def test_weights_follow_from_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    network = small_network()
    state = torch.random.get_rng_state()
    initialise(network, torch.Generator().manual_seed(0))
    assert torch.equal(state, torch.random.get_rng_state())
    torch.random.set_rng_state(before)
    other, third = small_network(), small_network(1)
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name])
    assert not torch.equal(network.trunk.first.weight, third.trunk.first.weight)


def test_weights_have_the_spread_of_the_reference() -> None:
    layer, hidden, last = nn.Conv2d(64, 64, 3), nn.Linear(300, 400), nn.Linear(400, 50)
    initialise(nn.Sequential(layer, hidden, last), torch.Generator().manual_seed(0))
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2.0 / (64 * 9)), rel=0.02)
    assert hidden.weight.std().item() == pytest.approx(math.sqrt(2.0 / 400), rel=0.02)
    assert last.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert last.bias is not None
    assert layer.bias is not None
    assert not last.bias.any()
    assert not layer.bias.any()


def test_unknown_layers_are_not_left_as_they_are() -> None:
    with pytest.raises(TypeError, match="Embedding"):
        initialise(nn.Sequential(nn.ReLU(), nn.Embedding(2, 2)), torch.Generator())


def test_dropout_leaves_features_out_in_training_alone() -> None:
    network = MobileNetV2(1, 3, 0.25, dropout=0.5)
    kept = network.dropout(torch.ones(1, 4000))
    assert 0.4 < (kept == 0).float().mean().item() < 0.6
    assert torch.equal(network.eval().dropout(torch.ones(1, 9)), torch.ones(1, 9))


@pytest.mark.parametrize(
    ("channels", "outputs", "width", "named"),
    [
        (0, 49, 1.0, "channels"),
        (3, 0, 1.0, "outputs"),
        (3, 49, 0.0, "width"),
        (3, 49, float("nan"), "width"),
        (3, 49, 17.0, "width"),
    ],
)
def test_impossible_sizes_are_named(channels: int, outputs: int, width: float, named: str) -> None:
    with pytest.raises(AfsimError, match=named):
        MobileNetV2(channels, outputs, width)
