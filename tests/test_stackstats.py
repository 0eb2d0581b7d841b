"""Statistics of one stack: each number on a stack that was made to have it."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from afsim.optics import lta49_diopters
from afsim.stack import FocalStack, Levels
from afsim.stackstats import correlation_of_flicker, stack_statistics
from tests.conftest import make_stack

LEVELS = Levels(0, 65535)


def stack_of(light: npt.NDArray[np.float64], **fields: object) -> FocalStack:
    """Make a stack of light (n, V, H, W), white = 1, without noise."""
    raw = np.rint(light.clip(0, 1) * 65535).astype(np.uint16)
    return FocalStack(raw, LEVELS, diopters=lta49_diopters()[: len(raw)], **fields)  # type: ignore[arg-type]


def textured(n: int = 15, seed: int = 0) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    contrast = 1.0 / (1.0 + (np.arange(n) - 7.0) ** 2 / 4.0)
    return np.asarray(0.3 + 0.1 * contrast[:, None, None, None] * rng.uniform(-1, 1, (40, 40)))


def test_level_contrast_and_gradients_are_those_of_the_slice_in_focus() -> None:
    light = np.full((9, 1, 40, 40), 0.2)
    light[4, 0, :, 1::2] = 0.4  # stripes along the rows' direction: every step of a column is 0.2
    found = stack_statistics(stack_of(light, best_index=4))
    assert found.truth == 4.0
    assert found.contrast == pytest.approx(1 / 3, rel=1e-3)
    assert found.gradient_along == pytest.approx((2 / 3,) * 4, rel=1e-3)
    assert found.gradient_across == pytest.approx(0.0, abs=1e-9)
    assert found.level == pytest.approx(0.2 + 0.1 / 9, rel=1e-3)
    assert found.highest == pytest.approx(0.4, rel=1e-3)


def test_the_split_turns_along_and_across() -> None:
    light = textured()
    light[:, :, :, 1::2] += 0.2
    plain, turned = (stack_statistics(stack_of(light, best_index=7), split=axis) for axis in ("columns", "rows"))
    assert turned.gradient_across == pytest.approx(plain.gradient_along[0])
    assert turned.gradient_along[0] == pytest.approx(plain.gradient_across)
    np.testing.assert_array_equal(turned.noise_along, plain.noise_across)
    by_metadata = stack_statistics(stack_of(light, best_index=7, metadata={"dp_axis": "rows"}))
    assert by_metadata.gradient_across == turned.gradient_across


def test_the_exact_truth_comes_first_and_without_any_the_sharpest_slice_counts() -> None:
    exact = stack_statistics(stack_of(textured(), best_index=3, best_index_exact=6.8))
    assert exact.truth == 6.8
    blind = stack_statistics(stack_of(textured()))
    assert np.isnan(blind.truth)
    assert blind.contrast == exact.contrast
    assert np.isnan(blind.breathing.gain)


def test_peaks_are_ratios_of_the_largest_to_the_median() -> None:
    peaks = stack_statistics(stack_of(textured(), best_index=7)).peaks
    # Contrast is 1 at the best slice and 1 / (1 + 16 / 4) at the median one: the squares' ratio is twice the log.
    assert peaks[0] == pytest.approx(np.log(5.0), abs=0.01)
    assert peaks[1:] == pytest.approx((2 * np.log(5.0),) * 3, abs=0.01)


def test_flicker_and_drift_are_told_apart() -> None:
    n = 49
    rng = np.random.default_rng(1)
    jumps, smooth = 0.02 * rng.standard_normal(n), np.linspace(0.0, np.log(0.8), n)
    light = np.exp(jumps + smooth)[:, None, None, None] * np.repeat(textured(n), 2, axis=1)
    found = stack_statistics(stack_of(light, best_index=7))
    assert found.drift == pytest.approx(0.8, abs=0.05)
    assert found.flicker.std() == pytest.approx(0.02, rel=0.25)
    same = stack_statistics(stack_of(np.exp(jumps)[:, None, None, None] * textured(n, seed=5), best_index=7))
    assert correlation_of_flicker(found, same) > 0.95
    assert np.corrcoef(found.flicker, jumps)[0, 1] > 0.9


def test_noise_of_green_is_that_of_a_view_over_their_number() -> None:
    rng = np.random.default_rng(2)
    light = np.broadcast_to(np.linspace(0.1, 0.6, 64), (12, 2, 64, 64))
    light = light + np.sqrt(4e-4 * light) * rng.standard_normal(light.shape)
    found = stack_statistics(stack_of(light, best_index=5))
    assert found.shot == pytest.approx(2e-4, rel=0.15)
    np.testing.assert_allclose(found.noise_across, 1.0, atol=0.25)


def test_unknown_distances_withhold_breathing_alone() -> None:
    stack = make_stack(size=40, distances=False)
    found = stack_statistics(stack)
    assert np.isnan(found.breathing.gain)
    assert found.truth == 5.0
    values = dataclasses.asdict(stack)
    assert values["name"] == found.name
    assert np.isfinite([found.shot, found.read, found.level, found.contrast, found.drift, *found.peaks]).all()
