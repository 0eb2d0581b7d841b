"""Training: that it learns, repeats, goes on where it was stopped, and refuses what does not fit."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from afsim import cli, modelfile
from afsim.augment import AUGMENTATIONS, NO_AUGMENTATION
from afsim.errors import AfsimError, StoreError
from afsim.experiments.train import TrainConfig, main
from afsim.lesson import Lesson, seed_of_step
from afsim.modelfile import load
from afsim.modelkinds import model_kind
from afsim.networks import CompactConfig, CompactNetwork, FocusNetwork, make_network
from afsim.recipe import RECIPES, Recipe
from afsim.slicebank import SliceBank
from afsim.slicepaths import Lanes, follow, lanes_of
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from afsim.training import SCORE, Course, train, validation
from afsim.trainlog import TrainLog
from tests.conftest import LEVELS, make_stack

N = 9
TINY = CompactConfig(n=N, width=0.1, features=16, hidden=16)
QUICK = Recipe(optimiser="adamw", rate=5e-3, beta1=0.9, schedule="one_cycle", batch=16, steps=6, truth="exact")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small batches only lose by threads, and much so beside other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tinted_stack(truth: int, seed: int) -> FocalStack:
    """Make a stack one of whose views is the brighter, the more so the farther a slice is from the truth."""
    rng = np.random.default_rng(seed)
    texture = rng.uniform(0.3, 0.6, (8, 8)).repeat(4, axis=0).repeat(4, axis=1)
    away = 0.05 * (np.arange(N) - truth)
    views = texture * (1.0 + np.stack((away, -away), axis=1)[:, :, None, None])
    images = np.rint(LEVELS.black + views * (LEVELS.white - LEVELS.black)).astype(np.uint16)
    return FocalStack(images, LEVELS, best_index=truth, best_index_exact=float(truth), name=f"{seed}")


def tinted(count: int, seed: int = 0) -> StackSet:
    """Return stacks with truths all over the range."""
    return StackSet.from_stacks([tinted_stack(i % N, 1000 * seed + i) for i in range(count)])


def lesson_of(stacks: StackSet, name: str = "d1", **bank: Any) -> Lesson:
    """Return what a model of one step, or of whole stacks, is to learn."""
    lanes = lanes_of(model_kind(name), np.flatnonzero(stacks.labelled), stacks.n)
    return Lesson(SliceBank(stacks, CPU, **bank), lanes, stacks.truth)


def fit(
    lesson: Lesson, recipe: Recipe = QUICK, *, seed: int = 0, config: CompactConfig = TINY, **course: Any
) -> tuple[FocusNetwork, list[dict[str, float]]]:
    """Train a tiny network, judged by what it learned from."""
    network = make_network(config, seed)
    some = lesson.lanes.select(slice(0, 18))
    trained = train(
        network,
        lesson,
        recipe,
        AUGMENTATIONS["usual"],
        seed,
        Course(**{"every": 3, **course}),
        lambda network: validation(network, lesson.bank, some),
        settings={"recipe": recipe.steps},
    )
    return network, trained.rows


def same(one: FocusNetwork, other: FocusNetwork) -> bool:
    """Return whether two networks have the same weights, bit for bit."""
    weights = other.state_dict()
    return all(torch.equal(tensor, weights[name]) for name, tensor in one.state_dict().items())


# ---------------------------------------------------------------------- the bank of slices
def test_pixels_come_out_the_same_from_disk_memory_and_device(tmp_path: Path) -> None:
    bright = StackSet.from_stacks([replace(make_stack(3.0, n=N), levels=type(LEVELS)(1000, 60000))])
    bright = StackSet(bright.geometry, bright.images + np.uint16(40000), bright._index)  # beyond int16
    stored = bright.save(tmp_path / "set")
    stack, index = np.zeros(3, np.int64), np.array([0, 8, 4])
    expected = (bright.images[stack, index].astype(np.float64) - 1000) / 59000
    for bank in (SliceBank(bright, CPU), SliceBank(stored, CPU), SliceBank(stored, CPU, resident=True)):
        found = bank.images(stack, index)
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_between_slices_is_linear() -> None:
    bank = SliceBank(tinted(1), CPU)
    stack = np.zeros(3, np.int64)
    ends = bank.images(np.zeros(2, np.int64), np.array([2, 3]))
    found = bank.between(stack, np.array([2.0, 2.25, 8.0]))
    assert torch.equal(found[0], ends[0])
    torch.testing.assert_close(found[1], 0.75 * ends[0] + 0.25 * ends[1])
    assert torch.equal(found[2], bank.images(stack[:1], np.array([8]))[0])


# ---------------------------------------------------------------------- what lanes see
def test_a_slice_seen_twice_is_seen_once() -> None:
    bank = SliceBank(tinted(2), CPU)
    lanes = Lanes(np.array([1, 0]), np.array([[3, 5, 3], [2, 4, 6]]))
    seen = lanes.observe(bank)
    assert seen.lanes.tolist() == [0, 0, 1, 1, 1]
    assert seen.commands.tolist() == [5.0, 3.0, 2.0, 4.0, 6.0]
    assert seen.current.tolist() == [3.0, 6.0]
    assert torch.equal(seen.images[1], bank.images(np.array([1]), np.array([3]))[0])
    assert lanes.repeat
    assert not lanes.select(slice(1, 2)).repeat


class Chooses:
    """Stands in for a network: always the slice after the one where it is."""

    def __new__(cls) -> Any:
        network = make_network(TINY, 0).eval()
        network.forward = lambda seen: torch.nn.functional.one_hot(  # type: ignore[method-assign,assignment]
            ((seen.current + 1) % N).long(), N
        ).float()
        return network


def test_paths_grow_by_what_each_network_chooses() -> None:
    bank = SliceBank(tinted(2), CPU)
    lanes = follow([Chooses(), Chooses()], bank, lanes_of(model_kind("d1"), np.arange(2), N))
    start = np.tile(np.arange(N), 2)
    np.testing.assert_array_equal(lanes.stack, np.repeat([0, 1], N))
    np.testing.assert_array_equal(lanes.path, np.stack([start, (start + 1) % N, (start + 2) % N], axis=1))


@pytest.mark.parametrize(
    ("name", "views", "slices", "previous"),
    [
        ("i-star", 1, None, ()),
        ("d-star", 2, None, ()),
        ("i1", 1, 1, ()),
        ("d1", 2, 1, ()),
        ("i1-2step", 1, 2, ("i1",)),
        ("d1-3step", 2, 3, ("d1", "d1-2step")),
    ],
)
def test_kinds(name: str, views: int, slices: int | None, previous: tuple[str, ...]) -> None:
    kind = model_kind(name)
    assert (kind.views, kind.slices, kind.previous) == (views, slices, previous)


@pytest.mark.parametrize("name", ["d2", "d1-1step", "d1-50step", "i-star-2step", "", "D1"])
def test_unknown_kinds_are_refused(name: str) -> None:
    with pytest.raises(AfsimError, match="unknown model"):
        model_kind(name)


# ---------------------------------------------------------------------- recipes
def test_the_papers_recipe() -> None:
    paper = RECIPES["paper"]
    optimiser = paper.make_optimiser(make_network(TINY, 0))
    assert type(optimiser) is torch.optim.Adam
    assert optimiser.param_groups[0]["betas"] == (0.5, 0.999)
    assert {paper.rate_at(step) for step in (0, 9_999, 19_999)} == {1e-3}
    assert (paper.batch, paper.steps, paper.truth, paper.metric) == (128, 20_000, "label", "L2")


def test_one_cycle_rises_and_falls() -> None:
    recipe = replace(QUICK, steps=100, warmup=0.1)
    rates = [recipe.rate_at(step) for step in range(100)]
    peak = int(np.argmax(rates))
    assert peak == 10
    assert rates[peak] == pytest.approx(recipe.rate)
    assert np.all(np.diff(rates[: peak + 1]) > 0)
    assert np.all(np.diff(rates[peak:]) < 0)
    assert 0.0 < rates[-1] < 0.01 * recipe.rate


@pytest.mark.parametrize(
    "change", [{"optimiser": "sgd"}, {"rate": 0.0}, {"batch": 1}, {"truth": "guess"}, {"beta1": 1.0}, {"steps": 0}]
)
def test_recipes_out_of_range_are_refused(change: Mapping[str, Any]) -> None:
    with pytest.raises(AfsimError):
        replace(QUICK, **change)


# ---------------------------------------------------------------------- the loop
def test_it_learns_from_how_the_views_differ() -> None:
    lesson, held = lesson_of(tinted(45)), lesson_of(tinted(18, seed=1))
    constant = float(np.abs(held.truth - np.median(held.truth)).mean())
    network = make_network(TINY, 1)
    recipe = replace(QUICK, steps=90, rate=1e-2, batch=32)
    trained = train(
        network,
        lesson,
        recipe,
        NO_AUGMENTATION,
        1,
        Course(30),
        lambda network: validation(network, held.bank, held.lanes),
    )
    assert not network.training
    assert validation(network, held.bank, held.lanes)[SCORE] == trained.rows[trained.best][SCORE]
    assert trained.rows[trained.best][SCORE] < 0.6 * constant
    assert trained.rows[-1]["loss"] < trained.rows[0]["loss"]


def test_one_seed_reproduces_and_another_differs() -> None:
    lesson = lesson_of(tinted(4))
    first, rows = fit(lesson)
    assert same(first, fit(lesson)[0])
    assert not same(first, fit(lesson, seed=1)[0])
    assert [row["step"] for row in rows] == [3, 6]


def test_out_of_core_and_in_memory_train_the_same(tmp_path: Path) -> None:
    stacks = tinted(4)
    stored = stacks.save(tmp_path / "set")
    network = fit(lesson_of(stacks))[0]
    assert same(network, fit(lesson_of(stored))[0])
    assert same(network, fit(lesson_of(stored, resident=True))[0])


def test_a_killed_training_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, lesson, path = replace(TINY, dropout=0.2), lesson_of(tinted(4)), tmp_path / "d1.checkpoint"
    recipe = replace(QUICK, lens_sd=0.5)
    whole, rows = fit(lesson, recipe, config=config)
    steps = 0

    def killed(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt
        return batch(*arguments)

    batch = Lesson.batch
    monkeypatch.setattr(Lesson, "batch", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(lesson, recipe, config=config, checkpoint=path)
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    resumed, again = fit(lesson, recipe, config=config, checkpoint=path, resume=True)
    assert same(whole, resumed)
    for one, other in zip(rows, again, strict=True):
        assert {**one, "images/s": 0.0} == {**other, "images/s": 0.0}


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    lesson, path = lesson_of(tinted(4)), tmp_path / "d1.checkpoint"
    fit(lesson, checkpoint=path)
    with pytest.raises(StoreError, match="recipe 6, but now it is 9"):
        fit(lesson, replace(QUICK, steps=9), checkpoint=path, resume=True)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreError, match="damaged"):
        fit(lesson, checkpoint=path, resume=True)


def test_without_progress_it_ends_early_with_the_best_weights() -> None:
    lesson = lesson_of(tinted(4))
    scores = iter([3.0, 2.0, 2.5, 2.25, 1.0])
    network = make_network(TINY, 0)
    seen: list[dict[str, torch.Tensor]] = []

    def validate(network: FocusNetwork) -> Mapping[str, float]:
        seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return {SCORE: next(scores)}

    course = Course(1, patience=2)
    trained = train(network, lesson, replace(QUICK, steps=5), NO_AUGMENTATION, 0, course, validate)
    assert [row[SCORE] for row in trained.rows] == [3.0, 2.0, 2.5, 2.25]
    assert trained.best == 1
    assert all(torch.equal(tensor, seen[1][name]) for name, tensor in network.state_dict().items())


def test_a_loss_that_is_no_number_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = lesson_of(tinted(4))
    images = SliceBank.images
    monkeypatch.setattr(SliceBank, "images", lambda *given: images(*given) * float("nan"))
    with pytest.raises(AfsimError, match="no finite number any more"):
        fit(lesson)


def test_stacks_without_a_truth_are_refused() -> None:
    stacks = StackSet.from_stacks([make_stack(3.0, n=N, labelled=False)])
    lesson = Lesson(SliceBank(stacks, CPU), Lanes(np.zeros(1, np.int64), np.zeros((1, 1), np.int64)), stacks.truth)
    with pytest.raises(AfsimError, match="finite"):
        fit(lesson)


def test_steps_and_processes_draw_anew() -> None:
    assert len({seed_of_step(seed, step, rank) for seed in (0, 1) for step in (0, 1) for rank in (0, 1)}) == 8


@pytest.mark.parametrize(("name", "views"), [("i1", 1), ("i-star", 1), ("d-star", 2)])
def test_all_kinds_train(name: str, views: int) -> None:
    lesson = lesson_of(tinted(3), name)
    network, rows = fit(lesson, replace(QUICK, batch=2, steps=3), config=replace(TINY, views=views))
    assert np.isfinite([row["loss"] for row in rows]).all()
    assert len(lesson.lanes) == (3 if name.endswith("star") else 3 * N)
    assert not network.training


# ---------------------------------------------------------------------- the command
TINY_OPTIONS = [
    "--recipe.steps",
    "4",
    "--recipe.batch",
    "4",
    "--network",
    "compact,width=0.1,features=16,hidden=16",
    "--validate-every",
    "2",
    "--validation-stacks",
    "2",
    "--device",
    "cpu",
]


@pytest.fixture
def sets(tmp_path: Path) -> list[str]:
    """Two small sets, as options."""
    tinted(4).save(tmp_path / "train")
    tinted(3, seed=1).save(tmp_path / "val")
    return ["--stacks", str(tmp_path / "train"), "--validation", str(tmp_path / "val"), *TINY_OPTIONS]


def command(folder: Path, model: str, words: list[str], *more: str) -> int:
    """Run ``afsim train``."""
    out = str(folder / f"{model}.safetensors")
    return cli.main(["train", model, "--recipe", "small", "--out", out, *words, *more])


def test_the_command_trains_one_step_and_then_two(
    tmp_path: Path, sets: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, "d1", sets) == 0
    assert "exact MAE" in capsys.readouterr().out
    model = modelfile.load(tmp_path / "d1.safetensors")
    assert model.record.training["model"] == "d1"
    assert model.record.data == StackSet.open(tmp_path / "train").digest
    assert str(model.record.training["command"]).startswith("afsim train d1 --stacks train --validation val")
    with (tmp_path / "d1.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert {"loss", "rate", "images/s", SCORE, "MAE"} <= rows[0].keys()
    assert not (tmp_path / "d1.checkpoint").exists()
    assert command(tmp_path, "d1-2step", sets, "--previous", str(tmp_path / "d1.safetensors"), "--quiet") == 0
    assert modelfile.load(tmp_path / "d1-2step.safetensors").record.training["model"] == "d1-2step"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        ("d2", (), "unknown model"),
        ("d1-2step", (), "needs the files of 1 previous networks"),
        ("d1", ("--seed", "-1"), "seed must be at least 0"),
    ],
)
def test_the_command_refuses(
    tmp_path: Path,
    sets: list[str],
    capsys: pytest.CaptureFixture[str],
    model: str,
    more: tuple[str, ...],
    message: str,
) -> None:
    assert command(tmp_path, model, sets, *more) != 0
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_checkpoint_is_neither_overwritten_nor_taken_for_another(
    tmp_path: Path, sets: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = TrainLog.write

    def killed(log: TrainLog, rows: Any) -> None:
        if rows[-1]["step"] == 4:
            raise RuntimeError("killed")
        written(log, rows)

    monkeypatch.setattr(TrainLog, "write", killed)
    with pytest.raises(RuntimeError):
        command(tmp_path, "d1", sets)
    monkeypatch.undo()
    assert (tmp_path / "d1.checkpoint").exists()
    assert command(tmp_path, "d1", sets) != 0
    assert "--resume" in capsys.readouterr().err
    assert command(tmp_path, "d1", sets, "--resume", "--seed", "5") != 0
    assert "seed 0, but now it is 5" in capsys.readouterr().err
    assert command(tmp_path, "d1", sets, "--resume") == 0
    resumed = (tmp_path / "d1.safetensors").read_bytes()
    assert command(tmp_path, "d1", sets) == 0
    assert (tmp_path / "d1.safetensors").read_bytes() == resumed


def test_tensorboard_is_asked_for_by_name_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(AfsimError, match=r"afsim\[tensorboard\]"):
        TrainLog(tmp_path / "d1.csv", tmp_path)


def labels_of(stacks: StackSet) -> npt.NDArray[np.float64]:
    """Return the labels as numbers."""
    return stacks.best_index.astype(np.float64)


# ---------------------------------------------------------------------- from another network
def test_a_kept_trunk_stays_as_it_was_normalisations_too() -> None:
    network = make_network(TINY, 0)
    assert isinstance(network, CompactNetwork)
    network.keep_trunk()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    lesson, scores = lesson_of(tinted(9), "d-star"), iter((2.0, 1.0))  # the last is the best
    train(
        network,
        lesson,
        replace(QUICK, batch=2, steps=4, schedule="constant"),
        AUGMENTATIONS["none"],
        0,
        Course(2),
        lambda network: {"exact MAE": next(scores)},
    )
    after = network.state_dict()
    changed = {name.partition(".")[0] for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed == {"evidence", "reading"}
    assert not network.train().trunk.training


def test_the_command_starts_from_another_network(tmp_path: Path) -> None:
    tinted(4).save(tmp_path / "train")
    tinted(2, 1).save(tmp_path / "val")
    network = "compact,width=0.1,features=16,hidden=16"
    config = TrainConfig(
        "d1",
        tmp_path / "train",
        tmp_path / "val",
        tmp_path / "d1.safetensors",
        recipe="small,batch=4,steps=2",
        network=network,
        quiet=True,
    )
    assert main(config) == 0
    star = replace(config, model="d-star", out=tmp_path / "d-star.safetensors", initial=config.out, keep_trunk=True)
    assert main(star) == 0
    one, other = (load(each.out).network.state_dict() for each in (config, star))
    assert all(torch.equal(one[name], other[name]) for name in one if name.startswith("trunk"))
    assert not all(torch.equal(one[name], other[name]) for name in one)
    with pytest.raises(AfsimError, match=r"expected CompactConfig\(n=9, views=2, width=0.2"):
        main(replace(star, network="compact,width=0.2,features=16,hidden=16"))
    with pytest.raises(AfsimError, match="expected --initial"):
        main(replace(star, initial=None))
    one_hot = replace(config, network="one-hot,width=0.1", out=tmp_path / "wide.safetensors")
    assert main(one_hot) == 0
    with pytest.raises(AfsimError, match="no trunk to keep"):
        main(replace(star, network="one-hot,width=0.1", initial=one_hot.out))
