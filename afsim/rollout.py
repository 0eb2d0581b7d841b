"""Let a policy play every (stack, start) pair, and keep what it did.

Evaluation never samples: a set of N stacks of n slices gives N n episodes. Every pair has a key of its own, the
same for every policy and budget, so comparisons are paired.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.jit import over_lanes
from afsim.keys import lane_keys
from afsim.measures import relative_sharpness
from afsim.policy import Features, FocusPolicy, Knowledge, Predictor, Status
from afsim.task import FocusTask, TaskState

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Policies that look at pixels hold one image a lane (128 KiB each); those that look at kept features hold numbers.
_LANES_OF_IMAGES: Final = 256
_LANES_OF_NUMBERS: Final = 8192


@dataclass(frozen=True, eq=False)
class Episodes:
    """What E episodes of at most T moves left behind; a shorter episode repeats its last value.

    Attributes
    ----------
    stack, start : (E,) int64
        Which recording, from which index.
    commands, positions : (E, T+1) float64
        Index asked for, and index reached.
    times : (E, T+1) float64
        Milliseconds since the start image was read out; NaN where withheld.
    status : (E, T+1) int8
        :class:`afsim.policy.Status` after each prediction (SEARCHING before the first).
    confidence : (E,) float32
        The last one, in [0, 1].
    length, observations, moves, reversals : (E,) int64
        Predictions made, slices exposed, commands that differ from the last, changes of direction.
    travel_index, travel_um : (E,) float64
        Lens travel; micrometres are NaN where the distances are unknown.
    reachable : (E,) bool
        Whether the lens could reach the target.
    whole_stack : bool
        Whether the policy saw every slice before its one prediction.
    """

    stack: IntArray
    start: IntArray
    commands: FloatArray
    positions: FloatArray
    times: FloatArray
    status: npt.NDArray[np.int8]
    confidence: npt.NDArray[np.float32]
    length: IntArray
    observations: IntArray
    moves: IntArray
    reversals: IntArray
    travel_index: FloatArray
    travel_um: FloatArray
    reachable: npt.NDArray[np.bool_]
    whole_stack: bool = False


class Arena:
    """A camera with all its (stack, start) pairs, and the features that policies took from its slices.

    Parameters
    ----------
    camera : Camera
        What is seen.
    starts : sequence of int, optional
        Start indices; all n by default.
    seed : int
        Of the lanes' keys, 0 or more.

    Raises
    ------
    AfsimError
        For starts that are no indices, or a seed out of range.
    """

    def __init__(self, camera: Camera, *, starts: npt.ArrayLike | None = None, seed: int = 0) -> None:
        n, count = camera.stacks.n, len(camera.stacks)
        every = np.arange(n) if starts is None else np.asarray(starts, dtype=np.int64)
        if every.size == 0 or every.min() < 0 or every.max() >= n:
            raise AfsimError(f"starts must be indices in 0 ... {n - 1}, got {every.tolist()}")
        self.camera = camera
        self.stack = np.repeat(np.arange(count), len(every))
        self.start = np.tile(every, count)
        self.keys = lane_keys(seed, self.stack * n + self.start)
        self._tables: dict[object, Features] = {}

    @cached_property
    def sharpness(self) -> FloatArray:
        """Sharpness (N, n) of every slice relative to the best of its stack."""
        stacks = self.camera.stacks
        rows = np.empty((len(stacks), stacks.n))

        def measure(begin: int, end: int) -> None:
            for i in range(begin, end):
                rows[i] = relative_sharpness(stacks[i].green())

        over_lanes(measure, len(stacks), at_least=1)
        return rows

    def features(self, policy: FocusPolicy) -> Features:
        """Return the policy's features of every recorded slice, (N, n, ...); kept for the next budget."""
        key = policy.feature_key
        if key not in self._tables:
            self._tables[key] = self._measure(policy)
        return self._tables[key]

    def _measure(self, policy: FocusPolicy) -> Features:
        stacks = self.camera.stacks
        rows: list[Features] = [np.empty(0)] * len(stacks)
        index = np.arange(stacks.n, dtype=np.float64)

        def measure(begin: int, end: int) -> None:
            for i in range(begin, end):
                region = np.broadcast_to(stacks.regions[i], (stacks.n, 2))
                rows[i] = policy.features(stacks[i].normalized(), index, region)

        over_lanes(measure, len(stacks), at_least=1)
        return np.stack(rows)

    # ------------------------------------------------------------------ playing
    def play(
        self,
        policy: Predictor,
        task: FocusTask,
        *,
        progress: Callable[[int], None] = lambda lanes: None,
    ) -> Episodes:
        """Let ``policy`` play every pair in ``task``, a game over this arena's camera.

        Parameters
        ----------
        policy : Predictor
            One of ours, made for this task's spec, or anything with SB3's ``predict``.
        task : FocusTask
            The game; its budget is the number of steps m. A reward is not paid out.
        progress : callable
            Told the number of episodes that have ended, as they end.
        """
        ours = policy if isinstance(policy, FocusPolicy) else None
        whole_stack = ours is not None and "stack" in ours.requires
        kept = whole_stack or (ours is not None and self.camera.replays_exactly)
        width = _LANES_OF_NUMBERS if kept else _LANES_OF_IMAGES
        parts = []
        for begin in range(0, len(self.stack), width):
            lanes = np.arange(begin, min(begin + width, len(self.stack)))
            if ours is not None and whole_stack:
                parts.append(self._sweep(ours, task, lanes))
            else:
                parts.append(self._search(policy, task, lanes, kept=kept))
            progress(len(lanes))
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return Episodes(**columns, whole_stack=whole_stack)

    def _search(self, policy: Predictor, task: FocusTask, lanes: IntArray, *, kept: bool) -> dict[str, Any]:
        state = task.reset(self.keys[lanes], stack=self.stack[lanes], start=self.start[lanes])
        trace = _Trace(state)
        decide = self._ours(policy, lanes, kept) if isinstance(policy, FocusPolicy) else _foreign(policy)
        for _ in range(task.spec.budget):
            commands, memory = decide(task, state)
            status = np.asarray(getattr(memory, "status", np.zeros(len(lanes), np.int8)))
            state, _ = task.step(state, commands, last=status != Status.SEARCHING)
            trace.add(state, status)
            if state.lanes["done"].all():
                break
        return trace.record(state, memory, task.spec.budget)

    def _ours(self, policy: FocusPolicy, lanes: IntArray, kept: bool) -> Callable[..., tuple[Any, Any]]:
        truth = self.camera.stacks.truth[self.stack[lanes]] if "truth" in policy.requires else None
        memory = policy.begin(self.keys[lanes], Knowledge(truth=truth))
        table = self.features(policy) if kept else None

        def decide(task: FocusTask, state: TaskState) -> tuple[Any, Any]:
            nonlocal memory
            observation = task.describe(state) if kept else task.observe(state)
            if table is not None:
                seen = table[state.lanes["stack"], np.rint(state.lanes["position"]).astype(np.int64)]
            else:
                image = np.asarray(observation["image"], dtype=np.float32)
                seen = policy.features(image, policy.current(observation), observation["region"].astype(np.float64))
            command, memory = policy.decide(seen, observation, memory)
            nobody = np.zeros(len(command), dtype=np.bool_)
            return task.spec.encode(command, policy.current(observation).round(), nobody), memory

        return decide

    def _sweep(self, policy: FocusPolicy, task: FocusTask, lanes: IntArray) -> dict[str, Any]:
        """Charge a whole-stack prediction as a sweep: to the nearer end, across, and back to the peak."""
        n, stack, start = task.spec.n, self.stack[lanes], self.start[lanes].astype(np.float64)
        knowledge = Knowledge(stack=self.features(policy)[stack])
        memory = policy.begin(self.keys[lanes], knowledge)
        state = task.reset(self.keys[lanes], stack=stack, start=self.start[lanes])
        peak, memory = policy.decide(np.zeros(len(lanes)), task.describe(state), memory)
        near_end = np.where(start <= (n - 1) / 2, 0.0, n - 1.0)
        path = np.stack([start, near_end, n - 1.0 - near_end, peak], axis=1)
        table = task.camera.lens.travel_table_um(task.camera.stacks.diopters)
        known = table.size > 1
        path_um = np.interp(path, np.arange(n), table) if known else np.full_like(path, np.nan)
        legs = np.diff(path, axis=1)
        directions = np.sign(legs)
        frames = task.spec.timing.frames_ms(task.camera.sensor.exposure_ms)
        decision = task.spec.timing.decision_ms
        times = np.cumsum(np.abs(legs) * frames, axis=1) if known else np.full_like(legs, np.nan)
        times[:, 2] = times[:, 1] + decision
        status = np.zeros(path.shape, np.int8)
        status[:, -1] = memory.status
        return {
            "stack": stack,
            "start": self.start[lanes],
            "commands": path,
            "positions": path,
            "times": np.concatenate([np.zeros((len(lanes), 1)), times], axis=1),
            "status": status,
            "confidence": memory.confidence,
            "length": np.ones(len(lanes), dtype=np.int64),
            "observations": np.full(len(lanes), n),
            "moves": np.rint(np.abs(legs[:, :2]).sum(axis=1)).astype(np.int64) + (legs[:, 2] != 0),
            "reversals": (directions[:, 0] * directions[:, 1] < 0).astype(np.int64)
            + (directions[:, 1] * directions[:, 2] < 0),
            "travel_index": np.abs(legs).sum(axis=1),
            "travel_um": np.abs(np.diff(path_um, axis=1)).sum(axis=1),
            "reachable": np.ones(len(lanes), dtype=np.bool_),
        }


def _foreign(policy: Predictor) -> Callable[[FocusTask, TaskState], tuple[Any, Any]]:
    """Seat a policy that is not ours: it sees the images and its actions count as they are."""
    memory: Any = None
    first = True

    def decide(task: FocusTask, state: TaskState) -> tuple[Any, Any]:
        nonlocal memory, first
        starts = np.full(len(state.lanes), first)
        actions, memory = policy.predict(task.observe(state), memory, starts, deterministic=True)
        first = False
        return np.asarray(actions), memory

    return decide


class _Trace:
    """The columns of episodes as they grow."""

    def __init__(self, state: TaskState) -> None:
        self._columns: dict[str, list[Any]] = {"commands": [], "positions": [], "times": [], "status": []}
        self.add(state, np.zeros(len(state.lanes), np.int8))

    def add(self, state: TaskState, status: npt.NDArray[np.int8]) -> None:
        """Append what stands after a step."""
        for column, field in (("commands", "command"), ("positions", "position"), ("times", "time_ms")):
            self._columns[column].append(state.lanes[field].copy())
        self._columns["status"].append(np.asarray(status, dtype=np.int8))

    def record(self, state: TaskState, memory: Any, budget: int) -> dict[str, Any]:
        """Return the fields of :class:`Episodes`, padded to ``budget`` with the last values."""
        lanes = state.lanes
        padding = budget + 1 - len(self._columns["commands"])
        columns = {
            name: np.stack(values + [values[-1]] * padding, axis=1) for name, values in self._columns.items()
        }
        return {
            **columns,
            "stack": lanes["stack"].copy(),
            "start": lanes["start"].copy(),
            "confidence": np.asarray(getattr(memory, "confidence", np.full(len(lanes), np.nan)), dtype=np.float32),
            "length": lanes["step"].copy(),
            "observations": lanes["step"].copy(),
            "moves": lanes["moves"].copy(),
            "reversals": lanes["reversals"].copy(),
            "travel_index": lanes["travel_index"].copy(),
            "travel_um": lanes["travel_um"].copy(),
            "reachable": np.ones(len(lanes), dtype=np.bool_),
        }


def budgets(steps: int) -> Iterator[int]:
    """Yield the budgets of a comparison, 1 ... steps."""
    if steps < 1:
        raise AfsimError(f"steps must be at least 1, got {steps}")
    yield from range(1, steps + 1)
