"""A trained network of one slice as a likelihood: what it says of each index, and what it is expected to say.

A network of a single slice gives probabilities p(i | slice) that contain the prior of what it was trained on.
Divided by that prior they are a likelihood, and slices seen one after the other multiply. They are slices of one
patch, so errors repeat: the more there are the less each counts, as fitted on held-out stacks.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.belief import normalised
from afsim.calibration import Provenance
from afsim.checks import check_finite, check_number
from afsim.errors import AfsimError
from afsim.recordfile import RecordFormat

FloatArray = npt.NDArray[np.float64]

_FORMAT: Final = RecordFormat("afsim-network-likelihood", 1, "network likelihood", "afsim fit learned_bayesian")
_SHIPPED: Final = Path(__file__).parent / "models"
# Indices that a network holds for impossible would never be believed again.
_LEAST: Final = 1e-6


@dataclass(frozen=True, eq=False)
class NetworkLikelihood:
    """What the readings of a network of one slice are worth.

    Attributes
    ----------
    network : str
        Hash of the network's file (:func:`file_hash`), to which it was fitted.
    overlap : float
        How much of what two slices tell they both tell, 0 ... 1: of m slices each has the weight
        1 / (1 + (m-1) overlap), so that m of overlap 1 tell as much as one.
    prior : (n,) float64
        How usual each index is; shares, none of them 0.
    profile : (2n-1, 2n-1) float64
        Mean probability, by how far the lens stands beyond the focus (row; -(n-1) first) and how far an index lies
        beyond the focus (column).
    provenance : Provenance
        What it was fitted on.

    Raises
    ------
    AfsimError
        For parts that do not fit together.
    """

    network: str
    overlap: float
    prior: FloatArray
    profile: FloatArray
    provenance: Provenance

    def __post_init__(self) -> None:
        check_number("network likelihood: overlap", self.overlap, least=0.0, most=1.0)
        n = np.size(self.prior)
        for name, shape in (("prior", (n,)), ("profile", (2 * n - 1, 2 * n - 1))):
            given = check_finite(f"network likelihood: {name}", getattr(self, name), shape)
            if not (given > 0.0).all():
                raise AfsimError(f"network likelihood: {name} must be above 0, got {given.min()}")
            object.__setattr__(self, name, given)

    @property
    def n(self) -> int:
        """Number of indices."""
        return int(self.prior.size)

    @cached_property
    def log_prior(self) -> FloatArray:
        """Logarithm of the prior (n,)."""
        return np.asarray(np.log(self.prior / self.prior.sum()))

    def log_of(self, shares: npt.ArrayLike) -> FloatArray:
        """Return the logarithm of the likelihood (..., n) of a slice of which the network gives these shares."""
        said = np.log(np.maximum(np.asarray(shares, dtype=np.float64), _LEAST))
        return np.asarray(said - self.log_prior)

    def weight(self, looks: npt.ArrayLike) -> FloatArray:
        """Return how much each of so many slices (...) counts; 1 of a single one, or of none."""
        more = np.maximum(np.asarray(looks, dtype=np.float64) - 1.0, 0.0)
        return np.asarray(1.0 / (1.0 + self.overlap * more))

    def log_belief(self, evidence: npt.ArrayLike, looks: npt.ArrayLike) -> FloatArray:
        """Return what is believed (N, n), as log-probabilities, after ``looks`` (N,) slices with that evidence."""
        return normalised(self.log_prior + self.weight(looks)[..., None] * np.asarray(evidence))

    @cached_property
    def expected(self) -> FloatArray:
        """The log-likelihood (n) that is expected of a look at each index (n), the focus lying at each (n).

        It is that of the mean probabilities, less its largest value.
        """
        n = self.n
        look, focus, index = np.ogrid[:n, :n, :n]
        shares = self.profile[look - focus + n - 1, index - focus + n - 1]
        logs = self.log_of(shares / shares.sum(axis=2, keepdims=True))
        return np.ascontiguousarray(logs - logs.max(axis=2, keepdims=True))

    # ------------------------------------------------------------------ on disk
    def save(self, path: str | Path) -> None:
        """Write it as JSON, aside and then renamed; a file that is there is replaced."""
        record = {
            "network": self.network,
            "overlap": round(self.overlap, 4),
            "prior": _rounded(self.prior),
            "profile": [_rounded(row) for row in self.profile],
            "provenance": self.provenance._asdict(),
        }
        _FORMAT.write(path, record)

    @classmethod
    def load(cls, path: str | Path) -> "NetworkLikelihood":
        """Read what :meth:`save` wrote.

        Raises
        ------
        StoreError
            Where the file is missing, is none, is damaged, or a newer version wrote it.
        """
        with _FORMAT.reading(path) as record:
            source = Provenance(**record["provenance"])
            return cls(record["network"], record["overlap"], record["prior"], record["profile"], source)


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a network's file, in hexadecimal."""
    return sha256(Path(path).read_bytes()).hexdigest()


def shipped_network_likelihood(name: str) -> Path:
    """Return the file of the likelihood that comes with afsim's network ``name``, i1 or d1."""
    return _SHIPPED / f"{name}-likelihood.json"


def _rounded(values: FloatArray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
