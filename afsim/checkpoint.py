"""Checkpoints of a training: everything that its next step depends on, in one file of tensors.

Batches, augmentation and noise of a step are drawn from the seed and the step's number, so no generator's state
belongs to a checkpoint: a training that goes on from one ends as if it had never been stopped, bit for bit.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from afsim.errors import StoreError
from afsim.tensorfile import TensorFormat, check_tensors, read_tensors, write_tensors

_FORMAT: Final = TensorFormat("afsim-checkpoint", 1, "checkpoint")


class Reached(NamedTuple):
    """How far a training has come.

    Attributes
    ----------
    step : int
        Gradient steps done.
    rows : list of dict
        The log so far, a row a validation.
    best : int
        Which of the rows is the best; -1 before the first.
    """

    step: int
    rows: list[dict[str, float]]
    best: int


def write_checkpoint(
    path: Path,
    settings: Mapping[str, object],
    reached: Reached,
    network: nn.Module,
    best: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Store a training; the file is written aside, then renamed, so that a kill leaves the old one or the new.

    Parameters
    ----------
    path : Path
        Of the file.
    settings : mapping
        Plain JSON values that say what is trained on what and how; a training that differs is not continued.
    reached : Reached
        How far it is.
    network, optimiser
        As they are now.
    best : mapping of str to tensor
        The weights at the best validation so far.
    """
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in state.items()}
    write_tensors(path, tensors, {"settings": settings, **reached._asdict()}, _FORMAT)


def read_checkpoint(
    path: Path, settings: Mapping[str, object], network: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[Reached, dict[str, Tensor]]:
    """Read a training into its network and optimiser; return how far it was, and the best weights.

    Raises
    ------
    StoreError
        Where the file is none, is damaged, or is of a training with other settings: these are named.
    """
    header, tensors = read_tensors(path, _FORMAT)
    _check_settings(header.get("settings"), settings, path)
    reached = Reached(*(header.get(name) for name in Reached._fields))  # type: ignore[arg-type]
    if (
        not isinstance(reached.step, int)
        or not isinstance(reached.rows, list)
        or reached.best not in (range(-1, len(reached.rows)))
    ):
        raise StoreError(f"{path}: step, rows and best of the checkpoint are damaged")
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimiser": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    expected = network.state_dict()
    check_tensors(parts["network"], expected, path)
    check_tensors(parts["best"], expected if parts["best"] else {}, path)
    network.load_state_dict(parts["network"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimiser"].items():
        number, _, what = name.partition(".")
        state.setdefault(int(number), {})[what] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    return reached, parts["best"]


def _check_settings(found: Any, wanted: Mapping[str, object], path: Path) -> None:
    stored = found if isinstance(found, dict) else {}
    for name, value in wanted.items():
        if stored.get(name) != value:
            raise StoreError(
                f"{path} is of a training with {name} {stored.get(name)!r}, but now it is {value!r}; "
                "repeat the old command, or remove the file to begin anew"
            )
