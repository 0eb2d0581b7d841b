"""The two families: what they compute, what they are invariant to, and that they can learn."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from afsim.errors import AfsimError
from afsim.gatherconv import stack_responses, sum_over_lanes
from afsim.networkinput import Observations, as_views, observe, observe_stacks, one_hot
from afsim.networks import (
    FAMILIES,
    CompactConfig,
    CompactNetwork,
    Config,
    FocusNetwork,
    OneHotConfig,
    OneHotNetwork,
    absolute,
    empty_network,
    infer,
    make_network,
)
from afsim.ordinal import ordinal_loss

N = 9
SIZE = 32
SMALL: dict[str, Config] = {
    "one-hot": OneHotConfig(n=N, width=0.1),
    "one-hot, green": OneHotConfig(n=N, views=1, width=0.1),
    "compact": CompactConfig(n=N, width=0.1, features=16, hidden=16),
    "compact, left and right": CompactConfig(n=N, width=0.1, features=16, hidden=16, difference=False),
    "compact, green": CompactConfig(n=N, views=1, width=0.1, features=16, hidden=16),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small batches only lose by threads, and much so beside other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def stacks(count: int = 2) -> npt.NDArray[np.float32]:
    """Return patches of squares, of very different brightness."""
    rng = np.random.default_rng(0)
    squares = rng.uniform(size=(count, N, 2, 4, 4)) * rng.uniform(0.05, 0.9, (count, N, 1, 1, 1))
    return squares.repeat(SIZE // 4, axis=-1).repeat(SIZE // 4, axis=-2).astype(np.float32)


def seen(pairs: list[tuple[int, int]], lanes: int = 2) -> Observations:
    """Return observations of slices of stacks, given as (lane, index); lane i looks at stack i."""
    lane, index = (np.array(column) for column in zip(*pairs, strict=True))
    regions = np.array([[0.5, -0.25], [-1.0, 0.75]])[:lanes]
    return observe(stacks()[lane, index], index, regions, N, lanes=lane)


SETS = [(0, 2), (1, 8), (0, 5), (1, 0), (1, 4)]


@cache
def _settled(name: str) -> FocusNetwork:
    network = make_network(SMALL[name], seed=1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():  # statistics to normalise with
        network(observe(stacks().reshape(-1, 2, SIZE, SIZE), [*range(N)] * 2, np.zeros((2 * N, 2)), N))
    return network.eval()


@pytest.fixture(params=SMALL)
def network(request: pytest.FixtureRequest) -> FocusNetwork:
    """A network whose logits depend on its input."""
    return _settled(request.param)


def test_logits_are_one_an_index_and_depend_on_the_image(network: FocusNetwork) -> None:
    observations = seen(SETS)
    logits = infer(network, observations)
    assert logits.shape == (2, N)
    assert logits.dtype == torch.float32
    assert not logits.requires_grad
    other = infer(network, observations._replace(images=observations.images.flip(-1) * 0.5))
    assert (logits - other).abs().max() > 1e-6


def test_lanes_do_not_depend_on_each_other(network: FocusNetwork) -> None:
    together = infer(network, seen(SETS))
    alone = infer(network, seen([pair for pair in SETS if pair[0] == 0], lanes=1))
    torch.testing.assert_close(alone[0], together[0], rtol=1e-3, atol=1e-5)


def test_the_order_of_what_was_seen_does_not_matter(network: FocusNetwork) -> None:
    first, second = seen([(0, 2), (0, 5), (0, 7)], lanes=1), seen([(0, 5), (0, 2), (0, 7)], lanes=1)
    torch.testing.assert_close(infer(network, first), infer(network, second), rtol=1e-3, atol=1e-5)


def test_a_network_in_training_is_not_asked_for_predictions() -> None:
    with pytest.raises(AfsimError, match=r"eval\(\)"):
        infer(make_network(SMALL["compact"], 0), seen(SETS))


@pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)
def test_weights_follow_from_the_seed_alone(config: Config) -> None:
    state = torch.random.get_rng_state()
    first, second, third = (make_network(config, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())
    assert any(not torch.equal(weight, third[name]) for name, weight in first.items())
    assert all(torch.isfinite(weight).all() for weight in first.values())


@pytest.mark.parametrize("name", ["one-hot", "one-hot, green"])
@pytest.mark.parametrize("pairs", [[(0, 2), (1, 8)], SETS, [(i, k) for i in range(2) for k in range(N)]])
def test_the_one_hot_family_is_mobilenet_over_the_one_hot_input(name: str, pairs: list[tuple[int, int]]) -> None:
    network, observations = _settled(name), seen(pairs)
    assert isinstance(network, OneHotNetwork)
    images = as_views(observations.images, network.config.views)
    dense = one_hot(images, observations.indices, observations.lanes, 2, N)
    with torch.no_grad():
        expected = network.backbone(dense)
    torch.testing.assert_close(infer(network, observations), expected, rtol=1e-3, atol=1e-5)


def test_the_one_hot_family_runs_from_the_responses_of_whole_stacks() -> None:
    network = _settled("one-hot")
    assert isinstance(network, OneHotNetwork)
    lane, index = torch.tensor(SETS).T
    with torch.no_grad():
        responses = stack_responses(torch.tensor(stacks()), network.backbone.trunk.first.weight)
        logits = network.from_responses(sum_over_lanes(responses[lane, index], lane, 2))
    torch.testing.assert_close(logits, infer(network, seen(SETS)), rtol=1e-3, atol=1e-5)


def test_whole_stacks_go_the_same_way(network: FocusNetwork) -> None:
    assert infer(network, observe_stacks(stacks(), np.zeros((2, 2)))).shape == (2, N)


def test_contributions_of_slices_add_up_to_a_decision(network: FocusNetwork) -> None:
    observations = seen([(0, 2), (1, 8), (0, 5), (0, 7)])
    images, commands, lanes, regions, current = observations
    with torch.no_grad():
        each = [
            network.contributions(images[i : i + 1], commands[i : i + 1], regions[lanes[i : i + 1]])
            for i in range(len(images))
        ]
        slices = torch.zeros(2, N).index_put((lanes, observations.indices), torch.ones(len(lanes)))
        logits = network.read(sum_over_lanes(torch.cat(each), lanes, 2), slices, current)
    torch.testing.assert_close(logits, infer(network, observations), rtol=1e-3, atol=1e-5)


def test_the_compact_family_keeps_few_numbers_of_a_slice() -> None:
    observations = seen(SETS)
    network = _settled("compact")
    with torch.no_grad():
        kept = network.contributions(
            observations.images, observations.commands, observations.regions[observations.lanes]
        )
    assert kept.shape == (5, CompactConfig().channels, N)


def test_the_compact_family_is_given_lens_and_region() -> None:
    network, observations = _settled("compact"), seen([(0, 2), (1, 6)])
    logits = infer(network, observations)
    for changes in ({"commands": observations.commands + 1.0}, {"regions": -observations.regions}):
        assert (infer(network, observations._replace(**changes)) - logits).abs().max() > 1e-6


@pytest.mark.parametrize(("mean_scaled", "depends"), [(True, False), (False, True)])
def test_brightness_matters_only_without_scaling_by_the_mean(mean_scaled: bool, depends: bool) -> None:
    config = CompactConfig(n=N, width=0.1, features=16, hidden=16, mean_scaled=mean_scaled)
    network = make_network(config, 0).eval()
    observations = seen(SETS)
    assert isinstance(network, CompactNetwork)
    with torch.no_grad():
        said, darker = (
            network.contributions(images, observations.commands, observations.regions[observations.lanes])
            for images in (observations.images, observations.images / 4.0)
        )
    assert said.abs().max() > 0
    assert torch.allclose(said, darker, rtol=1e-4, atol=0.0) != depends


def test_moves_from_a_command_lead_to_indices() -> None:
    moves = torch.arange(-4.0, 5.0).repeat(3, 2, 1)  # each says its own move
    said = absolute(moves, torch.tensor([0.0, 4.0, 1.6]), 5)
    assert said.shape == (3, 2, 5)
    assert said[:, 1].tolist() == [[0, 1, 2, 3, 4], [-4, -3, -2, -1, 0], [-2, -1, 0, 1, 2]]
    with pytest.raises(AfsimError, match=r"9\) of moves"):
        absolute(moves[:, :, 1:], torch.zeros(3), 5)


@pytest.mark.parametrize("name", SMALL)
def test_a_small_step_down_the_gradient_lowers_the_loss_as_it_should(name: str) -> None:
    network = make_network(SMALL[name], 3).double()
    lanes = [*range(6), 0, 3]  # two of them have seen two slices
    images = stacks().reshape(-1, 2, SIZE, SIZE)[: len(lanes)]
    observations = observe(images, [1, 6, 4, 0, 8, 5, 3, 3], np.zeros((6, 2)), N, lanes=lanes)
    observations = observations._replace(images=observations.images.double())
    truth = torch.tensor([2.3, 7.0, 0.0, 5.5, 1.0, 8.0], dtype=torch.float64)
    before = ordinal_loss(network(observations), truth).mean()
    weights = list(network.parameters())
    gradients = torch.autograd.grad(before, weights)
    steepness = sum(float(gradient.square().sum()) for gradient in gradients)
    step = 1e-5 / steepness
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.sub_(step * gradient)
        after = ordinal_loss(network(observations), truth).mean()
    assert before.item() == pytest.approx(np.log(N), abs=0.4)
    assert (before - after).item() == pytest.approx(1e-5, rel=0.05)


def test_registered_families_take_their_own_configurations() -> None:
    for family in FAMILIES.values():
        assert type(empty_network(family.config())) is family.network


@pytest.mark.parametrize(
    ("family", "changes", "named"),
    [
        ("one-hot", {"n": 1}, "number of slices"),
        ("one-hot", {"views": 3}, "views"),
        ("one-hot", {"width": -1.0}, "width"),
        ("one-hot", {"dropout": 1.0}, "dropout"),
        ("compact", {"hidden": 0}, "hidden"),
        ("compact", {"features": 0}, "features"),
        ("compact", {"channels": 0}, "channels"),
        ("compact", {"difference": 1}, "difference"),
        ("compact", {"dropout": "much"}, "dropout"),
    ],
)
def test_impossible_configurations_are_named(family: str, changes: dict[str, object], named: str) -> None:
    with pytest.raises(AfsimError, match=named):
        empty_network(FAMILIES[family].config(**changes))


def test_views_that_are_missing_are_named() -> None:
    network = _settled("one-hot")
    observations = seen(SETS)
    with pytest.raises(AfsimError, match=r"2 view\(s\)"):
        infer(network, observations._replace(images=observations.images[:, :1]))
