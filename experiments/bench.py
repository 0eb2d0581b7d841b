"""Speed as ratios: afsim and a reference, measured in turns in one run.

A ratio survives a noisy machine, an absolute time does not. Nothing here is a test.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import SyncVectorEnv
from rich.console import Console
from rich.table import Table

from afsim.checks import check_number, check_whole
from afsim.envs import ENVIRONMENT_ID
from afsim.sets import demo_stacks
from afsim.stackset import StackSet

_START_LIMIT: Final = "1 s"


@dataclass(frozen=True)
class BenchConfig:
    """What is measured, and how long."""

    environments: int = 256
    """Lanes of the vector environments."""
    stacks: int = 16
    """Demo stacks in memory (3.2 MB each)."""
    rounds: int = 7
    """Turns; the median ratio of a turn is reported."""
    seconds: float = 0.5
    """Length of each measurement in a turn."""


class LookupEnv(gymnasium.Env[npt.NDArray[np.generic], np.int64]):
    """The least an environment over focal stacks can do: one array look-up a step, copied for the caller.

    Parameters
    ----------
    slices : (N, n, V, H, W)
        In the observations' own type, so that nothing is left to convert.
    steps : int
        Episode length.
    """

    def __init__(self, slices: npt.NDArray[np.generic], steps: int = 5) -> None:
        self.slices, self.steps = slices, steps
        low, high = (0, 65535) if slices.dtype == np.uint16 else (-1.0, 1.0)
        dtype: Any = slices.dtype.type
        self.observation_space = gymnasium.spaces.Box(low, high, slices.shape[2:], dtype)
        self.action_space = gymnasium.spaces.Discrete(slices.shape[1])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.generic], dict[str, Any]]:
        """Draw a stack and a start."""
        super().reset(seed=seed)
        self.stack, self.left = int(self.np_random.integers(len(self.slices))), self.steps
        return self.slices[self.stack, int(self.np_random.integers(self.slices.shape[1]))].copy(), {}

    def step(self, action: np.int64) -> tuple[npt.NDArray[np.generic], float, bool, bool, dict[str, Any]]:
        """Look the slice up."""
        self.left -= 1
        return self.slices[self.stack, action].copy(), 0.0, self.left == 0, False, {}


def run(config: BenchConfig) -> int:
    """Measure and print a table of ratios.

    Raises
    ------
    AfsimError
        For a configuration that measures nothing.
    """
    check_whole("environments", config.environments, least=1)
    check_whole("stacks", config.stacks, least=1)
    check_whole("rounds", config.rounds, least=1)
    check_number("seconds", config.seconds, above=0.0)
    from afsim.experiments.bench_physics import camera_rows, render_rows  # here: it builds on this module

    console = Console()
    stacks = demo_stacks(config.stacks)
    table = Table("what", "afsim /s", "reference /s", "ratio", "wanted", title="median of turns; higher is better")
    for kind in ("uint16", "float32"):
        ours, sync, bare = _vector_rates(stacks, kind, config)
        print_row(
            table, f"make_vec, {config.environments} lanes, {kind} / SyncVectorEnv of a look-up", ours, sync, 3.0
        )
        print_row(table, f"make_vec, {config.environments} lanes, {kind} / bare array operations", ours, bare, 0.6)
        single, look_up = _single_rates(stacks, kind, config)
        print_row(table, f"single environment, {kind} / a look-up", single, look_up, 0.4)
    camera_rows(table, stacks, config)
    render_rows(table, config)
    console.print(table)
    for what, code in (
        ("afsim --help", "from afsim.cli import main; main(['--help'])"),
        ("opening a set", "from afsim.sets import open_demo; open_demo()"),
    ):
        seconds, torch_free = _start(code)
        console.print(
            f"{what}: {seconds:.2f} s in a new process (wanted: under {_START_LIMIT}, without torch: {torch_free})"
        )
    return 0


def print_row(table: Table, what: str, ours: list[float], reference: list[float], wanted: float | None) -> None:
    """Add a row: rates of both in every turn, their median ratio, and the ratio that is wanted."""
    ratio = statistics.median(a / b for a, b in zip(ours, reference, strict=True))
    table.add_row(
        what,
        f"{statistics.median(ours):,.0f}",
        f"{statistics.median(reference):,.0f}",
        f"{ratio:.2f}",
        "" if wanted is None else f">= {wanted}",
    )


def _rate(step: Callable[[], None], lanes: int, seconds: float) -> float:
    """Return lanes per second of repeated calls."""
    step()
    calls, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        step()
        calls += 1
    return calls * lanes / spent


def turns(steps: list[tuple[Callable[[], None], int]], config: BenchConfig) -> list[list[float]]:
    """Measure (call, lanes a call) one after the other, again and again; return the rates of each."""
    rates: list[list[float]] = [[] for _ in steps]
    for _ in range(config.rounds):
        for found, (step, lanes) in zip(rates, steps, strict=True):
            found.append(_rate(step, lanes, config.seconds))
    return rates


def _observed(stacks: StackSet, kind: str) -> npt.NDArray[np.generic]:
    """Return all slices in the observations' type."""
    return stacks.images if kind == "uint16" else stacks.levels.normalize(stacks.images)


def _vector_rates(stacks: StackSet, kind: str, config: BenchConfig) -> list[list[float]]:
    lanes, n = config.environments, stacks.n
    slices = _observed(stacks, kind)
    ours = gymnasium.make_vec(ENVIRONMENT_ID, num_envs=lanes, stacks=stacks, image_kind=kind)
    sync = SyncVectorEnv([lambda: LookupEnv(slices) for _ in range(lanes)])
    for env in (ours, sync):
        env.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = rng.integers(0, n, (64, lanes))
    rows = slices.reshape(len(stacks) * n, -1)
    picks = rng.integers(0, len(rows), (64, lanes))
    buffer = np.empty((lanes, rows.shape[1]), dtype=rows.dtype)
    turn = iter(range(sys.maxsize))

    def bare() -> None:
        np.take(rows, picks[next(turn) % 64], axis=0, out=buffer, mode="clip")

    def stepping(env: Any) -> Callable[[], None]:
        return lambda: env.step(actions[next(turn) % 64]) and None

    return turns([(stepping(ours), lanes), (stepping(sync), lanes), (bare, lanes)], config)


def _single_rates(stacks: StackSet, kind: str, config: BenchConfig) -> list[list[float]]:
    ours = gymnasium.make(ENVIRONMENT_ID, stacks=stacks, image_kind=kind).unwrapped
    reference = LookupEnv(_observed(stacks, kind))
    actions = np.random.default_rng(0).integers(0, stacks.n, 64)
    turn = iter(range(sys.maxsize))

    def stepping(env: Any) -> Callable[[], None]:
        env.reset(seed=0)

        def step() -> None:
            if env.step(actions[next(turn) % 64])[2]:
                env.reset()

        return step

    return turns([(stepping(ours), 1), (stepping(reference), 1)], config)


def _start(code: str) -> tuple[float, bool]:
    """Return how long a new interpreter takes for ``code`` (best of three), and that torch stays out."""
    check = f"import sys\n{code}\nprint('torch' in sys.modules, file=sys.stderr)"
    spent, torch_free = [], True
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
        spent.append(time.perf_counter() - began)
        torch_free &= done.stderr.strip().endswith("False")
    return min(spent), torch_free
