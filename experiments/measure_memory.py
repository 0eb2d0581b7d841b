"""What memory the contrast measures take: how far a process grows while one of them runs, at its peak.

Counted is what is resident, so it does not matter who allocates: NumPy, compiled loops, or their threads.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from afsim.measures import MEASURES

_STATUS: Final = Path("/proc/self/status")
# Writing 5 there forgets the peak so far (proc(5) of Linux).
_FORGET_PEAK: Final = Path("/proc/self/clear_refs")
# Larger blocks come from the system and go back to it, so that none is left over from one call to the next.
_SETTINGS: Final = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def peak_growth(call: Callable[[], object]) -> float:
    """Return by how many bytes this process grows at most while ``call`` runs; NaN where the system does not tell.

    Small blocks that were freed before and are used again do not count.
    """
    try:
        _FORGET_PEAK.write_text("5")
    except OSError:
        return math.nan
    before = _resident("VmRSS")
    call()
    return float(max(_resident("VmHWM") - before, 0))


def _resident(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1])


def memory_growth(shape: tuple[int, ...]) -> dict[str, float]:
    """Return the growth of each contrast measure on images (..., H, W) of that shape, over their size in float32.

    In a process of its own, each measure called once before: it is then compiled, and its tables are made. Images
    come as what costs most, in double precision and pixel by pixel beside each other; so one size is their copy.
    """
    command = [sys.executable, "-m", __name__, *map(str, shape)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **_SETTINGS})
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measure(shape: tuple[int, ...]) -> dict[str, float]:
    stored = np.random.default_rng(0).random((*shape[-2:], *shape[:-2]))
    images: Any = np.moveaxis(stored, (0, 1), (-2, -1))
    single = 4 * stored.size
    found = {}
    for name, measure in MEASURES.items():
        measure(images)
        found[name] = peak_growth(lambda measure=measure: measure(images)) / single  # type: ignore[misc]
    return found


if __name__ == "__main__":
    print(json.dumps(_measure(tuple(map(int, sys.argv[1:])))))
