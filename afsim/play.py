"""A person is a policy too: play one episode with the arrow keys, in a window or in the terminal.

The two front ends only pass keys to the game and draw it.
"""

import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, TextIO

import numpy as np
from matplotlib.backend_bases import Event, KeyEvent
from matplotlib.figure import Figure

from afsim.game import HELP, KEYS, Game, PlayConfig, text_bars, text_picture
from afsim.sets import open_demo
from afsim.stackset import StackSet

# What arrow keys type into a terminal (ANSI X3.64).
_ESCAPES: Final = {"\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left"}


# ---------------------------------------------------------------------- in the terminal
def play_terminal(game: Game, stdin: Iterable[str], stdout: TextIO) -> Game:
    """Play with lines of keys, several to a line if separated by blanks; the end of the input quits.

    Returns
    -------
    Game
        As it ended.
    """
    print(HELP, *_screen(game), sep="\n", file=stdout, flush=True)
    for line in stdin:
        for escape, name in _ESCAPES.items():
            line = line.replace(escape, f" {name} ")
        for key in line.split():
            result = game.apply(key)
            if isinstance(result, str):
                print(result, file=stdout, flush=True)
                continue
            game = result
            if game.over:
                break
            print(*_screen(game), sep="\n", file=stdout, flush=True)
        if game.over:
            break
    if not game.over:
        game = replace(game, abandoned=True)
    print(*_screen(game), *game.score(), sep="\n", file=stdout, flush=True)
    return game


def _screen(game: Game) -> list[str]:
    return ["", *text_picture(game.picture()), *text_bars(game.sharpness(), game.command), game.status()]


# ---------------------------------------------------------------------- in a window
class GameWindow:
    """A figure that shows a game and takes its keys; digits are gathered until Enter.

    Parameters
    ----------
    figure : Figure
        Empty, with a canvas.
    game : Game
        To begin with; the attribute ``game`` is the present one.
    """

    def __init__(self, figure: Figure, game: Game) -> None:
        self.figure, self.game, self._digits = figure, game, ""
        figure.set_layout_engine("constrained")
        self._picture, self._bars = figure.subplots(1, 2)
        figure.supxlabel(HELP, fontsize=7)
        figure.canvas.mpl_connect("key_press_event", self._on_key)
        self._draw("")

    def _on_key(self, event: Event) -> None:
        assert isinstance(event, KeyEvent)
        key = event.key or ""
        is_digit = key.isascii() and key.isdigit()
        if is_digit or key == "backspace":
            self._digits = self._digits + key if is_digit else self._digits[:-1]
            self._draw(f"go to index {self._digits}_ (Enter)")
            return
        if key == "enter":
            key = self._digits
        self._digits = ""
        # Shift and the like arrive as keys of their own: what is no key of the game is no mistake.
        if key not in KEYS and not key.isdigit():
            return
        result = self.game.apply(key)
        if isinstance(result, str):
            self._draw(result)
            return
        self.game = result
        self._draw("")

    def _draw(self, message: str) -> None:
        game = self.game
        self._picture.clear()
        self._picture.imshow(game.picture(), cmap="gray", vmin=0.0, vmax=1.0)
        self._picture.set_axis_off()
        self._bars.clear()
        heights = np.nan_to_num(game.sharpness())
        colours = ["tab:orange" if k == game.command else "tab:blue" for k in range(len(heights))]
        self._bars.bar(np.arange(len(heights)), heights, color=colours)
        self._bars.set(xlim=(-1, len(heights)), ylim=(0, 1.05), xlabel="index", ylabel="sharpness")
        lines = game.score() if game.over else [game.status()]
        self.figure.suptitle("\n".join([*lines, message]), fontsize=9)
        self.figure.canvas.draw_idle()


def play_window(game: Game) -> Game:
    """Play in a window of matplotlib's interactive backend until it is closed; closing it quits.

    Returns
    -------
    Game
        As it ended.
    """
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(10.0, 5.5))
    manager = figure.canvas.manager
    # Matplotlib's own shortcuts use the same keys (q closes, l makes an axis logarithmic).
    if manager is not None and manager.key_press_handler_id is not None:
        figure.canvas.mpl_disconnect(manager.key_press_handler_id)
    window = GameWindow(figure, game)
    plt.show()
    plt.close(figure)
    return window.game if window.game.over else replace(window.game, abandoned=True)


def has_display() -> bool:
    """Return whether matplotlib can open a window here."""
    import matplotlib.pyplot as plt
    from matplotlib.backends.registry import BackendFilter, backend_registry

    interactive = backend_registry.list_builtin(BackendFilter.INTERACTIVE)  # type: ignore[no-untyped-call]
    try:
        plt.switch_backend(plt.get_backend())
    except ImportError:  # an interactive backend was asked for, but there is no display or toolkit
        return False
    return plt.get_backend().lower() in interactive


def run(config: PlayConfig) -> int:
    """Play the game of ``config`` and return the exit status, 0.

    Raises
    ------
    AfsimError
        For a stack set, stack, start, number of steps, lens, sensor, timing or breathing that does not exist.
    """
    stacks = open_demo() if config.stacks is None else StackSet.open(config.stacks)
    game = Game.begin(config, stacks)
    if config.terminal or not has_display():
        play_terminal(game, sys.stdin, sys.stdout)
    else:
        print(*play_window(game).score(), sep="\n")
    return 0
