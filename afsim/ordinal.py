"""Ordinal regression: soft labels that fall off with the distance from the truth, and cross-entropy against them.

Diaz and Marathe, "Soft labels for ordinal regression" (SORD, CVPR 2019): the label of index i for the truth t is
``exp(-phi(t, i)) / sum_j exp(-phi(t, j))``. The paper (section 6) speaks both of "L2 cost metric with a coefficient
of 1", phi = (t-i)^2, and of a Laplacian, phi = |t-i|; the first is the default here, the second an option.
"""

from typing import Final, Literal

import torch
from torch import Tensor
from torch.nn import functional

from afsim.checks import check_number, check_whole
from afsim.errors import AfsimError, unknown

Metric = Literal["L1", "L2"]

_POWERS: Final[dict[str, int]] = {"L1": 1, "L2": 2}


def soft_labels(truth: Tensor, n: int, *, metric: Metric = "L2", coefficient: float = 1.0) -> Tensor:
    """Return the labels of all indices, a distribution for each truth.

    Towards the ends of the range the labels are normalised anew: what would fall outside is shared by those inside.

    Parameters
    ----------
    truth : (N,) tensor
        True indices; fractional ones are allowed, and so are some beyond the ends.
    n : int
        Number of indices.
    metric : {"L2", "L1"}
        Cost of a distance d: d^2 (the paper's: a discrete Gaussian of variance 1/2) or d (a discrete Laplacian).
    coefficient : float
        Factor of the cost, above 0; the paper's is 1.

    Returns
    -------
    (N, n) tensor
        float64 for a float64 truth, otherwise float32; each row sums to 1.

    Raises
    ------
    AfsimError
        For a truth that is not finite (a stack without a label), or a metric or coefficient that is none.

    Examples
    --------
    >>> import torch
    >>> soft_labels(torch.tensor([1.0]), 3)[0].tolist()[1]
    0.5761168599128723
    """
    if metric not in _POWERS:
        raise unknown("metric", metric, _POWERS)
    check_number("coefficient of the ordinal loss", coefficient, above=0.0)
    check_whole("number of indices", n, least=2)
    missing = torch.nonzero(~torch.isfinite(truth)).flatten()
    if truth.ndim != 1 or len(missing):
        where = (
            f"{len(missing)} not finite, the first at {int(missing[0])}"
            if truth.ndim == 1
            else "one a lane expected"
        )
        raise AfsimError(f"true indices must be N finite numbers, got shape {tuple(truth.shape)}: {where}")
    precise = truth if truth.dtype == torch.float64 else truth.to(torch.float32)
    distance = (precise[:, None] - torch.arange(n, dtype=precise.dtype, device=truth.device)).abs()
    return torch.softmax(-coefficient * distance ** _POWERS[metric], dim=1)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy (N,) of logits (N, n) against labels (N, n), in nats; training takes the mean.

    Its least value is the labels' own entropy (:func:`entropy`).
    """
    if logits.shape != labels.shape or logits.ndim != 2:
        raise AfsimError(f"expected logits and labels of one shape (N, n), got {logits.shape} and {labels.shape}")
    return -(labels * functional.log_softmax(logits, dim=1)).sum(dim=1)


def ordinal_loss(logits: Tensor, truth: Tensor, *, metric: Metric = "L2", coefficient: float = 1.0) -> Tensor:
    """Return the ordinal loss (N,) of logits (N, n) for true indices (N,): the paper's, by default.

    The parameters are those of :func:`soft_labels`.
    """
    return cross_entropy(logits, soft_labels(truth, logits.shape[1], metric=metric, coefficient=coefficient))


def entropy(labels: Tensor) -> Tensor:
    """Return the entropy (N,) of distributions (N, n), in nats; that of the labels is the floor of the loss."""
    entropies: Tensor = torch.special.entr(labels).sum(dim=1)
    return entropies


def predicted_index(logits: Tensor) -> Tensor:
    """Return the predictions (N,) int64: the largest of the logits (N, n), as in the paper's figure 1.

    Of equal ones the first.
    """
    return torch.argmax(logits, dim=1)


def median_index(logits: Tensor) -> Tensor:
    """Return the medians (N,) int64 of the distributions of logits (N, n): least mean absolute error."""
    below = torch.softmax(logits, dim=1).cumsum(dim=1)
    return (below < 0.5).sum(dim=1).clamp(max=logits.shape[1] - 1)


def mean_index(logits: Tensor) -> Tensor:
    """Return the means (N,), fractional, of the distributions of logits (N, n): least mean squared error."""
    shares = torch.softmax(logits, dim=1)
    return shares @ torch.arange(logits.shape[1], dtype=shares.dtype, device=shares.device)
