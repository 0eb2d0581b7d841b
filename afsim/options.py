"""Presets with changes, as text: ``worn_warm,hysteresis=0``. One form for Python, the command line and records."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, replace
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from afsim.errors import AfsimError, unknown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")

_SWITCH = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}


def from_text(text: str, presets: Mapping[str, T], what: str) -> T:
    """Return the preset that ``text`` names, with the changes that follow it after commas.

    Parameters
    ----------
    text : str
        ``NAME`` or ``NAME,FIELD=VALUE,...``, each field at most once. Numbers are written as in Python, switches
        as on/off, true/false or 1/0, pairs with a colon between; ``none`` is nothing, where a field may be that.
    presets : mapping of str to frozen dataclass
        By name.
    what : str
        For messages: ``"lens"``.

    Raises
    ------
    AfsimError
        Naming the preset, the field or the value, and what was expected.
    """
    name, *changes = (part.strip() for part in text.split(","))
    if name not in presets:
        raise unknown(f"{what} preset", name, presets)
    preset: Any = presets[name]
    known = {each.name: each.type for each in fields(preset) if each.name != "name"}
    values: dict[str, Any] = {}
    for change in changes:
        field, equals, value = (part.strip() for part in change.partition("="))
        if field not in known:
            raise unknown(f"{what} option", field, known)
        if not equals:
            raise AfsimError(f"{what} option {field!r}: expected {field}=VALUE, got {change!r}")
        where = f"{what} option {field!r}"
        if field in values:
            raise AfsimError(f"{where}: expected once, got it twice in {text!r}")
        may_be_none = NoneType in get_args(known[field])
        values[field] = (
            None if may_be_none and value.lower() == "none" else convert(value, getattr(preset, field), where)
        )
    if values and any(each.name == "name" for each in fields(preset)):
        values["name"] = ",".join((name, *changes))
    changed: T = replace(preset, **values)
    return changed


def convert(text: str, like: Any, where: str) -> Any:
    """Return ``text`` as a value of the type that ``like`` has: a switch, number, text, or pair of them.

    Parameters
    ----------
    text : str
        Numbers as in Python, switches as on/off, true/false or 1/0, the parts of a tuple with colons between.
    like
        A value of the wanted type; None for a float.
    where : str
        What the value is, for messages.

    Raises
    ------
    AfsimError
        For a text that is no such value.
    """
    if isinstance(like, bool):
        if text.lower() not in _SWITCH:
            raise AfsimError(f"{where}: expected on or off, got {text!r}")
        return _SWITCH[text.lower()]
    if isinstance(like, str):
        return text
    if like is None:
        like = 0.0
    if isinstance(like, tuple):
        parts = text.split(":")
        if len(parts) != len(like):
            raise AfsimError(f"{where}: expected {len(like)} values with colons between, got {text!r}")
        return tuple(convert(part, one, where) for part, one in zip(parts, like, strict=True))
    try:
        return type(like)(text)
    except ValueError:
        kind = "a whole number" if isinstance(like, int) else "a number"
        raise AfsimError(f"{where}: expected {kind}, got {text!r}") from None


def command_line(command: str, config: "DataclassInstance", positional: Sequence[str] = ()) -> str:
    """Return the shell command ``afsim COMMAND ...`` that repeats a run.

    It has the options that are required or differ from the defaults, in the configuration's order, ``quiet`` left
    out. Of absolute paths only the last name is told, so that the same run reads the same wherever its folders
    lie. Values of a tuple are words of their own; False is ``--no-OPTION``; None, which is no word, is left out.

    Parameters
    ----------
    command : str
        The words after ``afsim``: ``"study table1"``.
    config : dataclass
        Its options.
    positional : sequence of str
        Those that are words of their own, without a name.
    """
    words = ["afsim", *command.split()]
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name == "quiet" or value is None or value == _default(field):
            continue
        option = field.name.replace("_", "-")
        if field.name in positional:
            words.append(_word(value))
        elif isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", *map(_word, value if isinstance(value, tuple) else (value,))]
    return shlex.join(words)


def _default(field: Field[Any]) -> object:
    """Return an option's default; MISSING, which equals no value, where it is required."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def _word(value: object) -> str:
    """Return a value as it is typed."""
    return value.name if isinstance(value, Path) and value.is_absolute() else str(value)


def fold(words: Sequence[str], defaults: Mapping[str, str]) -> list[str]:
    """Return the words of a command line with ``--lens.hysteresis 0`` folded into ``--lens PRESET,hysteresis=0``.

    Parameters
    ----------
    words : sequence of str
        As typed.
    defaults : mapping of str to str
        The options that name a preset, and the preset where none is given.

    Raises
    ------
    AfsimError
        For a change without a value.
    """
    presets, changes = dict(defaults), {name: list[str]() for name in defaults}
    given, rest = set[str](), list[str]()
    queue = list(words)
    while queue:
        word, equals, value = queue.pop(0).partition("=")
        name, dot, field = word.removeprefix("--").partition(".")
        if not word.startswith("--") or name not in defaults:
            rest.append(word + equals + value)
            continue
        if not equals:
            if not queue or queue[0].startswith("--"):
                raise AfsimError(f"{word}: expected a value after it")
            value = queue.pop(0)
        given.add(name)
        if dot:
            # Hyphens, as in all other options.
            changes[name].append(f"{field.replace('-', '_')}={value}")
        else:
            presets[name] = value
    for name in defaults:
        if name in given:
            rest += [f"--{name}", ",".join([presets[name], *changes[name]])]
    return rest
