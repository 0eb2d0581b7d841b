"""Checks of single values at the public edge, in the same words: what it is, what was expected, what was got."""

import math

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError


def check_number(
    what: str, value: object, *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf
) -> None:
    """Raise unless ``value`` is a finite number within the bounds; of them only ``above`` is itself excluded."""
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        raise AfsimError(f"{what} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise AfsimError(f"{what} must be finite, got {value}")
    _check_bounds(what, float(value), value, least, above, most)


def check_whole(what: str, value: object, *, least: float = -math.inf, most: float = math.inf) -> None:
    """Raise unless ``value`` is an integer within the bounds."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise AfsimError(f"{what} must be a whole number, got {value!r}")
    _check_bounds(what, float(value), value, least, -math.inf, most)


def check_switch(what: str, value: object) -> None:
    """Raise unless ``value`` is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise AfsimError(f"{what} must be True or False, got {value!r}")


def check_finite(what: str, value: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return ``value`` as an array of finite numbers of that shape, or raise."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise AfsimError(f"{what} must be numbers of shape {shape}, got {value!r}") from None
    if array.shape != shape:
        raise AfsimError(f"{what} must have shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise AfsimError(f"{what} must be finite, got {array}")
    return array


def _check_bounds(what: str, number: float, got: object, least: float, above: float, most: float) -> None:
    if least <= number <= most and number > above:
        return
    expected = [f"above {above:g}"] if above > -math.inf else [f"at least {least:g}"] if least > -math.inf else []
    expected += [f"at most {most:g}"] if most < math.inf else []
    raise AfsimError(f"{what} must be {' and '.join(expected)}, got {got}")
