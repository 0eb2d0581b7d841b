"""The readers of recorded focal stacks, by name. A reader of your own is a class like these and one more line."""

from typing import Any, Final

from afsim.errors import unknown
from afsim.read_images import ImagesReader
from afsim.read_learnaf import LearnAfReader
from afsim.read_patches import LearnAfPatchesReader

READERS: Final[dict[str, type[Any]]] = {
    "learnaf": LearnAfReader,
    "learnaf_patches": LearnAfPatchesReader,
    "images": ImagesReader,
}


def reader_class(name: str) -> type[Any]:
    """Return the reader of that name: a frozen dataclass, see :class:`afsim.recording.Reader`.

    Raises
    ------
    AfsimError
        Where there is none; the message lists those there are.
    """
    if name not in READERS:
        raise unknown("reader", name, READERS)
    return READERS[name]
