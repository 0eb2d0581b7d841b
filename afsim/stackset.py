"""Many focal stacks of one geometry: in memory, or memory-mapped from a folder on disk.

A stored set is a folder of three files: ``manifest.json`` (format, geometry, metadata, hash), ``index.npy`` (one
row a stack) and ``images.u16`` (little-endian uint16, (N, n, V, H, W), no header). Opening one reads the manifest
and maps the other two, so it costs milliseconds and hardly any memory whatever its size.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self, overload

import numpy as np
import numpy.typing as npt

from afsim.errors import StackError, StoreError
from afsim.stack import FocalStack, Geometry, Levels, RawImage
from afsim.stackstore import StackWriter, check_replaceable, content_digest, index_rows, read_store
from afsim.staging import staged_folder

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Index = npt.NDArray[np.void]


class StackSet(Sequence[FocalStack]):
    """A sequence of focal stacks that share n, views, size, levels and focus distances.

    Make one with :meth:`open`, :meth:`from_stacks`, or an import (:func:`afsim.importer.import_stacks`).

    Attributes
    ----------
    geometry : Geometry
        What all stacks share.
    images : (N, n, V, H, W) uint16
        Raw DN, in memory or memory-mapped read-only.
    metadata : mapping
        Source, licence, reader options; plain JSON values.
    path : Path or None
        The folder it was opened from.
    """

    def __init__(
        self,
        geometry: Geometry,
        images: RawImage,
        index: Index,
        metadata: Mapping[str, object] | None = None,
        path: Path | None = None,
        digest: str | None = None,
    ) -> None:
        shape = (len(index), geometry.n, geometry.views, geometry.height, geometry.width)
        if images.shape != shape:
            raise StackError(f"images of a set must have shape {shape}, got {images.shape}")
        self.geometry = geometry
        self.images = images
        self.metadata = dict(metadata or {})
        self.path = path
        self._index = index
        self._digest = digest

    # ------------------------------------------------------------------ making one
    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a stored set, memory-mapped.

        Raises
        ------
        StoreError
            Where there is no set, a newer version wrote it, or a file is damaged.
        """
        store = read_store(Path(path))
        return cls(store.geometry, store.images, store.rows, store.metadata, Path(path), store.digest)

    @classmethod
    def from_stacks(cls, stacks: Iterable[FocalStack], metadata: Mapping[str, object] | None = None) -> Self:
        """Gather stacks of one geometry in memory.

        Raises
        ------
        StackError
            Where there is no stack, or one differs from the first; the message names both.
        """
        gathered = list(stacks)
        if not gathered:
            raise StackError("a stack set needs at least one stack, got none")
        first = gathered[0]
        for stack in gathered[1:]:
            if stack.geometry != first.geometry:
                raise StackError(
                    f"stack {stack.name!r} ({stack.geometry}) does not fit the set of stack {first.name!r} "
                    f"({first.geometry}); put each geometry into a set of its own"
                )
        images = np.stack([stack.images for stack in gathered])
        return cls(first.geometry, images, index_rows(gathered), metadata)

    def save(self, path: str | Path, *, may_replace: bool = False) -> "StackSet":
        """Store the set in the folder ``path`` (written aside, then renamed) and return it opened.

        Raises
        ------
        StoreError
            Where ``path`` exists and is no stack set or may not be replaced, or the disk is full.
        """
        if may_replace:
            check_replaceable(Path(path))
        with (
            staged_folder(Path(path), may_replace=may_replace) as folder,
            StackWriter(folder, self.geometry, self.metadata) as writer,
        ):
            for i in range(len(self)):
                writer.extend(self._index[i : i + 1])[0] = self.images[i]
        return StackSet.open(path)

    # ------------------------------------------------------------------ the sequence
    def __len__(self) -> int:
        """Return the number of stacks."""
        return len(self._index)

    @overload
    def __getitem__(self, item: int) -> FocalStack: ...
    @overload
    def __getitem__(self, item: slice) -> "StackSet": ...
    def __getitem__(self, item: int | slice) -> "FocalStack | StackSet":
        """Return one stack (its pixels still mapped), or a set of the stacks of a slice."""
        if isinstance(item, slice):
            return StackSet(self.geometry, self.images[item], self._index[item], self.metadata)
        position = range(len(self))[item]
        row = self._index[position]
        exact, noise = float(row["best_index_exact"]), tuple(float(value) for value in row["noise"])
        return FocalStack(
            images=self.images[position],
            levels=self.levels,
            diopters=self.diopters,
            best_index=int(row["best_index"]) if row["best_index"] >= 0 else None,
            best_index_exact=None if np.isnan(exact) else exact,
            region=(float(row["region"][0]), float(row["region"][1])),
            noise=None if np.isnan(noise[0]) else (noise[0], noise[1]),
            direction=self.geometry.direction,
            name=row["name"].decode(),
            scene=row["scene"].decode(),
            metadata=json.loads(row["metadata"].decode() or "{}"),
        )

    def select(self, positions: npt.ArrayLike) -> "StackSet":
        """Return the set of the stacks at ``positions`` (integers or a mask), copied into memory."""
        chosen = np.arange(len(self))[np.asarray(positions)]
        return StackSet(self.geometry, self.images[chosen], self._index[chosen], self.metadata)

    def in_memory(self) -> "StackSet":
        """Return the set with its images read into memory."""
        images = np.array(self.images)
        return StackSet(self.geometry, images, self._index, self.metadata, self.path, self._digest)

    # ------------------------------------------------------------------ columns
    @property
    def n(self) -> int:
        """Number of slices of each stack."""
        return self.geometry.n

    @property
    def levels(self) -> Levels:
        """Black and white level in DN."""
        return self.geometry.levels

    @property
    def diopters(self) -> FloatArray | None:
        """Focus distances (n,) in dioptres, or None where unknown."""
        table = self.geometry.diopters
        return None if table is None else np.array(table)

    @property
    def names(self) -> list[str]:
        """Name of each stack."""
        return [name.decode() for name in self._index["name"].tolist()]

    @property
    def scenes(self) -> list[str]:
        """Scene of each stack: what shares a photograph or a place."""
        return [scene.decode() for scene in self._index["scene"].tolist()]

    @property
    def regions(self) -> FloatArray:
        """Region centres (N, 2), x and y in [-1, 1]."""
        return np.asarray(self._index["region"], dtype=np.float64)

    @property
    def best_index(self) -> IntArray:
        """Labels (N,), -1 where there is none."""
        return np.asarray(self._index["best_index"], dtype=np.int64)

    @property
    def best_index_exact(self) -> FloatArray:
        """Fractional truth (N,), NaN where there is none."""
        return np.asarray(self._index["best_index_exact"], dtype=np.float64)

    @property
    def truth(self) -> FloatArray:
        """The best truth there is (N,): exact, else the label, else NaN."""
        label = np.where(self.best_index >= 0, self.best_index, np.nan)
        return np.where(np.isnan(self.best_index_exact), label, self.best_index_exact)

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Mask (N,) of the stacks that have a label or a truth."""
        return ~np.isnan(self.truth)

    @property
    def digest(self) -> str:
        """SHA-256 of geometry, index and images: the same for the same content, stored or in memory."""
        if self._digest is None:
            self._digest = content_digest(self.geometry, self._index, self.images)
        return self._digest

    def verify(self) -> None:
        """Read everything and compare it with the hash taken when the set was stored; opening does not.

        Raises
        ------
        StoreError
            Where index or images have changed since.
        """
        found = content_digest(self.geometry, self._index, self.images)
        if found != self.digest:
            raise StoreError(
                f"{self.path} is damaged: its content has hash {found}, its manifest says {self.digest}"
            )

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy a mapped set as its path, not as its pixels."""
        if self.path is not None and isinstance(self.images, np.memmap):
            return type(self).open, (self.path.absolute(),)
        return type(self), (self.geometry, self.images, self._index, self.metadata, self.path, self._digest)

    def __repr__(self) -> str:
        """Say how many stacks there are and of what kind."""
        return f"<StackSet of {len(self)}: {self.geometry}>"
