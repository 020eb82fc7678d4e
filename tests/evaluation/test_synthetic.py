import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax._checks import InputError
from ocjax.evaluation import synthetic

SIZE = 16
# Every pixel is another one, and none has the value of the edge's median.
RAMP = np.linspace(-1, 1, SIZE * SIZE, dtype=np.float32).reshape(1, SIZE, SIZE, 1)
IMAGES = np.concatenate([RAMP, -RAMP, RAMP[:, :, ::-1], RAMP * 0.5])


def spoiled(kind, images=IMAGES, seed=0):
    return np.asarray(synthetic.KINDS[kind](jnp.asarray(images), jax.random.key(seed)))


@pytest.mark.parametrize("kind", synthetic.KINDS)
def test_every_image_is_changed_within_its_range_and_by_its_key_alone(kind):
    first, again, other = (spoiled(kind, seed=seed) for seed in (0, 0, 3))
    assert first.shape == IMAGES.shape and first.dtype == np.float32
    assert first.min() >= -1 and first.max() <= 1
    assert (first != IMAGES).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("kind", sorted(set(synthetic.KINDS) - {"blended"}))
def test_sides_may_be_odd_and_colours_three(kind):
    images = np.random.default_rng(0).uniform(-1, 1, (2, 11, 11, 3)).astype("f4")
    assert (spoiled(kind, images) != images).any(axis=(1, 2, 3)).all()


def test_an_erased_box_is_background_and_of_the_stated_size():
    image = np.full((20, 32, 32, 1), 0.5, np.float32)
    image[:, 0] = image[:, -1] = image[:, :, 0] = image[:, :, -1] = -0.25
    for box in spoiled("erased", image)[:, 1:-1, 1:-1, 0] == -0.25:
        sides = box.any(1).sum(), box.any(0).sum()
        assert box.sum() == sides[0] * sides[1]  # A full box.
        assert all(8 <= side <= 20 for side in sides)  # 10 to 20, cut by the edge.


def test_pasted_pixels_are_of_the_same_image():
    result = spoiled("pasted")
    for image, source in zip(result, IMAGES, strict=True):
        changed = image != source
        assert np.isin(image[changed], source).all()
        assert changed.mean() <= 0.25


def test_the_quarters_of_a_jigsaw_all_move_and_stay_whole():
    image = np.repeat(np.repeat([[0.1, 0.2], [0.3, 0.4]], 8, 0), 8, 1)[None, ..., None]
    images = np.repeat(image, 10, 0).astype("f4")
    for result in spoiled("jigsaw", images)[:, ::8, ::8, 0]:
        np.testing.assert_allclose(np.sort(result.ravel()), [0.1, 0.2, 0.3, 0.4])
        assert (result != images[0, ::8, ::8, 0]).all()


def test_an_image_is_turned_by_a_right_angle():
    turns = [np.rot90(RAMP[0], k) for k in (1, 2, 3)]
    seen = set()
    for image in spoiled("rotated", np.repeat(RAMP, 20, 0)):
        (turn,) = [k for k in range(3) if (image == turns[k]).all()]
        seen.add(turn)
    assert seen == {0, 1, 2}


def test_a_scar_is_thin_and_of_one_grey():
    for result in spoiled("scarred", np.full((10, 64, 64, 3), -1, np.float32)):
        scar = (result != -1).any(-1)
        assert 10 * 2 * 0.7 <= scar.sum() <= 25 * 6 * 1.3
        assert len(np.unique(result[scar])) == 1


def test_noise_has_the_stated_deviation():
    image = np.zeros((1, 64, 64, 1), np.float32)
    assert abs(spoiled("noisy", image).std() - synthetic.NOISE) < 0.01


def test_blended_images_are_means_of_two():
    result = spoiled("blended")
    means = (IMAGES[:, None] + IMAGES[None]) / 2
    for number, image in enumerate(result):
        equal = np.isclose(means[number], image).all(axis=(1, 2, 3))
        assert equal.any() and not equal[number]
    with pytest.raises(InputError, match="at least two, got one"):
        spoiled("blended", RAMP)


def test_aurocs_are_those_of_a_known_score():
    """A score that is the share of black pixels sees boxes of black, and no turns."""
    images = np.full((6, 16, 16, 1), 255, np.uint8)
    images[:, 0] = images[:, -1] = images[:, :, 0] = images[:, :, -1] = 0
    black = lambda images: (images == -1).mean(axis=(1, 2, 3))
    found = synthetic.aurocs(black, images, kinds=("erased", "rotated"))
    assert found == {"erased": 1.0, "rotated": 0.5}
    alone = synthetic.aurocs(black, images, kinds=("rotated",))
    assert alone == {"rotated": 0.5}


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(InputError, match="at least 2 normal images, got 1"):
        synthetic.aurocs(np.mean, RAMP)
    with pytest.raises(InputError, match="kind of synthetic anomaly.*'erase'"):
        synthetic.aurocs(lambda x: x[:, 0, 0, 0], IMAGES, kinds=("erase",))
