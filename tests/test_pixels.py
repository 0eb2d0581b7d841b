"""Values of image files: depth, levels, colour, mosaics, display curves."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from afsim.errors import ReaderError
from afsim.read_images import ImagesReader
from afsim.stack import FocalStack, Levels


def write(folder: Path, *images: npt.NDArray[Any], suffix: str = ".png") -> Path:
    for k, image in enumerate(images):
        cv2.imwrite(str(folder / f"{k}{suffix}"), image)
    return folder


def read(source: Path, **options: Any) -> FocalStack:
    [recording] = ImagesReader(source, **options).recordings()
    return recording.stacks()[0]


def ramp(dtype: type = np.uint16) -> npt.NDArray[Any]:
    return np.arange(12 * 16, dtype=dtype).reshape(12, 16)


@pytest.mark.parametrize(
    ("dtype", "bits", "levels"),
    [
        (np.uint8, None, Levels(0, 255)),
        (np.uint16, None, Levels(0, 65535)),
        (np.uint16, 10, Levels(0, 1023)),
        (np.uint16, 12, Levels(0, 4095)),
        (np.uint16, 14, Levels(0, 16383)),
    ],
)
def test_depth_sets_the_levels(tmp_path: Path, dtype: type, bits: int | None, levels: Levels) -> None:
    stack = read(write(tmp_path, ramp(dtype), ramp(dtype)), bits=bits)
    assert stack.levels == levels
    np.testing.assert_array_equal(stack.images[1, 0], ramp())


def test_levels_given_by_hand(tmp_path: Path) -> None:
    stack = read(write(tmp_path, ramp(), ramp()), bits=12, black=64, white=4000)
    assert stack.levels == Levels(64, 4000)


def test_impossible_levels_are_refused(tmp_path: Path) -> None:
    write(tmp_path, ramp(), ramp())
    for options in ({"black": 70000}, {"black": -1}, {"bits": 10, "white": 2000}, {"black": 9, "white": 9}):
        with pytest.raises(ReaderError, match="black and white: got"):
            read(tmp_path, **options)


def test_value_beyond_the_bits_is_named(tmp_path: Path) -> None:
    write(tmp_path, ramp(), ramp() + np.uint16(1023))
    with pytest.raises(ReaderError, match=r"1.png: largest value 1214, expected at most 1023 \(10 bits\)"):
        read(tmp_path, bits=10)


def test_colour_gives_its_green_channel(tmp_path: Path) -> None:
    colour = np.full((8, 8, 3), (10, 120, 200), dtype=np.uint8)
    stack = read(write(tmp_path, colour, colour))
    assert set(stack.images.ravel().tolist()) == {120}
    assert stack.metadata["channel"] == "green of RGB"
    transparent = np.full((8, 8, 4), (10, 121, 200, 255), dtype=np.uint8)
    assert set(read(write(tmp_path, transparent, transparent)).images.ravel().tolist()) == {121}
    write(tmp_path, colour)
    with pytest.raises(
        ReaderError, match=r"1.png: uint8 of shape \(8, 8, 4\), but the first slice is .*\(8, 8, 3\)"
    ):
        read(tmp_path)


def test_jpeg(tmp_path: Path) -> None:
    images = [np.full((64, 64, 3), (10, 100, 200), dtype=np.uint8)] * 2
    write(tmp_path, *images, suffix=".JPG")
    assert abs(int(read(tmp_path).images.mean()) - 100) <= 1


def test_truncated_jpeg_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write(tmp_path, noise, noise, suffix=".jpg")
    data = (tmp_path / "1.jpg").read_bytes()
    for part in (0.5, 0.9, 0.999):  # the decoder itself would fill the rest with grey
        (tmp_path / "1.jpg").write_bytes(data[: int(part * len(data))])
        with pytest.raises(ReaderError, match=r"1.jpg: cannot be decoded, truncated"):
            read(tmp_path)


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_mosaic_gives_the_mean_of_both_greens_at_half_size(tmp_path: Path, pattern: str) -> None:
    greens = iter((100, 103))
    sites = [{"R": 7, "B": 900}.get(letter) or next(greens) for letter in pattern]
    mosaic = np.tile(np.reshape(sites, (2, 2)), (4, 5)).astype(np.uint16)
    stack = read(write(tmp_path, mosaic, mosaic), bayer=pattern)
    assert stack.images.shape == (2, 1, 4, 5)
    assert set(stack.images.ravel().tolist()) == {102}  # 101.5, rounded up


def test_mosaic_of_odd_size_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ramp()[:7], ramp()[:7])
    with pytest.raises(ReaderError, match=r"shape \(7, 16\), expected a mosaic of even height and width"):
        read(tmp_path, bayer="RGGB")


def test_srgb_curve_is_undone(tmp_path: Path) -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    stack = read(write(tmp_path, codes, codes), gamma="srgb")
    light = stack.normalized()[0, 0].ravel()
    assert (light[0], light[255]) == (0.0, 1.0)
    assert np.all(np.diff(light) > 0)
    # Code 188 is half of full light: the known middle of the sRGB curve.
    assert light[188] == pytest.approx(0.5029, abs=1e-3)
    assert stack.metadata["values"] == "sRGB display curve undone"
    assert "not linear" in str(read(tmp_path).metadata["values"])


def test_slices_of_different_depth_are_refused(tmp_path: Path) -> None:
    write(tmp_path, ramp(), ramp(), ramp(np.uint8))
    with pytest.raises(ReaderError, match=r"2.png: uint8 of shape \(12, 16\), but the first slice is uint16"):
        read(tmp_path)


def test_floating_point_images_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 8, 8), np.float32), photometric="minisblack")
    with pytest.raises(ReaderError, match=r"a.tif: pixels are float32, expected uint8 or uint16"):
        read(tmp_path / "a.tif")
