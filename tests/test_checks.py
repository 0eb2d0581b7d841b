"""Checks of single values: what passes, and that a refusal names the value, what was expected and what was got."""

import math
from typing import Any

import numpy as np
import pytest

from afsim.checks import check_finite, check_number, check_switch, check_whole
from afsim.errors import AfsimError


@pytest.mark.parametrize("value", [0, 0.0, 3, -0.0, np.float32(1.5), np.int16(2), 4.0])
def test_numbers_within_their_bounds_pass(value: Any) -> None:
    check_number("length", value)
    check_number("length", value, least=0.0, most=4.0)


@pytest.mark.parametrize("value", [0, 5, np.uint8(5), np.int64(0)])
def test_integers_within_their_bounds_pass(value: Any) -> None:
    check_whole("count", value)
    check_whole("count", value, least=0, most=5)


@pytest.mark.parametrize("value", [True, False, np.True_])
def test_switches_pass(value: Any) -> None:
    check_switch("noise", value)


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        ("2", {}, "length must be a number, got '2'"),
        (True, {}, "length must be a number, got True"),
        (np.ones(1), {}, "length must be a number, got array"),
        (np.float32("nan"), {}, "length must be finite, got nan"),
        (-math.inf, {}, "length must be finite, got -inf"),
        (-1, {"least": 0.0}, "length must be at least 0, got -1"),
        (0.0, {"above": 0.0}, "length must be above 0, got 0.0"),
        (7, {"above": 0.0, "most": 6.0}, "length must be above 0 and at most 6, got 7"),
        (7, {"least": 0.5, "most": 6.0}, r"length must be at least 0\.5 and at most 6, got 7"),
        (7, {"most": 6.0}, "length must be at most 6, got 7"),
    ],
)
def test_what_is_no_such_number_is_refused(value: Any, bounds: dict[str, float], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        check_number("length", value, **bounds)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2.0, "count must be a whole number, got 2.0"),
        (True, "count must be a whole number, got True"),
        (None, "count must be a whole number, got None"),
        (0, "count must be at least 1, got 0"),
    ],
)
def test_what_is_no_such_integer_is_refused(value: Any, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        check_whole("count", value, least=1)


@pytest.mark.parametrize("value", [0, 1, "on", None, 1.0])
def test_what_is_no_switch_is_refused(value: Any) -> None:
    with pytest.raises(AfsimError, match=f"noise must be True or False, got {value!r}"):
        check_switch("noise", value)


def test_arrays_of_finite_numbers_are_returned_as_such() -> None:
    array = check_finite("place", (1, 2), (2,))
    assert array.dtype == np.float64
    assert array.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.0, r"place must have shape \(2,\), got \(\)"),
        ([1.0, 2.0, 3.0], r"place must have shape \(2,\), got \(3,\)"),
        ([0.0, math.nan], "place must be finite, got"),
        ("corner", r"place must be numbers of shape \(2,\), got 'corner'"),
        ([1.0, None, [2.0]], r"place must be numbers of shape \(2,\), got"),
    ],
)
def test_what_is_no_such_array_is_refused(value: Any, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        check_finite("place", value, (2,))
