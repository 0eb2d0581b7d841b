"""Trained networks as policies read them: each file once, each image by itself, probabilities tempered."""

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from afsim.readonce import read_once
from afsim.taskspec import TaskSpec
from afsim.temperature import TEMPERATURE

if TYPE_CHECKING:
    from afsim.modelfile import Model
    from afsim.networkinput import Observations
    from afsim.networks import FocusNetwork

FloatArray = npt.NDArray[np.float64]


def single_looks(
    spec: TaskSpec, image: npt.NDArray[np.float32], command: FloatArray, region: FloatArray
) -> "list[Observations]":
    """Return what networks take of each image (N, V, H, W), turned so that views are shifted along columns.

    Images go through networks one by one: in a batch, sums are rounded otherwise, and what a lane sees would depend
    on the lanes beside it.
    """
    from afsim.networkinput import observe

    turned = spec.dp_axis == "rows"
    views = image.swapaxes(-1, -2) if turned else image
    places = np.asarray(region)[:, ::-1] if turned else np.asarray(region)
    commands = np.asarray(command)
    each = (slice(i, i + 1) for i in range(len(views)))
    return [observe(views[one], commands[one], places[one], spec.n) for one in each]


def log_probabilities(trained: "Model", looks: "list[Observations]") -> FloatArray:
    """Return the logarithm (N, n) of how likely each index is, from each look alone."""
    import torch

    from afsim.networks import infer

    said = [infer(trained.network, one) for one in looks]
    return torch.log_softmax(torch.cat(said).double() / temperature(trained), dim=1).numpy()


def temperature(trained: "Model") -> float:
    """Return by what a network's logits are divided for its probabilities to be those of the validation set."""
    return float(trained.record.metrics.get(TEMPERATURE, 1.0))


def _load(path: Path) -> "Model":
    from afsim.mobilenet import fused
    from afsim.modelfile import load

    if path.suffix == ".onnx":
        from afsim.onnxmodel import load_onnx

        return load_onnx(path)
    model = load(path)
    return model._replace(network=fused(model.network))


def _in_double(path: Path) -> "FocusNetwork":
    return copy.deepcopy(load_once(path).network).double()


load_once: Final = read_once(_load)
"""Reads a network and its record, for inference alone."""
reader: Final = read_once(_in_double)
"""Reads a network in double precision: what it reads hardly depends on the lanes of a batch then."""
