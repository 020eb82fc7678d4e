"""Published numbers of a method's paper beside the results here.

Published numbers are in `experiments/METHOD/paper.json`:

    "published": name -> tables, each with "table", "dataset", "protocol", and
        "classes" (class -> AUROC), or "mean" over classes, or both
    "variants": rows of the paper's ablation, each with "name", the "hyper" parameters
        in which it differs from the configuration file, and the name of its numbers in
        "published"
    "printed": whole tables as the paper prints them, other papers' methods included,
        each with "title" and "rows", the first of which is the header

Results here are the lines of `experiments/METHOD/results.jsonl`, from `keep.py`.
"""

import dataclasses
import functools
import json
import pathlib
import statistics
from collections.abc import Mapping
from typing import Any

from keep import Result

from ocjax.runs.config import SMALL, RunConfig, from_file, parse, steps_of

# Settings beside hyper-parameters that make another configuration.
COMPARED = (
    "batch_size image_size fit split_seed validation_fraction precision augment "
    "standardize tile tile_overlap tile_reduction score_from"
).split()
# Those of them of methods that train in steps.
OF_STEPS = "steps epochs until schedule warmup_steps average".split()
MEAN = "mean"
# Other data sets have ten.
CLASSES = {"coil100_17": 17, "dcase2017_task2": 15, "sound_scenes": 6}


class Paper:
    """Folder of one method: the published numbers and the results here.

    Attributes:
      variants: variants of the method in `paper.json`; the first is its default.
      printed: tables of the paper, whole, as printed.
      results: lines of `results.jsonl`.
    """

    def __init__(self, folder: pathlib.Path):
        """Reads `paper.json`, and `results.jsonl` where there is one."""
        self._folder = folder
        content = json.loads((folder / "paper.json").read_text())
        self.variants: list[dict] = content["variants"]
        self._published: dict[str, list[dict]] = content["published"]
        self.printed: list[dict] = content.get("printed", [])
        self.results = read_results(folder / "results.jsonl")

    def configuration(self, config: Mapping) -> tuple[dict, list[str]]:
        """Variant nearest to a run's, and the settings in which the run differs."""
        standard = _standard(self._folder, config["dataset"])
        settings = config["hyper"] | compared(config)

        def differences(variant):
            expected = standard | variant["hyper"]
            return [f"{k}={v}" for k, v in settings.items() if v != expected.get(k)]

        variant = min(self.variants, key=lambda variant: len(differences(variant)))
        return variant, differences(variant)

    def theirs(self, variant: Mapping, dataset, protocol, name) -> float | None:
        """Published AUROC of a class or of the mean, if any."""
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
        """AUROCs of the nearest variant in the paper, by class or "mean"."""
        variant, _ = self.configuration(config)
        names = self.reported().get((config["dataset"], config["protocol"]), [])
        dataset, protocol = config["dataset"], config["protocol"]
        aurocs = {
            name: self.theirs(variant, dataset, protocol, name)
            for name in [*names, MEAN]
        }
        return {name: auroc for name, auroc in aurocs.items() if auroc is not None}

    def ours(self, variant: Mapping, dataset, protocol, name) -> list[float]:
        """AUROCs of honest runs that differ in seed and device alone.

        Each seed counts once for each kind of device: devices round otherwise, which
        changes adversarial training as much as another seed does.
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
        """AUROCs by (variant, data set, protocol), class and (device, seed)."""
        aurocs = {}
        for result in self.results:
            variant, differences = self.configuration(result.config)
            if differences or result.leaks:
                continue
            identity = result.identity
            row = (variant["name"], identity.dataset, identity.protocol)
            runs = aurocs.setdefault(row, {}).setdefault(identity.target_class, {})
            runs[result.environment["device"], identity.seed] = result.auroc
        return aurocs

    def reported(self) -> dict[tuple[str, str], list[str]]:
        """Classes that the paper has or that ran here, by data set and protocol."""
        classes = {}
        for tables in self._published.values():
            for table in tables:
                names = classes.setdefault((table["dataset"], table["protocol"]), {})
                names |= dict.fromkeys(table.get("classes", {}))
        for result in self.results:
            identity = result.identity
            names = classes.setdefault((identity.dataset, identity.protocol), {})
            names[identity.target_class] = None
        return {key: list(names) for key, names in classes.items()}


def published(config: Mapping) -> dict[str, float]:
    """AUROCs in the paper by class, where a configuration is of these experiments."""
    folder = pathlib.Path(__file__).parent / config["method"]
    file = folder / f"{config['dataset']}.py"
    return Paper(folder).published(config) if file.exists() else {}


@functools.cache
def _standard(folder: pathlib.Path, dataset: str) -> dict[str, Any]:
    """Settings of the configuration file of a data set."""
    values = from_file(folder / f"{dataset}.py")
    return values["hyper"] | compared(values)


def compared(config: Mapping) -> dict[str, Any]:
    """Settings that make another configuration.

    A run older than a field has its default.
    """
    hyper: Mapping[str, Any] = config["hyper"]
    if config.get("image_size") == 0:  # The method decides.
        config = {**config, "image_size": parse(config).config.image_size}
    defaults = dataclasses.asdict(RunConfig()) | {"image_size": SMALL}
    names = list(COMPARED)
    if "learning_rate" in hyper:
        names += OF_STEPS
        steps = steps_of(config.get("steps", 0), config["epochs"])
        config = {**config, "steps": steps}
    return {name: config.get(name, defaults[name]) for name in names}


def read_results(path: pathlib.Path) -> list[Result]:
    """Lines of a file of results; none where there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Result.from_json(json.loads(line)) for line in lines]
