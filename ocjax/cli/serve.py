"""Open a page on this machine where pictures can be dropped and scored.

The page also has a JSON endpoint: POST pictures to /score.

  ocjax serve --model=runs/pictures
"""

import argparse

from ocjax.cli import arguments as shared
from ocjax.runs.bounds import Range


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    shared.add_model(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=shared.number(int, Range(0, 65535)),
        default=8000,
        help="port to listen on; 0 takes a free one (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serves until it is interrupted."""
    from ocjax.serve import serve

    serve(
        arguments.model,
        host=arguments.host,
        port=arguments.port,
        false_positive_rate=arguments.false_positive_rate,
    )
    return 0
