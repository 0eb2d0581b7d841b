"""The page: your camera, the sections beside it, the lines of the policies below; built anew for each visitor."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from nicegui import events, ui

from afsim.cockpit.board import Board
from afsim.cockpit.controls import button
from afsim.cockpit.desk import SPEEDS, Desk
from afsim.cockpit.handpanel import HandPanel
from afsim.cockpit.linepanels import LinePanels
from afsim.cockpit.section_camera import CameraSection
from afsim.cockpit.section_explain import ExplainSection
from afsim.cockpit.section_keep import KeepSection
from afsim.cockpit.section_recording import StackSection
from afsim.cockpit.section_scores import ScoreSection
from afsim.cockpit.session import Session
from afsim.cockpit.style import BLUE, CSS, GREEN, HEAD, VERMILION

KEYS: Final = {
    "← →": "move the lens by one index",
    "↓ ↑": "move the lens by five",
    "G": "go to an index: type it, Enter; Escape leaves the field",
    "U": "undo the last move",
    "D": "declare the focus",
    "R": "show the truth",
    "S, B": "step the policies, and back",
    "P": "play, or pause",
    "F": "what would the others do from here?",
    "V, Z": "next view, enlarge",
    "N": "new episode",
    "?": "this list",
}


class Section(Protocol):
    """A section of the page."""

    def refresh(self) -> None:
        """Show the session as it stands."""


_SECTIONS: Final[dict[str, Callable[[Desk], Section]]] = {
    "Recording": StackSection,
    "Camera": CameraSection,
    "Explain": ExplainSection,
    "Keep": KeepSection,
    "Scores": ScoreSection,
}


def _where_visible(place: ui.element, section: Section, charted: bool) -> None:
    """Refresh a section that can be seen, with the charts: nobody waits for it."""
    if charted and place.visible:
        section.refresh()


class Page:
    """What one visitor sees.

    Parameters
    ----------
    session : Session
        The visitor's own.
    message : str
        Shown at first: why a link could not be opened.
    """

    def __init__(self, session: Session, message: str = "") -> None:
        self._desk = desk = Desk(session)
        ui.colors(primary=BLUE, positive=GREEN, negative=VERMILION, info="#333333")
        ui.add_css(CSS)
        ui.add_head_html(HEAD)
        ui.on_exception(desk.unexpected)
        with ui.element("main"):
            with ui.element("header").classes("top"):
                ui.label("afsim cockpit").classes("title").props("role=heading aria-level=1")
                self._where = ui.label().classes("grow small").props("data-testid=where")
                self._status = ui.label().classes("status").props("role=status aria-live=polite data-testid=status")
                button("", "Keys (?)", self._help, icon="keyboard", name="help")
            desk.said = self._status.set_text
            with ui.element("div").classes("board"):
                self._hand = HandPanel(desk)
                with ui.element("aside").classes("sections"):
                    self._sections()
                self._crew()
                LinePanels(desk)
        with ui.dialog() as self._keys, ui.card():
            ui.label("Keys").classes("name")
            for key, meaning in KEYS.items():
                ui.label(f"{key}: {meaning}")
        ui.keyboard(on_key=self._key, repeating=False, ignore=["input", "textarea", "select"])
        desk.parts.append(self._refresh)
        desk.refresh()
        if message:
            desk.say(message, wrong=True)

    # ------------------------------------------------------------------ layout
    def _sections(self) -> None:
        desk = self._desk
        chosen = ui.toggle(list(_SECTIONS), value="Recording")
        chosen.props("dense no-caps unelevated spread data-testid=sections").classes("w-full")
        places: dict[str, ui.element] = {}
        for name, build in _SECTIONS.items():
            with ui.element("div").classes("section").props(f'role=region aria-label="{name}"') as places[name]:
                made = build(desk)
            desk.parts.append(partial(_where_visible, places[name], made))
            if isinstance(made, StackSection):
                self._stack = made

        def show() -> None:
            for name, place in places.items():
                place.set_visibility(name == chosen.value)
            desk.refresh()

        chosen.on_value_change(show)
        for name, place in places.items():
            place.set_visibility(name == chosen.value)

    def _crew(self) -> None:
        """Lay out the controls of all policies."""
        desk = self._desk
        with ui.element("nav").classes("crew").props('aria-label="Policies"'):
            names = list(desk.session.opened.policies)
            self._policy = ui.select(
                names, value="hybrid", with_input=True, new_value_mode="add-unique", label="Policy"
            )
            self._policy.props("dense outlined data-testid=policy").classes("policy")
            self._policy.tooltip("A name, perhaps with options: hill_climb:laplacian_energy;first_step=3")
            button(
                "Add", "Let this policy play from the start, beside the others", self._add, icon="add", name="add"
            )
            button(
                "Hand over",
                "Let this policy go on from where you are",
                self._hand_over,
                icon="smart_toy",
                name="hand-over",
            )
            button(
                "Others from here?",
                "What would the others do from where you are? (F)",
                self._fork,
                icon="call_split",
                name="fork",
            )
            ui.separator().props("vertical")
            button("Back", "Policies: one move back (B)", self._back, icon="skip_previous", name="back")
            button(
                "Step", "Policies: one move on, together (S)", self._step, icon="skip_next", name="step", main=True
            )
            self._play = button(
                "Play",
                "Policies: play at the camera's speed, or pause (P)",
                desk.toggle_play,
                icon="play_arrow",
                name="play",
                main=True,
            )
            speed = ui.select(SPEEDS, value=1.0, on_change=self._set_speed).props(
                'dense outlined aria-label="Speed" data-testid=speed'
            )
            speed.classes("field")
            self._clock = ui.label().classes("small mono").props("data-testid=clock")

    # ------------------------------------------------------------------ controls
    def _chosen(self) -> str:
        return "".join(str(self._policy.value or "").split())

    async def _add(self) -> None:
        name = self._chosen()
        await self._desk.play_on(lambda board: board.added(name))

    async def _hand_over(self) -> None:
        name = self._chosen()
        await self._desk.play_on(lambda board: board.handed_to(0, name))

    async def _fork(self) -> None:
        names = self._desk.session.players()
        await self._desk.play_on(lambda board: board.forked(0, names))

    async def _step(self) -> None:
        if self._desk.board.at_rest:
            self._desk.say("no policy has a move left: add one, or begin a new episode")
            return
        await self._desk.play_on(Board.stepped, quick=True)

    async def _back(self) -> None:
        await self._desk.play_on(Board.stepped_back, quick=True)

    def _set_speed(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._desk.speed = float(event.value)

    def _next_view(self) -> None:
        self._desk.session.next_view()
        self._desk.refresh()

    def _next_zoom(self) -> None:
        self._desk.session.next_zoom()
        self._desk.refresh()

    def _help(self) -> None:
        self._keys.open()

    async def _key(self, event: events.KeyEventArguments) -> None:
        held = event.modifiers.ctrl or event.modifiers.alt or event.modifiers.meta
        if not event.action.keydown or held or self._keys.value:
            return
        arrows = {"ArrowRight": 1, "ArrowLeft": -1, "ArrowUp": 5, "ArrowDown": -5}
        name = event.key.name
        if name in arrows:
            await self._desk.move(self._desk.index + arrows[name])
            return
        controls: dict[str, Callable[[], Any]] = {
            "u": self._hand.undo,
            "d": self._hand.declare,
            "r": self._hand.reveal,
            "s": self._step,
            "b": self._back,
            "p": self._desk.toggle_play,
            "f": self._fork,
            "v": self._next_view,
            "z": self._next_zoom,
            "n": self._stack.another,
            "?": self._help,
        }
        done = controls[name.lower()]() if name.lower() in controls else None
        if done is not None:
            await done

    # ------------------------------------------------------------------ showing
    def _refresh(self, charted: bool) -> None:
        desk, board, setup = self._desk, self._desk.board, self._desk.board.setup
        if not charted:
            return
        told = f"{board.stack_name} of {setup.stacks}, from index {setup.start}, m = {setup.steps}"
        self._where.set_text(f"{told}; lens {setup.lens}, sensor {setup.sensor}")
        self._play.set_icon("pause" if desk.playing else "play_arrow")
        self._play.set_text("Pause" if desk.playing else "Play")
        self._clock.set_text(f"{desk.clock if desk.playing else board.now():.0f} ms")
