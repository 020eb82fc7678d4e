"""Train a detector on a folder of pictures, or on a data set by name.

A folder is laid out as train/good and test/KIND, as normal and anomalous, or has good
pictures alone, of which a fifth is kept to test on. Of a data set one class is normal.
The same command goes on where it was interrupted. ocjax fields, and ocjax methods
METHOD, list what --set sets.

  ocjax train pictures/ --workdir=runs/pictures
  ocjax train digits --normal_class=8 --method=ganomaly --set hyper.latent=50
"""

import argparse
import pathlib
import shlex
import sys
import time
from typing import Any

from ocjax.cli import arguments as shared

STARTED = time.monotonic()
# Fields whose defaults are not those of `RunConfig`.
DEFAULTS: dict[str, Any] = {"method": "lrgdan", "false_positive_rate": 0.01}


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    import dataclasses

    from ocjax.data.protocols import PROTOCOLS
    from ocjax.methods.registry import NAMES
    from ocjax.runs.config import Execution, RunConfig

    both = (*dataclasses.fields(RunConfig), *dataclasses.fields(Execution))
    fields = {field.name: field.default for field in both} | DEFAULTS
    default = lambda name: f"(default: {fields[name]})"
    shared.completed(
        parser.add_argument("data", metavar="DATA", help="folder, or data set")
    )
    parser.add_argument(
        "--method",
        choices=NAMES,
        metavar="METHOD",
        default=DEFAULTS["method"],
        help=f"as ocjax methods lists them {default('method')}",
    )
    shared.completed(
        parser.add_argument(
            "--workdir", help="run folder (default: runs/NAME, by what is trained)"
        )
    )
    shared.completed(
        parser.add_argument(
            "--data_dir",
            help="where data sets are (default: $TFDS_DATA_DIR, "
            "else ~/tensorflow_datasets)",
        )
    )
    parser.add_argument(
        "--normal_class",
        metavar="CLASS",
        help="of a data set: a class, all or random; of the protocol ganomaly the "
        f"anomalous one {default('normal_class')}",
    )
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        metavar="PROTOCOL",
        help=f"of a data set: {', '.join(PROTOCOLS)} {default('protocol')}",
    )
    numbers = {
        "epochs": "passes over the training images",
        "batch_size": "images of a step",
        "image_size": "pixels a side: 32, 64, 128 or 256",
    }
    for name, what in numbers.items():
        parser.add_argument(
            f"--{name}",
            type=shared.at_least(1),
            metavar="N",
            help=f"{what} {default(name)}",
        )
    parser.add_argument(
        "--false_positive_rate",
        type=shared.fraction,
        metavar="RATE",
        help=f"that the threshold promises {default('false_positive_rate')}",
    )
    parser.add_argument(
        "--skip_unreadable",
        action="store_true",
        help="leave out damaged files of DATA (default: end with their names)",
    )
    parser.add_argument(
        "--seed",
        type=shared.at_least(0),
        metavar="N",
        default=0,
        help="of networks and batches (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="any field: tile=64, hyper.latent=50 (default: as listed)",
    )
    vars(parser)["settable"] = set(fields)


def run(arguments: argparse.Namespace) -> int:
    """Trains, judges and writes the run folder; prints the result as JSON."""
    import json

    from ocjax import runs
    from ocjax.cli import exits
    from ocjax.runs.display import say

    values, data_dir = configuration(arguments)
    result = runs.launch(
        values,
        seed=arguments.seed,
        workdir=arguments.workdir,
        data_dir=data_dir,
        command=shlex.join(["ocjax", *sys.argv[1:]]),
        started=STARTED,
    )
    if result is None:  # Another process writes.
        return 0
    print(json.dumps(result.to_json()))
    folder = result.workdir
    if isinstance(result, runs.TableSummary):
        if result.diverged:
            exits.fail(exits.NOT_FINITE, f"{result.diverged} runs diverged.")
        say(f"\nThe table is in {folder}/table.md, each run in a folder beside it.")
        return 0
    report = pathlib.Path(folder, "report.html")
    opened = f": open {report}, or" if report.exists() else ";"
    say(f"\nThe run is in {folder}{opened} score pictures with")
    say(f"  ocjax score PICTURES --model={shlex.quote(folder)}")
    return 0


def configuration(arguments: argparse.Namespace) -> tuple[dict[str, Any], str | None]:
    """What to run, as `runs.configure` makes it, and where the data are.

    Raises:
      InputError: `DATA` is neither a data set nor a folder, or a field is unknown.
    """
    from ocjax import _files, data, runs
    from ocjax.runs.config import set_field

    changes = dict(DEFAULTS)
    if _is_data_set(arguments.data):
        changes |= {"dataset": arguments.data}
        data_dir = arguments.data_dir
        if data_dir is not None:
            data_dir = str(_files.local(data_dir, "--data_dir"))
    else:
        changes |= {"dataset": "folder", "protocol": "folder", "normal_class": "good"}
        data_dir = str(_folder(arguments.data))
    flags = ("method", "protocol", "epochs", "batch_size", "image_size")
    for name in (*flags, "false_positive_rate"):
        if getattr(arguments, name) is not None:
            changes[name] = getattr(arguments, name)
    if arguments.skip_unreadable:
        changes["skip_unreadable"] = True
    config = runs.configure(**changes)
    for text in arguments.set:
        set_field(config, text)
    fields = {text.partition("=")[0] for text in arguments.set}
    if arguments.normal_class is not None and fields.isdisjoint(data.TARGET.values()):
        # Where the protocol is unknown, `launch` says so.
        config[data.TARGET.get(str(config.protocol), "normal_class")] = (
            arguments.normal_class
        )
    return config.to_dict(), data_dir


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
    """The folder that `DATA` names.

    Raises:
      InputError: there is none; the message names what is near.
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
