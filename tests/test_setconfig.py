"""Named sets: what they share, what not, and what tells them apart."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from afsim.draws import Stream, stream
from afsim.errors import AfsimError
from afsim.mixture import MIXTURES, V6
from afsim.optics import lta49_diopters
from afsim.photographs import PHOTOGRAPHS
from afsim.scenes import Canvas, draw_scene
from afsim.setconfig import DEMO, SETS, description, description_hash, make_set

PARTS = ("demo", "bench-train", "bench-val", "bench-test")


def test_no_photograph_and_no_seed_is_shared_between_the_named_sets() -> None:
    shown = [name for part in PARTS for name in SETS[part].photographs]
    assert len(shown) == len(set(shown))
    assert set(shown) <= set(PHOTOGRAPHS)
    seeds = [config.seed for config in SETS.values()]
    assert len(seeds) == len(set(seeds))
    for name in MIXTURES:
        assert SETS[name].photographs == SETS["bench-train"].photographs
        assert SETS[name].mixture == MIXTURES[name]


def test_named_sets_have_their_sizes_and_labels() -> None:
    assert {name: SETS[name].count for name in PARTS} == {
        "demo": 64,
        "bench-train": 2000,
        "bench-val": 200,
        "bench-test": 500,
    }
    assert [SETS[name].label_noise for name in PARTS] == [False, True, True, True]
    assert {SETS[name].mixture for name in PARTS} == {V6}
    with pytest.raises(AfsimError, match="unknown set 'bench'; expected one of: bench-test"):
        make_set("bench")


def test_the_test_set_has_many_scenes() -> None:
    config = SETS["bench-test"]
    canvas = Canvas(47, 24, lta49_diopters(), config.photographs)
    scenes = [draw_scene(config.mixture, stream(config.seed, i, Stream.SCENE), canvas) for i in range(40)]
    # A stack without a photograph is a scene of its own.
    assert 500 * np.mean([not scene.photograph for scene in scenes]) > 100


def test_descriptions_tell_sets_apart() -> None:
    hashes = {description_hash(config) for config in SETS.values()}
    assert len(hashes) == len(SETS)
    changed = [replace(DEMO, seed=9), replace(DEMO, count=65), replace(DEMO, noise=False)]
    changed += [replace(DEMO, mixture=replace(V6, breathing=1.0)), replace(DEMO, margin=4)]
    assert len({description_hash(config) for config in [DEMO, *changed]}) == 6
    assert json.loads(json.dumps(description(DEMO), allow_nan=False)) == description(DEMO)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 7}, "size must be at least 8, got 7"),
        ({"size": 33}, "size must be even, got 33"),
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"margin": -2}, "margin must be at least 0, got -2"),
        ({"size": 128.0}, "size must be a whole number, got 128.0"),
        ({"count": True}, "count must be a whole number, got True"),
        ({"noise": 1}, "noise must be True or False, got 1"),
    ],
)
def test_impossible_sets_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(AfsimError, match=f"set 'demo': {message}"):
        replace(DEMO, **change)


@pytest.mark.parametrize(("name", "size"), [("demo", 1514), ("demo", 4000), ("periphery", 1500)])
def test_patches_that_fit_nowhere_in_the_frame_are_refused_at_once(name: str, size: int) -> None:
    with pytest.raises(AfsimError, match=rf"no patch of {size} px in a frame of \(2016, 1512\) lies within"):
        replace(SETS[name], size=size)
