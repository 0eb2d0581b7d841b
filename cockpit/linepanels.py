"""The panels of the other lines: what each sees, its curve and belief, what it does next, how it says it stands."""

from typing import Final

import numpy as np
import numpy.typing as npt
from nicegui import ui

from afsim.cockpit import charts, words
from afsim.cockpit.board import Board
from afsim.cockpit.controls import button
from afsim.cockpit.desk import Desk
from afsim.cockpit.line import Line
from afsim.cockpit.patchview import Chart, Patch

FloatArray = npt.NDArray[np.float64]

_HEIGHT: Final = 186  # of a chart, in pixels


class LinePanel:
    """A policy's line: what it sees, its curve, its belief, what it does next, how it says that it stands."""

    def __init__(self, desk: Desk, which: int) -> None:
        self._desk, self._which = desk, which
        self._told: tuple[Line, bool] | None = None
        with ui.element("section").classes("line").props(f'aria-label="Line {which}" data-testid=line-{which}'):
            with ui.row().classes("items-center no-wrap w-full gap-1"):
                self._name = ui.label().classes("name grow").props(f"data-testid=line-{which}-name")
                button(
                    "",
                    "What would the others do from here? (fork)",
                    self._fork,
                    name=f"fork-{which}",
                    icon="call_split",
                    flat=True,
                )
                button(
                    "",
                    "Take over: go on from here by hand",
                    self._take,
                    name=f"take-{which}",
                    icon="back_hand",
                    flat=True,
                )
                button("", "Remove this line", self._remove, name=f"remove-{which}", icon="close", flat=True)
            with ui.element("div").classes("line-body"):
                self._patch = Patch(desk, f"line-{which}-image")
                self._chart = Chart(f"line-{which}-chart", _HEIGHT)
            self._stands = ui.label().classes("small").props(f"data-testid=line-{which}-stands")
            self._decides = ui.label().classes("stands").props(f"data-testid=line-{which}-decides")
            self._error = ui.label().classes("small").props(f"data-testid=line-{which}-error")

    async def _fork(self) -> None:
        names = self._desk.session.players()
        await self._desk.play_on(lambda board: board.forked(self._which, names))

    async def _take(self) -> None:
        await self._desk.play_on(lambda board: board.taken_over(self._which))

    async def _remove(self) -> None:
        await self._desk.play_on(lambda board: board.removed(self._which))

    def show(self, board: Board, line: Line, charted: bool) -> None:
        """Show a line as it stands: what it sees, and, where it is time for them, words and charts."""
        self._patch.show(line)
        if not charted or self._told == (line, board.revealed):
            return
        self._told = (line, board.revealed)
        self._name.set_text(line.name)
        self._stands.set_text(words.stands(line))
        self._decides.set_text(words.decides(line))
        self._error.set_text(words.error_words(board, line))
        belief = None if line.by_hand or not line.trace.believes else _believed(line)
        self._chart.show(charts.line_chart(board, line, _HEIGHT, belief=belief))


class LinePanels:
    """A panel for each line that is not yours."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._panels: list[LinePanel] = []
        self._place = ui.element("div").classes("lines")
        desk.parts.append(self.refresh)

    def refresh(self, charted: bool) -> None:
        """Show all lines; panels are made anew only where their number changes."""
        lines = self._desk.board.lines[1:]
        if len(lines) != len(self._panels):
            self._place.clear()
            with self._place:
                self._panels = [LinePanel(self._desk, i + 1) for i in range(len(lines))]
            charted = True
        for panel, line in zip(self._panels, lines, strict=True):
            panel.show(self._desk.board, line, charted)


def _believed(line: Line) -> FloatArray:
    """Return what a line's policy believes where it stands; empty where it does not say."""
    belief = line.trace.belief(line.step)
    return np.zeros(0) if belief is None else belief
