import jax
import numpy as np
import pytest

from ocjax import data
from ocjax._checks import InputError
from ocjax.attacks import classifier, stop_signs
from ocjax.data.sources import signs

CLASSES = 3
QUICK = {
    "boundary": {"steps": 20},
    "fgsm": {"epsilon": 0.5},
    "bim": {"epsilon": 0.3, "step": 0.1},
    "deepfool": {"steps": 5},
}


@pytest.fixture(scope="module")
def made():
    """What is made, twice, of three kinds of signs told apart by their colour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signs, "CLASSES", CLASSES)
        patch.setattr(signs, "STOP", 2)
        rng = np.random.default_rng(0)
        labels = np.repeat(np.tile(np.arange(CLASSES), 2), [40] * 3 + [16] * 3)
        images = rng.integers(0, 90, (len(labels), 16, 16, 3))
        images[np.arange(len(labels)), ..., labels] += 150
        dataset = data.Dataset(
            "gtsrb",
            images.astype(np.uint8),
            labels,
            np.arange(len(labels)) >= 120,
            ("0", "1", "stop"),
            groups=np.arange(len(labels)) // 4,
        )
        make = lambda: stop_signs.make(
            dataset, jax.random.key(0), epochs=30, width=0.1, parameters=QUICK
        )
        yield dataset, make(), make()


def test_signs_are_clean_or_attacked_and_the_same_seed_makes_the_same_bits(made):
    dataset, first, again = made
    arrays = first.arrays
    assert first.facts["classifier"]["test_accuracy"] > 0.8
    stop = np.flatnonzero((dataset.labels == 2) & dataset.official_test)
    attacked = set()
    for name in stop_signs.ATTACKS:
        images, index = arrays[name], arrays[f"{name}_index"]
        assert images.dtype == np.float32 and images.shape[1:] == (16, 16, 3)
        assert len(images) == len(index) == first.facts[name]["succeeded"] > 0
        assert images.min() >= 0 and images.max() <= 1
        attacked |= set(index)
    assert attacked <= set(stop) - set(arrays["clean_index"])
    assert set(arrays["clean_index"]) <= set(stop)
    assert set(dataset.labels[arrays["train_index"]]) == {2}
    assert not dataset.official_test[arrays["train_index"]].any()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
    change = arrays["bim"] - dataset.images[arrays["bim_index"]] / 255
    assert np.abs(change).max() <= 0.3 + 1e-6
    assert first.facts["bim"]["parameters"]["epsilon"] == 0.3


def test_the_file_is_a_data_set(made, tmp_path):
    _, found, _ = made
    np.savez(tmp_path / "stop_signs.npz", **found.arrays)
    signs_ = data.load("stop_signs", data_dir=tmp_path, size=16)
    assert signs_.class_names == ("clean", "boundary", "fgsm", "bim", "deepfool")
    assert signs_.images.dtype == np.float32 and signs_.images.min() >= -1
    counts = [len(found.arrays[name]) for name in stop_signs.ATTACKS]
    clean = len(found.arrays["train"]) + len(found.arrays["clean"])
    assert np.bincount(signs_.labels).tolist() == [clean, *counts]
    parts = data.split("folder", signs_, 0, validation_fraction=0.2)
    assert len(parts.validation) % 4 == 0 and parts.anomalous.sum() == sum(counts)
    with pytest.raises(InputError, match=r"`config.image_size` \(=32\) must be 16"):
        data.load("stop_signs", data_dir=tmp_path, size=32)
    with pytest.raises(InputError, match="make it by python experiments/stop_signs.py"):
        data.load("stop_signs", data_dir=tmp_path / "nowhere")


def test_a_classifier_does_not_see_light():
    network = classifier.Classifier(CLASSES, 0.1)
    images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3), minval=0.2, maxval=0.6)
    params = network.init(jax.random.key(1), images)["params"]
    plain = classifier.logits(network, params, images)
    brighter = classifier.logits(network, params, images + 0.3)
    np.testing.assert_allclose(brighter, plain, atol=1e-4)
