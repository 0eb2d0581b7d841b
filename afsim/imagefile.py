"""Decode image files whole or not at all: a truncated or corrupt file is an error, never a partly grey picture."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
import numpy.typing as npt
import OpenEXR
import tifffile

from afsim.errors import ReaderError
from afsim.stack import RawImage

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

TIFF_SUFFIXES: Final = (".tif", ".tiff")
JPEG_SUFFIXES: Final = (".jpg", ".jpeg")
SUFFIXES: Final = (".png", *JPEG_SUFFIXES, *TIFF_SUFFIXES)

_PNG_END: Final = b"IEND\xaeB`\x82"
_JPEG_SCAN: Final = b"\xff\xda"
_JPEG_END: Final = b"\xff\xd9"


def is_image(path: Path) -> bool:
    """Tell whether a path is a visible file with a suffix that :func:`read_image` decodes."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def read_image(path: Path, page: int = 0) -> Pixels:
    """Decode a PNG, JPEG or TIFF file.

    Parameters
    ----------
    path : Path
        Its suffix tells the format.
    page : int
        Which page of a TIFF.

    Returns
    -------
    (H, W) or (H, W, channels) uint8 or uint16
        As stored: no gamma, no rotation by EXIF; channels in the order red, green, blue.

    Raises
    ------
    ReaderError
        Where there is no such file, its suffix is another one, it is truncated or corrupt, or its values are
        neither 8- nor 16-bit unsigned.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ReaderError(f"{path}: unknown image format, expected one of {', '.join(SUFFIXES)}")
    with _decoding(path):
        if suffix in TIFF_SUFFIXES:
            with tifffile.TiffFile(path) as tiff:
                image: npt.NDArray[Any] = tiff.pages[page].asarray()
        elif suffix in JPEG_SUFFIXES:
            image = _decode_jpeg(path.read_bytes())
        else:
            image = _decode_png(path.read_bytes())
    if image.dtype not in (np.uint8, np.uint16):
        raise ReaderError(f"{path}: pixels are {image.dtype}, expected uint8 or uint16")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (2, 3, 4)):
        raise ReaderError(f"{path}: shape {image.shape}, expected height x width, grey or with 3 or 4 channels")
    return image


def read_grey16(path: Path, size: tuple[int, int] | None = None) -> RawImage:
    """Decode a one-channel 16-bit image, (H, W) uint16.

    Raises
    ------
    ReaderError
        As :func:`read_image`; and where it has another depth, several channels, or not the ``size`` (H, W).
    """
    image = read_image(path)
    if image.dtype != np.uint16 or image.ndim != 2:
        raise ReaderError(f"{path}: {image.dtype} of shape {image.shape}, expected one channel of uint16")
    if size is not None and image.shape != size:
        raise ReaderError(f"{path}: {image.shape[0]} x {image.shape[1]} pixels, expected {size[0]} x {size[1]}")
    return np.asarray(image, dtype=np.uint16)


def tiff_page_count(path: Path) -> int:
    """Return the number of pages of a TIFF file, checking that none is cut off and that each is one slice.

    Raises
    ------
    ReaderError
        Where the file is truncated or corrupt, or holds a hyperstack with more than one axis of slices.
    """
    with _decoding(path), tifffile.TiffFile(path) as tiff:
        count = len(tiff.pages)
        series = tiff.series[0]
        # tifffile stops without an error where the chain of pages leads out of the file.
        tiff.filehandle.seek(tiff.pages.next_page_offset or 0)
        link = tiff.filehandle.read(tiff.tiff.offsetsize)
    if len(link) < tiff.tiff.offsetsize or any(link):
        raise ReaderError(f"{path}: truncated after page {count - 1}: the page that follows is not in the file")
    axes = {
        axis: size for axis, size in zip(series.axes, series.shape, strict=True) if axis not in "YXS" and size > 1
    }
    if len(axes) > 1:
        raise ReaderError(f"{path}: axes {axes} besides height and width, expected one axis of slices")
    if axes and count == 1:
        raise ReaderError(f"{path}: one page with axes {axes}, expected one page a slice")
    return count


def read_exr(path: Path, channel: str) -> npt.NDArray[np.float32]:
    """Decode one channel of an OpenEXR file, (H, W) float32.

    Raises
    ------
    ReaderError
        Where there is no such file or channel, or the file is truncated or corrupt.
    """
    with _decoding(path), OpenEXR.File(str(path)) as file:
        channels = file.channels()
        if channel not in channels:
            raise ReaderError(f"{path}: channels {sorted(channels)}, expected {channel!r}")
        return np.array(channels[channel].pixels, dtype=np.float32)


def _decode_png(data: bytes) -> npt.NDArray[Any]:
    if _PNG_END not in data:
        raise ValueError("truncated: no end chunk")
    return np.asarray(imagecodecs.png_decode(data))


def _decode_jpeg(data: bytes) -> npt.NDArray[Any]:
    # The JPEG decoders fill what is missing with grey. Inside a scan 0xFF is always escaped: the end mark is real.
    if data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN):
        raise ValueError("truncated: no end of image after the last scan")
    return np.asarray(imagecodecs.jpeg_decode(data))


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise ReaderError(f"{path}: no such file")
    try:
        yield
    except ReaderError:
        raise
    except Exception as error:  # each decoder has errors of its own, many of them plain RuntimeErrors
        raise ReaderError(f"{path}: cannot be decoded, truncated or corrupt ({error})") from error
