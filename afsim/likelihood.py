"""How likely a feature of one slice is, given where the lens stands and where the focus lies: fitted counts.

A feature is anything that a policy takes from one image, as one number: a disparity, a contrast. It is cut into
bins, and no reading (NaN) is a bin of its own, for that too tells something.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from afsim.checks import check_finite, check_number, check_whole
from afsim.errors import AfsimError, StoreError
from afsim.staging import staged_files

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_FORMAT: Final = "afsim-likelihood"
_VERSION: Final = 1
# Of counts to one, numerically: what normalisation may miss.
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The probability of each bin z of a feature of slice k, where the focus lies at k*.

    Attributes
    ----------
    edges : (Z - 2,) float64
        Rising bounds between the bins; a feature that equals a bound lies above it.
    table : (n, n, Z) float64
        ``table[k, k*, z]``, summing to 1 over z; the last bin is for no reading (NaN).

    Raises
    ------
    AfsimError
        For parts that do not fit together.
    """

    edges: FloatArray
    table: FloatArray

    def __post_init__(self) -> None:
        edges = check_finite("likelihood edges", self.edges, np.shape(self.edges))
        if edges.ndim != 1 or (np.diff(edges) <= 0).any():
            raise AfsimError(f"likelihood edges must be rising numbers, got {edges}")
        shape = np.shape(self.table)
        if len(shape) != 3 or shape[0] != shape[1] or shape[0] < 2 or shape[2] != edges.size + 2:
            raise AfsimError(f"likelihood table must have shape (n, n, {edges.size + 2}), got {shape}")
        table = check_finite("likelihood table", self.table, shape)
        if (table < 0).any() or np.abs(table.sum(axis=2) - 1.0).max() > _TOLERANCE:
            raise AfsimError("likelihood table must be probabilities that sum to 1 over its last axis")
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "table", table)

    @property
    def n(self) -> int:
        """Number of indices."""
        return int(self.table.shape[0])

    @property
    def bins(self) -> int:
        """Number of bins Z, that for no reading included."""
        return int(self.table.shape[2])

    def bin_of(self, feature: npt.ArrayLike) -> IntArray:
        """Return the bin (...) of each feature (...), 0 ... Z - 1."""
        return _bin(self.edges, np.asarray(feature, dtype=np.float64))

    def log_of(self, index: npt.ArrayLike, feature: npt.ArrayLike) -> FloatArray:
        """Return the log-likelihood (N, n) of every k* where slices ``index`` (N,) gave features (N,)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.table[np.asarray(index), :, self.bin_of(feature)]))

    # ------------------------------------------------------------------ on disk
    def save(self, path: str | Path) -> None:
        """Write it to ``path`` (.npz), as a whole or not at all."""
        target = Path(path)
        with staged_files(target.parent) as folder, (folder / target.name).open("wb") as file:
            np.savez_compressed(file, format=_FORMAT, version=_VERSION, edges=self.edges, table=self.table)

    @classmethod
    def load(cls, path: str | Path) -> "Likelihood":
        """Read what :meth:`save` wrote.

        Raises
        ------
        StoreError
            Where the file is missing, is none, is damaged, or a newer version wrote it.
        """
        try:
            with Path(path).open("rb") as file:
                archive = np.lib.npyio.NpzFile(file, allow_pickle=False)
                parts: dict[str, Any] = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            raise StoreError(f"{path} is no likelihood that can be read: {error}") from error
        if str(parts.get("format")) != _FORMAT or not {"version", "edges", "table"} <= parts.keys():
            raise StoreError(f"{path} is no likelihood: it holds {sorted(parts)}")
        if int(parts["version"]) > _VERSION:
            raise StoreError(f"{path} has version {int(parts['version'])}; this afsim reads up to {_VERSION}")
        try:
            return cls(parts["edges"], parts["table"])
        except AfsimError as error:
            raise StoreError(f"{path} is damaged: {error}") from error


def fit_likelihood(
    features: npt.ArrayLike, truth: npt.ArrayLike, bins: int | npt.ArrayLike = 11, *, strength: float = 20.0
) -> Likelihood:
    """Fit the likelihood of a feature on stacks whose truth is known.

    Parameters
    ----------
    features : (N, n) array_like
        Of every slice; NaN where there is no reading.
    truth : (N,) array_like
        Index in focus, perhaps fractional; stacks with NaN are left out.
    bins : int or array_like
        How many bins, besides that for no reading, of equally many readings; or their rising bounds. Equal features
        share a bin, so there may be fewer.
    strength : float
        How many stacks the prior weighs: each cell (k, k*) is drawn towards the mean over all cells of the same
        k - k* (a Dirichlet prior), and that, likewise, towards the mean over all. Assumed, not tuned: half of what
        2,000 stacks give a cell of 49.

    Raises
    ------
    AfsimError
        For arrays that do not fit together, or without a single known truth or reading.
    """
    values, known = np.asarray(features, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2 or known.shape != values.shape[:1]:
        raise AfsimError(f"features must be (N, n) and truth (N,), got {values.shape} and {known.shape}")
    check_number("likelihood strength", strength, above=0.0)
    values, known = values[~np.isnan(known)], known[~np.isnan(known)]
    if known.size == 0:
        raise AfsimError("a likelihood needs stacks whose truth is known, got none")
    n = values.shape[1]
    edges = _edges(values, bins)
    focus = np.floor(known + 0.5).clip(0, n - 1).astype(np.int64)
    counts = np.zeros((n, n, edges.size + 2))
    np.add.at(counts, (np.arange(n)[None, :], focus[:, None], _bin(edges, values)), 1.0)
    apart = np.arange(n)[:, None] - np.arange(n)[None, :] + n - 1
    along = np.zeros((2 * n - 1, counts.shape[2]))
    np.add.at(along, apart, counts)
    # One more reading of each bin, so that nothing is impossible.
    overall = _shrunk(counts.sum(axis=(0, 1)), np.full(counts.shape[2], 1.0 / counts.shape[2]), counts.shape[2])
    table = _shrunk(counts, _shrunk(along, overall, strength)[apart], strength)
    return Likelihood(edges, table / table.sum(axis=2, keepdims=True))


def _shrunk(counts: FloatArray, mean: FloatArray, strength: float) -> FloatArray:
    """Return the posterior mean of a Dirichlet distribution: shares (..., Z) drawn towards ``mean``."""
    return np.asarray((counts + strength * mean) / (counts.sum(axis=-1, keepdims=True) + strength))


def _edges(values: FloatArray, bins: int | npt.ArrayLike) -> FloatArray:
    if np.ndim(bins) == 1:
        edges = check_finite("likelihood bins", bins, np.shape(bins))
        if (np.diff(edges) <= 0).any():
            raise AfsimError(f"likelihood bins must be rising bounds, got {edges}")
        return edges
    check_whole("likelihood bins", bins, least=1)
    readings = values[np.isfinite(values)]
    if readings.size == 0:
        raise AfsimError("a likelihood needs readings, got none but NaN")
    shares = np.arange(1, int(np.asarray(bins))) / int(np.asarray(bins))
    edges = np.unique(np.quantile(readings, shares))
    # A bound at the least reading has nothing below it.
    return np.asarray(edges[edges > readings.min()])


def _bin(edges: FloatArray, values: FloatArray) -> IntArray:
    where = np.searchsorted(edges, values, side="right")
    return np.where(np.isnan(values), edges.size + 1, where).astype(np.int64)
