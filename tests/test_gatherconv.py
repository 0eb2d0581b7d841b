"""The gathered first convolution against the convolution of the whole one-hot input."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from afsim.errors import AfsimError
from afsim.gatherconv import Method, gathered_convolution, slice_kernels, stack_responses, sum_over_lanes

SLICES = 6
METHODS: list[Method] = ["grouped", "unfold"]
# Lane 1 has seen three slices, lane 2 nothing, the others one each; the observations are in no order.
LANES = [1, 0, 1, 3, 1]
INDICES = [5, 2, 0, 2, 3]
LANE_COUNT = 4


class Case(NamedTuple):
    images: Tensor
    indices: Tensor
    lanes: Tensor
    weight: Tensor


def make_case(views: int, *, filters: int = 8, size: tuple[int, int] = (12, 16)) -> Case:
    generator = torch.Generator().manual_seed(views)
    images = torch.rand((len(LANES), views, *size), generator=generator)
    weight = torch.randn((filters, SLICES * views, 3, 3), generator=generator)
    return Case(images.requires_grad_(), torch.tensor(INDICES), torch.tensor(LANES), weight.requires_grad_())


def whole(case: Case) -> Tensor:
    """Convolve the whole input, written slice by slice and channel by channel."""
    views, height, width = case.images.shape[1:]
    rows = []
    for lane in range(LANE_COUNT):
        channels = [torch.zeros(height, width)] * (SLICES * views)
        for image, k, owner in zip(case.images, INDICES, LANES, strict=True):
            if owner == lane:
                channels[k * views : (k + 1) * views] = list(image)
        rows.append(torch.stack(channels))
    return functional.conv2d(torch.stack(rows), case.weight, stride=2, padding=1)


def gather(case: Case, method: Method) -> Tensor:
    return gathered_convolution(*case, LANE_COUNT, method=method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("views", [1, 2])
def test_it_equals_the_convolution_of_the_whole_input_forward_and_backward(views: int, method: Method) -> None:
    case = make_case(views)
    expected, got = whole(case), gather(case, method)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(9))
    for ours, theirs in zip(
        torch.autograd.grad(got, (case.images, case.weight), upstream),
        torch.autograd.grad(expected, (case.images, case.weight), upstream),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_weights_of_unobserved_slices_have_no_gradient() -> None:
    case = make_case(2)
    (gradient,) = torch.autograd.grad(gather(case, "unfold").sum(), case.weight)
    touched = gradient.reshape(8, SLICES, 2, 3, 3).abs().sum(dim=(0, 2, 3, 4)) > 0
    assert touched.tolist() == [k in INDICES for k in range(SLICES)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(7, 5), (8, 9)])
def test_odd_sizes_are_padded_alike(size: tuple[int, int], method: Method) -> None:
    case = make_case(1, size=size)
    torch.testing.assert_close(gather(case, method), whole(case), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_lane_that_saw_nothing_has_no_response(method: Method) -> None:
    assert not gather(make_case(2), method)[2].any()


@pytest.mark.parametrize("method", METHODS)
def test_lanes_do_not_depend_on_each_other(method: Method) -> None:
    case = make_case(2)
    together = gather(case, method)
    for lane in (0, 1, 3):
        own = case.lanes == lane
        alone = gathered_convolution(
            case.images[own], case.indices[own], torch.zeros_like(case.lanes[own]), case.weight, 1, method=method
        )
        torch.testing.assert_close(alone[0], together[lane], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("filters", "method"), [(8, "grouped"), (24, "unfold")])
def test_the_method_follows_from_the_number_of_filters(filters: int, method: Method) -> None:
    case = make_case(1, filters=filters)
    assert torch.equal(gather(case, "auto"), gather(case, method))


@pytest.mark.parametrize("views", [1, 2])
def test_responses_of_a_stack_add_up_to_those_of_any_set_of_its_slices(views: int) -> None:
    generator = torch.Generator().manual_seed(4)
    stacks = torch.rand((2, SLICES, views, 12, 16), generator=generator)
    weight = torch.randn((8, SLICES * views, 3, 3), generator=generator)
    responses = stack_responses(stacks, weight)
    assert responses.shape == (2, SLICES, 8, 6, 8)
    whole_stacks = functional.conv2d(stacks.flatten(1, 2), weight, stride=2, padding=1)
    torch.testing.assert_close(responses.sum(dim=1), whole_stacks, rtol=1e-5, atol=1e-4)
    chosen, indices, lanes = torch.tensor([0, 1, 1]), torch.tensor([4, 0, 5]), torch.tensor([0, 1, 1])
    summed = sum_over_lanes(responses[chosen, indices], lanes, 2)
    expected = gathered_convolution(stacks[chosen, indices], indices, lanes, weight, 2)
    torch.testing.assert_close(summed, expected, rtol=1e-5, atol=1e-5)


def test_sums_are_taken_lane_by_lane() -> None:
    values = torch.tensor([[1.0], [2.0], [4.0]])
    assert sum_over_lanes(values, torch.tensor([2, 0, 2]), 3).tolist() == [[2.0], [0.0], [5.0]]


def test_kernels_lie_slice_by_slice() -> None:
    weight = torch.arange(2 * 6 * 9, dtype=torch.float32).reshape(2, 6, 3, 3)
    kernels = slice_kernels(weight, 2)
    assert kernels.shape == (3, 2, 2, 3, 3)
    assert torch.equal(kernels[1, 0, 1], weight[0, 3])


def test_what_does_not_fit_is_named() -> None:
    case = make_case(2)
    with pytest.raises(AfsimError, match="2 n, 3, 3"):
        gathered_convolution(case.images, case.indices, case.lanes, case.weight[:, :-1], LANE_COUNT)
    with pytest.raises(AfsimError, match="indices"):
        gathered_convolution(case.images, case.indices[1:], case.lanes, case.weight, LANE_COUNT)
    with pytest.raises(AfsimError, match="got 5"):
        stack_responses(torch.zeros(1, 5, 2, 8, 8), case.weight)
    with pytest.raises(AfsimError, match="grouped, unfold"):
        gathered_convolution(*case, LANE_COUNT, method="fast")  # type: ignore[arg-type]
