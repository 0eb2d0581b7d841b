"""How many steps a strategy needs: the smallest budget that reaches a level, in every camera, and nothing half."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.experiments.compare import CompareConfig
from afsim.experiments.compare import run as compare
from afsim.experiments.steps import LEVELS, Level, StepsConfig, main, need_rows, run, steps_needed
from afsim.experiments.steps_report import tables
from afsim.importer import import_stacks
from afsim.read_patches import LearnAfPatchesReader
from afsim.rollout import Arena
from afsim.rows import FIELDS, number
from afsim.stackset import StackSet

QUICK = StepsConfig(
    policies="stay,oracle,sweep", steps=3, lenses="ideal", sensors="recorded", erring_budgets="1,3", quiet=True
)
SUCCESS, ERROR = Level("success", 0.8, "often"), Level("exact_mae", 1.0, "near")


def make_row(steps: int, success: float, error: float, *, width: float = 0.1, **other: object) -> dict[str, object]:
    known: dict[str, object] = {"lens": "ideal", "sensor": "none", "policy": "p", "kind": "multi-step"}
    known |= {"steps": steps, "success": success, "exact_mae": error, "observations": 49.0, "time_ms": 10.0 * steps}
    known |= {"success_lo": success - width, "success_hi": success + width}
    known |= {"exact_mae_lo": error - width, "exact_mae_hi": error + width}
    return known | other


POINTS = [make_row(1, 0.3, 5.0), make_row(2, 0.8, 1.0), make_row(4, 0.85, 0.95), make_row(8, 0.95, 0.2)]


def test_the_smallest_budget_reaches_a_level_and_a_larger_one_surely() -> None:
    assert steps_needed(POINTS, SUCCESS) == (2, 8)
    assert steps_needed(POINTS, ERROR) == (2, 8)
    assert steps_needed(POINTS[::-1], ERROR) == (2, 8)


def test_what_is_never_reached_is_not_a_number() -> None:
    assert all(math.isnan(value) for value in steps_needed(POINTS[:1], SUCCESS))
    reached, surely = steps_needed(POINTS[:2], SUCCESS)
    assert (reached, math.isnan(surely)) == (2, True)
    # With one scene there is no interval, and nothing is sure.
    nothing = {f"{name}{end}": math.nan for name in ("success", "exact_mae") for end in ("_lo", "_hi")}
    assert math.isnan(steps_needed([POINTS[3] | nothing], SUCCESS)[1])


def test_a_whole_stack_takes_as_many_steps_as_it_sees_slices() -> None:
    assert steps_needed([make_row(1, 0.99, 0.1, kind="whole-stack")], SUCCESS) == (49, 49)


def test_cells_tell_what_is_reached_and_what_surely() -> None:
    other = [make_row(1, 0.5, 3.0, policy="q", time_ms=math.nan)]
    ((heading, *lines),) = tables(need_rows([*POINTS, *other], [SUCCESS, ERROR]), [SUCCESS, ERROR]).values()
    assert heading == ["policy", "often", "near", "best success (%)", "with steps", "exact MAE", "ms"]
    assert lines[0] == ["p", "2 (8)", "2 (8)", "95.0", "8", "0.20", "80"]
    assert lines[1] == ["q", "–", "–", "50.0", "1", "3.00", "–"]


def test_the_ideal_camera_is_that_of_the_comparison(stacks: StackSet) -> None:
    found = run(replace(QUICK, policies="hill_climb,sweep"), stacks=stacks)
    assert found.notes == []
    config = CompareConfig(policies="hill_climb,sweep", steps=3, sensor="recorded", quiet=True)
    for row, expected in zip(found.rows, compare(config, stacks=stacks), strict=True):
        assert set(row) == {"lens", "sensor", *FIELDS}
        assert {name: str(row[name]) for name in FIELDS} == {name: str(expected[name]) for name in FIELDS}


def test_who_knows_needs_one_step_and_who_stands_still_any_number(stacks: StackSet) -> None:
    needs = {str(row["policy"]): row for row in need_rows(run(QUICK, stacks=stacks).rows)}
    for level in LEVELS:
        assert needs["oracle"][level.title] == 1
    assert math.isnan(number(needs["stay"], "success ≥ 50 %"))
    assert needs["sweep"]["its_steps"] == 12


def test_where_the_camera_errs_starts_and_budgets_are_fewer_and_a_note_says_so(stacks: StackSet) -> None:
    config = replace(QUICK, lenses="ideal,typical_phone", sensors="recorded,dark", starts=2, policies="stay")
    found = run(config, stacks=stacks)
    played = {(row["lens"], row["sensor"], row["steps"]): row["episodes"] for row in found.rows}
    assert played == {
        **{("ideal", "recorded", m): 72 for m in (1, 2, 3)},
        **{(lens, "dark", m): 12 for lens in ("ideal", "typical_phone") for m in (1, 3)},
        **{("typical_phone", "recorded", m): 12 for m in (1, 3)},
    }
    (note,) = found.notes
    assert note.startswith("Starts 0, 11 and budgets 1, 3 alone in: ideal, dark; typical_phone, recorded; ")


def test_stacks_are_spread_over_the_set(stacks: StackSet) -> None:
    found = run(replace(QUICK, policies="oracle", most=2), stacks=stacks)
    rows = found.rows
    assert found.notes == ["2 of the 6 stacks, spread evenly over the set (--most 0 for all)."]
    assert {row["stacks"] for row in rows} == {2}
    expected = np.abs(np.rint(stacks.truth[[0, 5]]) - stacks.truth[[0, 5]]).mean()
    assert number(rows[0], "exact_mae") == pytest.approx(expected)


def test_the_bayesian_policy_is_also_played_by_who_knows_the_lens(stacks: StackSet) -> None:
    config = replace(QUICK, lenses="ideal,typical_phone", policies="bayesian,stay", starts=1, steps=1)
    rows = run(replace(config, sensors="recorded", erring_budgets="1"), stacks=stacks).rows
    assert [(row["lens"], row["policy"]) for row in rows] == [
        ("ideal", "bayesian"),
        ("ideal", "stay"),
        ("typical_phone", "bayesian"),
        ("typical_phone", "bayesian;lens=typical_phone"),
        ("typical_phone", "stay"),
    ]


def test_without_distances_only_lenses_that_do_not_err_are_played(stacks: StackSet) -> None:
    geometry = [replace(stacks[i], diopters=None, direction="unknown") for i in range(2)]
    found = run(replace(QUICK, lenses="ideal,worn_warm", policies="stay"), stacks=StackSet.from_stacks(geometry))
    assert {row["lens"] for row in found.rows} == {"ideal"}
    assert "The lens worn_warm is left out: the focus distances are unknown." in found.notes


def test_the_command_writes_its_files_and_the_same_bytes_twice(stacks: StackSet, tmp_path: Path) -> None:
    stacks.save(tmp_path / "set")
    config = replace(QUICK, stacks=tmp_path / "set", policies="stay,oracle", steps=1, out=tmp_path / "one")
    assert main(config) == 0
    assert main(replace(config, out=tmp_path / "two")) == 0
    pictures = {f"frontier_ideal_recorded.{ending}" for ending in ("png", "svg")}
    names = {file.name for file in config.out.iterdir()}
    assert names == {"rows.csv", "needs.csv", "table.md", *pictures}
    for name in names - {"table.md"}:
        assert (config.out / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    text = (config.out / "table.md").read_text(encoding="utf-8")
    assert text.startswith("`afsim study steps --stacks ")
    assert "## ideal, recorded" in text
    assert "6 stacks of 3 scenes" in text
    with (config.out / "needs.csv").open(encoding="utf-8") as file:
        assert [row["policy"] for row in csv.DictReader(file)] == ["stay", "oracle"]


def test_an_interrupted_run_leaves_nothing(
    stacks: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks.save(tmp_path / "set")

    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Arena, "play", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main(replace(QUICK, stacks=tmp_path / "set", out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lenses": "magic"}, "unknown lens preset 'magic'"),
        ({"sensors": "magic"}, "unknown sensor preset 'magic'"),
        ({"sensors": ""}, "nothing to play"),
        ({"erring_budgets": "7"}, "nothing to play"),
        ({"erring_budgets": "1,x"}, "erring budgets: expected whole numbers of at least 1, got 'x'"),
        ({"erring_budgets": "0,1"}, "got '0'"),
        ({"starts": 0}, "starts must be at least 1"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"most": -1}, "most must be"),
        ({"policies": "magic"}, "unknown policy"),
    ],
)
def test_bad_options_are_refused(stacks: StackSet, change: dict[str, object], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        run(replace(QUICK, **change), stacks=stacks)  # type: ignore[arg-type]


def test_stacks_without_a_truth_are_refused(unlabelled_stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="needs a truth or a label"):
        run(QUICK, stacks=unlabelled_stacks)


def test_real_patches_can_be_played(real_data: Path, tmp_path: Path) -> None:
    (path,) = import_stacks(LearnAfPatchesReader(real_data / "learnaf_patches", patches="A"), tmp_path / "set")
    found = run(replace(QUICK, stacks=path, sensors="recorded,bright", policies="oracle", starts=2, steps=1))
    assert {row["sensor"] for row in found.rows} == {"recorded", "bright"}
    assert {row["exact_mae"] for row in found.rows} == {0.0}
