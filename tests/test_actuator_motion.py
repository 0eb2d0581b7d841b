"""A lens on its way: what a move and a frame change, ringing and settling, and a state that is a value."""

import math
from dataclasses import replace

import numpy as np
import pytest

from afsim.actuator import Actuator
from afsim.keys import lane_keys
from afsim.lens import LENSES, Lens
from afsim.lensstate import LensState
from afsim.voicecoil import design_ratio
from tests.rig import ERRING, EXPOSURE_MS, LEAD_MS, LTA49, TABLE_UM, N, move, one_error, park, steady


# ---------------------------------------------------------------------- moves and frames
def test_stabiliser_and_sideways_shift_change_with_the_move_and_jitter_with_the_frame() -> None:
    actuator, first = park(LENSES["typical_phone"], 20.0)
    second = move(actuator, first, 20.0)
    third = move(actuator, second, 21.0)
    for field in ("dx", "dy", "push"):
        assert first[field] == second[field] != third[field]
    assert len({float(state["tremble"][0]) for state in (first, second, third)}) == 3


def test_a_command_that_does_not_change_moves_nothing() -> None:
    actuator, state = park(replace(LENSES["worn_warm"], jitter=0.0, warming=0.0), 20.0)
    rested = move(actuator, state, 20.0)
    assert rested["moves"] == state["moves"] == 0
    assert rested["position"] == pytest.approx(state["position"], abs=1e-12)
    assert actuator.settling_ms(state, np.array([20.0]), LEAD_MS, 0.5) == 0.0


def test_shifts_are_the_lenses_own_and_none_where_it_never_shifts() -> None:
    actuator, state = park(one_error(lateral=0.5), 20.0, 3)
    np.testing.assert_array_equal(actuator.shifts(state), np.stack([state["dx"], state["dy"]], axis=1))
    for lens in (Lens(), one_error(offset=1.0)):
        actuator, state = park(lens, 20.0, 3)
        assert actuator.shifts(state) is None


# ---------------------------------------------------------------------- ringing
def test_a_lens_that_does_not_ring_is_there_at_once() -> None:
    actuator, state = park(one_error(offset=2.0), 10.0)
    assert actuator.settling_ms(state, np.array([40.0]), LEAD_MS, 0.5) == 0.0
    assert move(actuator, state, 40.0, wait_ms=0.0)["x"] == park(one_error(offset=2.0), 40.0)[1]["x"]


@pytest.mark.parametrize(
    ("name", "shaper", "expected"),
    [
        ("typical_phone", "ZVD", (4.0, 11.0, 11.0, 12.0)),
        ("typical_phone", "none", (7.0, 37.0, 44.0, 67.0)),
        ("worn_warm", "ZV", (3.0, 31.0, 45.0, 85.0)),
        ("closed_loop", "none", (1.5, 3.0, 5.0, 7.0)),
    ],
)
def test_presets_settle_as_specified(name: str, shaper: str, expected: tuple[float, ...]) -> None:
    medians = []
    for distance in (1, 6, 12, 48):
        actuator, state = park(steady(name, shaper=shaper), np.arange(490) % (N - distance), 490)
        medians.append(np.median(actuator.settling_ms(state, state["command"] + distance, LEAD_MS, 0.5)))
    # Which swing is the last to leave the tolerance depends on little: one more is half a period.
    assert medians == pytest.approx(expected, rel=0.2, abs=1.0)


@pytest.mark.parametrize("shaper", ["none", "slew", "ZV", "ZVD"])
@pytest.mark.parametrize("name", ERRING)
def test_once_settled_a_lens_stays_within_the_tolerance(name: str, shaper: str) -> None:
    actuator, state = park(steady(name, shaper=shaper, thermal=0.0), 15.0, 50)
    command = np.full(50, 30.0)
    wait = actuator.settling_ms(state, command, LEAD_MS, 0.5)
    arrived = actuator.move(state, command, LEAD_MS, wait, EXPOSURE_MS)
    path, _ = actuator.exposure_path(arrived, 150.0)
    end = arrived["end"]
    tolerance = 0.5 * (TABLE_UM[-1] - TABLE_UM[0]) / (N - 1)
    assert np.abs(np.interp(path, np.arange(N), TABLE_UM) - end[:, None]).max() <= tolerance + 0.02
    early = actuator.move(state, command, LEAD_MS, wait - 1.0, EXPOSURE_MS)
    path, _ = actuator.exposure_path(early, 1.0)
    assert (np.abs(np.interp(path, np.arange(N), TABLE_UM) - end[:, None]).max(axis=1) > tolerance).all()


def test_an_exposure_in_motion_follows_the_swing() -> None:
    lens = one_error(ringing=True, resonance=80.0, damping=0.13)
    actuator, state = park(lens, 20.0)
    state = move(actuator, state, 26.0, wait_ms=3.0)
    path, weights = actuator.exposure_path(state, EXPOSURE_MS)
    zeta, omega = 0.13, 2.0 * math.pi * 0.08
    damped = omega * math.sqrt(1.0 - zeta**2)
    t = 3.0 + EXPOSURE_MS * (np.arange(32) + 0.5) / 32
    swing = 1.0 - np.exp(-zeta * omega * t) * (np.cos(damped * t) + zeta * omega / damped * np.sin(damped * t))
    begin, end = (0.8954 * code + TABLE_UM[0] for code in (89, 117))
    np.testing.assert_allclose(path[0], np.interp(begin + (end - begin) * swing, TABLE_UM, np.arange(N)), atol=1e-9)
    np.testing.assert_array_equal(weights, 1.0 / 32)


@pytest.mark.parametrize("name", ERRING)
@pytest.mark.parametrize("command", [14.0, 26.0, 30.0])
def test_the_position_is_the_mean_over_the_exposure(name: str, command: float) -> None:
    actuator, state = park(replace(LENSES[name], shaper="none"), 20.0, 30)
    state = move(actuator, state, command, wait_ms=1.0)
    path, weights = actuator.exposure_path(state, EXPOSURE_MS)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert path.min() >= 0.0
    assert path.max() <= N - 1
    inside = ((path > 0.0) & (path < N - 1)).all(axis=1)
    assert inside.any()
    np.testing.assert_allclose((path * weights).sum(axis=1)[inside], state["position"][inside], atol=1e-9)


def test_a_settled_exposure_is_at_one_place() -> None:
    actuator, state = park(LENSES["typical_phone"], 20.0, 5)
    path, weights = actuator.exposure_path(move(actuator, state, 30.0), EXPOSURE_MS)
    np.testing.assert_array_equal(weights[:, 1:], 0.0)
    np.testing.assert_array_equal(path[:, 0], move(actuator, state, 30.0)["position"])
    actuator, state = park(one_error(offset=1.0), 20.0, 5)
    assert actuator.exposure_path(state, EXPOSURE_MS)[0].shape == (5, 1)


def test_a_swing_goes_on_under_the_same_command_however_time_is_cut() -> None:
    lens = replace(steady("worn_warm"), shaper="ZV")
    actuator, state = park(lens, 10.0, 8)
    once = move(actuator, state, 30.0, wait_ms=40.0)
    cut = move(actuator, state, 30.0, wait_ms=0.5)
    for _ in range(79):
        cut = move(actuator, cut, 30.0, wait_ms=0.2, lead_ms=0.3)
    np.testing.assert_allclose(cut["x"], once["x"], atol=1e-9)
    np.testing.assert_allclose(cut["v"], once["v"], atol=1e-9)


def test_a_command_before_the_last_is_done_begins_where_the_lens_is() -> None:
    actuator, state = park(steady("typical_phone"), 10.0, 4)
    halfway = move(actuator, state, 40.0, wait_ms=5.0)
    back = move(actuator, halfway, 10.0, wait_ms=0.0)
    np.testing.assert_array_equal(back["x"], halfway["x"])
    np.testing.assert_array_equal(back["v"], halfway["v"])
    assert (np.abs(halfway["v"]) > 1.0).all()


@pytest.mark.parametrize("shaper", ["slew", "ZV", "ZVD"])
def test_a_command_before_the_last_is_done_is_shaped_from_where_the_input_is(shaper: str) -> None:
    actuator, state = park(steady("typical_phone", shaper=shaper, thermal=0.0), 10.0, 20)
    halfway = move(actuator, state, 47.0, wait_ms=3.0)
    # The first part of a shaped step, or 3 ms of a ramp.
    ratio, step = design_ratio(0.13), halfway["end"] - halfway["begin"]
    done = {"slew": 66.0 / step, "ZV": 1.0 / (1.0 + ratio), "ZVD": 1.0 / (1.0 + ratio) ** 2}[shaper]
    level = halfway["begin"] + done * step
    np.testing.assert_allclose(move(actuator, halfway, 20.0, wait_ms=0.0)["begin"], level, atol=1e-9)
    # So its settling is that of the input as it is.
    command = np.full(20, 20.0)
    wait = actuator.settling_ms(halfway, command, 0.0, 0.5)
    arrived = actuator.move(halfway, command, 0.0, wait, EXPOSURE_MS)
    path, _ = actuator.exposure_path(arrived, 150.0)
    tolerance = 0.5 * (TABLE_UM[-1] - TABLE_UM[0]) / (N - 1)
    assert np.abs(np.interp(path, np.arange(N), TABLE_UM) - arrived["end"][:, None]).max() <= tolerance + 0.02


# ---------------------------------------------------------------------- a state is a value
def played(actuator: Actuator, state: LensState, commands: np.ndarray) -> LensState:
    """Move through rows of commands, each exposed while the lens may still swing."""
    for row in commands:
        state = actuator.move(state, row, LEAD_MS, np.full(len(state), 4.0), EXPOSURE_MS)
    return state


@pytest.mark.parametrize("name", LENSES)
def test_a_batch_is_its_single_lenses_bit_for_bit(name: str) -> None:
    actuator, keys = Actuator(LENSES[name], N, LTA49), lane_keys(3, np.arange(12))
    rng = np.random.default_rng(0)
    start, commands = rng.integers(0, N, 12).astype(np.float64), rng.integers(0, N, (5, 12)).astype(np.float64)
    batch = played(actuator, actuator.park(start, keys, EXPOSURE_MS), commands)
    paths, weights = actuator.exposure_path(batch, EXPOSURE_MS)
    spent = actuator.settling_ms(batch, commands[0], LEAD_MS, 0.5)
    for i in range(12):
        one = slice(i, i + 1)
        single = played(actuator, actuator.park(start[one], keys[one], EXPOSURE_MS), commands[:, one])
        assert single.tobytes() == batch[one].tobytes()
        path, weight = actuator.exposure_path(single, EXPOSURE_MS)
        np.testing.assert_array_equal((path, weight), (paths[one], weights[one]))
        np.testing.assert_array_equal(actuator.settling_ms(single, commands[0, one], LEAD_MS, 0.5), spent[one])


@pytest.mark.parametrize("name", ERRING)
def test_the_same_seed_gives_the_same_bits_and_another_other_lenses(name: str) -> None:
    commands = np.tile([[5.0], [40.0], [12.0]], (1, 8))
    again = [played(*park(LENSES[name], 20.0, 8, seed=seed), commands) for seed in (1, 1, 2)]
    assert again[0].tobytes() == again[1].tobytes()
    assert (again[0]["x"] != again[2]["x"]).all()


@pytest.mark.parametrize("name", ERRING)
def test_a_fork_from_an_old_state_repeats(name: str) -> None:
    actuator, old = park(LENSES[name], 20.0, 8)
    kept = old.tobytes()
    commands = np.tile([[5.0], [40.0], [12.0]], (1, 8))
    once = played(actuator, old, commands)
    played(actuator, old, commands[::-1])
    assert old.tobytes() == kept
    assert played(actuator, old, commands).tobytes() == once.tobytes()


def test_how_a_lens_errs_does_not_depend_on_where_it_starts() -> None:
    _, here = park(LENSES["worn_warm"], 3.0, 8)
    _, there = park(LENSES["worn_warm"], 44.0, 8)
    for field in ("offset", "gain", "bow", "up", "kelvin", "detuning"):
        np.testing.assert_array_equal(here[field], there[field])
