"""The Bayesian policy with a trained network as its likelihood: believe, look where that tells most, end."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from afsim.belief import confidence
from afsim.checks import check_number
from afsim.errors import AfsimError, UnsuitableError, unknown
from afsim.jit import over_lanes
from afsim.keys import Keys
from afsim.modelkinds import model_kind
from afsim.networklikelihood import NetworkLikelihood, file_hash, shipped_network_likelihood
from afsim.policies.learned import LearnedSingle
from afsim.policy import Features, FloatArray, Knowledge, Status
from afsim.readingahead import read_ahead
from afsim.readonce import read_once
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
    evidence : (N, n) float64
        Sum of the log-likelihoods of the slices.
    looked : (N, n) bool
        Which indices were looked at.
    """

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    belief: FloatArray
    evidence: FloatArray
    looked: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LearnedBayesian(LearnedSingle):
    """Believe what a network of one slice says of each slice, and look where the final error then is least.

    Each look multiplies the belief by what the network says of that slice alone; all are weighed as slices of one
    patch are (:class:`afsim.networklikelihood.NetworkLikelihood`). A slice seen before tells nothing new.
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
        return _load_once(self._fitted_path)

    def begin(self, keys: Keys, knowledge: Knowledge) -> ReadingMemory:
        """Start with the prior."""
        lanes, n = len(keys), self.spec.n
        prior = np.repeat(np.exp(self.fitted.log_prior)[None], lanes, axis=0)
        nobody, nothing = np.zeros(lanes, np.int8), np.zeros(lanes, np.float32)
        return ReadingMemory(nobody, nothing, prior, np.zeros((lanes, n)), np.zeros((lanes, n), np.bool_))

    def decide(  # type: ignore[override]  # it remembers more than its base
        self, features: Features, observation: Observation, memory: ReadingMemory
    ) -> tuple[FloatArray, ReadingMemory]:
        """Update the belief, then look further, or end at the median."""
        lanes, here = np.arange(len(memory.belief)), np.rint(self.current(observation)).astype(np.int64)
        new, looked = ~memory.looked[lanes, here], memory.looked.copy()
        looked[lanes, here] = True
        evidence = memory.evidence + np.where(new[:, None], self.fitted.log_of(features), 0.0)
        beliefs = self.fitted.log_belief(evidence, looked.sum(axis=1))
        belief = np.exp(beliefs)
        median = (belief.cumsum(axis=1) < 0.5).sum(axis=1).clip(max=self.spec.n - 1)
        apart = np.abs(np.arange(self.spec.n) - median[:, None])
        ended = memory.status != Status.SEARCHING
        last = np.asarray(observation["steps_left"][:, 0], dtype=np.float64) <= 1
        look, cost = self._look(belief, evidence, looked, ~(ended | last))
        looks = (look >= 0) & ((belief * apart).sum(axis=1) - cost > self.least_gain)
        command = np.where(looks, look, median)
        within = confidence(beliefs, command)
        over = np.where(last, within >= self.sure, ~looks & (command == here))
        verdict = np.where(within >= self.sure, Status.FOCUSED, Status.FAILED)
        status = np.where(ended, memory.status, np.where(over, verdict, Status.SEARCHING)).astype(np.int8)
        sure = np.where(ended, memory.confidence, within).astype(np.float32)
        return np.where(ended, here, command).astype(np.float64), ReadingMemory(
            status, sure, belief, evidence, looked
        )

    def _look(
        self, belief: FloatArray, evidence: FloatArray, looked: npt.NDArray[np.bool_], may: npt.NDArray[np.bool_]
    ) -> tuple[IntArray, FloatArray]:
        """Return where to look (N,), -1 for nowhere, and how far the focus is expected to be off after it."""
        look, cost = np.full(len(belief), -1), np.full(len(belief), np.inf)
        looks = looked.sum(axis=1) + 1
        base = np.exp(self.fitted.log_belief(evidence, looks))
        for count in np.unique(looks[may]):
            mine = np.flatnonzero(may & (looks == count))
            factors = np.exp(self.fitted.weight(count) * self.fitted.expected)
            given = (belief[mine], base[mine], factors, ~looked[mine])
            best, left = np.empty(len(mine), np.int64), np.empty(len(mine))
            over_lanes(partial(_search, given, best, left), len(mine), at_least=_LANES_A_THREAD)
            look[mine], cost[mine] = best, left
        return look, cost


def _search(
    given: tuple[FloatArray, FloatArray, FloatArray, npt.NDArray[np.bool_]],
    look: IntArray,
    cost: FloatArray,
    begin: int,
    end: int,
) -> None:
    read_ahead(*given, begin, end, look, cost)


_load_once: Final = read_once(NetworkLikelihood.load)
