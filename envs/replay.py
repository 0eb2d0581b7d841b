"""What the single and the vector environment share: N seeded games of a task."""

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar, get_args

import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded

from afsim.camera import AnyImage, ImageKind
from afsim.checks import check_number
from afsim.errors import AfsimError, unknown
from afsim.featuretable import FeatureTable
from afsim.keys import Keys, Purpose, derive
from afsim.task import FocusTask, Lanes, Observation, TaskState

Mask = npt.NDArray[np.bool_]
T = TypeVar("T")

_IMAGE_KINDS: Final = get_args(ImageKind)
_OPTIONS: Final = ("stack", "start")

# The last observation, the next one, and two for whoever looks back: more are rarely dropped in time.
_POOLED: Final = 4


class BufferPool:
    """Arrays of one shape, used again once nobody else holds them; so what is handed out is the holder's to keep.

    Fresh memory costs more than the image written to it: the system clears it page by page.
    """

    def __init__(self, shape: tuple[int, ...], dtype: ImageKind) -> None:
        self._shape, self._dtype = shape, dtype
        self._buffers: deque[AnyImage] = deque(maxlen=_POOLED)

    def take(self) -> AnyImage:
        """Return an array that nobody else holds; a view of an array counts as holding it."""
        for buffer, holders in zip(self._buffers, _holders(self._buffers), strict=True):
            if holders == _UNHELD:
                return buffer
        self._buffers.append(np.empty(self._shape, self._dtype))
        return self._buffers[-1]

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy a pool without its arrays."""
        return type(self), (self._shape, self._dtype)


def _holders(buffers: deque[AnyImage]) -> list[int]:
    return [sys.getrefcount(buffer) for buffer in buffers]


# What the interpreter counts for an array in the pool alone; versions differ in it.
_UNHELD: Final = _holders(deque([np.empty(0)]))[0]


class Replay:
    """N games of one task, each lane with its own seed; the environments are shells over it.

    Episode e of a lane has the key ``derive(base, e, EPISODE)``, its base key is drawn from the lane's generator
    when it is seeded. So a lane plays the same whatever the other lanes do, in whatever order they end.

    Parameters
    ----------
    task : FocusTask
        The game.
    lanes : int
        How many are played at once.
    kind : {"float32", "uint8", "uint16"}
        Of the images (see :meth:`afsim.camera.Camera.capture`).
    table : FeatureTable, optional
        Of the task's stacks: features are then seen in place of images.
    time_limit_ms : float, optional
        A game that has used so many milliseconds is broken off: it has ended, but not by its own rules.

    Raises
    ------
    AfsimError
        For no lanes, a table of other stacks, or a limit that is not above 0 or that nobody could tell, the focus
        distances being unknown.
    """

    def __init__(
        self,
        task: FocusTask,
        lanes: int,
        kind: ImageKind,
        *,
        table: FeatureTable | None = None,
        time_limit_ms: float | None = None,
    ) -> None:
        if lanes < 1:
            raise AfsimError(f"num_envs must be at least 1, got {lanes}")
        if time_limit_ms is not None:
            check_number("time_limit_ms", time_limit_ms, above=0.0)
            if task.spec.diopters is None:
                raise AfsimError("time_limit_ms needs the focus distances of the stacks, which these do not tell")
        wanted = (len(task.camera.stacks), task.spec.n)
        if table is not None and table.values.shape[:2] != wanted:
            raise AfsimError(f"the table is of {table.values.shape[:2]} stacks and slices, expected {wanted}")
        self._limit_ms, self._table = time_limit_ms, table
        self._late = np.zeros(lanes, dtype=np.bool_)
        self.task, self.lanes, self.kind = task, lanes, kind
        self.keyed = np.zeros(lanes, dtype=np.bool_)
        self._base = np.zeros(lanes, dtype=np.uint64)
        self._episode = np.zeros(lanes, dtype=np.int64)
        self._state: TaskState | None = None
        spec = task.spec
        self._pool = BufferPool((lanes, spec.views, spec.height, spec.width), kind)

    @property
    def state(self) -> TaskState:
        """The games as they stand; before the first reset there are none, and it raises."""
        if self._state is None:
            raise ResetNeeded("no episode has begun: call reset() first")
        return self._state

    @property
    def done(self) -> Mask:
        """Mask (N,) of the games that have ended, by their rules or broken off; a new array."""
        return np.array(self.state.lanes["done"])

    @property
    def truncated(self) -> Mask:
        """Mask (N,) of the games that the time limit has broken off; a new array."""
        return self._late.copy()

    def rekey(self, lane: int, generator: np.random.Generator) -> None:
        """Draw the base key of a lane; its next episode is number 0."""
        self._base[lane] = generator.integers(2**64, dtype=np.uint64)
        self._episode[lane] = 0
        self.keyed[lane] = True

    def begin(self, which: Mask, options: Mapping[str, Any] | None = None) -> None:
        """Begin the next episode of the lanes of a mask (N,).

        ``options`` may hold ``stack`` (position or name) and ``start`` (index): one for all lanes, or N of them.
        """
        chosen = {name: values[which] for name, values in self._chosen(options or {}).items()}
        fresh = self.task.reset(self._keys(which), stack=chosen.get("stack"), start=chosen.get("start"))
        if which.all():
            self._state = fresh
        else:
            lanes, lens = self.state.lanes.copy(), self.state.lens.copy()
            lanes[which], lens[which] = fresh.lanes, fresh.lens
            self._state = TaskState(lanes, lens)
        self._episode[which] += 1
        self._late[which] = False

    def play(self, actions: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        """Play one step in every game that has not ended and return the rewards (N,)."""
        self._state, rewards = self.task.step(self.state, actions)
        if self._limit_ms is not None:
            lanes = self._state.lanes
            late = ~lanes["done"] & (lanes["time_ms"] >= self._limit_ms)
            self._late |= late
            lanes["done"] |= late
        return rewards

    def observe(self) -> Observation:
        """Return what is seen of all lanes; the caller may keep it."""
        return self._seen(self.state)

    def observe_some(self, which: Mask) -> Observation:
        """Return what is seen of the lanes of a mask, in their order; the caller may keep it."""
        return self._seen(TaskState(self.state.lanes[which], self.state.lens[which]))

    def info(self) -> Lanes:
        """Return the truth of all lanes (see :meth:`afsim.task.FocusTask.info`)."""
        return self.task.info(self.state)

    def _seen(self, state: TaskState) -> Observation:
        if self._table is not None:
            lanes = state.lanes
            features = self._table.at(lanes["stack"], lanes["position"], lanes["command"])
            return {"features": features, **self.task.describe(state)}
        return self.task.observe(state, kind=self.kind, out=self._pool.take()[: len(state.lanes)])

    def _keys(self, which: Mask) -> Keys:
        return derive(self._base[which], self._episode[which], Purpose.EPISODE)

    def _chosen(self, options: Mapping[str, Any]) -> dict[str, npt.NDArray[np.generic]]:
        for name in options:
            if name not in _OPTIONS:
                raise unknown("reset option", name, _OPTIONS)
        chosen: dict[str, npt.NDArray[np.generic]] = {}
        for name, value in options.items():
            if value is None:
                continue
            numbers = np.asarray(self._positions(value) if name == "stack" else value)
            if numbers.shape not in ((), (self.lanes,)):
                raise AfsimError(
                    f"reset option {name!r} must be one value or {self.lanes}, one a lane; "
                    f"got shape {numbers.shape}"
                )
            chosen[name] = np.broadcast_to(numbers, (self.lanes,))
        return chosen

    def _positions(self, value: Any) -> Any:
        """Return positions for the names of stacks, one or several; what is no name stays."""
        if isinstance(value, str):
            names = self.task.camera.stacks.names
            if value not in names:
                raise unknown("stack", value, names[:20])
            return names.index(value)
        if isinstance(value, Sequence) or (isinstance(value, np.ndarray) and value.dtype.kind in "UO"):
            return [self._positions(one) for one in value]
        return value
