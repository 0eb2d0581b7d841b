"""The study of agents: success at equal means, pictures, and its speed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afsim import cli
from afsim.errors import AfsimError
from afsim.experiments.agents import AgentsConfig, best_of_others, draw_moves, run, table
from afsim.experiments.bench_rl import RlConfig
from afsim.experiments.bench_rl import run as run_bench
from afsim.sets import demo_stacks
from afsim.stackset import StackSet


def row(policy: str, steps: float, success: float, **other: Any) -> dict[str, object]:
    return {"lens": "ideal", "policy": policy, "steps": steps, "time_ms": 30.0 * steps, "success": success, **other}


def test_others_are_met_at_equal_means() -> None:
    rows = [
        row("rl", 2.0, 0.9),
        row("even", 1.0, 0.4),
        row("even", 3.0, 0.8),
        row("falling", 1.0, 0.7),
        row("falling", 5.0, 0.5),
        row("late", 2.5, 1.0),
        {**row("even", 1.0, 1.0), "lens": "worn_warm"},
    ]
    for cost, at, name, reached in (
        ("steps", 2.0, "falling", 0.7),
        ("steps", 2.4, "falling", 0.7),
        ("time_ms", 66.0, "falling", 0.7),
        ("steps", 4.0, "late", 1.0),
        ("steps", 0.5, "-", np.nan),
    ):
        found = best_of_others(rows, "ideal", "rl", cost, at)
        assert found[0] == name
        assert found[1] == pytest.approx(reached, nan_ok=True)
    assert best_of_others(rows[:3], "ideal", "rl", "steps", 2.0)[1] == pytest.approx(0.6)  # as if by lot


def test_everybody_plays_the_same_episodes_in_front_of_every_lens(stacks: StackSet) -> None:
    config = AgentsConfig(
        policies="oracle,stay,hill_climb", lenses="ideal,worn_warm", steps=(1, 3), starts=4, quiet=True
    )
    rows, episodes = run(config, stacks=stacks)
    assert [(each["lens"], each["policy"], each["budget"]) for each in rows] == [
        (lens, policy, budget)
        for lens in ("ideal", "worn_warm")
        for policy in ("oracle", "stay", "hill_climb")
        for budget in (1, 3)
    ]
    assert {each["episodes"] for each in rows} == {24}
    oracle, stay = rows[0], rows[2]
    assert oracle["success"] == 1.0
    assert oracle["difference"] == 0.0
    assert stay["difference"] == pytest.approx(float(str(oracle["exact_mae"])) - float(str(stay["exact_mae"])))
    assert float(str(stay["difference_hi"])) < 0.0
    assert list(episodes) == ["ideal", "worn_warm"]
    text = table(rows, "oracle")
    assert text.count("\n| ideal |") == 8
    figure = draw_moves(episodes, stacks)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    starts = np.flatnonzero(np.isfinite(shown).any(axis=0))
    np.testing.assert_array_equal(shown[5, starts], 5 - starts)  # the oracle goes straight to the truth of 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": ()}, "at least one budget"),
        ({"steps": (0,)}, "steps must be at least 1"),
        ({"lenses": "rubber"}, "unknown lens preset"),
        ({"starts": 0}, "starts must be at least 1"),
    ],
)
def test_what_cannot_be_played_is_refused(stacks: StackSet, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        run(AgentsConfig(policies="stay", quiet=True, **options), stacks=stacks)


def test_the_command_writes_tables_and_pictures(tmp_path: Path, stacks: StackSet) -> None:
    stacks.save(tmp_path / "set")
    words = (
        f"study agents --stacks {tmp_path / 'set'} --policies hill_climb,stay --steps 2 --starts 2 --lenses ideal"
    )
    assert cli.main([*words.split(), "--out", str(tmp_path / "out")]) == 0
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"rows.csv", "table.md", "success.png", "moves.png"} <= written


def test_the_benchmark_learns_on_both_sides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("afsim.experiments.bench_rl.open_demo", lambda: demo_stacks(2))
    assert run_bench(RlConfig(sight="contrast", lanes=4, rounds=1, seconds=0.01)) == 0
    assert "PPO from contrast, 4 lanes" in capsys.readouterr().out.replace("\n", " ")
