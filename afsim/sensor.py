"""The virtual sensor: how noisy an exposure is in some light. Numbers alone; :mod:`afsim.imaging` draws the noise.

Raw noise is that of photons and of reading out (Foi et al., 2008; DNG's NoiseProfile): a normalised signal x has
the variance ``S x + O``. A dual pixel's view has half the photons of its pixel; with both views scaled to the level
of the whole, one half pixel has 2 S and 4 O, and averaging ``binned`` of them divides both by that number.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from afsim.checks import check_number, check_switch, check_whole
from afsim.options import from_text

BASE_ISO: Final = 55.0


class Noise(NamedTuple):
    """Shot noise S and read noise O of a normalised signal x: variance ``shot x + read``."""

    shot: float
    read: float


@dataclass(frozen=True)
class Sensor:
    """A sensor in some light; ``none`` adds nothing to the recording.

    Attributes
    ----------
    name : str
        Of the preset.
    iso : float
        Sensitivity; 0 adds no noise. Light that is dimmer by a factor k at the same brightness is ISO / k.
    exposure_ms : float
        Exposure time in milliseconds; 10 ms is a bright room at f/1.8 (assumed).
    fresh : bool
        Whether every exposure has noise of its own; otherwise it is frozen: the same slice always looks the same.
    blends : bool
        Whether noise is put back that a recording loses where slices are blended or shifted. Without it, measures
        that noise drives would ripple with a period of one index.
    binned : int
        Half pixels averaged into one pixel of a view; 4 in the Pixel 3's dual-pixel data.
    full_well : float
        Electrons at white and ISO 55; 6000 for the IMX363 (ISETCam).
    read_before, read_after : float
        Read noise in electrons before and after the amplifier; together 3 at ISO 55, as measured on an IMX477
        (assumed for this sensor).
    bits : int
        Of the raw data.
    """

    name: str = "none"
    iso: float = 0.0
    exposure_ms: float = 10.0
    fresh: bool = True
    blends: bool = False
    binned: int = 4
    full_well: float = 6000.0
    read_before: float = 1.5
    read_after: float = 2.6
    bits: int = 10

    def __post_init__(self) -> None:
        for name in ("iso", "read_before", "read_after"):
            check_number(f"sensor {name}", getattr(self, name), least=0.0)
        for name in ("exposure_ms", "full_well"):
            check_number(f"sensor {name}", getattr(self, name), above=0.0)
        for name in ("fresh", "blends"):
            check_switch(f"sensor {name}", getattr(self, name))
        check_whole("sensor binned", self.binned, least=1)
        check_whole("sensor bits", self.bits, least=1, most=16)

    @property
    def adds_noise(self) -> bool:
        """Whether it ever adds noise to what is recorded."""
        return self.iso > 0 or self.blends

    @property
    def steps(self) -> float:
        """Digital numbers between black and white: black is at 64 of 1023, as in the Pixel 3's raw data."""
        return float((1 << self.bits) - 1) * (1023 - 64) / 1023

    def noise(self, views: int) -> Noise:
        """Return the noise of each view of a dual pixel (``views`` 2), or of green, their mean (1).

        ``S = ISO / (55 full_well)`` and ``O = (read_before S)^2 + (read_after / full_well)^2`` for a whole pixel.
        """
        if self.iso == 0:
            return Noise(0.0, 0.0)
        shot = self.iso / (BASE_ISO * self.full_well)
        read = (self.read_before * shot) ** 2 + (self.read_after / self.full_well) ** 2
        return Noise(shot * views / self.binned, 2.0 * read * views / self.binned)


def brooks_noise(generator: np.random.Generator) -> Noise:
    """Draw the noise of a whole pixel as Brooks et al. do for training ("Unprocessing", CVPR 2019).

    log S is uniform between log 1e-4 and log 1.2e-2; log O = 2.18 log S + 1.2 + N(0, 0.26): ISO 33 to 3960 here.
    """
    log_shot = generator.uniform(math.log(1e-4), math.log(1.2e-2))
    return Noise(math.exp(log_shot), math.exp(2.18 * log_shot + 1.2 + 0.26 * generator.standard_normal()))


# Light and exposure times of the presets are assumed: full daylight, a lit room, an evening room, candle light.
SENSORS: Final[dict[str, Sensor]] = {
    "none": Sensor(),
    "recorded": Sensor(name="recorded", blends=True),
    "bright": Sensor(name="bright", blends=True, iso=55.0, exposure_ms=5.0),
    "indoor": Sensor(name="indoor", blends=True, iso=400.0, exposure_ms=20.0),
    "dim": Sensor(name="dim", blends=True, iso=1600.0, exposure_ms=100.0 / 3.0),
    "dark": Sensor(name="dark", blends=True, iso=6400.0, exposure_ms=100.0 / 3.0),
}


def make_sensor(text: str) -> Sensor:
    """Return a preset, perhaps with changes: ``"dim"`` or ``"dim,iso=800,fresh=off"``.

    Raises
    ------
    AfsimError
        For a preset or field that does not exist, or a value that does not fit it.
    """
    return from_text(text, SENSORS, "sensor")
