"""Base of the trained networks as policies, and those of a single slice: the paper's D1 and I1."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError, UnsuitableError
from afsim.keys import Keys
from afsim.modelkinds import shipped_model
from afsim.policy import Features, FloatArray, FocusPolicy, Knowledge, Status
from afsim.readmodel import load_once, log_probabilities, single_looks
from afsim.readonce import file_version
from afsim.task import Observation

if TYPE_CHECKING:
    from afsim.modelfile import Model
    from afsim.networkinput import Observations

IntArray = npt.NDArray[np.int64]

# Said to be in focus where it is more likely than not to be within one index, as by the policies of disparity.
_LIKELY: Final = 0.5


class LearnedMemory(NamedTuple):
    """How likely each index (N, n) was held at the last look."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    belief: FloatArray


@dataclass(frozen=True)
class Learned(FocusPolicy):
    """Base of a policy that goes to the most probable index of a trained network.

    Focused where the network says that the focus lies at the index in force, and that within one index of it is
    more likely than not; probabilities are tempered as the network's file says (:mod:`afsim.temperature`). A
    network knows no slice that it could not judge, so it never fails by itself.

    Attributes
    ----------
    model : str or None
        File made by ``afsim train``, several separated by commas for one network a step; by default the shipped
        ones, of the rendered training set. A policy of single slices also takes one made by ``afsim export``, which
        onnxruntime then runs.

    Raises
    ------
    StoreError
        Where a file is missing or damaged.
    AfsimError
        For a file of another model.
    UnsuitableError
        For stacks of another number of slices than the network's.
    """

    kind: ClassVar[str]
    model: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, path, trained in zip(self.kinds, self.paths, self.loaded, strict=True):
            found, n = trained.record.training.get("model"), trained.network.config.n
            if found != name:
                raise AfsimError(f"{path} is the model {found}, expected {name}")
            if n != self.spec.n:
                raise UnsuitableError(f"{path} is for stacks of {n} slices, but these have {self.spec.n}")

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``NAME:FILE``, or ``NAME:FILE+FILE`` of several networks."""
        return {"model": choice.replace("+", ",")}

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the networks must be, first to last."""
        return (self.kind,)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The networks' files."""
        if self.model is None:
            return tuple(shipped_model(name) for name in self.kinds)
        return tuple(Path(name.strip()) for name in self.model.split(","))

    @property
    def loaded(self) -> "tuple[Model, ...]":
        """The networks and their records, read once."""
        return tuple(load_once(path) for path in self.paths)

    @property
    def feature_key(self) -> Hashable:
        """Who says what of a slice."""
        return ("learned", *((path, file_version(path)) for path in self.paths))

    def begin(self, keys: Keys, knowledge: Knowledge) -> Any:
        """Start knowing nothing."""
        lanes, n = len(keys), self.spec.n
        return LearnedMemory(np.zeros(lanes, np.int8), np.zeros(lanes, np.float32), np.full((lanes, n), 1.0 / n))

    def seen(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> "list[Observations]":
        """Return what networks take of each image (N, V, H, W), turned so that views are shifted along columns.

        One by one: see :func:`afsim.readmodel.single_looks`.
        """
        return single_looks(self.spec, image, command, region)

    def verdict(
        self, belief: FloatArray, observation: Observation
    ) -> tuple[IntArray, npt.NDArray[np.int8], npt.NDArray[np.float32]]:
        """Return the most probable index (N,), its status, and how likely it is to be within one index."""
        lanes, command = np.arange(len(belief)), belief.argmax(axis=1)
        padded = np.pad(belief, ((0, 0), (1, 1)))
        near = padded[lanes, command] + padded[lanes, command + 1] + padded[lanes, command + 2]
        focused = (command == np.rint(self.current(observation))) & (near >= _LIKELY)
        status = np.where(focused, Status.FOCUSED, Status.SEARCHING).astype(np.int8)
        # Shares sum to 1 but for rounding.
        return command, status, np.minimum(near, 1.0).astype(np.float32)


@dataclass(frozen=True)
class LearnedSingle(Learned):
    """Base of a policy that goes where a network of a single slice says; again at every step.

    It forgets what it saw before: more steps are more looks, each from nearer.
    """

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> FloatArray:
        """Return the probability (N, n) of each index, from each image alone."""
        (trained,) = self.loaded
        return np.exp(log_probabilities(trained, self.seen(image, command, region)))

    def decide(
        self, features: Features, observation: Observation, memory: LearnedMemory
    ) -> tuple[FloatArray, LearnedMemory]:
        """Go to the most probable index."""
        belief = np.asarray(features, dtype=np.float64)
        command, status, confidence = self.verdict(belief, observation)
        return command.astype(np.float64), LearnedMemory(status, confidence, belief)


@dataclass(frozen=True)
class LearnedD1(LearnedSingle):
    """Go where the network D1, which sees one slice's two views, says (the paper's "D1 Our Model")."""

    kind: ClassVar[str] = "d1"
    requires: ClassVar[frozenset[str]] = frozenset({"views2"})


@dataclass(frozen=True)
class LearnedI1(LearnedSingle):
    """Go where the network I1, which sees one slice in green, says (the paper's "I1 Our Model")."""

    kind: ClassVar[str] = "i1"
