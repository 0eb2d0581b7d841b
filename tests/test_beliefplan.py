"""Plans over beliefs: what a slow recursion finds, below every policy in the model, and bounds that hold it."""

from typing import Any

import numpy as np
import pytest

from afsim.belief import best_index, prior_of
from afsim.beliefbounds import bracket, expected_cost, looking_ahead, seeing_everything
from afsim.beliefplan import SearchModel, make_search_model, plan
from afsim.costs import CostModel
from afsim.errors import AfsimError, WithheldError
from afsim.likelihood import Likelihood, fit_likelihood
from afsim.optics import lta49_diopters

COSTS = {
    "error": CostModel(),
    "all": CostModel(squared=True, cap=3.0, move=0.2, travel_index=0.1, time_ms=0.003, travel_um=0.01),
}


def likelihood(n: int, bins: int = 4, seed: int = 0, noise: float = 1.0) -> Likelihood:
    """Fit noisy sizes of defocus, hence of a side that one slice does not tell."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-0.5, n - 0.5, 500)
    features = np.abs(np.arange(n) - truth[:, None]) + rng.normal(0, noise, (500, n))
    return fit_likelihood(features, truth, bins - 1)


def model_of(n: int = 5, cost: CostModel = COSTS["error"], **options: Any) -> SearchModel:
    prior = prior_of(np.random.default_rng(1).uniform(0, n - 1, 20), n)
    return make_search_model(prior, likelihood(n, **options), cost, diopters=lta49_diopters()[:n])


def slowly(model: SearchModel, weights: np.ndarray, at: int, seen: frozenset[int], steps: int) -> float:
    """Return the lowest expected cost by trying everything, revisits too."""
    best = np.inf
    for k in range(model.n):
        ends = (weights * (model.loss[k] + model.go[at, k] + model.end)).sum()
        best = min(best, ends)
        if steps > 1:
            shown = [weights] if k in seen else [weights * p for p in model.likelihood.table[k].T]
            goes_on = sum(slowly(model, w, k, seen | {k}, steps - 1) for w in shown)
            best = min(best, goes_on + (model.go[at, k] + model.step) * weights.sum())
    return best


def slow_value(model: SearchModel, steps: int) -> np.ndarray:
    prior = np.exp(model.prior)
    return np.array(
        [
            sum(slowly(model, prior * p, start, frozenset({start}), steps) for p in model.likelihood.table[start].T)
            for start in range(model.n)
        ]
    )


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_plan_is_the_best_of_everything(steps: int, cost: CostModel) -> None:
    model = model_of(4, cost, bins=3)
    np.testing.assert_allclose(plan(model, steps).value, slow_value(model, steps), rtol=1e-10)


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_optimal_policy_costs_what_the_plan_says(steps: int, cost: CostModel) -> None:
    model = model_of(5, cost)
    costs = expected_cost(model, lambda belief, at, seen, left: model.decide(belief, at, seen, left)[1:], steps)
    np.testing.assert_allclose(costs, plan(model, steps).value, rtol=1e-10)


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_nothing_that_sees_only_the_feature_costs_less(steps: int, cost: CostModel) -> None:
    model = model_of(5, cost)
    value, rng = plan(model, steps).value, np.random.default_rng(2)

    def random(belief: np.ndarray, at: np.ndarray, seen: np.ndarray, left: int) -> Any:
        return rng.integers(0, 5, len(at)), rng.random(len(at)) < 0.7

    def greedy(belief: np.ndarray, at: np.ndarray, seen: np.ndarray, left: int) -> Any:
        where = best_index(belief, model.loss)
        return where, where != at

    def stay(belief: np.ndarray, at: np.ndarray, seen: np.ndarray, left: int) -> Any:
        return at, np.zeros(len(at), dtype=bool)

    costs = [expected_cost(model, decide, steps) for decide in (random, greedy, stay, looking_ahead(model))]
    for each in costs:
        assert (each >= value - 1e-12).all()
    assert costs[0].mean() > value.mean() + 0.1


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_bounds_hold_the_optimum(cost: CostModel) -> None:
    model = model_of(6, cost)
    exact = plan(model, 3).value
    lower, upper = bracket(model, 3)
    assert (lower <= exact + 1e-12).all()
    assert (exact <= upper + 1e-12).all()
    assert (upper <= plan(model, 2).value + 1e-12).all()
    for part in bracket(model, 2):
        np.testing.assert_array_equal(part, plan(model, 2).value)
    np.testing.assert_array_equal(bracket(model, 7).lower, lower)


def test_seeing_everything_costs_less_than_any_search() -> None:
    model = model_of(6, noise=3.0)
    mean, error = seeing_everything(model)
    assert mean + 3 * error < plan(model, 3).value.min()
    assert bracket(model, 5).lower.min() >= mean - 3 * error > model.loss.min()
    again, _ = seeing_everything(model, seed=1)
    assert abs(again - mean) < 5 * error


def test_seeing_the_only_other_slice_is_one_step_of_a_search_of_two_indices() -> None:
    """With two indices, two steps see everything, and where to end is then free."""
    model = model_of(2, bins=3)
    mean, error = seeing_everything(model, draws=20_000)
    np.testing.assert_allclose(plan(model, 2).value, mean, atol=4 * error)


def test_more_steps_never_cost_more_and_what_tells_everything_costs_nothing_more() -> None:
    model = model_of(6, COSTS["all"])
    values = [plan(model, steps).value for steps in (1, 2, 3)]
    assert (values[1] <= values[0] + 1e-12).all()
    assert (values[2] <= values[1] + 1e-12).all()
    # Every focus shows its own bin everywhere: one step suffices, and errors within an index are left.
    table = np.broadcast_to(np.eye(4, 5)[None], (4, 4, 5))
    certain = SearchModel(np.zeros(4), Likelihood(np.arange(3.0), table), model.loss[:4, :4], np.zeros((4, 4)))
    np.testing.assert_allclose(plan(certain, 1).value, model.loss[0, 0])


def test_a_feature_that_tells_nothing_leaves_the_prior() -> None:
    blind = Likelihood(np.zeros(1), np.full((5, 5, 3), 1 / 3))
    prior = prior_of([3.0, 3.0, 1.0], 5)
    model = make_search_model(prior, blind, CostModel(), exact_truth=False)
    apart = np.abs(np.arange(5)[:, None] - np.arange(5)[None, :])
    for steps in (1, 3):
        np.testing.assert_allclose(plan(model, steps).value, (apart @ np.exp(prior)).min())


def test_starts_are_rows_of_all() -> None:
    model = model_of(6)
    whole, some = plan(model, 2), plan(model, 2, starts=[4, 1])
    for part, of_whole in zip(some, whole, strict=True):
        np.testing.assert_array_equal(part, of_whole[[4, 1]])


def test_the_loss_of_an_exact_truth_is_a_mean_over_its_index() -> None:
    loss = model_of(5).loss
    np.testing.assert_allclose(loss[2], [2, 1, 0.25, 1, 2], atol=1e-12)
    squared = model_of(5, CostModel(squared=True)).loss
    np.testing.assert_allclose(squared[0], np.arange(5) ** 2 + 1 / 12, atol=1e-3)


def test_what_is_too_much_is_refused() -> None:
    model = model_of(5)
    for steps in (0, 4):
        with pytest.raises(AfsimError, match="steps"):
            plan(model, steps)
    with pytest.raises(AfsimError, match="too many"):
        plan(model_of(40, bins=9), 3)
    with pytest.raises(AfsimError, match="too many"):
        plan(model, 2, most_beliefs=100)
    with pytest.raises(AfsimError, match="too many"):
        expected_cost(model, looking_ahead(model), 30)
    with pytest.raises(WithheldError, match="time_ms"):
        make_search_model(model.prior, model.likelihood, CostModel(time_ms=1.0))
    with pytest.raises(AfsimError, match="prior must be 5"):
        SearchModel(np.zeros(4), model.likelihood, model.loss, model.go)
