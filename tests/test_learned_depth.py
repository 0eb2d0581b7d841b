"""The stand-in for Learned Depth: its calibration and file, that it learns, and the policy that reads it."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from afsim import cli, depthfile, fit_learned_depth
from afsim.augment import NO_AUGMENTATION
from afsim.camera import Camera
from afsim.depthcalibration import DepthCalibration, least_absolute_fit
from afsim.depthfile import load_depth, save_depth
from afsim.depthnetwork import DepthConfig, make_depth_network
from afsim.errors import AfsimError, StoreError, UnsuitableError
from afsim.fit_learned_depth import FitLearnedDepthConfig, Patches, held_out_loss, run
from afsim.optics import lta49_diopters
from afsim.policies import LearnedDepth, make
from afsim.policy import Status
from afsim.rollout import Arena
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from afsim.task import FocusTask
from tests.conftest import LEVELS, make_stack
from tests.seating import tiny_depth

N = 9
TINY = DepthConfig((8, 8))
QUICK = FitLearnedDepthConfig(
    Path("set"), Path("x.safetensors"), steps=60, rate=2e-2, validate_every=30, quiet=True
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small batches only lose by threads, and much so beside other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tinted_stack(truth: int, seed: int) -> FocalStack:
    """Make a stack one of whose views is the brighter, the more so the farther a slice is from the truth."""
    texture = np.random.default_rng(seed).uniform(0.3, 0.6, (8, 8)).repeat(2, axis=0).repeat(2, axis=1)
    away = 0.05 * (np.arange(N) - truth)
    views = texture * (1.0 + np.stack((away, -away), axis=1)[:, :, None, None])
    images = np.rint(LEVELS.black + views * (LEVELS.white - LEVELS.black)).astype(np.uint16)
    table = lta49_diopters()[:N]
    return FocalStack(images, LEVELS, table, truth, float(truth), direction="far-first", name=f"{seed}")


@pytest.fixture(scope="module")
def tinted() -> StackSet:
    """Forty stacks with truths all over the range."""
    return StackSet.from_stacks([tinted_stack(i * 4 % N, i) for i in range(40)])


# ---------------------------------------------------------------------- calibration
def test_a_few_wrong_patches_do_not_move_the_calibration() -> None:
    rng = np.random.default_rng(1)
    values, slope, offset = rng.normal(size=(200, 3)), np.array([2.0, -1.0, 0.5]), np.array([1.0, 4.0, 7.0])
    truth = rng.uniform(0.0, 10.0, 200)
    values = (truth[:, None] - offset) / slope
    values[:40] = rng.normal(size=(40, 3)) * 5.0
    found = least_absolute_fit(values, truth)
    np.testing.assert_allclose(found, [slope, offset], atol=0.01)
    flat, middle = least_absolute_fit(np.ones((200, 1)), truth)
    assert flat[0] == pytest.approx(0.0)
    assert middle[0] == pytest.approx(np.median(truth), abs=0.1)


def test_a_calibration_is_linear_between_its_distances() -> None:
    made = DepthCalibration(np.array([1.0, 2.0]), np.array([2.0, 4.0]), np.array([0.0, 1.0]), np.array([0.5, 1.0]))
    np.testing.assert_allclose(made.depth([1.0, 1.0, 1.0], [1.0, 1.5, 2.0]), [2.0, 3.5, 5.0])
    np.testing.assert_allclose(made.within_one([1.0, 2.0], 0.2), 1.0 - np.exp([-0.6, -0.3]))
    assert made.covers(np.array([0.5, 2.5]))
    assert not made.covers(np.array([0.5, 3.5]))


# ---------------------------------------------------------------------- network
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (8, 8)])
def test_maps_are_a_quarter_of_the_image_and_their_mean_is_the_value(size: tuple[int, int]) -> None:
    network = make_depth_network(DepthConfig(), 0).eval()
    images = torch.rand(2, 2, *size, generator=torch.Generator().manual_seed(0))
    maps = network.maps(images)
    assert maps.shape == (2, -(-size[0] // 4), -(-size[1] // 4))
    torch.testing.assert_close(network(images), maps.mean(dim=(1, 2)))
    torch.testing.assert_close(network(0.5 * images), network(images))


@pytest.mark.parametrize("channels", [(8,), (8, 0), [8, 8], (8,) * 8, (8, 8.5)])
def test_sizes_that_cannot_be_are_refused(channels: Any) -> None:
    with pytest.raises(AfsimError, match="channels of the depth network"):
        DepthConfig(channels)
    with pytest.raises(AfsimError, match=r"images \(N, 2, H, W\)"):
        make_depth_network(TINY, 0)(torch.zeros(1, 1, 8, 8))


# ---------------------------------------------------------------------- fitting
def test_it_learns_and_repeats(tinted: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afsim.fit_learned_depth.AUGMENTATIONS", {"usual": NO_AUGMENTATION})
    config = replace(QUICK, out=tmp_path / "x.safetensors")
    model = run(config, stacks=tinted, network=TINY)
    assert held_out_loss(model.network, Patches.of(tinted))["held-out loss"] < 0.3
    save_depth(model, tmp_path / "a.safetensors")
    save_depth(run(config, stacks=tinted, network=TINY), tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    with (tmp_path / "x.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["30", "60"]
    # Played where it never was told where the lens stands or what lies there, it beats the best constant.
    task = FocusTask(Camera(tinted), budget=1, reward="none")
    played = Arena(Camera(tinted)).play(make(f"learned_depth:{tmp_path / 'a.safetensors'}", task.spec), task)
    error = np.abs(played.positions[:, -1] - tinted.truth[played.stack]).mean()
    assert error < 0.5 * np.abs(tinted.truth - np.median(tinted.truth)).mean()


def test_every_tenth_stack_is_held_out(tinted: StackSet) -> None:
    patches = Patches.of(tinted)
    assert patches.held.tolist() == [0, 10, 20, 30]
    assert sorted([*patches.held, *patches.trained]) == list(range(40))
    assert patches.depth[1] == lta49_diopters()[4]


def test_sets_that_cannot_be_fitted_are_refused(unlabelled_stacks: StackSet, tinted: StackSet) -> None:
    with pytest.raises(AfsimError, match="two views"):
        run(QUICK, stacks=unlabelled_stacks)
    unknown = StackSet.from_stacks([make_stack(3.0, distances=False)])
    with pytest.raises(AfsimError, match="no known distances"):
        run(QUICK, stacks=unknown)
    with pytest.raises(AfsimError, match="groups of 8 patches, but there are 4"):
        run(QUICK, stacks=tinted[:5])
    with pytest.raises(AfsimError, match="patches in a group must be at least 3"):
        replace(QUICK, group=2)


def test_the_command_writes_model_and_log(
    tinted: StackSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tinted.save(tmp_path / "set")
    words = ["fit", "learned_depth", "--stacks", str(tmp_path / "set"), "--steps", "2", "--groups", "1"]
    assert cli.main([*words, "--out", str(tmp_path / "m.safetensors")]) == 0
    assert "dioptres on average" in capsys.readouterr().out
    found = load_depth(tmp_path / "m.safetensors")
    assert found.provenance.sha256 == tinted.save(tmp_path / "again").digest
    assert found.provenance.command.startswith("afsim fit learned_depth --stacks set --out m.safetensors --steps 2")
    assert cli.main([*words, "--out", str(tmp_path / "m.json")]) == 1


def test_an_interrupted_fit_leaves_the_old_file(
    tinted: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: Any) -> None:
        raise KeyboardInterrupt

    tinted.save(tmp_path / "set")
    (tmp_path / "m.safetensors").write_bytes(b"old")
    monkeypatch.setattr("afsim.fit_learned_depth.calibrate_depth", interrupted)
    words = ["fit", "learned_depth", "--stacks", str(tmp_path / "set"), "--steps", "1", "--quiet"]
    assert cli.main([*words, "--out", str(tmp_path / "m.safetensors")]) == 130
    assert (tmp_path / "m.safetensors").read_bytes() == b"old"
    assert {file.name for file in tmp_path.iterdir()} == {"set", "m.safetensors", "m.csv", "m.checkpoint"}
    assert cli.main([*words, "--out", str(tmp_path / "m.safetensors")]) == 1  # not silently from the beginning


def test_a_killed_fit_goes_on_bit_for_bit(
    tinted: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(QUICK, out=tmp_path / "m.safetensors", steps=5, validate_every=2, groups=2)
    whole = run(replace(config, out=tmp_path / "whole.safetensors"), stacks=tinted, network=TINY)
    steps = iter(range(3))

    def killed(*given: Any) -> Any:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return batch(*given)

    batch = fit_learned_depth._batch
    monkeypatch.setattr(fit_learned_depth, "_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        run(config, stacks=tinted, network=TINY)
    monkeypatch.undo()
    resumed = run(replace(config, resume=True), stacks=tinted, network=TINY)
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(weight, resumed.network.state_dict()[name])
    with pytest.raises(StoreError, match="seed"):
        run(replace(config, resume=True, seed=1), stacks=tinted, network=TINY)


# ---------------------------------------------------------------------- file
Header = dict[str, Any]
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "m.safetensors"
    path.write_bytes(tiny_depth().read_bytes())
    return path


def test_a_stored_model_is_the_same(stored: Path) -> None:
    model, before = load_depth(stored), stored.read_bytes()
    assert not model.network.training
    assert model.network.config == DepthConfig((4, 4))
    save_depth(model, stored)
    assert stored.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda header, tensors: header.update(format="afsim-model"), "no depth model of afsim"),
        (lambda header, tensors: header.update(version=2), "update afsim"),
        (lambda header, tensors: header.update(configuration=None), "configuration must have"),
        (lambda header, tensors: header.update(configuration={"channels": [4]}), "2 to 7 numbers"),
        (lambda header, tensors: header.update(configuration={"channels": 4}), "configuration must have"),
        (lambda header, tensors: header.update(slices=True), "slices must be"),
        (lambda header, tensors: header.update(slices=6), r"'calibration\.\w+' must be"),
        (lambda header, tensors: header.update(provenance={}), "provenance must have"),
        (lambda header, tensors: tensors.pop("network.last.bias"), "'network.last.bias' are missing"),
        (lambda header, tensors: tensors["network.last.bias"].fill_(np.nan), "not finite"),
        (lambda header, tensors: tensors["calibration.diopters"].fill_(1.0), "diopters must rise"),
        (lambda header, tensors: tensors["calibration.spread"].fill_(0.0), "spread must be above 0"),
    ],
)
def test_files_that_are_wrong_say_where_and_what(
    change: Callable[[Header, Tensors], object], named: str, stored: Path
) -> None:
    with safe_open(stored, framework="pt") as file:
        header = json.loads(file.metadata()["afsim"])
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    change(header, tensors)
    save_file(tensors, stored, metadata={"afsim": json.dumps(header)})
    with pytest.raises(StoreError, match=named) as caught:
        load_depth(stored)
    assert str(stored) in str(caught.value)


def test_missing_and_truncated_files_are_named(stored: Path, stacks: StackSet) -> None:
    spec = FocusTask(Camera(stacks), reward="none").spec
    with pytest.raises(StoreError, match="there is no depth model file"):
        make("learned_depth:none.safetensors", spec)
    stored.write_bytes(stored.read_bytes()[:-10])
    with pytest.raises(StoreError, match="damaged"):
        make(f"learned_depth:{stored}", spec)


# ---------------------------------------------------------------------- policy
def test_without_a_shipped_file_it_tells_how_to_make_one(stacks: StackSet, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = FocusTask(Camera(stacks), reward="none").spec
    monkeypatch.setattr(depthfile, "_SHIPPED", Path("none"))
    with pytest.raises(UnsuitableError, match="afsim fit learned_depth --stacks SET --out FILE"):
        make("learned_depth", spec)
    monkeypatch.setattr(depthfile, "_SHIPPED", tiny_depth())
    assert isinstance(make("learned_depth", spec), LearnedDepth)


def test_it_needs_views_and_distances_that_are_calibrated(stacks: StackSet) -> None:
    spec = FocusTask(Camera(stacks), reward="none").spec
    for lacking in ({"views": 1}, {"diopters": None}, {"diopters": tuple(np.linspace(0.0, 20.0, 12))}):
        with pytest.raises(UnsuitableError):
            make(f"learned_depth:{tiny_depth()}", replace(spec, **lacking))


def test_it_goes_to_the_nearest_index_in_dioptres_and_says_so(stacks: StackSet) -> None:
    spec = FocusTask(Camera(stacks), reward="none").spec
    policy = make(f"learned_depth:{tiny_depth()}", spec)
    assert isinstance(policy, LearnedDepth)
    table = policy.table
    starts = np.array([0, 3, 7, 11])
    seen = {"command": (starts / 11.0)[:, None]}
    # The tiny calibration: 400 dioptres for a unit, from where the lens stands.
    wanted = np.array([table[4] + 0.01, table[3], -5.0, 50.0])
    command, memory = policy.decide((wanted - table[starts]) / 400.0, seen, None)  # type: ignore[arg-type]
    assert command.tolist() == [4.0, 3.0, 0.0, 11.0]
    assert memory.status.tolist() == [Status.SEARCHING, Status.FOCUSED, Status.SEARCHING, Status.FOCUSED]
    np.testing.assert_allclose(memory.confidence[1], 1.0 - np.exp(-0.75 * (table[4] - table[2])), rtol=1e-5)


def test_turned_images_give_the_same_values(stacks: StackSet) -> None:
    spec = FocusTask(Camera(stacks), reward="none").spec
    upright, turned = (
        make(f"learned_depth:{tiny_depth()}", replace(spec, dp_axis=axis)) for axis in ("columns", "rows")
    )
    image = np.random.default_rng(0).uniform(size=(3, 2, 32, 32)).astype(np.float32)
    where, region = np.zeros(3), np.zeros((3, 2))
    values = upright.features(image, where, region)
    np.testing.assert_array_equal(values, turned.features(image.swapaxes(-1, -2).copy(), where, region))
    np.testing.assert_array_equal(values[1:2], upright.features(image[1:2], where + 5, region + 0.5))
