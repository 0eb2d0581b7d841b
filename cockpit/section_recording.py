"""Choose a recording, where its episode starts, and how many steps it has."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from nicegui import events, ui

from afsim.cockpit.catalogue import TRAITS, Catalogue
from afsim.cockpit.controls import button, number
from afsim.cockpit.desk import Desk

_THUMBNAILS: Final = 12
_ANY: Final = "any"


class StackSection:
    """Which recording, from where, with how many steps."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._catalogue: tuple[str, Catalogue] | None = None
        with ui.row().classes("items-center gap-2 w-full"):
            self._set = ui.select(list(desk.session.opened.sets), label="Set", on_change=self._choose_set)
            self._set.props("dense outlined data-testid=set").classes("grow")
            button("New episode", "Draw another recording and start (N)", self.another, icon="casino", name="new")
        with ui.row().classes("items-center gap-2"):
            self._start = number("Start index", "start", self._change("start"), min=0, precision=0)
            self._steps = number("Steps m", "steps", self._change("steps"), min=1, max=1000, precision=0)
            self._seed = number("Seed", "seed", self._change("seed"), min=0, precision=0)
        with ui.row().classes("items-center gap-2 w-full"):
            self._scene = ui.input("Scene or name", on_change=self._filter)
            self._scene.props("dense outlined clearable debounce=300 data-testid=scene").classes("filter grow")
            self._traits = {
                trait: ui.select([_ANY, *each.thirds], value=_ANY, label=trait.capitalize(), on_change=self._filter)
                .props(f"dense outlined data-testid={trait}")
                .classes("filter")
                .tooltip(f"Thirds of the set by {each.meaning}")
                for trait, each in TRAITS.items()
            }
        self._found = ui.label().classes("small").props("data-testid=found")
        self._grid = ui.element("div").classes("thumbnails")
        self._pages = ui.pagination(1, 1, on_change=lambda: self._show()).props("dense max-pages=7")

    # ------------------------------------------------------------------ choosing
    async def another(self) -> None:
        """Begin an episode that the next seed draws."""
        await self._desk.act(self._desk.session.draw_another)

    def _change(self, field: str) -> Callable[[float], Any]:
        async def change(value: float) -> None:
            setup = self._desk.board.setup
            if int(value) == getattr(setup, field):
                return
            new = replace(setup, **{field: int(value)})  # type: ignore[arg-type]  # all three are int
            session = self._desk.session
            done = await self._desk.act(lambda: session.change(new) if field == "steps" else session.begin(new))
            if not done:
                self._fill()

        return change

    async def _choose_set(self, event: events.ValueChangeEventArguments[Any]) -> None:
        setup = self._desk.board.setup
        if event.value == setup.stacks:
            return
        self._desk.say(f"opening {event.value} ...")
        new = replace(setup, stacks=event.value, stack=0, start=0)
        if not await self._desk.act(lambda: self._desk.session.begin(new)):
            self._fill()

    async def _choose_stack(self, stack: int) -> None:
        new = replace(self._desk.board.setup, stack=stack)
        await self._desk.act(lambda: self._desk.session.begin(new))

    # ------------------------------------------------------------------ showing
    def refresh(self) -> None:
        """Show the present choice, and look at a set's stacks once it is chosen."""
        self._fill()
        name = self._desk.board.setup.stacks
        if self._catalogue is None or self._catalogue[0] != name:
            opened = self._desk.session.opened
            self._desk.later(lambda: opened.catalogue(name), lambda found: self._looked(name, found))

    def _fill(self) -> None:
        setup = self._desk.board.setup
        self._set.set_value(setup.stacks)
        for field, value in ((self._start, setup.start), (self._steps, setup.steps), (self._seed, setup.seed)):
            field.set_value(value)

    def _looked(self, name: str, found: object) -> None:
        known = self._catalogue is not None and self._catalogue[0] == name
        if isinstance(found, Catalogue) and name == self._desk.board.setup.stacks and not known:
            self._catalogue = (name, found)
            self._filter()

    def _filter(self) -> None:
        self._pages.set_value(1)
        self._show()

    def _show(self) -> None:
        if self._catalogue is None:
            return
        catalogue = self._catalogue[1]
        thirds = {name: "" if each.value == _ANY else str(each.value) for name, each in self._traits.items()}
        try:
            chosen = catalogue.chosen(self._scene.value or "", **thirds)
        except ValueError as error:
            self._found.set_text(str(error))
            return
        self._found.set_text(f"{len(chosen)} of {len(catalogue.names)} recordings; choose one to play it")
        self._pages.max = max(1, -(-len(chosen) // _THUMBNAILS))
        first = (self._pages.value - 1) * _THUMBNAILS
        self._grid.clear()
        with self._grid:
            for stack in chosen[first : first + _THUMBNAILS]:
                self._thumbnail(catalogue, stack)

    def _thumbnail(self, catalogue: Catalogue, stack: int) -> None:
        async def choose() -> None:
            await self._choose_stack(stack)

        name = catalogue.names[stack]
        with ui.element("button").classes("thumbnail").on("click", choose) as made:
            picture = ui.element("img")
            picture.props["src"], picture.props["alt"] = catalogue.thumbnail(stack), ""
            ui.label(name)
        made.props["aria-label"] = f"Play {name}, scene {catalogue.scenes[stack]}"
        made.props["data-testid"] = f"stack-{stack}"
