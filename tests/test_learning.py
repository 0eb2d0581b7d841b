"""Learning curves over seeds."""

from pathlib import Path

import pytest

from afsim.errors import AfsimError, StoreError
from afsim.experiments.learning import LearningConfig, main, run


def log(path: Path, *rows: tuple[float, float, float, float]) -> Path:
    lines = ["timesteps,return,success,exact MAE,steps", *(f"{t},0.1,{s},{m},{k}" for t, s, m, k in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_means_and_intervals_are_over_seeds(tmp_path: Path) -> None:
    logs = tuple(
        log(tmp_path / f"{i}.csv", (100, success, 2.0, 3.0), (200, 0.5, 1.0, 2.0 + i))
        for i, success in enumerate((0.2, 0.3, 0.4))
    )
    first, last = run(LearningConfig(logs))
    # Of three values with a standard deviation of 0.1, Student's t with two degrees of freedom.
    half = 4.302653 * 0.1 / 3**0.5
    assert [first["success"], first["success_lo"], first["success_hi"]] == pytest.approx(
        [0.3, 0.3 - half, 0.3 + half]
    )
    assert last["success_lo"] == last["success_hi"] == last["success"] == 0.5
    assert (last["timesteps"], last["steps"]) == (200.0, 3.0)


def test_the_files_are_written(tmp_path: Path) -> None:
    logs = tuple(log(tmp_path / f"{i}.csv", (100, 0.2 + i / 10, 2.0, 3.0)) for i in range(2))
    assert main(LearningConfig(logs, tmp_path / "out", quiet=True)) == 0
    assert {"rows.csv", "table.md", "learning.png"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_logs_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    one, other = log(tmp_path / "a.csv", (100, 0.2, 2, 3)), log(tmp_path / "b.csv", (150, 0.2, 2, 3))
    with pytest.raises(AfsimError, match="at least two logs, got 1"):
        run(LearningConfig((one,)))
    with pytest.raises(AfsimError, match=r"b\.csv was validated at other steps than .*a\.csv"):
        run(LearningConfig((one, other)))
    (tmp_path / "c.csv").write_text("step,loss\n1,2\n", encoding="utf-8")
    with pytest.raises(StoreError, match=r"c\.csv cannot be read as a log"):
        run(LearningConfig((one, tmp_path / "c.csv")))
    with pytest.raises(StoreError, match=r"d\.csv"):
        run(LearningConfig((one, tmp_path / "d.csv")))
