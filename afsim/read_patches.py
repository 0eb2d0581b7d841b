"""Read loose patches of "Learning to Autofocus": ``<scene>/{A,B}/00.png`` ... ``48.png`` and a table of labels.

The pixels are sums of the left and the right view, so there is one view and the levels are summed as well. Labels
are in ``gt_index.csv`` (columns ``scene``, ``gt_index_patch_A``) and belong to the patches A.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, get_args

from afsim.errors import ReaderError
from afsim.imagefile import read_grey16
from afsim.optics import lta49_diopters
from afsim.read_learnaf import LEVELS as VIEW_LEVELS
from afsim.recording import Cut, Recording, check_choice, check_complete, check_folder
from afsim.stack import Geometry, Levels, RawImage

Patches = Literal["A", "B", "both"]
LEVELS: Final = Levels(black=2 * VIEW_LEVELS.black, white=2 * VIEW_LEVELS.white)

_TABLE: Final = "gt_index.csv"
_COLUMN: Final = "gt_index_patch_A"


@dataclass(frozen=True)
class LearnAfPatchesReader:
    """Single patches of "Learning to Autofocus": 49 slices of the sum of both views, patch A labelled.

    Raises
    ------
    ReaderError
        Where an option has no such value.
    """

    source: Path
    """The folder that holds gt_index.csv and a folder for each scene."""
    patches: Patches = "both"
    """Which patches of each scene: A (labelled), B (without a label), or both."""

    def __post_init__(self) -> None:
        check_choice("patches", self.patches, get_args(Patches))

    def recordings(self) -> Iterator[Recording]:
        """Find the patches, by scene; reads the table and the first slice of each.

        Raises
        ------
        ReaderError
            Where a file is missing or damaged, or a label is impossible.
        """
        check_folder(self.source, f"{_TABLE} and a folder for each scene")
        diopters = tuple(lta49_diopters().tolist())
        labels = _read_labels(self.source / _TABLE, len(diopters))
        scenes = [folder for folder in sorted(self.source.iterdir()) if folder.is_dir()]
        if not scenes:
            raise ReaderError(f"{self.source}: empty, expected a folder for each scene")
        for scene in scenes:
            for patch in ("A", "B") if self.patches == "both" else (self.patches,):
                label = labels.get(scene.name) if patch == "A" else None
                yield _recording(scene / patch, diopters, label)


def _recording(folder: Path, diopters: tuple[float, ...], label: int | None) -> Recording:
    check_folder(folder, f"the slices of patch {folder.name}")
    files = sorted(path for path in folder.glob("*.png") if path.stem.isdecimal())
    check_complete([int(path.stem) for path in files], len(diopters), str(folder))
    height, width = read_grey16(files[0]).shape
    scene = folder.parent.name
    name = f"{scene}/{folder.name}"
    geometry = Geometry(len(diopters), 1, height, width, LEVELS, "far-first", diopters)
    # Upright files of dual pixels that are split along the long side: enlarged twofold along the short one.
    native = {"dp_axis": "rows", "upsampled": "columns"}
    metadata = {"recording": "Learning to Autofocus (CVPR 2020)", "camera": "Google Pixel 3", **native}
    cut = Cut(0, 0, name, scene, best_index=label)
    return Recording(name, geometry, (cut,), partial(_read_frame, files, (height, width)), metadata)


def _read_frame(files: list[Path], size: tuple[int, int], k: int) -> RawImage:
    return read_grey16(files[k], size)[None]


def _read_labels(path: Path, n: int) -> dict[str, int]:
    if not path.is_file():
        raise ReaderError(f"{path}: no such file, expected a table of labels")
    with path.open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        if not {"scene", _COLUMN} <= set(table.fieldnames or ()):
            raise ReaderError(f"{path}: columns {table.fieldnames}, expected scene and {_COLUMN}")
        return {row["scene"]: _label(row[_COLUMN], n, f"{path}, line {table.line_num}") for row in table}


def _label(text: str | None, n: int, where: str) -> int:
    value = int(text) if text is not None and text.strip().isdecimal() else -1
    if not 0 <= value < n:
        raise ReaderError(f"{where}: {_COLUMN} is {text!r}, expected an integer in 0 ... {n - 1}")
    return value
