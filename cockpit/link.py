"""The whole state of a page as plain text: the query of a link, and the parts of a file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from afsim.cockpit.board import Board, make_board
from afsim.cockpit.line import HAND
from afsim.cockpit.opened import Opened
from afsim.cockpit.setup import Setup
from afsim.cockpit.views import VIEWS
from afsim.errors import AfsimError, unknown
from afsim.options import convert

ZOOMS: Final = (1, 2, 4)
"""How many times it is enlarged about its middle."""
_SETUP: Final = {each.name: each.default for each in fields(Setup)}


@dataclass(frozen=True)
class State:
    """What a link carries.

    Attributes
    ----------
    setup : Setup
        Recording, camera, start and steps.
    lines : tuple of str
        Yours first (:meth:`afsim.cockpit.line.Line.text`).
    undone : int
        Of your moves.
    revealed : bool
        Whether the truth is shown.
    view : str
        One of :data:`VIEWS`.
    zoom : int
        One of :data:`ZOOMS`.

    Raises
    ------
    AfsimError
        For a view or zoom that does not exist, or a number out of range.
    """

    setup: Setup
    lines: tuple[str, ...] = (HAND,)
    undone: int = 0
    revealed: bool = False
    view: str = VIEWS[0]
    zoom: int = 1

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise unknown("view", self.view, VIEWS)
        if self.zoom not in ZOOMS:
            raise unknown("zoom", self.zoom, map(str, ZOOMS))
        if self.undone < 0:
            raise AfsimError(f"undone must be at least 0, got {self.undone}")

    def board(self, opened: Opened) -> Board:
        """Return the board, played again."""
        return make_board(self.setup, opened, self.lines, undone=self.undone, revealed=self.revealed)


def state_of(board: Board, view: str = VIEWS[0], zoom: int = 1) -> State:
    """Return the state of a board and how it is looked at."""
    return State(board.setup, tuple(board.texts()), board.undone, board.revealed, view, zoom)


def query_of(state: State) -> str:
    """Return the query of a link: what differs from the defaults, the recording and the start in any case."""
    always = ("stacks", "stack", "start")
    pairs = [(name, v) for name, v in asdict(state.setup).items() if name in always or v != _SETUP[name]]
    pairs += [("line", text) for text in state.lines]
    rest = {"undone": state.undone, "revealed": int(state.revealed), "view": state.view, "zoom": state.zoom}
    usual = {"undone": 0, "revealed": 0, "view": VIEWS[0], "zoom": 1}
    pairs += [(name, value) for name, value in rest.items() if value != usual[name]]
    return urlencode(pairs)


def read_query(query: str, default: Setup) -> State:
    """Read a link's query; ``default`` fills in what it does not say.

    Raises
    ------
    AfsimError
        Naming the parameter, what it was, and what was expected.
    """
    lines: list[str] = []
    given: dict[str, str] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name == "line":
            lines.append(text)
        elif name in given:
            raise AfsimError(f"link: {name!r} is given twice")
        else:
            given[name] = text
    return read_state(given, lines, default)


def read_state(given: Mapping[str, Any], lines: Sequence[str], default: Setup) -> State:
    """Return the state of texts by name; see :func:`read_query`."""
    like = {**asdict(default), "undone": 0, "revealed": False, "view": VIEWS[0], "zoom": 1}
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name not in like:
            raise unknown("parameter of a link", name, [*like, "line"])
        values[name] = convert(str(text), like[name], f"parameter {name!r}")
    setup = Setup(**{name: values.pop(name, getattr(default, name)) for name in _SETUP})
    return State(setup, tuple(lines) or (HAND,), **values)
