"""The geometry of an erring camera: whole slices and whole pixels exactly, shifts, margins, breathing, batches."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from afsim.camera import Camera, ImageKind
from afsim.errors import AfsimError, WithheldError
from afsim.keys import lane_keys
from afsim.optics import lta49_diopters, magnification
from afsim.sensor import SENSORS, Sensor, make_sensor
from afsim.stack import FocalStack, Levels
from afsim.stackset import StackSet
from tests.conftest import make_stack
from tests.rig import SHIFTING, shoot

KINDS: tuple[ImageKind, ...] = ("float32", "uint8", "uint16")
NEIGHBOURS = lta49_diopters()[20:28]


# ---------------------------------------------------------------------- geometry
@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_ideal_lens_at_a_whole_index_sees_the_recorded_slice_bit_for_bit(
    stacks: StackSet, kind: ImageKind, interpolation: Any
) -> None:
    ids, index = np.divmod(np.arange(len(stacks) * stacks.n), stacks.n)
    plain = shoot(Camera(stacks, interpolation=interpolation), ids, index, kind=kind)
    if kind == "uint16":
        np.testing.assert_array_equal(plain, stacks.images[ids, index])
    # A camera that could sample between pixels, but does not, sees the same.
    still = Camera(stacks, SHIFTING, interpolation=interpolation)
    np.testing.assert_array_equal(shoot(still, ids, index, shifts=(0.0, 0.0), kind=kind), plain)


@pytest.mark.parametrize("shift", [(3, 0), (0, 2), (-4, 5), (1, -6)])
def test_a_shift_by_whole_pixels_is_exact(stacks: StackSet, shift: tuple[int, int]) -> None:
    x, y = shift
    plain, moved = shoot(Camera(stacks), [1], 4.0), shoot(Camera(stacks, SHIFTING), [1], 4.0, shifts=shift)
    inside = (..., slice(max(y, 0), 32 + min(y, 0)), slice(max(x, 0), 32 + min(x, 0)))
    np.testing.assert_array_equal(moved[inside], np.roll(plain, (y, x), axis=(2, 3))[inside])


def test_beyond_the_border_the_last_pixel_repeats(stacks: StackSet) -> None:
    plain, moved = shoot(Camera(stacks), [1], 4.0), shoot(Camera(stacks, SHIFTING), [1], 4.0, shifts=(5.0, -3.0))
    np.testing.assert_array_equal(moved[..., :29, :5], np.repeat(plain[..., 3:, :1], 5, axis=-1))
    np.testing.assert_array_equal(moved[..., 29:, 5:], np.repeat(plain[..., -1:, :-5], 3, axis=-2))
    far = shoot(Camera(stacks, SHIFTING), [1], 4.0, shifts=(100.0, 100.0))
    np.testing.assert_array_equal(far, np.broadcast_to(plain[..., :1, :1], far.shape))


def waves(scale: np.ndarray, centre: tuple[float, float], *, size: int = 64, period: float = 20.0) -> np.ndarray:
    """Draw slices (n, 2, size, size) of a smooth pattern, each enlarged by its scale about a point (x, y)."""
    y, x = np.mgrid[:size, :size].astype(np.float64)
    u = (x - centre[0]) / scale[:, None, None]
    v = (y - centre[1]) / scale[:, None, None]
    left = 0.5 + 0.2 * np.sin(2.0 * np.pi * u / period) * np.cos(2.0 * np.pi * v / (1.3 * period))
    return np.stack([left, 1.0 - left], axis=1)


def wavy_set(images: np.ndarray, *, region: tuple[float, float] = (0.0, 0.0), **metadata: object) -> StackSet:
    """Make a set of one stack of images that hardly are rounded."""
    levels = Levels(1000, 61000)
    raw = np.rint(levels.black + (levels.white - levels.black) * images).astype(np.uint16)
    stack = FocalStack(raw, levels, diopters=NEIGHBOURS[: len(images)], region=region)
    return StackSet.from_stacks([stack], metadata)


@pytest.mark.parametrize("shift", [(0.5, 0.0), (0.0, -0.25), (1.7, 2.3)])
def test_a_shift_between_pixels_is_accurate_for_smooth_images(shift: tuple[float, float]) -> None:
    stacks = wavy_set(waves(np.ones(2), (31.5, 31.5)))
    moved = shoot(Camera(stacks, SHIFTING), [0], 0.0, shifts=shift)[0]
    expected = waves(np.ones(1), (31.5 + shift[0], 31.5 + shift[1]))[0]
    assert np.abs(moved - expected)[..., 4:-4, 4:-4].max() < 0.001


def test_a_margin_is_cut_off_and_nothing_else(stacks: StackSet) -> None:
    camera = Camera(stacks, margin=5)
    assert (camera.height, camera.width) == (22, 22)
    for kind in KINDS:
        plain = shoot(Camera(stacks), [0, 3], 4.3, kind=kind)
        np.testing.assert_array_equal(shoot(camera, [0, 3], 4.3, kind=kind), plain[..., 5:-5, 5:-5])


def test_a_shifted_lens_sees_what_lay_in_the_margin(stacks: StackSet) -> None:
    plain = shoot(Camera(stacks), [2], 4.0)
    moved = shoot(Camera(stacks, SHIFTING, margin=5), [2], 4.0, shifts=(4.0, -5.0))
    np.testing.assert_array_equal(moved, plain[..., 10:, 1:-9])


# Where the principal point is in a patch 64 pixels wide at (x, y) of a field of 2016 x 1512 pixels. What zooms
# about it moves by 3 pixels over eight slices.
REGION = (0.4, -0.3)
CENTRE = (31.5 - 0.4 * 1008.0, 31.5 + 0.3 * 756.0)
SCALE = magnification(NEIGHBOURS)
MARGIN = 6


def registered(stacks: StackSet, gain: float = 0.0, places: Any = range(8)) -> np.ndarray:
    """Return the slices of the only stack with another breathing, without their margins."""
    places = list(places)
    return shoot(Camera(stacks, breathing=gain, margin=MARGIN), [0] * len(places), places)


def cropped(images: np.ndarray) -> np.ndarray:
    """Return images without their margins."""
    return images[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def test_a_breathing_pattern_moves_and_without_breathing_it_stands_still() -> None:
    slices = waves(SCALE, CENTRE)
    stacks = wavy_set(slices, region=REGION)
    assert np.abs(slices[0] - slices[7]).max() > 0.1
    np.testing.assert_allclose(registered(stacks, 1.0), cropped(slices), atol=1e-4)
    # What is common to all slices is what the nearest shows.
    np.testing.assert_allclose(registered(stacks), cropped(slices[[7] * 8]), atol=0.001)


def test_a_breathing_gain_of_two_doubles_the_zoom() -> None:
    stacks = wavy_set(waves(SCALE, CENTRE), region=REGION)
    # Of the farthest slice all is seen, and the others are enlarged against it.
    np.testing.assert_allclose(registered(stacks, 2.0), cropped(waves(SCALE**2 / SCALE[0], CENTRE)), atol=0.001)


def test_what_a_set_says_of_its_breathing_is_undone() -> None:
    images = registered(wavy_set(waves(SCALE**1.3, CENTRE), region=REGION, breathing=1.3))
    np.testing.assert_allclose(images, images[[7] * 8], atol=0.001)


@pytest.mark.parametrize("of_the_set", [False, True])
@pytest.mark.parametrize("metadata", [{"dp_axis": "rows"}, {"frame_px": [1512, 2016]}])
def test_a_portrait_frame_breathes_about_its_own_middle(metadata: dict[str, Any], of_the_set: bool) -> None:
    centre = (31.5 - 0.4 * 756.0, 31.5 + 0.3 * 1008.0)
    stacks = wavy_set(waves(SCALE, centre), region=REGION)
    told = StackSet.from_stacks(
        [replace(stacks[0], metadata={} if of_the_set else metadata)], metadata if of_the_set else {}
    )
    images = registered(told)
    np.testing.assert_allclose(images, images[[7] * 8], atol=0.001)


def test_between_slices_the_zoom_is_between_too() -> None:
    images = registered(wavy_set(waves(SCALE, CENTRE), region=REGION), places=[2.5, 3.25, 7.0])
    np.testing.assert_allclose(images, images[[2] * 3], atol=0.001)


def test_neighbours_are_aligned_before_they_are_blended() -> None:
    # Far from the principal point breathing moves neighbours 0.9 pixels apart; a fine pattern would fade.
    region = (0.9, -0.9)
    centre = (31.5 - 0.9 * 1008.0, 31.5 + 0.9 * 756.0)
    stacks = wavy_set(waves(SCALE, centre, period=8.0), region=region)
    between = np.interp([3.5], range(8), SCALE)
    expected = waves(between, centre, period=8.0)[0]
    seen = shoot(Camera(stacks), [0], 3.5)[0]
    plain = (shoot(Camera(stacks), [0], 3.0)[0] + shoot(Camera(stacks), [0], 4.0)[0]) / 2.0
    inside = (..., slice(4, -4), slice(4, -4))
    assert np.abs(seen - expected)[inside].max() < 0.3 * np.abs(plain - expected)[inside].max()
    assert seen[inside].std() > 0.97 * expected[inside].std()


@pytest.mark.parametrize("gain", [0.0, 0.5, 2.0])
def test_no_zoom_looks_beyond_the_border_of_a_centred_patch(gain: float) -> None:
    # A border that nothing should repeat: its neighbour inside would be seen twice.
    images = np.broadcast_to(np.linspace(0.1, 0.9, 64), (8, 2, 64, 64))
    zoomed = shoot(Camera(wavy_set(images), breathing=gain), [0] * 8, np.arange(8))
    assert (np.diff(zoomed[..., 2:-2], axis=-1) > 0.8 * 0.8 / 63).all()


# ---------------------------------------------------------------------- batches
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {"sensor": SENSORS["indoor"]},
        {"sensor": make_sensor("dark,fresh=off")},
        {"lens": SHIFTING, "sensor": SENSORS["dim"], "margin": 2},
        {"lens": SHIFTING, "breathing": 1.5, "interpolation": "nearest"},
    ],
)
@pytest.mark.parametrize("lanes", [1, 7, 8, 9, 33])
def test_a_batch_is_its_single_lanes_bit_for_bit(
    stacks: StackSet, lanes: int, options: dict[str, Any], kind: ImageKind
) -> None:
    camera = Camera(stacks, **options)
    rng = np.random.default_rng(lanes)
    ids, keys = rng.integers(0, len(stacks), lanes), lane_keys(5, np.arange(lanes))
    positions, weights = rng.uniform(0, 11, (lanes, 3)), rng.dirichlet([1.0] * 3, lanes)
    positions[::2], weights[::2] = np.rint(positions[::2]), [1.0, 0.0, 0.0]
    shifts = rng.normal(0.0, 2.0, (lanes, 2)) if "lens" in options else None

    def expose(some: slice) -> np.ndarray:
        moved = None if shifts is None else shifts[some]
        return camera.capture(ids[some], positions[some], weights[some], keys[some], shifts=moved, kind=kind)

    alone = [expose(slice(i, i + 1)) for i in range(lanes)]
    np.testing.assert_array_equal(expose(slice(None)), np.concatenate(alone))


# ---------------------------------------------------------------------- errors
@pytest.mark.parametrize("margin", [-1, 16, 40])
def test_a_margin_that_leaves_nothing_is_refused(stacks: StackSet, margin: int) -> None:
    with pytest.raises(
        AfsimError,
        match=f"margin must be a whole number of at least 0 and leave something of 32 x 32 .* got {margin}",
    ):
        Camera(stacks, margin=margin)


@pytest.mark.parametrize("breathing", [-0.1, math.nan, math.inf])
def test_a_breathing_gain_that_is_none_is_refused(stacks: StackSet, breathing: float) -> None:
    with pytest.raises(AfsimError, match="breathing must be a number of at least 0, got"):
        Camera(stacks, breathing=breathing)


@pytest.mark.parametrize("breathing", [0.0, 2.0])
def test_breathing_that_looks_beyond_the_patches_is_refused_and_told_what_it_needs(breathing: float) -> None:
    images = np.full((8, 2, 64, 64), 0.4)
    region = (0.9, -0.9)
    with pytest.raises(AfsimError, match=r"looks [67] pixels beyond .* margin of at least [23]") as told:
        Camera(wavy_set(images, region=region), breathing=breathing)
    needed = int(str(told.value).rsplit(" ", 1)[1])
    Camera(wavy_set(images, region=region), breathing=breathing, margin=needed)


def test_a_set_that_was_rendered_with_a_margin_is_cut_by_it() -> None:
    stacks = wavy_set(np.full((8, 2, 64, 64), 0.4), margin=7)
    assert (Camera(stacks).height, Camera(stacks).width) == (50, 50)
    assert Camera(stacks, margin=0).height == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.array([0, 6])}, r"ids must be in 0 \.\.\. 5 .* got ids from 0 to 6"),
        ({"ids": np.array([0, -1])}, r"got ids from -1 to 0"),
        ({"positions": np.array([[0.0], [np.nan]])}, r"positions and weights finite"),
        ({"positions": np.zeros((1, 1))}, r"positions and weights must both be \(2, S\), got \(1, 1\)"),
        ({"keys": lane_keys(0, [1])}, r"keys must be \(2,\) .* got 1 keys"),
        ({"shifts": np.zeros((2, 3))}, r"shifts \(2, 3\)"),
    ],
)
def test_lanes_that_do_not_fit_are_refused(stacks: StackSet, change: dict[str, Any], message: str) -> None:
    lanes: dict[str, Any] = {
        "ids": np.array([0, 1]),
        "positions": np.zeros((2, 1)),
        "weights": np.ones((2, 1)),
        "keys": lane_keys(0, [0, 1]),
    }
    with pytest.raises(AfsimError, match=message):
        Camera(stacks).capture(**{**lanes, **change})


def test_breathing_needs_distances() -> None:
    stacks = StackSet.from_stacks([make_stack(3.0, distances=False)])
    assert Camera(stacks, sensor=Sensor(iso=400.0)).breathing == 1.0
    with pytest.raises(WithheldError, match=r"breathing cannot be changed: the focus distances .* are unknown"):
        Camera(stacks, breathing=0.0)
