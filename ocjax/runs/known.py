"""Facts that are known of a run when it begins, kept in `run.json`."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from ocjax._checks import InputError
from ocjax.runs.config import RunConfig, parse

FILE = "run.json"
# Mean and deviation of each channel of the training pixels, in [0, 1].
Standardization = tuple[tuple[float, ...], tuple[float, ...]]


@dataclasses.dataclass(frozen=True)
class Known:
    """All that a result depends on, but for rounding.

    Attributes:
      config: configuration of the run.
      hyper: the method's own `Config`.
      seed: seed of initialization and batch order.
      data: fingerprint of the data; a folder may be another of the same name.
      channels: number of channels of an image, 1 or 3.
      standardization: moments of pixels, where the configuration asks for it.
      weights: name and version of a frozen network's weights, "" without one.
    """

    config: RunConfig
    hyper: Any
    seed: int
    data: str
    channels: int
    standardization: Standardization | None
    weights: str

    def to_json(self) -> dict[str, Any]:
        """Returns the object of `run.json`."""
        values = dataclasses.asdict(self) | {"config": self.flat()}
        del values["hyper"]
        return values

    def flat(self) -> dict[str, Any]:
        """Configuration with its hyper-parameters, as `parse` takes them."""
        return dataclasses.asdict(self.config) | {
            "hyper": dataclasses.asdict(self.hyper)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Known":
        """Reads an object of `to_json`.

        Raises:
          InputError: a field is missing, or has a wrong value.
        """
        names = {field.name for field in dataclasses.fields(cls)} - {"hyper"}
        if set(values) != names or not isinstance(values["config"], Mapping):
            raise InputError(f"expected {', '.join(sorted(names))}")
        settings = parse(values["config"])
        seed, data, channels = (values[name] for name in ("seed", "data", "channels"))
        if type(seed) is not int or not isinstance(data, str) or channels not in (1, 3):
            raise InputError(
                f"expected a seed, a fingerprint and 1 or 3 channels, got {seed!r}, "
                f"{data!r} and {channels!r}"
            )
        if not isinstance(values["weights"], str):
            raise InputError(f"expected weights by name, got {values['weights']!r}")
        return cls(
            settings.config,
            settings.hyper,
            seed,
            data,
            int(channels),
            _standardization(
                values["standardization"], settings.config.standardize, channels
            ),
            values["weights"],
        )


def _standardization(value: Any, wanted: bool, channels: int) -> Standardization | None:
    if not wanted and value is None:
        return None
    try:
        mean, deviation = (tuple(map(float, numbers)) for numbers in value)
        whole = len(mean) == len(deviation) == channels
        if wanted and whole and all(map(math.isfinite, mean + deviation)):
            return mean, deviation
    except (TypeError, ValueError):
        pass
    raise InputError(
        f"expected mean and deviation of {channels} channels where pixels are "
        f"standardized, got {value!r}"
    )
