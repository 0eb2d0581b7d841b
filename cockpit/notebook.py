"""The cockpit inside a notebook: ``from afsim.cockpit.notebook import show; show()``."""

import html
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from afsim.cockpit.opened import Opened
from afsim.cockpit.server import CockpitConfig, first_setup, listen, make_app, make_server
from afsim.errors import AfsimError, unknown
from afsim.stackset import StackSet

if TYPE_CHECKING:
    import uvicorn

_HOST: Final = "127.0.0.1"
_NAMES: Final = ("localhost", "127.0.0.1")
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0

# The one of this process: NiceGUI has one application a process.
_SHOWN: "list[Frame]" = []


class Frame:
    """A cockpit that is served by a thread of this process, and shown by a notebook as a frame.

    Attributes
    ----------
    address : str
        Of the page, also for a browser.
    """

    def __init__(self, address: str, height: int, server: "uvicorn.Server", thread: threading.Thread) -> None:
        self.address, self._height, self._server, self._thread = address, height, server, thread

    def _repr_html_(self) -> str:
        source = html.escape(self.address, quote=True)
        return f'<iframe src="{source}" width="100%" height="{self._height}" style="border: 0"></iframe>'

    def stop(self) -> None:
        """Stop serving, and wait until it has stopped."""
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)


def show(
    sets: Sequence[Path | StackSet] = (),
    policies: Sequence[str] = (),
    *,
    height: int = 820,
    host: str = "localhost",
    config: CockpitConfig | None = None,
) -> Frame:
    """Serve a cockpit on this machine and return its frame, which a notebook shows. Once a process.

    Parameters
    ----------
    sets : sequence of Path or StackSet
        As :class:`afsim.cockpit.opened.Opened` takes them: also sets that were made in the notebook.
    policies : sequence of str
        Policies besides those of the registry.
    height : int
        Of the frame in pixels.
    host : {"localhost", "127.0.0.1"}
        As the address of the notebook itself has it: browsers that keep other sites from storing anything also
        keep a frame of another site from working.
    config : CockpitConfig, optional
        What pages begin with.

    Raises
    ------
    AfsimError
        Where NiceGUI is missing, the server does not start, or this process serves one already.
    """
    if host not in _NAMES:
        raise unknown("host", host, _NAMES)
    if _SHOWN:
        raise AfsimError(f"this process serves a cockpit already, at {_SHOWN[0].address}: show that frame again")
    opened = Opened(sets, policies)
    app = make_app(opened, first_setup(config or CockpitConfig(), opened), _HOST)
    listener, server = listen(_HOST, 0), make_server(app)
    port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, args=([listener],), name="afsim cockpit", daemon=True)
    thread.start()
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if time.monotonic() > deadline:
            raise AfsimError(f"the cockpit did not start on {_HOST}:{port} within {_START_SECONDS:.0f} s")
        time.sleep(0.02)
    _SHOWN.append(Frame(f"http://{host}:{port}/", height, server, thread))
    return _SHOWN[0]
