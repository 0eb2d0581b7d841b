"""The motion of a mass on a spring whose rest position is steered: compiled, exact for any time step.

``x'' + 2 zeta w x' + w^2 (x - u) = 0`` with a rest position u that stands still or moves at a constant rate. Times
are in milliseconds, positions in micrometres. A driver shapes a step of u from one level to the next into parts
(:func:`shaped`); between the edges of these parts the solution is closed, so no result depends on how finely time
is cut.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from afsim.jit import compiled

NO_SHAPER: Final = 0
SLEW: Final = 1
ZV: Final = 2
ZVD: Final = 3
SHAPERS: Final = {"none": NO_SHAPER, "slew": SLEW, "ZV": ZV, "ZVD": ZVD}

# How finely the search for the settling time looks, and how long: a swing of 1 mm at damping 0.01 and 20 Hz has
# long been below a micrometre by then.
_LOOK_MS: Final = 0.25
_LONGEST_MS: Final = 10_000.0


class Spring(NamedTuple):
    """What swings: natural frequency ``omega`` (1/ms) and ``damping`` ratio, between 0 and 1."""

    omega: float
    damping: float


class Step(NamedTuple):
    """A step of the input, and how the driver shapes it.

    Attributes
    ----------
    kind : int
        One of ``SHAPERS``.
    begin, end : float
        Levels before and after the step in micrometres.
    period, ratio : float
        What the shaper is designed for: damped period in milliseconds, and ``exp(-zeta pi / sqrt(1 - zeta^2))``,
        by which a swing shrinks in half of it.
    slew : float
        Of the ramp, in um/ms.
    """

    kind: int
    begin: float
    end: float
    period: float
    ratio: float
    slew: float


@compiled
def swing(x: float, v: float, rest: float, rate: float, spring: Spring, duration: float) -> tuple[float, float]:
    """Return position and velocity (um, um/ms) after ``duration`` ms under one piece of the input.

    ``rest`` (um) is the input at the beginning, ``rate`` (um/ms) how fast it moves.
    """
    omega, damping = spring.omega, spring.damping
    # Behind a moving rest position the lens lags by 2 zeta rate / w: it swings about that, in a moving frame.
    lag = 2.0 * damping * rate / omega
    d, w = x - rest + lag, v - rate
    damped = omega * math.sqrt(1.0 - damping * damping)
    fade = math.exp(-damping * omega * duration)
    c, s = math.cos(damped * duration), math.sin(damped * duration)
    ratio = damping * omega / damped
    new_d = fade * (d * (c + ratio * s) + w / damped * s)
    new_w = fade * (w * (c - ratio * s) - d * omega * omega / damped * s)
    return new_d + rest - lag + rate * duration, new_w + rate


@compiled
def shaped(step: Step, since: float) -> tuple[float, float, float]:
    """Return the input (um), its rate (um/ms) and when the next part begins (ms), ``since`` ms after a command.

    ZV: 1/(1+K) at 0, the rest after half a period. ZVD: 1, 2K, K^2 over (1+K)^2 at 0, half and a whole period
    (Singer and Seering, 1990), K the step's ``ratio``.
    """
    jump, half = step.end - step.begin, step.period / 2.0
    if step.kind == SLEW:
        lasts = abs(jump) / step.slew
        if since < lasts:
            rate = math.copysign(step.slew, jump)
            return step.begin + rate * since, rate, lasts
        return step.end, 0.0, math.inf
    if step.kind == ZV and since < half:
        return step.begin + jump / (1.0 + step.ratio), 0.0, half
    if step.kind == ZVD and since < half:
        return step.begin + jump / (1.0 + step.ratio) ** 2, 0.0, half
    if step.kind == ZVD and since < step.period:
        return step.begin + jump * (1.0 + 2.0 * step.ratio) / (1.0 + step.ratio) ** 2, 0.0, step.period
    return step.end, 0.0, math.inf


@compiled
def glide(x: float, v: float, step: Step, since: float, duration: float, spring: Spring) -> tuple[float, float]:
    """Return position and velocity ``duration`` ms later, across the edges of the shaped input."""
    now, last = since, since + duration
    while now < last:
        rest, rate, edge = shaped(step, now)
        until = min(edge, last)
        x, v = swing(x, v, rest, rate, spring, until - now)
        now = until
    return x, v


@compiled
def amplitude(x: float, v: float, rest: float, spring: Spring) -> float:
    """Return how far (um) the lens can still swing from ``rest`` while its input stands there."""
    damped = spring.omega * math.sqrt(1.0 - spring.damping * spring.damping)
    return math.hypot(x - rest, (v + spring.damping * spring.omega * (x - rest)) / damped)


@compiled
def settling(x: float, v: float, step: Step, spring: Spring, tolerance: float) -> float:
    """Return after how many ms the lens stays within ``tolerance`` um of the end, to a quarter of a millisecond."""
    now, outside = 0.0, -_LOOK_MS
    while now < _LONGEST_MS:
        if abs(x - step.end) > tolerance:
            outside = now
        rest, _, edge = shaped(step, now)
        if edge == math.inf and amplitude(x, v, rest, spring) <= tolerance:
            break
        x, v = glide(x, v, step, now, _LOOK_MS, spring)
        now += _LOOK_MS
    return outside + _LOOK_MS


@compiled
def design_ratio(damping: float) -> float:
    """Return the ratio K of the shapers, by which a swing shrinks in half a damped period."""
    return math.exp(-damping * math.pi / math.sqrt(1.0 - damping * damping))


@compiled
def play(held: float, wanted: float, half_width: float) -> float:
    """Return where a play operator holds: friction lets ``wanted`` run ahead by ``half_width`` on either side."""
    return min(max(held, wanted - half_width), wanted + half_width)


def omega_per_ms(resonance_hz: float) -> float:
    """Return the angular frequency in 1/ms."""
    return 2.0 * np.pi * resonance_hz / 1000.0
