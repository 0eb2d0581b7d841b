"""Agents trained by reinforcement learning as policies."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from afsim.agentfile import Agent, load_agent
from afsim.errors import UnsuitableError
from afsim.keys import Keys
from afsim.modelkinds import shipped_agent
from afsim.policy import Features, FloatArray, FocusPolicy, Knowledge, Status
from afsim.readonce import read_once
from afsim.recollection import AnyRecall, recall_of
from afsim.sight import Sight, make_sight
from afsim.task import Observation

Float32Array = npt.NDArray[np.float32]


class ReinforcedMemory(NamedTuple):
    """What an agent has seen, and what it carries on from step to step.

    Attributes
    ----------
    status, confidence
        As of every memory; an agent says yes or no, so that confidence is 1 where it declares and 0 elsewhere.
    past : tuple of arrays
        What it has seen (:mod:`afsim.recollection`).
    hidden : (N, 2, L, H) float32
        The state of its recurrent layers; empty where it has none.
    begun : (N,) bool
        Whether it has decided before in this episode.
    """

    status: npt.NDArray[np.int8]
    confidence: Float32Array
    past: Any
    hidden: Float32Array
    begun: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Reinforced(FocusPolicy):
    """Move the lens as an agent does that was trained by ``afsim train rl``.

    It sees what the training environment shows: the recollection of its sight (:mod:`afsim.recollection`). Focused
    where it asks for the index that is in force before its last step; it never fails by itself.

    Attributes
    ----------
    model : str or None
        File made by ``afsim train rl``; by default the shipped one, of the rendered training set. Such a file can
        run any code when it is read: only files that you trust.

    Raises
    ------
    StoreError
        Where the file is missing or damaged.
    UnsuitableError
        For stacks of another number of slices or views than the agent's.
    """

    model: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        record = self.agent.record
        for what, found, here in (("slices", record.n, self.spec.n), ("views", record.views, self.spec.views)):
            if found != here:
                raise UnsuitableError(f"{self.path} is for stacks of {found} {what}, but these have {here}")
        assert self.sight  # it checks itself when it is made
        space = self.agent.model.observation_space
        if isinstance(space, spaces.Dict):
            height, width = (space["image"].shape or ())[1:]
            if (height, width) != (self.spec.height, self.spec.width):
                raise UnsuitableError(
                    f"{self.path} was trained on images of {height} x {width} pixels, but these have "
                    f"{self.spec.height} x {self.spec.width}"
                )

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``NAME:FILE``."""
        return {"model": choice}

    @property
    def path(self) -> Path:
        """The agent's file."""
        return shipped_agent() if self.model is None else Path(self.model)

    @property
    def agent(self) -> Agent:
        """The agent, read once."""
        return _load_once(self.path)

    @cached_property
    def sight(self) -> Sight:
        """What it takes from a slice."""
        return make_sight(self.agent.record.sight, self.spec)

    @property
    def recall(self) -> AnyRecall:
        """How what it has seen is kept and told."""
        return recall_of(self.sight, self.spec)

    @property
    def feature_key(self) -> Hashable:
        """The sight's: agents of one sight share what is kept."""
        return self.sight.feature_key

    @property
    def feature_size(self) -> int:
        """The sight's."""
        return self.recall.features

    def features(self, image: Float32Array, command: FloatArray, region: FloatArray) -> Features:
        """Return what the sight takes from each image (N, ...)."""
        return self.sight.features(image, command, region)

    def begin(self, keys: Keys, knowledge: Knowledge) -> ReinforcedMemory:
        """Start with nothing seen."""
        lanes = len(keys)
        shape = getattr(self.agent.model.policy, "lstm_hidden_state_shape", (0, 0, 0))
        hidden = np.zeros((lanes, 2, shape[0], shape[2]), np.float32)
        none = np.zeros(lanes, np.bool_)
        return ReinforcedMemory(
            np.zeros(lanes, np.int8), np.zeros(lanes, np.float32), self.recall.begin(lanes), hidden, none
        )

    def decide(
        self, features: Features, observation: Observation, memory: ReinforcedMemory
    ) -> tuple[FloatArray, ReinforcedMemory]:
        """Go where the agent goes; focused where it stays."""
        index = np.rint(self.current(observation)).astype(np.int64)
        past = self.recall.add(memory.past, features, observation)
        told = self.recall.tell(past, {name: observation[name] for name in _TOLD})
        recurrent = memory.hidden.size > 0
        carried = tuple(memory.hidden.transpose(1, 2, 0, 3)) if recurrent else None
        action, carried = self.agent.model.predict(told, carried, ~memory.begun, deterministic=True)
        hidden = np.stack(carried).transpose(2, 0, 1, 3) if recurrent and carried is not None else memory.hidden
        wanted = np.clip(index + action - (self.spec.n - 1), 0, self.spec.n - 1)
        # Where it has declared it stays: there its episodes ended.
        wanted = np.where(memory.status == Status.FOCUSED, index, wanted)
        # Nothing is declared with the last step, as in its environment (afsim.envs.RepeatDeclares).
        left = np.asarray(observation["steps_left"][:, 0], dtype=np.float32)
        declares = (wanted == index) & ((left > 1.0) | (memory.status == Status.FOCUSED))
        status = np.where(declares, Status.FOCUSED, Status.SEARCHING).astype(np.int8)
        begun = np.ones(len(index), np.bool_)
        return wanted.astype(np.float64), ReinforcedMemory(status, declares.astype(np.float32), past, hidden, begun)


_TOLD: Final = ("command", "region", "steps_left")
_load_once: Final = read_once(load_agent)
