"""Breathing by registration: a known change of scale and a known sideways motion are found again."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from afsim.errors import AfsimError, StackError
from afsim.optics import lta49_diopters, magnification
from afsim.stack import FocalStack, Levels
from afsim.zoomfit import breathing, fit_zoom
from tests.conftest import make_stack

LEVELS = Levels(64, 1023)
FloatArray = npt.NDArray[np.float64]


def scene(size: int = 96, seed: int = 0) -> FloatArray:
    """Return texture with a border of 16 pixels more than the images show."""
    side = size + 32
    noise = np.random.default_rng(seed).standard_normal((side, side))
    fine, coarse = gaussian_filter(noise, 1.5), gaussian_filter(noise, 6.0)
    return np.asarray(0.35 + 0.08 * fine / fine.std() + 0.05 * coarse / coarse.std())


def seen(picture: FloatArray, scale: float, x: float, y: float, blur: float = 0.0) -> FloatArray:
    """Return what a camera sees of ``picture`` that is scaled about the centre and then moved by (x, y)."""
    size = len(picture) - 32
    centre = (size - 1) / 2.0
    v, u = np.mgrid[:size, :size] - centre
    at = np.array([(v - y) / scale, (u - x) / scale]) + centre + 16
    return np.asarray(map_coordinates(gaussian_filter(picture, max(blur, 1e-3)), at, mode="nearest"))


def recording(gain: float, *, field: tuple[float, float] = (120.0, -80.0), jitter: float = 0.0) -> FocalStack:
    """Make 25 slices that are sharp at slice 12, breathe about a point far outside, and are noisy."""
    focus = lta49_diopters()[:25]
    rng = np.random.default_rng(3)
    picture, middle = scene(), 12
    scales = (magnification(focus) / magnification(focus)[middle]) ** gain
    slices = []
    for k, scale in enumerate(scales):
        x, y = (scale - 1.0) * np.array(field) + jitter * rng.standard_normal(2)
        slices.append(seen(picture, scale, x, y, 0.2 * abs(k - middle)))
    noisy = np.array(slices) + 0.004 * rng.standard_normal((25, 96, 96))
    raw = np.rint(LEVELS.black + noisy * 959).clip(0, 1023).astype(np.uint16)[:, None]
    return FocalStack(raw, LEVELS, diopters=focus, best_index=middle)


@pytest.mark.parametrize(("scale", "x", "y"), [(1.0, 0.0, 0.0), (1.03, 1.4, -0.6), (0.97, -0.3, 2.2)])
def test_scale_and_shift_are_found(scale: float, x: float, y: float) -> None:
    picture = scene()
    found = fit_zoom(seen(picture, 1.0, 0.0, 0.0), seen(picture, scale, x, y))
    assert found.scale == pytest.approx(scale, abs=2e-4)
    assert (found.x, found.y) == pytest.approx((x, y), abs=0.01)
    assert found.correlation > 0.999


def test_defocus_gain_and_offset_change_little() -> None:
    picture = scene()
    image = 0.1 + 0.5 * seen(picture, 1.02, 0.8, -0.4, blur=2.0)
    found = fit_zoom(seen(picture, 1.0, 0.0, 0.0), image)
    assert found.scale == pytest.approx(1.02, abs=3e-3)
    assert (found.x, found.y) == pytest.approx((0.8, -0.4), abs=0.05)


def test_without_texture_there_is_no_hold() -> None:
    flat = np.full((64, 64), 0.3)
    found = fit_zoom(flat, flat)
    assert np.isnan(found.scale)
    assert found.correlation == 0.0


@pytest.mark.parametrize("gain", [0.0, 1.0, 1.4])
def test_the_gain_on_the_thin_lens_is_found(gain: float) -> None:
    found = breathing(recording(gain))
    assert found.gain == pytest.approx(gain, abs=0.05)
    assert found.error < 0.06
    assert found.slices == 24
    assert found.sway_px < 0.05


def test_jitter_is_told_from_breathing() -> None:
    found = breathing(recording(1.3, jitter=0.2))
    assert found.gain == pytest.approx(1.3, abs=0.1)
    assert found.jitter_px == pytest.approx(0.2, rel=0.35)
    assert breathing(recording(1.3)).jitter_px < 0.05


def test_too_few_slices_on_one_side_give_nothing() -> None:
    found = breathing(recording(1.0), focus=1)
    assert np.isnan([found.gain, found.error, found.jitter_px, found.sway_px]).all()


def test_what_is_missing_is_named() -> None:
    with pytest.raises(StackError, match="needs focus distances"):
        breathing(make_stack(distances=False))
    with pytest.raises(StackError, match="no label; give the slice in focus"):
        breathing(make_stack(labelled=False))
    with pytest.raises(AfsimError, match=r"at least 32 pixels a side, got \(16, 16\) and \(16, 16\)"):
        fit_zoom(np.zeros((16, 16)), np.zeros((16, 16)))
