"""Keep: save, load, export, and the link."""

from collections.abc import Callable
from typing import Any, Final

from nicegui import events, ui

from afsim.cockpit.controls import button
from afsim.cockpit.desk import Desk
from afsim.cockpit.episodefile import MOST_BYTES
from afsim.cockpit.exporting import export
from afsim.cockpit.link import query_of

_FILES: Final = (
    ("json", "Save", "Save the episode as a small file that replays bit for bit"),
    ("png", "PNG", "The filmstrip"),
    ("gif", "GIF", "A film, a frame a step"),
    ("mp4", "MP4", "A film, a frame a step"),
    ("csv", "CSV", "Every step of every line, as numbers"),
)
# Browsers have a clipboard only for pages of this machine, or encrypted ones.
_COPY: Final = "navigator.clipboard?.writeText(location.href).then(() => true, () => false) ?? false"


class KeepSection:
    """Save, load, export, link."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        with ui.row().classes("items-center gap-2"):
            for kind, text, label in _FILES:
                button(text, label, self._export(kind), icon="download", name=f"save-{kind}")
        ui.label("Load a saved episode:").classes("small")
        self._upload = ui.upload(
            auto_upload=True, max_file_size=MOST_BYTES, on_upload=self._load, on_rejected=self._rejected
        )
        self._upload.props('accept=".json" flat bordered aria-label="Load a saved episode" data-testid=load')
        ui.label("This link carries the whole state of the page:").classes("small")
        with ui.row().classes("items-center no-wrap w-full gap-2"):
            self._link = ui.input().props('readonly dense outlined aria-label="Link" data-testid=link')
            self._link.classes("grow")
            button("Copy", "Copy the link", self._copy, icon="content_copy", name="copy")

    def _export(self, kind: str) -> Callable[[], Any]:
        async def hand_out() -> None:
            board, state = self._desk.board, self._desk.session.state
            if kind in ("gif", "mp4", "png"):
                self._desk.say(f"drawing the {kind.upper()} ...")
            found = await self._desk.compute(lambda: export(board, state, kind))
            if isinstance(found, tuple):
                ui.download.content(found[1], found[0])

        return hand_out

    async def _load(self, event: events.UploadEventArguments) -> None:
        content = await event.file.read()
        notes: list[str] = []
        done = await self._desk.act(lambda: notes.append(self._desk.session.load_file(event.file.name, content)))
        self._upload.reset()
        if done:
            self._desk.say(notes[0] or "loaded: it replays bit for bit", wrong=bool(notes[0]))

    def _rejected(self) -> None:
        self._desk.say(
            f"that file is no saved episode: expected a .json of at most {MOST_BYTES:,} bytes", wrong=True
        )

    async def _copy(self) -> None:
        try:
            copied = await ui.run_javascript(_COPY, timeout=3.0)
        except TimeoutError:
            copied = False
        self._desk.say(
            "link copied" if copied else "this browser copies nothing from here: take the page's address"
        )

    def refresh(self) -> None:
        """Show the link of the page as it stands."""
        self._link.set_value(f"?{query_of(self._desk.session.state)}")
