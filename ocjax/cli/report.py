"""Write the report of a finished run again, and say where it is.

ocjax report runs/pictures
"""

import argparse

from ocjax.cli import arguments as shared


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    shared.completed(
        parser.add_argument("run_folder", metavar="RUN", help="run folder")
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes `report.html` from files of the run folder; the data are not needed."""
    from ocjax import _files
    from ocjax._checks import InputError
    from ocjax.runs import report
    from ocjax.runs.folder import RunFolder
    from ocjax.runs.known import FILE

    path = _files.local(arguments.run_folder, "RUN")
    if not path.exists():
        raise InputError(f"There is no run folder {path}{_files.did_you_mean(path)}")
    folder = RunFolder(path)
    if not (path / FILE).is_file():
        raise InputError(f"{path} is no run folder: it has no {FILE}.")
    summary = folder.result()
    if summary is None:
        raise InputError(f"{path} is not finished: start its command again.")
    plots = sorted((path / "plots").glob("*.png"))
    report.write(folder, summary, {plot.stem: plot.read_bytes() for plot in plots})
    print(path / "report.html")
    return 0
