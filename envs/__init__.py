"""The Gymnasium environment, its vector version and its wrappers; importing it registers ``afsim/Autofocus-v0``.

``gymnasium.make("afsim.envs:afsim/Autofocus-v0")`` imports it by itself.
The adapter for Stable-Baselines3 is ``afsim.envs.sb3``, imported on its own because it loads torch.
"""

from typing import Final

import gymnasium as gym

from afsim.envs.autofocus import AutofocusEnv
from afsim.envs.vector import AutofocusVectorEnv
from afsim.envs.wrappers import LastObservations, OneHotSlices, VectorLastObservations, VectorOneHotSlices

ENVIRONMENT_ID: Final = "afsim/Autofocus-v0"


def register_environments() -> None:
    """Register ``afsim/Autofocus-v0`` with Gymnasium, once."""
    if ENVIRONMENT_ID not in gym.registry:
        gym.register(
            ENVIRONMENT_ID,
            entry_point="afsim.envs.autofocus:AutofocusEnv",
            vector_entry_point="afsim.envs.vector:AutofocusVectorEnv",
        )


register_environments()

__all__ = [
    "ENVIRONMENT_ID",
    "AutofocusEnv",
    "AutofocusVectorEnv",
    "LastObservations",
    "OneHotSlices",
    "VectorLastObservations",
    "VectorOneHotSlices",
    "register_environments",
]
