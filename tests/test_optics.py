"""Thin-lens relations against the recorded table and against ray geometry."""

from typing import Any

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.optics import (
    OPTICS,
    PIXEL3,
    Optics,
    blur_diameter_px,
    blur_per_diopter_px,
    depth_of_field_index,
    diopters_of_extension,
    diopters_of_index,
    disparity_px,
    fractional_index,
    lens_extension_um,
    lta49_diopters,
    magnification,
    make_optics,
    nearest_index,
    uniform49_diopters,
    uniform_diopters,
)


def test_table_goes_from_far_to_near_over_the_published_range() -> None:
    diopters = lta49_diopters()
    assert diopters.shape == (49,)
    assert (np.diff(diopters) > 0).all()
    np.testing.assert_allclose(1.0 / diopters[[0, -1]], [3.91092, 0.10201], rtol=1e-12)


def test_table_is_a_whole_number_of_lens_codes_apart() -> None:
    # The distances are those of integer codes of 0.8954 um, so the list, rounded to 0.01 mm, gives them back.
    extension = lens_extension_um(lta49_diopters())
    codes = np.rint((extension - 5.047) / 0.8954)
    np.testing.assert_allclose(extension, 5.047 + 0.8954 * codes, atol=0.011)
    steps, counts = np.unique(np.diff(codes), return_counts=True)
    assert steps.tolist() == [4, 5]
    assert counts.tolist() == [20, 28]


def test_blur_per_dioptre_over_the_table() -> None:
    diopters = lta49_diopters()
    gain = blur_diameter_px(diopters, diopters - 1.0)
    np.testing.assert_allclose(gain, blur_per_diopter_px(diopters), rtol=1e-12)
    assert gain.min() == pytest.approx(3.916, abs=5e-4)
    assert gain.max() == pytest.approx(4.089, abs=5e-4)


def test_blur_is_zero_in_focus_and_has_the_sign_of_focusing_too_near() -> None:
    diopters = lta49_diopters()
    blur = blur_diameter_px(diopters[:, None], diopters[None, :])
    np.testing.assert_array_equal(np.diag(blur), 0.0)
    np.testing.assert_array_equal(np.sign(blur), np.sign(diopters[:, None] - diopters[None, :]))


def test_blur_doubles_with_the_defocus() -> None:
    np.testing.assert_allclose(blur_diameter_px(4.0, 4.0 - 2.0), 2.0 * blur_diameter_px(4.0, 4.0 - 1.0), rtol=1e-15)


def test_blur_is_the_cone_of_rays_cut_by_the_sensor() -> None:
    f, aperture_m = 4.44e-3, 4.44e-3 / 1.8
    focus, depth = np.meshgrid([0.5, 2.0, 9.8], [0.3, 4.0, 7.5])
    sensor, image = 1.0 / (1.0 / f - focus), 1.0 / (1.0 / f - depth)
    cone_px = aperture_m * np.abs(sensor - image) / image / 2.8e-6
    np.testing.assert_allclose(np.abs(blur_diameter_px(focus, depth)), cone_px, rtol=1e-9)


def test_blur_at_the_ends_of_the_table() -> None:
    far, near = lta49_diopters()[[0, -1]]
    assert blur_diameter_px(near, far) == pytest.approx(39.04, abs=0.01)
    assert blur_diameter_px(far, near) == pytest.approx(-37.39, abs=0.01)
    assert blur_diameter_px(far, 0.0) == pytest.approx(1.00, abs=0.01)


def test_breathing_enlarges_the_image_towards_near_focus() -> None:
    scale = magnification(lta49_diopters())
    assert (np.diff(scale) > 0).all()
    assert scale[-1] / scale[0] == pytest.approx(1.04432, abs=5e-6)
    assert 64.0 * scale[-1] / scale[0] == pytest.approx(66.84, abs=0.005)
    assert magnification(0.0) == 1.0


def test_even_table_has_the_papers_range_and_nearly_the_recorded_steps() -> None:
    even = uniform49_diopters()
    assert even.shape == (49,)
    np.testing.assert_allclose(1.0 / even[[0, -1]], [3.91, 0.102], rtol=1e-12)
    np.testing.assert_allclose(np.diff(even), 0.19892, atol=5e-6)
    # Recorded slices lie on the lens code nearest to an even table of their own range.
    recorded = lta49_diopters()
    own = uniform_diopters(49, optics=Optics(far_m=1.0 / recorded[0], near_m=1.0 / recorded[-1]))
    assert np.abs(recorded - own).max() < 0.115 * 0.1989


def test_extension_and_focus_distance_are_inverse() -> None:
    diopters = np.concatenate(([0.0], lta49_diopters()))
    np.testing.assert_allclose(diopters_of_extension(lens_extension_um(diopters)), diopters, rtol=1e-12)
    assert diopters_of_extension(-5.0) < 0
    np.testing.assert_allclose(diopters_of_extension(lens_extension_um(diopters, 7e-3), 7e-3), diopters, rtol=1e-12)


def test_disparity_over_the_stack() -> None:
    focus = lta49_diopters()
    ideal = disparity_px(focus[-1], focus[0], alpha=8.0 / (6.0 * np.pi))
    assert ideal == pytest.approx(16.6, abs=0.05)
    np.testing.assert_allclose(disparity_px(focus, 4.0, alpha=0.3), 0.3 * blur_diameter_px(focus, 4.0))


def test_depth_of_field_in_indices() -> None:
    focus = lta49_diopters()
    assert depth_of_field_index(focus).mean() == pytest.approx(1.26, abs=0.005)
    for blur, published in ((0.5, 0.64), (4.7 / 2.8, 2.16), (2.0, 2.57)):
        assert depth_of_field_index(focus, blur_px=blur)[0] == pytest.approx(published, rel=0.01)


def test_truth_is_the_slice_nearest_in_inverse_depth() -> None:
    focus = np.array([1.0, 2.0, 3.0])
    # 0.66 m is nearer to 0.5 m than to 1 m in metres, and nearer to 1 m than to 0.5 m in dioptres.
    assert nearest_index(1.0 / 0.68, focus) == 0
    assert nearest_index([0.0, 1.5, 1.6, 9.0], focus).tolist() == [0, 0, 1, 2]


def test_fractional_truth_is_linear_in_dioptres() -> None:
    focus = lta49_diopters()
    np.testing.assert_allclose(fractional_index(focus, focus), np.arange(49), atol=1e-12)
    assert fractional_index(0.25 * focus[7] + 0.75 * focus[8], focus) == pytest.approx(7.75)
    assert fractional_index(0.0, focus) == pytest.approx(-1.29, abs=0.005)
    assert fractional_index(0.0, focus, clamp=True) == 0.0
    assert fractional_index(20.0, focus, clamp=True) == 48.0
    assert fractional_index(20.0, focus) > 48.0


@pytest.mark.parametrize("table", [[1.0], [2.0, 1.0], [[1.0, 2.0]]])
def test_a_table_that_does_not_increase_is_refused(table: list[float]) -> None:
    with pytest.raises(AfsimError, match="increasing values"):
        nearest_index(1.0, table)


def test_dioptres_and_index_are_inverse_to_each_other() -> None:
    focus, index = lta49_diopters(), np.linspace(-1.2, 50.0, 77)
    np.testing.assert_allclose(fractional_index(diopters_of_index(index, focus), focus), index, atol=1e-9)
    assert diopters_of_index(-9.0, focus) == 0


@pytest.mark.parametrize("n", [-1, 0, 1, 2.5, True])
def test_a_table_of_fewer_than_two_distances_is_refused(n: Any) -> None:
    with pytest.raises(AfsimError, match=f"number of focus distances must be .*, got {n}"):
        uniform_diopters(n)


@pytest.mark.parametrize("blur", [-1.0, np.nan, np.inf])
def test_a_depth_of_field_of_no_blur_disc_is_refused(blur: float) -> None:
    with pytest.raises(AfsimError, match=f"blur_px must be .*, got {blur}"):
        depth_of_field_index(lta49_diopters(), blur_px=blur)


@pytest.mark.parametrize("depth", [np.nan, np.inf, [1.0, np.nan]])
def test_no_slice_is_nearest_to_a_depth_that_is_no_number(depth: Any) -> None:
    with pytest.raises(AfsimError, match="object_diopters must be finite, got"):
        nearest_index(depth, lta49_diopters())


def test_presets_by_name() -> None:
    assert make_optics("pixel3") == PIXEL3
    assert {name: optics.name for name, optics in OPTICS.items()} == {name: name for name in OPTICS}
    with pytest.raises(AfsimError, match="pixel3"):
        make_optics("pixel33")


def test_a_lens_of_ones_own() -> None:
    macro = Optics("macro", focal_length_m=7e-3, f_number=2.8, pitch_m=1.2e-6, far_m=float("inf"), near_m=0.05)
    np.testing.assert_allclose(uniform_diopters(3, optics=macro), [0.0, 10.0, 20.0])
    gain = 7e-3**2 / 2.8 / 1.2e-6
    assert blur_diameter_px(0.0, -1.0, optics=macro) == pytest.approx(gain)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("focal_length_m", 0.0, "focal_length_m must be above 0"),
        ("focal_length_m", float("nan"), "focal_length_m must be finite, got nan"),
        ("f_number", -1.8, "f_number must be above 0, got -1.8"),
        ("f_number", np.float32("nan"), "f_number must be finite, got nan"),
        ("pitch_m", float("inf"), "pitch_m must be finite, got inf"),
        ("frame_px", (0, 10), "frame_px must be at least 1, got 0"),
        ("frame_px", (float("nan"), 1512), "frame_px must be a whole number, got nan"),
        ("frame_px", (2016,), "frame_px must be two sizes"),
        ("near_m", 4e-3, "beyond the focal length"),
        ("near_m", 5.0, "far_m must be beyond near_m"),
        ("far_m", 0.102, "far_m must be beyond near_m"),
    ],
)
def test_an_impossible_lens_is_refused_by_name(field: str, value: object, message: str) -> None:
    options: dict[str, Any] = {field: value}
    with pytest.raises(AfsimError, match=message) as error:
        Optics("mine", **options)
    assert "mine" in str(error.value)
