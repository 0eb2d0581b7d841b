"""Curves fitted to focus curves: exact on the models, sensible on noise, deaf to single outliers."""

import numpy as np
import pytest
from scipy.optimize import curve_fit as least_squares

from afsim.curvefit import MODELS, fit_curve
from afsim.errors import AfsimError
from afsim.policy import FloatArray

N = 49
INDEX = np.arange(N, dtype=np.float64)
SHAPES = {
    "parabola": lambda u: 1.0 - u**2,
    "gaussian": lambda u: np.exp(-(u**2)),
    "hyperbola": lambda u: 1.0 / np.sqrt(1.0 + u**2),
}
every_model = pytest.mark.parametrize("model", MODELS)


def curve(model: str, peak: float, width: float, height: float = 3.0) -> FloatArray:
    return np.asarray(height * SHAPES[model]((INDEX - peak) / width))


def seen(values: FloatArray, chosen: list[int]) -> FloatArray:
    """Return scores (1, N) of the chosen slices alone."""
    scores = np.full((1, N), np.nan)
    scores[0, chosen] = values[chosen]
    return scores


@every_model
@pytest.mark.parametrize("peak", [18.0, 21.3, 26.75])
@pytest.mark.parametrize("chosen", [[15, 20, 25], [10, 13, 21, 30, 33], list(range(8, 40, 3))])
def test_a_curve_of_the_model_is_fitted_exactly(model: str, peak: float, chosen: list[int]) -> None:
    fit = fit_curve(seen(curve(model, peak, 40.0), chosen), model)
    assert fit.sound[0]
    assert fit.peak[0] == pytest.approx(peak, abs=1e-6)
    assert fit.height[0] == pytest.approx(3.0, rel=1e-6)
    assert fit.r_squared[0] == pytest.approx(1.0)
    assert np.flatnonzero(fit.kept[0]).tolist() == chosen


@pytest.mark.parametrize("model", ["gaussian", "hyperbola"])
def test_a_pedestal_moves_the_peak_little(model: str) -> None:
    values = 1.0 + curve(model, 21.3, 8.0)
    fit = fit_curve(seen(values, list(range(2, 49, 5))), model)
    assert fit.peak[0] == pytest.approx(21.3, abs=0.1)
    assert fit.r_squared[0] > 0.99


@every_model
def test_scale_is_taken_out_and_the_mirror_image_has_the_mirrored_peak(model: str) -> None:
    values = curve(model, 20.2, 30.0) + 0.05 * np.random.default_rng(1).uniform(size=N)
    chosen = list(range(0, 49, 4))
    fit, larger = (fit_curve(seen(k * values, chosen), model) for k in (1.0, 1e6))
    mirrored = fit_curve(seen(values, chosen)[:, ::-1], model)
    assert larger.peak[0] == pytest.approx(fit.peak[0])
    assert larger.height[0] == pytest.approx(1e6 * fit.height[0])
    assert mirrored.peak[0] == pytest.approx(N - 1 - fit.peak[0])


def test_the_gaussian_agrees_with_iterated_least_squares() -> None:
    rng = np.random.default_rng(0)
    chosen = np.arange(6, 42, 4)
    for peak in (19.4, 22.0, 25.7):
        values = curve("gaussian", peak, 9.0) + rng.normal(0.0, 0.05, N)
        parameters, _ = least_squares(
            lambda x, a, b, c: a * np.exp(-(((x - b) / c) ** 2)), chosen, values[chosen], (2.0, 22.0, 10.0)
        )
        fit = fit_curve(seen(values, chosen.tolist()), "gaussian")
        assert fit.peak[0] == pytest.approx(parameters[1], abs=0.15)
        assert abs(fit.peak[0] - peak) < 0.3


@every_model
@pytest.mark.parametrize("where", [10, 22, 34])
def test_one_outlier_is_left_out(model: str, where: int) -> None:
    values = curve(model, 21.3, 30.0) * (1.0 + 0.003 * np.random.default_rng(2).normal(size=N))
    values[where] *= 1.4
    chosen = list(range(6, 42, 4))
    fit, gullible = (fit_curve(seen(values, chosen), model, reject=reject) for reject in (True, False))
    assert np.flatnonzero(~fit.kept[0, chosen]).tolist() == [chosen.index(where)]
    assert abs(fit.peak[0] - 21.3) < 0.3
    assert gullible.kept[0, chosen].all()
    assert gullible.r_squared[0] < fit.r_squared[0]


@every_model
def test_good_samples_are_seldom_outliers(model: str) -> None:
    rng = np.random.default_rng(3)
    values = curve(model, 21.3, 40.0) + rng.normal(0.0, 0.05, (2000, N))
    scores = np.full((2000, N), np.nan)
    scores[:, 3::5] = values[:, 3::5]
    fit = fit_curve(scores, model)
    assert fit.sound.all()
    # One curve in a hundred is allowed to lose a sample.
    assert (fit.kept.sum(axis=1) < 10).mean() < 0.03


@every_model
def test_what_has_no_peak_is_not_sound(model: str) -> None:
    assert not fit_curve(np.full((1, N), np.nan), model).sound[0]
    assert not fit_curve(seen(curve(model, 20.0, 40.0), [4, 30]), model).sound[0]
    for values in (np.zeros(N), np.ones(N), 1.0 + (INDEX - 24.0) ** 2):
        fit = fit_curve(seen(values, list(range(0, 49, 6))), model)
        assert not (fit.sound[0] and fit.r_squared[0] > 1e-6)
    assert all(np.isfinite(field).all() for field in fit_curve(seen(np.zeros(N), [1, 2, 3]), model))


@every_model
def test_no_scores_break_it(model: str) -> None:
    rng = np.random.default_rng(4)
    scores = np.where(rng.uniform(size=(500, N)) < 0.2, rng.uniform(0.0, 1.0, (500, N)) ** 4, np.nan)
    fit = fit_curve(scores, model)
    assert all(np.isfinite(field).all() for field in fit)
    assert (fit.r_squared <= 1.0).all()
    assert (fit.kept <= ~np.isnan(scores)).all()


@every_model
def test_lanes_do_not_know_of_each_other(model: str) -> None:
    rng = np.random.default_rng(5)
    many = np.where(rng.uniform(size=(64, N)) < rng.uniform(0.0, 0.8, (64, 1)), rng.uniform(size=(64, N)), np.nan)
    together = fit_curve(many, model)
    for lane in range(0, 64, 7):
        alone = fit_curve(many[lane : lane + 1], model)
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], other[lane])


def test_bad_input_is_refused() -> None:
    with pytest.raises(AfsimError, match="unknown curve model 'spline'; expected one of: gaussian"):
        fit_curve(np.ones((1, N)), "spline")
    with pytest.raises(AfsimError, match=r"scores must be \(N, n\), got shape \(49,\)"):
        fit_curve(np.ones(N))
