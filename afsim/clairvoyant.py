"""The clairvoyant bound: no policy on the same truth can have a lower expected cost.

The clairvoyant knows the truth from the beginning. Of the lens it knows nothing before the start, and then it is
told where the lens stands, and with it every error that lasts (offset, gain, bow, gravity, heat, the branch of the
hysteresis): more than any image tells. What it cannot know is what a lens draws anew: the push of the stabiliser
at each move and the tremble of each frame. The lowest expected cost is then an optimal stopping problem, solved by
backward induction: after each move, be content with the push that was drawn, or pay for another.

These relaxations make it a lower bound, and a simple one:

- commands are whole indices, but the lens may come to rest on either edge of its hysteresis loop, at the policy's
  choice, whichever way it comes;
- a lens that swings, or warms, may lie nearer to the truth by as much as it ever lies off (:func:`most_swing_um`);
- travel is charged from the start to where the lens ends, whatever lies between, less what the trembles of frames
  that were waited for can save;
- a step takes no longer than an exposure and a decision do: settling takes no time.

What is drawn anew is cut into shares of equal chance, each of which stands for its mean (``_draws``). Where costs
are convex in the place that can only lower the bound, but a cap, a choice to go on and a way to declare are not. So
what is returned may lie above the bound itself: for the lens presets by up to :data:`QUADRATURE_INDEX` times the
steepest cost of an index in a single episode, and 0.002 in the mean over stacks and starts. For lenses pushed by a
whole index (4 um) and shaken by half of one it is up to 0.012 above and up to 0.05 below. A regret that is smaller
than that says nothing.

Without imperfections all this is void, and the bound is exact: stay, or one move, to the nearest index where
nothing but the error counts. An episode that sees every slice by a sweep takes n + 1 steps: bound it with that
budget.
"""

import math
from dataclasses import replace
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.actuator import Actuator
from afsim.clairvoyantloop import Charges, Nodes, lowest_costs, resting_places
from afsim.costs import CostModel, least_times
from afsim.errors import AfsimError
from afsim.jit import over_lanes
from afsim.keys import lane_keys
from afsim.lensstate import numbers
from afsim.optics import diopters_of_extension
from afsim.rollout import Arena
from afsim.task import FocusTask, TaskState
from afsim.voicecoil import SLEW

FloatArray = npt.NDArray[np.float64]

QUADRATURE_INDEX: Final = 0.006
"""By how much a bound may be too high in an episode, in indices, for the presets: against 400 and 101 values."""

# Equally likely values that stand for a normal draw, each the mean of its share of the draws. What is convex within
# a share is never overestimated; what is not (caps, choices) is, by up to QUADRATURE_INDEX.
_PUSHES: Final = 16
_TREMBLES: Final = 5
# A swing begins with no more than so many times the whole travel, whatever the gain and the swing before it.
_LARGEST_SWING: Final = 4.0
# The search for the largest swing looks at a finite number of moves: a quarter more than it finds.
_MARGIN: Final = 1.25


def clairvoyant_bound(arena: Arena, task: FocusTask, cost: CostModel) -> FloatArray:
    """Return the lowest expected cost (E,) of each episode of an arena, in the order of its rollouts.

    Each episode has the lens that a rollout gives it (same keys), so costs and bounds are paired. The bound is on
    the mean over what is drawn during an episode: a single episode may be luckier.

    Parameters
    ----------
    arena : Arena
        The (stack, start) pairs.
    task : FocusTask
        The game over the arena's camera: its budget, timing, and whether a policy may declare.
    cost : CostModel
        What is charged.

    Returns
    -------
    (E,) float64
        NaN where the stack has no truth.

    Raises
    ------
    AfsimError
        For a task with continuous actions, or that exposes while the lens moves (``wait_ms``); for a cost of
        micrometres or milliseconds where the distances are unknown.
    """
    if arena.camera is not task.camera:
        raise AfsimError("the task must be a game over the arena's camera, got a game over another")
    return bound_of(task, task.reset(arena.keys, stack=arena.stack, start=arena.start), cost)


def bound_of(task: FocusTask, state: TaskState, cost: CostModel) -> FloatArray:
    """Return the lowest expected cost (N,) of N games that begin; see :func:`clairvoyant_bound`."""
    _check(task, cost)
    actuator, budget = task.camera.actuator, task.spec.budget
    lanes = np.empty((len(state.lanes), 4))
    lanes[:, 0], lanes[:, 1] = task.truth[state.lanes["stack"]], state.lanes["position"]
    if actuator.is_exact:
        table = np.arange(task.spec.n, dtype=np.float64) if task.spec.diopters is None else actuator.table_um
        lanes[:, 2], lanes[:, 3] = table[state.lanes["start"]], 0.0
        return _lowest(table[None], lanes, budget, table, _nodes(0.0, 0.0, 0.0), _charges(task, cost))
    lens, table = actuator.lens, actuator.table_um
    rests = np.empty((len(lanes), 2 * task.spec.n))
    resting_places(state.lens, table, numbers(lens), rests, lanes[:, 2])
    lanes[:, 3] = state.lens["tremble"]
    if lens.hysteresis == 0.0:
        rests = rests[:, ::2].copy()
    slack = most_swing_um(task) + _drift_um(task)
    nodes, charges = _nodes(lens.crosstalk, lens.jitter, slack), _charges(task, cost)
    lowest = _lowest(rests, lanes, budget, table, nodes, charges)
    if not cost.charges_travel:
        return lowest
    # Both are bounds: with the travel less what waiting can save of it, and without any travel.
    saved = _saved_um(lens.jitter, slack, budget)
    saved_cost = saved * (cost.travel_um + cost.travel_index / np.diff(table).min())
    free = _lowest(rests, lanes, budget, table, nodes, charges._replace(travel_index=0.0, travel_um=0.0))
    return np.asarray(np.maximum(lowest - saved_cost, free))


def most_swing_um(task: FocusTask) -> float:
    """Return how far off its resting place, in micrometres, a lens can be found in an exposure after a move.

    Found by search: every pair of moves from the middle, by lenses whose other errors are drawn, with a margin;
    never more than the tolerance to which the camera lets its lens settle.
    """
    lens, actuator = task.camera.actuator.lens, task.camera.actuator
    if not lens.ringing:
        return 0.0
    timing, exposure, n = task.spec.timing, task.camera.sensor.exposure_ms, task.spec.n
    still = replace(lens, jitter=0.0, crosstalk=0.0, lateral=0.0, warming=0.0, thermal=0.0)
    lead = exposure + timing.after_ms + timing.decision_ms
    alone = Actuator(still, n, diopters_of_extension(actuator.table_um, lens.focal_length_m))
    pairs = np.arange(n * n)
    state = alone.park(np.full(n * n, n // 2, dtype=np.float64), lane_keys(0, pairs), exposure)
    off = 0.0
    for command in (pairs // n, pairs % n):
        asked = command.astype(np.float64)
        wait = alone.settling_ms(state, asked, lead, timing.settle_index)
        state = alone.move(state, asked, lead, wait, exposure)
        seen = np.interp(state["position"], np.arange(n), actuator.table_um)
        inside = (state["position"] >= 0.0) & (state["position"] <= n - 1.0)
        off = max(off, float(np.abs(seen - state["end"])[inside].max()))
    tolerance = timing.settle_index * float(np.ptp(actuator.table_um)) / (n - 1)
    return min(_MARGIN * off, tolerance)


def longest_step_ms(task: FocusTask) -> float:
    """Return more milliseconds than any step with an exposure takes: decide, settle, expose, read out.

    A shaped step of the input ends after its ramp or a period; then the swing fades as ``exp(-zeta w t)`` until it
    is within the tolerance to which the camera lets its lens settle.
    """
    timing, actuator = task.spec.timing, task.camera.actuator
    settles = 0.0 if timing.wait_ms is None else timing.wait_ms
    if actuator.lens.ringing:
        constants, travel = numbers(actuator.lens), _LARGEST_SWING * float(np.ptp(actuator.table_um))
        spring, tolerance = constants.spring, timing.settle_index * float(np.ptp(actuator.table_um))
        tolerance /= task.spec.n - 1
        slowest = spring.omega * (1.0 - constants.mistuning) * math.sqrt(1.0 - spring.damping**2)
        ramp = travel / constants.slew if constants.shaper == SLEW else 2.0 * math.pi / slowest
        fade = math.log(max(travel / tolerance / math.sqrt(1.0 - spring.damping**2), 1.0)) / (
            spring.damping * spring.omega
        )
        settles = max(settles, ramp + fade)
    busy = timing.decision_ms + settles + task.camera.sensor.exposure_ms
    # A frame more than needed, where exposures end on frames.
    return busy + (timing.frame_ms if timing.mode == "frames" else 0.0) + timing.after_ms


def _drift_um(task: FocusTask) -> float:
    """Return how far (um) heat can move the focus and the resting places within an episode."""
    lens, table = task.camera.actuator.lens, task.camera.actuator.table_um
    longest = task.spec.budget * longest_step_ms(task)
    kelvin = abs(lens.warming) * (1.0 - math.exp(-longest / (1000.0 * lens.warmup_s)))
    # The magnet loses force over the whole travel, with a gain of up to two times the calibration's.
    return float(kelvin * (lens.thermal + 2.0 * lens.magnet * np.ptp(table)))


def _saved_um(jitter: float, slack: float, budget: int) -> float:
    """Return by how much (um) the travel can be less, in the mean, than from the start to where a lens ends.

    Travel is charged from where an exposure found the lens. Who waits for another exposure is charged from there,
    and each frame's tremble saves at most its size, once; what the lens swings or drifts is saved by each departure
    that was waited for, and at the end. With one step nothing can be waited for.
    """
    shakes = (budget + 1) * jitter * math.sqrt(2.0 / math.pi) if budget > 1 else 0.0
    return shakes + slack * (1 + 2 * (budget // 2))


def _check(task: FocusTask, cost: CostModel) -> None:
    cost.check_known(diopters=task.spec.diopters is not None)
    if task.spec.action_mode == "continuous":
        raise AfsimError("the clairvoyant bound takes whole indices as commands, got action mode 'continuous'")
    if task.camera.actuator.lens.ringing and task.spec.timing.wait_ms is not None:
        raise AfsimError(
            "the clairvoyant bound needs a lens that settles before it exposes, "
            f"got timing wait_ms={task.spec.timing.wait_ms}"
        )


def _charges(task: FocusTask, cost: CostModel) -> Charges:
    step, end = least_times(task.spec.timing, task.camera.sensor.exposure_ms)
    # Floats all, since the loop is compiled anew for whole numbers.
    return Charges(
        float(cost.error),
        bool(cost.squared),
        float(cost.cap),
        float(cost.move),
        float(cost.travel_index),
        float(cost.travel_um),
        float(cost.time_ms * step),
        float(cost.time_ms * end),
        task.spec.declare,
    )


def _nodes(push: float, tremble: float, slack: float) -> Nodes:
    return Nodes(_draws(push, _PUSHES), _draws(tremble, _TREMBLES), slack)


def _draws(spread: float, count: int) -> FloatArray:
    """Return equally likely values (count,) that stand for normal draws: the mean of each share of them."""
    if spread == 0.0:
        return np.zeros(1)
    normal = NormalDist()
    edges = [0.0, *(normal.pdf(normal.inv_cdf(i / count)) for i in range(1, count)), 0.0]
    return -spread * count * np.diff(np.array(edges))


def _lowest(
    rests: FloatArray, lanes: FloatArray, budget: int, table: FloatArray, nodes: Nodes, charges: Charges
) -> FloatArray:
    out = np.empty(len(lanes))

    def solve(begin: int, stop: int) -> None:
        lowest_costs(rests, lanes, budget, table, nodes, charges, begin, stop, out)

    over_lanes(solve, len(lanes), at_least=256)
    return out
