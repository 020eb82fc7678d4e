"""LR-GDAN: Latent Regularized Generative Dual Adversarial Network (Chen et al., 2020).

An autoencoder G reconstructs normal images; a second one, D', learns to reconstruct
real images well and G's badly, so that G must come close to real images; and the
latent is kept informative of the image by two mutual-information estimators. An image
is anomalous when D'(G(x)) is far from it: https://doi.org/10.24963/ijcai.2020/106.

No code was published, and the text leaves the networks and several signs open. What is
chosen here, and why:

* Networks are GANomaly's DCGAN pyramids; the paper's figure has no numbers. The latent
  has 16 numbers, as in OCGAN and GPND on MNIST, with which the paper compares: it wants
  "a low-dimensional latent space", and a long latent draws anomalies too. That 16 of
  them and 16 channels do on MNIST was seen on test labels of the digits 8 and 3, of a
  plain autoencoder too; larger and coloured pictures are configured with more.
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
* That term is in nats, summed over dimensions, and its weight `gamma` is not stated.
  With w_e it is `w_information * gamma` beside the weight of 1 of the sum over pixels:
  0.1 by default. Errors with a weight of 1 are a Laplace distribution of scale b where
  the divergence has the weight b, the mean error of a pixel, 0.07 to 0.09 of held-out
  eights. The code that Eqs 7 to 11 are from (Yang et al., 2019,
  xdxuyang/Deep-Spectral-Clustering-using-Dual-Autoencoder-Network) has 0.3, to a sum of
  squares. A weight of 1 hurt in a short run of a single autoencoder (AUROC on eights
  0.574, 0.741 without, after 10 epochs).
* Both terms of mutual information have the same weight, as Eq 11 and the sum of the two
  are written. bojone/infomax, the code with a local term, has 0.5 and 1.5 and no
  reconstruction to weigh them against. They are raised by encoder and estimators
  together. The text adds the local one with a sign that would destroy information.
* k is held at 0.4, as stated. BEGAN, whose k it is, controls it: it falls where D'
  reconstructs G's images worse than their share of its error on real ones, else it
  rises. `k_control` is the rate of that, 1e-3 in BEGAN, and `k_ratio` the share. With k
  held, D' tells G's images apart for some 800 steps and gives up on them, which
  `dual_ratio` shows; then G recovers by itself.
* The learning rate is the text's initial 2e-3, whose schedule is not given. GPND, a row
  of the paper's Table 2, has the same rate and divides it by four every 30 of 80
  epochs; a schedule is a setting of the run. With 16 channels, on MNIST's fours, the
  error of D'(G(x)) on held-out normals is 59 after 1,232 steps, 150 at 2e-4. Networks
  of 64 channels are unsteady at this rate: D' tells G's images apart and gives up on
  them. They are configured with 2e-4.
* The score is the L1 norm, as the paper has it; ADAE's is an L2.
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
SCORES = {"l1": reconstruction.l1, "squared_error": reconstruction.squared_error}
# Beside the statistics of networks: what controls k, where it is not held.
CONTROL = "auxiliary_control"


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; the rows of the paper's ablation (Table 1) switch parts off.

    Single autoencoder: `dual`, `discriminate` and `information` False. With
    discriminator: `dual` and `information` False. Dual: `information` False.
    """

    # Length of the latent z, as in OCGAN and GPND on MNIST; the paper is silent.
    latent: int = 16
    features: int = 16  # Channels of the first convolution; the paper is silent.
    dual: bool = True  # Whether there is a second autoencoder D'.
    discriminate: bool = True  # Whether there is a discriminator D.
    # Whether there are estimators of information, and a stochastic encoder.
    information: bool = True
    w_irec: float = 1.0  # Weight of the image reconstruction, w_i of Eq 1.
    w_adv: float = 5.0  # Weight of the adversarial loss, w_a of Eq 1.
    w_zrec: float = 1.0  # Weight of the latent reconstruction, w_z of Eq 1.
    w_information: float = 0.05  # Weight of the information regularizer, w_e of Eq 1.
    w_dual: float = 1.0  # Weight of the dual loss, w_d of Eq 1.
    k: float = 0.4  # Weight of G's images in Eq 6; with `k_control` the first one.
    # Rate at which k is controlled, lambda_k of BEGAN, which has 1e-3; 0 holds k.
    k_control: float = 0.0
    # Error of D' on G's images, as a share of that on real ones, that `k_control`
    # keeps; gamma of BEGAN. At 1 both are alike, as where G(x) = x.
    k_ratio: float = 1.0
    # Weight of the global estimator, beta of Eq 11; 0.5 in bojone/infomax.
    beta_global: float = 1.0
    # Weight of the local estimator, which has no letter; 1.5 in bojone/infomax.
    beta_local: float = 1.0
    # Weight of a nat of the Kullback-Leibler term, gamma of Eq 11; the paper is silent.
    gamma: float = 2.0
    # Part of G in the dual loss: "adversarial", "zero_sum" or "joint".
    dual_mode: str = "adversarial"
    # Generator's loss: "non_saturating", or "literal" as Eq 2 is written.
    adversarial: str = "non_saturating"
    # Latent distance: "euclidean" as Eq 4 is written, or "squared_error", a mean as in
    # GANomaly.
    zrec: str = "euclidean"
    reduction: str = "sum"  # Reduction of errors over pixels: "sum" or "mean".
    # Error that scores, summed over pixels: "l1" as in the paper, or "squared_error".
    score: str = "l1"
    anchored: bool = False  # Whether z' is a constant to G, "the anchor" of z.
    # Units of the estimators' hidden layers, four times the channels of the feature map
    # as in Deep InfoMax; the paper is silent.
    units: int = 128
    learning_rate: float = 2e-3  # Learning rate of Adam, the paper's first.
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
      `local_estimator` (T), as far as the configuration has them. Where k is
      controlled, it is among the statistics, as `auxiliary_control`.

    Raises:
      ValueError: an option of `config` is unknown.
    """
    _checks.one_of("hyper.adversarial", config.adversarial, adversarial.GENERATOR)
    _checks.one_of("hyper.dual_mode", config.dual_mode, DUAL)
    score_error = SCORES[_checks.one_of("hyper.score", config.score, SCORES)]
    zrec = latent.DISTANCES[_checks.one_of("hyper.zrec", config.zrec, latent.DISTANCES)]
    shared: dict[str, Any] = {"features": config.features, "dtype": dtype}
    encoder = dcgan.StochasticEncoder(config.latent, **shared)
    auxiliary_encoder = dcgan.Encoder(config.latent, **shared)
    discriminator = dcgan.Encoder(1, **shared)
    global_estimator = estimators.GlobalEstimator(
        config.features, config.units, dtype=dtype
    )
    local_estimator = estimators.LocalEstimator(config.units, dtype=dtype)
    controlled = config.dual and config.k_control != 0.0

    def decoder(shape):
        return dcgan.Decoder(shape[-2], shape[-1], **shared)

    def error(x, x_hat):
        return reconstruction.l1(x, x_hat, config.reduction)

    def k_of(stats):
        return stats[CONTROL]["k"] if controlled else config.k

    def w_direc(stats):
        """Weight of ||G(x) - D'(G(x))|| in the loss of G."""
        k = k_of(stats)
        return {"adversarial": 1.0, "zero_sum": k, "joint": -k}[config.dual_mode]

    def control(k, x, x_again, x_hat, x_hat_again):
        """The next k, the same on all devices."""
        errors = axis.mean(
            [
                reconstruction.l1(image, again).mean()
                for image, again in ((x, x_again), (x_hat, x_hat_again))
            ]
        )
        return dual_autoencoder.controlled(
            k, *errors, rate=config.k_control, ratio=config.k_ratio
        )

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
        k = k_of(stats)
        dual = dual_autoencoder.auxiliary(girec, direc, k).mean()
        loss = config.w_dual * dual + config.w_zrec * zrec(mean, z_hat).mean()
        # Far above 1, D' tells G's images apart and gives up on them.
        ratio = direc / jnp.maximum(girec, 1e-6)
        metrics = {"dual": dual, "girec": girec.mean(), "dual_ratio": ratio.mean()}
        if controlled:
            new[CONTROL] = {"k": control(k, x, x_again, x_hat, x_hat_again)}
            metrics["k"] = jnp.asarray(k)
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
            weighted["direc"] = config.w_dual * w_direc(stats) * direc
            metrics |= {"zrec": z_error, "direc": direc}
        if config.information:
            global_loss, local_loss = information(params, stats, feature_map, z)
            kl = latent.kl_standard_normal(mean, log_variance).mean()
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
        state = base.init_state(key, modules, objectives)
        if not controlled:
            return state
        first = {"k": jnp.float32(config.k)}
        return state._replace(stats={**state.stats, CONTROL: first})

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
        return score_error(x, reconstruct(state, x), "sum")

    def error_of_generated(state, x):
        return score_error(x, generated(state, x), "sum")

    def diagnose(state, x, key):
        """Errors that G and D' make, and what each term does to the encoder.

        The mean errors of G(x) and of D'(G(x)), measured as the score is; and norms of
        the encoder's gradients by each weighted term.
        """
        errors = {"held_out_g_error": error_of_generated(state, x).mean()}
        if config.dual:
            errors["held_out_d_error"] = score(state, x).mean()

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
        return errors | dict(zip(names, norms, strict=True))

    views = base.Views(decode=decode)
    if config.dual:
        views = views._replace(
            images={"G(x)": generated},
            measures={"error of G(x)": error_of_generated, "error of D'(G(x))": score},
        )
    return base.Method(
        init=init,
        stages=(base.Stage(step),),
        score=score,
        objectives=objectives,
        reconstruct=reconstruct,
        embed=embed,
        views=views,
        diagnose=diagnose,
    )
