"""Loose patches of "Learning to Autofocus": sums of both views with a table of labels."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from afsim.errors import ReaderError
from afsim.optics import lta49_diopters
from afsim.read_patches import LearnAfPatchesReader
from afsim.stack import Image

N = 49


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for scene in ("cafe_1", "hall_2"):
        for patch in ("A", "B"):
            folder = tmp_path / scene / patch
            folder.mkdir(parents=True)
            for k in range(N):
                cv2.imwrite(str(folder / f"{k:02d}.png"), np.full((8, 8), 2048 + 100 * k, dtype=np.uint16))
    (tmp_path / "gt_index.csv").write_text("scene,gt_index_patch_A\ncafe_1,5\nhall_2,48\n")
    return tmp_path


def test_patches_labels_and_levels(source: Path) -> None:
    found = [stack for recording in LearnAfPatchesReader(source).recordings() for stack in recording.stacks()]
    assert [stack.name for stack in found] == ["cafe_1/A", "cafe_1/B", "hall_2/A", "hall_2/B"]
    assert [stack.best_index for stack in found] == [5, None, 48, None]
    assert [stack.scene for stack in found] == ["cafe_1", "cafe_1", "hall_2", "hall_2"]
    stack = found[0]
    assert stack.images.shape == (N, 1, 8, 8)
    # 2048 is black and 32736 white, for the sum of two views.
    np.testing.assert_allclose(stack.normalized()[:, 0, 0, 0], 100 * np.arange(N) / 30688, rtol=1e-6)
    assert stack.diopters is not None
    np.testing.assert_allclose(stack.diopters, lta49_diopters())


@pytest.mark.parametrize(("patches", "names"), [("A", ["cafe_1/A", "hall_2/A"]), ("B", ["cafe_1/B", "hall_2/B"])])
def test_one_kind_of_patches(source: Path, patches: str, names: list[str]) -> None:
    reader = LearnAfPatchesReader(source, patches=patches)  # type: ignore[arg-type]
    assert [recording.name for recording in reader.recordings()] == names


def test_scene_without_a_row_has_no_label(source: Path) -> None:
    (source / "gt_index.csv").write_text("scene,gt_index_patch_A\nhall_2,7\n")
    labels = [recording.cuts[0].best_index for recording in LearnAfPatchesReader(source).recordings()]
    assert labels == [None, None, 7, None]


@pytest.mark.parametrize("label", ["49", "-1", "3.5", "", "nan"])
def test_impossible_label_is_named(source: Path, label: str) -> None:
    (source / "gt_index.csv").write_text(f"scene,gt_index_patch_A\ncafe_1,{label}\n")
    with pytest.raises(ReaderError, match=rf"gt_index.csv, line 2: gt_index_patch_A is '{label}'.*0 \.\.\. 48"):
        list(LearnAfPatchesReader(source).recordings())


def test_table_without_its_columns_is_refused(source: Path) -> None:
    (source / "gt_index.csv").write_text("name,index\ncafe_1,5\n")
    with pytest.raises(ReaderError, match=r"columns \['name', 'index'\], expected scene and gt_index_patch_A"):
        list(LearnAfPatchesReader(source).recordings())
    (source / "gt_index.csv").unlink()
    with pytest.raises(ReaderError, match=r"gt_index.csv: no such file"):
        list(LearnAfPatchesReader(source).recordings())


def test_missing_slices_are_named(source: Path) -> None:
    for k in (3, 4):
        (source / "hall_2" / "B" / f"{k:02d}.png").unlink()
    with pytest.raises(ReaderError, match=r"hall_2/B: slice 3, 4 missing, expected 0 \.\.\. 48"):
        list(LearnAfPatchesReader(source).recordings())


def test_slice_of_another_size_or_cut_off_is_named(source: Path) -> None:
    first = next(LearnAfPatchesReader(source).recordings())
    file = source / "cafe_1" / "A" / "30.png"
    whole = file.read_bytes()
    cv2.imwrite(str(file), np.zeros((8, 9), dtype=np.uint16))
    with pytest.raises(ReaderError, match=r"A/30.png: 8 x 9 pixels, expected 8 x 8"):
        first.stacks()
    file.write_bytes(whole[:-4])
    with pytest.raises(ReaderError, match=r"A/30.png: cannot be decoded"):
        first.stacks()


def test_empty_folders_and_unknown_patches_are_refused(source: Path) -> None:
    with pytest.raises(ReaderError, match="patches: got 'C', expected one of A, B, both"):
        LearnAfPatchesReader(source, patches="C")  # type: ignore[arg-type]
    with pytest.raises(ReaderError, match="no such folder"):
        list(LearnAfPatchesReader(source / "nowhere").recordings())
    empty = source / "cafe_1" / "A"
    (empty / "gt_index.csv").write_text("scene,gt_index_patch_A\n")
    with pytest.raises(ReaderError, match="empty, expected a folder for each scene"):
        list(LearnAfPatchesReader(empty).recordings())


def local_contrast(green: Image) -> float:
    """Local norm-dist-sq of sigma 2, written out here so that the reader is checked against nothing of ours."""
    light = np.maximum(green, 1 / 1023)
    mean = gaussian_filter(light, 2.0, mode="nearest")
    return float(np.mean((light - mean) ** 2 / (light**2 + mean**2)))


def test_real_patches_peak_where_an_independent_measure_finds_it(real_data: Path) -> None:
    stacks = [
        stack
        for recording in LearnAfPatchesReader(real_data / "learnaf_patches").recordings()
        for stack in recording.stacks()
    ]
    labelled = [stack for stack in stacks if stack.best_index is not None]
    assert (len(stacks), len(labelled)) == (16, 8)
    peaks = {stack.scene: int(np.argmax([local_contrast(image) for image in stack.green()])) for stack in labelled}
    assert peaks == {
        "apt2_1": 4,
        "books_5": 7,
        "hallway1_3": 10,
        "macrofood1_8": 18,
        "loungearea1_6": 7,
        "test_home1_6": 22,
        "test_pillowroom1_8": 19,
        "outdoorsplants_2": 12,
    }
    errors = [peaks[stack.scene] - stack.best_index for stack in labelled if stack.best_index is not None]
    assert np.mean(np.abs(errors)) < 2
