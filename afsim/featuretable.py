"""Features of every recorded slice, from which environments are played without pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import numpy as np
import numpy.typing as npt

from afsim.camera import Camera
from afsim.jit import over_lanes
from afsim.keys import lane_keys
from afsim.progress import progress
from afsim.sensor import Sensor
from afsim.sets import cache_folder
from afsim.sight import Sight

Features = npt.NDArray[np.generic]
FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features (N, n, F) of N stacks of n slices, of which noise was drawn once.

    Where a lens errs, they are not what a sight would take from the image: between slices they are mixed, and
    evidence, the first numbers of each slice, is moved by how far the lens is from its command, because whoever
    looks at an image knows the command alone. Training goes by it, evaluation never.

    Attributes
    ----------
    values : (N, n, F) float32
        Evidence and marks of each slice (:mod:`afsim.sight`).
    evidence : int
        How many of the F numbers are evidence: n or 0.
    """

    values: Float32Array
    evidence: int = 0

    def at(self, stack: IntArray, position: FloatArray, command: FloatArray) -> Float32Array:
        """Return the features (M, F) at positions (M,) of stacks, seen by someone who knows the commands (M,).

        Beyond the ends, positions have the features of the end, and evidence that of the last index.
        """
        n = self.values.shape[1]
        place = np.clip(position, 0.0, n - 1.0)
        features = _between(self.values[stack], place)
        if self.evidence:
            off = command - position
            erring = np.flatnonzero(off)
            moved = np.clip(np.arange(n) - off[erring, None], 0.0, n - 1.0)
            said = features[erring, : self.evidence]
            lanes = np.repeat(np.arange(len(erring)), n)
            features[erring, : self.evidence] = _between(said[lanes], moved.ravel()).reshape(said.shape)
        return features


def _between(rows: Float32Array, place: FloatArray) -> Float32Array:
    """Return, of each of M rows (M, n) or (M, n, F), what lies at a place (M,); whole places as they are."""
    lanes, last = np.arange(len(rows)), rows.shape[1] - 2
    below = np.minimum(place.astype(np.int64), last)
    share = (place - below).astype(np.float32).reshape(-1, *[1] * (rows.ndim - 2))
    mixed: Float32Array = rows[lanes, below] * (np.float32(1.0) - share) + rows[lanes, below + 1] * share
    return mixed


class Seer(Protocol):
    """Whoever takes features from slices: a policy, or a sight."""

    def features(self, image: Float32Array, command: FloatArray, region: FloatArray) -> Features:
        """Return the features (N, ...) of images (N, V, H, W) at commands (N,) of regions (N, 2)."""
        ...


def slice_features(camera: Camera, seer: Seer, advance: Callable[[], None] = lambda: None) -> Features:
    """Return the features (N, n, ...) of every slice of a camera's stacks; ``advance`` follows each."""
    stacks = camera.stacks
    rows: list[Features] = [np.empty(0)] * len(stacks)
    index = np.arange(stacks.n, dtype=np.float64)
    places, weights = index[:, None], np.ones((stacks.n, 1))

    def measure(begin: int, end: int) -> None:
        for i in range(begin, end):
            region = np.broadcast_to(stacks.regions[i], (stacks.n, 2))
            keys = lane_keys(0, i * stacks.n + np.arange(stacks.n))
            images = camera.capture(np.full(stacks.n, i), places, weights, keys)
            rows[i] = seer.features(np.asarray(images, dtype=np.float32), index, region)
            advance()

    over_lanes(measure, len(stacks), at_least=1)
    return np.stack(rows)


def feature_table(camera: Camera, sight: Sight, *, shown: bool = False) -> FeatureTable:
    """Return the table of a camera's stacks; it is kept in the cache folder (:func:`afsim.sets.cache_folder`).

    The lens plays no part: slices are taken in their order. What the sensor adds is drawn once for each slice.
    ``shown`` shows a bar.

    Raises
    ------
    StoreError
        Where the cache folder cannot be written, or what is kept there is damaged.
    """
    import torch

    from afsim.tensorfile import TensorFormat, read_tensors, write_tensors

    kind = TensorFormat("afsim-features", 1, "table of features")
    still = Camera(camera.stacks, sensor=camera.sensor, breathing=camera.breathing, margin=camera.margin)
    what: tuple[object, ...] = (camera.stacks.digest, sight.feature_key, camera.breathing, camera.margin)
    if camera.sensor != Sensor():
        what += (camera.sensor,)
    path = cache_folder() / "features" / f"{sha256(repr(what).encode()).hexdigest()[:32]}.safetensors"
    if path.is_file():
        return FeatureTable(read_tensors(path, kind)[1]["values"].numpy(), sight.evidence)
    with progress(shown=shown) as bar:
        task = bar.add_task("taking features of slices", total=len(camera.stacks))
        values = slice_features(still, sight, lambda: bar.advance(task)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, {"values": torch.from_numpy(values)}, {"of": repr(what)}, kind)
    return FeatureTable(values, sight.evidence)
