"""Teaching an agent where the focus is, before it learns by itself what to do about it.

Whoever has recordings knows where the focus was, so the way there need not be found by trial: an actor is taught to
move within one slice of it, in states that it wanders into by itself (Ross, Gordon and Bagnell, "A reduction of
imitation learning and structured prediction to no-regret online learning", AISTATS 2011). While steps are left it
is taught to go where it has not looked yet, unless it has looked all around the focus, so that it learns to be
sure. What it puts on each move then tells how likely it holds the focus to be there; what sureness is worth, and
hence when to declare, is for the reward to say.
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
from afsim.rewards import WITHIN

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


def teach(
    model: Any,
    env: VectorEnv[Any, Any, Any],
    samples: int,
    *,
    seed: int,
    advance: Callable[[int], None] = lambda samples: None,
) -> None:
    """Teach the actor of a PPO model the moves that end within one slice of the focus.

    With the last step these are all such moves, before it those to indices that were not seen yet, where there are
    any. The loss is minus the logarithm of the probability that it puts on all these moves together. The optimiser
    is its own (Adam, its rate falling from 1e-3 to 0); the critic is left as it is.

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
    budget = np.concatenate([np.full(each.num_envs, _budget(each)) for each in getattr(env, "parts", [env])])
    seen = np.zeros((env.num_envs, (moves + 1) // 2), np.bool_)
    observation, info = env.reset(seed=seed)
    each = env.num_envs * _ROLLOUT
    for done in range(0, samples, each):
        told, wanted = [], []
        for _ in range(_ROLLOUT):
            now = obs_as_tensor(observation, policy.device)
            seen[info["step"] == 0] = False
            seen[np.arange(env.num_envs), np.rint(info["command"]).astype(np.int64)] = True
            told.append(now)
            wanted.append(torch.as_tensor(wanted_moves(info, seen, info["step"] == budget - 1)))
            observation, _, _, _, info = env.step(_wander(policy, now, draw))
        optimizer.param_groups[0]["lr"] = _RATE * max(1.0 - done / samples, 0.0)
        for _ in range(_EPOCHS):
            for place in draw.permutation(_ROLLOUT):
                loss = -torch.logsumexp(_log_shares(policy, told[place]).where(wanted[place], -torch.inf), 1).mean()
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


def wanted_moves(
    info: dict[str, Any], seen: npt.NDArray[np.bool_], last: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return the mask (N, 2n-1) of the moves that are taught.

    Parameters
    ----------
    info : dict of arrays (N,)
        Of the environment: ``command`` and ``exact_error``. A lens is taken to err at the focus as it errs here; a
        focus out of its reach is taken to be at the end.
    seen : (N, n) bool
        Which indices have been looked at.
    last : (N,) bool
        Where one step is left.
    """
    n = seen.shape[1]
    command = np.rint(info["command"]).astype(np.int64)
    focus = np.clip(info["command"] - info["exact_error"], 0.0, n - 1.0)
    near = np.abs(np.arange(n) - focus[:, None]) <= WITHIN
    unseen = near & ~seen
    near = np.where((last | ~unseen.any(axis=1))[:, None], near, unseen)
    moves = np.zeros((len(near), 3 * n - 2), np.bool_)
    moves[:, n - 1 : 2 * n - 1] = near
    return np.take_along_axis(moves, command[:, None] + np.arange(2 * n - 1), axis=1)


def _budget(env: Any) -> int:
    return int(env.unwrapped.task_spec.budget)


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
