"""Randomness: repeatable, independent of the batch, and uniform."""

import numpy as np
import pytest
from scipy.stats import chi2, norm

from afsim.keys import Purpose, derive, integers, lane_keys, mix, normal_of, uniform

KEYS = lane_keys(7, np.arange(20_000))


@pytest.mark.parametrize(
    ("seed", "word"),
    [
        (0, 0xE220A8397B1DCDAF),  # the reference generator's first output for seed 0
        (1234567, 6457827717110365317),  # Rosetta Code, "Pseudo-random numbers/Splitmix64"
    ],
)
def test_mixing_is_splitmix64(seed: int, word: int) -> None:
    assert int(mix(np.uint64(seed), np.uint64(0))) == word


def test_the_same_key_step_and_purpose_give_the_same_draw() -> None:
    np.testing.assert_array_equal(derive(KEYS, 3, Purpose.LENS), derive(KEYS.copy(), 3, Purpose.LENS))


def test_a_lane_draws_the_same_in_any_batch_and_order() -> None:
    order = np.random.default_rng(0).permutation(500)
    keys = KEYS[:500]
    np.testing.assert_array_equal(uniform(keys[order], 2, Purpose.SENSOR), uniform(keys, 2, Purpose.SENSOR)[order])
    for lane in (0, 17, 499):
        alone = integers(keys[lane : lane + 1], 2, Purpose.START, 49)
        assert alone[0] == integers(keys, 2, Purpose.START, 49)[lane]
    np.testing.assert_array_equal(lane_keys(7, [5, 3]), KEYS[[5, 3]])


def test_a_draw_does_not_change_its_keys() -> None:
    before = KEYS.copy()
    uniform(KEYS, 0, Purpose.POLICY)
    np.testing.assert_array_equal(KEYS, before)


def test_strided_keys_draw_as_contiguous_ones() -> None:
    np.testing.assert_array_equal(derive(KEYS[::3], 1, Purpose.LENS), derive(KEYS, 1, Purpose.LENS)[::3])


def _too_uneven(values: np.ndarray, bins: int) -> bool:
    """Say whether counts of 0 ... bins-1 are so uneven that chance does it once in 10 000."""
    counts = np.bincount(values.astype(np.int64), minlength=bins)
    expected = len(values) / bins
    return float(((counts - expected) ** 2 / expected).sum()) > chi2.isf(1e-4, bins - 1)


@pytest.mark.parametrize("high", [2, 3, 49, 128])
def test_integers_are_uniform(high: int) -> None:
    values = integers(KEYS, 0, Purpose.START, high)
    assert values.min() == 0
    assert values.max() == high - 1
    assert not _too_uneven(values, high)


def test_the_uniformity_check_can_fail() -> None:
    values = integers(KEYS, 0, Purpose.START, 49)
    assert _too_uneven(np.where(values == 7, 8, values), 49)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_uniform_numbers_fill_the_unit_interval(purpose: Purpose) -> None:
    values = uniform(KEYS, 5, purpose)
    assert values.min() >= 0.0
    assert values.max() < 1.0
    assert not _too_uneven(np.floor(values * 64), 64)


@pytest.mark.parametrize("purpose", [Purpose.LENS, Purpose.SENSOR])
def test_normal_numbers_are_normal(purpose: Purpose) -> None:
    values = np.array([normal_of(word) for word in derive(KEYS, 5, purpose)])
    assert not _too_uneven(np.floor(norm.cdf(values) * 64), 64)
    assert 3.5 < np.abs(values).max() < 6.0


def test_draws_of_one_key_over_steps_are_uniform() -> None:
    values = np.array([integers(KEYS[:1], step, Purpose.POLICY, 16)[0] for step in range(4000)])
    assert not _too_uneven(values, 16)


def test_purposes_and_steps_are_streams_of_their_own() -> None:
    streams = [uniform(KEYS, step, purpose) for purpose in Purpose for step in (0, 1)]
    correlation = np.corrcoef(streams) - np.eye(len(streams))
    assert np.abs(correlation).max() < 5.0 / np.sqrt(len(KEYS))


def test_keys_of_seeds_and_lanes_do_not_collide() -> None:
    keys = np.concatenate([lane_keys(seed, np.arange(1000)) for seed in range(50)])
    assert len(np.unique(keys)) == keys.size
