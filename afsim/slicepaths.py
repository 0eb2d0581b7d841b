"""Which slices a model has seen: paths through stacks, every start's chosen by the networks before it.

The paper's procedure for two steps (section 6): the finished single-slice network is run on all stacks and starts,
and a new network sees the first slice and the one that was chosen.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from afsim.modelkinds import ModelKind
from afsim.networkinput import Observations
from afsim.networks import FocusNetwork, infer
from afsim.ordinal import predicted_index
from afsim.slicebank import SliceBank

IntArray = npt.NDArray[np.int64]

# Slices in memory at once; 128 x 128 pixels and two views make 64 MB.
_SLICES_AT_ONCE = 512


class Lanes:
    """Pairs of stack and start, and the path of slices that each has seen.

    Attributes
    ----------
    stack : (N,) int64
        The stack of each pair.
    path : (N, m) int64
        Its slices in their order.
    """

    def __init__(self, stack: IntArray, path: IntArray) -> None:
        self.stack = stack
        self.path = path

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.stack)

    @property
    def repeat(self) -> bool:
        """Whether a path may come to a slice again: where networks chose its slices."""
        ordered = np.sort(self.path, axis=1)
        return bool((ordered[:, 1:] == ordered[:, :-1]).any())

    def select(self, which: IntArray | slice) -> "Lanes":
        """Return some of the pairs."""
        return Lanes(self.stack[which], self.path[which])

    def observe(self, bank: SliceBank, *, position: npt.NDArray[np.float64] | None = None) -> Observations:
        """Return what these lanes have seen; of a slice that was seen twice the later image.

        Parameters
        ----------
        bank : SliceBank
            The pixels.
        position : (N, m) float64, optional
            Where the lens really stood, if not at the slices.
        """
        paths = self.path
        # A slice counts where it is not seen again later.
        again = (paths[:, :, None] == paths[:, None, :]) & np.triu(np.ones((paths.shape[1],) * 2, np.bool_), 1)
        lane, step = np.nonzero(~again.any(axis=2))
        index = paths[lane, step]
        if position is None:
            images = bank.images(self.stack[lane], index)
        else:
            images = bank.between(self.stack[lane], position[lane, step])

        return Observations(
            images,
            bank.put(index.astype(np.float32)),
            bank.put(lane),
            bank.put(bank.stacks.regions[self.stack].astype(np.float32)),
            bank.put(paths[:, -1].astype(np.float32)),
        )


def lanes_of(kind: ModelKind, stacks: IntArray, n: int) -> Lanes:
    """Return the first slices of stacks (B,): every start of each, or the whole stack, far to near."""
    if kind.slices is None:
        return Lanes(stacks, np.tile(np.arange(n), (len(stacks), 1)))
    return Lanes(np.repeat(stacks, n), np.tile(np.arange(n), len(stacks))[:, None])


def logits_of(
    network: FocusNetwork, bank: SliceBank, lanes: Lanes, *, progress: Callable[[int], None] = lambda done: None
) -> Tensor:
    """Return the logits (N, n) float32 of a network, in evaluation mode, for each lane."""
    width = max(1, _SLICES_AT_ONCE // lanes.path.shape[1])
    said = []
    for begin in range(0, len(lanes), width):
        some = lanes.select(slice(begin, begin + width))
        said.append(infer(network, some.observe(bank)))
        progress(len(some))
    return torch.cat(said)


def follow(
    networks: Sequence[FocusNetwork],
    bank: SliceBank,
    lanes: Lanes,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> Lanes:
    """Return the lanes with a slice more for each network, the one it chose of all those before."""
    for network in networks:
        chosen = predicted_index(logits_of(network, bank, lanes, progress=progress)).numpy()
        lanes = Lanes(lanes.stack, np.concatenate((lanes.path, chosen[:, None]), axis=1))
    return lanes
