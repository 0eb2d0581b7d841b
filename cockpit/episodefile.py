"""Episodes as small files: who made which moves, in front of what; played again, they are the same bits."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import afsim
from afsim.cockpit.board import Board
from afsim.cockpit.line import Line
from afsim.cockpit.link import State, read_state, state_of
from afsim.cockpit.opened import Opened
from afsim.cockpit.setup import Setup
from afsim.errors import StoreError
from afsim.recordfile import RecordFormat

FORMAT: Final = RecordFormat("afsim-episode", 1, "saved episode", "afsim cockpit")
MOST_BYTES: Final = 1_000_000
"""Larger files are no saved episodes: one of a thousand moves has a tenth of it."""


class Loaded(NamedTuple):
    """A file's board, how it was looked at, and what is not as it was saved."""

    board: Board
    state: State
    note: str
    """Empty where it replays bit for bit."""


def episode_text(board: Board, state: State) -> str:
    """Return the file of a board and how it is looked at, with what tells whether it replays bit for bit."""
    stacks = board.task.camera.stacks
    record = {
        "afsim": afsim.__version__,
        "recording": {"set": board.setup.stacks, "sha256": stacks.digest, "stack": board.stack_name},
        "setup": asdict(state.setup),
        "lines": list(state.lines),
        "shown": {"undone": state.undone, "revealed": state.revealed, "view": state.view, "zoom": state.zoom},
        "check": [_check(line) for line in board.lines],
    }
    return FORMAT.text(record, indent=1)


def load_episode(path: Path, opened: Opened, content: bytes | None = None) -> Loaded:
    """Play the episode of a file again; with ``content``, ``path`` is only what it is called.

    Raises
    ------
    StoreError
        For a file that is missing, none, damaged or newer, or of a recording that is not among those opened.
    AfsimError
        For lines that cannot be played.
    """
    if content is not None and len(content) > MOST_BYTES:
        raise StoreError(f"{path}: expected at most {MOST_BYTES:,} bytes of a saved episode, got {len(content):,}")
    with FORMAT.reading(path, content) as record:
        made, recording = str(record["afsim"]), record["recording"]
        lines = [str(text) for text in record["lines"]]
        given = {**record["setup"], **record["shown"]}
        given["stacks"] = _find_set(path, recording, opened)
        saved = [dict(each) for each in record["check"]]
        state = read_state(given, lines, Setup())
    board = state.board(opened)
    return Loaded(board, state_of(board, state.view, state.zoom), _differs(board, saved, made))


def _find_set(path: Path, recording: dict[str, Any], opened: Opened) -> str:
    """Return the name of the opened set that has the recording's content: the one of its name first."""
    name, wanted = str(recording["set"]), str(recording["sha256"])
    for each in sorted(opened.sets, key=lambda known: known != name):
        if opened.stacks(each).digest == wanted:
            return each
    raise StoreError(
        f"{path}: it was played on the set {name!r} (sha256 {wanted[:12]}...), which is not open; "
        f"open it with --stacks, got the sets {', '.join(opened.sets)}"
    )


def _check(line: Line) -> dict[str, Any]:
    """Return what tells whether a line is the same: where its lens was, when, and a hash of what was seen."""
    trace = line.so_far
    seen = hashlib.sha256()
    for moment in trace.moments:
        seen.update(moment.image.tobytes())
    times = [None if value != value else value for value in trace.lanes["time_ms"].tolist()]
    return {"positions": trace.lanes["position"].tolist(), "times_ms": times, "images_sha256": seen.hexdigest()}


def _differs(board: Board, saved: list[dict[str, Any]], made: str) -> str:
    """Say what is not as it was saved, or nothing."""
    for line, before in zip(board.lines, saved, strict=True):
        now = _check(line)
        for field in ("positions", "times_ms", "images_sha256"):
            if now[field] != before[field]:
                return (
                    f"{line.name} does not replay bit for bit: its {field} differ from what afsim {made} saved "
                    f"(this is afsim {afsim.__version__})"
                )
    return ""
