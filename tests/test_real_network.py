"""The study of D1 on real pictures, on pictures put together from rendered slices."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from afsim.errors import ReaderError
from afsim.experiments.real_network import RealNetworkConfig, main, moves, run, windows_of
from afsim.sets import open_demo


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of eight patches that lie 20 slices nearer, to 20 farther, than where the lens stands."""
    root = tmp_path_factory.mktemp("pictures")
    for name in ("left", "right", "defocus", "calibration"):
        (root / name).mkdir()
    demo = open_demo()
    middle = np.argsort(np.abs(demo.truth - 24.0))[:8]
    offsets = np.linspace(-20, 20, 8).round()
    tiles = [demo[int(i)].normalized()[round(demo.truth[i] - d)] for i, d in zip(middle, offsets, strict=True)]
    views = np.concatenate(tiles, axis=2)
    defocus = np.repeat((128 + 5 * offsets)[None], 128, axis=0).repeat(128, axis=1)
    for k, side in enumerate(("left", "right")):
        pixels = np.rint(1024 + 15359 * views[k]).clip(0, 65535).astype(np.uint16)
        cv2.imwrite(str(root / side / "1.png"), pixels)
        sheet = np.full(pixels.shape, 9000, np.uint16)
        cv2.imwrite(str(root / "calibration" / f"white_sheet_{side}.png"), sheet)
    cv2.imwrite(str(root / "defocus" / "1.png"), defocus.astype(np.uint8))
    return root


def test_windows_are_those_of_known_and_even_defocus() -> None:
    defocus = np.full((128, 256), 90.0)
    defocus[:, :60] = 0.0  # unknown
    defocus[:, 192:] = 200.0
    views = np.stack([np.arange(128 * 256).reshape(128, 256)] * 2).astype(float)
    seen = windows_of(views, defocus, 32)
    assert seen.images.shape == (1, 2, 128, 128)
    assert seen.images[0, 0, 0, 0] == 64
    np.testing.assert_allclose(seen.region, [[0.0, 0.0]])
    assert seen.defocus.tolist() == [90.0]
    assert len(windows_of(views, np.zeros((128, 256)), 32).images) == 0


def test_moves_follow_the_defocus(recordings: Path, tmp_path: Path) -> None:
    config = RealNetworkConfig(recordings, stride=128, out=tmp_path / "out", quiet=True)
    rows = run(config)
    assert [row["picture"] for row in rows] == ["1", "all"]
    assert rows[0]["windows"] == 8
    assert float(str(rows[0]["rank_correlation"])) > 0.5
    assert main(config) == 0
    assert "rank correlation" in (tmp_path / "out" / "table.md").read_text("utf-8")


def test_nothing_to_see_and_missing_pictures(recordings: Path, tmp_path: Path) -> None:
    assert moves(windows_of(np.zeros((2, 64, 64)), np.ones((64, 64)), 32), "d1").size == 0
    (tmp_path / "calibration").mkdir()
    (tmp_path / "left").mkdir()
    with pytest.raises(ReaderError, match="no pictures"):
        run(RealNetworkConfig(tmp_path, quiet=True))
