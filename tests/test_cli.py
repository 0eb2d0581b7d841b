"""The command line: what it answers, its exit status, and one walk from a folder of images to a page."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import afsim
from afsim import cli, fit_bayesian
from afsim.stackset import StackSet

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two folders of six 8-bit images, 32 x 32, sharpest in the middle."""
    rng = np.random.default_rng(0)
    for scene in ("desk", "wall"):
        folder = tmp_path / "images" / scene
        folder.mkdir(parents=True)
        texture = rng.uniform(-1.0, 1.0, (32, 32))
        for k in range(6):
            image = np.rint(128 + 100 / (1 + (k - 3) ** 2) * texture).astype(np.uint8)
            assert cv2.imwrite(str(folder / f"{k}.png"), image)
    return tmp_path / "images"


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_lists_every_command(word: str, capsys: Captured) -> None:
    assert cli.main([word]) == 0
    out = capsys.readouterr().out
    assert "usage: afsim COMMAND" in out
    for name in ("compare", "data", "calibrate", "fit", "play", "trace", "study", "bench"):
        assert f"  {name} " in out


@pytest.mark.parametrize(
    "name",
    [
        "compare",
        "calibrate",
        "fit bayesian",
        "fit learned_depth",
        "study optimum",
        "play",
        "trace",
        "bench",
        "bench measures",
        "bench rollout",
        "data info",
        "data import images",
        "data register",
    ],
)
def test_every_command_explains_its_options(name: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([*name.split(), "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert f"usage: afsim {name}" in out
    assert "--" in out


def test_fit_tells_what_can_be_fitted(capsys: Captured) -> None:
    assert cli.main(["fit", "--help"]) == 0
    out = capsys.readouterr().out
    for name in ("bayesian", "learned_depth"):
        assert f"afsim fit {name} --stacks SET --out FILE" in out
    assert cli.main(["fit", "magic"]) == 2
    assert "afsim calibrate" in capsys.readouterr().out


def test_the_bayesian_policy_is_fitted_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    given: list[fit_bayesian.FitBayesianConfig] = []

    def noted(config: fit_bayesian.FitBayesianConfig) -> int:
        given.append(config)
        return 0

    monkeypatch.setattr(fit_bayesian, "main", noted)
    assert cli.main(["fit", "bayesian", "--stacks", "set", "--out", "made.json", "--parts", "2"]) == 0
    assert given == [fit_bayesian.FitBayesianConfig(Path("set"), Path("made.json"), parts=2)]


def test_the_help_of_bench_names_its_other_benchmarks(capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        cli.main(["bench", "--help"])
    out = capsys.readouterr().out
    assert "afsim bench measures" in out
    assert "afsim bench rollout" in out


def test_a_cost_is_changed_field_by_field(stacks: StackSet, tmp_path: Path) -> None:
    stacks.save(tmp_path / "set")
    words = ["--stacks", str(tmp_path / "set"), "--policies", "stay", "--steps", "1", "--quiet"]
    assert cli.main(["compare", *words, "--cost.move", "0.5", "--out", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["config"]["cost"] == "error,move=0.5"


def test_version(capsys: Captured) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"afsim {afsim.__version__}\n"


@pytest.mark.parametrize("words", [[], ["data"], ["data", "export"], ["data", "import"], ["focus"]])
def test_a_wrong_call_exits_with_2(words: list[str], capsys: Captured) -> None:
    assert cli.main(words) == 2
    assert "".join(capsys.readouterr())


def test_an_unknown_command_is_named_with_those_there_are(capsys: Captured) -> None:
    assert cli.main(["focus"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "unknown command 'focus'; expected one of: compare, data" in captured.err


def test_an_unknown_option_exits_with_2(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", "--magic", "1"])
    assert stop.value.code == 2
    assert "--magic" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("compare --policies magic --out OUT", "unknown policy 'magic'"),
        ("compare --stacks nowhere --out OUT", "nowhere"),
        ("compare --steps 0 --out OUT", "steps must be at least 1, got 0"),
        ("data info --stacks nowhere", "nowhere"),
        ("data import magic OUT --source nowhere", "unknown reader 'magic'; expected one of: images, learnaf"),
        ("data import images OUT --source nowhere", "nowhere"),
        ("play --terminal --stack magic", "unknown stack 'magic'"),
        ("play --terminal --timing.wait-ms soon", "timing option 'wait_ms': expected a number, got 'soon'"),
        ("play --terminal --breathing -1", "breathing must be a number of at least 0, got -1.0"),
        ("data render demo OUT --breathing nan", "breathing must be finite, got nan"),
        ("data render demo OUT --breathing -1", "breathing must be at least 0, got -1.0"),
        ("data render demo OUT --size 4000", "no patch of 4000 px in a frame of (2016, 1512)"),
        ("data render demo OUT --workers 0", "workers must be at least 1, got 0"),
        ("study figures --size 0 --out OUT", "size must be at least 8, got 0"),
        ("study figures --size 33 --out OUT", "size must be even, got 33"),
        ("study figures --step 0 --out OUT", "step must be at least 1, got 0"),
        ("study figures --repeats 0 --out OUT", "repeats must be at least 1, got 0"),
        ("study figures --seed -1 --out OUT", "seed must be at least 0, got -1"),
        ("study robustness --start-step 0 --out OUT", "start_step must be at least 1, got 0"),
        ("study robustness --steps 0 --out OUT", "steps must be at least 1, got 0"),
        ("play --terminal --lens [/red]", "unknown lens preset '[/red]'"),
        ("compare --lens.friction 0 --out OUT", "unknown lens option 'friction'; expected one of: "),
        ("compare --sensor.iso loud --out OUT", "sensor option 'iso': expected a number, got 'loud'"),
        ("compare --timing.wait-ms -1 --out OUT", "timing wait_ms must be a number of at least 0, got -1.0"),
        ("compare --lens.gain --out OUT", "--lens.gain: expected a value after it"),
    ],
)
def test_an_error_is_one_message_on_the_error_stream(
    words: str, message: str, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out"
    assert cli.main(words.replace("OUT", str(out)).split()) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert message in line
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_an_error_too(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "a long name, so that the message would not fit on one line of a terminal"
    assert cli.main(["compare", "--out", str(out), "--quiet"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert str(out) in err


def test_an_interrupt_exits_with_130(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def interrupted(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli._COMMANDS, "compare", interrupted)
    assert cli.main(["compare"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_from_a_folder_of_images_to_a_page(images: Path, tmp_path: Path, capsys: Captured) -> None:
    made, sheet, out = tmp_path / "set", tmp_path / "sheet.png", tmp_path / "out"
    assert cli.main(["data", "import", "images", str(made), "--source", str(images)]) == 0
    assert capsys.readouterr().out == f"{made}\n"
    assert StackSet.open(made).scenes == ["desk", "wall"]

    assert cli.main(["data", "info", "--stacks", str(made), "--picture", str(sheet), "--verify"]) == 0
    shown = capsys.readouterr().out
    assert "0 of 2" in shown
    assert "32 x 32 pixels" in shown
    assert sheet.read_bytes().startswith(b"\x89PNG")

    words = ["compare", "--stacks", str(made), "--out", str(out), "--steps", "2", "--policies", "stay,sweep"]
    assert cli.main(words) == 0
    assert "withheld" in capsys.readouterr().out
    assert (out / "report.html").exists()


def test_imperfections_are_switched_one_by_one(
    stacks: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stacks.save(tmp_path / "set")
    words = ["compare", "--stacks", "set", "--policies", "stay,oracle", "--steps", "1", "--quiet"]
    physics = "--lens worn_warm --lens.hysteresis 0 --sensor.iso 800 --timing.inference-ms 32.5 --margin 2"
    assert cli.main([*words, *physics.split(), "--out", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["config"]["lens"] == "worn_warm,hysteresis=0"
    assert record["config"]["sensor"] == "none,iso=800"
    # The recorded command repeats the run.
    again = shlex.split(record["command"])[1:]
    again[again.index("--out") + 1] = str(tmp_path / "again")
    assert cli.main(again) == 0
    rows = [(tmp_path / out / "rows.csv").read_bytes() for out in ("out", "again")]
    assert rows[0] == rows[1]
    assert cli.main([*words, "--out", str(tmp_path / "ideal")]) == 0
    assert (tmp_path / "ideal" / "rows.csv").read_bytes() != rows[0]


def test_a_set_is_replaced_only_when_asked(images: Path, tmp_path: Path, capsys: Captured) -> None:
    words = ["data", "import", "images", str(tmp_path / "set"), "--source", str(images)]
    assert cli.main(words) == 0
    before = StackSet.open(tmp_path / "set").digest
    for path in images.glob("*/0.png"):
        assert cv2.imwrite(str(path), np.full((32, 32), 7, np.uint8))
    assert cli.main(words) == 1
    assert "exists already" in capsys.readouterr().err
    assert StackSet.open(tmp_path / "set").digest == before
    assert cli.main([*words, "--replace"]) == 0
    assert StackSet.open(tmp_path / "set").digest != before


def test_info_of_the_demo_needs_no_file(capsys: Captured) -> None:
    assert cli.main(["data", "info"]) == 0
    assert "digest" in capsys.readouterr().out


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from afsim.cli import main; status = main(['--help']); "
        "print(sorted({'torch', 'numba', 'matplotlib'} & set(sys.modules))); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
