"""The V-curve on curves that are fed to it directly: no images, no camera."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.policies import make
from afsim.policy import FloatArray, Knowledge, Status
from afsim.task import TaskSpec

N = 49
INDEX = np.arange(N)
PEAKS, STARTS = (grid.ravel() for grid in np.meshgrid(INDEX[::4], INDEX, indexing="ij"))


class Walk(NamedTuple):
    """Commands (steps + 1, lanes), the memory at the end, and observations (lanes) while it searched."""

    commands: FloatArray
    memory: Any
    observations: FloatArray


def walk(curves: FloatArray, starts: Any, budget: int = 20, **options: Any) -> Walk:
    """Let the policy search each curve (lanes, n) from its start."""
    lanes, n = curves.shape
    policy = make("curve_fit", TaskSpec(n, 1, 8, 8, budget), **options)
    memory = policy.begin(np.arange(lanes, dtype=np.uint64), Knowledge())
    commands, observations = [np.asarray(starts, dtype=np.float64)], np.zeros(lanes)
    for step in range(budget):
        here = commands[-1]
        observation: dict[str, Any] = {
            "command": (here / (n - 1)).astype(np.float32)[:, None],
            "steps_left": np.full((lanes, 1), budget - step, np.float32),
        }
        observations += memory.status == Status.SEARCHING
        command, memory = policy.decide(curves[np.arange(lanes), here.astype(int)], observation, memory)
        assert ((command >= 0) & (command <= n - 1)).all()
        commands.append(command)
    return Walk(np.array(commands), memory, observations)


def bells(peaks: Any, width: float, base: float = 0.05) -> FloatArray:
    """Return Gaussian contrast curves (lanes, N) on a pedestal."""
    return np.asarray(base + np.exp(-(((INDEX - np.asarray(peaks, dtype=np.float64)[:, None]) / width) ** 2)))


def hyperbolas(peaks: Any, width: float) -> FloatArray:
    """Return contrast (lanes, N) that falls as the inverse of a blur."""
    return np.asarray(1.0 / np.sqrt(1.0 + ((INDEX - np.asarray(peaks, dtype=np.float64)[:, None]) / width) ** 2))


@pytest.mark.parametrize(
    ("model", "curves"),
    [
        ("gaussian", bells(PEAKS, 9.0, 0.0)),
        ("hyperbola", hyperbolas(PEAKS, 6.0)),
        ("parabola", np.maximum(1.0 - ((INDEX - PEAKS[:, None]) / 47.5) ** 2, 0.0)),
    ],
    ids=["gaussian", "hyperbola", "parabola"],
)
def test_it_ends_focused_at_the_peak_of_its_model_from_every_start(model: str, curves: FloatArray) -> None:
    run = walk(curves, STARTS, model=model)
    inside = (PEAKS > 0) & (PEAKS < N - 1)
    assert (run.memory.status[inside] == Status.FOCUSED).all()
    np.testing.assert_array_equal(run.commands[-1, inside], PEAKS[inside])
    # All slices of the walk, both ends, the start off its grid, and a look at the peak.
    assert run.observations.max() <= (N - 1) // 5 + 5


@pytest.mark.parametrize("model", ["hyperbola", "gaussian"])
def test_it_ends_near_the_peak_of_a_bell_on_a_pedestal(model: str) -> None:
    run = walk(bells(PEAKS, 10.0), STARTS, model=model)
    error = np.abs(run.commands[-1] - PEAKS)
    focused = run.memory.status == Status.FOCUSED
    assert focused.mean() > 0.85
    assert error[focused].mean() < 0.5


def test_a_peak_at_or_beyond_an_end_is_refused_or_right() -> None:
    for peak in (-4.0, 0.0, 48.0, 52.0):
        run = walk(bells(np.full(N, peak), 9.0), INDEX)
        ended_well = np.abs(run.commands[-1] - np.clip(peak, 0, N - 1)) <= 2
        restored = (run.memory.status == Status.FAILED) & (run.commands[-1] == INDEX)
        assert (ended_well | restored).all()


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_an_even_curve_fails_and_restores_the_start(value: float) -> None:
    run = walk(np.full((N, N), value), INDEX)
    assert (run.memory.status == Status.FAILED).all()
    np.testing.assert_array_equal(run.commands[-1], INDEX)
    np.testing.assert_array_equal(run.memory.confidence, 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_flat_noise_fails_and_restores_the_start(seed: int) -> None:
    run = walk(1.0 + 0.05 * np.random.default_rng(seed).uniform(-1, 1, (N, N)), INDEX)
    assert (run.memory.status == Status.FAILED).all()
    np.testing.assert_array_equal(run.commands[-1], INDEX)


def test_a_start_in_flat_noise_does_not_hide_the_peak() -> None:
    noise = 0.02 * np.random.default_rng(0).uniform(-1, 1, (len(PEAKS), N))
    run = walk(bells(PEAKS, 8.0, base=1.0) + noise, STARTS)
    focused = run.memory.status == Status.FOCUSED
    inside = (PEAKS >= 5) & (PEAKS <= N - 6)
    assert focused[inside].mean() > 0.9
    assert (np.abs(run.commands[-1] - PEAKS)[focused & inside] <= 2).mean() > 0.95


def test_a_saturated_plateau_ends_on_it() -> None:
    centres = np.arange(12, 37, 4)
    curves = np.minimum(bells(centres, 9.0), 0.8)
    run = walk(np.repeat(curves, N, axis=0), np.tile(INDEX, len(centres)))
    ends, focused = run.commands[-1].astype(int), run.memory.status == Status.FOCUSED
    assert focused.mean() > 0.9
    heights = np.repeat(curves, N, axis=0)[np.arange(len(ends)), ends]
    np.testing.assert_allclose(heights[focused], 0.8)


def test_of_two_peaks_it_claims_none_that_is_worse_than_the_start() -> None:
    curve = (bells(np.array([10.0]), 6.0) + 0.8 * bells(np.array([38.0]), 6.0))[0]
    run = walk(np.tile(curve, (N, 1)), INDEX)
    assert (run.memory.status != Status.SEARCHING).all()
    focused = run.memory.status == Status.FOCUSED
    assert focused.any()
    assert (curve[run.commands[-1, focused].astype(int)] >= 0.85 * curve[focused]).all()


@pytest.mark.parametrize("n", [2, 3, 7, 49])
@pytest.mark.parametrize("step", [1, 5, 100])
@pytest.mark.parametrize("model", ["hyperbola", "parabola"])
def test_on_any_curve_it_ends_and_no_result_is_worse_than_the_start(n: int, step: int, model: str) -> None:
    rng = np.random.default_rng(n)
    curves, starts = rng.uniform(0.0, 1.0, (50, n)), rng.integers(0, n, 50)
    run = walk(curves, starts, budget=n + 4, step=step, model=model)
    lanes, ends = np.arange(50), run.commands[-1].astype(int)
    assert (run.memory.status != Status.SEARCHING).all()
    assert (curves[lanes, ends] >= 0.85 * curves[lanes, starts]).all()
    failed = run.memory.status == Status.FAILED
    np.testing.assert_array_equal(ends[failed], starts[failed])


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 8])
def test_a_game_that_ends_early_ends_no_worse_than_it_began(budget: int) -> None:
    curves = bells(PEAKS, 8.0)
    lanes = np.arange(len(PEAKS))
    ends = walk(curves, STARTS, budget).commands[-1].astype(int)
    assert (curves[lanes, ends] >= 0.95 * curves[lanes, STARTS]).all()


def test_one_highlight_does_not_mislead_it() -> None:
    curves = hyperbolas(PEAKS, 6.0)
    curves[:, 5] *= 1.5
    chosen = (PEAKS >= 20) & (PEAKS <= 40)
    run = walk(curves[chosen], STARTS[chosen])
    focused = run.memory.status == Status.FOCUSED
    assert (np.abs(run.commands[-1] - PEAKS[chosen])[focused] <= 1).mean() > 0.95


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_contrast_that_is_no_number_never_escapes(value: float) -> None:
    curves = bells(PEAKS, 8.0)
    curves[np.random.default_rng(0).uniform(size=curves.shape) < 0.2] = value
    run = walk(curves, STARTS)
    assert np.isfinite(run.commands).all()
    assert np.isfinite(run.memory.confidence).all()
    assert (walk(np.full((N, N), value), INDEX).memory.status == Status.FAILED).all()


def test_lanes_do_not_know_of_each_other() -> None:
    curves, chosen = bells(PEAKS, 7.0), np.array([5, 300, 600])
    run, few = walk(curves, STARTS), walk(curves[chosen], STARTS[chosen])
    np.testing.assert_array_equal(run.commands[:, chosen], few.commands)


def test_the_walk_is_equal_steps_from_outside() -> None:
    run = walk(hyperbolas(np.array([20.0]), 6.0), [14])
    assert run.commands[:7, 0].tolist() == [14, 4, 9, 19, 24, 29, 34]
    np.testing.assert_array_equal(run.commands[7:, 0], 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0}, "step must be at least 1 index, got 0"),
        ({"outward": 0}, "outward must be at least 1"),
        ({"r_squared": 1.0}, r"r_squared must be in \[0, 1\), got 1.0"),
        ({"worse": -0.1}, r"worse must be in \[0, 1\), got -0.1"),
        ({"model": "spline"}, "unknown curve model 'spline'"),
        ({"measure": "luck"}, "unknown focus measure 'luck'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make("curve_fit", TaskSpec(N, 1, 8, 8, 5), **options)
