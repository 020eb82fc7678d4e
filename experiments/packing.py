"""Data sets in one small file, for a machine that has nothing but this code."""

import contextlib
import hashlib
import json
import pathlib
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ocjax import data
from ocjax._checks import InputError
from ocjax.runs import environment
from ocjax.runs.config import RunConfig

ROOT = pathlib.Path(__file__).parents[1]
MOST_BYTES = 40 << 20  # So that it travels with the code.
SOURCES = ("ocjax", "experiments", "benchmarks")  # Folders of the code.
ABOUT = "about.json"


def write(
    file: pathlib.Path, configs: Iterable[RunConfig], data_dir: str | None
) -> None:
    """Packs the data of configurations, as they are on the device.

    Args:
      file: zip archive that is written, with an array of each field of each data set
        and the commit of the code.
      configs: configurations whose data are packed.
      data_dir: folder of data sets.

    Raises:
      InputError: the code is no commit, or data are not there or too large.
    """
    commit = own_commit()
    needed = {key(config): config for config in configs}
    part = file.with_name(f"{file.name}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_LZMA) as archive:
        about = {"commit": commit, "sources": _digest()}
        archive.writestr(ABOUT, json.dumps(about))
        for name, config in needed.items():
            dataset = data.load(
                config.dataset,
                data_dir=data_dir,
                size=config.image_size,
                fit=config.fit,
            )
            for field, value in dataset._asdict().items():
                if value is not None and field != "baselines":
                    with archive.open(f"{name}/{field}.npy", "w") as member:
                        np.lib.format.write_array(member, np.asarray(value))
    if (size := part.stat().st_size) > MOST_BYTES:
        part.unlink()
        raise InputError(
            f"The data of {', '.join(needed)} are {size / 2**20:.0f} MiB when packed, "
            f"and {MOST_BYTES >> 20} at most travel: name fewer results."
        )
    part.replace(file)


def dataset(file: pathlib.Path, config: RunConfig) -> data.Dataset:
    """Reads the data of a configuration from a pack.

    Raises:
      InputError: there is no such file, or the data are not in it.
    """
    fields: dict[str, Any] = {}
    with _opened(file) as archive:
        for name in archive.namelist():
            folder, _, field = name.removesuffix(".npy").partition("/")
            if folder == key(config):
                with archive.open(name) as member:
                    fields[field] = np.lib.format.read_array(member)
    if not fields:
        raise InputError(f"{file} has no {key(config)}: pack it again.")
    for field in ("name", "note"):
        fields[field] = str(fields[field])
    for field in {"class_names", "paths"} & set(fields):
        fields[field] = tuple(map(str, fields[field]))
    return data.Dataset(**fields)


def own_commit() -> str:
    """Commit of the code here.

    Raises:
      InputError: it is no commit, so that results would name none.
    """
    commit = environment.commit()
    if commit is None or commit.endswith("+"):
        raise InputError("The code is no commit, which results name: commit it first.")
    return commit


def commit(file: pathlib.Path) -> str:
    """Commit of the code that packed, where it is the code here; else "".

    Raises:
      InputError: there is no such file.
    """
    with _opened(file) as archive:
        about = json.loads(archive.read(ABOUT))
    return about["commit"] if about["sources"] == _digest() else ""


def key(config: RunConfig) -> str:
    """Name of the data of a configuration."""
    return f"{config.dataset}-{config.image_size}-{config.fit}"


@contextlib.contextmanager
def _opened(file: pathlib.Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"The pack {file} cannot be read: {error}.") from None


def _digest() -> str:
    """Name of the sources as they are, wherever they lie."""
    code = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            code.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return code.hexdigest()[:16]
