"""A scikit-learn outlier detector that learns from images."""

import dataclasses
import functools
import os
import pathlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

import ocjax
from ocjax import evaluation, methods, training
from ocjax._checks import InputError, one_of
from ocjax.detector import inputs, pictures
from ocjax.detector import parameters as parameters_lib
from ocjax.detector.parameters import HYPER
from ocjax.evaluation import metrics, thresholds
from ocjax.inference import detector_file
from ocjax.inference.scorer import Card, Scorer, Verdicts, of_method
from ocjax.methods import Method, State
from ocjax.runs import environment
from ocjax.runs.config import RunConfig, steps_of

_MULTIPLE = 256  # Training sets are filled up to a multiple of this.
_SPREAD = 1e-4  # Least spread of scores, as a part of the largest.
Images = ArrayLike | Sequence[Any]  # Sequences have files, PIL images or arrays.


class Detector(OutlierMixin, BaseEstimator):
    """Detector that learns from normal images, and finds anomalous ones.

    Images are `[N, H, W, C]` or `[N, H, W]` (grey), or rows `[N, features]`: pixels in
    the order of `image_shape`, or without it any table, whose rows become small grey
    images. They are `uint8`, or numbers of a stated `value_range`. Or they are a list
    of pictures: paths of files, PIL images, and arrays `[H, W]` or `[H, W, C]` of
    several sizes, in any mixture. Pictures of a list are grey where all that trained
    are, else in colour. Networks see images resized to `image_size`, and those that
    are not square as `image_fit` says.

    Scores follow scikit-learn: `score_samples` and `decision_function` are lower for
    more anomalous images, `predict` gives +1 for normal and -1 for anomalous ones.
    `anomaly_score` is the method's own, larger for more anomalous images.

    Attributes:
      offset_: difference, `score_samples` less `decision_function`.
      card_: description of the detector: threshold, held-out scores, versions.
      n_features_in_: length of rows, or height of images; missing after lists.
      feature_names_in_: names of the columns of a table, where all have one.
      shape_: shape of one training image or row; (None, None, C) for lists.
      range_: numbers that are black and white, or the extremes of the training data
        for `value_range="training"`; None for uint8.
    """

    n_features_in_: int

    def __init__(
        self,
        method: str = RunConfig.method,
        *,
        hyper: Mapping[str, Any] | Any = None,
        image_shape: tuple[int, ...] | None = None,
        value_range: tuple[float, float] | str | None = None,
        image_size: int = RunConfig.image_size,
        image_fit: str = RunConfig.fit,
        steps: int = RunConfig.steps,
        epochs: int = RunConfig.epochs,
        batch_size: int = RunConfig.batch_size,
        tile: int = RunConfig.tile,
        score_from: str = RunConfig.score_from,
        augment: str = RunConfig.augment,
        contamination: float | str = "auto",
        false_positive_rate: float = RunConfig.false_positive_rate,
        validation_fraction: float = RunConfig.validation_fraction,
        random_state=None,
        **hyper__: Any,
    ):
        """Keeps parameters; `fit` checks all but their names, as scikit-learn wants it.

        Args:
          method: key of `ocjax.methods.METHODS`.
          hyper: fields of the method's `Config` that differ from its defaults, or a
            whole `Config`.
          image_shape: (H, W) or (H, W, C) of images that come as rows.
          value_range: numbers of black and white in arrays, where these are not
            uint8 from 0 to 255; or "training": the extremes of the training data, which
            then fill the middle half of the range of pixels, and what is beyond that
            range is clipped.
          image_size: side that images are brought to: 32, 64, 128 or 256; any where
            there are tiles, or a frozen network; 0 for what a frozen network takes
            (`hyper__size`), and 32 of others.
          image_fit: how images that are not square become so: "stretch", "pad" (the
            whole, its aspect kept, the mean of its border around it) or "cut" (the
            square in its middle).
          tile: side of overlapping tiles that networks see instead, or 0.
          score_from: "method" for the method's own score, "map" for the largest value
            of the heatmap, where the method reconstructs or has heatmaps.
          steps: steps of training, each on a batch; 0: by epochs, or 2,000.
          epochs: passes over the training images, in place of steps; or 0.
          batch_size: number of images a step; all that train where they are fewer.
          augment: changes of training images: "crop", "flip" or "crop flip"; or "".
          contamination: "auto" sets the threshold by `false_positive_rate` on held-out
            images; a share in (0, 0.5] calls so many of the training images anomalous.
          false_positive_rate: rate to promise, where contamination is "auto".
          validation_fraction: share of the images that is held out for the threshold.
          random_state: seed of the held-out images, the initialization and the batches.
          **hyper__: single fields of `hyper`, as `hyper__NAME=value`.

        Raises:
          InputError: there is no parameter of that name.
        """
        self.method = method
        self.hyper = hyper
        self.image_shape = image_shape
        self.value_range = value_range
        self.image_size = image_size
        self.image_fit = image_fit
        self.steps = steps
        self.epochs = epochs
        self.batch_size = batch_size
        self.tile = tile
        self.score_from = score_from
        self.augment = augment
        self.contamination = contamination
        self.false_positive_rate = false_positive_rate
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self._check_names(hyper__)
        self._add_fields(hyper__)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; with `deep` also `hyper__NAME` of the method's fields."""
        params = super().get_params(deep=False)
        known = isinstance(self.method, str) and self.method in methods.METHODS
        if deep and known and self._has_fields():
            config, _ = methods.METHODS[self.method]
            fields = dataclasses.asdict(config()) | self._hyper()
            params |= {HYPER + name: value for name, value in fields.items()}
        return params

    def set_params(self, **params: Any) -> "Detector":
        """Sets parameters, and single fields of `hyper` as `hyper__NAME`.

        Raises:
          InputError: there is no parameter of that name; nothing is set then.
        """
        names = super().get_params(deep=False)
        fields = {name: v for name, v in params.items() if name not in names}
        self._check_names(fields)
        super().set_params(**{name: v for name, v in params.items() if name in names})
        self._add_fields(fields)
        return self

    def fit(self, X: Images, y: object = None) -> "Detector":
        """Learns from normal images, some of which are held out for the threshold.

        Args:
          X: images, rows or a list of pictures, as above.
          y: labels, not used: images that they call anomalous train too.

        Raises:
          ValueError: the images, or a parameter, cannot be used.
          training.NonFiniteError: a loss became infinite or not a number.
        """
        method = self._method()
        padded, count = self._training_images(X)
        images = padded[:count]
        all_alike = inputs.alike(images)
        if all_alike:
            warnings.warn(
                f"All {count} training images are alike, so nothing can be learned of "
                "what normal ones have in common: look at what was read.",
                stacklevel=2,
            )
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        train, held_out = self._divide(count, int(seed))
        with parameters_lib.detector_names():
            state = training.fit(
                method,
                padded,
                jax.random.key(int(seed)),
                rows=train,
                steps=steps_of(self.steps, self.epochs),
                epochs=self.epochs,
                batch_size=training.fitting_batch_size(
                    method, self.batch_size, len(train)
                ),
            )
        # Scores do not need the state of the optimizers.
        state = jax.device_get(state._replace(opt={}))
        self.params_, self.stats_ = state.params, state.stats
        score = functools.partial(evaluation.score, method, state)
        card = Card(
            method=self.method,
            trained_on=f"{len(train)} images",
            size=self._side(),
            channels=images.shape[-1],
            normals=tuple(np.sort(score(images[held_out])).tolist()),
            false_positive_rate=self.false_positive_rate,
            threshold=None,
            version=ocjax.__version__,
            commit=environment.commit(),
            weights=method.weights,
            fit=self.image_fit,
        )
        if not all_alike:
            _warn_of_collapse(card.normals)
        self.card_ = self._with_threshold(card, images, score)
        self._set_offset()
        return self

    @property
    def scorer(self) -> Scorer:
        """Scorer of images as the networks see them.

        Raises:
          sklearn.exceptions.NotFittedError: before `fit`.
        """
        return of_method(*self.parts)

    @property
    def parts(self) -> tuple[Card, Method, State]:
        """Card, method and state that make a scorer.

        Raises:
          sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self, "card_")
        state = detector_file.state_of(self.params_, self.stats_)
        return self.card_, self._method(), state

    def anomaly_score(self, X: Images) -> np.ndarray:
        """Scores, float64 `[N]`, larger where more anomalous.

        Args:
          X: images of the shape of those that trained, or a list of pictures.

        Raises:
          sklearn.exceptions.NotFittedError: before `fit`.
          ValueError: the images are of another shape or range, or cannot be read.
        """
        check_is_fitted(self, "card_")
        return self.scorer.score(self._images(X)).astype(np.float64)

    def score_samples(self, X: Images) -> np.ndarray:
        """Scores, float64 `[N]`, lower where more anomalous."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Images) -> np.ndarray:
        """Scores, float64 `[N]`, negative where anomalous."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Images) -> np.ndarray:
        """+1 for normal images and -1 for anomalous ones, int64 `[N]`."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def score(self, X: Images, y: ArrayLike | None = None) -> float:
        """Area under the ROC curve, in [0, 1].

        Args:
          X: images, as in `anomaly_score`.
          y: labels, +1 of normal images and -1 of anomalous ones, as of `predict`.

        Returns:
          Area; NaN, with a warning, where `y` has other labels. Scores of scikit-learn
          do the same, and its checks try every estimator with classes.

        Raises:
          InputError: `y` is missing, of another length, or has one label only.
        """
        scores = self.anomaly_score(X)
        rule = "Expected labels `y`, +1 of normal images and -1 of anomalous ones"
        if y is None:
            raise InputError(f"{rule}.")
        labels = column_or_1d(np.asarray(y))
        values = np.unique(labels).tolist()
        if len(labels) != len(scores):
            raise InputError(f"{rule}, got {len(labels)} for {len(scores)} images.")
        if not set(values) <= {-1, 1}:
            got = ", ".join(map(str, values[:5]))
            warnings.warn(
                f"{rule}, got {got}: the score is NaN.",
                UndefinedMetricWarning,
                stacklevel=2,
            )
            return float("nan")
        if len(values) < 2:
            raise InputError(f"{rule}, with both there, got {values[0]} only.")
        return metrics.auroc(labels == -1, scores)

    def judge(self, X: Images, *, explain: bool = False) -> Verdicts:
        """Judges images: scores, decisions, p-values and, with `explain`, heatmaps.

        Heatmaps are as large as the images that networks see, `image_size`;
        `ocjax.data.unfitted` brings one to the shape of its picture.
        """
        check_is_fitted(self, "card_")
        return self.scorer.judge(self._images(X), explain=explain)

    def save(self, path: str | os.PathLike) -> pathlib.Path:
        """Writes the fitted detector to a file, without pickle; returns its path."""
        check_is_fitted(self, "card_")
        parameters = self.get_params(deep=False)
        if self.hyper is not None:
            parameters["hyper"] = self._hyper()
        if not isinstance(self.random_state, int | np.integer | None):
            parameters["random_state"] = None  # The generator is used up.
        fitted = {
            name: getattr(self, name)
            for name in detector_file.FITTED
            if hasattr(self, name)
        }
        card, method, state = self.parts
        saved = detector_file.Saved(card, parameters, fitted, method, state)
        return detector_file.write(path, saved)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Detector":
        """Reads a detector that `save` wrote.

        Raises:
          InputError: there is no file, or it is damaged or of another version.
        """
        saved = detector_file.read(detector_file.opened(path))
        try:
            detector = cls(**saved.parameters)
            detector._checked()
        except (InputError, TypeError) as error:
            raise InputError(
                f"{path} is damaged, or of another version: {error}"
            ) from error
        for name, value in saved.fitted.items():
            setattr(detector, name, value)
        detector.card_ = saved.card
        detector.params_, detector.stats_ = saved.state.params, saved.state.stats
        detector._set_offset()
        return detector

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _add_fields(self, fields: Mapping[str, Any]) -> None:
        """Adds `hyper__NAME` to `hyper`; `fit` says what is wrong with a NAME."""
        if fields and self._has_fields():
            added = {name.removeprefix(HYPER): v for name, v in fields.items()}
            self.hyper = self._hyper() | added

    def _check_names(self, names: Iterable[str]) -> None:
        """Raises `InputError` where a name is neither a parameter nor `hyper__NAME`."""
        for name in names:
            if not name.startswith(HYPER):
                one_of("parameter of Detector", name, [*self.get_params()])

    def _has_fields(self) -> bool:
        """Whether `hyper` is None, a mapping or a dataclass."""
        mapping = self.hyper is None or isinstance(self.hyper, Mapping)
        return mapping or dataclasses.is_dataclass(self.hyper)

    def _hyper(self) -> dict[str, Any]:
        """Fields of `hyper` by name."""
        if not self._has_fields():
            rule = "must be a mapping or the method's Config"
            raise parameters_lib.wrong("hyper", self.hyper, rule)
        if dataclasses.is_dataclass(self.hyper):
            return dataclasses.asdict(self.hyper)  # pyright: ignore
        return dict(self.hyper or {})

    def _side(self) -> int:
        """Side that images are brought to."""
        return parameters_lib.side(self._checked())

    def _method(self) -> Method:
        with parameters_lib.detector_names():
            return detector_file.method_of(self._checked())

    def _checked(self) -> dict[str, Any]:
        """All parameters, `hyper` as fields; raises `InputError` if one is wrong."""
        parameters = self.get_params(deep=False) | {"hyper": self._hyper()}
        parameters_lib.check(parameters)
        return parameters

    def _training_images(self, X: Any) -> tuple[np.ndarray, int]:
        """Images as networks see them, filled up with black ones; and their number.

        They are filled up so that data sets of similar sizes share a compiled program.
        """
        X = pictures.as_list_or_array(X)
        if isinstance(X, list):
            if len(X) < 2:
                raise InputError(f"Expected 2 pictures or more, got {len(X)}.")
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)  # An earlier `fit` may have set it.
            self.shape_ = None, None, pictures.channels_of(X)
        else:
            inputs.check_training_shape(tuple(X.shape))
            X = self._valid(X, fitting=True)
            self.shape_ = X.shape[1:]
        self.range_ = inputs.range_of(X, self.value_range)
        images = self._converted(X, self.shape_[-1], len(X) + -len(X) % _MULTIPLE)
        inputs.warn_of_dark(X, images[: len(X)], self._form())
        return images, len(X)

    def _images(self, X: Any) -> np.ndarray:
        """Images after `fit` as `[N, S, S, C]`, uint8 or float32 in [-1, 1]."""
        check_is_fitted(self, "card_")
        X, shape = pictures.as_list_or_array(X), self.shape_
        if isinstance(X, list):
            if len(shape) == 1 and self.image_shape is None:
                raise InputError("Expected rows of numbers, as in `fit`, got pictures.")
        elif shape[0] is None:
            X = pictures.as_pictures(X, self.card_.channels)
        else:
            inputs.check_shape(tuple(X.shape), shape)
            X = self._valid(X)
        return self._converted(X, self.card_.channels, len(X))

    def _valid(self, X: Any, fitting: bool = False) -> Any:
        """Array of numbers that scikit-learn makes of images or rows."""
        least = 2 if fitting else 1
        X = validate_data(
            self,
            X,
            reset=fitting,
            allow_nd=True,
            ensure_min_samples=least,
            ensure_all_finite=False,  # `Form.ranged` checks it.
        )
        if not X.size:
            raise ValueError(f"Expected images that have pixels, got {list(X.shape)}.")
        return X

    def _converted(self, X: Any, channels: int, room: int) -> np.ndarray:
        form = self._form()
        if isinstance(X, list):
            return form.of_pictures(X, channels, room)
        return form.of_array(X, room)

    def _form(self) -> inputs.Form:
        side, shape = self._side(), self.image_shape
        return inputs.Form(side, self.image_fit, shape, self.value_range, self.range_)

    def _set_offset(self) -> None:
        assert self.card_.threshold is not None  # `fit` sets it.
        self.offset_ = -self.card_.threshold

    def _divide(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices that train and that are held out, at least one of each."""
        held_out = min(max(round(self.validation_fraction * count), 1), count - 1)
        order = np.random.default_rng(seed).permutation(count)
        return np.sort(order[held_out:]), np.sort(order[:held_out])

    def _with_threshold(self, card: Card, images: np.ndarray, score: Callable) -> Card:
        if self.contamination != "auto":
            assert not isinstance(self.contamination, str)  # `fit` has checked it.
            scores = score(images).astype(np.float64)
            quantile = np.percentile(scores, 100 * (1 - self.contamination))
            # Scores are compared in float32 everywhere. The threshold promises nothing.
            return dataclasses.replace(
                card, threshold=float(np.float32(quantile)), false_positive_rate=None
            )
        threshold, note = thresholds.nearest(card.normals, self.false_positive_rate)
        if note:
            warnings.warn(note, stacklevel=3)
        return card.with_threshold(threshold)


def _warn_of_collapse(scores: Sequence[float]) -> None:
    """Warns where held-out scores, which rise, are nearly equal."""
    low, high = scores[0], scores[-1]
    if len(scores) > 1 and high - low <= _SPREAD * max(abs(low), abs(high)):
        warnings.warn(
            f"All {len(scores)} held-out images score {high:.4g}: the detector has not "
            "learned to tell images apart. Train for more steps, or with a smaller "
            "hyper__learning_rate.",
            stacklevel=3,
        )
