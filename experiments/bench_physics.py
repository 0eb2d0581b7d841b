"""Speed of the physics as ratios: rendering, noise and breathing, and what an erring camera costs a replay."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import SyncVectorEnv
from scipy.ndimage import affine_transform, zoom
from scipy.signal import fftconvolve

from afsim.canvas import Surface, canvas_size
from afsim.envs import ENVIRONMENT_ID
from afsim.experiments.bench import BenchConfig, LookupEnv, print_row, turns
from afsim.optics import blur_diameter_px, lta49_diopters, magnification
from afsim.pupil import make_pupil
from afsim.render import render_views
from afsim.setconfig import DEMO
from afsim.sets import demo_stacks
from afsim.stackset import StackSet

FloatArray = npt.NDArray[np.float64]

_SIZE: Final = 128
_FIELD_PX: Final = (400.0, 250.0)
_LAYERS: Final = 8
_ROOMY_STACKS: Final = 4
_MARGIN_PX: Final = 40
_WORKERS: Final = os.cpu_count() or 1


class NoisyLookupEnv(LookupEnv):
    """A look-up whose image is zoomed and given noise by numpy and scipy, one environment at a time."""

    def step(self, action: np.int64) -> tuple[npt.NDArray[np.generic], float, bool, bool, dict[str, Any]]:
        """Look the slice up, zoom it a little, and add noise that depends on the signal."""
        image, reward, terminated, truncated, info = super().step(action)
        views = [zoom(view, 1.01, order=1)[: view.shape[0], : view.shape[1]] for view in np.asarray(image)]
        seen = np.stack(views)
        noise = self.np_random.normal(size=seen.shape)
        seen = seen + np.sqrt(np.maximum(6e-4 * seen, 0.0) + 3e-6) * noise
        return seen.astype(np.float32), reward, terminated, truncated, info


def camera_rows(table: Any, stacks: StackSet, config: BenchConfig) -> None:
    """Add the rows of the erring camera in the vector environment."""
    lanes, slices = config.environments, stacks.levels.normalize(stacks.images)
    actions = np.random.default_rng(0).integers(0, stacks.n, (64, lanes))
    turn = iter(range(1 << 62))

    def stepping(env: Any) -> tuple[Callable[[], None], int]:
        env.reset(seed=0)
        return lambda: env.step(actions[next(turn) % 64]) and None, lanes

    def ours(**options: Any) -> tuple[Callable[[], None], int]:
        return stepping(gymnasium.make_vec(ENVIRONMENT_ID, num_envs=lanes, **{"stacks": stacks, **options}))

    # What breathing brings into view lies in a margin, which is cut off.
    roomy = demo_stacks(_ROOMY_STACKS, replace(DEMO, margin=_MARGIN_PX))
    loop = stepping(SyncVectorEnv([lambda: NoisyLookupEnv(slices) for _ in range(lanes)]))
    noisy, plain, erring, reference = turns(
        [
            ours(stacks=roomy, sensor="indoor", breathing=1.5),
            ours(),
            ours(lens="typical_phone", sensor="indoor"),
            loop,
        ],
        config,
    )
    what = f"make_vec, {lanes} lanes"
    print_row(table, f"{what}, noise and breathing / numpy and scipy in a loop", noisy, reference, 8.0)
    print_row(table, f"{what}, typical_phone and indoor / ideal and none", erring, plain, 0.12)


def render_rows(table: Any, config: BenchConfig) -> None:
    """Add the rows of the renderer: stacks of 49 slices x 2 views x 128 x 128 a second, on all cores."""
    focus = lta49_diopters()
    planar, layered = _scene(1, focus), _scene(_LAYERS, focus)
    ours, layers, loop = turns(
        [
            _rendering(planar, focus, 2 * _WORKERS),
            _rendering(layered, focus, _WORKERS),
            (_convolving(planar[0], focus), 1),
        ],
        config,
    )
    print_row(
        table,
        "rendering planar stacks (wanted: 40 /s) / a loop of fftconvolve and affine_transform",
        ours,
        loop,
        3.0,
    )
    print_row(table, f"rendering {_LAYERS} layers (wanted: 4 /s) / that loop for one layer", layers, loop, None)


def _scene(count: int, focus: FloatArray) -> list[Surface]:
    depths = np.linspace(focus[8], focus[40], count)
    side = canvas_size(focus, (float(depths[0]), float(depths[-1])), _FIELD_PX, _SIZE)
    rng = np.random.default_rng(0)
    surfaces = []
    for i, depth in enumerate(depths.tolist()):
        alpha = None if i == 0 else (rng.uniform(size=(side, side)) < 0.5).astype(np.float64)
        radiance = rng.uniform(0.0, 1.0, (side, side))
        surfaces.append(Surface(radiance if alpha is None else radiance * alpha, depth, alpha))
    return surfaces


def _rendering(surfaces: list[Surface], focus: FloatArray, count: int) -> tuple[Callable[[], None], int]:
    pupil = make_pupil("soft_split")

    def one(_: int) -> None:
        render_views(surfaces, focus, _FIELD_PX, size=_SIZE, pupil=pupil, precision="single")

    pool = ThreadPoolExecutor(_WORKERS)

    def render() -> None:
        for _ in pool.map(one, range(count)):
            pass

    return render, count


def _convolving(surface: Surface, focus: FloatArray) -> Callable[[], None]:
    """Return what one would write first: convolve every slice and view, then zoom it about the principal point.

    It starts from the same canvas, ends on the same pixels, and is given its kernels for nothing.
    """
    assert isinstance(surface.diopters, float)
    sides = 2 * np.ceil(np.abs(blur_diameter_px(focus, surface.diopters)) / 2.0).astype(int) + 3
    kernels = [np.random.default_rng(0).uniform(size=(2, side, side)) for side in sides.tolist()]
    zooms = magnification(focus[len(focus) // 2]) / magnification(focus)
    field, middle = np.array(_FIELD_PX[::-1]), (len(surface.radiance) - 1) / 2.0
    corner = field - (_SIZE - 1) / 2.0

    def convolve() -> None:
        for pair, step in zip(kernels, zooms.tolist(), strict=True):
            for kernel in pair:
                blurred = fftconvolve(surface.radiance, kernel, mode="same")
                first = step * corner - field + middle
                affine_transform(blurred, (step, step), first, (_SIZE, _SIZE), order=3)

    return convolve
