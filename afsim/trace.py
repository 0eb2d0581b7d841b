"""One episode with everything seen, step by step: what a picture of it needs, and where another policy can go on.

An episode is traced as :mod:`afsim.rollout` plays it, with the same key, so it is the episode of a comparison.
Every step keeps its game state. A state is a value, and all draws hang on (key, step), so a fork is exact.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from afsim.errors import AfsimError
from afsim.keys import lane_keys
from afsim.lanes import Lanes
from afsim.measures import mean_local_norm_dist_sq
from afsim.policy import Features, FocusPolicy, Knowledge, Predictor, Status
from afsim.stack import Image
from afsim.task import FocusTask, Observation, TaskState

FloatArray = npt.NDArray[np.float64]


class Moment(NamedTuple):
    """What stands at one step of an episode, in arrays of one lane where not said otherwise.

    Attributes
    ----------
    state : TaskState
        The game; hand it to another policy to fork.
    image : (V, H, W) float32
        What the camera shows there, normalised. Nobody acts on the one after the last move.
    contrast : float
        Of the green image, by :func:`afsim.measures.mean_local_norm_dist_sq`, whatever the policy looks at.
    features : (1, ...) array or None
        What the policy took from the image; None where it did not look, or does not tell.
    memory
        What the policy remembers once it has decided; None before a whole-stack policy has seen everything. After
        the last move, that of the last decision.
    """

    state: TaskState
    image: Image
    contrast: float
    features: Features | None
    memory: Any


@dataclass(frozen=True, eq=False)
class Trace:
    """An episode of T moves, from the start slice to where it ended.

    Attributes
    ----------
    task : FocusTask
        The game that was asked for. A whole-stack policy takes the moves that its sweep needs, whatever the budget.
    moments : tuple of T + 1 Moment
        In order.
    whole_stack : bool
        Whether the policy that ended it saw every slice before its one prediction.
    forked_at : int or None
        The step from which another policy played; the moments before are those of the episode that was forked.
    """

    task: FocusTask
    moments: tuple[Moment, ...]
    whole_stack: bool = False
    forked_at: int | None = None

    @cached_property
    def lanes(self) -> Lanes:
        """What the game counts, (T+1,) of :data:`afsim.lanes.LANE`: command, position, time, travel, moves."""
        return np.concatenate([moment.state.lanes for moment in self.moments])

    @cached_property
    def status(self) -> npt.NDArray[np.int8]:
        """:class:`afsim.policy.Status` (T+1,) after each prediction; SEARCHING before the first."""
        told = [_of_memory(moment, "status", Status.SEARCHING) for moment in self.moments]
        return np.array([Status.SEARCHING, *told[:-1]], dtype=np.int8)

    @cached_property
    def confidence(self) -> npt.NDArray[np.float32]:
        """Confidence (T+1,) after each prediction, in [0, 1]; NaN before the first and where none is told."""
        told = [_of_memory(moment, "confidence", np.nan) for moment in self.moments]
        return np.array([np.nan, *told[:-1]], dtype=np.float32)

    @cached_property
    def end(self) -> Any:
        """The truth about how it ended: one record with the fields of :data:`afsim.task.INFO_FIELDS`."""
        return self.task.info(self.moments[-1].state)[0]

    @property
    def stack(self) -> int:
        """Number of the stack."""
        return int(self.lanes["stack"][0])

    @property
    def truth(self) -> float:
        """The index in focus: exact where known, else the label, else NaN."""
        return float(self.task.truth[self.stack])

    @property
    def label(self) -> int | None:
        """The best slice by its label, or None."""
        label = int(self.task.camera.stacks.best_index[self.stack])
        return label if label >= 0 else None

    def until(self, step: int) -> "Trace":
        """Return the episode up to a step, at which nothing is decided yet."""
        moment = self.moments[step]._replace(features=None, memory=None)
        forked_at = self.forked_at if self.forked_at is not None and self.forked_at < step else None
        return Trace(self.task, (*self.moments[:step], moment), forked_at=forked_at)

    def belief(self, step: int) -> FloatArray | None:
        """Return how likely the policy holds each index (n,), having decided at ``step``; None if it does not say.

        Any memory with a field ``belief`` (1, n) says so, or one that holds such a memory as ``inner``.
        """
        memory = self.moments[step].memory
        belief = np.asarray(getattr(getattr(memory, "inner", memory), "belief", np.nan), dtype=np.float64)
        return belief[0] if belief.shape == (1, self.task.spec.n) else None

    @property
    def believes(self) -> bool:
        """Whether the policy says at some step how likely it holds each index."""
        return any(self.belief(step) is not None for step in range(len(self.moments)))

    @cached_property
    def slices(self) -> Image:
        """Every slice (n, V, H, W) as the camera would show it with its lens exactly there."""
        camera, n = self.task.camera, self.task.spec.n
        index = np.arange(n, dtype=np.float64)[:, None]
        images = camera.capture(np.full(n, self.stack), index, np.ones((n, 1)), lane_keys(0, np.arange(n)))
        return np.asarray(images, dtype=np.float32)

    @cached_property
    def curve(self) -> FloatArray:
        """Contrast (n,) of every slice in :attr:`slices`: the curve of which an episode sees samples."""
        return np.asarray(mean_local_norm_dist_sq(self.slices.mean(axis=1)), dtype=np.float64)


# ---------------------------------------------------------------------- playing
def opening(task: FocusTask, stack: int, start: int, seed: int = 0) -> Trace:
    """Return an episode before its first move: the lens stands at the start, and nothing is decided.

    Parameters
    ----------
    task, stack, start, seed
        As :func:`record` takes them.

    Raises
    ------
    AfsimError
        For a stack, start or seed that does not exist.
    """
    # Negative numbers are no lane; the task names them better.
    key = lane_keys(seed, [max(stack * task.spec.n + start, 0)])
    state = task.reset(key, stack=stack, start=start)
    return Trace(task, (_moment(state, _look(task, state), None, None),))


def by_hand(trace: Trace, command: int | None) -> Trace:
    """Return an episode with one more move, to an index; None declares that the focus is where it stands.

    Raises
    ------
    AfsimError
        For an index that does not exist, an episode that is over, or a game in which nobody declares.
    """
    task, last = trace.task, trace.moments[-1]
    if last.state.lanes["done"][0]:
        raise AfsimError("the episode is over: no move is left")
    if command is not None and not 0 <= command < task.spec.n:
        raise AfsimError(f"there is no index {command}; expected 0 ... {task.spec.n - 1}")
    if command is None and not task.spec.declare:
        raise AfsimError("this game has no action that declares the focus; make its task with declare=True")
    current = last.state.lanes["command"]
    target = current if command is None else np.array([command], dtype=np.float64)
    state, _ = task.step(last.state, task.spec.encode(target, current, np.array([command is None])))
    moments = (*trace.moments[:-1], last._replace(features=None, memory=None))
    return Trace(task, (*moments, _moment(state, _look(task, state), None, None)), forked_at=trace.forked_at)


def record(task: FocusTask, policy: Predictor, stack: int, start: int, seed: int = 0) -> Trace:
    """Let a policy play one episode and keep everything seen.

    Parameters
    ----------
    task : FocusTask
        The game.
    policy : Predictor
        One of ours, made for this task's spec, or anything with SB3's ``predict``. A whole-stack policy plays a
        real sweep: to the nearer end, across, and to the peak.
    stack, start : int
        Which recording, from which index.
    seed : int
        Of the key, 0 or more: the same stack, start and seed give the episode of :class:`afsim.rollout.Arena`.

    Raises
    ------
    AfsimError
        For a stack, start or seed that does not exist.
    """
    state = opening(task, stack, start, seed).moments[0].state
    if sweeps(policy):
        return Trace(task, _sweep(policy, task, state), whole_stack=True)
    return Trace(task, _play(policy, task, state, _first_memory(policy, task, state)))


def fork(trace: Trace, step: int, policy: Predictor, *, shown: bool = True) -> Trace:
    """Let a policy go on from a step of an episode, with the same lens, drift and noise.

    Parameters
    ----------
    trace : Trace
        The episode, which stays as it is.
    step : int
        From which the policy decides: any at which the episode was not over, so also the present one of an episode
        that is played by hand.
    policy : Predictor
        As in :func:`record`. A whole-stack policy begins its sweep there.
    shown : bool
        Whether the policy is first shown what was seen before, observation by observation, its own decisions then
        being passed over: the policy that played the episode so repeats the rest of it, bit for bit. Otherwise it
        is told nothing and meets an episode that begins at ``step``, with the moves that are left.

    Raises
    ------
    AfsimError
        For a step at which nothing was decided, or from which no move is left.
    """
    last = len(trace.moments) - (2 if trace.lanes["done"][-1] else 1)
    if not 0 <= step <= last:
        raise AfsimError(
            f"an episode of {len(trace.moments) - 1} moves can be forked at steps 0 ... {last}, got {step}"
        )
    task, past, state = trace.task, trace.moments[:step], trace.moments[step].state
    if sweeps(policy):
        return Trace(task, (*past, *_sweep(policy, task, state)), whole_stack=True, forked_at=step)
    if step >= task.spec.budget:
        raise AfsimError(
            f"no move is left at step {step} of a sweep: its game has {task.spec.budget} steps, so a policy can go "
            f"on from steps 0 ... {task.spec.budget - 1}"
        )
    memory = _first_memory(policy, task, state)
    if shown:
        memory = _shown(policy, task, past, memory)
    return Trace(task, (*past, *_play(policy, task, state, memory, not (shown and past))), forked_at=step)


def consult(trace: Trace, policy: Predictor) -> tuple[Trace, int]:
    """Ask a policy what it would do where an episode stands, having been shown what was seen.

    Returns
    -------
    Trace
        The same episode; its last moment has what the policy took from the image, and remembers.
    int
        The index to which it would go.

    Raises
    ------
    AfsimError
        For an episode that is over, or a policy that predicts from the whole stack.
    """
    if sweeps(policy) or trace.lanes["done"][-1]:
        raise AfsimError("expected an episode that is not over, and a policy that decides slice by slice")
    task, past, last = trace.task, trace.moments[:-1], trace.moments[-1]
    memory = _shown(policy, task, past, _first_memory(policy, task, last.state))
    action, features, memory = _decide(policy, task, last.state, last.image, memory, not past)
    command, _ = task.spec.decode(action, last.state.lanes["command"])
    asked = Trace(task, (*past, last._replace(features=features, memory=memory)), forked_at=trace.forked_at)
    return asked, round(float(command[0]))


def _shown(policy: Predictor, task: FocusTask, past: tuple[Moment, ...], memory: Any) -> Any:
    """Return what a policy remembers that was shown what was seen, its own decisions being passed over."""
    for i, moment in enumerate(past):
        _, _, memory = _decide(policy, task, moment.state, moment.image, memory, i == 0)
    return memory


def sweeps(policy: Predictor) -> bool:
    """Tell whether a policy predicts once, from the whole stack."""
    return isinstance(policy, FocusPolicy) and "stack" in policy.requires


def _first_memory(policy: Predictor, task: FocusTask, state: TaskState) -> Any:
    """Return the memory with which a policy enters an episode; those that are not ours make their own."""
    if not isinstance(policy, FocusPolicy):
        return None
    truth = task.truth[state.lanes["stack"]] if "truth" in policy.requires else None
    return policy.begin(state.lanes["key"], Knowledge(truth=truth))


def _decide(
    policy: Predictor, task: FocusTask, state: TaskState, image: Image, memory: Any, is_first: bool
) -> tuple[npt.NDArray[np.generic], Features | None, Any]:
    """Return the action (1,), what the policy took from the image, and what it remembers."""
    observation: Observation = {"image": image[None], **task.describe(state)}
    if not isinstance(policy, FocusPolicy):
        action, memory = policy.predict(observation, memory, np.array([is_first]), deterministic=True)
        return np.asarray(action), None, memory
    current = policy.current(observation)
    features = policy.features(image[None], current, observation["region"].astype(np.float64))
    command, memory = policy.decide(features, observation, memory)
    return task.spec.encode(command, current.round(), np.zeros(1, dtype=np.bool_)), features, memory


def _play(
    policy: Predictor, task: FocusTask, state: TaskState, memory: Any, is_first: bool = True
) -> tuple[Moment, ...]:
    """Play from a state to the end."""
    moments = []
    while not state.lanes["done"][0]:
        image = _look(task, state)
        action, features, memory = _decide(policy, task, state, image, memory, is_first)
        moments.append(_moment(state, image, features, memory))
        status = np.asarray(getattr(memory, "status", np.zeros(1, np.int8)))
        state, _ = task.step(state, action, last=status != Status.SEARCHING)
        is_first = False
    return (*moments, _moment(state, _look(task, state), None, memory))


def _sweep(policy: Predictor, task: FocusTask, state: TaskState) -> tuple[Moment, ...]:
    """Play a whole-stack prediction from a state: to the nearer end, slice by slice across, and to the peak."""
    assert isinstance(policy, FocusPolicy)
    n = task.spec.n
    budget = int(state.lanes["step"][0]) + n + 1
    sweep = FocusTask(task.camera, budget=budget, reward="none", timing=task.spec.timing)
    moments = [_moment(state, _look(sweep, state), None, None)]
    order = np.arange(n) if state.lanes["command"][0] <= (n - 1) / 2 else np.arange(n)[::-1]
    for command in order:
        state, _ = sweep.step(state, np.array([command]))
        image, known = _look(sweep, state), sweep.describe(state)
        features = policy.features(image[None], policy.current(known), known["region"].astype(np.float64))
        moments.append(_moment(state, image, features, None))
    seen = [moment.features for moment in moments if moment.features is not None]
    stack = np.stack([seen[i] for i in np.argsort(order)], axis=1)
    memory = policy.begin(state.lanes["key"], Knowledge(stack=stack))
    peak, memory = policy.decide(seen[-1], sweep.describe(state), memory)
    moments[-1] = moments[-1]._replace(memory=memory)
    state, _ = sweep.step(state, np.rint(peak).astype(np.int64))
    return (*moments, _moment(state, _look(sweep, state), None, memory))


# ---------------------------------------------------------------------- parts
def _look(task: FocusTask, state: TaskState) -> Image:
    return np.asarray(task.observe(state)["image"][0], dtype=np.float32)


def _moment(state: TaskState, image: Image, features: Features | None, memory: Any) -> Moment:
    return Moment(state, image, float(mean_local_norm_dist_sq(image.mean(axis=0))), features, memory)


def _of_memory(moment: Moment, name: str, default: float) -> float:
    """Return a number that the memory of a moment tells, or the default."""
    value = getattr(moment.memory, name, None)
    return default if value is None else float(np.asarray(value).ravel()[0])
