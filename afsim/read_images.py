"""Read focal stacks from plain images: a folder of slices, a multi-page TIFF, or a folder of either.

Without a table the slices are taken in the natural order of their file names ("9" before "10"). Grey images are
taken as they are, of colour images the green channel, of Bayer mosaics the mean of the two green sites (half size).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, get_args

import numpy as np

from afsim.errors import ReaderError
from afsim.imagefile import SUFFIXES, TIFF_SUFFIXES, is_image, read_image, tiff_page_count
from afsim.pixels import Bayer, Gamma, PlaneOf
from afsim.positions import Order, Table, arrange, read_table
from afsim.recording import (
    Cut,
    Recording,
    check_choice,
    check_folder,
    check_positive,
    grid,
    region_centre,
    spread,
)
from afsim.stack import Geometry, RawImage

_NUMBER: Final = re.compile(r"(\d+)")


class Slice(NamedTuple):
    """One image: a file, or a page of one."""

    path: Path
    page: int = 0


@dataclass(frozen=True)
class ImagesReader:
    """Focal stacks from folders of images (PNG, JPEG, TIFF; 8 to 16 bits) or multi-page TIFF files.

    Raises
    ------
    ReaderError
        Where an option has no such value, or two contradict each other.
    """

    source: Path
    """A folder of slices, a multi-page TIFF file, or a folder of such folders or files (each is a scene)."""
    table: str | None = None
    """Name of a CSV table in each stack's folder (for TIFF files: beside them) with columns file, best_index and
    one of index, diopters, metres. Without it the slices are in the natural order of their file names."""
    diopters: tuple[float, ...] = ()
    """Focus distances of the slices in dioptres, the same for all stacks; an alternative to a table."""
    order: Order = "unknown"
    """Which end of the sweep comes first; near-first is reversed. Known distances settle it by themselves."""
    allow_gaps: bool = False
    """Accept file numbers with gaps (names that carry lens positions, or slices left out on purpose)."""
    left: str | None = None
    """Name of the left view's folder or TIFF file inside each stack's folder, for dual-pixel recordings."""
    right: str | None = None
    """Name of the right view's folder or TIFF file."""
    bayer: Bayer = "none"
    """Colour pattern of raw mosaics: the first four sites by rows. Gives half the size."""
    bits: int | None = None
    """Bits that are used of each value, 1 to 16 (such as 10, 12 or 14); default: all 8 or 16 of the file."""
    black: int = 0
    """Black level of the files' values."""
    white: int | None = None
    """White level of the files' values; default: the largest value of the given bits."""
    gamma: Gamma = "linear"
    """srgb undoes the display curve of JPEG and most 8-bit PNG files, whose values are not linear in light; what
    else a camera did to them (tone mapping, sharpening, noise removal) stays."""
    regions: tuple[tuple[int, int, int, int], ...] = ()
    """Regions to cut, all of one size, each as top, left, height, width in pixels; default: the whole frame."""
    size: tuple[int, int] | None = None
    """Height and width of the regions of a grid, in pixels."""
    stride: int | None = None
    """Distance of neighbouring regions of the grid in pixels; default: side by side."""
    counts: tuple[int, int] | None = None
    """Rows and columns of a grid that is spread evenly over the frame, instead of a stride."""

    def __post_init__(self) -> None:
        check_choice("order", self.order, get_args(Order))
        check_choice("bayer", self.bayer, get_args(Bayer))
        check_choice("gamma", self.gamma, get_args(Gamma))
        height, width = self.size or (None, None)
        rows, columns = self.counts or (None, None)
        check_positive(stride=self.stride, height=height, width=width, rows=rows, columns=columns)
        if self.bits is not None and not 1 <= self.bits <= 16:
            raise ReaderError(f"bits: got {self.bits}, expected 1 to 16")
        if (self.left is None) != (self.right is None):
            raise ReaderError(f"left and right: got {self.left!r} and {self.right!r}, expected both or neither")
        if self.table is not None and self.diopters:
            raise ReaderError("table and diopters: got both, expected one of them")
        if self.size is None and (self.stride or self.counts):
            raise ReaderError("size: not given, but a grid needs it")
        if self.size is not None and (self.regions or (self.stride and self.counts)):
            raise ReaderError("expected one of: regions; size with a stride; size with counts")
        for region in self.regions:
            if min(region[2:]) < 1:
                raise ReaderError(f"regions: got {region[2]} x {region[3]} pixels, expected at least 1 x 1")
        if len({region[2:] for region in self.regions}) > 1:
            raise ReaderError(
                f"regions: sizes {sorted({region[2:] for region in self.regions})}, expected one size"
            )

    def recordings(self) -> Iterator[Recording]:
        """Find the stacks, by name; reads the first slice of each.

        Raises
        ------
        ReaderError
            Where there is none, a slice is missing or damaged, or tables, regions and images do not fit together.
        """
        for path in self._stack_paths():
            yield self._recording(path)

    def _stack_paths(self) -> list[Path]:
        if not self.source.exists():
            raise ReaderError(f"{self.source}: no such file or folder")
        if self._is_stack(self.source):
            return [self.source.resolve()]
        inside = [path for path in sorted(self.source.iterdir(), key=_natural) if not path.name.startswith(".")]
        found = [path for path in inside if path.is_dir() or _is_tiff(path)]
        if not found:
            raise ReaderError(f"{self.source}: empty, expected images ({', '.join(SUFFIXES)}) or folders of them")
        return found

    def _is_stack(self, path: Path) -> bool:
        if path.is_file():
            return True
        if self.left is not None:
            return (path / self.left).exists()
        images = _images(path)
        return bool(images) and not (_is_tiff(images[0]) and tiff_page_count(images[0]) > 1)

    def _recording(self, path: Path) -> Recording:
        name = path.stem if path.is_file() else path.name
        table = self._table(path.parent if path.is_file() else path)
        parts = [path] if self.left is None or self.right is None else [path / self.left, path / self.right]
        views = [self._slices(part, table) for part in parts]
        n = len(views[0])
        if len(views[-1]) != n:
            raise ReaderError(f"{path}: {n} left and {len(views[-1])} right slices, expected as many")
        diopters = self.diopters or (None if table is None else table.diopters)
        arranged = arrange(n, self.order, diopters, None if table is None else table.best_index, str(path))
        views = [[view[k] for k in arranged.order] for view in views]
        plane, frame = self._plane(views[0][0])
        corners, size = self._regions(frame, str(path))
        geometry = Geometry(n, len(views), *size, plane.levels, arranged.direction, arranged.diopters)
        cuts = tuple(
            Cut(
                top,
                left,
                name if len(corners) == 1 else f"{name}/y{top:04d}x{left:04d}",
                name,
                region_centre(frame, size, top, left),
                arranged.best_index,
            )
            for top, left in corners
        )
        return Recording(name, geometry, cuts, partial(_read_frame, views, plane), plane.describe())

    def _table(self, folder: Path) -> Table | None:
        return None if self.table is None else read_table(folder / self.table)

    def _slices(self, path: Path, table: Table | None) -> list[Slice]:
        """Return the slices of one view, as recorded."""
        if path.is_file():
            slices = _pages(path, table)
        elif table is None or table.files is None:
            slices = [Slice(file) for file in _images(check_folder(path, "a folder of slices"))]
            if not self.allow_gaps:
                _check_numbering([found.path for found in slices])
        else:
            slices = _named(check_folder(path, "a folder of slices"), table.files)
        if not slices:
            raise ReaderError(f"{path}: empty, expected images ({', '.join(SUFFIXES)})")
        if table is not None and table.rows != len(slices):
            raise ReaderError(f"{path}: {len(slices)} slices, but the table {self.table} has {table.rows} rows")
        return slices

    def _plane(self, first: Slice) -> tuple[PlaneOf, tuple[int, int]]:
        """Return how to take a plane from the images, all like the first, and the height and width of it."""
        image = read_image(*first)
        bits = self.bits or 8 * image.dtype.itemsize
        white = 2**bits - 1 if self.white is None else self.white
        if not 0 <= self.black < white < 2**bits:
            raise ReaderError(
                f"black and white: got {self.black} and {white}, expected 0 <= black < white <= {2**bits - 1}"
            )
        plane = PlaneOf(image.shape, image.dtype, bits, self.black, white, self.bayer, self.gamma)
        height, width = plane(image, first.path).shape
        return plane, (height, width)

    def _regions(self, frame: tuple[int, int], where: str) -> tuple[list[tuple[int, int]], tuple[int, int]]:
        """Return corners (top, left) and the common size (height, width) of the regions."""
        size = self.regions[0][2:] if self.regions else self.size or frame
        if self.regions:
            corners = [region[:2] for region in self.regions]
        elif self.counts is not None:
            corners = spread(frame, size, self.counts)
        else:
            stride = size if self.stride is None else (self.stride, self.stride)
            corners = grid(frame, size, stride)
        for top, left in corners or [(0, 0)]:
            if min(top, left) < 0 or top + size[0] > frame[0] or left + size[1] > frame[1]:
                raise ReaderError(
                    f"{where}: region of {size[0]} x {size[1]} at top {top}, left {left} is outside the frame "
                    f"of {frame[0]} x {frame[1]} pixels"
                )
        return corners, size


def _read_frame(views: list[list[Slice]], plane: PlaneOf, k: int) -> RawImage:
    return np.stack([plane(read_image(*view[k]), view[k].path) for view in views])


def _images(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if is_image(path)), key=_natural)


def _is_tiff(path: Path) -> bool:
    return is_image(path) and path.suffix.lower() in TIFF_SUFFIXES


def _natural(path: Path) -> tuple[list[str | int], str]:
    parts = _NUMBER.split(path.name)
    return [int(part) if i % 2 else part.lower() for i, part in enumerate(parts)], path.name


def _pages(path: Path, table: Table | None) -> list[Slice]:
    if not _is_tiff(path):
        raise ReaderError(f"{path}: expected a folder of slices or a multi-page TIFF file")
    if table is not None and table.files is not None:
        raise ReaderError(f"{path}: its table names files, but the slices are pages; expected no column 'file'")
    return [Slice(path, page) for page in range(tiff_page_count(path))]


def _named(folder: Path, names: tuple[str, ...]) -> list[Slice]:
    for name in names:
        if not is_image(folder / name):
            raise ReaderError(f"{folder / name}: no such image ({', '.join(SUFFIXES)}), but the table names it")
        if names.count(name) > 1:
            raise ReaderError(f"{folder / name}: the table names it more than once")
    return [Slice(folder / name) for name in names]


def _check_numbering(files: list[Path]) -> None:
    """Raise :class:`ReaderError` where files that are numbered in one place have a gap in their numbers."""
    parts = [_NUMBER.split(path.stem) for path in files]
    if len({tuple(part[::2]) for part in parts}) != 1:
        return  # not numbered alike
    fields = [[int(text) for text in column] for column in list(zip(*parts, strict=True))[1::2]]
    counting = [numbers for numbers in fields if len(set(numbers)) > 1]
    if len(counting) == 1:
        first = min(counting[0])
        last = max(counting[0])
        missing = sorted(set(range(first, last + 1)) - set(counting[0]))
        if missing:
            shown = ", ".join(str(number) for number in missing[:5]) + (" ..." if len(missing) > 5 else "")
            raise ReaderError(
                f"{files[0].parent}: number {shown} missing between {first} and {last}; "
                "if that is meant, allow gaps (allow_gaps)"
            )
        if len(set(counting[0])) != len(files):
            raise ReaderError(f"{files[0].parent}: {len(files)} files for the numbers {first} to {last}")
