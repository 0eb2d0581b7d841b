"""Explain: why a line moves, where its policy ends from every start, and the filmstrip."""

import base64
from dataclasses import replace
from typing import Any, Final

from nicegui import events, ui

from afsim.cockpit import charts, words
from afsim.cockpit.controls import button
from afsim.cockpit.desk import Desk
from afsim.cockpit.exporting import export
from afsim.cockpit.setup import Setup
from afsim.cockpit.startmap import StartMap, map_words, start_map

_HEIGHT: Final = 330  # of the map, in pixels


class ExplainSection:
    """Why a line moves, where its policy ends from every start, and the filmstrip."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._map: tuple[Setup, StartMap] | None = None
        with ui.row().classes("items-center gap-2 w-full"):
            self._which = ui.select({0: "you"}, value=0, label="Line", on_change=lambda: self._tell())
            self._which.props("dense outlined data-testid=explained").classes("grow")
            button(
                "Map of starts",
                "Where does this policy end, from every start?",
                self._ask_map,
                icon="grid_on",
                name="map",
            )
            button("Filmstrip", "The lines so far, a column a step", self._ask_strip, icon="theaters", name="strip")
        self._why = ui.element("ul").classes("why").props("data-testid=why")
        self._words = ui.label().classes("small").props("data-testid=map-words")
        self._place = ui.element("div").classes("w-full")
        with ui.dialog() as self._shown, ui.card().style("max-width: 96vw"):
            self._strip = ui.element("img").classes("strip")
            button("Close", "Close the filmstrip (Escape)", self._shown.close, name="close-strip")
        self._strip.props["alt"], self._strip.props["data-testid"] = "Filmstrip of the lines", "filmstrip"

    def refresh(self) -> None:
        """Show the lines that there are, and why the chosen one moves."""
        names = {i: f"{i}: {line.name}" for i, line in enumerate(self._desk.board.lines)}
        if names != self._which.options:
            kept = self._which.value if self._which.value in names else 0
            self._which.set_options(names, value=kept)
        self._tell()
        if self._map is not None and self._map[0] != self._desk.board.setup:
            self._map = None
            self._words.set_text("")
            self._place.clear()

    def _tell(self) -> None:
        which = self._which.value or 0
        self._why.clear()
        with self._why:
            for sentence in words.why(self._desk.board.lines[which]):
                with ui.element("li"):
                    ui.label(sentence)

    async def _ask_map(self) -> None:
        line, board = self._desk.board.lines[self._which.value or 0], self._desk.board
        if line.by_hand:
            self._desk.say("choose a line that a policy plays: a hand cannot start everywhere")
            return
        if not board.revealed:
            self._desk.say("the map shows the truth: end your episode first, or show the truth")
            return
        self._words.set_text(f"{line.player} plays every start ...")
        found = await self._desk.compute(lambda: start_map(board, line.player))
        if not isinstance(found, StartMap):
            self._words.set_text("")
            return
        self._map = (board.setup, found)
        self._words.set_text(f"{map_words(found)}. Choose a point to begin there.")
        self._place.clear()
        options = charts.map_chart(
            found, float(board.task.truth[board.setup.stack]), board.task.spec.n, board.setup.start, _HEIGHT
        )
        with self._place:
            chart = ui.echart(options, renderer="svg", on_point_click=self._begin).style(f"height: {_HEIGHT}px")
            chart.props["data-testid"] = "start-map"

    async def _begin(self, event: events.EChartPointClickEventArguments) -> None:
        point: Any = event.value  # [start, end]
        start = int(point[0])
        setup = replace(self._desk.board.setup, start=start)
        await self._desk.act(lambda: self._desk.session.begin(setup))

    async def _ask_strip(self) -> None:
        board, state = self._desk.board, self._desk.session.state
        found = await self._desk.compute(lambda: export(board, state, "png")[1])
        if isinstance(found, bytes):
            self._strip.props["src"] = "data:image/png;base64," + base64.b64encode(found).decode("ascii")
            self._shown.open()
