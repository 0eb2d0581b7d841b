"""Networks as ONNX files: for programs without torch, and through onnxruntime in place of it.

A file has one graph for any number of lanes and of slices seen: what :class:`afsim.networkinput.Observations` has
goes in, logits come out. What the network is and where it comes from is in its metadata, as JSON under ``afsim``.
"""

import importlib
import json
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from afsim.errors import AfsimError, StoreError
from afsim.mobilenet import fused
from afsim.modelfile import Model, config_of, record_of
from afsim.networkinput import Observations, as_views, nearest_index, one_hot
from afsim.networks import Config, FocusNetwork, OneHotNetwork, family_of, infer

_KEY: Final = "afsim"
_FORMAT: Final = "afsim-onnx"
_VERSION: Final = 1
_OPSET: Final = 17
_INPUTS: Final = Observations._fields
# Larger differences from torch, relative to the range of the logits, are no rounding.
_SAME: Final = 1e-3


class OnnxNetwork(nn.Module):
    """A network that onnxruntime runs on the processor; called as those of torch are, for inference alone.

    Attributes
    ----------
    config : OneHotConfig or CompactConfig
        Of the network that was exported.
    """

    def __init__(self, session: Any, config: Config) -> None:
        super().__init__()
        self.session, self.config = session, config
        # A graph lacks what its network does not look at, as the one-hot family does not at the command in force.
        self.inputs = [each.name for each in session.get_inputs()]

    def forward(self, observations: Observations) -> Tensor:
        """Return the logits (N, n)."""
        views = as_views(observations.images, self.config.views)
        given = observations._replace(images=views)._asdict()
        (logits,) = self.session.run(None, {name: given[name].numpy() for name in self.inputs})
        return torch.from_numpy(logits)


class _Graph(nn.Module):
    """What is exported: the network with its normalisations fused, its inputs one by one."""

    def __init__(self, network: FocusNetwork) -> None:
        super().__init__()
        self.network = fused(network)

    def forward(self, images: Tensor, commands: Tensor, lanes: Tensor, regions: Tensor, current: Tensor) -> Tensor:
        network = self.network
        if isinstance(network, OneHotNetwork):
            indices, n = nearest_index(commands), network.config.n
            return network.backbone(one_hot(images, indices, lanes, regions.shape[0], n))  # type: ignore[no-any-return]
        # A matrix product where torch adds by index: the exporter's form of that keeps only one of several.
        belongs = (torch.arange(regions.shape[0])[:, None] == lanes).to(images.dtype)
        slices = (nearest_index(commands)[:, None] == torch.arange(network.config.n)).to(images.dtype)
        said = network.contributions(images, commands, regions[lanes])
        evidence = (belongs @ said.flatten(1)).reshape(-1, *said.shape[1:])
        return network.read(evidence, belongs @ slices, current)


def export(model: Model, size: int = 128) -> tuple[bytes, float]:
    """Return a network as the content of an ONNX file, for images of ``size`` x ``size``, once it is checked.

    Returns
    -------
    content : bytes
    apart : float
        By how much its logits differ from torch's on random images, relative to their range.

    Raises
    ------
    AfsimError
        Where the packages of the extra ``onnx`` are missing, or the file says other things than torch.
    """
    onnx = _package("onnx")
    network = model.network
    example = _random(network.config, size, lanes=2, seed=0)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The tracer warns of each shape that is checked on the way, and of its own age.
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            _Graph(network).eval(),
            tuple(example),
            path,
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(_INPUTS),
            output_names=["logits"],
            dynamic_axes={name: {0: "slices" if name in _INPUTS[:3] else "lanes"} for name in (*_INPUTS, "logits")},
        )
        graph = onnx.load(path)
    said = {
        "format": _FORMAT,
        "version": _VERSION,
        "family": family_of(network.config),
        "configuration": asdict(network.config),
        **asdict(model.record),
    }
    onnx.helper.set_model_props(graph, {_KEY: json.dumps(said, allow_nan=False)})
    content: bytes = graph.SerializeToString()
    again = _open(content, Path("the exported file"))
    apart = max(_apart(network, again.network, _random(network.config, size, lanes=n, seed=n)) for n in (1, 5))
    if not apart <= _SAME:
        raise AfsimError(f"the exported network differs from torch by {apart:.2g} of the range of its logits")
    return content, apart


def load_onnx(path: str | Path) -> Model:
    """Read a network that :func:`export` made; it is run by onnxruntime, as :func:`afsim.networks.infer` asks.

    Raises
    ------
    StoreError
        Where the file is missing, damaged, none of ours, or of a newer version.
    AfsimError
        Where onnxruntime is missing.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: no model file can be read there: {error}") from error
    return _open(content, path)


def _open(content: bytes, path: Path) -> Model:
    runtime = _package("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no base but this
        raise StoreError(f"{path} is damaged or no ONNX model: {error}") from error
    text = session.get_modelmeta().custom_metadata_map.get(_KEY)
    try:
        said = json.loads(text or "")
    except ValueError:
        said = None
    if not isinstance(said, dict) or said.get("format") != _FORMAT:
        raise StoreError(f"{path} is an ONNX model of another program: expected one made by 'afsim export'")
    if said.get("version") != _VERSION:
        raise StoreError(f"{path} has version {said.get('version')!r}; this afsim reads version {_VERSION}")
    network = OnnxNetwork(session, config_of(said, path)).eval()
    return Model(network, record_of(said, str(path)))  # type: ignore[arg-type]  # it is called alike


def _apart(network: FocusNetwork, other: nn.Module, seen: Observations) -> float:
    """Return by how much two networks differ, relative to the range of the first one's logits."""
    expected = infer(network, seen)
    return float((infer(other, seen) - expected).abs().max() / (expected.max() - expected.min()))


def _random(config: Config, size: int, *, lanes: int, seed: int) -> Observations:
    """Return random observations: lane i has seen i + 1 slices, at most all."""
    rng = np.random.default_rng(seed)
    lane = np.concatenate([np.full(min(i + 1, config.n), i) for i in range(lanes)])
    commands = np.concatenate([rng.permutation(config.n)[: (lane == i).sum()] for i in range(lanes)])
    latest = np.array([commands[lane == i][-1] for i in range(lanes)])
    return Observations(
        torch.from_numpy(rng.random((len(lane), config.views, size, size), np.float32)),
        torch.from_numpy(commands.astype(np.float32)),
        torch.from_numpy(lane),
        torch.from_numpy(rng.uniform(-1.0, 1.0, (lanes, 2)).astype(np.float32)),
        torch.from_numpy(latest.astype(np.float32)),
    )


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise AfsimError(f"{name} is not installed; expected it for ONNX: pip install 'afsim[onnx]'") from error
