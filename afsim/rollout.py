"""Let a policy play every (stack, start) pair, and keep what it did.

Evaluation never samples: a set of N stacks of n slices gives N n episodes. Every pair has a key of its own, the
same for every policy and budget, so comparisons are paired.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from afsim.camera import Camera
from afsim.errors import AfsimError
from afsim.featuretable import slice_features
from afsim.jit import over_lanes
from afsim.keys import lane_keys
from afsim.measures import relative_sharpness
from afsim.policy import Features, FocusPolicy, Knowledge, Predictor, Status
from afsim.task import FocusTask, Observation, TaskState

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Policies that look at pixels hold one image a lane (128 KiB each); those that look at kept features hold numbers.
_LANES_OF_IMAGES: Final = 256
_LANES_OF_NUMBERS: Final = 8192
# Of features, as single precision: what may be kept of all slices, and what lanes may hold that see a whole stack.
_MOST_KEPT_BYTES: Final = 2**31
_MOST_HELD_BYTES: Final = 2**28


@dataclass(frozen=True, eq=False)
class Episodes:
    """What E episodes of at most T moves left behind; a shorter episode repeats its last value.

    Attributes
    ----------
    stack, start : (E,) int64
        Which recording, from which index.
    commands, positions : (E, T+1) float64
        Index asked for, and index reached: where the lens is, also beyond the recording.
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
        Whether the lens could reach the target, to half an index.
    clamped : (E,) bool
        Whether the lens ended beyond the recording, whose first or last slice then stands in.
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
    clamped: npt.NDArray[np.bool_]
    whole_stack: bool = False

    def of(self, which: npt.NDArray[np.bool_]) -> "Episodes":
        """Return the episodes of a mask (E,)."""
        arrays = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "whole_stack"}
        return replace(self, **{name: values[which] for name, values in arrays.items()})


class Arena:
    """A camera with all its (stack, start) pairs, and the features that policies took from its slices.

    Parameters
    ----------
    camera : Camera
        What is seen.
    starts : sequence of int, optional
        Start indices; all n by default.
    stacks : sequence of int, optional
        Which recordings; all by default. Their episodes are the same as among all.
    seed : int
        Of the lanes' keys, 0 or more.

    Raises
    ------
    AfsimError
        For starts or stacks that are no indices, or a seed out of range.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        starts: npt.ArrayLike | None = None,
        stacks: npt.ArrayLike | None = None,
        seed: int = 0,
    ) -> None:
        n = camera.stacks.n
        every, chosen = _indices(starts, n, "starts"), _indices(stacks, len(camera.stacks), "stacks")
        self.camera = camera
        self.stack = np.repeat(chosen, len(every))
        self.start = np.tile(every, len(chosen))
        self._of_all_stacks = stacks is None
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
            self._tables[key] = slice_features(self.camera, policy)
        return self._tables[key]

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
        # Features are kept of whole indices, where continuous commands need not lead.
        stack_bytes = 4 * task.spec.n * (1 if ours is None else ours.feature_size)
        kept = ours is not None and self.camera.replays_exactly and task.spec.action_mode != "continuous"
        # A table has the slices of all stacks, of which some would be taken in vain.
        kept = kept and self._of_all_stacks
        kept = kept and stack_bytes * len(self.camera.stacks) <= _MOST_KEPT_BYTES
        width = _LANES_OF_NUMBERS if kept else _LANES_OF_IMAGES
        if ours is not None:  # whose memory may hold what it takes from slices
            width = min(width, max(_LANES_OF_IMAGES, _MOST_HELD_BYTES // (4 * ours.feature_size)))
        if whole_stack:
            width = max(1, min(width, _MOST_HELD_BYTES // stack_bytes))
        parts = []
        for begin in range(0, len(self.stack), width):
            lanes = np.arange(begin, min(begin + width, len(self.stack)))
            if ours is not None and whole_stack:
                parts.append(self._sweep(ours, task, lanes, kept=kept))
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
        return trace.record(task, state, memory, task.spec.budget)

    def _ours(self, policy: FocusPolicy, lanes: IntArray, kept: bool) -> Callable[..., tuple[Any, Any]]:
        truth = self.camera.stacks.truth[self.stack[lanes]] if "truth" in policy.requires else None
        memory = policy.begin(self.keys[lanes], Knowledge(truth=truth))
        look = self._look(policy, kept)

        def decide(task: FocusTask, state: TaskState) -> tuple[Any, Any]:
            nonlocal memory
            seen, observation = look(task, state)
            command, memory = policy.decide(seen, observation, memory)
            nobody = np.zeros(len(command), dtype=np.bool_)
            return task.spec.encode(command, policy.current(observation).round(), nobody), memory

        return decide

    def _look(
        self, policy: FocusPolicy, kept: bool
    ) -> Callable[[FocusTask, TaskState], tuple[Features, Observation]]:
        """Return what gives a policy's features (N, ...) of what is seen in a state, and the rest it observes."""
        table = self.features(policy) if kept else None

        def look(task: FocusTask, state: TaskState) -> tuple[Features, Observation]:
            if table is not None:
                place = np.rint(state.lanes["position"]).astype(np.int64)
                return table[state.lanes["stack"], place], task.describe(state)
            observation = task.observe(state)
            image = np.asarray(observation["image"], dtype=np.float32)
            region = observation["region"].astype(np.float64)
            return policy.features(image, policy.current(observation), region), observation

        return look

    def _sweep(self, policy: FocusPolicy, task: FocusTask, lanes: IntArray, *, kept: bool) -> dict[str, Any]:
        """Play a whole-stack prediction as a sweep: to the nearer end, across, and to the peak.

        The lens goes slice by slice and errs as it does for every policy; the slice at an index is what is seen
        there. The peak is approached from where the sweep ends.
        """
        n = task.spec.n
        sweep = FocusTask(task.camera, budget=n + 1, reward="none", timing=task.spec.timing)
        state = sweep.reset(self.keys[lanes], stack=self.stack[lanes], start=self.start[lanes])
        trace, look = _Trace(state), self._look(policy, kept)
        searching = np.zeros(len(lanes), np.int8)
        upwards = self.start[lanes] <= (n - 1) / 2
        slices: list[Features] = []
        for step in range(n):
            command = np.where(upwards, step, n - 1 - step)
            state, _ = sweep.step(state, command)
            trace.add(state, searching)
            slices.append(look(sweep, state)[0])
        stack = np.stack(slices, axis=1)
        stack[~upwards] = stack[~upwards, ::-1]
        memory = policy.begin(self.keys[lanes], Knowledge(stack=stack))
        peak, memory = policy.decide(slices[-1], sweep.describe(state), memory)
        state, _ = sweep.step(state, np.rint(peak).astype(np.int64))
        trace.add(state, memory.status)
        record = trace.record(sweep, state, memory, n + 1)
        # One prediction, whatever it took to see everything; the start slice is seen again on the way.
        return {**record, "length": np.ones_like(record["length"]), "observations": np.full(len(lanes), n)}


def _indices(wanted: npt.ArrayLike | None, count: int, what: str) -> IntArray:
    """Return the indices that are wanted of ``count``, all by default, or raise for what is none."""
    chosen = np.arange(count) if wanted is None else np.asarray(wanted, dtype=np.int64)
    if chosen.size == 0 or chosen.min() < 0 or chosen.max() >= count:
        raise AfsimError(f"{what} must be indices in 0 ... {count - 1}, got {chosen.tolist()}")
    return chosen


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

    def record(self, task: FocusTask, state: TaskState, memory: Any, budget: int) -> dict[str, Any]:
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
            "reachable": lanes["reachable"].copy(),
            "clamped": task.info(state)["clamped"].copy(),
        }


def budgets(steps: int) -> Iterator[int]:
    """Yield the budgets of a comparison, 1 ... steps."""
    if steps < 1:
        raise AfsimError(f"steps must be at least 1, got {steps}")
    yield from range(1, steps + 1)
