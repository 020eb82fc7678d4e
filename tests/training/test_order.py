import jax
import numpy as np
import pytest

from ocjax._checks import InputError
from ocjax.training import order

KEY = jax.random.key(0)
GROUPS = np.array([0, 2, 3, 5, 6, 8, 9]), np.array([1, 4, 7])
# Twelve images each an epoch: one round and five of seven; four rounds of three.
ORDERS = {
    "shuffled": lambda key: order.shuffled(key, 10, 8),
    "grouped": lambda key: order.grouped(key, GROUPS, 24),
}


@pytest.mark.parametrize("make", ORDERS.values(), ids=ORDERS)
def test_an_order_is_a_function_of_key_and_epoch(make):
    one, again, other = make(KEY), make(KEY), make(jax.random.key(1))
    epochs = [one(0), one(1)]
    # Whatever was asked before.
    np.testing.assert_array_equal(again(1), epochs[1])
    np.testing.assert_array_equal(one(0), epochs[0])
    assert (epochs[0] != epochs[1]).any()
    assert (other(0) != epochs[0]).any()


@pytest.mark.parametrize("length", [1, 8, 10])
def test_a_shuffled_order_has_every_image_at_most_once(length):
    found = order.shuffled(KEY, 10, length)(3)
    assert len(found) == length == len(set(found))
    assert set(found) <= set(range(10))


def test_every_image_has_its_turn_to_be_left_out():
    indices = order.shuffled(KEY, 10, 8)
    left_out = [set(range(10)) - set(indices(epoch)) for epoch in range(30)]
    assert set.union(*left_out) == set(range(10))


def test_groups_take_turns():
    found = order.grouped(KEY, GROUPS, 24)(0)
    assert found.shape == (24,)
    assert set(found[0::2]) == set(GROUPS[0])
    assert set(found[1::2]) == set(GROUPS[1])


def test_a_group_is_gone_through_before_it_begins_again_in_another_order():
    found = order.grouped(KEY, GROUPS, 24)(0)
    for i, group in enumerate(GROUPS):
        own, count = found[i::2], len(group)
        rounds = [own[start : start + count] for start in range(0, 12, count)]
        for each in rounds:
            assert len(set(each)) == len(each)
        assert len({tuple(each) for each in rounds}) > 1


def test_a_group_larger_than_its_share_is_not_repeated():
    found = order.grouped(KEY, GROUPS, 8)(0)[0::2]
    assert len(set(found)) == len(found) == 4


def test_groups_that_can_share_a_batch_pass():
    order.check_groups({"typical": GROUPS[0], "atypical": GROUPS[1]}, 8, 4)


@pytest.mark.parametrize(
    "atypical, batch_size, devices, message",
    [
        (GROUPS[1][:0], 8, 1, "no atypical ones"),
        (GROUPS[1], 7, 1, r"\(=7\) must be a multiple of 2 \(.* typical, atypical\)"),
        (GROUPS[1], 12, 4, r"\(=12\) must be a multiple of 2 .* devices \(=4\)"),
    ],
)
def test_groups_that_cannot_share_a_batch_are_refused(
    atypical, batch_size, devices, message
):
    groups = {"typical": GROUPS[0], "atypical": atypical}
    with pytest.raises(InputError, match=message):
        order.check_groups(groups, batch_size, devices)
