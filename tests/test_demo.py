"""The demo set: what it renders, that it always renders the same, and how it is cached."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import laplace

from afsim import demo
from afsim.demo import DemoConfig, cache_folder, demo_stacks, open_demo, render_stack
from afsim.errors import AfsimError, StoreError
from afsim.optics import lta49_diopters
from afsim.stack import FocalStack
from afsim.stackset import StackSet

SMALL = DemoConfig(size=24)


@pytest.fixture(scope="module")
def rendered() -> StackSet:
    return demo_stacks(12, DemoConfig(size=48))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder that does not exist yet, so that no test touches the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("AFSIM_CACHE", str(folder))
    return folder


# ---------------------------------------------------------------------- what is rendered
def test_default_stack_has_the_papers_geometry() -> None:
    stack = render_stack(0)
    assert stack.images.shape == (49, 2, 128, 128)
    assert stack.levels == (64, 1023)
    assert stack.diopters is not None
    np.testing.assert_array_equal(stack.diopters, lta49_diopters())
    assert stack.noise == DemoConfig().noise


def test_label_is_the_slice_nearest_to_the_truth_in_dioptres(rendered: StackSet) -> None:
    diopters = lta49_diopters()
    depths = np.interp(rendered.best_index_exact, np.arange(49), diopters)
    nearest = np.abs(depths[:, None] - diopters).argmin(axis=1)
    np.testing.assert_array_equal(rendered.best_index, nearest)
    assert len(set(rendered.best_index_exact)) == len(rendered)


def test_sharpest_slice_is_the_label(rendered: StackSet) -> None:
    sharpest = [np.argmax([laplace(image).var() for image in stack.green()]) for stack in rendered]
    assert np.median(np.abs(sharpest - rendered.best_index_exact)) < 0.5
    assert np.mean(np.abs(sharpest - rendered.best_index) <= 1) >= 0.75


def test_views_are_shifted_one_way_before_and_the_other_behind_the_focus(rendered: StackSet) -> None:
    far_wrong: list[bool] = []
    near_wrong: list[bool] = []
    for stack in rendered:
        assert stack.best_index is not None
        for k, errors in ((stack.best_index - 8, far_wrong), (stack.best_index + 8, near_wrong)):
            if 0 <= k < stack.n:
                left, right = stack.normalized()[k]
                shifted_right = np.mean((right[:, 3:] - left[:, :-3]) ** 2)
                errors.append(bool(shifted_right > np.mean((right[:, :-3] - left[:, 3:]) ** 2)))
    assert np.mean(near_wrong) < 0.2 < 0.8 < np.mean(far_wrong)


def test_depths_follow_the_distribution_whatever_their_number() -> None:
    for count in (16, 200):
        truths = [demo._true_index(i, DemoConfig()) for i in range(count)]
        # Quartiles of the gamma distribution of shape 2 and scale 6.
        np.testing.assert_allclose(np.percentile(truths, [25, 50, 75]), [5.77, 10.07, 16.16], rtol=0.1)
        assert min(truths) >= 0
        assert max(truths) <= DemoConfig().depth_max


def test_crops_of_one_photograph_share_their_scene(rendered: StackSet) -> None:
    photographs = len(demo.PHOTOGRAPHS)
    assert len(set(rendered.scenes)) == photographs
    assert rendered.scenes[0] == rendered.scenes[photographs]
    assert (rendered.images[0] != rendered.images[photographs]).any()


def test_regions_spread_over_the_field(rendered: StackSet) -> None:
    assert np.abs(rendered.regions).max() < 1
    assert rendered.regions.std(axis=0).min() > 0.2


def test_nothing_is_saturated(rendered: StackSet) -> None:
    assert rendered.images.max() < rendered.levels.white


def test_noise_has_the_stated_variance_and_is_independent_in_the_views() -> None:
    shot, read = 4e-3, 1e-4
    config = DemoConfig(size=48, level_range=(0.3, 0.4))
    noisy = render_stack(1, replace(config, noise=(shot, read))).normalized()
    clean = render_stack(1, replace(config, noise=(0.0, 0.0))).normalized()
    residual = (noisy - clean).astype(np.float64)
    dark, bright = (clean < np.median(clean)), (clean >= np.median(clean))
    for part in (dark, bright):
        assert residual[part].var() == pytest.approx(shot * clean[part].mean() + read, rel=0.02)
    slope, offset = np.polyfit(*_binned_variance(clean, residual), 1)
    assert slope == pytest.approx(shot, rel=0.1)
    assert abs(np.corrcoef(residual[:, 0].ravel(), residual[:, 1].ravel())[0, 1]) < 0.01
    assert offset == pytest.approx(read, abs=0.1 * shot * float(clean.mean()))


def _binned_variance(
    signal: npt.NDArray[np.float32], residual: npt.NDArray[np.float64]
) -> tuple[list[float], list[float]]:
    order = np.array_split(np.argsort(signal, axis=None), 20)
    return (
        [float(signal.ravel()[part].mean()) for part in order],
        [float(residual.ravel()[part].var()) for part in order],
    )


def test_noise_free_pixels_are_the_radiance_in_raw_levels() -> None:
    stack = render_stack(2, replace(SMALL, noise=(0.0, 0.0)))
    assert stack.normalized().mean() == pytest.approx(stack.metadata["level"], rel=0.25)
    assert stack.images.min() >= 64


# ---------------------------------------------------------------------- always the same
def test_a_stack_depends_on_no_other(rendered: StackSet) -> None:
    config = DemoConfig(size=48)
    for i in (7, 2):
        alone = render_stack(i, config)
        np.testing.assert_array_equal(alone.images, rendered.images[i])
        assert alone.best_index_exact == rendered[i].best_index_exact
    assert demo_stacks(3, config).digest == rendered[:3].digest


def test_seeds_give_other_stacks() -> None:
    first, other = (render_stack(0, replace(SMALL, seed=seed)) for seed in (0, 1))
    assert first.best_index_exact != other.best_index_exact
    assert (first.images != other.images).mean() > 0.5


def test_what_no_photograph_can_give_is_refused() -> None:
    with pytest.raises(AfsimError, match=r"size 600 needs \d+ pixels, but astronaut.png has 512"):
        render_stack(0, DemoConfig(size=600))
    with pytest.raises(AfsimError, match=r"least_gradient 5: no crop of astronaut.png"):
        render_stack(0, replace(SMALL, least_gradient=5.0))


# ---------------------------------------------------------------------- the cache
def _refuse(i: int, config: DemoConfig) -> FocalStack:
    raise AssertionError(f"stack {i} was rendered again ({config})")


def test_first_opening_renders_and_the_second_reads(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_demo(2, SMALL)
    assert first.path is not None
    assert first.path.parent == cache
    assert isinstance(first.images, np.memmap)
    monkeypatch.setattr(demo, "render_stack", _refuse)
    again = open_demo(2, SMALL)
    assert again.digest == first.digest
    assert again.path == first.path


def test_opened_set_is_the_rendered_one() -> None:
    opened, rendered = open_demo(2, SMALL), demo_stacks(2, SMALL)
    assert opened.digest == rendered.digest
    assert opened[1].metadata == rendered[1].metadata
    assert opened.metadata["label"] == rendered.metadata["label"]


def test_another_configuration_count_or_renderer_is_another_set(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {open_demo(1, SMALL).path, open_demo(2, SMALL).path, open_demo(1, replace(SMALL, seed=1)).path}
    monkeypatch.setattr(demo, "RENDERER_VERSION", demo.RENDERER_VERSION + 1)
    paths.add(open_demo(1, SMALL).path)
    assert len(paths) == 4


def test_interruption_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(i: int, config: DemoConfig) -> FocalStack:
        if i == 1:
            raise KeyboardInterrupt
        return render_stack(i, config)

    monkeypatch.setattr(demo, "render_stack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_demo(2, SMALL)
    assert not cache.exists() or not list(cache.iterdir())


def test_who_renders_second_opens_the_set_of_the_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner: list[StackSet] = []

    def overtaken(i: int, config: DemoConfig) -> FocalStack:
        monkeypatch.setattr(demo, "render_stack", render_stack)
        inner.append(open_demo(2, SMALL))
        return render_stack(i, config)

    monkeypatch.setattr(demo, "render_stack", overtaken)
    outer = open_demo(2, SMALL)
    assert inner[0].path is not None
    assert [path.name for path in cache.iterdir()] == [inner[0].path.name]
    assert outer.digest == inner[0].digest
    np.testing.assert_array_equal(outer.images, inner[0].images)


def test_cache_that_cannot_be_written_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AFSIM_CACHE", str(tmp_path / "file" / "inside"))
    with pytest.raises(StoreError, match=r"file/inside.*set the environment variable AFSIM_CACHE"):
        open_demo(1, SMALL)


def test_damaged_set_says_what_to_remove() -> None:
    path = open_demo(1, SMALL).path
    assert path is not None
    (path / "images.u16").write_bytes(b"short")
    with pytest.raises(StoreError, match=rf"damaged.*remove the folder {path}"):
        open_demo(1, SMALL)


def test_cache_folder_by_environment(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == cache
    monkeypatch.delenv("AFSIM_CACHE")
    assert cache_folder() == Path("/xdg/afsim")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/afsim")


def test_bar_appears_only_on_a_terminal_that_has_waited(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_SECONDS_BEFORE_BAR", 0.0)
    stacks = [render_stack(i, SMALL) for i in range(3)]
    assert list(demo._with_bar(iter(stacks), 3)) == stacks
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert list(demo._with_bar(iter(stacks), 3)) == stacks
    assert "rendering the demo set" in capsys.readouterr().err
