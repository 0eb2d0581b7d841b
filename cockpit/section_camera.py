"""Set the camera: presets of lens, sensor and timing, and every field of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nicegui import events, ui

from afsim.cockpit.controls import button, number
from afsim.cockpit.desk import Desk
from afsim.cockpit.presets import KINDS, Field, as_text, changed, fields_of, preset_of
from afsim.options import convert


class CameraSection:
    """Lens, sensor, timing and breathing: presets, and every field of them; lines are played again at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._controls: dict[str, dict[str, Any]] = {}
        self._presets: dict[str, ui.select] = {}
        self._built: dict[str, str] = {}
        self._places: dict[str, ui.element] = {}
        ui.label("Changes play your moves and the policies again in front of the new camera.").classes("small")
        with ui.row().classes("items-center gap-2"):
            for kind, each in KINDS.items():
                self._presets[kind] = ui.select(list(each.presets), label=kind.capitalize())
                self._presets[kind].props(f"dense outlined data-testid={kind}").classes("field wide")
                self._presets[kind].on_value_change(self._choose(kind))
            self._breathing = number("Breathing gain", "breathing", self._breathe, min=0, step=0.5)
            button("Reset", "Presets without changes", self._reset, name="reset-camera")
        self._text = ui.label().classes("small mono").props("data-testid=camera-text")
        for kind in KINDS:
            with (
                ui.expansion(f"Every field of the {kind}").classes("w-full").props(f"dense data-testid=all-{kind}")
            ):
                self._places[kind] = ui.element("div").classes("fields")

    def _choose(self, kind: str) -> Callable[[events.ValueChangeEventArguments[Any]], Any]:
        async def choose(event: events.ValueChangeEventArguments[Any]) -> None:
            if event.value != preset_of(getattr(self._desk.board.setup, kind)):
                await self._set(kind, event.value)

        return choose

    async def _set(self, kind: str, text: str) -> None:
        setup = replace(self._desk.board.setup, **{kind: text})  # type: ignore[arg-type]  # all three are str
        if not await self._desk.act(lambda: self._desk.session.change(setup)):
            self._fill()

    async def _reset(self) -> None:
        now = self._desk.board.setup
        presets = {kind: preset_of(getattr(now, kind)) for kind in KINDS}
        setup = replace(now, **presets, breathing=1.0)  # type: ignore[arg-type]  # the presets are str
        await self._desk.act(lambda: self._desk.session.change(setup))

    async def _breathe(self, value: float) -> None:
        setup = self._desk.board.setup
        if value != setup.breathing:
            new = replace(setup, breathing=float(value))
            if not await self._desk.act(lambda: self._desk.session.change(new)):
                self._fill()

    async def _change(self, kind: str, field: Field, value: Any) -> None:
        text = getattr(self._desk.board.setup, kind)
        if value is None and not field.optional:
            return
        now = {each.name: each.value for each in fields_of(kind, text)}[field.name]
        try:
            if isinstance(now, tuple) or (isinstance(now, str) and not field.choices):
                value = convert(str(value), now, f"{kind} {field.name}")
            elif value is not None and isinstance(now, int) and not isinstance(now, bool):
                value = int(value)
            if value == now:
                return
            new = changed(kind, text, field.name, value)
        except ValueError as error:
            self._desk.say(str(error), wrong=True)
            self._built.pop(kind)  # what is shown is not what is
            self._fill()
            return
        await self._set(kind, new)

    # ------------------------------------------------------------------ showing
    def refresh(self) -> None:
        """Show the present camera."""
        self._fill()

    def _fill(self) -> None:
        setup = self._desk.board.setup
        self._text.set_text(f"--lens {setup.lens} --sensor {setup.sensor} --timing {setup.timing}")
        self._breathing.set_value(setup.breathing)
        for kind in KINDS:
            text = getattr(setup, kind)
            self._presets[kind].set_value(preset_of(text))
            if self._built.get(kind) == text:
                continue
            if kind not in self._controls:
                with self._places[kind]:
                    self._controls[kind] = {each.name: self._control(kind, each) for each in fields_of(kind, text)}
            self._built[kind] = text
            for each in fields_of(kind, text):
                shown = as_text(each.value) if isinstance(each.value, tuple) else each.value
                self._controls[kind][each.name].set_value(shown)

    def _control(self, kind: str, field: Field) -> Any:
        async def told(event: events.ValueChangeEventArguments[Any]) -> None:
            await self._change(kind, field, event.value)

        label = field.name.replace("_", " ")
        made: Any
        if isinstance(field.value, bool):
            made = ui.switch(label, value=field.value, on_change=told)
        elif field.choices:
            made = ui.select(list(field.choices), label=label, value=field.value, on_change=told)
            made.props("dense outlined")
        elif isinstance(field.value, int | float) or field.optional:
            made = ui.number(label, value=field.value, on_change=told).props("dense outlined debounce=500")
        else:
            made = ui.input(label, value=as_text(field.value), on_change=told).props("dense outlined debounce=500")
        made.props["data-testid"] = f"{kind}-{field.name}"
        made.props["aria-label"] = f"{kind} {label}"
        return made.classes("field").tooltip(field.help)
