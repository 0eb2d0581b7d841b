"""What a search may know of its lens, and the places that it then believes in."""

from dataclasses import replace

import numpy as np
import pytest

from afsim.costs import CostModel
from afsim.errors import UnsuitableError, WithheldError
from afsim.knownlens import KnownLens
from afsim.lens import LENSES
from afsim.optics import lta49_diopters
from afsim.policies import make
from afsim.searchspace import SearchSpace
from afsim.task import TaskSpec
from tests.rig import one_error

N = 49
DIOPTERS = tuple(lta49_diopters().tolist())
SPEC = TaskSpec(N, 2, 128, 128, 8, diopters=DIOPTERS)


def test_a_known_lens_hangs_behind_its_commands_by_its_hysteresis() -> None:
    places = lta49_diopters() / 0.2
    known = KnownLens(one_error(hysteresis=3.0), places, 0.2)
    table = known.table_um
    extension = known.parked(np.array([10, 10]))
    np.testing.assert_allclose(extension, table[10] - 3.0)
    # Half the loop is lost on the way up, all of it on the way back.
    np.testing.assert_allclose(known.moved(extension, np.array([20, 10])), [table[20] - 3.0, table[10] - 3.0])
    down = known.moved(known.moved(extension, np.array([20, 20])), np.array([5, 5]))
    np.testing.assert_allclose(down, table[5] + 3.0)
    reached = known.reached(extension)
    np.testing.assert_allclose(reached[0, 20:], known.place_of(table[20:] - 3.0))
    np.testing.assert_allclose(reached[0, :9], known.place_of(table[:9] + 3.0))


def test_an_exact_lens_is_where_it_was_told_and_an_erring_one_needs_distances() -> None:
    places = np.linspace(1.0, 49.0, 49)
    known = KnownLens(LENSES["ideal"], places, 0.2, known=False)
    np.testing.assert_array_equal(known.reached(known.parked(np.array([3]))), places[None])
    assert (known.shake, known.error) == ((0.0, 0.0), (0.0, 0.0))
    with pytest.raises(WithheldError, match="needs known focus distances"):
        KnownLens(LENSES["worn_warm"], places, 0.2, known=False)
    for options in ({"lens": "worn_warm"}, {"cost": CostModel(time_ms=0.01)}):
        with pytest.raises(UnsuitableError, match="needs known focus distances"):
            make("bayesian", replace(SPEC, diopters=None), **options)


def test_worse_lenses_are_trusted_less_and_believed_in_beyond_the_range() -> None:
    shakes, spreads, sizes = [], [], []
    for name in ("ideal", "closed_loop", "typical_phone", "worn_warm"):
        known = KnownLens(LENSES[name], lta49_diopters() / 0.2, 0.2)
        space = SearchSpace(known, CostModel(), SPEC)
        shakes.append(known.shake[0])
        spreads.append(known.error[1])
        sizes.append(space.targets.size)
        np.testing.assert_allclose(np.exp(space.log_prior).sum(), 1.0)
        assert (np.diff(space.targets) > 0).all()
    assert shakes == sorted(shakes)
    assert spreads == sorted(spreads)
    assert sizes[0] == N < sizes[-1]
