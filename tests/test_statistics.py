"""Real and rendered stacks side by side: a table that is complete, and numbers that are those of the stacks."""

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from afsim.errors import AfsimError, ReaderError
from afsim.experiments.statistics import (
    Measured,
    StatisticsConfig,
    main,
    percentile,
    power_at,
    quantities,
    real_folder,
    run,
)
from afsim.experiments.statistics_report import lines_of, rows_of
from afsim.stackset import StackSet
from tests.conftest import make_stack


@pytest.fixture(scope="session")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of two patches, flickering together, as the reader of the real patches expects them."""
    root = tmp_path_factory.mktemp("patches")
    rng = np.random.default_rng(0)
    for scene in ("hall_1", "cafe_2"):
        gains = np.exp(0.02 * rng.standard_normal(49))
        for patch in ("A", "B"):
            folder = root / scene / patch
            folder.mkdir(parents=True)
            texture = gaussian_filter(rng.standard_normal((40, 40)), 1.0)
            for k in range(49):
                light = gains[k] * (0.2 + 0.1 * gaussian_filter(texture, 0.2 + 0.1 * abs(k - 12)))
                light += np.sqrt(1e-4 * light.clip(0)) * rng.standard_normal(light.shape)
                cv2.imwrite(str(folder / f"{k:02d}.png"), np.rint(2048 + 30688 * light).astype(np.uint16))
    (root / "gt_index.csv").write_text("scene,gt_index_patch_A\nhall_1,12\ncafe_2,12\n")
    return root


@pytest.fixture
def rendered() -> StackSet:
    return StackSet.from_stacks(make_stack(5.0 + 0.1 * i, n=12, size=40, seed=i) for i in range(4))


@pytest.fixture
def measured(patches: Path, rendered: StackSet) -> Measured:
    return run(StatisticsConfig(real=patches, quiet=True), rendered=rendered)


def value(measured: Measured, name: str, population: str) -> float:
    [row] = [row for row in rows_of(measured) if row["quantity"] == name]
    return float(str(row[population]))


def test_both_populations_are_measured(measured: Measured) -> None:
    assert [stack.name for stack in measured.real] == ["cafe_2/A", "cafe_2/B", "hall_1/A", "hall_1/B"]
    assert len(measured.rendered) == 4
    assert value(measured, "stacks", "real") == 4


def test_the_numbers_are_those_of_the_stacks(measured: Measured) -> None:
    assert value(measured, "noise S of green, stored pixels, 50 %", "real") == pytest.approx(1e-4, rel=0.2)
    assert value(measured, "flicker, sd of a slice, 50 %", "real") == pytest.approx(0.02, rel=0.3)
    assert value(measured, "flicker, correlation of patches A and B, 50 %", "real") > 0.9
    assert value(measured, "mean level, 50 %", "real") == pytest.approx(0.2, rel=0.05)
    assert value(measured, "index in focus, 50 %", "real") == 12
    assert value(measured, "index in focus, 50 %", "rendered") == pytest.approx(5.15)
    assert value(measured, "mean level, 50 %", "rendered") == pytest.approx(0.4, rel=0.05)
    assert np.isnan(value(measured, "flicker, correlation of patches A and B, 50 %", "rendered"))


def test_every_quantity_has_a_name_of_its_own(measured: Measured) -> None:
    names = [quantity.name for quantity in quantities()]
    assert len(names) == len(set(names))
    assert [line[0] for line in lines_of(rows_of(measured))] == names
    assert not any("nan" in cell for line in lines_of(rows_of(measured)) for cell in line)


def test_stacks_are_spread_over_the_set(patches: Path, rendered: StackSet) -> None:
    chosen = run(StatisticsConfig(real=patches, most=2, quiet=True), rendered=rendered).rendered
    assert [stack.name for stack in chosen] == [rendered.names[0], rendered.names[-1]]


def test_percentiles_leave_out_what_is_withheld(measured: Measured) -> None:
    assert np.isnan(percentile(lambda stack: float("nan"), 50)(measured.real))
    truths = percentile(lambda stack: stack.truth, 50)
    assert truths(measured.real) == 12  # the patches B have none


def test_power_is_interpolated_in_its_logarithm() -> None:
    f = np.linspace(0.0, 0.5, 17)
    assert power_at(f, 3.0 * np.exp(-20.0 * f), 0.23) == pytest.approx(np.exp(-20.0 * 0.23))
    assert power_at(f, np.full(17, 0.7), 0.43) == pytest.approx(1.0)


def test_it_writes_its_files(
    patches: Path, rendered: StackSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rendered.save(tmp_path / "set")
    config = StatisticsConfig(real=patches, stacks=tmp_path / "set", out=tmp_path / "out")
    assert main(config) == 0
    written = sorted(path.name for path in config.out.iterdir())
    assert written == ["stacks.csv", "statistics.csv", "statistics.png", "table.md"]
    with (config.out / "statistics.csv").open(newline="") as file:
        assert [row["quantity"] for row in csv.DictReader(file)] == [q.name for q in quantities()]
    with (config.out / "stacks.csv").open(newline="") as file:
        assert [row["population"] for row in csv.DictReader(file)] == ["real"] * 4 + ["rendered"] * 4
    assert "breathing gain" in capsys.readouterr().out


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patches: Path) -> None:
    monkeypatch.delenv("AFSIM_REAL_DATA", raising=False)
    with pytest.raises(ReaderError, match="AFSIM_REAL_DATA"):
        real_folder(None)
    config = StatisticsConfig(real=tmp_path / "none", out=tmp_path / "out", quiet=True)
    with pytest.raises(ReaderError, match="none"):
        main(config)
    assert not config.out.exists()
    with pytest.raises(AfsimError, match="most must be at least 1, got 0"):
        run(replace(config, real=patches, most=0))


# ---------------------------------------------------------------------- real recordings
def test_the_real_patches_breathe_flicker_and_are_as_noisy_as_was_known(
    real_data: Path, rendered: StackSet
) -> None:
    measured = run(StatisticsConfig(real=real_data / "learnaf_patches", most=1, quiet=True), rendered=rendered)
    assert value(measured, "noise power across the split at 0.23 / 0", "real") == pytest.approx(0.18, abs=0.04)
    assert value(measured, "noise power along the split at 0.43 / 0", "real") == pytest.approx(1.0, abs=0.1)
    assert 7e-5 < value(measured, "noise S of green, stored pixels, 50 %", "real") < 1.2e-4
    assert 1.2 < value(measured, "breathing gain, 50 %", "real") < 1.5
    assert value(measured, "flicker, correlation of patches A and B, 50 %", "real") > 0.9
    assert value(measured, "peak ln(max / median), labelled, variance", "real") == pytest.approx(0.29, abs=0.03)
