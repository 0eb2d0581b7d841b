"""From command to position: codes, gravity, friction, temperature, calibration and reach as specified."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from afsim.actuator import Actuator
from afsim.errors import WithheldError
from afsim.keys import lane_keys
from afsim.lens import IMPERFECTIONS, LENSES, Lens
from afsim.lensstate import LensState
from afsim.optics import uniform49_diopters
from tests.rig import ERRING, EXPOSURE_MS, LEAD_MS, LTA49, TABLE_UM, N, move, one_error, park, steady


# ---------------------------------------------------------------------- codes
def test_an_ideal_lens_is_where_it_was_told_to_be() -> None:
    commands = np.array([0.0, 3.25, 48.0])
    actuator, state = park(Lens(), commands, 3)
    assert actuator.is_exact
    np.testing.assert_array_equal(state["position"], commands)
    np.testing.assert_array_equal(move(actuator, state, commands[::-1])["position"], commands[::-1])
    np.testing.assert_array_equal(actuator.settling_ms(state, commands[::-1], LEAD_MS, 0.5), 0.0)


def test_the_codes_of_the_recordings_are_their_indices() -> None:
    # Their distances are rounded to 0.01 mm: 10 nm of travel.
    _, state = park(one_error(lateral=1.0), np.arange(N), N)
    np.testing.assert_allclose(state["position"], np.arange(N), atol=0.003)


@pytest.mark.parametrize("diopters", [LTA49, uniform49_diopters()])
def test_between_codes_a_lens_goes_to_the_nearest(diopters: np.ndarray) -> None:
    actuator = Actuator(one_error(lateral=1.0), N, diopters)
    commands = np.linspace(0.0, 48.0, 1001)
    state = actuator.park(commands, lane_keys(0, np.arange(1001)), EXPOSURE_MS)
    wanted = np.interp(commands, np.arange(N), actuator.table_um)
    codes = (state["x"] - actuator.table_um[0]) / 0.8954
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-9)
    assert np.abs(state["x"] - wanted).max() <= 0.8954 / 2 + 1e-9


def test_the_driver_accepts_no_codes_beyond_its_own() -> None:
    _, state = park(one_error(lateral=1.0, codes=(10, 100)), np.arange(N), N)
    codes = (state["x"] - TABLE_UM[0]) / 0.8954
    assert codes.min() == pytest.approx(10)
    assert codes.max() == pytest.approx(100)


def test_without_distances_only_an_exact_lens_can_be_moved() -> None:
    assert Actuator(Lens(), 5, None).park(np.array([2.0]), lane_keys(0, [0]), EXPOSURE_MS)["position"] == 2.0
    with pytest.raises(
        WithheldError, match="lens 'worn_warm' needs known focus distances, but the stacks have none"
    ):
        Actuator(LENSES["worn_warm"], 5, None)


@pytest.mark.parametrize("name", IMPERFECTIONS)
def test_every_imperfection_changes_what_the_lens_does(name: str) -> None:
    def seen(lens: Lens) -> tuple[bytes, ...]:
        actuator, state = park(lens, 10.0, 4)
        after = move(actuator, state, 20.0, wait_ms=2.0)
        path, _ = actuator.exposure_path(after, EXPOSURE_MS)
        return path.tobytes(), str(actuator.shifts(after)).encode()

    warm = one_error(lateral=0.1, temperature=20.0, resonance=80.0)
    value: Any = True if name == "ringing" else 0.5
    assert seen(replace(warm, **{name: value})) != seen(warm)


# ---------------------------------------------------------------------- gravity
def upright(resonance: float, gravity: float = 1.0) -> Lens:
    """Make a lens that looks straight up or straight down, as drawn, and errs by gravity alone."""
    return one_error(gravity=gravity, resonance=resonance, orientation=1e9)


def sag_um(lens: Lens) -> float:
    """Return how much farther out a lens stands that looks down than one that looks up."""
    _, state = park(lens, 20.0, 64)
    assert set(state["up"]) == {-1.0, 1.0}
    return float(state["x"][state["up"] < 0].mean() - state["x"][state["up"] > 0].mean())


def test_looking_up_the_lens_sags_by_gravity_over_its_spring() -> None:
    assert sag_um(upright(80.0)) == pytest.approx(77.6, abs=0.05)
    assert sag_um(upright(80.0, gravity=0.15)) == pytest.approx(0.15 * 77.6, abs=0.01)


@pytest.mark.parametrize(
    ("resonance", "sag"), [(50.0, 99.0), (60.0, 69.0), (83.3, 35.8), (105.0, 22.5), (150.0, 11.0)]
)
def test_sag_and_resonance_are_one_number(resonance: float, sag: float) -> None:
    assert sag_um(upright(resonance)) / 2.0 == pytest.approx(sag, abs=0.6)


def test_doubling_the_resonance_quarters_the_sag() -> None:
    assert sag_um(upright(120.0)) == pytest.approx(sag_um(upright(60.0)) / 4.0, rel=1e-9)


def test_a_lens_never_looks_further_up_than_up() -> None:
    _, state = park(one_error(gravity=1.0, orientation=0.7, orientation_law="uniform"), 20.0, 4000)
    assert np.abs(state["up"]).max() <= 0.7
    assert state["up"].std() == pytest.approx(0.7 / math.sqrt(3.0), rel=0.03)
    _, state = park(one_error(gravity=1.0, orientation=0.35), 20.0, 4000)
    assert np.abs(state["up"]).max() <= 1.0
    assert state["up"].std() == pytest.approx(0.35, rel=0.03)


# ---------------------------------------------------------------------- friction
def test_up_and_down_leave_a_loop_as_wide_as_twice_the_half_width() -> None:
    actuator, state = park(one_error(hysteresis=3.0), 5.0)
    up, down = [], []
    for k in range(6, 40):
        state = move(actuator, state, k)
        up.append(float(state["x"][0]))
    for k in range(38, 5, -1):
        state = move(actuator, state, k)
        down.append(float(state["x"][0]))
    # The turn itself takes the width of the loop, two indices.
    np.testing.assert_allclose(np.array(down[::-1])[:-2] - np.array(up[:-1])[:-2], 6.0, atol=1e-9)


@pytest.mark.parametrize(("approach", "side"), [("far", -1.0), ("near", 1.0)])
def test_approached_from_one_side_every_start_hangs_back_alike(approach: str, side: float) -> None:
    _, state = park(one_error(hysteresis=3.0, approach=approach), np.arange(N), N)
    _, free = park(one_error(lateral=1.0), np.arange(N), N)
    np.testing.assert_allclose(state["x"] - free["x"], side * 3.0, atol=1e-9)


def test_approached_from_one_side_the_past_does_not_matter() -> None:
    actuator, state = park(one_error(hysteresis=3.0), np.linspace(0.0, 30.0, 31).round(), 31)
    state = move(actuator, move(actuator, state, np.arange(31) % 7), 40.0)
    assert len(set(state["x"])) == 1


def test_a_random_approach_is_from_either_side() -> None:
    _, state = park(one_error(hysteresis=3.0, approach="random"), 20.0, 400)
    sides, counts = np.unique(np.round(state["x"] - TABLE_UM[20], 1), return_counts=True)
    assert sides.tolist() == [-3.0, 3.0]
    assert 150 < counts[0] < 250


# ---------------------------------------------------------------------- temperature
def focus_um(state: LensState) -> np.ndarray:
    """Return the extension (um) that a cold lens would have where this one is focused."""
    below = np.floor(state["position"]).clip(0, N - 2).astype(int)
    step = TABLE_UM[below + 1] - TABLE_UM[below]
    return np.asarray(TABLE_UM[below] + (state["position"] - below) * step)


def test_hot_lenses_focus_farther() -> None:
    cold, warm, hot = (park(one_error(thermal=0.4, temperature=t), 20.0)[1] for t in (-10.0, 10.0, 30.0))
    assert cold["position"] > warm["position"] > hot["position"]
    assert focus_um(warm) - focus_um(hot) == pytest.approx(0.4 * 20.0)
    assert warm["x"] == hot["x"]  # the glass, not the coil


def test_hot_magnets_push_less_the_farther_they_push() -> None:
    _, cold = park(one_error(magnet=1.1e-3), [0.0, 48.0], 2)
    _, hot = park(one_error(magnet=1.1e-3, temperature=20.0), [0.0, 48.0], 2)
    # 4.4 um at 200 um of travel for +20 K.
    np.testing.assert_allclose(cold["x"] - hot["x"], [0.0, 1.1e-3 * 20.0 * 220 * 0.8954], atol=1e-9)


def test_a_servo_removes_gravity_and_magnet_but_not_what_heat_does_to_the_glass() -> None:
    servo, open_loop = steady("closed_loop", temperature_sd=0.0), steady("worn_warm", temperature_sd=0.0)
    fall = {}
    for lens in (servo, open_loop):
        cold, hot = (focus_um(park(replace(lens, temperature=t), 40.0, 200)[1]) for t in (0.0, 20.0))
        fall[lens.name] = cold - hot
    np.testing.assert_allclose(fall["closed_loop"], 0.4 * 20.0, atol=1e-9)
    assert (fall["worn_warm"] > 0.4 * 20.0 + 2.0).all()
    turned = [sag_um(replace(lens, orientation=1e9, orientation_law="normal")) for lens in (servo, open_loop)]
    assert abs(turned[0]) < 1.0
    assert turned[1] > 90.0


def test_a_lens_warms_up_with_its_time_constant() -> None:
    actuator, state = park(one_error(thermal=0.4, temperature=5.0, warming=10.0, warmup_s=2.0), 20.0)
    codes_um = (TABLE_UM[0] + 0.8954 * np.rint((TABLE_UM - TABLE_UM[0]) / 0.8954))[[20, 21]]
    for step in range(20):
        k = 1 - step % 2
        state = move(actuator, state, 20 + k, wait_ms=300.0, lead_ms=100.0)
        kelvin = 5.0 + 10.0 * (1.0 - math.exp(-0.4 * (step + 1) / 2.0))
        assert focus_um(state)[0] == pytest.approx(codes_um[k] - 0.4 * kelvin, abs=1e-9)


def test_a_lens_that_keeps_its_command_drifts_as_it_warms_up() -> None:
    actuator, state = park(one_error(thermal=0.4, warming=10.0, warmup_s=1.0), 20.0)
    places = [focus_um(state)[0]]
    for _ in range(10):
        state = move(actuator, state, 20.0, wait_ms=900.0, lead_ms=100.0)
        places.append(focus_um(state)[0])
    assert (np.diff(places) < 0).all()
    assert places[0] - places[-1] == pytest.approx(4.0, abs=1e-3)


# ---------------------------------------------------------------------- calibration
def test_offset_gain_and_bow_are_what_they_are_called() -> None:
    commands = np.array([0.0, 24.0, 48.0])
    for field in ("offset", "gain", "bow"):
        actuator = Actuator(one_error(**{field: 0.1}), N, LTA49)
        same_lens = lane_keys(0, [7, 7, 7])
        state = actuator.park(commands, same_lens, EXPOSURE_MS)
        off = state["x"] - park(one_error(lateral=1.0), commands, 3)[1]["x"]
        drawn = float(state[field][0])
        travel = 0.8954 * np.array([0.0, 108.0, 220.0])
        share = travel / (TABLE_UM[-1] - TABLE_UM[0])
        expected = {
            "offset": drawn + 0.0 * share,
            "gain": drawn * travel,
            "bow": drawn * 4.0 * share * (1.0 - share),
        }
        np.testing.assert_allclose(off, expected[field], atol=1e-9)
        assert drawn != 0.0


@pytest.mark.parametrize(
    ("name", "mean", "sd", "rms"),
    [
        ("typical_phone", -0.62, 1.16, 1.31),
        # The mean is that of the same lens with less gravity (-2.6), which shifts nothing; the table has -2.2.
        ("worn_warm", -2.6, 6.4, 6.7),
        ("worn_warm,gravity=0.3", -2.6, 3.2, 4.1),
        ("closed_loop", -0.48, 0.51, 0.70),
    ],
)
def test_static_errors_of_the_presets_are_as_specified(name: str, mean: float, sd: float, rms: float) -> None:
    preset, _, gravity = name.partition(",gravity=")
    lens = steady(preset, **({"gravity": float(gravity)} if gravity else {}))
    commands = np.arange(8000) % N
    _, state = park(lens, commands, len(commands))
    error = state["position"] - commands
    assert error.mean() == pytest.approx(mean, rel=0.08, abs=0.1)
    assert error.std() == pytest.approx(sd, rel=0.08, abs=0.1)
    assert math.sqrt((error**2).mean()) == pytest.approx(rms, rel=0.08, abs=0.1)


def test_what_is_drawn_has_the_spreads_it_is_said_to_have_and_nothing_in_common() -> None:
    _, state = park(LENSES["typical_phone"], 20.0, 20_000)
    lens = LENSES["typical_phone"]
    spreads = {"offset": lens.offset, "gain": lens.gain, "bow": lens.bow, "kelvin": lens.temperature_sd}
    spreads |= {"tremble": lens.jitter, "push": lens.crosstalk, "dx": lens.lateral, "dy": lens.lateral}
    drawn = np.stack([state[field] for field in spreads])
    assert drawn.std(axis=1) == pytest.approx(np.array(list(spreads.values())), rel=0.03)
    means = dict.fromkeys(spreads, 0.0) | {"kelvin": lens.temperature}
    assert (np.abs(drawn.mean(axis=1) - list(means.values())) < 0.03 * np.array(list(spreads.values()))).all()
    drawn = np.vstack([drawn, state["up"], state["detuning"]])
    assert np.abs(np.corrcoef(drawn) - np.eye(len(drawn))).max() < 5.0 / math.sqrt(20_000)


# ---------------------------------------------------------------------- reach
@pytest.mark.parametrize("approach", ["far", "near"])
@pytest.mark.parametrize("name", ERRING)
def test_reach_is_what_commands_reach(name: str, approach: Any) -> None:
    lens = replace(LENSES[name], jitter=0.0, crosstalk=0.0, warming=0.0, approach=approach)
    actuator, state = park(lens, np.repeat([0.0, 20.0, 48.0], 20), 60)
    lowest, highest = actuator.reach(state)
    places = [state["position"]]
    for command in (48.0, 0.0, 24.0, 0.0, 48.0):
        state = move(actuator, state, command)
        places.append(state["position"])
    np.testing.assert_allclose(np.min(places, axis=0), lowest, atol=1e-3)
    np.testing.assert_allclose(np.max(places, axis=0), highest, atol=1e-3)


def test_an_exact_lens_reaches_every_index() -> None:
    actuator, state = park(Lens(), 20.0, 2)
    lowest, highest = actuator.reach(state)
    assert (lowest.tolist(), highest.tolist()) == ([0.0, 0.0], [48.0, 48.0])


def test_beyond_the_recording_the_lens_goes_on_and_its_end_is_seen() -> None:
    actuator, state = park(LENSES["worn_warm"], np.repeat([0.0, 48.0], 200), 400)
    assert (state["position"] < -1.0).any()
    assert (state["position"] > 49.0).any()
    seen, weights = actuator.exposure_path(state, 10.0)
    assert seen.min() == 0.0
    assert seen.max() == 48.0
    rest = weights[:, 0] == 1.0
    np.testing.assert_array_equal(seen[rest, 0], state["position"][rest].clip(0.0, 48.0))
