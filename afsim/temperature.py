"""Temperature: how much surer, or less sure, a network is than it is right, as one number.

Guo et al., "On calibration of modern neural networks" (ICML 2017): logits are divided by the temperature under
which held-out truths are most likely. The most probable index stays what it was.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from afsim.errors import AfsimError

FloatArray = npt.NDArray[np.float64]

TEMPERATURE: Final = "temperature"
"""Its name among the metrics of a network's file."""

_RANGE: Final = (0.05, 20.0)


def split_truth(truth: npt.ArrayLike, n: int) -> FloatArray:
    """Return true indices (N,) as distributions (N, n): a fractional one is shared by its two neighbours.

    Examples
    --------
    >>> split_truth([1.25], 3).tolist()
    [[0.0, 0.75, 0.25]]
    """
    place = np.clip(np.asarray(truth, dtype=np.float64), 0.0, n - 1.0)
    if not np.isfinite(place).all():
        raise AfsimError("true indices must be finite numbers")
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(n))))


def negative_log_likelihood(logits: npt.ArrayLike, truth: npt.ArrayLike, temperature: float = 1.0) -> float:
    """Return the mean of -log p(truth), in nats, of logits (N, n) under a temperature."""
    tempered = np.asarray(logits, dtype=np.float64) / temperature
    shares = split_truth(truth, tempered.shape[1])
    tempered = tempered - tempered.max(axis=1, keepdims=True)
    logs = tempered - np.log(np.exp(tempered).sum(axis=1, keepdims=True))
    return float(-(shares * logs).sum(axis=1).mean())


def fit_temperature(logits: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Return the temperature, 0.05 ... 20, under which the truths (N,) are most likely, of logits (N, n).

    Raises
    ------
    AfsimError
        Where logits and truths are not equally many, or some are not finite.
    """
    said, true = np.asarray(logits, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if said.ndim != 2 or true.shape != (len(said),) or len(said) == 0 or not np.isfinite(said).all():
        raise AfsimError(f"expected finite logits (N, n) and N truths, got {said.shape} and {true.shape}")
    found = minimize_scalar(
        lambda log: negative_log_likelihood(said, true, float(np.exp(log))),
        bounds=tuple(np.log(_RANGE)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))
