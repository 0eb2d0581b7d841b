"""The pixels of a set for training: on the device where they fit, else read slice by slice as they are wanted."""

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from afsim.stackset import StackSet

IntArray = npt.NDArray[np.int64]

# Of a graphics processor's free memory for the pixels: the rest is the network's (assumed).
_SHARE: Final = 0.6


class SliceBank:
    """Slices of a set's stacks, normalised (0 black, 1 white), as tensors on a device.

    Parameters
    ----------
    stacks : StackSet
        What is looked at.
    device : device
        Where images are wanted.
    resident : bool, optional
        Whether all pixels are copied to the device at first, 2 bytes each. By default they are on a graphics
        processor into whose free memory they fit. Otherwise they stay where they are, mapped from the disk, and no
        set is too large.
    """

    def __init__(self, stacks: StackSet, device: torch.device, *, resident: bool | None = None) -> None:
        self.stacks = stacks
        self.device = device
        resident = _fits(stacks, device) if resident is None else resident
        self._resident = _copied(stacks, device) if resident else None

    def put(self, values: npt.NDArray[np.generic]) -> Tensor:
        """Return an array as a tensor on the device, without waiting for what the device is at."""
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def images(self, stack: IntArray, index: IntArray) -> Tensor:
        """Return the images (M, V, H, W) float32 of slices ``index`` (M,) of ``stack`` (M,)."""
        black, white = self.stacks.levels.black, self.stacks.levels.white
        if self._resident is None:
            # 2 bytes a pixel on the way to the device; int16 has no values above 32767, which read as negative.
            pixels = self.put(self.stacks.images[stack, index].view(np.int16))
        else:
            pixels = self._resident[self.put(stack), self.put(index)]
        return (pixels.to(torch.int32) & 0xFFFF).to(torch.float32).sub_(black).div_(white - black)

    def between(self, stack: IntArray, position: npt.NDArray[np.float64]) -> Tensor:
        """Return the images (M, V, H, W) at fractional positions (M,): linear between the two slices there."""
        low = np.floor(position).astype(np.int64)
        high = np.minimum(low + 1, self.stacks.n - 1)
        share = self.put((position - low).astype(np.float32))[:, None, None, None]
        return torch.lerp(self.images(stack, low), self.images(stack, high), share)


def _fits(stacks: StackSet, device: torch.device) -> bool:
    """Return whether the pixels are worth a copy on the device, and fit."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return 2 * int(np.prod(stacks.images.shape)) <= _SHARE * free


def _copied(stacks: StackSet, device: torch.device) -> Tensor:
    """Return the pixels (N, n, V, H, W) on the device, as int16 of the same bits."""
    pixels = torch.empty(stacks.images.shape, dtype=torch.int16, device=device)
    for i in range(len(stacks)):
        pixels[i].copy_(torch.from_numpy(np.array(stacks.images[i]).view(np.int16)))
    return pixels
