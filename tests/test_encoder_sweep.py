"""The sweep that reads its own curve: exact without backlash, nearer than a plain sweep with it."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.lens import LENSES, Lens
from afsim.policies import make
from afsim.policy import FloatArray, Knowledge, Status
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.task import FocusTask, TaskSpec
from tests.conftest import make_stack
from tests.rig import one_error

N = 49
INDEX = np.arange(N)
PEAKS, STARTS = (grid.ravel().astype(np.float64) for grid in np.meshgrid(INDEX[::4], INDEX[::2], indexing="ij"))


class Sweep(NamedTuple):
    """Commands (steps + 1, lanes), where the lens ended (lanes), the memory, and observations (lanes)."""

    commands: FloatArray
    places: FloatArray
    memory: Any
    observations: FloatArray


def sweep(peaks: Any, starts: Any, budget: int = 20, *, loop: float = 0.0, **options: Any) -> Sweep:
    """Let the policy search bells under a lens whose play is ``loop`` indices to either side, parked from far."""
    return play(lambda place: bell(np.asarray(peaks), place), starts, budget, loop=loop, **options)


def play(curve: Any, starts: Any, budget: int = 20, *, loop: float = 0.0, n: int = N, **options: Any) -> Sweep:
    policy = make("encoder_sweep", TaskSpec(n, 1, 8, 8, budget), **options)
    command = np.asarray(starts, dtype=np.float64)
    lanes = len(command)
    memory, places = policy.begin(np.arange(lanes, dtype=np.uint64), Knowledge()), command - loop
    commands, observations = [command], np.zeros(lanes)
    for step in range(budget):
        observation: dict[str, Any] = {
            "command": (command / (n - 1)).astype(np.float32)[:, None],
            "steps_left": np.full((lanes, 1), budget - step, np.float32),
        }
        observations += memory.status == Status.SEARCHING
        command, memory = policy.decide(curve(places), observation, memory)
        assert ((command >= 0) & (command <= n - 1)).all()
        places = np.clip(places, command - loop, command + loop)
        commands.append(command)
    return Sweep(np.array(commands), places, memory, observations)


def bell(peaks: Any, place: FloatArray, width: float = 9.0, base: float = 0.0) -> FloatArray:
    return np.asarray(base + np.exp(-(((place - peaks) / width) ** 2)))


def test_without_backlash_it_ends_at_the_peak_from_every_start() -> None:
    run = sweep(PEAKS, STARTS)
    assert (run.memory.status == Status.FOCUSED).all()
    # The sweep sees no farther than the ends: a peak there is the best slice.
    np.testing.assert_array_equal(run.commands[-1], PEAKS)
    # The start, the sweep over the range at the most, and one look from short of the peak.
    assert run.observations.max() <= 1 + (N - 1) // 5 + 2 + 1


@pytest.mark.parametrize("loop", [0.5, 1.0, 2.0])
def test_with_backlash_the_lens_is_where_the_curve_was_highest(loop: float) -> None:
    inside = (PEAKS >= 9) & (PEAKS <= 39)
    run = sweep(PEAKS[inside], STARTS[inside], loop=loop)
    assert (run.memory.status == Status.FOCUSED).all()
    assert np.abs(run.places - PEAKS[inside]).max() <= 1.0
    # Commands alone would be off by all of the loop.
    assert np.abs(run.commands[-1] - PEAKS[inside]).mean() == pytest.approx(loop, abs=0.51)


@pytest.mark.parametrize("lens", [one_error(hysteresis=8.0), replace(LENSES["worn_warm"], lateral=0.0)])
def test_it_ends_nearer_than_a_sweep_that_trusts_its_commands(lens: Lens) -> None:
    stacks = StackSet.from_stacks(make_stack(truth, n=N, seed=i, size=16) for i, truth in enumerate((20.3, 27.6)))
    camera = Camera(stacks, lens)
    errors = {}
    for name, options in {"encoder_sweep": {"step": 2, "short": 4}, "sweep": {}}.items():
        task = FocusTask(camera, budget=40)
        policy = make(f"{name}", task.spec, measure="intensity_variance", **options)
        run = Arena(camera, starts=[0, 12, 40]).play(policy, task)
        errors[name] = np.abs(run.positions[:, -1] - stacks.truth[run.stack])
    assert errors["encoder_sweep"].mean() < 0.6 * errors["sweep"].mean()


def test_backlash_beyond_the_flank_leaves_it_in_range() -> None:
    run = sweep(PEAKS, STARTS, loop=15.0)
    assert (run.memory.status != Status.SEARCHING).all()


@pytest.mark.parametrize("value", [0.0, 0.3, np.nan, np.inf])
def test_an_even_curve_fails_and_restores_the_start(value: float) -> None:
    run = play(lambda place: np.full(len(place), value), INDEX)
    assert (run.memory.status == Status.FAILED).all()
    np.testing.assert_array_equal(run.commands[-1], INDEX)


@pytest.mark.parametrize("seed", range(3))
def test_flat_noise_fails_and_restores_the_start(seed: int) -> None:
    rng = np.random.default_rng(seed)
    run = play(lambda place: 1.0 + 0.05 * rng.uniform(-1, 1, len(place)), INDEX)
    assert (run.memory.status == Status.FAILED).all()
    np.testing.assert_array_equal(run.commands[-1], INDEX)


@pytest.mark.parametrize("peak", [-4.0, 0.0, 48.0, 52.0])
def test_a_peak_at_or_beyond_an_end_is_taken_at_the_end(peak: float) -> None:
    run = sweep(np.full(N, peak), INDEX)
    assert (run.memory.status == Status.FOCUSED).all()
    assert (np.abs(run.commands[-1] - np.clip(peak, 0, N - 1)) <= 1).all()


def test_a_saturated_plateau_ends_on_it() -> None:
    run = play(lambda place: np.minimum(bell(PEAKS, place), 0.8), STARTS)
    assert (run.memory.status == Status.FOCUSED).all()
    assert (bell(PEAKS, run.commands[-1]) >= 0.7).all()


def test_of_two_peaks_it_takes_none_that_is_worse_than_the_start() -> None:
    def two(place: FloatArray) -> FloatArray:
        return np.asarray(bell(10.0, place, 5.0) + 0.7 * bell(38.0, place, 5.0))

    run = play(two, INDEX)
    assert (run.memory.status != Status.SEARCHING).all()
    assert (two(run.commands[-1]) >= 0.85 * two(INDEX.astype(np.float64))).all()


@pytest.mark.parametrize("n", [2, 3, 7, 49])
@pytest.mark.parametrize("step", [1, 5, 100])
def test_on_any_curve_it_ends(n: int, step: int) -> None:
    rng = np.random.default_rng(n)
    curves, starts = rng.uniform(0.0, 1.0, (100, n)), rng.integers(0, n, 100)
    run = play(lambda place: curves[np.arange(100), place.astype(int)], starts, n + 4, n=n, step=step)
    assert (run.memory.status != Status.SEARCHING).all()


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 8])
def test_a_game_that_ends_early_ends_no_worse_than_it_began(budget: int) -> None:
    run = sweep(PEAKS, STARTS, budget)
    assert (bell(PEAKS, run.commands[-1]) >= 0.85 * bell(PEAKS, STARTS)).all()


def test_lanes_do_not_know_of_each_other() -> None:
    chosen = np.array([5, 100, 300])
    run, few = sweep(PEAKS, STARTS, loop=1.3), sweep(PEAKS[chosen], STARTS[chosen], loop=1.3)
    np.testing.assert_array_equal(run.commands[:, chosen], few.commands)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0}, "step must be at least 1 index, got 0"),
        ({"short": 0}, "short must be at least 1"),
        ({"worse": 1.0}, r"worse must be in \[0, 1\), got 1.0"),
        ({"measure": "luck"}, "unknown focus measure 'luck'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make("encoder_sweep", TaskSpec(N, 1, 8, 8, 5), **options)
