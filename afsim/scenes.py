"""Scene families: each a seeded function that piles textured surfaces up in depth, for the renderer.

Depth is drawn as a fractional index of the stack. A plane in space is a linear function of the image's coordinates
in dioptres, so slanted surfaces are exactly flat.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.canvas import Surface
from afsim.draws import choose, draw_index, log_uniform
from afsim.errors import AfsimError, unknown
from afsim.masks import MASKS, THIN
from afsim.mixture import PATCH_PX, Mixture
from afsim.optics import diopters_of_index, mean_step
from afsim.photographs import photograph_crop
from afsim.textures import (
    TEXTURES,
    coordinates,
    even,
    highlights,
    leaf_layer,
    luminance_edge,
    power_noise,
    shading,
    with_contrast,
)

FloatArray = npt.NDArray[np.float64]

_TRIES: Final = 100
_TEXTURELESS_CONTRAST: Final = (0.01, 0.12)
_DOT_PX: Final = (0.5, 2.0)  # radii of highlights
_LIGHTS: Final = (3, 15)
_LIGHT_OVER_MEAN: Final = (300.0, 10000.0)  # of a night's lamps, whose surroundings are at 1 to 5 % of white
_LIGHT_PX: Final = (0.5, 2.5)
_THINNEST_GAP: Final = 2.0  # index between a thin structure and what lies behind it, at least


class Canvas(NamedTuple):
    """What a scene is drawn on, and for which camera.

    Attributes
    ----------
    side, size : int
        Height and width of the canvas, and of the patch in its middle.
    focus : (n,) float64
        Focus distances of the slices in dioptres.
    photographs : tuple of str
        Those that may be used (:data:`afsim.photographs.PHOTOGRAPHS`).
    """

    side: int
    size: int
    focus: FloatArray
    photographs: tuple[str, ...]


class Scene(NamedTuple):
    """A scene to be rendered; its mean over the patch is 1, highlights and lamps left out.

    Attributes
    ----------
    surfaces : tuple of Surface
        Back to front.
    depth : (size, size) float64
        Depth in dioptres of what is seen at each pixel of the patch (of the frontmost surface that hides half).
    textures : tuple of str
        Of the surfaces.
    photograph : str
        The one that is shown, or "".
    peak : float
        Light that 99.9 % of the patch are darker than, all in focus, highlights and lamps left out.
    """

    surfaces: tuple[Surface, ...]
    depth: FloatArray
    textures: tuple[str, ...]
    photograph: str
    peak: float


class Layer(NamedTuple):
    """A surface before it is put into its place: light, depth, opacity (None: all), bright dots, texture."""

    radiance: FloatArray
    diopters: float | FloatArray
    alpha: FloatArray | None
    dots: FloatArray | None
    texture: str


Family = Callable[[Mixture, np.random.Generator, Canvas], list[Layer]]


def draw_scene(mixture: Mixture, rng: np.random.Generator, canvas: Canvas) -> Scene:
    """Draw a scene of the mixture's family.

    All photographs on its surfaces are parts of one, so that it belongs to one photograph or to none.

    Raises
    ------
    AfsimError
        For an unknown family, or where 100 scenes in a row had less texture than ``mixture.least_gradient``.
    """
    if mixture.family not in FAMILIES:
        raise unknown("scene family", mixture.family, FAMILIES)
    for _ in range(_TRIES):
        chosen = (str(rng.choice(canvas.photographs)),) if canvas.photographs else ()
        layers = FAMILIES[mixture.family](mixture, rng, canvas._replace(photographs=chosen))
        scene, gradient = _assemble(layers, canvas.size, chosen)
        if gradient >= mixture.least_gradient or "even" in scene.textures:
            return scene
    raise AfsimError(
        f"least_gradient {mixture.least_gradient:g}: {_TRIES} scenes of mixture {mixture.name!r} had less texture"
    )


# ---------------------------------------------------------------------- families
def composition(mixture: Mixture, rng: np.random.Generator, canvas: Canvas) -> list[Layer]:
    """Pile up one surface, facing or slanted, two, or several: the mixture of the study."""
    shares = (mixture.single, mixture.single_slanted, mixture.two, mixture.several)
    kind = int(rng.choice(4, p=shares))
    count = (1, 1, 2, int(rng.integers(3, 6)))[kind]
    main = draw_index(mixture, rng)
    places = [(main, 1.0)]
    for _ in range(count - 1):
        away = rng.exponential(mixture.separation_index) * (-1.0 if rng.uniform() < mixture.behind else 1.0)
        places.append((main + away, float(np.exp(rng.normal(0.0, mixture.brightness_log_sd)))))
    layers: list[Layer] = []
    for index, light in sorted(places):
        slanted = kind == 1 or (count > 1 and rng.uniform() < mixture.slanted)
        mask = MASKS[choose(rng, mixture.masks)](rng, canvas.side, canvas.size) if layers else None
        texture = _texture_name(mixture, rng)
        layers.append(_layer(mixture, rng, canvas, index, slanted, light, mask, texture))
    return layers


def planes(mixture: Mixture, rng: np.random.Generator, canvas: Canvas) -> list[Layer]:
    """Show a photograph on one plane, slanted half of the time."""
    return _single(mixture, rng, canvas, "photograph")


def text(mixture: Mixture, rng: np.random.Generator, canvas: Canvas) -> list[Layer]:
    """Show a printed page, slanted half of the time."""
    return _single(mixture, rng, canvas, "text")


def low_texture(mixture: Mixture, rng: np.random.Generator, canvas: Canvas) -> list[Layer]:
    """Show a surface with hardly any texture, slanted half of the time."""
    return _single(mixture, rng, canvas, "even")


def leaves(mixture: Mixture, rng: np.random.Generator, canvas: Canvas) -> list[Layer]:
    """Scatter leaves over 4 to 8 depths in front of a background: near ones cut the region at its border."""
    index = draw_index(mixture, rng) - 4.0
    layers = [_layer(mixture, rng, canvas, index, False, 1.0, None, _texture_name(mixture, rng))]
    for _ in range(int(rng.integers(3, 8))):
        index += rng.exponential(mixture.separation_index / 3.0) + 0.5
        radii = canvas.size / PATCH_PX * np.exp(rng.uniform(np.log(5.0), np.log(35.0), int(rng.integers(4, 14))))
        alpha, light = leaf_layer(rng, canvas.side, radii)
        fine = np.exp(rng.uniform(0.05, 0.25) * power_noise(rng, canvas.side, rng.uniform(0.5, 1.0)))
        layers.append(Layer(light * fine, _depth(mixture, canvas, index, None, rng), alpha, None, "leaves"))
    return layers


def thin(mixture: Mixture, rng: np.random.Generator, canvas: Canvas) -> list[Layer]:
    """Hang wires, branches or hair in front of a background, now and then two of them."""
    index = draw_index(mixture, rng)
    slanted = rng.uniform() < mixture.slanted
    layers = [_layer(mixture, rng, canvas, index, slanted, 1.0, None, _texture_name(mixture, rng))]
    for _ in range(1 if rng.uniform() < 0.7 else 2):
        index += _THINNEST_GAP + rng.exponential(mixture.separation_index)
        mask = THIN[str(rng.choice(list(THIN)))](rng, canvas.side, canvas.size)
        light = float(np.exp(rng.normal(-0.5, 2.0 * mixture.brightness_log_sd)))
        layers.append(_layer(mixture, rng, canvas, index, False, light, mask, "cloth"))
    return layers


def night(mixture: Mixture, rng: np.random.Generator, canvas: Canvas) -> list[Layer]:
    """Light lamps, far brighter than white, on the rearmost surface of a composition."""
    layers = composition(replace(mixture, highlighted=0.0), rng, canvas)
    lamps = highlights(rng, canvas.side, int(rng.integers(*_LIGHTS)), _LIGHT_OVER_MEAN, _LIGHT_PX)
    return [layers[0]._replace(dots=lamps), *layers[1:]]


FAMILIES: Final[dict[str, Family]] = {
    "composition": composition,
    "planes": planes,
    "leaves": leaves,
    "thin": thin,
    "low_texture": low_texture,
    "text": text,
    "night": night,
}


# ---------------------------------------------------------------------- parts of a scene
def _single(mixture: Mixture, rng: np.random.Generator, canvas: Canvas, texture: str) -> list[Layer]:
    index, slanted = draw_index(mixture, rng), rng.uniform() < 0.5
    return [_layer(mixture, rng, canvas, index, slanted, 1.0, None, texture)]


def _texture_name(mixture: Mixture, rng: np.random.Generator) -> str:
    return "even" if rng.uniform() < mixture.textureless else choose(rng, mixture.textures)


def _layer(
    mixture: Mixture,
    rng: np.random.Generator,
    canvas: Canvas,
    index: float,
    slanted: bool,
    light: float,
    alpha: FloatArray | None,
    texture: str,
) -> Layer:
    """Draw a surface: its depth, its texture with contrast and shading, and its bright dots."""
    diopters = _depth(mixture, canvas, index, log_uniform(rng, mixture.slant_index) if slanted else None, rng)
    radiance = light * _radiance(mixture, rng, canvas, texture)
    dots = None
    if rng.uniform() < mixture.highlighted:
        least, most = mixture.highlight_count
        count = int(rng.integers(least, most + 1))
        dots = light * highlights(rng, canvas.side, count, mixture.highlight_amplitude, _DOT_PX)
    return Layer(radiance, diopters, alpha, dots, texture)


def _depth(
    mixture: Mixture, canvas: Canvas, index: float, slant: float | None, rng: np.random.Generator
) -> float | FloatArray:
    """Return the depth in dioptres of a surface at ``index`` that runs through ``slant`` indices over 128 px."""
    least, most = diopters_of_index(mixture.reach_index, canvas.focus)
    middle = float(diopters_of_index(index, canvas.focus).clip(least, most))
    if slant is None:
        return middle
    x, y = coordinates(canvas.side)
    turn = rng.uniform(0.0, 2.0 * np.pi)
    along = (x * np.cos(turn) + y * np.sin(turn)) / canvas.size
    return np.asarray((middle + slant * mean_step(canvas.focus) * along).clip(least, most))


def _radiance(mixture: Mixture, rng: np.random.Generator, canvas: Canvas, texture: str) -> FloatArray:
    side, scale = canvas.side, canvas.size / PATCH_PX
    if texture == "photograph":
        if not canvas.photographs:
            raise AfsimError(f"mixture {mixture.name!r} shows photographs, but none may be used")
        image = photograph_crop(rng, side, canvas.photographs[0], mixture.photograph_scale)
    elif texture == "even":
        image = even(rng, side, _TEXTURELESS_CONTRAST)
    else:
        image = TEXTURES[texture](rng, side)
    image = with_contrast(image, float(np.exp(rng.normal(mixture.contrast_log_mean, mixture.contrast_log_sd))))
    if rng.uniform() < mixture.shaded:
        strength = mixture.shading * float(np.exp(rng.normal(0.0, mixture.shading_log_sd)))
        image = image * shading(rng, side, strength, scale * log_uniform(rng, mixture.shading_px))
    if rng.uniform() < mixture.edged:
        image = image * luminance_edge(rng, side, float(rng.normal(0.0, mixture.edge_log_sd)), canvas.size / 2.0)
    return image


# ---------------------------------------------------------------------- putting them into their places
def _assemble(layers: list[Layer], size: int, photographs: tuple[str, ...]) -> tuple[Scene, float]:
    """Return the scene of layers, back to front, and the mean gradient of its patch over its mean."""
    start = (len(layers[0].radiance) - size) // 2
    patch = np.s_[start : start + size, start : start + size]
    seen, depth = np.zeros((size, size)), np.zeros((size, size))
    behind: float | FloatArray = 0.0
    diopters = []
    for layer in layers:
        # A surface that would reach behind the one at its back is bent to touch it.
        behind = layer.diopters if np.all(layer.diopters >= behind) else np.maximum(layer.diopters, behind)
        diopters.append(behind)
        alpha = np.ones((size, size)) if layer.alpha is None else layer.alpha[patch]
        seen += alpha * (layer.radiance[patch] - seen)
        depth = np.where(alpha >= 0.5, behind if isinstance(behind, float) else behind[patch], depth)
    mean, peak = float(seen.mean()), float(np.percentile(seen, 99.9))
    gradient = float(np.mean([np.abs(np.diff(seen, axis=axis)).mean() for axis in (0, 1)])) / mean
    surfaces = tuple(_surface(layer, at, mean) for layer, at in zip(layers, diopters, strict=True))
    textures = tuple(layer.texture for layer in layers)
    photograph = photographs[0] if "photograph" in textures else ""
    return Scene(surfaces, depth, textures, photograph, peak / mean), gradient


def _surface(layer: Layer, diopters: float | FloatArray, mean: float) -> Surface:
    light = layer.radiance if layer.dots is None else layer.radiance + layer.dots
    if layer.alpha is not None:
        light = light * layer.alpha
    return Surface(light / mean, diopters, layer.alpha)
