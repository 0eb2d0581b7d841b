"""The network of agents that see evidence: it begins by following it, and can tell what was seen already."""

from typing import Any

import numpy as np
import torch

from afsim.agentfile import load_agent
from afsim.recollection import EVIDENCE_SCALE, Recall
from tests.seating import tiny_agent

N = 7
REACH = 2 * N - 1


def policy_and_vectors() -> tuple[Any, Any]:
    """Return an untrained actor, and vectors of six lanes that have looked twice."""
    agent = load_agent(tiny_agent(N, 1))
    recall, draw = Recall(N, N, ("contrast",)), np.random.default_rng(0)
    past = recall.begin(6)
    for index in ([0, 1, 2, 3, 4, 5], [3, 3, 3, 6, 6, 6]):
        observation: dict[str, Any] = {
            "command": np.array(index, np.float32)[:, None] / np.float32(N - 1),
            "region": np.zeros((6, 2), np.float32),
            "steps_left": np.array([[1.0], [2.0]] * 3, np.float32),
        }
        past = recall.add(past, draw.normal(-3.0, 2.0, (6, N + 1)).astype(np.float32), observation)
    return agent.model.policy, torch.as_tensor(recall.tell(past, observation))


def test_it_begins_where_the_evidence_points() -> None:
    policy, vectors = policy_and_vectors()
    with torch.no_grad():
        logits = policy.get_distribution(vectors).distribution.logits
    said = EVIDENCE_SCALE / 2 * (vectors[:, REACH : 2 * REACH] + vectors[:, 2 * REACH : 3 * REACH])
    torch.testing.assert_close(logits, torch.log_softmax(said, dim=1), atol=0.5, rtol=0.0)
    assert (said.max(dim=1).values - said.min(dim=1).values > 5.0).all()


def test_whether_to_go_back_can_hang_on_the_steps_left() -> None:
    policy, vectors = policy_and_vectors()
    weights = policy.action_net.weight.data
    weights[:] = 0.0
    policy.action_net.bias.data[:] = 0.0
    # No seen index before the last step: what was seen counts -8, and with one step left 8 more.
    weights[:, -2 * REACH : -REACH], weights[:, -REACH:] = -16.0 * torch.eye(REACH), 16.0 * torch.eye(REACH)
    with torch.no_grad():
        shares = policy.get_distribution(vectors).distribution.logits.exp()
    seen = vectors[:, -4 - REACH : -4] == 1
    assert seen.sum(dim=1).tolist() == [2, 2, 2, 2, 2, 2]
    torch.testing.assert_close(shares[::2], torch.full((3, REACH), 1 / REACH))
    unseen = vectors[:, -4 - REACH : -4] == 0
    assert shares[1::2][unseen[1::2]].min() > 1000 * shares[1::2][seen[1::2]].max()
