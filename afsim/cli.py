"""The command line. Each command's code is imported when it runs, so that help is quick."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import afsim
from afsim.commandnames import AGENTS, BENCHES, FITS, SEARCHES, STUDIES, Named
from afsim.errors import AfsimError
from afsim.options import fold

T = TypeVar("T")

# Options that name a preset, whose fields can be changed one by one: --lens worn_warm --lens.hysteresis 0
_PRESETS = ("lens", "sensor", "timing", "cost", "recipe", "network", "augmentation")

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Info:
    """Show what is in a set: in words, and as a contact sheet with the best slices marked."""

    stacks: Path | None = None
    """A set made by 'afsim data import'; the embedded demo set by default."""
    picture: Path | None = None
    """Where to write the contact sheet (PNG, SVG or PDF by its ending)."""
    verify: bool = False
    """Read all pixels and compare their hash with the stored one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0 done, 1 a clear error, 2 a wrong call, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(f"afsim {afsim.__version__}")
        return 0
    try:
        return _run(words)
    except (AfsimError, OSError) as error:
        _console().print("error:", style="bold red", end=" ")
        # Not wrapped: a path that is broken over two lines cannot be copied.
        _console().print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        _console().print("interrupted; nothing half-written is left behind")
        return 130


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True)


def _run(words: list[str]) -> int:
    command = words[0] if words else ""
    if command in _COMMANDS:
        return _COMMANDS[command](words[1:])
    if command in ("", "-h", "--help"):
        print(_overview())
        return 0 if command else 2
    print(f"afsim: unknown command {command!r}; expected one of: {', '.join(_COMMANDS)}", file=sys.stderr)
    return 2


def _overview() -> str:
    width = max(len(name) for name in _COMMANDS)
    lines = [f"  {name:<{width}}  {(run.__doc__ or '').splitlines()[0]}" for name, run in _COMMANDS.items()]
    return "\n".join(
        [
            f"afsim {afsim.__version__}: a camera-control simulator for autofocus",
            "",
            "usage: afsim COMMAND [options]        afsim COMMAND --help tells the options",
            "",
            *lines,
            "",
            "  --version  print the version",
        ]
    )


def _parse(kind: type[T], name: str, words: list[str]) -> T:
    import tyro

    presets = {each.name: str(each.default) for each in fields(kind) if each.name in _PRESETS}  # type: ignore[arg-type]
    return tyro.cli(kind, prog=f"afsim {name}", args=fold(words, presets))


def _compare(words: list[str]) -> int:
    """Compare policies on a set of stacks: table, rows, pictures and a page."""
    from afsim.experiments.compare import CompareConfig, main

    return main(_parse(CompareConfig, "compare", words))


_DATA_USAGE = """usage: afsim data import READER OUT --source FOLDER [--replace] [options of the reader]
       afsim data import READER --help
       afsim data render NAME OUT [--count N] [options]
       afsim data register METHOD SET OUT [options]
       afsim data info [--stacks SET] [--picture FILE]"""


def _data(words: list[str]) -> int:
    """Import recordings into a set, render one, register one, or show what is in one."""
    if words[:1] == ["info"]:
        return _info(_parse(Info, "data info", words[1:]))
    if words[:1] == ["import"]:
        return _import(words[1:])
    if words[:1] == ["render"]:
        from afsim.renderset import RenderConfig, main

        return main(_parse(RenderConfig, "data render", words[1:]))
    if words[:1] == ["register"]:
        from afsim import registerset

        return registerset.main(_parse(registerset.RegisterConfig, "data register", words[1:]))
    print(_DATA_USAGE)
    return 0 if words[:1] in (["-h"], ["--help"]) else 2


def _import(words: list[str]) -> int:
    from afsim.importer import import_stacks
    from afsim.readers import READERS, reader_class

    if not words or words[0].startswith("-"):
        print(f"{_DATA_USAGE}\nreaders: {', '.join(READERS)}")
        return 0 if words[:1] in (["-h"], ["--help"]) else 2
    kind = reader_class(words[0])
    replace = "--replace" in words
    rest = [word for word in words[1:] if word != "--replace"]
    if not rest or rest[0].startswith("-"):
        _parse(kind, f"data import {words[0]} OUT", rest if rest[:1] in (["-h"], ["--help"]) else ["--help"])
        return 2
    reader = _parse(kind, f"data import {words[0]} OUT", rest[1:])
    for path in import_stacks(reader, Path(rest[0]), may_replace=replace):
        print(path)
    return 0


def _info(config: Info) -> int:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from afsim.contactsheet import contact_sheet, describe
    from afsim.sets import open_demo

    stacks = open_demo() if config.stacks is None else afsim.StackSet.open(config.stacks)
    if config.verify:
        stacks.verify()
    table = Table(show_header=False, box=None)
    for what, value in describe(stacks):
        table.add_row(Text(what), Text(value))
    Console().print(table)
    if config.picture is not None:
        contact_sheet(stacks, config.picture)
        print(config.picture)
    return 0


def _calibrate(words: list[str]) -> int:
    """Fit the calibration of a disparity estimator to a set."""
    from afsim.calibrate import CalibrateConfig, main

    return main(_parse(CalibrateConfig, "calibrate", words))


def _train(words: list[str]) -> int:
    """Train a network of the paper's problems (i1, d1, d1-2step, i-star, ...), or an agent (rl)."""
    if words and words[0] in AGENTS:
        return _named("train", AGENTS, words)
    from afsim.experiments.train import TrainConfig, main

    return main(_parse(TrainConfig, "train", words))


def _export(words: list[str]) -> int:
    """Write a trained network as an ONNX file, checked against torch."""
    from afsim.export import ExportConfig, main

    return main(_parse(ExportConfig, "export", words))


_FIT_USAGE = """usage: afsim fit bayesian --stacks SET --out FILE [options]
       afsim fit temperature --network FILE --stacks SET [options]
       afsim fit learned_bayesian --network FILE --stacks SET --out FILE [options]
       afsim fit learned_depth --stacks SET --out FILE [options]
each tells its options with --help.
The calibration of a disparity estimator is fitted by 'afsim calibrate'."""


def _fit(words: list[str]) -> int:
    """Fit what policies believe or see: bayesian, temperature, learned_bayesian, learned_depth."""
    return _named("fit", FITS, words, _FIT_USAGE)


def _play(words: list[str]) -> int:
    """Focus by hand: step one stack with the arrow keys, in a window or the terminal."""
    from afsim.game import PlayConfig
    from afsim.play import run

    return run(_parse(PlayConfig, "play", words))


def _cockpit(words: list[str]) -> int:
    """Sit at the lens in a browser page, beside policies that play the same episode."""
    from afsim.cockpit.server import CockpitConfig, main

    return main(_parse(CockpitConfig, "cockpit", words))


def _trace(words: list[str]) -> int:
    """Look at one episode step by step, as a picture or film, and fork it with another policy."""
    from afsim.experiments.trace_command import TraceConfig, main

    return main(_parse(TraceConfig, "trace", words))


def _bench(words: list[str]) -> int:
    """Measure speed, as ratios in one run: environments; or measures, rollout, networks, rl, cockpit."""
    if words and words[0] in BENCHES:
        return _named("bench", BENCHES, words)
    from afsim.experiments.bench import BenchConfig, run

    if words[:1] in (["-h"], ["--help"]):
        print(f"also, each with --help: {', '.join(f'afsim bench {each}' for each in BENCHES)}\n")
    return run(_parse(BenchConfig, "bench", words))


def _study(words: list[str]) -> int:
    """Make a study again: the paper's tables and figures, maps, steps, optimum, robustness and more."""
    return _named("study", STUDIES, words)


def _search(words: list[str]) -> int:
    """Look for the numbers that an agent is trained best with (rl), in a study that stops and goes on."""
    return _named("search", SEARCHES, words)


def _named(command: str, known: Mapping[str, Named], words: list[str], usage: str = "") -> int:
    """Run what the first word names; without one, or for help, tell the names."""
    name, rest = (words[0], words[1:]) if words else ("", [])
    if name not in known:
        print(
            usage
            or f"usage: afsim {command} NAME [options]        afsim {command} NAME --help tells the options\n"
            f"names: {', '.join(known)}"
        )
        return 0 if name in ("-h", "--help") else 2
    which = known[name]
    module = importlib.import_module(f"afsim.{which.module}")
    status: int = getattr(module, which.runs)(_parse(getattr(module, which.config), f"{command} {name}", rest))
    return status


_COMMANDS = {
    "compare": _compare,
    "data": _data,
    "calibrate": _calibrate,
    "fit": _fit,
    "train": _train,
    "search": _search,
    "export": _export,
    "cockpit": _cockpit,
    "play": _play,
    "trace": _trace,
    "study": _study,
    "bench": _bench,
}

if __name__ == "__main__":
    sys.exit(main())
