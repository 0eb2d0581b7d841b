"""Policies with their options as text, as the command line takes them."""

from typing import Any

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.policies import POLICIES
from afsim.policies.text import known_options, split_policy
from afsim.task import TaskSpec
from tests.seating import make

SPEC = TaskSpec(12, 2, 64, 64, 5, diopters=tuple(np.linspace(0.3, 9.8, 12).tolist()))


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("hill_climb:laplacian_energy;first_step=3", "hill_climb:laplacian_energy", {"first_step": 3}),
        ("hill_climb; first_step = 3 ; drop=1e-2", "hill_climb", {"first_step": 3, "drop": 0.01}),
        ("pdaf;speed=fast;reach=3", "pdaf", {"speed": "fast", "reach": 3}),
        ("pdaf;speed=normal+max_slew=3", "pdaf", {"speed": "normal,max_slew=3"}),
        ("pdaf:fast;reach=none", "pdaf:fast", {}),
        ("bayesian;lens=worn_warm", "bayesian", {"lens": "worn_warm"}),
        ("bayesian;lens=worn_warm+hysteresis=0", "bayesian", {"lens": "worn_warm,hysteresis=0"}),
        ("bayesian;sensor=contrast", "bayesian:contrast", {}),
        ("one_sided:brent;overshoot=3", "one_sided", {"inner": "brent", "overshoot": 3}),
    ],
)
def test_a_text_is_the_policy_with_its_options(text: str, name: str, options: dict[str, Any]) -> None:
    assert make(text, SPEC) == make(name, SPEC, **options)
    assert "," not in text


def test_options_in_python_count_before_those_in_the_text() -> None:
    assert make("hill_climb;first_step=3", SPEC, first_step=4) == make("hill_climb", SPEC, first_step=4)


@pytest.mark.parametrize("name", POLICIES)
def test_every_plain_default_written_as_text_is_itself(name: str) -> None:
    policy = make(name, SPEC)
    for option in known_options(POLICIES[name]):
        value = getattr(policy, option)
        if option != "cost":
            assert make(f"{name};{option}={value}", SPEC) == policy


def test_a_text_is_taken_apart() -> None:
    assert split_policy("one_sided:brent:laplacian_energy; overshoot=3") == (
        "one_sided",
        "brent:laplacian_energy",
        {"overshoot": "3"},
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("psychic;first_step=3", "unknown policy 'psychic'"),
        ("hill_climb;stride=3", "unknown option of policy 'hill_climb' 'stride'; expected one of: .*first_step"),
        ("hill_climb;spec=3", "unknown option of policy 'hill_climb' 'spec'"),
        ("hill_climb;first_step=x", "option 'first_step' of policy 'hill_climb': expected a whole number, got 'x'"),
        ("hill_climb;first_step=3.5", "expected a whole number, got '3.5'"),
        ("hill_climb;drop=much", "option 'drop' of policy 'hill_climb': expected a number, got 'much'"),
        ("pdaf;reach=x", "option 'reach' of policy 'pdaf': expected a whole number, got 'x'"),
        (
            "hill_climb;first_step",
            "policy 'hill_climb': expected OPTION=VALUE after each semicolon, got 'first_step'",
        ),
        ("hill_climb;", "expected OPTION=VALUE after each semicolon, got ''"),
        ("hill_climb;drop=0;drop=0.1", "option 'drop' of policy 'hill_climb': expected once, got it twice"),
        ("bayesian:contrast;sensor=both", "option 'sensor' of policy 'bayesian': expected once, got it twice"),
        ("bayesian;cost=error", "option 'cost' of policy 'bayesian' is no plain value"),
        ("bayesian;sensor=sonar", "unknown bayesian sensor 'sonar'; expected one of: both, contrast, disparity"),
    ],
)
def test_a_text_that_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        make(text, SPEC)
