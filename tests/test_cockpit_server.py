"""What is served, and to whom: the page itself, foreign hosts and origins, options of the command, notebooks."""

import asyncio
import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from afsim import cli
from afsim.cockpit.browser import served
from afsim.cockpit.episodefile import episode_text
from afsim.cockpit.guard import Guard, is_loopback, own_names
from afsim.cockpit.link import state_of
from afsim.cockpit.opened import Opened
from afsim.cockpit.server import CockpitConfig, first_setup
from afsim.cockpit.setup import Setup
from afsim.errors import AfsimError
from afsim.stackset import StackSet
from tests.cockpits import board
from tests.conftest import make_stack

SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a cockpit serves a small set."""
    path = tmp_path_factory.mktemp("sets") / "small"
    StackSet.from_stacks(make_stack(truth, seed=i) for i, truth in enumerate((2.0, 6.6))).save(path)
    with served(["--stacks", str(path)]) as found:
        yield found


def ask(address: str, path: str = "/", **headers: str) -> tuple[int, str]:
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    connection.close()
    return answer.status, text


def open_socket(address: str, **headers: str) -> str:
    """Return the first line of the answer to the opening handshake of a WebSocket."""
    place = urlsplit(address)
    wanted = {
        "Host": place.netloc,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    lines = [f"GET {SOCKET}websocket HTTP/1.1", *(f"{name}: {value}" for name, value in wanted.items()), "", ""]
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=30) as wire:
        wire.sendall("\r\n".join(lines).encode())
        return wire.recv(4096).decode(errors="replace").split("\r\n")[0]


# ---------------------------------------------------------------------- who may come in
def test_the_page_is_served_and_nothing_else(address: str) -> None:
    status, text = ask(address)
    assert status == 200
    assert "afsim cockpit" in text
    for path in ("/etc/passwd", "/../etc/passwd", "/openapi.json", "/docs"):
        assert ask(address, path)[0] == 404


def test_a_foreign_host_is_refused(address: str) -> None:
    """As a page of an attacker's asks whose name was made to lead here (DNS rebinding)."""
    port = urlsplit(address).port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", ""):
        status, text = ask(address, Host=host)
        assert status == 403
        assert "does not go by the name" in text
    assert ask(address, Host=f"localhost:{port}")[0] == 200


def test_a_foreign_origin_is_refused(address: str) -> None:
    """As any page that is open in the same browser may ask."""
    own = urlsplit(address).netloc
    for origin in ("http://evil.example", f"http://{own}.evil.example", "null", f"http://localhost:{own[-5:]}0"):
        status, text = ask(address, SOCKET + "polling", Origin=origin)
        assert status == 403
        assert "foreign origin" in text
    assert ask(address, SOCKET + "polling", Origin=f"http://{own}")[0] == 200


def test_the_socket_opens_to_the_own_page_alone(address: str) -> None:
    own = urlsplit(address).netloc
    assert " 101 " in open_socket(address, Origin=f"http://{own}")
    assert " 403 " in open_socket(address, Origin="http://evil.example")
    assert " 403 " in open_socket(address, Host="evil.example", Origin="http://evil.example")


def test_a_link_that_cannot_be_opened_still_gives_the_page(address: str) -> None:
    assert ask(address, "/?stacks=nowhere&line=magic")[0] == 200
    assert ask(address, "/?" + "line=stay&" * 500)[0] == 200


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("box", False)],
)
def test_a_server_knows_its_own_names(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback
    names = own_names(host, ["Lab.Example"])
    assert {"localhost", "127.0.0.1", host, "lab.example"} <= names
    assert (socket.gethostname().lower() in names) >= (not loopback)


def passes(host: str, served_at: str, *names: str) -> bool:
    """Tell whether a guard lets a request for a host in."""
    came: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        came.append(host)

    async def ignore(message: Any) -> None:
        pass

    guard = Guard(app, served_at, names)
    asyncio.run(guard({"type": "http", "headers": [(b"host", host.encode())]}, ignore, ignore))  # type: ignore[arg-type]
    return came == [host]


@pytest.mark.parametrize(
    ("host", "served_at", "comes_in"),
    [
        ("localhost:1", "127.0.0.1", True),
        ("[::1]:1", "127.0.0.1", True),
        ("192.0.2.7:1", "127.0.0.1", False),
        ("192.0.2.7:1", "0.0.0.0", True),
        ("[2001:db8::1]:1", "::", True),
        ("evil.example", "0.0.0.0", False),
        ("lab.example", "0.0.0.0", True),
        ("", "0.0.0.0", False),
    ],
)
def test_numbers_cannot_be_made_to_lead_here_but_names_can(host: str, served_at: str, comes_in: bool) -> None:
    assert passes(host, served_at, "lab.example") == comes_in


def test_only_a_visitor_who_is_gone_is_passed_over() -> None:
    async def call(message: str) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise RuntimeError(message)

        scope = {"type": "http", "headers": [(b"host", b"localhost")]}
        await Guard(app, "127.0.0.1")(scope, None, None)  # type: ignore[arg-type]

    asyncio.run(call("No response returned."))
    with pytest.raises(RuntimeError, match="something else"):
        asyncio.run(call("something else"))


# ---------------------------------------------------------------------- the command
def test_pages_begin_with_what_the_command_says(stacks: StackSet) -> None:
    opened = Opened([stacks])
    config = CockpitConfig(stack=3, start=2, steps=4, seed=7, lens="worn_warm", sensor="dim", timing="free")
    assert first_setup(config, opened) == Setup("in memory", 3, 2, 4, 7, "worn_warm", "dim", "free")
    named = CockpitConfig(stack=stacks.names[3], start=2, breathing=0.0)
    assert first_setup(named, opened) == Setup("in memory", 3, 2, breathing=0.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--stacks nowhere", "nowhere"),
        ("--policies magic", "unknown policy 'magic'"),
        ("--stack 99", "stack must be integers in 0 ... 1, got 99"),
        ("--stack magic", "unknown stack 'magic'"),
        ("--breathing -1", "breathing must be"),
        ("--start 12", "start must be integers in 0 ... 11, got 12"),
        ("--steps 0", "steps must be at least 1 and at most 1000, got 0"),
        ("--lens magic", "unknown lens preset 'magic'"),
        ("--episode nowhere.json", "there is no such file"),
        ("--host 192.0.2.1", "cannot listen on 192.0.2.1, port 8765"),
    ],
)
def test_what_cannot_be_served_is_told_at_once(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    StackSet.from_stacks(make_stack(truth, seed=i) for i, truth in enumerate((2.0, 6.6))).save(Path("small"))
    rest = [] if words.startswith("--stacks") else ["--stacks", "small"]
    assert cli.main(["cockpit", "--no-show", *rest, *words.split()]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_a_saved_episode_is_opened_from_the_command_line(tmp_path: Path) -> None:
    stacks = StackSet.from_stacks(make_stack(truth, seed=i) for i, truth in enumerate((2.0, 6.6)))
    stacks.save(tmp_path / "small")
    shown = board(stacks, "you 4", "hill_climb *2", stack=1)
    (tmp_path / "episode.json").write_text(episode_text(shown, state_of(shown)))
    with served(["--stacks", str(tmp_path / "small"), "--episode", str(tmp_path / "episode.json")]) as address:
        assert urlsplit(address).query == "stacks=small&stack=1&start=2&steps=6&line=you+4&line=hill_climb+%2A2"
        assert ask(address, f"/?{urlsplit(address).query}")[0] == 200


def test_without_the_library_it_says_what_to_install(stacks: StackSet, monkeypatch: pytest.MonkeyPatch) -> None:
    from afsim.cockpit.server import make_app

    monkeypatch.setitem(sys.modules, "nicegui", None)
    with pytest.raises(AfsimError, match=r"pip install 'afsim\[cockpit\]'"):
        make_app(Opened([stacks]), Setup("in memory"), "127.0.0.1")


NOTEBOOK = """
import json, urllib.request
from afsim.cockpit.notebook import show
from afsim.errors import AfsimError
from afsim.stackset import StackSet
from tests.conftest import make_stack

frame = show([StackSet.from_stacks([make_stack(6.6)])], height=700)
page = urllib.request.urlopen(frame.address).read().decode()
again = []
for options in ({}, {"host": "example.org"}):
    try:
        show(**options)
    except AfsimError as error:
        again.append(str(error))
print(json.dumps([frame.address, frame._repr_html_(), "afsim cockpit" in page, again]))
frame.stop()
"""


def test_a_notebook_shows_it_in_a_frame() -> None:
    root = Path(__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, cwd=root, stdin=subprocess.DEVNULL
    )
    assert run.returncode == 0, run.stderr
    address, frame, is_page, again = json.loads(run.stdout.splitlines()[-1])
    assert frame == f'<iframe src="{address}" width="100%" height="700" style="border: 0"></iframe>'
    assert is_page
    assert again == [
        f"this process serves a cockpit already, at {address}: show that frame again",
        "unknown host 'example.org'; expected one of: 127.0.0.1, localhost",
    ]
