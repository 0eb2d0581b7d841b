"""Soft labels and the ordinal loss: values worked out independently, and what must hold for any of them."""

import math

import numpy as np
import pytest
import torch
from scipy.special import softmax

from afsim.errors import AfsimError
from afsim.ordinal import (
    Metric,
    cross_entropy,
    entropy,
    mean_index,
    median_index,
    ordinal_loss,
    predicted_index,
    soft_labels,
)

METRICS: list[Metric] = ["L1", "L2"]


@pytest.mark.parametrize(
    ("metric", "truth", "labels", "nats"),
    [
        ("L2", 24.0, [0.564131, 0.207532, 0.010332, 7.0e-5], 1.071448),
        ("L2", 0.0, [0.721335, 0.265364, 0.013212, 8.9e-5], 0.645665),
        ("L1", 24.0, [math.tanh(0.5), 0.170003, 0.062541, 0.023007], 1.622855),
    ],
)
def test_labels_and_their_entropy_at_known_values(
    metric: Metric, truth: float, labels: list[float], nats: float
) -> None:
    found = soft_labels(torch.tensor([truth], dtype=torch.float64), 49, metric=metric)
    start = int(truth)
    assert found[0, start : start + 4].tolist() == pytest.approx(labels, abs=6e-7)
    assert entropy(found).item() == pytest.approx(nats, abs=6e-7)
    assert soft_labels(torch.tensor([truth]), 49, metric=metric)[0].tolist() == pytest.approx(
        found[0].tolist(), abs=1e-7
    )


def test_the_default_is_a_discrete_gaussian_of_half_an_index_squared() -> None:
    labels = soft_labels(torch.tensor([24.0], dtype=torch.float64), 49)[0].numpy()
    assert ((np.arange(49) - 24) ** 2 * labels).sum() == pytest.approx(0.49898, abs=1e-5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("coefficient", [0.3, 1.0, 4.0])
def test_labels_are_distributions_around_the_truth(metric: Metric, coefficient: float) -> None:
    truth = torch.tensor([0.0, 0.2, 3.7, 24.0, 47.9, 48.0, -1.0, 50.0], dtype=torch.float64)
    labels = soft_labels(truth, 49, metric=metric, coefficient=coefficient)
    power = {"L1": 1, "L2": 2}[metric]
    distance = np.abs(truth.numpy()[:, None] - np.arange(49))
    np.testing.assert_allclose(labels.numpy(), softmax(-coefficient * distance**power, axis=1), rtol=1e-12)
    np.testing.assert_allclose(labels.sum(dim=1), 1.0, rtol=1e-12)
    assert labels.argmax(dim=1).tolist() == [0, 0, 4, 24, 48, 48, 0, 48]


def test_a_truth_between_two_indices_is_shared_by_both() -> None:
    labels = soft_labels(torch.tensor([10.5]), 49)[0]
    assert labels[10] == labels[11]
    assert labels[9] == labels[12]


def test_the_loss_is_least_where_the_network_says_the_labels() -> None:
    truth = torch.tensor([3.0, 20.25], dtype=torch.float64)
    labels, best = soft_labels(truth, 49), -((truth[:, None] - torch.arange(49)) ** 2)
    floor = ordinal_loss(best, truth)
    assert floor.tolist() == pytest.approx(entropy(labels).tolist(), abs=1e-9)
    other = best + torch.randn((2, 49), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (ordinal_loss(other, truth) > floor + 0.01).all()


def test_the_loss_has_the_gradient_of_a_cross_entropy() -> None:
    logits = torch.randn((3, 49), generator=torch.Generator().manual_seed(0)).requires_grad_()
    truth = torch.tensor([0.0, 13.3, 48.0])
    (gradient,) = torch.autograd.grad(ordinal_loss(logits, truth, metric="L1").sum(), logits)
    expected = torch.softmax(logits, dim=1) - soft_labels(truth, 49, metric="L1")
    torch.testing.assert_close(gradient, expected)


def test_the_loss_of_a_uniform_prediction_is_that_of_guessing() -> None:
    assert ordinal_loss(torch.zeros(2, 49), torch.tensor([0.0, 30.2])).tolist() == pytest.approx([math.log(49)] * 2)


def test_a_near_miss_costs_less_than_a_far_one() -> None:
    peaks = 6.0 * torch.eye(49)[[24, 25, 26, 30]]
    losses = ordinal_loss(peaks, torch.full((4,), 24.0))
    assert (losses.diff()[:2] > 0).all()
    assert losses[3] > losses[1]


def test_lanes_are_independent_and_logits_may_be_shifted() -> None:
    logits = torch.randn((4, 49), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    truth = torch.tensor([1.0, 2.0, 3.0, 47.5], dtype=torch.float64)
    together = ordinal_loss(logits, truth)
    alone = torch.cat([ordinal_loss(logits[i : i + 1], truth[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=0.0)
    torch.testing.assert_close(together, ordinal_loss(logits + 1000.0, truth), rtol=1e-9, atol=0.0)


def test_predictions_of_a_lopsided_distribution() -> None:
    shares = torch.zeros(3, 49)
    shares[0, [10, 20, 30]] = torch.tensor([0.4, 0.3, 0.3])
    shares[1, 48] = 1.0
    shares[2, [5, 6]] = 0.5  # equal: the first
    logits = shares.clamp(min=1e-30).log()
    assert predicted_index(logits).tolist() == [10, 48, 5]
    assert median_index(logits).tolist()[:2] == [20, 48]
    assert mean_index(logits).tolist() == pytest.approx([19.0, 48.0, 5.5], abs=1e-4)


@pytest.mark.parametrize(
    ("truth", "named"),
    [(torch.tensor([1.0, torch.nan]), "the first at 1"), (torch.tensor([torch.inf]), "not finite")],
)
def test_stacks_without_a_label_are_refused(truth: torch.Tensor, named: str) -> None:
    with pytest.raises(AfsimError, match=named):
        soft_labels(truth, 49)


def test_other_bad_input_is_named() -> None:
    truth = torch.tensor([1.0])
    with pytest.raises(AfsimError, match="L1, L2"):
        soft_labels(truth, 49, metric="L3")  # type: ignore[arg-type]
    with pytest.raises(AfsimError, match="coefficient"):
        soft_labels(truth, 49, coefficient=0.0)
    with pytest.raises(AfsimError, match="at least 2"):
        soft_labels(truth, 1)
    with pytest.raises(AfsimError, match="one a lane"):
        soft_labels(torch.zeros(2, 1), 49)
    with pytest.raises(AfsimError, match="one shape"):
        cross_entropy(torch.zeros(2, 49), torch.zeros(2, 48))
