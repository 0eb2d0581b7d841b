"""How a network is trained: optimiser, rate, batches, labels. The paper's recipe, and one for two cores."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import torch
from torch import nn

from afsim.checks import check_number, check_whole
from afsim.errors import unknown
from afsim.ordinal import Metric

Optimiser = Literal["adam", "adamw"]
Schedule = Literal["constant", "one_cycle"]
Truth = Literal["label", "exact"]


@dataclass(frozen=True)
class Recipe:
    """The paper's recipe (section 6); what it does not state is said below.

    Attributes
    ----------
    optimiser : {"adam", "adamw"}
        Adam in the paper.
    rate : float
        Learning rate; the largest of the schedule.
    beta1, beta2 : float
        Of Adam's running means; 0.5 is the paper's, which calls it default (0.9 is).
    weight_decay : float
        Decoupled from the rate with adamw; the paper states none.
    schedule : {"constant", "one_cycle"}
        The paper states none. One cycle: up in a straight line, down to 0 as half a cosine.
    warmup : float
        Share of the steps in which the rate of one cycle rises.
    batch : int
        Stacks, or pairs of stack and start, in a step.
    steps : int
        Gradient steps.
    metric : {"L2", "L1"}
        Of the ordinal loss; see :mod:`afsim.ordinal`.
    coefficient : float
        Of the ordinal loss.
    truth : {"label", "exact"}
        What is learned: the labels, which err, as in the paper; or the exact index, where a set has it.
    lens_sd : float
        Standard deviation, in indices, of where the lens really stands about each command; images are interpolated.
    """

    optimiser: Optimiser = "adam"
    rate: float = 1e-3
    beta1: float = 0.5
    beta2: float = 0.999
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    warmup: float = 0.1
    batch: int = 128
    steps: int = 20_000
    metric: Metric = "L2"
    coefficient: float = 1.0
    truth: Truth = "label"
    lens_sd: float = 0.0

    def __post_init__(self) -> None:
        choices = {"optimiser": Optimiser, "schedule": Schedule, "metric": Metric, "truth": Truth}
        for name, allowed in choices.items():
            if getattr(self, name) not in get_args(allowed):
                raise unknown(f"{name} of the recipe", getattr(self, name), get_args(allowed))
        check_number("rate of the recipe", self.rate, above=0.0, most=1.0)
        for name in ("beta1", "beta2"):
            check_number(f"{name} of the recipe", getattr(self, name), least=0.0, most=0.999999)
        check_number("warmup of the recipe", self.warmup, above=0.0, most=0.9)
        check_number("weight_decay of the recipe", self.weight_decay, least=0.0)
        check_number("lens_sd of the recipe", self.lens_sd, least=0.0)
        check_whole("batch of the recipe", self.batch, least=2)
        check_whole("steps of the recipe", self.steps, least=1)

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, 0 ... steps-1."""
        if self.schedule == "constant":
            return self.rate
        rising = max(1.0, self.warmup * self.steps)
        if step < rising:
            return self.rate * (step + 1) / (rising + 1)
        return self.rate * 0.5 * (1.0 + math.cos(math.pi * (step - rising) / max(1.0, self.steps - rising)))

    def make_optimiser(self, network: nn.Module) -> torch.optim.Adam:
        """Return the optimiser of a network's weights; biases and normalisations do not decay."""
        betas = (self.beta1, self.beta2)
        fused = next(network.parameters()).is_cuda
        learned = [weight for weight in network.parameters() if weight.requires_grad]
        matrices = [weight for weight in learned if weight.ndim > 1]
        vectors = [weight for weight in learned if weight.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": self.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        if self.optimiser == "adamw":
            return torch.optim.AdamW(groups, lr=self.rate, betas=betas, fused=fused)
        return torch.optim.Adam(groups, lr=self.rate, betas=betas, fused=fused)


# The small one is for two cores: the batches and steps of an early trial of twelve minutes; a rate at which the
# compact network left the prior within 500 steps on the training set.
RECIPES: Final = {
    "paper": Recipe(),
    "small": Recipe(
        optimiser="adamw",
        rate=3e-3,
        beta1=0.9,
        weight_decay=0.02,
        schedule="one_cycle",
        batch=32,
        steps=4_500,
        truth="exact",
    ),
}
# Of whole stacks, in place of 32: a step of 4 stacks of 49 slices takes 196 images through the compact network, and
# a processor's memory (about 5 GB at width 0.5) and time hold no more.
_WHOLE_STACKS_BATCH: Final = 4
_WHOLE_STACKS_STEPS: Final = 1_500


def presets(*, whole_stacks: bool) -> Mapping[str, Recipe]:
    """Return the recipes by name; the small one takes fewer whole stacks than single slices."""
    if not whole_stacks:
        return RECIPES
    small = replace(RECIPES["small"], batch=_WHOLE_STACKS_BATCH, steps=_WHOLE_STACKS_STEPS)
    return {**RECIPES, "small": small}
