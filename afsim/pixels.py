"""From the values of an image file to one linear plane: which channel, how many bits, which curve."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from afsim.errors import ReaderError
from afsim.imagefile import Pixels
from afsim.stack import Levels, RawImage

Bayer = Literal["none", "RGGB", "BGGR", "GRBG", "GBRG"]
Gamma = Literal["linear", "srgb"]

_FULL: Final = Levels(0, 65535)


@dataclass(frozen=True)
class PlaneOf:
    """Take the green (or only) plane of images that are all alike.

    Parameters
    ----------
    shape, dtype
        What all images must have.
    bits : int
        Bits that are used of each value.
    black, white : int
        Levels of the files' values.
    bayer : {"none", "RGGB", "BGGR", "GRBG", "GBRG"}
        Pattern of a mosaic: the mean of its two green sites is taken, at half the size.
    gamma : {"linear", "srgb"}
        ``"srgb"`` undoes the display curve of IEC 61966-2-1; the plane then spans 0 ... 65535.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.uint8] | np.dtype[np.uint16]
    bits: int
    black: int
    white: int
    bayer: Bayer = "none"
    gamma: Gamma = "linear"

    @property
    def levels(self) -> Levels:
        """Black and white level of the planes."""
        return Levels(self.black, self.white) if self.gamma == "linear" else _FULL

    def __call__(self, image: Pixels, path: Path) -> RawImage:
        """Return the plane (H, W) uint16 of an image; ``path`` is for messages.

        Raises
        ------
        ReaderError
            Where the image has another shape, depth or range.
        """
        if image.shape != self.shape or image.dtype != self.dtype:
            raise ReaderError(
                f"{path}: {image.dtype} of shape {image.shape}, but the first slice is {self.dtype} of {self.shape}"
            )
        if (largest := int(image.max(initial=0))) >= 2**self.bits:
            raise ReaderError(
                f"{path}: largest value {largest}, expected at most {2**self.bits - 1} ({self.bits} bits)"
            )
        values = self._linear(image) if self.gamma == "srgb" else image.astype(np.uint16)
        if self.bayer != "none":
            return _mean_green(values, self.bayer, path)
        if values.ndim == 2:
            return values
        return np.ascontiguousarray(values[..., 1 if values.shape[2] > 2 else 0])

    def describe(self) -> dict[str, object]:
        """Return what was taken from the files, for the metadata."""
        colour = "green of RGB" if len(self.shape) == 3 and self.shape[2] > 2 else "grey"
        stored = "as stored (8-bit display images are not linear in light)" if self.bits == 8 else "as stored"
        return {
            "channel": colour if self.bayer == "none" else f"mean of the green sites of {self.bayer}",
            "bits": self.bits,
            "values": stored if self.gamma == "linear" else "sRGB display curve undone",
        }

    def _linear(self, image: Pixels) -> RawImage:
        code = np.clip((np.arange(2**self.bits) - self.black) / (self.white - self.black), 0.0, 1.0)
        light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
        table = np.rint(light * _FULL.white).astype(np.uint16)
        return np.asarray(table[image])


def _mean_green(mosaic: npt.NDArray[np.uint16], pattern: Bayer, path: Path) -> RawImage:
    if mosaic.ndim != 2 or mosaic.shape[0] % 2 or mosaic.shape[1] % 2:
        raise ReaderError(f"{path}: shape {mosaic.shape}, expected a mosaic of even height and width, one channel")
    first, second = (
        mosaic[site // 2 :: 2, site % 2 :: 2].astype(np.uint32) for site in range(4) if pattern[site] == "G"
    )
    return np.asarray((first + second + 1) // 2, dtype=np.uint16)
