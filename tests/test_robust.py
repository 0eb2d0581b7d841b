"""Huber's fit: least squares where nothing is wrong, hardly moved where something is, tied where little is told."""

import numpy as np
import pytest

from afsim.robust import huber_fit

RNG = np.random.default_rng(0)
X = np.linspace(-1.0, 1.0, 60)
DESIGN = np.stack([X, np.ones(60)], axis=1)
NOISE = 0.01 * RNG.standard_normal(60)


def test_exact_values_are_fitted_exactly() -> None:
    fit = huber_fit(DESIGN, 2.0 * X - 0.5)
    np.testing.assert_allclose(fit.parameters, [2.0, -0.5], atol=1e-12)
    np.testing.assert_allclose(fit.residuals, 0.0, atol=1e-12)


def test_small_residuals_are_those_of_least_squares() -> None:
    # Two values of a line each, as far above as below it: no residual is larger than the spread.
    design, values = np.repeat(DESIGN, 2, axis=0), np.repeat(2.0 * X - 0.5, 2) + np.tile([0.01, -0.01], 60)
    fit = huber_fit(design, values)
    np.testing.assert_allclose(fit.parameters, np.linalg.lstsq(design, values)[0], atol=1e-12)
    np.testing.assert_array_equal(fit.weights, 1.0)
    assert fit.spread == pytest.approx(0.014826)


def test_gross_errors_count_little() -> None:
    values = 2.0 * X - 0.5 + NOISE
    wrong = values.copy()
    wrong[::10] += 5.0
    fit, plain = huber_fit(DESIGN, wrong), np.linalg.lstsq(DESIGN, wrong)[0]
    assert np.abs(fit.parameters - [2.0, -0.5]).max() < 0.02 < np.abs(plain - [2.0, -0.5]).max()
    assert fit.weights[::10].max() < 0.01
    assert fit.spread == pytest.approx(0.01, rel=0.3)


def test_ties_draw_to_the_prior_and_stand_in_for_values() -> None:
    prior, nothing = np.array([1.0, 0.0]), np.zeros_like(DESIGN)
    free, tied, held = (
        huber_fit(DESIGN, 2.0 * X, prior=prior, ties=np.full(2, size)).parameters[0] for size in (0.0, 20.0, 1e9)
    )
    assert held == pytest.approx(1.0, abs=1e-6)
    assert 1.0 < tied < free == pytest.approx(2.0)
    assert huber_fit(nothing, X, prior=prior, ties=np.ones(2)).parameters.tolist() == [1.0, 0.0]
    with pytest.raises(np.linalg.LinAlgError):
        huber_fit(nothing, X)


def test_the_spread_is_no_less_than_the_least() -> None:
    assert huber_fit(DESIGN, 2.0 * X, least_spread=0.1).spread == 0.1
