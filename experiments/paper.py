"""What the paper of a method has, and what was found here, beside each other.

Published numbers are in `experiments/METHOD/paper.json`:

    "published": name -> tables, each with "table", "dataset", "protocol", and
        "classes" (class -> AUROC), or "mean" over classes, or both
    "variants": rows of the paper's ablation, each with "name", the "hyper" parameters
        in which it differs from the configuration file, and the name of what is
        "published" of it

Results here are the lines of `experiments/METHOD/results.jsonl`, by `keep.py`.
"""

import dataclasses
import functools
import json
import pathlib
import statistics
from collections.abc import Mapping
from typing import Any

from keep import Result

from ocjax.runs.config import SMALL, RunConfig, from_file, parse

# Settings beside hyper-parameters that make another configuration.
COMPARED = (
    "epochs batch_size image_size split_seed validation_fraction precision augment "
    "standardize tile tile_overlap tile_reduction"
).split()
MEAN = "mean"
CLASSES = {"coil100_17": 17, "sound_scenes": 6}  # Other data sets have ten.


class Paper:
    """The folder of one method: the published numbers and the results here.

    Attributes:
      variants: of the method, as `paper.json` has them; the first is its default.
      results: lines of `results.jsonl`.
    """

    def __init__(self, folder: pathlib.Path):
        """Reads `paper.json`, and `results.jsonl` where there is one."""
        self._folder = folder
        content = json.loads((folder / "paper.json").read_text())
        self.variants: list[dict] = content["variants"]
        self._published: dict[str, list[dict]] = content["published"]
        self.results = read_results(folder / "results.jsonl")

    def configuration(self, config: Mapping) -> tuple[dict, list[str]]:
        """The variant that a run's is nearest to, and in what else it differs."""
        standard = _standard(self._folder, config["dataset"])
        settings = config["hyper"] | compared(config)

        def differences(variant):
            wanted = standard | variant["hyper"]
            return [f"{k}={v}" for k, v in settings.items() if v != wanted.get(k)]

        variant = min(self.variants, key=lambda variant: len(differences(variant)))
        return variant, differences(variant)

    def theirs(self, variant: Mapping, dataset, protocol, name) -> float | None:
        """The published AUROC of a class or of the mean, if any."""
        for table in self._published.get(variant.get("published", ""), []):
            if (table["dataset"], table["protocol"]) == (dataset, protocol):
                classes = table.get("classes", {})
                if name == MEAN and MEAN in table:
                    return table[MEAN]
                if name == MEAN and len(classes) == CLASSES.get(dataset, 10):
                    return statistics.mean(classes.values())
                return classes.get(name)
        return None

    def published(self, config: Mapping) -> dict[str, float]:
        """Class, or "mean", -> AUROC in the paper of what is nearest to `config`."""
        variant, _ = self.configuration(config)
        names = self.reported().get((config["dataset"], config["protocol"]), [])
        where = (variant, config["dataset"], config["protocol"])
        aurocs = {name: self.theirs(*where, name) for name in [*names, MEAN]}
        return {name: auroc for name, auroc in aurocs.items() if auroc is not None}

    def ours(self, variant: Mapping, dataset, protocol, name) -> list[float]:
        """AUROCs of honest runs that differ in nothing else.

        There is one for each seed on each kind of device: these round otherwise, and
        adversarial training makes of that what it makes of another seed.
        """
        by_class = self._honest.get((variant["name"], dataset, protocol), {})
        if name != MEAN:
            return list(by_class.get(name, {}).values())
        if len(by_class) < CLASSES.get(dataset, 10):
            return []
        complete = set.intersection(*(set(runs) for runs in by_class.values()))
        return [
            statistics.mean(runs[run] for runs in by_class.values())
            for run in sorted(complete)
        ]

    @functools.cached_property
    def _honest(self) -> dict[tuple[str, ...], dict[str, dict[tuple, float]]]:
        """(Variant, data set, protocol) -> class -> (device, seed) -> AUROC."""
        aurocs = {}
        for result in self.results:
            variant, differences = self.configuration(result.config)
            if differences or result.leaks:
                continue
            ran = result.identity
            where = (variant["name"], ran.dataset, ran.protocol)
            runs = aurocs.setdefault(where, {}).setdefault(ran.target_class, {})
            runs[result.environment["device"], ran.seed] = result.auroc
        return aurocs

    def reported(self) -> dict[tuple[str, str], list[str]]:
        """Data set and protocol -> classes that the paper has or that ran here."""
        classes = {}
        for tables in self._published.values():
            for table in tables:
                names = classes.setdefault((table["dataset"], table["protocol"]), {})
                names |= dict.fromkeys(table.get("classes", {}))
        for result in self.results:
            ran = result.identity
            classes.setdefault((ran.dataset, ran.protocol), {})[ran.target_class] = None
        return {where: list(names) for where, names in classes.items()}


def published(config: Mapping) -> dict[str, float]:
    """What the paper of the method has, where it is one of these experiments."""
    folder = pathlib.Path(__file__).parent / config["method"]
    file = folder / f"{config['dataset']}.py"
    return Paper(folder).published(config) if file.exists() else {}


@functools.cache
def _standard(folder: pathlib.Path, dataset: str) -> dict[str, Any]:
    """Settings of the configuration file of a data set."""
    values = from_file(folder / f"{dataset}.py")
    return values["hyper"] | compared(values)


def compared(config: Mapping) -> dict[str, Any]:
    """The settings of `COMPARED`; a run older than a field did as its default does."""
    if config.get("image_size") == 0:  # Left open.
        config = {**config, "image_size": parse(config).config.image_size}
    defaults = dataclasses.asdict(RunConfig()) | {"image_size": SMALL}
    return {name: config.get(name, defaults[name]) for name in COMPARED}


def read_results(path: pathlib.Path) -> list[Result]:
    """Lines of a file of results; none where there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Result.from_json(json.loads(line)) for line in lines]
