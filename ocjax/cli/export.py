"""Write a detector as one file to deploy.

The file holds everything from pixels to score, threshold and heatmap. stablehlo needs
nothing but JAX to run, on CPUs, GPUs and TPUs; onnx needs nothing but an ONNX runtime.

  ocjax export runs/pictures --format=onnx --out=pictures.onnx
"""

import argparse
import pathlib

from ocjax.cli import arguments as shared

FORMATS = ("stablehlo", "onnx")


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder or saved detector")
    parser.add_argument("--format", choices=FORMATS, default="stablehlo")
    parser.add_argument("--out", help="file; by default named after MODEL")
    shared.add_rate(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes the file and prints its path."""
    from ocjax._checks import InputError
    from ocjax.export import archive
    from ocjax.models import trained_parts

    card, method, state = trained_parts(arguments.model)
    if arguments.false_positive_rate is not None:
        card = card.at(arguments.false_positive_rate)
    if arguments.format == "onnx":
        from ocjax.export import onnx as exporter

        suffix = ".onnx"
    else:
        from ocjax.export import stablehlo as exporter

        suffix = archive.SUFFIX
    model = pathlib.Path(arguments.model).resolve()
    name = model.name if model.is_dir() else model.stem
    out = pathlib.Path(arguments.out or name + suffix)
    if out.resolve() == model or (out.exists() and not arguments.out):
        raise InputError(f"{out} exists: name another file by --out.")
    print(exporter.save(out, card, method, state))
    return 0
