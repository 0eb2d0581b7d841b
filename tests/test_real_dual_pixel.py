"""The study of a real dual pixel: on recordings made of our own pupils, and, small, on the real ones."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from afsim.errors import AfsimError, ReaderError
from afsim.experiments.real_dual_pixel import RealDualPixelConfig, data_folder, main, read_sites, run, separation
from afsim.kernelfit import render_kernels
from afsim.pupil import alpha_of, make_pupil

BLACK = 1024
TILE = 32
SIDES = ("left", "right")


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera with our pupil: kernels at c = 12 on the grid, sheets, and one scene of two depths behind focus."""
    import cv2

    root = tmp_path_factory.mktemp("recordings")
    for name in ("left", "right", "defocus", "calibration"):
        (root / name).mkdir()
    height, width = 6 * TILE, 8 * TILE
    pupil = make_pupil("soft_split", width=0.35)
    kernels = render_kernels(pupil, 12.0, 25, offset_px=(0.6, -0.4), sigma_px=1.0)
    noise = np.random.default_rng(0).standard_normal((height, width))
    radiance = 0.4 + 0.1 * gaussian_filter(noise, 2.0) / gaussian_filter(noise, 2.0).std()
    near = np.arange(width) < width // 2
    fall = 1.0 - 0.4 * np.linspace(0.0, 1.0, width)
    for k, (side, sheet) in enumerate(zip(SIDES, (fall, fall[::-1]), strict=True)):
        np.save(root / "calibration" / f"blur_kernels_{side}.npy", np.repeat(kernels[k : k + 1], 48, axis=0))
        views = [fftconvolve(radiance, render_kernels(pupil, c, 25)[k], "same") for c in (4.0, 12.0)]
        light = np.where(near, *views) * sheet
        for path, image in (
            (root / side / "7.png", light),
            (root / "calibration" / f"white_sheet_{side}.png", np.broadcast_to(0.5 * sheet, (height, width))),
        ):
            cv2.imwrite(str(path), np.rint(BLACK + 10000 * image).clip(0, 65535).astype(np.uint16))
    cv2.imwrite(
        str(root / "defocus" / "7.png"), np.broadcast_to(np.where(near, 60, 180), (height, width)).astype(np.uint8)
    )
    return root


@pytest.fixture
def config(recordings: Path, tmp_path: Path) -> RealDualPixelConfig:
    return RealDualPixelConfig(
        data=recordings, out=tmp_path / "out", models="disc,soft_split", every=4, window=32, stride=16, quiet=True
    )


def test_kernels_of_our_pupil_are_recovered(config: RealDualPixelConfig) -> None:
    study = run(config)
    assert [(site.row, site.column) for site in study.sites] == [(0, 0), (0, 4), (4, 0), (4, 4)]
    assert len(study.kernels) == 8
    for row in study.kernels[4:]:
        assert row["model"] == "soft_split"
        assert row["alpha"] == pytest.approx(alpha_of(make_pupil("soft_split", width=0.35)), abs=0.005)
        assert row["width"] == pytest.approx(0.35, abs=0.01)
        assert row["diameter_px"] == pytest.approx(12.0, abs=0.1)
        assert max(row["residual_left"], row["residual_right"]) < 0.01  # type: ignore[call-overload]
        assert row["separation_x_px"] == pytest.approx(0.2755 * 12.0, abs=0.1)
        assert row["separation_y_px"] == pytest.approx(0.0, abs=0.01)
    assert all(row["residual_left"] > 0.2 for row in study.kernels[:4])  # type: ignore[operator]
    assert [fit.model for fit in study.fits] == ["soft_split"] * 4


def test_disparity_follows_the_defocus_map_along_the_split_alone(config: RealDualPixelConfig) -> None:
    rows = {(row["scene"], row["axis"]): row for row in run(config).disparity}
    assert set(rows) == {("7", "rows"), ("7", "columns"), ("all", "columns")}
    along, across = rows["7", "columns"], rows["7", "rows"]
    assert along["rank_correlation"] > 0.8  # type: ignore[operator]
    assert along["shift_p5_px"] > 0.5  # type: ignore[operator]
    assert along["confidence_median"] > across["confidence_median"]  # type: ignore[operator]
    assert rows["all", "columns"]["used"] == along["used"]


def test_sites_know_where_they_lie_and_how_the_light_is_shared(recordings: Path) -> None:
    sites = read_sites(recordings)
    assert len(sites) == 48
    first, last = sites[0], sites[-1]
    assert (first.x, first.y) == pytest.approx((-3.5 * TILE / 1260, -2.5 * TILE / 1260))
    assert (last.x, last.y) == pytest.approx((-first.x, -first.y))
    assert np.mean([site.share for site in sites]) == pytest.approx(0.5)
    assert first.share > 0.55
    assert last.share < 0.45
    apart, _ = separation(first.kernels)
    assert apart > 0


def test_it_writes_tables_and_pictures(config: RealDualPixelConfig, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(replace(config, quiet=False)) == 0
    written = sorted(path.name for path in config.out.iterdir())
    assert written == ["disparity.csv", "disparity.png", "field.png", "kernels.csv", "kernels.png", "table.md"]
    with (config.out / "kernels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["disc"] * 4 + ["soft_split"] * 4
    text = (config.out / "table.md").read_text("utf-8")
    assert text in capsys.readouterr().out
    assert re.search(r"\| soft_split \| 0\.00", text)
    assert "nan" not in text


def test_a_failed_run_writes_nothing(config: RealDualPixelConfig) -> None:
    with pytest.raises(AfsimError, match="unknown kernel model 'box'"):
        main(replace(config, models="box"))
    assert not config.out.exists()


def test_missing_recordings_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AFSIM_REAL_DATA", raising=False)
    with pytest.raises(ReaderError, match="AFSIM_REAL_DATA"):
        data_folder(None)
    with pytest.raises(ReaderError, match="expected the folders calibration"):
        data_folder(tmp_path)
    (tmp_path / "calibration").mkdir()
    with pytest.raises(AfsimError, match="every >= 1"):
        run(RealDualPixelConfig(data=tmp_path, every=0))


# ---------------------------------------------------------------------- real recordings
def test_the_real_kernels_are_soft_splits_and_the_real_disparity_has_our_sign(
    real_data: Path, tmp_path: Path
) -> None:
    config = RealDualPixelConfig(
        data=real_data / "pixel4_dp", out=tmp_path, models="disc,soft_split", every=5, stride=96, quiet=True
    )
    study = run(config)
    assert len(study.sites) == 4
    central = [row for row in study.kernels if (row["row"], row["column"]) == (0, 5)]
    disc, soft = (float(str(row["residual_left"])) for row in central)
    assert soft < 0.8 * disc
    assert all(0.14 < float(str(row["alpha"])) < 0.28 for row in study.kernels if row["model"] == "soft_split")
    pooled = study.disparity[-1]
    assert float(str(pooled["rank_correlation"])) > 0.7
    assert float(str(pooled["shift_p5_px"])) > 0.5
