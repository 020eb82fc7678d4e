import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocjax._checks import InputError
from ocjax.data import protocols
from ocjax.data.protocols import PROTOCOLS, split


def dataset(train, test, classes=10, seed=0):
    """Labels of a set with so many images a class in its two official parts."""
    labels = np.repeat(
        np.tile(np.arange(classes), 2), [train] * classes + [test] * classes
    )
    official_test = np.arange(len(labels)) >= train * classes
    order = np.random.default_rng(seed).permutation(len(labels))
    return labels[order], official_test[order]


@given(
    protocol=st.sampled_from(sorted(PROTOCOLS)),
    train=st.integers(4, 30),
    test=st.integers(2, 10),
    classes=st.integers(2, 5),
    split_seed=st.integers(0, 2**32),
    validation_fraction=st.floats(0.0, 0.8),
)
def test_no_anomaly_trains_and_no_image_is_used_twice(
    protocol, train, test, classes, split_seed, validation_fraction
):
    labels, official_test = dataset(train, test, classes)
    parts = split(
        protocol,
        labels,
        official_test,
        1,
        split_seed=split_seed,
        validation_fraction=validation_fraction,
    )
    anomalous = (labels == 1) if protocol == "ganomaly" else (labels != 1)
    assert not anomalous[parts.train].any()
    assert not anomalous[parts.validation].any()
    np.testing.assert_array_equal(anomalous[parts.test], parts.anomalous)
    used = np.concatenate(parts[:3])
    assert len(np.unique(used)) == len(used)
    # No normal image is lost, but for the test part's of p2 that stay normal there.
    assert np.isin(np.flatnonzero(~anomalous), used).all()
    n_train = len(parts.train) + len(parts.validation)
    assert len(parts.validation) == round(validation_fraction * n_train)
    for part in parts[:3]:
        assert part.dtype == np.int64 and (np.diff(part) > 0).all()


@pytest.mark.parametrize(
    "protocol, counts, sizes",
    [
        # Fashion-MNIST: 80 % of 7,000; 80 % of 63,000.
        ("p1", (6000, 1000), (5600, 1400, 1400)),
        ("p2", (6000, 1000), (6000, 1000, 9000)),
        ("ganomaly", (6000, 1000), (50400, 12600, 7000)),
        # CIFAR-10: 80 % of 6,000; 80 % of 54,000.
        ("p1", (5000, 1000), (4800, 1200, 1200)),
        ("ganomaly", (5000, 1000), (43200, 10800, 6000)),
    ],
)
def test_sizes_are_the_papers(protocol, counts, sizes):
    parts = split(protocol, *dataset(*counts), 3, validation_fraction=0.0)
    found = len(parts.train), np.sum(~parts.anomalous), np.sum(parts.anomalous)
    assert found == sizes


def test_coil_trains_on_57_of_72_views():
    labels = np.repeat(np.arange(100), 72)
    # It has no official parts: all images may be drawn as anomalies.
    parts = split("p1", labels, np.ones(7200, bool), 0, validation_fraction=0.0)
    assert len(parts.train) == 57
    assert np.sum(~parts.anomalous) == np.sum(parts.anomalous) == 15


def test_p1_draws_its_anomalies_from_the_official_test_part():
    labels, official_test = dataset(50, 10)
    parts = split("p1", labels, official_test, 0)
    assert official_test[parts.test[parts.anomalous]].all()
    assert not official_test[parts.test[~parts.anomalous]].all()


def test_p1_takes_all_anomalies_where_there_are_too_few():
    labels, official_test = dataset(50, 10, classes=2)
    # 12 of 60 normal images test, and the other class has only 10.
    parts = split("p1", labels, official_test, 0)
    assert np.sum(~parts.anomalous) == 12 and np.sum(parts.anomalous) == 10


def test_p2_tests_the_whole_official_test_part():
    labels, official_test = dataset(20, 10)
    parts = split("p2", labels, official_test, 4)
    np.testing.assert_array_equal(parts.test, np.flatnonzero(official_test))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_split_is_a_function_of_its_seed(protocol):
    labels, official_test = dataset(50, 10)
    one, same, other = (
        split(protocol, labels, official_test, 2, split_seed=seed) for seed in (0, 0, 1)
    )
    for before, after in zip(one, same, strict=True):
        np.testing.assert_array_equal(before, after)
    assert set(one.validation) != set(other.validation)
    assert (set(one.test) != set(other.test)) == (protocol != "p2")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_test_part_ignores_the_validation_fraction(protocol):
    labels, official_test = dataset(50, 10)
    some, none = (
        split(protocol, labels, official_test, 2, validation_fraction=fraction)
        for fraction in (0.3, 0.0)
    )
    np.testing.assert_array_equal(some.test, none.test)
    assert set(some.train) | set(some.validation) == set(none.train)
    assert len(none.validation) == 0


def test_every_protocol_says_what_its_target_is():
    assert protocols.TARGET.keys() == PROTOCOLS.keys()


def test_unusable_arguments_raise():
    labels, official_test = dataset(5, 5)
    with pytest.raises(InputError, match="Unknown protocol 'ganomally'.*'ganomaly'"):
        split("ganomally", labels, official_test, 0)
    with pytest.raises(InputError, match=r"\(=1.0\) must be in \[0, 1\)"):
        split("p1", labels, official_test, 0, validation_fraction=1.0)
    with pytest.raises(InputError, match="normal_class 10 leaves a part empty"):
        split("p1", labels, official_test, 10)
    with pytest.raises(InputError, match="anomalous_class 10 leaves a part empty"):
        split("ganomaly", labels, official_test, 10)
    with pytest.raises(InputError, match="0 in the official test part"):
        split("p2", labels, np.zeros_like(official_test), 0)
    with pytest.raises(InputError, match="leaves a part empty: {'train': 0"):
        split("p2", labels, official_test, 0, validation_fraction=0.99)
    with pytest.raises(ValueError, match="of one shape"):
        split("p1", labels, official_test[1:], 0)
