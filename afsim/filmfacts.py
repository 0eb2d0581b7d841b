"""What a picture of an episode says in words: who played, how it ended, and what a fork changed."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from afsim.filmpanels import QUIET, SMALL, Reel, number, verdict
from afsim.trace import Trace


def headline(reels: Sequence[Reel]) -> str:
    """Return the title: who played what, through which camera, and how each episode ended."""
    trace = reels[0].trace
    camera, lane = trace.task.camera, trace.lanes[0]
    where = f"stack {trace.stack} ({camera.stacks.names[trace.stack]}) from index {lane['start']}"
    seen = f"lens {camera.lens.name}, sensor {camera.sensor.name}, at most {trace.task.spec.budget} steps"
    ends = [f"{reel.name} ends with error {_error(reel.trace)}, {says(reel.trace)}" for reel in reels]
    return f"{' and '.join(reel.name for reel in reels)} on {where}: {seen}\n" + "; ".join(ends)


def _error(trace: Trace) -> str:
    return number(float(trace.end["error"]), "+.0f")


def says(trace: Trace) -> str:
    """Return the status and confidence with which an episode ended."""
    return verdict(trace, len(trace.moments) - 1)[1]


def facts(trace: Trace) -> list[tuple[str, str]]:
    """Return how an episode ended, as pairs of a word and what it is."""
    end = trace.end
    travel = number(float(end["travel_um"]), ".0f", " µm")
    if math.isnan(end["travel_um"]):
        travel = number(float(end["travel_index"]), ".1f", " indices")
    return [
        ("error", _error(trace)),
        ("exact error", number(float(end["exact_error"]), "+.2f")),
        ("steps", str(end["step"])),
        ("moves", str(end["moves"])),
        ("travel", travel),
        ("time", number(float(end["time_ms"]), ".0f", " ms")),
    ]


def differences(trace: Trace, against: Trace) -> dict[str, str]:
    """Return how an episode differs from another, by the words of :func:`facts`; errors by their size."""
    new, old = trace.end, against.end
    unit = "travel_index" if math.isnan(new["travel_um"]) else "travel_um"

    def change(field: str) -> float:
        return float(new[field]) - float(old[field])

    return {
        "error": _better(abs(float(new["error"])) - abs(float(old["error"])), ".0f"),
        "exact error": _better(abs(float(new["exact_error"])) - abs(float(old["exact_error"])), ".2f"),
        "steps": _more(change("step")),
        "moves": _more(change("moves")),
        "travel": _more(change(unit)),
        "time": _more(change("time_ms")),
    }


def _more(change: float) -> str:
    text = number(change, "+.0f")
    return "the same" if text == "0" else text


def _better(change: float, form: str) -> str:
    """Return how much smaller or larger an error is; nothing where it is withheld."""
    if math.isnan(change):
        return ""
    size = format(abs(change), form)
    if float(size) == 0.0:
        return "the same"
    return f"{size} {'worse' if change > 0 else 'better'}"


def write_facts(axes: Axes, reel: Reel, against: Trace | None = None) -> None:
    """Write how an episode ended, line by line, and where given what that is against another episode."""
    axes.set_axis_off()
    trace = reel.trace
    place: dict[str, Any] = {"va": "top", "transform": axes.transAxes}
    began = "" if trace.forked_at is None else f" from step {trace.forked_at}"
    axes.text(0.0, 1.0, reel.name + began, color=reel.colour, fontsize=SMALL + 1.5, fontweight="bold", **place)
    axes.text(0.0, 0.87, f"ends {says(trace)}", fontsize=SMALL, color=QUIET, **place)
    changes = {} if against is None else differences(trace, against)
    if against is not None:
        axes.text(1.0, 0.87, "change", color=reel.colour, fontsize=SMALL, ha="right", **place)
    for row, (what, value) in enumerate(facts(trace)):
        y = 0.74 - 0.125 * row
        axes.text(0.0, y, what, color=QUIET, fontsize=SMALL, **place)
        axes.text(0.62, y, value, fontsize=SMALL, ha="right", **place)
        axes.text(1.0, y, changes.get(what, ""), color=reel.colour, fontsize=SMALL, ha="right", **place)
