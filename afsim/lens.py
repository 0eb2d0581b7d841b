"""The virtual lens: where a voice coil takes the lens that a command asks for. Pure, for N lenses at once."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.errors import WithheldError, unknown
from afsim.keys import Keys
from afsim.optics import PIXEL3_FOCAL_LENGTH_M, lens_extension_um

FloatArray = npt.NDArray[np.float64]
LensState = npt.NDArray[np.void]

_STATE: Final = np.dtype([("position", "<f8")])


@dataclass(frozen=True)
class Lens:
    """A lens that focuses by moving; the ``ideal`` one is where it was told to be, at once.

    Attributes
    ----------
    name : str
        Of the preset.
    focal_length_m : float
        Focal length in metres, which turns dioptres into travel; the Pixel 3's by default.
    """

    name: str = "ideal"
    focal_length_m: float = PIXEL3_FOCAL_LENGTH_M

    def park(self, command: FloatArray, keys: Keys) -> LensState:
        """Return the state (N,) of lenses that came from the far stop, were sent to ``command``, and settled.

        Parameters
        ----------
        command : (N,) float64
            Index asked for.
        keys : (N,) uint64
            One key a lane; the imperfections of an erring lens are drawn from it.
        """
        state = np.empty(len(command), dtype=_STATE)
        state["position"] = command
        return state

    def move(self, state: LensState, command: FloatArray, duration_ms: FloatArray, keys: Keys) -> LensState:
        """Return the state (N,) after ``duration_ms`` of going to ``command``; the given state is not changed."""
        moved = state.copy()
        moved["position"] = command
        return moved

    def settling_ms(self, state: LensState, command: FloatArray) -> FloatArray:
        """Return how long (N,) each lens takes to settle at ``command``, in milliseconds."""
        return np.zeros(len(command))

    def exposure_path(self, state: LensState, exposure_ms: float) -> tuple[FloatArray, FloatArray]:
        """Return positions (N, S) and weights (N, S) over an exposure; S = 1 where the lens stands still."""
        positions: FloatArray = state["position"][:, None]
        return positions, np.ones(positions.shape)

    def travel_table_um(self, diopters: FloatArray | None) -> FloatArray:
        """Return the lens extension (n,) of each index in micrometres; NaN where the distances are unknown."""
        if diopters is None:
            if self.name != "ideal":
                raise WithheldError(f"lens {self.name!r} needs known focus distances, but the stacks have none")
            return np.full(1, np.nan)
        return lens_extension_um(diopters, self.focal_length_m)


LENSES: Final[dict[str, Lens]] = {"ideal": Lens()}


def make_lens(name: str) -> Lens:
    """Return the preset ``name``, or raise naming those there are."""
    if name not in LENSES:
        raise unknown("lens preset", name, LENSES)
    return LENSES[name]
