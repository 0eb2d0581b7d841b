"""Order, distances and labels of slices: by their names, by options, by a table."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from afsim.errors import ReaderError
from afsim.read_images import ImagesReader
from afsim.stack import FocalStack


def write(folder: Path, names: list[str]) -> Path:
    """Write images whose value tells their place in the list."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((4, 4), k, dtype=np.uint16))
    return folder


def read(source: Path, **options: Any) -> FocalStack:
    [recording] = ImagesReader(source, **options).recordings()
    return recording.stacks()[0]


def slices(stack: FocalStack) -> list[int]:
    """Which written slice is at which index."""
    return [int(value) for value in stack.images[:, 0, 0, 0]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "desk", ["img0.png", "img1.png", "img2.png", "img3.png"])


def test_natural_order_of_names(tmp_path: Path) -> None:
    source = write(tmp_path / "a", [f"s{k}.png" for k in range(12)])
    assert slices(read(source)) == list(range(12))


def test_names_without_a_common_number_are_sorted(tmp_path: Path) -> None:
    assert slices(read(write(tmp_path / "a", ["far.png", "middle.png", "near.png"]))) == [0, 1, 2]


def test_numbers_may_start_anywhere_but_have_no_gap(tmp_path: Path) -> None:
    source = write(tmp_path / "a", ["image13.png", "image14.png", "image16.png"])
    with pytest.raises(ReaderError, match="number 15 missing between 13 and 16"):
        read(source)
    assert slices(read(source, allow_gaps=True)) == [0, 1, 2]
    write(source, ["image13.png", "image14.png", "image15.png", "image16.png"])
    assert slices(read(source)) == [0, 1, 2, 3]


def test_a_number_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match="3 files for the numbers 1 to 2"):
        read(write(tmp_path / "a", ["1.png", "01.png", "2.png"]))


def test_direction(folder: Path) -> None:
    assert read(folder).direction == "unknown"
    assert (read(folder, order="far-first").direction, slices(read(folder, order="far-first"))) == (
        "far-first",
        [0, 1, 2, 3],
    )
    assert (read(folder, order="near-first").direction, slices(read(folder, order="near-first"))) == (
        "far-first",
        [3, 2, 1, 0],
    )


def table(folder: Path, text: str) -> dict[str, str]:
    (folder / "stack.csv").write_text(text)
    return {"table": "stack.csv"}


def test_distances_from_far_to_near_stay(folder: Path) -> None:
    stack = read(folder, diopters=(0.5, 1.0, 2.0, 4.0))
    assert slices(stack) == [0, 1, 2, 3]
    assert stack.direction == "far-first"


def test_distances_from_near_to_far_are_reversed_with_the_label(folder: Path) -> None:
    stack = read(folder, **table(folder, "metres,best_index\n0.25,\n0.5,1\n1,\ninf,\n"))
    assert slices(stack) == [3, 2, 1, 0]
    assert stack.diopters is not None
    np.testing.assert_allclose(stack.diopters, [0, 1, 2, 4])
    assert stack.best_index == 2  # the file img1, now third


def test_files_of_a_table_are_taken_in_its_order(folder: Path) -> None:
    stack = read(folder, **table(folder, "file,diopters\nimg2.png,0\nimg0.png,1\nimg3.png,1.5\n"))
    assert slices(stack) == [2, 0, 3]
    assert stack.best_index is None


def test_index_column_sorts(folder: Path) -> None:
    text = "file,index,best_index\nimg0.png,2,2\nimg1.png,0,2\nimg2.png,1,2\nimg3.png,3,\n"
    stack = read(folder, **table(folder, text))
    assert slices(stack) == [1, 2, 0, 3]
    assert stack.best_index == 2
    flipped = read(folder, order="near-first", **table(folder, text))
    assert slices(flipped) == [3, 0, 2, 1]
    assert flipped.best_index == 1  # still the file img0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("diopters\n1\n2\n3\n", r"4 slices, but the table stack.csv has 3 rows"),
        ("diopters\n1\n3\n2\n4\n", r"slice 1 has 3 and slice 2 has 2 dioptres"),
        ("diopters\n4\n3\n3\n2\n", r"slice 1 has 3 and slice 2 has 3 dioptres"),
        ("diopters\n1\nnan\n3\n4\n", r"stack.csv, line 3, diopters: 'nan', expected a number of at least 0"),
        ("diopters\n1\n-2\n3\n4\n", r"line 3, diopters: '-2'"),
        ("diopters\n1\n2\ninf\n4\n", r"line 4, diopters: 'inf'"),
        ("diopters\n1\n2\nthree\n4\n", r"line 4, diopters: 'three'"),
        ("metres\n1\n0\n3\n4\n", r"line 3, metres: '0', expected a number above 0"),
        ("metres,diopters\n1,1\n", r"columns \['diopters', 'metres'\], expected only one"),
        ("position\n1\n", r"columns \['position'\], expected some of best_index, diopters, file, index, metres"),
        ("", r"columns \[\]"),
        ("file,index\nimg0.png,0\nimg1.png,1\nimg2.png,3\n", r"column index: slice 2 missing, expected 0 \.\.\. 2"),
        ("file,index\nimg0.png,0\nimg1.png,0\nimg2.png,1\n", r"column index: slice 2 missing"),
        ("file,index\nimg0.png,zero\n", r"line 2, index: 'zero', expected an integer"),
        ("file,best_index\nimg0.png,3\nimg1.png,\nimg2.png,\n", r"best_index is 3, expected 0 \.\.\. 2"),
        ("file,best_index\nimg0.png,1\nimg1.png,2\nimg2.png,\n", r"best_index has the values \[1, 2\]"),
        ("file,best_index\nimg0.png,1.5\nimg1.png,\n", r"line 2, best_index: '1.5', expected an integer"),
        ("file\nimg0.png\nimg9.png\n", r"img9.png: no such image"),
        ("file\nimg0.png\nimg0.png\n", r"img0.png: the table names it more than once"),
        ("file\nimg0.png\n", r"1 slice\(s\), a focal stack needs at least 2"),
    ],
)
def test_impossible_tables_are_refused(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ReaderError, match=message):
        read(folder, **table(folder, text))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"diopters": (1.0, 2.0, 3.0)}, "3 focus distances for 4 slices"),
        ({"diopters": (1.0, 2.0, float("nan"), 3.0)}, "slice 2 has nan dioptres"),
        (
            {"diopters": (1.0, 2.0, 3.0, 4.0), "order": "near-first"},
            "order is near-first, but the focus .* far-first",
        ),
        ({"table": "none.csv"}, "none.csv: no such file"),
    ],
)
def test_options_that_do_not_fit_the_folder(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ReaderError, match=message):
        read(folder, **options)
