"""The benchmark of evaluation: keeping features changes nothing. Nothing is timed."""

from dataclasses import replace

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.experiments.bench_rollout import RolloutConfig, Unkept, are_equal, evaluate, run
from afsim.policies import make
from afsim.policy import FocusPolicy, Predictor
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.task import FocusTask


@pytest.mark.parametrize("name", ["hill_climb", "stay"])
def test_episodes_with_features_kept_are_those_without(stacks: StackSet, name: str) -> None:
    camera = Camera(stacks)
    kept, plain = (evaluate(camera, name, 4, kept=each) for each in (True, False))
    assert [len(played.stack) for played in kept] == [72] * 4
    assert are_equal(kept, plain)
    assert not are_equal(kept, kept[:3])


def test_a_difference_anywhere_is_one(stacks: StackSet) -> None:
    (played,) = evaluate(Camera(stacks), "hill_climb", 1, kept=True)
    for name in ("commands", "status", "confidence", "moves"):
        changed = getattr(played, name).copy()
        changed[-1] += 1
        assert not are_equal([played], [replace(played, **{name: changed})])


def test_what_is_withheld_is_equal_to_itself(unlabelled_stacks: StackSet) -> None:
    played = evaluate(Camera(unlabelled_stacks), "stay", 1, kept=True)
    assert np.isnan(played[0].travel_um).all()
    assert are_equal(played, played)


def test_the_reference_is_a_predictor_and_nothing_more(stacks: StackSet, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera(stacks)
    task = FocusTask(camera, budget=2, reward="none")
    unkept = Unkept(make("hill_climb", task.spec))
    assert isinstance(unkept, Predictor)
    assert not isinstance(unkept, FocusPolicy)
    # Nothing of a rollout's memory of features is touched.
    monkeypatch.delattr(Arena, "features")
    assert len(Arena(camera).play(unkept, task).stack) == 72


def test_the_ratio_is_printed(stacks: StackSet, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(RolloutConfig(policy="stay", steps=2, rounds=1), stacks=stacks) == 0
    shown = capsys.readouterr().out
    assert "budgets 1 ... 2" in shown
    assert "equal, bit for bit" in shown


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (RolloutConfig(policy="magic"), "unknown policy"),
        (RolloutConfig(rounds=0), "rounds must be"),
        (RolloutConfig(steps=0), "steps must be"),
        (RolloutConfig(policy="oracle", steps=1), "policy 'oracle' requires truth, which no image shows"),
        (RolloutConfig(policy="sweep:variance_of_laplacian"), "requires stack, which no image shows"),
    ],
)
def test_bad_options_are_refused(stacks: StackSet, config: RolloutConfig, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        run(config, stacks=stacks)
