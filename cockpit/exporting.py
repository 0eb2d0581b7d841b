"""What a page hands out as files: the saved episode, the filmstrip, films, and the steps as a table."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from afsim.cockpit.board import Board
from afsim.cockpit.episodefile import episode_text
from afsim.cockpit.link import State
from afsim.errors import AfsimError, unknown
from afsim.experiments.trace_command import step_rows
from afsim.filmstrip import filmstrip, save_filmstrip
from afsim.tables import write_table
from afsim.video import frames, write_film

# With what is withheld while the truth is hidden.
_TRUTHS: Final = ("position", "error", "exact_error", "belief", "features")


def _strip(board: Board, state: State, path: Path) -> None:
    _check_revealed(board)
    save_filmstrip(filmstrip([line.so_far for line in board.lines], [line.name for line in board.lines]), path)


def _film(board: Board, state: State, path: Path) -> None:
    _check_revealed(board)
    write_film(frames([line.so_far for line in board.lines], [line.name for line in board.lines]), path)


def _table(board: Board, state: State, path: Path) -> None:
    rows: list[dict[str, object]] = []
    hidden = ("belief", "features", *(() if board.revealed else _TRUTHS))
    for line in board.lines:
        for row in step_rows(line.so_far):
            if not board.revealed:
                row["contrast"] = None
            kept = {name: "" if value is None else value for name, value in row.items() if name not in hidden}
            rows.append({"player": line.name, **kept})
    write_table(rows, path)


def _episode(board: Board, state: State, path: Path) -> None:
    path.write_text(episode_text(board, state), encoding="utf-8")


KINDS: Final[dict[str, Callable[[Board, State, Path], None]]] = {
    "json": _episode,
    "png": _strip,
    "gif": _film,
    "mp4": _film,
    "csv": _table,
}
"""By the ending of the file: what writes it."""


def export(board: Board, state: State, kind: str) -> tuple[str, bytes]:
    """Return the name and the content of a file.

    Raises
    ------
    AfsimError
        For a kind that does not exist, more lines than pictures have colours for, or a picture, which shows the
        truth, while that is hidden.
    """
    if kind not in KINDS:
        raise unknown("kind of file", kind, KINDS)
    recording = re.sub(r"[^\w.-]+", "-", board.stack_name)
    name = f"{recording}-from-{board.setup.start}.{kind}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"episode.{kind}"
        KINDS[kind](board, state, path)
        return name, path.read_bytes()


def _check_revealed(board: Board) -> None:
    if not board.revealed:
        raise AfsimError("filmstrips and films show the truth: end your episode first, or show the truth")
