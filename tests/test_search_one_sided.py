"""One-sided approach: whichever policy plays, the lens comes to every slice from the same side."""

import pickle
from typing import Any

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.errors import AfsimError, UnsuitableError
from afsim.lens import LENSES
from afsim.optics import lens_extension_um, lta49_diopters
from afsim.policies import make
from afsim.policies.one_sided import OneSidedMemory
from afsim.policy import Knowledge, Status, restart
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.task import FocusTask, TaskSpec
from afsim.trace import record
from tests.rig import TABLE_UM, one_error
from tests.searching import INDEX, PEAKS, STARTS, N, Run, bells, play

INNER = ["hill_climb", "golden_section", "brent", "bisect", "adaptive_climb"]
CURVES = bells(PEAKS, 8.0)


def one_sided(inner: str, budget: int = 80, **options: Any) -> Run:
    return play(f"one_sided:{inner}", CURVES, STARTS, budget, **options)


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize(("from_side", "forwards"), [("far", 1), ("near", -1)])
def test_every_move_against_the_direction_is_an_overshoot_that_is_taken_back(
    inner: str, from_side: str, forwards: int
) -> None:
    run = one_sided(inner, from_side=from_side)
    steps = np.diff(run.commands, axis=0) * forwards
    back, last = steps < 0, run.commands[1:]
    # What follows a step back is the approach, unless the end of the range was the goal itself.
    at_the_end = last == (0 if forwards > 0 else N - 1)
    approach = np.vstack([steps[1:], np.zeros((1, steps.shape[1]))])
    assert (back & ~at_the_end).any()
    assert ((approach > 0) & (approach <= 2))[back & ~at_the_end].all()


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("from_side", ["far", "near"])
def test_the_other_policy_notices_nothing_but_fewer_steps(inner: str, from_side: str) -> None:
    alone, run = play(inner, CURVES, STARTS, 80), one_sided(inner, from_side=from_side)
    np.testing.assert_array_equal(run.commands[-1], alone.commands[-1])
    for field in ("status", "confidence", "scores"):
        np.testing.assert_array_equal(getattr(run.memory.inner, field), getattr(alone.memory, field))
    assert (run.observations >= alone.observations).all()


def test_a_search_that_ended_says_so_once_the_lens_is_there() -> None:
    policy = make("one_sided:golden_section", TaskSpec(N, 1, 8, 8, 80))
    memory: Any = policy.begin(np.arange(len(PEAKS), dtype=np.uint64), None)  # type: ignore[arg-type]
    here, status = STARTS.astype(np.float64), np.zeros(len(PEAKS), np.int8)
    for step in range(40):
        observation: dict[str, np.ndarray] = {
            "command": (here / (N - 1)).astype(np.float32)[:, None],
            "steps_left": np.full((len(PEAKS), 1), 80 - step, np.float32),
        }
        here, memory = policy.decide(CURVES[np.arange(len(PEAKS)), here.astype(int)], observation, memory)
        announced = (status == Status.SEARCHING) & (memory.status != Status.SEARCHING)
        np.testing.assert_array_equal(here[announced], PEAKS[announced])
        status = memory.status
    assert (status == Status.FOCUSED).all()


@pytest.mark.parametrize("budget", [1, 2, 3, 4])
def test_a_short_game_ends_where_the_other_policy_would_with_a_step_less(budget: int) -> None:
    run = one_sided("hill_climb", budget)
    lanes = np.arange(len(PEAKS))
    assert np.isnan(run.memory.goal).all()
    assert (CURVES[lanes, run.commands[-1].astype(int)] >= CURVES[lanes, STARTS] - 1e-12).mean() > 0.9
    if budget == 1:
        np.testing.assert_array_equal(run.commands[-1], STARTS)
    if budget == 2:
        np.testing.assert_array_equal(run.commands[-1][STARTS == 0], 0)


def test_it_takes_up_the_play_of_a_worn_lens(stacks: StackSet) -> None:
    camera = Camera(stacks, one_error(hysteresis=LENSES["worn_warm"].hysteresis))
    arena, task = Arena(camera), FocusTask(camera, budget=20, reward="none")
    spread = {}
    for name in ("adaptive_climb", "one_sided:adaptive_climb"):
        episodes = arena.play(make(name, task.spec), task)
        command, position = episodes.commands[:, -1], episodes.positions[:, -1]
        # Below the overshoot there is no room to overshoot.
        error_um = [
            np.diff(np.interp(pair, np.arange(stacks.n), TABLE_UM[: stacks.n]))[0]
            for pair in zip(command, position, strict=True)
            if 2 <= pair[0] < stacks.n - 1
        ]
        spread[name] = np.ptp(error_um)
    assert spread["adaptive_climb"] > 3.0
    assert spread["one_sided:adaptive_climb"] < 0.01


def test_the_overshoot_takes_up_the_loop_of_the_worn_lens() -> None:
    policy = make("one_sided", TaskSpec(N, 1, 8, 8, 5))
    finest = np.diff(lens_extension_um(lta49_diopters())).min()
    assert policy.overshoot * finest > 2.0 * LENSES["worn_warm"].hysteresis  # type: ignore[attr-defined]


def test_features_are_the_other_policys() -> None:
    spec = TaskSpec(N, 1, 32, 32, 5)
    inner, policy = make("brent:laplacian_energy", spec), make("one_sided:brent:laplacian_energy", spec)
    image = np.random.default_rng(0).uniform(0.0, 1.0, (2, 1, 32, 32)).astype(np.float32)
    assert policy.feature_key == inner.feature_key
    arguments = image, np.zeros(2), np.zeros((2, 2))
    np.testing.assert_array_equal(policy.features(*arguments), inner.features(*arguments))


def test_its_memory_can_be_kept_and_restarted() -> None:
    memory = one_sided("bisect", 7).memory
    again = pickle.loads(pickle.dumps(memory))
    assert type(again) is OneSidedMemory
    np.testing.assert_array_equal(again.inner.scores, memory.inner.scores)
    policy, starts = make("one_sided:bisect", TaskSpec(N, 1, 8, 8, 7)), np.arange(len(PEAKS)) % 2 == 0
    fresh = policy.begin(np.arange(len(PEAKS), dtype=np.uint64), Knowledge())
    mixed = restart(memory, fresh, starts)
    assert type(mixed.inner) is type(memory.inner)
    for whole, old, new in zip(mixed.inner, memory.inner, fresh.inner, strict=True):
        np.testing.assert_array_equal(whole[starts], new[starts])
        np.testing.assert_array_equal(whole[~starts], old[~starts])


def test_what_the_other_policy_believes_can_be_traced(stacks: StackSet) -> None:
    task = FocusTask(Camera(stacks), budget=4, reward="none")
    trace = record(task, make("one_sided:bayesian", task.spec), 0, 0)
    assert trace.believes
    belief = trace.belief(0)
    assert belief is not None
    assert belief.sum() == pytest.approx(1.0)


def test_stacks_that_the_other_policy_cannot_play_are_told_from_wrong_options() -> None:
    with pytest.raises(UnsuitableError, match="Pdaf needs dual-pixel stacks"):
        make("one_sided:pdaf", TaskSpec(N, 1, 64, 64, 5))


def test_the_end_of_the_range_is_reached_directly() -> None:
    rising = np.tile(N - INDEX, (N, 1)).astype(np.float64)
    commands = play("one_sided:golden_section", rising, INDEX, 40).commands
    np.testing.assert_array_equal(commands[-1], 0)


@pytest.mark.parametrize(
    ("choice", "options", "message"),
    [
        ("one_sided:psychic", {}, "unknown policy 'psychic'"),
        ("one_sided:sweep", {}, "one_sided plays no policy that requires the stack: 'sweep'"),
        ("one_sided:one_sided", {}, "one_sided plays no policy that is one_sided itself, got 'one_sided'"),
        ("one_sided:oracle", {}, "one_sided plays no policy that requires the truth: 'oracle'"),
        ("one_sided", {"from_side": "left"}, "unknown side to come from 'left'; expected one of: far, near"),
        ("one_sided", {"overshoot": 0}, "overshoot must be at least 1 index, got 0"),
    ],
)
def test_what_it_cannot_play_is_refused(choice: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make(choice, TaskSpec(N, 1, 8, 8, 5), **options)
