"""Pupils fitted to blur kernels: a kernel made of a pupil gives the pupil back."""

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.kernelfit import KERNEL_MODELS, fit_kernels, render_kernels
from afsim.pupil import PUPILS, Pupil, alpha_of, left_fraction, make_pupil


def test_a_kernel_of_our_pupil_gives_its_parameters_back() -> None:
    pupil = make_pupil("soft_split", field=(0.3, 0.2), vignetting=0.5, split_shift=0.4, width=0.25, crosstalk=0.05)
    kernels = render_kernels(pupil, 17.0, 41, offset_px=(-1.3, 0.7), sigma_px=0.8)
    fit = fit_kernels(kernels)
    assert fit.diameter_px == pytest.approx(17.0, abs=0.05)
    assert fit.offset_px == pytest.approx((-1.3, 0.7), abs=0.02)
    assert fit.sigma_px == pytest.approx(0.8, abs=0.05)
    expected = {"width": 0.25, "crosstalk": 0.05, "split": 0.12, "cats_eye_x": 0.15, "cats_eye_y": 0.10}
    assert fit.parameters == pytest.approx(expected, abs=0.01)
    assert fit.alpha == pytest.approx(alpha_of(pupil), abs=0.002)
    assert fit.left_fraction == pytest.approx(left_fraction(pupil), abs=0.005)
    assert max(fit.residual) < 0.005
    np.testing.assert_allclose(fit.kernels, kernels, atol=1e-4)


def test_a_brighter_side_is_told_from_a_shifted_split_by_the_share_of_light() -> None:
    pupil = make_pupil("soft_split", width=0.4)
    light = np.exp(0.6 * pupil.centres - 0.3 * pupil.centres[:, None])
    tilted = Pupil(pupil.left * light, pupil.right * light)
    kernels = render_kernels(tilted, 20.0, 41, sigma_px=1.0)
    fit = fit_kernels(kernels, "soft_split_tilt", share=left_fraction(tilted))
    assert fit.parameters["tilt_x"] == pytest.approx(0.6, abs=0.03)
    assert fit.parameters["tilt_y"] == pytest.approx(-0.3, abs=0.03)
    assert fit.parameters["split"] == pytest.approx(0.0, abs=0.02)
    assert fit.left_fraction == pytest.approx(left_fraction(tilted), abs=0.002)


@pytest.mark.parametrize("model", KERNEL_MODELS)
def test_every_model_fits_its_own_kernel_and_has_its_alpha(model: str) -> None:
    pupil = make_pupil(KERNEL_MODELS[model].pupil)
    fit = fit_kernels(render_kernels(pupil, 14.0, 31, sigma_px=0.5), model)
    assert fit.model == model
    # Smoothing and diameter of a Gaussian are one and the same.
    assert model == "gaussian" or fit.diameter_px == pytest.approx(14.0, abs=0.2)
    assert fit.alpha == pytest.approx(alpha_of(pupil), abs=0.01)
    assert max(fit.residual) < 0.03


def test_more_freedom_never_fits_worse() -> None:
    kernels = render_kernels(make_pupil("butterworth", field=(0.3, 0.1)), 14.0, 25, sigma_px=0.7)
    residual = {
        model: float(np.hypot(*fit_kernels(kernels, model).residual))
        for model in ("disc", "soft_split", "soft_split_field")
    }
    assert list(residual.values()) == sorted(residual.values(), reverse=True)
    assert set(PUPILS) >= {KERNEL_MODELS[model].pupil for model in residual}


def test_rendered_kernels_have_sum_one_and_the_sign_of_the_blur() -> None:
    pupil = make_pupil("half_disc")
    line = np.arange(31)
    for diameter in (6.0, -6.0, 12.0):
        kernels = render_kernels(pupil, diameter, 31)
        np.testing.assert_allclose(kernels.sum(axis=(1, 2)), 1.0, atol=1e-12)
        left, right = (kernels.sum(axis=1) @ line).tolist()
        # The Airy pattern reaches beyond 31 pixels, a little.
        assert right - left == pytest.approx(alpha_of(pupil) * diameter, rel=0.02)
    mirrored = render_kernels(pupil, -6.0, 31)[::-1]
    np.testing.assert_allclose(mirrored, render_kernels(pupil, 6.0, 31), atol=1e-12)


def test_wrong_calls_are_named() -> None:
    kernels = render_kernels(make_pupil(), 8.0, 21)
    with pytest.raises(AfsimError, match="unknown kernel model 'box'; expected one of: butterworth"):
        fit_kernels(kernels, "box")
    with pytest.raises(AfsimError, match=r"must be \(2, K, K\), left and right, got shape \(21, 21\)"):
        fit_kernels(kernels[0])
    with pytest.raises(AfsimError, match="positive sums"):
        fit_kernels(0.0 * kernels)
    with pytest.raises(AfsimError, match="odd and at least 3, got 20"):
        render_kernels(make_pupil(), 8.0, 20)
