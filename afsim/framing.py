"""Where the pixels of an image lie in the recorded patches: margins, lens shifts, and focal breathing changed.

Breathing is in the recordings, as a zoom about the principal point. A gain on it scales what was recorded; slices
between which the lens stands are aligned by it before they are blended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError, WithheldError
from afsim.imaging import Views
from afsim.optics import PIXEL3, magnification
from afsim.stackset import StackSet

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A border that repeats over so few pixels is no wider than what a shifted lens brings into view.
_BORDER_PX: Final = 4.0


@dataclass(frozen=True, eq=False)
class Framing:
    """How images are framed in the patches of a set.

    Attributes
    ----------
    stacks : StackSet
        The recordings. Their metadata may tell ``breathing``, the gain on a thin lens's breathing that they have
        (1), ``frame_px``, width and height of the frame they are cut from (the Pixel 3's, the long side along the
        split), and ``margin``, the pixels at each border that they were rendered with to be cut off (0).
    focal_length_m : float
        Of the lens, in metres.
    breathing : float
        Gain on the breathing that is in the recording.
    margin : int or None
        Pixels cut off at each border; None for what the recordings tell.

    Raises
    ------
    AfsimError
        For values that are none, a margin that leaves nothing, or a breathing that looks beyond the patches.
    """

    stacks: StackSet
    focal_length_m: float
    breathing: float = 1.0
    margin: int | None = None

    def __post_init__(self) -> None:
        geometry, crop = self.stacks.geometry, self.crop
        if not isinstance(crop, int | np.integer) or not 0 <= 2 * crop < min(geometry.height, geometry.width):
            raise AfsimError(
                f"margin must be a whole number of at least 0 and leave something of {geometry.height} x "
                f"{geometry.width} pixels, got {crop}"
            )
        if not np.isfinite(self.breathing) or self.breathing < 0:
            raise AfsimError(f"breathing must be a number of at least 0, got {self.breathing}")
        if self.breathing == 1.0:
            return
        if geometry.diopters is None:
            raise WithheldError("breathing cannot be changed: the focus distances of these stacks are unknown")
        if (missing := self._beyond()) > _BORDER_PX:
            raise AfsimError(
                f"breathing {self.breathing:g} looks {missing:.0f} pixels beyond the patches of {self.stacks!r}; "
                f"record or render them with a margin of at least {crop + int(np.ceil(missing - _BORDER_PX))}"
            )

    @cached_property
    def crop(self) -> int:
        """Pixels cut off at each border."""
        told: Any = self.told("margin", 0) if self.margin is None else self.margin
        return told  # type: ignore[no-any-return]  # checked above

    @property
    def moves_nothing(self) -> bool:
        """Whether a slice at a whole position, without a lens shift, is shown as it is recorded."""
        return self.crop == 0 and self.breathing == 1.0

    def told(self, name: str, default: object) -> Any:
        """Return what the set, or else its first stack, says of itself."""
        return {**self.stacks[0].metadata, **self.stacks.metadata}.get(name, default)

    def views(self, ids: IntArray, positions: FloatArray, weights: FloatArray, shifts: FloatArray | None) -> Views:
        """Return the sampling grids of N lanes.

        Parameters
        ----------
        ids : (N,) int64
            Which stack each lane looks at.
        positions, weights : (N, S) float64
            Where the lens is, as indices, and for what share of the exposure.
        shifts : (N, 2) float64 or None
            How far the image is shifted, x and y in pixels.
        """
        place = np.einsum("ns,ns->n", positions, weights)
        steps = np.interp(place, np.arange(self.stacks.n), self._zooms)
        centres = self._centres[ids]
        first = self.crop - (np.zeros((len(ids), 2)) if shifts is None else shifts)
        # Written so that a step of 1 leaves whole pixels whole.
        firsts = first + (steps[:, None] - 1.0) * (first - centres)
        return Views(steps, firsts, self._last / 2.0 - centres, self._scales)

    @cached_property
    def _last(self) -> FloatArray:
        """Last column and row (2,) of a recorded patch."""
        return np.array([self.stacks.geometry.width, self.stacks.geometry.height]) - 1.0

    @cached_property
    def _scales(self) -> FloatArray:
        """Image scale (n,) of the slices as recorded; all 1 where the focus distances are unknown."""
        diopters = self.stacks.diopters
        if diopters is None:
            return np.ones(self.stacks.n)
        return np.asarray(magnification(diopters, self.focal_length_m) ** float(self.told("breathing", 1.0)))

    @cached_property
    def _zooms(self) -> FloatArray:
        """Step (n,) of the sampling grid at each index, in recorded pixels, that changes the breathing."""
        scale = self._scales ** (self.breathing - 1.0)
        # Relative to the slice that shows the least: around the principal point no other looks beyond its border.
        return np.asarray(scale.min() / scale)

    @cached_property
    def _centres(self) -> FloatArray:
        """Where the principal point is in each patch (N, 2), x and y in recorded pixels."""
        frames = [frame_px({**self.stacks.metadata, **stack.metadata}) for stack in self.stacks]
        return np.asarray(self._last / 2.0 - self.stacks.regions * (np.array(frames) / 2.0))

    def _beyond(self) -> float:
        """Return how many pixels beyond a recorded patch the grid of some slice reaches."""
        steps, centres = self._zooms[:, None, None], self._centres[None]
        first = self.crop + (steps - 1.0) * (self.crop - centres)
        last = first + steps * (self._last - 2 * self.crop)
        return float(max((-first).max(), (last - self._last).max(), 0.0))


def frame_px(metadata: Mapping[str, Any]) -> tuple[float, float]:
    """Return width and height of the frame that a patch is cut from; the long side is along the split."""
    usual = PIXEL3.frame_px[::-1] if metadata.get("dp_axis") == "rows" else PIXEL3.frame_px
    width, height = metadata.get("frame_px", usual)
    return float(width), float(height)
