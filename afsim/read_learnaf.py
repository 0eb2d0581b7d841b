"""Read the recordings of "Learning to Autofocus" (Herrmann et al., CVPR 2020) in their published layout.

A split folder holds ``<kind>/<scene_n>/<k>/<file>``, k = 0 (far) ... 48 (near), plain or as ``slice_00``::

    train1/raw_up_left_pd/apt2_1/0/result_up_pd_left_center.png      uint16, 4 x the depth map's size
    train1/raw_up_right_pd/apt2_1/0/result_up_pd_right_center.png
    train1/merged_depth/apt2_1/result_merged_depth_center.png        uint8, 0 = no depth
    train1/merged_conf/apt2_1/result_merged_conf_center.exr          float32, channel R, 0 ... 1

``apt2_1`` is composition 1 of the place ``apt2``: the place is the scene.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from afsim.dualpixel import Orientation, detect_orientation
from afsim.errors import ReaderError
from afsim.imagefile import read_exr, read_grey16, read_image
from afsim.optics import lta49_diopters
from afsim.recording import (
    Cut,
    Recording,
    check_choice,
    check_complete,
    check_folder,
    check_positive,
    grid,
    region_centre,
)
from afsim.stack import FloatArray, Geometry, Levels, RawImage

View = Literal["center", "left", "right", "top", "bottom"]
AxisOption = Literal["auto", "rows", "columns"]
SignOption = Literal["auto", "positive", "negative"]

# The files' largest value is 1023 x 16; black was measured on dark scenes (64 x 16).
LEVELS: Final = Levels(black=1024, white=16368)

_SIDES: Final = ("left", "right")
_SLICE: Final = re.compile(r"(?:slice_)?(\d+)")
_COMPOSITION: Final = re.compile(r"(.+)_(\d+)")


@dataclass(frozen=True)
class LearnAfReader:
    """The published sweeps of "Learning to Autofocus": 49 slices of left and right views, cut into patches.

    Labels follow the paper: the median depth of a patch, then the slice nearest in inverse depth. Patches without
    any depth, or with too low a median confidence, are left out. Both come from the depth and confidence maps
    alone. Images are kept as recorded, unrotated; :mod:`afsim.dualpixel` says what ``dp_axis`` and ``dp_sign`` in
    the metadata mean (None where a sweep does not tell).

    Raises
    ------
    ReaderError
        Where an option has no such value.
    """

    source: Path
    """The folder that holds the split folders (train1, ..., test), or one split folder."""
    view: View = "center"
    """Which of the five phones of the rig; the paper uses the one in the centre."""
    patch: int = 128
    """Height and width of a patch in pixels (paper: 128)."""
    stride: int = 40
    """Distance of neighbouring patches in pixels (paper: 40)."""
    zmin: float = 0.1
    """Depth in metres at code 0 of the depth maps. Unpublished: with 0.2, which some loaders use, no label above 24
    could occur, and the recorded patches follow 0.1."""
    zmax: float = 100.0
    """Depth in metres at code 255 of the depth maps (as all public loaders have it)."""
    confidence: float = 0.95
    """Least median confidence, 0 to 1, of a patch that is kept. The paper does not say which; others use 0.5 to
    0.98."""
    dp_axis: AxisOption = "auto"
    """Whether the views are shifted across rows or columns; auto detects it in each sweep."""
    dp_sign: SignOption = "auto"
    """Which way the views are shifted (see afsim.dualpixel); auto detects it in each sweep."""

    def __post_init__(self) -> None:
        check_choice("view", self.view, get_args(View))
        check_choice("dp_axis", self.dp_axis, get_args(AxisOption))
        check_choice("dp_sign", self.dp_sign, get_args(SignOption))
        check_positive(patch=self.patch, stride=self.stride, zmin=self.zmin, zmax=self.zmax)
        if self.zmin >= self.zmax:
            raise ReaderError(f"zmin: got {self.zmin}, expected less than zmax {self.zmax}")
        if not 0 <= self.confidence <= 1:
            raise ReaderError(f"confidence: got {self.confidence}, expected 0 to 1")

    def recordings(self) -> Iterator[Recording]:
        """Find the sweeps, by split and name; reads depth, confidence, and the first and last slice of each.

        Raises
        ------
        ReaderError
            Where a file is missing or damaged, or sizes do not fit together.
        """
        for split in self._splits():
            scenes = [folder.name for folder in sorted((split / _kind("left")).iterdir()) if folder.is_dir()]
            if not scenes:
                raise ReaderError(f"{split / _kind('left')}: empty, expected a folder for each scene")
            for scene in scenes:
                yield self._recording(split, scene)

    def _splits(self) -> list[Path]:
        check_folder(self.source, "the splits of the data set")
        if (self.source / _kind("left")).is_dir():
            return [self.source.resolve()]
        splits = [folder for folder in sorted(self.source.iterdir()) if (folder / _kind("left")).is_dir()]
        if not splits:
            raise ReaderError(f"{self.source}: neither it nor a folder in it holds {_kind('left')!r}")
        return splits

    def _recording(self, split: Path, name: str) -> Recording:
        diopters = lta49_diopters()
        files = [self._slices(split, name, side, len(diopters)) for side in _SIDES]
        first = read_grey16(files[0][0])
        frame = partial(_read_frame, files, (first.shape[0], first.shape[1]))
        match = _COMPOSITION.fullmatch(name)
        scene, composition = (match[1], int(match[2])) if match else (name, None)
        orientation = self._orientation(frame, len(diopters) - 1)
        geometry = Geometry(len(diopters), 2, self.patch, self.patch, LEVELS, "far-first", tuple(diopters.tolist()))
        metadata = {
            "recording": "Learning to Autofocus (CVPR 2020)",
            "camera": "Google Pixel 3",
            "split": split.name,
            "composition": composition,
            "dp_axis": orientation.axis,
            "dp_sign": orientation.sign,
            # Dual pixels are split along the long side, and the files are enlarged twofold along the short one.
            "upsampled": "columns" if first.shape[0] > first.shape[1] else "rows",
        }
        cuts = tuple(self._cuts(split, name, scene, (first.shape[0], first.shape[1]), diopters))
        return Recording(f"{split.name}/{name}", geometry, cuts, frame, metadata)

    def _slices(self, split: Path, name: str, side: str, n: int) -> list[Path]:
        folder = check_folder(split / _kind(side) / name, f"the {side} views of {name}")
        found = [
            (int(match[1]), path)
            for path in sorted(folder.iterdir())
            if path.is_dir() and (match := _SLICE.fullmatch(path.name))
        ]
        check_complete([k for k, _ in found], n, str(folder))
        files = [path / f"result_up_pd_{side}_{self.view}.png" for _, path in sorted(found)]
        for file in files:
            _check_file(file)
        return files

    def _orientation(self, frame: Callable[[int], RawImage], last: int) -> Orientation:
        axis = None if self.dp_axis == "auto" else self.dp_axis
        if axis is None or self.dp_sign == "auto":
            found = detect_orientation(LEVELS.normalize(frame(0)), LEVELS.normalize(frame(last)), axis)
        else:
            found = Orientation(axis, None)
        if self.dp_sign != "auto":
            found = found._replace(sign=1 if self.dp_sign == "positive" else -1)
        return found

    def _cuts(
        self, split: Path, name: str, scene: str, frame: tuple[int, int], diopters: FloatArray
    ) -> Iterator[Cut]:
        size = (self.patch, self.patch)
        corners = grid(frame, size, (self.stride, self.stride))
        if not corners:
            raise ReaderError(f"{split.name}/{name}: patch {self.patch} is outside the frame of {frame} pixels")
        depth, confidence, scale = self._maps(split, name, frame)
        for top, left in corners:
            rows = slice(top // scale, -(-(top + self.patch) // scale))
            columns = slice(left // scale, -(-(left + self.patch) // scale))
            depths = depth[rows, columns]
            valid = depths[~np.isnan(depths)]
            certainty = float(np.median(confidence[rows, columns]))
            if not valid.size or not certainty >= self.confidence:
                continue
            metres = float(np.median(valid))
            yield Cut(
                top,
                left,
                f"{split.name}/{name}/y{top:04d}x{left:04d}",
                scene,
                region_centre(frame, size, top, left),
                nearest_slice(metres, diopters),
                {"median_depth_m": round(metres, 4), "median_confidence": round(certainty, 4)},
            )

    def _maps(
        self, split: Path, name: str, frame: tuple[int, int]
    ) -> tuple[FloatArray, npt.NDArray[np.float32], int]:
        """Return depth in metres (NaN = none), confidence, and how many frame pixels a pixel of theirs covers."""
        depth_file = _check_file(split / "merged_depth" / name / f"result_merged_depth_{self.view}.png")
        confidence_file = _check_file(split / "merged_conf" / name / f"result_merged_conf_{self.view}.exr")
        codes, confidence = read_image(depth_file), read_exr(confidence_file, "R")
        if codes.dtype != np.uint8 or codes.ndim != 2:
            raise ReaderError(f"{depth_file}: {codes.dtype} of shape {codes.shape}, expected one channel of uint8")
        if confidence.shape != codes.shape:
            raise ReaderError(f"{confidence_file}: shape {confidence.shape}, expected the depth's {codes.shape}")
        scale = frame[0] // codes.shape[0]
        if frame != (codes.shape[0] * scale, codes.shape[1] * scale):
            raise ReaderError(f"{depth_file}: shape {codes.shape} does not divide the frame's {frame}")
        return decode_depth(codes, self.zmin, self.zmax), confidence, scale


def decode_depth(codes: npt.NDArray[np.integer], zmin: float, zmax: float) -> FloatArray:
    """Return depth in metres of 8-bit codes, NaN where the code is 0 (no depth): uniform in inverse depth."""
    depth = zmax * zmin / (zmax - (zmax - zmin) * codes.astype(np.float64) / 255.0)
    depth[codes == 0] = np.nan
    return depth


def nearest_slice(depth_m: float, diopters: FloatArray) -> int:
    """Return the slice focused nearest to a depth, in inverse distance: the paper's ground truth."""
    return int(np.argmin(np.abs(diopters - 1.0 / depth_m)))


def _kind(side: str) -> str:
    return f"raw_up_{side}_pd"


def _read_frame(files: list[list[Path]], size: tuple[int, int], k: int) -> RawImage:
    return np.stack([read_grey16(side[k], size) for side in files])


def _check_file(path: Path) -> Path:
    if not path.is_file():
        raise ReaderError(f"{path}: no such file")
    return path
