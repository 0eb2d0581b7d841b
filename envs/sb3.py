"""The vector environment as Stable-Baselines3 wants it; imported on its own, because it loads torch."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv

from afsim.envs.vector import AutofocusVectorEnv
from afsim.errors import AfsimError
from afsim.task import INFO_FIELDS

Indices = int | Iterable[int] | None
AnyVectorEnv = VectorEnv[Any, Any, npt.NDArray[Any]]

_NUM_ENVS: Final = 8  # SB3's own examples for PPO use 4 to 16


class AutofocusVecEnv(VecEnv):
    """N lanes of the autofocus environment for SB3, without a Python loop over environments.

    An ended lane begins its next episode in the same step; its last observation is ``terminal_observation`` in its
    info, as in SB3's ``DummyVecEnv``. Wrap it in SB3's ``VecMonitor`` for episode returns.

    SB3's CNNs take uint8 images alone (``image_kind="uint8"``); other kinds are flattened by its default extractor.

    Parameters
    ----------
    num_envs : int
        N.
    wrapper : callable, optional
        Put around the vector environment, e.g. ``afsim.envs.VectorOneHotSlices``.
    env : VectorEnv, optional
        One that is made already, e.g. a ``afsim.envs.MixedVectorEnv``; its autoreset mode must be ``SameStep``.
    **options
        Of :class:`afsim.envs.AutofocusVectorEnv`.

    Raises
    ------
    AfsimError
        For an environment of another autoreset mode, or one beside options.
    """

    def __init__(
        self,
        num_envs: int = _NUM_ENVS,
        *,
        wrapper: Callable[[AnyVectorEnv], AnyVectorEnv] | None = None,
        env: AnyVectorEnv | None = None,
        **options: Any,
    ) -> None:
        if env is None:
            env = AutofocusVectorEnv(num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **options)
        elif options:
            raise AfsimError(f"an environment that is made already takes no options, got {', '.join(options)}")
        if (mode := env.metadata["autoreset_mode"]) is not AutoresetMode.SAME_STEP:
            raise AfsimError(f"SB3 needs the autoreset mode SameStep, got {mode.value}")
        self.env: AnyVectorEnv = env if wrapper is None else wrapper(env)
        self._actions: Any = None
        super().__init__(self.env.num_envs, self.env.single_observation_space, self.env.single_action_space)

    def reset(self) -> Any:
        """Begin an episode in every lane, with what ``seed`` and ``set_options`` have set."""
        seeds = None if all(seed is None for seed in self._seeds) else self._seeds
        observation, info = self.env.reset(seed=seeds, options=self._merged_options())  # type: ignore[arg-type]
        self.reset_infos = _rows(info)
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Note the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, npt.NDArray[np.float32], npt.NDArray[np.bool_], list[dict[str, Any]]]:
        """Play the noted actions."""
        observation, rewards, terminated, truncated, info = self.env.step(self._actions)
        dones, rows = terminated | truncated, _rows(info)
        if dones.any():
            final = _rows(info["final_info"])
            for lane in np.flatnonzero(dones):
                self.reset_infos[lane] = rows[lane]
                rows[lane] = {**final[lane], "terminal_observation": info["final_obs"][lane]}
        for row, late in zip(rows, truncated.tolist(), strict=True):
            row["TimeLimit.truncated"] = late  # the horizon is no limit: it is part of the task, and visible
        return observation, rewards.astype(np.float32), dones, rows

    def close(self) -> None:
        """Close the vector environment."""
        self.env.close()

    def get_images(self) -> Sequence[Any]:
        """Return one picture a lane."""
        return self.env.render() or [None] * self.num_envs

    def has_attr(self, attr_name: str) -> bool:
        """Return whether the vector environment has the attribute."""
        return any(hasattr(layer, attr_name) for layer in self._layers())

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Return the vector environment's attribute once for each lane asked for."""
        return [self._find(attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Set an attribute of the vector environment, which all lanes share."""
        if len(set(self._get_indices(indices))) != self.num_envs:
            raise AfsimError(f"all lanes share {attr_name!r}: it cannot be set for some of them")
        setattr(self.env.unwrapped, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Indices = None, **kwargs: Any) -> list[Any]:
        """Call a method of the vector environment once and return its result for each lane asked for."""
        result = self._find(method_name)(*args, **kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Indices = None
    ) -> list[bool]:
        """Return for each lane whether the vector environment is wrapped by this class."""
        wrapped = any(isinstance(layer, wrapper_class) for layer in self._layers())
        return [wrapped for _ in self._get_indices(indices)]

    def _layers(self) -> list[Any]:
        """Return the wrappers from the outside in, then the environment."""
        layers: list[Any] = [self.env]
        while layers[-1] is not self.env.unwrapped:
            layers.append(layers[-1].env)
        return layers

    def _find(self, name: str) -> Any:
        for layer in self._layers():
            if hasattr(layer, name):
                return getattr(layer, name)
        raise AttributeError(f"{self.env} has no attribute {name!r}")

    def _merged_options(self) -> dict[str, Any]:
        """Return the lanes' options as arrays over the lanes."""
        names = {name for options in self._options for name in options}
        for name in names:
            missing = [lane for lane, options in enumerate(self._options) if name not in options]
            if missing:
                raise AfsimError(f"reset option {name!r} must be set for every lane; lanes {missing} lack it")
        return {name: [options[name] for options in self._options] for name in names}


def _rows(info: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the infos of the vector environment as one dict of Python scalars a lane."""
    columns = [info[name].tolist() for name in INFO_FIELDS]
    return [dict(zip(INFO_FIELDS, row, strict=True)) for row in zip(*columns, strict=True)]
