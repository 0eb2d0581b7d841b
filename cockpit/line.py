"""A line of play: one episode that hands and policies play in turn, step by step. A value: a move gives another.

Policies decide by what they have seen and by counters alone. So a line holds all that its policy will do, and shows
it as far as it has been stepped: looking ahead costs nothing, and going back is an old line.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from afsim.errors import AfsimError
from afsim.policy import FocusPolicy
from afsim.trace import Trace, by_hand, fork

HAND: Final = "you"
"""The player who moves by hand."""
_DECLARE: Final = "declare"


class Part(NamedTuple):
    """Some moves in a row by one player."""

    player: str
    """``you``, or the text of a policy."""
    moves: int = 0
    """How many were made."""
    commands: tuple[int, ...] = ()
    """Of a hand: where the lens was sent."""
    declares: bool = False
    """Of a hand: whether it declared the focus in the end."""

    def text(self) -> str:
        """Return ``you 12 14 declare``, or ``hill_climb *3`` of a policy."""
        if self.player == HAND:
            return " ".join([HAND, *map(str, self.commands), *([_DECLARE] if self.declares else [])])
        return f"{self.player} *{self.moves}"


def read_parts(text: str) -> tuple[Part, ...]:
    """Read what :meth:`Line.text` writes: ``you 12 14 > bayesian *2``.

    Raises
    ------
    AfsimError
        Naming the part that is none.
    """
    return tuple(_read_part(part.split(), text) for part in text.split(">"))


def _read_part(words: list[str], text: str) -> Part:
    if not words:
        raise AfsimError(f"line {text!r}: expected a player before and after each '>'")
    player, *rest = words
    if player == HAND:
        declares = rest[-1:] == [_DECLARE]
        commands = rest[:-1] if declares else rest
        if not all(word.isascii() and word.isdigit() for word in commands):
            raise AfsimError(f"line {text!r}: expected indices after {HAND!r}, got {' '.join(rest)!r}")
        return Part(HAND, len(rest), tuple(map(int, commands)), declares)
    count = rest[0].removeprefix("*") if len(rest) == 1 and rest[0].startswith("*") else "0" if not rest else ""
    if not (count.isascii() and count.isdigit()):
        raise AfsimError(f"line {text!r}: expected {player} *MOVES, got {' '.join(words)!r}")
    return Part(player, int(count))


@dataclass(frozen=True, eq=False)
class Line:
    """An episode as far as it was played.

    Attributes
    ----------
    trace : Trace
        All of it, also what its policy will do.
    parts : tuple of Part
        Who made the moves so far.
    step : int
        How many moves were made.
    before : Line or None
        The line before the last thing that was done to it.
    """

    trace: Trace
    parts: tuple[Part, ...] = (Part(HAND),)
    step: int = 0
    before: "Line | None" = None

    @property
    def player(self) -> str:
        """Who is to move, or moved last."""
        return self.parts[-1].player

    @property
    def by_hand(self) -> bool:
        """Whether a hand is to move."""
        return self.player == HAND

    @property
    def name(self) -> str:
        """Who played it, in order: ``you > bayesian``."""
        return " > ".join(part.player for part in self.parts)

    @property
    def over(self) -> bool:
        """Whether no move is left."""
        return bool(self.trace.lanes["done"][self.step])

    @property
    def next_command(self) -> int | None:
        """Where its policy goes next; None where a hand decides or nobody moves any more."""
        if self.by_hand or self.step == len(self.trace.moments) - 1:
            return None
        return int(self.trace.lanes["command"][self.step + 1])

    @property
    def so_far(self) -> Trace:
        """The episode up to the present, with what is decided there."""
        forked_at = self.trace.forked_at
        return replace(
            self.trace,
            moments=self.trace.moments[: self.step + 1],
            forked_at=None if forked_at is None or forked_at >= self.step else forked_at,
        )

    def text(self) -> str:
        """Return who made which moves; :func:`read_parts` reads it."""
        return " > ".join(part.text() for part in self.parts)

    # ------------------------------------------------------------------ another line
    def moved(self, command: int | None) -> "Line":
        """Return the line after a move by hand (None declares the focus), which ends a policy's part.

        Raises
        ------
        AfsimError
            For an index that does not exist, or a line that is over.
        """
        trace = by_hand(self.trace.until(self.step), command)
        parts = self.parts if self.by_hand else (*self._played, Part(HAND))
        last = parts[-1]
        commands = last.commands if command is None else (*last.commands, command)
        moved = Part(HAND, last.moves + 1, commands, command is None)
        return Line(trace, (*parts[:-1], moved), self.step + 1, self)

    def handed_to(self, name: str, policy: FocusPolicy) -> "Line":
        """Return the line with a policy to move from here on, which is first shown what was seen so far.

        Raises
        ------
        AfsimError
            For a line that is over.
        """
        if self.over:
            raise AfsimError("the episode is over: nobody can go on from here")
        trace = fork(self.trace.until(self.step), self.step, policy)
        if self.step == 0:
            trace = replace(trace, forked_at=None)
        return Line(trace, (*self._played, Part(name)), self.step, self)

    def taken_over(self) -> "Line":
        """Return the line with a hand to move from here on."""
        if self.by_hand:
            return self
        return Line(self.trace.until(self.step), (*self._played, Part(HAND)), self.step, self)

    def ahead(self, moves: int = 1) -> "Line":
        """Return the line with the next moves of its policy made; as many as are left, none where a hand moves."""
        line = self
        for _ in range(0 if self.by_hand else moves):
            if line.next_command is None:
                break
            last = line.parts[-1]
            made = (*line.parts[:-1], last._replace(moves=last.moves + 1))
            line = Line(line.trace, made, line.step + 1, line)
        return line

    @property
    def _played(self) -> tuple[Part, ...]:
        """The parts that have moves."""
        return tuple(part for part in self.parts if part.moves)
