"""A lens in front of a table of focus distances: from the index that is asked for to where the lens really is.

Pure, for N lenses at once; a lens's state is one row of a structured array and holds what was drawn for its
episode. Draws depend on the lane's key and on how many moves and exposures it has made, so a fork repeats them.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from afsim import drive
from afsim.errors import WithheldError
from afsim.keys import Keys
from afsim.lens import Lens
from afsim.lensstate import STATE, LensState, numbers
from afsim.optics import lens_extension_um

FloatArray = npt.NDArray[np.float64]

# A row of a lens that does not err.
_STILL: Final = np.dtype([("position", "<f8")])


class Actuator:
    """A lens and the table of focus distances that its commands go through.

    Parameters
    ----------
    lens : Lens
        Its imperfections.
    n : int
        Number of indices.
    diopters : (n,) float64 or None
        Focus distances; without them only an exact lens can be moved.

    Raises
    ------
    WithheldError
        For an erring lens without distances: its errors are micrometres.

    Attributes
    ----------
    is_exact : bool
        Whether the lens is always where it was told to be, at once.
    table_um : (n,) float64
        Lens extension of each index in micrometres; (1,) NaN where the distances are unknown.
    """

    def __init__(self, lens: Lens, n: int, diopters: FloatArray | None) -> None:
        self.lens, self.n = lens, n
        self.is_exact = lens.is_exact
        if diopters is None and not self.is_exact:
            raise WithheldError(f"lens {lens.name!r} needs known focus distances, but the stacks have none")
        self.table_um = np.full(1, np.nan) if diopters is None else lens_extension_um(diopters, lens.focal_length_m)
        self._numbers = numbers(lens)

    def park(self, command: FloatArray, keys: Keys, exposure_ms: float) -> LensState:
        """Return the state (N,) of lenses that came from a stop, were sent to ``command`` (N,), and settled.

        ``keys`` (N,) seed the imperfections and everything that is drawn later; ``exposure_ms`` is how long the
        first exposure lasts.
        """
        if self.is_exact:
            return self._exactly(command)
        state = np.zeros(len(command), dtype=STATE)
        state["key"], state["command"] = keys, command
        drive.park(state, self.table_um, self._numbers, exposure_ms)
        return state

    def settling_ms(self, state: LensState, command: FloatArray, lead_ms: float, tolerance: float) -> FloatArray:
        """Return how long (N,) each lens takes to stay within ``tolerance`` indices of where a command takes it.

        Parameters
        ----------
        state : (N,)
            At the beginning of the last exposure.
        command : (N,) float64
            Index asked for.
        lead_ms : float
            From there to the command.
        """
        spent = np.zeros(len(command))
        if not self.is_exact and self.lens.ringing:
            drive.settle(state, command, lead_ms, tolerance, self.table_um, self._numbers, spent)
        return spent

    def move(
        self, state: LensState, command: FloatArray, lead_ms: float, wait_ms: FloatArray, exposure_ms: float
    ) -> LensState:
        """Return the state (N,) at the beginning of the next exposure; the given state is not changed.

        The lens stays under its old command for ``lead_ms``, then goes to ``command`` (N,) for ``wait_ms``
        (N,), then an exposure of ``exposure_ms`` begins. A command that does not change moves nothing.
        """
        if self.is_exact:
            return self._exactly(command)
        moved = state.copy()
        drive.move(moved, command, lead_ms, wait_ms, exposure_ms, self.table_um, self._numbers)
        return moved

    def exposure_path(self, state: LensState, exposure_ms: float) -> tuple[FloatArray, FloatArray]:
        """Return positions (N, S) as indices in [0, n-1], and weights (N, S), over the exposure that begins.

        S = 1 for a lens that never rings.
        """
        if self.is_exact:
            place: FloatArray = state["position"][:, None]
            return place, np.ones(place.shape)
        moments = drive.MOMENTS if self.lens.ringing else 1
        positions = np.empty((len(state), moments))
        weights = np.full(positions.shape, 1.0 / moments)
        if moments == 1:
            positions[:, 0] = state["position"]
        else:
            drive.trace(state, exposure_ms, self.table_um, self._numbers, positions, weights)
        # Beyond the recording there is nothing to see but its first or last slice.
        return positions.clip(0.0, self.n - 1.0, out=positions), weights

    def shifts(self, state: LensState) -> FloatArray | None:
        """Return how far (N, 2) the image is shifted, x and y in pixels; None for a lens that never shifts."""
        if self.is_exact or not self.lens.lateral:
            return None
        return np.stack([state["dx"], state["dy"]], axis=1)

    def reach(self, state: LensState) -> tuple[FloatArray, FloatArray]:
        """Return the lowest and the highest index (N,) that commands in 0 ... n-1 can bring each lens to."""
        if self.is_exact:
            return np.zeros(len(state)), np.full(len(state), self.n - 1.0)
        return state["lowest"].copy(), state["highest"].copy()

    def _exactly(self, command: FloatArray) -> LensState:
        state = np.empty(len(command), dtype=_STILL)
        state["position"] = command
        return state
