"""Regret against two optima: what is fitted is what was drawn, numbers agree with their parts, nothing half."""

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afsim.beliefplan import plan
from afsim.camera import Camera
from afsim.costs import CostModel, make_cost
from afsim.errors import AfsimError
from afsim.experiments.optimum import OptimumConfig, fit_disparity, main, run, search_model, second_optima
from afsim.experiments.optimum_report import tables
from afsim.optics import lta49_diopters
from afsim.policies import make
from afsim.rollout import Arena
from afsim.rows import number
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from afsim.task import FocusTask
from tests.conftest import LEVELS

N = 8
# Every fourth of the recordings' distances: about a pixel of disparity each.
DIOPTERS = lta49_diopters()[1::6][:N]
QUICK = OptimumConfig(Path("set"), disparity="zncc_disparity:16", others="stay,oracle,sweep", steps=3, quiet=True)


def shifted(truth: float, seed: int) -> FocalStack:
    """Make a stack whose views are apart by 1.2 pixels a dioptre of defocus, to whole pixels."""
    rng = np.random.default_rng(seed)
    texture = rng.uniform(-1.0, 1.0, (64, 96))
    depth = np.interp(truth, np.arange(N), DIOPTERS)
    shifts = np.rint(1.2 * (DIOPTERS - depth)).astype(int)
    fades = 1.0 / (1.0 + (np.arange(N) - truth) ** 2 / 4.0)
    views = np.stack([np.stack([texture[:, 16:80], np.roll(texture, s, axis=1)[:, 16:80]]) for s in shifts])
    noisy = 0.4 + 0.3 * fades[:, None, None, None] * views + rng.normal(0, 0.01, (N, 2, 64, 64))
    images = np.rint(LEVELS.black + noisy * (LEVELS.white - LEVELS.black)).astype(np.uint16)
    name = f"stack-{seed}"
    return FocalStack(
        images,
        LEVELS,
        diopters=DIOPTERS,
        best_index=round(truth),
        best_index_exact=truth,
        direction="far-first",
        name=name,
        scene=f"scene-{seed % 4}",
    )


@cache
def some(first: int, count: int) -> StackSet:
    truths = np.random.default_rng(first).uniform(0, N - 1, count)
    return StackSet.from_stacks(shifted(float(truth), first + i) for i, truth in enumerate(truths))


def train() -> StackSet:
    return some(100, 24)


def played() -> StackSet:
    return some(0, 6)


@cache
def rows(costs: str = "error;error,move=0.5") -> list[dict[str, Any]]:
    return run(replace(QUICK, costs=costs), stacks=played(), train=train()).rows


def test_a_reading_tells_how_far_off_the_focus_lies() -> None:
    likelihood = fit_disparity(train())
    # The bins of readings rise with the distance from slice to focus, over cells of the same distance.
    apart = np.arange(N) - np.arange(N)[:, None]
    shares = np.stack([likelihood.table[apart == away].mean(axis=0)[:-1] for away in range(1 - N, N)])
    mean = (shares * np.arange(likelihood.bins - 1)).sum(axis=1) / shares.sum(axis=1)
    # What lies far apart is seldom seen, hence drawn towards the mean of all.
    assert (np.diff(mean[5:-5]) > 0).all()
    assert mean[: N - 1].max() < mean[N - 1] < mean[N:].min()


def test_the_second_optimum_is_the_plan_and_falls_with_steps() -> None:
    task = FocusTask(Camera(played()), budget=3, reward="none")
    model = search_model(fit_disparity(train()), train(), CostModel(), task)
    found = second_optima(model)
    for steps in (1, 2):
        assert found[steps].exact
        np.testing.assert_array_equal(found[steps].lower, plan(model, steps).value)
        np.testing.assert_array_equal(found[steps].lower, found[steps].upper)
    assert not found[3].exact
    exact = plan(model, 3).value
    assert (found[3].lower <= exact + 1e-9).all()
    assert (exact <= found[3].upper + 1e-9).all()
    assert (found[3].upper <= found[2].lower + 1e-9).all()


def test_every_cost_policy_and_budget_has_a_row() -> None:
    found = [(row["cost"], row["policy"], row["steps"], row["sees"]) for row in rows()]
    assert found == [
        (cost, policy, steps, "disparity" if policy.startswith("zncc") else "other")
        for cost in ("error", "error,move=0.5")
        for policy in ("zncc_disparity:16", "stay", "oracle", "sweep")
        for steps in ((1,) if policy == "sweep" else (1, 2, 3))
    ]
    assert {(row["steps"], row["bound_b"]) for row in rows() if row["kind"] == "multi-step"} == {
        (1, "exact"),
        (2, "exact"),
        (3, "bracket"),
    }
    assert {row["bound_b"] for row in rows() if row["policy"] == "sweep"} == {"bracket"}


def test_regret_is_cost_above_the_optimum_and_never_below_the_first() -> None:
    for row in rows():
        assert row["regret_a"] == pytest.approx(row["mean_cost"] - row["optimum_a"])
        assert row["regret_b"] == pytest.approx(row["mean_cost"] - row["optimum_b"])
        assert row["regret_b_least"] == pytest.approx(row["mean_cost"] - row["optimum_b_most"])
        assert row["regret_a"] > -1e-9
        assert row["optimum_a"] <= row["optimum_b_most"] + 1e-9
        assert row["regret_a_lo"] <= row["regret_a"] <= row["regret_a_hi"]
    oracle = [row for row in rows() if row["policy"] == "oracle" and row["cost"] == "error"]
    for row in oracle:
        assert row["regret_a"] == pytest.approx(0.0, abs=1e-9)


def test_costs_are_those_of_the_episodes() -> None:
    task = FocusTask(Camera(played()), budget=2, reward="none")
    cost = make_cost("error,move=0.5")
    episodes = Arena(task.camera).play(make("zncc_disparity:16", task.spec), task)
    (row,) = (
        r for r in rows() if (r["cost"], r["policy"], r["steps"]) == ("error,move=0.5", "zncc_disparity:16", 2)
    )
    assert row["mean_cost"] == pytest.approx(cost.of(episodes, played()).mean())
    assert row["mean_cost"] > number(rows()[1], "mean_cost")


def test_the_table_names_exact_optima_and_brackets() -> None:
    (heading, *lines), _ = tables(rows()).values()
    assert heading[-1] == "(b) is"
    assert all(("..." in line[7]) == (line[8] == "bracket") for line in lines)
    assert [line[2] for line in lines if line[0] == "sweep"] == ["all"]


def test_the_command_writes_its_files_and_the_same_bytes_twice(tmp_path: Path) -> None:
    train().save(tmp_path / "train")
    played().save(tmp_path / "played")
    config = replace(
        QUICK,
        train=tmp_path / "train",
        stacks=tmp_path / "played",
        others="stay",
        steps=1,
        costs="error",
        out=tmp_path / "one",
    )
    assert main(config) == 0
    assert main(replace(config, out=tmp_path / "two")) == 0
    assert {file.name for file in config.out.iterdir()} == {"rows.csv", "table.md"}
    assert (config.out / "rows.csv").read_bytes() == (tmp_path / "two" / "rows.csv").read_bytes()
    text = (config.out / "table.md").read_text(encoding="utf-8")
    assert text.startswith("`afsim study optimum --train train ")
    assert "optimal in its own model" in text
    assert "fitted on 24 stacks of another set" in text
    with (config.out / "rows.csv").open(encoding="utf-8") as file:
        assert [row["policy"] for row in csv.DictReader(file)] == ["zncc_disparity:16", "stay"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be"),
        ({"costs": " ; "}, "no cost to compare by"),
        ({"costs": "magic"}, "unknown cost preset 'magic'"),
        ({"costs": "error,magic=1"}, "unknown cost option 'magic'"),
        ({"costs": "error,move=-1"}, "cost move"),
        ({"others": "magic"}, "unknown policy"),
    ],
)
def test_bad_options_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        run(replace(QUICK, **change), stacks=played(), train=train())


def test_sets_that_do_not_fit_together_are_refused(stacks: StackSet, unlabelled_stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="is the one that is played"):
        run(QUICK, stacks=played(), train=played())
    with pytest.raises(AfsimError, match="same focus distances"):
        run(QUICK, stacks=stacks, train=train())
    with pytest.raises(AfsimError, match="needs a truth or a label"):
        run(QUICK, stacks=unlabelled_stacks, train=train())
