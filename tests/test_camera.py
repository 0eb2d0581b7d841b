"""Replay: recorded slices exactly, blends between them, and the same in every batch."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from afsim.camera import Camera, ImageKind
from afsim.errors import AfsimError
from afsim.keys import lane_keys
from afsim.stackset import StackSet
from tests.conftest import make_stack

KINDS: tuple[ImageKind, ...] = ("float32", "uint8", "uint16")


def shoot(camera: Camera, ids: object, positions: object, kind: ImageKind = "float32") -> np.ndarray:
    """Expose with the lens at rest."""
    places = np.asarray(positions, dtype=np.float64)[:, None]
    numbers = np.asarray(ids, dtype=np.int64)
    return camera.capture(numbers, places, np.ones_like(places), lane_keys(0, np.arange(len(numbers))), kind=kind)


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_whole_positions_give_the_recorded_slice_bit_for_bit(stacks: StackSet, interpolation: str) -> None:
    camera = Camera(stacks, interpolation=interpolation)  # type: ignore[arg-type]
    ids, index = np.divmod(np.arange(len(stacks) * stacks.n), stacks.n)
    recorded = stacks.images[ids, index]
    np.testing.assert_array_equal(shoot(camera, ids, index), stacks.levels.normalize(recorded))
    np.testing.assert_array_equal(shoot(camera, ids, index, "uint16"), recorded)


def test_black_white_and_beyond_are_replayed_as_they_normalize() -> None:
    stack = make_stack()
    stack.images[0].flat[:5] = 0, 64, 65, 1023, 2000
    stacks = StackSet.from_stacks([stack])
    image = shoot(Camera(stacks), [0], [0])[0]
    np.testing.assert_array_equal(image, stacks.levels.normalize(stacks.images[0, 0]))
    assert image.flat[0] == pytest.approx(-64 / 959)
    assert image.flat[1] == 0.0
    assert image.flat[4] == 1.0
    small = shoot(Camera(stacks), [0], [0], "uint8")[0]
    assert small.flat[:5].tolist() == [0, 0, 0, 255, 255]


def test_bytes_are_the_normalized_image_rounded(stacks: StackSet) -> None:
    positions = [0.0, 3.4, 11.0]
    image = shoot(Camera(stacks), [0, 1, 2], positions).astype(np.float64)
    small = shoot(Camera(stacks), [0, 1, 2], positions, "uint8")
    assert small.dtype == np.uint8
    assert np.abs(small - 255.0 * image).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_between_slices_the_blend_is_linear(stacks: StackSet, share: float) -> None:
    camera = Camera(stacks)
    below, above = shoot(camera, [2], [4]), shoot(camera, [2], [5])
    np.testing.assert_allclose(shoot(camera, [2], [4 + share]), below + share * (above - below), atol=1e-6)


@pytest.mark.parametrize(("position", "index"), [(4.49, 4), (4.5, 5), (4.51, 5), (10.6, 11)])
def test_nearest_takes_the_nearest_slice_and_rounds_half_up(stacks: StackSet, position: float, index: int) -> None:
    camera = Camera(stacks, interpolation="nearest")
    np.testing.assert_array_equal(shoot(camera, [1], [position]), shoot(camera, [1], [index]))


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_a_moving_lens_sees_the_weighted_sum(stacks: StackSet, interpolation: str) -> None:
    camera = Camera(stacks, interpolation=interpolation)  # type: ignore[arg-type]
    places, weights = np.array([[1.0, 3.3, 11.0]]), np.array([[0.5, 0.3, 0.2]])
    mixed = camera.capture(np.array([3]), places, weights, lane_keys(0, [0]))
    expected = np.tensordot(weights[0], shoot(camera, [3] * 3, places[0]), axes=1)[None]
    np.testing.assert_allclose(mixed.astype(np.float64), expected, atol=1e-6)


@pytest.mark.parametrize(("position", "index"), [(-3.0, 0), (11.2, 11), (99.0, 11)])
def test_positions_beyond_the_ends_are_at_the_ends(stacks: StackSet, position: float, index: int) -> None:
    camera = Camera(stacks)
    np.testing.assert_array_equal(shoot(camera, [0], [position]), shoot(camera, [0], [index]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lanes", [1, 15, 16, 31, 32, 33, 47, 48, 64, 65])
def test_a_batch_is_its_single_lanes_bit_for_bit(stacks: StackSet, lanes: int, kind: ImageKind) -> None:
    camera = Camera(stacks)
    rng = np.random.default_rng(lanes)
    ids, positions = rng.integers(0, len(stacks), lanes), rng.uniform(-1, 12, lanes)
    positions[::3] = np.rint(positions[::3])
    batch = shoot(camera, ids, positions, kind)
    alone = [shoot(camera, ids[i : i + 1], positions[i : i + 1], kind)[0] for i in range(lanes)]
    np.testing.assert_array_equal(batch, np.stack(alone))


def test_a_mapped_set_is_seen_as_one_in_memory(stacks: StackSet, tmp_path: Path) -> None:
    mapped = stacks.save(tmp_path / "set")
    ids, positions = np.arange(6), np.linspace(0, 11, 6)
    np.testing.assert_array_equal(shoot(Camera(mapped), ids, positions), shoot(Camera(stacks), ids, positions))


def test_every_other_stack_of_a_set_is_seen_as_itself(stacks: StackSet) -> None:
    np.testing.assert_array_equal(
        shoot(Camera(stacks[::2]), [0, 1, 2], [3.5] * 3), shoot(Camera(stacks), [0, 2, 4], [3.5] * 3)
    )


def test_a_camera_that_was_used_is_pickled_without_its_pixels(stacks: StackSet, tmp_path: Path) -> None:
    camera = Camera(stacks.save(tmp_path / "set"))
    image = shoot(camera, [0], [2.5])
    packed = pickle.dumps(camera)
    assert len(packed) < stacks.images.nbytes / 10
    for twin in (pickle.loads(packed), copy.deepcopy(camera)):
        np.testing.assert_array_equal(shoot(twin, [0], [2.5]), image)


def test_out_is_written_and_returned(stacks: StackSet) -> None:
    camera, out = Camera(stacks), np.empty((2, 2, 32, 32), np.float32)
    places = np.array([[1.0], [2.0]])
    got = camera.capture(np.array([0, 1]), places, np.ones_like(places), lane_keys(0, [0, 1]), out=out)
    assert got is out
    np.testing.assert_array_equal(out, shoot(camera, [0, 1], [1, 2]))


@pytest.mark.parametrize(
    "out",
    [
        np.empty((1, 2, 32, 31), np.float32),
        np.empty((1, 2, 32, 32), np.uint8),
        np.empty((1, 2, 32, 64), np.float32)[..., ::2],
    ],
)
def test_an_out_that_cannot_be_written_is_refused(stacks: StackSet, out: np.ndarray) -> None:
    with pytest.raises(AfsimError, match=r"out must be contiguous float32 of shape \(1, 2, 32, 32\)"):
        Camera(stacks).capture(np.array([0]), np.zeros((1, 1)), np.ones((1, 1)), lane_keys(0, [0]), out=out)


def test_unknown_names_are_refused(stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="unknown interpolation 'cubic'; expected one of: linear, nearest"):
        Camera(stacks, interpolation="cubic")  # type: ignore[arg-type]
    with pytest.raises(AfsimError, match="unknown image kind 'int8'; expected one of: float32, uint16, uint8"):
        shoot(Camera(stacks), [0], [0], "int8")  # type: ignore[arg-type]
