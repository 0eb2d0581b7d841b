"""Teaching an agent where the focus is, before it learns by itself what to do about it.

Whoever has recordings knows where the focus was, so the way there need not be found by trial: an actor is taught to
move within one slice of it, in states that it wanders into by itself (Ross, Gordon and Bagnell, "A reduction of
imitation learning and structured prediction to no-regret online learning", AISTATS 2011). What it puts on each move
then tells how likely it holds the focus to be there; when to look again and when to declare is not taught.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector import VectorEnv
from stable_baselines3.common.utils import obs_as_tensor
from torch import Tensor

from afsim.errors import AfsimError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# All by trials on bench-train from ``network``, judged on bench-val.
_RATE: Final = 1e-3
_ROLLOUT: Final = 8
_EPOCHS: Final = 3
# By what the logarithms of what it puts on moves are multiplied in the end. An agent is paid for moves that it
# draws, but plays its best: drawn from beliefs to the fourth power, it is paid for nearly what it plays.
_SHARPNESS: Final = 4.0
# Most lanes go where the actor would; some near by, some anywhere, so that slices are seen of which it thinks
# little: contrast can only be compared.
_NEAR: Final = 0.3
_ANYWHERE: Final = 0.1
_NEARLY: Final = 3
# As the reward ``hit`` and ``info["success"]`` have it.
_WITHIN: Final = 1.0


def teach(
    model: Any,
    env: VectorEnv[Any, Any, Any],
    samples: int,
    *,
    seed: int,
    advance: Callable[[int], None] = lambda samples: None,
) -> None:
    """Teach the actor of a PPO model the moves that end within one slice of the focus.

    The loss is minus the logarithm of the probability that it puts on all these moves together. The optimiser is
    its own (Adam, its rate falling from 1e-3 to 0); the critic is left as it is.

    Parameters
    ----------
    model : stable_baselines3.PPO
        Its policy is changed in place.
    env : VectorEnv
        With the model's spaces and the autoreset mode ``SameStep``: relative moves, none of which declares.
    samples : int
        From how many steps it learns, of all lanes together; rounded up to whole rollouts.
    seed : int
        Of the episodes, and of what is drawn here.
    advance : callable
        Told the number of samples, as they are learned from.

    Raises
    ------
    AfsimError
        For an environment with other spaces.
    """
    for name in ("observation_space", "action_space"):
        if (own := getattr(env, f"single_{name}")) != getattr(model, name):
            raise AfsimError(f"the {name} must be the model's, {getattr(model, name)}, got {own}")
    moves = int(model.action_space.n)
    policy, draw = model.policy, np.random.default_rng(seed)
    optimizer = torch.optim.Adam(policy.parameters(), lr=_RATE)
    policy.set_training_mode(True)
    observation, info = env.reset(seed=seed)
    each = env.num_envs * _ROLLOUT
    for done in range(0, samples, each):
        seen, wanted = [], []
        for _ in range(_ROLLOUT):
            now = obs_as_tensor(observation, policy.device)
            seen.append(now)
            wanted.append(_within(info, moves))
            observation, _, _, _, info = env.step(_wander(policy, now, draw))
        optimizer.param_groups[0]["lr"] = _RATE * max(1.0 - done / samples, 0.0)
        for _ in range(_EPOCHS):
            for place in draw.permutation(_ROLLOUT):
                loss = -torch.logsumexp(_log_shares(policy, seen[place]).where(wanted[place], -torch.inf), 1).mean()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        advance(each)
    with torch.no_grad():
        for weights in policy.action_net.parameters():
            weights.mul_(_SHARPNESS)


def _log_shares(policy: Any, observation: Any) -> Tensor:
    """Return the logarithms of the probabilities of all moves (N, 2n-1)."""
    logits: Tensor = policy.get_distribution(observation).distribution.logits
    return logits


def _within(info: dict[str, Any], moves: int) -> Tensor:
    """Return the mask (N, 2n-1) of the moves that end within one slice of the focus, as far as the lens errs alike.

    Where none does, because the lens is out of reach of it, of the one that ends nearest.
    """
    last = (moves - 1) // 2
    focus = np.clip(info["command"] - info["exact_error"], 0.0, float(last)) - info["command"]
    off = np.abs(np.arange(-last, last + 1) - focus[:, None])
    return torch.as_tensor(off <= _WITHIN)


def _wander(policy: Any, observation: Any, draw: np.random.Generator) -> IntArray:
    """Return the moves (N,) of lanes that go where the actor would, near by, or anywhere."""
    with torch.no_grad():
        shares = _log_shares(policy, observation).exp().cumsum(1).numpy()
    lanes, moves = shares.shape
    chosen = np.minimum((shares < draw.random((lanes, 1))).sum(axis=1), moves - 1)
    how, last = draw.random(lanes), (moves - 1) // 2
    near = np.clip(chosen + draw.integers(-_NEARLY, _NEARLY + 1, lanes), 0, 2 * last)
    chosen = np.where(how < _NEAR, near, chosen)
    return np.where(how > 1.0 - _ANYWHERE, draw.integers(0, moves, lanes), chosen)
