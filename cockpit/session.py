"""What one page holds: its board, how that is looked at, and the scores so far. Nothing of it is shared."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from afsim.cockpit.board import Board, make_board
from afsim.cockpit.episodefile import load_episode
from afsim.cockpit.line import HAND
from afsim.cockpit.link import ZOOMS, State, state_of
from afsim.cockpit.opened import Opened
from afsim.cockpit.scoring import Score, scores_of
from afsim.cockpit.setup import Setup, draw
from afsim.cockpit.views import VIEWS, grey_range, views_of
from afsim.errors import AfsimError
from afsim.trace import consult

FIRST_LINES: Final = (HAND, "hill_climb", "bayesian", "learned-d1")
"""Who is there at first: a search, a belief and a network, as far as they can play the stacks."""
_ADVISOR: Final = "bayesian"


class Session:
    """The state of a page.

    Parameters
    ----------
    opened : Opened
        What there is to choose from.
    setup : Setup
        The first episode; a stack and start are drawn by its seed where none are given.

    Attributes
    ----------
    board : Board
        As it stands.
    view, zoom
        How patches are looked at.
    """

    def __init__(self, opened: Opened, setup: Setup) -> None:
        self.opened = opened
        self.board: Board
        self.view, self.zoom = VIEWS[0], 1
        self._scores: dict[int, list[Score]] = {}
        self._episode = -1
        self._told: set[tuple[str, int]] = set()
        self._known = False
        self.begin(setup, FIRST_LINES)

    # ------------------------------------------------------------------ episodes
    def begin(self, setup: Setup, texts: Sequence[str] | None = None) -> None:
        """Begin another episode, with the same policies from the start, or with lines of one's own.

        Raises
        ------
        AfsimError
            For a setup that cannot be played; the page stays as it is.
        """
        players = [HAND, *self.players()] if texts is None else list(texts)
        self._enter(make_board(setup, self.opened, players, lenient=True))

    def draw_another(self) -> None:
        """Begin an episode on another recording from another start: those that the next seed draws."""
        setup = self.board.setup
        stack, start = draw(self.board.task.camera.stacks, setup.seed + 1)
        self.begin(replace(setup, stack=stack, start=start, seed=setup.seed + 1))

    def change(self, setup: Setup) -> None:
        """Play all lines again in front of another camera, or with other steps: the same moves, move by move."""
        board = self.board
        again = make_board(
            setup, self.opened, board.texts(), undone=board.undone, revealed=board.revealed, lenient=True
        )
        if board.revealed:
            self._enter(again)
        else:
            self.board = again
            self._keep()

    def load(self, state: State) -> None:
        """Open the state of a link.

        Raises
        ------
        AfsimError
            For lines that cannot be played; the page stays as it is.
        """
        self._look(state, state.board(self.opened))

    def load_file(self, name: str, content: bytes) -> str:
        """Open a saved episode, and return what is not as it was saved.

        Raises
        ------
        AfsimError
            As :func:`afsim.cockpit.episodefile.load_episode`; the page stays as it is.
        """
        found = load_episode(Path(Path(name).name), self.opened, content)
        self._look(found.state, found.board)
        return found.note

    def _look(self, state: State, board: Board) -> None:
        self._enter(board)
        self.view = state.view if state.view in self.views else VIEWS[0]
        self.zoom = state.zoom

    def _enter(self, board: Board) -> None:
        self.board = board
        self._episode += 1
        recording = (board.setup.stacks, board.setup.stack)
        self._known = board.revealed or recording in self._told
        self._grey = grey_range(board.task.camera.stacks, board.setup.stack)
        if self.view not in self.views:
            self.view = VIEWS[0]
        self._keep()

    # ------------------------------------------------------------------ the board
    def apply(self, board: Board) -> None:
        """Go on from another board of the same episode."""
        self.board = board
        self._keep()

    def _keep(self) -> None:
        """Write down the scores once the truth is shown; who looks at it before the end, knows it."""
        if self.board.revealed:
            self._known = self._known or not self.board.yours.over
            self._scores[self._episode] = scores_of(self.board, known=self._known)
            self._told.add((self.board.setup.stacks, self.board.setup.stack))

    @property
    def scores(self) -> list[Score]:
        """Of all episodes whose truth was shown, the latest first."""
        return [score for _, scores in sorted(self._scores.items(), reverse=True) for score in scores]

    @property
    def state(self) -> State:
        """What a link and a file carry."""
        return state_of(self.board, self.view, self.zoom)

    @property
    def grey(self) -> tuple[float, float]:
        """The signals that are black and white in the pictures of this recording."""
        return self._grey

    # ------------------------------------------------------------------ looking
    @property
    def views(self) -> tuple[str, ...]:
        """How these patches can be looked at."""
        return views_of(self.board.task.spec.views)

    def next_view(self) -> None:
        """Look at the next view."""
        self.view = self.views[(self.views.index(self.view) + 1) % len(self.views)]

    def next_zoom(self) -> None:
        """Look from nearer, or from afar again."""
        self.zoom = ZOOMS[(ZOOMS.index(self.zoom) + 1) % len(ZOOMS)]

    def players(self) -> list[str]:
        """Return the policies that play lines from the start, each once."""
        names = [line.parts[0].player for line in self.board.lines[1:] if len(line.parts) == 1]
        return list(dict.fromkeys(name for name in names if name != HAND))


def advice(board: Board) -> tuple[np.ndarray, int] | None:
    """Return what a Bayesian policy believes, having seen what you have seen, and where it would go.

    None where it cannot play these stacks, or no move is left.
    """
    line = board.yours
    if line.over:
        return None
    try:
        policy = board.opened.policy(_ADVISOR, board.task.spec)
    except AfsimError:
        return None
    asked, command = consult(line.trace.until(line.step), policy)
    belief = asked.belief(line.step)
    return None if belief is None else (belief, command)
