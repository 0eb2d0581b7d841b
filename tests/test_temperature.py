"""Temperature: what it does to probabilities, and that it is found."""

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.temperature import fit_temperature, negative_log_likelihood, split_truth


def calibrated(seed: int, *, count: int = 4000, n: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and truths drawn from the very distributions that they stand for."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 1.5, (count, n))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return logits, (shares.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1).astype(np.float64)


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_it_undoes_what_makes_a_network_too_sure(scale: float) -> None:
    logits, truth = calibrated(0)
    assert fit_temperature(scale * logits, truth) == pytest.approx(scale, rel=0.06)


def test_no_other_temperature_makes_the_truth_likelier() -> None:
    logits, truth = calibrated(1)
    best = fit_temperature(2.0 * logits, truth)
    least = negative_log_likelihood(2.0 * logits, truth, best)
    assert all(negative_log_likelihood(2.0 * logits, truth, best * factor) > least for factor in (0.8, 1.25))


def test_the_likelihood_of_a_certain_and_of_an_even_network() -> None:
    assert negative_log_likelihood([[800.0, 0.0, 0.0]], [0.0]) == pytest.approx(0.0, abs=1e-12)
    assert negative_log_likelihood(np.zeros((2, 4)), [1.5, 3.0]) == pytest.approx(np.log(4.0))


def test_a_fractional_truth_is_shared_by_its_neighbours() -> None:
    np.testing.assert_allclose(split_truth([0.25, 2.0, -0.3, 9.0], 4)[0], [0.75, 0.25, 0.0, 0.0])
    assert split_truth([0.25, 2.0, -0.3, 9.0], 4)[1:].argmax(axis=1).tolist() == [2, 0, 3]
    assert np.allclose(split_truth(np.linspace(-1, 5, 13), 4).sum(axis=1), 1.0)
    with pytest.raises(AfsimError, match="finite"):
        split_truth([np.nan], 4)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(AfsimError, match=r"\(N, n\)"):
        fit_temperature(np.zeros((3, 4)), np.zeros(2))
    with pytest.raises(AfsimError, match="finite"):
        fit_temperature(np.full((2, 4), np.inf), np.zeros(2))
