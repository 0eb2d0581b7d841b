"""Files of the stand-in for "Learned Depth": network, calibration, and what they were made of."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from afsim.calibration import Provenance
from afsim.depthcalibration import DepthCalibration
from afsim.depthnetwork import DepthConfig, DepthNetwork, empty_depth_network
from afsim.errors import AfsimError, StoreError
from afsim.tensorfile import TensorFormat, check_tensors, read_tensors, write_tensors

_FORMAT: Final = TensorFormat("afsim-depth", 1, "depth model")
_TABLES: Final = tuple(field.name for field in fields(DepthCalibration))
_SHIPPED: Final = Path(__file__).parent / "models" / "learned_depth.safetensors"


class DepthModel(NamedTuple):
    """A network, what its values mean, and what both were made of."""

    network: DepthNetwork
    calibration: DepthCalibration
    provenance: Provenance


def save_depth(model: DepthModel, path: str | Path) -> None:
    """Store a model; the file is written aside, then renamed. The same model gives the same bytes.

    Raises
    ------
    AfsimError
        For weights that are not finite.
    StoreError
        Where the folder cannot be written into.
    """
    header = {
        "configuration": asdict(model.network.config),
        "slices": len(model.calibration.diopters),
        "provenance": model.provenance._asdict(),
    }
    tensors = {f"network.{name}": tensor for name, tensor in model.network.state_dict().items()}
    for name in _TABLES:
        tensors[f"calibration.{name}"] = torch.tensor(getattr(model.calibration, name), dtype=torch.float64)
    write_tensors(Path(path), tensors, header, _FORMAT)


def load_depth(path: str | Path) -> DepthModel:
    """Read a model: in evaluation mode, on the processor.

    Raises
    ------
    StoreError
        Where the file is missing, none, damaged, or of a newer version; the message names what is wrong in it.
    """
    path = Path(path)
    header, tensors = read_tensors(path, _FORMAT)
    network = empty_depth_network(_config(header, path))
    slices = header.get("slices")
    if not isinstance(slices, int) or isinstance(slices, bool) or slices < 2:
        raise StoreError(f"{path}: slices must be a whole number from 2, got {slices!r}")
    expected = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    expected |= {f"calibration.{name}": torch.empty(slices, dtype=torch.float64) for name in _TABLES}
    check_tensors(tensors, expected, path)
    network.load_state_dict({name: tensors[f"network.{name}"] for name in network.state_dict()}, assign=True)
    try:
        calibration = DepthCalibration(*(tensors[f"calibration.{name}"].numpy() for name in _TABLES))
    except AfsimError as error:
        raise StoreError(f"{path}: {error}") from error
    return DepthModel(network.eval(), calibration, _provenance(header, path))


def shipped_depth() -> Path | None:
    """Return the file that comes with afsim, fitted on the benchmark's training set; None where there is none."""
    return _SHIPPED if _SHIPPED.is_file() else None


def _config(header: Mapping[str, Any], path: Path) -> DepthConfig:
    given = header.get("configuration")
    known = {field.name for field in fields(DepthConfig)}
    if not isinstance(given, dict) or set(given) != known or not isinstance(given["channels"], list):
        raise StoreError(f"{path}: configuration must have the entries {sorted(known)}, got {given!r}")
    try:
        return DepthConfig(tuple(given["channels"]))
    except AfsimError as error:
        raise StoreError(f"{path}: configuration: {error}") from error


def _provenance(header: Mapping[str, Any], path: Path) -> Provenance:
    given = header.get("provenance")
    if not isinstance(given, dict) or set(given) != set(Provenance._fields):
        raise StoreError(f"{path}: provenance must have the entries {list(Provenance._fields)}, got {given!r}")
    return Provenance(**given)
