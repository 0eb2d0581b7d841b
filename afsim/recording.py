"""What a reader finds: sweeps of frames and the regions to cut from them, nothing read before it is needed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from afsim.stack import FocalStack, Geometry, RawImage


class Cut(NamedTuple):
    """One stack of a sweep: where it lies in the frames, and what is known of it."""

    top: int
    left: int
    name: str
    scene: str
    region: tuple[float, float] = (0.0, 0.0)
    best_index: int | None = None
    metadata: Mapping[str, object] = {}


@dataclass(frozen=True)
class Recording:
    """One focal sweep: n frames of one scene, and the regions of it that become stacks.

    Parameters
    ----------
    name : str
        For messages and the progress bar.
    geometry : Geometry
        Of the cut stacks; ``height`` and ``width`` are those of a region.
    cuts : tuple of Cut
        The regions, all inside every frame.
    frame : callable
        ``frame(k)`` reads slice k (0 = far) as (V, height, width) uint16; called once a slice, in order.
    metadata : mapping
        Of the sweep; joined with each cut's own.
    """

    name: str
    geometry: Geometry
    cuts: tuple[Cut, ...]
    frame: Callable[[int], RawImage]
    metadata: Mapping[str, object] = field(default_factory=dict)

    def fill(self, out: RawImage) -> Iterator[int]:
        """Read the frames one by one into ``out`` (len(cuts), n, V, H, W), yielding each slice index done."""
        height, width = self.geometry.height, self.geometry.width
        for k in range(self.geometry.n):
            frame = self.frame(k)
            for stack, cut in zip(out, self.cuts, strict=True):
                stack[k] = frame[:, cut.top : cut.top + height, cut.left : cut.left + width]
            yield k

    def stacks(self) -> list[FocalStack]:
        """Read the sweep and return its stacks, in memory."""
        geometry = self.geometry
        shape = (len(self.cuts), geometry.n, geometry.views, geometry.height, geometry.width)
        images = np.empty(shape, dtype=np.uint16)
        for _ in self.fill(images):
            pass
        return [self._stack(cut, image) for cut, image in zip(self.cuts, images, strict=True)]

    def _stack(self, cut: Cut, images: RawImage) -> FocalStack:
        geometry = self.geometry
        return FocalStack(
            images=images,
            levels=geometry.levels,
            diopters=None if geometry.diopters is None else np.array(geometry.diopters),
            best_index=cut.best_index,
            region=cut.region,
            direction=geometry.direction,
            name=cut.name,
            scene=cut.scene,
            metadata={**self.metadata, **cut.metadata},
        )

    def headers(self) -> list[FocalStack]:
        """Return the stacks without reading a frame: all but their images, which are a shared zero."""
        geometry = self.geometry
        blank = np.broadcast_to(np.uint16(0), (geometry.n, geometry.views, geometry.height, geometry.width))
        return [self._stack(cut, blank) for cut in self.cuts]


class Reader(Protocol):
    """Options of one kind of recording, and how to find such recordings.

    A reader is a frozen dataclass whose fields are its options; the first field is ``source``, the path to read.
    """

    def recordings(self) -> Iterator[Recording]:
        """Find the sweeps under ``source``, in a fixed order.

        Raises
        ------
        afsim.errors.ReaderError
            Naming the file, what was found and what was expected.
        """
        ...
