"""Stop signs under attack, as LR-GDAN's Table 4 has them, re-created in public.

A classifier of all 43 signs is trained and attacked at stop signs of the official test
part that it recognizes. Where the paper is silent, standard parameters are taken.

References:
  Ruff et al., Deep One-Class Classification, 2018, from which Chen et al. took the
  experiment; neither has published images, classifier or parameters.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ocjax.attacks import classifier as classifiers
from ocjax.attacks.boundary import boundary
from ocjax.attacks.deepfool import deepfool
from ocjax.attacks.gradient import bim, fgsm
from ocjax.data.dataset import Dataset
from ocjax.data.sources import signs

EPSILON = 8 / 255
ATTACKS = {
    "boundary": {"steps": 25_000, "orthogonal_step": 1e-2, "towards_step": 1e-2},
    "fgsm": {"norm": "linf", "epsilon": EPSILON},
    "bim": {"norm": "linf", "epsilon": EPSILON, "steps": 10, "step": 0.2 * EPSILON},
    "deepfool": {"norm": "l2", "steps": 50, "candidates": 10, "overshoot": 0.02},
}
FUNCTIONS = {"boundary": boundary, "fgsm": fgsm, "bim": bim, "deepfool": deepfool}


class StopSigns(NamedTuple):
    """Clean and attacked stop signs.

    `arrays` are `train`, `clean` and one for each attack, float32 `[N, 32, 32, 3]` in
    [0, 1]: 8 bits would undo the smallest changes. `<name>_index` are the numbers of
    the originals in GTSRB, `train_groups` their tracks.
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]  # Accuracies, parameters, success rates and norms; for JSON.


def make(
    dataset: Dataset,
    key: jax.Array,
    *,
    epochs: int = 40,
    share: float = 0.5,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    width: float = 1.0,
    tell: Callable[[str], None] = lambda _: None,
) -> StopSigns:
    """Trains a classifier and attacks it.

    Args:
      dataset: images of GTSRB.
      key: randomness of the classifier, the choice of attacked images and the attacks.
      epochs: passes of the classifier over its training images.
      share: part of the recognized test stop signs that every attack takes; the other
        test stop signs stay clean, so that none is both.
      parameters: arguments of each attack, in place of those of `ATTACKS`.
      width: factor on the classifier's channels and hidden units.
      tell: function called with a line about each finished step.

    Returns:
      Clean images, and the attacked ones that are classified wrong.
    """
    stop, test = dataset.labels == signs.STOP, dataset.official_test
    train_key, choice_key, attack_key = jax.random.split(key, 3)
    network = classifiers.Classifier(signs.CLASSES, width)
    fit = np.flatnonzero(~test)
    params = classifiers.train(
        network, dataset.images[fit], dataset.labels[fit], train_key, epochs=epochs
    )
    right = np.zeros(len(test), bool)
    right[test] = (
        classifiers.predict(network, params, dataset.images[test])
        == dataset.labels[test]
    )
    accuracies = {
        "test_accuracy": float(right[test].mean()),
        "test_accuracy_stop": float(right[test & stop].mean()),
    }
    tell(f"Classifier: {accuracies['test_accuracy']:.1%} of the test part are right.")
    recognized = np.flatnonzero(right & test & stop)
    chosen = jax.random.permutation(choice_key, recognized)
    chosen = np.sort(np.asarray(chosen)[: round(share * len(recognized))])
    clean = np.setdiff1d(np.flatnonzero(test & stop), chosen)
    pixels = lambda rows: (dataset.images[rows] / np.float32(255)).astype(np.float32)
    victims = pixels(chosen)
    labels = np.full(len(chosen), signs.STOP, np.int32)
    logits = functools.partial(classifiers.logits, network, params)
    train = np.flatnonzero(~test & stop)
    arrays = {"train": pixels(train), "clean": pixels(clean)}
    arrays |= {"train_index": train, "clean_index": clean}
    if dataset.groups is not None:
        arrays["train_groups"] = dataset.groups[train]
    facts: dict[str, Any] = {"classifier": accuracies | {"epochs": epochs}}
    for name, standard in ATTACKS.items():
        settings = {**standard, **(parameters or {}).get(name, {})}
        extra = {"key": attack_key} if name == "boundary" else {}
        attacked = FUNCTIONS[name](logits, victims, labels, **settings, **extra)
        images, success = np.asarray(attacked.images), np.asarray(attacked.success)
        arrays |= {name: images[success], f"{name}_index": chosen[success]}
        rounded = np.round(images * 255).astype(np.uint8)
        wrong = classifiers.predict(network, params, rounded) != signs.STOP
        facts[name] = {
            "parameters": settings,
            "attacked": len(chosen),
            "succeeded": int(success.sum()),
            "succeed_in_8_bits": int(wrong.sum()),
            "median_l2": float(np.median(attacked.l2[success])),
            "median_linf": float(np.median(attacked.linf[success])),
        }
        tell(f"{name}: {facts[name]['succeeded']} of {len(chosen)} succeed.")
    return StopSigns(arrays, facts)
