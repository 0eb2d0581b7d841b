"""Rendered stacks: one at a time, as many as one likes, and the embedded ``demo`` set, rendered once and cached.

A stack is a pure function of the set's configuration and its number. So any part of a set can be rendered anywhere,
in any order and on any number of cores, to the same bytes.
"""

import os
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from afsim.canvas import canvas_size
from afsim.draws import (
    Light,
    Stream,
    ViewMismatch,
    draw_field,
    draw_frame_gains,
    draw_label_error,
    draw_light,
    draw_shifts,
    draw_view_mismatch,
    stream,
)
from afsim.errors import StoreError
from afsim.exposure import LEVELS, expose, stored_noise
from afsim.inorder import in_order
from afsim.optics import PIXEL3, diopters_of_index, fractional_index, lta49_diopters, nearest_index
from afsim.pupil import FIELD_RADIUS_PX, make_pupil
from afsim.render import render_views
from afsim.scenes import Canvas, Scene, draw_scene
from afsim.setconfig import DEMO, SetConfig, description_hash, set_metadata
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from afsim.stackstore import StackWriter, index_rows
from afsim.staging import staged_folder

FloatArray = npt.NDArray[np.float64]

_MOST_WORKERS: Final = 8  # each holds some 100 MB
_SECONDS_BEFORE_BAR: Final = 2.0
_USUAL_BREATHING: Final = 1.3
_USUAL_DRIFT_PX: Final = 2.0
_SAME_VIEWS: Final = ViewMismatch(0.0, 0.0, 0.0, 0.0)


# ---------------------------------------------------------------------- one stack
def render_stack(config: SetConfig, i: int) -> FocalStack:
    """Render stack number ``i`` >= 0 of a set, as large as one likes: a set is an endless source of stacks.

    Returns
    -------
    FocalStack
        (49, 2, size + 2 margin, size + 2 margin), with the fractional truth ``best_index_exact`` by the paper's
        rule (median depth of the patch, clamped to 0 ... 48), and the label ``best_index``.

    Raises
    ------
    AfsimError
        Where the photographs are missing, or have too little texture for the mixture.
    """
    focus = lta49_diopters()
    field = draw_field(config.mixture, stream(config.seed, i, Stream.FIELD), PIXEL3.frame_px, config.size)
    shifts = draw_shifts(config.mixture, stream(config.seed, i, Stream.SHAKE), len(focus)) * config.shake
    scene = draw_scene(config.mixture, stream(config.seed, i, Stream.SCENE), _canvas(config, field, shifts))
    light, gains, mismatch = _exposure(config, i, scene.peak)
    views = _views(config, scene, field, shifts)
    images = expose(views, light, gains, mismatch, stream(config.seed, i, Stream.NOISE), size=config.size)
    exact, label = _truth(config, i, scene.depth, focus)
    name = f"{config.name}-{i:06d}"
    # Rounded, because machines differ in the last digit.
    x, y = (field / (np.array(PIXEL3.frame_px) / 2.0)).round(6).tolist()
    shot, read = (float(f"{value:.6g}") for value in stored_noise(light))
    return FocalStack(
        images=images,
        levels=LEVELS,
        diopters=focus,
        best_index=label,
        best_index_exact=exact,
        region=(x, y),
        noise=(shot, read),
        name=name,
        scene=scene.photograph or name,
        metadata=_metadata(config, scene, focus, light, mismatch),
    )


def _views(config: SetConfig, scene: Scene, field: FloatArray, shifts: FloatArray) -> FloatArray:
    """Return what both views see of a scene, free of noise."""
    mixture = config.mixture
    x, y = (mixture.field_gain / FIELD_RADIUS_PX * field).tolist()
    return np.asarray(
        render_views(
            scene.surfaces,
            lta49_diopters(),
            field,
            size=config.size + 2 * config.margin,
            pupil=make_pupil(mixture.pupil, field=(x, y), width=mixture.split_width),
            breathing=mixture.breathing,
            shifts_px=shifts,
            sigma_px=mixture.sigma_px,
        )
    )


def _exposure(config: SetConfig, i: int, peak: float) -> tuple[Light, FloatArray, ViewMismatch]:
    """Draw the light of a scene whose brightest parts are ``peak``, the frames' gains, and the views' mismatch."""
    mixture, n = config.mixture, config.geometry.n
    light = draw_light(mixture, stream(config.seed, i, Stream.LIGHT))
    light = light._replace(level=min(light.level, mixture.highest / peak))
    if not config.noise:
        light = light._replace(shot=0.0, read=0.0)
    gains = draw_frame_gains(mixture, stream(config.seed, i, Stream.FLICKER), n) if config.flicker else np.ones(n)
    mismatch = draw_view_mismatch(mixture, stream(config.seed, i, Stream.VIEWS)) if config.mismatch else _SAME_VIEWS
    return light, gains, mismatch


def _canvas(config: SetConfig, field: FloatArray, shifts: FloatArray) -> Canvas:
    """Return a canvas that is large enough for any depth that the mixture has.

    It depends on the gain of the breathing and on the shake only where they are unusually strong, so that the same
    scene is drawn without them.
    """
    focus = lta49_diopters()
    farthest, nearest = diopters_of_index(config.mixture.reach_index, focus).tolist()
    side = canvas_size(
        focus,
        (farthest, nearest),
        field,
        config.size + 2 * config.margin,
        breathing=max(config.mixture.breathing, _USUAL_BREATHING),
        drift_px=max(float(np.abs(shifts).max()), _USUAL_DRIFT_PX),
    )
    return Canvas(side, config.size, focus, config.photographs)


def _truth(config: SetConfig, i: int, depth: FloatArray, focus: FloatArray) -> tuple[float, int]:
    """Return the fractional truth and the label of a patch of which ``depth`` (size, size) is seen, in dioptres."""
    exact = round(float(fractional_index(np.median(depth), focus, clamp=True)), 6)
    error = draw_label_error(config.mixture, stream(config.seed, i, Stream.LABEL)) if config.label_noise else 0.0
    claimed = diopters_of_index(np.clip(exact + error, 0.0, len(focus) - 1.0), focus)
    return exact, int(nearest_index(claimed, focus))


def _metadata(
    config: SetConfig, scene: Scene, focus: FloatArray, light: Light, mismatch: ViewMismatch
) -> dict[str, object]:
    spread = fractional_index(np.percentile(scene.depth, [10.0, 90.0]), focus).round(3).tolist()
    return {
        "dp_axis": "columns",
        "dp_sign": 1,
        "family": config.mixture.family,
        "textures": list(scene.textures),
        "diopters": round(float(np.median(scene.depth)), 6),
        "index_10_90": spread,
        "level": round(light.level, 6),
        "view_offset_px": round(mismatch.offset_px, 6),
        "margin": config.margin,
    }


# ---------------------------------------------------------------------- many stacks
def render_in_order(
    config: SetConfig, first: int = 0, *, workers: int | None = None
) -> Generator[FocalStack, None, None]:
    """Render stacks ``first`` ... ``config.count`` - 1 in order, on all cores (or ``workers`` threads).

    Raises
    ------
    AfsimError
        For ``workers`` below 1; and as :func:`render_stack`.
    """
    return in_order(partial(render_stack, config), range(first, config.count), workers=workers, most=_MOST_WORKERS)


# ---------------------------------------------------------------------- the demo set
def demo_stacks(count: int = 64, config: SetConfig = DEMO) -> StackSet:
    """Render ``count`` stacks into memory (3.2 MB each); the same bytes as :func:`open_demo`."""
    config = replace(config, count=count)
    return StackSet.from_stacks(render_in_order(config), set_metadata(config))


def open_demo(count: int = 64, config: SetConfig = DEMO) -> StackSet:
    """Open the demo set, memory-mapped; it is rendered into the cache folder when first asked for.

    Rendering takes about a quarter of a second a stack and shows a bar when it takes longer than two seconds.
    Interrupted, it leaves nothing; of two processes that render at once, one stores the set and both open it.

    Raises
    ------
    StoreError
        Where the cache folder cannot be written, or the set in it is damaged.
    """
    config = replace(config, count=count)
    path = cache_folder() / f"{config.name}-{description_hash(config)[:16]}"
    if not path.is_dir():
        try:
            _render_into(path, config)
        except (OSError, StoreError) as error:
            if not path.is_dir():  # otherwise another process was first
                raise StoreError(
                    f"cannot store the demo set in the cache folder {path.parent}: {error}; "
                    "set the environment variable AFSIM_CACHE to a folder that can be written"
                ) from error
    try:
        return StackSet.open(path)
    except StoreError as error:
        raise StoreError(f"{error}; remove the folder {path} to have it rendered again") from error


def cache_folder() -> Path:
    """Return where rendered sets live: ``AFSIM_CACHE``, else ``XDG_CACHE_HOME/afsim``, else ``~/.cache/afsim``."""
    own, shared = os.environ.get("AFSIM_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser()
    return (Path(shared) if shared else Path.home() / ".cache") / "afsim"


def _render_into(path: Path, config: SetConfig) -> None:
    with staged_folder(path) as folder, StackWriter(folder, config.geometry, set_metadata(config)) as writer:
        for stack in _with_bar(render_in_order(config), config.count):
            writer.extend(index_rows([stack]))[0] = stack.images


def _with_bar(stacks: Iterator[FocalStack], count: int) -> Iterator[FocalStack]:
    """Pass on ``stacks``, with a bar on the terminal when that has taken a while."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_interactive:
        yield from stacks
        return
    bar = Progress(console=console, transient=True)
    task = bar.add_task("rendering the demo set (once)", total=count)
    started = time.monotonic()
    try:
        for stack in stacks:
            yield stack
            bar.advance(task)
            if time.monotonic() - started > _SECONDS_BEFORE_BAR:
                bar.start()
    finally:
        bar.stop()
