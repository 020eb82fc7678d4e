import numpy as np
import pytest

from ocjax import data
from ocjax._checks import InputError
from ocjax.data.sources import registry


@pytest.fixture(scope="module")
def digits():
    return registry.load("digits")


def test_digits_are_images_and_labels(digits):
    assert digits.images.shape == (1797, 32, 32, 1)
    assert digits.images.dtype == np.uint8
    assert digits.images.min() == 0 and digits.images.max() == 255
    assert digits.labels.dtype == np.int64
    assert digits.class_names == tuple("0123456789")


def test_digits_come_in_the_size_asked_for():
    small = registry.load("digits", size=8)
    assert small.images.shape == (1797, 8, 8, 1)
    # Seventeen grey values, 0 to 16 sixteenths of 255.
    np.testing.assert_array_equal(
        np.unique(small.images), np.round(np.arange(17) * 255 / 16)
    )


def test_a_fifth_of_each_digit_is_the_test_part(digits):
    every = np.bincount(digits.labels)
    test = np.bincount(digits.labels[digits.official_test])
    np.testing.assert_array_equal(test, every // 5)


def test_training_images_come_first(digits):
    assert (np.diff(digits.official_test.astype(int)) >= 0).all()


def test_digits_are_the_same_every_time(digits):
    again = registry.load("digits")
    np.testing.assert_array_equal(again.images, digits.images)
    np.testing.assert_array_equal(again.labels, digits.labels)


def test_an_unknown_data_set_raises_with_near_names():
    with pytest.raises(InputError, match="did you mean 'fashion_mnist'"):
        registry.load("fashionmnist")


def test_a_class_is_found_by_name_or_number(digits):
    dataset = digits._replace(class_names=("cat", "1", "dog"))
    assert data.class_index(dataset, "dog") == 2
    assert data.class_index(dataset, "2") == 2
    assert data.class_index(dataset, "1") == 1
    for wrong in ("3", "-1", "frog"):
        with pytest.raises(InputError, match="expected one of cat, 1, dog"):
            data.class_index(dataset, wrong)
    with pytest.raises(InputError, match="did you mean 'cat'"):
        data.class_index(dataset, "cats")


def test_digits_are_those_of_scikit_learn():
    from sklearn import datasets

    pixels, labels = datasets.load_digits(return_X_y=True)
    ours = registry.load("digits", size=8)
    order = np.lexsort((*pixels.T, labels))
    flat = ours.images.reshape(len(labels), -1)
    again = np.lexsort((*flat.T, ours.labels))
    np.testing.assert_array_equal(flat[again], np.round(pixels[order] * 255 / 16))
    np.testing.assert_array_equal(ours.labels[again], labels[order])


def test_other_data_have_another_fingerprint(digits):
    again = data.fingerprint(data.load("digits"))
    assert again == data.fingerprint(digits) and len(again) == 8
    images = digits.images.copy()
    images[0] = 255 - images[0]
    changed = [
        digits._replace(images=images),
        digits._replace(labels=digits.labels[::-1]),
        digits._replace(groups=np.zeros(len(images), int)),
        digits._replace(class_names=tuple("abcdefghij")),
    ]
    assert len({again, *map(data.fingerprint, changed)}) == 5
