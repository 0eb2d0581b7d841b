"""Counter-based randomness: a draw depends on (key, step, purpose) alone.

So results do not depend on the batch size, the order of lanes or the policy: two policies meet the same start,
lens and noise, and a forked episode repeats exactly. Keys are uint64; the mixing function is SplitMix64's finaliser
(Steele, Lea and Flood, 2014), applied to the key and each counter in turn.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError
from afsim.jit import compiled

Keys = npt.NDArray[np.uint64]


class Purpose(IntEnum):
    """What a draw is for; each purpose is a stream of its own."""

    EPISODE = 1
    STACK = 2
    START = 3
    LENS = 4
    SENSOR = 5
    POLICY = 6


@compiled
def mix(key: np.uint64, counter: np.uint64) -> np.uint64:
    """Return a well-mixed 64-bit word of two; compiled, for single numbers."""
    word = key ^ (counter * np.uint64(0x9E3779B97F4A7C15))
    word = word + np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@compiled
def uniform_of(word: np.uint64) -> float:
    """Return the number in [0, 1) that the upper 53 bits of a word stand for; compiled."""
    return float(word >> np.uint64(11)) * 2.0**-53


@compiled
def normal_of(word: np.uint64) -> float:
    """Return a standard normal number made of one word (Box and Muller, 1958); compiled."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform_of(word)))
    return float(radius * np.cos(2.0 * np.pi * uniform_of(mix(word, np.uint64(1)))))


@compiled
def _derive(keys: Keys, steps: Keys, purpose: np.uint64, out: Keys) -> None:
    for lane in range(keys.size):
        out[lane] = mix(mix(keys[lane], steps[lane % steps.size]), purpose)


def derive(keys: Keys, step: int | npt.NDArray[np.integer], purpose: Purpose) -> Keys:
    """Return one new key a lane, (N,) uint64, for (key, step, purpose); ``step`` is one number or one a lane."""
    out = np.empty_like(keys)
    _derive(keys, np.atleast_1d(np.asarray(step, dtype=np.uint64)), np.uint64(purpose), out)
    return out


def integers(keys: Keys, step: int, purpose: Purpose, high: int) -> npt.NDArray[np.int64]:
    """Return uniform integers in 0 ... high-1, (N,) int64.

    The bias of the modulo is below ``high / 2**64``.
    """
    return (derive(keys, step, purpose) % np.uint64(high)).astype(np.int64)


def uniform(keys: Keys, step: int, purpose: Purpose) -> npt.NDArray[np.float64]:
    """Return uniform numbers in [0, 1), (N,) float64."""
    return np.asarray((derive(keys, step, purpose) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def lane_keys(seed: int, lanes: npt.ArrayLike) -> Keys:
    """Return a key for each lane number, (N,) uint64, the same whatever the other lanes are.

    Raises
    ------
    AfsimError
        For a seed outside 0 ... 2**64 - 1.
    """
    if not 0 <= seed < 2**64:
        raise AfsimError(f"seed must be in 0 ... 2**64 - 1, got {seed}")
    return derive(np.asarray(lanes, dtype=np.uint64), seed, Purpose.EPISODE)
