"""The robustness map of a policy on one stack: from which starts it finds the focus."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.basins import Fate, ends_of
from afsim.cockpit.board import Board
from afsim.experiments.start_map_report import FATES
from afsim.rollout import Arena

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class StartMap(NamedTuple):
    """What a policy did from every start of a stack."""

    policy: str
    start: IntArray
    """(n,)"""
    end: FloatArray
    """(n,) where its lens ended."""
    fate: npt.NDArray[np.int8]
    """(n,) of :class:`afsim.basins.Fate`; NEAR where the stack has no truth."""


def start_map(board: Board, name: str) -> StartMap:
    """Let a policy play every start of the board's stack: the episodes of ``afsim study start_map``.

    Raises
    ------
    AfsimError
        For a policy that does not exist or cannot play these stacks.
    """
    policy = board.opened.policy(name, board.task.spec)
    arena = Arena(board.task.camera, stacks=[board.setup.stack], seed=board.setup.seed)
    episodes = arena.play(policy, board.task)
    ends = ends_of(episodes, board.task.truth)
    return StartMap(name, episodes.start, episodes.positions[:, -1], ends.fate)


def map_words(found: StartMap) -> str:
    """Return how many starts end how."""
    counts = {fate: int((found.fate == fate).sum()) for fate in Fate}
    told = [f"{FATES[fate][1]}: {count}" for fate, count in counts.items() if count]
    return f"{found.policy} from all {len(found.start)} starts. " + "; ".join(told)
