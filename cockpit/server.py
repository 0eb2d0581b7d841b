"""Serve the cockpit: one command, one page, this machine alone unless told otherwise."""

import logging
import socket
import sys
import warnings
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from afsim.cockpit.board import make_board
from afsim.cockpit.episodefile import load_episode
from afsim.cockpit.guard import Guard, is_loopback
from afsim.cockpit.link import query_of, read_query
from afsim.cockpit.opened import Opened
from afsim.cockpit.session import FIRST_LINES, Session, advice
from afsim.cockpit.setup import Setup, draw
from afsim.errors import AfsimError
from afsim.game import find_stack

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

# The demo set may have to be rendered before a page of it can be shown.
_PAGE_SECONDS: Final = 120.0


@dataclass(frozen=True)
class CockpitConfig:
    """What is served."""

    stacks: tuple[Path, ...] = ()
    """Stored sets that pages may choose from, besides the embedded demo set; the first is what they begin with."""
    policies: tuple[str, ...] = ()
    """Policies that pages may play besides those of the registry; only these may name files."""
    episode: Path | None = None
    """A saved episode to open."""
    stack: int | str | None = None
    """Number or name of the stack to begin with; drawn by the seed by default."""
    start: int | None = None
    """Index to begin at; drawn by the seed by default."""
    steps: int = 10
    """Moves there are."""
    seed: int = 0
    """Of the draws."""
    lens: str = "ideal"
    """Lens preset; its fields can be changed: --lens worn_warm --lens.hysteresis 0."""
    sensor: str = "none"
    """Sensor preset; --sensor dim --sensor.fresh off, and so on."""
    timing: str = "frames"
    """When exposures may end: frames or free; --timing.inference_ms 32.5, and so on."""
    breathing: float = 1.0
    """Gain on the recorded focal breathing: 1 as recorded, 0 registered."""
    host: str = "127.0.0.1"
    """Address to listen on: this machine alone by default."""
    port: int = 8765
    """Port; 0 takes a free one."""
    names: tuple[str, ...] = ()
    """Further names under which the page may be asked for, where it listens on more than this machine."""
    show: bool = True
    """Open the page in a browser."""


def first_setup(config: CockpitConfig, opened: Opened) -> Setup:
    """Return the episode that pages begin with.

    Raises
    ------
    AfsimError
        For a set, stack, start or preset that does not exist.
    """
    name = opened.sets[0]
    stacks = opened.stacks(name)
    drawn_stack, drawn_start = draw(stacks, config.seed)
    wanted = find_stack(stacks, config.stack)
    setup = Setup(
        stacks=name,
        stack=drawn_stack if wanted is None else wanted,
        start=drawn_start if config.start is None else config.start,
        steps=config.steps,
        seed=config.seed,
        lens=config.lens,
        sensor=config.sensor,
        timing=config.timing,
        breathing=config.breathing,
    )
    # What cannot be played is told here, not on the page; and what is compiled or loaded once is so before a visit.
    make_board(setup, opened)
    advice(make_board(setup, opened, FIRST_LINES, lenient=True))
    return setup


def make_app(opened: Opened, setup: Setup, host: str, names: Sequence[str] = ()) -> "FastAPI":
    """Return the web application: the page at ``/``, guarded against foreign hosts and origins.

    Parameters
    ----------
    opened : Opened
        What pages may ask for.
    setup : Setup
        What they begin with.
    host, names
        Of :class:`afsim.cockpit.guard.Guard`.

    Raises
    ------
    AfsimError
        Where NiceGUI is not installed.
    """
    try:
        from fastapi import FastAPI
        from nicegui import run, ui
        from starlette.requests import Request
    except ImportError as error:
        raise AfsimError(f"the cockpit needs NiceGUI: pip install 'afsim[cockpit]' ({error})") from error
    from afsim.cockpit.page import Page

    # Registered here and not when a module is imported, so that tests and notebooks can start it where they want.
    async def page(request: Request) -> None:
        try:
            session = await run.io_bound(Session, opened, setup)
            assert session is not None
            message = ""
            if request.url.query:
                try:
                    state = read_query(request.url.query, session.board.setup)
                    await run.io_bound(session.load, state)
                except AfsimError as error:
                    message = f"this link cannot be opened: {error}"
            Page(session, message)
        except Exception:
            # What has gone wrong is told to whoever serves the page, and not to whoever asks for it.
            logging.getLogger("afsim").exception("the page could not be built")
            ui.context.client.content.clear()
            with ui.context.client.content:
                ui.label("The page could not be built: the log of the server tells why.").props("role=alert")
                ui.link("Begin anew", "/")

    ui.page("/", title="afsim cockpit", response_timeout=_PAGE_SECONDS)(page)
    # The library looks for its server among all objects there are, some of which warn of being looked at.
    warnings.filterwarnings("ignore", message=".*torch.distributed.reduce_op", category=FutureWarning)
    app = FastAPI(openapi_url=None)
    app.add_middleware(Guard, host=host, names=names)
    ui.run_with(app, title="afsim cockpit", show_welcome_message=False, reconnect_timeout=10.0)
    return app


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that takes connections from now on; port 0 is a free one.

    Raises
    ------
    AfsimError
        Where the address or port cannot be had.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise AfsimError(
            f"cannot listen on {host}, port {port}: {error}; choose another --port or --host"
        ) from error


def make_server(app: "FastAPI") -> "uvicorn.Server":
    """Return what serves an application, not started yet."""
    import uvicorn

    return uvicorn.Server(uvicorn.Config(app, ws="wsproto", log_level="warning", access_log=False))


def main(config: CockpitConfig) -> int:
    """Open the sets, and serve the page until it is interrupted."""
    from rich.console import Console

    console = Console(stderr=True)
    opened = Opened(config.stacks, config.policies)
    opened.stacks(opened.sets[0])  # with a bar of its own, where the demo set has to be rendered
    with console.status("loading the policies ..."):
        setup = first_setup(config, opened)
        app = make_app(opened, setup, config.host, config.names)
    query = ""
    if config.episode is not None:
        found = load_episode(config.episode, opened)
        query = f"?{query_of(found.state)}"
        if found.note:
            console.print(found.note, markup=False)
    listener = listen(config.host, config.port)
    port = listener.getsockname()[1]
    shown = "127.0.0.1" if is_loopback(config.host) or config.host in ("0.0.0.0", "::") else config.host
    address = f"http://{shown}:{port}/{query}"
    if not is_loopback(config.host):
        console.print(f"Anybody who reaches {config.host} can use this cockpit, which asks for no password.")
    print(f"afsim cockpit: {address}", flush=True)
    print("Interrupt (Ctrl-C) to stop it.", file=sys.stderr, flush=True)
    server = make_server(app)
    if config.show:
        webbrowser.open(address)
    with listener, suppress(KeyboardInterrupt):  # which is how one stops it
        server.run(sockets=[listener])
    return 0 if server.started else 1
