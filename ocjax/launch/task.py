"""What one run works on."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from ocjax import data
from ocjax.launch.config import RunConfig, parse


class Task(NamedTuple):
    """A configuration with its data."""

    config: RunConfig
    hyper: Any  # The method's own `Config`.
    seed: int
    dataset: data.Dataset
    target: int  # Label of the class that the protocol is about.
    split: data.Split

    def identity(self) -> dict[str, Any]:
        """All that the result depends on, and how it is logged and saved.

        The data by their fingerprint: a folder may be another of the same name.
        """
        values = dataclasses.asdict(self.config) | {"seed": self.seed}
        for name in ("normal_class", "anomalous_class", "seeds", "vary"):
            del values[name]
        field = data.TARGET[self.config.protocol]
        name = self.dataset.class_names[self.target]
        return values | {
            field: name,
            "hyper": dataclasses.asdict(self.hyper),
            "data": data.fingerprint(self.dataset),
        }


def load(
    values: Mapping[str, Any],
    seed: int,
    data_dir: str | os.PathLike | None = None,
    dataset: data.Dataset | None = None,
) -> Task:
    """Loads and splits the data of a run.

    Args:
      values: configuration, as `configure` makes it.
      seed: of initialization and batch order.
      data_dir: where TFDS keeps its data sets.
      dataset: the data, where they are loaded already.

    Raises:
      InputError: the configuration cannot be run.
    """
    config, hyper = parse(values)
    dataset = dataset or dataset_of(config, data_dir)
    target = data.class_index(dataset, getattr(config, data.TARGET[config.protocol]))
    split = data.split(
        config.protocol,
        dataset,
        target,
        split_seed=config.split_seed,
        validation_fraction=config.validation_fraction,
    )
    return Task(config, hyper, seed, dataset, target, split)


def dataset_of(config: RunConfig, data_dir: str | os.PathLike | None) -> data.Dataset:
    """Loads the data that a configuration names."""
    return data.load(
        config.dataset,
        data_dir=data_dir,
        size=config.image_size,
        skip_unreadable=config.skip_unreadable,
    )
