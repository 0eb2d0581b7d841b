"""The study of confidence: calibration and selective risk of known confidences, and its files."""

from pathlib import Path

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.experiments import uncertainty
from afsim.experiments.uncertainty import Played, UncertaintyConfig, calibration, row_of, selective_risk
from afsim.policy import Status
from afsim.stackset import StackSet


def test_a_policy_that_knows_is_calibrated_and_one_that_boasts_is_not() -> None:
    rng = np.random.default_rng(0)
    chance = rng.random(30_000)
    so = rng.random(chance.size) < chance
    claimed, found = calibration(chance, so)
    assert np.abs(claimed - found).max() < 0.04
    claimed, found = calibration(np.sqrt(chance), so)
    assert (claimed - found).mean() > 0.1
    assert len(calibration(chance[:4], so[:4])[0]) == 4


def test_the_risk_of_the_surest() -> None:
    risk = selective_risk(np.array([0.2, 0.9, 0.5]), np.array([6.0, 0.0, 3.0]))
    assert risk.tolist() == [0.0, 1.5, 3.0]
    rng = np.random.default_rng(1)
    error = rng.exponential(size=500)
    least = selective_risk(-error, error)
    assert (selective_risk(rng.random(500), error) >= least - 1e-12).all()


def test_a_row_tells_what_is_focused_but_wrong() -> None:
    error, status = np.array([0.5, 3.0, 0.2, 9.0]), np.array([1, 1, 0, 2], np.int8)
    row = row_of(Played("p", 2, np.array([0.9, 0.8, 0.7, 0.1]), error, status, list("abcd")))
    assert (Status.FOCUSED, row["focused"], row["focused_but_wrong"]) == (1, 0.5, 0.25)
    assert (row["within"], row["mae_1"], row["mae_0.5"]) == (0.5, pytest.approx(3.175), pytest.approx(1.75))


def test_the_study_writes_its_table(stacks: StackSet, tmp_path: Path) -> None:
    stacks.save(tmp_path / "set")
    config = UncertaintyConfig(tmp_path / "set", "bayesian,zncc_disparity", "1,3", tmp_path / "out", quiet=True)
    assert uncertainty.main(config) == 0
    assert {file.name for file in (tmp_path / "out").iterdir()} >= {"rows.csv", "table.md", "uncertainty.png"}
    rows = uncertainty.run(config, stacks=stacks)
    assert [(row["policy"], row["steps"]) for row in rows][:2] == [("bayesian", 1), ("bayesian", 3)]
    assert all(0.0 <= float(str(row["calibration_error"])) <= 1.0 for row in rows)
    with pytest.raises(AfsimError, match="separated by commas"):
        uncertainty.run(UncertaintyConfig(steps="two"), stacks=stacks)
