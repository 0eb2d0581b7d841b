"""Policies with their options, as text: ``hill_climb:laplacian_energy;first_step=3``."""

from collections.abc import Mapping
from dataclasses import fields
from types import NoneType
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

from afsim.errors import AfsimError, unknown
from afsim.options import convert
from afsim.policy import FocusPolicy

# A value like those of each type, after which a text is read.
_LIKE: Final[dict[Any, Any]] = {bool: False, int: 0, float: 0.0, str: ""}


class PolicyText(NamedTuple):
    """What a text names: the policy, its main option ("" for none), and further options as they were written."""

    name: str
    choice: str
    options: dict[str, str]


def split_policy(text: str) -> PolicyText:
    """Take ``NAME[:CHOICE][;OPTION=VALUE...]`` apart.

    Raises
    ------
    AfsimError
        For an option without a value, or one that is given twice.
    """
    head, *rest = (part.strip() for part in text.split(";"))
    name, _, choice = head.partition(":")
    options: dict[str, str] = {}
    for part in rest:
        option, equals, value = (word.strip() for word in part.partition("="))
        if not equals or not option:
            raise AfsimError(f"policy {name!r}: expected OPTION=VALUE after each semicolon, got {part!r}")
        if option in options:
            raise AfsimError(f"option {option!r} of policy {name!r}: expected once, got it twice in {text!r}")
        options[option] = value
    return PolicyText(name, choice, options)


def known_options(kind: type[FocusPolicy]) -> dict[str, Any]:
    """Return the types of the options of a policy, by name."""
    return {each.name: each.type for each in fields(kind) if each.name != "spec"}


def file_options(kind: type[FocusPolicy]) -> list[str]:
    """Return the options of a policy that name files: texts that may be None, which is the shipped file."""
    return [option for option, of_type in known_options(kind).items() if of_type == str | None]


def read_options(name: str, kind: type[FocusPolicy], written: Mapping[str, str]) -> dict[str, Any]:
    """Return options as values of their fields' types.

    A ``+`` stands for a comma where an option is itself text: commas separate policies. ``none`` is nothing, where
    an option may be that.

    Raises
    ------
    AfsimError
        For an option that does not exist, that is no plain value, or whose text is no value of its type.
    """
    known, values = known_options(kind), dict[str, Any]()
    for option, text in written.items():
        if option not in known:
            raise unknown(f"option of policy {name!r}", option, known)
        types = [each for each in get_args(known[option]) if each is not NoneType]
        may_be_none = NoneType in get_args(known[option])
        plain = types[0] if may_be_none and len(types) == 1 else known[option]
        plain = str if get_origin(plain) is Literal else plain
        where = f"option {option!r} of policy {name!r}"
        if plain not in _LIKE:
            raise AfsimError(f"{where} is no plain value and cannot be given as text, got {text!r}")
        if may_be_none and text.lower() == "none":
            values[option] = None
        else:
            values[option] = convert(text.replace("+", ",") if plain is str else text, _LIKE[plain], where)
    return values
