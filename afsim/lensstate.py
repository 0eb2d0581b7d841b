"""What the loops of a moving lens work on: its state as a row of an array, and its parameters as plain numbers."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.lens import Lens
from afsim.voicecoil import SHAPERS, Spring, omega_per_ms

LensState = npt.NDArray[np.void]

_GRAVITY_UM_PER_MS2: Final = 9.80665  # m/s^2 is um/ms^2

STATE: Final = np.dtype(
    [
        ("position", "<f8"),  # index, mean over the exposure; also beyond the recording
        ("lowest", "<f8"),  # indices that the commands 0 and n - 1 reach at best
        ("highest", "<f8"),
        ("dx", "<f8"),  # sideways shift in pixels
        ("dy", "<f8"),
        ("key", "<u8"),
        ("moves", "<u8"),
        ("frames", "<u8"),
        ("command", "<f8"),
        ("x", "<f8"),  # um and um/ms, at the beginning of the exposure
        ("v", "<f8"),
        ("held", "<f8"),  # of the play operator, um
        ("begin", "<f8"),  # the input before and after the present command, um
        ("end", "<f8"),
        ("since", "<f8"),  # ms since the command
        ("clock", "<f8"),  # ms since the episode began
        ("push", "<f8"),  # of the stabiliser along the axis, um
        ("tremble", "<f8"),  # of the frame, um
        ("offset", "<f8"),
        ("gain", "<f8"),
        ("bow", "<f8"),
        ("up", "<f8"),
        ("kelvin", "<f8"),
        ("detuning", "<f8"),
    ]
)


class Numbers(NamedTuple):
    """A :class:`Lens` as the compiled loops take it."""

    code_um: float
    code_low: float
    code_high: float
    offset: float
    gain: float
    bow: float
    sag_um: float
    orientation: float
    uniform: bool
    temperature: float
    temperature_sd: float
    warming: float
    warmup_ms: float
    thermal: float
    magnet: float
    hysteresis: float
    ringing: bool
    spring: Spring
    shaper: int
    mistuning: float
    slew: float
    jitter: float
    crosstalk: float
    lateral: float
    approach: int


def numbers(lens: Lens) -> Numbers:
    """Return a lens as the loops take it."""
    omega = omega_per_ms(lens.resonance)
    return Numbers(
        code_um=lens.code_um,
        code_low=float(lens.codes[0]),
        code_high=float(lens.codes[1]),
        offset=lens.offset,
        gain=lens.gain,
        bow=lens.bow,
        sag_um=lens.gravity * _GRAVITY_UM_PER_MS2 / omega**2,
        orientation=lens.orientation,
        uniform=lens.orientation_law == "uniform",
        temperature=lens.temperature,
        temperature_sd=lens.temperature_sd,
        warming=lens.warming,
        warmup_ms=1000.0 * lens.warmup_s,
        thermal=lens.thermal,
        magnet=lens.magnet,
        hysteresis=lens.hysteresis,
        ringing=lens.ringing,
        spring=Spring(omega, lens.damping),
        shaper=SHAPERS[lens.shaper],
        mistuning=lens.mistuning,
        slew=lens.slew,
        jitter=lens.jitter,
        crosstalk=lens.crosstalk,
        lateral=lens.lateral,
        approach=("far", "near", "random").index(lens.approach),
    )
