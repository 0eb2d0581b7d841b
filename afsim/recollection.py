"""What a learning agent remembers of an episode, and what it decides from: a flat vector, or its last images.

The environments encode with it what policies in their seat encode: there is no second path.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from afsim.errors import AfsimError
from afsim.sight import PixelSight, Sight
from afsim.task import Observation
from afsim.taskspec import TaskSpec

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
AnyFeatures = npt.NDArray[Any]

M = TypeVar("M", bound=tuple[Any, ...])

# Evidence and contrast are logarithms, told as how far they lie below the best; beyond this it does not matter.
EVIDENCE_SCALE: Final = 20.0
# Contrast is told twice. On bench-val the median slice lies 0.03 below the best where it is one slice from the
# focus, 0.16 where it is three, and 1.2 where it is fifteen.
_CONTRAST_BELOW: Final = (4.0, 0.2)
# No command is below 0, so this one marks a place where nothing was seen yet.
_UNSEEN: Final = -1.0


class AnyRecall(Protocol):
    """How what is remembered of N lanes begins, grows and is told; all functions are pure."""

    @property
    def features(self) -> int:
        """How many numbers are taken from a slice."""
        ...

    def space(self, observation: spaces.Dict) -> gym.Space[Any]:
        """Return the space of what is told of one lane, of an environment's own observations."""
        ...

    def begin(self, lanes: int) -> Any:
        """Return what is remembered before anything is seen: a named tuple of arrays (N, ...)."""
        ...

    def add(self, past: Any, features: AnyFeatures, observation: Observation) -> Any:
        """Return what is remembered with the features (N, ...) of what is observed."""
        ...

    def tell(self, past: Any, observation: Observation) -> Any:
        """Return what an agent decides from, N lanes of it: new arrays."""
        ...


def lanes_of(past: M, lanes: IntArray) -> M:
    """Return what some lanes (M,) remember; copies."""
    whole: Any = past
    return type(whole)(*(part[lanes] for part in whole))  # type: ignore[no-any-return]


def put_lanes(past: M, lanes: IntArray, part: M) -> None:
    """Write what some lanes remember in place."""
    for whole, some in zip(past, part, strict=True):
        whole[lanes] = some


def recall_of(sight: Sight, spec: TaskSpec) -> AnyRecall:
    """Return how what a sight takes from the slices of a task is remembered."""
    if isinstance(sight, PixelSight):
        return PixelRecall(sight.count, (spec.views, spec.height, spec.width), np.dtype(np.uint8))
    return Recall(spec.n, sight.evidence, sight.marks)


class RecentLooks(NamedTuple):
    """The last observations of N lanes, newest last.

    Attributes
    ----------
    images : (N, count, V, H, W)
        Zeros where nothing was seen yet.
    commands : (N, count) float32
        Over n-1; -1 where nothing was seen yet, which no command is.
    """

    images: AnyFeatures
    commands: Float32Array


@dataclass(frozen=True)
class RecentRecall:
    """The last ``count`` images of a shape (V, H, W) and type, with their commands."""

    count: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __post_init__(self) -> None:
        if self.count < 1:
            raise AfsimError(f"count must be at least 1 observation, got {self.count}")

    @property
    def features(self) -> int:
        """All pixels."""
        return int(np.prod(self.shape))

    def space(self, observation: spaces.Dict) -> spaces.Dict:
        """Give the image count V channels, with room for zeros, and the command count entries."""
        image = observation["image"]
        assert isinstance(image, spaces.Box)
        low, high = min(0.0, float(image.low.min())), float(image.high.max())
        channels = (self.count * self.shape[0], *self.shape[1:])
        images = spaces.Box(low, high, channels, self.dtype.type)
        commands = spaces.Box(_UNSEEN, 1.0, (self.count,), np.float32)
        return spaces.Dict({**observation.spaces, "image": images, "command": commands})

    def begin(self, lanes: int) -> RecentLooks:
        """Return what is remembered before anything is seen."""
        images = np.zeros((lanes, self.count, *self.shape), self.dtype)
        return RecentLooks(images, np.full((lanes, self.count), _UNSEEN, np.float32))

    def add(self, past: RecentLooks, features: AnyFeatures, observation: Observation) -> RecentLooks:
        """Drop the oldest and append this one: images (N, V, H, W)."""
        command = observation["command"].astype(np.float32)
        images = np.concatenate([past.images[:, 1:], features[:, None]], axis=1, dtype=self.dtype)
        return RecentLooks(images, np.concatenate([past.commands[:, 1:], command], axis=1))

    def tell(self, past: RecentLooks, observation: Observation) -> Observation:
        """Return the images as channels, oldest first, their commands, and the rest as it was observed."""
        lanes, count, views, height, width = past.images.shape
        images = past.images.reshape(lanes, count * views, height, width).copy()
        return {**observation, "image": images, "command": past.commands.copy()}


@dataclass(frozen=True)
class PixelRecall(RecentRecall):
    """The last images in eight bits, whatever the environment's are, and the steps left on one scale.

    So agents meet one space under every budget.
    """

    def space(self, observation: spaces.Dict) -> spaces.Dict:
        """Give images of 0 ... 255, and steps left of 0 ... 1."""
        levels = spaces.Box(0, 255, self.shape, np.uint8)
        steps_left = spaces.Box(0.0, 1.0, (1,), np.float32)
        return super().space(spaces.Dict({**observation.spaces, "image": levels, "steps_left": steps_left}))

    def tell(self, past: RecentLooks, observation: Observation) -> Observation:
        """Return the images, their commands, the region, and one over the steps left."""
        return super().tell(past, {**observation, "steps_left": _urgency(observation)})


class Recollection(NamedTuple):
    """What N lanes have seen.

    Attributes
    ----------
    evidence : (N, E) float32
        The sum of what each slice says of every index; E = n or 0.
    latest : (N, E) float32
        What the last look says of them: where a lens errs, looks at other commands do not agree.
    marks : (N, C, n) float32
        What was seen at each index; 0 where nothing was.
    seen : (N, n) bool
        Which indices have been looked at. One that is seen again adds nothing to the sum, and keeps its marks.
    """

    evidence: Float32Array
    latest: Float32Array
    marks: Float32Array
    seen: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Recall:
    """Features of slices: evidence that adds up, and marks at their indices; told as a vector."""

    n: int
    evidence: int
    marks: tuple[str, ...]

    @property
    def features(self) -> int:
        """How many numbers a sight takes from a slice."""
        return self.evidence + len(self.marks)

    @property
    def reach(self) -> int:
        """From how many indices about the one in force a vector tells: all that there can be, 2n-1."""
        return 2 * self.n - 1

    @property
    def size(self) -> int:
        """Length of the vector."""
        contrasts = (len(_CONTRAST_BELOW) - 1) * self.marks.count("contrast")
        return ((3 if self.evidence else 0) + len(self.marks) + contrasts + 1) * self.reach + 4

    def space(self, observation: spaces.Dict) -> spaces.Box:
        """Return that of the vector.

        Raises
        ------
        AfsimError
            For an environment that plays from a table of another sight.
        """
        table = observation.spaces.get("features")
        if table is not None and table.shape != (self.features,):
            raise AfsimError(
                f"the environment's table has features of shape {table.shape}, the sight ({self.features},): "
                "it is of another sight"
            )
        return spaces.Box(-1.0, 1.0, (self.size,), np.float32)

    def begin(self, lanes: int) -> Recollection:
        """Return what is remembered before anything is seen."""
        marks = np.zeros((lanes, len(self.marks), self.n), np.float32)
        evidence, seen = np.zeros((lanes, self.evidence), np.float32), np.zeros((lanes, self.n), np.bool_)
        return Recollection(evidence, evidence.copy(), marks, seen)

    def add(self, past: Recollection, features: AnyFeatures, observation: Observation) -> Recollection:
        """Return the recollection with the features (N, F) seen at the index nearest to each lane's command.

        Raises
        ------
        AfsimError
            For features of another sight.
        """
        index = self._index(observation)
        lanes = np.arange(len(index))
        if features.shape != (len(index), self.features):
            wanted = (len(index), self.features)
            raise AfsimError(f"features must be of shape {wanted}, got {features.shape}: of another sight?")
        new = ~past.seen[lanes, index]
        latest = features[:, : self.evidence].astype(np.float32)
        evidence = past.evidence + np.where(new[:, None], latest, np.float32(0))
        marks, seen = past.marks.copy(), past.seen.copy()
        kept = marks[lanes, :, index]
        marks[lanes, :, index] = np.where(new[:, None], features[:, self.evidence :], kept)
        seen[lanes, index] = True
        return Recollection(evidence, latest, marks, seen)

    def tell(self, past: Recollection, observation: Observation) -> Float32Array:
        """Return the vectors (N, size) in [-1, 1]: what is remembered, as seen from the index in force.

        Parts of 2n-1 numbers, the index in force in their middle, so that what an agent learns at one index holds
        at all: where the sight has evidence, the probability of each index, its log-probability (over 20), and that
        from the last look alone; each mark, the contrast as a logarithm relative to the best seen, once over 4 and
        once over 0.2, at least -1, and -1 where nothing was seen; which indices were seen, -1 for those that there
        are not. Then the index in force as a number, one over the steps left, and the region's x and y.
        """
        index, parts = self._index(observation), list[Float32Array]()
        if self.evidence:
            below = past.evidence - past.evidence.max(axis=1, keepdims=True)
            shares = np.exp(below)
            parts.append(_about(index, shares / shares.sum(axis=1, keepdims=True), 0.0))
            parts.append(_about(index, np.maximum(below / EVIDENCE_SCALE, -1.0), -1.0))
            below = past.latest - past.latest.max(axis=1, keepdims=True)
            parts.append(_about(index, np.maximum(below / EVIDENCE_SCALE, -1.0), -1.0))
        for place, name in enumerate(self.marks):
            mark = past.marks[:, place]
            if name != "contrast":
                parts.append(_about(index, np.clip(mark, -1.0, 1.0), 0.0))
                continue
            below = mark - np.where(past.seen, mark, -np.inf).max(axis=1, keepdims=True)
            for scale in _CONTRAST_BELOW:
                parts.append(_about(index, np.where(past.seen, np.maximum(below / scale, -1.0), -1.0), -1.0))
        urgency = _urgency(observation)[:, 0]
        region = observation["region"].astype(np.float32)
        numbers: list[npt.NDArray[Any]] = [index / (self.n - 1), urgency, region[:, 0], region[:, 1]]
        parts += [_about(index, past.seen, -1.0), np.stack(numbers, axis=1).astype(np.float32)]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def _index(self, observation: Observation) -> IntArray:
        """Return the index (N,) nearest to each command in force."""
        return np.rint(observation["command"][:, 0].astype(np.float64) * (self.n - 1)).astype(np.int64)


def _urgency(observation: Observation) -> Float32Array:
    """Return one over the steps left (N, 1): what the last step asks for differs most from what all others do."""
    left = np.maximum(observation["steps_left"].astype(np.float32), np.float32(1.0))
    return np.reciprocal(left)


def _about(index: IntArray, values: npt.NDArray[np.generic], nothing: float) -> Float32Array:
    """Return values (N, n) of indices as (N, 2n-1) about an index (N,) of each, ``nothing`` beyond the ends."""
    lanes, n = values.shape
    padded = np.full((lanes, 3 * n - 2), nothing, np.float32)
    padded[:, n - 1 : 2 * n - 1] = values
    return np.take_along_axis(padded, index[:, None] + np.arange(2 * n - 1), axis=1)
