"""Skip-GANomaly (Akcay et al., 2019), https://arxiv.org/abs/1901.08954.

A U-Net learns to reconstruct normal images against a discriminator; an image is
anomalous when it, and its features in the discriminator, are reconstructed badly. Skip
connections let the U-Net copy details, so anomalies too are often reconstructed well.

Networks, weights and learning rate are those of the authors' code
(samet-akcay/skip-ganomaly), which takes both gradients at the same parameters. Departs
from it: scores use stored BatchNorm statistics and are not rescaled by the extremes of
the test set; the discriminator minimizes its cross entropy alone (the code adds the
feature term to its loss, `features_train_discriminator`), halved as GANomaly's, and is
never re-initialized; its statistics follow real images alone.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.losses import adversarial, latent, reconstruction
from ocjax.methods import _scores, base
from ocjax.modules import apply, dcgan, unet


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; defaults are those of the authors' code."""

    features: int = 64  # Channels of the first convolution.
    w_adv: float = 1.0  # Weight of the adversarial loss.
    w_con: float = 50.0  # Weight of the contextual loss; the paper says 40.
    w_lat: float = 1.0  # Weight of the latent loss, on the discriminator's features.
    learning_rate: float = 2e-4  # Learning rate of Adam.
    b1: float = 0.5  # Decay of Adam's first moment.
    b2: float = 0.999  # Decay of Adam's second moment.
    # Weight of the reconstruction error in the score; the latent loss has the rest.
    score_weight: float = 0.9
    # Score: "squares" of pixels and features as in the code, or "norms", the sums that
    # the paper writes.
    score: str = "squares"
    # Generator's loss: "non_saturating", or "literal" as the paper writes it.
    adversarial: str = "non_saturating"
    # Whether the latent loss trains the discriminator too, as in the code.
    features_train_discriminator: bool = False


def skip_ganomaly(
    config: Config = Config(),
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds Skip-GANomaly for images `[B, S, S, C]` in `[-1, 1]`, `S = 32 * 2^n`.

    Args:
      config: hyper-parameters.
      dtype: type that networks compute in; what they learn and return is float32.

    Returns:
      The method; its networks are `generator` and `discriminator`. Latents are the
      innermost layer of the generator.

    Raises:
      ValueError: an option of `config` is unknown.
    """
    _checks.one_of("hyper.adversarial", config.adversarial, adversarial.GENERATOR)
    compared = _scores.PARTS[_checks.one_of("hyper.score", config.score, _scores.PARTS)]
    shared: dict[str, Any] = {"features": config.features, "dtype": dtype}
    generator = unet.UNet(**shared)
    discriminator = dcgan.Discriminator(**shared)

    def generate(params, stats, x):
        (x_hat, _), new = apply.train(generator, "generator", params, stats, x)
        return x_hat, new

    def discriminate(params, stats, x):
        return apply.train(discriminator, "discriminator", params, stats, x)

    def generator_loss(params, stats, x, key):
        del key
        x_hat, new = generate(params, stats, x)
        (_, f), _ = discriminate(params, stats, x)
        (fake, f_hat), _ = discriminate(params, stats, x_hat)
        adv = adversarial.GENERATOR[config.adversarial](fake).mean()
        con = reconstruction.l1(x, x_hat).mean()
        lat = latent.squared_error(f, f_hat).mean()
        loss = config.w_adv * adv + config.w_con * con + config.w_lat * lat
        return loss, base.Aux(new, {"adv": adv, "con": con, "lat": lat})

    def discriminator_loss(params, stats, x, key):
        del key
        x_hat, _ = generate(params, stats, x)
        (fake, f_hat), _ = discriminate(params, stats, x_hat)
        (real, f), new = discriminate(params, stats, x)
        loss = adversarial.discriminator(real, fake).mean()
        if config.features_train_discriminator:
            lat = latent.squared_error(f, f_hat).mean()
            loss += 0.5 * config.w_lat * lat  # Halved as the cross entropy is.
        return loss, base.Aux(new, {})

    adam = optax.adam(config.learning_rate, b1=config.b1, b2=config.b2)
    objectives = {
        "generator": base.Objective(generator_loss, ("generator",), adam),
        "discriminator": base.Objective(discriminator_loss, ("discriminator",), adam),
    }

    def init(key, images):
        modules = {
            "generator": (generator, images),
            "discriminator": (discriminator, images),
        }
        return base.init_state(key, modules, objectives)

    def step(state, images, key):
        return base.simultaneous(objectives, state, images, key)

    def inference(apply_network):
        """Functions of a trained state, whose networks `apply_network` applies."""

        def apply_to(state, module, name, x):
            return apply_network(module, name, state.params, state.stats, x)

        def reconstruct(state, x):
            return apply_to(state, generator, "generator", x)[0]

        def embed(state, x):
            return apply_to(state, generator, "generator", x)[1]

        def score(state, x):
            x_hat = reconstruct(state, x)
            _, f = apply_to(state, discriminator, "discriminator", x)
            _, f_hat = apply_to(state, discriminator, "discriminator", x_hat)
            con, lat = compared.pixels(x, x_hat), compared.features(f, f_hat)
            return config.score_weight * con + (1 - config.score_weight) * lat

        return reconstruct, embed, score

    reconstruct, embed, score = inference(apply.infer)
    *_, score_batchwise = inference(apply.batchwise)
    return base.Method(
        init=init,
        stages=(base.Stage(step),),
        score=score,
        objectives=objectives,
        reconstruct=reconstruct,
        embed=embed,
        score_batchwise=score_batchwise,
    )
