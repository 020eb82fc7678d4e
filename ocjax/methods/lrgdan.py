"""LR-GDAN: Latent Regularized Generative Dual Adversarial Network (Chen et al., 2020).

An autoencoder G reconstructs normal images; a second one, D', learns to reconstruct
real images well and G's badly, so that G must come close to real images; and the
latent is kept informative of the image by two mutual-information estimators. An image
is anomalous when D'(G(x)) is far from it: https://doi.org/10.24963/ijcai.2020/106.

No code was published, and the text leaves the networks and several signs open. What is
chosen here, and why:

* Networks are GANomaly's DCGAN pyramids; the paper's figure has no numbers.
* The dual loss (Eqs 5 and 6) is D''s alone, and G lowers the term in which its own
  images stand. That is how ADAE (Vu et al., 2019) and BEGAN (Berthelot et al., 2017)
  play the game, and the paper calls D' a discriminator. Minimizing Eq 1 over all
  networks instead ("joint") pays G for images that D' cannot reconstruct;
  "zero_sum" weights G's term by k.
* Each batch trains D, then D', then G with the estimators, each at the newest
  parameters of the others.
* Reconstruction errors are sums over pixels, as the norms are written. With means the
  adversarial weight of 5 outweighs reconstruction a thousandfold.
* The encoder is stochastic while it trains, else the Kullback-Leibler term of Eqs 9 to
  11 means nothing; the mean of the latent is compared in Eq 4 and used in scores.
* The learning rate is 2e-4, not the initial 2e-3 of the text, whose schedule is not
  given. At 2e-3 training is unsteady: D' can tell G's images apart and give up on them,
  which `dual_ratio` shows.
* Both terms of mutual information are raised by encoder and estimators together. The
  text adds the local one with a sign that would destroy information.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.losses import (
    adversarial,
    dual_autoencoder,
    latent,
    mutual_information,
    reconstruction,
)
from ocjax.methods import base
from ocjax.modules import apply, axis, dcgan, noise
from ocjax.modules import mutual_information as estimators

DUAL = ("adversarial", "zero_sum", "joint")


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; the rows of the paper's ablation (Table 1) switch parts off.

    Single autoencoder: `dual`, `discriminate` and `information` False. With
    discriminator: `dual` and `information` False. Dual: `information` False.
    """

    latent: int = 32  # Length of the latent z; the paper is silent.
    features: int = 64  # Channels of the first convolution; the paper is silent.
    dual: bool = True  # Whether there is a second autoencoder D'.
    discriminate: bool = True  # Whether there is a discriminator D.
    # Whether there are estimators of information, and a stochastic encoder.
    information: bool = True
    w_irec: float = 1.0  # Weight of the image reconstruction, w_i of Eq 1.
    w_adv: float = 5.0  # Weight of the adversarial loss, w_a of Eq 1.
    w_zrec: float = 1.0  # Weight of the latent reconstruction, w_z of Eq 1.
    w_information: float = 0.05  # Weight of the information regularizer, w_e of Eq 1.
    w_dual: float = 1.0  # Weight of the dual loss, w_d of Eq 1.
    k: float = 0.4  # Weight of G's images in Eq 6.
    # Weight of the global estimator, beta of Eq 11, as in bojone/infomax.
    beta_global: float = 0.5
    # Weight of the local estimator, which has no letter, as in bojone/infomax.
    beta_local: float = 1.5
    # Weight of the Kullback-Leibler term, averaged over dimensions.
    gamma: float = 0.01
    # Part of G in the dual loss: "adversarial", "zero_sum" or "joint".
    dual_mode: str = "adversarial"
    # Generator's loss: "non_saturating", or "literal" as Eq 2 is written.
    adversarial: str = "non_saturating"
    # Latent distance: "euclidean" as Eq 4 is written, or "squared_error", a mean as in
    # GANomaly.
    zrec: str = "euclidean"
    reduction: str = "sum"  # Reduction of errors over pixels: "sum" or "mean".
    anchored: bool = False  # Whether z' is a constant to G, "the anchor" of z.
    # Units of the estimators' hidden layers, as in Deep InfoMax; the paper is silent.
    units: int = 512
    learning_rate: float = 2e-4  # Learning rate of Adam; the paper's first is 2e-3.
    b1: float = 0.5  # Decay of Adam's first moment, as in DCGAN; the paper is silent.
    b2: float = 0.999  # Decay of Adam's second moment.


def lrgdan(
    config: Config = Config(),
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds LR-GDAN for images `[B, S, S, C]` in `[-1, 1]`, `S = 32 * 2^n`.

    Args:
      config: hyper-parameters.
      dtype: type that networks compute in; what they learn and return is float32.

    Returns:
      The method; its networks are `encoder` and `decoder` (G), `auxiliary_encoder` and
      `auxiliary_decoder` (D'), `discriminator` (D), `global_estimator` and
      `local_estimator` (T), as far as the configuration has them.

    Raises:
      ValueError: an option of `config` is unknown.
    """
    _checks.one_of("hyper.adversarial", config.adversarial, adversarial.GENERATOR)
    _checks.one_of("hyper.dual_mode", config.dual_mode, DUAL)
    zrec = latent.DISTANCES[_checks.one_of("hyper.zrec", config.zrec, latent.DISTANCES)]
    shared: dict[str, Any] = {"features": config.features, "dtype": dtype}
    encoder = dcgan.StochasticEncoder(config.latent, **shared)
    auxiliary_encoder = dcgan.Encoder(config.latent, **shared)
    discriminator = dcgan.Encoder(1, **shared)
    global_estimator = estimators.GlobalEstimator(
        config.features, config.units, dtype=dtype
    )
    local_estimator = estimators.LocalEstimator(config.units, dtype=dtype)
    # Weight of ||G(x) - D'(G(x))|| in the loss of G.
    w_direc = {"adversarial": 1.0, "zero_sum": config.k, "joint": -config.k}

    def decoder(shape):
        return dcgan.Decoder(shape[-2], shape[-1], **shared)

    def error(x, x_hat):
        return reconstruction.l1(x, x_hat, config.reduction)

    def encode(params, stats, x, key):
        """Mean, log variance and sample of the latent, feature map, statistics."""
        (mean, log_variance, feature_map), new = apply.train(
            encoder, "encoder", params, stats, x
        )
        z = mean
        if config.information:
            epsilon = noise.normal(key, mean.shape)
            z = mean + jnp.exp(0.5 * log_variance) * epsilon
        return mean, log_variance, z, feature_map, new

    def generate(params, stats, x, key):
        """G(x), and the mean of its latent."""
        mean, _, z, _, _ = encode(params, stats, x, key)
        x_hat, _ = apply.train(decoder(x.shape), "decoder", params, stats, z)
        return x_hat, mean

    def auxiliary(params, stats, x):
        """D'(x), its latent, new statistics."""
        (z, _), encoded = apply.train(
            auxiliary_encoder, "auxiliary_encoder", params, stats, x
        )
        x_hat, decoded = apply.train(
            decoder(x.shape), "auxiliary_decoder", params, stats, z
        )
        return x_hat, z, {**encoded, **decoded}

    def discriminate(params, stats, x):
        (logits, _), new = apply.train(discriminator, "discriminator", params, stats, x)
        return logits[:, 0], new

    def discriminator_loss(params, stats, x, key):
        x_hat, _ = generate(params, stats, x, key)
        fake, _ = discriminate(params, stats, x_hat)
        real, new = discriminate(params, stats, x)
        return adversarial.discriminator(real, fake).mean(), base.Aux(new, {})

    def auxiliary_loss(params, stats, x, key):
        x_hat, mean = generate(params, stats, x, key)
        x_again, _, _ = auxiliary(params, stats, x)
        # Only D'(G(x)) is used in scores: its statistics are kept.
        x_hat_again, z_hat, new = auxiliary(params, stats, x_hat)
        girec, direc = error(x, x_again), error(x_hat, x_hat_again)
        dual = dual_autoencoder.auxiliary(girec, direc, config.k).mean()
        loss = config.w_dual * dual + config.w_zrec * zrec(mean, z_hat).mean()
        # Far above 1, D' tells G's images apart and gives up on them.
        ratio = direc / jnp.maximum(girec, 1e-6)
        metrics = {"dual": dual, "girec": girec.mean(), "dual_ratio": ratio.mean()}
        return loss, base.Aux(new, metrics)

    def information(params, stats, feature_map, z):
        """Losses of the global and the local estimator."""

        def estimate(module, name, feature_map, z):
            return apply.train(module, name, params, stats, feature_map, z)[0]

        other_z, other_map = axis.shift(z), axis.shift(feature_map)
        near, far = (
            estimate(global_estimator, "global_estimator", feature_map, latents)
            for latents in (z, other_z)
        )
        near_places, far_places = (
            estimate(local_estimator, "local_estimator", places, z)
            for places in (feature_map, other_map)
        )
        return (
            mutual_information.jensen_shannon(near, far).mean(),
            mutual_information.jensen_shannon(near_places, far_places).mean(),
        )

    def terms(params, stats, x, key):
        """Weighted terms of G's loss by name, new statistics, metrics."""
        mean, log_variance, z, feature_map, encoded = encode(params, stats, x, key)
        x_hat, decoded = apply.train(decoder(x.shape), "decoder", params, stats, z)
        irec = error(x, x_hat).mean()
        weighted = {"irec": config.w_irec * irec}
        metrics = {"irec": irec, "latent_norm": jnp.linalg.norm(mean, axis=-1).mean()}
        if config.discriminate:
            fake, _ = discriminate(params, stats, x_hat)
            adv = adversarial.GENERATOR[config.adversarial](fake).mean()
            weighted["adv"] = config.w_adv * adv
            metrics["adv"] = adv
        if config.dual:
            x_hat_again, z_hat, _ = auxiliary(params, stats, x_hat)
            anchor = jax.lax.stop_gradient(z_hat) if config.anchored else z_hat
            z_error = zrec(mean, anchor).mean()
            direc = error(x_hat, x_hat_again).mean()
            weighted["zrec"] = config.w_zrec * z_error
            weighted["direc"] = config.w_dual * w_direc[config.dual_mode] * direc
            metrics |= {"zrec": z_error, "direc": direc}
        if config.information:
            global_loss, local_loss = information(params, stats, feature_map, z)
            kl = latent.kl_standard_normal(mean, log_variance).mean() / config.latent
            weighted["information"] = config.w_information * (
                config.beta_global * global_loss
                + config.beta_local * local_loss
                + config.gamma * kl
            )
            # A loss of 2 log 2 means no information, a lower one means some.
            metrics |= {"global": global_loss, "local": local_loss, "kl": kl}
        return weighted, ({**encoded, **decoded}, metrics)

    def generator_loss(params, stats, x, key):
        weighted, (new, metrics) = terms(params, stats, x, key)
        return sum(weighted.values()), base.Aux(new, metrics)

    adam = optax.adam(config.learning_rate, b1=config.b1, b2=config.b2)
    generator = ["encoder", "decoder"]
    if config.information:
        generator += ["global_estimator", "local_estimator"]
    auxiliary_networks = ("auxiliary_encoder", "auxiliary_decoder")
    objectives = {}
    if config.discriminate:
        objectives["discriminator"] = base.Objective(
            discriminator_loss, ("discriminator",), adam
        )
    if config.dual:
        objectives["auxiliary"] = base.Objective(
            auxiliary_loss, auxiliary_networks, adam
        )
    objectives["generator"] = base.Objective(generator_loss, tuple(generator), adam)

    def init(key, images):
        count, size, _, _ = images.shape
        z = jnp.zeros((count, config.latent))
        places = jnp.zeros((count, size // 4, size // 4, 2 * config.features))
        modules = {
            "encoder": (encoder, images),
            "decoder": (decoder(images.shape), z),
            "auxiliary_encoder": (auxiliary_encoder, images),
            "auxiliary_decoder": (decoder(images.shape), z),
            "discriminator": (discriminator, images),
            "global_estimator": (global_estimator, places, z),
            "local_estimator": (local_estimator, places, z),
        }
        return base.init_state(key, modules, objectives)

    def step(state, images, key):
        return base.alternate(objectives, state, images, key)

    embed, decode, generated = base.autoencoding(encoder, decoder)
    *_, reconstructed_again = base.autoencoding(
        auxiliary_encoder, decoder, auxiliary_networks
    )

    def reconstruct(state, x):
        x_hat = generated(state, x)
        return reconstructed_again(state, x_hat) if config.dual else x_hat

    def score(state, x):
        return reconstruction.l1(x, reconstruct(state, x), "sum")

    def diagnose(state, x, key):
        """Norms of the encoder's gradients by each weighted term."""

        def weighted_terms(encoder_params):
            params = {**state.params, "encoder": encoder_params}
            return terms(params, state.stats, x, key)[0]

        weighted, pull_back = jax.vjp(weighted_terms, state.params["encoder"])
        unit_vectors = jnp.eye(len(weighted))
        gradients = jax.vmap(pull_back)(dict(zip(weighted, unit_vectors, strict=True)))
        squares = [
            jnp.square(leaf).reshape(len(weighted), -1).sum(axis=1)
            for leaf in jax.tree.leaves(gradients)
        ]
        norms = jnp.sqrt(sum(squares))
        names = [f"gradient_{name}" for name in weighted]
        return dict(zip(names, norms, strict=True))

    return base.Method(
        init=init,
        stages=(base.Stage(step),),
        score=score,
        objectives=objectives,
        reconstruct=reconstruct,
        embed=embed,
        views=base.Views(
            images={"G(x)": generated} if config.dual else {}, decode=decode
        ),
        diagnose=diagnose,
    )
