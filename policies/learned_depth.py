"""Our stand-in for the paper's row "Learned Depth": relative inverse depth of one slice, calibrated."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from afsim.errors import UnsuitableError
from afsim.optics import diopters_of_index, nearest_index
from afsim.policy import Features, FloatArray, FocusPolicy, Memory, Status
from afsim.readonce import file_version, read_once
from afsim.task import Observation

if TYPE_CHECKING:
    from afsim.depthfile import DepthModel


@dataclass(frozen=True)
class LearnedDepth(FocusPolicy):
    """Go to the depth that a network sees in one slice's two views; again at every step.

    Its values are relative: what they mean in dioptres is calibrated for each focus distance of the lens. Focused
    where it says the index in force. It knows no slice that it could not judge, so it never fails by itself.

    Attributes
    ----------
    model : str or None
        File made by ``afsim fit learned_depth``; by default the shipped one, of the rendered training set.

    Raises
    ------
    StoreError
        Where the file is missing or damaged.
    UnsuitableError
        Where none is shipped, so that a comparison of all policies goes on without it; for stacks with focus
        distances beyond those calibrated.
    """

    requires: ClassVar[frozenset[str]] = frozenset({"views2", "diopters"})
    model: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        calibrated = self.loaded.calibration
        if not calibrated.covers(self.table):
            wide = calibrated.diopters
            raise UnsuitableError(
                f"{self.path} is calibrated from {wide[0]:g} to {wide[-1]:g} dioptres, "
                f"but these stacks range from {self.table[0]:g} to {self.table[-1]:g}"
            )

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``NAME:FILE``."""
        return {"model": choice}

    @cached_property
    def path(self) -> Path:
        """The model's file."""
        from afsim.depthfile import shipped_depth

        path = Path(self.model) if self.model is not None else shipped_depth()
        if path is None:
            raise UnsuitableError(
                "no model of learned_depth is shipped; fit one: "
                "afsim fit learned_depth --stacks SET --out FILE, then learned_depth:FILE"
            )
        return path

    @property
    def loaded(self) -> "DepthModel":
        """Network and calibration, read once."""
        return _load_once(self.path)

    @cached_property
    def table(self) -> FloatArray:
        """Focus distances (n,) of the stacks in dioptres."""
        return np.asarray(self.spec.diopters, dtype=np.float64)

    @property
    def feature_key(self) -> Hashable:
        """Who says what of a slice."""
        return ("learned_depth", self.path, file_version(self.path))

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> FloatArray:
        """Return the relative inverse depth (N,) of each image, in no unit.

        Images go through the network one by one: in a batch, sums are rounded otherwise, and what a lane sees would
        depend on the lanes beside it.
        """
        import torch

        views = image if self.spec.dp_axis == "columns" else image.swapaxes(-1, -2)
        with torch.inference_mode():
            # Each copied: how sums are rounded would also depend on where and how an image lies in memory.
            said = [self.loaded.network(torch.from_numpy(one[None].copy("C"))) for one in views]
        return np.concatenate([one.double().numpy() for one in said]) if said else np.zeros(0)

    def decide(self, features: Features, observation: Observation, memory: Memory) -> tuple[FloatArray, Memory]:
        """Go to the index nearest in dioptres to what was seen."""
        stands, calibrated = self.current(observation), self.loaded.calibration
        focus = diopters_of_index(stands, self.table)
        depth = calibrated.depth(features, focus).clip(self.table[0], self.table[-1])
        command = nearest_index(depth, self.table)
        likely = calibrated.within_one(focus, np.gradient(self.table)[command])
        status = np.where(command == np.rint(stands), Status.FOCUSED, Status.SEARCHING)
        return command.astype(np.float64), Memory(status.astype(np.int8), likely.astype(np.float32))


def _load(path: Path) -> "DepthModel":
    from afsim.depthfile import load_depth

    return load_depth(path)


_load_once: Final = read_once(_load)
