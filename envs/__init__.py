"""The Gymnasium environment, its vector version and its wrappers; importing it registers the ids.

``afsim/Autofocus-v0`` is the environment itself; three more are wrapped: ``afsim/AutofocusFeatures-v0``
(:class:`FeatureVector`), ``afsim/AutofocusRecent-v0`` (:class:`LastObservations`), ``afsim/AutofocusSlices-v0``
(:class:`OneHotSlices`). All take the options of :class:`AutofocusEnv` and have a native vector version.

``gymnasium.make("afsim.envs:afsim/Autofocus-v0")`` imports it by itself.
The adapter for Stable-Baselines3 is ``afsim.envs.sb3``, imported on its own because it loads torch.
"""

from typing import Final

import gymnasium as gym

from afsim.envs.autofocus import AutofocusEnv
from afsim.envs.mixed import MixedVectorEnv
from afsim.envs.vector import AutofocusVectorEnv
from afsim.envs.wrapped import WRAPPED_IDS
from afsim.envs.wrappers import (
    FeatureVector,
    LastObservations,
    OneHotSlices,
    RepeatDeclares,
    VectorFeatureVector,
    VectorLastObservations,
    VectorOneHotSlices,
    VectorRepeatDeclares,
)

ENVIRONMENT_ID: Final = "afsim/Autofocus-v0"


def register_environments() -> None:
    """Register the ids with Gymnasium, once."""
    if ENVIRONMENT_ID in gym.registry:
        return
    gym.register(
        ENVIRONMENT_ID,
        entry_point="afsim.envs.autofocus:AutofocusEnv",
        vector_entry_point="afsim.envs.vector:AutofocusVectorEnv",
    )
    for identity, wrapper in WRAPPED_IDS.items():
        gym.register(
            identity,
            entry_point="afsim.envs.wrapped:make_wrapped",
            vector_entry_point="afsim.envs.wrapped:make_wrapped_vector",
            kwargs={"wrapper": wrapper},
        )


register_environments()

__all__ = [
    "ENVIRONMENT_ID",
    "AutofocusEnv",
    "AutofocusVectorEnv",
    "FeatureVector",
    "LastObservations",
    "MixedVectorEnv",
    "OneHotSlices",
    "RepeatDeclares",
    "VectorFeatureVector",
    "VectorLastObservations",
    "VectorOneHotSlices",
    "VectorRepeatDeclares",
    "register_environments",
]
