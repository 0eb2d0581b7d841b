"""The compiled loop of the clairvoyant bound: optimal stopping over what a lens draws anew, lane by lane."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.drive import code_of, index_at, kelvin_of, wanted_um
from afsim.jit import compiled
from afsim.lensstate import LensState, Numbers
from afsim.lookup import value_at

FloatArray = npt.NDArray[np.float64]


class Charges(NamedTuple):
    """A cost model and the least times as the loop takes them; see :class:`afsim.costs.CostModel`."""

    error: float
    squared: bool
    cap: float
    move: float
    travel_index: float
    travel_um: float
    step: float  # a step with its exposure
    end: float  # the last step
    declares: bool  # whether an episode may end without a step, on the image that was seen


class Nodes(NamedTuple):
    """What is drawn anew, as equally likely values in micrometres, and how far (um) the lens may lie off."""

    push: FloatArray
    tremble: FloatArray
    slack: float


class Lane(NamedTuple):
    """One episode: truth and start as indices and in micrometres, and where the lens stands but for its tremble."""

    truth: float
    target: float
    start: float
    origin: float
    stands: float
    tremble: float


class Work(NamedTuple):
    """Per resting place, push and tremble: the cost of ending there; and the value of being there."""

    stand: FloatArray  # (R, Q), expected over the tremble
    hold: FloatArray  # (R, Q, T), the tremble known
    value: FloatArray  # (R, Q)
    here: FloatArray  # (T,), where the lens stands at the start


@compiled
def resting_places(
    state: LensState, table: FloatArray, lens: Numbers, rests: FloatArray, stands: FloatArray
) -> None:
    """Write where (um, as seen) commands can bring each lens, (L, 2n), and where it stands without tremble, (L,).

    Play leaves a lens at either edge of its loop about what a command asks for, or where it already was: at an
    edge of another command's.
    """
    n = table.size
    for i in range(state.size):
        one = state[i]
        heat = lens.thermal * kelvin_of(one, lens)
        stands[i] = one["end"] + one["push"] - heat
        for command in range(n):
            wanted = wanted_um(one, code_of(table[command], table, lens), table, lens) - heat
            rests[i, 2 * command] = wanted - lens.hysteresis
            rests[i, 2 * command + 1] = wanted + lens.hysteresis


@compiled
def _error(place: float, lane: Lane, nodes: Nodes, table: FloatArray, charges: Charges) -> float:
    """Return what ending at a place (um) costs, were it nearer to the target by the slack."""
    off = place - lane.target
    nearest = lane.target + math.copysign(max(abs(off) - nodes.slack, 0.0), off)
    size = min(abs(index_at(nearest, table) - lane.truth), charges.cap)
    return charges.error * (size * size if charges.squared else size)


@compiled
def _tell(
    place: float, moved: float, lane: Lane, nodes: Nodes, table: FloatArray, charges: Charges, hold: FloatArray
) -> float:
    """Write the cost of ending at a place on each tremble (T,), ``moved`` included, and return the mean."""
    for t in range(nodes.tremble.size):
        hold[t] = moved + _error(place + nodes.tremble[t], lane, nodes, table, charges)
    return float(hold.mean())


@compiled
def _moved(place: float, lane: Lane, table: FloatArray, charges: Charges) -> float:
    """Return what the travel from the start to a place (um) costs."""
    cost = 0.0
    if charges.travel_index > 0.0:
        cost += charges.travel_index * abs(index_at(place, table) - lane.start)
    return cost + charges.travel_um * abs(place - lane.origin)


@compiled
def _expect(
    k: int, rest: float, lane: Lane, nodes: Nodes, table: FloatArray, charges: Charges, work: Work
) -> float:
    """Fill row ``k`` of ``stand`` and ``hold`` with a resting place; return the expected cost of ending there."""
    for q in range(nodes.push.size):
        place = rest + nodes.push[q]
        moved = _moved(place, lane, table, charges)
        work.stand[k, q] = _tell(place, moved, lane, nodes, table, charges, work.hold[k, q])
    return float(work.stand[k].mean())


@compiled
def _least(rest: float, reach: float, lane: Lane, nodes: Nodes, table: FloatArray, charges: Charges) -> float:
    """Return less than ending within ``reach`` (um) of a resting place can cost: as near as that to both ends."""
    toward = rest + min(max(lane.target - rest, -reach), reach)
    back = rest + min(max(lane.origin - rest, -reach), reach)
    return _error(toward, lane, nodes, table, charges) + _moved(back, lane, table, charges)


@compiled
def _tabulate(row: FloatArray, lane: Lane, nodes: Nodes, table: FloatArray, charges: Charges, work: Work) -> int:
    """Fill ``stand`` and ``hold`` for the resting places that can be best, and return how many there are.

    A place is left out where no draw makes it cheaper than moving again to another.
    """
    best, least = row[0], np.inf
    for rest in row:
        cost = _least(rest, 0.0, lane, nodes, table, charges)
        if cost < least:
            best, least = rest, cost
    most = charges.move + _expect(0, best, lane, nodes, table, charges, work)
    reach, count = nodes.push[-1] + nodes.tremble[-1], 1
    for rest in row:
        if rest != best and _least(rest, reach, lane, nodes, table, charges) < most:
            _expect(count, rest, lane, nodes, table, charges, work)
            count += 1
    return count


@compiled
def _being_there(hold: FloatArray, stand: float, leave: float, later: float, steps: int, charges: Charges) -> float:
    """Return the value of standing at a known place with ``steps`` left, expected over the tremble.

    ``later`` is the value with a step less, ``leave`` that of moving on.
    """
    best = min(leave, charges.end + stand)
    if steps > 1:
        best = min(best, charges.step + later)
    if not charges.declares:
        return best
    total = 0.0
    for cost in hold:
        total += min(charges.end + cost, best)
    return total / hold.size


@compiled
def _unroll(
    budget: int, count: int, lane: Lane, nodes: Nodes, table: FloatArray, charges: Charges, work: Work
) -> float:
    """Return the lowest expected cost from the start, by induction over the steps that are left."""
    stand, value = work.stand, work.value
    here = _tell(lane.stands, 0.0, lane, nodes, table, charges, work.here)
    last = np.inf
    for k in range(count):
        last = min(last, stand[k].mean())
    leave, later = 0.0, 0.0
    for steps in range(1, budget + 1):
        leave = charges.move + charges.end + last
        for k in range(count if steps > 1 else 0):
            leave = min(leave, charges.move + charges.step + value[k].mean())
        if steps == budget:
            break
        later = _being_there(work.here, here, leave, later, steps, charges)
        for k in range(count):
            for q in range(nodes.push.size):
                value[k, q] = _being_there(work.hold[k, q], stand[k, q], leave, value[k, q], steps, charges)
    best = min(leave, charges.end + here)
    if budget > 1:
        best = min(best, charges.step + later)
    if charges.declares:
        best = min(best, charges.end + _error(lane.stands + lane.tremble, lane, nodes, table, charges))
    return best


@compiled
def lowest_costs(
    rests: FloatArray,
    lanes: FloatArray,
    budget: int,
    table: FloatArray,
    nodes: Nodes,
    charges: Charges,
    begin: int,
    stop: int,
    out: FloatArray,
) -> None:
    """Write the lowest expected cost (L,) of lanes begin ... stop-1; NaN where there is no truth.

    Parameters
    ----------
    rests : (L or 1, R) float64
        Where moves can bring the lens, in micrometres.
    lanes : (L, 4) float64
        Truth and start as indices; where the lens stands without its tremble, and that tremble, in micrometres.
    """
    shape = (rests.shape[1], nodes.push.size)
    shakes = nodes.tremble.size
    work = Work(np.empty(shape), np.empty((shape[0], shape[1], shakes)), np.empty(shape), np.empty(shakes))
    for i in range(begin, stop):
        truth, start, stands, tremble = lanes[i]
        if np.isnan(truth):
            out[i] = np.nan
            continue
        lane = Lane(truth, value_at(table, truth), start, value_at(table, start), stands, tremble)
        count = _tabulate(rests[min(i, rests.shape[0] - 1)], lane, nodes, table, charges, work)
        out[i] = _unroll(budget, count, lane, nodes, table, charges, work)
