"""What agents take from slices: contrast, disparity and the distribution of a frozen network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.errors import AfsimError, StoreError, UnsuitableError
from afsim.featuretable import FeatureTable, feature_table, slice_features
from afsim.patch_disparity import get_estimator
from afsim.sight import ContrastSight, make_sight
from afsim.stackset import StackSet
from afsim.task import FocusTask, TaskSpec
from tests.conftest import make_stack
from tests.seating import make as make_policy
from tests.seating import tiny_network


def large_stacks(views: int = 2) -> StackSet:
    return StackSet.from_stacks(
        make_stack(truth, seed=i, size=48, views=views) for i, truth in enumerate((3.0, 8.5))
    )


def spec_of(stacks: StackSet) -> TaskSpec:
    return FocusTask(Camera(stacks)).spec


def test_contrast_is_greatest_in_focus() -> None:
    stacks = large_stacks()
    sight = make_sight("contrast", spec_of(stacks))
    contrast = slice_features(Camera(stacks), sight)[..., 0]
    assert contrast.argmax(axis=1).tolist() == [3, 8]


def test_disparity_is_the_estimators_in_units_of_its_reach() -> None:
    stacks = large_stacks()
    images = np.asarray(stacks.levels.normalize(stacks.images[0][:4]), np.float32)
    images = np.stack([images[:, 0], np.roll(images[:, 0], 3, axis=-1)], axis=1)
    sight = ContrastSight(spec_of(stacks))
    found = sight.features(images, np.arange(4.0), np.zeros((4, 2)))
    shift, sureness = get_estimator("zncc")(images, reach=16)
    np.testing.assert_allclose(found[:, 1], shift / 16, rtol=1e-5)
    np.testing.assert_allclose(found[:, 2], sureness, rtol=1e-5)
    assert np.abs(found[:, 1]).min() > 0.1
    turned = ContrastSight(replace(spec_of(stacks), dp_axis="rows"))
    np.testing.assert_allclose(turned.features(images.swapaxes(-1, -2), np.arange(4.0), np.zeros((4, 2))), found)


def test_a_slice_without_texture_has_no_shift_and_no_sureness() -> None:
    stacks = large_stacks()
    found = ContrastSight(spec_of(stacks)).features(
        np.full((1, 2, 48, 48), 0.5, np.float32), np.zeros(1), np.zeros((1, 2))
    )
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[0, 1:], [0.0, 0.0])


def test_one_view_has_contrast_alone() -> None:
    stacks = large_stacks(views=1)
    sight = make_sight("contrast", spec_of(stacks))
    assert sight.marks == ("contrast",)
    assert slice_features(Camera(stacks), sight).shape == (2, 12, 1)


def test_a_network_says_what_its_policy_says(stacks: StackSet) -> None:
    spec = spec_of(stacks)
    sight = make_sight(f"network:{tiny_network('d1', 12)}", spec)
    found = slice_features(Camera(stacks), sight)
    said = slice_features(Camera(stacks), make_policy("learned-d1", spec))
    np.testing.assert_allclose(np.exp(found[..., :12].astype(np.float64)), said.astype(np.float64), rtol=1e-5)
    assert found.shape == (6, 12, 13)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("smell", AfsimError, "unknown sight 'smell'"),
        ("contrast:sobel", AfsimError, "nothing to choose"),
        ("network:nowhere.safetensors", StoreError, "nowhere.safetensors"),
        ("network", UnsuitableError, "for stacks of 49 slices, but these have 12"),
        ("contrast", UnsuitableError, "more than 32 pixels"),
    ],
)
def test_what_is_no_sight_is_refused(stacks: StackSet, text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_sight(text, spec_of(stacks))


def test_a_network_of_several_slices_is_refused(stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="is the model d-star, expected i1 or d1"):
        make_sight(f"network:{tiny_network('d-star', 12)}", spec_of(stacks))


def test_a_network_of_two_views_needs_them() -> None:
    spec = spec_of(StackSet.from_stacks([make_stack(views=1)]))
    with pytest.raises(UnsuitableError, match="2 views"):
        make_sight(f"network:{tiny_network('d1', 12)}", spec)


def test_a_table_gives_slices_as_they_are_and_mixes_between_them() -> None:
    values = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    table = FeatureTable(values)
    stack, position = np.array([0, 1, 1, 0, 1]), np.array([0.0, 3.0, 1.0, -2.0, 7.5])
    np.testing.assert_array_equal(table.at(stack, position, position), values[stack, [0, 3, 1, 0, 3]])
    mixed = table.at(np.array([1]), np.array([1.25]), np.array([0.0]))
    np.testing.assert_allclose(mixed, 0.75 * values[[1], 1] + 0.25 * values[[1], 2], rtol=1e-6)


def test_who_knows_the_command_alone_takes_the_focus_to_lie_as_far_from_it_as_from_the_lens() -> None:
    values = np.zeros((1, 8, 9), np.float32)
    values[0, :, 5] = 1.0  # every slice says: the focus is at 5
    values[0, :, 8] = np.arange(8)  # a mark
    table = FeatureTable(values, evidence=8)
    stack, position = np.zeros(4, np.int64), np.full(4, 3.0)
    found = table.at(stack, position, np.array([3.0, 4.0, 1.0, 3.5]))
    np.testing.assert_array_equal(found[:3, :8].argmax(axis=1), [5, 6, 3])
    np.testing.assert_allclose(found[3, :8], [0, 0, 0, 0, 0, 0.5, 0.5, 0])
    np.testing.assert_array_equal(found[:, 8], [3, 3, 3, 3])


def test_a_table_is_kept_for_the_same_stacks_and_the_same_sight_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFSIM_CACHE", str(tmp_path))
    camera = Camera(large_stacks())
    sight = make_sight("contrast", spec_of(camera.stacks))
    first = feature_table(camera, sight)
    with monkeypatch.context() as patched:
        patched.setattr("afsim.featuretable.slice_features", lambda *_: pytest.fail("measured again"))
        np.testing.assert_array_equal(feature_table(camera, sight).values, first.values)
    np.testing.assert_array_equal(first.values, slice_features(camera, sight))
    feature_table(Camera(large_stacks(views=1)), make_sight("contrast", spec_of(large_stacks(views=1))))
    feature_table(camera, make_sight(f"network:{tiny_network('d1', 12)}", spec_of(camera.stacks)))
    assert len(list((tmp_path / "features").iterdir())) == 3


def test_a_damaged_table_is_told_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFSIM_CACHE", str(tmp_path))
    camera = Camera(large_stacks())
    sight = make_sight("contrast", spec_of(camera.stacks))
    feature_table(camera, sight)
    [file] = (tmp_path / "features").iterdir()
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(StoreError, match=file.name):
        feature_table(camera, sight)
