"""The benchmark of the contrast measures: references agree, and rows are complete. Nothing is timed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from afsim.errors import AfsimError
from afsim.experiments import bench
from afsim.experiments.bench_measures import MeasuresConfig, Rates, rates, rows, run
from afsim.experiments.measure_memory import memory_growth, peak_growth
from afsim.experiments.measure_references import references
from afsim.jit import compiled
from afsim.measures import MEASURES
from afsim.sets import demo_stacks

pytestmark = pytest.mark.filterwarnings("ignore:Level value:UserWarning")  # at level 3 borders reach everywhere

Image = npt.NDArray[np.float32]

REPRODUCED = [name for name, measure in MEASURES.items() if measure.reproduction]


@pytest.fixture(scope="module")
def images() -> Image:
    """Return three slices, far, middle and near, of two demo stacks."""
    return np.stack([stack.green()[[0, 20, 48]] for stack in demo_stacks(2)]).astype(np.float32)


def test_each_row_of_the_paper_has_a_reference() -> None:
    assert sorted(references()) == sorted(REPRODUCED)


@pytest.mark.parametrize("name", REPRODUCED)
def test_a_reference_agrees(name: str, images: Image) -> None:
    reference = references()[name]
    loop = [[reference(image) for image in stack] for stack in images]
    # What remains of the modified DCT is a difference of large sums in the reference's single precision.
    rel = 1e-3 if name == "modified_dct" else 2e-5
    np.testing.assert_allclose(MEASURES[name](images), loop, rtol=rel)


# ---------------------------------------------------------------------- memory
BLOCK = 80_000_000  # larger than any block that an allocator keeps to itself


@compiled
def filled(bytes_: int) -> float:
    """Return a value of a large array that no caller of this function sees."""
    return float(np.ones(bytes_ // 8)[-1])


@pytest.mark.parametrize("allocate", [filled, lambda bytes_: np.ones(bytes_ // 8)], ids=["compiled", "numpy"])
def test_growth_counts_whoever_allocates(allocate: Callable[[int], object]) -> None:
    allocate(8)
    growth = peak_growth(lambda: allocate(BLOCK))
    if np.isnan(growth):
        pytest.skip("this system does not tell a process's peak")
    assert growth == pytest.approx(BLOCK, rel=0.1)
    assert peak_growth(lambda: None) < 0.1 * BLOCK


def test_no_measure_grows_the_process_by_more_than_four_times_the_images() -> None:
    growth = memory_growth((20, 256, 256))
    assert list(growth) == list(MEASURES)
    for name, chunks in growth.items():
        # One is the copy in single precision, which none can do without.
        assert np.isnan(chunks) or 0.9 < chunks < 4.0, name


# ---------------------------------------------------------------------- rows
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        ({"seconds": -1.0}, "seconds must be above 0, got -1"),
        ({"stacks": 0}, "stacks must be at least 1, got 0"),
    ],
)
def test_what_measures_nothing_is_refused(options: Any, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        run(MeasuresConfig(**options))
    with pytest.raises(AfsimError, match=message):
        bench.run(bench.BenchConfig(**options))


def test_the_rows_hold_every_turn(images: Image) -> None:
    found = rates(images, MeasuresConfig(rounds=2, seconds=0.01))
    assert set(MEASURES) < set(found)
    table = rows(found)
    assert table[0].what.startswith("the 37 contrast measures")
    assert len({row.what for row in table}) == len(table) == 10
    for row in table:
        assert len(row.ours) == len(row.reference) == 2
        assert min(*row.ours, *row.reference) > 0.0


def test_measures_done_one_after_another_take_the_sum_of_their_times() -> None:
    found = {name: Rates([2.0], [1.0]) for name in MEASURES}
    found |= {key: Rates([2.0], [1.0]) for key in ("reading", "scipy_1", "scipy_2", "scipy_4")}
    first, *_, slowest = rows(found)
    assert first.ours == pytest.approx([2.0 / 37])
    assert first.reference == pytest.approx([1.0 / 37])
    assert slowest.wanted == pytest.approx(1 / 40)
