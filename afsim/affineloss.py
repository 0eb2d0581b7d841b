"""A loss that does not ask for scale and offset of inverse depth (Garg et al., ICCV 2019).

Two views of unknown focus distance and aperture tell inverse depth up to an affine map, the same all over a
photograph. So the truths of a photograph are fitted by what is said of them, and what is left over is the loss.
"""

from typing import Final

import torch
from torch import Tensor

from afsim.errors import AfsimError

# On the diagonal of the normal equations, as in the evaluation of Garg et al.
_RIDGE: Final = 1e-5
# Dioptres squared: what a smaller variance of the truths counts as.
_LEAST_VARIANCE: Final = 1e-6


def affine_fit(values: Tensor, truths: Tensor) -> tuple[Tensor, Tensor]:
    """Return slope and offset (G, 1) of the least squares ``truths = slope values + offset`` of each group.

    Parameters
    ----------
    values : (G, S) tensor
        What is said of the S patches of each of G photographs.
    truths : (G, S) tensor
        Their inverse depths in dioptres.
    """
    if values.ndim != 2 or values.shape != truths.shape:
        raise AfsimError(f"expected values and truths (G, S), got {tuple(values.shape)} and {tuple(truths.shape)}")
    value, truth = values.mean(dim=1, keepdim=True), truths.mean(dim=1, keepdim=True)
    together = ((values - value) * (truths - truth)).mean(dim=1, keepdim=True)
    slope = together / ((values - value).square().mean(dim=1, keepdim=True) + _RIDGE)
    return slope, truth - slope * value


def affine_invariant_loss(values: Tensor, truths: Tensor) -> Tensor:
    """Return the share of the truths' variance that is left when each group is fitted; the mean of the groups.

    It is 0 where truths are affine in the values, and 1 for values that tell nothing of very many truths. All
    patches count the same, as none of them has a confidence.

    Parameters
    ----------
    values, truths : (G, S) tensors
        As of :func:`affine_fit`.
    """
    slope, offset = affine_fit(values, truths)
    left = (truths - slope * values - offset).square().mean(dim=1)
    share: Tensor = (left / torch.var(truths, dim=1, correction=0).clamp(min=_LEAST_VARIANCE)).mean()
    return share
