"""What a run does, as one flat configuration."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from ocjax import data, methods
from ocjax._checks import InputError, one_of
from ocjax.data import protocols

BATCH_STATISTICS = ("", "shuffled", "ordered")
AUGMENTATIONS = ("crop", "flip")
BEST_EPOCH = ("", "test", "test_part")
# Fields of `RunConfig` that say how a run is carried out, and not what it is.
EXECUTION = (
    "models_at_once", "devices", "memory_budget_mb", "checkpoint_seconds",
    "checkpoint_epochs", "log_every", "report",
)  # fmt: skip
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
    """A run; the seed apart, which is given at launch."""

    method: str = "ganomaly"
    dataset: str = "digits"
    image_size: int = 32
    skip_unreadable: bool = False  # Leave out damaged files, instead of an error.
    protocol: str = "p2"
    normal_class: str = "8"  # A number, a name, all, or random: one for each seed.
    anomalous_class: str = "8"  # As normal_class, for the protocol ganomaly.
    split_seed: int = 0
    validation_fraction: float = 0.15  # Of the training normals, held out.
    augment: str = ""  # Of training images: "crop", "flip" or both; not for digits.
    tile: int = 0  # Train and score tiles of this size of larger pictures; 0: none.
    tile_overlap: float = 0.5  # Part of a tile that the next one covers too.
    tile_reduction: str = "max"  # Of the tiles' scores, or "mean".
    standardize: bool = False  # Pixels, by mean and deviation of the training images.
    epochs: int = 15
    batch_size: int = 64
    precision: str = "float32"  # Of networks; parameters, statistics, losses: float32.
    seeds: int = 1  # Runs, with seeds from the given one on.
    false_positive_rate: float = 0.05  # Promised by the threshold.
    vary: str = ""  # Runs with other values: "learning_rate=1e-4,1e-3 w_con=1,50".
    models_at_once: int = 0  # Of many, on each device; 0: 1 on CPUs, else all.
    devices: int = 1  # That share each batch, or many runs; 0 for all.
    memory_budget_mb: float = 8192.0  # Images beyond it are streamed to the device.
    checkpoint_seconds: float = 60.0  # Save at least this often; 0 for never.
    checkpoint_epochs: int = 0  # Save after so many epochs; 0 for never.
    log_every: int = 10  # Steps between logged steps.
    report: bool = True  # Draw pictures and write the report.
    paper_code: PaperCode = PaperCode()  # Leaks of published code; all off.


def configure(**changes: Any) -> ConfigDict:
    """Returns a locked configuration for `experiments/train.py`.

    Args:
      **changes: fields of `RunConfig`, and `hyper`, a mapping with fields of the
        method's own `Config`; `paper_code` is a mapping too. Everything else keeps its
        default.

    Raises:
      InputError: a field or the method is unknown.
    """
    hyper = changes.pop("hyper", {})
    config = _run_config(changes)
    own, _ = methods.METHODS[one_of("method", config.method, methods.METHODS)]
    own = _replace("config.hyper", own(), hyper)
    values = dataclasses.asdict(config) | {"hyper": dataclasses.asdict(own)}
    return ConfigDict(values).lock()


def parse(values: Mapping[str, Any]) -> tuple[RunConfig, Any]:
    """The typed configuration and the method's own, checked.

    Args:
      values: as `configure` makes them, changed or not.

    Raises:
      InputError: a field is unknown, or its value cannot be.
    """
    values = dict(values)
    hyper = values.pop("hyper", {})
    config = _run_config(values)
    one_of("method", config.method, methods.METHODS)
    one_of("data set", config.dataset, data.SOURCES)
    one_of("protocol", config.protocol, protocols.PROTOCOLS)
    one_of("config.precision", config.precision, ("float32", "bfloat16"))
    for name in config.augment.split():
        one_of("config.augment", name, AUGMENTATIONS)
    at_least = dict.fromkeys(
        ("epochs", "batch_size", "seeds", "log_every", "image_size"), 1
    )
    at_least |= dict.fromkeys(("devices", "models_at_once", "tile", "split_seed"), 0)
    for name, least in at_least.items():
        if getattr(config, name) < least:
            raise InputError(
                f"`config.{name}` (={getattr(config, name)}) must be at least {least}."
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
    standard = methods.METHODS[config.method][0]()
    own = _replace("config.hyper", standard, hyper)
    for name, value in dataclasses.asdict(own).items():
        # Whole numbers are sizes or counts, all of them.
        if type(getattr(standard, name)) is int and value < 1:
            raise InputError(f"`config.hyper.{name}` (={value}) must be at least 1.")
    return config, own


def varied(config: RunConfig, own: Any) -> list[dict[str, Any]]:
    """The hyper-parameters of each run that `config.vary` asks for.

    Args:
      config: of the runs.
      own: the method's own `Config`, whose fields may vary.

    Returns:
      Every combination of the values: field -> value; one that is empty for "".

    Raises:
      InputError: a field is unknown, or a value is not of its kind.
    """
    names, rows = [], []
    for part in config.vary.split():
        name, _, values = part.partition("=")
        known = [field.name for field in dataclasses.fields(own)]
        one_of("field of config.hyper", name, known)
        kind = type(getattr(own, name))
        names.append(name)
        rows.append([_value(name, kind, value) for value in values.split(",")])
        if len(set(rows[-1])) < len(rows[-1]):
            raise InputError(f"`config.vary`: {part} has a value twice.")
    return [dict(zip(names, row, strict=True)) for row in itertools.product(*rows)]


def typed(kind: type, text: str) -> Any:
    """The value of a field's kind that a text says; "True" and "False" of booleans.

    Raises:
      ValueError: it says none.
    """
    if kind is not bool:
        return kind(text)
    if text not in ("True", "False"):
        raise ValueError(text)
    return text == "True"


def _value(name: str, kind: type, text: str) -> Any:
    try:
        return typed(kind, text)
    except ValueError:
        raise InputError(
            f"`config.vary`: {name}={text!r} is no {kind.__name__}; write "
            f"{name}=VALUE,VALUE."
        ) from None


def _run_config(changes: Mapping[str, Any]) -> RunConfig:
    flags = changes.get("paper_code", {})
    flags = _replace("config.paper_code", PaperCode(), flags)
    return _replace("config", RunConfig(), {**changes, "paper_code": flags})


def _replace(name: str, config: Any, changes: Mapping[str, Any]) -> Any:
    fields = [field.name for field in dataclasses.fields(config)]
    for field in changes:
        one_of(f"field of {name}", field, fields)
    return dataclasses.replace(config, **changes)
