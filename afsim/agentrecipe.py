"""With what an agent is trained where nobody says otherwise, for each algorithm.

The horizon is a handful of steps and known to the agent, so nothing is discounted. PPO's rate and sizes are those
of trials on bench-train, from ``network``, judged on bench-val; the others have SB3's usual ones, with batches that
two cores fill in time, and have not been tuned.
"""

from typing import Any, Final

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.utils import LinearSchedule

from afsim.recollection import Recall

# Of two cores' machine, beside the table of features; what the transitions take is known beforehand.
_REPLAY_BYTES: Final = 2**29
_MOST_TRANSITIONS: Final = 500_000

_ROLLOUT: Final = 32
_BATCHES: Final = 4
_ON_POLICY: Final[dict[str, Any]] = {
    "learning_rate": LinearSchedule(1e-3, 0.0, 1.0),
    "n_steps": _ROLLOUT,
    "n_epochs": 4,
    "gamma": 1.0,
    "gae_lambda": 0.95,
    "ent_coef": 0.01,
}
_OFF_POLICY: Final[dict[str, Any]] = {
    "learning_rate": 5e-4,
    "batch_size": 512,
    "learning_starts": 10_000,
    "train_freq": 1,
    "gradient_steps": 2,
    "target_update_interval": 2_000,
    "exploration_fraction": 0.3,
    "exploration_final_eps": 0.02,
    "gamma": 1.0,
}
_LAYERS: Final = [128, 128]


def agent_recipe(algorithm: str, recall: Recall, observation: spaces.Box, lanes: int) -> dict[str, Any]:
    """Return the keyword arguments of an algorithm's class for the vectors of a recollection in so many lanes."""
    batch = {"batch_size": lanes * _ROLLOUT // _BATCHES}
    if algorithm == "ppo" and recall.evidence:
        from afsim.agentnetwork import EvidencePolicy

        network = {"net_arch": _LAYERS, "reach": recall.reach}
        return {"policy": EvidencePolicy, **_ON_POLICY, **batch, "policy_kwargs": network}
    if algorithm == "ppo":
        return {"policy": "MlpPolicy", **_ON_POLICY, **batch, "policy_kwargs": {"net_arch": _LAYERS}}
    if algorithm == "recurrent_ppo":
        recurrent = {"net_arch": _LAYERS, "lstm_hidden_size": 128}
        return {"policy": "MlpLstmPolicy", **_ON_POLICY, **batch, "policy_kwargs": recurrent}
    recipe = {"policy": "MlpPolicy", **_OFF_POLICY, "buffer_size": replay_size(observation)}
    if algorithm == "qrdqn":
        # The loss compares all pairs of quantiles: 50 and small batches, where the paper's 200 take minutes.
        return {**recipe, "batch_size": 128, "policy_kwargs": {"net_arch": _LAYERS, "n_quantiles": 50}}
    return {**recipe, "policy_kwargs": {"net_arch": _LAYERS}}


def replay_size(observation: spaces.Box) -> int:
    """Return how many transitions a replay buffer holds in half a gigabyte: two observations each, and little else.

    Examples
    --------
    >>> replay_size(spaces.Box(0, 255, (2, 128, 128), np.uint8))
    8192
    """
    assert observation.dtype is not None
    each = 2 * int(np.prod(observation.shape)) * observation.dtype.itemsize
    return min(_REPLAY_BYTES // each, _MOST_TRANSITIONS)
