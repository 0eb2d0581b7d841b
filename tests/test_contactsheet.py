"""The facts of a set in words, and its picture."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from afsim.contactsheet import contact_sheet, describe, display_curve, slices_to_show
from afsim.errors import AfsimError
from afsim.imagefile import read_image
from afsim.stackset import StackSet

GOLD = (255, 215, 0)


def gold(path: Path) -> npt.NDArray[np.bool_]:
    return np.asarray((read_image(path)[..., :3] == GOLD).all(axis=2))


def test_describe_a_labelled_set(stacks: StackSet, tmp_path: Path) -> None:
    facts = dict(describe(stacks.save(tmp_path / "set")))
    assert facts["stacks"] == "6"
    assert facts["scenes"] == "3"
    assert facts["labelled"] == "6 of 6"
    assert facts["best slice"] == "1 ... 10.4, median 5.8"
    assert facts["views"] == "2 (left, right)"
    assert facts["levels"] == "black 64, white 1023"
    assert facts["focus distances"].startswith("3.91 m ... 0.407 m")
    assert facts["folder"] == str(tmp_path / "set")
    assert facts["digest"] == stacks.digest


def test_describe_an_unlabelled_set_in_memory(unlabelled_stacks: StackSet) -> None:
    facts = dict(describe(unlabelled_stacks))
    assert facts["labelled"] == "0 of 2"
    assert facts["focus distances"] == "unknown"
    assert "best slice" not in facts
    assert "size on disk" not in facts


def test_best_slices_are_framed_in_gold(stacks: StackSet, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet(stacks, path, rows=1, columns=4)
    one = gold(path).sum()
    contact_sheet(stacks, path, rows=3, columns=4)
    three = gold(path).sum()
    assert one > 100
    assert three == pytest.approx(3 * one, rel=0.2)


def test_gold_frame_is_where_the_best_slice_is(stacks: StackSet, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet(stacks[:1], path, rows=1, columns=3)  # best: slice 1 of 12, so the first of three pictures
    columns = np.flatnonzero(gold(path).any(axis=0))
    assert columns.max() < 0.45 * gold(path).shape[1]
    contact_sheet(stacks[5:], path, rows=1, columns=3)  # best: slice 10
    columns = np.flatnonzero(gold(path).any(axis=0))
    assert columns.min() > 0.6 * gold(path).shape[1]


def test_unlabelled_stacks_have_no_frame(unlabelled_stacks: StackSet, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet(unlabelled_stacks, path)
    assert not gold(path).any()
    assert read_image(path)[..., :3].std() > 10


@pytest.mark.parametrize("best", [None, 0, 7, 24, 33, 48])
def test_slices_to_show_are_in_order_and_hold_the_best(best: int | None) -> None:
    shown = slices_to_show(49, 7, best)
    assert shown == sorted(set(shown))
    assert len(shown) == 7
    assert best is None or best in shown
    assert slices_to_show(3, 7, 1) == [0, 1, 2]


def test_display_curve_lifts_dark_images_into_the_whole_range() -> None:
    dark = np.random.default_rng(0).uniform(0.001, 0.01, (4, 32, 32)).astype(np.float32)
    shown = display_curve(dark)
    assert (shown.min(), shown.max()) == (0.0, 1.0)
    order = np.argsort(dark, axis=None)
    assert (np.diff(shown.ravel()[order]) >= 0).all()
    assert np.median(shown) == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert np.isfinite(display_curve(np.zeros((2, 4, 4), dtype=np.float32))).all()


def test_sheet_of_nothing_is_refused(stacks: StackSet, tmp_path: Path) -> None:
    for rows, columns in ((0, 7), (3, 0)):
        with pytest.raises(AfsimError, match="expected at least 1 each"):
            contact_sheet(stacks, tmp_path / "sheet.png", rows=rows, columns=columns)
    with pytest.raises(AfsimError, match="a contact sheet of 0 stacks"):
        contact_sheet(stacks[:0], tmp_path / "sheet.png")
