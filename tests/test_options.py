"""Presets with changes as text, and a command line whose dotted options become such text."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from afsim.errors import AfsimError
from afsim.options import command_line, fold, from_text


@dataclass(frozen=True)
class Kettle:
    """A thing with a field of every kind."""

    name: str = "plain"
    litres: float = 1.5
    cups: int = 6
    whistles: bool = False
    colour: str = "blue"
    range: tuple[int, int] = (0, 100)
    timer: float | None = None


KETTLES = {"plain": Kettle(), "grand": Kettle(name="grand", litres=3.0, whistles=True)}
DEFAULTS = {"lens": "ideal", "sensor": "none"}


def read(text: str) -> Kettle:
    return from_text(text, KETTLES, "kettle")


# ---------------------------------------------------------------------- text
def test_a_name_alone_is_the_preset() -> None:
    assert read("grand") == KETTLES["grand"]
    assert read("  plain ") == KETTLES["plain"]


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ("litres=2", "litres", 2.0),
        ("litres=1e-3", "litres", 1e-3),
        ("litres=-0.5", "litres", -0.5),
        ("cups=12", "cups", 12),
        ("colour=red", "colour", "red"),
        ("range=-5:1018", "range", (-5, 1018)),
        ("timer=4.5", "timer", 4.5),
        ("timer=none", "timer", None),
        ("colour=none", "colour", "none"),
        *((f"whistles={word}", "whistles", True) for word in ("on", "true", "True", "yes", "1")),
        *((f"whistles={word}", "whistles", False) for word in ("off", "false", "NO", "0")),
    ],
)
def test_a_change_is_read_as_the_kind_of_its_field(change: str, field: str, value: object) -> None:
    found = getattr(read(f"plain,{change}"), field)
    assert found == value
    assert type(found) is type(value)


def test_several_changes_are_made() -> None:
    kettle = read("grand, litres = 2, cups=3")
    assert (kettle.litres, kettle.cups, kettle.whistles) == (2.0, 3, True)


def test_what_is_changed_is_named_by_its_text_and_made_again_by_its_name() -> None:
    kettle = read("grand,litres=2,whistles=off")
    assert kettle.name == "grand,litres=2,whistles=off"
    assert read(kettle.name) == kettle
    assert KETTLES["grand"].litres == 3.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tin", "unknown kettle preset 'tin'; expected one of: grand, plain"),
        ("", "unknown kettle preset ''"),
        ("plain,handle=2", "unknown kettle option 'handle'; expected one of: colour, cups, litres"),
        ("plain,name=mine", "unknown kettle option 'name'"),
        ("plain,", "unknown kettle option ''"),
        ("plain,litres", "kettle option 'litres': expected litres=VALUE, got 'litres'"),
        ("plain,litres=", "kettle option 'litres': expected a number, got ''"),
        ("plain,litres=much", "kettle option 'litres': expected a number, got 'much'"),
        ("plain,cups=1.5", r"kettle option 'cups': expected a whole number, got '1\.5'"),
        ("plain,whistles=loudly", "kettle option 'whistles': expected on or off, got 'loudly'"),
        ("plain,range=1", "kettle option 'range': expected 2 values with colons between, got '1'"),
        ("plain,range=1:2:3", "kettle option 'range': expected 2 values with colons between, got '1:2:3'"),
        ("plain,range=1:b", "kettle option 'range': expected a whole number, got 'b'"),
        ("plain,litres=none", "kettle option 'litres': expected a number, got 'none'"),
        (
            "plain,litres=2,cups=3, litres=2",
            "kettle option 'litres': expected once, got it twice in 'plain,litres=2",
        ),
        ("plain,timer=soon", "kettle option 'timer': expected a number, got 'soon'"),
    ],
)
def test_text_that_means_nothing_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(AfsimError, match=message):
        read(text)


# ---------------------------------------------------------------------- command line
@dataclass(frozen=True)
class Brew:
    """Options of every kind."""

    leaves: Path
    grid: tuple[int, int] = (6, 8)
    pots: tuple[Path, ...] = ()
    water: Path | None = Path("tap")
    most_cups: int = 2
    sugar: bool = False
    milk: bool = True
    names: list[str] = field(default_factory=list)
    quiet: bool = False


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (Brew(Path("my tea")), "--leaves 'my tea'"),
        (Brew(Path("a/b"), quiet=True), "--leaves a/b"),
        (Brew(Path("/home/me/tea")), "--leaves tea"),
        (Brew(Path("tea"), grid=(1, 2), most_cups=-1), "--leaves tea --grid 1 2 --most-cups -1"),
        (Brew(Path("tea"), pots=(Path("/x/one"), Path("two"))), "--leaves tea --pots one two"),
        (Brew(Path("tea"), sugar=True, milk=False), "--leaves tea --sugar --no-milk"),
        (Brew(Path("tea"), water=None), "--leaves tea"),
    ],
)
def test_a_command_line_has_what_is_required_or_differs(config: Brew, told: str) -> None:
    assert command_line("brew pot", config) == f"afsim brew pot {told}"


@pytest.mark.parametrize(
    ("words", "folded"),
    [
        ("", ""),
        ("--steps 5 --out x", "--steps 5 --out x"),
        ("--lens worn_warm", "--lens worn_warm"),
        ("--lens=worn_warm", "--lens worn_warm"),
        ("--lens worn_warm --lens.hysteresis 0", "--lens worn_warm,hysteresis=0"),
        ("--lens.hysteresis=0 --lens=worn_warm", "--lens worn_warm,hysteresis=0"),
        ("--lens.gain 0.1 --lens.bow 2", "--lens ideal,gain=0.1,bow=2"),
        ("--lens.temperature -10", "--lens ideal,temperature=-10"),
        ("--lens.temperature-sd 5", "--lens ideal,temperature_sd=5"),
        ("--lens worn_warm,gain=0 --lens.bow 0", "--lens worn_warm,gain=0,bow=0"),
        ("--lens a --lens b", "--lens b"),
        ("--sensor.iso 800 --steps 5 --lens a", "--steps 5 --lens a --sensor none,iso=800"),
        ("--out=a=b --lenses c --lens.gain 1", "--out=a=b --lenses c --lens ideal,gain=1"),
    ],
)
def test_dotted_options_fold_into_the_text_of_their_preset(words: str, folded: str) -> None:
    assert fold(words.split(), DEFAULTS) == folded.split()


def test_nothing_is_folded_where_no_option_names_a_preset() -> None:
    words = ["--lens.gain", "1", "--lens", "a"]
    assert fold(words, {}) == words


def test_folding_leaves_the_words_as_they_were() -> None:
    words = ["--lens.gain", "1"]
    fold(words, DEFAULTS)
    assert words == ["--lens.gain", "1"]


@pytest.mark.parametrize("words", ["--lens.gain", "--lens.gain --steps 5", "--steps 5 --lens"])
def test_a_change_without_a_value_is_refused_by_name(words: str) -> None:
    with pytest.raises(AfsimError, match=r"--lens(\.gain)?: expected a value after it"):
        fold(words.split(), DEFAULTS)
