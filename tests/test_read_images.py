"""Folders of images and TIFF files: what is a stack, which regions are cut, and what is wrong with them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from afsim.errors import ReaderError
from afsim.imagefile import read_image
from afsim.read_images import ImagesReader
from afsim.stack import FocalStack


def ramp(k: int, *, size: tuple[int, int] = (12, 16), dtype: type = np.uint16) -> npt.NDArray[Any]:
    """An image that tells its slice (first pixel) and its place."""
    image = np.arange(size[0] * size[1]).reshape(size) % 50
    return np.asarray(image + 10 * k, dtype=dtype)


def write(folder: Path, names: list[str], **kind: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        cv2.imwrite(str(folder / name), ramp(k, **kind))
    return folder


def read(source: Path, **options: Any) -> list[FocalStack]:
    return [stack for found in ImagesReader(source, **options).recordings() for stack in found.stacks()]


def one(source: Path, **options: Any) -> FocalStack:
    [stack] = read(source, **options)
    return stack


def slices(stack: FocalStack) -> list[int]:
    """Which written slice is at which index."""
    return [int(value) // 10 for value in stack.images[:, 0, 0, 0]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "desk", ["img0.png", "img1.png", "img2.png", "img3.png"])


# ---------------------------------------------------------------- folders, TIFF files, views
def test_folder_of_folders_gives_a_scene_each(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, ["0.png", "1.png"])
    (tmp_path / "notes.txt").write_text("not an image")
    stacks = read(tmp_path)
    assert [(stack.name, stack.scene) for stack in stacks] == [("one", "one"), ("two", "two")]


def test_left_and_right_folders_become_views(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name / "L", ["0.png", "1.png"])
        write(tmp_path / name / "R", ["0.png", "1.png", "2.png"][:2])
    cv2.imwrite(str(tmp_path / "one" / "R" / "0.png"), ramp(7))
    stacks = read(tmp_path, left="L", right="R")
    assert [stack.images.shape for stack in stacks] == [(2, 2, 12, 16)] * 2
    assert (stacks[0].images[0, 0, 0, 0], stacks[0].images[0, 1, 0, 0]) == (0, 70)
    [alone] = read(tmp_path / "two", left="L", right="R")
    assert alone.name == "two"
    write(tmp_path / "two" / "R", ["0.png", "1.png", "2.png"])
    with pytest.raises(ReaderError, match="2 left and 3 right slices"):
        read(tmp_path, left="L", right="R")
    with pytest.raises(ReaderError, match="right: got 'L' and None"):
        ImagesReader(tmp_path, left="L")


@pytest.mark.parametrize("kind", [{}, {"ome": True}, {"imagej": True}, {"compression": "zlib"}, {"bigtiff": True}])
def test_multi_page_tiff(tmp_path: Path, kind: dict[str, Any]) -> None:
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.stack([ramp(k) for k in range(5)]), photometric="minisblack", **kind)
    (tmp_path / "cells.csv").write_text("metres\n0.1\n0.2\n0.3\n0.4\n0.5\n")
    stack = one(path, table="cells.csv")
    assert (stack.name, slices(stack)) == ("cells", [4, 3, 2, 1, 0])
    [same] = read(tmp_path)
    assert slices(same) == [0, 1, 2, 3, 4]
    (tmp_path / "cells.csv").write_text("file\na\nb\n")
    with pytest.raises(ReaderError, match="expected no column 'file'"):
        read(path, table="cells.csv")


@pytest.mark.parametrize("kind", [{}, {"ome": True}, {"imagej": True}, {"compression": "zlib"}])
@pytest.mark.parametrize("part", [0.8, 0.5, 0.01])
def test_truncated_tiff_is_refused(tmp_path: Path, kind: dict[str, Any], part: float) -> None:
    path = tmp_path / "cells.tif"
    pages = np.stack([ramp(k, size=(64, 64)) for k in range(5)])
    tifffile.imwrite(path, pages, photometric="minisblack", **kind)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(ReaderError, match=r"cells.tif.*truncated"):
        read(path)


def test_tiff_with_several_axes_of_slices_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cells.ome.tif"
    tifffile.imwrite(path, np.zeros((3, 4, 8, 8), np.uint16), photometric="minisblack", metadata={"axes": "TZYX"})
    with pytest.raises(ReaderError, match=r"axes \{'T': 3, 'Z': 4\} besides height and width"):
        read(path)


def test_tiff_pages_of_different_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cells.tif"
    with tifffile.TiffWriter(path) as tiff:
        for size in ((8, 8), (8, 8), (8, 9)):
            tiff.write(ramp(0, size=size))
    with pytest.raises(ReaderError, match=r"uint16 of shape \(8, 9\), but the first slice is uint16 of \(8, 8\)"):
        read(path)


def test_empty_and_wrong_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match="no such file or folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(ReaderError, match="empty, expected images"):
        read(tmp_path)
    (tmp_path / "scene").mkdir()
    with pytest.raises(ReaderError, match="scene: empty, expected images"):
        read(tmp_path)
    write(tmp_path / "scene", ["0.png"])
    with pytest.raises(ReaderError, match="a focal stack needs at least 2"):
        read(tmp_path)
    with pytest.raises(ReaderError, match="expected a folder of slices or a multi-page TIFF"):
        read(tmp_path / "scene" / "0.png")


# ---------------------------------------------------------------- regions
def test_whole_frame_is_one_region(folder: Path) -> None:
    stack = one(folder)
    assert (stack.images.shape[2:], stack.region, stack.name) == ((12, 16), (0.0, 0.0), "desk")


def test_grid_side_by_side_and_by_stride(folder: Path) -> None:
    side_by_side = read(folder, size=(4, 8))
    assert [stack.name for stack in side_by_side[:3]] == ["desk/y0000x0000", "desk/y0000x0008", "desk/y0004x0000"]
    assert len(side_by_side) == 6
    np.testing.assert_array_equal(side_by_side[3].images[2, 0], ramp(2)[4:8, 8:16])
    assert side_by_side[3].region == pytest.approx((0.5, 0.0))
    assert {stack.scene for stack in side_by_side} == {"desk"}
    assert len(read(folder, size=(4, 8), stride=2)) == 5 * 5


def test_grid_by_counts_reaches_from_edge_to_edge(folder: Path) -> None:
    names = [stack.name for stack in read(folder, size=(4, 4), counts=(2, 3))]
    assert names == [f"desk/y{top:04d}x{left:04d}" for top in (0, 8) for left in (0, 6, 12)]
    [centred] = read(folder, size=(4, 4), counts=(1, 1))
    assert centred.region == (0.0, 0.0)
    np.testing.assert_array_equal(centred.images[0, 0], ramp(0)[4:8, 6:10])


def test_regions_by_list(folder: Path) -> None:
    stacks = read(folder, regions=((0, 0, 4, 4), (8, 12, 4, 4)))
    np.testing.assert_array_equal(stacks[1].images[3, 0], ramp(3)[8:, 12:])


@pytest.mark.parametrize(
    "options",
    [
        {"regions": ((0, 13, 4, 4),)},
        {"regions": ((-1, 0, 4, 4),)},
        {"size": (13, 4)},
        {"size": (4, 17), "counts": (1, 1)},
    ],
)
def test_region_outside_the_frame_is_named(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ReaderError, match=r"desk: region of .* is outside the frame of 12 x 16 pixels"):
        read(folder, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "backwards"}, "order: got 'backwards', expected one of far-first, near-first, unknown"),
        ({"bayer": "RGB"}, "bayer: got 'RGB'"),
        ({"gamma": "2.2"}, "gamma: got '2.2', expected one of linear, srgb"),
        ({"bits": 0}, "bits: got 0, expected 1 to 16"),
        ({"size": (0, 4)}, "height: got 0"),
        ({"regions": ((0, 0, 4, 0),)}, "regions: got 4 x 0"),
        ({"size": (4, 4), "stride": -2}, "stride: got -2"),
        ({"stride": 4}, "size: not given"),
        ({"size": (4, 4), "stride": 4, "counts": (1, 1)}, "expected one of: regions; size with"),
        ({"regions": ((0, 0, 4, 4), (0, 0, 5, 4))}, "expected one size"),
        ({"table": "a.csv", "diopters": (1.0,)}, "table and diopters: got both"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ReaderError, match=message):
        ImagesReader(Path(), **options)


# ---------------------------------------------------------------- laziness and damage
def test_listing_reads_the_first_slice_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def counted(path: Path, page: int = 0) -> npt.NDArray[Any]:
        seen.append(path.name)
        return read_image(path, page)

    monkeypatch.setattr("afsim.read_images.read_image", counted)
    [recording] = ImagesReader(folder, size=(4, 4)).recordings()
    assert seen == ["img0.png"]
    seen.clear()
    recording.stacks()
    assert seen == ["img0.png", "img1.png", "img2.png", "img3.png"]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"text"]
)
def test_damaged_image_is_named(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    file = folder / "img2.png"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ReaderError, match=r"img2.png: cannot be decoded"):
        read(folder)


def test_a_flipped_byte_in_a_png_is_noticed(folder: Path) -> None:
    file = folder / "img2.png"
    data = bytearray(file.read_bytes())
    data[data.index(b"IDAT") + 20] ^= 0xFF
    file.write_bytes(bytes(data))
    with pytest.raises(ReaderError, match=r"img2.png: cannot be decoded"):
        read(folder)


def test_real_brackets_are_two_geometries(real_data: Path) -> None:
    found = list(ImagesReader(real_data / "focus_bracket", size=(128, 128)).recordings())
    assert [(recording.name, recording.geometry.n, len(recording.cuts)) for recording in found] == [
        ("keyboard", 37, 15),
        ("pcb", 49, 15),
    ]
    [macro] = ImagesReader(real_data / "focus_bracket_macro", size=(256, 256), counts=(2, 2)).recordings()
    assert (macro.geometry.n, len(macro.cuts)) == (10, 4)
