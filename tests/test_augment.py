"""Augmentation: mirrors that keep the physics, noise of the right size, and generators that decide alone."""

import numpy as np
import pytest
import torch

from afsim.augment import NO_AUGMENTATION, Augmentation, augmented, mirrored, with_noise
from afsim.dualpixel import AXES, Axis
from afsim.errors import AfsimError
from afsim.networkinput import Observations, observe

REGIONS = np.array([[0.5, -0.25], [-1.0, 0.75]])
BOTH = torch.tensor([True, True])
SIDES: list[Axis] = ["rows", "columns"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def seen(views: int = 2, level: float | None = None) -> Observations:
    """Return three observations of two lanes."""
    images = np.random.default_rng(1).uniform(0.1, 0.9, (3, views, 8, 10))
    if level is not None:
        images = np.full((3, views, 64, 64), level)
    return observe(images, [3, 40, 7], REGIONS, 49, lanes=[0, 1, 0])


def same(a: Observations, b: Observations) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def disparity(images: torch.Tensor, axis: int) -> int:
    """Return by how many pixels right lies farther along an axis than left (whole pixels, circular)."""
    left, right = images[0], images[1]
    size = left.shape[axis]
    fit = [float((left.roll(d, axis) - right).square().sum()) for d in range(size)]
    best = int(np.argmin(fit))
    return best if best <= size // 2 else best - size


@pytest.mark.parametrize("dp_axis", SIDES)
@pytest.mark.parametrize("axis", SIDES)
def test_a_mirror_keeps_the_disparity(axis: Axis, dp_axis: Axis) -> None:
    left = torch.rand((1, 16, 16), generator=seeded())
    views = torch.cat((left, left.roll(3, 1 + AXES[dp_axis])))
    observations = observe(views[None], [3], np.zeros((1, 2)), 49)
    turned = mirrored(observations, torch.tensor([True]), axis, dp_axis)
    assert not torch.equal(turned.images, observations.images)
    assert disparity(turned.images[0], AXES[dp_axis]) == disparity(views, AXES[dp_axis]) == 3


def test_a_mirror_swaps_views_and_mirrors_the_region_along_the_split() -> None:
    before = seen()
    along = mirrored(before, BOTH, "columns", "columns")
    assert torch.equal(along.images[:, 0], before.images[:, 1].flip(-1))
    assert torch.equal(along.images[:, 1], before.images[:, 0].flip(-1))
    np.testing.assert_array_equal(along.regions, REGIONS * [-1.0, 1.0])
    across = mirrored(before, BOTH, "rows", "columns")
    assert torch.equal(across.images, before.images.flip(-2))
    np.testing.assert_array_equal(across.regions, REGIONS * [1.0, -1.0])
    assert torch.equal(along.commands, before.commands)
    assert torch.equal(along.current, before.current)


@pytest.mark.parametrize("axis", SIDES)
@pytest.mark.parametrize("views", [1, 2])
def test_two_mirrors_undo_each_other(views: int, axis: Axis) -> None:
    before = seen(views)
    assert same(mirrored(mirrored(before, BOTH, axis, "rows"), BOTH, axis, "rows"), before)


def test_all_slices_of_a_lane_are_mirrored_together_and_no_others() -> None:
    before = seen()
    after = mirrored(before, torch.tensor([True, False]), "rows", "columns")
    changed = (after.images != before.images).flatten(1).any(dim=1)
    assert changed.tolist() == [True, False, True]
    np.testing.assert_array_equal(after.regions, REGIONS * [[1.0, -1.0], [1.0, 1.0]])


def test_noise_has_the_variance_that_is_asked_for() -> None:
    level, shot, read = 0.3, 4e-4, 1e-5
    images = seen(level=level).images
    noisy = with_noise(images, shot, read, seeded())
    assert noisy.var().item() == pytest.approx(shot * level + read, rel=0.05)
    assert noisy.mean().item() == pytest.approx(level, abs=1e-3)
    correlation = torch.corrcoef(noisy.transpose(0, 1).flatten(1))
    assert abs(correlation[0, 1].item()) < 0.05  # the views' noise is their own
    assert torch.equal(noisy, with_noise(images, shot, read, seeded()))


def test_nothing_is_brighter_than_white_and_black_has_no_shot_noise() -> None:
    images = torch.tensor([1.0, 0.0, -0.05])[:, None, None, None].expand(3, 1, 32, 32)
    noisy = with_noise(images, 1e-2, 0.0, seeded())
    assert noisy.max() == 1.0
    assert torch.equal(noisy[1:], images[1:])
    brighter = augmented(seen(), Augmentation(0.0, 0.0, gain_sd=2.0), seeded(1))
    assert brighter.images.max() <= 1.0


def gains(change: Augmentation) -> torch.Tensor:
    """Return the gains (3 observations, 2 views) that an augmentation draws for dark images."""
    before = seen(level=0.01)
    ratio = augmented(before, change, seeded(5)).images / before.images
    assert (ratio - ratio[..., :1, :1]).abs().max() < 1e-5
    return ratio[..., 0, 0]


def test_exposure_is_a_matter_of_lane_slice_or_view() -> None:
    lane = gains(Augmentation(0.0, 0.0, gain_sd=0.3))
    assert torch.equal(lane[0], lane[2])
    assert torch.equal(lane[:, 0], lane[:, 1])
    assert (lane[0] != lane[1]).all()
    flicker = gains(Augmentation(0.0, 0.0, flicker_sd=0.3))
    assert (flicker[0] != flicker[2]).all()
    assert torch.equal(flicker[:, 0], flicker[:, 1])
    view = gains(Augmentation(0.0, 0.0, view_gain_sd=0.3))
    assert torch.equal(view[0], view[2])
    assert (view[:, 0] != view[:, 1]).all()


def test_gains_have_the_spread_that_is_asked_for() -> None:
    lanes = 4000
    before = observe(np.full((lanes, 1, 1, 1), 0.01), np.zeros(lanes), np.zeros((lanes, 2)), 49)
    after = augmented(before, Augmentation(0.0, 0.0, gain_sd=0.2, flicker_sd=0.1), seeded())
    assert (after.images / 0.01).log().std().item() == pytest.approx(np.hypot(0.2, 0.1), rel=0.05)


def test_the_share_of_mirrored_lanes_is_that_asked_for() -> None:
    lanes = 2000
    before = observe(np.full((lanes, 2, 1, 1), 0.5), np.zeros(lanes), np.full((lanes, 2), 0.5), 49)
    after = augmented(before, Augmentation(mirror_along=0.25, mirror_across=0.75), seeded(), "rows")
    assert (after.regions < 0).float().mean(dim=0).tolist() == pytest.approx([0.75, 0.25], abs=0.04)


def test_the_generator_decides_alone_and_the_observations_stay() -> None:
    before, all_of_it = seen(), Augmentation(0.5, 0.5, 0.2, 0.1, 0.05, 1e-3, 1e-5)
    copy = Observations(*(part.clone() for part in before))
    state = torch.random.get_rng_state()
    first, second = augmented(before, all_of_it, seeded(3)), augmented(before, all_of_it, seeded(3))
    assert same(first, second)
    assert same(before, copy)
    assert torch.equal(state, torch.random.get_rng_state())
    assert not same(first, augmented(before, all_of_it, seeded(4)))
    assert same(augmented(before, NO_AUGMENTATION, seeded()), before)


@pytest.mark.parametrize("changes", [{"mirror_along": 1.5}, {"gain_sd": -0.1}, {"shot": float("nan")}])
def test_impossible_augmentations_are_named(changes: dict[str, float]) -> None:
    with pytest.raises(AfsimError, match=next(iter(changes))):
        Augmentation(**changes)


def test_unknown_axes_are_named() -> None:
    with pytest.raises(AfsimError, match="rows"):
        mirrored(seen(), BOTH, "diagonal", "rows")  # type: ignore[arg-type]
