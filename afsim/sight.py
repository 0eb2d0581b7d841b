"""What a learning agent takes from a slice: numbers that two cores can learn from, or its pixels.

A sight that is not of pixels says two things of a slice: evidence, a logarithm for every index, which adds up over
slices; and marks, numbers that belong to the slice's own index. Which of them there are depends on the sight alone.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from afsim.checks import check_whole
from afsim.errors import AfsimError, UnsuitableError, unknown
from afsim.measures import mean_local_norm_dist_sq
from afsim.modelkinds import shipped_model
from afsim.options import convert
from afsim.patch_disparity import get_estimator
from afsim.readmodel import load_once, log_probabilities, single_looks
from afsim.taskspec import TaskSpec

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
Features = npt.NDArray[np.generic]

# The largest shift that disparity tries: it covers the whole sweep, as the reach of 16 of ``zncc_disparity`` does.
_REACH: Final = 16
# Three looks are the fewest that bracket a peak.
_RECENT: Final = 3
# A slice without any contrast is taken to have this much, far below what noise alone has.
_LEAST_CONTRAST: Final = 1e-12


class Sight(Protocol):
    """What is taken from each slice; pure, hence cacheable."""

    @property
    def evidence(self) -> int:
        """Number of indices that a slice says something of: n or 0."""
        ...

    @property
    def marks(self) -> tuple[str, ...]:
        """What each number is that belongs to the slice's own index: contrast, shift or sureness."""
        ...

    @property
    def feature_key(self) -> Hashable:
        """What tells apart the features of two sights, on any machine."""
        ...

    def features(self, image: Float32Array, command: FloatArray, region: FloatArray) -> Features:
        """Return evidence and marks (N, F) of images (N, V, H, W) at commands (N,) of regions (N, 2)."""
        ...


@dataclass(frozen=True)
class ContrastSight:
    """Contrast, and with two views the disparity between them and its sureness; as classical policies see.

    The marks are the logarithm of the contrast (the measure with the paper's best mean absolute error), the shift
    over the reach of 16 pixels (0 where there is no texture), and the sureness in [0, 1].
    """

    spec: TaskSpec

    evidence = 0

    def __post_init__(self) -> None:
        along = self.spec.width if self.spec.dp_axis == "columns" else self.spec.height
        if self.spec.views == 2 and along <= 2 * _REACH:
            raise UnsuitableError(
                f"sight 'contrast' needs more than {2 * _REACH} pixels along the shift, got {along}"
            )

    @property
    def marks(self) -> tuple[str, ...]:
        """Contrast alone, or with shift and sureness."""
        return ("contrast", "shift", "sureness") if self.spec.views == 2 else ("contrast",)

    @property
    def feature_key(self) -> Hashable:
        """Contrast, and along which axis views are shifted."""
        return ("sight", "contrast", self.spec.dp_axis if self.spec.views == 2 else "")

    def features(self, image: Float32Array, command: FloatArray, region: FloatArray) -> Float32Array:
        """Return the marks (N, 1) or (N, 3)."""
        columns = [_log_contrast(image)]
        if self.spec.views == 2:
            views = image if self.spec.dp_axis == "columns" else image.swapaxes(-1, -2)
            shift, sureness = get_estimator("zncc")(views, reach=_REACH)
            columns += [np.nan_to_num(shift) / _REACH, np.nan_to_num(sureness)]
        return np.stack(columns, axis=1).astype(np.float32)


@dataclass(frozen=True)
class NetworkSight:
    """What a frozen network of one slice says of each index, and the contrast.

    Attributes
    ----------
    spec : TaskSpec
        Of the task.
    model : Path
        File of an i1 or d1.

    Raises
    ------
    StoreError
        Where the file is missing or damaged.
    UnsuitableError
        For a network of stacks with another number of slices or fewer views.
    """

    spec: TaskSpec
    model: Path

    marks = ("contrast",)

    def __post_init__(self) -> None:
        trained = load_once(self.model)
        kind, n = trained.record.training.get("model"), trained.network.config.n
        if kind not in ("i1", "d1"):
            raise AfsimError(f"{self.model} is the model {kind}, expected i1 or d1")
        if n != self.spec.n:
            raise UnsuitableError(f"{self.model} is for stacks of {n} slices, but these have {self.spec.n}")
        if kind == "d1" and self.spec.views != 2:
            raise UnsuitableError(f"{self.model} needs dual-pixel stacks (2 views), but these have 1 view")

    @property
    def evidence(self) -> int:
        """All indices."""
        return self.spec.n

    @property
    def feature_key(self) -> Hashable:
        """The network's bytes, and along which axis views are shifted."""
        return ("sight", "network", sha256(self.model.read_bytes()).hexdigest(), self.spec.dp_axis)

    def features(self, image: Float32Array, command: FloatArray, region: FloatArray) -> Float32Array:
        """Return the logarithms of the probabilities, and that of the contrast (N, n + 1)."""
        looks = single_looks(self.spec, image, command, region)
        said = log_probabilities(load_once(self.model), looks)
        return np.concatenate([said, _log_contrast(image)[:, None]], axis=1).astype(np.float32)


@dataclass(frozen=True)
class PixelSight:
    """The pixels themselves, in eight bits; an agent is shown the last ``count`` slices that it has seen."""

    count: int = _RECENT

    evidence = 0
    marks = ()
    feature_key = ("sight", "pixels")

    def __post_init__(self) -> None:
        check_whole("count of the sight 'pixels'", self.count, least=1)

    def features(self, image: Float32Array, command: FloatArray, region: FloatArray) -> npt.NDArray[np.uint8]:
        """Return the images (N, V, H, W), 255 at the white level."""
        levels: npt.NDArray[np.uint8] = np.rint(np.clip(image, 0.0, 1.0) * np.float32(255.0)).astype(np.uint8)
        return levels


def _log_contrast(image: Float32Array) -> FloatArray:
    green = np.asarray(image.mean(axis=1), dtype=np.float32)
    return np.log(np.maximum(mean_local_norm_dist_sq(green), _LEAST_CONTRAST))


def _network(spec: TaskSpec, choice: str) -> Sight:
    name = choice or ("d1" if spec.views == 2 else "i1")
    return NetworkSight(spec, shipped_model(name) if name in ("i1", "d1") else Path(name))


def _contrast(spec: TaskSpec, choice: str) -> Sight:
    if choice:
        raise AfsimError(f"sight 'contrast' has nothing to choose, got {choice!r} after the colon")
    return ContrastSight(spec)


def _pixels(spec: TaskSpec, choice: str) -> Sight:
    return PixelSight(convert(choice, _RECENT, "count of the sight 'pixels'")) if choice else PixelSight()


SIGHTS: Final[dict[str, Callable[[TaskSpec, str], Sight]]] = {
    "contrast": _contrast,
    "network": _network,
    "pixels": _pixels,
}


def make_sight(text: str, spec: TaskSpec) -> Sight:
    """Return ``contrast``; ``network``, perhaps ``network:i1`` or ``network:FILE``; or ``pixels:COUNT``.

    Raises
    ------
    AfsimError
        For a name that does not exist.
    UnsuitableError
        For a task that lacks what the sight needs.
    """
    name, _, choice = text.partition(":")
    if name not in SIGHTS:
        raise unknown("sight", name, SIGHTS)
    return SIGHTS[name](spec, choice)
