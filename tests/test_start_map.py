"""The map of starts: it finds the traps of a policy that has them, and writes the same bytes twice."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.experiments.start_map import (
    StartMapConfig,
    main,
    rows_of,
    study,
    table,
    trap_rows,
    worst_cases,
    worst_table,
)
from afsim.experiments.start_map_report import draw_map, draw_scenes, spread_over_truths
from afsim.rows import number
from afsim.stackset import StackSet

QUICK = StartMapConfig(policies="fixed:4,oracle,stay", steps=2, worst=2, scenes=3, quiet=True)


def test_who_knows_the_truth_has_no_trap_and_who_stands_still_has_one_for_each_start(stacks: StackSet) -> None:
    found = study(QUICK, stacks=stacks)
    rows = {str(row["policy"]): row for row in rows_of(found)}
    oracle, stay, fixed = (rows[name] for name in ("oracle", "stay", "fixed:4"))
    assert (oracle["in_focus"], oracle["basin_width"], oracle["from_everywhere"]) == (1.0, 12.0, 1.0)
    assert (oracle["largest_trap"], oracle["wrong"]) == (0, 0.0)
    within = np.abs(np.arange(12) - stacks.truth[:, None]) <= 1.0
    assert number(stay, "in_focus") == pytest.approx(within.mean())
    assert number(stay, "basin_width") == pytest.approx(within.sum(axis=1).mean())
    assert (stay["largest_trap"], stay["never_ending"]) == (1, pytest.approx(_share_beyond(stacks, 2.0)))
    # All starts end at 4: one trap of 12 in each stack but that whose focus is at 5.
    assert (fixed["largest_trap"], fixed["from_everywhere"]) == (12, pytest.approx(1 / 6))
    assert fixed["traps_a_stack"] == pytest.approx(5 / 6)


def _share_beyond(stacks: StackSet, error: float) -> float:
    return float((np.abs(np.arange(12) - stacks.truth[:, None]) > error).mean())


def test_shares_of_what_happened_sum_to_one(stacks: StackSet) -> None:
    for row in rows_of(study(replace(QUICK, policies="hill_climb,random,fixed:4"), stacks=stacks)):
        fates = ("in_focus", "near", "failed", "never_ending", "cycle", "wrong")
        assert sum(number(row, name) for name in fates) == pytest.approx(1.0)


def test_the_rows_of_traps_count_every_start_out_of_focus(stacks: StackSet) -> None:
    found = study(replace(QUICK, policies="hill_climb,stay"), stacks=stacks)
    for each in found.maps:
        outside = int((np.abs(each.ends.error) > 1.0).sum())
        assert sum(number(row, "starts") for row in trap_rows(found) if row["policy"] == each.policy) == outside


def test_worst_cases_are_of_different_stacks_and_by_falling_error(stacks: StackSet) -> None:
    found = study(QUICK, stacks=stacks)
    _, oracle, stay = found.maps
    assert worst_cases(oracle, 5) == []
    worst = worst_cases(stay, 4)
    assert len({int(stay.episodes.stack[i]) for i in worst}) == 4
    size = np.abs(stay.ends.error[worst])
    assert (np.diff(size) <= 0).all()
    assert size[0] == np.abs(stay.ends.error).max()
    heading, *lines = worst_table(found, 2)
    assert [line[0] for line in lines] == ["fixed:4"] * 2 + ["stay"] * 2
    cells = dict(zip(heading, lines[0], strict=True))
    assert (cells["truth"], cells["end"], cells["error"]) == ("10.4", "4", "-6.4")
    assert (cells["status"], cells["starts that end there"]) == ("focused", "12")


def test_the_command_writes_tables_and_pictures_and_the_same_bytes_twice(stacks: StackSet, tmp_path: Path) -> None:
    stacks.save(tmp_path / "set")
    config = replace(QUICK, stacks=tmp_path / "set", policies="fixed:4", steps=1, film=True, out=tmp_path / "one")
    assert main(config) == 0
    assert main(replace(config, out=tmp_path / "two")) == 0
    names = {file.name for file in config.out.iterdir()}
    assert names == {
        *("rows.csv", "traps.csv", "table.md"),
        *("map_fixed_4.png", "scenes_fixed_4.png", "scenes_fixed_4.gif"),
    }
    for name in names - {"table.md"}:
        assert (config.out / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    text = (config.out / "table.md").read_text(encoding="utf-8")
    assert text.startswith("`afsim study start_map --stacks ")
    assert all(cell in text for line in table(rows_of(study(config))) for cell in line)
    with (config.out / "traps.csv").open(encoding="utf-8") as file:
        assert {row["index"] for row in csv.DictReader(file)} == {"4"}


def test_the_map_has_the_stacks_by_rising_truth(stacks: StackSet) -> None:
    backwards = stacks.select(np.arange(len(stacks))[::-1])
    found = study(replace(QUICK, policies="stay"), stacks=backwards)
    figure = draw_map(found.maps[0], backwards)
    image = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(image, np.arange(12)[:, None] - np.sort(backwards.truth))
    (line, _) = figure.axes[0].lines
    np.testing.assert_allclose(np.asarray(line.get_ydata()), np.sort(stacks.truth))


def test_a_frame_of_a_film_shows_no_step_that_comes_later(stacks: StackSet) -> None:
    found = study(replace(QUICK, policies="random"), stacks=stacks)
    chosen = spread_over_truths(stacks, 3)
    assert stacks.truth[chosen].tolist() == [1.0, 5.0, 10.4]
    for step in (0, 1):
        axes = draw_scenes(found.maps[0], stacks, chosen, step=step).axes[0]
        assert max(len(np.asarray(line.get_xdata())) for line in axes.lines[:-1]) == step + 1
        assert axes.get_xlim()[1] > 2.0


def test_who_cannot_play_is_named(unlabelled_stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="needs a truth or a label"):
        study(QUICK, stacks=unlabelled_stacks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policies": "magic"}, "unknown policy 'magic'"),
        ({"policies": "hill_climb:magic"}, "unknown focus measure 'magic'"),
        ({"steps": 0}, "steps must be"),
        ({"worst": 0}, "worst must be"),
        ({"scenes": 0}, "scenes must be"),
    ],
)
def test_bad_options_are_refused(stacks: StackSet, change: dict[str, object], message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        study(replace(QUICK, **change), stacks=stacks)  # type: ignore[arg-type]
