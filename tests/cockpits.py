"""What the tests of the cockpit share: sets of small stacks, opened, and a board in front of them."""

from typing import Any

from afsim.cockpit.board import Board, make_board
from afsim.cockpit.opened import Opened
from afsim.cockpit.setup import Setup
from afsim.stackset import StackSet

SET = "in memory"
# Stack 3 is sharpest at 6.6.
SETUP = Setup(SET, stack=3, start=2, steps=6)


def opened(stacks: StackSet, *policies: str) -> Opened:
    """Return what a cockpit was started with: a set in memory."""
    return Opened([stacks], policies)


def board(held: StackSet, /, *texts: str, **changes: Any) -> Board:
    """Return a board with lines, and a setup that is changed."""
    return make_board(Setup(**{**SETUP.__dict__, **changes}), opened(held), texts or ("you",))
