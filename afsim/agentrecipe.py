"""With what an agent is trained where nobody says otherwise, for each algorithm and for each kind of observation.

The horizon is a handful of steps and known to the agent, so nothing is discounted. PPO's rate and sizes are those
of trials on bench-train, from ``network``, judged on bench-val; the others have SB3's usual ones, with batches that
two cores fill in time, and have not been tuned. From pixels, buffers and batches are what memory has room for.
"""

from collections.abc import Mapping
from typing import Any, Final

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.utils import LinearSchedule

from afsim.checks import check_number
from afsim.errors import AfsimError, unknown
from afsim.options import convert
from afsim.recollection import AnyRecall, Recall

# Of two cores' machine, beside the table of features; what the transitions take is known beforehand.
_BUFFER_BYTES: Final = 2**29
_MOST_TRANSITIONS: Final = 500_000

AFTER_IMITATION: Final[Mapping[str, float]] = {"learning_rate": 3e-4, "ent_coef": 0.001}
"""What is changed where PPO begins with an actor that knows the way: by smaller steps it forgets less of it."""

# Enough steps of all lanes together; episodes are shorter than the least.
_ROLLOUT: Final = 8192
_MOST_STEPS, _LEAST_STEPS = 32, 8
_BATCHES: Final = 4
# An update from pixels takes long, and its activations much memory.
_PIXEL_BATCH: Final = 256
_ON_POLICY: Final[dict[str, Any]] = {
    "learning_rate": 1e-3,
    "n_steps": _MOST_STEPS,
    "n_epochs": 4,
    "gamma": 1.0,
    "gae_lambda": 0.95,
    "ent_coef": 0.01,
    "units": 128,
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
    "units": 128,
}
_LAYERS: Final = 2


def hyperparameters(
    algorithm: str, recall: AnyRecall, observation: gym.Space[Any], lanes: int, changes: Mapping[str, float]
) -> dict[str, Any]:
    """Return the numbers that an algorithm is trained with, by their names in SB3, and ``units`` of each layer.

    Raises
    ------
    AfsimError
        For changes of what is none of them, or that are not numbers of their kind.
    """
    pixels = not isinstance(recall, Recall)
    if algorithm in ("ppo", "recurrent_ppo"):
        rollout = min(_MOST_STEPS, max(_LEAST_STEPS, _ROLLOUT // lanes))
        rollout = max(2, min(rollout, _BUFFER_BYTES // (_bytes(observation) * lanes)))
        numbers = {**_ON_POLICY, "n_steps": rollout, "batch_size": max(2, lanes * rollout // _BATCHES)}
        if pixels:
            numbers |= {"n_epochs": 2, "batch_size": min(_PIXEL_BATCH, numbers["batch_size"])}
    else:
        numbers = {**_OFF_POLICY, "buffer_size": replay_size(observation)}
        if pixels:
            numbers |= {"batch_size": 64, "gradient_steps": 1}
        elif algorithm == "qrdqn":
            # The loss compares all pairs of quantiles: 50 and small batches, where the paper's 200 take minutes.
            numbers |= {"batch_size": 128}
    for name, value in changes.items():
        if name not in numbers:
            raise unknown("hyper-parameter", name, numbers)
        check_number(name, value, least=0.0)
        if isinstance(numbers[name], int) and value != int(value):
            raise AfsimError(f"{name} must be a whole number, got {value}")
        numbers[name] = type(numbers[name])(value)
    return numbers


def changes_of(text: str) -> dict[str, float]:
    """Return what ``NAME=NUMBER,...`` changes of the hyper-parameters; nothing where it is empty.

    Raises
    ------
    AfsimError
        For a text of another form.
    """
    changes: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name in changes:
            raise AfsimError(f"hyper-parameters must be NAME=NUMBER, each once, with commas between, got {text!r}")
        changes[name] = convert(value, 0.0, f"hyper-parameter {name!r}")
    return changes


def agent_recipe(
    algorithm: str, recall: AnyRecall, observation: gym.Space[Any], lanes: int, changes: Mapping[str, float] = {}
) -> dict[str, Any]:
    """Return the keyword arguments of an algorithm's class for what a recall tells, in so many lanes."""
    numbers = hyperparameters(algorithm, recall, observation, lanes, changes)
    network: dict[str, Any] = {"net_arch": [numbers.pop("units")] * _LAYERS}
    kind = "LstmPolicy" if algorithm == "recurrent_ppo" else "Policy"
    policy: Any = f"Mlp{kind}"
    if not isinstance(recall, Recall):
        from afsim.sliceextractor import SliceExtractor

        policy = f"MultiInput{kind}"
        network["features_extractor_class"] = SliceExtractor
    elif algorithm == "ppo" and recall.evidence:
        from afsim.agentnetwork import EvidencePolicy

        policy = EvidencePolicy
        network["reach"] = recall.reach
    if algorithm == "recurrent_ppo":
        network["lstm_hidden_size"] = 128
    if algorithm == "qrdqn":
        network["n_quantiles"] = 50
    if algorithm in ("ppo", "recurrent_ppo"):
        numbers["learning_rate"] = LinearSchedule(numbers["learning_rate"], 0.0, 1.0)
    return {"policy": policy, **numbers, "policy_kwargs": network}


def replay_size(observation: gym.Space[Any]) -> int:
    """Return how many transitions a replay buffer holds in half a gigabyte: two observations each, and little else.

    Examples
    --------
    >>> replay_size(spaces.Box(0, 255, (2, 128, 128), np.uint8))
    8192
    """
    return min(_BUFFER_BYTES // (2 * _bytes(observation)), _MOST_TRANSITIONS)


def _bytes(observation: gym.Space[Any]) -> int:
    """Return how much memory an observation takes."""
    if isinstance(observation, spaces.Dict):
        return sum(_bytes(each) for each in observation.values())
    assert observation.shape is not None
    assert observation.dtype is not None
    return int(np.prod(observation.shape)) * observation.dtype.itemsize
