"""The board: one setup, your line of play, and those of policies that meet the same lens, drift and noise."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from afsim.cockpit.line import HAND, Line, Part, read_parts
from afsim.cockpit.opened import Opened
from afsim.cockpit.setup import Setup, make_task
from afsim.errors import AfsimError
from afsim.policy import FocusPolicy
from afsim.task import FocusTask
from afsim.trace import opening

MakePolicy = Callable[[str], FocusPolicy]

MOST_LINES: Final = 24
"""Lines on a board: more than anybody looks at, and few enough that a link cannot keep a server busy."""


@dataclass(frozen=True, eq=False)
class Board:
    """A value: whatever is done gives another board.

    Attributes
    ----------
    setup : Setup
        Recording, camera, start and steps.
    task : FocusTask
        Its game.
    opened : Opened
        What policies are made by.
    lines : tuple of Line
        Yours, then the others.
    undone : int
        How many of your moves were taken back, which no policy may.
    revealed : bool
        Whether the truth is shown.
    """

    setup: Setup
    task: FocusTask
    opened: Opened
    lines: tuple[Line, ...]
    undone: int = 0
    revealed: bool = False

    @property
    def yours(self) -> Line:
        """Your line."""
        return self.lines[0]

    @property
    def stack_name(self) -> str:
        """Name of the recording."""
        return self.task.camera.stacks.names[self.setup.stack]

    def texts(self) -> list[str]:
        """Return all lines as text; with the setup, they are the whole board."""
        return [line.text() for line in self.lines]

    # ------------------------------------------------------------------ your line
    def moved(self, command: int | None) -> "Board":
        """Return the board after your move to an index; None declares the focus. At the end the truth is shown."""
        line = self.yours.moved(command)
        return replace(self, lines=(line, *self.lines[1:]), revealed=self.revealed or line.over)

    def back(self) -> "Board":
        """Return the board with the last thing on your line undone.

        Raises
        ------
        AfsimError
            Where nothing was done yet, or the truth is shown already.
        """
        if self.yours.before is None:
            raise AfsimError("there is no move to undo")
        if self.revealed and self.yours.over:
            raise AfsimError("the episode is over and the truth is shown: begin a new one")
        undone = self.undone + int(self.yours.by_hand and self.yours.parts[-1].moves > 0)
        return replace(self, lines=(self.yours.before, *self.lines[1:]), undone=undone)

    # ------------------------------------------------------------------ any line
    def handed_to(self, which: int, name: str) -> "Board":
        """Return the board with a policy to move on a line from its present step on."""
        return self._with(which, self.lines[which].handed_to(name, self._policy(name)))

    def taken_over(self, which: int) -> "Board":
        """Return the board on which you go on by hand from where a line stands: it becomes yours too."""
        line = self.lines[which].taken_over()
        if line is self.yours:
            return self
        return replace(self, lines=(replace(line, before=self.yours), *self.lines[1:]))

    def added(self, name: str) -> "Board":
        """Return the board with a policy that plays from the start, ahead as far as the others that do."""
        _check_count(len(self.lines) + 1)
        line = Line(opening(self.task, self.setup.stack, self.setup.start, self.setup.seed))
        return replace(self, lines=(*self.lines, line.handed_to(name, self._policy(name))))

    def forked(self, which: int, names: Sequence[str]) -> "Board":
        """Return the board with lines on which others go on from where a line stands.

        Raises
        ------
        AfsimError
            For a line that is over, nobody to go on, or more than :data:`MOST_LINES`.
        """
        if not names:
            raise AfsimError("nobody to go on from here: add policies first")
        _check_count(len(self.lines) + len(names))
        line = self.lines[which]
        others = [line.handed_to(name, self._policy(name)) for name in names]
        return replace(self, lines=(*self.lines, *others))

    def removed(self, which: int) -> "Board":
        """Return the board without a line that is not yours."""
        assert which > 0
        return replace(self, lines=self.lines[:which] + self.lines[which + 1 :])

    # ------------------------------------------------------------------ all lines
    def stepped(self) -> "Board":
        """Return the board with one more move on every line whose policy is to move."""
        return self._each(Line.ahead)

    def stepped_back(self) -> "Board":
        """Return the board with one move less on every line on which its policy has moved."""

        def back(line: Line) -> Line:
            return line.before if line.parts[-1].moves and not line.by_hand and line.before else line

        return self._each(back)

    def at_time(self, milliseconds: float) -> "Board":
        """Return the board with every policy's moves made that end by a simulated time; none is taken back.

        Where time is withheld, each step counts as one frame.
        """

        def until(line: Line) -> Line:
            while line.next_command is not None and self._time(line, line.step + 1) <= milliseconds:
                line = line.ahead()
            return line

        return self._each(until)

    def now(self) -> float:
        """Return the earliest time, in milliseconds, from which a policy is to move; the latest where none is."""
        movers = [line for line in self.lines if line.next_command is not None]
        if movers:
            return min(self._time(line, line.step) for line in movers)
        return max(self._time(line, line.step) for line in self.lines)

    def _time(self, line: Line, step: int) -> float:
        """Return the simulated time of a step in milliseconds; a frame a step where it is withheld."""
        when = float(line.trace.lanes["time_ms"][step])
        return step * self.task.spec.timing.frame_ms if math.isnan(when) else when

    @property
    def at_rest(self) -> bool:
        """Whether no policy is to move."""
        return all(line.next_command is None for line in self.lines)

    def shown(self) -> "Board":
        """Return the board with the truth shown."""
        return replace(self, revealed=True)

    def _each(self, change: Callable[[Line], Line]) -> "Board":
        lines = tuple(change(line) for line in self.lines)
        return replace(self, lines=lines, revealed=self.revealed or (lines[0].over and lines[0] is not self.yours))

    def _with(self, which: int, line: Line) -> "Board":
        return replace(self, lines=(*self.lines[:which], line, *self.lines[which + 1 :]))

    def _policy(self, name: str) -> FocusPolicy:
        return self.opened.policy(name, self.task.spec)


def make_board(
    setup: Setup,
    opened: Opened,
    texts: Sequence[str] = (HAND,),
    *,
    undone: int = 0,
    revealed: bool = False,
    lenient: bool = False,
) -> Board:
    """Play lines again from their texts.

    Parameters
    ----------
    setup : Setup
        In front of which camera.
    opened : Opened
        The sets and policies that there are.
    texts : sequence of str
        As :meth:`Board.texts` gives them, yours first.
    undone, revealed
        Of the board.
    lenient : bool
        Make as many of a line's moves as the setup allows, and leave out who cannot play: for lines of another
        setup, whose camera or recording has changed since.

    Raises
    ------
    AfsimError
        For anything that does not exist, or moves that are not left.
    """
    _check_count(len(texts))
    task = make_task(setup, opened)
    begin = Line(opening(task, setup.stack, setup.start, setup.seed))
    lines = []
    for text in texts or (HAND,):
        try:
            lines.append(_replayed(begin, read_parts(text), lambda name: opened.policy(name, task.spec), lenient))
        except AfsimError as error:
            if not lenient:
                raise AfsimError(f"line {text!r}: {error}") from error
            if not lines:
                lines.append(begin)
    revealed = revealed or lines[0].over
    return Board(setup, task, opened, tuple(lines), undone, revealed)


def _check_count(lines: int) -> None:
    if lines > MOST_LINES:
        raise AfsimError(f"a board has at most {MOST_LINES} lines, got {lines}: remove some first")


def _replayed(line: Line, parts: Sequence[Part], policy: MakePolicy, lenient: bool) -> Line:
    for part in parts:
        if lenient and line.over:
            break
        if part.player == HAND:
            line = line.taken_over()
            for command in (*part.commands, *([None] if part.declares else [])):
                if lenient and line.over:
                    break
                line = line.moved(command)
            continue
        line = line.handed_to(part.player, policy(part.player))
        begun, line = line.step, line.ahead(part.moves)
        if not lenient and line.step - begun < part.moves:
            raise AfsimError(f"{part.player} makes {line.step - begun} moves from there, expected {part.moves}")
    return line
