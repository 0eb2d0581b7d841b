"""What an agent is paid for: how near to focus it ends, how it gets there, and what it says of it."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.checks import check_number
from afsim.errors import AfsimError
from afsim.jit import compiled
from afsim.lanes import Lanes
from afsim.options import from_text

FloatArray = npt.NDArray[np.float64]

WITHIN: Final = 1.0
"""Success, in slices of the exact truth, as in the reinforcement learning of autofocus and ``info["success"]``."""


@dataclass(frozen=True)
class RewardModel:
    """Weights of what is paid; all 0 but the final error by default, as the paper scores.

    An error is the distance of the lens from the exact truth over n-1, so at most 1.

    Attributes
    ----------
    final : float
        Minus the error, once, at the end.
    dense : float
        Minus the error, at every step.
    approach : float
        How much smaller a step makes the error. Summed over an episode it is the error of the start minus that of
        the end, so it favours no other policy than ``final`` does (Ng, Harada and Russell, ICML 1999), only sooner.
    sharpness : float
        Relative sharpness of the slice ended at, minus 1, once; needs no label.
    hit : float
        Once, for ending within one slice of the truth, declared or not.
    declared, wrong : float
        Once, for declaring within one slice of the truth; and taken off for declaring farther from it.
    step, move, time_ms : float
        Taken off for each step that is not a declaration, for each command that differs from the last, and for
        each millisecond.

    Raises
    ------
    AfsimError
        For a weight that is negative or no number.
    """

    final: float = 1.0
    dense: float = 0.0
    approach: float = 0.0
    sharpness: float = 0.0
    hit: float = 0.0
    declared: float = 0.0
    wrong: float = 0.0
    step: float = 0.0
    move: float = 0.0
    time_ms: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            check_number(f"reward {each.name}", getattr(self, each.name), least=0.0)

    @property
    def needs_truth(self) -> bool:
        """Whether it can be paid on labelled stacks alone."""
        return any((self.final, self.dense, self.approach, self.hit, self.declared, self.wrong))

    @cached_property
    def weights(self) -> FloatArray:
        """What :func:`pay_lanes` takes: all weights but that of sharpness, which takes pixels."""
        return np.array([getattr(self, each.name) for each in fields(self) if each.name != "sharpness"])


REWARDS: Final[dict[str, RewardModel]] = {
    "final": RewardModel(),
    "dense": RewardModel(final=0.0, dense=1.0),
    "sharpness": RewardModel(final=0.0, sharpness=1.0),
    "none": RewardModel(final=0.0),
    "approach": RewardModel(final=0.0, approach=1.0),
    # Ending within one slice is worth 1, and saying so rightly half as much again, which being wrong costs twice
    # over: it pays from two in three. A step costs so little that it is taken where it makes success likelier by
    # 0.5 %. The error, four times 1/(n-1) a slice, leads there from afar.
    "success": RewardModel(final=4.0, hit=1.0, declared=0.5, wrong=1.0, step=0.005),
}


def make_reward(given: str | RewardModel) -> RewardModel:
    """Return a preset, perhaps with changes (``"success,move=0.02"``), or the model itself.

    Raises
    ------
    AfsimError
        For a name or field that does not exist, or what is neither.
    """
    if isinstance(given, str):
        return from_text(given, REWARDS, "reward")
    if not isinstance(given, RewardModel):
        raise AfsimError(f"reward must be a preset's name or a RewardModel, got {given!r}")
    return given


@compiled
def pay_lanes(
    before: Lanes, after: Lanes, truth: FloatArray, n: int, weights: FloatArray, rewards: FloatArray
) -> None:
    """Write what each game is paid for one step into ``rewards`` (N,); one that was over before gets nothing."""
    final, dense, approach, hit, declared, wrong, step, move, time_ms = weights
    for i in range(before.size):
        rewards[i] = 0.0
        if before[i]["done"]:
            continue
        # Without a label the distance is none, and no weight asks for it.
        distance = abs(after[i]["position"] - truth[after[i]["stack"]])
        done, says = after[i]["done"], after[i]["declared"]
        if dense > 0.0:
            rewards[i] -= dense * (distance / (n - 1))
        if final > 0.0 and done:
            rewards[i] -= final * (distance / (n - 1))
        if approach > 0.0:
            was = abs(before[i]["position"] - truth[before[i]["stack"]])
            rewards[i] += approach * ((was - distance) / (n - 1))
        if done and distance <= WITHIN:
            rewards[i] += hit
            if says:
                rewards[i] += declared
        if says and not distance <= WITHIN:
            rewards[i] -= wrong
        if step > 0.0:
            rewards[i] -= step * (after[i]["step"] - before[i]["step"])
        if move > 0.0:
            rewards[i] -= move * (after[i]["moves"] - before[i]["moves"])
        if time_ms > 0.0:
            rewards[i] -= time_ms * (after[i]["time_ms"] - before[i]["time_ms"])
