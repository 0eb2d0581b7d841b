"""What a line of play says in words: where it stands, what was seen, and why its policy moves."""

import math

from afsim.cockpit.board import Board
from afsim.cockpit.line import Line
from afsim.cockpit.views import disparity_of
from afsim.filmpanels import number, verdict
from afsim.patch_disparity import PatchDisparity
from afsim.trace import Trace


def costs(trace: Trace, step: int) -> str:
    """Return the travel and the time used up to a step; what the recording does not tell is withheld by name."""
    lane = trace.lanes[step]
    if math.isnan(lane["travel_um"]):
        return f"travel {lane['travel_index']:g} indices, time withheld"
    return f"travel {lane['travel_um']:.1f} µm, time {lane['time_ms']:.0f} ms"


def stands(line: Line) -> str:
    """Return where a line stands: steps used, index, costs; no truth."""
    budget, lane = line.trace.task.spec.budget, line.trace.lanes[line.step]
    step = int(lane["step"])  # to declare is none
    steps = f"step {step} of {budget}" if step <= budget else f"step {step} of a sweep"
    return f"index {lane['command']:.0f} · {steps} · {costs(line.trace, line.step)}"


def decides(line: Line) -> str:
    """Return what its policy decides and how it says that its search stands, or that a hand is to move."""
    if line.by_hand:
        return "over" if line.over else "your move"
    move, status = verdict(line.trace, line.step)
    return f"{'ended' if line.next_command is None else move} · {status}"


def error_words(board: Board, line: Line) -> str:
    """Return the error where a line stands, once the truth is shown."""
    if not board.revealed:
        return "error hidden until the truth is shown"
    info = board.task.info(line.trace.moments[line.step].state)[0]
    if not info["labelled"]:
        return "error withheld: the stack has no label"
    exact = number(float(info["exact_error"]), "+.2f")
    return f"error {number(float(info['error']), '+.0f')}, exact {exact}; lens at {number(info['position'], '.2f')}"


def why(line: Line) -> list[str]:
    """Return why a line moves from where it stands, sentence by sentence: contrast, disparity, belief, decision."""
    trace, step = line.trace, line.step
    image = trace.moments[step].image
    sentences = [_contrast_words(trace, step)]
    if trace.task.spec.views == 2:
        sentences.append(disparity_words(disparity_of(trace.task, image)).capitalize() + ".")
    belief = trace.belief(step) if not line.by_hand else None
    if belief is not None:
        most = int(belief.argmax())
        near = float(belief[max(most - 1, 0) : most + 2].sum())
        sentences.append(f"It holds index {most} likeliest ({belief[most]:.2f}; within one index {near:.2f}).")
    features = trace.moments[step].features
    if not line.by_hand and features is not None and features.size <= 4:
        told = ", ".join(f"{float(value):.4g}" for value in features.ravel())
        sentences.append(f"What it took from the image: {told}.")
    return [*sentences, _decision_words(line)]


def disparity_words(found: PatchDisparity | None) -> str:
    """Return how far apart the two views lie."""
    if found is None:
        return "disparity: these patches have none"
    if math.isnan(found.shift):
        return "disparity: no texture to match"
    return f"disparity {number(float(found.shift), '+.1f')} px, confidence {found.confidence:.2f}"


def _contrast_words(trace: Trace, step: int) -> str:
    best = max(moment.contrast for moment in trace.moments[: step + 1]) or 1.0
    here = trace.moments[step].contrast / best
    if step == 0:
        return "First look: there is no contrast to compare with."
    change = here - trace.moments[step - 1].contrast / best
    return f"Contrast is {here:.2f} of the best seen ({number(change, '+.2f')} since the last look)."


def _decision_words(line: Line) -> str:
    if line.by_hand:
        return "You decided." if line.over else "You decide."
    status = verdict(line.trace, line.step)[1]
    if line.next_command is None:
        return f"It ended here: {status}."
    here = round(float(line.trace.lanes["command"][line.step]))
    if line.next_command == here:
        return f"So it stays at {here} ({status})."
    way = "nearer" if line.next_command > here else "farther"
    return f"So it goes {way}, to {line.next_command} ({status})."
