"""The first convolution over a one-hot stack, without convolving the zeros.

The paper's network has a channel (or two) for each slice, and those of unobserved slices are all zeros (section 6).
A convolution without bias is linear, so its response to such an input is the sum, over the observed slices, of
their images convolved with those slices' weights alone. This module gathers these weights. It equals a convolution
of the whole input up to float32 rounding, forward and backward, at 1/49 of its work for one observation.

Everywhere M observations belong to N lanes: ``lanes`` (M,) int64 says which to which; one lane's observations are
of different slices. Weights are the first layer's, (F, n V, 3, 3), slice k's channels at k V ... k V + V-1.
"""

from collections.abc import Callable
from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn import functional

from afsim.errors import AfsimError, unknown

Method = Literal["auto", "grouped", "unfold"]

_STRIDE: Final = 2
_PADDING: Final = 1
# Measured on a processor: up to this number of filters (width 0.5) grouped convolution is faster, beyond it the
# matrix product. A graphics processor is taken to be better off with the matrix product (assumed).
_FEW_FILTERS: Final = 16


def gathered_convolution(
    images: Tensor, indices: Tensor, lanes: Tensor, weight: Tensor, lane_count: int, *, method: Method = "auto"
) -> Tensor:
    """Return the first layer's responses to one-hot inputs of which only the observed slices are given.

    Parameters
    ----------
    images : (M, V, H, W) float tensor
        Observed slices.
    indices, lanes : (M,) int64 tensors
        Which slice each image is of (0 ... n-1), and which lane it belongs to (0 ... N-1).
    weight : (F, n V, 3, 3) float tensor
        Weights of a convolution of stride 2 and padding 1, without bias.
    lane_count : int
        Number of lanes N; a lane without observations has responses of zero.
    method : {"auto", "grouped", "unfold"}
        One convolution with a group for each observation, or image patches times gathered weights. They differ
        in speed and by rounding.

    Returns
    -------
    (N, F, H/2, W/2) float tensor

    Raises
    ------
    AfsimError
        Where the shapes do not fit together.
    """
    kernels = slice_kernels(weight, images.shape[1])
    if images.ndim != 4 or not len(images) == len(indices) == len(lanes):
        raise AfsimError(
            f"expected images (M, V, H, W) and M indices and lanes, got images {tuple(images.shape)}, "
            f"{tuple(indices.shape)} indices and {tuple(lanes.shape)} lanes"
        )
    if method == "auto":
        method = "grouped" if weight.shape[0] <= _FEW_FILTERS and not weight.is_cuda else "unfold"
    if method not in _METHODS:
        raise unknown("method", method, ["auto", *_METHODS])
    return _METHODS[method](images, kernels[indices], lanes, lane_count)


def stack_responses(images: Tensor, weight: Tensor) -> Tensor:
    """Return the first layer's responses to every slice of whole stacks, each slice alone.

    One convolution with a group for each slice. The response to any set of slices is the sum of theirs
    (:func:`sum_over_lanes`), so a stack's responses serve all starts and all sequences of slices.

    Parameters
    ----------
    images : (B, n, V, H, W) float tensor
        Whole stacks.
    weight : (F, n V, 3, 3) float tensor
        As for :func:`gathered_convolution`.

    Returns
    -------
    (B, n, F, H/2, W/2) float tensor
        Large: 100 MB a stack for the paper's width and size.
    """
    n, views = images.shape[1:3]
    kernels = slice_kernels(weight, views)
    if len(kernels) != n:
        raise AfsimError(f"the first layer is for stacks of {len(kernels)} slices, got {n}")
    responses = functional.conv2d(
        images.flatten(1, 2), kernels.flatten(0, 1), stride=_STRIDE, padding=_PADDING, groups=n
    )
    return responses.reshape(len(images), n, len(weight), *responses.shape[2:])


def sum_over_lanes(responses: Tensor, lanes: Tensor, lane_count: int) -> Tensor:
    """Return the sums (N, ...) of responses (M, ...) over the observations of each lane, in their order."""
    sums = responses.new_zeros((lane_count, *responses.shape[1:]))
    return sums.index_add(0, lanes, responses)


def slice_kernels(weight: Tensor, views: int) -> Tensor:
    """Return the first layer's weights (F, n V, 3, 3) slice by slice: (n, F, V, 3, 3)."""
    if weight.ndim != 4 or tuple(weight.shape[2:]) != (3, 3) or weight.shape[1] % views:
        raise AfsimError(f"expected weights (F, {views} n, 3, 3) for {views} view(s), got {tuple(weight.shape)}")
    return weight.reshape(len(weight), -1, views, 3, 3).transpose(0, 1)


def _grouped(images: Tensor, kernels: Tensor, lanes: Tensor, lane_count: int) -> Tensor:
    """Convolve each image (M, V, H, W) with its kernels (M, F, V, 3, 3): a group each, all images as one."""
    count, filters = kernels.shape[:2]
    responses = functional.conv2d(
        images.flatten(0, 1)[None], kernels.flatten(0, 1), stride=_STRIDE, padding=_PADDING, groups=count
    )
    return sum_over_lanes(responses.reshape(count, filters, *responses.shape[2:]), lanes, lane_count)


def _unfolded(images: Tensor, kernels: Tensor, lanes: Tensor, lane_count: int) -> Tensor:
    """Convolve each image (M, V, H, W) with its kernels (M, F, V, 3, 3): a matrix product each.

    The result lies in memory with its channels last, as the layers that follow want it; moved there afterwards it
    would take twice as long.
    """
    height, width = (-(-size // _STRIDE) for size in images.shape[2:])
    patches = functional.unfold(images, 3, padding=_PADDING, stride=_STRIDE)
    responses = torch.bmm(patches.transpose(1, 2), kernels.flatten(2).transpose(1, 2))
    summed = sum_over_lanes(responses, lanes, lane_count)
    return summed.transpose(1, 2).reshape(lane_count, -1, height, width)


_METHODS: Final[dict[str, Callable[[Tensor, Tensor, Tensor, int], Tensor]]] = {
    "grouped": _grouped,
    "unfold": _unfolded,
}
