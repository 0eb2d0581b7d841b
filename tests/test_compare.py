"""A comparison from its configuration to its files: complete, repeatable, all or nothing, errors by name."""

import csv
import json
import math
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tyro

from afsim.errors import AfsimError
from afsim.experiments.compare import CompareConfig, drawn, main, notes_for, run
from afsim.experiments.seats import strategies
from afsim.importer import import_stacks
from afsim.lens import LENSES
from afsim.options import command_line
from afsim.read_images import ImagesReader
from afsim.read_patches import LearnAfPatchesReader
from afsim.rollout import Arena
from afsim.rows import FIELDS, number
from afsim.sensor import SENSORS
from afsim.stackset import StackSet
from tests.conftest import make_stack

TINY = CompareConfig(policies="stay,random,sweep", steps=2, quiet=True)
FILES = ["error_by_steps.png", "error_by_steps.svg", "frontier.png", "frontier.svg"]
FILES += ["report.html", "rows.csv", "run.json"]


@pytest.fixture
def config(stacks: StackSet, tmp_path: Path) -> CompareConfig:
    """A tiny comparison of a stored set."""
    stacks.save(tmp_path / "set")
    return replace(TINY, stacks=tmp_path / "set", out=tmp_path / "out")


def read_rows(out: Path) -> list[dict[str, str]]:
    with (out / "rows.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_it_has_a_row_for_each_policy_and_budget_and_one_for_a_whole_stack(stacks: StackSet) -> None:
    rows = run(TINY, stacks=stacks)
    assert [(row["policy"], row["kind"], row["steps"]) for row in rows] == [
        ("stay", "multi-step", 1),
        ("stay", "multi-step", 2),
        ("random", "multi-step", 1),
        ("random", "multi-step", 2),
        ("sweep", "whole-stack", 1),
    ]


def test_it_writes_its_files_and_nothing_else(config: CompareConfig) -> None:
    assert main(config) == 0
    assert sorted(path.name for path in config.out.iterdir()) == FILES
    assert tuple(read_rows(config.out)[0]) == FIELDS
    assert "Policies on set" in (config.out / "report.html").read_text(encoding="utf-8")


def test_the_same_command_gives_the_same_bytes(config: CompareConfig, tmp_path: Path) -> None:
    main(config)
    main(replace(config, out=tmp_path / "again"))
    for name in ("rows.csv", "error_by_steps.svg", "frontier.svg"):
        assert (config.out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_other_files_in_the_folder_are_left_alone(config: CompareConfig) -> None:
    config.out.mkdir()
    (config.out / "mine.txt").write_text("mine")
    (config.out / "rows.csv").write_text("old")
    main(config)
    assert (config.out / "mine.txt").read_text() == "mine"
    assert len(read_rows(config.out)) == 5


@pytest.mark.parametrize("out", ["out", "a folder with 'quotes'"])
def test_the_recorded_command_repeats_the_run(config: CompareConfig, tmp_path: Path, out: str) -> None:
    config = replace(config, out=tmp_path / out)
    main(config)
    record = json.loads((config.out / "run.json").read_text(encoding="utf-8"))
    words = shlex.split(record["command"])
    assert words[:2] == ["afsim", "compare"]
    # Where the folders lie is no part of a run: of absolute paths the name is told.
    named = replace(config, stacks=Path("set"), out=Path(out), quiet=False)
    assert tyro.cli(CompareConfig, args=words[2:]) == named
    assert record["stacks"]["sha256"] == StackSet.open(config.stacks or "").digest
    assert {"afsim", "python", "numpy"} <= set(record["versions"])


@pytest.mark.parametrize("name", ["[red]", "a [set] of [bold]"])
def test_the_name_of_a_set_is_shown_as_it_is(
    config: CompareConfig, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert config.stacks is not None
    renamed = config.stacks.with_name("odd") / name
    renamed.parent.mkdir()
    config.stacks.rename(renamed)
    monkeypatch.chdir(renamed)
    main(replace(config, stacks=Path(), policies="stay", steps=1, quiet=False))
    assert f"Policies on {name}" in capsys.readouterr().out


def test_the_default_command_has_no_options() -> None:
    assert command_line("compare", CompareConfig()) == "afsim compare"


def test_all_are_those_that_can_play_and_the_others_are_noted(stacks: StackSet, tmp_path: Path) -> None:
    stacks.save(tmp_path / "set")
    out = tmp_path / "out"
    assert main(replace(TINY, policies="all,stay", steps=1, stacks=tmp_path / "set", out=out)) == 0
    # Patches of 32 pixels have no room for a disparity.
    played = {row["policy"] for row in read_rows(out)}
    assert {"hill_climb", "sweep", "bayesian", "stay"} <= played
    page = (out / "report.html").read_text(encoding="utf-8")
    for name in set(strategies()) - played:
        assert f"{name} is left out: " in page


def test_optimum_and_regret_are_of_the_cost(stacks: StackSet, tmp_path: Path) -> None:
    config = replace(TINY, policies="random", steps=2)
    plain, charged = (run(replace(config, cost=cost), stacks=stacks) for cost in ("error", "error,move=2"))
    for one, other in zip(plain, charged, strict=True):
        error, optimum = number(one, "exact_mae"), number(other, "optimum")
        assert number(one, "regret") == pytest.approx(error - number(one, "optimum"))
        assert number(other, "regret") == pytest.approx(error + 2.0 * number(other, "moves") - optimum)
        assert optimum > number(one, "optimum")
        # Drawn over errors: the optimum of a cost that is none has no place there.
        assert drawn([one], config) == [one]
        assert math.isnan(number(drawn([other], replace(config, cost="error,move=2"))[0], "optimum"))
    stacks.save(tmp_path / "set")
    main(replace(config, cost="error,move=2", stacks=tmp_path / "set", out=tmp_path / "out"))
    assert "of the cost error,move=2" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_without_labels_errors_are_empty_and_the_notes_say_why(unlabelled_stacks: StackSet, tmp_path: Path) -> None:
    unlabelled_stacks.save(tmp_path / "set")
    config = replace(TINY, stacks=tmp_path / "set", out=tmp_path / "out", policies="stay,sweep,oracle")
    main(config)
    for row in read_rows(config.out):
        withheld = ("mae", "rmse_lo", "exact_mae", "worst_start", "focused_but_wrong", "travel_um", "time_ms")
        assert [row[name] for name in withheld] == [""] * len(withheld)
        assert 0.0 < float(row["relative_sharpness"]) <= 1.0
    page = (config.out / "report.html").read_text(encoding="utf-8")
    assert "nan" not in page.lower().split("</style>")[1].split("base64")[0]
    for note in notes_for(unlabelled_stacks):
        assert note in page


def test_the_notes_tell_what_is_withheld(stacks: StackSet, unlabelled_stacks: StackSet) -> None:
    assert notes_for(stacks) == []
    no_label, no_distance = notes_for(unlabelled_stacks)
    assert "No stack has a label" in no_label
    assert "distances are unknown" in no_distance
    mixed, one_scene = notes_for(StackSet.from_stacks([make_stack(3.0), make_stack(5.0, labelled=False)]))
    assert "1 labelled stacks of 2" in mixed
    assert "two labelled scenes" in one_scene


def test_the_table_is_printed_unless_quiet(config: CompareConfig, capsys: pytest.CaptureFixture[str]) -> None:
    main(config)
    assert capsys.readouterr() == ("", "")
    main(replace(config, quiet=False))
    shown = capsys.readouterr().out
    assert "Policies on set" in shown
    assert all(name in shown for name in ("stay", "random", "sweep", "MAE"))


@pytest.mark.parametrize("existing", [False, True])
def test_an_interrupted_run_leaves_nothing(
    config: CompareConfig, existing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    play = Arena.play

    def interrupted(self: Arena, *args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return play(self, *args, **options)

    monkeypatch.setattr(Arena, "play", interrupted)
    if existing:
        config.out.mkdir()
        (config.out / "rows.csv").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        main(config)
    if existing:
        assert [path.name for path in config.out.iterdir()] == ["rows.csv"]
        assert (config.out / "rows.csv").read_text() == "old"
    else:
        assert not config.out.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policies": "stay,magic"}, "unknown policy 'magic'; expected one of: .*fixed"),
        ({"policies": "sweep:magic"}, "unknown focus measure 'magic'"),
        ({"policies": "stay:magic"}, "no option to choose, got 'magic'"),
        ({"policies": "fixed:12"}, r"must be in 0 \.\.\. 11, got 12"),
        ({"policies": " , "}, "no policies to compare"),
        ({"policies": "stay,random,stay"}, "policies named twice: stay"),
        ({"lens": "magic"}, "unknown lens preset 'magic'; expected one of: closed_loop, ideal, typical_phone"),
        ({"sensor": "magic"}, "unknown sensor preset 'magic'"),
        ({"interpolation": "cubic"}, "unknown interpolation 'cubic'"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"baseline": "oracle"}, "unknown baseline 'oracle'; expected one of: random, stay, sweep"),
        ({"seed": -1}, "seed must be in 0"),
    ],
)
def test_what_does_not_exist_is_named_and_nothing_is_written(
    config: CompareConfig, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(AfsimError, match=message):
        main(replace(config, **change))
    assert not config.out.exists()


def test_a_damaged_set_is_refused(config: CompareConfig) -> None:
    assert config.stacks is not None
    largest = max(config.stacks.iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:100])
    with pytest.raises(AfsimError, match=largest.name):
        main(config)


def test_a_file_in_the_place_of_the_folder_is_told_before_anything_is_played(
    config: CompareConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.out.write_text("a file")
    monkeypatch.delattr(Arena, "play")
    with pytest.raises(AfsimError, match="is a file; expected a folder"):
        main(config)
    assert config.out.read_text() == "a file"


# ---------------------------------------------------------------------- real recordings
def test_a_sweep_of_the_papers_patches_has_the_known_error(real_data: Path, tmp_path: Path) -> None:
    [path] = import_stacks(LearnAfPatchesReader(real_data / "learnaf_patches", patches="A"), tmp_path / "set")
    rows = run(replace(TINY, stacks=path, policies="stay,hill_climb,sweep", steps=3))
    by_policy = {row["policy"]: row for row in rows}
    assert by_policy["sweep"]["stacks"] == by_policy["sweep"]["scenes"] == 8
    assert by_policy["sweep"]["mae"] == 1.375
    assert float(str(by_policy["hill_climb"]["mae"])) < float(str(by_policy["stay"]["mae"]))


@pytest.mark.parametrize(("scene", "n"), [("keyboard", 37), ("pcb", 49)])
def test_a_bracket_without_labels_can_be_compared(real_data: Path, tmp_path: Path, scene: str, n: int) -> None:
    reader = ImagesReader(real_data / "focus_bracket" / scene, size=(128, 128))
    [path] = import_stacks(reader, tmp_path / "set")
    rows = run(replace(TINY, stacks=path, policies="stay,sweep", steps=1))
    assert StackSet.open(path).n == n
    assert all(math.isnan(float(str(row["mae"]))) for row in rows)
    assert [row["labelled"] for row in rows] == [0, 0]
    stay, sweep = (float(str(row["relative_sharpness"])) for row in rows)
    assert stay < sweep == 1.0


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("lens", LENSES)
def test_the_comparison_runs_with_every_lens_and_sensor(
    config: CompareConfig, stacks: StackSet, lens: str, sensor: str
) -> None:
    tried = replace(config, policies="stay,hill_climb,sweep,oracle", steps=2, lens=lens, sensor=sensor)
    rows = run(tried, stacks=stacks)
    assert [row["policy"] for row in rows] == ["stay"] * 2 + ["hill_climb"] * 2 + ["sweep"] + ["oracle"] * 2
    oracle, best = rows[-1]["exact_mae"], {"ideal": 0.5, "typical_phone": 2.0, "closed_loop": 1.5, "worn_warm": 8.0}
    assert float(str(oracle)) < best[lens]
    assert all(np.isfinite(float(str(row["time_ms"]))) for row in rows)


@pytest.mark.parametrize(("lens", "sensor"), list(zip(LENSES, ("none", "indoor", "dark", "dim"), strict=True)))
def test_the_comparison_runs_on_real_patches_with_every_lens(
    real_data: Path, tmp_path: Path, lens: str, sensor: str
) -> None:
    (folder,) = import_stacks(LearnAfPatchesReader(real_data / "learnaf_patches", patches="A"), tmp_path / "set")
    stacks = StackSet.open(folder)[:2]
    tried = CompareConfig(policies="hill_climb,oracle", steps=3, lens=lens, sensor=sensor, quiet=True)
    rows = run(tried, stacks=stacks)
    assert {row["labelled"] for row in rows} == {2 * 49}
    assert all(0.0 <= float(str(row["mae"])) < 48.0 for row in rows)
