"""Feature vectors, tables, declaring by repetition and mixed environments, single and vector."""

import pickle
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as sb3_check_env
from stable_baselines3.common.vec_env import DummyVecEnv

from afsim.camera import Camera
from afsim.envs import (
    AutofocusEnv,
    AutofocusVectorEnv,
    FeatureVector,
    MixedVectorEnv,
    RepeatDeclares,
    VectorFeatureVector,
    VectorRepeatDeclares,
)
from afsim.envs.sb3 import AutofocusVecEnv
from afsim.errors import AfsimError
from afsim.featuretable import FeatureTable, slice_features
from afsim.recollection import recall_of
from afsim.sight import Sight, make_sight
from afsim.stackset import StackSet
from afsim.task import FocusTask
from tests.conftest import make_stack
from tests.test_envs_vector import assert_same, played

IDS = ["afsim/AutofocusFeatures-v0", "afsim/AutofocusRecent-v0", "afsim/AutofocusSlices-v0"]
LAST = 11


@pytest.fixture(scope="module")
def large() -> StackSet:
    truths = (1.0, 4.4, 9.0)
    return StackSet.from_stacks(make_stack(truth, seed=i, size=40) for i, truth in enumerate(truths))


@pytest.fixture(scope="module")
def sight(large: StackSet) -> Sight:
    return make_sight("contrast", FocusTask(Camera(large)).spec)


@pytest.fixture(scope="module")
def table(large: StackSet, sight: Sight) -> FeatureTable:
    return FeatureTable(slice_features(Camera(large), sight).astype(np.float32))


def told(env: gym.Env[Any, Any]) -> list[Any]:
    """Return the parts of the first observation."""
    observation = env.reset(seed=4)[0]
    return list(observation.values()) if isinstance(observation, dict) else [observation]


@pytest.mark.filterwarnings("ignore:.*")  # SB3 advises about images whose values are not 0 ... 255
@pytest.mark.parametrize("identity", IDS)
def test_every_id_passes_both_checkers_and_has_a_native_vector_version(identity: str, large: StackSet) -> None:
    env = gym.make(identity, stacks=large, steps=3)
    check_env(env, skip_render_check=True)
    sb3_check_env(env)
    assert env.spec is not None
    for one, other in zip(told(gym.make(env.spec)), told(env), strict=True):
        np.testing.assert_array_equal(one, other)
    vector = gym.make_vec(identity, num_envs=3, stacks=large, steps=3)
    loop = SyncVectorEnv([lambda: gym.make(identity, stacks=large, steps=3) for _ in range(3)])
    assert vector.single_observation_space == loop.single_observation_space
    for one, other in zip(played(vector, 12, 5), played(loop, 12, 5), strict=True):
        assert_same(one[0], other[0])


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_vector_of_features_is_that_of_its_single_environments(large: StackSet, mode: AutoresetMode) -> None:
    options: dict[str, Any] = {"stacks": large, "steps": 3, "declare": True, "lens": "typical_phone"}
    native = VectorFeatureVector(AutofocusVectorEnv(4, autoreset_mode=mode, **options))
    loop = SyncVectorEnv([lambda: FeatureVector(AutofocusEnv(**options))] * 4, autoreset_mode=mode)
    for one, other in zip(played(native, 20, 7), played(loop, 20, 7), strict=True):
        assert_same(one, other)


def test_the_vector_tells_what_the_recollection_does(large: StackSet, sight: Sight) -> None:
    env = FeatureVector(AutofocusEnv(stacks=large, steps=4))
    plain = AutofocusEnv(stacks=large, steps=4)
    recall = recall_of(sight, plain.task_spec)
    past = recall.begin(1)
    returned, wanted = [env.reset(seed=3)[0]], [plain.reset(seed=3)[0]]
    for action in (4, 7, 4):
        returned.append(env.step(action)[0])
        wanted.append(plain.step(action)[0])
    for vector, seen in zip(returned, wanted, strict=True):
        index = np.rint(seen["command"] * LAST).astype(np.int64)
        observed = {name: values[None] for name, values in seen.items()}
        region = seen["region"].astype(np.float64)
        features = sight.features(observed["image"].astype(np.float32), index.astype(float), region[None])
        past = recall.add(past, features, observed)
        np.testing.assert_array_equal(vector, recall.tell(past, observed)[0])
        assert vector in env.observation_space


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_playing_from_a_table_shows_what_the_pixels_show(
    large: StackSet, sight: Sight, table: FeatureTable, mode: AutoresetMode
) -> None:
    options: dict[str, Any] = {"stacks": large, "steps": 3, "declare": True, "autoreset_mode": mode}
    kept = VectorFeatureVector(AutofocusVectorEnv(5, table=table, **options), sight)
    anew = VectorFeatureVector(AutofocusVectorEnv(5, **options), sight)
    for one, other in zip(played(kept, 20, 7), played(anew, 20, 7), strict=True):
        assert_same(one, other)
    single = FeatureVector(AutofocusEnv(stacks=large, table=table), sight)
    assert_same(single.reset(seed=9), FeatureVector(AutofocusEnv(stacks=large), sight).reset(seed=9))


def test_a_table_of_other_stacks_is_refused(large: StackSet, stacks: StackSet, table: FeatureTable) -> None:
    with pytest.raises(AfsimError, match=r"the table is of \(3, 12\) stacks and slices, expected \(6, 12\)"):
        AutofocusVectorEnv(2, stacks=stacks, table=table)
    with pytest.raises(AfsimError, match="no images to render"):
        AutofocusEnv(stacks=large, table=table, render_mode="rgb_array")
    narrow = FeatureTable(table.values[..., :1])
    with pytest.raises(AfsimError, match="of another sight"):
        VectorFeatureVector(AutofocusVectorEnv(2, stacks=large, table=narrow), "contrast")


def test_asking_for_the_index_in_force_declares(stacks: StackSet) -> None:
    env = RepeatDeclares(AutofocusEnv(stacks=stacks, steps=4, declare=True))
    assert env.action_space == gym.spaces.Discrete(12)
    env.reset(seed=0, options={"stack": 2, "start": 11})
    assert env.step(5)[2] is False
    _, _, terminated, _, info = env.step(5)
    assert (terminated, info["declared"], info["step"], info["success"]) == (True, True, 1, True)
    _, info = env.reset(seed=0, options={"stack": 2, "start": 5})
    assert env.step(5)[4]["declared"] is True


def test_nothing_is_declared_with_the_last_step(stacks: StackSet) -> None:
    env = RepeatDeclares(AutofocusEnv(stacks=stacks, steps=2, declare=True))
    env.reset(seed=0, options={"stack": 2, "start": 5})
    assert env.step(6)[2] is False
    _, _, terminated, _, info = env.step(6)
    assert (terminated, info["declared"], info["step"], info["position"]) == (True, False, 2, 6.0)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("actions", ["absolute", "relative"])
def test_declaring_by_repetition_is_the_same_in_vectors(
    stacks: StackSet, mode: AutoresetMode, actions: str
) -> None:
    options: dict[str, Any] = {"stacks": stacks.select([0, 3]), "steps": 3, "declare": True, "action_mode": actions}
    native = VectorRepeatDeclares(AutofocusVectorEnv(4, autoreset_mode=mode, **options))
    loop = SyncVectorEnv([lambda: RepeatDeclares(AutofocusEnv(**options))] * 4, autoreset_mode=mode)
    native.action_space.seed(0)
    returned = list(zip(played(native, 200, 7), played(loop, 200, 7), strict=True))
    for one, other in returned:
        assert_same(one, other)
    infos = [one[-1].get("final_info", one[-1]) for one, _ in returned]
    assert any(info["declared"].any() for info in infos)


@pytest.mark.parametrize("options", [{}, {"declare": True, "action_mode": "continuous"}])
def test_declaring_by_repetition_needs_its_action(stacks: StackSet, options: dict[str, Any]) -> None:
    with pytest.raises(AfsimError, match="declare=True and discrete actions"):
        RepeatDeclares(AutofocusEnv(stacks=stacks, **options))


def parts(stacks: StackSet, mode: AutoresetMode = AutoresetMode.SAME_STEP) -> list[Any]:
    lenses = (("ideal", 2, 1), ("worn_warm", 3, 4))
    return [
        VectorFeatureVector(AutofocusVectorEnv(lanes, autoreset_mode=mode, stacks=stacks, lens=lens, steps=steps))
        for lens, lanes, steps in lenses
    ]


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_mixed_environments_play_as_they_do_alone(large: StackSet, mode: AutoresetMode) -> None:
    mixed = MixedVectorEnv(parts(large, mode))
    assert mixed.num_envs == 5
    ideal, worn = parts(large, mode)
    observations, info = mixed.reset(seed=7)
    (one, one_info), (other, other_info) = ideal.reset(seed=7), worn.reset(seed=9)
    np.testing.assert_array_equal(observations, np.concatenate([one, other]))
    np.testing.assert_array_equal(info["stack"], np.concatenate([one_info["stack"], other_info["stack"]]))
    if mode is AutoresetMode.DISABLED:
        return
    rng = np.random.default_rng(0)
    for _ in range(9):
        actions = rng.integers(0, 12, 5)
        whole, first, second = mixed.step(actions), ideal.step(actions[:2]), worn.step(actions[2:])
        for place in range(4):
            np.testing.assert_array_equal(whole[place], np.concatenate([first[place], second[place]]))
        np.testing.assert_array_equal(
            whole[4]["position"], np.concatenate([first[4]["position"], second[4]["position"]])
        )
        if "final_obs" in whole[4]:
            ended = whole[4]["_final_obs"]
            assert [last is not None for last in whole[4]["final_obs"]] == ended.tolist() == (whole[2]).tolist()
            lane = int(np.flatnonzero(ended)[0])
            assert whole[4]["final_obs"][lane].shape == (ideal.single_observation_space.shape)


def test_a_mixed_environment_trains_in_sb3_as_its_parts_in_a_loop(large: StackSet) -> None:
    native = AutofocusVecEnv(env=MixedVectorEnv(parts(large)))

    def single(lens: str, steps: int) -> Any:
        return FeatureVector(AutofocusEnv(stacks=large, lens=lens, steps=steps))

    kinds = [("ideal", 1)] * 2 + [("worn_warm", 4)] * 3
    loop = DummyVecEnv([partial(single, *kind) for kind in kinds])
    native.seed(5)
    loop.seed(5)
    assert_same(native.reset(), loop.reset())
    for actions in np.random.default_rng(0).integers(0, 12, (15, 5)):
        assert_same(native.step(actions), loop.step(actions))


def test_what_does_not_mix_is_refused(large: StackSet) -> None:
    with pytest.raises(AfsimError, match="got none"):
        MixedVectorEnv([])
    with pytest.raises(AfsimError, match="environment 1 has the single_action_space"):
        MixedVectorEnv([AutofocusVectorEnv(1, stacks=large), AutofocusVectorEnv(1, stacks=large, declare=True)])
    with pytest.raises(AfsimError, match="one autoreset mode"):
        MixedVectorEnv([parts(large)[0], parts(large, AutoresetMode.DISABLED)[0]])
    with pytest.raises(AfsimError, match="SB3 needs the autoreset mode SameStep"):
        AutofocusVecEnv(env=parts(large, AutoresetMode.NEXT_STEP)[0])
    with pytest.raises(AfsimError, match="takes no options, got steps"):
        AutofocusVecEnv(env=parts(large)[0], steps=3)


def test_mixed_environments_can_be_pickled(large: StackSet) -> None:
    mixed = MixedVectorEnv(parts(large))
    mixed.reset(seed=3)
    again = pickle.loads(pickle.dumps(mixed))
    actions = np.full(5, 6)
    np.testing.assert_array_equal(mixed.step(actions)[0], again.step(actions)[0])
