"""Files of trained networks: weights as safetensors, everything else as JSON in their header. Nothing is unpickled.

The header's metadata has one entry, ``afsim``: format and version, family and configuration of the network, hash of
the training set, seed, metrics, and how it was trained. A file is built again from this and from the registry of
families (:data:`afsim.networks.FAMILIES`): it cannot name code to run.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from afsim.errors import AfsimError, StoreError
from afsim.networks import FAMILIES, Config, FocusNetwork, empty_network, family_of
from afsim.staging import staged_files

FORMAT: Final = "afsim-model"
VERSION: Final = 1
_ENTRY: Final = "afsim"


@dataclass(frozen=True)
class ModelRecord:
    """What a file says about where a network comes from.

    Attributes
    ----------
    data : str
        Hash of the set it was trained on (:attr:`afsim.stackset.StackSet.digest`).
    seed : int
        Of weights and training.
    metrics : mapping of str to float
        How good it was found to be, e.g. ``{"MAE": 1.9}``; finite numbers.
    training : mapping
        Settings of the training and whatever else belongs on record; plain JSON values.
    """

    data: str
    seed: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, object] = field(default_factory=dict)


class Model(NamedTuple):
    """A network and its record."""

    network: FocusNetwork
    record: ModelRecord


def save(network: FocusNetwork, path: str | Path, record: ModelRecord) -> None:
    """Store a network; the file is written aside, then renamed. The same network and record give the same bytes.

    Raises
    ------
    AfsimError
        For a record that is not plain finite JSON, or weights that are not finite: they are never stored.
    StoreError
        Where the folder cannot be written into.
    """
    path = Path(path)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "family": family_of(network.config),
        "configuration": asdict(network.config),
        **asdict(record),
    }
    try:
        text = json.dumps(header, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AfsimError(f"the record of {path} must be finite numbers and plain JSON values: {error}") from error
    _record(header, str(path))
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    if bad := _not_finite(tensors):
        raise AfsimError(f"the network to store in {path} has values in {bad!r} that are not finite")
    try:
        with staged_files(path.parent) as folder:
            save_file(tensors, folder / path.name, metadata={_ENTRY: text})
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path} cannot be written: {error}") from error


def load(path: str | Path) -> Model:
    """Read a network: in evaluation mode, on the processor.

    Raises
    ------
    StoreError
        Where the file is missing, truncated, no model, of a newer version or another family, or its weights do not
        fit the configuration or are not finite; the message names the file and what is wrong in it.
    """
    path = Path(path)
    header, tensors = _read(path, with_tensors=True)
    network = empty_network(_config(header, path))
    _check_tensors(tensors, network.state_dict(), path)
    network.load_state_dict(tensors, assign=True)
    return Model(network.eval(), _record(header, str(path)))


def read_record(path: str | Path) -> tuple[Config, ModelRecord]:
    """Read configuration and record of a stored network, not its weights; errors as for :func:`load`."""
    path = Path(path)
    header, _ = _read(path, with_tensors=False)
    return _config(header, path), _record(header, str(path))


def _read(path: Path, *, with_tensors: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise StoreError(f"there is no model file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            header = _header(metadata, path)
            names = list(file.keys()) if with_tensors else []
            # Copied: else where weights lie in memory, and so how sums are rounded, would depend on the file.
            return header, {name: file.get_tensor(name).clone() for name in names}
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path} is no safetensors file, or damaged: {error}") from error


def _header(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    try:
        header = json.loads(metadata.get(_ENTRY, "null"))
    except ValueError as error:
        raise StoreError(f"{path}: the entry {_ENTRY!r} of its header is damaged: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise StoreError(f"{path} is a safetensors file, but no model of afsim (format {FORMAT!r})")
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StoreError(f"{path}: version must be a whole number from 1, got {version!r}")
    if version > VERSION:
        raise StoreError(
            f"{path} has version {version} of the format; this afsim reads up to {VERSION}: update afsim"
        )
    return header


def _config(header: Mapping[str, Any], path: Path) -> Config:
    name, given = header.get("family"), header.get("configuration")
    if not isinstance(name, str) or name not in FAMILIES:
        raise StoreError(
            f"{path}: unknown family of networks {name!r}; expected one of: {', '.join(sorted(FAMILIES))}"
        )
    kind = FAMILIES[name].config
    known = {item.name for item in fields(kind)}
    if not isinstance(given, dict) or set(given) != known:
        found = sorted(given) if isinstance(given, dict) else given
        raise StoreError(f"{path}: configuration must have the entries {sorted(known)}, got {found}")
    try:
        config: Config = kind(**given)
    except AfsimError as error:
        raise StoreError(f"{path}: configuration: {error}") from error
    return config


def _record(header: Mapping[str, Any], where: str) -> ModelRecord:
    data, seed, metrics, training = (header.get(item.name) for item in fields(ModelRecord))
    if not isinstance(data, str):
        raise StoreError(f"{where}: data must be the text of a hash, got {data!r}")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise StoreError(f"{where}: seed must be a whole number, got {seed!r}")
    numbers = metrics.values() if isinstance(metrics, dict) else [None]
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise StoreError(f"{where}: metrics must be finite numbers by name, got {metrics!r}")
    if not isinstance(training, dict):
        raise StoreError(f"{where}: training must be settings by name, got {training!r}")
    return ModelRecord(data, seed, dict(metrics or {}), training)


def _check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
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
    if bad := _not_finite(tensors):
        raise StoreError(f"{path}: weights {bad!r} have values that are not finite")


def _not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    return next((name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())), None)
