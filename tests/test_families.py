"""What is special about each family of rendered stacks: lamps, darkness, breathing at the periphery."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from afsim.mixture import MIXTURES
from afsim.optics import lta49_diopters, magnification
from afsim.setconfig import SetConfig, make_set
from afsim.sets import demo_stacks, render_stack


def _single(name: str, least: float, most: float) -> SetConfig:
    """Return a mixture's set, one surface that faces the camera between two indices."""
    mixture = replace(
        MIXTURES[name], single=1.0, single_slanted=0.0, two=0.0, several=0.0, depth_range=(least, most)
    )
    return replace(make_set(name), mixture=mixture)


def test_lamps_of_a_night_are_saturated_and_grow_before_they_fade() -> None:
    saturated = []
    for stack in demo_stacks(5, replace(_single("night", 4.0, 20.0), size=64)):
        assert stack.best_index is not None
        white = (stack.green() >= 0.999).mean(axis=(1, 2))
        assert 0 < white[stack.best_index] < 0.05
        assert np.median(stack.green()) < 0.1
        saturated.append([white[stack.best_index + off] for off in (0, 12)])
    focused, blurred = np.sum(saturated, axis=0)
    assert blurred > 1.2 * focused


def test_dim_is_dim_and_dark_is_darker() -> None:
    ratios = []
    for name in ("v6", "dim", "dark"):
        config = replace(_single(name, 0.0, 30.0), size=8, seed=5)
        config = replace(config, mixture=replace(config.mixture, field_px=(0.0, 300.0), reach_index=(0.0, 30.0)))
        found = []
        for stack in demo_stacks(8, config):
            assert stack.noise is not None
            mean = float(stack.green().mean())
            found.append(mean / np.sqrt(stack.noise[0] * mean + stack.noise[1]))
        ratios.append(np.median(found))
    assert ratios[0] > 2 * ratios[1] > 3 * ratios[2]


def test_the_periphery_exchanges_content_by_breathing() -> None:
    config = replace(_single("periphery", 24.0, 24.0), size=96, noise=False, shake=False, mismatch=False)
    config = replace(config, mixture=replace(config.mixture, textures=(("leaves", 1.0),), shaded=0.0, edged=0.0))
    # Slices equally far from the focus are equally blurred; the nearer one shows everything farther out.
    scale = (magnification(lta49_diopters()[30]) / magnification(lta49_diopters()[18])) ** 1.3
    for i in range(3):
        stack = render_stack(config, i)
        field = np.array(stack.region) * (1008.0, 756.0)
        assert np.hypot(*field) >= 900
        x, y = np.rint(field * (scale - 1.0)).astype(int)
        assert np.hypot(x, y) > 11
        far, near = stack.green()[[18, 30]]
        assert _alike(far, near, x, y) > 0.9
        assert _alike(far, near, 0, 0) < 0.6


def _alike(image: npt.NDArray[np.float32], moved: npt.NDArray[np.float32], x: int, y: int) -> float:
    """Return the correlation of the middle of an image with what lies (x, y) farther in another."""
    middle = image[24:-24, 24:-24]
    other = moved[24 + y : 24 + y + len(middle), 24 + x : 24 + x + len(middle)]
    return float(np.corrcoef(middle.ravel(), other.ravel())[0, 1])
