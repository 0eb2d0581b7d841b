"""The autofocus environment: bring the region of interest into focus in m moves."""

from typing import Any, ClassVar, Unpack

import gymnasium as gym
import numpy as np

from afsim.camera import ImageKind
from afsim.envs.making import TaskOptions, action_space, make_task, observation_space
from afsim.envs.rendering import Trail, Window, check_render_mode
from afsim.envs.replay import Replay
from afsim.errors import AfsimError
from afsim.featuretable import FeatureTable
from afsim.task import INFO_FIELDS, FocusTask, Observation, TaskSpec

_ONLY = np.ones(1, dtype=np.bool_)


class AutofocusEnv(gym.Env[dict[str, Any], Any]):
    """A recorded focal stack replayed as a lens that the agent moves; lane 0 of a batch of one.

    Observation, a dict: ``image`` (V, H, W) at the lens's position; ``command`` (1,), the index asked for last over
    n-1; ``region`` (2,), where in the field this patch lies, in [-1, 1]; ``steps_left`` (1,), in moves. Action by
    default: the next index. The episode terminates after ``steps`` moves or when declared; a time limit truncates.
    ``info`` always has the fields ``afsim.task.INFO_FIELDS`` and is the only place with the truth.

    Options of :meth:`reset`: ``stack`` (position or name) and ``start`` (index), drawn uniformly where not given.

    Parameters
    ----------
    image_kind : {"float32", "uint8", "uint16"}
        Normalised raw (0 black, 1 white); the same as 0 ... 255, which SB3's CNNs want; or raw DN.
    render_mode : {None, "rgb_array", "human"}
        How :meth:`render` shows the episode.
    render_truth : bool
        Whether the picture shows the index in focus.
    table : FeatureTable, optional
        Play from features kept of all slices (:mod:`afsim.featuretable`): observations have ``features`` in place
        of ``image``, without fresh noise, and nothing can be rendered.
    time_limit_ms : float, optional
        Simulated milliseconds after which an episode is truncated; none by default.
    **options
        Of :func:`afsim.envs.making.make_task`: stacks, lens, sensor, timing, interpolation, breathing, margin,
        steps, action_mode, declare, reward.

    Raises
    ------
    AfsimError
        For an option that does not exist, a reward without labels, an action that is none, or a step after the
        end; ``gymnasium.error.ResetNeeded`` for a step before the first reset.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array", "human"], "render_fps": 4}  # type: ignore[misc]

    def __init__(
        self,
        *,
        image_kind: ImageKind = "float32",
        render_mode: str | None = None,
        render_truth: bool = False,
        table: FeatureTable | None = None,
        time_limit_ms: float | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        check_render_mode(render_mode, self.metadata["render_modes"], table)
        self.task: FocusTask = make_task(**options)
        self.observation_space = observation_space(self.task, image_kind, table)
        self.action_space = action_space(self.task.spec)
        self.render_mode = render_mode
        self._replay = Replay(self.task, 1, image_kind, table=table, time_limit_ms=time_limit_ms)
        self._ended = False
        self._continuous = self.task.spec.action_mode == "continuous"
        self._trail = None if render_mode is None else Trail(self.task, image_kind, 1, show_truth=render_truth)
        self._window = Window()

    @property
    def task_spec(self) -> TaskSpec:
        """What a policy may know before it starts."""
        return self.task.spec

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode: the seed's first, or the next one of the seed given last."""
        super().reset(seed=seed)
        if seed is not None or not self._replay.keyed[0]:
            self._replay.rekey(0, self.np_random)
        self._replay.begin(_ONLY, options)
        self._ended = False
        return self._observe(restarts=True), self._info()

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move the lens, or declare; see the class."""
        if self._ended:
            raise AfsimError("the episode has ended: call reset() before the next step()")
        batch = np.asarray(action)[None] if self._continuous else np.array([action])
        reward = float(self._replay.play(batch)[0])
        self._ended, truncated = bool(self._replay.done[0]), bool(self._replay.truncated[0])
        return self._observe(restarts=False), reward, self._ended and not truncated, truncated, self._info()

    def render(self) -> Any:
        """Return the picture (H, W, 3) uint8 for ``rgb_array``; a window shows it for ``human``."""
        if self._trail is None:
            gym.logger.warn("render() needs an environment made with render_mode='rgb_array' or 'human'")
            return None
        frame = self._trail.frame(0)
        if self.render_mode == "human":
            self._window.show(frame)
            return None
        return frame

    def close(self) -> None:
        """Close the window, where there is one."""
        self._window.close()

    def _observe(self, *, restarts: bool) -> Observation:
        batch = self._replay.observe()
        if self._trail is not None:
            self._trail.note(self._replay.state, batch, np.array([restarts]))
            if self.render_mode == "human":
                self.render()
        return {name: values[0] for name, values in batch.items()}

    def _info(self) -> dict[str, Any]:
        return dict(zip(INFO_FIELDS, self._replay.info().tolist()[0], strict=True))
