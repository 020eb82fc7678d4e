import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocjax._checks import InputError
from ocjax.data import Dataset, protocols
from ocjax.data.protocols import PROTOCOLS, split


def dataset(train, test, classes=10, seed=0):
    """Labels of a set with so many images a class in its two official parts."""
    labels = np.repeat(
        np.tile(np.arange(classes), 2), [train] * classes + [test] * classes
    )
    official_test = np.arange(len(labels)) >= train * classes
    order = np.random.default_rng(seed).permutation(len(labels))
    return made(labels[order], official_test[order])


def made(labels, official_test, **others):
    names = tuple(map(str, range(max(labels) + 1)))
    return Dataset("made", np.empty(0), labels, official_test, names, **others)


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
    made = dataset(train, test, classes)
    labels = made.labels
    parts = split(
        protocol,
        made,
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
    parts = split(protocol, dataset(*counts), 3, validation_fraction=0.0)
    found = len(parts.train), np.sum(~parts.anomalous), np.sum(parts.anomalous)
    assert found == sizes


def test_coil_trains_on_57_of_72_views():
    labels = np.repeat(np.arange(100), 72)
    # It has no test part: all images may be drawn as anomalies.
    coil = made(labels, np.zeros(7200, bool))
    parts = split("p1", coil, 0, validation_fraction=0.0)
    assert len(parts.train) == 57
    assert np.sum(~parts.anomalous) == np.sum(parts.anomalous) == 15


def test_p1_draws_its_anomalies_from_the_official_test_part():
    fifty = dataset(50, 10)
    official_test = fifty.official_test
    parts = split("p1", fifty, 0)
    assert official_test[parts.test[parts.anomalous]].all()
    assert not official_test[parts.test[~parts.anomalous]].all()


def test_p1_takes_all_anomalies_where_there_are_too_few():
    # 12 of 60 normal images test, and the other class has only 10.
    parts = split("p1", dataset(50, 10, classes=2), 0)
    assert np.sum(~parts.anomalous) == 12 and np.sum(parts.anomalous) == 10


def test_p2_tests_the_whole_official_test_part():
    twenty = dataset(20, 10)
    parts = split("p2", twenty, 4)
    np.testing.assert_array_equal(parts.test, np.flatnonzero(twenty.official_test))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_split_is_a_function_of_its_seed(protocol):
    fifty = dataset(50, 10)
    one, same, other = (
        split(protocol, fifty, 2, split_seed=seed) for seed in (0, 0, 1)
    )
    for before, after in zip(one, same, strict=True):
        np.testing.assert_array_equal(before, after)
    assert set(one.validation) != set(other.validation)
    assert (set(one.test) != set(other.test)) == (protocol not in ("p2", "folder"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_test_part_ignores_the_validation_fraction(protocol):
    fifty = dataset(50, 10)
    some, none = (
        split(protocol, fifty, 2, validation_fraction=fraction)
        for fraction in (0.3, 0.0)
    )
    np.testing.assert_array_equal(some.test, none.test)
    assert set(some.train) | set(some.validation) == set(none.train)
    assert len(none.validation) == 0


def test_every_protocol_says_what_its_target_is():
    assert protocols.TARGET.keys() == PROTOCOLS.keys()


@given(
    protocol=st.sampled_from(sorted(PROTOCOLS)),
    sizes=st.lists(st.integers(1, 9), min_size=12, max_size=20),
    seed=st.integers(0, 100),
)
@example(protocol="p1", sizes=[1, 2, 5, 2] + [1] * 8, seed=0)  # A big group is last.
def test_a_group_is_on_one_side(protocol, sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    groups = np.random.default_rng(seed).permutation(groups)
    labels, official_test = groups % 2, groups % 3 == 0
    grouped = made(labels, official_test, groups=groups)
    parts = split(protocol, grouped, 0, split_seed=seed, validation_fraction=0.3)
    sides = [set(groups[part]) for part in parts[:3]]
    assert not sides[0] & sides[1] and not sides[2] & (sides[0] | sides[1])
    assert len(parts.validation)


def test_the_share_is_as_close_as_groups_allow():
    # Ten tracks of 30 frames: 15 % of them are one track or two.
    groups = np.repeat(np.arange(12), 30)
    labels, official_test = np.repeat([0, 1], [330, 30]), groups >= 10
    parts = split("p2", made(labels, official_test, groups=groups), 0)
    assert len(parts.validation) in (30, 60) and len(np.unique(groups[parts.train])) > 7


def test_other_scenes_take_no_part():
    labels = np.repeat([0, 1, 2, 3], 10)  # Rain, rain with a cry, sea, sea with a cry.
    official_test = (np.arange(40) % 10 > 6) | (labels % 2 == 1)
    parts = split("folder", made(labels, official_test, scenes=labels // 2), 2)
    assert set(labels[np.concatenate(parts[:3])]) == {2, 3}
    assert set(labels[parts.test[parts.anomalous]]) == {3}
    assert len(parts.train) + len(parts.validation) == 7


def test_unusable_arguments_raise():
    five = dataset(5, 5)
    with pytest.raises(InputError, match="Unknown protocol 'ganomally'.*'ganomaly'"):
        split("ganomally", five, 0)
    with pytest.raises(InputError, match=r"\(=1.0\) must be in \[0, 1\)"):
        split("p1", five, 0, validation_fraction=1.0)
    with pytest.raises(InputError, match="normal_class 10 leaves a part empty"):
        split("p1", five, 10)
    with pytest.raises(InputError, match="anomalous_class 10 leaves a part empty"):
        split("ganomaly", five, 10)
    with pytest.raises(InputError, match="0 in the official test part"):
        split("p2", five._replace(official_test=np.zeros(100, bool)), 0)
    with pytest.raises(InputError, match="leaves a part empty: {'train': 0"):
        split("p2", five, 0, validation_fraction=0.99)
    with pytest.raises(ValueError, match="of one shape"):
        split("p1", five._replace(official_test=np.zeros(9, bool)), 0)
