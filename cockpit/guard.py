"""Who may talk to the cockpit: pages that it served itself, asked for under its own names.

Without this, any page that is open in the same browser could connect to its socket (which knows no same-origin
rule), and a foreign name that resolves to this machine (DNS rebinding) could read it.
"""

import ipaddress
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import ASGIApp, Receive, Scope, Send


def own_names(host: str, more: Iterable[str] = ()) -> frozenset[str]:
    """Return the names under which a server at an address may be asked for: its own, and those of this machine."""
    names = {"localhost", "127.0.0.1", "::1", host, *more}
    if not is_loopback(host):
        names |= {socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower() for name in names)


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Refuses requests and sockets of foreign hosts and origins.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    host : str
        The address at which it is served.
    names : iterable of str
        Further names under which it may be asked for. Where it is served to more than this machine, any address in
        numbers is one, too: a foreign name can be made to lead here, but not a foreign number.
    """

    def __init__(self, app: "ASGIApp", host: str, names: Iterable[str] = ()) -> None:
        self._app, self._names, self._public = app, own_names(host, names), not is_loopback(host)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass on what may come in."""
        from starlette.datastructures import Headers
        from starlette.responses import PlainTextResponse

        refusal = self._refusal(Headers(scope=scope)) if scope["type"] in ("http", "websocket") else ""
        if not refusal:
            try:
                await self._app(scope, receive, send)
            except RuntimeError as error:
                # So ends a request whose visitor has gone before it was answered; nobody needs to hear of it.
                if str(error) != "No response returned.":
                    raise
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        else:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)

    def _refusal(self, headers: "Headers") -> str:
        """Return why a request is refused, or nothing."""
        host = headers.get("host", "")
        name = (urlsplit(f"//{host}").hostname or "").lower()
        if name not in self._names and not (self._public and _is_address(name)):
            return f"the cockpit does not go by the name {host!r}; start it with --names to add one"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return f"the cockpit takes nothing from the foreign origin {origin!r}"
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
