"""Figures 7 to 10: what is picked, and that the pictures are drawn."""

from pathlib import Path

import numpy as np
import pytest

from afsim.experiments import predictions
from afsim.experiments.predictions import PredictionsConfig, study
from afsim.sets import open_demo
from afsim.stackset import StackSet


@pytest.fixture(scope="module")
def demo() -> StackSet:
    """Return five of the demo's stacks."""
    return open_demo()[:5]


def test_the_slice_of_which_a_network_is_in_two_minds() -> None:
    said = np.full((2, 21, 21), 1.0 / 21)
    said[:] = np.eye(21)[10]
    said[1, 9] = 0.0
    said[1, 9, [3, 15]] = 0.5
    assert predictions._in_two_minds(said, np.array([10.0, 15.0])) == (1, 9)


def test_patches_are_those_where_the_network_gains_most(demo: StackSet, tmp_path: Path) -> None:
    config = PredictionsConfig(depth_baseline="stay", out=tmp_path / "out", quiet=True)
    found = study(config, stacks=demo)
    seventh = [choice for choice in found.choices if choice.figure == 7]
    scenes = [demo.scenes[choice.stack] for choice in seventh]
    assert len(scenes) == len(set(scenes)) == min(3, len(set(demo.scenes)))
    first = seventh[0]
    assert first.ours == first.truth
    assert abs(first.baseline - first.truth) > 15
    assert first.baseline == first.start  # it stays where it is
    dark = {choice.stack for choice in found.choices if choice.figure == 8}
    light = [demo[i].normalized().mean() for i in range(5)]
    assert int(np.argmin(light)) in dark
    assert all(choice.start == -1 for choice in found.choices if choice.figure == 9)
    assert {name: said.shape for name, said in found.said.items()} == {
        "learned-i1": (49, 49),
        "learned-d1": (49, 49),
    }
    assert set(predictions.draw(found, config)) == {"figure_7", "figure_8", "figure_9", "figure_10"}
