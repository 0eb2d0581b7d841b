"""Writing aside, then renaming."""

from pathlib import Path

import pytest

from afsim.errors import StoreError
from afsim.staging import staged_files, staged_folder


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_then(error: BaseException, folder: Path) -> None:
    (folder / "a").write_text("1")
    raise error


def test_staged_folder_takes_its_name_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out"
    with staged_folder(target) as aside:
        (aside / "a").write_text("1")
        assert not target.exists()
    assert left_in(target) == ["a"]
    assert left_in(target.parent) == ["out"]
    beside = tmp_path / "plain"
    beside.mkdir()
    assert target.stat().st_mode == beside.stat().st_mode


def test_staged_folder_that_fails_leaves_no_folder_it_made(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path / "new" / "deep" / "out") as aside:
        write_then(KeyboardInterrupt(), aside)
    assert left_in(tmp_path) == []


def test_interruption_while_replacing_keeps_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("1")
    rename = Path.rename

    def interrupted(self: Path, to: Path) -> Path:
        if (self / "new").exists():
            raise KeyboardInterrupt
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), staged_folder(target, may_replace=True) as aside:
        (aside / "new").write_text("2")
    assert (left_in(tmp_path), left_in(target)) == (["out"], ["old"])


def test_folder_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(StoreError, match="exists already"), staged_folder(target):
        (target / "theirs").mkdir(parents=True)
    assert (left_in(tmp_path), left_in(target)) == (["out"], ["theirs"])


def test_staged_folder_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("1")
    with pytest.raises(StoreError, match="is a file"), staged_folder(tmp_path / "out", may_replace=True):
        pass


def test_staged_folder_replaces_what_a_link_points_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with staged_folder(tmp_path / "link", may_replace=True) as aside:
        (aside / "a").write_text("1")
    assert (tmp_path / "link").is_symlink()
    assert left_in(tmp_path / "real") == ["a"]


def test_staged_files_move_in_together(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "results"
    with pytest.raises(OSError, match="no"), staged_files(folder) as aside:
        write_then(OSError("no"), aside)
    assert left_in(tmp_path) == []
    for text in ("1", "2"):
        with staged_files(folder) as aside:
            (aside / "x").write_text(text)
    (folder / "kept").write_text("3")
    with staged_files(folder) as aside:
        (aside / "y").write_text("4")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"x": "2", "y": "4", "kept": "3"}
    with pytest.raises(StoreError, match="is a file"), staged_files(folder / "x"):
        pass
