"""Train a detector on a folder of pictures, or on a data set by name.

A folder is laid out as train/good and test/KIND, as normal and anomalous, or has good
pictures alone, of which a fifth is kept to test on. Of a data set one class is normal.
The same command goes on where it was interrupted.

  ocjax train pictures/ --workdir=runs/pictures
  ocjax train digits --normal_class=8 --method=ganomaly --set epochs=30
"""

import argparse
import pathlib
import shlex
import sys
import time
from typing import Any

STARTED = time.monotonic()


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("data", metavar="DATA", help="folder, or name of a data set")
    parser.add_argument("--method", default="lrgdan", help="see: ocjax methods")
    parser.add_argument("--workdir", help="run folder; by default one below runs/")
    parser.add_argument("--data_dir", help="where data sets are")
    parser.add_argument(
        "--normal_class",
        help="of a data set: a class, all or random"
        "; of the protocol ganomaly the anomalous one",
    )
    parser.add_argument("--protocol", help="of a data set: p1, p2, ganomaly or folder")
    parser.add_argument("--epochs", type=int, help="over the training images")
    parser.add_argument("--image_size", type=int, help="32, 64, 128 or 256")
    parser.add_argument(
        "--false_positive_rate", type=float, help="promised; default 0.01"
    )
    parser.add_argument("--skip_unreadable", action="store_true", help="files, of DATA")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="any field of the configuration: batch_size=32, hyper.latent=50",
    )


def run(arguments: argparse.Namespace) -> int:
    """Trains, judges and writes the run folder; prints the result as JSON."""
    import json

    from ocjax import launch
    from ocjax.launch import exits
    from ocjax.launch.display import say

    values, data_dir = configuration(arguments)
    result = launch.launch(
        values,
        seed=arguments.seed,
        workdir=arguments.workdir,
        data_dir=data_dir,
        command=shlex.join(["ocjax", *sys.argv[1:]]),
        started=STARTED,
    )
    print(json.dumps(result))
    if result.get("diverged"):
        exits.fail(exits.NOT_FINITE, f"{result['diverged']} runs diverged.")
    folder = result["workdir"]
    if "classes" in result:
        say(f"\nThe table is in {folder}/table.md, each run in a folder beside it.")
        return 0
    report = pathlib.Path(folder, "report.html")
    opened = f": open {report}, or" if report.exists() else ";"
    say(f"\nThe run is in {folder}{opened} score pictures with")
    say(f"  ocjax score PICTURES --model={shlex.quote(str(folder))}")
    return 0


def configuration(arguments: argparse.Namespace) -> tuple[dict[str, Any], str | None]:
    """What to run, as `launch.configure` makes it, and where the data are.

    Raises:
      InputError: `DATA` is neither a data set nor a folder, or a field is unknown.
    """
    from ocjax import data, launch
    from ocjax._checks import InputError, one_of

    named = arguments.data in data.SOURCES and arguments.data != "folder"
    folder = pathlib.Path(arguments.data)
    changes: dict[str, Any] = {"false_positive_rate": 0.01}
    if named:
        changes |= {"dataset": arguments.data}
    elif folder.is_dir():
        changes |= {"dataset": "folder", "protocol": "folder", "normal_class": "good"}
    elif "/" in arguments.data:
        raise InputError(f"There is no folder {folder}.")
    else:
        names = [name for name in data.SOURCES if name != "folder"]
        one_of("data set or folder", arguments.data, names)
    for name in ("protocol", "epochs", "image_size", "false_positive_rate"):
        if getattr(arguments, name) is not None:
            changes[name] = getattr(arguments, name)
    if arguments.skip_unreadable:
        changes["skip_unreadable"] = True
    config = launch.configure(method=arguments.method, **changes)
    for text in arguments.set:
        _set(config, text)
    fields = {text.partition("=")[0] for text in arguments.set}
    if arguments.normal_class is not None and fields.isdisjoint(data.TARGET.values()):
        # Where the protocol is unknown, `launch` says so.
        config[data.TARGET.get(str(config.protocol), "normal_class")] = (
            arguments.normal_class
        )
    if arguments.seed < 0:
        raise InputError(f"--seed (={arguments.seed}) must be at least 0.")
    data_dir = arguments.data_dir if named else str(folder)
    return config.to_dict(), data_dir


def _set(config, text: str) -> None:
    """Sets "hyper.latent=50", of the kind that the field has."""
    from ocjax._checks import InputError, one_of
    from ocjax.launch.config import typed

    name, equals, value = text.partition("=")
    *path, last = name.split(".")
    for part in path:
        one_of(
            "field of --set", part, [k for k in config if hasattr(config[k], "keys")]
        )
        config = config[part]
    one_of("field of --set", last, config)
    kind = type(config[last])
    try:
        if not equals or hasattr(config[last], "keys"):
            raise ValueError
        short = {"true": "True", "false": "False"} if kind is bool else {}
        config[last] = typed(kind, short.get(value, value))
    except (KeyError, TypeError, ValueError):
        meant = "one of its fields" if hasattr(config[last], "keys") else kind.__name__
        raise InputError(
            f"--set {text}: expected {name}=VALUE with a {meant}."
        ) from None
