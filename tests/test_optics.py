"""Thin-lens relations against the recorded table and against ray geometry."""

import numpy as np
import pytest

from afsim.optics import (
    PIXEL3_DUAL_PIXEL_PITCH_M,
    PIXEL3_F_NUMBER,
    PIXEL3_FOCAL_LENGTH_M,
    blur_diameter_px,
    lens_extension_um,
    lta49_diopters,
    magnification,
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
    f, aperture_m = PIXEL3_FOCAL_LENGTH_M, PIXEL3_FOCAL_LENGTH_M / PIXEL3_F_NUMBER
    focus, depth = np.meshgrid([0.5, 2.0, 9.8], [0.3, 4.0, 7.5])
    sensor, image = 1.0 / (1.0 / f - focus), 1.0 / (1.0 / f - depth)
    cone_px = aperture_m * np.abs(sensor - image) / image / PIXEL3_DUAL_PIXEL_PITCH_M
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
