"""The sensor as numbers: the noise table of its specification, presets, and errors that name the field."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.sensor import SENSORS, Sensor, brooks_noise, make_sensor

# physics.md 3.1: ISO; S and O of a whole pixel; S of a dual pixel's view; S of green.
TABLE = [
    (55, 1.667e-04, 2.50e-07, 8.333e-05, 4.167e-05),
    (100, 3.030e-04, 3.94e-07, 1.515e-04, 7.576e-05),
    (200, 6.061e-04, 1.01e-06, 3.030e-04, 1.515e-04),
    (400, 1.212e-03, 3.49e-06, 6.061e-04, 3.030e-04),
    (800, 2.424e-03, 1.34e-05, 1.212e-03, 6.061e-04),
    (1600, 4.848e-03, 5.31e-05, 2.424e-03, 1.212e-03),
    (3200, 9.697e-03, 2.12e-04, 4.848e-03, 2.424e-03),
    (6400, 1.939e-02, 8.46e-04, 9.697e-03, 4.848e-03),
]


# ---------------------------------------------------------------------- the model
@pytest.mark.parametrize(("iso", "shot", "read", "view_shot", "green_shot"), TABLE)
def test_noise_by_iso_is_as_specified(
    iso: float, shot: float, read: float, view_shot: float, green_shot: float
) -> None:
    view, green = Sensor(iso=iso).noise(2), Sensor(iso=iso).noise(1)
    assert view.shot == pytest.approx(view_shot, rel=5e-4)
    assert green.shot == pytest.approx(green_shot, rel=5e-4)
    # Averaging four half pixels leaves the read noise of a whole pixel in a view, and half its variance in green.
    assert view.read == pytest.approx(read, rel=5e-3)
    assert green.read == pytest.approx(read / 2.0, rel=5e-3)
    assert view.shot == pytest.approx(shot / 2.0, rel=5e-4)


def test_white_is_six_thousand_photons_at_iso_55() -> None:
    # A whole pixel's shot noise is S = 1 / photons; two views of two half pixels each see as many.
    green_of_whole_pixels = Sensor(iso=55.0, binned=1).noise(1)
    assert 1.0 / green_of_whole_pixels.shot == pytest.approx(6000.0)


@pytest.mark.parametrize(("iso", "snr"), [(55, 46.0), (400, 17.0), (3200, 5.5), (6400, 3.5)])
def test_middle_grey_stands_out_of_the_noise_as_specified(iso: float, snr: float) -> None:
    shot, read = Sensor(iso=iso).noise(2)
    assert 0.18 / math.sqrt(shot * 0.18 + read) == pytest.approx(snr, abs=0.1)


@pytest.mark.parametrize("views", [1, 2])
def test_averaging_half_pixels_divides_both_kinds_of_noise(views: int) -> None:
    one, four = (np.array(Sensor(iso=800.0, binned=binned).noise(views)) for binned in (1, 4))
    np.testing.assert_allclose(one, 4.0 * four)


def test_green_is_the_mean_of_two_independent_views() -> None:
    sensor = Sensor(iso=800.0)
    np.testing.assert_allclose(sensor.noise(1), np.array(sensor.noise(2)) / 2.0)


def test_an_ideal_dual_pixels_view_has_half_the_photons() -> None:
    # S_half = 2 S and O_half = 4 O of the whole pixel, at ISO 400.
    shot, read = Sensor(iso=400.0, binned=1).noise(2)
    assert shot == pytest.approx(2.0 * 1.212e-3, rel=5e-4)
    assert read == pytest.approx(4.0 * 3.49e-6, rel=5e-3)


def test_read_noise_is_three_electrons_at_iso_55() -> None:
    _, read = Sensor(iso=55.0).noise(2)
    assert math.sqrt(read) * 6000.0 == pytest.approx(3.0, abs=0.01)


def test_dimmer_light_at_the_same_brightness_is_a_higher_iso() -> None:
    # physics.md 3.2: S' = S / k, and the part of O before the amplifier goes with 1 / k^2.
    sensor, dimmer = Sensor(iso=400.0), Sensor(iso=1600.0)
    assert dimmer.noise(2).shot == pytest.approx(4.0 * sensor.noise(2).shot)
    after = Sensor(iso=400.0, read_before=0.0).noise(2).read
    assert dimmer.noise(2).read - after == pytest.approx(16.0 * (sensor.noise(2).read - after))


def test_iso_zero_adds_nothing() -> None:
    assert Sensor(iso=0.0).noise(2) == (0.0, 0.0)
    assert not Sensor().adds_noise


def test_ten_bits_have_959_steps_from_black_to_white() -> None:
    assert Sensor().steps == pytest.approx(959.0)
    assert Sensor(bits=12).steps == pytest.approx(4095 * 959 / 1023)


# ---------------------------------------------------------------------- Brooks et al.
def test_brooks_noise_spans_the_specified_range() -> None:
    drawn = np.array([brooks_noise(np.random.default_rng(seed)) for seed in range(2000)])
    log_shot, log_read = np.log(drawn.T)
    assert drawn[:, 0].min() == pytest.approx(1e-4, rel=0.05)
    assert drawn[:, 0].max() == pytest.approx(1.2e-2, rel=0.05)
    assert log_shot.mean() == pytest.approx((math.log(1e-4) + math.log(1.2e-2)) / 2.0, abs=0.1)
    slope, intercept = np.polyfit(log_shot, log_read, 1)
    assert slope == pytest.approx(2.18, abs=0.02)
    assert intercept == pytest.approx(1.2, abs=0.1)
    assert (log_read - slope * log_shot - intercept).std() == pytest.approx(0.26, rel=0.05)


def test_brooks_noise_is_that_of_iso_33_to_3960() -> None:
    whole_pixel_shot_per_iso = Sensor(iso=1.0, binned=1).noise(1).shot
    assert 1e-4 / whole_pixel_shot_per_iso == pytest.approx(33.0)
    assert 1.2e-2 / whole_pixel_shot_per_iso == pytest.approx(3960.0)


# ---------------------------------------------------------------------- presets
def test_presets_are_as_specified() -> None:
    assert {name: sensor.iso for name, sensor in SENSORS.items()} == {
        **{"none": 0.0, "recorded": 0.0},
        **{"bright": 55.0, "indoor": 400.0, "dim": 1600.0, "dark": 6400.0},
    }
    exposures = [SENSORS[name].exposure_ms for name in ("bright", "indoor", "dim", "dark")]
    assert exposures == pytest.approx([5.0, 20.0, 100.0 / 3.0, 100.0 / 3.0])
    assert [name for name, sensor in SENSORS.items() if not sensor.blends] == ["none"]
    assert [name for name, sensor in SENSORS.items() if not sensor.adds_noise] == ["none"]


@pytest.mark.parametrize("name", SENSORS)
def test_a_preset_is_found_by_its_name_and_knows_it(name: str) -> None:
    assert make_sensor(name) == SENSORS[name]
    assert make_sensor(name).name == name


def test_text_changes_fields_and_names_the_sensor() -> None:
    sensor = make_sensor("dim,iso=800,fresh=off,bits=12")
    assert (sensor.iso, sensor.fresh, sensor.bits) == (800.0, False, 12)
    assert sensor.exposure_ms == SENSORS["dim"].exposure_ms
    assert make_sensor(sensor.name) == sensor


# ---------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        *((name, -1.0, f"sensor {name} must be at least 0, got -1.0") for name in ("iso", "read_before")),
        *(
            (name, math.nan, f"sensor {name} must be finite, got nan")
            for name in ("iso", "exposure_ms", "full_well")
        ),
        *(
            (name, math.inf, f"sensor {name} must be finite, got inf")
            for name in ("iso", "read_after", "exposure_ms")
        ),
        *((name, 0.0, f"sensor {name} must be above 0, got 0.0") for name in ("exposure_ms", "full_well")),
        ("binned", 0, "sensor binned must be at least 1"),
        *(("bits", bits, f"sensor bits must be at least 1 and at most 16, got {bits}") for bits in (0, 17)),
        *((name, 4.5, f"sensor {name} must be a whole number, got 4.5") for name in ("binned", "bits")),
        *((name, 1, f"sensor {name} must be True or False, got 1") for name in ("fresh", "blends")),
        ("iso", np.float32("nan"), "sensor iso must be finite, got nan"),
        ("iso", "loud", "sensor iso must be a number, got 'loud'"),
    ],
)
def test_a_value_that_no_sensor_can_have_is_refused_by_name(field: str, value: Any, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        replace(Sensor(), **{field: value})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("film", "unknown sensor preset 'film'; expected one of: bright, dark, dim, indoor, none, recorded"),
        ("dim,grain=1", "unknown sensor option 'grain'; expected one of: .*iso"),
        ("dim,bits=ten", "sensor option 'bits': expected a whole number, got 'ten'"),
        ("dim,fresh=perhaps", "sensor option 'fresh': expected on or off, got 'perhaps'"),
    ],
)
def test_text_that_is_no_sensor_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make_sensor(text)
