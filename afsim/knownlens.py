"""What a search may know of its lens: how commands become places, as far as the lens's errors can be foretold.

A constant error of position shifts the command at which the focus is reached, and nothing else: a belief over that
command, which is what is wanted, needs no second unknown. Hysteresis shifts it by the direction of the last move,
which is known; what differs from move to move blurs it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from afsim.errors import WithheldError
from afsim.lens import Lens
from afsim.lensstate import numbers
from afsim.optics import diopters_of_extension, lens_extension_um

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KnownLens:
    """A lens in front of a table of distances.

    Attributes
    ----------
    lens : Lens
        Its model: spreads, not what was drawn.
    places : (n,) float64
        Of the slices, in steps of ``step_diopters``.
    step_diopters : float
        Length of a step.
    known : bool
        Whether the distances are known, rather than stood in for.

    Raises
    ------
    WithheldError
        For an erring lens without distances.
    """

    lens: Lens
    places: FloatArray
    step_diopters: float
    known: bool = True

    def __post_init__(self) -> None:
        if not self.known and not self.lens.is_exact:
            raise WithheldError(f"lens {self.lens.name!r} needs known focus distances, but the stacks have none")

    @property
    def table_um(self) -> FloatArray:
        """Extension (n,) of each index in micrometres; for an exact lens its place in steps: it needs no more."""
        if self.lens.is_exact:
            return self.places
        return lens_extension_um(self.places * self.step_diopters, self.lens.focal_length_m)

    def parked(self, command: npt.NDArray[np.int64]) -> FloatArray:
        """Return the extension (N,) of lenses that came to ``command`` (N,) at the start of an episode.

        From the middle where the side that they come from is random.
        """
        side = {"far": -1.0, "near": 1.0, "random": 0.0}[self.lens.approach]
        return np.asarray(self.table_um[command] + side * self.lens.hysteresis)

    def moved(self, extension: FloatArray, command: npt.NDArray[np.int64]) -> FloatArray:
        """Return the extension (N,) after a command (N,): friction keeps it back (the play operator)."""
        wanted, width = self.table_um[command], self.lens.hysteresis
        return extension.clip(wanted - width, wanted + width)

    def reached(self, extension: FloatArray) -> FloatArray:
        """Return where each command would bring lenses of these extensions (N,), (N, n) in steps."""
        table, width = self.table_um, self.lens.hysteresis
        return self.place_of(extension[:, None].clip(table - width, table + width))

    def place_of(self, extension: FloatArray) -> FloatArray:
        """Return extensions (...) as places in steps."""
        if self.lens.is_exact:
            return extension
        return diopters_of_extension(extension, self.lens.focal_length_m) / self.step_diopters

    @property
    def step_um(self) -> float:
        """Mean travel of a step in micrometres (1 for an exact lens)."""
        table = self.table_um
        return float((table[-1] - table[0]) / (self.places[-1] - self.places[0]))

    @property
    def shake(self) -> tuple[float, float]:
        """Variance of places in squared steps: from move to move, and by squared distance from the focus."""
        if self.lens.is_exact:
            return 0.0, 0.0
        lens, step = self.lens, self.step_um
        gain = lens.gain**2 + (lens.magnet * lens.temperature_sd) ** 2
        return (lens.jitter**2 + lens.crosstalk**2) / step**2, gain

    @property
    def error(self) -> tuple[float, float]:
        """Mean and spread, in steps, of how much nearer than its index the focus has to be commanded."""
        if self.lens.is_exact:
            return 0.0, 0.0
        lens, travel = self.lens, float(np.ptp(self.table_um))
        turned = lens.orientation / (np.sqrt(3.0) if lens.orientation_law == "uniform" else 1.0)
        weaker = lens.magnet * travel / 2.0
        parts = (
            lens.offset,
            lens.gain * travel / 2.0,
            lens.bow,
            numbers(lens).sag_um * turned,
            (lens.thermal + weaker) * lens.temperature_sd,
        )
        mean = (lens.thermal + weaker) * (lens.temperature + lens.warming / 2.0)
        return mean / self.step_um, float(np.sqrt(np.square(parts).sum())) / self.step_um
