"""What a line shows: its patch and its chart, sent to the page only where they change."""

import json

from nicegui import ui

from afsim.cockpit import charts
from afsim.cockpit.desk import Desk
from afsim.cockpit.line import Line
from afsim.cockpit.views import data_url, picture


class Patch:
    """What a camera sees, as large as its place and perhaps enlarged about its middle.

    Its first picture is part of the page. Later ones are set by a script: after a change to any element, the
    library goes through all elements of the page, which takes longer than a frame.
    """

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk = desk
        with ui.element("div").classes("patch"):
            self._image = ui.element("img")
        self._image.props["data-testid"] = name
        self._shown: tuple[object, ...] = ()
        self._zoom = 0

    def show(self, line: Line) -> None:
        """Show what the line's camera sees now; nothing is sent that is there already."""
        session, is_first = self._desk.session, not self._shown
        shown = (line.trace.moments[line.step], session.view, session.grey)
        if session.zoom != self._zoom:
            self._zoom = session.zoom
            self._image.style(f"transform: scale({session.zoom})")
        if not is_first and all(a is b for a, b in zip(shown, self._shown, strict=True)):
            return
        self._shown = shown
        index = round(float(line.trace.lanes["command"][line.step]))
        now = {
            "src": data_url(picture(line.trace.moments[line.step].image, session.view, session.grey)),
            "alt": f"{line.name}: {session.view} at index {index}, step {line.step}",
        }
        with self._image.props.suspend_updates():
            self._image.props.update(now)
        if is_first:
            self._image.update()
        else:
            self._desk.client.run_javascript(f"showPatch({self._image.id}, {json.dumps(now)})")


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
