"""Your panel: the patch, the lens and its controls, what was seen, what may be believed; in the end the truth."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from nicegui import events, ui

from afsim.cockpit import charts, words
from afsim.cockpit.board import Board
from afsim.cockpit.controls import button
from afsim.cockpit.desk import Desk
from afsim.cockpit.line import Line
from afsim.cockpit.patchview import Chart, Patch
from afsim.cockpit.session import advice
from afsim.cockpit.views import disparity_of
from afsim.patch_disparity import PatchDisparity
from afsim.stack import Image

FloatArray = npt.NDArray[np.float64]

_HEIGHT: Final = 272  # of the chart, in pixels


class HandPanel:
    """Your line: the patch, the lens, what was seen, what may be believed; in the end the truth."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._told: tuple[object, ...] = ()
        self._measured: dict[int, tuple[Image, PatchDisparity | None]] = {}
        with ui.element("section").classes("hand").props('aria-label="Your camera"'):
            with ui.element("div").classes("hand-eye"):
                self._patch = Patch(desk, "hand-image")
                with ui.row().classes("items-center no-wrap w-full gap-1"):
                    self._view = ui.select(list(desk.session.views), value=desk.session.view, on_change=self._look)
                    self._view.props('dense outlined aria-label="View" data-testid=view').classes("grow")
                    self._zoom = button(
                        "", "Enlarge about the middle (Z)", self._enlarge, name="zoom", icon="search"
                    )
            with ui.element("div").classes("hand-lens"):
                with ui.row().classes("items-center no-wrap w-full gap-2"):
                    ui.label("far").classes("small")
                    self._slider = ui.slider(min=0, max=1, step=1).props("label tabindex=-1")
                    self._slider.props["aria-label"] = "Lens: drag, and it moves on release"
                    self._slider.props["data-testid"] = "lens-slider"
                    self._slider.on("change", self._slid)
                    ui.label("near").classes("small")
                with ui.row().classes("items-center gap-1"):
                    for text, by, key in (("−5", -5, "↓"), ("−1", -1, "←"), ("+1", 1, "→"), ("+5", 5, "↑")):
                        button(text, f"Move the lens by {text} ({key})", self._by(by), name=f"move{by:+d}")
                    self._goto = ui.number(min=0, precision=0, placeholder="index").props(
                        'dense outlined aria-label="Go to index (G)" data-testid=goto'
                    )
                    self._goto.classes("goto").on("keydown.enter", self._go)
                    button("Go", "Go to this index (Enter)", self._go, name="go")
                    button("Undo", "Take the last move back (U)", self.undo, icon="undo", name="undo")
                    button(
                        "Declare",
                        "Declare that the focus is here (D)",
                        self.declare,
                        icon="flag",
                        name="declare",
                        main=True,
                    )
                    button(
                        "Show truth",
                        "Show the truth; your line is then not scored if it has not ended (R)",
                        self.reveal,
                        icon="visibility",
                        name="reveal",
                    )
                self._status = ui.label().classes("stands").props("data-testid=hand-status")
                self._result = ui.label().classes("stands").props("data-testid=hand-result")
                self._disparity = ui.label().classes("small").props("data-testid=hand-disparity")
                self._advice = ui.label().classes("small advice").props("data-testid=hand-advice")
            with ui.element("div").classes("hand-chart"):
                self._chart = Chart("hand-chart", _HEIGHT)
        desk.parts.append(self.refresh)

    # ------------------------------------------------------------------ controls
    def _by(self, indices: int) -> Any:
        async def moves() -> None:
            await self._desk.move(self._desk.index + indices)

        return moves

    async def _slid(self, event: events.GenericEventArguments) -> None:
        await self._desk.move(int(event.args))
        self._slider.set_value(self._desk.index)

    async def _go(self) -> None:
        if self._goto.value is None:
            self._desk.say("type an index to go to")
            return
        if not 0 <= self._goto.value <= self._desk.board.task.spec.n - 1:
            last = self._desk.board.task.spec.n - 1
            self._desk.say(f"there is no index {self._goto.value:g}; expected 0 ... {last}", wrong=True)
            return
        await self._desk.move(int(self._goto.value))
        self._goto.set_value(None)

    async def undo(self) -> None:
        """Take the last move back."""
        await self._desk.play_on(Board.back, quick=True)

    async def declare(self) -> None:
        """Declare the focus."""
        await self._desk.move(None)

    async def reveal(self) -> None:
        """Show the truth."""
        await self._desk.play_on(Board.shown)

    def _look(self, event: events.ValueChangeEventArguments[Any]) -> None:
        if event.value != self._desk.session.view:
            self._desk.session.view = event.value
            self._desk.refresh()

    def _enlarge(self) -> None:
        self._desk.session.next_zoom()
        self._desk.refresh()

    # ------------------------------------------------------------------ showing
    def refresh(self, charted: bool) -> None:
        """Show your line as it stands: what it sees, and, where it is time for them, words and charts."""
        board, session = self._desk.board, self._desk.session
        self._patch.show(board.yours)
        now = (board.yours, board.revealed, board.undone, session.view, session.zoom)
        if not charted or now == self._told:
            return
        self._told = now
        self._tell(board)
        self._draw(board)
        if board.yours.by_hand and not board.yours.over:
            self._desk.later(lambda: advice(board), lambda found: self._advise(board, found))

    def _tell(self, board: Board) -> None:
        session, line, last = self._desk.session, board.yours, board.task.spec.n - 1
        if self._slider.props["max"] != last:
            self._slider.props["max"] = last
        self._slider.set_value(self._desk.index)
        if list(self._view.options) != list(session.views):
            self._view.set_options(list(session.views), value=session.view)
        self._view.set_value(session.view)
        self._zoom.set_text(f"×{session.zoom}")
        undone = f" · {board.undone} undone" if board.undone else ""
        self._status.set_text(f"{line.name}: {words.stands(line)}{undone} · {words.decides(line)}")
        self._result.set_text(words.error_words(board, line))
        found = disparity_of(board.task, line.trace.moments[line.step].image)
        self._disparity.set_text(words.disparity_words(found))
        self._advice.set_text("")

    def _advise(self, board: Board, found: Any) -> None:
        """Show what a Bayesian policy believes, unless the line has gone on since."""
        if board.yours is not self._desk.board.yours:
            return
        if found is None:
            self._advice.set_text("belief: none for these stacks")
            return
        belief, command = found
        most = int(belief.argmax())
        self._advice.set_text(
            f"belief (bayesian shown the same): {most} likeliest ({belief[most]:.2f}); it would go to {command:d}"
        )
        self._draw(self._desk.board, belief)

    def _draw(self, board: Board, belief: FloatArray | None = None) -> None:
        line = board.yours
        if not line.by_hand:
            belief = line.trace.belief(line.step)
        shown = np.zeros(0) if belief is None else belief
        disparity = self._disparities(line) if board.task.spec.views == 2 else None
        self._chart.show(charts.line_chart(board, line, _HEIGHT, belief=shown, disparity=disparity))

    def _disparities(self, line: Line) -> list[list[float]]:
        """Return the disparity at each index seen; each slice is measured once."""
        seen = {}
        for step, lane in enumerate(line.trace.lanes[: line.step + 1]):
            moment = line.trace.moments[step]
            if step not in self._measured or self._measured[step][0] is not moment.image:
                self._measured[step] = (moment.image, disparity_of(line.trace.task, moment.image))
            found = self._measured[step][1]
            if found is not None and not math.isnan(found.shift):
                seen[round(float(lane["command"]))] = round(float(found.shift), 2)
        return [[float(k), shift] for k, shift in sorted(seen.items())]
