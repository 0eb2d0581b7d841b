"""Beliefs: Bayes' rule by hand, always normalised, and no NaN whatever is seen."""

import numpy as np
import pytest

from afsim.belief import (
    best_index,
    confidence,
    entropy_bits,
    expected_costs,
    normalised,
    observe,
    prior_of,
    uniform_belief,
)
from afsim.errors import AfsimError
from afsim.likelihood import Likelihood

N = 5


def likelihood(seed: int = 0, n: int = N, bins: int = 4) -> Likelihood:
    table = np.random.default_rng(seed).dirichlet(np.ones(bins), (n, n))
    return Likelihood(np.arange(bins - 2.0), table)


def sums_to_one(belief: np.ndarray) -> None:
    assert not np.isnan(belief).any()
    np.testing.assert_allclose(np.exp(belief).sum(axis=-1), 1.0, rtol=1e-12)


def test_bayes_rule_by_hand() -> None:
    model, prior = likelihood(), np.array([0.1, 0.2, 0.3, 0.25, 0.15])
    after = observe(np.log(prior)[None], model, [2], [0.5])
    wanted = prior * model.table[2, :, 1]
    np.testing.assert_allclose(np.exp(after[0]), wanted / wanted.sum())
    none = observe(np.log(prior)[None], model, [2], [np.nan])
    wanted = prior * model.table[2, :, 3]
    np.testing.assert_allclose(np.exp(none[0]), wanted / wanted.sum())


def test_the_order_of_observations_does_not_matter() -> None:
    model, belief = likelihood(), uniform_belief(1, N)
    one = observe(observe(belief, model, [1], [0.5]), model, [4], [np.nan])
    other = observe(observe(belief, model, [4], [np.nan]), model, [1], [0.5])
    np.testing.assert_allclose(one, other)


def test_batches_are_lanes_bit_for_bit() -> None:
    model, rng = likelihood(), np.random.default_rng(1)
    belief = normalised(rng.normal(size=(7, N)))
    index, feature = rng.integers(0, N, 7), rng.normal(size=7)
    whole, loss = observe(belief, model, index, feature), rng.random((N, N))
    for i in range(7):
        one = observe(belief[i : i + 1], model, index[i : i + 1], feature[i : i + 1])
        np.testing.assert_array_equal(one[0], whole[i])
        np.testing.assert_array_equal(expected_costs(one, loss)[0], expected_costs(whole, loss)[i])


def test_the_given_belief_is_not_changed() -> None:
    belief = uniform_belief(2, N)
    kept = belief.copy()
    observe(belief, likelihood(), [0, 1], [0.0, 0.0])
    np.testing.assert_array_equal(belief, kept)


def test_thousands_of_observations_leave_a_belief() -> None:
    model, belief = likelihood(), uniform_belief(1, N)
    for _ in range(5000):
        belief = observe(belief, model, [0], [0.5])
    sums_to_one(belief)
    assert belief.argmax() == model.table[0, :, 1].argmax()
    # What is all but excluded can still come back.
    assert np.isfinite(belief).all()


def test_impossible_observations_leave_the_belief_as_it_was() -> None:
    table = np.zeros((N, N, 3))
    table[:, :, 0] = 1.0
    table[0, 3] = [0.0, 1.0, 0.0]
    model = Likelihood(np.zeros(1), table)
    certain = normalised(np.where(np.arange(N) == 1, 0.0, -np.inf)[None])
    np.testing.assert_array_equal(observe(certain, model, [0], [1.0]), certain)
    told = observe(uniform_belief(1, N), model, [0], [1.0])
    np.testing.assert_array_equal(np.exp(told[0]), np.arange(N) == 3)
    sums_to_one(told)


@pytest.mark.parametrize(
    "weights", [[-np.inf] * N, [np.nan] * N, [np.inf, 0, 0, 0, 0], [-1e308] * N, [1e308, 0, 0, 0, 0]]
)
def test_whatever_the_weights_the_belief_is_one(weights: list[float]) -> None:
    sums_to_one(normalised(weights))


def test_a_prior_counts_known_truths() -> None:
    prior = prior_of([0.4, 0.6, 1.0, np.nan, 99.0], N)
    np.testing.assert_allclose(np.exp(prior), np.array([2, 3, 1, 1, 2]) / 9)
    np.testing.assert_allclose(prior_of([], N), uniform_belief(1, N)[0])


def test_the_best_index_for_the_size_of_the_error_is_the_median() -> None:
    loss = np.abs(np.arange(N)[:, None] - np.arange(N)[None, :]).astype(float)
    belief = np.log([[0.45, 0.02, 0.04, 0.09, 0.4]])
    assert best_index(belief, loss)[0] == 2
    assert best_index(belief, loss**2)[0] == round(float(np.exp(belief[0]) @ np.arange(N)))
    assert best_index(belief, (loss > 0).astype(float))[0] == 0


def test_confidence_and_entropy() -> None:
    belief = np.concatenate([uniform_belief(1, N), normalised([[-np.inf, 0, -np.inf, -np.inf, -np.inf]])])
    np.testing.assert_allclose(confidence(belief, [0, 2]), [2 / N, 1.0])
    np.testing.assert_allclose(confidence(belief, [0, 3]), [2 / N, 0.0])
    np.testing.assert_allclose(entropy_bits(belief), [np.log2(N), 0.0], atol=1e-12)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(AfsimError, match=r"shape \(N, 5\), got \(1, 4\)"):
        observe(uniform_belief(1, 4), likelihood(), [0], [0.0])
    for index in ([5], [-1], [0.5]):
        with pytest.raises(AfsimError, match=r"0 \.\.\. 4"):
            observe(uniform_belief(1, N), likelihood(), index, [0.0])
