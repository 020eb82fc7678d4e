import jax
import jax.numpy as jnp
import pytest

from ocjax.modules import apply
from ocjax.modules.unet import UNet


@pytest.mark.parametrize("channels", [1, 3])
def test_parameter_count_by_hand(channels):
    images = jnp.zeros((1, 32, 32, channels))
    init = lambda: apply.init(UNet(), jax.random.key(0), images)[0]
    c = channels
    down = c * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 512
    up = 512 * 512 + 1024 * 256 + 512 * 128 + 256 * 64 + 128 * c
    norms = 128 + 256 + 512 + 512 + 256 + 128 + 64
    count = 16 * (down + up) + c + 2 * norms  # 16,652,929 and 16,659,075
    leaves = jax.tree.leaves(jax.eval_shape(init))
    assert sum(leaf.size for leaf in leaves) == count


@pytest.mark.parametrize("size", [32, 64])
def test_images_of_any_size_pass_through_one_pixel(size):
    images = jnp.zeros((2, size, size, 1))
    run = lambda: UNet(2).init_with_output(jax.random.key(0), images, train=True)
    (again, latent), variables = jax.eval_shape(run)
    assert again.shape == images.shape
    assert latent.shape == (2, 16)
    # log2(32) = 5 convolutions down.
    convolutions = [n for n in variables["params"] if n.startswith("Conv_")]
    assert len(convolutions) == {32: 5, 64: 6}[size]


def test_every_skip_reaches_the_image():
    images = jax.random.normal(jax.random.key(0), (2, 32, 32, 1)) * 3
    module = UNet(1)

    @jax.jit
    def run(images):
        params, stats = apply.init(module, jax.random.key(1), images)

        def loss(params):
            networks = {"net": params}, {"net": stats}
            again, _ = apply.batchwise(module, "net", *networks, images)
            return jnp.square(again - images).sum(), again

        return jax.grad(loss, has_aux=True)(params)

    gradients, again = run(images)
    assert (jnp.abs(again) <= 1).all()
    # Each transposed convolution but the innermost reads skip and upward halves.
    for i in range(1, 5):
        gradient = gradients[f"ConvTranspose_{i}"]["kernel"]
        halves = jnp.split(gradient, 2)
        assert all(jnp.abs(half).max() > 0 for half in halves)
    assert jnp.abs(gradients["Conv_4"]["kernel"]).max() > 0


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="side 32, 64, 128"):
        UNet(1).init(jax.random.key(0), jnp.zeros((1, 48, 48, 1)), train=True)


def test_only_the_last_convolution_has_a_bias():
    images = jnp.zeros((1, 32, 32, 3))
    init = lambda: apply.init(UNet(1), jax.random.key(0), images)
    params, _ = jax.eval_shape(init)
    biased = [name for name in params if "Conv" in name and "bias" in params[name]]
    assert biased == ["ConvTranspose_4"]  # The last.
