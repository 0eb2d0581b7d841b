"""Endless training stacks: a pool in memory of which one gives way to a freshly rendered one every few steps.

A stack follows from its set's configuration and its number, so what the pool holds at a step follows from the step
alone: a training goes on anywhere. Numbers begin behind those of the stored set of the same name; other sets have
other seeds.
"""

import hashlib
import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from afsim.checks import check_whole
from afsim.setconfig import SetConfig, description, make_set
from afsim.sets import render_stack
from afsim.slicebank import SliceBank
from afsim.stack import FocalStack
from afsim.stackset import StackSet
from afsim.stackstore import index_rows

IntArray = npt.NDArray[np.int64]

PREFIX: Final = "endless:"
"""What the name of a rendered set has before it, in place of a folder."""


class FreshBank(SliceBank):
    """Slices of a pool of rendered stacks.

    Parameters
    ----------
    config : SetConfig
        What is rendered.
    pool : int
        Stacks in memory, 3.2 MB each at 128 x 128 pixels.
    every : int
        Steps after which the next stack comes, in place of the oldest one.
    device : device
        Where images are wanted.
    """

    def __init__(self, config: SetConfig, pool: int, every: int, device: torch.device) -> None:
        check_whole("stacks of the pool", pool, least=1)
        check_whole("steps from one fresh stack to the next", every, least=1)
        self.config, self.every, self._numbers = config, every, numbers_at(0, config, pool, every)
        self._ahead = _Ahead(config)
        rendered = [self._ahead.get(int(number)) for number in self._numbers]
        self._images = np.stack([stack.images for stack in rendered])
        self._stacks = [replace(stack, images=image) for stack, image in zip(rendered, self._images, strict=True)]
        super().__init__(self._wrapped(), device)

    def renew(self, step: int) -> IntArray:
        """Bring the pool to where it is at a step, and return which of its stacks are new."""
        wanted = numbers_at(step, self.config, len(self._numbers), self.every)
        changed = np.flatnonzero(wanted != self._numbers)
        for slot in changed:
            stack = self._ahead.get(int(wanted[slot]))
            self._images[slot] = stack.images
            self._stacks[slot] = replace(stack, images=self._images[slot])
            if self._resident is not None:
                self._resident[slot].copy_(torch.from_numpy(self._images[slot].view(np.int16)))
        self._numbers = wanted
        if changed.size:
            self.stacks = self._wrapped()
        self._ahead.begin(int(wanted.max()) + 1)
        return changed

    def digest(self) -> str:
        """Return a hash of what is rendered, and how: configuration, pool, and how often a stack comes."""
        said = {**description(self.config), "pool": len(self._numbers), "every": self.every}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def _wrapped(self) -> StackSet:
        return StackSet(self.config.geometry, self._images, index_rows(self._stacks))


def numbers_at(step: int, config: SetConfig, pool: int, every: int) -> IntArray:
    """Return the number of the stack in each place of the pool (pool,) at a step."""
    place = np.arange(pool)
    turns = (step // every - 1 - place) // pool + 1
    return np.asarray(config.count + place + turns * pool)


def endless_set(text: str) -> SetConfig:
    """Return the configuration that ``endless:NAME`` names; raises naming those there are."""
    return make_set(text.removeprefix(PREFIX))


class _Ahead:
    """Renders one stack ahead, in a thread, while the training is at work."""

    def __init__(self, config: SetConfig) -> None:
        self.config, self._thread = config, ThreadPoolExecutor(1, thread_name_prefix="fresh")
        self._waiting: dict[int, Future[FocalStack]] = {}

    def begin(self, number: int) -> None:
        """Begin with a stack, if that is not under way."""
        if number not in self._waiting:
            self._waiting = {number: self._thread.submit(render_stack, self.config, number)}

    def get(self, number: int) -> FocalStack:
        """Return a stack, once it is rendered."""
        under_way = self._waiting.pop(number, None)
        return render_stack(self.config, number) if under_way is None else under_way.result()
