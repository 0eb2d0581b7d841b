"""Controls that several parts of the page have: with what they do said in words, and a name for tests."""

from collections.abc import Callable
from typing import Any

from nicegui import events, ui


def button(
    text: str, label: str, on_click: Any, *, name: str, icon: str = "", flat: bool = False, main: bool = False
) -> ui.button:
    """Make a button with a tooltip that is also what screen readers say; filled where it is a ``main`` one."""
    style = "unelevated" if main else "flat" if flat else "outline"
    made = ui.button(text, on_click=on_click, icon=icon or None).props(f"dense no-caps {style}")
    made.props["aria-label"] = label
    made.props["data-testid"] = name
    with made:
        ui.tooltip(label)
    return made


def number(label: str, name: str, on_change: Callable[[float], Any], **limits: float) -> ui.number:
    """Make a field for a number that is told once typing rests, and only where it is one."""

    async def told(event: events.ValueChangeEventArguments[Any]) -> None:
        if event.value is not None:
            await on_change(event.value)

    made = ui.number(label, on_change=told, **limits)  # type: ignore[arg-type]
    made.props(f"dense outlined debounce=500 data-testid={name}").classes("field")
    made.props["aria-label"] = label
    return made
