"""The affine-invariant loss: it asks for neither scale nor offset."""

import numpy as np
import pytest
import torch

from afsim.affineloss import affine_fit, affine_invariant_loss
from afsim.errors import AfsimError


def drawn(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape)).double()


def test_the_loss_does_not_ask_for_scale_and_offset() -> None:
    values, truths = drawn(2, 3, 8)
    loss = affine_invariant_loss(values, truths)
    assert 0.2 < float(loss) < 1.0
    for scale, offset in ((3.0, 0.0), (-2.0, 5.0), (10.0, -1.0)):
        torch.testing.assert_close(
            affine_invariant_loss(scale * values + offset, truths), loss, atol=1e-5, rtol=0.0
        )
    each = torch.tensor([[2.0], [-1.0], [5.0]], dtype=torch.float64)  # a map for each photograph
    torch.testing.assert_close(affine_invariant_loss(each * values - each, truths), loss, atol=1e-5, rtol=0.0)


def test_the_loss_is_nought_where_truths_are_affine_in_the_values_and_one_where_values_are_the_same() -> None:
    values = drawn(3, 8)
    assert float(affine_invariant_loss(values, 4.0 - 0.5 * values)) < 1e-8
    assert float(affine_invariant_loss(torch.ones_like(values), values)) == pytest.approx(1.0)


def test_two_points_are_fitted_exactly() -> None:
    slope, offset = affine_fit(torch.tensor([[1.0, 3.0]]), torch.tensor([[5.0, 1.0]]))
    assert [slope.item(), offset.item()] == pytest.approx([-2.0, 7.0], abs=1e-3)


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(AfsimError, match=r"\(G, S\), got \(2, 3\) and \(3, 2\)"):
        affine_fit(torch.zeros(2, 3), torch.zeros(3, 2))
