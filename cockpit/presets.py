"""Presets with changes, field by field: what the page needs to show every imperfection as a control."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args, get_origin

from afsim.lens import LENSES, make_lens
from afsim.sensor import SENSORS, make_sensor
from afsim.taskspec import TIMINGS, make_timing


@dataclass(frozen=True)
class Kind:
    """Something of which there are presets.

    Attributes
    ----------
    presets : mapping
        By name.
    make : callable
        Returns one from its text.
    """

    presets: Mapping[str, Any]
    make: Callable[[str], Any]


KINDS: Final = {
    "lens": Kind(LENSES, make_lens),
    "sensor": Kind(SENSORS, make_sensor),
    "timing": Kind(TIMINGS, make_timing),
}
"""What a camera is made of."""


@dataclass(frozen=True)
class Field:
    """One field of a preset.

    Attributes
    ----------
    name : str
        Of the field.
    value
        As it is now.
    choices : tuple of str
        What it may be, where these are few; otherwise empty.
    optional : bool
        Whether it may be nothing.
    help : str
        What it means, from the documentation of its class.
    """

    name: str
    value: Any
    choices: tuple[str, ...]
    optional: bool
    help: str


def preset_of(text: str) -> str:
    """Return the name of the preset that a text begins with."""
    return text.partition(",")[0].strip()


def fields_of(kind: str, text: str) -> list[Field]:
    """Return the fields of a preset with its changes, in the order of its class."""
    made = KINDS[kind].make(text)
    told = _attributes(type(made))
    found = []
    for each in fields(made):
        if each.name == "name":
            continue
        choices = get_args(each.type) if get_origin(each.type) is Literal else ()
        optional = type(None) in get_args(each.type)
        found.append(Field(each.name, getattr(made, each.name), choices, optional, told.get(each.name, "")))
    return found


def changed(kind: str, text: str, field: str, value: Any) -> str:
    """Return the text of a preset with one field changed; one that is as in the preset is left out.

    Raises
    ------
    AfsimError
        For a value that does not fit.
    """
    name, *changes = text.split(",")
    kept = [change for change in changes if change.partition("=")[0].strip() != field]
    if value != getattr(KINDS[kind].presets[name.strip()], field):
        kept.append(f"{field}={as_text(value)}")
    new = ",".join([name, *kept])
    KINDS[kind].make(new)
    return new


def as_text(value: Any) -> str:
    """Return a value of a field as :func:`afsim.options.from_text` reads it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "none"
    return ":".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _attributes(kind: type) -> dict[str, str]:
    """Return what a class's documentation says of each attribute."""
    section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes\n")[2].partition("\nRaises")[0]
    told: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines()[1:]:
        heading = re.match(r"([\w, ]+) : ", line)
        if heading:
            names = [name.strip() for name in heading[1].split(",")]
        elif line.strip():
            for name in names:
                told[name] = f"{told.get(name, '')} {line.strip()}".strip()
    return told
