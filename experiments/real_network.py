"""From rendered to real dual pixels: what D1, which has seen none, says of the pictures of a real one.

The pictures are those of :mod:`afsim.experiments.real_dual_pixel` (a Google Pixel 4), each at one unknown focus
distance. So the network is told that the lens stands in the middle, and only where it would move to is looked at:
the farther a window is out of focus, by the defocus map, the farther it should move, to the same side.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from afsim.checks import check_whole
from afsim.disparity import without_shading
from afsim.errors import ReaderError
from afsim.experiments.real_dual_pixel import SIDES, data_folder, read_light
from afsim.imagefile import read_image
from afsim.options import command_line
from afsim.staging import staged_files
from afsim.tables import markdown_table, write_table

FloatArray = npt.NDArray[np.float64]

# As for the disparity of the same pictures: a window's defocus must be known over most of it, and even.
_KNOWN_SHARE: Final = 0.9
_EVEN_STEPS: Final = 10.0
# Of 14 bits, black level subtracted. The network divides by the mean, so that hardly matters.
_WHITE: Final = 16383.0 - 1024.0
_WINDOWS_AT_ONCE: Final = 64


@dataclass(frozen=True)
class RealNetworkConfig:
    """What is read, and who looks at it."""

    data: Path | None = None
    """Folder with left, right, defocus and calibration; pixel4_dp in the folder AFSIM_REAL_DATA by default."""
    network: str = "d1"
    """A network that comes with afsim, or a file made by 'afsim train d1'."""
    stride: int = 64
    """Distance of the windows of 128 x 128 in pixels."""
    out: Path = Path("out/real_network")
    """Folder for rows.csv and table.md."""
    quiet: bool = False
    """No progress bar and no table on the screen."""


class Windows(NamedTuple):
    """Windows of a picture whose defocus is known and even.

    Attributes
    ----------
    images : (M, 2, 128, 128) float32
        Left and right view, white 1.
    region : (M, 2) float64
        Their centres in the frame, x and y in [-1, 1].
    defocus : (M,) float64
        Median of the defocus map, 0 ... 255.
    """

    images: npt.NDArray[np.float32]
    region: FloatArray
    defocus: FloatArray


def windows_of(views: FloatArray, defocus: FloatArray, stride: int, size: int = 128) -> Windows:
    """Cut the windows of a picture (2, H, W) that have a known and even defocus (H, W)."""
    height, width = defocus.shape
    images, regions, medians = [], [], []
    for top in range(0, height - size + 1, stride):
        for left in range(0, width - size + 1, stride):
            part = defocus[top : top + size, left : left + size]
            known = part[part > 0]
            if known.size < _KNOWN_SHARE * part.size or known.std() > _EVEN_STEPS:
                continue
            images.append(views[:, top : top + size, left : left + size])
            regions.append(((left + size / 2) / width * 2 - 1, (top + size / 2) / height * 2 - 1))
            medians.append(float(np.median(known)))
    shape = (len(images), 2, size, size)
    return Windows(np.array(images, np.float32).reshape(shape), np.array(regions).reshape(-1, 2), np.array(medians))


def moves(seen: Windows, network: str) -> FloatArray:
    """Return by how many indices (M,) the network would move from the middle: the mean of its distribution."""
    from afsim.modelfile import load
    from afsim.modelkinds import shipped_model
    from afsim.networkinput import observe
    from afsim.networks import infer
    from afsim.ordinal import mean_index

    trained = load(Path(network) if network.endswith(".safetensors") else shipped_model(network)).network
    n, found = trained.config.n, []
    middle = (n - 1) // 2
    for begin in range(0, len(seen.images), _WINDOWS_AT_ONCE):
        some = slice(begin, begin + _WINDOWS_AT_ONCE)
        images = seen.images[some]
        observations = observe(images, np.full(len(images), middle), seen.region[some], n)
        found.append(mean_index(infer(trained, observations).double()).numpy() - middle)
    return np.concatenate(found) if found else np.empty(0)


def run(config: RealNetworkConfig) -> list[dict[str, object]]:
    """Return a row for each picture, and one for all.

    Returns
    -------
    list of dict
        ``windows``, the ``rank_correlation`` of the moves with the defocus map, and percentiles of the moves.

    Raises
    ------
    ReaderError
        Where the recordings are missing.
    """
    check_whole("stride", config.stride, least=1)
    data = data_folder(config.data)
    names = sorted(path.stem for path in (data / "left").glob("*.png"))
    if not names:
        raise ReaderError(f"{data / 'left'}: no pictures")
    sheets = [read_light(data / "calibration" / f"white_sheet_{side}.png") for side in SIDES]
    rows, all_moves, all_defocus = [], [], []
    for name in track(names, "pictures", console=Console(stderr=True), disable=config.quiet, transient=True):
        views = [
            without_shading(read_light(data / side / f"{name}.png"), sheet) / _WHITE
            for side, sheet in zip(SIDES, sheets, strict=True)
        ]
        defocus = read_image(data / "defocus" / f"{name}.png").astype(np.float64)
        seen = windows_of(np.stack(views), defocus, config.stride)
        moved = moves(seen, config.network)
        rows.append(_row(name, moved, seen.defocus))
        all_moves.append(moved)
        all_defocus.append(seen.defocus)
    return [*rows, _row("all", np.concatenate(all_moves), np.concatenate(all_defocus))]


def _row(name: str, moved: FloatArray, defocus: FloatArray) -> dict[str, object]:
    from scipy.stats import spearmanr  # here, because it takes long to load

    enough = len(moved) > 2 and np.ptp(moved) > 0 and np.ptp(defocus) > 0
    low, middle, high = np.percentile(moved, [5, 50, 95]) if len(moved) else (np.nan,) * 3
    return {
        "picture": name,
        "windows": len(moved),
        "rank_correlation": float(spearmanr(moved, defocus).statistic) if enough else float("nan"),
        "one_side": float(max((moved > 0).mean(), (moved < 0).mean())) if len(moved) else float("nan"),
        "move_p5": float(low),
        "move_p50": float(middle),
        "move_p95": float(high),
    }


def table(rows: list[dict[str, object]]) -> str:
    """Return the rows as a Markdown table."""
    headings = ["picture", "windows", "rank correlation", "moves to one side", "moves 5/50/95 % (indices)"]
    lines = [
        [
            str(row["picture"]),
            str(row["windows"]),
            f"{row['rank_correlation']:+.3f}",
            f"{row['one_side']:.3f}",
            f"{row['move_p5']:.1f} / {row['move_p50']:.1f} / {row['move_p95']:.1f}",
        ]
        for row in rows
    ]
    return markdown_table(headings, lines)


def main(config: RealNetworkConfig) -> int:
    """Run the study, and write rows.csv and table.md."""
    with staged_files(config.out) as folder:
        rows = run(config)
        write_table(rows, folder / "rows.csv")
        head = ["# D1 on a real dual pixel", f"`{command_line('study real_network', config)}`"]
        (folder / "table.md").write_text("\n\n".join([*head, table(rows)]), encoding="utf-8")
    if not config.quiet:
        print(table(rows))
        print(f"Written: {config.out / 'table.md'} and rows.csv beside it")
    return 0
