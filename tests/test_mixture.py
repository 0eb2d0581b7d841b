"""Mixtures and the draws that follow them: distributions, independence, label errors."""

import json
import math
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from afsim.draws import (
    Stream,
    choose,
    draw_field,
    draw_frame_gains,
    draw_index,
    draw_label_error,
    draw_light,
    draw_shifts,
    draw_view_mismatch,
    log_uniform,
    stream,
)
from afsim.errors import AfsimError
from afsim.mixture import MIXTURES, V6

FRAME = (2016, 1512)


def _rng() -> np.random.Generator:
    return np.random.default_rng(20)


# ---------------------------------------------------------------------- mixtures
@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_is_plain_json_and_knows_its_name(name: str) -> None:
    mixture = MIXTURES[name]
    assert mixture.name == name
    assert json.loads(json.dumps(asdict(mixture), allow_nan=False))["version"] == mixture.version
    assert mixture.breathing == 1.3


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(AfsimError, match="mixture 'v6': shares of compositions must add up to 1"):
        replace(V6, single=0.5)
    with pytest.raises(AfsimError, match="shares of textures must add up to 1"):
        replace(V6, textures=(("cloth", 0.5),))
    with pytest.raises(AfsimError, match="shares of masks must add up to 1"):
        replace(V6, masks=(("blob", 1.5), ("strip", -0.5)))
    with pytest.raises(AfsimError, match="shares of textures must add up to 1"):
        replace(V6, textures=(("cloth", math.nan), ("text", 1.0)))


NUMBERS = [
    each.name for each in fields(V6) if not isinstance(each.default, str) and each.name not in ("masks", "textures")
]


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, "much", None])
def test_every_number_of_a_mixture_must_be_one(field: str, bad: Any) -> None:
    value = getattr(V6, field)
    change: dict[str, Any] = {field: (*value[:-1], bad) if isinstance(value, tuple) else bad}
    with pytest.raises(AfsimError, match=f"mixture 'v6': {field} must be .*, got {bad!r}"):
        replace(V6, **change)


@pytest.mark.parametrize("field", [name for name in NUMBERS if isinstance(getattr(V6, name), tuple)])
def test_every_range_has_its_ends_in_order(field: str) -> None:
    value = getattr(V6, field)
    with pytest.raises(AfsimError, match=f"{field} must be {len(value)} numbers, got"):
        replace(V6, **{field: value[:1]})
    if len(value) == 2:
        with pytest.raises(AfsimError, match=f"{field} must be a range from low to high, got"):
            replace(V6, **{field: value[::-1]})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("breathing", -1.0, "at least 0, got -1.0"),
        ("jitter_px", -0.1, "at least 0, got -0.1"),
        ("read", -1e-7, "at least 0, got -1e-07"),
        ("textureless", 1.5, "at least 0 and at most 1, got 1.5"),
        ("flicker_lag", 1.1, "at least 0 and at most 1, got 1.1"),
        ("depth_shape", 0.0, "above 0, got 0.0"),
        ("slant_index", (0.0, 8.0), "above 0, got 0.0"),
        ("highlight_count", (1, 2.5), "a whole number, got 2.5"),
        ("field_px", (900.0, 900.0), r"a range from low to high, got \(900.0, 900.0\)"),
    ],
)
def test_a_number_that_no_mixture_can_have_is_refused_by_name(field: str, value: Any, message: str) -> None:
    with pytest.raises(AfsimError, match=f"mixture 'v6': {field} must be {message}"):
        replace(V6, **{field: value})


# ---------------------------------------------------------------------- streams
def test_streams_depend_on_seed_number_and_purpose_alone() -> None:
    def first(seed: int, i: int, purpose: Stream) -> float:
        return float(stream(seed, i, purpose).uniform())

    assert first(1, 2, Stream.SCENE) == first(1, 2, Stream.SCENE)
    draws = [first(seed, i, purpose) for seed in range(5) for i in range(40) for purpose in Stream]
    assert len(set(draws)) == len(draws)
    assert stats.kstest(draws, "uniform").pvalue > 0.01
    # Neighbouring stacks, neighbouring sets and the purposes of one stack are unrelated.
    table = np.array(draws).reshape(5, 40, -1)
    for axis in range(3):
        a, b = np.moveaxis(table, axis, 0)[:-1], np.moveaxis(table, axis, 0)[1:]
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.1


# ---------------------------------------------------------------------- draws
def test_choices_and_log_uniform_draws() -> None:
    rng = _rng()
    names = [choose(rng, (("a", 0.7), ("b", 0.3))) for _ in range(2000)]
    assert names.count("a") / 2000 == pytest.approx(0.7, abs=0.03)
    values = np.log([log_uniform(rng, (2.0, 50.0)) for _ in range(2000)])
    assert stats.kstest(values, "uniform", (np.log(2.0), np.log(25.0))).pvalue > 0.01


def test_depths_follow_the_gamma_distribution() -> None:
    rng = _rng()
    index = np.array([draw_index(V6, rng) for _ in range(4000)])
    # Deciles and mean of the real and the paper's labels: 3, 11, 25 and 12.
    np.testing.assert_allclose(np.percentile(index, [10, 50, 90]), [3.19, 10.07, 23.3], rtol=0.06)
    assert index.mean() == pytest.approx(12.0, abs=0.4)
    assert index.max() <= 47.5
    assert min(draw_index(replace(V6, depth_range=(20.0, 21.0)), rng) for _ in range(9)) >= 20


def test_patches_lie_evenly_in_the_frame() -> None:
    rng = _rng()
    fields = np.array([draw_field(V6, rng, FRAME, 128) for _ in range(2000)])
    reach = np.array([944.0, 692.0])
    assert (np.abs(fields) <= reach).all()
    for axis in range(2):
        assert stats.kstest(fields[:, axis] / reach[axis], "uniform", (-1.0, 2.0)).pvalue > 0.01
    assert abs(np.corrcoef(fields.T)[0, 1]) < 0.06


def test_periphery_is_far_out_and_an_impossible_place_is_refused() -> None:
    rng, periphery = _rng(), MIXTURES["periphery"]
    assert min(np.hypot(*draw_field(periphery, rng, FRAME, 128)) for _ in range(50)) >= 900
    with pytest.raises(AfsimError, match=r"no patch of 1800 px in a frame of \(2016, 1512\)"):
        draw_field(V6, rng, FRAME, 1800)
    with pytest.raises(AfsimError, match=r"no patch of 1500 px .* within \(900.0, 1260.0\) px"):
        draw_field(periphery, rng, FRAME, 1500)


def test_light_and_noise_follow_their_log_normal_distributions() -> None:
    rng = _rng()
    lights = [draw_light(V6, rng) for _ in range(3000)]
    levels = np.array([light.level for light in lights])
    assert levels.min() == 0.012
    assert levels.max() == 0.45
    assert np.median(levels) == pytest.approx(0.165, rel=0.07)
    shot = np.log([light.shot for light in lights])
    # Of one view: twice green's.
    assert np.exp(shot.mean()) == pytest.approx(4.4e-4, rel=0.05)
    assert shot.std() == pytest.approx(0.85, rel=0.05)
    assert {light.read for light in lights} == {2e-7}


def test_dim_is_darker_and_noisier_than_usual_and_dark_more_so() -> None:
    ratios = []
    for name in ("v6", "dim", "dark"):
        rng = _rng()
        lights = [draw_light(MIXTURES[name], rng) for _ in range(500)]
        ratios.append(np.median([light.level / np.sqrt(light.shot * light.level + light.read) for light in lights]))
    assert ratios[0] > 3 * ratios[1] > 5 * ratios[2]


def _gains(share: tuple[float, float, float], jumps: float = 1.0) -> npt.NDArray[np.float64]:
    rng, mixture = _rng(), replace(V6, flicker_share=share, flicker_jumps=jumps, slow_gain=0.0)
    return np.log([draw_frame_gains(mixture, rng, 49) for _ in range(300)])


@pytest.mark.parametrize(("share", "deviation"), [((1.0, 0.0, 0.0), 0.006), ((0.0, 1.0, 0.0), 0.015)])
def test_flicker_has_its_deviation_and_lingers(share: tuple[float, float, float], deviation: float) -> None:
    gains = _gains(share)
    assert gains.std() == pytest.approx(deviation, rel=0.05)
    lag = np.corrcoef(gains[:, 1:].ravel(), gains[:, :-1].ravel())[0, 1]
    assert lag == pytest.approx(0.4, abs=0.03)


def test_strong_flicker_jumps_now_and_then() -> None:
    jumping, steady = _gains((0.0, 0.0, 1.0)), _gains((0.0, 0.0, 1.0), jumps=0.0)
    assert steady.std() == pytest.approx(0.06, rel=0.05)
    assert (np.abs(jumping) > 0.27).sum() / len(jumping) == pytest.approx(0.9, abs=0.2)
    assert (np.abs(steady) > 0.27).mean() < 1e-4


def test_slow_changes_of_gain_are_smooth_and_at_most_4_percent() -> None:
    rng, mixture = _rng(), replace(V6, flicker_sd=(0.0, 0.0, 0.0), flicker_jumps=0.0)
    gains = np.array([draw_frame_gains(mixture, rng, 49) for _ in range(100)])
    assert 0.03 < np.abs(gains - 1.0).max() <= 0.04
    assert np.abs(np.diff(gains, axis=1)).max() < 0.006


def test_views_differ_and_slices_shake_by_their_deviations() -> None:
    rng = _rng()
    views = np.array([draw_view_mismatch(V6, rng) for _ in range(2000)])
    np.testing.assert_allclose(views.std(axis=0), [0.135, 0.135, 0.03, 0.225], rtol=0.06)
    np.testing.assert_allclose(views.mean(axis=0) / views.std(axis=0), 0.0, atol=0.07)
    shifts = np.array([draw_shifts(V6, rng, 49) for _ in range(500)])
    drift = shifts[:, -1] - shifts[:, 0]
    assert drift.std() == pytest.approx(np.hypot(0.5, 0.08 * np.sqrt(2.0)), rel=0.06)
    jitter = np.diff(shifts, n=2, axis=1) / np.sqrt(6.0)
    assert jitter.std() == pytest.approx(0.08, rel=0.03)


def test_labels_hit_as_often_as_the_study_says() -> None:
    rng = _rng()
    truth = np.clip(rng.gamma(2.0, 6.0, 20_000), 0.0, 48.0)
    errors = np.array([draw_label_error(V6, rng) for _ in truth])
    label = np.rint(truth + errors).clip(0, 48)
    off = np.abs(label - np.rint(truth))
    hits = [(off <= most).mean() for most in (0, 1, 2, 4)]
    np.testing.assert_allclose(hits, [0.257, 0.650, 0.842, 0.958], atol=0.012)
    assert off.mean() == pytest.approx(1.49, abs=0.06)
    assert (np.abs(errors) > 12).mean() == pytest.approx(0.015 * 0.317, abs=0.003)
