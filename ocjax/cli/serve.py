"""Open a page on this machine where pictures can be dropped and scored.

The page also has a JSON endpoint: POST pictures to /score.

  ocjax serve --model=runs/pictures
"""

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "--model", required=True, help="run folder, saved detector or exported file"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (%(default)s)"
    )
    parser.add_argument("--port", type=int, default=8000, help="(%(default)s)")
    parser.add_argument(
        "--false_positive_rate", type=float, help="instead of the model's"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serves until it is interrupted."""
    from ocjax.launch import environment
    from ocjax.serve import serve

    environment.keep_programs()
    serve(
        arguments.model,
        host=arguments.host,
        port=arguments.port,
        false_positive_rate=arguments.false_positive_rate,
    )
    return 0
