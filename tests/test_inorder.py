"""Work in order: what is asked for comes in its place, and no more is worked out ahead than the threads need."""

import threading
from contextlib import closing

import pytest

from afsim.errors import AfsimError
from afsim.inorder import in_order


@pytest.mark.parametrize("workers", [1, 3, None])
def test_results_come_in_the_order_of_the_numbers(workers: int | None) -> None:
    assert list(in_order(lambda i: i * i, range(2, 40), workers=workers, most=2)) == [i * i for i in range(2, 40)]
    assert list(in_order(lambda i: i, range(0), workers=workers)) == []


def test_no_more_is_finished_than_is_fetched_and_twice_the_threads() -> None:
    started: list[int] = []
    with closing(in_order(lambda i: started.append(i), range(100), workers=2)) as results:
        next(results)
        assert len(started) <= 5
    assert len(started) <= 5


def test_an_error_comes_in_its_turn_and_ends_the_threads() -> None:
    def fail_at_three(i: int) -> int:
        if i == 3:
            raise AfsimError("three")
        return i

    before = threading.active_count()
    results = in_order(fail_at_three, range(50), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(AfsimError, match="three"):
        next(results)
    assert threading.active_count() == before


def test_no_thread_is_refused() -> None:
    with pytest.raises(AfsimError, match="workers must be at least 1, got 0"):
        next(in_order(lambda i: i, range(3), workers=0))
