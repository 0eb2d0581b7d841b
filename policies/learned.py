"""The paper's single-slice networks as policies: D1 from both views, I1 from their sum."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError, UnsuitableError
from afsim.modelkinds import shipped_model
from afsim.policy import Features, FloatArray, FocusPolicy, Memory, Status
from afsim.task import Observation

if TYPE_CHECKING:
    from afsim.modelfile import Model

# Said to be in focus where it is more likely than not to be within one index, as by the policies of disparity.
_LIKELY: Final = 0.5


@dataclass(frozen=True)
class LearnedSingle(FocusPolicy):
    """Base of a policy that goes where a network of a single slice says; again at every step.

    It forgets what it saw before: more steps are more looks, each from nearer. Focused where a look says that the
    focus lies at the index in force, and that within one index of it is more likely than not. A network knows no
    slice that it could not judge, so it never fails by itself.

    Attributes
    ----------
    model : str or None
        File made by ``afsim train``; by default the shipped one, of the rendered training set.

    Raises
    ------
    StoreError
        Where the file is missing or damaged.
    AfsimError
        For a file of another model.
    UnsuitableError
        For stacks of another number of slices than the network's, or patches too small for it.
    """

    kind: ClassVar[str]
    model: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        trained = self.loaded
        found, n = trained.record.training.get("model"), trained.network.config.n
        if found != self.kind:
            raise AfsimError(f"{self.path} is the model {found}, expected {self.kind}")
        if n != self.spec.n:
            raise UnsuitableError(f"{self.path} is for stacks of {n} slices, but these have {self.spec.n}")

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``NAME:FILE``."""
        return {"model": choice}

    @property
    def path(self) -> Path:
        """The network's file."""
        return shipped_model(self.kind) if self.model is None else Path(self.model)

    @property
    def loaded(self) -> "Model":
        """The network and its record, read once."""
        return _load(self.path, _version(self.path))

    @property
    def feature_key(self) -> Hashable:
        """What this network says of a slice."""
        return ("learned", self.path, _version(self.path))

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> FloatArray:
        """Return the probability (N, n) of each index, from each image alone.

        Images go through the network one by one: in a batch, sums are rounded otherwise, and what a lane sees would
        depend on the lanes beside it.
        """
        import torch

        from afsim.networkinput import observe
        from afsim.networks import infer

        turned = self.spec.dp_axis == "rows"
        views = image.swapaxes(-1, -2) if turned else image
        places = np.asarray(region)[:, ::-1] if turned else np.asarray(region)
        n, network, rows = self.spec.n, self.loaded.network, []
        for i in range(len(views)):
            seen = observe(views[i : i + 1], np.asarray(command)[i : i + 1], places[i : i + 1], n)
            rows.append(torch.softmax(infer(network, seen).double(), dim=1).numpy())
        return np.concatenate(rows)

    def decide(self, features: Features, observation: Observation, memory: Memory) -> tuple[FloatArray, Memory]:
        """Go to the most probable index."""
        shares = np.asarray(features, dtype=np.float64)
        lanes, command = np.arange(len(shares)), shares.argmax(axis=1)
        padded = np.pad(shares, ((0, 0), (1, 1)))
        near = padded[lanes, command] + padded[lanes, command + 1] + padded[lanes, command + 2]
        focused = (command == np.rint(self.current(observation))) & (near >= _LIKELY)
        status = np.where(focused, Status.FOCUSED, Status.SEARCHING).astype(np.int8)
        # Shares sum to 1 but for rounding.
        return command.astype(np.float64), Memory(status, np.minimum(near, 1.0).astype(np.float32))


@dataclass(frozen=True)
class LearnedD1(LearnedSingle):
    """Go where the network D1, which sees one slice's two views, says (the paper's "D1 Our Model")."""

    kind: ClassVar[str] = "d1"
    requires: ClassVar[frozenset[str]] = frozenset({"views2"})


@dataclass(frozen=True)
class LearnedI1(LearnedSingle):
    """Go where the network I1, which sees one slice in green, says (the paper's "I1 Our Model")."""

    kind: ClassVar[str] = "i1"


def _version(path: Path) -> int:
    """Return what changes when a file does; 0 where there is none, so that reading it tells."""
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=16)
def _load(path: Path, version: int) -> "Model":
    from afsim.modelfile import load

    return load(path)
