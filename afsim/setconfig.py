"""Named sets of rendered stacks: the embedded demo, the benchmark's three parts, and one set for each mixture.

No photograph is shared between the demo and the parts of the benchmark.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final

from afsim.checks import check_switch, check_whole
from afsim.draws import Stream, draw_field, stream
from afsim.errors import AfsimError, unknown
from afsim.exposure import LEVELS
from afsim.mixture import MIXTURES, V6, Mixture
from afsim.optics import PIXEL3, lta49_diopters
from afsim.stack import Geometry

# To be raised whenever the same configuration renders other pixels, so that no old set is read or continued.
RENDERER_VERSION: Final = 3

# Whoever looks at bench-train alone may look at all its photographs, and at no other.
_PHOTOGRAPHS: Final = {
    "demo": ("astronaut", "brick", "page"),
    "bench-train": ("chelsea", "gravel", "ihc", "motorcycle", "retina"),
    "bench-val": ("camera", "coins", "rocket"),
    "bench-test": ("coffee", "grace_hopper", "grass", "text"),
}


@dataclass(frozen=True)
class SetConfig:
    """What the stacks of a set depend on.

    Attributes
    ----------
    name : str
        Of the set; the stacks' names begin with it.
    mixture : Mixture
        The distributions that stacks are drawn from.
    photographs : tuple of str
        Those that may be shown (:data:`afsim.photographs.PHOTOGRAPHS`).
    seed : int
        Stack i draws from generators seeded with (seed, i) alone.
    count : int
        Number of stacks; it changes none of them.
    size : int
        Height and width of a patch in pixels, even; 128 as in the paper.
    margin : int
        Pixels rendered beyond each border of the patch, for cameras that shift or scale what they show.
    noise, flicker, mismatch, shake, label_noise : bool
        Whether there is sensor noise, flicker of the frames' gain, difference of the views besides disparity,
        sideways jitter and drift, and error in the label. None of them changes anything else.
    """

    name: str
    mixture: Mixture = V6
    photographs: tuple[str, ...] = ()
    seed: int = 0
    count: int = 64
    size: int = 128
    margin: int = 0
    noise: bool = True
    flicker: bool = True
    mismatch: bool = True
    shake: bool = True
    label_noise: bool = True

    def __post_init__(self) -> None:
        for field, least in (("seed", 0), ("count", 1), ("size", 8), ("margin", 0)):
            check_whole(f"set {self.name!r}: {field}", getattr(self, field), least=least)
        for field in ("noise", "flicker", "mismatch", "shake", "label_noise"):
            check_switch(f"set {self.name!r}: {field}", getattr(self, field))
        if self.size % 2:
            raise AfsimError(f"set {self.name!r}: size must be even, got {self.size}")
        # Raises where no patch of that size lies where the mixture wants it.
        draw_field(self.mixture, stream(self.seed, 0, Stream.FIELD), PIXEL3.frame_px, self.size)

    @property
    def geometry(self) -> Geometry:
        """What all stacks share."""
        focus, side = tuple(lta49_diopters().tolist()), self.size + 2 * self.margin
        return Geometry(len(focus), 2, side, side, LEVELS, "far-first", focus)


DEMO: Final = SetConfig("demo", V6, _PHOTOGRAPHS["demo"], seed=0, count=64, label_noise=False)

# The mixtures' own sets show the training photographs, so that who learns from them may be tested on bench-test.
SETS: Final[dict[str, SetConfig]] = {
    "demo": DEMO,
    "bench-train": SetConfig("bench-train", V6, _PHOTOGRAPHS["bench-train"], seed=1, count=2000),
    "bench-val": SetConfig("bench-val", V6, _PHOTOGRAPHS["bench-val"], seed=2, count=200),
    "bench-test": SetConfig("bench-test", V6, _PHOTOGRAPHS["bench-test"], seed=3, count=500),
} | {
    name: SetConfig(name, mixture, _PHOTOGRAPHS["bench-train"], seed=100 + k, label_noise=False)
    for k, (name, mixture) in enumerate(MIXTURES.items())
}


def make_set(name: str) -> SetConfig:
    """Return the named set's configuration, or raise naming those there are."""
    if name not in SETS:
        raise unknown("set", name, SETS)
    return SETS[name]


def description(config: SetConfig) -> dict[str, object]:
    """Return all that a set's pixels depend on, as plain JSON values."""
    record = {"renderer": RENDERER_VERSION, **asdict(config)}
    return dict(json.loads(json.dumps(record, allow_nan=False)))


def description_hash(config: SetConfig) -> str:
    """Return the SHA-256 of :func:`description`, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(description(config), sort_keys=True).encode()).hexdigest()


def set_metadata(config: SetConfig) -> dict[str, object]:
    """Return what a set says of itself."""
    label = "with errors as a multi-view-stereo ground truth has them" if config.label_noise else "without errors"
    return {
        "source": f"rendered by afsim, renderer version {RENDERER_VERSION}",
        "camera": "model of the Google Pixel 3 main camera: thin lens, soft-split dual pixel",
        "licence": "textures are procedural, or photographs distributed with scikit-image and matplotlib",
        "label": f"best_index is the slice nearest in dioptres to the median depth of the patch, {label}",
        "noise": "(S, O) is that of each view on the stored grid",
        "breathing": config.mixture.breathing,
        "frame_px": list(PIXEL3.frame_px),
        "upsampled": "rows",
        "mixture": f"{config.mixture.name}, version {config.mixture.version}",
        "description_sha256": description_hash(config),
        "config": description(config),
    }
