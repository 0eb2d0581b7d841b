"""The games of a batch as one structured array, and the compiled loops that play and describe them."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled
from afsim.lookup import value_at

FloatArray = npt.NDArray[np.float64]
Lanes = npt.NDArray[np.void]

LANE: Final = np.dtype(
    [
        ("key", "<u8"),
        ("stack", "<i8"),
        ("start", "<i8"),
        ("step", "<i8"),
        ("command", "<f8"),
        ("position", "<f8"),
        ("moves", "<i8"),
        ("reversals", "<i8"),
        ("heading", "<i8"),
        ("travel_index", "<f8"),
        ("travel_um", "<f8"),
        ("time_ms", "<f8"),
        ("reachable", "?"),
        ("declared", "?"),
        ("done", "?"),
    ]
)
INFO: Final = np.dtype(
    [
        ("stack", "<i8"),
        ("start", "<i8"),
        ("step", "<i8"),
        ("command", "<f8"),
        ("position", "<f8"),
        ("labelled", "?"),
        ("best_index", "<f8"),
        ("best_index_exact", "<f8"),
        ("error", "<f8"),
        ("exact_error", "<f8"),
        ("success", "?"),
        ("moves", "<i8"),
        ("reversals", "<i8"),
        ("travel_index", "<f8"),
        ("travel_um", "<f8"),
        ("time_ms", "<f8"),
        ("reachable", "?"),
        ("clamped", "?"),
        ("declared", "?"),
    ]
)


@compiled
def plan_steps(
    lanes: Lanes,
    command: FloatArray,
    declares: npt.NDArray[np.bool_],
    last: npt.NDArray[np.bool_],
    settling_ms: FloatArray,
    budget: int,
    frame_ms: float,
    decision_ms: float,
    exposure_ms: float,
    after_ms: float,
    wait_ms: float,
    wait: FloatArray,
    spent: FloatArray,
    ends: npt.NDArray[np.bool_],
) -> None:
    """Write how long each lens waits for its exposure, what the step costs (ms), and whether it is the last.

    Parameters
    ----------
    last : (N,) bool
        Games that their player ends with this step.
    frame_ms : float
        Exposures end on multiples of it; 0 for a camera that runs freely.
    after_ms : float
        From the end of the exposure to the next decision.
    wait_ms : float
        To wait after each move in place of the settling time; negative: none.
    """
    for i in range(lanes.size):
        ends[i] = last[i] or lanes[i]["step"] + 1 >= budget
        wait[i] = settling_ms[i]
        if wait_ms >= 0.0:
            # Nobody waits for an image after the last move, but the lens has to come to rest.
            least = settling_ms[i] if ends[i] else 0.0
            wait[i] = max(wait_ms, least) if command[i] != lanes[i]["command"] else 0.0
        spent[i] = decision_ms
        if declares[i]:
            continue
        spent[i] += wait[i]
        # Nobody acts on an image after the last move, so it is not exposed.
        if ends[i]:
            continue
        busy = spent[i] + exposure_ms
        whole = frame_ms * math.ceil(busy / frame_ms - 1e-9) if frame_ms > 0.0 else busy
        wait[i] += whole - busy
        spent[i] = whole + after_ms


@compiled
def _advance(
    lane: Any, command: float, declares: bool, last: bool, position: float, spent_ms: float, table_um: FloatArray
) -> None:
    """Count one step of one game in place."""
    lane["time_ms"] += spent_ms
    if declares:
        lane["declared"] = True
        lane["done"] = True
        return
    lane["step"] += 1
    lane["done"] = last
    change = command - lane["command"]
    if change != 0.0:
        lane["moves"] += 1
        heading = 1 if change > 0 else -1
        if heading == -lane["heading"]:
            lane["reversals"] += 1
        lane["heading"] = heading
        lane["travel_index"] += abs(position - lane["position"])
        if table_um.size > 1:
            lane["travel_um"] += abs(value_at(table_um, position) - value_at(table_um, lane["position"]))
    lane["command"] = command
    lane["position"] = position


@compiled
def play_lanes(
    before: Lanes,
    after: Lanes,
    command: FloatArray,
    declares: npt.NDArray[np.bool_],
    last: npt.NDArray[np.bool_],
    position: FloatArray,
    spent_ms: FloatArray,
    table_um: FloatArray,
) -> int:
    """Write every game after one step; return how many were over before."""
    over = 0
    for i in range(before.size):
        after[i] = before[i]
        if before[i]["done"]:
            over += 1
            continue
        _advance(after[i], command[i], declares[i], last[i], position[i], spent_ms[i], table_um)
    return over


@compiled
def describe_position(
    lanes: Lanes,
    regions: npt.NDArray[np.float32],
    n: int,
    budget: int,
    command: npt.NDArray[np.float32],
    region: npt.NDArray[np.float32],
    steps_left: npt.NDArray[np.float32],
) -> None:
    """Write what a policy knows of every game besides the image: (N, 1), (N, 2) and (N, 1)."""
    for i in range(lanes.size):
        lane = lanes[i]
        command[i, 0] = lane["command"] / (n - 1)
        region[i, 0] = regions[lane["stack"], 0]
        region[i, 1] = regions[lane["stack"], 1]
        steps_left[i, 0] = 0 if lane["declared"] else budget - lane["step"]


@compiled
def describe_truth(lanes: Lanes, label: FloatArray, truth: FloatArray, n: int, info: Lanes) -> None:
    """Write the truth of every game into ``info`` (N,) of type :data:`INFO`."""
    for i in range(lanes.size):
        lane, out = lanes[i], info[i]
        stack = lane["stack"]
        out["stack"], out["start"], out["step"] = stack, lane["start"], lane["step"]
        out["command"], out["position"] = lane["command"], lane["position"]
        out["labelled"] = not np.isnan(truth[stack])
        out["best_index"], out["best_index_exact"] = label[stack], truth[stack]
        out["error"] = np.floor(lane["position"] + 0.5) - label[stack]
        out["exact_error"] = lane["position"] - truth[stack]
        out["success"] = abs(out["exact_error"]) <= 1.0
        out["moves"], out["reversals"] = lane["moves"], lane["reversals"]
        out["travel_index"], out["travel_um"] = lane["travel_index"], lane["travel_um"]
        out["time_ms"] = lane["time_ms"]
        out["reachable"] = lane["reachable"]
        out["clamped"] = lane["position"] < 0.0 or lane["position"] > n - 1.0
        out["declared"] = lane["declared"]
