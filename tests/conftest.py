"""What several tests share: small stacks with a known truth."""

import os
from pathlib import Path

# Before torch is loaded: several test processes, each with as many threads of torch's as there are cores, wait for
# each other most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from afsim.optics import lta49_diopters
from afsim.stack import FocalStack, Levels
from afsim.stackset import StackSet

LEVELS = Levels(64, 1023)


def make_stack(
    truth: float = 5.0,
    *,
    n: int = 12,
    views: int = 2,
    size: int = 32,
    seed: int = 0,
    name: str = "",
    scene: str = "",
    labelled: bool = True,
    distances: bool = True,
) -> FocalStack:
    """Make a stack whose texture fades with the distance from ``truth``: cheap, and sharpest at the truth."""
    rng = np.random.default_rng(seed)
    texture = rng.uniform(-1.0, 1.0, (views, size, size))
    contrast = 1.0 / (1.0 + (np.arange(n) - truth) ** 2 / 4.0)
    radiance = 0.4 + 0.3 * contrast[:, None, None, None] * texture
    images = np.rint(LEVELS.black + radiance * (LEVELS.white - LEVELS.black)).astype(np.uint16)
    name = name or f"stack-{seed}-{truth:g}"
    return FocalStack(
        images,
        LEVELS,
        diopters=lta49_diopters()[:n] if distances else None,
        best_index=round(truth) if labelled else None,
        best_index_exact=truth if labelled else None,
        direction="far-first" if distances else "unknown",
        name=name,
        scene=scene or name,
    )


@pytest.fixture
def stacks() -> StackSet:
    """Six labelled stacks of three scenes: 12 slices, two views, 32 x 32."""
    truths = (1.0, 2.3, 5.0, 6.6, 9.0, 10.4)
    return StackSet.from_stacks(
        make_stack(truth, seed=i, scene=f"scene-{i // 2}") for i, truth in enumerate(truths)
    )


@pytest.fixture
def unlabelled_stacks() -> StackSet:
    """Two stacks with neither labels nor distances, one view."""
    return StackSet.from_stacks(
        make_stack(truth, seed=i, views=1, labelled=False, distances=False) for i, truth in enumerate((3.0, 8.0))
    )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings; the test skips where there is none."""
    folder = os.environ.get("AFSIM_REAL_DATA")
    if not folder:
        pytest.skip("AFSIM_REAL_DATA is not set: no real recordings on this machine")
    return Path(folder)
