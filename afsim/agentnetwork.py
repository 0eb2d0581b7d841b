"""The network of agents that see evidence: they begin by going where it points, and learn what to do otherwise."""

from typing import Any, Final

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import MlpExtractor
from torch import Tensor

from afsim.recollection import EVIDENCE_SCALE

# Of what the vector tells: maps that go past the layers, numbers behind all maps, and which of them is urgency.
_MAPS: Final = 4
_NUMBERS: Final = 4
_URGENCY: Final = -3


class _BesideEvidence(MlpExtractor):
    """SB3's layers; past them, for the actor, go the vector's maps that its moves depend on one by one.

    These are the log-probabilities of all looks and of the last, which indices were seen, and that times one over
    the steps left: where to go, and whether to go where it was before.
    """

    def __init__(self, *given: Any, reach: int, **options: Any) -> None:
        super().__init__(*given, **options)
        self.reach = reach
        self.latent_dim_pi += _MAPS * reach

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the actor and what the critic go by."""
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: Tensor) -> Tensor:
        """Return what the layers make of the features, and the maps."""
        evidence, seen = features[:, self.reach : 3 * self.reach], features[:, -_NUMBERS - self.reach : -_NUMBERS]
        urgent = seen * features[:, _URGENCY, None]
        return torch.cat([super().forward_actor(features), evidence, seen, urgent], dim=1)


class EvidencePolicy(ActorCriticPolicy):
    """Actor and critic for relative moves, of the vectors of :class:`afsim.recollection.Recall`.

    At first the actor's logits are the mean of its log-probabilities, but for what little the untrained layers
    add: after one look it goes to an index as often as the evidence has the focus there, and stays, which declares,
    as often as it has it here.
    """

    def __init__(self, *given: Any, reach: int, **options: Any) -> None:
        self._reach = reach
        super().__init__(*given, **options)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "reach": self._reach}

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = _BesideEvidence(
            self.features_dim, self.net_arch, self.activation_fn, self.device, reach=self._reach
        )

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        assert isinstance(self.action_net, torch.nn.Linear)
        with torch.no_grad():
            half = EVIDENCE_SCALE / 2.0 * torch.eye(self._reach)
            self.action_net.weight[:, -_MAPS * self._reach :] = torch.cat([half, half, 0 * half, 0 * half], dim=1)
