"""What networks see: one-hot inputs, sets of observations, planes and scales."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
import torch

from afsim.errors import AfsimError
from afsim.networkinput import (
    Observations,
    as_views,
    join,
    nearest_index,
    observe,
    observe_stacks,
    one_hot,
    relative_to_mean,
    sum_and_difference,
    with_planes,
)

N = 49
Images = npt.NDArray[np.float32]


def pictures(count: int, views: int = 2, seed: int = 0) -> Images:
    """Return images without a zero in them."""
    return np.random.default_rng(seed).uniform(0.1, 1.0, (count, views, 6, 8)).astype(np.float32)


def channels(observations: Observations, n: int = N) -> torch.Tensor:
    return one_hot(observations.images, observations.indices, observations.lanes, observations.lane_count, n)


def test_the_input_of_d1_has_exactly_two_channels_that_are_not_zero() -> None:
    images = pictures(3)
    dense = channels(observe(images, [0, 7, 48], np.zeros((3, 2)), N))
    assert dense.shape == (3, 98, 6, 8)
    assert [np.flatnonzero(lane.abs().amax(dim=(1, 2))).tolist() for lane in dense] == [[0, 1], [14, 15], [96, 97]]
    np.testing.assert_array_equal(dense[1, 14:16], images[1])


def test_the_input_of_i1_is_the_sum_of_the_views_on_a_scale_where_white_is_one() -> None:
    images = pictures(2)
    observations = observe(images, [3, 40], np.zeros((2, 2)), N)
    green = observations._replace(images=as_views(observations.images, 1))
    dense = channels(green)
    assert dense.shape == (2, 49, 6, 8)
    assert [np.flatnonzero(lane.abs().amax(dim=(1, 2))).tolist() for lane in dense] == [[3], [40]]
    np.testing.assert_allclose(dense[1, 40], (images[1, 0] + images[1, 1]) / 2.0, rtol=1e-6)
    assert as_views(torch.ones(1, 2, 4, 4), 1).max() == 1.0


def test_whole_stacks_fill_every_channel_in_order() -> None:
    stacks = pictures(2 * N).reshape(2, N, 2, 6, 8)
    observations = observe_stacks(stacks, np.zeros((2, 2)))
    np.testing.assert_array_equal(channels(observations), stacks.reshape(2, 98, 6, 8))
    assert observations.lane_count == 2
    assert observations.current.tolist() == [48.0, 48.0]


def test_a_second_step_fills_a_second_pair_of_channels() -> None:
    regions = np.array([[0.1, -0.5], [1.0, 0.0]])
    first, second = pictures(2), pictures(2, seed=1)
    both = join(observe(first, [3, 9], regions, N), observe(second, [5, 2], regions, N))
    dense = channels(both)
    assert [np.flatnonzero(lane.abs().amax(dim=(1, 2))).tolist() for lane in dense] == [
        [6, 7, 10, 11],
        [4, 5, 18, 19],
    ]
    np.testing.assert_array_equal(dense[1, 4:6], second[1])
    assert both.current.tolist() == [5.0, 2.0]
    np.testing.assert_allclose(both.regions, regions)


def test_a_second_look_at_a_slice_replaces_the_first() -> None:
    first, second = pictures(2), pictures(2, seed=1)
    both = join(observe(first, [3, 9], np.zeros((2, 2)), N), observe(second, [3, 2], np.zeros((2, 2)), N))
    assert len(both.images) == 3
    dense = channels(both)
    np.testing.assert_array_equal(dense[0, 6:8], second[0])
    np.testing.assert_array_equal(dense[1, 18:20], first[1])


def test_lanes_may_have_seen_different_sets_in_any_order() -> None:
    images = pictures(5)
    observations = observe(images, [4, 8, 1, 8, 2], np.zeros((2, 2)), N, lanes=[1, 0, 1, 1, 0])
    assert observations.current.tolist() == [2.0, 8.0]
    dense = channels(observations)
    for i, (lane, k) in enumerate([(1, 4), (0, 8), (1, 1), (1, 8), (0, 2)]):
        np.testing.assert_array_equal(dense[lane, 2 * k : 2 * k + 2], images[i])


def test_a_lane_that_goes_back_is_where_it_went_last() -> None:
    observations = observe(pictures(3), [4, 8, 4], np.zeros((1, 2)), N, lanes=[0, 0, 0])
    assert observations.current.tolist() == [4.0]
    assert sorted(observations.indices.tolist()) == [4, 8]


def test_commands_between_slices_go_to_the_nearest_halves_up() -> None:
    assert nearest_index(torch.tensor([0.0, 0.49, 0.5, 1.5, 47.6])).tolist() == [0, 0, 1, 2, 48]


def test_observations_are_copies_of_memory_that_may_be_read_only() -> None:
    images = pictures(1)
    images.setflags(write=False)
    observations = observe(images, [3], np.zeros((1, 2)), N)
    observations.images.zero_()
    assert images.min() > 0
    assert [part.dtype for part in observations] == [
        torch.float32,
        torch.float32,
        torch.int64,
        *[torch.float32] * 2,
    ]
    assert all(torch.equal(a, b) for a, b in zip(observations, observations.on("cpu"), strict=True))


def test_contrast_is_relative_to_the_mean_over_both_views() -> None:
    images = torch.tensor(pictures(2))
    images[:, 1] *= 0.7
    contrast = relative_to_mean(images)
    assert contrast.mean(dim=(1, 2, 3)).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    darker = images * torch.tensor([0.1, 0.5])[:, None, None, None]
    torch.testing.assert_close(contrast, relative_to_mean(darker), rtol=1e-5, atol=1e-6)
    between_views = [views[:, 0] / views[:, 1] for views in (contrast + 1.0, images)]
    torch.testing.assert_close(between_views[0], between_views[1])


@pytest.mark.parametrize("value", [0.0, -0.01])
def test_black_slices_have_finite_contrast(value: float) -> None:
    assert relative_to_mean(torch.full((1, 2, 4, 4), value)).abs().max() <= 10.0


def test_sum_and_difference_hold_all_that_the_views_do() -> None:
    images = torch.tensor(pictures(2))
    total, difference = sum_and_difference(images).unbind(1)
    torch.testing.assert_close(total + difference / 6.0, images[:, 0])
    torch.testing.assert_close(total - difference / 6.0, images[:, 1])


def test_planes_hold_lens_and_region() -> None:
    images = torch.tensor(pictures(2))
    filled = with_planes(images, torch.tensor([0.0, 36.0]), torch.tensor([[-1.0, 0.5], [0.25, 1.0]]), N)
    assert filled.shape == (2, 5, 6, 8)
    assert torch.equal(filled[:, :2], images)
    for lane, numbers in enumerate([(-1.0, -1.0, 0.5), (0.5, 0.25, 1.0)]):
        for plane, number in zip(filled[lane, 2:], numbers, strict=True):
            torch.testing.assert_close(plane, torch.full((6, 8), number))


def test_green_does_not_make_two_views() -> None:
    with pytest.raises(AfsimError, match=r"takes 2 view\(s\), got images with 1"):
        as_views(torch.zeros(1, 1, 4, 4), 2)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"images": pictures(2)[:, 0]}, "2 views"),
        ({"images": np.full((2, 2, 6, 8), np.nan)}, "image 0"),
        ({"commands": [3, 49]}, "0 ... 48"),
        ({"commands": [3, -1]}, "0 ... 48"),
        ({"commands": [3, np.nan]}, "0 ... 48"),
        ({"commands": [3]}, "one each"),
        ({"regions": np.zeros((3, 2))}, "a region each"),
        ({"regions": np.full((2, 2), 1.5)}, "regions"),
        ({"regions": np.full((2, 2), np.nan)}, "regions"),
        ({"lanes": [0.0, 1.0]}, "integers"),
        ({"lanes": [0, 0]}, "all with an image"),
        ({"lanes": [0, 2]}, "all with an image"),
        ({"lanes": [-1, 0]}, "all with an image"),
    ],
)
def test_what_does_not_fit_is_named(changes: Mapping[str, npt.ArrayLike], named: str) -> None:
    good: dict[str, npt.ArrayLike] = {"images": pictures(2), "commands": [3, 4], "regions": np.zeros((2, 2))}
    given = {**good, **changes}
    with pytest.raises(AfsimError, match=named):
        observe(given["images"], given["commands"], given["regions"], N, lanes=given.get("lanes"))


def test_only_the_same_lanes_can_be_joined() -> None:
    one = observe(pictures(1), [3], np.zeros((1, 2)), N)
    with pytest.raises(AfsimError, match="same lanes"):
        join(one, observe(pictures(2), [3, 4], np.zeros((2, 2)), N))
    with pytest.raises(AfsimError, match="image size"):
        join(one, observe(pictures(1, views=1), [3], np.zeros((1, 2)), N))
    with pytest.raises(AfsimError, match=r"\(N, n, V, H, W\)"):
        observe_stacks(pictures(2), np.zeros((2, 2)))
