"""The lens as numbers: presets as specified, every imperfection a switch, errors that name the field."""

import math
import pickle
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.lens import IMPERFECTIONS, LENSES, Lens, make_lens

SWITCHED_ON: dict[str, Any] = {**dict.fromkeys(IMPERFECTIONS, 0.5), "ringing": True}
SWITCHED_OFF: dict[str, Any] = {**dict.fromkeys(IMPERFECTIONS, 0.0), "ringing": False}


# Of physics.md 6.1, in the order of PRESETS.
TABLE: dict[str, tuple[Any, ...]] = {
    "offset": (0.0, 2.5, 8.0, 0.5),
    "gain": (0.0, 0.015, 0.05, 0.003),
    "bow": (0.0, 1.0, 3.0, 0.3),
    "gravity": (0.0, 0.15, 1.0, 0.01),
    "temperature": (0.0, 5.0, 20.0, 5.0),
    "temperature_sd": (0.0, 5.0, 8.0, 5.0),
    "thermal": (0.0, 0.4, 0.4, 0.4),
    "magnet": (0.0, 1.1e-3, 1.1e-3, 0.0),
    "hysteresis": (0.0, 1.0, 3.0, 0.2),
    "ringing": (False, True, True, True),
    "jitter": (0.0, 0.3, 0.6, 0.15),
    "lateral": (0.0, 0.3, 0.8, 0.2),
    "shaper": ("none", "ZVD", "ZV", "none"),
    "mistuning": (0.0, 0.04, 0.15, 0.0),
    "warmup_s": (120.0, 120.0, 120.0, 120.0),
}
PRESETS = ("ideal", "typical_phone", "worn_warm", "closed_loop")


# ---------------------------------------------------------------------- presets
@pytest.mark.parametrize("field", TABLE)
def test_presets_err_as_specified(field: str) -> None:
    assert tuple(getattr(LENSES[name], field) for name in PRESETS) == TABLE[field]


def test_presets_ring_at_the_specified_frequencies() -> None:
    springs = [(LENSES[name].resonance, LENSES[name].damping) for name in PRESETS[1:]]
    assert springs == [(80.0, 0.13), (65.0, 0.08), (150.0, 0.7)]


def test_the_direction_is_normal_but_for_the_worn_lens_which_turns_evenly() -> None:
    laws = {name: (lens.orientation_law, lens.orientation) for name, lens in LENSES.items()}
    assert laws["typical_phone"] == laws["closed_loop"] == ("normal", 0.35)
    assert laws["worn_warm"] == ("uniform", 0.7)


def test_codes_are_the_pixel_3s() -> None:
    for lens in LENSES.values():
        assert lens.code_um == 0.8954
        assert lens.codes[1] - lens.codes[0] + 1 == 1024


@pytest.mark.parametrize("name", LENSES)
def test_a_preset_is_found_by_its_name_and_knows_it(name: str) -> None:
    assert make_lens(name) == LENSES[name]
    assert make_lens(name).name == name
    assert pickle.loads(pickle.dumps(LENSES[name])) == LENSES[name]


# ---------------------------------------------------------------------- switches
def test_only_the_ideal_preset_is_exact() -> None:
    assert [name for name, lens in LENSES.items() if lens.is_exact] == ["ideal"]


@pytest.mark.parametrize("name", IMPERFECTIONS)
def test_one_imperfection_makes_a_lens_err(name: str) -> None:
    assert not replace(Lens(), **{name: SWITCHED_ON[name]}).is_exact


@pytest.mark.parametrize("name", LENSES)
def test_switched_off_one_by_one_every_lens_becomes_exact(name: str) -> None:
    lens, left = LENSES[name], {each for each in IMPERFECTIONS if getattr(LENSES[name], each)}
    for each in IMPERFECTIONS:
        assert lens.is_exact == (not left)
        lens = replace(lens, **{each: SWITCHED_OFF[each]})
        left -= {each}
    assert lens.is_exact


@pytest.mark.parametrize("name", LENSES)
@pytest.mark.parametrize("imperfection", IMPERFECTIONS)
def test_text_switches_one_imperfection_off_and_leaves_the_others(name: str, imperfection: str) -> None:
    lens = make_lens(f"{name},{imperfection}={'off' if imperfection == 'ringing' else '0'}")
    assert not getattr(lens, imperfection)
    for each in fields(Lens):
        if each.name not in ("name", imperfection):
            assert getattr(lens, each.name) == getattr(LENSES[name], each.name)


def test_every_field_can_be_changed_by_text() -> None:
    lens = make_lens(
        "typical_phone,shaper=slew,approach=random,orientation_law=uniform,codes=-9:500,ringing=off,slew=7"
    )
    assert (lens.shaper, lens.approach, lens.orientation_law) == ("slew", "random", "uniform")
    assert (lens.codes, lens.ringing, lens.slew) == ((-9, 500), False, 7.0)


def test_a_changed_lens_is_named_by_the_text_that_makes_it() -> None:
    lens = make_lens(" worn_warm , hysteresis = 0, ringing=off")
    assert lens.name.startswith("worn_warm,")
    assert make_lens(lens.name) == lens


# ---------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        *((name, -0.1, f"lens {name} must be at least 0, got -0.1") for name in IMPERFECTIONS if name != "ringing"),
        *((name, -1.0, f"lens {name} must be at least 0") for name in ("orientation", "temperature_sd")),
        *(
            (name, 0.0, f"lens {name} must be above 0, got 0.0")
            for name in ("focal_length_m", "code_um", "warmup_s", "resonance", "slew")
        ),
        ("offset", math.nan, "lens offset must be finite, got nan"),
        ("temperature", math.inf, "lens temperature must be finite, got inf"),
        ("offset", np.float32("nan"), "lens offset must be finite, got nan"),
        ("jitter", "much", "lens jitter must be a number, got 'much'"),
        ("bow", None, "lens bow must be a number, got None"),
        ("gravity", 1.1, "lens gravity must be at most 1, got 1.1"),
        ("ringing", 1, "lens ringing must be True or False, got 1"),
        ("ringing", "off", "lens ringing must be True or False, got 'off'"),
        ("damping", 0.0, "lens damping must lie between 0 and 1"),
        ("damping", 1.0, "lens damping must lie between 0 and 1"),
        ("mistuning", -0.01, "lens mistuning must be at least 0"),
        ("mistuning", 1.0, "lens mistuning must be below 1, got 1.0"),
        ("codes", (5,), r"lens codes must be two rising numbers, got \(5,\)"),
        ("codes", (0, 10, 20), r"lens codes must be two rising numbers, got \(0, 10, 20\)"),
        ("codes", [0, 10], r"lens codes must be two rising numbers, got \[0, 10\]"),
        ("codes", (0, 10.5), "lens codes must be a whole number, got 10.5"),
        ("codes", (5, 5), r"lens codes must be two rising numbers, got \(5, 5\)"),
        ("shaper", "ZVDD", "unknown lens shaper 'ZVDD'; expected one of: ZV, ZVD, none, slew"),
        ("approach", "above", "unknown lens approach 'above'; expected one of: far, near, random"),
        ("orientation_law", "fixed", "unknown lens orientation_law 'fixed'; expected one of: normal, uniform"),
    ],
)
def test_a_value_that_no_lens_can_have_is_refused_by_name(field: str, value: Any, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        replace(Lens(), **{field: value})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rubber", "unknown lens preset 'rubber'; expected one of: closed_loop, ideal, typical_phone, worn_warm"),
        ("worn_warm,friction=0", "unknown lens option 'friction'; expected one of: .*hysteresis"),
        ("worn_warm,name=mine", "unknown lens option 'name'"),
        ("worn_warm,hysteresis=much", "lens option 'hysteresis': expected a number, got 'much'"),
        ("worn_warm,hysteresis=-1", "lens hysteresis must be at least 0, got -1"),
        ("worn_warm,shaper=cubic", "unknown lens shaper 'cubic'"),
    ],
)
def test_text_that_is_no_lens_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make_lens(text)
