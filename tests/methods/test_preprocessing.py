import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_methods import METHODS

from ocjax._checks import InputError
from ocjax.methods import Pass, Stage, preprocessing
from ocjax.methods.preprocessing import PADDING, augment
from ocjax.modules import axis

IMAGES = jax.random.uniform(jax.random.key(0), (32, 8, 8, 3), minval=-1.0)


def test_every_crop_is_the_image_shifted_over_black():
    cropped = np.asarray(augment(IMAGES, jax.random.key(1), crop=True))
    edges = ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0))
    padded = np.pad(np.asarray(IMAGES), edges, constant_values=-1.0)
    shifts = []
    for image, crop in zip(padded, cropped, strict=True):
        windows = {
            (top, left): image[top : top + 8, left : left + 8]
            for top in range(2 * PADDING + 1)
            for left in range(2 * PADDING + 1)
        }
        shifts += [at for at, window in windows.items() if (window == crop).all()]
    assert len(shifts) == 32 and len(set(shifts)) > 16
    assert max(map(max, shifts)) == 2 * PADDING and min(map(min, shifts)) == 0


def test_about_half_are_mirrored_and_none_is_changed_otherwise():
    flipped = augment(IMAGES, jax.random.key(1), flip=True)
    mirrored = (flipped == IMAGES[:, :, ::-1]).all((1, 2, 3))
    same = (flipped == IMAGES).all((1, 2, 3))
    assert (mirrored | same).all() and 8 < int(mirrored.sum()) < 24


def test_an_image_has_its_own_randomness_on_any_number_of_devices():
    both = functools.partial(augment, crop=True, flip=True)
    whole = both(IMAGES, jax.random.key(1))
    parts = jax.vmap(lambda part: both(part, jax.random.key(1)), axis_name=axis.NAME)(
        IMAGES.reshape(4, 8, 8, 8, 3)
    )
    np.testing.assert_array_equal(parts.reshape(whole.shape), whole)


def test_only_training_is_augmented():
    build, config = METHODS["autoencoder"]
    method = build(config)
    augmented = preprocessing.augmented(method, crop=True, flip=True)
    assert augmented.score is method.score
    images = jnp.zeros((4, 32, 32, 1)).at[:, :, :9].set(1.0)
    state = method.init(jax.random.key(0), images)
    stages: Any = (*method.stages, *augmented.stages)
    losses = [
        jax.jit(stage.step)(state, images, jax.random.key(1))[1] for stage in stages
    ]
    assert jax.tree.all(jax.tree.map(jnp.isfinite, losses[1]))
    assert losses[0] != losses[1]


def test_pixels_are_standardized_channel_by_channel():
    build, config = METHODS["autoencoder"]
    method = build(config)._replace(score=lambda state, x: x)
    wrapped = preprocessing.standardized(method, [0.5, 0.25], [0.5, 0.25])
    seen = wrapped.score(None, jnp.array([[[[1.0, -1.0]]]]))
    # 1 is white: (1 - 0.5) / 0.5; -1 is black: (0 - 0.25) / 0.25.
    np.testing.assert_allclose(seen[0, 0, 0], [1.0, -1.0])


def test_grades_and_passes_are_of_standardized_pixels():
    computed = Pass(
        ("none",),
        start=lambda state, shape, count: {},
        add=lambda state, sums, x, numbers: {"seen": x},
        finish=lambda state, sums: state,
    )
    stages = Stage(lambda *_: None, grade=lambda state, x: x), Stage(computed=computed)
    build, config = METHODS["autoencoder"]
    method = build(config)._replace(stages=stages)
    first, second = preprocessing.standardized(method, [0.5], [0.25]).stages
    white = jnp.ones((1, 1, 1, 1))
    np.testing.assert_allclose(first.grade(None, white), 2.0)
    sums = second.computed.add(None, {}, white, jnp.zeros(1, int))
    np.testing.assert_allclose(sums["seen"], 2.0)


def test_a_method_without_steps_is_not_augmented():
    build, config = METHODS["pca"]
    with pytest.raises(InputError, match="leave augment empty"):
        preprocessing.augmented(build(config), crop=True, flip=False)
