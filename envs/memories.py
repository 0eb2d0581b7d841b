"""What the wrappers remember of episodes: slices at their channels, the last observations, or features."""

from typing import Any, Final, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from afsim.errors import AfsimError
from afsim.policy import as_float
from afsim.recollection import Recall
from afsim.sight import Sight, make_sight
from afsim.task import Observation, TaskSpec

IntArray = npt.NDArray[np.int64]

_UNSEEN: Final = -1.0


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
        return _with_boxes(space, image=_stacked(space["image"], self._seen.shape[1]))

    def forget(self, lanes: IntArray) -> None:
        """Begin anew."""
        self._seen[lanes] = 0

    def add(self, lanes: IntArray, observation: Observation) -> None:
        """Put the image at the index nearest to the command."""
        index = _nearest(observation["command"][:, 0].astype(np.float64) * self._last)
        self._seen[lanes, index] = observation["image"]

    def encode(self, lanes: IntArray, observation: Observation) -> Observation:
        """Return all slices as channels."""
        return {**observation, "image": _as_channels(self._seen[lanes])}


class RecentMemory:
    """The last ``count`` observations, newest last: images (N, count, V, H, W) and commands (N, count)."""

    def __init__(self, count: int, lanes: int, space: spaces.Dict) -> None:
        if count < 1:
            raise AfsimError(f"count must be at least 1 observation, got {count}")
        image = _image(space)
        self._images = np.zeros((lanes, count, *image.shape), image.dtype)
        self._commands = np.full((lanes, count), _UNSEEN, np.float32)

    def space(self, space: spaces.Dict) -> spaces.Dict:
        """Give the image count V channels and the command count entries."""
        count = self._commands.shape[1]
        command = spaces.Box(_UNSEEN, 1.0, (count,), np.float32)
        return _with_boxes(space, image=_stacked(space["image"], count), command=command)

    def forget(self, lanes: IntArray) -> None:
        """Begin anew."""
        self._images[lanes], self._commands[lanes] = 0, _UNSEEN

    def add(self, lanes: IntArray, observation: Observation) -> None:
        """Drop the oldest and append this one."""
        images, commands = self._images[lanes], self._commands[lanes]
        self._images[lanes, :-1], self._commands[lanes, :-1] = images[:, 1:], commands[:, 1:]
        self._images[lanes, -1], self._commands[lanes, -1] = observation["image"], observation["command"][:, 0]

    def encode(self, lanes: IntArray, observation: Observation) -> Observation:
        """Return the images as channels, oldest first, and their commands."""
        return {**observation, "image": _as_channels(self._images[lanes]), "command": self._commands[lanes]}


class FeatureMemory:
    """What a sight takes from each slice (:mod:`afsim.recollection`), told as a vector.

    Features are taken from the images, or are there already where the environment plays from a table.
    """

    def __init__(self, sight: str | Sight, spec: TaskSpec, lanes: int, space: spaces.Dict) -> None:
        self._sight = make_sight(sight, spec) if isinstance(sight, str) else sight
        self._recall = Recall.of(self._sight, spec)
        self._past = self._recall.begin(lanes)
        self._last = spec.n - 1
        if "features" not in space.spaces:
            _image(space)
        elif space["features"].shape != (self._recall.features,):
            raise AfsimError(
                f"the environment's table has features of shape {space['features'].shape}, the sight "
                f"({self._recall.features},): it is of another sight"
            )

    def space(self, space: spaces.Dict) -> spaces.Box:
        """Return that of the vector."""
        return spaces.Box(-1.0, 1.0, (self._recall.size,), np.float32)

    def forget(self, lanes: IntArray) -> None:
        """Begin anew."""
        self._past.put(lanes, self._recall.begin(len(lanes)))

    def add(self, lanes: IntArray, observation: Observation) -> None:
        """Take features and remember them."""
        command = observation["command"][:, 0].astype(np.float64) * self._last
        features = observation.get("features")
        if features is None:
            image, region = as_float(observation["image"]), observation["region"].astype(np.float64)
            features = self._sight.features(image, command, region)
        seen = features.astype(np.float32, copy=False)
        self._past.put(lanes, self._recall.add(self._past.of(lanes), seen, _nearest(command)))

    def encode(self, lanes: IntArray, observation: Observation) -> npt.NDArray[np.float32]:
        """Return the vectors."""
        index = _nearest(observation["command"][:, 0].astype(np.float64) * self._last)
        steps_left, region = (observation[name].astype(np.float32) for name in ("steps_left", "region"))
        return self._recall.tell(self._past.of(lanes), index, steps_left[:, 0], region)


def _nearest(command: npt.NDArray[np.float64]) -> IntArray:
    return np.rint(command).astype(np.int64)


def _image(space: spaces.Dict) -> spaces.Box:
    image = space.spaces.get("image")
    if not isinstance(image, spaces.Box) or len(image.shape) != 3:
        raise AfsimError(f"expected an autofocus environment with images (views, height, width), got {space}")
    return image


def _as_channels(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    lanes, count, views, height, width = images.shape
    return images.reshape(lanes, count * views, height, width)


def _stacked(box: gym.Space[Any], count: int) -> spaces.Box:
    """Return the space of ``count`` images as channels, with room for the zeros of those not seen."""
    assert isinstance(box, spaces.Box)
    assert box.dtype is not None
    views, height, width = box.shape
    low, high = min(0.0, float(box.low.min())), float(box.high.max())
    return spaces.Box(low, high, (count * views, height, width), box.dtype.type)


def _with_boxes(space: spaces.Dict, **boxes: spaces.Box) -> spaces.Dict:
    return spaces.Dict({**space.spaces, **boxes})
