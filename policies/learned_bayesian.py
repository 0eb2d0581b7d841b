"""The Bayesian policy with a trained network as its likelihood: believe, look where that tells most, end."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from afsim.belief import confidence, normalised
from afsim.checks import check_number
from afsim.errors import AfsimError, UnsuitableError, unknown
from afsim.jit import over_lanes
from afsim.keys import Keys
from afsim.modelkinds import model_kind
from afsim.networklikelihood import NetworkLikelihood, file_hash, shipped_network_likelihood
from afsim.policies.learned import LearnedSingle
from afsim.policy import Features, FloatArray, Knowledge, Status
from afsim.readingahead import read_ahead
from afsim.task import Observation

IntArray = npt.NDArray[np.int64]
Network = Literal["auto", "i1", "d1"]

_LANES_A_THREAD: Final = 64


class ReadingMemory(NamedTuple):
    """Of N searches over n indices: what is believed, and which were looked at.

    Attributes
    ----------
    status, confidence
        As of every memory.
    belief : (N, n) float64
        Probability of each index.
    logs : (N, n) float64
        Logarithm of prior times likelihoods.
    looked : (N, n) bool
        Which indices were looked at.
    """

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    belief: FloatArray
    logs: FloatArray
    looked: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LearnedBayesian(LearnedSingle):
    """Believe what a network of one slice says of each slice, and look where the final error then is least.

    Each look multiplies the belief by what the network says of that slice alone, weighed as slices of one patch
    are (:class:`afsim.networklikelihood.NetworkLikelihood`); a slice that was looked at before tells nothing new.
    While steps are left, every index is weighed by how far the focus is expected to be from the belief's median
    after a look at it. That is seldom the likeliest index itself: from beyond the focus blur and disparity tell
    more than from within it, and a network of one view must look from the other side. The last move goes to the
    median. It ends, and says whether it is FOCUSED, as :class:`afsim.policies.Bayesian` does.

    Attributes
    ----------
    network : {"auto", "d1", "i1"}
        Which network; ``auto`` is d1 where there are two views, else i1.
    likelihood : str or None
        File made by ``afsim fit learned_bayesian``; by default the one that comes with the shipped network.
    sure : float
        Probability of being within one index from which on it says so (assumed).
    least_gain : float
        By how many indices a look must be expected to lower the distance from the focus (assumed).

    Raises
    ------
    AfsimError
        For an option out of range, or a likelihood that was fitted to another network.
    UnsuitableError
        For stacks that the network is not for.
    """

    kind: ClassVar[str] = "d1"
    network: Network = "auto"
    likelihood: str | None = None
    sure: float = 0.9
    least_gain: float = 0.005

    def __post_init__(self) -> None:
        if self.network not in get_args(Network):
            raise unknown("network of learned_bayesian", self.network, get_args(Network))
        check_number("sure", self.sure, above=0.0, most=1.0)
        check_number("least_gain", self.least_gain, least=0.0)
        (name,) = self.kinds
        if model_kind(name).views > self.spec.views:
            raise UnsuitableError(
                f"{name} needs dual-pixel stacks (2 views), but these have {self.spec.views} view"
            )
        super().__post_init__()
        (path,) = self.paths
        if self.fitted.network != file_hash(path):
            raise AfsimError(f"{self._fitted_path} was fitted to another network than {path}")

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``NAME:NETWORK``."""
        return {"network": choice}

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the network must be."""
        return (("d1" if self.spec.views == 2 else "i1") if self.network == "auto" else self.network,)

    @property
    def _fitted_path(self) -> Path:
        return shipped_network_likelihood(self.kinds[0]) if self.likelihood is None else Path(self.likelihood)

    @property
    def fitted(self) -> NetworkLikelihood:
        """What the network's readings are worth, read once."""
        path = self._fitted_path
        return _load(path, path.stat().st_mtime_ns if path.exists() else 0)

    @cached_property
    def _expected(self) -> FloatArray:
        return self.fitted.expected

    def begin(self, keys: Keys, knowledge: Knowledge) -> ReadingMemory:
        """Start with the prior."""
        lanes, n = len(keys), self.spec.n
        logs = np.repeat(self.fitted.log_prior[None], lanes, axis=0)
        nobody, nothing = np.zeros(lanes, np.int8), np.zeros(lanes, np.float32)
        return ReadingMemory(nobody, nothing, np.exp(logs), logs, np.zeros((lanes, n), np.bool_))

    def decide(  # type: ignore[override]  # it remembers more than its base
        self, features: Features, observation: Observation, memory: ReadingMemory
    ) -> tuple[FloatArray, ReadingMemory]:
        """Update the belief, then look further, or end at the median."""
        lanes, here = np.arange(len(memory.logs)), np.rint(self.current(observation)).astype(np.int64)
        new, looked = ~memory.looked[lanes, here], memory.looked.copy()
        looked[lanes, here] = True
        logs = memory.logs + np.where(new[:, None], self.fitted.log_of(features), 0.0)
        beliefs = normalised(logs)
        belief = np.exp(beliefs)
        median = (belief.cumsum(axis=1) < 0.5).sum(axis=1).clip(max=self.spec.n - 1)
        apart = np.abs(np.arange(self.spec.n) - median[:, None])
        ended = memory.status != Status.SEARCHING
        last = np.asarray(observation["steps_left"][:, 0], dtype=np.float64) <= 1
        look, cost = self._look(belief, ~looked & ~(ended | last)[:, None])
        looks = (look >= 0) & ((belief * apart).sum(axis=1) - cost > self.least_gain)
        command = np.where(looks, look, median)
        within = confidence(beliefs, command)
        over = np.where(last, within >= self.sure, ~looks & (command == here))
        verdict = np.where(within >= self.sure, Status.FOCUSED, Status.FAILED)
        status = np.where(ended, memory.status, np.where(over, verdict, Status.SEARCHING)).astype(np.int8)
        sure = np.where(ended, memory.confidence, within).astype(np.float32)
        return np.where(ended, here, command).astype(np.float64), ReadingMemory(status, sure, belief, logs, looked)

    def _look(self, belief: FloatArray, allowed: npt.NDArray[np.bool_]) -> tuple[IntArray, FloatArray]:
        """Return where to look (N,), -1 for nowhere, and how far the focus is expected to be off after it."""
        look, cost = np.empty(len(belief), np.int64), np.empty(len(belief))

        def search(begin: int, end: int) -> None:
            read_ahead(belief, self._expected, allowed, begin, end, look, cost)

        over_lanes(search, len(belief), at_least=_LANES_A_THREAD)
        return look, cost


@lru_cache(maxsize=8)
def _load(path: Path, version: int) -> NetworkLikelihood:
    return NetworkLikelihood.load(path)
