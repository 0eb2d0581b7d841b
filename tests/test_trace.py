"""A trace is the rollout's own episode, and a fork by the same policy repeats it bit for bit."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.keys import Keys
from afsim.lens import LENSES, make_lens
from afsim.measures import mean_local_norm_dist_sq
from afsim.policies import POLICIES
from afsim.policy import Features, FloatArray, FocusPolicy, Knowledge, Status
from afsim.rollout import Arena
from afsim.sensor import make_sensor
from afsim.stackset import StackSet
from afsim.task import FocusTask, Observation
from afsim.trace import Trace, fork, record
from tests.seating import make

BUDGET = 4
# Stack 3 is sharpest at 6.6.
STACK, START = 3, 1


@dataclass(frozen=True)
class OnlyPredict:
    """A policy of which nothing is known but SB3's ``predict``."""

    policy: FocusPolicy

    def predict(
        self, observation: Observation, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Pass on what is seen."""
        return self.policy.predict(observation, state, episode_start, deterministic)


class BeliefMemory(NamedTuple):
    """What a policy remembers that holds a belief."""

    status: np.ndarray
    confidence: np.ndarray
    belief: np.ndarray


@dataclass(frozen=True)
class Believer(FocusPolicy):
    """Stay, and believe in the nearest end ever more."""

    def begin(self, keys: Keys, knowledge: Knowledge) -> BeliefMemory:
        belief = np.full((len(keys), self.spec.n), 1.0 / self.spec.n)
        return BeliefMemory(np.zeros(len(keys), np.int8), np.zeros(len(keys), np.float32), belief)

    def decide(self, features: Features, observation: Observation, memory: Any) -> tuple[FloatArray, Any]:
        belief = memory.belief * np.arange(self.spec.n)
        return self.current(observation).round(), memory._replace(belief=belief / belief.sum(1, keepdims=True))


def make_task(stacks: StackSet, lens: str = "ideal", sensor: str = "none", budget: int = BUDGET) -> FocusTask:
    return FocusTask(Camera(stacks, make_lens(lens), make_sensor(sensor)), budget=budget, reward="none")


def same(one: Trace, other: Trace, begin: int = 0) -> None:
    """Check that two episodes are the same bits from a step on."""
    assert len(one.moments) == len(other.moments)
    np.testing.assert_array_equal(one.status[begin:], other.status[begin:])
    for a, b in zip(one.moments[begin:], other.moments[begin:], strict=True):
        assert a.state.lanes.tobytes() == b.state.lanes.tobytes()
        assert a.state.lens.tobytes() == b.state.lens.tobytes()
        assert a.image.tobytes() == b.image.tobytes()
        assert (a.features is None) == (b.features is None)
        if a.features is not None and b.features is not None:
            assert a.features.tobytes() == b.features.tobytes()


# ---------------------------------------------------------------------- as the rollout plays
@pytest.mark.parametrize(("lens", "sensor"), [("ideal", "none"), ("worn_warm", "dim")])
@pytest.mark.parametrize("name", POLICIES)
def test_a_trace_is_the_episode_of_the_rollout(stacks: StackSet, name: str, lens: str, sensor: str) -> None:
    task = make_task(stacks, lens, sensor)
    policy = make(name, task.spec)
    arena = Arena(task.camera, starts=[START, 10], seed=7)
    episodes = arena.play(policy, task)
    for lane in (2 * STACK, 2 * STACK + 1, 0):
        stack, start = int(episodes.stack[lane]), int(episodes.start[lane])
        trace = record(task, policy, stack, start, seed=7)
        length = len(trace.moments)
        assert trace.whole_stack == episodes.whole_stack
        assert length == 1 + int(trace.lanes["step"][-1])
        for field, column in (("command", "commands"), ("position", "positions"), ("time_ms", "times")):
            np.testing.assert_array_equal(trace.lanes[field], getattr(episodes, column)[lane, :length])
        np.testing.assert_array_equal(trace.status, episodes.status[lane, :length])
        np.testing.assert_array_equal(trace.confidence[-1], episodes.confidence[lane])
        for field in ("moves", "reversals", "travel_um"):
            assert trace.end[field] == getattr(episodes, field)[lane]


def test_a_foreign_policy_is_traced_and_forked_as_ours(stacks: StackSet) -> None:
    task = make_task(stacks, "worn_warm", "dim")
    policy = make("hill_climb", task.spec)
    ours, foreign = (record(task, seat, STACK, START) for seat in (policy, OnlyPredict(policy)))
    np.testing.assert_array_equal(ours.lanes, foreign.lanes)
    assert all(moment.features is None for moment in foreign.moments)
    same(fork(foreign, 2, OnlyPredict(policy)), foreign)


def test_seeds_and_starts_are_episodes_of_their_own(stacks: StackSet) -> None:
    task = make_task(stacks, "worn_warm", "dim")
    policy = make("stay", task.spec)
    one, other = record(task, policy, STACK, START), record(task, policy, STACK, START, seed=1)
    assert (one.lanes["position"] != other.lanes["position"]).all()


# ---------------------------------------------------------------------- forks
@pytest.mark.parametrize("lens", LENSES)
def test_a_fork_by_the_same_policy_repeats_the_rest(stacks: StackSet, lens: str) -> None:
    task = make_task(stacks, lens, "dim")
    assert task.camera.sensor.fresh
    for name in ("hill_climb", "random"):
        policy = make(name, task.spec)
        trace = record(task, policy, STACK, START, seed=2)
        for step in range(len(trace.moments) - 1):
            forked = fork(trace, step, policy)
            assert forked.forked_at == step
            same(forked, trace)


def test_a_fork_leaves_the_episode_as_it_is(stacks: StackSet) -> None:
    task = make_task(stacks, "worn_warm", "dim")
    trace = record(task, make("hill_climb", task.spec), STACK, START)
    before = [moment.state.lanes.tobytes() + moment.image.tobytes() for moment in trace.moments]
    forked = fork(trace, 2, make("fixed:11", task.spec))
    assert [moment.state.lanes.tobytes() + moment.image.tobytes() for moment in trace.moments] == before
    assert forked.moments[:2] == trace.moments[:2]
    assert forked.moments[2].image.tobytes() == trace.moments[2].image.tobytes()
    assert forked.lanes["command"].tolist() == [*trace.lanes["command"][:3], 11]
    assert forked.status.tolist() == [*trace.status[:3], Status.FOCUSED]


def test_a_fork_is_shown_what_was_seen_or_told_nothing(stacks: StackSet) -> None:
    task = make_task(stacks)
    policy = make("hill_climb", task.spec)
    trace = record(task, policy, STACK, START)
    for step in range(len(trace.moments) - 1):
        places = trace.lanes["command"][: step + 1].astype(int)
        for shown, known in ((True, set(places)), (False, {places[-1]})):
            scores = fork(trace, step, policy, shown=shown).moments[step].memory.scores[0]
            assert set(np.flatnonzero(np.isfinite(scores))) == known
            np.testing.assert_allclose(scores[list(known)], trace.curve[list(known)], rtol=1e-6)


def test_a_fork_told_nothing_meets_an_episode_with_the_moves_that_are_left(stacks: StackSet) -> None:
    task, shorter = make_task(stacks), make_task(stacks, budget=BUDGET - 1)
    trace = record(task, make("hill_climb", task.spec), STACK, START)
    forked = fork(trace, 1, make("hill_climb", task.spec), shown=False)
    begins = int(trace.lanes["command"][1])
    fresh = record(shorter, make("hill_climb", shorter.spec), STACK, begins)
    np.testing.assert_array_equal(forked.lanes["command"][1:], fresh.lanes["command"])


def test_a_sweep_begins_where_it_is_forked(stacks: StackSet) -> None:
    task = make_task(stacks)
    trace = record(task, make("fixed:9", task.spec), STACK, 2)
    policy = make("sweep", task.spec)
    assert fork(trace, 0, policy).lanes["command"].tolist() == [2, *range(12), 7]
    searching = record(task, make("hill_climb", task.spec), STACK, 2)
    assert searching.lanes["command"][1] == 7
    late = fork(searching, 1, policy)
    assert late.whole_stack
    assert late.lanes["command"].tolist() == [2, 7, *range(11, -1, -1), 7]
    assert late.status.tolist() == [Status.SEARCHING] * 14 + [Status.FOCUSED]


def test_a_sweep_is_forked_within_the_steps_of_its_game(stacks: StackSet) -> None:
    task = make_task(stacks, "worn_warm", "dim")
    policy = make("sweep", task.spec)
    trace = record(task, policy, STACK, START)
    same(fork(trace, 0, policy), trace)
    forked = fork(trace, 3, make("stay", task.spec))
    assert (len(forked.moments), forked.whole_stack) == (5, False)
    with pytest.raises(AfsimError, match=r"no move is left at step 4 of a sweep: its game has 4 steps"):
        fork(trace, 4, make("stay", task.spec))


@pytest.mark.parametrize("step", [-1, 1])
def test_only_steps_with_a_decision_can_be_forked(stacks: StackSet, step: int) -> None:
    task = make_task(stacks)
    trace = record(task, make("fixed:4", task.spec), STACK, START)
    with pytest.raises(AfsimError, match=rf"1 moves can be forked at steps 0 \.\.\. 0, got {step}"):
        fork(trace, step, make("stay", task.spec))


@pytest.mark.parametrize(
    ("stack", "start", "seed", "message"),
    [
        (6, 0, 0, r"stack must be integers in 0 \.\.\. 5, got 6"),
        (-1, 0, 0, r"stack must be integers in 0 \.\.\. 5, got -1"),
        (0, 12, 0, r"start must be integers in 0 \.\.\. 11, got 12"),
        (0, -1, 0, r"start must be integers in 0 \.\.\. 11, got -1"),
        (0, 0, -1, r"seed must be in 0 \.\.\. 2\*\*64 - 1, got -1"),
    ],
)
def test_what_does_not_exist_is_refused(stacks: StackSet, stack: int, start: int, seed: int, message: str) -> None:
    task = make_task(stacks)
    with pytest.raises(AfsimError, match=message):
        record(task, make("stay", task.spec), stack, start, seed)


# ---------------------------------------------------------------------- what is kept
def test_an_exact_camera_sees_points_of_the_curve(stacks: StackSet) -> None:
    task = make_task(stacks)
    trace = record(task, make("hill_climb", task.spec), STACK, START)
    np.testing.assert_allclose(trace.curve, mean_local_norm_dist_sq(stacks[STACK].green()), rtol=1e-6)
    seen = [moment.contrast for moment in trace.moments]
    np.testing.assert_allclose(seen, trace.curve[trace.lanes["position"].astype(int)], rtol=1e-6)
    assert (trace.label, trace.truth) == (7, 6.6)


def test_the_belief_is_that_of_the_memory(stacks: StackSet) -> None:
    task = make_task(stacks)
    trace = record(task, Believer(task.spec), STACK, START)
    assert trace.believes
    for step in range(BUDGET):
        expected = np.arange(12.0) ** (step + 1)
        belief = trace.belief(step)
        assert belief is not None
        np.testing.assert_allclose(belief, expected / expected.sum())
    assert not record(task, make("stay", task.spec), STACK, START).believes
