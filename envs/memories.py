"""What the wrappers remember of episodes: slices at their channels, the last observations, or features."""

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from afsim.errors import AfsimError
from afsim.policy import as_float
from afsim.recollection import AnyRecall, RecentRecall, lanes_of, put_lanes, recall_of
from afsim.sight import Sight, make_sight
from afsim.task import Observation, TaskSpec

IntArray = npt.NDArray[np.int64]


class Memory(Protocol):
    """What N lanes have seen in their episodes; every method works on the lanes (M,) it is given."""

    def space(self, space: spaces.Dict) -> gym.Space[Any]:
        """Return the space of an encoded observation of one lane."""
        ...

    def forget(self, lanes: IntArray) -> None:
        """Begin anew."""
        ...

    def add(self, lanes: IntArray, observation: Observation) -> None:
        """Remember an observation (M lanes)."""
        ...

    def encode(self, lanes: IntArray, observation: Observation) -> Any:
        """Return the observation (M lanes) with what is remembered in place of what is seen now; new arrays."""
        ...


class SliceMemory:
    """Every slice seen, at the channels of its index: (N, n, V, H, W), zero where nothing was seen."""

    def __init__(self, spec: TaskSpec, lanes: int, space: spaces.Dict) -> None:
        image = _image(space)
        self._last = spec.n - 1
        self._seen = np.zeros((lanes, spec.n, *image.shape), image.dtype)

    def space(self, space: spaces.Dict) -> spaces.Dict:
        """Give the image n V channels."""
        box = _image(space)
        low, high = min(0.0, float(box.low.min())), float(box.high.max())  # with room for the zeros
        channels = (self._seen.shape[1] * box.shape[0], *box.shape[1:])
        return spaces.Dict({**space.spaces, "image": spaces.Box(low, high, channels, self._seen.dtype.type)})

    def forget(self, lanes: IntArray) -> None:
        """Begin anew."""
        self._seen[lanes] = 0

    def add(self, lanes: IntArray, observation: Observation) -> None:
        """Put the image at the index nearest to the command."""
        index = np.rint(observation["command"][:, 0].astype(np.float64) * self._last).astype(np.int64)
        self._seen[lanes, index] = observation["image"]

    def encode(self, lanes: IntArray, observation: Observation) -> Observation:
        """Return all slices as channels."""
        images = self._seen[lanes]
        return {**observation, "image": images.reshape(len(images), -1, *images.shape[-2:])}


class RecallMemory:
    """What a recall keeps (:mod:`afsim.recollection`) of features that are taken from each observation."""

    def __init__(self, recall: AnyRecall, lanes: int, take: Callable[[Observation], npt.NDArray[Any]]) -> None:
        self._recall, self._take, self._past = recall, take, recall.begin(lanes)

    def space(self, space: spaces.Dict) -> gym.Space[Any]:
        """Return that of what is told."""
        return self._recall.space(space)

    def forget(self, lanes: IntArray) -> None:
        """Begin anew."""
        put_lanes(self._past, lanes, self._recall.begin(len(lanes)))

    def add(self, lanes: IntArray, observation: Observation) -> None:
        """Take features and remember them."""
        past = lanes_of(self._past, lanes)
        put_lanes(self._past, lanes, self._recall.add(past, self._take(observation), observation))

    def encode(self, lanes: IntArray, observation: Observation) -> Any:
        """Return what is told."""
        return self._recall.tell(lanes_of(self._past, lanes), observation)


def recent_memory(count: int, spec: TaskSpec, lanes: int, space: spaces.Dict) -> RecallMemory:
    """Return the memory of the last ``count`` observations, newest last."""
    image = _image(space)
    assert image.dtype is not None
    return RecallMemory(RecentRecall(count, image.shape, image.dtype), lanes, itemgetter("image"))


def feature_memory(sight: str | Sight, spec: TaskSpec, lanes: int, space: spaces.Dict) -> RecallMemory:
    """Return the memory of what a sight takes from each slice.

    Features are taken from the images, or are there already where the environment plays from a table.
    """
    sees = make_sight(sight, spec) if isinstance(sight, str) else sight
    take: Callable[[Observation], npt.NDArray[Any]] = itemgetter("features")
    if "features" not in space.spaces:
        _image(space)
        take = partial(_take, sees, spec.n - 1)
    return RecallMemory(recall_of(sees, spec), lanes, take)


def _take(sight: Sight, last: int, observation: Observation) -> npt.NDArray[np.generic]:
    command = observation["command"][:, 0].astype(np.float64) * last
    return sight.features(as_float(observation["image"]), command, observation["region"].astype(np.float64))


def _image(space: spaces.Dict) -> spaces.Box:
    image = space.spaces.get("image")
    if not isinstance(image, spaces.Box) or len(image.shape) != 3:
        raise AfsimError(f"expected an autofocus environment with images (views, height, width), got {space}")
    return image
