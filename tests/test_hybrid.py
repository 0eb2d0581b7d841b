"""The phone's controller on contrasts and disparities that are fed to it directly: no images, no camera."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.policies import make
from afsim.policies.hybrid_memory import State
from afsim.policies.pdaf import SPEEDS
from afsim.policy import FloatArray, Knowledge, Status
from tests.test_pdaf import INDEX, PEAKS, SPEC, STARTS, TABLE, N, shifts


class Run(NamedTuple):
    """Commands and states (steps + 1, lanes), the memory at the end, and observations (lanes) while it searched."""

    commands: FloatArray
    states: FloatArray
    memory: Any
    observations: FloatArray


def play(
    curves: FloatArray, starts: Any, objects: Any = None, *, tells: Any = None, budget: int = 50, **options: Any
) -> Run:
    """Let the controller search contrast curves (lanes, N); ``objects`` in dioptres, or None: no phase.

    ``tells(step, command)`` says in which lanes there is phase.
    """
    policy = make("hybrid", SPEC, **options)
    command = np.asarray(starts, np.float64)
    lanes = len(command)
    memory = policy.begin(np.arange(lanes, dtype=np.uint64), Knowledge())
    commands, states, observations = [command], [memory.state], np.zeros(lanes)
    for step in range(budget):
        observation: dict[str, Any] = {
            "command": (command / (N - 1)).astype(np.float32)[:, None],
            "steps_left": np.full((lanes, 1), budget - step, np.float32),
            "region": np.zeros((lanes, 2), np.float32),
        }
        observations += memory.status == Status.SEARCHING
        features = np.full((lanes, 3), np.nan)
        features[:, 1] = 0.0
        features[:, 2] = curves[np.arange(lanes), command.astype(int)]
        if objects is not None:
            told = np.broadcast_to(True if tells is None else tells(step, command), lanes)
            features[told, 0] = shifts(policy, np.broadcast_to(objects, lanes), command)[told]
            features[told, 1] = 0.9
        command, memory = policy.decide(features, observation, memory)
        assert ((command >= 0) & (command <= N - 1)).all()
        commands.append(command)
        states.append(memory.state)
    return Run(np.array(commands), np.array(states), memory, observations)


def bells(peaks: Any, width: float, base: float = 0.05) -> FloatArray:
    """Return Gaussian contrast curves (lanes, N) on a pedestal."""
    return np.asarray(base + np.exp(-(((INDEX - np.asarray(peaks, dtype=np.float64)[:, None]) / width) ** 2)))


def reached(curves: FloatArray, run: Run) -> FloatArray:
    """Return the contrast (lanes) at the end."""
    return np.asarray(curves[np.arange(len(curves)), run.commands[-1].astype(int)])


@pytest.mark.parametrize("speed", ["normal", "fast"])
def test_with_phase_it_goes_straight_to_the_object(speed: str) -> None:
    run = play(bells(PEAKS, 6.0), STARTS, TABLE[PEAKS], speed=speed)
    np.testing.assert_array_equal(run.commands[-1], PEAKS)
    assert (run.memory.status == Status.FOCUSED).all()
    np.testing.assert_array_equal(run.states, State.PDAF)
    assert run.observations.max() <= np.ceil(10.0 / SPEEDS[speed].max_slew) + 4


@pytest.mark.parametrize("scan_from", ["end", "lens"])
@pytest.mark.parametrize(("speed", "off"), [("normal", 0), ("fast", 3)])
def test_without_phase_it_scans_to_the_peak_from_every_start(scan_from: str, speed: str, off: int) -> None:
    run, pace = play(bells(PEAKS, 8.0), STARTS, scan_from=scan_from, speed=speed), SPEEDS[speed]
    assert (run.memory.status == Status.FOCUSED).all()
    assert np.abs(run.commands[-1] - PEAKS).max() <= off
    # A coarse scan alone is good to half a step. Dropouts, the range in coarse steps (some of them rounded down),
    # three fine looks, and one to settle.
    coarse = np.ceil((TABLE[-1] - TABLE[0]) / (pace.step_coarse - np.diff(TABLE).max() / 2)) + 1
    assert run.observations.max() <= pace.dropout_frames + coarse + (3 if pace.step_fine else 0) + 1
    assert (run.states == State.FINE).any() == (pace.step_fine > 0)
    assert (run.states == State.COARSE1).any() == (scan_from == "lens")


def test_the_states_follow_each_other() -> None:
    run = play(bells([20], 5.0), [33])
    visited = [State(int(state)) for state in run.states[:, 0]]
    order = [state for i, state in enumerate(visited) if i == 0 or state != visited[i - 1]]
    assert order == [State.PDAF, State.COARSE2, State.FINE, State.SETTLE]
    assert run.commands[:6, 0].tolist() == [33.0] * 6
    assert run.commands[6, 0] == 0
    coarse = run.commands[6:][run.states[6:, 0] == State.COARSE2, 0]
    np.testing.assert_allclose(np.diff(TABLE[coarse.astype(int)]), 1.0, atol=np.diff(TABLE).max() / 2)


def test_a_scan_from_the_lens_turns_about_where_it_did_not_bracket_the_peak() -> None:
    run = play(bells([30], 8.0), [20], scan_from="lens")
    visited = set(run.states[:, 0].tolist())
    assert visited == {State.PDAF, State.COARSE1, State.FINE, State.COARSE2, State.SETTLE}
    turn = int(np.flatnonzero(run.states[:, 0] == State.COARSE2)[0])
    assert run.commands[turn - 1, 0] < 20 < run.commands[turn, 0]
    assert run.commands[-1, 0] == 30


def test_a_phase_that_comes_back_ends_the_scan_early() -> None:
    curves, objects = bells(PEAKS, 8.0), TABLE[PEAKS]
    late = play(curves, STARTS, objects, tells=lambda step, command: step >= 7)
    blind = play(curves, STARTS)
    scanned = PEAKS >= 12
    assert late.observations[scanned].mean() < blind.observations[scanned].mean() - 5
    assert np.abs(late.commands[-1] - PEAKS).max() <= 1
    assert (late.memory.status[scanned] == Status.FOCUSED).all()


def test_a_phase_that_misleads_is_not_believed() -> None:
    curves = bells(PEAKS, 8.0)
    false = (PEAKS + 24) % N
    run = play(curves, STARTS, TABLE[false], tells=lambda step, command: step < 20)
    assert (run.memory.status != Status.SEARCHING).all()
    lanes = np.arange(len(PEAKS))
    best_seen = np.nanmax(run.memory.scores, axis=1)
    focused = run.memory.status == Status.FOCUSED
    assert (reached(curves, run)[focused] >= 0.75 * best_seen[focused]).all()
    np.testing.assert_array_equal(reached(curves, run)[~focused], best_seen[~focused])
    assert (reached(curves, run) >= 0.75 * curves[lanes, STARTS]).all()


@pytest.mark.parametrize("scan_from", ["end", "lens"])
@pytest.mark.parametrize("value", [0.0, 0.3, np.nan, np.inf])
def test_an_even_curve_without_phase_fails(value: float, scan_from: str) -> None:
    run = play(np.full((N, N), value), INDEX, scan_from=scan_from)
    assert (run.memory.status == Status.FAILED).all()
    assert run.observations.max() <= 30
    np.testing.assert_array_equal(run.memory.confidence, 0.0)


def test_flat_noise_fails_at_the_best_slice_seen() -> None:
    curves = 1.0 + 0.05 * np.random.default_rng(0).uniform(-1, 1, (N, N))
    run = play(curves, INDEX)
    assert (run.memory.status == Status.FAILED).all()
    assert (reached(curves, run) >= curves[INDEX, INDEX]).all()


@pytest.mark.parametrize("peak", [-3.0, 0.0, 48.0, 51.0])
def test_a_peak_at_or_beyond_an_end_is_found_at_the_end(peak: float) -> None:
    run = play(bells(np.full(N, peak), 6.0), INDEX)
    assert (run.memory.status == Status.FOCUSED).all()
    np.testing.assert_array_equal(run.commands[-1], np.clip(peak, 0, N - 1))


def test_an_object_far_beyond_the_end_fails_at_the_best_slice() -> None:
    curves = bells(np.full(N, 60.0), 20.0)
    run = play(curves, INDEX, TABLE[-1] + 3.0)
    assert (run.memory.status == Status.FAILED).all()
    np.testing.assert_array_equal(run.commands[-1], N - 1)


@pytest.mark.parametrize("scan_from", ["end", "lens"])
def test_a_saturated_plateau_ends_on_it(scan_from: str) -> None:
    curves = np.minimum(bells(PEAKS, 8.0), 0.8)
    run = play(curves, STARTS, scan_from=scan_from)
    assert (run.memory.status == Status.FOCUSED).all()
    np.testing.assert_allclose(reached(curves, run), 0.8, atol=0.02)


def test_of_two_peaks_it_takes_none_below_the_ratio_of_the_start() -> None:
    curves = np.tile((bells([10], 4.0) + 0.7 * bells([38], 4.0))[0], (N, 1))
    run = play(curves, INDEX)
    assert (run.memory.status != Status.SEARCHING).all()
    assert (reached(curves, run) >= 0.75 * curves[INDEX, INDEX]).all()


@pytest.mark.parametrize("scan_from", ["end", "lens"])
@pytest.mark.parametrize("speed", ["normal", "fast", "normal,step_coarse=0.01,step_fine=3"])
def test_on_any_curve_and_any_phase_it_ends_honestly(scan_from: str, speed: str) -> None:
    rng = np.random.default_rng(1)
    curves, starts = rng.uniform(0.0, 1.0, (100, N)), rng.integers(0, N, 100)
    for objects in (None, TABLE[rng.integers(0, N, 100)]):
        run = play(curves, starts, objects, budget=100, scan_from=scan_from, speed=speed)
        assert (run.memory.status != Status.SEARCHING).all()
        best_seen = np.nanmax(run.memory.scores, axis=1)
        focused = run.memory.status == Status.FOCUSED
        assert (reached(curves, run)[focused] >= 0.75 * best_seen[focused]).all()
        np.testing.assert_array_equal(reached(curves, run)[~focused], best_seen[~focused])


@pytest.mark.parametrize("budget", [8, 10, 12, 15])
def test_a_scan_that_is_cut_short_ends_at_the_best_it_saw(budget: int) -> None:
    curves = bells(PEAKS, 8.0)
    run = play(curves, STARTS, budget=budget)
    assert (reached(curves, run) >= 0.95 * np.nanmax(run.memory.scores, axis=1)).all()


def test_lanes_do_not_know_of_each_other() -> None:
    curves, chosen = bells(PEAKS, 7.0), np.array([5, 100, 300])
    for objects in (None, TABLE[PEAKS]):
        run = play(curves, STARTS, objects, scan_from="lens")
        few = play(curves[chosen], STARTS[chosen], None if objects is None else objects[chosen], scan_from="lens")
        np.testing.assert_array_equal(run.commands[:, chosen], few.commands)
        np.testing.assert_array_equal(run.memory.confidence[chosen], few.memory.confidence)


def test_it_sees_what_the_parts_see() -> None:
    images = np.random.default_rng(0).uniform(size=(3, 2, 128, 128)).astype(np.float32)
    policy, nowhere = make("hybrid", SPEC, measure="sum_modified_laplacian", estimator="ssd"), np.zeros((3, 2))
    seen = policy.features(images, np.zeros(3), nowhere)
    np.testing.assert_array_equal(
        seen[:, :2], make("ssd_disparity:16", SPEC).features(images, np.zeros(3), nowhere)
    )
    contrast = make("hill_climb:sum_modified_laplacian", SPEC).features(images, np.zeros(3), nowhere)
    np.testing.assert_array_equal(seen[:, 2], contrast)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": "warp"}, "unknown speed preset 'warp'"),
        ({"speed": "fast,step_coarse=0"}, "speed step_coarse must be"),
        ({"scan_from": "moon"}, "unknown start of a scan 'moon'; expected one of: end, lens"),
        ({"contrast_ratio": 1.0}, r"contrast_ratio must be in \[0, 1\), got 1.0"),
        ({"measure": "luck"}, "unknown focus measure 'luck'"),
        ({"estimator": "luck"}, "unknown disparity estimator 'luck'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make("hybrid", SPEC, **options)
