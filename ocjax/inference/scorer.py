"""Scorers, which judge images alike from a run, a detector or an exported file."""

import dataclasses
import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocjax._checks import InputError
from ocjax.data import files, fitting
from ocjax.data.images import check_ready
from ocjax.evaluation import thresholds

if TYPE_CHECKING:
    from ocjax.methods import Method, State

_CHUNK = 32  # Images in one call of an exported program.


@dataclasses.dataclass(frozen=True)
class Card:
    """Description of a scorer."""

    method: str
    trained_on: str  # Data, such as "digits, normal class 8".
    size: int  # Sides S of the images `[S, S, C]`, in pixels.
    channels: int  # Channels C, 1 for grey, 3 for RGB.
    normals: tuple[float, ...]  # Scores of held-out normal images, rising.
    false_positive_rate: float | None  # Rate that the threshold promises, if any.
    threshold: float | None  # Score above which an image is anomalous, if known.
    version: str  # Version of the ocjax that made it.
    commit: str | None = None  # Commit of that ocjax, if known.
    weights: str = ""  # Name and version of a frozen network's; "" without one.
    # How pictures that are not square become so, one of `ocjax.data.fitting.FITS`.
    fit: str = fitting.STRETCH

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (S, S, C) of an image."""
        return self.size, self.size, self.channels

    def at(self, false_positive_rate: float) -> "Card":
        """Returns the card with the threshold for another rate.

        Raises:
          InputError: the rate is no rate, or there are too few held-out normals for it.
        """
        if not 0 < false_positive_rate < 1:
            raise InputError(
                f"Expected a false-positive rate in (0, 1), got {false_positive_rate}."
            )
        if not self.normals:
            raise InputError("The model has no held-out normals to set a threshold by.")
        return self.with_threshold(
            thresholds.from_normals(self.normals, false_positive_rate)
        )

    def with_threshold(self, threshold: thresholds.Threshold) -> "Card":
        """Returns the card with another threshold, and the rate that it promises."""
        return dataclasses.replace(
            self,
            false_positive_rate=threshold.false_positive_rate,
            threshold=threshold.value,
        )


class Verdicts(NamedTuple):
    """Judgement of images."""

    scores: np.ndarray  # float32 [N], larger is more anomalous.
    anomalous: np.ndarray | None  # bool [N], True above the threshold, if there is one.
    # Float64 [N]: a fresh normal image's is at most p with probability p. None without
    # held-out normals.
    p_values: np.ndarray | None
    # Share of the held-out normals that score lower, float64 [N] in [0, 100].
    percentiles: np.ndarray | None
    heatmaps: np.ndarray | None = None  # float32 [N, S, S], where asked for.

    def each(self) -> Iterator["Verdict"]:
        """Yields the verdict of one image after another."""
        absent = itertools.repeat(None)
        numbers = (self.scores, self.anomalous, self.p_values, self.percentiles)
        parts = [absent if part is None else part.tolist() for part in numbers]
        maps = absent if self.heatmaps is None else self.heatmaps
        return itertools.starmap(Verdict, zip(*parts, maps, strict=False))


class Verdict(NamedTuple):
    """Judgement of one image; the parts are those of `Verdicts`."""

    score: float
    anomalous: bool | None
    p_value: float | None
    percentile: float | None
    heatmap: np.ndarray | None = None


class Scorer:
    """Judge of images, with the same numbers from a run, a detector or a file."""

    def __init__(
        self,
        card: Card,
        score: Callable[[np.ndarray], np.ndarray],
        explain: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    ):
        """Joins a card and functions that compute.

        Args:
          card: description of the scorer.
          score: function of images `[N, S, S, C]`, uint8 or floats in [-1, 1], that
            gives scores `[N]`.
          explain: function of the same that gives scores, and heatmaps `[N, S, S]`.
        """
        self.card, self._score, self._explain = card, score, explain

    def at(self, false_positive_rate: float) -> "Scorer":
        """Returns a scorer with the threshold for another rate; raises as `Card.at`."""
        return Scorer(self.card.at(false_positive_rate), self._score, self._explain)

    def score(self, images: np.ndarray) -> np.ndarray:
        """Scores images, float32 `[N]`; takes and raises what `judge` does."""
        images = self._checked(images)
        return self._score(images) if len(images) else np.zeros(0, np.float32)

    def judge(self, images: np.ndarray, *, explain: bool = False) -> Verdicts:
        """Judges images, each the same in any company.

        Args:
          images: pixels `[N, S, S, C]`, as those that trained; uint8, or floats in
            [-1, 1].
          explain: give heatmaps too.

        Raises:
          InputError: the shape is another.
          ValueError: a float is not in [-1, 1].
          TypeError: `images` are neither uint8 nor floating point.
        """
        if not explain:
            return self._verdicts(self.score(images))
        images = self._checked(images)
        if len(images):
            scores, maps = self._explain(images)
        else:
            scores = np.zeros(0, np.float32)
            maps = np.zeros((0, self.card.size, self.card.size), np.float32)
        return self._verdicts(scores)._replace(heatmaps=maps)

    def judge_files(
        self, paths: Sequence[str], *, piece: int = 1024
    ) -> Iterator[tuple[str, Verdict | InputError]]:
        """Judges files in their order, of which memory holds two pieces at a time.

        Yields:
          Path, and the verdict of its image, or the error that there is in its place.
        """
        shape, fit = self.card.shape, self.card.fit
        for names, images, errors, _ in files.pieces(paths, shape, piece, fit):
            verdicts = self.judge(images).each()
            for name in names:
                result = errors[name] if name in errors else next(verdicts)
                if isinstance(result, Verdict) and not math.isfinite(result.score):
                    result = InputError(f"{name}: the model's score is {result.score}.")
                yield name, result

    def _checked(self, images: np.ndarray) -> np.ndarray:
        images, (size, _, channels) = np.asarray(images), self.card.shape
        if images.shape[1:] != self.card.shape:
            raise InputError(
                f"Expected images of shape [N, {size}, {size}, {channels}], as those "
                f"that trained, got {list(images.shape)}."
            )
        return check_ready(images) if len(images) else images

    def _verdicts(self, scores: np.ndarray) -> Verdicts:
        threshold, normals = self.card.threshold, self.card.normals
        return Verdicts(
            scores=scores,
            anomalous=None if threshold is None else scores > threshold,
            p_values=thresholds.p_values(normals, scores) if normals else None,
            percentiles=thresholds.percentiles(normals, scores) if normals else None,
        )


def check_weights(path: str | os.PathLike, trained: str, here: str) -> None:
    """Raises `InputError` unless frozen weights are those that a model trained with.

    Args:
      path: of the model.
      trained: name and version of the weights that it trained with.
      here: likewise, of those that are here.
    """
    if trained != here:
        raise InputError(
            f"{path} was trained with the frozen weights {trained}, and these are "
            f"{here}: put the same file there."
        )


def of_method(card: Card, method: "Method", state: "State") -> Scorer:
    """Makes the scorer of a trained method."""
    # JAX and flax are imported here: exported files do not all need them.
    import jax

    from ocjax.data.mapping import map_images
    from ocjax.evaluation import heatmaps

    explain = heatmaps.explained(method)
    state = jax.device_put(state)  # Here, so that no request sends it again.
    run = lambda function: lambda x: map_images(function, x, arguments=(state,))
    return Scorer(card, run(method.score), run(explain))


def in_chunks(function: Callable, images: np.ndarray) -> list[np.ndarray]:
    """Runs an exported program on all images, on one or on `_CHUNK` at a time.

    A last odd chunk is filled up, so that nothing is compiled for it.

    Raises:
      InputError: images are not uint8.
    """
    if images.dtype != np.uint8:
        raise InputError(
            f"An exported model takes uint8 images, got {images.dtype}: score floats "
            "with the run or the detector."
        )
    chunk = 1 if len(images) == 1 else _CHUNK
    results = []
    for start in range(0, len(images), chunk):
        part = images[start : start + chunk]
        padding = ((0, chunk - len(part)), (0, 0), (0, 0), (0, 0))
        results.append([np.asarray(y) for y in function(np.pad(part, padding))])
    joined = [np.concatenate(parts) for parts in zip(*results, strict=True)]
    return [whole[: len(images)] for whole in joined]
