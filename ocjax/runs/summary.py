"""Summary of a run, for `eval/summary.json` and the last printed line."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ocjax import _records, data
from ocjax._checks import InputError
from ocjax.evaluation.judgement import Judgement
from ocjax.evaluation.metrics import Kind, Localization


@dataclasses.dataclass(frozen=True)
class Identity:
    """Identity of a run.

    Attributes:
      method: name of the method.
      dataset: name of the data set.
      protocol: name of the protocol.
      target_class: name of the class that the protocol is about; JSON has it as
        `normal_class` or `anomalous_class`.
      seed: seed of initialization and batch order.
      epochs: number of passes over the training images; 0 without epochs.
    """

    method: str
    dataset: str
    protocol: str
    target_class: str
    seed: int
    epochs: int

    @property
    def target(self) -> str:
        """Role and name of the class, such as "normal class 8"."""
        return f"{data.TARGET[self.protocol].replace('_', ' ')} {self.target_class}"


@dataclasses.dataclass(frozen=True)
class Training:
    """Size, speed and times of training.

    Attributes:
      train_normals: number of training images.
      steps: number of steps; 0 of a detector that takes none.
      images_per_second: median speed of the steps; None where none was timed.
      compile_seconds: time until its programs were compiled, in this process; None
        where there are none.
      train_seconds: time of the steps, in all processes that went on with the run.
      first_step_seconds: time from the start of the process until the first step was
        done; None where it is not known.
    """

    train_normals: int
    steps: int
    images_per_second: float | None
    compile_seconds: float | None
    train_seconds: float
    first_step_seconds: float | None


@dataclasses.dataclass(frozen=True)
class Baseline:
    """Result of a simple score: a yardstick, or one that the data come with.

    Attributes:
      auroc: area under the ROC curve of all anomalies, in [0, 1].
      kinds: results against normal images, by kind of anomaly.
    """

    auroc: float
    kinds: dict[str, Kind]


@dataclasses.dataclass(frozen=True)
class Summary:
    """Summary of a run.

    Attributes:
      identity: identity of the run.
      judgement: judgement of the test images.
      held_out_normals: number of normal images that the threshold is from.
      threshold_note: reason why there is no threshold, or why it promises another rate
        than the configured one; None otherwise.
      baselines: name -> how well a simple score does on the same test images.
      synthetic: by kind of damage the AUROC, in [0, 1], of held-out normal images
        against the same spoiled so, which needs no anomalies; {} where not measured.
      training: time and steps of training.
      note: sentence on the data, or "".
      leaks: sentences on leaks that make the result dishonest.
      warnings: signs that the run has not learned, each with what to do.
      localization: measures of how well heatmaps find what masks mark; None without
        masks.
      score_seconds: time to score test and held-out images; None where not measured.
      draw_seconds: time to draw the pictures; None where none are drawn.
      command: command that reproduces the run, or "".
      workdir: path of the run folder.
    """

    identity: Identity
    judgement: Judgement
    held_out_normals: int
    threshold_note: str | None
    baselines: dict[str, Baseline]
    synthetic: dict[str, float]
    training: Training
    note: str
    leaks: tuple[str, ...]
    warnings: tuple[str, ...]
    localization: Localization | None
    score_seconds: float | None
    draw_seconds: float | None
    command: str
    workdir: str

    @property
    def auroc(self) -> float | None:
        """The AUROC, in [0, 1]; None where no test image is anomalous."""
        measures = self.judgement.measures
        return None if measures is None else measures.auroc

    def to_json(self) -> dict[str, Any]:
        """Returns one flat object."""
        values = class_by_role(_records.to_json(self))
        return values | {"target": self.identity.target}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Summary":
        """Reads an object of `to_json`.

        Raises:
          InputError: a field is missing, unknown or of another type, or fields do not
            go together; the message, without a period, begins with its name.
        """
        values = class_by_name(values)
        target = values.pop("target", None)
        summary = _records.from_json(cls, values)
        if target != summary.identity.target:
            raise InputError(
                f"`target` must be {summary.identity.target!r}{_records.got(target)}"
            )
        _check(summary)
        return summary


def class_by_role(values: Mapping[str, Any]) -> dict[str, Any]:
    """Moves the class from `target_class` to its role in the protocol."""
    values = dict(values)
    return values | {data.TARGET[values["protocol"]]: values.pop("target_class")}


def class_by_name(values: Mapping[str, Any]) -> dict[str, Any]:
    """Moves the class from its role in the protocol to `target_class`.

    Raises:
      InputError: the protocol is unknown, or its class is missing or not a text.
    """
    values = dict(values)
    protocol = values.get("protocol")
    role = next((r for name, r in data.TARGET.items() if name == protocol), None)
    if role is None:
        raise InputError(
            f"`protocol` must be one of {', '.join(data.TARGET)}"
            f"{_records.got(protocol)}"
        )
    if "target_class" in values:
        raise InputError("`target_class` is unknown")
    if not isinstance(values.get(role), str):
        raise InputError(f"`{role}` must be text{_records.got(values.get(role))}")
    return values | {"target_class": values.pop(role)}


def _check(summary: Summary) -> None:
    """Raises `InputError` unless the fields go together."""
    judgement, kinds = summary.judgement, summary.judgement.kinds
    if judgement.measures is None and (kinds or summary.baselines):
        raise InputError("`auroc` must be a number where there are kinds or baselines")
    for name, baseline in summary.baselines.items():
        if baseline.kinds.keys() != kinds.keys():
            raise InputError(f"`baselines.{name}.kinds` must be those of `kinds`")
    if judgement.decisions is None and summary.threshold_note is None:
        raise InputError("`threshold_note` must be text where there is no threshold")
    if judgement.decisions and judgement.promised_false_positive_rate is None:
        raise InputError(
            "`promised_false_positive_rate` must be a number where there is a threshold"
        )
