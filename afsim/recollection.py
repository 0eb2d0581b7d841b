"""What a learning agent remembers of an episode, and the flat vector it decides from.

The environments encode with it what policies in their seat encode: there is no second path.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError
from afsim.sight import Sight
from afsim.taskspec import TaskSpec

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

# Evidence and contrast are logarithms, told as how far they lie below the best; beyond this it does not matter.
EVIDENCE_SCALE: Final = 20.0
# Contrast is told twice. On bench-val the median slice lies 0.03 below the best where it is one slice from the
# focus, 0.16 where it is three, and 1.2 where it is fifteen.
_CONTRAST_BELOW: Final = (4.0, 0.2)
# Steps left are told as a share of ten: searches are shorter, and every budget has the same scale.
_MANY_STEPS: Final = 10.0


class Recollection(NamedTuple):
    """What N lanes have seen.

    Attributes
    ----------
    evidence : (N, E) float32
        The sum of what each slice says of every index; E = n or 0.
    latest : (N, E) float32
        What the last look says of them: where a lens errs, looks at other commands do not agree.
    marks : (N, C, n) float32
        What was seen at each index; 0 where nothing was.
    seen : (N, n) bool
        Which indices have been looked at. One that is seen again adds nothing to the sum, and keeps its marks.
    """

    evidence: Float32Array
    latest: Float32Array
    marks: Float32Array
    seen: npt.NDArray[np.bool_]

    def of(self, lanes: IntArray) -> "Recollection":
        """Return those of some lanes (M,); copies."""
        return Recollection(*(part[lanes] for part in self))  # type: ignore[arg-type]

    def put(self, lanes: IntArray, part: "Recollection") -> None:
        """Write those of some lanes in place."""
        for whole, some in zip(self, part, strict=True):
            whole[lanes] = some


@dataclass(frozen=True)
class Recall:
    """How recollections of a sight begin, grow and are told."""

    n: int
    evidence: int
    marks: tuple[str, ...]

    @classmethod
    def of(cls, sight: Sight, spec: TaskSpec) -> "Recall":
        """Return the one for a sight of a task."""
        return cls(spec.n, sight.evidence, sight.marks)

    @property
    def features(self) -> int:
        """How many numbers a sight takes from a slice."""
        return self.evidence + len(self.marks)

    @property
    def reach(self) -> int:
        """From how many indices about the one in force a vector tells: all that there can be, 2n-1."""
        return 2 * self.n - 1

    @property
    def size(self) -> int:
        """Length of the vector."""
        contrasts = (len(_CONTRAST_BELOW) - 1) * self.marks.count("contrast")
        return ((3 if self.evidence else 0) + len(self.marks) + contrasts + 1) * self.reach + 4

    def begin(self, lanes: int) -> Recollection:
        """Return what is remembered before anything is seen."""
        marks = np.zeros((lanes, len(self.marks), self.n), np.float32)
        evidence, seen = np.zeros((lanes, self.evidence), np.float32), np.zeros((lanes, self.n), np.bool_)
        return Recollection(evidence, evidence.copy(), marks, seen)

    def add(self, past: Recollection, features: Float32Array, index: IntArray) -> Recollection:
        """Return the recollection with the features (N, F) seen at an index (N,) of each lane.

        Raises
        ------
        AfsimError
            For features of another sight.
        """
        lanes = np.arange(len(index))
        if features.shape != (len(index), self.features):
            wanted = (len(index), self.features)
            raise AfsimError(f"features must be of shape {wanted}, got {features.shape}: of another sight?")
        new = ~past.seen[lanes, index]
        latest = features[:, : self.evidence].copy()
        evidence = past.evidence + np.where(new[:, None], latest, np.float32(0))
        marks, seen = past.marks.copy(), past.seen.copy()
        kept = marks[lanes, :, index]
        marks[lanes, :, index] = np.where(new[:, None], features[:, self.evidence :], kept)
        seen[lanes, index] = True
        return Recollection(evidence, latest, marks, seen)

    def tell(
        self, past: Recollection, index: IntArray, steps_left: Float32Array, region: Float32Array
    ) -> Float32Array:
        """Return the vectors (N, size) in [-1, 1]: what is remembered, as seen from the index in force.

        Parts of 2n-1 numbers, the index in force in their middle, so that what an agent learns at one index holds
        at all: where the sight has evidence, the probability of each index, its log-probability (over 20), and that
        from the last look alone; each mark, the contrast as a logarithm relative to the best seen, once over 4 and
        once over 0.2, at least -1, and -1 where nothing was seen; which indices were seen, -1 for those that there
        are not. Then the index in force as a number, the steps left over ten, and the region's x and y.
        """
        parts: list[Float32Array] = []
        if self.evidence:
            below = past.evidence - past.evidence.max(axis=1, keepdims=True)
            shares = np.exp(below)
            parts.append(_about(index, shares / shares.sum(axis=1, keepdims=True), 0.0))
            parts.append(_about(index, np.maximum(below / EVIDENCE_SCALE, -1.0), -1.0))
            below = past.latest - past.latest.max(axis=1, keepdims=True)
            parts.append(_about(index, np.maximum(below / EVIDENCE_SCALE, -1.0), -1.0))
        for place, name in enumerate(self.marks):
            mark = past.marks[:, place]
            if name != "contrast":
                parts.append(_about(index, np.clip(mark, -1.0, 1.0), 0.0))
                continue
            below = mark - np.where(past.seen, mark, -np.inf).max(axis=1, keepdims=True)
            for scale in _CONTRAST_BELOW:
                parts.append(_about(index, np.where(past.seen, np.maximum(below / scale, -1.0), -1.0), -1.0))
        numbers = [index / (self.n - 1), np.minimum(steps_left / _MANY_STEPS, 1.0), region[:, 0], region[:, 1]]
        parts += [_about(index, past.seen, -1.0), np.stack(numbers, axis=1).astype(np.float32)]
        return np.concatenate(parts, axis=1, dtype=np.float32)


def _about(index: IntArray, values: npt.NDArray[np.generic], nothing: float) -> Float32Array:
    """Return values (N, n) of indices as (N, 2n-1) about an index (N,) of each, ``nothing`` beyond the ends."""
    lanes, n = values.shape
    padded = np.full((lanes, 3 * n - 2), nothing, np.float32)
    padded[:, n - 1 : 2 * n - 1] = values
    return np.take_along_axis(padded, index[:, None] + np.arange(2 * n - 1), axis=1)
