"""The seat of every policy: features of what is seen, then a decision; SB3's own ``predict`` composes them."""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError, PrivilegedPolicyError, UnsuitableError
from afsim.keys import Keys, lane_keys
from afsim.task import Observation, TaskSpec

FloatArray = npt.NDArray[np.float64]
Actions = npt.NDArray[np.generic]
Features = npt.NDArray[np.generic]

M = TypeVar("M", bound=tuple[Any, ...])

REQUIREMENTS: Final = frozenset({"views2", "diopters", "stack", "truth"})
_PRIVILEGED: Final = frozenset({"stack", "truth"})


class Status(IntEnum):
    """How a policy says its search stands."""

    SEARCHING = 0
    FOCUSED = 1
    FAILED = 2


class Memory(NamedTuple):
    """The least a policy remembers; richer memories add fields: arrays of N lanes, or memories of such.

    ``status`` (N,) int8 of :class:`Status`; ``confidence`` (N,) float32 in [0, 1].
    """

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]


class Knowledge(NamedTuple):
    """What a rollout tells a policy that requires it: the features of all slices (N, n, ...), the truth (N,)."""

    stack: Features | None = None
    truth: FloatArray | None = None


@runtime_checkable
class Predictor(Protocol):
    """Anything with SB3's ``predict``: every policy of ours, and every SB3 model."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[Any, Any]:
        """Return actions and the new state."""
        ...


@dataclass(frozen=True)
class FocusPolicy:
    """Base of the policies: a frozen record of options; what it remembers is the state that it returns.

    A policy defines :meth:`begin`, :meth:`decide` and, where it looks at pixels, :meth:`features`.

    Attributes
    ----------
    spec : TaskSpec
        What it may know before it starts.
    requires : frozenset of str
        A subset of {"views2", "diopters", "stack", "truth"}; only a rollout gives the last two.

    Raises
    ------
    UnsuitableError
        For stacks that lack what it requires.
    """

    spec: TaskSpec
    requires: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        name, spec = type(self).__name__, self.spec
        if "views2" in self.requires and spec.views != 2:
            raise UnsuitableError(f"{name} needs dual-pixel stacks (2 views), but these have {spec.views} view")
        if "diopters" in self.requires and spec.diopters is None:
            raise UnsuitableError(f"{name} needs known focus distances, but these stacks have none")

    @property
    def feature_key(self) -> Hashable:
        """What tells apart the features of two policies; equal keys, equal features."""
        return type(self).__name__

    @property
    def feature_size(self) -> int:
        """About how many numbers it takes from a slice: a rollout does not keep too many."""
        return 1

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Return the options that ``NAME:choice`` stands for; a policy without a main option refuses."""
        raise AfsimError(f"this policy has no option to choose, got {choice!r} after the colon")

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> Features:
        """Return what the policy takes from each image (N, V, H, W): (N, ...). Pure, hence cacheable."""
        return np.zeros(len(image))

    def begin(self, keys: Keys, knowledge: Knowledge) -> Any:
        """Return the memory (N lanes) with which episodes begin."""
        lanes = len(keys)
        return Memory(np.zeros(lanes, np.int8), np.zeros(lanes, np.float32))

    def decide(self, features: Features, observation: Observation, memory: Any) -> tuple[FloatArray, Any]:
        """Return the commands (N,), as indices, and the new memory."""
        raise NotImplementedError

    def current(self, observation: Observation) -> FloatArray:
        """Return the command (N,) that is in force, as an index."""
        return np.asarray(observation["command"][:, 0], dtype=np.float64) * (self.spec.n - 1)

    def predict(
        self,
        observation: Observation,
        state: Any = None,
        episode_start: npt.ArrayLike | None = None,
        deterministic: bool = True,
    ) -> tuple[Actions, Any]:
        """Return actions and the new state, with SB3's signature.

        Parameters
        ----------
        observation : dict of arrays
            Of the environment, batched, or of a single environment (then the action is a single one).
        state
            What the last call returned; None at the start.
        episode_start : (N,) bool, optional
            The lanes whose episode begins with this observation: they forget.
        deterministic : bool
            Accepted for SB3's sake; policies here draw from counters and always repeat.

        Raises
        ------
        PrivilegedPolicyError
            For a policy that requires the whole stack or the truth: only a rollout can seat it.
        """
        privileged = self.requires & _PRIVILEGED
        if privileged:
            raise PrivilegedPolicyError(
                f"{type(self).__name__} requires {', '.join(sorted(privileged))}, which no environment gives; "
                "use afsim.rollout or 'afsim compare'"
            )
        image = np.asarray(observation["image"])
        if image.ndim == 3:
            batch = {name: np.asarray(value)[None] for name, value in observation.items()}
            actions, state = self.predict(batch, state, episode_start, deterministic)
            return actions[0], state
        lanes = len(image)
        if state is None:
            state = self.begin(lane_keys(0, np.arange(lanes)), Knowledge())
        elif episode_start is not None and np.any(episode_start):
            state = restart(
                state, self.begin(lane_keys(0, np.arange(lanes)), Knowledge()), np.asarray(episode_start)
            )
        region = np.asarray(observation["region"], dtype=np.float64)
        current = self.current(observation)
        seen = self.features(as_float(image), current, region)
        command, state = self.decide(seen, observation, state)
        declares = np.asarray(state.status != Status.SEARCHING) & (command == np.rint(current))
        return self.spec.encode(command, np.rint(current), declares), state


def restart(memory: Any, fresh: Any, starts: npt.NDArray[np.bool_]) -> Any:
    """Return the memory with the lanes where ``starts`` replaced by fresh ones."""
    return chosen(starts, fresh, memory)


def chosen(mask: npt.NDArray[np.bool_], one: M, other: M) -> M:
    """Return, lane by lane, the memory ``one`` where the mask (N,) is, else ``other``; so of memories in them."""
    memory: Any = other
    fields = []
    for new, old in zip(one, memory, strict=True):
        if isinstance(old, tuple):
            fields.append(chosen(mask, new, old))
        else:
            fields.append(np.where(mask.reshape(-1, *[1] * (np.ndim(old) - 1)), new, old))
    return type(other)(*fields)


def as_float(image: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Return images as float32 in units of white: uint8 observations are scaled by 1/255.

    Raises
    ------
    AfsimError
        For uint16: raw DN mean nothing without their levels, which an observation does not carry.
    """
    if image.dtype == np.uint16:
        raise AfsimError(
            "policies take float32 or uint8 images, got raw uint16; make the environment with another kind"
        )
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255.0)
    return image.astype(np.float32, copy=False)
