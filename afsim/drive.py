"""The compiled loops that draw, park and move N lenses; :class:`afsim.actuator.Actuator` is the way in.

A lens is one row of a structured array of type :data:`afsim.lensstate.STATE`. The steps are those of a voice coil:
code, static errors, play, shaped input, swing, tremble. Extensions are in micrometres, times in milliseconds.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from afsim.jit import compiled
from afsim.keys import mix, normal_of, uniform_of
from afsim.lensstate import LensState, Numbers
from afsim.lookup import value_at
from afsim.voicecoil import Step, amplitude, design_ratio, glide, play, settling, shaped

FloatArray = npt.NDArray[np.float64]

# An exposure in motion is the mean over so many moments: more than ten for every swing of 80 Hz in 33 ms.
MOMENTS: Final = 32
# A lens that swings by less than this many micrometres (a fortieth of an index) stands still for an exposure.
_STILL_UM: Final = 0.1
# Since the command that a parked lens follows, in milliseconds.
_LONG_AGO: Final = 1e9


# ---------------------------------------------------------------------- draws
@compiled
def _drawn(key: np.uint64, count: np.uint64, which: int) -> float:
    """Return a standard normal number for (lane, count, which)."""
    return normal_of(mix(mix(key, count), np.uint64(which)))


@compiled
def park(state: LensState, table: FloatArray, lens: Numbers, exposure_ms: float) -> None:
    """Draw each lens's imperfections from its key, and bring it from a stop to its command, settled."""
    for i in range(state.size):
        one = state[i]
        first = np.uint64(0)
        one["offset"] = lens.offset * _drawn(one["key"], first, 1)
        one["gain"] = lens.gain * _drawn(one["key"], first, 2)
        one["bow"] = lens.bow * _drawn(one["key"], first, 3)
        if lens.uniform:
            up = lens.orientation * (2.0 * uniform_of(mix(mix(one["key"], first), np.uint64(4))) - 1.0)
        else:
            up = lens.orientation * _drawn(one["key"], first, 4)
        one["up"] = min(max(up, -1.0), 1.0)
        one["kelvin"] = lens.temperature + lens.temperature_sd * _drawn(one["key"], first, 5)
        sign = 1.0 if uniform_of(mix(mix(one["key"], first), np.uint64(6))) < 0.5 else -1.0
        one["detuning"] = 1.0 + sign * lens.mistuning
        from_near = lens.approach == 1
        if lens.approach == 2:
            from_near = uniform_of(mix(mix(one["key"], first), np.uint64(7))) < 0.5
        target = wanted_um(one, code_of(value_at(table, one["command"]), table, lens), table, lens)
        # A stop lies beyond every command: the lens hangs back by half the loop at each of them.
        one["held"] = play(math.inf if from_near else -math.inf, target, lens.hysteresis)
        low, high = code_of(table[0], table, lens), code_of(table[table.size - 1], table, lens)
        lowest = min(one["held"], wanted_um(one, low, table, lens) + lens.hysteresis)
        highest = max(one["held"], wanted_um(one, high, table, lens) - lens.hysteresis)
        heat = lens.thermal * kelvin_of(one, lens)
        one["lowest"], one["highest"] = index_at(lowest - heat, table), index_at(highest - heat, table)
        one["begin"] = one["end"] = one["x"] = one["held"]
        one["since"] = _LONG_AGO
        _shake(one, lens)
        _frame(one, exposure_ms, table, lens)


# ---------------------------------------------------------------------- statics
@compiled
def index_at(x: float, table: FloatArray) -> float:
    """Return the fractional index of a lens extension; beyond the table along its last step."""
    above = min(max(int(np.searchsorted(table, x)), 1), table.size - 1)
    low = table[above - 1]
    return float(above - 1 + (x - low) / (table[above] - low))


@compiled
def code_of(x: float, table: FloatArray, lens: Numbers) -> float:
    """Return the driver's code nearest to a lens extension; 0 at the farthest index."""
    code = np.floor((x - table[0]) / lens.code_um + 0.5)
    return float(min(max(code, lens.code_low), lens.code_high))


@compiled
def wanted_um(one: Any, code: float, table: FloatArray, lens: Numbers) -> float:
    """Return the extension in micrometres to which a code would take a lens without friction."""
    travel = lens.code_um * code
    share = travel / (table[table.size - 1] - table[0])
    pushed = travel * (1.0 + one["gain"]) * (1.0 - lens.magnet * kelvin_of(one, lens))
    bow = 4.0 * one["bow"] * share * (1.0 - share)
    return float(table[0] + pushed + one["offset"] + bow - lens.sag_um * one["up"])


@compiled
def kelvin_of(one: Any, lens: Numbers) -> float:
    """Return how much warmer than at its calibration the lens is."""
    return float(one["kelvin"] + lens.warming * (1.0 - math.exp(-one["clock"] / lens.warmup_ms)))


# ---------------------------------------------------------------------- motion
@compiled
def _step(one: Any, lens: Numbers, begin: float, end: float) -> Step:
    """Return a step of the lens's input, shaped as its driver does."""
    spring = lens.spring
    damped = one["detuning"] * spring.omega * math.sqrt(1.0 - spring.damping * spring.damping)
    return Step(lens.shaper, begin, end, 2.0 * math.pi / damped, design_ratio(spring.damping), lens.slew)


@compiled
def _glide(one: Any, duration: float, lens: Numbers) -> tuple[float, float]:
    """Return position and velocity after ``duration`` ms under the present command."""
    if not lens.ringing:
        return float(one["end"]), 0.0
    step = _step(one, lens, one["begin"], one["end"])
    return glide(one["x"], one["v"], step, one["since"], duration, lens.spring)


@compiled
def _input(one: Any, since: float, lens: Numbers) -> float:
    return shaped(_step(one, lens, one["begin"], one["end"]), since)[0]


@compiled
def settle(
    state: LensState,
    command: FloatArray,
    lead_ms: float,
    tolerance: float,
    table: FloatArray,
    lens: Numbers,
    spent: FloatArray,
) -> None:
    """Write how long (ms) each lens takes to settle at a new command; 0 where the command does not change."""
    for i in range(state.size):
        one = state[i]
        if command[i] == one["command"]:
            continue
        x, v = _glide(one, lead_ms, lens)
        wanted = wanted_um(one, code_of(value_at(table, command[i]), table, lens), table, lens)
        end = play(one["held"], wanted, lens.hysteresis)
        begin = _input(one, one["since"] + lead_ms, lens)
        step_um = (table[table.size - 1] - table[0]) / (table.size - 1)
        spent[i] = settling(x, v, _step(one, lens, begin, end), lens.spring, tolerance * step_um)


@compiled
def move(
    state: LensState,
    command: FloatArray,
    lead_ms: float,
    wait_ms: FloatArray,
    exposure_ms: float,
    table: FloatArray,
    lens: Numbers,
) -> None:
    """Move each lens in place: ``lead_ms`` under its old command, ``wait_ms`` under the new one."""
    for i in range(state.size):
        one = state[i]
        one["x"], one["v"] = _glide(one, lead_ms, lens)
        one["since"] += lead_ms
        one["clock"] += lead_ms
        if command[i] != one["command"]:
            begin = _input(one, one["since"], lens)
            wanted = wanted_um(one, code_of(value_at(table, command[i]), table, lens), table, lens)
            one["held"] = play(one["held"], wanted, lens.hysteresis)
            one["begin"], one["end"], one["since"] = begin, one["held"], 0.0
            one["command"] = command[i]
            one["moves"] += np.uint64(1)
            _shake(one, lens)
        one["x"], one["v"] = _glide(one, wait_ms[i], lens)
        one["since"] += wait_ms[i]
        one["clock"] += wait_ms[i]
        one["frames"] += np.uint64(1)
        _frame(one, exposure_ms, table, lens)


@compiled
def _shake(one: Any, lens: Numbers) -> None:
    """Draw what changes at every move."""
    one["dx"] = lens.lateral * _drawn(one["key"], one["moves"], 8)
    one["dy"] = lens.lateral * _drawn(one["key"], one["moves"], 9)
    one["push"] = lens.crosstalk * _drawn(one["key"], one["moves"], 10)


@compiled
def _frame(one: Any, exposure_ms: float, table: FloatArray, lens: Numbers) -> None:
    """Draw what changes at every frame, and note where the lens is during its exposure."""
    one["tremble"] = lens.jitter * _drawn(one["key"], one["frames"], 11)
    place = 0.0
    moments = 1 if _stands(one, lens) else MOMENTS
    for moment in range(moments):
        place += index_at(_seen(one, (moment + 0.5) / moments * exposure_ms, lens), table) / moments
    one["position"] = place


@compiled
def _stands(one: Any, lens: Numbers) -> bool:
    if not lens.ringing:
        return True
    edge = shaped(_step(one, lens, one["begin"], one["end"]), one["since"])[2]
    return edge == math.inf and amplitude(one["x"], one["v"], one["end"], lens.spring) < _STILL_UM


@compiled
def _seen(one: Any, after_ms: float, lens: Numbers) -> float:
    """Return the extension in micrometres that a lens at rest and cold would need to focus as this one does.

    Heat shifts the focus of the glass wherever the lens is, so a lens that keeps its command drifts too.
    """
    place = _glide(one, after_ms, lens)[0] + one["push"] + one["tremble"]
    return float(place - lens.thermal * kelvin_of(one, lens))


@compiled
def trace(
    state: LensState,
    exposure_ms: float,
    table: FloatArray,
    lens: Numbers,
    positions: FloatArray,
    weights: FloatArray,
) -> None:
    """Write where each lens is (index) at every moment of an exposure, and for what share of it."""
    moments = positions.shape[1]
    for i in range(state.size):
        one = state[i]
        if _stands(one, lens):
            positions[i, :] = one["position"]
            weights[i, :] = 0.0
            weights[i, 0] = 1.0
            continue
        for moment in range(moments):
            positions[i, moment] = index_at(_seen(one, (moment + 0.5) / moments * exposure_ms, lens), table)
