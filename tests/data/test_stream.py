import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocjax.data import stream

IMAGES = np.random.default_rng(0).integers(0, 256, (23, 2, 3, 1), np.uint8)


def order_of_epoch(epoch):
    return np.random.default_rng(epoch).permutation(len(IMAGES))


def read(source: stream.Source = IMAGES, order_of_epoch=order_of_epoch, **changes):
    sizes = {"batch_size": 4, "steps_per_epoch": 5, "start_step": 0, "stop_step": 12}
    return stream.batches(source, order_of_epoch, **(sizes | changes))


@settings(deadline=None, max_examples=25)
@given(
    start_step=st.integers(0, 12),
    threads=st.sampled_from([0, 1, 3]),
    shape=st.sampled_from([(4, 5), (23, 1), (1, 23), (7, 2)]),
)
def test_any_start_gives_what_direct_indexing_gives(start_step, threads, shape):
    batch_size, steps_per_epoch = shape
    found = list(
        read(
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch,
            start_step=start_step,
            threads=threads,
        )
    )
    assert len(found) == 12 - start_step
    for step, batch in enumerate(found, start_step):
        rows = order_of_epoch(step // steps_per_epoch)
        rows = rows[(step % steps_per_epoch) * batch_size :][:batch_size]
        np.testing.assert_array_equal(batch, IMAGES[rows])
        assert batch.dtype == np.uint8


def test_a_memory_map_is_a_source(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for batch, expected in zip(read(source=mapped), read(), strict=True):
        np.testing.assert_array_equal(batch, expected)


@pytest.mark.parametrize("steps_per_epoch", [1, 2, 5])
def test_an_order_is_made_once_an_epoch(steps_per_epoch):
    epochs = []

    def counted(epoch):
        epochs.append(epoch)
        return order_of_epoch(epoch)

    list(read(order_of_epoch=counted, steps_per_epoch=steps_per_epoch))
    assert sorted(epochs) == list(range(-(-12 // steps_per_epoch)))


def test_nothing_is_read_far_ahead_of_use():
    rows, lock = [], threading.Lock()

    class Counted:
        def __getitem__(self, row):
            with lock:
                rows.append(row)
            return IMAGES[row]

    iterator = read(source=Counted(), stop_step=1000, threads=2)
    next(iterator)
    # Two threads keep four batches of four ahead, and one is being handed over.
    assert len(rows) <= (4 + 2) * 4


def test_an_error_of_the_source_reaches_the_reader():
    class Broken:
        def __getitem__(self, row):
            raise OSError(f"Cannot read image {row}.")

    with pytest.raises(OSError, match="Cannot read image"):
        next(read(source=Broken()))


def test_unusable_arguments_raise():
    with pytest.raises(ValueError, match="batch_size=0"):
        read(batch_size=0)
    with pytest.raises(ValueError, match="start_step=13"):
        read(start_step=13)
    with pytest.raises(ValueError, match="23 indices, too few for 6 batches of 4"):
        list(read(steps_per_epoch=6))


@pytest.mark.parametrize("depth", [0, 1, 2, 20])
def test_prefetch_keeps_the_order_and_puts_ahead(depth):
    put = []
    doubled = stream.prefetch(range(10), lambda x: put.append(x) or 2 * x, depth)
    assert next(doubled) == 0
    assert put == list(range(min(depth + 1, 10)))
    assert list(doubled) == [2 * x for x in range(1, 10)]
