"""What a run does, as one flat configuration."""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from ocjax import data, methods
from ocjax._checks import InputError, did_you_mean, one_of
from ocjax._nested import flat
from ocjax.data import protocols

BATCH_STATISTICS = ("", "shuffled", "ordered")
AUGMENTATIONS = ("crop", "flip")
BEST_EPOCH = ("", "test", "test_part")
# What messages call the values of a field.
KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
LARGEST = 2**31 - 1  # Of whole numbers, as devices count.
MOST_SEEDS = 10_000  # Of a table.
SMALL = 32  # Side of images whose size is left open, in pixels.
SELECTED_ON = 0.3  # Part of the test images that the code of ICS selects on.


@dataclasses.dataclass(frozen=True)
class PaperCode:
    """What published code does and an honest evaluation must not; all off.

    One flag for each leak, to show how much of a published number it is. A result of a
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
        """A sentence for each flag that is on."""
        said = {
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
        return [text for flag, text in said.items() if getattr(self, flag)]


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What a run is; the seed apart, which is given at launch."""

    method: str = "ganomaly"  # Method that is trained; `ocjax methods` lists them.
    # Data set that it is trained on; `ocjax datasets` lists them.
    dataset: str = "digits"
    # Height and width of images, in pixels: 32, 64, 128 or 256; any with tiles or a
    # frozen network; 0 for 32, or for what a frozen network takes of larger pictures.
    image_size: int = 0
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
    standardize: bool = False  # Whether pixels are standardized by the training images.
    epochs: int = 15  # Epochs, each over all training images.
    batch_size: int = 64  # Images of a step.
    # Precision that networks compute in: "float32" or "bfloat16"; all else is float32.
    precision: str = "float32"
    seeds: int = 1  # Number of runs, with seeds from the given one on.
    # False-positive rate that the threshold promises.
    false_positive_rate: float = 0.05
    # Values that runs differ by: "hyper.learning_rate=1e-4,1e-3 hyper.w_con=1,50".
    vary: str = ""
    paper_code: PaperCode = PaperCode()  # Leaks of published code; all off.


@dataclasses.dataclass(frozen=True)
class Execution:
    """How runs are carried out, which changes results by rounding alone."""

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
    """Returns a locked configuration for `experiments/train.py`.

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
    """The typed configuration, checked.

    Args:
      values: as `configure` makes them, changed or not.

    Raises:
      InputError: a field is unknown, or its value cannot be.
    """
    return check(_sized(_settings(values)))


def _sized(settings: Settings) -> Settings:
    """The settings with a size of images, where they leave it open."""
    config, hyper, _ = settings
    if config.image_size:
        return settings
    larger = config.dataset in data.LARGER
    size = getattr(hyper, "size", SMALL) if larger else SMALL
    return settings._replace(config=dataclasses.replace(config, image_size=size))


def check(settings: Settings) -> Settings:
    """The same settings.

    Raises:
      InputError: a value cannot be.
    """
    config, hyper, execution = settings
    one_of("data set", config.dataset, data.SOURCES)
    one_of("protocol", config.protocol, protocols.PROTOCOLS)
    one_of("config.precision", config.precision, ("float32", "bfloat16"))
    for name in config.augment.split():
        one_of("config.augment", name, AUGMENTATIONS)
    at_least = dict.fromkeys(
        ("epochs", "batch_size", "seeds", "log_every", "image_size"), 1
    )
    at_least |= dict.fromkeys(
        (
            "devices", "models_at_once", "tile", "split_seed", "tile_overlap",
            "memory_budget_mb", "checkpoint_seconds", "checkpoint_epochs",
        ),
        0,
    )  # fmt: skip
    for name, least in at_least.items():
        value = getattr(execution if hasattr(execution, name) else config, name)
        if not value >= least:
            raise InputError(f"`config.{name}` (={value}) must be at least {least}.")
        if value > LARGEST:
            raise InputError(f"`config.{name}` (={value}) must be at most {LARGEST}.")
    if config.seeds > MOST_SEEDS:
        raise InputError(
            f"`config.seeds` (={config.seeds}) must be at most {MOST_SEEDS:,}."
        )
    for name in ("validation_fraction", "false_positive_rate"):
        if not 0 < getattr(config, name) < 1:
            raise InputError(
                f"`config.{name}` (={getattr(config, name)}) must be between 0 and 1."
            )
    flags = config.paper_code
    one_of(
        "config.paper_code.batch_statistics", flags.batch_statistics, BATCH_STATISTICS
    )
    one_of("config.paper_code.best_epoch", flags.best_epoch, BEST_EPOCH)
    standard = type(hyper)()
    for name, value in dataclasses.asdict(hyper).items():
        # Whole numbers are sizes or counts, all of them; 0 where that is the default.
        if type(getattr(standard, name)) is not int:
            continue
        least = min(1, getattr(standard, name))
        if value < least:
            raise InputError(
                f"`config.hyper.{name}` (={value}) must be at least {least}."
            )
        if value > LARGEST:
            raise InputError(
                f"`config.hyper.{name}` (={value}) must be at most {LARGEST}."
            )
    return settings


def varied(config: RunConfig, own: Any) -> list[dict[str, Any]]:
    """The hyper-parameters of each run that `config.vary` asks for.

    Args:
      config: of the runs.
      own: the method's own `Config`, whose fields may vary.

    Returns:
      Every combination of the values: field, without "hyper.", -> value; one that is
      empty for "".

    Raises:
      InputError: a field is unknown, or a value is not of its kind.
    """
    names, rows = [], []
    known = {"hyper": dataclasses.asdict(own)}
    for part in config.vary.split():
        name, _, values = part.partition("=")
        old = located(known, name, "config.vary")
        names.append(name.removeprefix("hyper."))
        rows.append([])
        for text in values.split(","):
            try:
                rows[-1].append(typed(type(old), text))
            except ValueError:
                raise InputError(
                    f"`config.vary`: {name}={text!r} is not {KINDS[type(old)]}; write "
                    f"{name}=VALUE,VALUE."
                ) from None
        if len(set(rows[-1])) < len(rows[-1]):
            raise InputError(f"`config.vary`: {part} has a value twice.")
    return [dict(zip(names, row, strict=True)) for row in itertools.product(*rows)]


def set_field(config: ConfigDict, text: str) -> None:
    """Sets what a text such as "hyper.latent=50" says.

    Raises:
      InputError: the field is unknown, or the value is not of its kind.
    """
    name, equals, value = text.partition("=")
    old = located(config.to_dict(), name, "--set")
    try:
        if not equals:
            raise ValueError
        new = typed(type(old), value)
    except ValueError:
        raise InputError(
            f"--set {text}: expected {name}=VALUE, with {KINDS[type(old)]}."
        ) from None
    owner: Any = config
    *groups, last = name.split(".")
    for group in groups:
        owner = owner[group]
    owner[last] = new


def located(values: Mapping[str, Any], name: str, where: str) -> Any:
    """The value of a field such as "hyper.latent" or "epochs".

    Args:
      values: fields, of which some are mappings of fields.
      name: of the field, those of a mapping behind its name and a dot.
      where: what messages call the place that names it.

    Raises:
      InputError: the field is unknown.
    """
    known = dict(flat(values))
    if name in known:
        return known[name]
    near = did_you_mean(name, known)
    if near == ".":
        near = ": `ocjax fields` and `ocjax methods METHOD` list them."
    raise InputError(f"Unknown field of {where} {name!r}{near}")


def typed(kind: type, text: str) -> Any:
    """The value of a field's kind that a text says.

    Raises:
      ValueError: it says none.
    """
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    value = kind(text)
    if kind is float and not math.isfinite(value):
        raise ValueError(text)
    return value


def _settings(values: Mapping[str, Any]) -> Settings:
    """Values by the parts that have their fields, checked by kind alone."""
    hyper, flags = values.get("hyper", {}), values.get("paper_code", {})
    known = {field.name for field in dataclasses.fields(Execution)}
    flat = {k: v for k, v in values.items() if k not in ("hyper", "paper_code")}
    fields = [field.name for field in dataclasses.fields(RunConfig)]
    for name in flat:
        one_of("field of config", name, [*fields, *known, "hyper"])
    execution = {name: value for name, value in flat.items() if name in known}
    changes = {name: value for name, value in flat.items() if name not in known}
    flags = _replace("config.paper_code", PaperCode(), flags)
    config = _replace("config", RunConfig(), {**changes, "paper_code": flags})
    own, _ = methods.METHODS[one_of("method", config.method, methods.METHODS)]
    return Settings(
        config,
        _replace("config.hyper", own(), hyper),
        _replace("config", Execution(), execution),
    )


def _replace(name: str, config: Any, changes: Mapping[str, Any]) -> Any:
    fields = [field.name for field in dataclasses.fields(config)]
    for field, value in changes.items():
        one_of(f"field of {name}", field, fields)
        kind = type(getattr(config, field))
        if kind in KINDS and not _is_of(kind, value):
            raise InputError(f"`{name}.{field}` (={value!r}) must be {KINDS[kind]}.")
    return dataclasses.replace(config, **changes)


def _is_of(kind: type, value: Any) -> bool:
    """Whether a value, from a file or a caller, is one of a field's kind."""
    if kind is int:
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        return bool(whole and -(2**63) <= value < 2**63)
    if kind is float:
        number = isinstance(value, int | float | np.number)
        with contextlib.suppress(OverflowError):  # Of whole numbers beyond any float.
            return number and not isinstance(value, bool) and math.isfinite(value)
        return False
    return isinstance(value, kind)
