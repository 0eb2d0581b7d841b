"""The panels that pictures and films of an episode are made of: patch, contrast curve, belief, the lens's track."""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from afsim.contactsheet import display_curve
from afsim.errors import AfsimError
from afsim.lanes import Lanes
from afsim.plots import COLOURS
from afsim.policy import Status
from afsim.stack import Image
from afsim.trace import Trace

FloatArray = npt.NDArray[np.float64]

BEST: Final = "gold"  # as on the contact sheet
TRUTH: Final = COLOURS[2]
REFERENCE: Final = "#a8a8a8"
QUIET: Final = "#555555"
# The truth has a colour of its own.
_OF_EPISODES: Final = tuple(colour for colour in COLOURS if colour != TRUTH)
SMALL: Final = 7.5
"""Points of the small print: ten pixels in a picture of 1280."""

_LABEL: Final = 8.5
_RING: Final[dict[str, Any]] = {"markersize": 9.5, "markerfacecolor": "none", "markeredgewidth": 1.4}
# Of the whole time, between dots of the track that are numbered.
_LEAST_GAP: Final = 0.03
_STATUS_WORDS: Final = {Status.SEARCHING: "searching", Status.FOCUSED: "focused", Status.FAILED: "failed"}
_VERDICT_COLOURS: Final = {Status.SEARCHING: QUIET, Status.FOCUSED: "black", Status.FAILED: COLOURS[3]}


class Reel(NamedTuple):
    """An episode as it is drawn.

    Attributes
    ----------
    trace : Trace
        What was seen.
    name : str
        Of the policy.
    colour : str
        Of its samples and track.
    pictures : (T+1, H, W) float32
        Its green images for display, in 0 ... 1.
    """

    trace: Trace
    name: str
    colour: str
    pictures: Image


def make_reels(traces: Sequence[Trace], names: Sequence[str]) -> tuple[list[Reel], Image | None]:
    """Return the reels of episodes and the picture (H, W) of the best slice, all in one range of grey.

    Parameters
    ----------
    traces : sequence of Trace
        An episode, and forks of it.
    names : sequence of str
        Of their policies.

    Raises
    ------
    AfsimError
        For no episode, more than there are colours, episodes of different stacks, or not one name each.
    """
    if not 1 <= len(traces) <= len(_OF_EPISODES) or len(traces) != len(names):
        raise AfsimError(
            f"expected 1 ... {len(_OF_EPISODES)} episodes and a name for each, "
            f"got {len(traces)} and {len(names)} names"
        )
    if len({trace.stack for trace in traces}) > 1:
        raise AfsimError(f"expected episodes of one stack, got stacks {[trace.stack for trace in traces]}")
    first = traces[0]
    best = [] if first.label is None else [first.slices[first.label]]
    images = [*best, *(moment.image for trace in traces for moment in trace.moments)]
    shown = display_curve(np.stack(images).mean(axis=1))
    reels, begin = [], len(best)
    for trace, name, colour in zip(traces, names, _OF_EPISODES, strict=False):
        end = begin + len(trace.moments)
        reels.append(Reel(trace, name, colour, shown[begin:end]))
        begin = end
    return reels, shown[0] if best else None


# ---------------------------------------------------------------------- words
def number(value: float, form: str, unit: str = "") -> str:
    """Return a number with a true minus sign, zero without any, or that it is withheld."""
    if math.isnan(value):
        return "withheld"
    text = format(value, form)
    zero = float(text) == 0.0
    return (text.lstrip("+-") if zero else text.replace("-", "\N{MINUS SIGN}")) + unit


def caption(trace: Trace, step: int) -> str:
    """Return which step it is, when, where the lens was told to be, and where it was."""
    lane = trace.lanes[step]
    when = "" if math.isnan(lane["time_ms"]) else f" · {lane['time_ms']:.0f} ms"
    return f"step {step}{when}\nindex {lane['command']:.0f}, lens {number(lane['position'], '.1f')}"


def verdict(trace: Trace, step: int) -> tuple[str, str]:
    """Return what the policy decided at a step: where to go, and how it says that its search stands."""
    last = len(trace.moments) - 1
    after = min(step + 1, last)
    words = _STATUS_WORDS[Status(trace.status[after])]
    if math.isfinite(trace.confidence[after]):
        words += f" {trace.confidence[after]:.2f}"
    return "the end" if step == last else f"go to {trace.lanes['command'][after]:.0f}", words


# ---------------------------------------------------------------------- panels
def draw_patch(axes: Axes, picture: Image, *, is_best: bool, title: str) -> None:
    """Draw a picture (H, W) in 0 ... 1, framed where it is the best slice."""
    axes.imshow(picture, cmap="gray", vmin=0.0, vmax=1.0, interpolation="antialiased")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(is_best)
        spine.set(edgecolor=BEST, linewidth=3.5)
    axes.set_title(title, fontsize=SMALL, linespacing=1.2, pad=4)


def is_best(trace: Trace, step: int) -> bool:
    """Tell whether the lens was at the labelled slice, by the paper's rounding."""
    return trace.label is not None and math.floor(trace.lanes["position"][step] + 0.5) == trace.label


def draw_curve(axes: Axes, reel: Reel, step: int, limits: tuple[float, float]) -> None:
    """Draw the contrast seen up to a step over where the lens was, relative to the best slice's.

    In grey the whole curve, dashed the truth; the present sample is ringed, those seen before a fork are hollow.
    """
    trace, dots = reel.trace, _dots(reel)
    n, unit = trace.task.spec.n, contrast_unit(trace)
    axes.plot(np.arange(n), trace.curve / unit, color=REFERENCE, linewidth=1.4, zorder=1.5)
    _mark_truth(axes, trace, upright=True)
    places = trace.lanes["position"][: step + 1]
    seen = np.array([moment.contrast for moment in trace.moments[: step + 1]]) / unit
    order = np.argsort(places, kind="stable")
    axes.plot(places[order], seen[order], color=reel.colour, linewidth=0.8, alpha=0.6, clip_on=False)
    foreign = np.arange(step + 1) < (trace.forked_at or 0)
    axes.plot(places[~foreign], seen[~foreign], markersize=3.8, **dots)
    axes.plot(places[foreign], seen[foreign], markersize=3.8, markerfacecolor="white", **dots)
    axes.plot(places[-1:], seen[-1:], **dots, **_RING)
    middle = round(sum(limits) / 2.0, 1)
    axes.set(xlim=_reach(trace), ylim=limits, xticks=_ends(n), yticks=[middle, 1.0] if middle < 0.9 else [1.0])
    axes.tick_params(labelsize=SMALL, length=2, pad=1.5)
    colour = _VERDICT_COLOURS[_status_after(trace, step)]
    axes.set_title("\n".join(verdict(trace, step)), fontsize=SMALL, linespacing=1.2, color=colour, pad=4)


def draw_belief(axes: Axes, reel: Reel, step: int) -> None:
    """Draw how likely the policy holds each index after a step, as bars; nothing where it does not say."""
    trace, n = reel.trace, reel.trace.task.spec.n
    belief = trace.belief(step)
    if belief is not None:
        axes.bar(np.arange(n), belief, width=1.0, color=reel.colour, alpha=0.75, linewidth=0)
        most = int(belief.argmax())
        x, side = (0.97, "right") if most < n / 2 else (0.03, "left")
        text = f"{most}: {belief[most]:.2f}"
        axes.text(x, 0.95, text, transform=axes.transAxes, va="top", ha=side, fontsize=SMALL - 0.5, color=QUIET)
    _mark_truth(axes, trace, upright=True)
    axes.set(xlim=_reach(trace), xticks=_ends(n), yticks=[])
    axes.set_ylim(bottom=0.0)
    axes.tick_params(labelsize=SMALL, length=2, pad=1.5)


def draw_track(axes: Axes, reels: Sequence[Reel], step: int | None = None) -> None:
    """Draw command (lines) and position (dots) over time, up to a step; over steps where time is withheld.

    A fork begins where it left its episode. Dots are numbered by step where there is room.
    """
    timed = all(np.isfinite(reel.trace.lanes["time_ms"]).all() for reel in reels)
    field = "time_ms" if timed else "step"
    latest = max(float(reel.trace.lanes[field][-1]) for reel in reels)
    for reel in reels:
        begin = reel.trace.forked_at or 0
        whole = reel.trace.lanes[begin:]
        lanes = whole if step is None else whole[: max(step - begin + 1, 0)]
        when, dots = lanes[field], _dots(reel)
        axes.step(when, lanes["command"], where="pre", color=reel.colour, linewidth=1.0, alpha=0.6)
        axes.plot(when, lanes["position"], markersize=4.5, **dots)
        if step is not None:
            axes.plot(when[-1:], lanes["position"][-1:], **dots, **_RING)
        _number_dots(axes, reel, lanes, field, _LEAST_GAP * latest)
    _mark_truth(axes, reels[0].trace, upright=False)
    low, high = _reach(*(reel.trace for reel in reels))
    axes.set(
        xlim=(-0.012 * latest, 1.012 * latest + 0.1), ylim=(low, high), yticks=_ends(reels[0].trace.task.spec.n)
    )
    axes.set_ylabel("index", fontsize=_LABEL)
    unit = "time (ms)" if timed else "step"
    told = "dots: where the lens was at each exposure, numbered by step; lines: where it was told to be"
    axes.set_xlabel(f"{unit}; {told}", fontsize=_LABEL)
    axes.tick_params(labelsize=SMALL)


def _number_dots(axes: Axes, reel: Reel, lanes: Lanes, field: str, gap: float) -> None:
    """Write the steps beside the dots of a track, the last one first, as far as the numbers keep apart."""
    numbered = math.inf
    for lane in lanes[::-1]:
        if numbered - lane[field] >= gap:
            numbered = lane[field]
            axes.annotate(
                str(lane["step"]),
                (lane[field], lane["position"]),
                (4, 3),
                textcoords="offset points",
                fontsize=SMALL - 0.5,
                color=reel.colour,
                path_effects=[withStroke(linewidth=2.0, foreground="white")],
            )


def contrast_unit(trace: Trace) -> float:
    """Return the contrast of the sharpest slice, or 1 where there is none at all."""
    return float(trace.curve.max()) or 1.0


def contrast_limits(reels: Sequence[Reel]) -> tuple[float, float]:
    """Return the range of relative contrast that all panels of a picture share."""
    unit = contrast_unit(reels[0].trace)
    seen = [moment.contrast for reel in reels for moment in reel.trace.moments]
    low = float(min(*seen, reels[0].trace.curve.min())) / unit
    high = max(1.0, *(value / unit for value in seen))
    return low - 0.1 * (high - low) - 0.01, high + 0.12 * (high - low) + 0.01


def _dots(reel: Reel) -> dict[str, Any]:
    return {"color": reel.colour, "marker": "o", "linestyle": "none", "clip_on": False}


def _status_after(trace: Trace, step: int) -> Status:
    return Status(trace.status[min(step + 1, len(trace.status) - 1)])


def _mark_truth(axes: Axes, trace: Trace, *, upright: bool) -> None:
    if math.isfinite(trace.truth):
        draw = axes.axvline if upright else axes.axhline
        draw(trace.truth, color=TRUTH, linestyle="--", linewidth=1.2, zorder=1.6)


def _reach(*traces: Trace) -> tuple[float, float]:
    """Return the range of indices to show: the recording, and where a lens went beyond it."""
    places = np.concatenate([trace.lanes["position"] for trace in traces])
    n = traces[0].task.spec.n
    return min(-0.03 * n, float(places.min()) - 0.5), max(1.03 * n - 1, float(places.max()) + 0.5)


def _ends(n: int) -> list[int]:
    return [0, (n - 1) // 2, n - 1]
