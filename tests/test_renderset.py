"""Rendering sets into folders: interrupted, continued, refused, and the same bytes in the end."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tyro

from afsim import renderset, sets
from afsim.errors import AfsimError, StoreError
from afsim.mixture import V6
from afsim.renderset import RenderConfig, main, render_set
from afsim.setconfig import DEMO, SETS, SetConfig, description_hash
from afsim.sets import render_stack
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from afsim.stackstore import StackWriter

_PLAIN = replace(
    V6, single=1.0, single_slanted=0.0, two=0.0, several=0.0, field_px=(0.0, 300.0), reach_index=(0.0, 30.0)
)
TINY = replace(DEMO, name="tiny", size=8, count=5, mixture=_PLAIN)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StackSet:
    return render_set(TINY, tmp_path_factory.mktemp("whole") / "tiny", workers=2, progress=False)


class _Failure(NamedTuple):
    """A renderer that fails at one stack, and the numbers of those it was asked for."""

    render: Callable[[SetConfig, int], FocalStack]
    asked: list[int]


def _failing(at: int | None, error: type[BaseException]) -> _Failure:
    asked: list[int] = []

    def render(config: SetConfig, i: int) -> FocalStack:
        asked.append(i)
        if i == at:
            raise error
        return render_stack(config, i)

    return _Failure(render, asked)


def _interrupt(monkeypatch: pytest.MonkeyPatch, target: Path, at: int, config: SetConfig = TINY) -> Path:
    """Render until stack ``at``; return the folder that is left."""
    monkeypatch.setattr(sets, "render_stack", _failing(at, KeyboardInterrupt).render)
    with pytest.raises(KeyboardInterrupt):
        render_set(config, target, workers=1, progress=False)
    monkeypatch.setattr(sets, "render_stack", render_stack)
    return target.with_name(f"{target.name}.partial")


# ---------------------------------------------------------------------- a set
def test_a_rendered_set_is_a_set_of_its_stacks_and_says_what_it_is(whole: StackSet) -> None:
    assert whole.path is not None
    assert sorted(file.name for file in whole.path.iterdir()) == ["images.u16", "index.npy", "manifest.json"]
    assert [folder.name for folder in whole.path.parent.iterdir()] == ["tiny"]
    whole.verify()
    for i in (0, 4):
        np.testing.assert_array_equal(whole.images[i], render_stack(TINY, i).images)
    assert whole.names == [f"tiny-{i:06d}" for i in range(5)]
    assert whole.metadata["description_sha256"] == description_hash(TINY)
    assert whole.metadata["mixture"] == "v6, version 1"


def test_the_number_of_workers_changes_nothing(whole: StackSet, tmp_path: Path) -> None:
    assert render_set(TINY, tmp_path / "one", workers=1, progress=False).digest == whole.digest


def test_a_name_and_a_count_make_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETS, "tiny", TINY)
    stacks = render_set("tiny", tmp_path / "some", count=2, progress=False)
    assert len(stacks) == 2
    with pytest.raises(AfsimError, match="unknown set 'huge'"):
        render_set("huge", tmp_path / "huge")


# ---------------------------------------------------------------------- interrupted
@pytest.mark.parametrize("at", [1, 3])
def test_an_interrupted_set_is_continued_to_the_same_bytes(
    at: int, whole: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "set"
    partial = _interrupt(monkeypatch, target, at)
    assert not target.exists()
    kept = len((partial / "journal.jsonl").read_text().splitlines())
    assert kept <= at
    rest = _failing(None, KeyboardInterrupt)
    monkeypatch.setattr(sets, "render_stack", rest.render)
    stacks = render_set(TINY, target, workers=2, progress=False)
    assert sorted(rest.asked) == list(range(kept, 5))
    assert stacks.digest == whole.digest
    stacks.verify()
    assert not partial.exists()


def test_finished_stacks_are_kept_through_many_interruptions(
    whole: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in (2, 3, 4):
        _interrupt(monkeypatch, tmp_path / "set", at)
    assert render_set(TINY, tmp_path / "set", progress=False).digest == whole.digest


@pytest.mark.parametrize("harm", ["image", "half an image", "line", "half a line"])
def test_what_is_damaged_is_rendered_again(
    harm: str, whole: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = _interrupt(monkeypatch, tmp_path / "set", 4)
    images, journal = partial / "images.u16", partial / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    size = 2 * 49 * 2 * 8 * 8
    assert len(lines) >= 2
    if harm == "image":
        with images.open("r+b") as file:
            file.seek(size + 100)
            file.write(b"\xff\xff")
    elif harm == "half an image":
        with images.open("r+b") as file:
            file.truncate(size + size // 2)
    elif harm == "line":
        journal.write_text(lines[0] + lines[1].replace("best_index", "worst_index") + "".join(lines[2:]))
    else:
        journal.write_text(lines[0] + lines[1][:50])
    rest = _failing(None, KeyboardInterrupt)
    monkeypatch.setattr(sets, "render_stack", rest.render)
    assert render_set(TINY, tmp_path / "set", progress=False).digest == whole.digest
    assert min(rest.asked) == 1


def test_nothing_is_left_where_nothing_was_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _interrupt(monkeypatch, tmp_path / "set", 0).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_another_set_is_refused_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = _interrupt(monkeypatch, tmp_path / "set", 4)
    before = (partial / "journal.jsonl").read_bytes()
    with pytest.raises(
        StoreError, match=r"set.partial holds a part of another set \(other noise, seed\); remove it"
    ):
        render_set(replace(TINY, seed=5, noise=False), tmp_path / "set", progress=False)
    assert (partial / "journal.jsonl").read_bytes() == before
    (partial / "description.json").write_text("{")
    with pytest.raises(StoreError, match=r"its description.json is damaged"):
        render_set(TINY, tmp_path / "set", progress=False)


def test_two_renderings_into_one_place_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fcntl")
    met: list[str] = []

    def render(config: SetConfig, i: int) -> FocalStack:
        if i == 1:
            with pytest.raises(StoreError, match=r"set.partial is being rendered by another process") as refusal:
                render_set(TINY, tmp_path / "set", progress=False)
            met.append(str(refusal.value))
        return render_stack(config, i)

    monkeypatch.setattr(sets, "render_stack", render)
    assert len(render_set(TINY, tmp_path / "set", progress=False, workers=1)) == 5
    assert len(met) == 1


# ---------------------------------------------------------------------- refused
def test_a_set_that_is_there_is_replaced_only_if_allowed(whole: StackSet, tmp_path: Path) -> None:
    assert whole.path is not None
    target = tmp_path / "set"
    shutil.copytree(whole.path, target)
    with pytest.raises(StoreError, match=r"set exists already; choose another place or allow"):
        render_set(replace(TINY, count=1), target, progress=False)
    assert StackSet.open(target).digest == whole.digest
    assert len(render_set(replace(TINY, count=1), target, may_replace=True, progress=False)) == 1
    assert len(StackSet.open(target)) == 1


def test_what_is_no_set_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").touch()
    (tmp_path / "file").touch()
    for name, message in (("folder", "is no stack set"), ("file", "exists already")):
        with pytest.raises(StoreError, match=message):
            render_set(TINY, tmp_path / name, may_replace=True, progress=False)
    assert (tmp_path / "folder" / "thesis.txt").exists()


def test_an_old_set_stays_until_the_new_one_is_complete(
    whole: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert whole.path is not None
    target = tmp_path / "set"
    shutil.copytree(whole.path, target)
    monkeypatch.setattr(sets, "render_stack", _failing(3, KeyboardInterrupt).render)
    with pytest.raises(KeyboardInterrupt):
        render_set(replace(TINY, seed=8), target, may_replace=True, progress=False)
    assert StackSet.open(target).digest == whole.digest


def test_too_small_a_disk_is_told_before_anything_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(StoreError, match=r"no room in .*: the stacks take 0.0 GB, 0.0 GB are free"):
        render_set(TINY, tmp_path / "set", progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["images", "journal"])
def test_a_disk_that_fills_up_keeps_what_is_finished(
    where: str, whole: StackSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full(*given: object) -> str:
        calls.append(given)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return original(*given)  # type: ignore[no-any-return]

    holder, name = (renderset, "journal_line") if where == "journal" else (StackWriter, "extend")
    original = getattr(holder, name)
    monkeypatch.setattr(holder, name, full)
    with pytest.raises(StoreError, match=r"no room in .*set.partial: No space left on device; finished stacks are"):
        render_set(TINY, tmp_path / "set", progress=False, workers=1)
    monkeypatch.setattr(holder, name, original)
    assert not (tmp_path / "set").exists()
    assert len((tmp_path / "set.partial" / "journal.jsonl").read_text().splitlines()) == 2
    assert render_set(TINY, tmp_path / "set", progress=False).digest == whole.digest


# ---------------------------------------------------------------------- the command
def _command(*words: str) -> RenderConfig:
    return tyro.cli(RenderConfig, args=list(words))


def test_the_command_configures_a_named_set() -> None:
    assert _command("bench-val", "out").configure() == SETS["bench-val"]
    words = (
        "night out --count 7 --seed 4 --size 64 --margin 3 --breathing 0 --no-noise --no-flicker --no-mismatch "
        "--no-shake --label-noise True"
    )
    changed = _command(*words.split()).configure()
    assert (changed.count, changed.seed, changed.size, changed.margin) == (7, 4, 64, 3)
    assert changed.mixture == replace(SETS["night"].mixture, breathing=0.0)
    assert (changed.noise, changed.flicker, changed.mismatch, changed.shake, changed.label_noise) == (
        False,
        False,
        False,
        False,
        True,
    )
    with pytest.raises(AfsimError, match="unknown set 'bench'"):
        _command("bench", "out").configure()


def test_the_command_renders_prints_and_goes_on_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SETS, "tiny", TINY)
    config = _command("tiny", str(tmp_path / "set"), "--size", "8", "--count", "4", "--workers", "1")
    monkeypatch.setattr(sets, "render_stack", _failing(3, KeyboardInterrupt).render)
    assert main(config) == 130
    error = capsys.readouterr().err
    assert "finished stacks are kept in" in error
    assert "set.partial: the same command goes on from there" in error
    monkeypatch.setattr(sets, "render_stack", render_stack)
    assert main(config) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{tmp_path / 'set'}: 4 stacks, digest ")
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest["sha256"] in out
