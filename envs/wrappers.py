"""Wrappers that give a policy without memory what it has seen so far in the episode.

Two encodings, each for the single and the vector environment over one batched memory: every slice at its own
channels (the paper's), or the last few observations one after the other.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from afsim.errors import AfsimError
from afsim.task import Observation, TaskSpec

IntArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_UNSEEN: Final = -1.0


class Memory(Protocol):
    """What N lanes have seen in their episodes; every method works on the lanes (M,) it is given."""

    def space(self, space: spaces.Dict) -> spaces.Dict:
        """Return the space of an encoded observation of one lane."""
        ...

    def forget(self, lanes: IntArray) -> None:
        """Begin anew."""
        ...

    def add(self, lanes: IntArray, observation: Observation) -> None:
        """Remember an observation (M lanes)."""
        ...

    def encode(self, lanes: IntArray, observation: Observation) -> Observation:
        """Return the observation (M lanes) with what is remembered in place of what is seen now; new arrays."""
        ...


class SliceMemory:
    """Every slice seen, at the channels of its index: (N, n, V, H, W), zero where nothing was seen."""

    def __init__(self, spec: TaskSpec, lanes: int, image: spaces.Box) -> None:
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
        index = np.rint(observation["command"][:, 0].astype(np.float64) * self._last).astype(np.int64)
        self._seen[lanes, index] = observation["image"]

    def encode(self, lanes: IntArray, observation: Observation) -> Observation:
        """Return all slices as channels."""
        return {**observation, "image": _as_channels(self._seen[lanes])}


class RecentMemory:
    """The last ``count`` observations, newest last: images (N, count, V, H, W) and commands (N, count)."""

    def __init__(self, count: int, lanes: int, image: spaces.Box) -> None:
        if count < 1:
            raise AfsimError(f"count must be at least 1 observation, got {count}")
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


MakeMemory = Callable[[TaskSpec, int, spaces.Box], Memory]


def _memory(env: Any, space: gym.Space[Any], lanes: int, make: MakeMemory) -> tuple[Memory, spaces.Dict]:
    """Return the memory for an environment and the space of its encoded observations."""
    spec = getattr(env.unwrapped, "task_spec", None)
    image = space.spaces.get("image") if isinstance(space, spaces.Dict) else None
    if not isinstance(spec, TaskSpec) or not isinstance(image, spaces.Box) or len(image.shape) != 3:
        raise AfsimError(f"expected an autofocus environment with images (views, height, width), got {env}")
    assert isinstance(space, spaces.Dict)
    memory = make(spec, lanes, image)
    return memory, memory.space(space)


class _Remembering(gym.Wrapper[dict[str, Any], Any, dict[str, Any], Any]):
    """A memory around the single environment: lane 0 of it."""

    def __init__(self, env: gym.Env[dict[str, Any], Any], make: MakeMemory) -> None:
        super().__init__(env)
        self._memory, self.observation_space = _memory(env, env.observation_space, 1, make)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode, with nothing remembered."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._memory.forget(np.zeros(1, np.int64))
        return self._remember(observation), info

    def step(self, action: Any) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Step, and remember what is seen."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._remember(observation), reward, terminated, truncated, info

    def _remember(self, observation: Observation) -> Observation:
        lane = np.zeros(1, np.int64)
        batch = {name: value[None] for name, value in observation.items()}
        self._memory.add(lane, batch)
        return {name: value[0] for name, value in self._memory.encode(lane, batch).items()}


class _VectorRemembering(VectorWrapper[Observation, Any, Observation, Any, npt.NDArray[Any]]):
    """A memory around the vector environment, in every autoreset mode."""

    def __init__(self, env: VectorEnv[Observation, Any, npt.NDArray[Any]], make: MakeMemory) -> None:
        super().__init__(env)
        self._memory, space = _memory(env, env.single_observation_space, env.num_envs, make)
        self.single_observation_space, self.observation_space = space, batch_space(space, env.num_envs)
        self._lanes = np.arange(env.num_envs)
        self._ended = np.zeros(env.num_envs, dtype=np.bool_)
        self._mode = env.metadata["autoreset_mode"]

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin episodes; the lanes outside ``options["reset_mask"]`` keep what they remember."""
        mask = (options or {}).get("reset_mask")
        # SyncVectorEnv takes the mask out of the options it is given.
        begun = self._lanes if mask is None else np.flatnonzero(mask)
        observation, info = self.env.reset(seed=seed, options=options)
        self._memory.forget(begun)
        self._memory.add(begun, {name: values[begun] for name, values in observation.items()})
        self._ended[begun] = False
        return self._memory.encode(self._lanes, observation), info

    def step(self, actions: Any) -> tuple[Observation, Any, Any, Any, dict[str, Any]]:
        """Step, and remember what is seen; an episode that begins by itself begins with nothing remembered."""
        observation, rewards, terminated, truncated, info = self.env.step(actions)
        ended = terminated | truncated
        if self._mode is AutoresetMode.SAME_STEP:
            if ended.any():
                info = {**info, "final_obs": self._final(info["final_obs"], ended)}
            self._memory.forget(np.flatnonzero(ended))
        elif self._mode is AutoresetMode.NEXT_STEP:
            self._memory.forget(np.flatnonzero(self._ended))
        self._ended = ended
        self._memory.add(self._lanes, observation)
        return self._memory.encode(self._lanes, observation), rewards, terminated, truncated, info

    def _final(self, last: npt.NDArray[np.object_], ended: Mask) -> npt.NDArray[np.object_]:
        """Return the last observations (N,) of the episodes that have ended, encoded."""
        lanes = np.flatnonzero(ended)
        batch = {name: np.stack([last[lane][name] for lane in lanes]) for name in last[lanes[0]]}
        self._memory.add(lanes, batch)
        encoded = self._memory.encode(lanes, batch)
        final = np.full(len(last), None, dtype=object)
        for row, lane in enumerate(lanes):
            final[lane] = {name: values[row] for name, values in encoded.items()}
        return final


class OneHotSlices(_Remembering, gym.utils.RecordConstructorArgs):
    """Every slice seen in this episode at its own channels, the paper's encoding (section 4).

    ``image`` becomes (n V, H, W) of the same type: with two views, channels (2k, 2k+1) are the left and right view
    of slice k, zero until it is seen. A command between slices counts as the nearest.
    """

    def __init__(self, env: gym.Env[dict[str, Any], Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env, SliceMemory)


class VectorOneHotSlices(_VectorRemembering):
    """:class:`OneHotSlices` for vector environments."""

    def __init__(self, env: VectorEnv[Observation, Any, npt.NDArray[Any]]) -> None:
        super().__init__(env, SliceMemory)


class LastObservations(_Remembering, gym.utils.RecordConstructorArgs):
    """The last ``count`` observations of this episode, newest last.

    ``image`` becomes (count V, H, W) and ``command`` (count,). What is not seen yet has an image of zeros and the
    command -1, which no observation has and which so serves as the mask.
    """

    def __init__(self, env: gym.Env[dict[str, Any], Any], count: int) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, count=count)
        super().__init__(env, lambda spec, lanes, image: RecentMemory(count, lanes, image))


class VectorLastObservations(_VectorRemembering):
    """:class:`LastObservations` for vector environments."""

    def __init__(self, env: VectorEnv[Observation, Any, npt.NDArray[Any]], count: int) -> None:
        super().__init__(env, lambda spec, lanes, image: RecentMemory(count, lanes, image))
