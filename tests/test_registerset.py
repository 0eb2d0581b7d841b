"""Registering a set into a folder: the same content as in memory, all or nothing, and what the command says."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tyro

from afsim.errors import AfsimError, StoreError
from afsim.registerset import RegisterConfig, has_fallen_back, main, register_set
from afsim.registration import Registration, register
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from tests.conftest import make_stack


@pytest.fixture
def source(tmp_path: Path) -> StackSet:
    """Three stored stacks of 12 slices, of whole frames of 48 x 48 pixels."""
    made = [make_stack(truth, seed=i, size=48) for i, truth in enumerate((2.0, 5.0, 8.0))]
    return StackSet.from_stacks(made, {"frame_px": [48, 48], "source": "a test"}).save(tmp_path / "source")


def test_the_folder_holds_what_registering_in_memory_gives(source: StackSet, tmp_path: Path) -> None:
    registration = Registration(source)
    stored = register_set(registration, tmp_path / "out", progress=False)
    expected = register(source)
    assert np.array_equal(stored.images, expected.images)
    assert stored.digest == expected.digest
    assert stored.metadata == expected.metadata
    assert stored.metadata["source"] == "a test"
    stored.verify()
    again = register_set(registration, tmp_path / "again", progress=False, workers=1)
    assert again.digest == stored.digest
    assert not np.array_equal(stored.images, source.images)


def test_the_command_tells_folder_digest_and_lost_holds(
    source: StackSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", str(source.path), str(tmp_path / "out"), "--margin", "2", "--reference", "11"]
    assert main(tyro.cli(RegisterConfig, args=words)) == 0
    stored = StackSet.open(tmp_path / "out")
    said = capsys.readouterr().out
    assert f"3 stacks, digest {stored.digest}" in said
    assert f"{sum(has_fallen_back(stack) for stack in stored)} of them by the calibrated zoom" in said
    assert stored.geometry.height == 44
    record: Any = stored.metadata["registration"]
    assert (record["method"], record["reference"], record["margin"]) == ("search", 11, 2)


def test_a_set_that_is_there_is_replaced_only_when_allowed(source: StackSet, tmp_path: Path) -> None:
    out = tmp_path / "out"
    config = RegisterConfig("calibrated", tmp_path / "source", out, margin=1)
    assert main(config) == 0
    with pytest.raises(StoreError, match="exists already"):
        main(config)
    assert main(RegisterConfig("calibrated", tmp_path / "source", out, margin=2, replace=True)) == 0
    assert StackSet.open(out).geometry.height == 44


def test_the_set_itself_is_never_replaced(source: StackSet, tmp_path: Path) -> None:
    for place in (tmp_path / "source", tmp_path):
        with pytest.raises(StoreError, match="holds the set that is registered"):
            register_set(Registration(source), place, may_replace=True, progress=False)
    source.verify()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_is_interrupted_leaves_nothing(
    source: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    usual = Registration.in_order

    def stopping(self: Registration, *, workers: int | None = None) -> Generator[FocalStack, None, None]:
        for i, stack in enumerate(usual(self, workers=workers)):
            if i == 2:
                raise error
            yield stack

    monkeypatch.setattr(Registration, "in_order", stopping)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error):
        register_set(Registration(source), tmp_path / "new" / "out", progress=False)
    assert sorted(tmp_path.iterdir()) == before


def test_what_does_not_fit_is_refused_before_anything_is_written(source: StackSet, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(AfsimError, match="reference must be"):
        main(RegisterConfig("calibrated", tmp_path / "source", tmp_path / "out", reference=12))
    with pytest.raises(AfsimError, match=r"looks .* pixels beyond"):
        main(RegisterConfig("calibrated", tmp_path / "source", tmp_path / "out", reference=0))
    with pytest.raises(AfsimError, match="workers must be at least 1"):
        register_set(Registration(source), tmp_path / "out", progress=False, workers=0)
    with pytest.raises(StoreError, match="no stack set at"):
        main(RegisterConfig("calibrated", tmp_path / "nowhere", tmp_path / "out"))
    assert sorted(tmp_path.iterdir()) == before
