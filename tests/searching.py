"""What tests of contrast searches share: curves, and games that feed them to a policy: no images, no camera."""

from typing import Any, NamedTuple

import numpy as np

from afsim.policies import make
from afsim.policy import FloatArray, FocusPolicy, Knowledge, Status
from afsim.task import TaskSpec

N = 49
INDEX = np.arange(N)
# Every start for peaks at both ends and every few indices between.
PEAKS, STARTS = (grid.ravel() for grid in np.meshgrid([0, 1, 7, 16, 24, 31, 42, 47, 48], INDEX, indexing="ij"))


class Run(NamedTuple):
    """Commands (steps + 1, lanes), the memory at the end, and observations (lanes) while it searched."""

    commands: FloatArray
    memory: Any
    observations: FloatArray


def play(name: str, curves: FloatArray, starts: np.ndarray, budget: int = 40, **options: Any) -> Run:
    """Let a policy search each curve (lanes, n) from its start."""
    policy = make(name, TaskSpec(curves.shape[1], 1, 8, 8, budget), **options)
    return follow(policy, curves, starts, budget)


def follow(policy: FocusPolicy, curves: FloatArray, starts: np.ndarray, budget: int) -> Run:
    """Feed a policy the contrasts (lanes, n) of where it goes."""
    lanes, n = curves.shape
    memory = policy.begin(np.arange(lanes, dtype=np.uint64), Knowledge())
    commands, observations = [np.asarray(starts, dtype=np.float64)], np.zeros(lanes)
    for step in range(budget):
        here = commands[-1]
        observation: dict[str, np.ndarray] = {
            "command": (here / (n - 1)).astype(np.float32)[:, None],
            "steps_left": np.full((lanes, 1), budget - step, np.float32),
        }
        observations += memory.status == Status.SEARCHING
        seen = curves[np.arange(lanes), np.rint(here).astype(int)]
        command, memory = policy.decide(seen, observation, memory)
        commands.append(command)
    return Run(np.array(commands), memory, observations)


def bells(peaks: np.ndarray, half_width: float, base: float = 0.05) -> FloatArray:
    """Return Gaussian contrast curves (lanes, N) on a pedestal."""
    return base + np.exp2(-np.square((INDEX - np.asarray(peaks, dtype=np.float64)[:, None]) / half_width))


def tents(peaks: np.ndarray) -> FloatArray:
    """Return contrast curves (lanes, N) that fall in straight lines to nearly nothing."""
    return 50.0 - np.abs(INDEX - np.asarray(peaks, dtype=np.float64)[:, None])


def lorentzians(peaks: np.ndarray, half_width: float) -> FloatArray:
    """Return contrast curves (lanes, N) with long tails."""
    return 0.05 + 1.0 / (1.0 + np.square((INDEX - np.asarray(peaks, dtype=np.float64)[:, None]) / half_width))
