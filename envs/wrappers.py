"""Wrappers that give a policy without memory what it has seen so far in the episode.

Three encodings, each for the single and the vector environment over one batched memory: every slice at its own
channels (the paper's), the last few observations one after the other, or a vector of features.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from afsim.envs.memories import Memory, SliceMemory, feature_memory, recent_memory
from afsim.errors import AfsimError
from afsim.sight import Sight
from afsim.task import Observation, TaskSpec

IntArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


MakeMemory = Callable[[TaskSpec, int, spaces.Dict], Memory]


def _memory(env: Any, space: gym.Space[Any], lanes: int, make: MakeMemory) -> tuple[Memory, gym.Space[Any]]:
    """Return the memory for an environment and the space of its encoded observations."""
    spec = getattr(env.unwrapped, "task_spec", None)
    if not isinstance(spec, TaskSpec) or not isinstance(space, spaces.Dict):
        raise AfsimError(f"expected an autofocus environment with observations as a dict, got {env}")
    memory = make(spec, lanes, space)
    return memory, memory.space(space)


def _row(encoded: Any, row: int) -> Any:
    """Return one lane of what is encoded: of a dict of arrays, or of an array."""
    return {name: value[row] for name, value in encoded.items()} if isinstance(encoded, dict) else encoded[row]


class _Remembering(gym.Wrapper[Any, Any, dict[str, Any], Any]):
    """A memory around the single environment: lane 0 of it."""

    def __init__(self, env: gym.Env[dict[str, Any], Any], make: MakeMemory) -> None:
        super().__init__(env)
        self._memory, self.observation_space = _memory(env, env.observation_space, 1, make)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, with nothing remembered."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._memory.forget(np.zeros(1, np.int64))
        return self._remember(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and remember what is seen."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._remember(observation), reward, terminated, truncated, info

    def _remember(self, observation: Observation) -> Any:
        lane = np.zeros(1, np.int64)
        batch = {name: value[None] for name, value in observation.items()}
        self._memory.add(lane, batch)
        return _row(self._memory.encode(lane, batch), 0)


class _VectorRemembering(VectorWrapper[Any, Any, Observation, Any, npt.NDArray[Any]]):
    """A memory around the vector environment, in every autoreset mode."""

    def __init__(self, env: VectorEnv[Observation, Any, npt.NDArray[Any]], make: MakeMemory) -> None:
        super().__init__(env)
        self._memory, space = _memory(env, env.single_observation_space, env.num_envs, make)
        self.single_observation_space, self.observation_space = space, batch_space(space, env.num_envs)
        self._lanes = np.arange(env.num_envs)
        self._ended = np.zeros(env.num_envs, dtype=np.bool_)
        self._mode = env.metadata["autoreset_mode"]

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin episodes; the lanes outside ``options["reset_mask"]`` keep what they remember."""
        mask = (options or {}).get("reset_mask")
        # SyncVectorEnv takes the mask out of the options it is given.
        begun = self._lanes if mask is None else np.flatnonzero(mask)
        observation, info = self.env.reset(seed=seed, options=options)
        self._memory.forget(begun)
        self._memory.add(begun, {name: values[begun] for name, values in observation.items()})
        self._ended[begun] = False
        return self._memory.encode(self._lanes, observation), info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
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
            final[lane] = _row(encoded, row)
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
        super().__init__(env, partial(recent_memory, count))


class VectorLastObservations(_VectorRemembering):
    """:class:`LastObservations` for vector environments."""

    def __init__(self, env: VectorEnv[Observation, Any, npt.NDArray[Any]], count: int) -> None:
        super().__init__(env, partial(recent_memory, count))


class FeatureVector(_Remembering, gym.utils.RecordConstructorArgs):
    """What a sight takes from what has been seen in this episode.

    Of most it is a vector of features (D,) float32 in [-1, 1], for agents that do not learn from pixels; its parts
    are told in :meth:`afsim.recollection.Recall.tell`. With ``pixels`` it is the last images as
    :class:`LastObservations` gives them, but for all environments alike (:class:`afsim.recollection.PixelRecall`).

    Parameters
    ----------
    env : Env
        The autofocus environment.
    sight : str or Sight
        ``contrast``, ``network``, ``network:i1``, ``network:FILE`` or ``pixels:COUNT`` (:mod:`afsim.sight`).
    """

    def __init__(self, env: gym.Env[dict[str, Any], Any], sight: str | Sight = "contrast") -> None:
        gym.utils.RecordConstructorArgs.__init__(self, sight=sight)
        super().__init__(env, partial(feature_memory, sight))


class VectorFeatureVector(_VectorRemembering):
    """:class:`FeatureVector` for vector environments, also for those that play from a table of features."""

    def __init__(self, env: VectorEnv[Observation, Any, npt.NDArray[Any]], sight: str | Sight = "contrast") -> None:
        super().__init__(env, partial(feature_memory, sight))


class RepeatDeclares(gym.Wrapper[dict[str, Any], Any, dict[str, Any], Any], gym.utils.RecordConstructorArgs):
    """Asking for the index that is in force declares the focus found; no action is for that alone.

    With the last step nothing is declared, since the episode ends there anyway: an agent that is not sure stays
    where it holds the focus to be, rather than go beside it so as not to be wrong.

    An agent that explores declares by itself once it knows where to go, whereas an action of its own, which ends
    most episodes badly at first, is unlearned before anything else is learned.

    Parameters
    ----------
    env : Env
        An autofocus environment made with ``declare=True`` and discrete actions, absolute or relative.
    """

    def __init__(self, env: gym.Env[dict[str, Any], Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self._spec = _declaring(env)
        self.action_space = spaces.Discrete(self._spec.actions - 1)
        self._command, self._step = np.zeros(1), np.zeros(1, np.int64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._command[0], self._step[0] = info["command"], info["step"]
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Go to an index, or declare."""
        [chosen] = _or_declares(self._spec, np.array([action]), self._command, self._step)
        observation, reward, terminated, truncated, info = self.env.step(chosen)
        self._command[0], self._step[0] = info["command"], info["step"]
        return observation, reward, terminated, truncated, info


class VectorRepeatDeclares(VectorWrapper[Any, Any, Observation, Any, npt.NDArray[Any]]):
    """:class:`RepeatDeclares` for vector environments, in every autoreset mode."""

    def __init__(self, env: VectorEnv[Any, Any, npt.NDArray[Any]]) -> None:
        super().__init__(env)
        self._spec = _declaring(env)
        self.single_action_space = spaces.Discrete(self._spec.actions - 1)
        self.action_space = batch_space(self.single_action_space, env.num_envs)
        self._command, self._step = np.zeros(env.num_envs), np.zeros(env.num_envs, np.int64)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin episodes."""
        observation, info = self.env.reset(seed=seed, options=options)
        begun = info["_command"]
        self._command[begun], self._step[begun] = info["command"][begun], info["step"][begun]
        return observation, info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Go to an index, or declare, in every lane."""
        chosen = _or_declares(self._spec, np.asarray(actions), self._command, self._step)
        observation, rewards, terminated, truncated, info = self.env.step(chosen)
        self._command, self._step = info["command"].copy(), info["step"].copy()
        return observation, rewards, terminated, truncated, info


def _or_declares(
    spec: TaskSpec, actions: npt.NDArray[np.generic], command: npt.NDArray[np.float64], step: IntArray
) -> npt.NDArray[np.generic]:
    """Return the actions (N,), those that ask for the command in force replaced by the one that declares.

    Not so with the last step (N,) of the budget, counted from 0.
    """
    wanted, _ = spec.decode(actions, command)
    return np.where((wanted == command) & (step < spec.budget - 1), spec.actions - 1, actions)


def _declaring(env: Any) -> TaskSpec:
    """Return what is known of an environment that has discrete actions, one of which declares."""
    spec = getattr(env.unwrapped, "task_spec", None)
    if not isinstance(spec, TaskSpec) or not spec.declare or spec.action_mode == "continuous":
        raise AfsimError(f"expected an autofocus environment with declare=True and discrete actions, got {env}")
    return spec
