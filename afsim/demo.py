"""The embedded ``demo`` set: planar scenes with photographs as textures, rendered on the spot and cached.

Each stack is a photograph on a plane that faces the camera, seen by a Pixel-3-like dual-pixel camera at the 49
focus distances of "Learning to Autofocus". The order is that of light: blur and focal breathing in linear radiance,
exposure, noise, clipping, quantisation. Depth edges, slanted surfaces, uneven pupils and flicker are left out.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv

from afsim.errors import AfsimError, StoreError
from afsim.optics import lta49_diopters
from afsim.planar import crop_size, fade_border, planar_views
from afsim.stack import FocalStack, Geometry, Levels, RawImage
from afsim.stackset import StackSet
from afsim.stackstore import StackWriter, index_rows
from afsim.staging import staged_folder

FloatArray = npt.NDArray[np.float64]

# To be raised whenever the same configuration renders other pixels, so that no old set is read.
RENDERER_VERSION: Final = 1

# Photographs inside scikit-image's wheel that make a scene and are large and sharp enough to be cropped.
PHOTOGRAPHS: Final = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "motorcycle_left.png",
    "rocket.jpg",
)

LEVELS: Final = Levels(64, 1023)  # 10-bit raw of the Pixel 3's dual-pixel data

_FRAME_PX: Final = (2016, 1512)  # width and height of the recordings whose patches the stacks imitate
_GOLDEN_RATIO: Final = (5**0.5 - 1.0) / 2.0
_CROPS_TRIED: Final = 100
_DARKEST: Final = 0.01  # mean of a crop, white = 1: below, the steps of eight bits would show
_SECONDS_BEFORE_BAR: Final = 2.0
_MOST_WORKERS: Final = 8  # each holds some 60 MB


@dataclass(frozen=True)
class DemoConfig:
    """What the rendered stacks depend on, besides their number.

    The distributions of depth and level are those that came nearest to the recordings of "Learning to Autofocus"
    among the rendered mixtures that were compared with them; those of contrast and gradient give the recordings'
    percentiles.

    Parameters
    ----------
    seed : int
        Stack i draws from a generator seeded with (seed, i) alone.
    size : int
        Height and width of a patch in pixels; 128 as in the paper.
    depth_shape, depth_scale : float
        Gamma distribution of the true index (mean 12): scenes are mostly far.
    depth_max : float
        Largest true index; a nearer scene would show no decline of sharpness.
    log_level_mean, log_level_sd : float
        Log-normal distribution of a patch's mean signal (white = 1).
    level_range : (float, float)
        What the mean signal is clipped to.
    highest : float
        The level is lowered until no point of a patch is brighter, as exposure metering does.
    contrast_range : (float, float)
        Log-uniform distribution of the factor, at most 1, on a photograph's contrast: haze, in effect.
    least_gradient : float
        Smallest mean absolute difference of neighbours in a patch, over its mean. Crops below it are drawn again:
        the recordings have no patches without texture, because their depth could not be measured.
    noise : (float, float)
        Shot and read noise (S, O) of one view: the Pixel 3's sensor at ISO 200 (full well 6000 electrons at
        ISO 55), four half-pixels averaged as in its dual-pixel data.
    """

    seed: int = 0
    size: int = 128
    depth_shape: float = 2.0
    depth_scale: float = 6.0
    depth_max: float = 47.5
    log_level_mean: float = -2.25
    log_level_sd: float = 1.0
    level_range: tuple[float, float] = (0.012, 0.45)
    highest: float = 0.75
    contrast_range: tuple[float, float] = (0.25, 1.0)
    least_gradient: float = 0.02
    noise: tuple[float, float] = (3.03e-4, 1.01e-6)


DEFAULT: Final = DemoConfig()


# ---------------------------------------------------------------------- rendering
def render_stack(i: int, config: DemoConfig = DEFAULT) -> FocalStack:
    """Render stack number ``i`` >= 0; it depends on no other stack.

    Returns
    -------
    FocalStack
        (49, 2, size, size), with the fractional truth, and as its label the slice nearest to it in dioptres:
        a label without noise, unlike those of recordings.

    Raises
    ------
    AfsimError
        Where the photographs are missing, or too small or too smooth for ``config``.
    """
    rng = np.random.default_rng([config.seed, i])
    photograph = PHOTOGRAPHS[i % len(PHOTOGRAPHS)]
    focus = lta49_diopters()
    exact = _true_index(i, config)
    depth = float(np.interp(exact, np.arange(len(focus)), focus))
    half_frame = np.array(_FRAME_PX) / 2.0
    field = rng.uniform(-1.0, 1.0, 2) * (half_frame - config.size / 2.0)
    radiance, corner = _crop(photograph, crop_size(focus, depth, field, config.size), config, rng)
    level = np.exp(rng.normal(config.log_level_mean, config.log_level_sd)).clip(*config.level_range)
    level = min(float(level), config.highest / radiance.max())
    views = level * planar_views(radiance, focus, depth, field, config.size)
    x, y = field / half_frame
    return FocalStack(
        images=_expose(views, config.noise, rng),
        levels=LEVELS,
        diopters=focus,
        best_index=int(np.argmin(np.abs(focus - depth))),
        best_index_exact=exact,
        region=(float(x), float(y)),
        noise=config.noise,
        name=f"demo-{i:04d}",
        scene=Path(photograph).stem,
        metadata={
            "dp_axis": "columns",
            "dp_sign": 1,
            "depth_m": round(1.0 / depth, 6),
            "level": round(level, 6),
            "crop_top_left": corner,
        },
    )


def _true_index(i: int, config: DemoConfig) -> float:
    """Return the depth of stack ``i``: any number of stacks covers the distribution evenly (golden-ratio steps)."""
    quantile = (np.random.default_rng(config.seed).uniform() + i * _GOLDEN_RATIO) % 1.0
    return float(min(config.depth_scale * gammaincinv(config.depth_shape, quantile), config.depth_max))


def _crop(photograph: str, side: int, config: DemoConfig, rng: np.random.Generator) -> tuple[FloatArray, list[int]]:
    """Draw a textured crop, of mean 1 where the patch will be and faded at its border; and its top left corner."""
    image = _read_photograph(photograph)
    if side > min(image.shape):
        raise AfsimError(f"size {config.size} needs {side} pixels, but {photograph} has {min(image.shape)}")
    border = (side - config.size) // 2
    middle = slice(border, border + config.size)
    contrast = np.exp(rng.uniform(*np.log(config.contrast_range)))
    for _ in range(_CROPS_TRIED):
        top, left = (int(rng.integers(length - side + 1)) for length in image.shape)
        crop = image[top : top + side, left : left + side]
        mean = crop[middle, middle].mean()
        if mean < _DARKEST:
            continue
        crop = 1.0 + contrast * (crop / mean - 1.0)
        gradients = [np.abs(np.diff(crop[middle, middle], axis=axis)).mean() for axis in (0, 1)]
        if np.mean(gradients) >= config.least_gradient:
            return fade_border(crop), [top, left]
    raise AfsimError(f"least_gradient {config.least_gradient:g}: no crop of {photograph} has as much texture")


@cache
def _read_photograph(name: str) -> FloatArray:
    """Return the green channel of a photograph in linear light, 0 ... 1 (sRGB undone, IEC 61966-2-1)."""
    import skimage.io  # here, because it takes long and a cached set never needs it

    path = Path(skimage.__file__).parent / "data" / name
    if not path.is_file():
        raise AfsimError(f"{path} is missing: expected a photograph that scikit-image's wheel contains")
    image = skimage.io.imread(path)
    encoded = (image if image.ndim == 2 else image[..., 1]) / 255.0
    linear: FloatArray = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear


def _expose(views: FloatArray, noise: tuple[float, float], rng: np.random.Generator) -> RawImage:
    """Add Gaussian noise of variance S x + O (shot and read noise), clip and quantise."""
    # Double precision up to here: machines round it differently, which single precision then hides.
    signal = views.astype(np.float32)
    shot, read = (np.float32(value) for value in noise)
    deviation = rng.standard_normal(signal.shape, dtype=np.float32)
    deviation *= np.sqrt(shot * np.maximum(signal, 0) + read)
    signal += deviation
    signal *= LEVELS.white - LEVELS.black
    signal += LEVELS.black
    return np.rint(signal).clip(0, LEVELS.white).astype(np.uint16)


# ---------------------------------------------------------------------- sets
def demo_stacks(count: int = 64, config: DemoConfig = DEFAULT) -> StackSet:
    """Render ``count`` stacks into memory (3.2 MB each); the same bytes as :func:`open_demo`."""
    return StackSet.from_stacks(_render_all(count, config), _metadata(config))


def open_demo(count: int = 64, config: DemoConfig = DEFAULT) -> StackSet:
    """Open the demo set, memory-mapped; it is rendered into the cache folder when first asked for.

    Rendering takes about a tenth of a second a stack and shows a bar when it takes longer than two seconds.
    Interrupted, it leaves nothing; of two processes that render at once, one stores the set and both open it.

    Raises
    ------
    StoreError
        Where the cache folder cannot be written, or the set in it is damaged.
    """
    description = json.dumps({"version": RENDERER_VERSION, "count": count, **asdict(config)}, sort_keys=True)
    path = cache_folder() / f"demo-{hashlib.sha256(description.encode()).hexdigest()[:16]}"
    if not path.is_dir():
        try:
            _render_into(path, count, config)
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


def _render_into(path: Path, count: int, config: DemoConfig) -> None:
    focus = tuple(lta49_diopters().tolist())
    geometry = Geometry(len(focus), 2, config.size, config.size, LEVELS, "far-first", focus)
    with staged_folder(path) as folder, StackWriter(folder, geometry, _metadata(config)) as writer:
        for stack in _with_bar(_render_all(count, config), count):
            writer.extend(index_rows([stack]))[0] = stack.images


def _render_all(count: int, config: DemoConfig) -> Iterator[FocalStack]:
    """Render stacks 0 ... count - 1 on all cores, in order."""
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_WORKERS))
    try:
        yield from pool.map(partial(render_stack, config=config), range(count))
    finally:
        pool.shutdown(cancel_futures=True)


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


def _metadata(config: DemoConfig) -> dict[str, object]:
    return {
        "source": f"rendered by afsim.demo, version {RENDERER_VERSION}",
        "camera": "model of the Google Pixel 3 main camera, ideal half-disc dual pixel",
        "licence": "textures are photographs distributed with scikit-image; see the docstrings of skimage.data",
        "label": "best_index is the slice nearest to the true depth in dioptres, without noise",
        "noise": "(S, O) is that of each view",
        "config": asdict(config),
    }
