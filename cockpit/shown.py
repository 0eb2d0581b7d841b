"""What a line shows: its patch and its chart, sent to the page only where they change."""

import json

from nicegui import ui

from afsim.cockpit import charts
from afsim.cockpit.desk import Desk
from afsim.cockpit.line import Line
from afsim.cockpit.views import data_url, picture


class Patch:
    """What a camera sees, as large as its place and perhaps enlarged about its middle."""

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk = desk
        with ui.element("div").classes("patch"):
            self._image = ui.element("img")
        self._image.props["data-testid"] = name
        self._shown: tuple[object, ...] = ()

    def show(self, line: Line) -> None:
        """Show what the line's camera sees now; nothing is sent that is there already."""
        session = self._desk.session
        shown = (line.trace.moments[line.step], session.view, session.zoom, session.grey)
        if len(self._shown) == len(shown) and all(a is b for a, b in zip(shown, self._shown, strict=True)):
            return
        self._shown = shown
        image = line.trace.moments[line.step].image
        index = round(float(line.trace.lanes["command"][line.step]))
        with self._image.props.suspend_updates():
            self._image.props["src"] = data_url(picture(image, session.view, session.grey))
            self._image.props["alt"] = f"{line.name}: {session.view} at index {index}, step {line.step}"
            self._image.props["data-step"] = line.step
        self._image.style(f"transform: scale({session.zoom})")
        self._image.update()


class Chart:
    """A chart that is sent only where it changes."""

    def __init__(self, name: str, height: int) -> None:
        self._chart = ui.echart({"series": []}, renderer="svg").classes("w-full").style(f"height: {height}px")
        self._chart.props["data-testid"] = name
        self._sent = ""

    def show(self, options: charts.Options) -> None:
        """Show these options."""
        sent = json.dumps(options)
        if sent == self._sent:
            return
        self._sent = sent
        self._chart.options.clear()
        self._chart.options.update(options)
        self._chart.update()
