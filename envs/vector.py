"""The autofocus environment for many lanes at once; each lane equals the single environment bit for bit."""

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from afsim.camera import ImageKind
from afsim.envs.making import TaskOptions, action_space, make_task, observation_space
from afsim.envs.rendering import Trail, check_render_mode
from afsim.envs.replay import Mask, Replay
from afsim.errors import AfsimError, unknown
from afsim.featuretable import FeatureTable
from afsim.task import INFO_FIELDS, FocusTask, Lanes, Observation, TaskSpec

Step = tuple[Observation, npt.NDArray[np.float64], Mask, Mask, dict[str, Any]]


class AutofocusVectorEnv(VectorEnv[Observation, Any, npt.NDArray[Any]]):
    """N lanes of :class:`afsim.envs.AutofocusEnv`, played as one batch.

    Lane i of ``reset(seed=s)`` plays what the single environment plays after ``reset(seed=s + i)``.

    Parameters
    ----------
    num_envs : int
        N.
    autoreset_mode : AutoresetMode or str
        What happens to a lane that has ended: the next step begins its next episode (``NextStep``), the same step
        does and gives ``final_obs`` and ``final_info`` (``SameStep``), or the caller resets it by ``reset_mask``
        (``Disabled``). As in ``gymnasium.vector.SyncVectorEnv``.
    image_kind, render_truth, table, time_limit_ms
        As in :class:`afsim.envs.AutofocusEnv`.
    render_mode : {None, "rgb_array"}
        :meth:`render` gives one picture a lane.
    **options
        Of :func:`afsim.envs.making.make_task`.

    Raises
    ------
    AfsimError
        As :class:`afsim.envs.AutofocusEnv` does.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["rgb_array"],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        image_kind: ImageKind = "float32",
        render_mode: str | None = None,
        render_truth: bool = False,
        table: FeatureTable | None = None,
        time_limit_ms: float | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        check_render_mode(render_mode, self.metadata["render_modes"], table)
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}  # type: ignore[misc]
        self.task: FocusTask = make_task(**options)
        self._replay = Replay(self.task, num_envs, image_kind, table=table, time_limit_ms=time_limit_ms)
        self.num_envs = num_envs
        self.single_observation_space = observation_space(self.task, image_kind, table)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.single_action_space = action_space(self.task.spec)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.render_mode = render_mode
        self._trail = (
            None if render_mode is None else Trail(self.task, image_kind, num_envs, show_truth=render_truth)
        )

    @property
    def task_spec(self) -> TaskSpec:
        """What a policy may know before it starts."""
        return self.task.spec

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every lane, or in those of ``options["reset_mask"]`` (N,) bool.

        Parameters
        ----------
        seed : int or N of them, optional
            Lane i has seed + i, or the i-th; None goes on with the lane's episodes.
        options : dict, optional
            ``stack`` (positions or names) and ``start`` (indices), one for all lanes or N of them; ``reset_mask``.
        """
        chosen = dict(options or {})
        which = self._reset_mask(chosen.pop("reset_mask", None))
        seeds = self._seeds(seed)
        super().reset(seed=seeds[0])
        for lane in np.flatnonzero(which).tolist():
            if seeds[lane] is not None or not self._replay.keyed[lane]:
                self._replay.rekey(lane, seeding.np_random(seeds[lane])[0])
        self._replay.begin(which, chosen)
        return self._observe(which), _columns(self._replay.info(), which)

    def step(self, actions: Any) -> Step:
        """Play one step in every lane; see the class for what happens to lanes that have ended."""
        ended = self._replay.done
        if self.autoreset_mode is AutoresetMode.DISABLED and ended.any():
            raise AfsimError(
                f"lanes {np.flatnonzero(ended).tolist()} have ended: reset them by options['reset_mask'] "
                "before the next step()"
            )
        rewards = self._replay.play(np.asarray(actions))
        done, truncated = self._replay.done, self._replay.truncated
        restarts = np.zeros(self.num_envs, dtype=np.bool_)
        final: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            done[ended], restarts = False, ended
        elif self.autoreset_mode is AutoresetMode.SAME_STEP:
            restarts = done
            final = self._final(done) if done.any() else {}
        if restarts.any():
            self._replay.begin(restarts)
        info = _columns(self._replay.info(), np.ones(self.num_envs, dtype=np.bool_))
        return self._observe(restarts), rewards, done & ~truncated, done & truncated, {**final, **info}

    def render(self) -> tuple[Any, ...] | None:
        """Return one picture (H, W, 3) uint8 a lane."""
        if self._trail is None:
            gym.logger.warn("render() needs an environment made with render_mode='rgb_array'")
            return None
        return tuple(self._trail.frame(lane) for lane in range(self.num_envs))

    def _observe(self, restarts: Mask) -> Observation:
        observation = self._replay.observe()
        if self._trail is not None:
            self._trail.note(self._replay.state, observation, restarts)
        return observation

    def _final(self, which: Mask) -> dict[str, Any]:
        """Return the last observation and info of the lanes that have just ended."""
        seen = self._replay.observe_some(which)
        last = np.full(self.num_envs, None, dtype=object)
        for row, lane in enumerate(np.flatnonzero(which)):
            last[lane] = {name: values[row] for name, values in seen.items()}
        info = _columns(self._replay.info(), which)
        return {"final_obs": last, "_final_obs": which.copy(), "final_info": info, "_final_info": which.copy()}

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + lane for lane in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise AfsimError(f"seed must be one integer or {self.num_envs}, one a lane; got {len(seed)}")
        return list(seed)

    def _reset_mask(self, mask: Any) -> Mask:
        if mask is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        which = np.asarray(mask)
        if which.shape != (self.num_envs,) or which.dtype != np.bool_ or not which.any():
            raise AfsimError(
                f"reset_mask must be {self.num_envs} booleans, at least one of them True; "
                f"got shape {which.shape} of {which.dtype}: {which.tolist()}"
            )
        return which


def _columns(info: Lanes, which: Mask) -> dict[str, Any]:
    """Return the infos in Gymnasium's form: arrays (N,), and beside each the mask of the lanes that have it."""
    if not which.all():
        info[~which] = np.zeros(1, info.dtype)
    columns: dict[str, Any] = {}
    for name in INFO_FIELDS:
        columns[name], columns[f"_{name}"] = info[name].copy(), which.copy()
    return columns


def _autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    known = [one.value for one in AutoresetMode]
    if not isinstance(mode, AutoresetMode) and mode not in known:
        raise unknown("autoreset mode", mode, known)
    return AutoresetMode(mode)
