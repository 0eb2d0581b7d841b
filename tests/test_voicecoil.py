"""The spring: closed forms, a numerical integrator, shapers that cancel the ringing, and friction."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from afsim.voicecoil import (
    NO_SHAPER,
    SHAPERS,
    SLEW,
    ZV,
    ZVD,
    Spring,
    Step,
    amplitude,
    design_ratio,
    glide,
    omega_per_ms,
    play,
    settling,
    shaped,
    swing,
)

OMEGA = omega_per_ms(80.0)
ZETA = 0.13
SPRING = Spring(OMEGA, ZETA)
STEP_UM = 100.0
SLEW_UM_PER_MS = 22.0


def damped_period(omega: float = OMEGA, zeta: float = ZETA) -> float:
    """Return the period in milliseconds of a spring that rings."""
    return 2.0 * math.pi / (omega * math.sqrt(1.0 - zeta**2))


def follow(
    kind: int, times: np.ndarray, *, zeta: float = ZETA, mistuning: float = 0.0, end: float = STEP_UM
) -> np.ndarray:
    """Return positions (um) at ``times`` (ms, increasing from 0) after a step from 0, one glide after another."""
    period = damped_period(zeta=zeta) / (1.0 + mistuning)
    step = Step(kind, 0.0, end, period, design_ratio(zeta), SLEW_UM_PER_MS)
    x, v, positions = 0.0, 0.0, [0.0]
    for now, later in pairwise(times):
        x, v = glide(x, v, step, now, later - now, Spring(OMEGA, zeta))
        positions.append(x)
    return np.array(positions)


def overshoot(kind: int, **options: float) -> float:
    """Return by what share of the step the lens runs past its end, or swings away from it later."""
    times = np.arange(0.0, 100.0, 0.02)
    return float(follow(kind, times, **options).max() / STEP_UM - 1.0)


def rings_on(kind: int, **options: float) -> float:
    """Return the largest distance from the end, over the step, once the shaped input has come to its end."""
    times = np.arange(0.0, 100.0, 0.02)
    late = times > 1.2 * damped_period()
    return float(np.abs(follow(kind, times, **options)[late] / STEP_UM - 1.0).max())


# ---------------------------------------------------------------------- one piece of the input
@pytest.mark.parametrize("zeta", [0.01, 0.13, 0.7, 0.99])
@pytest.mark.parametrize("rate", [0.0, 3.0])
def test_a_swing_solves_the_equation_of_motion(zeta: float, rate: float) -> None:
    def acceleration(t: float, state: np.ndarray) -> list[float]:
        x, v = state
        return [v, -2.0 * zeta * OMEGA * v - OMEGA**2 * (x - (20.0 + rate * t))]

    times = np.array([0.0, 0.3, 6.0, 30.0])
    solution = solve_ivp(acceleration, (0.0, 30.0), [5.0, 2.0], t_eval=times, rtol=1e-10, atol=1e-10)
    for i, t in enumerate(times):
        found = swing(5.0, 2.0, 20.0, rate, Spring(OMEGA, zeta), float(t))
        np.testing.assert_allclose(found, solution.y[:, i], atol=1e-6)


@pytest.mark.parametrize("zeta", [0.1, 0.13, 0.2, 0.7])
def test_a_step_answers_as_textbooks_say(zeta: float) -> None:
    t = np.linspace(0.0, 40.0, 81)
    damped = OMEGA * math.sqrt(1.0 - zeta**2)
    expected = 1.0 - np.exp(-zeta * OMEGA * t) * (
        np.cos(damped * t) + zeta / math.sqrt(1.0 - zeta**2) * np.sin(damped * t)
    )
    found = [swing(0.0, 0.0, 1.0, 0.0, Spring(OMEGA, zeta), float(each))[0] for each in t]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_behind_a_ramp_the_lens_lags_by_twice_damping_times_rate_over_frequency() -> None:
    rate, long = 3.0, 400.0
    x, v = swing(0.0, 0.0, 0.0, rate, SPRING, long)
    assert x == pytest.approx(rate * long - 2.0 * ZETA * rate / OMEGA, abs=1e-6)
    assert v == pytest.approx(rate, abs=1e-6)


def test_at_rest_nothing_moves() -> None:
    assert swing(7.0, 0.0, 7.0, 0.0, SPRING, 12.3) == (7.0, 0.0)


def test_time_that_does_not_pass_changes_nothing() -> None:
    assert swing(3.0, -2.0, 7.0, 1.5, SPRING, 0.0) == pytest.approx((3.0, -2.0), abs=1e-12)


def test_the_angular_frequency_is_per_millisecond() -> None:
    assert omega_per_ms(1000.0) == pytest.approx(2.0 * math.pi)


# ---------------------------------------------------------------------- ringing
@pytest.mark.parametrize(("zeta", "share"), [(0.1, 0.7292), (0.13, 0.6624), (0.2, 0.5266), (0.7, 0.0460)])
def test_an_unshaped_step_overshoots_by_the_damping_alone(zeta: float, share: float) -> None:
    assert design_ratio(zeta) == pytest.approx(share, abs=5e-5)
    assert overshoot(NO_SHAPER, zeta=zeta) == pytest.approx(share, abs=1e-4)


@pytest.mark.parametrize("zeta", [0.1, 0.13, 0.7])
def test_the_first_peak_comes_after_half_a_damped_period(zeta: float) -> None:
    times = np.arange(0.0, 20.0, 0.01)
    assert times[follow(NO_SHAPER, times, zeta=zeta).argmax()] == pytest.approx(
        damped_period(zeta=zeta) / 2.0, abs=0.02
    )


def test_the_amplitude_bounds_what_is_still_to_come_and_is_touched() -> None:
    x, v = 8.0, 3.0
    later = [swing(x, v, 5.0, 0.0, SPRING, t)[0] - 5.0 for t in np.arange(0.0, 60.0, 0.01)]
    bound = amplitude(x, v, 5.0, SPRING)
    fading = bound * np.exp(-ZETA * OMEGA * np.arange(0.0, 60.0, 0.01))
    assert (np.abs(later) <= fading + 1e-9).all()
    assert np.max(np.abs(later) / fading) == pytest.approx(1.0, abs=1e-3)


# ---------------------------------------------------------------------- shaped input
@pytest.mark.parametrize("kind", SHAPERS.values(), ids=SHAPERS)
def test_the_result_does_not_depend_on_how_time_is_cut(kind: int) -> None:
    coarse = follow(kind, np.arange(0.0, 40.001, 1.0))
    fine = follow(kind, np.arange(0.0, 40.0001, 0.05))
    np.testing.assert_allclose(fine[::20], coarse, rtol=0, atol=1e-9)
    assert follow(kind, np.array([0.0, 40.0]))[-1] == pytest.approx(coarse[-1], abs=1e-9)


@pytest.mark.parametrize("kind", SHAPERS.values(), ids=SHAPERS)
def test_gliding_agrees_with_an_integrator_across_the_edges(kind: int) -> None:
    def motion(t: float, state: np.ndarray) -> list[float]:
        x, v = state
        rest = shaped(Step(kind, 0.0, STEP_UM, damped_period(), design_ratio(ZETA), SLEW_UM_PER_MS), t)[0]
        return [v, -2.0 * ZETA * OMEGA * v - OMEGA**2 * (x - rest)]

    times = np.arange(0.0, 31.0, 1.0)
    solution = solve_ivp(motion, (0.0, 30.0), [0.0, 0.0], t_eval=times, max_step=0.01, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(follow(kind, times), solution.y[0], atol=0.1)


@pytest.mark.parametrize("kind", SHAPERS.values(), ids=SHAPERS)
@pytest.mark.parametrize(("begin", "end"), [(0.0, 100.0), (30.0, -20.0), (5.0, 5.0)])
def test_a_shaped_step_goes_from_its_begin_to_its_end_and_not_beyond(kind: int, begin: float, end: float) -> None:
    level = np.array(
        [shaped(Step(kind, begin, end, 12.0, 0.66, SLEW_UM_PER_MS), t)[0] for t in np.arange(0.0, 20.0, 0.1)]
    )
    low, high = sorted((begin, end))
    assert ((level >= low - 1e-12) & (level <= high + 1e-12)).all()
    assert (np.sign(end - begin) * np.diff(level) >= -1e-12).all()
    assert level[-1] == end


def test_the_parts_of_a_shaped_step_are_those_of_singer_and_seering() -> None:
    k = design_ratio(ZETA)
    at = (0.0, 6.1, 12.1)
    zv = [shaped(Step(ZV, 0.0, 1.0, 12.0, k, SLEW_UM_PER_MS), t)[0] for t in at]
    zvd = [shaped(Step(ZVD, 0.0, 1.0, 12.0, k, SLEW_UM_PER_MS), t)[0] for t in at]
    assert zv == pytest.approx([1.0 / (1.0 + k), 1.0, 1.0])
    assert np.diff([0.0, *zvd]) == pytest.approx(np.array([1.0, 2.0 * k, k**2]) / (1.0 + k) ** 2)


def test_a_slewed_step_ramps_at_its_rate() -> None:
    # The driver DW9714 by default: 220 codes of 0.8954 um in about 9 ms.
    level, rate, edge = shaped(Step(SLEW, 0.0, 220 * 0.8954, 12.0, 0.66, SLEW_UM_PER_MS), 2.0)
    assert (level, rate) == (44.0, 22.0)
    assert edge == pytest.approx(8.95, abs=0.01)
    assert shaped(Step(SLEW, 50.0, 0.0, 12.0, 0.66, SLEW_UM_PER_MS), 2.0)[:2] == (6.0, -22.0)


def test_a_matched_shaper_hardly_overshoots() -> None:
    assert overshoot(ZV) < 0.01
    assert overshoot(ZVD) < 0.01
    assert rings_on(ZV) < 1e-9
    assert rings_on(ZVD) < 1e-9


@pytest.mark.parametrize("mistuning", [-0.1, 0.1])
def test_a_mistuned_shaper_rings_as_specified(mistuning: float) -> None:
    # physics.md 6.1: ZVD with 10 % mistuning overshoots by 1.6 %, ZV by 7 to 10 %; unshaped it is 66 %.
    assert 0.010 < overshoot(ZVD, mistuning=mistuning) < 0.022
    assert 0.06 < overshoot(ZV, mistuning=mistuning) < 0.11


# ---------------------------------------------------------------------- settling
def settle(kind: int, end: float, tolerance: float, *, zeta: float = ZETA, mistuning: float = 0.0) -> float:
    """Return the settling time in milliseconds of a step from rest at 0."""
    period = damped_period(zeta=zeta) / (1.0 + mistuning)
    step = Step(kind, 0.0, end, period, design_ratio(zeta), SLEW_UM_PER_MS)
    return settling(0.0, 0.0, step, Spring(OMEGA, zeta), tolerance)


def unshaped(end: float) -> Step:
    """Return a step from 0 that the driver leaves as it is."""
    return Step(NO_SHAPER, 0.0, end, damped_period(), design_ratio(ZETA), SLEW_UM_PER_MS)


@pytest.mark.parametrize("zeta", [0.05, 0.13, 0.3])
@pytest.mark.parametrize("end", [8.0, 25.0, 197.0])
def test_settling_takes_what_the_envelope_says_less_half_a_swing_at_most(zeta: float, end: float) -> None:
    tolerance = 2.0
    envelope = math.log(end / (tolerance * math.sqrt(1.0 - zeta**2))) / (zeta * OMEGA)
    found = settle(NO_SHAPER, end, tolerance, zeta=zeta)
    assert envelope - damped_period(zeta=zeta) / 2.0 <= found <= envelope + 0.25


@pytest.mark.parametrize("kind", SHAPERS.values(), ids=SHAPERS)
@pytest.mark.parametrize("mistuning", [0.0, 0.15, -0.15])
@pytest.mark.parametrize("end", [4.0, -50.0, 197.0])
def test_settling_agrees_with_looking_all_the_time(kind: int, mistuning: float, end: float) -> None:
    times = np.arange(0.0, 160.0, 0.01)
    outside = np.abs(follow(kind, times, mistuning=mistuning, end=end) - end) > 2.0
    expected = times[np.flatnonzero(outside)[-1]]
    assert expected - 0.25 <= settle(kind, end, 2.0, mistuning=mistuning) <= expected + 0.5


def test_a_tessera_lens_settles_as_measured() -> None:
    # A jump of 125 um takes 50 ms until it stays within 5 um (Tessera): damping 0.13 at 80 Hz.
    assert settle(NO_SHAPER, 125.0, 5.0) == pytest.approx(50.0, abs=damped_period() / 2.0)


def test_a_step_within_the_tolerance_takes_no_time() -> None:
    assert settle(NO_SHAPER, 1.0, 2.0) == 0.0


def test_a_lens_that_still_swings_settles_later_than_one_at_rest() -> None:
    moving = settling(
        0.0,
        20.0,
        Step(NO_SHAPER, 0.0, 1.0, damped_period(), design_ratio(ZETA), SLEW_UM_PER_MS),
        Spring(OMEGA, ZETA),
        2.0,
    )
    assert moving > 10.0


def test_a_lens_that_swings_into_the_tolerance_has_not_settled_before() -> None:
    # 0.3 ms outside on its way in, although its input stays where it is.
    found = settling(
        2.05,
        -0.5,
        Step(NO_SHAPER, 0.0, 0.0, damped_period(), design_ratio(ZETA), SLEW_UM_PER_MS),
        Spring(OMEGA, ZETA),
        2.0,
    )
    assert found > 0.0


def test_settling_ends_even_where_a_lens_hardly_fades() -> None:
    found = settling(0.0, 0.0, Step(NO_SHAPER, 0.0, 1000.0, 12.5, 1.0, SLEW_UM_PER_MS), Spring(OMEGA, 1e-6), 1.0)
    assert 9_000.0 < found <= 10_001.0


# ---------------------------------------------------------------------- friction
def cycled(half_width: float, wanted: np.ndarray) -> np.ndarray:
    """Return what a play operator holds while ``wanted`` changes."""
    held, path = 0.0, []
    for each in wanted:
        held = play(held, float(each), half_width)
        path.append(held)
    return np.array(path)


def test_a_cycle_leaves_a_loop_as_wide_as_twice_the_half_width() -> None:
    up, down = np.arange(0.0, 20.1, 0.5), np.arange(20.0, -0.1, -0.5)
    path = cycled(1.5, np.concatenate([up, down, up]))
    rising, falling = path[-len(up) :], path[len(up) : len(up) + len(down)][::-1]
    np.testing.assert_allclose((falling - rising)[6:-6], 3.0, atol=1e-12)


def test_approached_from_one_side_it_holds_the_same_whatever_came_before() -> None:
    ends = [cycled(1.5, np.array([*path, 0.0, 10.0]))[-1] for path in ([], [20.0], [-30.0, 40.0], [9.9])]
    assert ends == [8.5] * 4


def test_changes_within_the_loop_move_nothing() -> None:
    path = cycled(1.5, np.array([10.0, 9.0, 8.0, 7.1, 10.0]))
    assert path.tolist() == [8.5] * 5


def test_without_friction_it_follows() -> None:
    wanted = np.array([3.0, -2.0, 7.0])
    np.testing.assert_array_equal(cycled(0.0, wanted), wanted)
