"""Which images train, validate and test a one-class detector.

A protocol is a pure function of labels and a split seed. Its numbers are comparable
with those of the same protocol only: name it with every result.

* `p1`: one class is normal, its official parts pooled; 80 % train and 20 % test,
  with as many anomalies as normal images (LR-GDAN, OCGAN).
* `p2`: one class is normal, the official parts are kept; nine tenths of the test
  images of a ten-class set are anomalous (Deep SVDD, ICS).
* `ganomaly`: one class is anomalous, all others are normal and pooled; 80 % train,
  20 % test with every image of the anomalous class (GANomaly).
"""

from typing import NamedTuple

import numpy as np

from ocjax import _checks
from ocjax._checks import InputError


class Split(NamedTuple):
    """Indices into a data set, each part sorted and disjoint from the others."""

    train: np.ndarray  # int64 [N_train], all normal.
    validation: np.ndarray  # int64 [N_validation], all normal; may be empty.
    test: np.ndarray  # int64 [N_test]
    anomalous: np.ndarray  # bool [N_test], True where the test image is anomalous.


class Parts(NamedTuple):
    """What a protocol decides, in any order."""

    train: np.ndarray
    test_normal: np.ndarray
    test_anomalous: np.ndarray


def split(
    protocol: str,
    labels: np.ndarray,
    official_test: np.ndarray,
    target_class: int,
    *,
    split_seed: int = 0,
    validation_fraction: float = 0.15,
) -> Split:
    """Splits a data set by a protocol and sets training images aside to validate.

    The test part does not depend on `validation_fraction`.

    Args:
      protocol: a key of `PROTOCOLS`.
      labels: class of each image, int `[N]`.
      official_test: whether the image is in the official test part, bool `[N]`.
      target_class: the label that `TARGET[protocol]` names: the normal class, or
        for `ganomaly` the anomalous one.
      split_seed: what the random choices depend on, next to the labels.
      validation_fraction: share of the normal training images, in [0, 1), that are
        kept from training to validate.

    Returns:
      The parts, sorted: an honest score does not depend on the order of images.

    Raises:
      InputError: if the protocol is unknown, the fraction out of range, or a part
        other than the validation part would be empty.
      ValueError: if the shapes differ.
    """
    choose = PROTOCOLS[_checks.one_of("protocol", protocol, PROTOCOLS)]
    labels, official_test = np.asarray(labels), np.asarray(official_test, bool)
    if labels.ndim != 1 or labels.shape != official_test.shape:
        raise ValueError(
            "Expected `labels` and `official_test` of one shape [N], got "
            f"{labels.shape} and {official_test.shape}."
        )
    if not 0.0 <= validation_fraction < 1.0:
        raise InputError(
            f"`validation_fraction` (={validation_fraction}) must be in [0, 1)."
        )
    rng = np.random.default_rng(split_seed)
    parts = choose(labels, official_test, target_class, rng)
    count = round(validation_fraction * len(parts.train))
    validation, train = np.split(rng.permutation(parts.train), [count])
    parts = parts._replace(train=train)
    sizes = {name: len(part) for name, part in parts._asdict().items()}
    if 0 in sizes.values():
        raise InputError(
            f"Protocol {protocol!r} with {TARGET[protocol]} {target_class} leaves a "
            f"part empty: {sizes}. Of {len(labels)} images "
            f"{np.sum(labels == target_class)} are of that class, and "
            f"{np.sum(official_test)} in the official test part."
        )
    test = np.concatenate([parts.test_normal, parts.test_anomalous])
    anomalous = np.repeat(
        [False, True], [sizes["test_normal"], sizes["test_anomalous"]]
    )
    order = np.argsort(test)
    return Split(np.sort(train), np.sort(validation), test[order], anomalous[order])


def p1(
    labels: np.ndarray,
    official_test: np.ndarray,
    normal_class: int,
    rng: np.random.Generator,
) -> Parts:
    """Pooled 80/20; anomalies from the official test part, half of the test set.

    Where the other classes have too few test images, all of them are taken.

    References:
      Chen et al., Latent Regularized Generative Dual Adversarial Network For
      Abnormal Detection, 2020. Whether it pools is left unsaid; the code of OCGAN
      (Perera et al., 2019), whose protocol it cites, does.
    """
    train, test = _eighty_twenty(np.flatnonzero(labels == normal_class), rng)
    others = np.flatnonzero((labels != normal_class) & official_test)
    return Parts(train, test, rng.permutation(others)[: len(test)])


def p2(
    labels: np.ndarray,
    official_test: np.ndarray,
    normal_class: int,
    rng: np.random.Generator,
) -> Parts:
    """Official parts: the normal class of one trains, the whole other tests.

    References:
      Ruff et al., Deep One-Class Classification, 2018.
    """
    del rng
    normal = labels == normal_class
    return Parts(
        np.flatnonzero(normal & ~official_test),
        np.flatnonzero(normal & official_test),
        np.flatnonzero(~normal & official_test),
    )


def ganomaly(
    labels: np.ndarray,
    official_test: np.ndarray,
    anomalous_class: int,
    rng: np.random.Generator,
) -> Parts:
    """One class anomalous, all of it tested; the rest pooled 80/20.

    References:
      Akcay et al., `GANomaly <https://arxiv.org/abs/1805.06725>`_, 2018.
    """
    del official_test
    train, test = _eighty_twenty(np.flatnonzero(labels != anomalous_class), rng)
    return Parts(train, test, np.flatnonzero(labels == anomalous_class))


def _eighty_twenty(
    indices: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random 80 %, rounded down as 57 of COIL-100's 72 are, and the rest."""
    train, test = np.split(rng.permutation(indices), [len(indices) * 4 // 5])
    return train, test


PROTOCOLS = {"p1": p1, "p2": p2, "ganomaly": ganomaly}

# What the target class of each protocol is.
TARGET = {"p1": "normal_class", "p2": "normal_class", "ganomaly": "anomalous_class"}
