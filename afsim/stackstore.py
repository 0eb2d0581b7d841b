"""The folder that holds a stack set: format, writer and checks. Only :mod:`afsim.stackset` uses it directly."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from afsim.errors import StackError, StoreError
from afsim.stack import FocalStack, Geometry, Levels, RawImage, check_geometry

Index = npt.NDArray[np.void]

FORMAT: Final = "afsim-stackset"
VERSION: Final = 1
MANIFEST: Final = "manifest.json"
_INDEX: Final = "index.npy"
_IMAGES: Final = "images.u16"
_TEXTS: Final = ("name", "scene", "metadata")
_CHUNK_BYTES: Final = 1 << 26


class Store(NamedTuple):
    """What a folder holds, mapped."""

    geometry: Geometry
    images: RawImage
    rows: Index
    metadata: dict[str, Any]
    digest: str


def index_rows(stacks: Sequence[FocalStack]) -> Index:
    """Return the index table (N,) of stacks: a structured array whose text columns are UTF-8."""
    names = [stack.name.encode() for stack in stacks]
    scenes = [(stack.scene or stack.name).encode() for stack in stacks]
    extras = [_to_json(stack.metadata, f"stack {stack.name!r}").encode() for stack in stacks]
    rows = np.zeros(len(stacks), dtype=_index_dtype(_longest(names), _longest(scenes), _longest(extras)))
    rows["name"], rows["scene"], rows["metadata"] = names, scenes, extras
    for row, stack in zip(rows, stacks, strict=True):
        row["best_index"] = -1 if stack.best_index is None else stack.best_index
        row["best_index_exact"] = np.nan if stack.best_index_exact is None else stack.best_index_exact
        row["region"] = stack.region
        row["noise"] = (np.nan, np.nan) if stack.noise is None else stack.noise
    return rows


def _to_json(metadata: Mapping[str, object], where: str) -> str:
    try:
        return json.dumps(dict(metadata), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StackError(f"{where}: metadata must be plain JSON values: {error}") from error


def _index_dtype(name: int, scene: int, metadata: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("name", f"S{name}"),
            ("scene", f"S{scene}"),
            ("best_index", "<i4"),
            ("best_index_exact", "<f8"),
            ("region", "<f8", (2,)),
            ("noise", "<f8", (2,)),
            ("metadata", f"S{metadata}"),
        ]
    )


def _longest(texts: Sequence[bytes]) -> int:
    return max((len(text) for text in texts), default=1) or 1


def merge_index(parts: Sequence[Index]) -> Index:
    """Join index tables into one whose text columns are as wide as the longest text in them."""
    rows = [part for part in parts if len(part)]
    widths = (max((_width(part[field]) for part in rows), default=1) for field in _TEXTS)
    dtype = _index_dtype(*widths)
    return np.concatenate([np.zeros(0, dtype=dtype), *(part.astype(dtype) for part in rows)])


def _width(texts: npt.NDArray[np.bytes_]) -> int:
    return max(1, int(np.strings.str_len(texts).max()))


def content_digest(geometry: Geometry, index: Index, images: RawImage) -> str:
    """Return the SHA-256 of a set's content, independent of where and how it is held."""
    digest = hashlib.sha256(json.dumps(_geometry_to_json(geometry), sort_keys=True).encode())
    digest.update(merge_index([index]).tobytes())
    per_stack = max(1, int(images[:1].nbytes))
    step = max(1, _CHUNK_BYTES // per_stack)
    for start in range(0, len(images), step):
        digest.update(np.ascontiguousarray(images[start : start + step], dtype="<u2").data)
    return digest.hexdigest()


class StackWriter:
    """Write a set into an empty folder, stack by stack or slice by slice.

    Use it inside :func:`afsim.staging.staged_folder`, as a context manager: the manifest, without which no folder
    is a set, is written when the block ends without an error.
    """

    def __init__(self, folder: Path, geometry: Geometry, metadata: Mapping[str, object] | None = None) -> None:
        check_geometry(geometry, "the set to write")
        self._folder = Path(folder)
        self._geometry = geometry
        self._metadata = dict(metadata or {})
        _to_json(self._metadata, "the set to write")
        self._parts: list[Index] = []
        self._count = 0

    def __enter__(self) -> Self:
        """Make the empty image file."""
        (self._folder / _IMAGES).touch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write index and manifest, unless the block failed."""
        if kind is None:
            with _room(self._folder):
                self._finish()

    def extend(self, rows: Index) -> RawImage:
        """Make room for ``len(rows)`` more stacks and return it, (len(rows), n, V, H, W) uint16, to be filled.

        Raises
        ------
        StoreError
            Where the disk has no room; nothing is written then.
        """
        shape = self._shape(len(rows))
        size = int(np.prod(shape)) * 2
        offset = self._count * int(np.prod(shape[1:])) * 2
        path = self._folder / _IMAGES
        # The room is taken for real: a sparse file would end the process (SIGBUS) once the disk is full.
        with _room(self._folder, f" for {size / 1e6:.1f} MB more"), path.open("r+b") as file:
            try:
                _reserve(file, offset, size)
            except OSError:
                file.truncate(offset)
                raise
        self._parts.append(rows)
        self._count += len(rows)
        return np.memmap(path, dtype="<u2", mode="r+", offset=offset, shape=shape)

    def keep(self, rows: Sequence[Index]) -> None:
        """Count stacks whose images are in the file already, as :meth:`extend` left them, as written."""
        self._parts += rows
        self._count += sum(len(part) for part in rows)

    def _shape(self, count: int) -> tuple[int, ...]:
        geometry = self._geometry
        return (count, geometry.n, geometry.views, geometry.height, geometry.width)

    def _finish(self) -> None:
        if self._count == 0:
            raise StackError("a stack set needs at least one stack, got none")
        index = merge_index(self._parts)
        np.save(self._folder / _INDEX, index, allow_pickle=False)
        images = np.memmap(self._folder / _IMAGES, dtype="<u2", mode="r", shape=self._shape(self._count))
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "count": self._count,
            "geometry": _geometry_to_json(self._geometry),
            "metadata": self._metadata,
            "sha256": content_digest(self._geometry, index, images),
        }
        (self._folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


@contextmanager
def _room(folder: Path, wanted: str = "") -> Iterator[None]:
    """Turn "no space left" and its like into a :class:`StoreError` that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
        raise StoreError(f"no room{wanted} in {folder}: {error.strerror}") from error


def _reserve(file: BinaryIO, offset: int, size: int) -> None:
    """Give the file real blocks for ``size`` bytes from ``offset``, its present end."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), offset, size)
        return
    file.seek(offset)  # macOS and Windows have no such call: write the zeros
    for start in range(0, size, _CHUNK_BYTES):
        file.write(bytes(min(_CHUNK_BYTES, size - start)))


def check_replaceable(folder: Path) -> None:
    """Raise :class:`StoreError` unless ``folder`` is missing, empty, a stack set, or holds sets and nothing else.

    Replacing removes a whole folder: this keeps a mistyped path from removing something that is no stack set.
    """
    if not folder.is_dir() or (folder / MANIFEST).is_file():
        return
    others = [inside.name for inside in sorted(folder.iterdir()) if not (inside / MANIFEST).is_file()]
    if others:
        raise StoreError(f"{folder} is no stack set (it holds {others[0]!r}), so it is not replaced")


def read_store(folder: Path) -> Store:
    """Open a stored set: check the manifest and the sizes of the files, and map them.

    Raises
    ------
    StoreError
        Naming the file, what was found and what was expected.
    """
    manifest = _read_manifest(folder)
    try:
        geometry = _geometry_from_json(manifest["geometry"])
        count, metadata, digest = int(manifest["count"]), dict(manifest["metadata"]), str(manifest["sha256"])
        check_geometry(geometry, str(folder))
        if count < 1:
            raise ValueError(f"count is {count}, expected at least 1")
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{folder / MANIFEST} is damaged: {type(error).__name__}: {error}") from error
    index = _map_index(folder / _INDEX, count)
    shape = (count, geometry.n, geometry.views, geometry.height, geometry.width)
    return Store(geometry, _map_images(folder / _IMAGES, shape), index, metadata, digest)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise StoreError(f"no stack set at {folder}: there is no such folder")
    if not path.is_file():
        inside = sorted(str(found.parent.relative_to(folder)) for found in folder.glob(f"*/{MANIFEST}"))
        hint = (
            f"; sets inside it: {', '.join(inside)}" if inside else "; import recordings with 'afsim data import'"
        )
        raise StoreError(f"no stack set at {folder}: it has no {MANIFEST}{hint}")
    try:
        manifest = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is damaged: not JSON ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreError(f"{path} is no manifest of a stack set: expected format {FORMAT!r}")
    version = manifest.get("version")
    if not isinstance(version, int) or version < 1:
        raise StoreError(f"{path} is damaged: version {version!r}, expected a number from 1 to {VERSION}")
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer afsim: format version {version}, this one reads up to {VERSION}"
        )
    return manifest


def _map_index(path: Path, count: int) -> Index:
    try:
        index = np.lib.format.open_memmap(path, mode="r")
        dtype = _index_dtype(*(index.dtype[field].itemsize for field in _TEXTS))
    except FileNotFoundError as error:
        raise StoreError(f"{path} is missing") from error
    except Exception as error:  # what numpy raises on a damaged header is of many kinds
        raise StoreError(f"{path} is damaged: {error}") from error
    if index.shape != (count,) or index.dtype != dtype:
        raise StoreError(f"{path} is damaged: expected {count} index rows, got shape {index.shape} {index.dtype}")
    return index


def _map_images(path: Path, shape: tuple[int, ...]) -> RawImage:
    expected = int(np.prod(shape)) * 2
    if not path.is_file():
        raise StoreError(f"{path} is missing")
    size = path.stat().st_size
    if size != expected:
        raise StoreError(f"{path} is damaged: {size} bytes, expected {expected} for shape {shape} uint16")
    return np.memmap(path, dtype="<u2", mode="r", shape=shape)


def _geometry_to_json(geometry: Geometry) -> dict[str, Any]:
    record = geometry._asdict()
    record["levels"] = list(geometry.levels)
    record["diopters"] = None if geometry.diopters is None else list(geometry.diopters)
    return record


def _geometry_from_json(record: dict[str, Any]) -> Geometry:
    table = record["diopters"]
    return Geometry(
        n=int(record["n"]),
        views=int(record["views"]),
        height=int(record["height"]),
        width=int(record["width"]),
        levels=Levels(*(int(level) for level in record["levels"])),
        direction=record["direction"],
        diopters=None if table is None else tuple(float(value) for value in table),
    )
