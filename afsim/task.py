"""The game: m moves to bring a region into focus. Batched and pure; the environments are shells over it.

A state is a value: keep one to undo, hand a copy to another policy to fork.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.camera import AnyImage, Camera, ImageKind
from afsim.errors import AfsimError
from afsim.keys import Keys, Purpose, derive, integers
from afsim.lanes import INFO, LANE, Lanes, describe_position, describe_truth, plan_steps, play_lanes
from afsim.lensstate import LensState
from afsim.measures import relative_sharpness
from afsim.rewards import RewardModel, make_reward, pay_lanes
from afsim.taskspec import ActionMode, FloatArray, TaskSpec, Timing

__all__ = [
    "INFO_FIELDS",
    "ActionMode",
    "FocusTask",
    "Lanes",
    "Observation",
    "TaskSpec",
    "TaskState",
    "Timing",
]

IntArray = npt.NDArray[np.int64]
Observation = dict[str, npt.NDArray[np.generic]]

INFO_FIELDS: Final = tuple(INFO.names or ())


class TaskState(NamedTuple):
    """N games: what the game counts, and where each lens is."""

    lanes: Lanes
    lens: LensState


class FocusTask:
    """The batched game over the stacks of a camera.

    Parameters
    ----------
    camera : Camera
        What is seen.
    budget : int
        Steps m.
    action_mode, declare, timing
        See :class:`TaskSpec`.
    reward : str or RewardModel
        What is paid (:mod:`afsim.rewards`): a preset's name, perhaps with changes (``"final,move=0.01"``), or a
        model. ``final``: -|position - truth| / (n-1), once, at the end. ``dense``: the same at every step.
        ``approach``: how much of it a step saves. ``success``: ends and declarations within one slice, less what
        steps cost. ``sharpness``: relative sharpness of the slice ended at, minus 1, once; needs no label.
        ``none``: 0 always, where nobody learns.

    Raises
    ------
    AfsimError
        For a reward that needs labels on stacks without, or milliseconds where the focus distances are unknown, or
        an option that does not exist.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        budget: int = 5,
        action_mode: ActionMode = "absolute",
        declare: bool = False,
        reward: str | RewardModel = "final",
        timing: Timing | None = None,
    ) -> None:
        geometry = camera.stacks.geometry
        self.camera, self.reward = camera, make_reward(reward)
        self.spec = TaskSpec(
            geometry.n,
            geometry.views,
            camera.height,
            camera.width,
            budget,
            geometry.diopters,
            action_mode,
            declare,
            timing or Timing(),
            camera.framing.told("dp_axis", None) or "columns",
        )
        stacks = camera.stacks
        self.truth = stacks.truth
        self._label = np.where(stacks.best_index >= 0, stacks.best_index.astype(np.float64), np.nan)
        self._regions = stacks.regions.astype(np.float32)
        if self.reward.time_ms > 0.0 and geometry.diopters is None:
            raise AfsimError(f"reward {reward!r} counts milliseconds, which need the focus distances of the stacks")
        if self.reward.needs_truth and not stacks.labelled.all():
            missing = stacks.names[int(np.flatnonzero(~stacks.labelled)[0])]
            raise AfsimError(
                f"reward {reward!r} needs a label for every stack, but {missing!r} has none; "
                "use reward='sharpness', which needs none"
            )
        self._sharpness: dict[int, FloatArray] = {}

    # ------------------------------------------------------------------ the game
    def reset(
        self, keys: Keys, *, stack: npt.ArrayLike | None = None, start: npt.ArrayLike | None = None
    ) -> TaskState:
        """Begin N games, each from its key (N,): the lens parks at the far stop, goes to the start, and settles.

        ``stack`` and ``start``, (N,) or one number for all, fix what is drawn uniformly otherwise.

        Raises
        ------
        AfsimError
            For numbers that are no stack or no index, or not one a game.
        """
        count, n = len(self.camera.stacks), self.spec.n
        lanes = np.zeros(len(keys), dtype=LANE)
        lanes["key"] = keys
        lanes["stack"] = (
            integers(keys, 0, Purpose.STACK, count) if stack is None else _within(stack, count, len(keys), "stack")
        )
        lanes["start"] = (
            integers(keys, 0, Purpose.START, n) if start is None else _within(start, n, len(keys), "start")
        )
        lanes["command"] = lanes["start"]
        camera = self.camera
        lens = camera.actuator.park(lanes["command"], derive(keys, 0, Purpose.LENS), camera.sensor.exposure_ms)
        lanes["position"] = lens["position"]
        # Half an index beyond what its commands reach, the nearest one still rounds to the target.
        truth, (lowest, highest) = self.truth[lanes["stack"]], camera.actuator.reach(lens)
        lanes["reachable"] = ~((truth < lowest - 0.5) | (truth > highest + 0.5))
        if self.spec.diopters is None:
            lanes["travel_um"] = lanes["time_ms"] = np.nan
        return TaskState(lanes, lens)

    def step(
        self,
        state: TaskState,
        actions: npt.NDArray[np.generic],
        *,
        last: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[TaskState, FloatArray]:
        """Play one step in every game and return the new state and the rewards (N,).

        ``last`` (N,) marks the games that their player ends with this move, before the budget is used.

        The given state is not changed. A game that has ended stays as it is and gives no reward.

        Raises
        ------
        AfsimError
            For actions of the wrong shape, type or range.
        """
        command, declares = self.spec.decode(actions, state.lanes["command"])
        ends = np.zeros(len(command), dtype=np.bool_) if last is None else last
        lens, spent, ends = self._move(state, command, declares, ends)
        # Filled by the loop: numpy copies structured arrays field by field, which takes longer than the game.
        lanes, rewards = np.empty_like(state.lanes), np.empty(len(state.lanes))
        over = play_lanes(
            state.lanes,
            lanes,
            command,
            declares,
            ends,
            lens["position"],
            spent,
            self.camera.actuator.table_um,
        )
        pay_lanes(state.lanes, lanes, self.truth, self.spec.n, self.reward.weights, rewards)
        if over or declares.any():
            rests = state.lanes["done"] | declares
            lens[rests] = state.lens[rests]
        if self.reward.sharpness > 0.0:
            rewards += self.reward.sharpness * self._sharpness_rewards(state.lanes, lanes)
        return TaskState(lanes, lens), rewards

    def _move(
        self, state: TaskState, command: FloatArray, declares: npt.NDArray[np.bool_], last: npt.NDArray[np.bool_]
    ) -> tuple[LensState, FloatArray, npt.NDArray[np.bool_]]:
        """Return the lenses at the next exposure, the milliseconds (N,) of the step, and which games it ends."""
        actuator, timing = self.camera.actuator, self.spec.timing
        exposure = self.camera.sensor.exposure_ms
        lead = exposure + timing.after_ms + timing.decision_ms
        settling = actuator.settling_ms(state.lens, command, lead, timing.settle_index)
        wait, spent, ends = np.empty_like(settling), np.empty_like(settling), np.empty_like(last)
        plan_steps(
            state.lanes,
            command,
            declares,
            last,
            settling,
            self.spec.budget,
            timing.frame_ms if timing.mode == "frames" else 0.0,
            timing.decision_ms,
            exposure,
            timing.after_ms,
            -1.0 if timing.wait_ms is None else timing.wait_ms,
            wait,
            spent,
            ends,
        )
        return actuator.move(state.lens, command, lead, wait, exposure), spent, ends

    def _sharpness_rewards(self, before: Lanes, after: Lanes) -> FloatArray:
        rewards = np.zeros(len(after))
        paid = after["done"] & ~before["done"]
        lanes = after[paid]
        rewards[paid] = self.relative_sharpness(lanes["stack"], lanes["position"]) - 1.0
        return rewards

    def relative_sharpness(self, stack: IntArray, position: FloatArray) -> FloatArray:
        """Return the sharpness (N,) at each position relative to the best slice of its stack."""
        indices = np.arange(self.spec.n)
        values = [np.interp(p, indices, self._sharpness_of(int(s))) for s, p in zip(stack, position, strict=True)]
        return np.array(values, dtype=np.float64)

    def _sharpness_of(self, stack: int) -> FloatArray:
        if stack not in self._sharpness:
            self._sharpness[stack] = relative_sharpness(self.camera.stacks[stack].green())
        return self._sharpness[stack]

    # ------------------------------------------------------------------ what is seen
    def observe(self, state: TaskState, *, kind: ImageKind = "float32", out: AnyImage | None = None) -> Observation:
        """Return what a policy sees of N games: ``image``, ``command``, ``region`` and ``steps_left``."""
        camera, lanes = self.camera, state.lanes
        positions, weights = camera.actuator.exposure_path(state.lens, camera.sensor.exposure_ms)
        keys = derive(lanes["key"], lanes["step"], Purpose.SENSOR) if camera.sensor.adds_noise else lanes["key"]
        shifts = camera.actuator.shifts(state.lens)
        image = camera.capture(lanes["stack"], positions, weights, keys, shifts=shifts, kind=kind, out=out)
        return {"image": image, **self.describe(state)}

    def describe(self, state: TaskState) -> Observation:
        """Return what a policy knows of N games besides the image."""
        lanes = state.lanes
        command = np.empty((len(lanes), 1), dtype=np.float32)
        region = np.empty((len(lanes), 2), dtype=np.float32)
        steps_left = np.empty((len(lanes), 1), dtype=np.float32)
        describe_position(lanes, self._regions, self.spec.n, self.spec.budget, command, region, steps_left)
        return {"command": command, "region": region, "steps_left": steps_left}

    def info(self, state: TaskState) -> Lanes:
        """Return the truth of N games: a structured array (N,), always with the same fields."""
        info = np.empty(len(state.lanes), dtype=INFO)
        describe_truth(state.lanes, self._label, self.truth, self.spec.n, info)
        return info


def _within(values: npt.ArrayLike, count: int, lanes: int, what: str) -> IntArray:
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iu" or ((numbers < 0) | (numbers >= count)).any():
        raise AfsimError(f"{what} must be integers in 0 ... {count - 1}, got {numbers.tolist()}")
    if numbers.shape not in ((), (lanes,)):
        raise AfsimError(f"{what} must be one number or {lanes}, one a game, got shape {numbers.shape}")
    return numbers.astype(np.int64)
