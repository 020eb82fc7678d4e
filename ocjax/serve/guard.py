"""Guard before every route: who may ask, and what headers browsers get."""

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]+)?", re.IGNORECASE)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """Refuses requests that another web page makes a browser send."""

    def __init__(self, app: ASGIApp, *, loopback: bool):
        """Stands before `app`; with `loopback` it answers requests to this machine."""
        self._app, self._loopback = app, loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (refusal or self._app)(scope, receive, protected)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        # A name that someone else let point here is the way around the same-origin
        # policy of browsers (DNS rebinding).
        if self._loopback and not is_loopback(host):
            return line(421, "This server answers to localhost only.")
        if method in ("GET", "HEAD"):
            return None
        origin = headers.get("origin")
        foreign = origin is not None and not _same(origin, host)
        # Clients that are no browsers do not send this header.
        site = headers.get("sec-fetch-site", "none")
        if foreign or site not in ("same-origin", "none"):
            return line(403, "Requests of other web pages are refused.")
        return None


def line(status: int, text: str) -> JSONResponse:
    """A response that says in one line what is wrong."""
    return JSONResponse({"error": text}, status)


def is_loopback(host: str) -> bool:
    """Whether `host`, or `host:port`, names this machine and only this one."""
    match = _HOST.fullmatch(host)
    if not match:
        return False
    name = match[1].strip("[]").lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    web = parts.scheme in ("http", "https")
    return web and bool(host) and parts.netloc.lower() == host.lower()
