"""Configuration of a run, one flat object."""

import dataclasses
import os
import pathlib
import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from ocjax import _files, data, methods
from ocjax._checks import InputError, one_of
from ocjax._nested import flat
from ocjax.data import fitting, protocols
from ocjax.runs import bounds

SMALL = 32  # Side of images whose size is left open, in pixels.
STEPS = 2000  # Steps of training where a configuration says nothing of its length.
SELECTED_ON = 0.3  # Part of the test images that the code of ICS selects on.


@dataclasses.dataclass(frozen=True)
class PaperCode:
    """Leaks of published code, which no honest evaluation may have; all off.

    Each leak has a flag, to show how much of a published number it is. A result of a
    run with any of them is marked wherever it appears.
    """

    # Scores by the BatchNorm statistics of test batches, of shuffled images, or of
    # ordered ones: all normal images, then all anomalous ones (code of GANomaly and
    # Skip-GANomaly, the latter order on CIFAR-10).
    batch_statistics: str = ""
    # Report the epoch with the best AUROC on the "test" images (GANomaly and
    # Skip-GANomaly), or on a "test_part" of 30 %, with the rest reported (ICS).
    best_epoch: str = ""
    # Rescale scores by the extremes of the test images (GANomaly, Skip-GANomaly).
    min_max: bool = False
    # Standardize pixels as MNIST's mean and deviation say, which leaves the range that
    # the decoder's tanh can reach (GANomaly on MNIST).
    mnist_normalization: bool = False

    def leaks(self) -> list[str]:
        """Returns a sentence for each flag that is on."""
        sentences = {
            "batch_statistics": "Scores use BatchNorm statistics of "
            f"{self.batch_statistics} test batches, so they depend on other images.",
            "best_epoch": "The epoch was chosen by AUROC on labelled "
            + (
                "test images, those it is reported on."
                if self.best_epoch == "test"
                else f"images: {SELECTED_ON:.0%} of the test part, left out of it then."
            ),
            "min_max": "Scores are rescaled by the extremes of the test images.",
            "mnist_normalization": "Pixels are standardized out of the range that a "
            "reconstruction can reach.",
        }
        return [text for flag, text in sentences.items() if getattr(self, flag)]


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Configuration of a run, without the seed, which is given at launch."""

    method: str = "lrgdan"  # Method that is trained; `ocjax methods` lists them.
    # Data set that it is trained on; `ocjax datasets` lists them.
    dataset: str = "digits"
    # Height and width of images, in pixels: 32, 64, 128 or 256; any with tiles or a
    # frozen network; 0 for 32, or for what a frozen network takes of larger pictures.
    image_size: int = 0
    # How pictures in folders that are not square become so: "stretch", "pad" (the
    # whole, its border's mean around it) or "cut" (the square in the middle).
    fit: str = fitting.STRETCH
    # Whether damaged files are left out, instead of an error.
    skip_unreadable: bool = False
    # Division into training and test images: "p1", "p2", "ganomaly" or "folder".
    protocol: str = "p2"
    # Class that is normal: a number, a name, "all", or "random" for one a seed.
    normal_class: str = "8"
    # Class that is anomalous, for the protocol ganomaly; as normal_class.
    anomalous_class: str = "8"
    split_seed: int = 0  # Seed of the division into parts.
    validation_fraction: float = 0.15  # Part of the training normals that is held out.
    # Augmentation of training images: "crop", "flip" (not for digits) or both.
    augment: str = ""
    # Side of the tiles that larger pictures are cut into, in pixels; 0 for none.
    tile: int = 0
    tile_overlap: float = 0.5  # Part of a tile that the next one covers too.
    # Score of a picture from those of its tiles: "max" or "mean".
    tile_reduction: str = "max"
    # Score of a picture: the "method" has its own, or the largest value of its heatmap,
    # "map", of methods that reconstruct or have one of their own.
    score_from: str = "method"
    standardize: bool = False  # Whether pixels are standardized by the training images.
    # Steps of training, where it is not by epochs; 2,000 where neither is set. An epoch
    # of few pictures is few steps, and steps are what networks learn by.
    steps: int = 0
    epochs: int = 0  # Epochs, each over all training images; 0 where steps count.
    # When training ends: at the "end" of its steps, or already when it has "converged",
    # as held-out normal images show.
    until: str = "end"
    # Factor of the learning rates in the course of a stage: "constant", "cosine" to 0,
    # or "decay" by decay_factor after every part decay_every of its steps.
    schedule: str = "constant"
    warmup_steps: int = 0  # Steps over which the learning rates rise to their height.
    decay_factor: float = (
        0.25  # Factor of the learning rates at each decay, as in GPND.
    )
    decay_every: float = 0.375  # Part of a stage between two decays, as in GPND.
    # Decay of the average of the weights over the steps, that scores instead of the
    # last weights, such as 0.999; 0 for none.
    average: float = 0.0
    batch_size: int = 64  # Images of a step.
    # Precision that networks compute in: "float32" or "bfloat16"; all else is float32.
    precision: str = "float32"
    seeds: int = 1  # Number of runs, with seeds from the given one on.
    # False-positive rate that the threshold promises.
    false_positive_rate: float = 0.01
    # Values that runs differ by: "hyper.learning_rate=1e-4,1e-3 hyper.w_con=1,50".
    vary: str = ""
    # Kind of synthetic anomalies by which one of the values of vary is chosen, without
    # labels: "erased" or another, or "mean" of all; "" for no choice.
    select_by: str = ""
    paper_code: PaperCode = PaperCode()  # Leaks of published code; all off.


@dataclasses.dataclass(frozen=True)
class Execution:
    """Execution of runs, which changes results by rounding alone."""

    # Models that each device trains at once, of many; 0 for 1 on CPUs and all
    # elsewhere.
    models_at_once: int = 0
    devices: int = 1  # Devices that share each batch, or many runs; 0 for all.
    # Memory for images on the device, in MiB; more are streamed to it.
    memory_budget_mb: float = 8192.0
    # Longest time between checkpoints, in seconds; 0 for no limit.
    checkpoint_seconds: float = 60.0
    checkpoint_epochs: int = 0  # Epochs between checkpoints; 0 for none by epochs.
    log_every: int = 10  # Steps between logged steps.
    report: bool = True  # Whether pictures are drawn and the report is written.


class Settings(NamedTuple):
    """A configuration, parsed and checked."""

    config: RunConfig
    hyper: Any  # The method's own `Config`.
    execution: Execution


def configure(**changes: Any) -> ConfigDict:
    """Returns a locked configuration, as configuration files give it.

    Args:
      **changes: fields of `RunConfig` and `Execution`; and `hyper`, a mapping with
        fields of the method's own `Config`; `paper_code` is a mapping too. Everything
        else keeps its default.

    Raises:
      InputError: a field or the method is unknown.
    """
    settings = _settings(changes)
    values = {}
    for part in (settings.config, settings.execution):
        values |= dataclasses.asdict(part)
    return ConfigDict(values | {"hyper": dataclasses.asdict(settings.hyper)}).lock()


def parse(values: Mapping[str, Any]) -> Settings:
    """Returns the typed configuration, checked.

    Args:
      values: values from `configure`, changed or not.

    Raises:
      InputError: a field is unknown, or its value is out of bounds.
    """
    return check(_limited(_sized(_settings(values))))


def _sized(settings: Settings) -> Settings:
    """Settings with a size of images, where they leave it open."""
    config, hyper, _ = settings
    if config.image_size:
        return settings
    larger = config.dataset in data.LARGER
    size = getattr(hyper, "size", SMALL) if larger else SMALL
    return settings._replace(config=dataclasses.replace(config, image_size=size))


def steps_of(steps: int, epochs: int) -> int:
    """Steps of training: those of `STEPS` where neither number says its length."""
    return steps if steps or epochs else STEPS


def _limited(settings: Settings) -> Settings:
    """The settings with a number of steps, where they leave the length open."""
    config = settings.config
    steps = steps_of(config.steps, config.epochs)
    return settings._replace(config=dataclasses.replace(config, steps=steps))


def check(settings: Settings) -> Settings:
    """Returns the same settings.

    Raises:
      InputError: a value is out of bounds.
    """
    config, hyper, execution = settings
    one_of("data set", config.dataset, data.SOURCES)
    one_of("protocol", config.protocol, protocols.PROTOCOLS)
    values = dataclasses.asdict(config) | dataclasses.asdict(execution)
    for name, value in flat(values):
        bounds.check(f"config.{name}", value, bounds.BOUNDS.get(name))
    if config.epochs and config.steps:
        raise InputError(
            f"`config.epochs` (={config.epochs}) and `config.steps` (={config.steps}) "
            "both say how long to train: set one of them to 0."
        )
    for field in dataclasses.fields(hyper):
        value, bound = getattr(hyper, field.name), bounds.of_hyper(field.default)
        bounds.check(f"config.hyper.{field.name}", value, bound)
    return settings


def from_file(path: str | os.PathLike) -> dict[str, Any]:
    """Reads all values of a configuration file.

    Args:
      path: path of Python source whose `get_config()` returns what `configure` makes,
        or a mapping of some of its fields; the others have their defaults.

    Raises:
      InputError: there is no such file, it fails, or a field of it is unknown.
    """
    file = _files.local(path, "--config")
    if file.is_dir():
        raise InputError(f"Expected --config as a Python file, got the folder {file}.")
    if not file.is_file():
        raise InputError(
            f"There is no configuration file {path}{_files.did_you_mean(file)}"
        )
    names = {"__name__": file.stem, "__file__": str(file)}
    try:
        exec(compile(file.read_bytes(), file, "exec"), names)
        if not callable(get_config := names.get("get_config")):
            raise InputError("it defines no function get_config().")
        config = get_config()
        values = config.to_dict() if isinstance(config, ConfigDict) else config
        if not isinstance(values, Mapping):
            raise InputError(
                "get_config() must return what ocjax.runs.configure makes, got "
                f"{type(values).__name__}."
            )
        return configure(**values).to_dict()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (Exception, SystemExit) as error:  # Somebody's source may raise anything.
        text = f"{type(error).__name__}: {error}".rstrip(": .")
        raise InputError(f"{path}{_line_of(error, file)}: {text}.") from error


def _line_of(error: BaseException, file: pathlib.Path) -> str:
    """Line of a file that raised an error, as ", line 3"; "" where it is unknown."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""


def _settings(values: Mapping[str, Any]) -> Settings:
    """Divides values by the parts that have their fields; checks types alone."""
    run_fields = [field.name for field in dataclasses.fields(RunConfig)]
    execution_fields = [field.name for field in dataclasses.fields(Execution)]
    for name in values:
        one_of("field of config", name, [*run_fields, *execution_fields, "hyper"])
    pick = lambda fields: {name: values[name] for name in values if name in fields}
    leaks = _replace("config.paper_code", PaperCode(), values.get("paper_code", {}))
    config = _replace("config", RunConfig(), pick(run_fields) | {"paper_code": leaks})
    hyper, _ = methods.METHODS[one_of("method", config.method, methods.METHODS)]
    return Settings(
        config,
        _replace("config.hyper", hyper(), values.get("hyper", {})),
        _replace("config", Execution(), pick(execution_fields)),
    )


def _replace(name: str, config: Any, changes: Any) -> Any:
    """Changes values of some fields of a part, to Python's own types."""
    if not isinstance(changes, Mapping):
        raise InputError(f"`{name}` (={changes!r}) must be a mapping of fields.")
    fields = [field.name for field in dataclasses.fields(config)]
    values = {}
    for field, value in changes.items():
        one_of(f"field of {name}", field, fields)
        kind = type(getattr(config, field))
        if kind in bounds.KINDS and not bounds.is_of(kind, value):
            raise InputError(
                f"`{name}.{field}` (={value!r}) must be {bounds.KINDS[kind]}."
            )
        values[field] = value.item() if isinstance(value, np.generic) else value
    return dataclasses.replace(config, **values)
