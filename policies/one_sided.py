"""Come to every slice from the same side, whichever policy asks for it: what takes up a lens's play."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError, unknown
from afsim.keys import Keys
from afsim.policy import Features, FloatArray, FocusPolicy, Knowledge, Status, chosen
from afsim.task import Observation

Side = Literal["far", "near"]

# The command in force is observed in single precision.
_SAME_INDEX: Final = 1e-3


class OneSidedMemory(NamedTuple):
    """Of N searches: how they stand once the lens has arrived, and the memory of the other policy."""

    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    inner: Any
    """Of the other policy; its status tells how its search stands, arrived or not."""
    goal: FloatArray
    """(N,) where the lens goes next, to end an overshoot; NaN where it is not on its way."""


@dataclass(frozen=True)
class OneSided(FocusPolicy):
    """Play another policy, but overshoot the commands that go against the preferred direction, then approach them.

    The other policy sees only slices that were approached from this side. It is told one step less than there are,
    so that its last move can be approached too; where no step is left for that, the lens goes straight. A search
    that ended says so once the lens has arrived.

    Attributes
    ----------
    inner : str
        The other policy, as :func:`afsim.policies.make` reads it: ``hill_climb:laplacian_energy``.
    from_side : {"far", "near"}
        From where the lens comes; the far side by default, from which it comes to the start of an episode too.
    overshoot : int
        In indices. 2 are at least 7 um of lens travel, more than the loop of 6 um (twice its ``hysteresis``) of the
        lens ``worn_warm``.

    Raises
    ------
    AfsimError
        For a policy that does not exist, needs the whole stack or the truth or is one-sided itself, a side that is
        none, or an overshoot below 1.
    """

    inner: str = "hill_climb"
    from_side: Side = "far"
    overshoot: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.from_side not in get_args(Side):
            raise unknown("side to come from", self.from_side, get_args(Side))
        if self.overshoot < 1:
            raise AfsimError(f"overshoot must be at least 1 index, got {self.overshoot}")
        if isinstance(self.policy, OneSided):
            raise AfsimError(f"one_sided plays no policy that is one_sided itself, got {self.inner!r}")
        closed = self.policy.requires & {"stack", "truth"}
        if closed:
            raise AfsimError(
                f"one_sided plays no policy that requires the {', '.join(sorted(closed))}: {self.inner!r}"
            )

    @cached_property
    def policy(self) -> FocusPolicy:
        """The policy that is played."""
        # The registry lists this class too.
        from afsim.policies import make

        return make(self.inner, self.spec)

    @staticmethod
    def from_choice(choice: str) -> dict[str, Any]:
        """Read ``one_sided:POLICY``, with the policy's own option after another colon."""
        return {"inner": choice}

    @property
    def feature_key(self) -> Hashable:
        """The other policy's."""
        return self.policy.feature_key

    def features(self, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray) -> Features:
        """Return the other policy's features (N, ...)."""
        return self.policy.features(image, command, region)

    def begin(self, keys: Keys, knowledge: Knowledge) -> OneSidedMemory:
        """Start as the other policy does, on the way to nowhere."""
        inner = self.policy.begin(keys, knowledge)
        return OneSidedMemory(inner.status, inner.confidence, inner, np.full(len(keys), np.nan))

    def decide(
        self, features: Features, observation: Observation, memory: OneSidedMemory
    ) -> tuple[FloatArray, OneSidedMemory]:
        """Approach the goal of an overshoot; ask the other policy where there is none."""
        here, approaches = self.current(observation), ~np.isnan(memory.goal)
        left = np.asarray(observation["steps_left"], dtype=np.float32)
        told = {**observation, "steps_left": np.maximum(left - 1, 1)}
        wish, after = self.policy.decide(features, told, memory.inner)
        after = chosen(approaches, memory.inner, after)
        wish = np.where(approaches, memory.goal, wish)

        forwards = 1.0 if self.from_side == "far" else -1.0
        beyond = np.clip(wish - forwards * self.overshoot, 0.0, self.spec.n - 1.0)
        against = (here - wish) * forwards > _SAME_INDEX
        overshoots = ~approaches & against & (beyond != wish) & (left[:, 0] > 1)
        status = np.where(overshoots, Status.SEARCHING, after.status).astype(np.int8)
        goal = np.where(overshoots, wish, np.nan)
        return np.where(overshoots, beyond, wish), OneSidedMemory(status, after.confidence, after, goal)
