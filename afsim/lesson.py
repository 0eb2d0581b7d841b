"""What a network learns from: lanes of slices, the index to learn of each, and the batch of every step."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from afsim.augment import Augmentation, augmented
from afsim.crew import ALONE, Crew
from afsim.dualpixel import Axis
from afsim.freshbank import FreshBank
from afsim.networkinput import Observations
from afsim.ordinal import soft_labels
from afsim.recipe import Recipe
from afsim.slicebank import SliceBank
from afsim.slicepaths import Lanes
from afsim.stackset import StackSet


@dataclass(frozen=True)
class Lesson:
    """What is learned.

    Attributes
    ----------
    bank : SliceBank
        The pixels.
    lanes : Lanes
        Pairs of stack and start, with the slices that each has seen.
    truth : (stacks,) float64
        The index to learn, of every stack of the bank.
    dp_axis : {"rows", "columns"}
        Along which the views are shifted.
    """

    bank: SliceBank
    lanes: Lanes
    truth: npt.NDArray[np.float64]
    dp_axis: Axis = "columns"

    def renew(self, step: int) -> bool:
        """Bring the stacks to where they are at a step, and return whether some are new; here they stay."""
        return False

    def soft_labels(self, recipe: Recipe) -> Tensor:
        """Return what is to be said of every stack of the bank, (stacks, n) float32 on the device."""
        n = self.bank.stacks.n
        known, table = np.unique(self.lanes.stack), torch.zeros((len(self.truth), n))
        truth = torch.from_numpy(self.truth[known].astype(np.float32))
        table[known] = soft_labels(truth, n, metric=recipe.metric, coefficient=recipe.coefficient)
        return table.to(self.bank.device)

    def batch(
        self, recipe: Recipe, augmentation: Augmentation, seed: int, step: int, crew: Crew = ALONE
    ) -> tuple[Observations, Tensor]:
        """Return what this process sees in a step, and which stacks (N,) int64 it sees."""
        rng = np.random.Generator(np.random.Philox(key=(seed, step)))
        lanes = self.lanes.select(rng.integers(len(self.lanes), size=recipe.batch))
        position = None
        if recipe.lens_sd > 0.0:
            position = lanes.path + rng.normal(0.0, recipe.lens_sd, lanes.path.shape)
            position = np.clip(position, 0.0, self.bank.stacks.n - 1.0)[crew.rank :: crew.size]
        lanes = lanes.select(slice(crew.rank, None, crew.size))
        generator = torch.Generator(self.bank.device).manual_seed(seed_of_step(seed, step, crew.rank))
        seen = augmented(lanes.observe(self.bank, position=position), augmentation, generator, self.dp_axis)
        return seen, self.bank.put(lanes.stack)


@dataclass(frozen=True)
class FreshLesson(Lesson):
    """A lesson of stacks that give way to others (:class:`afsim.freshbank.FreshBank`), each with as many lanes.

    Attributes
    ----------
    choose : callable
        Of places in the pool (K,): the lanes of their stacks, one stack after the other.
    truth_of : callable
        Of the bank's stacks: the index (stacks,) to learn.
    """

    bank: FreshBank
    choose: Callable[[npt.NDArray[np.int64]], Lanes] = field(kw_only=True)
    truth_of: Callable[[StackSet], npt.NDArray[np.float64]] = field(kw_only=True)

    def renew(self, step: int) -> bool:
        """Bring the stacks to where they are at a step, and return whether some are new."""
        changed = self.bank.renew(step)
        if not changed.size:
            return False
        self.truth[:] = self.truth_of(self.bank.stacks)
        pool, steps = len(self.truth), self.lanes.path.shape[1]
        self.lanes.path.reshape(pool, -1, steps)[changed] = self.choose(changed).path.reshape(
            len(changed), -1, steps
        )
        return True


def seed_of_step(seed: int, step: int, rank: int) -> int:
    """Return the seed of what one process draws at random in a step on its device."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0] >> 1)
