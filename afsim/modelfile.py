"""Files of trained networks: weights and how they were come by, in one file of tensors.

The header has family and configuration of the network, hash of the training set, seed, metrics, and how it was
trained. A network is built again from this and from the registry of families (:data:`afsim.networks.FAMILIES`).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

from afsim.errors import AfsimError, StoreError
from afsim.networks import FAMILIES, Config, FocusNetwork, empty_network, family_of
from afsim.tensorfile import TensorFormat, check_tensors, read_tensors, write_tensors

_FORMAT: Final = TensorFormat("afsim-model", 1, "model")


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
        "family": family_of(network.config),
        "configuration": asdict(network.config),
        **asdict(record),
    }
    record_of(header, str(path))
    write_tensors(path, network.state_dict(), header, _FORMAT)


def load(path: str | Path) -> Model:
    """Read a network: in evaluation mode, on the processor.

    Raises
    ------
    StoreError
        Where the file is missing, truncated, no model, of a newer version or another family, or its weights do not
        fit the configuration or are not finite; the message names the file and what is wrong in it.
    """
    path = Path(path)
    header, tensors = read_tensors(path, _FORMAT)
    network = empty_network(config_of(header, path))
    check_tensors(tensors, network.state_dict(), path)
    network.load_state_dict(tensors, assign=True)
    return Model(network.eval(), record_of(header, str(path)))


def read_record(path: str | Path) -> tuple[Config, ModelRecord]:
    """Read configuration and record of a stored network, not its weights; errors as for :func:`load`."""
    path = Path(path)
    header, _ = read_tensors(path, _FORMAT, with_tensors=False)
    return config_of(header, path), record_of(header, str(path))


def config_of(header: Mapping[str, Any], path: Path) -> Config:
    """Return the configuration that a header gives; a StoreError names what is wrong in it, and ``path``."""
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


def record_of(header: Mapping[str, Any], where: str) -> ModelRecord:
    """Return the record that a header gives; a StoreError names what is wrong in it, and ``where``."""
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
