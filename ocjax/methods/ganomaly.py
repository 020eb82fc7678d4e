"""GANomaly (Akcay et al., 2018), https://arxiv.org/abs/1805.06725.

An encoder-decoder-encoder learns to reconstruct normal images; an image is anomalous
when its latent and the latent of its reconstruction disagree.

Networks, sizes and losses are those of the authors' code (samet-akcay/ganomaly since
August 2019), which takes both gradients at the same parameters. Departs from it:
scores use stored BatchNorm statistics, so that an image's score does not depend on
its batch; scores are not rescaled by the extremes of the test set; the discriminator
is never re-initialized; its statistics follow real images alone.

The paper writes feature matching (Eq 1), but the code that was public with it, the
first release of May 2018, has none: its generator maximizes what the discriminator says
of reconstructions, after the discriminator's step. That is `adversarial` of
"non_saturating" and `order` of "discriminator_first".
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.losses import adversarial, latent, reconstruction
from ocjax.methods import base
from ocjax.modules import apply, dcgan

ADVERSARIAL = ("feature_matching", *adversarial.GENERATOR)
ORDERS = ("simultaneous", "discriminator_first")


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; defaults are those of the authors' code."""

    latent: int = 100  # Length of the latent z.
    features: int = 64  # Channels of the first convolution.
    w_adv: float = 1.0  # Weight of the adversarial loss, Eq 1.
    w_con: float = 50.0  # Weight of the contextual loss, Eq 2: lambda of Eq 4.
    w_enc: float = 1.0  # Weight of the encoder loss, Eq 3.
    # Learning rate of Adam; 2e-3 in the paper, 2e-4 in the code.
    learning_rate: float = 2e-4
    b1: float = 0.5  # Decay of Adam's first moment.
    b2: float = 0.999  # Decay of Adam's second moment.
    # Generator's loss: "feature_matching", or "non_saturating" as the first release has
    # it.
    adversarial: str = "feature_matching"
    # Steps of the two losses: "simultaneous", at the same parameters, or
    # "discriminator_first", the generator at the new discriminator, as in the first
    # release.
    order: str = "simultaneous"
    # Distance of the latents: "squared_error" as in the code, or "l1" as in the later
    # paper.
    score: str = "squared_error"


def ganomaly(
    config: Config = Config(),
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds GANomaly for images `[B, S, S, C]` in `[-1, 1]`, `S = 32 * 2^n`.

    Args:
      config: hyper-parameters.
      dtype: type that networks compute in; what they learn and return is float32.

    Returns:
      The method; its networks are `encoder`, `decoder`, `reencoder` (the paper's E)
      and `discriminator`.

    Raises:
      ValueError: an option of `config` is unknown.
    """
    _checks.one_of("hyper.adversarial", config.adversarial, ADVERSARIAL)
    _checks.one_of("hyper.order", config.order, ORDERS)
    _checks.one_of("hyper.score", config.score, latent.DISTANCES)
    distance = latent.DISTANCES[config.score]
    shared: dict[str, Any] = {"features": config.features, "dtype": dtype}
    encoder = dcgan.Encoder(config.latent, **shared)
    discriminator = dcgan.Encoder(1, **shared)

    def decoder(shape):
        return dcgan.Decoder(shape[-2], shape[-1], **shared)

    def generate(params, stats, x):
        """Applies the generator: x_hat, z, z_hat, new statistics."""
        (z, _), encoded = apply.train(encoder, "encoder", params, stats, x)
        x_hat, decoded = apply.train(decoder(x.shape), "decoder", params, stats, z)
        (z_hat, _), reencoded = apply.train(encoder, "reencoder", params, stats, x_hat)
        return x_hat, z, z_hat, {**encoded, **decoded, **reencoded}

    def discriminate(params, stats, x):
        """Logits, features and new statistics of the discriminator."""
        (logits, features), new = apply.train(
            discriminator, "discriminator", params, stats, x
        )
        return logits[:, 0], features, new

    def generator_loss(params, stats, x, key):
        del key
        x_hat, z, z_hat, new = generate(params, stats, x)
        _, f, _ = discriminate(params, stats, x)
        logits_hat, f_hat, _ = discriminate(params, stats, x_hat)
        if config.adversarial == "feature_matching":
            adv = adversarial.feature_matching(f, f_hat).mean()
        else:
            adv = adversarial.GENERATOR[config.adversarial](logits_hat).mean()
        con = reconstruction.l1(x, x_hat).mean()
        enc = latent.squared_error(z, z_hat).mean()
        loss = config.w_adv * adv + config.w_con * con + config.w_enc * enc
        # Shrinking z lowers the encoder loss, and the score, without learning.
        latent_norm = jnp.linalg.norm(z, axis=-1).mean()
        metrics = {"adv": adv, "con": con, "enc": enc, "latent_norm": latent_norm}
        return loss, base.Aux(new, metrics)

    def discriminator_loss(params, stats, x, key):
        del key
        x_hat, *_ = generate(params, stats, x)
        fake, *_ = discriminate(params, stats, x_hat)
        real, _, new = discriminate(params, stats, x)
        return adversarial.discriminator(real, fake).mean(), base.Aux(new, {})

    adam = optax.adam(config.learning_rate, b1=config.b1, b2=config.b2)
    objectives = {
        "generator": base.Objective(
            generator_loss, ("encoder", "decoder", "reencoder"), adam
        ),
        "discriminator": base.Objective(discriminator_loss, ("discriminator",), adam),
    }

    def init(key, images):
        z = jnp.zeros((len(images), config.latent))
        modules = {
            "encoder": (encoder, images),
            "decoder": (decoder(images.shape), z),
            "reencoder": (encoder, images),
            "discriminator": (discriminator, images),
        }
        return base.init_state(key, modules, objectives)

    def step(state, images, key):
        if config.order == "simultaneous":
            return base.simultaneous(objectives, state, images, key)
        names = ("discriminator", "generator")
        ordered = {name: objectives[name] for name in names}
        return base.alternate(ordered, state, images, key)

    def inference(apply_network):
        """Functions of a trained state, whose networks `apply_network` applies."""
        embed, decode, reconstruct = base.autoencoding(
            encoder, decoder, apply_network=apply_network
        )

        def reembed(state, x):
            networks = state.params, state.stats
            x_hat = reconstruct(state, x)
            return apply_network(encoder, "reencoder", *networks, x_hat)[0]

        def score(state, x):
            return distance(embed(state, x), reembed(state, x))

        return embed, decode, reconstruct, reembed, score

    embed, decode, reconstruct, reembed, score = inference(apply.infer)
    *_, score_batchwise = inference(apply.batchwise)
    return base.Method(
        init=init,
        stages=(base.Stage(step),),
        score=score,
        objectives=objectives,
        reconstruct=reconstruct,
        embed=embed,
        views=base.Views(latents={"z": embed, "z_hat": reembed}, decode=decode),
        score_batchwise=score_batchwise,
    )
