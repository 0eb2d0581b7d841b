"""Trained networks that see several slices, as policies: one a step, or one of a whole stack."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError
from afsim.keys import Keys
from afsim.modelkinds import model_kind
from afsim.policies.learned import Learned
from afsim.policy import Features, FloatArray, Knowledge, Status
from afsim.readmodel import reader, temperature
from afsim.task import Observation

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class SlicesMemory(NamedTuple):
    """What the slices that a lane has seen add up to.

    Attributes
    ----------
    status, confidence
        As of every memory.
    belief : (N, n) float64
        How likely each index was held at the last look.
    evidence : (N, S) float32
        Sums of the slices' contributions, network after network.
    seen : (N, n) bool
        Which slices these are.
    looks : (N,) int64
        Looks so far, those at a slice seen before among them.
    """

    status: npt.NDArray[np.int8]
    confidence: Float32Array
    belief: FloatArray
    evidence: Float32Array
    seen: npt.NDArray[np.bool_]
    looks: IntArray


@dataclass(frozen=True)
class LearnedSlices(Learned):
    """Base of a policy whose networks look at all slices that it has seen."""

    def __post_init__(self) -> None:
        if exported := [str(path) for path in self.paths if path.suffix == ".onnx"]:
            raise AfsimError(
                f"{', '.join(exported)}: a policy of several slices adds up what its network takes from each, "
                "which an exported one does not give; expected .safetensors"
            )
        super().__post_init__()

    @property
    def feature_key(self) -> Hashable:
        """Contributions, where single-slice networks are kept as probabilities."""
        return ("contributions", super().feature_key)

    @property
    def sizes(self) -> list[int]:
        """How many numbers each network takes from a slice."""
        return [int(np.prod(each)) for each in self._shapes]

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        return [trained.network.contribution_shape(self.spec.height, self.spec.width) for trained in self.loaded]

    @property
    def feature_size(self) -> int:
        """Numbers of all networks together."""
        return sum(self.sizes)

    def features(self, image: Float32Array, command: FloatArray, region: FloatArray) -> Float32Array:
        """Return what each image contributes (N, S), for one network after the other."""
        import torch

        rows = np.empty((len(image), self.feature_size), np.float32)
        with torch.inference_mode():
            for row, one in zip(rows, self.seen(image, command, region), strict=True):
                said = [
                    trained.network.contributions(one.images, one.commands, one.regions).flatten()
                    for trained in self.loaded
                ]
                row[:] = torch.cat(said).numpy()
        return rows

    def remember(self, evidence: Float32Array, seen: npt.NDArray[np.bool_], looks: IntArray) -> SlicesMemory:
        """Return the memory of what was seen before a first decision."""
        lanes, n = seen.shape
        nobody, nothing = np.zeros(lanes, np.int8), np.zeros(lanes, np.float32)
        return SlicesMemory(nobody, nothing, np.full((lanes, n), 1.0 / n), evidence, seen, looks)

    def read(
        self, which: int, evidence: npt.NDArray[np.generic], seen: npt.NDArray[np.bool_], current: FloatArray
    ) -> FloatArray:
        """Return how likely network ``which`` holds each index (N, n), given what slices add up to."""
        import torch

        begin = sum(self.sizes[:which])
        own = np.asarray(evidence[:, begin : begin + self.sizes[which]], dtype=np.float64)
        shaped = torch.from_numpy(own).reshape(-1, *self._shapes[which])
        with torch.inference_mode():
            network = reader(self.paths[which])
            logits = network.read(shaped, torch.from_numpy(seen.astype(np.float64)), torch.from_numpy(current))
            return torch.softmax(logits / temperature(self.loaded[which]), dim=1).numpy()


@dataclass(frozen=True)
class LearnedSteps(LearnedSlices):
    """Base of the paper's multi-step networks: each step has its own, which sees all slices seen so far.

    The first network sees the start alone, the second that slice and the one where the first went, and so on. Once
    all have spoken, the last one does at every further step. A slice that it comes to again tells nothing new; the
    first image of it counts.
    """

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the networks must be: as many as there are files, two at least."""
        least = model_kind(self.kind)
        if self.model is None:
            return (*least.previous, least.name)
        count = len(self.paths)
        if count < 2:
            raise AfsimError(
                f"learned-{self.kind} plays one network a step; expected two files or more "
                f"({', '.join((*least.previous, least.name))}, ...), got {self.model}"
            )
        last = model_kind(f"{self.kind[0]}1-{count}step")
        return (*last.previous, last.name)

    def begin(self, keys: Keys, knowledge: Knowledge) -> SlicesMemory:
        """Start without a slice."""
        lanes = len(keys)
        evidence, seen = np.zeros((lanes, self.feature_size), np.float32), np.zeros((lanes, self.spec.n), np.bool_)
        return self.remember(evidence, seen, np.zeros(lanes, np.int64))

    def decide(
        self, features: Features, observation: Observation, memory: SlicesMemory
    ) -> tuple[FloatArray, SlicesMemory]:
        """Add what was seen, and go to the most probable index."""
        current = self.current(observation)
        lanes, here = np.arange(len(current)), np.rint(current).astype(np.int64)
        new = ~memory.seen[lanes, here]
        evidence = memory.evidence + np.where(new[:, None], np.asarray(features, np.float32), np.float32(0.0))
        seen = memory.seen.copy()
        seen[lanes, here] = True
        belief, turn = np.empty_like(memory.belief), np.minimum(memory.looks, len(self.paths) - 1)
        for which in np.unique(turn):
            mine = turn == which
            belief[mine] = self.read(int(which), evidence[mine], seen[mine], current[mine])
        command, status, confidence = self.verdict(belief, observation)
        memory = SlicesMemory(status, confidence, belief, evidence, seen, memory.looks + 1)
        return command.astype(np.float64), memory


@dataclass(frozen=True)
class LearnedStack(LearnedSlices):
    """Base of a network that sees every slice and makes one prediction, which it takes for in focus."""

    def begin(self, keys: Keys, knowledge: Knowledge) -> SlicesMemory:
        """Take what all slices contribute from the rollout."""
        assert knowledge.stack is not None
        lanes, n = len(keys), self.spec.n
        evidence = np.asarray(knowledge.stack).sum(axis=1, dtype=np.float32)
        return self.remember(evidence, np.ones((lanes, n), np.bool_), np.full(lanes, n))

    def decide(
        self, features: Features, observation: Observation, memory: SlicesMemory
    ) -> tuple[FloatArray, SlicesMemory]:
        """Go to the most probable index; the network is told that the sweep ended near, as in training."""
        last = np.full(len(memory.evidence), self.spec.n - 1.0)
        belief = self.read(0, memory.evidence, memory.seen, last)
        command, status, confidence = self.verdict(belief, observation)
        status = np.full_like(status, Status.FOCUSED)
        return command.astype(np.float64), memory._replace(status=status, confidence=confidence, belief=belief)


@dataclass(frozen=True)
class LearnedD1Steps(LearnedSteps):
    """Go where D1 says, then where the two-step D1 says of both slices (the paper's Table 2, two steps)."""

    kind: ClassVar[str] = "d1-2step"
    requires: ClassVar[frozenset[str]] = frozenset({"views2"})


@dataclass(frozen=True)
class LearnedI1Steps(LearnedSteps):
    """Go where I1 says, then where the two-step I1 says of both slices (the paper's Table 2, two steps)."""

    kind: ClassVar[str] = "i1-2step"


@dataclass(frozen=True)
class LearnedDStar(LearnedStack):
    """See every slice's two views and go where the network D* says (the paper's "D* Our Model")."""

    kind: ClassVar[str] = "d-star"
    requires: ClassVar[frozenset[str]] = frozenset({"stack", "views2"})


@dataclass(frozen=True)
class LearnedIStar(LearnedStack):
    """See every slice in green and go where the network I* says (the paper's "I* Our Model")."""

    kind: ClassVar[str] = "i-star"
    requires: ClassVar[frozenset[str]] = frozenset({"stack"})
