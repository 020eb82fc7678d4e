"""Start of the server of the page."""

import importlib.util
import ipaddress
import os
import socket

from ocjax import _extras, inference
from ocjax._checks import InputError

_NEEDED = ("starlette", "uvicorn", "python_multipart")
_CONNECTIONS = 64  # Most connections at the same time.


def serve(
    model: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    false_positive_rate: float | None = None,
) -> None:
    """Serves the page of a model until it is interrupted.

    Args:
      model: run folder, saved detector or exported file.
      host: name or address to listen on; 0.0.0.0 lets the whole network in.
      port: port to listen on; 0 takes a free one.
      false_positive_rate: rate of the threshold, instead of the model's.

    Raises:
      InputError: a package is missing; the model, the rate, the host or the port
        cannot be used.
    """
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise InputError(f"The page needs its packages: {_extras.install('serve')}")
    from ocjax.serve.app import create_app

    # The port is taken before the model is opened, which takes long.
    with _listening(host, port) as listening:
        address, port = listening.getsockname()[:2]
        loopback = ipaddress.ip_address(address).is_loopback
        scorer = inference.open(model, false_positive_rate)
        app = create_app(scorer, loopback=loopback)
        if not loopback:
            print(
                f"Warning: anyone on the network can use this server, as {host} is not "
                "this machine alone.",
                flush=True,
            )
        name = f"[{host}]" if ":" in host else host
        print(f"Drop pictures at http://{name}:{port} (Ctrl-C ends it)", flush=True)
        _run(app, listening)


def _run(app, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        limit_concurrency=_CONNECTIONS,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        pass


def _listening(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise InputError(f"Expected a port from 0 to 65535, got {port}.")
    if not host:  # An empty name would be every address.
        raise InputError("Expected a host to listen on, got an empty name.")
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = addresses[0]
        return socket.create_server(address, family=family)
    except socket.gaierror as error:
        reason, cause = error.strerror, error
    except OSError as error:
        reason, cause = os.strerror(error.errno) if error.errno else str(error), error
    except ValueError as error:  # The text can be no name of a host.
        reason, cause = str(error), error
    raise InputError(f"Cannot listen on {host}, port {port}: {reason}.") from cause
