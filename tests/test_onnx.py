"""Networks as ONNX files: onnxruntime says what torch says, and files that are none are named."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.errors import AfsimError, StoreError
from afsim.export import ExportConfig, main
from afsim.modelfile import Model, ModelRecord, load, save
from afsim.networkinput import observe
from afsim.networks import CompactConfig, Config, OneHotConfig, infer, make_network
from afsim.onnxmodel import export, load_onnx
from afsim.policies import make
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.task import FocusTask
from tests.seating import tiny_network

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

N = 12
CONFIGS: dict[str, Config] = {
    "compact": CompactConfig(n=N, width=0.1, features=16, hidden=16),
    "green": CompactConfig(n=N, views=1, width=0.1, features=16, hidden=16),
    "one-hot": OneHotConfig(n=N, width=0.1),
}


@pytest.fixture(scope="module", params=CONFIGS)
def model(request: pytest.FixtureRequest) -> Model:
    """Return an untrained network with a record."""
    record = ModelRecord("hash", 3, {"temperature": 0.8}, {"model": "d1"})
    return Model(make_network(CONFIGS[request.param], 1).eval(), record)


def test_onnxruntime_says_what_torch_says(model: Model, tmp_path: Path) -> None:
    content, apart = export(model, 32)
    assert apart < 1e-5
    (tmp_path / "it.onnx").write_bytes(content)
    again = load_onnx(tmp_path / "it.onnx")
    assert again.record == model.record
    assert again.network.config == model.network.config
    rng = np.random.default_rng(5)
    lanes = [0, 0, 1, 2, 2, 2, 3]
    commands = [1, 8, 4, 0, 11, 5, 4]
    seen = observe(rng.random((7, 2, 32, 32), np.float32), commands, rng.uniform(-1, 1, (4, 2)), N, lanes=lanes)
    if model.network.config.views == 1:
        assert infer(again.network, seen).shape == (4, N)  # both views, summed
    np.testing.assert_allclose(infer(again.network, seen), infer(model.network, seen), rtol=1e-3, atol=1e-4)


def test_a_graph_that_differs_is_not_given_out(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afsim.onnxmodel.fused", lambda network: make_network(network.config, 9).eval())
    with pytest.raises(AfsimError, match="differs from torch"):
        export(model, 32)


def test_the_command_writes_a_file_that_policies_play(
    stacks: StackSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "d1.onnx"
    assert main(ExportConfig(str(tiny_network("d1", N)), out, size=32)) == 0
    assert "differs from torch by" in capsys.readouterr().out
    task = FocusTask(Camera(stacks), budget=2, reward="none")
    arena = Arena(task.camera, starts=[0, 7])
    games = [arena.play(make(f"learned-d1:{path}", task.spec), task) for path in (out, tiny_network("d1", N))]
    np.testing.assert_allclose(games[0].confidence, games[1].confidence, rtol=1e-3)
    with pytest.raises(AfsimError, match=r"expected \.safetensors"):
        make(f"learned-d1-2step:{out}+{out}", task.spec)
    with pytest.raises(StoreError, match=r"ends in \.onnx"):
        main(ExportConfig("d1", tmp_path / "d1.bin"))
    assert os.listdir(tmp_path) == ["d1.onnx"]


def test_files_that_are_no_network_of_ours_are_named(model: Model, tmp_path: Path) -> None:
    content, _ = export(model, 32)
    path = tmp_path / "it.onnx"
    with pytest.raises(StoreError, match="no model file"):
        load_onnx(path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match="damaged"):
        load_onnx(path)
    graph = onnx.load_from_string(content)
    said = json.loads(graph.metadata_props[0].value)
    onnx.helper.set_model_props(graph, {"afsim": json.dumps(said | {"version": 9})})
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(StoreError, match="version 9"):
        load_onnx(path)
    onnx.helper.set_model_props(graph, {"other": "x"})
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(StoreError, match="another program"):
        load_onnx(path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "it.onnx").write_bytes(b"")
    with pytest.raises(AfsimError, match=r"afsim\[onnx\]"):
        load_onnx(tmp_path / "it.onnx")


def test_a_wrong_kind_is_refused(stacks: StackSet, tmp_path: Path) -> None:
    network = load(tiny_network("i1", N))
    save(network.network, tmp_path / "i1.safetensors", network.record)
    main(ExportConfig(str(tmp_path / "i1.safetensors"), tmp_path / "i1.onnx", size=32, quiet=True))
    spec = FocusTask(Camera(stacks), reward="none").spec
    with pytest.raises(AfsimError, match="is the model i1, expected d1"):
        make(f"learned-d1:{tmp_path / 'i1.onnx'}", spec)
