"""What a reader finds: sweeps of frames and the regions to cut from them, nothing read before it is needed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from afsim.errors import ReaderError
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
        The regions, all inside every frame; none where nothing of the sweep is kept.
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

    @property
    def nbytes(self) -> int:
        """Size of the pixels of all its stacks."""
        geometry = self.geometry
        return 2 * len(self.cuts) * geometry.n * geometry.views * geometry.height * geometry.width

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

    def headers(self) -> list[FocalStack]:
        """Return the stacks without reading a frame: all but their images, which are a shared zero."""
        geometry = self.geometry
        blank = np.broadcast_to(np.uint16(0), (geometry.n, geometry.views, geometry.height, geometry.width))
        return [self._stack(cut, blank) for cut in self.cuts]

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


class Reader(Protocol):
    """Options of one kind of recording, and how to find such recordings.

    A reader is a frozen dataclass whose fields are its options; the first field is ``source``, the path to read.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def source(self) -> Path:
        """The path to read."""
        ...

    def recordings(self) -> Iterator[Recording]:
        """Find the sweeps under ``source``, in a fixed order.

        Raises
        ------
        afsim.errors.ReaderError
            Naming the file, what was found and what was expected.
        """
        ...


def grid(frame: tuple[int, int], size: tuple[int, int], stride: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the corners (top, left) of all regions that fit a frame, by rows, starting in the corner.

    Parameters
    ----------
    frame, size : (int, int)
        Height and width in pixels.
    stride : (int, int)
        Distance of neighbours in pixels, down and across.
    """
    tops, lefts = (range(0, whole - part + 1, step) for whole, part, step in zip(frame, size, stride, strict=True))
    return [(top, left) for top in tops for left in lefts]


def spread(frame: tuple[int, int], size: tuple[int, int], counts: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the corners (top, left) of rows x columns regions, spread evenly from edge to edge; one is centred."""
    tops, lefts = (
        np.linspace(0, whole - part, count) if count > 1 else [(whole - part) / 2]
        for whole, part, count in zip(frame, size, counts, strict=True)
    )
    return [(round(top), round(left)) for top in tops for left in lefts]


def region_centre(frame: tuple[int, int], size: tuple[int, int], top: int, left: int) -> tuple[float, float]:
    """Return where the centre of a region lies in the field, (x, y) in [-1, 1] from the left and the top edge."""
    y, x = ((2 * start + part) / whole - 1.0 for start, part, whole in zip((top, left), size, frame, strict=True))
    return x, y


def check_complete(numbers: Sequence[int], n: int, where: str) -> None:
    """Raise :class:`ReaderError` unless ``numbers`` are 0 ... n-1, each once, naming the slices that are not."""
    missing = sorted(set(range(n)) - set(numbers))
    if missing:
        raise ReaderError(f"{where}: slice {_listed(missing)} missing, expected 0 ... {n - 1}")
    extra = sorted(set(numbers) - set(range(n)))
    if extra:
        raise ReaderError(f"{where}: unexpected slice {_listed(extra)}, expected 0 ... {n - 1}")
    if len(numbers) != n:
        twice = sorted(number for number in set(numbers) if numbers.count(number) > 1)
        raise ReaderError(f"{where}: slice {_listed(twice)} is there more than once")


def check_choice(option: str, got: str, choices: Sequence[str]) -> None:
    """Raise :class:`ReaderError` unless the value of an option is one of ``choices``."""
    if got not in choices:
        raise ReaderError(f"{option}: got {got!r}, expected one of {', '.join(choices)}")


def check_positive(**options: float | None) -> None:
    """Raise :class:`ReaderError` unless the options given (None: not given) are finite numbers above 0."""
    for option, got in options.items():
        if got is not None and not 0 < got < np.inf:
            raise ReaderError(f"{option}: got {got}, expected a number above 0")


def check_folder(folder: Path, what: str) -> Path:
    """Return ``folder``, or raise :class:`ReaderError` where there is none; ``what`` it should hold is named."""
    if not folder.is_dir():
        raise ReaderError(f"{folder}: no such folder, expected {what}")
    return folder


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:5])
    return shown if len(numbers) <= 5 else f"{shown} and {len(numbers) - 5} more"
