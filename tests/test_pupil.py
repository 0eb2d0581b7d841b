"""Pupils of dual pixels: symmetry, the green sum, centroids, and what the field does to them."""

import math
from typing import Any

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.pupil import (
    PUPILS,
    Pupil,
    PupilOptions,
    alpha_of,
    drift_of,
    left_fraction,
    make_pupil,
    transmission,
)

SPLIT = ["soft_split", "half_disc", "linear_ramp", "translating_disc", "butterworth"]
# A rotated hexagon is its own mirror image about neither axis.
MIRRORED = [model for model in PUPILS if model != "hexagon"]
HALF_DISC = 8.0 / (6.0 * math.pi)


@pytest.mark.parametrize("model", PUPILS)
def test_an_open_pupil_passes_all_light_to_equal_views(model: str) -> None:
    pupil = make_pupil(model)
    for view in (pupil.left, pupil.right):
        assert view.shape == (64, 64)
        assert view.min() >= 0
        assert view.sum() == pytest.approx(1.0, abs=3e-4)  # the Gaussian is cut at 4 sigma


@pytest.mark.parametrize("model", MIRRORED)
def test_the_views_mirror_each_other_in_the_middle_of_the_field(model: str) -> None:
    pupil = make_pupil(model)
    np.testing.assert_allclose(pupil.right, pupil.left[:, ::-1], atol=1e-12)
    np.testing.assert_allclose(pupil.left[::-1], pupil.left, atol=1e-12)


@pytest.mark.parametrize("model", MIRRORED)
def test_a_mirrored_position_in_the_field_mirrors_and_swaps_the_views(model: str) -> None:
    here, there = make_pupil(model, field=(0.7, 0.2)), make_pupil(model, field=(-0.7, 0.2))
    np.testing.assert_allclose(there.right, here.left[:, ::-1], atol=1e-12)
    np.testing.assert_allclose(there.left, here.right[:, ::-1], atol=1e-12)


@pytest.mark.parametrize("model", ["soft_split", "half_disc", "linear_ramp"])
def test_the_mean_of_the_views_is_the_disc(model: str) -> None:
    for field in ((0.0, 0.0), (-0.6, 0.5)):
        pupil, disc = make_pupil(model, field=field), make_pupil("disc", field=field)
        np.testing.assert_allclose((pupil.left + pupil.right) / 2.0, disc.left, atol=1e-15)


def test_disc_lies_within_its_circle_and_is_even() -> None:
    pupil = make_pupil("disc")
    radius = np.hypot(pupil.centres[:, None], pupil.centres)
    assert (pupil.left[radius > 1.0 + 1.5 / 32] == 0).all()
    np.testing.assert_allclose(pupil.left[radius < 1.0 - 1.5 / 32], (2.0 / 64) ** 2 / np.pi, rtol=1e-4)


@pytest.mark.parametrize("model", ["disc", "gaussian"])
def test_second_moment_is_a_sixteenth_of_the_squared_diameter(model: str) -> None:
    pupil = make_pupil(model)
    for marginal in (pupil.left.sum(axis=0), pupil.left.sum(axis=1)):
        # In units of the diameter, which is 2.
        assert marginal @ (pupil.centres / 2.0) ** 2 / marginal.sum() == pytest.approx(1.0 / 16.0, rel=2e-3)


def test_hexagon_has_its_share_of_the_discs_area_and_turns() -> None:
    for angle in (0.0, 15.0, 30.0):
        light = make_pupil("hexagon", rotation_deg=angle).left
        assert (light / light.max()).mean() * 4.0 / np.pi == pytest.approx(0.827, abs=1e-3)
    flat = make_pupil("hexagon", rotation_deg=0.0).left
    assert flat[:, [0, -1]].max() > 0  # corners at the left and right
    assert flat[[0, -1]].max() == 0
    np.testing.assert_allclose(make_pupil("hexagon", rotation_deg=60.0).left, flat, atol=1e-12)


@pytest.mark.parametrize(
    ("model", "alpha"),
    [
        ("half_disc", HALF_DISC),
        ("translating_disc", 3.0 * math.pi / 32.0),
        ("linear_ramp", 0.25),
        ("soft_split", 0.300),
        ("disc", 0.0),
        ("gaussian", 0.0),
        ("hexagon", 0.0),
    ],
)
def test_distance_of_the_centroids(model: str, alpha: float) -> None:
    assert alpha_of(make_pupil(model)) == pytest.approx(alpha, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize(
    ("width", "alpha"), [(0.1, 0.404), (0.15, 0.382), (0.2, 0.355), (0.3, 0.300), (0.4, 0.253)]
)
def test_a_softer_split_brings_the_views_together(width: float, alpha: float) -> None:
    assert alpha_of(make_pupil(width=width)) == pytest.approx(alpha, abs=6e-4)


@pytest.mark.parametrize("model", SPLIT)
@pytest.mark.parametrize("crosstalk", [0.1, 0.15, 0.5])
def test_crosstalk_brings_the_views_together(model: str, crosstalk: float) -> None:
    clean, mixed = make_pupil(model), make_pupil(model, crosstalk=crosstalk)
    assert alpha_of(mixed) == pytest.approx((1.0 - 2.0 * crosstalk) * alpha_of(clean), abs=1e-12)
    np.testing.assert_allclose(mixed.left, (1.0 - crosstalk) * clean.left + crosstalk * clean.right, atol=1e-15)


def test_butterworth_spans_the_published_range() -> None:
    settings = [(order, cut, beta) for order in (3, 6, 9) for cut in (2.5, 2.0) for beta in (0.1, 0.2)]
    alphas = [alpha_of(make_pupil("butterworth", order=o, cut=c, beta=b)) for o, c, b in settings]
    assert min(alphas) == pytest.approx(0.258, abs=1.5e-3)
    assert max(alphas) == pytest.approx(0.321, abs=1.5e-3)


@pytest.mark.parametrize(
    ("vignetting", "shift", "passes", "left", "alpha", "drift"),
    [
        (0.0, 0.0, 1.00, 0.50, 0.382, 0.0),
        (0.1, 0.05, 0.936, 0.500, 0.357, 0.025),
        (0.2, 0.10, 0.873, 0.500, 0.332, 0.050),
        (0.35, 0.20, 0.778, 0.518, 0.296, 0.088),
        (0.5, 0.30, 0.685, 0.540, 0.260, 0.125),
    ],
)
def test_what_the_field_does(
    vignetting: float, shift: float, passes: float, left: float, alpha: float, drift: float
) -> None:
    pupil = make_pupil(field=(1.0, 0.0), width=0.15, vignetting=vignetting, split_shift=shift)
    found = [transmission(pupil), left_fraction(pupil), alpha_of(pupil), drift_of(pupil)]
    np.testing.assert_allclose(found, [passes, left, alpha, drift], atol=6e-4)


@pytest.mark.parametrize("model", PUPILS)
def test_more_field_means_less_light(model: str) -> None:
    light = [transmission(make_pupil(model, field=(t, 0.0), split_shift=0.0)) for t in (0.0, 0.3, 0.6, 1.0)]
    assert (np.diff(light) < 0).all()


def test_more_cells_change_little() -> None:
    coarse, fine = (make_pupil(field=(0.5, -0.4), cells=cells) for cells in (32, 128))
    assert alpha_of(coarse) == pytest.approx(alpha_of(fine), abs=2e-4)
    np.testing.assert_allclose(fine.left.reshape(32, 4, 32, 4).sum(axis=(1, 3)), coarse.left, atol=2e-4)


def test_same_arguments_give_the_same_bits() -> None:
    np.testing.assert_array_equal(make_pupil(field=(0.3, 0.1)).left, make_pupil(field=(0.3, 0.1)).left)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AfsimError, match="soft_split"):
        make_pupil("softsplit")
    with pytest.raises(AfsimError, match="width"):
        make_pupil(widht=0.3)


@pytest.mark.parametrize(
    "options",
    [
        {"width": 0.0},
        {"crosstalk": 0.6},
        {"vignetting": -0.1},
        {"order": 0},
        {"cut": 0.0},
        {"beta": 2.0},
        {"smooth": 0.0},
        {"cells": 1},
        {"cells": 16.5},
        {"rotation_deg": np.nan},
        {"split_shift": np.inf},
    ],
)
def test_impossible_options_are_refused_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(AfsimError, match=f"{name} must be"):
        PupilOptions(**options)


@pytest.mark.parametrize("field", [0.5, (0.5,), (0.1, 0.2, 0.3), (np.nan, 0.0), "corner"])
def test_a_position_in_the_field_that_is_not_two_numbers_is_refused(field: Any) -> None:
    with pytest.raises(AfsimError, match="pupil: field must"):
        make_pupil(field=field)


@pytest.mark.parametrize("support", [0.0, -1.0, np.nan, np.inf])
def test_a_pupil_of_no_extent_is_refused(support: float) -> None:
    with pytest.raises(AfsimError, match=f"pupil: support must be .*, got {support}"):
        Pupil(np.ones((4, 4)), np.ones((4, 4)), support)


def test_a_pupil_must_be_square_and_pass_light() -> None:
    with pytest.raises(AfsimError, match="square"):
        Pupil(np.ones((4, 4)), np.ones((4, 3)))
    with pytest.raises(AfsimError, match="some light"):
        Pupil(np.ones((4, 4)), np.zeros((4, 4)))
    with pytest.raises(AfsimError, match="some light"):
        make_pupil(field=(9.0, 0.0))
