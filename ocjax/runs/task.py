"""Tasks of runs: a configuration with its data."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ocjax import data, methods, training
from ocjax._checks import InputError
from ocjax.runs.bounds import SEED
from ocjax.runs.config import Execution, RunConfig, Settings, parse
from ocjax.runs.known import Known, Standardization


class Task(NamedTuple):
    """A configuration with its data."""

    config: RunConfig
    hyper: Any  # The method's own `Config`.
    seed: int
    dataset: data.Dataset
    target: int  # Label of the class that the protocol is about.
    split: data.Split
    execution: Execution = Execution()
    fingerprint: str = ""  # Fingerprint of the data.
    standardization: Standardization | None = None
    weights: str = ""  # Name and version of a frozen network's weights.

    @property
    def budget(self) -> training.Budget:
        """How long the run trains."""
        return training.Budget(self.config.epochs, self.config.steps)

    def known(self) -> Known:
        """Facts that the result depends on, but for rounding."""
        fields = dict.fromkeys(data.TARGET.values(), "") | {
            data.TARGET[self.config.protocol]: self.dataset.class_names[self.target]
        }
        return Known(
            dataclasses.replace(self.config, seeds=1, vary="", select_by="", **fields),
            self.hyper,
            self.seed,
            self.fingerprint,
            self.dataset.images.shape[-1],
            self.standardization,
            self.weights,
        )

    def contents(self) -> str:
        """Line with the numbers of pictures that train and that test."""
        split, labels = self.split, self.dataset.labels
        held_out = len(split.validation)
        anomalies = split.test[split.anomalous]
        kinds = len(np.unique(labels[anomalies]))
        tests = f"{len(split.test) - len(anomalies):,} good"
        if kinds:
            tests += f" and {len(anomalies):,} of {_counted(kinds, 'kind')}"
        return (
            f"{len(split.train) + held_out:,} good pictures to train on; {tests} to "
            f"test. {held_out:,} of the first are held out for the threshold; "
            f"{self.config.batch_size:,} make a batch."
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def load(
    values: Mapping[str, Any],
    seed: int,
    data_dir: str | os.PathLike | None = None,
    dataset: data.Dataset | None = None,
) -> Task:
    """Loads and splits the data of a run.

    A batch is no larger than the training part.

    Args:
      values: values of the configuration, from `configure`.
      seed: seed of initialization and batch order, in [0, 2^32).
      data_dir: folder of data sets.
      dataset: data, where they are loaded already.

    Raises:
      InputError: the configuration cannot be run.
    """
    settings = parse(values)
    dataset = dataset or dataset_of(settings.config, data_dir)
    return of_dataset(settings, seed, dataset, data.fingerprint(dataset))


def of_dataset(
    settings: Settings, seed: int, dataset: data.Dataset, fingerprint: str
) -> Task:
    """Makes the task of a configuration on data that are loaded, as `load` does."""
    config, hyper, execution = settings
    if not SEED.allows(seed):
        above = SEED.most + 1
        raise InputError(f"`seed` (={seed}) must be at least 0 and below {above}.")
    target = data.class_index(dataset, getattr(config, data.TARGET[config.protocol]))
    split = data.split(
        config.protocol,
        dataset,
        target,
        split_seed=config.split_seed,
        validation_fraction=config.validation_fraction,
    )
    _, builder = methods.METHODS[config.method]
    method = builder(hyper)
    batch_size = training.fitting_batch_size(
        method, config.batch_size, len(split.train)
    )
    config = dataclasses.replace(config, batch_size=batch_size)
    moments = None
    if config.standardize:
        moments = data.moments(dataset.images, split.train)
    return Task(
        config=config,
        hyper=hyper,
        seed=seed,
        dataset=dataset,
        target=target,
        split=split,
        execution=execution,
        fingerprint=fingerprint,
        standardization=moments,
        weights=method.weights,
    )


def dataset_of(config: RunConfig, data_dir: str | os.PathLike | None) -> data.Dataset:
    """Loads the data that a configuration names."""
    return data.load(
        config.dataset,
        data_dir=data_dir,
        size=config.image_size,
        fit=config.fit,
        skip_unreadable=config.skip_unreadable,
    )
