"""Speed of evaluating a policy on every (stack, start) pair: features kept, against features taken at each step.

The reference is the same game, the same camera and the same policy through SB3's ``predict``: at each step the
image is exposed and its features are taken anew. Both end with the same episodes, which is checked.
"""

import time
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from afsim.camera import Camera
from afsim.checks import check_whole
from afsim.errors import AfsimError, PrivilegedPolicyError
from afsim.experiments.bench import print_row
from afsim.policies import POLICIES, make
from afsim.policy import FocusPolicy
from afsim.rollout import Arena, Episodes, budgets
from afsim.sets import demo_stacks
from afsim.stackset import StackSet
from afsim.task import FocusTask

# What only a rollout tells.
PRIVILEGED: Final = frozenset({"stack", "truth"})
# Wanted of an evaluation under budgets 1 ... 12: a search takes some 75 exposures a pair then, one a slice kept.
_WANTED: Final = 20.0


@dataclass(frozen=True)
class RolloutConfig:
    """What is measured."""

    stacks: int = 16
    """Demo stacks in memory, each with 49 starts."""
    policy: str = "hill_climb"
    """Who plays; no policy that needs the whole stack or the truth."""
    steps: int = 12
    """Budgets 1 ... M, as 'afsim compare' plays them."""
    rounds: int = 3
    """Turns; the median ratio of a turn is reported."""


@dataclass(frozen=True)
class Unkept:
    """A policy of which a rollout knows nothing but ``predict``, so that nothing of it can be kept."""

    policy: FocusPolicy

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """Return actions and the new state."""
        return self.policy.predict(observation, state, episode_start, deterministic)


def evaluate(camera: Camera, name: str, steps: int, *, kept: bool) -> list[Episodes]:
    """Play every pair under every budget, from nothing: with features kept from budget to budget, or with none.

    Raises
    ------
    AfsimError
        For a policy that does not exist, or a number of steps below 1.
    """
    arena = Arena(camera)
    played = []
    for budget in budgets(steps):
        task = FocusTask(camera, budget=budget, reward="none")
        policy = make(name, task.spec)
        played.append(arena.play(policy if kept else Unkept(policy), task))
    return played


def are_equal(one: list[Episodes], other: list[Episodes]) -> bool:
    """Tell whether all fields of all episodes are the same, bit for bit."""
    return len(one) == len(other) and all(
        np.array_equal(getattr(a, each.name), getattr(b, each.name), equal_nan=_is_float(getattr(a, each.name)))
        for a, b in zip(one, other, strict=True)
        for each in fields(Episodes)
    )


def _is_float(values: object) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind == "f"


def _rates(camera: Camera, config: RolloutConfig, episodes: int) -> tuple[list[float], list[float]]:
    """Return episodes a second of each turn, with features kept and without."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(config.rounds):
        for kept, found in rates.items():
            began = time.perf_counter()
            evaluate(camera, config.policy, config.steps, kept=kept)
            found.append(episodes / (time.perf_counter() - began))
    return rates[True], rates[False]


def refuse_privileged(name: str) -> None:
    """Raise for a policy that the reference, which sees images alone, cannot play."""
    kind = POLICIES.get(name.partition(";")[0].partition(":")[0])
    needs = PRIVILEGED & kind.requires if kind is not None else ()
    if needs:
        raise PrivilegedPolicyError(
            f"policy {name!r} requires {', '.join(sorted(needs))}, which no image shows; expected one that searches"
        )


def run(config: RolloutConfig, *, stacks: StackSet | None = None) -> int:
    """Measure and print the ratio. ``stacks`` replaces the demo's.

    Raises
    ------
    AfsimError
        Where the two ways do not end with the same episodes, or for options that do not exist.
    """
    check_whole("rounds", config.rounds, least=1)
    refuse_privileged(config.policy)
    camera = Camera(stacks if stacks is not None else demo_stacks(config.stacks))
    kept, plain = (evaluate(camera, config.policy, config.steps, kept=each) for each in (True, False))
    if not are_equal(kept, plain):
        raise AfsimError(f"{config.policy}: episodes with features kept differ from those without")
    episodes = sum(len(played.stack) for played in kept)
    ours, reference = _rates(camera, config, episodes)
    table = Table("what", "afsim /s", "reference /s", "ratio", "wanted", title="episodes a second, median of turns")
    what = f"{config.policy}, {episodes:,} episodes, features kept / taken at each step"
    print_row(table, what, ours, reference, _WANTED)
    console = Console()
    console.print(table)
    console.print(f"budgets 1 ... {config.steps}; the episodes of both are equal, bit for bit")
    return 0
