"""Matrix products on one thread: blocks nest and overlap, and the setting comes back."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from afsim.blas import single_threaded_blas


def _threads() -> list[int]:
    return [int(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blocks_nest_and_give_back_what_was_set() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(2, user_api="blas"):
        before = _threads()
        with single_threaded_blas():
            with single_threaded_blas():
                assert set(_threads()) <= {1}
            assert set(_threads()) <= {1}
        assert _threads() == before


def test_an_error_gives_the_setting_back() -> None:
    before = _threads()
    with pytest.raises(KeyError), single_threaded_blas():
        raise KeyError
    assert _threads() == before
