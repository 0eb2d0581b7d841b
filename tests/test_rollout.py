"""Rollouts: every pair is played once, however the work is cut, and what a policy spent is charged by hand."""

from dataclasses import dataclass, fields
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import afsim.envs
from afsim import rollout
from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.optics import lens_extension_um, lta49_diopters
from afsim.policies import POLICIES
from afsim.policy import FocusPolicy, Status
from afsim.rollout import Arena, Episodes, budgets
from afsim.stackset import StackSet
from afsim.task import FocusTask, Observation
from tests.conftest import make_stack
from tests.seating import make

UNPRIVILEGED = [name for name, kind in POLICIES.items() if not kind.requires & {"stack", "truth"}]


@dataclass(frozen=True)
class OnlyPredict:
    """A policy of which nothing is known but SB3's ``predict``."""

    policy: FocusPolicy

    def predict(
        self, observation: Observation, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Pass on what is seen."""
        return self.policy.predict(observation, state, episode_start, deterministic)


def play(stacks: StackSet, name: str, *, budget: int = 4, **arena: Any) -> Episodes:
    camera = Camera(stacks)
    task = FocusTask(camera, budget=budget, reward="sharpness")
    return Arena(camera, **arena).play(make(name, task.spec), task)


def same(one: Episodes, other: Episodes, rows: Any = slice(None)) -> None:
    """Check that two rollouts did the same; ``rows`` chooses those of ``one`` that ``other`` has."""
    for field in fields(Episodes):
        a, b = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(a if np.ndim(a) == 0 else a[rows], b, err_msg=field.name)


@pytest.mark.parametrize("name", POLICIES)
def test_every_pair_is_played_once(stacks: StackSet, name: str) -> None:
    episodes = play(stacks, name)
    pairs = list(zip(episodes.stack.tolist(), episodes.start.tolist(), strict=True))
    assert pairs == [(i, k) for i in range(len(stacks)) for k in range(stacks.n)]
    np.testing.assert_array_equal(episodes.positions[:, 0], episodes.start)
    assert episodes.positions.shape == episodes.times.shape == episodes.status.shape


@pytest.mark.parametrize("name", POLICIES)
def test_the_width_of_a_chunk_changes_nothing(stacks: StackSet, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = play(stacks, name)
    monkeypatch.setattr(rollout, "_LANES_OF_NUMBERS", 7)
    same(whole, play(stacks, name))


@pytest.mark.parametrize("name", POLICIES)
def test_a_subset_of_starts_repeats_its_episodes(stacks: StackSet, name: str) -> None:
    starts = [0, 5, 11]
    whole = play(stacks, name, seed=3)
    same(whole, play(stacks, name, seed=3, starts=starts), np.isin(whole.start, starts))


@pytest.mark.parametrize("starts", [[], [-1], [12]])
def test_starts_that_are_no_indices_are_refused(stacks: StackSet, starts: list[int]) -> None:
    with pytest.raises(AfsimError, match=r"indices in 0 \.\.\. 11"):
        Arena(Camera(stacks), starts=starts)


def test_a_negative_seed_is_refused(stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match=r"seed must be in 0 ... 2\*\*64 - 1, got -1"):
        Arena(Camera(stacks), seed=-1)


@pytest.mark.parametrize("name", UNPRIVILEGED)
def test_kept_features_play_as_the_pixels_do(stacks: StackSet, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera(stacks)
    task = FocusTask(camera, budget=4)
    policy = make(name, task.spec)
    kept = Arena(camera).play(policy, task)
    same(kept, Arena(camera).play(OnlyPredict(policy), task))
    # Cut into chunks as well; a foreign policy's own draws would then begin anew with each chunk.
    if name != "random":
        monkeypatch.setattr(rollout, "_LANES_OF_IMAGES", 5)
        same(kept, Arena(camera).play(OnlyPredict(policy), task))


@pytest.mark.parametrize("name", [name for name in UNPRIVILEGED if name != "random"])
def test_a_rollout_is_the_environment_played_by_hand(stacks: StackSet, name: str) -> None:
    episodes = play(stacks, name)
    env = gym.make(afsim.envs.ENVIRONMENT_ID, stacks=stacks, steps=4)
    policy = make(name, FocusTask(Camera(stacks), budget=4).spec)
    for lane in (0, 17, 40, 71):
        observation, info = env.reset(options={"stack": episodes.stack[lane], "start": episodes.start[lane]})
        state, done = None, False
        positions = [info["position"]]
        while not done:
            action, state = policy.predict(observation, state)
            observation, _, done, _, info = env.step(action)
            positions.append(info["position"])
        np.testing.assert_array_equal(episodes.positions[lane], positions)
        assert (episodes.moves[lane], episodes.travel_um[lane]) == (info["moves"], info["travel_um"])


def test_a_random_policy_meets_the_same_draws_whatever_was_played_before(stacks: StackSet) -> None:
    camera = Camera(stacks)
    task = FocusTask(camera, budget=3)
    arena = Arena(camera)
    first = arena.play(make("random", task.spec), task)
    arena.play(make("hill_climb", task.spec), task)
    same(first, arena.play(make("random", task.spec), task))
    assert (Arena(camera, seed=1).play(make("random", task.spec), task).positions != first.positions).any()


def test_a_random_policy_draws_the_same_under_every_budget(stacks: StackSet) -> None:
    np.testing.assert_array_equal(
        play(stacks, "random", budget=3).positions, play(stacks, "random", budget=5).positions[:, :4]
    )


def test_the_oracle_ends_at_the_rounded_truth(stacks: StackSet) -> None:
    episodes = play(stacks, "oracle")
    np.testing.assert_array_equal(episodes.positions[:, -1], np.floor(stacks.truth + 0.5)[episodes.stack])


def test_staying_costs_no_moves_and_no_travel(stacks: StackSet) -> None:
    episodes = play(stacks, "stay")
    np.testing.assert_array_equal(episodes.positions, episodes.start[:, None].repeat(5, axis=1))
    for spent in (episodes.moves, episodes.reversals, episodes.travel_index, episodes.travel_um):
        assert not spent.any()


def test_a_policy_that_has_finished_stops_counting(stacks: StackSet) -> None:
    # It goes to the index at its first step and says that it is done, whatever the budget.
    episodes = play(stacks, "fixed:4", budget=6)
    assert (episodes.length == 1).all()
    assert (episodes.observations == 1).all()
    np.testing.assert_array_equal(episodes.times[:, 1:], episodes.times[:, 1:2].repeat(6, axis=1))
    np.testing.assert_array_equal(episodes.moves, episodes.start != 4)
    assert (episodes.status[:, 0] == Status.SEARCHING).all()
    assert (episodes.status[:, 1:] == Status.FOCUSED).all()


def test_a_sweep_is_charged_to_the_nearer_end_across_and_back_to_the_peak() -> None:
    stacks = StackSet.from_stacks([make_stack(9.0)])
    episodes = play(stacks, "sweep")
    assert episodes.whole_stack
    assert len(episodes.length) == stacks.n
    um = lens_extension_um(lta49_diopters()[: stacks.n])
    # From 3: to 0, across to 11, to 9. From 10: to 11, across to 0, to 9.
    assert episodes.positions[3].tolist() == [3, *range(12), 9]
    assert episodes.positions[10].tolist() == [10, *range(11, -1, -1), 9]
    assert episodes.travel_index[[3, 10]].tolist() == [3 + 11 + 2, 1 + 11 + 9]
    whole = abs(um[11] - um[0])
    expected = [abs(um[3] - um[0]) + whole + abs(um[11] - um[9]), abs(um[11] - um[10]) + whole + abs(um[9] - um[0])]
    np.testing.assert_allclose(episodes.travel_um[[3, 10]], expected, rtol=1e-12)
    assert episodes.reversals[[3, 10]].tolist() == [2, 2]
    assert episodes.moves[[3, 10]].tolist() == [1 + 11 + 1, 1 + 11 + 1]
    assert (episodes.observations == stacks.n).all()


def test_a_sweep_takes_a_frame_for_every_index_and_then_decides() -> None:
    stacks = StackSet.from_stacks([make_stack(9.0)])
    timing = FocusTask(Camera(stacks)).spec.timing
    expected = [*(k * timing.frame_ms for k in range(13)), 12 * timing.frame_ms + timing.decision_ms]
    np.testing.assert_allclose(play(stacks, "sweep").times[3], expected)


def test_without_distances_travel_is_in_indices_and_the_rest_is_withheld(unlabelled_stacks: StackSet) -> None:
    for name in ("sweep", "hill_climb"):
        episodes = play(unlabelled_stacks, name)
        assert np.isfinite(episodes.travel_index).all()
        assert np.isnan(episodes.travel_um).all()
        assert np.isnan(episodes.times[:, -1]).all()


def test_progress_tells_of_every_episode(stacks: StackSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "_LANES_OF_NUMBERS", 30)
    camera = Camera(stacks)
    task = FocusTask(camera, budget=2)
    told: list[int] = []
    Arena(camera).play(make("stay", task.spec), task, progress=told.append)
    assert told == [30, 30, 12]


def test_policies_with_the_same_features_share_them(stacks: StackSet) -> None:
    arena = Arena(Camera(stacks))
    task = FocusTask(arena.camera)
    features = [arena.features(make(name, task.spec)) for name in ("sweep", "hill_climb")]
    assert features[0] is features[1]
    assert features[0].shape == (len(stacks), stacks.n)


def test_budgets_are_one_to_the_number_of_steps() -> None:
    assert list(budgets(3)) == [1, 2, 3]
    with pytest.raises(AfsimError, match="at least 1, got 0"):
        list(budgets(0))
