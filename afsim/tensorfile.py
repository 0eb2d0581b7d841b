"""Files of tensors: safetensors, with everything else as JSON in their header. Nothing is unpickled.

The header's metadata has one entry, ``afsim``: a JSON object with ``format`` and ``version`` among its entries. A
file holds numbers and text: it cannot name code to run.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from afsim.errors import AfsimError, StoreError
from afsim.staging import give_usual_permissions, staged_files

_ENTRY: Final = "afsim"


class TensorFormat(NamedTuple):
    """What a file is: its format's name, the latest version, and what it holds in words ("model")."""

    name: str
    version: int
    holds: str


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, object], kind: TensorFormat
) -> None:
    """Store tensors and header; the file is written aside, then renamed. Equal contents give equal bytes.

    Raises
    ------
    AfsimError
        For a header that is not plain finite JSON, or tensors that are not finite: they are never stored.
    StoreError
        Where the folder cannot be written into.
    """
    try:
        text = json.dumps({"format": kind.name, "version": kind.version, **header}, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AfsimError(f"the record of {path} must be finite numbers and plain JSON values: {error}") from error
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if bad := not_finite(stored):
        raise AfsimError(f"the {kind.holds} to store in {path} has values in {bad!r} that are not finite")
    try:
        with staged_files(path.parent) as folder:
            save_file(stored, folder / path.name, metadata={_ENTRY: text})
            give_usual_permissions(folder / path.name)  # the library makes files that only their owner reads
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path} cannot be written: {error}") from error


def read_tensors(
    path: Path, kind: TensorFormat, *, with_tensors: bool = True
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a file's header, and its tensors (N of them by name; none without ``with_tensors``), on the processor.

    Raises
    ------
    StoreError
        Where the file is missing, truncated, of another format or a newer version.
    """
    if not path.is_file():
        raise StoreError(f"there is no {kind.holds} file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            header = _header(metadata, path, kind)
            names = list(file.keys()) if with_tensors else []
            # Copied: else where weights lie in memory, and so how sums are rounded, would depend on the file.
            return header, {name: file.get_tensor(name).clone() for name in names}
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path} is no safetensors file, or damaged: {error}") from error


def _header(metadata: Mapping[str, str], path: Path, kind: TensorFormat) -> dict[str, Any]:
    try:
        header = json.loads(metadata.get(_ENTRY, "null"))
    except ValueError as error:
        raise StoreError(f"{path}: the entry {_ENTRY!r} of its header is damaged: {error}") from error
    if not isinstance(header, dict) or header.get("format") != kind.name:
        raise StoreError(f"{path} is a safetensors file, but no {kind.holds} of afsim (format {kind.name!r})")
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StoreError(f"{path}: version must be a whole number from 1, got {version!r}")
    if version > kind.version:
        raise StoreError(
            f"{path} has version {version} of the format; this afsim reads up to {kind.version}: update afsim"
        )
    return header


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise StoreError unless the tensors have the names, types and shapes of those expected, and are finite."""
    for name in sorted(expected.keys() - tensors.keys()):
        raise StoreError(f"{path}: weights {name!r} are missing")
    for name in sorted(tensors.keys() - expected.keys()):
        raise StoreError(f"{path}: weights {name!r} are not part of such a network")
    for name, wanted in expected.items():
        found = tensors[name]
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise StoreError(
                f"{path}: weights {name!r} must be {wanted.dtype} of shape {tuple(wanted.shape)}, "
                f"got {found.dtype} of shape {tuple(found.shape)}"
            )
    if bad := not_finite(tensors):
        raise StoreError(f"{path}: weights {bad!r} have values that are not finite")


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that has values which are not finite."""
    return next((name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())), None)
