"""What judges images, wherever it comes from: a run, a detector or an exported file."""

import dataclasses
import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ocjax._checks import InputError
from ocjax.data import files
from ocjax.data.images import check_ready
from ocjax.evaluation import thresholds

if TYPE_CHECKING:
    from ocjax.methods import Method, State

_CHUNK = 32  # Images of a call of an exported program.


@dataclasses.dataclass(frozen=True)
class Card:
    """What a scorer says of itself."""

    method: str
    trained_on: str  # Such as "digits, normal class 8".
    size: int  # Images are `[size, size, channels]`,
    channels: int  # 1 for grey, 3 for RGB.
    normals: tuple[float, ...]  # Scores of held-out normal images, rising.
    false_positive_rate: float | None  # That the threshold promises, if any.
    threshold: float | None  # Above it an image is anomalous; None: too few normals.
    version: str  # Of ocjax, that made it,
    commit: str | None = None  # and its commit.
    weights: str = ""  # Name and version of a frozen network's; "" without one.

    @property
    def shape(self) -> tuple[int, int, int]:
        """(S, S, C) of an image."""
        return self.size, self.size, self.channels

    def at(self, false_positive_rate: float) -> "Card":
        """The card with the threshold for another rate.

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

    def with_threshold(self, found: thresholds.Threshold) -> "Card":
        """The card with another threshold, and the rate that it promises."""
        return dataclasses.replace(
            self, false_positive_rate=found.false_positive_rate, threshold=found.value
        )


class Verdicts(NamedTuple):
    """What a scorer says of images."""

    scores: np.ndarray  # float32 [N], larger is more anomalous.
    anomalous: np.ndarray | None  # bool [N], whether above the threshold, if any.
    # Float64 [N]: of a fresh normal image at most p with probability p; None without
    # held-out normals.
    p_values: np.ndarray | None
    # Float64 [N] in [0, 100]: of the held-out normals, how many score lower.
    percentiles: np.ndarray | None
    heatmaps: np.ndarray | None = None  # float32 [N, S, S], where asked for.

    def each(self) -> Iterator["Verdict"]:
        """What is said of one image after another."""
        absent = itertools.repeat(None)
        parts = [absent if part is None else part.tolist() for part in self[:4]]
        maps = absent if self.heatmaps is None else self.heatmaps
        return itertools.starmap(Verdict, zip(*parts, maps, strict=False))


class Verdict(NamedTuple):
    """What a scorer says of one image; the parts are those of `Verdicts`."""

    score: float
    anomalous: bool | None
    p_value: float | None
    percentile: float | None
    heatmap: np.ndarray | None = None


class Scorer:
    """Judges images; the same numbers wherever it comes from."""

    def __init__(
        self,
        card: Card,
        score: Callable[[np.ndarray], np.ndarray],
        explain: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    ):
        """Joins a card and what computes.

        Args:
          card: what it says of itself.
          score: images `[N, S, S, C]`, uint8 or floats in [-1, 1] -> scores `[N]`.
          explain: the same -> scores, and heatmaps `[N, S, S]`.
        """
        self.card, self._score, self._explain = card, score, explain

    def at(self, false_positive_rate: float) -> "Scorer":
        """The same with a threshold for another rate; errors are `Card.at`'s."""
        return Scorer(self.card.at(false_positive_rate), self._score, self._explain)

    def score(self, images: np.ndarray) -> np.ndarray:
        """Scores, float32 `[N]`; arguments and errors are `judge`'s."""
        images = self._checked(images)
        return self._score(images) if len(images) else np.zeros(0, np.float32)

    def judge(self, images: np.ndarray, *, explain: bool = False) -> Verdicts:
        """Judges images, each the same in any company.

        Args:
          images: `[N, S, S, C]`, as those that trained; uint8, or floats in [-1, 1].
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
          Path, and the verdict of the one image, or why the file has none.
        """
        for names, images, errors in files.pieces(paths, self.card.shape, piece):
            good = self.judge(images).each()
            for name in names:
                found = errors[name] if name in errors else next(good)
                if isinstance(found, Verdict) and not math.isfinite(found.score):
                    found = InputError(f"{name}: the model's score is {found.score}.")
                yield name, found

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
            scores,
            None if threshold is None else scores > threshold,
            thresholds.p_values(normals, scores) if normals else None,
            thresholds.percentiles(normals, scores) if normals else None,
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
    """The scorer of a trained method."""
    # With JAX and flax, which exported files do not all need.
    import jax

    from ocjax.data.mapping import map_images
    from ocjax.evaluation import heatmaps

    explain = heatmaps.explained(method)
    state = jax.device_put(state)  # Once, not with every request.
    run = lambda function: lambda x: map_images(function, x, arguments=(state,))
    return Scorer(card, run(method.score), run(explain))


def in_chunks(function: Callable, images: np.ndarray) -> list[np.ndarray]:
    """An exported program's results for all images, of one or of `_CHUNK` at a time.

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
    found = []
    for start in range(0, len(images), chunk):
        part = images[start : start + chunk]
        padding = ((0, chunk - len(part)), *[(0, 0)] * 3)
        found.append([np.asarray(y) for y in function(np.pad(part, padding))])
    return [np.concatenate(parts)[: len(images)] for parts in zip(*found, strict=True)]
