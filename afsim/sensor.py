"""The virtual sensor: what an exposure adds to the recorded light. Pure, for N images at once."""

from dataclasses import dataclass
from typing import Final

from afsim.errors import unknown
from afsim.keys import Keys
from afsim.stack import Image


@dataclass(frozen=True)
class Sensor:
    """A sensor in some light; ``none`` adds nothing to the recording.

    Attributes
    ----------
    name : str
        Of the preset.
    exposure_ms : float
        Exposure time in milliseconds; 10 ms is a bright room at f/1.8 (assumed).
    """

    name: str = "none"
    exposure_ms: float = 10.0

    @property
    def adds_noise(self) -> bool:
        """Whether two exposures of the same light differ."""
        return False

    def expose(self, clean: Image, keys: Keys) -> Image:
        """Return the images (N, V, H, W) float32 as this sensor gives them; ``keys`` (N,) seed their noise."""
        return clean


SENSORS: Final[dict[str, Sensor]] = {"none": Sensor()}


def make_sensor(name: str) -> Sensor:
    """Return the preset ``name``, or raise naming those there are."""
    if name not in SENSORS:
        raise unknown("sensor preset", name, SENSORS)
    return SENSORS[name]
