"""The robustness study: which cameras it tries, and that it sees what they do to policies."""

import csv
from pathlib import Path

import numpy as np
import pytest

from afsim.errors import AfsimError
from afsim.experiments.robustness import RobustnessConfig, conditions, main, run, table
from afsim.lens import LENSES
from afsim.stackset import StackSet
from afsim.tables import markdown_table

QUICK = RobustnessConfig(policies="oracle,hill_climb", steps=3, start_step=6, quiet=True)


def test_every_imperfection_of_the_preset_is_tried_alone_and_taken_out() -> None:
    tried = list(conditions(LENSES["worn_warm"]))
    alone = {one.name for one in tried if one.group == "alone"}
    without = {one.name.removeprefix("worn_warm without ") for one in tried if one.group == "without"}
    assert alone == without
    assert len(alone) == 10
    assert tried[0].group == "reference"
    assert tried[0].lens.is_exact


def test_one_alone_errs_in_that_alone_and_a_lens_without_it_keeps_the_rest() -> None:
    tried = {(one.group, one.name): one.lens for one in conditions(LENSES["worn_warm"])}
    gravity, rest = tried["alone", "gravity"], tried["without", "worn_warm without gravity"]
    assert (gravity.gravity, gravity.resonance, gravity.offset, gravity.ringing) == (1.0, 65.0, 0.0, False)
    assert (rest.gravity, rest.offset, rest.ringing) == (0.0, 8.0, True)
    assert tried["without", "worn_warm without ringing"].ringing is False
    assert tried["without", "worn_warm without temperature"].magnet == 0.0


def test_the_study_tells_what_harms_an_open_loop(stacks: StackSet) -> None:
    rows = run(QUICK, stacks=stacks)
    harm = {str(row["condition"]): row["harm"] for row in rows if row["policy"] == "oracle"}
    assert harm["ideal lens, as recorded"] == 0.0
    assert harm["dark"] == 0.0  # what knows the truth does not look
    assert float(str(harm["gravity"])) > 1.0
    assert float(str(harm["worn_warm"])) > float(str(harm["typical_phone"])) > 0.0


def test_without_distances_only_light_is_tried() -> None:
    groups = {one.group for one in conditions(LENSES["worn_warm"], distances=False)}
    assert groups == {"reference", "light"}


def test_the_command_writes_rows_table_and_picture(stacks: StackSet, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    stacks.save(folder)
    config = RobustnessConfig(
        stacks=folder, policies="oracle", steps=1, start_step=12, out=tmp_path / "out", quiet=True
    )
    assert main(config) == 0
    assert {file.name for file in config.out.iterdir()} == {
        "rows.csv",
        "table.md",
        "robustness.png",
        "robustness.svg",
    }
    with (config.out / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(list(conditions(LENSES["worn_warm"])))
    assert np.isfinite([float(row["exact_mae"]) for row in rows]).all()
    heading, *lines = table(run(config, stacks=stacks))
    assert (config.out / "table.md").read_text() == markdown_table(heading, lines)


def test_stacks_without_a_truth_are_refused(unlabelled_stacks: StackSet) -> None:
    with pytest.raises(AfsimError, match="needs a truth or a label"):
        run(QUICK, stacks=unlabelled_stacks)
