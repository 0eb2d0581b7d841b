"""The published layout of "Learning to Autofocus", in miniature: 49 slices of 96 x 64 pixels."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import OpenEXR
import pytest
from scipy.ndimage import gaussian_filter, shift

from afsim.dualpixel import Orientation, best_shift, detect_orientation, flatten
from afsim.errors import ReaderError
from afsim.imagefile import read_exr, read_grey16, read_image
from afsim.optics import lta49_diopters
from afsim.read_learnaf import LEVELS, LearnAfReader, decode_depth, nearest_slice
from afsim.recording import Recording

N = 49
FRAME = (96, 64)
DEPTH = (24, 16)
TRUTH = 20
PATCH: dict[str, Any] = {"patch": 32, "stride": 16}


def depth_code(metres: float, zmin: float = 0.1, zmax: float = 100.0) -> int:
    return round(255 * (zmax - zmax * zmin / metres) / (zmax - zmin))


def view(
    side: str, k: int, *, size: tuple[int, int] = FRAME, axis: int = 1, sign: int = 1
) -> npt.NDArray[np.float64]:
    """A texture around 0.5 that blurs away from the truth; the right view moves 0.34 pixels a slice."""
    texture = np.random.default_rng(0).standard_normal(size)
    defocus = k - TRUTH
    blurred = gaussian_filter(texture, 2.0 + 0.1 * abs(defocus))
    moved = (0.17 if side == "right" else -0.17) * sign * defocus
    offset = (moved, 0.0) if axis == 0 else (0.0, moved)
    return np.asarray(0.5 + shift(blurred, offset, order=1, mode="wrap"))


def write_exr(path: Path, values: npt.NDArray[np.float32], channel: str = "R") -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {channel: values}).write(str(path))


def write_sweep(split: Path, scene: str, *, pattern: str = "{}", axis: int = 1) -> None:
    for side in ("left", "right"):
        for k in range(N):
            folder = split / f"raw_up_{side}_pd" / scene / pattern.format(k)
            folder.mkdir(parents=True)
            raw = LEVELS.black + view(side, k, axis=axis) * (LEVELS.white - LEVELS.black)
            file = folder / f"result_up_pd_{side}_center.png"
            cv2.imwrite(str(file), np.clip(raw, 0, 16368).astype(np.uint16))
    depth, confidence = (split / kind / scene for kind in ("merged_depth", "merged_conf"))
    depth.mkdir(parents=True)
    confidence.mkdir(parents=True)
    codes = np.full(DEPTH, depth_code(1 / lta49_diopters()[TRUTH]), dtype=np.uint8)
    codes[:8, :8] = 0  # no depth in the first patch
    certain = np.ones(DEPTH, dtype=np.float32)
    certain[18:, 10:] = 0.5  # the last patch is uncertain
    cv2.imwrite(str(depth / "result_merged_depth_center.png"), codes)
    write_exr(confidence / "result_merged_conf_center.exr", certain)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("learnaf")
    write_sweep(source / "train1", "apt2_1")
    write_sweep(source / "train1", "apt2_2", pattern="slice_{:02d}", axis=0)
    write_sweep(source / "test", "books_5")
    return source


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """One sweep of its own, to be damaged."""
    return Path(shutil.copytree(made / "test", tmp_path / "test"))


def only(reader: LearnAfReader) -> Recording:
    [recording] = reader.recordings()
    return recording


def slice_file(split: Path, side: str, k: int) -> Path:
    return split / f"raw_up_{side}_pd" / "books_5" / str(k) / f"result_up_pd_{side}_center.png"


def test_finds_the_sweeps_of_all_splits(made: Path) -> None:
    found = list(LearnAfReader(made, **PATCH).recordings())
    assert [recording.name for recording in found] == ["test/books_5", "train1/apt2_1", "train1/apt2_2"]
    assert [cut.scene for recording in found for cut in recording.cuts[:1]] == ["books", "apt2", "apt2"]
    assert [recording.metadata["split"] for recording in found] == ["test", "train1", "train1"]
    assert [recording.metadata["composition"] for recording in found] == [5, 1, 2]


def test_one_split_folder_reads_the_same(made: Path) -> None:
    whole = list(LearnAfReader(made, **PATCH).recordings())
    part = list(LearnAfReader(made / "train1", **PATCH).recordings())
    assert [recording.cuts for recording in part] == [recording.cuts for recording in whole[1:]]


def test_patches_are_cut_from_both_views_in_place(made: Path) -> None:
    recording = only(LearnAfReader(made / "test", **PATCH))
    stacks = recording.stacks()
    assert len(stacks) == len(recording.cuts)
    for cut, stack in zip(recording.cuts, stacks, strict=True):
        assert stack.images.shape == (N, 2, 32, 32)
        for k in (0, 30, 48):
            for v, side in enumerate(("left", "right")):
                whole = read_grey16(slice_file(made / "test", side, k))
                there = whole[cut.top : cut.top + 32, cut.left : cut.left + 32]
                np.testing.assert_array_equal(stack.images[k, v], there)
    assert stacks[0].levels == LEVELS
    assert stacks[0].diopters is not None
    np.testing.assert_allclose(stacks[0].diopters, lta49_diopters())


def test_grid_leaves_out_patches_without_depth_or_confidence(made: Path) -> None:
    reader = LearnAfReader(made / "test", **PATCH)
    kept = {(cut.top, cut.left) for cut in only(reader).cuts}
    grid = {(top, left) for top in range(0, 65, 16) for left in range(0, 33, 16)}
    assert grid - kept == {(0, 0), (64, 32)}
    assert (64, 32) in {(cut.top, cut.left) for cut in only(replace(reader, confidence=0.5)).cuts}


def test_labels_follow_the_depth_map(made: Path) -> None:
    assert {cut.best_index for cut in only(LearnAfReader(made / "test", **PATCH)).cuts} == {TRUTH}


def test_region_is_the_patch_centre_in_the_field(made: Path) -> None:
    cuts = only(LearnAfReader(made / "test", patch=32, stride=32)).cuts
    at = {(cut.top, cut.left): cut.region for cut in cuts}
    assert at[32, 0] == pytest.approx((-0.5, 0.0))
    assert at[64, 0] == pytest.approx((-0.5, 2 / 3))


def test_zero_depth_is_no_depth_not_a_near_one(copy: Path) -> None:
    file = copy / "merged_depth" / "books_5" / "result_merged_depth_center.png"
    codes = read_image(file).copy()
    codes[:, ::2] = 0
    cv2.imwrite(str(file), codes)
    assert {cut.best_index for cut in only(LearnAfReader(copy, **PATCH)).cuts} == {TRUTH}


@pytest.mark.parametrize("zmin", [0.1, 0.2])
def test_depth_codes_span_zmin_to_zmax_uniformly_in_inverse_depth(zmin: float) -> None:
    depth = decode_depth(np.arange(256), zmin, 100.0)
    assert np.isnan(depth[0])
    assert depth[255] == pytest.approx(100.0)
    steps = np.diff(1 / depth[1:])
    np.testing.assert_allclose(steps, -(1 / zmin - 0.01) / 255, rtol=1e-9)


def test_label_is_nearest_in_inverse_depth() -> None:
    diopters = np.array([1.0, 2.0, 10.0])
    # 0.17 m = 5.88 D: nearer to 0.1 m in metres, to 0.5 m in dioptres.
    assert nearest_slice(0.17, diopters) == 1
    assert [nearest_slice(1 / value, diopters) for value in diopters] == [0, 1, 2]
    assert nearest_slice(100.0, diopters) == 0


def test_axis_and_sign_are_stored(made: Path) -> None:
    columns, rows = LearnAfReader(made / "train1", **PATCH).recordings()
    assert (columns.metadata["dp_axis"], columns.metadata["dp_sign"]) == ("columns", 1)
    assert (rows.metadata["dp_axis"], rows.metadata["dp_sign"]) == ("rows", 1)
    said = only(LearnAfReader(made / "test", dp_axis="rows", dp_sign="negative", **PATCH))
    assert (said.metadata["dp_axis"], said.metadata["dp_sign"]) == ("rows", -1)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("sign", [1, -1])
def test_orientation_of_a_pair_of_ends(axis: int, sign: int) -> None:
    far, near = (
        np.stack([view(side, k, size=(160, 128), axis=axis, sign=sign) for side in ("left", "right")])
        for k in (0, N - 1)
    )
    expected = Orientation(("rows", "columns")[axis], 1 if sign == 1 else -1)
    assert detect_orientation(far.astype(np.float32), near.astype(np.float32)) == expected


def test_orientation_of_a_flat_or_noisy_scene_is_unknown() -> None:
    flat = np.full((2, 128, 128), 0.3, dtype=np.float32)
    assert detect_orientation(flat, flat) == Orientation(None, None)
    rng = np.random.default_rng(1)
    noisy = [(flat + 0.01 * rng.standard_normal(flat.shape)).astype(np.float32) for _ in range(2)]
    assert detect_orientation(noisy[0], noisy[1]) == Orientation(None, None)


def test_frames_are_read_once_each_and_only_when_asked(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path, size: tuple[int, int] | None = None) -> npt.NDArray[np.uint16]:
        read.append(path)
        return read_grey16(path, size)

    recording = only(LearnAfReader(made / "test", **PATCH))
    monkeypatch.setattr("afsim.read_learnaf.read_grey16", counted)
    assert len(recording.headers()) == len(recording.cuts)
    assert read == []
    recording.stacks()
    assert len(read) == len(set(read)) == 2 * N


def test_missing_slice_is_named(copy: Path) -> None:
    shutil.rmtree(slice_file(copy, "right", 17).parent)
    with pytest.raises(ReaderError, match=r"raw_up_right_pd/books_5: slice 17 missing, expected 0 \.\.\. 48"):
        only(LearnAfReader(copy, **PATCH))


def test_missing_file_is_named(copy: Path) -> None:
    slice_file(copy, "left", 3).unlink()
    with pytest.raises(ReaderError, match=r"books_5/3/result_up_pd_left_center.png: no such file"):
        only(LearnAfReader(copy, **PATCH))
    with pytest.raises(ReaderError, match=r"result_up_pd_left_top.png: no such file"):
        only(LearnAfReader(copy, view="top", **PATCH))


def test_a_slice_given_twice_is_named(copy: Path) -> None:
    shutil.copytree(slice_file(copy, "left", 3).parent, slice_file(copy, "left", 3).parent.with_name("slice_03"))
    with pytest.raises(ReaderError, match="slice 3 is there more than once"):
        only(LearnAfReader(copy, **PATCH))


def test_missing_view_and_maps_are_named(copy: Path) -> None:
    (copy / "merged_conf" / "books_5" / "result_merged_conf_center.exr").unlink()
    with pytest.raises(ReaderError, match=r"result_merged_conf_center.exr: no such file"):
        only(LearnAfReader(copy, **PATCH))
    shutil.rmtree(copy / "raw_up_right_pd" / "books_5")
    with pytest.raises(ReaderError, match=r"raw_up_right_pd/books_5: no such folder"):
        only(LearnAfReader(copy, **PATCH))


@pytest.mark.parametrize(
    ("message", "image"),
    [
        ("expected 96 x 64", np.zeros((96, 60), dtype=np.uint16)),
        ("expected one channel of uint16", np.zeros(FRAME, dtype=np.uint8)),
        ("expected one channel of uint16", np.zeros((*FRAME, 3), dtype=np.uint16)),
    ],
)
def test_slice_of_another_kind_is_named(copy: Path, message: str, image: npt.NDArray[np.uint16]) -> None:
    cv2.imwrite(str(slice_file(copy, "right", 30)), image)
    with pytest.raises(ReaderError, match=f"30/result_up_pd_right_center.png.*{message}"):
        only(LearnAfReader(copy, **PATCH)).stacks()


@pytest.mark.parametrize("part", [0.999, 0.5, 0.0])
def test_truncated_slice_is_refused(copy: Path, part: float) -> None:
    file = slice_file(copy, "left", 30)
    file.write_bytes(file.read_bytes()[: int(part * file.stat().st_size)])
    with pytest.raises(ReaderError, match=r"30/result_up_pd_left_center.png: cannot be decoded"):
        only(LearnAfReader(copy, **PATCH)).stacks()


def test_damaged_maps_are_refused(copy: Path) -> None:
    confidence = copy / "merged_conf" / "books_5" / "result_merged_conf_center.exr"
    good = confidence.read_bytes()
    confidence.write_bytes(good[: len(good) // 2])
    with pytest.raises(ReaderError, match=r"conf_center.exr: cannot be decoded"):
        only(LearnAfReader(copy, **PATCH))
    write_exr(confidence, np.ones(DEPTH, dtype=np.float32), channel="Y")
    with pytest.raises(ReaderError, match=r"channels \['Y'\], expected 'R'"):
        only(LearnAfReader(copy, **PATCH))
    write_exr(confidence, np.ones((12, 16), dtype=np.float32))
    with pytest.raises(ReaderError, match=r"conf_center.exr: shape \(12, 16\), expected the depth's \(24, 16\)"):
        only(LearnAfReader(copy, **PATCH))
    cv2.imwrite(
        str(copy / "merged_depth" / "books_5" / "result_merged_depth_center.png"), np.ones((12, 16), dtype=np.uint8)
    )
    with pytest.raises(ReaderError, match="does not divide the frame"):
        only(LearnAfReader(copy, **PATCH))


def test_patch_larger_than_the_frame_is_refused(copy: Path) -> None:
    with pytest.raises(ReaderError, match="patch 128 is outside the frame"):
        only(LearnAfReader(copy))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"view": "middle"}, "view: got 'middle', expected one of center, left"),
        ({"dp_axis": "x"}, "dp_axis: got 'x', expected one of auto, rows, columns"),
        ({"dp_sign": "+"}, "dp_sign: got"),
        ({"stride": 0}, "stride: got 0, expected a number above 0"),
        ({"patch": -1}, "patch: got -1"),
        ({"zmin": float("nan")}, "zmin: got nan"),
        ({"zmin": 200.0}, "zmin: got 200.0, expected less than zmax"),
        ({"confidence": 1.5}, "confidence: got 1.5, expected 0 to 1"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ReaderError, match=message.replace("+", r"\+")):
        LearnAfReader(Path(), **options)


def test_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match="no such folder"):
        only(LearnAfReader(tmp_path / "nowhere"))
    with pytest.raises(ReaderError, match="neither it nor a folder in it holds 'raw_up_left_pd'"):
        only(LearnAfReader(tmp_path))
    (tmp_path / "raw_up_left_pd").mkdir()
    with pytest.raises(ReaderError, match="empty, expected a folder for each scene"):
        only(LearnAfReader(tmp_path))


def test_real_samples_of_the_formats_decode(real_data: Path) -> None:
    folder = real_data / "learnaf_single"
    raw = read_grey16(folder / "test2_up_pd_1512x2016_uint16.png", (2016, 1512))
    assert raw.max() == LEVELS.white
    confidence = read_exr(folder / "test3_conf_378x504.exr", "R")
    assert confidence.shape == (504, 378)
    assert 0 <= confidence.min() < confidence.max() <= 1
    assert read_image(folder / "test_scaled_image_378x504.jpg").shape == (504, 378, 3)


def test_real_dual_pixel_views_are_shifted_across_columns(real_data: Path) -> None:
    # Pixel 4 recordings are stored in landscape, along the sensor's split.
    for left in sorted((real_data / "pixel4_dp" / "left").glob("*.png"))[:2]:
        views = [flatten(LEVELS.normalize(read_grey16(path))[200:800, 300:1000]) for path in _pair(left)]
        across, down = (best_shift(views[0], views[1], axis) for axis in ("columns", "rows"))
        assert across.gain > 0.4
        assert down.gain < 0.1


def _pair(left: Path) -> tuple[Path, Path]:
    return left, left.parents[1] / "right" / left.name
