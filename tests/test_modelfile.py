"""Model files: what is stored comes back, and whatever is wrong with a file is said, never run."""

import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from afsim.errors import AfsimError, StoreError
from afsim.modelfile import ModelRecord, load, read_record, save
from afsim.networkinput import observe
from afsim.networks import CompactConfig, Config, OneHotConfig, infer, make_network

CONFIG = CompactConfig(n=5, width=0.1, features=8, hidden=8)
RECORD = ModelRecord("5ba1", 7, {"MAE": 1.25, "<= 1": 0.5}, {"steps": 100, "schedule": ["one-cycle", 0.1]})
Header = dict[str, Any]
Tensors = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small batches only lose by threads, and much so beside other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("models") / "m.safetensors"
    save(make_network(CONFIG, 0), path, RECORD)
    return path.read_bytes()


@pytest.fixture
def stored(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "models" / "d1.safetensors"
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def parts(path: Path) -> tuple[Header, Tensors]:
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        return json.loads(file.metadata()["afsim"]), {name: file.get_tensor(name) for name in names}


def rewrite(path: Path, change: Callable[[Header, Tensors], object]) -> None:
    header, tensors = parts(path)
    change(header, tensors)
    save_file(tensors, path, metadata={"afsim": json.dumps(header)})


@pytest.mark.parametrize("config", [CONFIG, OneHotConfig(n=5, views=1, width=0.1)])
def test_a_stored_network_predicts_the_same(config: Config, tmp_path: Path) -> None:
    network = make_network(config, 3)
    images = np.random.default_rng(0).uniform(size=(2, 2, 32, 32))
    observations = observe(images, [1, 4], np.zeros((2, 2)), 5)
    with torch.no_grad():
        network(observations)  # statistics, which belong to the file too
    save(network, tmp_path / "m.safetensors", RECORD)
    loaded = load(tmp_path / "m.safetensors")
    assert torch.equal(infer(loaded.network, observations), infer(network.eval(), observations))
    assert loaded.network.config == config
    assert loaded.record == RECORD
    assert not loaded.network.training
    assert all(weight.requires_grad for weight in loaded.network.parameters())


def test_training_can_go_on_from_a_file(stored: Path) -> None:
    network = load(stored).network.train()
    observations = observe(np.full((2, 2, 32, 32), 0.5), [1, 4], np.zeros((2, 2)), 5)
    network(observations).sum().backward()
    with torch.no_grad():
        for weight in network.parameters():
            assert weight.grad is not None
            weight.sub_(0.1 * weight.grad)
    save(network, stored, RECORD)
    again = load(stored).network.state_dict()
    assert all(torch.equal(again[name], weight) for name, weight in network.state_dict().items())


def test_the_record_is_read_without_the_weights(stored: Path) -> None:
    assert read_record(stored) == (CONFIG, RECORD)


def test_the_same_network_gives_the_same_bytes(stored: Path) -> None:
    first = stored.read_bytes()
    save(make_network(CONFIG, 0), stored, RECORD)
    assert stored.read_bytes() == first
    assert [path.name for path in stored.parent.iterdir()] == ["d1.safetensors"]


def test_what_cannot_be_stored_leaves_the_old_file(stored: Path) -> None:
    before = stored.read_bytes()
    network = make_network(CONFIG, 0)
    with torch.no_grad():
        next(network.parameters())[0] = torch.nan
    with pytest.raises(AfsimError, match=r"trunk\.first\.weight.*not finite"):
        save(network, stored, RECORD)
    good = make_network(CONFIG, 1)
    for record in (
        ModelRecord("x", 0, {"MAE": float("nan")}),
        ModelRecord("x", 0, {"MAE": "low"}),  # type: ignore[dict-item]
        ModelRecord("x", 0.5),  # type: ignore[arg-type]
        ModelRecord("x", 0, training={"set": {1, 2}}),
    ):
        with pytest.raises(AfsimError, match=r"d1\.safetensors"):
            save(good, stored, record)
    assert stored.read_bytes() == before
    assert len(list(stored.parent.iterdir())) == 1


def test_files_may_be_read_by_whom_other_files_may_be_read(stored: Path) -> None:
    other = stored.with_name("other")
    other.touch()
    assert stored.stat().st_mode == other.stat().st_mode


def test_a_folder_that_is_a_file_is_named(stored: Path) -> None:
    with pytest.raises(StoreError, match="is a file"):
        save(make_network(CONFIG, 0), stored / "inside.safetensors", RECORD)


def set_header(**changes: object) -> Callable[[Header, Tensors], object]:
    return lambda header, tensors: header.update(changes)


def configured(**changes: object) -> Callable[[Header, Tensors], object]:
    return lambda header, tensors: header["configuration"].update(changes)


def spoil(name: str, value: float) -> Callable[[Header, Tensors], object]:
    return lambda header, tensors: tensors[name].view(-1)[-1:].fill_(value)


def replace(name: str, tensor: torch.Tensor) -> Callable[[Header, Tensors], object]:
    return lambda header, tensors: tensors.update({name: tensor})


FIRST = "trunk.first.weight"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (set_header(format="other"), "no model of afsim"),
        (set_header(version=2), "version 2 .* update afsim"),
        (set_header(version="1"), "whole number"),
        (set_header(version=0), "whole number"),
        (set_header(family="os.system"), "'os.system'; expected one of: compact, one-hot"),
        (set_header(family=["compact"]), "unknown family"),
        (set_header(family="one-hot"), "configuration must have the entries"),
        (set_header(configuration=None), "configuration must have the entries"),
        (configured(size=3), "configuration must have the entries"),
        (configured(width=1e9), "configuration: the network's width"),
        (configured(n="49"), "configuration: number of slices"),
        (configured(features=16), "'trunk.rest.*' must be torch.float32 of shape .*got"),
        (configured(channels=4), "'evidence.3.weight' must be"),
        (set_header(data=None), "data must be"),
        (set_header(seed="x"), "seed must be"),
        (set_header(metrics={"MAE": None}), "metrics must be"),
        (set_header(metrics={"MAE": float("inf")}), "metrics must be"),
        (set_header(training=[]), "training must be"),
        (spoil(FIRST, float("nan")), f"'{FIRST}' have values that are not finite"),
        (spoil("trunk.rest.0.running_var", float("inf")), "running_var' have values that are not finite"),
        (lambda header, tensors: tensors.pop(FIRST), f"'{FIRST}' are missing"),
        (replace("extra", torch.zeros(1)), "'extra' are not part"),
        (replace(FIRST, torch.zeros(2)), f"'{FIRST}' must be torch.float32 of shape"),
        (replace(FIRST, torch.zeros(8, 5, 3, 3, dtype=torch.float64)), "got torch.float64"),
    ],
)
def test_files_that_are_wrong_say_where_and_what(
    change: Callable[[Header, Tensors], object], named: str, stored: Path
) -> None:
    rewrite(stored, change)
    with pytest.raises(StoreError, match=named) as caught:
        load(stored)
    assert str(stored) in str(caught.value)


@pytest.mark.parametrize("kept", [0, 4, 100, 3000, -1])
def test_truncated_files_are_named(kept: int, stored: Path) -> None:
    stored.write_bytes(stored.read_bytes()[:kept])
    with pytest.raises(StoreError, match=r"d1\.safetensors is no safetensors file, or damaged"):
        load(stored)


def test_other_files_are_refused_and_never_unpickled(tmp_path: Path, stored: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return (tmp_path / "sprung").mkdir, ("",)

    path = tmp_path / "trap.safetensors"
    path.write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(StoreError, match="no safetensors file"):
        load(path)
    torch.save(make_network(CONFIG, 0).state_dict(), path)
    with pytest.raises(StoreError, match="no safetensors file"):
        load(path)
    with pytest.raises(StoreError, match="there is no model file"):
        load(tmp_path)
    with pytest.raises(StoreError, match="there is no model file"):
        read_record(tmp_path / "none.safetensors")


@pytest.mark.parametrize("metadata", [{}, {"afsim": "{"}, {"afsim": "[1]"}, {"format": "pt"}])
def test_safetensors_of_others_are_refused(metadata: Mapping[str, str], tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata=dict(metadata) or None)
    with pytest.raises(StoreError, match=str(path)):
        read_record(path)
