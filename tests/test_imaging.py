"""The noise of an erring camera: as specified whatever is recorded, blended or shifted, and quantised."""

import math
from typing import Any

import numpy as np
import pytest

from afsim.camera import Camera, ImageKind
from afsim.lens import LENSES
from afsim.sensor import SENSORS, make_sensor
from afsim.stack import FocalStack, Levels
from afsim.stackset import StackSet
from tests.rig import SHIFTING, make_flat, shoot, variance

KINDS: tuple[ImageKind, ...] = ("float32", "uint8", "uint16")
ROUNDING = 1.0 / (12.0 * 959.0**2)


# ---------------------------------------------------------------------- noise on a clean recording
@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("name", ["bright", "indoor", "dim", "dark"])
def test_variance_grows_with_the_signal_as_specified(name: str, views: int) -> None:
    sensor = SENSORS[name]
    shot, read = sensor.noise(views)
    # Far enough from black and white for nothing to be clipped.
    x = np.linspace(5.0 * math.sqrt(0.1 * shot + read), 1.0 - 5.0 * math.sqrt(shot + read), 8)
    stacks = make_flat(x, views=views)
    ids = np.arange(8).repeat(50 // views)
    images = shoot(Camera(stacks, sensor=sensor), ids, 1.0).astype(np.float64)
    by_level = images.reshape(8, -1)
    recorded = stacks.levels.normalize(stacks.images[:, 1]).astype(np.float64).mean(axis=(1, 2, 3))
    deviation = np.sqrt(shot * recorded + read)
    assert (np.abs(by_level.mean(axis=1) - recorded) < 5.0 * deviation / math.sqrt(by_level.shape[1])).all()
    expected = shot * recorded + read + ROUNDING
    slope, intercept = np.polyfit(recorded, by_level.var(axis=1), 1, w=1.0 / expected)
    assert slope == pytest.approx(shot, rel=0.01)
    assert intercept == pytest.approx(read + ROUNDING, abs=0.01 * expected.mean())
    np.testing.assert_allclose(by_level.var(axis=1), expected, rtol=4.5 * math.sqrt(2.0 / by_level.shape[1]))


@pytest.mark.parametrize("name", ["indoor", "dark"])
def test_in_the_dark_the_read_noise_is_left(name: str) -> None:
    wide = make_flat([0.0], scale=Levels(500, 1023))  # a black level that cuts nothing off
    images = shoot(Camera(wide, sensor=SENSORS[name]), [0] * 20, 0.0)
    assert variance(images) == pytest.approx(SENSORS[name].noise(2).read + ROUNDING, rel=0.02)


def test_below_black_there_is_no_light_to_be_noisy() -> None:
    wide = make_flat([-0.03, 0.0], scale=Levels(500, 1023))
    below, black = shoot(Camera(wide, sensor=SENSORS["dark"]), np.arange(2).repeat(20), 0.0).reshape(2, -1)
    assert variance(below) == pytest.approx(variance(black), rel=0.03)


def test_green_has_half_the_variance_of_a_view() -> None:
    images = shoot(Camera(make_flat([0.5]), sensor=SENSORS["indoor"]), [0] * 20, 1.0)
    assert variance(images.mean(axis=1)) == pytest.approx(variance(images) / 2.0, rel=0.03)


def test_noise_is_clipped_at_both_ends() -> None:
    stacks = make_flat([0.0, 1.0 - 1.0 / 959.0])
    for kind, low, high in (("float32", np.float32(-64) * np.float32(1 / 959), 1.0), ("uint16", 0, 1023)):
        images = shoot(Camera(stacks, sensor=SENSORS["dark"]), [0, 1], 0.0, kind=kind)  # type: ignore[arg-type]
        assert images.min() == low
        assert images.max() == high
        assert (images[1] == high).mean() == pytest.approx(0.5, abs=0.05)


def test_what_is_recorded_at_white_stays_white() -> None:
    # Its light is far above white, and so is its noise.
    images = shoot(Camera(make_flat([1.0]), sensor=SENSORS["dark"]), [0], 0.0)
    assert (images == 1.0).all()


def test_noise_is_independent_between_pixels_views_visits_and_lanes() -> None:
    camera = Camera(make_flat([0.5], size=128), sensor=SENSORS["indoor"])
    first, again = shoot(camera, [0, 0], 1.0, seed=1), shoot(camera, [0, 0], 1.0, seed=2)
    images = np.concatenate([first, again]).reshape(8, 128, 128).astype(np.float64)
    images = (images - images.mean(axis=(1, 2), keepdims=True)) / images.std(axis=(1, 2), keepdims=True)
    rows = images.reshape(8, -1)
    assert np.abs(rows @ rows.T / rows.shape[1] - np.eye(8)).max() < 4.5 / 128
    beside = (images[:, :, 1:] * images[:, :, :-1]).mean(), (images[:, 1:] * images[:, :-1]).mean()
    assert np.abs(beside).max() < 4.0 / math.sqrt(images.size)


def test_fresh_noise_differs_from_visit_to_visit_and_frozen_noise_does_not() -> None:
    stacks = make_flat([0.5, 0.5])
    for sensor, same in ((make_sensor("indoor"), False), (make_sensor("indoor,fresh=off"), True)):
        camera = Camera(stacks, sensor=sensor)
        once, again = shoot(camera, [0, 1], 2.0, seed=1), shoot(camera, [0, 1], 2.0, seed=2)
        assert np.array_equal(once, again) is same
        assert (once[0] != once[1]).any()


def test_frozen_noise_is_another_at_another_position() -> None:
    camera = Camera(make_flat([0.5]), sensor=make_sensor("indoor,fresh=off"))
    places = np.array([0.0, 0.01, 1.0, 1.5, 2.0])
    images = shoot(camera, [0] * 5, places).reshape(5, -1).astype(np.float64)
    assert np.abs(np.corrcoef(images) - np.eye(5)).max() < 5.0 / math.sqrt(images.shape[1])


# ---------------------------------------------------------------------- noise on a noisy recording
RECORDED = (2e-3, 1e-5)


@pytest.mark.parametrize("sensor", ["dim", "dark", "recorded"])
@pytest.mark.parametrize("level", [0.2, 0.7])
def test_the_noise_of_the_recording_is_not_counted_twice(sensor: str, level: float) -> None:
    stacks = make_flat([level] * 16, noise=RECORDED)
    images = shoot(Camera(stacks, sensor=SENSORS[sensor]), np.arange(16), 1.0)
    shot, read = np.maximum(RECORDED, SENSORS[sensor].noise(2))
    assert variance(images) == pytest.approx(shot * level + read + ROUNDING, rel=0.02)


@pytest.mark.parametrize("sensor", ["recorded", "bright"])
def test_a_better_sensor_than_the_recordings_leaves_it_as_it_is(sensor: str) -> None:
    stacks = make_flat([0.2, 0.7], noise=RECORDED)
    images = shoot(Camera(stacks, sensor=SENSORS[sensor]), [0, 1], 2.0)
    np.testing.assert_array_equal(images, stacks.levels.normalize(stacks.images[:, 2]))


@pytest.mark.parametrize("scale", [Levels(0, 255), Levels(64, 1023), Levels(256, 4095), Levels(0, 65535)])
def test_recorded_noise_alone_changes_no_whole_slice_of_any_depth(scale: Levels) -> None:
    stacks = make_flat([0.2, 0.7], noise=RECORDED, scale=scale)
    for kind, expected in (
        ("float32", stacks.levels.normalize(stacks.images[:, 2])),
        ("uint16", stacks.images[:, 2]),
    ):
        images = shoot(Camera(stacks, sensor=SENSORS["recorded"]), [0, 1], 2.0, kind=kind)  # type: ignore[arg-type]
        np.testing.assert_allclose(images, expected, atol=1e-7)


@pytest.mark.parametrize("sensor", ["recorded", "dim", "dark"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.8, 1.0])
def test_blending_leaves_the_noise_as_it_should_be(share: float, sensor: str) -> None:
    stacks = make_flat([0.4] * 16, noise=RECORDED)
    images = shoot(Camera(stacks, sensor=SENSORS[sensor]), np.arange(16), 1.0 + share)
    shot, read = np.maximum(RECORDED, SENSORS[sensor].noise(2))
    assert variance(images) == pytest.approx(shot * 0.4 + read + ROUNDING, rel=0.02)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_without_the_correction_blending_averages_noise_away(share: float) -> None:
    stacks = make_flat([0.4] * 16, noise=RECORDED)
    plain = variance(shoot(Camera(stacks), np.arange(16), 1.0 + share))
    left = (1.0 - share) ** 2 + share**2
    assert plain == pytest.approx((RECORDED[0] * 0.4 + RECORDED[1] + ROUNDING) * left, rel=0.02)
    images = shoot(Camera(stacks, sensor=make_sensor("dark,blends=off")), np.arange(16), 1.0 + share)
    added = np.array(SENSORS["dark"].noise(2)) - RECORDED
    assert variance(images) == pytest.approx(plain + added[0] * 0.4 + added[1] + ROUNDING, rel=0.02)


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_the_nearest_slice_is_not_blended(share: float) -> None:
    stacks = make_flat([0.4] * 4, noise=RECORDED)
    camera = Camera(stacks, sensor=SENSORS["recorded"], interpolation="nearest")
    np.testing.assert_array_equal(
        shoot(camera, np.arange(4), 1.0 + share), stacks.levels.normalize(stacks.images[:, 1 + round(share + 0.01)])
    )


def test_motion_leaves_the_noise_as_it_should_be() -> None:
    stacks = make_flat([0.4] * 16, noise=RECORDED)
    path, weights = [0.2, 1.0, 1.7, 2.9], [0.25] * 4
    images = shoot(Camera(stacks, sensor=SENSORS["recorded"]), np.arange(16), path, weights=weights)
    assert variance(images) == pytest.approx(RECORDED[0] * 0.4 + RECORDED[1] + ROUNDING, rel=0.02)


@pytest.mark.parametrize("shift", [(0.5, 0.5), (0.25, 0.0), (-1.3, 2.9), (3.0, -2.0)])
@pytest.mark.parametrize("sensor", ["recorded", "dark"])
def test_shifts_leave_the_noise_as_it_should_be(sensor: str, shift: tuple[float, float]) -> None:
    stacks = make_flat([0.4] * 16, noise=RECORDED)
    camera = Camera(stacks, SHIFTING, SENSORS[sensor], margin=4)
    images = shoot(camera, np.arange(16), 1.5, shifts=shift)
    shot, read = np.maximum(RECORDED, SENSORS[sensor].noise(2))
    assert variance(images) == pytest.approx(shot * 0.4 + read + ROUNDING, rel=0.025)


@pytest.mark.parametrize("breathing", [0.0, 2.0])
def test_zooming_leaves_the_noise_as_it_should_be_all_over_the_image(breathing: float) -> None:
    stacks = make_flat([0.4] * 96, noise=RECORDED, n=12)
    images = shoot(Camera(stacks, sensor=SENSORS["recorded"], breathing=breathing), np.arange(96), 5.0)
    expected = RECORDED[0] * 0.4 + RECORDED[1] + ROUNDING
    by_pixel = images.astype(np.float64).var(axis=0)
    assert by_pixel.mean() == pytest.approx(expected, rel=0.02)
    by_tile = by_pixel.reshape(2, 8, 8, 8, 8).mean(axis=(0, 2, 4))
    np.testing.assert_allclose(by_tile, expected, rtol=0.06)


# ---------------------------------------------------------------------- quantisation and kinds
@pytest.mark.parametrize("bits", [6, 10, 12])
def test_noise_is_rounded_to_the_sensors_steps(bits: int) -> None:
    sensor = make_sensor(f"indoor,bits={bits}")
    images = shoot(Camera(make_flat([0.5]), sensor=sensor), [0] * 4, 1.5).astype(np.float64)
    digits = images * sensor.steps
    np.testing.assert_allclose(digits, np.rint(digits), atol=1e-3)
    assert len(np.unique(np.rint(digits))) > 2


@pytest.mark.parametrize("lens", ["ideal", "typical_phone"])
@pytest.mark.parametrize("sensor", ["none", "recorded", "indoor", "dark"])
def test_the_kinds_of_images_agree(stacks: StackSet, sensor: str, lens: str) -> None:
    camera = Camera(stacks, LENSES[lens], SENSORS[sensor])
    shifts = None if lens == "ideal" else (0.4, -1.7)
    ids, places = [0, 1, 2, 3], [0.0, 3.0, 4.7, 11.0]
    image, small, raw = (shoot(camera, ids, places, shifts=shifts, kind=kind) for kind in KINDS)
    assert [each.dtype.name for each in (image, small, raw)] == list(KINDS)
    np.testing.assert_allclose(small, 255.0 * image.clip(0.0, 1.0), atol=0.501)
    np.testing.assert_allclose(raw, 64.0 + 959.0 * image, atol=0.501)
    assert raw.max() <= 1023


# ---------------------------------------------------------------------- what can be kept
@pytest.mark.parametrize(
    ("options", "exactly"),
    [
        ({}, True),
        ({"breathing": 0.0, "margin": 2}, True),
        ({"sensor": SENSORS["recorded"]}, True),
        ({"sensor": make_sensor("indoor,fresh=off")}, True),
        ({"sensor": SENSORS["indoor"]}, False),
        ({"lens": LENSES["closed_loop"]}, False),
        ({"sensor": SENSORS["recorded"], "breathing": 0.0}, False),
        ({"sensor": make_sensor("recorded,fresh=off"), "breathing": 0.0}, True),
    ],
)
def test_a_camera_knows_whether_the_same_command_gives_the_same_image(
    stacks: StackSet, options: dict[str, Any], exactly: bool
) -> None:
    camera = Camera(stacks, **options)
    assert camera.replays_exactly is exactly
    if camera.lens.is_exact:
        once, again = shoot(camera, [0], 3.0, seed=1), shoot(camera, [0], 3.0, seed=2)
        assert np.array_equal(once, again) is exactly


def test_the_noise_of_a_recording_is_estimated_where_it_is_not_told() -> None:
    told = make_flat([0.1, 0.4, 0.8], noise=RECORDED, size=128, n=8)
    untold = StackSet.from_stacks(
        FocalStack(stack.images, stack.levels, diopters=stack.diopters, name=stack.name) for stack in told
    )
    np.testing.assert_array_equal(Camera(told).recorded_noise, [RECORDED] * 3)
    found = Camera(untold).recorded_noise
    level = np.array([0.1, 0.4, 0.8])
    np.testing.assert_allclose(
        found[:, 0] * level + found[:, 1], RECORDED[0] * level + RECORDED[1] + ROUNDING, rtol=0.25
    )
