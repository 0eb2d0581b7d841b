"""Which measures the policies can use, by the registry of measures."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.keys import lane_keys
from afsim.measures import MEASURES, STEREO_MEASURES, get_measure
from afsim.policies import make
from afsim.policy import Knowledge
from afsim.rollout import Arena
from afsim.stackset import StackSet
from afsim.task import FocusTask, TaskSpec

SPEC = TaskSpec(12, 2, 32, 32, 5, diopters=tuple(np.linspace(0.3, 9.8, 12).tolist()))


@pytest.mark.parametrize("name", STEREO_MEASURES)
def test_stereo_measures_can_be_swept_and_need_both_views(
    name: str, stacks: StackSet, unlabelled_stacks: StackSet
) -> None:
    task = FocusTask(Camera(stacks), budget=2, reward="none")
    episodes = Arena(task.camera).play(make(f"sweep:{name}", task.spec), task)
    assert np.isin(episodes.positions[:, -1], np.arange(stacks.n)).all()
    assert ((episodes.confidence >= 0.0) & (episodes.confidence <= 1.0)).all()
    with pytest.raises(AfsimError, match=f"hill_climb compares contrasts by their ratio, which {name} has not"):
        make(f"hill_climb:{name}", task.spec)
    green = FocusTask(Camera(unlabelled_stacks), budget=2, reward="none")
    with pytest.raises(AfsimError, match=f"{name} needs dual-pixel stacks"):
        make(f"sweep:{name}", green.spec)


@pytest.mark.parametrize("measure", [*MEASURES, *STEREO_MEASURES])
@pytest.mark.parametrize("name", ["hill_climb", "hybrid"])
def test_a_measure_is_refused_or_its_confidence_is_a_share(name: str, measure: str) -> None:
    spec = dataclasses.replace(SPEC, height=40, width=40)
    if not get_measure(measure).ratios:
        with pytest.raises(AfsimError, match=f"which {measure} has not: its scores may be negative"):
            make(name, spec, measure=measure)
        return
    policy = make(name, spec, measure=measure)
    rng = np.random.default_rng(0)
    images = rng.uniform(0.0, 1.0, (6, 2, 40, 40)) * np.array([1.0, 0.5, 0.1, 1e-3, 0.0, 1.0])[:, None, None, None]
    scores = get_measure(measure)(images.astype(np.float32).mean(axis=1))
    assert (scores >= 0.0).all()
    keys = lane_keys(0, np.arange(6))
    memory: Any = policy.begin(keys, Knowledge())
    for step in range(4):
        seen: Any = {
            "command": np.full((6, 1), step / 11, np.float32),
            "steps_left": np.full((6, 1), 4.0 - step, np.float32),
            "region": np.zeros((6, 2), np.float32),
        }
        features = policy.features(np.roll(images, step, axis=0).astype(np.float32), np.zeros(6), np.zeros((6, 2)))
        _, memory = policy.decide(features, seen, memory)
        assert ((memory.confidence >= 0.0) & (memory.confidence <= 1.0)).all()


def test_the_measures_of_both_families_have_names_of_their_own() -> None:
    assert not set(MEASURES) & set(STEREO_MEASURES)
    rows = [
        measure.paper_name for measure in (*MEASURES.values(), *STEREO_MEASURES.values()) if measure.reproduction
    ]
    assert len(rows) == len(set(rows)) == 37 + 8
