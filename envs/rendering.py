"""What the environments show: a picture of the episode so far, as an array or in a window."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded

from afsim.camera import ImageKind
from afsim.errors import AfsimError, unknown
from afsim.featuretable import FeatureTable
from afsim.measures import mean_local_norm_dist_sq
from afsim.policy import as_float
from afsim.task import FocusTask, Observation, TaskState


def check_render_mode(mode: str | None, modes: Sequence[str], table: FeatureTable | None) -> None:
    """Raise naming the modes there are, unless ``mode`` is one of them or None; a table leaves none but None."""
    if mode is not None and mode not in modes:
        raise unknown("render mode", mode, modes)
    if mode is not None and table is not None:
        raise AfsimError("an environment that plays from a table of features has no images to render")


class Trail:
    """What has been seen in the current episode of each of N lanes, as far as a picture of it needs.

    Parameters
    ----------
    task : FocusTask
        The game.
    kind : {"float32", "uint8", "uint16"}
        Of the images.
    lanes : int
        N.
    show_truth : bool
        Whether pictures show the index in focus.
    """

    def __init__(self, task: FocusTask, kind: ImageKind, lanes: int, *, show_truth: bool) -> None:
        self._task, self._kind, self._show_truth = task, kind, show_truth
        self._images: list[npt.NDArray[np.float32] | None] = [None] * lanes
        self._stacks = np.zeros(lanes, dtype=np.int64)
        self._commands: list[list[float]] = [[] for _ in range(lanes)]
        self._sharpness: list[list[float]] = [[] for _ in range(lanes)]

    def note(self, state: TaskState, observation: Observation, restarts: npt.NDArray[np.bool_]) -> None:
        """Remember an observation; the lanes of the mask ``restarts`` (N,) forget what was before."""
        images = self._normalised(observation["image"])
        sharpness = mean_local_norm_dist_sq(np.asarray(images.mean(axis=1), dtype=np.float32))
        self._stacks = state.lanes["stack"].copy()
        for lane, image in enumerate(images):
            if restarts[lane]:
                self._commands[lane], self._sharpness[lane] = [], []
            self._images[lane] = image
            self._commands[lane].append(float(state.lanes["command"][lane]))
            self._sharpness[lane].append(float(sharpness[lane]))

    def frame(self, lane: int) -> npt.NDArray[np.uint8]:
        """Return the picture (H, W, 3) of a lane."""
        from afsim.drawing import draw_episode, to_rgb  # here: matplotlib is slow to import, and rarely needed

        image = self._images[lane]
        if image is None:
            raise ResetNeeded("nothing to render: call reset() first")
        return to_rgb(
            draw_episode(
                image,
                np.array(self._commands[lane]),
                np.array(self._sharpness[lane]),
                self._task.spec.n,
                truth=float(self._task.truth[self._stacks[lane]]) if self._show_truth else None,
            )
        )

    def _normalised(self, images: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        if self._kind == "uint16":
            return self._task.camera.stacks.levels.normalize(images)
        return np.array(as_float(images))


class Window:
    """A window on the desktop; opened when something is first shown."""

    def __init__(self) -> None:
        self._shown: Any = None

    def show(self, frame: npt.NDArray[np.uint8]) -> None:
        """Show a picture (H, W, 3)."""
        from matplotlib import pyplot as plt  # here: it looks for a desktop

        with plt.ion():
            if self._shown is None:
                height, width = frame.shape[:2]
                figure = plt.figure("afsim", figsize=(width / 100, height / 100), dpi=100)
                self._shown = figure.add_axes((0.0, 0.0, 1.0, 1.0)).imshow(frame)
                self._shown.axes.set_axis_off()
            self._shown.set_data(frame)
            canvas = self._shown.figure.canvas
            canvas.draw()
            canvas.flush_events()

    def close(self) -> None:
        """Close the window; does nothing where there is none."""
        if self._shown is not None:
            from matplotlib import pyplot as plt

            plt.close(self._shown.figure)
            self._shown = None

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy a window as one that is not open."""
        return type(self), ()
