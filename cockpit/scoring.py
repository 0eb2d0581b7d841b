"""The scores of a session: how you and the policies did on the same episodes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from afsim.cockpit.board import Board
from afsim.cockpit.line import Line
from afsim.cockpit.setup import Setup


@dataclass(frozen=True)
class Score:
    """How a line ended.

    Attributes
    ----------
    player : str
        Who played it.
    setup : Setup
        Which episode.
    stack : str
        Name of the recording.
    error, exact_error : float
        In indices of the label, and of the exact truth; NaN where withheld.
    sharpness : float
        There, relative to the sharpest slice.
    steps : int
        Predictions made.
    travel_um, time_ms : float
        NaN where withheld.
    note : str
        Why it does not count, or what is to be said of it.
    counts : bool
        Whether it goes into the means.
    """

    player: str
    setup: Setup
    stack: str
    error: float
    exact_error: float
    sharpness: float
    steps: int
    travel_um: float
    time_ms: float
    note: str = ""
    counts: bool = True


def scores_of(board: Board, *, known: bool) -> list[Score]:
    """Return how every line ends: yours where it stands, the policies' at their end.

    Parameters
    ----------
    board : Board
        Whose truth is shown.
    known : bool
        Whether its truth had been shown before, in another game on the same recording.
    """
    rows = [_score(board, board.yours, board.yours.step, _notes(board, known), board.yours.over and not known)]
    for line in board.lines[1:]:
        rows.append(_score(board, line, len(line.trace.moments) - 1, "", True))
    return rows


def _notes(board: Board, known: bool) -> str:
    notes = [] if board.yours.over else ["not ended"]
    notes += ["the truth was known"] if known else []
    notes += [f"{board.undone} undone"] if board.undone else []
    return ", ".join(notes)


def _score(board: Board, line: Line, step: int, note: str, counts: bool) -> Score:
    info = board.task.info(line.trace.moments[step].state)
    sharpness = board.task.relative_sharpness(info["stack"], info["position"])[0]
    lane = info[0]
    return Score(
        player=line.name,
        setup=board.setup,
        stack=board.stack_name,
        error=float(lane["error"]),
        exact_error=float(lane["exact_error"]),
        sharpness=float(sharpness),
        steps=int(lane["step"]),
        travel_um=float(lane["travel_um"]),
        time_ms=float(lane["time_ms"]),
        note=note,
        counts=counts,
    )


def standings(scores: Sequence[Score]) -> list[dict[str, str]]:
    """Return one row a player, in the order in which they came: means over the episodes that count."""
    rows = []
    for player in dict.fromkeys(score.player for score in scores if score.counts):
        own = [score for score in scores if score.counts and score.player == player]
        within = [abs(score.exact_error) <= 1.0 for score in own if not math.isnan(score.exact_error)]
        rows.append(
            {
                "player": player,
                "episodes": str(len(own)),
                "exact error": _mean((abs(score.exact_error) for score in own), ".2f"),
                "within 1": f"{100.0 * sum(within) / len(within):.0f} %" if within else "withheld",
                "sharpness": _mean((100.0 * score.sharpness for score in own), ".0f", " %"),
                "steps": _mean((score.steps for score in own), ".1f"),
                "travel": _mean((score.travel_um for score in own), ".0f", " µm"),
                "time": _mean((score.time_ms for score in own), ".0f", " ms"),
            }
        )
    return rows


def score_row(score: Score) -> dict[str, str]:
    """Return one score as words."""
    return {
        "player": score.player,
        "recording": f"{score.stack} from {score.setup.start}",
        "error": _mean([score.error], "+.0f"),
        "exact error": _mean([score.exact_error], "+.2f"),
        "sharpness": _mean([100.0 * score.sharpness], ".0f", " %"),
        "steps": str(score.steps),
        "travel": _mean([score.travel_um], ".0f", " µm"),
        "time": _mean([score.time_ms], ".0f", " ms"),
        "note": score.note,
    }


def _mean(values: Iterable[float], form: str, unit: str = "") -> str:
    """Return the mean of what is not withheld, or that all is."""
    known = [value for value in values if not math.isnan(value)]
    return format(sum(known) / len(known), form) + unit if known else "withheld"
