"""Protocols: which images train, validate and test a one-class detector.

A protocol is a pure function of labels and a split seed. Its numbers are comparable
with those of the same protocol only: name it with every result.

* `p1`: one class is normal, its official parts pooled; 80 % train and 20 % test,
  with as many anomalies as normal images (LR-GDAN, OCGAN).
* `p2`: one class is normal, the official parts are kept; nine tenths of the test
  images of a ten-class set are anomalous (Deep SVDD, ICS).
* `ganomaly`: one class is anomalous, all others are normal and pooled; 80 % train,
  20 % test with every image of the anomalous class (GANomaly).
* `folder`: the data set says itself what trains and what tests: the `train` and `test`
  folders of an inspection, the clean and the attacked signs, a scene without and with
  events. It is the rule of `p2` with another kind of anomaly, hence its own name.
"""

from typing import NamedTuple

import numpy as np

from ocjax import _checks
from ocjax._checks import InputError
from ocjax.data.dataset import Dataset


class Split(NamedTuple):
    """Indices into a data set, each part sorted and disjoint from the others."""

    train: np.ndarray  # int64 [N_train], all normal.
    validation: np.ndarray  # int64 [N_validation], all normal; may be empty.
    test: np.ndarray  # int64 [N_test], normal and anomalous.
    anomalous: np.ndarray  # bool [N_test], True where the test image is anomalous.


class Parts(NamedTuple):
    """Indices of the parts that a protocol chooses, in any order."""

    train: np.ndarray
    test_normal: np.ndarray
    test_anomalous: np.ndarray


def split(
    protocol: str,
    dataset: Dataset,
    target_class: int,
    *,
    split_seed: int = 0,
    validation_fraction: float = 0.15,
) -> Split:
    """Splits a data set by a protocol and sets training images aside to validate.

    Normal images of one group stay together, so a part can be some images smaller or
    larger than asked for; anomalies of any group are tested. The test part does not
    depend on `validation_fraction`.

    Args:
      protocol: key of `PROTOCOLS`.
      dataset: data, whose labels, official parts, groups and scenes are read.
      target_class: label that `TARGET[protocol]` names: the normal class, or for
        `ganomaly` the anomalous one.
      split_seed: seed of the random choices, which depend on the labels too.
      validation_fraction: share of the normal training images, in [0, 1), that are
        kept from training to validate.

    Returns:
      Parts, sorted: an honest score does not depend on the order of images.

    Raises:
      InputError: the protocol is unknown, the fraction is out of range, or a part other
        than the validation part would be empty; only `folder` may be without anomalies.
      ValueError: the shapes differ.
    """
    choose = PROTOCOLS[_checks.one_of("protocol", protocol, PROTOCOLS)]
    if not 0.0 <= validation_fraction < 1.0:
        raise InputError(
            f"`validation_fraction` (={validation_fraction}) must be in [0, 1)."
        )
    in_scene, labels, official_test, groups = _scene(dataset, target_class)
    rng = np.random.default_rng(split_seed)
    parts = choose(labels, official_test, groups, target_class, rng)
    count = round(validation_fraction * len(parts.train))
    validation, train = _divide(parts.train, count, groups, rng)
    parts = parts._replace(train=train)
    sizes = {name: len(part) for name, part in parts._asdict().items()}
    may_be_empty = ["test_anomalous"] if protocol == "folder" else []
    if any(size == 0 and name not in may_be_empty for name, size in sizes.items()):
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
    return Split(
        train=in_scene[np.sort(train)],
        validation=in_scene[np.sort(validation)],
        test=in_scene[test[order]],
        anomalous=anomalous[order],
    )


def _scene(dataset: Dataset, target_class: int) -> tuple[np.ndarray, ...]:
    """Indices, labels, official parts and groups of images of the class's scene."""
    labels = np.asarray(dataset.labels)
    official_test = np.asarray(dataset.official_test, bool)
    every = np.arange(len(labels))
    groups = every if dataset.groups is None else np.asarray(dataset.groups)
    scenes = np.zeros(len(labels)) if dataset.scenes is None else dataset.scenes
    shapes = [np.shape(x) for x in (labels, official_test, groups, scenes)]
    if labels.ndim != 1 or len(set(shapes)) > 1:
        raise ValueError(
            "Expected labels, official parts, groups and scenes of one shape [N], got "
            f"{', '.join(map(str, shapes))}."
        )
    of_class = scenes[labels == target_class]
    in_scene = np.flatnonzero(np.isin(scenes, of_class[:1])) if len(of_class) else every
    return in_scene, labels[in_scene], official_test[in_scene], groups[in_scene]


def p1(
    labels: np.ndarray,
    official_test: np.ndarray,
    groups: np.ndarray,
    normal_class: int,
    rng: np.random.Generator,
) -> Parts:
    """Pools 80/20, with anomalies from the official test part as half of the test set.

    Where the other classes have too few test images, all of them are taken; where the
    data set has no test part, as COIL-100, any image of them may be.

    References:
      Chen et al., Latent Regularized Generative Dual Adversarial Network For
      Abnormal Detection, 2020. Whether it pools is left unsaid; the code of OCGAN
      (Perera et al., 2019), whose protocol it cites, does.
    """
    train, test = _eighty_twenty(np.flatnonzero(labels == normal_class), groups, rng)
    eligible = official_test if official_test.any() else ~official_test
    others = np.flatnonzero((labels != normal_class) & eligible)
    return Parts(train, test, rng.permutation(others)[: len(test)])


def p2(
    labels: np.ndarray,
    official_test: np.ndarray,
    groups: np.ndarray,
    normal_class: int,
    rng: np.random.Generator,
) -> Parts:
    """Keeps the official parts: the normal class of one trains, the other tests.

    References:
      Ruff et al., Deep One-Class Classification, 2018.
    """
    del groups, rng
    normal = labels == normal_class
    return Parts(
        train=np.flatnonzero(normal & ~official_test),
        test_normal=np.flatnonzero(normal & official_test),
        test_anomalous=np.flatnonzero(~normal & official_test),
    )


def ganomaly(
    labels: np.ndarray,
    official_test: np.ndarray,
    groups: np.ndarray,
    anomalous_class: int,
    rng: np.random.Generator,
) -> Parts:
    """Pools all other classes 80/20, and tests all of the anomalous one.

    References:
      Akcay et al., [GANomaly](https://arxiv.org/abs/1805.06725), 2018.
    """
    del official_test
    train, test = _eighty_twenty(np.flatnonzero(labels != anomalous_class), groups, rng)
    return Parts(train, test, np.flatnonzero(labels == anomalous_class))


def _eighty_twenty(
    indices: np.ndarray, groups: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Random 80 %, rounded down as 57 of COIL-100's 72 are, and the rest."""
    return _divide(indices, len(indices) * 4 // 5, groups, rng)


def _divide(
    indices: np.ndarray, count: int, groups: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Random whole groups with about `count` of the images, and the rest.

    Neither part is empty where `count` asks for some of the images, not all, and there
    are two groups to divide.
    """
    _, first, group_of, sizes = np.unique(
        groups[indices], return_index=True, return_inverse=True, return_counts=True
    )
    drawn = rng.permutation(np.argsort(first))  # Groups in order of appearance, mixed.
    order = np.argsort(np.argsort(drawn)[group_of], kind="stable")
    ends = np.append(0, np.cumsum(sizes[drawn]))
    least = min(count, 1)
    most = len(sizes) if count >= len(indices) else len(sizes) - 1
    most = max(least, most)
    end = ends[least + np.argmin(np.abs(ends[least : most + 1] - count))]
    return indices[order[:end]], indices[order[end:]]


PROTOCOLS = {"p1": p1, "p2": p2, "ganomaly": ganomaly, "folder": p2}

# Kind of the target class in each protocol.
TARGET = {
    "p1": "normal_class",
    "p2": "normal_class",
    "ganomaly": "anomalous_class",
    "folder": "normal_class",
}
