"""Endless stacks: what the pool holds follows from the step alone, and a training goes on from anywhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from afsim.augment import AUGMENTATIONS
from afsim.crew import ALONE
from afsim.errors import AfsimError
from afsim.experiments.train import TrainConfig
from afsim.experiments.train import run as run_training
from afsim.freshbank import FreshBank, endless_set, numbers_at
from afsim.lesson import FreshLesson
from afsim.modelkinds import model_kind
from afsim.networks import CompactConfig, make_network
from afsim.recipe import RECIPES
from afsim.renderset import render_set
from afsim.setconfig import SETS
from afsim.sets import render_stack
from afsim.slicepaths import lanes_of
from afsim.training import Course, train

CPU = torch.device("cpu")
TINY = replace(SETS["leaves"], size=32, count=5)
RECIPE = replace(RECIPES["small"], batch=4, steps=6)


def lesson_of(bank: FreshBank) -> FreshLesson:
    """Return single slices of all that is in a pool."""
    lanes = lanes_of(model_kind("d1"), np.arange(len(bank.stacks)), 49)
    truth = bank.stacks.truth.copy()
    return FreshLesson(
        bank, lanes, truth, choose=lambda slots: lanes_of(model_kind("d1"), slots, 49), truth_of=lambda s: s.truth
    )


def test_one_stack_after_the_other_gives_way() -> None:
    found = [numbers_at(step, TINY, 3, 2).tolist() for step in range(0, 15, 2)]
    assert found[:5] == [[5, 6, 7], [8, 6, 7], [8, 9, 7], [8, 9, 10], [11, 9, 10]]
    assert found[6] == [11, 12, 13]
    assert numbers_at(1, TINY, 3, 2).tolist() == found[0]


def test_no_stack_of_a_stored_set_is_ever_seen() -> None:
    config = SETS["bench-train"]
    assert numbers_at(0, config, 4, 1).min() == config.count
    assert len({one.seed for one in SETS.values()}) == len(SETS)


def test_the_pool_holds_what_is_rendered_from_the_numbers() -> None:
    bank = FreshBank(TINY, 3, 2, CPU)
    assert bank.renew(1).tolist() == []
    assert bank.renew(4).tolist() == [0, 1]
    jumped = FreshBank(TINY, 3, 2, CPU)
    jumped.renew(4)
    for slot, number in enumerate((8, 9, 7)):
        expected = render_stack(TINY, number)
        for one in (bank, jumped):
            assert np.array_equal(one.stacks.images[slot], expected.images)
            assert one.stacks.names[slot] == expected.name
            assert one.stacks.truth[slot] == expected.best_index_exact
    assert bank.digest() == jumped.digest() != FreshBank(TINY, 3, 3, CPU).digest()


def test_a_lesson_follows_its_stacks() -> None:
    lesson = lesson_of(FreshBank(TINY, 3, 1, CPU))
    before = lesson.truth.copy()
    assert not lesson.renew(0)
    assert lesson.renew(2)
    assert lesson.truth.tolist() == lesson.bank.stacks.truth.tolist()
    assert lesson.truth[2] == before[2]
    seen, stacks = lesson.batch(RECIPE, AUGMENTATIONS["none"], 0, 2, ALONE)
    first = int(stacks[0])
    index = int(seen.commands[0])
    expected = lesson.bank.stacks[first].normalized()[index]
    np.testing.assert_allclose(seen.images[0], expected, atol=1e-6)


def test_a_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    def trained(course: Course, steps: int, score: int) -> dict[str, torch.Tensor]:
        network = make_network(CompactConfig(width=0.1, features=16, hidden=16), 0)
        recipe = replace(RECIPE, steps=steps, schedule="constant")
        scores = iter(range(score, 0, -1))  # the last is the best
        train(
            network,
            lesson_of(FreshBank(TINY, 3, 2, CPU)),
            recipe,
            AUGMENTATIONS["none"],
            0,
            course,
            lambda network: {"exact MAE": float(next(scores))},
        )
        return dict(network.state_dict())

    whole = trained(Course(3), 6, 9)
    trained(Course(3, checkpoint=tmp_path / "it.checkpoint"), 3, 9)
    resumed = trained(Course(3, checkpoint=tmp_path / "it.checkpoint", resume=True), 6, 8)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_command_trains_on_endless_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETS, "leaves", TINY)
    render_set(replace(TINY, count=2), tmp_path / "val", progress=False)
    config = TrainConfig(
        "d1",
        stacks=Path("endless:leaves"),
        validation=tmp_path / "val",
        out=tmp_path / "d1.safetensors",
        recipe="small,batch=2,steps=2",
        network="compact,width=0.1,features=16,hidden=16",
        pool=2,
        renew_every=1,
        quiet=True,
    )
    model = run_training(config, CPU, ALONE)
    assert model.record.data == FreshBank(TINY, 2, 1, CPU).digest()
    assert "endless:leaves" in str(model.record.training["command"])
    for changes in ({"stacks": Path("endless:nothing")}, {"pool": 0}, {"renew_every": 0}):
        with pytest.raises(AfsimError):
            run_training(replace(config, **changes), CPU, ALONE)
    with pytest.raises(AfsimError, match="unknown set 'nothing'"):
        endless_set("endless:nothing")
