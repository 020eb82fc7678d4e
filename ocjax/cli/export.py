"""Write a detector as one file to deploy.

The file holds everything from pixels to score, threshold and heatmap. stablehlo needs
nothing but JAX to run, on CPUs, GPUs and TPUs; onnx needs nothing but an ONNX runtime.
Nothing is replaced without --force.

  ocjax export runs/pictures --format=onnx --out=pictures.onnx
"""

import argparse
import pathlib

from ocjax.cli import arguments as shared

FORMATS = {"stablehlo": ".ocjax", "onnx": ".onnx"}  # Suffixes of files by format.


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    shared.completed(
        parser.add_argument(
            "model", metavar="MODEL", help="run folder or saved detector"
        )
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        metavar="FORMAT",
        default="stablehlo",
        help=f"format, {' or '.join(FORMATS)} (default: %(default)s)",
    )
    shared.completed(
        parser.add_argument(
            "--out", help="file (default: MODEL's name and .ocjax or .onnx, here)"
        )
    )
    shared.add_rate(parser)
    shared.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes the file and prints its path."""
    from ocjax import _files
    from ocjax.cli import progress
    from ocjax.inference import opening

    model = _files.local(arguments.model, "MODEL")
    out = _out(arguments.out, arguments.format, model, arguments.force)
    if arguments.format == "onnx":
        from ocjax.inference import onnx as exporter
    else:
        from ocjax.inference import stablehlo as exporter
    card, method, state = opening.parts(model)
    if arguments.false_positive_rate is not None:
        card = card.at(arguments.false_positive_rate)
    with progress.shown("exporting"):
        exporter.save(out, card, method, state)
    print(out)
    return 0


def _out(
    out: str | None, file_format: str, model: pathlib.Path, force: bool
) -> pathlib.Path:
    """Checks the file to write, and returns its path.

    Raises:
      InputError: it is there already, is of another format, or cannot be written.
    """
    from ocjax import _files
    from ocjax._checks import InputError

    expected = FORMATS[file_format]
    if out is None:
        model_path = model.resolve()
        name = model_path.name if model_path.is_dir() else model_path.stem
        out = f"{name}{expected}"
    suffix = pathlib.Path(out).suffix.lower()
    if suffix != expected and suffix in FORMATS.values():
        (other,) = [name for name in FORMATS if FORMATS[name] == suffix]
        raise InputError(
            f"--out={out}: files of the format {file_format} end in {expected}; "
            f"--format={other} writes {suffix}."
        )
    return _files.output(out, "--out", force=force, sources=[model])
