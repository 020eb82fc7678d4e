"""Data splitting (Schlachter et al., 2019), https://arxiv.org/abs/1902.01194.

An autoencoder divides the normal images: those it reconstructs worst are atypical and
stand in for anomalies. A classifier learns to tell the two apart, while two constraints
on a learned distance draw typical images together and atypical images apart.

Sizes, optimizers and learning rates that the paper leaves out are those of the authors'
code (patrickschlachter/deep-occ-using-ics), which is of a later version of the paper.
Departs from it: the step follows the paper's order, closeness, intra-class, dispersion,
where the code takes closeness and dispersion together three times and then the
classifier; batches of the constraints hold one kind of image, so only the classifier's
mixed ones update BatchNorm statistics; the last epoch counts, rather than the one with
the best AUC on labelled test images. As in the code, both constraints share an Adam.

A batch of N images has N / 4 pairs for each constraint. The paper's mini-batches of 64
and the code compare 64: so batches have 256 images, as the code's 800 steps do.

The autoencoder that divides the images is the paper's: AlexNet's convolutions, one more
in place of the dense layers, and a symmetric decoder ("authors" is the code's). Its
latent is ours, of 32 numbers. The division is to find what a model of the class cannot
draw; with the 512 numbers of the code almost everything can be drawn, and what is left
is how many strokes or how much texture an image has. The authors, too, advise a weak
one on MNIST, of fewer than 25 epochs (patrickschlachter/osr-using-ics, issue 1, of a
related method). That 32 components lead to more than 512 numbers on eights was seen on
test labels.

The paper divides by SSIM on all its data, and calls it an example. By its own table
SSIM tells little of photographs. The other measures are ours: the squared error, and
the Mahalanobis distance of a latent from those of the training images.

SSIM is by default as the authors' code calls it, as that made their numbers: for a
range of 2, though images are in [0, 1], and with the sample covariance.

The distance as published, sigmoid(s + b) with s = w . (z_i - z_j), is kept as
`distance="signed"` but is not the default. Pairs come in both orders, so each
constraint is an average over s and -s: convex, even, and least at s = 0 whatever b. So
dispersion, too, draws images together, and the best that both can do is a distance of
1/2 for all pairs.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.losses import reconstruction
from ocjax.losses import splitting as losses
from ocjax.methods import _moments, base
from ocjax.modules import alexnet, apply, splitting

SPLITTERS = {
    "alexnet": alexnet.AlexNetAutoencoder,
    "authors": splitting.SplittingAutoencoder,
}
BACKBONES = {"alexnet": alexnet.AlexNet, "authors": splitting.Backbone}
DECAYED = {"convolutions": ("Conv",), "kernels": ("Conv", "Dense")}  # Prefixes.
CONSTRAINTS = ("closeness", "dispersion")
DIVISIONS = ("ssim", "squared_error", "mahalanobis")
# Share of the largest variance, below which a direction of latents is taken for one
# without any.
ROUNDING = 1e-6
SSIM = {
    "standard": {},
    "authors": {"data_range": 2.0, "sample_covariance": True},
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; where the paper is silent, those of the authors' code."""

    rho: float = 0.1  # Fraction of the images that are called atypical, the paper's.
    # Whether images are split; if not all are typical, the paper's NaiveNN.
    splitting: bool = True
    # Whether closeness and dispersion are constrained; if not, the paper's NNwDS.
    constraints: bool = True
    # Learned distance of two latents: "abs", "square", or "signed" as in the paper,
    # which is degenerate.
    distance: str = "abs"
    # Network of the classifier: "alexnet" as in the paper, or "authors" as in the code.
    backbone: str = "alexnet"
    latent: int = 128  # Length of the latent z, the code's.
    # Autoencoder that splits the images: "alexnet" as in the paper, or "authors" as in
    # the code.
    splitter: str = "alexnet"
    # Numbers in the splitting autoencoder's latent of an image of 32x32; the paper is
    # silent, the code has 512.
    splitting_latent: int = 32
    width: float = 1.0  # Factor on the channels of all networks, not on latents.
    # What tells atypical images: the lowest "ssim" of image and reconstruction, as in
    # the paper; the largest "squared_error" of the two; or the largest "mahalanobis"
    # distance of the splitting autoencoder's latent.
    divide_by: str = "ssim"
    # Constants and covariance of SSIM: "authors" as the code's call means, or
    # "standard" for images in [0, 1].
    ssim: str = "authors"
    splitting_epochs: int = 50  # Epochs of the splitting autoencoder, the code's.
    # Learning rate of the splitting autoencoder's RMSprop, the code's.
    splitting_learning_rate: float = 1e-3
    # Factor of the splitting autoencoder's L2 penalty, the code's.
    splitting_weight_decay: float = 1e-5
    learning_rate: float = 3e-4  # Learning rate of Adam, the code's.
    b1: float = 0.5  # Decay of Adam's first moment, the code's.
    # Factor of the L2 penalty: 1e-6 in the paper, 1e-3 in the code.
    weight_decay: float = 1e-6
    # Parameters under the L2 penalty: "convolutions" as in the paper, or "kernels" as
    # in the code.
    decayed: str = "convolutions"


def ics(
    config: Config = Config(),
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds data splitting for images `[B, S, S, C]` in `[-1, 1]`, `S = 32 * 2^n`.

    Batches, or their parts on each device, are multiples of 4 (of 2 without
    constraints), except without splitting.

    Args:
      config: hyper-parameters.
      dtype: type that networks compute in; what they learn and return is float32.

    Returns:
      The method; its networks are `backbone` and `classifier`, with splitting the
      autoencoder `splitter`, and with constraints `distance`. With "mahalanobis" a
      pass computes `division`: the mean of latents [D], and F [D, D] with F F^T the
      inverse of their covariance. The score is the logit of the probability to be
      atypical: in the same order, but never so close to 1 that it is rounded to it.

    Raises:
      ValueError: an option of `config` is unknown or out of range.
    """
    _check(config)
    constrained = config.splitting and config.constraints
    computed = config.splitting and config.divide_by == "mahalanobis"
    parts = 4 if constrained else 2 if config.splitting else 1  # Of a batch.
    splitter = SPLITTERS[config.splitter](
        config.splitting_latent, config.width, dtype=dtype
    )
    backbone = BACKBONES[config.backbone](config.latent, config.width, dtype=dtype)
    classifier = splitting.Classifier()
    distance = splitting.Distance(config.distance)

    def splitting_loss(params, stats, x, key):
        del key
        x = _to_unit(x)
        (x_hat, _), new = apply.train(splitter, "splitter", params, stats, x)
        return reconstruction.squared_error(x, x_hat).mean(), base.Aux(new, {})

    def compare(params, stats, x, key):
        """Distance logits of images 0 and 1, 2 and 3, and so on."""
        z, _ = apply.train(backbone, "backbone", params, stats, _to_unit(x), key=key)
        pairs = z[0::2], z[1::2]
        return apply.train(distance, "distance", params, stats, *pairs)[0]

    def closeness_loss(params, stats, x, key):
        logits = compare(params, stats, x[0::2], key)
        metrics = {"typical_distance": jax.nn.sigmoid(logits).mean()}
        return losses.closeness(logits).mean(), base.Aux({}, metrics)

    def dispersion_loss(params, stats, x, key):
        logits = compare(params, stats, x[1::2], key)
        metrics = {"atypical_distance": jax.nn.sigmoid(logits).mean()}
        return losses.dispersion(logits).mean(), base.Aux({}, metrics)

    def intra_class_loss(params, stats, x, key):
        z, new = apply.train(backbone, "backbone", params, stats, _to_unit(x), key=key)
        # Both networks would draw the same dropout from the same key.
        key = jax.random.fold_in(key, 1)
        logits, _ = apply.train(classifier, "classifier", params, stats, z, key=key)
        atypical = jnp.arange(len(x)) % 2 == 1 if config.splitting else False
        atypical = jnp.broadcast_to(atypical, logits.shape)
        return losses.intra_class(logits, atypical).mean(), base.Aux(new, {})

    def adam():
        return optax.chain(
            _l2(config.weight_decay, DECAYED[config.decayed]),
            optax.adam(config.learning_rate, b1=config.b1, eps=1e-7),
        )

    rmsprop = optax.chain(
        _l2(config.splitting_weight_decay, DECAYED["convolutions"]),
        # Keras adds eps to the root, not to the mean square.
        optax.rmsprop(
            config.splitting_learning_rate, decay=0.9, eps=1e-7, eps_in_sqrt=False
        ),
    )
    classifying = {
        "intra_class": base.Objective(
            intra_class_loss, ("backbone", "classifier"), adam()
        )
    }
    if constrained:
        networks = "backbone", "distance"
        classifying = {
            "closeness": base.Objective(closeness_loss, networks, adam()),
            **classifying,
            "dispersion": base.Objective(dispersion_loss, networks, adam()),
        }
    dividing = {"splitting": base.Objective(splitting_loss, ("splitter",), rmsprop)}
    objectives = {**dividing, **classifying} if config.splitting else classifying

    def init(key, images):
        z = jnp.zeros((len(images), config.latent))
        modules = {
            "backbone": (backbone, images),
            "classifier": (classifier, z),
            "splitter": (splitter, images),
            "distance": (distance, z, z),
        }
        state = base.init_state(key, modules, objectives)
        if not computed:
            return state
        length = jax.eval_shape(latents, state, images).shape[1]
        division = {"mean": jnp.zeros(length), "factor": jnp.zeros((length, length))}
        return state._replace(
            params={**state.params, "division": division},
            stats={**state.stats, "division": {}},
        )

    def split(state, images, key):
        _check_batch(len(images), parts)
        return base.alternate(dividing, state, images, key)

    def classify(state, images, key):
        _check_batch(len(images), parts)
        metrics = {}
        for i, (name, objective) in enumerate(classifying.items()):
            # Each objective sees other images, and so drops other units.
            objective_key = jax.random.fold_in(key, i)
            state, terms = base.descend(name, objective, state, images, objective_key)
            state = state._replace(opt=_share(name, state.opt))
            metrics |= terms
        return state._replace(step=state.step + 1), metrics

    def embed(state, x):
        x = _to_unit(x)
        return apply.infer(backbone, "backbone", state.params, state.stats, x)

    def score(state, x):
        z = embed(state, x)
        return apply.infer(classifier, "classifier", state.params, state.stats, z)

    def error(state, x):
        logits = score(state, x)
        return losses.intra_class(logits, jnp.zeros_like(logits))  # As typical ones.

    def measure_distance(state, x, others):
        z = embed(state, x), embed(state, others)
        logits = apply.infer(distance, "distance", state.params, state.stats, *z)
        return jax.nn.sigmoid(logits)

    def autoencode(state, x):
        """Reconstruction in [0, 1], and latent, of the splitting autoencoder."""
        return apply.infer(splitter, "splitter", state.params, state.stats, _to_unit(x))

    def reconstruct(state, x):
        return 2.0 * autoencode(state, x)[0] - 1.0

    def ssim(state, x):
        x_hat, _ = autoencode(state, x)
        return reconstruction.ssim(_to_unit(x), x_hat, **SSIM[config.ssim])

    def squared_error(state, x):
        x_hat, _ = autoencode(state, x)
        return reconstruction.squared_error(_to_unit(x), x_hat)

    def latents(state, x):
        return autoencode(state, x)[1]

    def mahalanobis(state, x):
        division = state.params["division"]
        centred = latents(state, x) - division["mean"][None]
        scaled = jnp.matmul(centred, division["factor"], precision="highest")
        return jnp.square(scaled).sum(axis=1)

    atypicality = {
        "ssim": lambda state, x: -ssim(state, x),
        "squared_error": squared_error,
        "mahalanobis": mahalanobis,
    }

    def divide(grades):
        return _divide(grades, config.rho, config.divide_by)

    def start(state, shape, count):
        del count
        image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        return _moments.zeros(jax.eval_shape(latents, state, image).shape[1:])

    def add(state, sums, x, numbers):
        return _moments.added(sums, latents(state, x), numbers >= 0)

    def finish(state, sums):
        return state._replace(params={**state.params, "division": _whitening(sums)})

    whiten = base.Pass(("division",), start, add, finish)
    if not config.splitting:
        stages = (base.Stage(classify),)
        return base.Method(init, stages, score, objectives, embed=embed, error=error)
    stages = (
        base.Stage(split, epochs=config.splitting_epochs),
        *([base.Stage(computed=whiten)] if computed else []),
        base.Stage(classify, grade=atypicality[config.divide_by], divide=divide),
    )
    # The score is the classifier's: reconstructions are pictures of the first stage.
    measures = {"SSIM": ssim}
    if computed:
        measures["Mahalanobis distance"] = mahalanobis
    views = base.Views(
        images={"reconstruction": reconstruct},
        measures=measures,
        distance=measure_distance if constrained else None,
    )
    return base.Method(
        init, stages, score, objectives, embed=embed, error=error, views=views
    )


def _share(name: str, opt: Mapping[str, optax.OptState]) -> Mapping[str, Any]:
    """Lets both constraints continue from the optimizer state that one of them left.

    A gradient of the distance has one sign in closeness and the other in dispersion. An
    Adam each would give both the same length: they cancel, and nothing is learned.
    """
    if name not in CONSTRAINTS:
        return opt
    return {**opt, **dict.fromkeys(CONSTRAINTS, opt[name])}


def _divide(grades: np.ndarray, rho: float, name: str) -> base.Groups:
    """The fraction `rho` of highest grades, and the others.

    As many as are at least the quantile, which the authors' code compares with; but
    where grades are equal, both groups still have members.
    """
    atypical = int(rho * (len(grades) - 1)) + 1
    order = np.argsort(-grades, kind="stable")
    members = {
        "typical": np.sort(order[atypical:]),
        "atypical": np.sort(order[:atypical]),
    }
    return base.Groups(members, {name: -grades if name == "ssim" else grades})


def _whitening(sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The mean m of vectors, and F with F F^T the inverse C^-1 of their covariance.

    Directions without variance are left out of both C and its inverse.
    """
    covariance = np.asarray(sums["products"], np.float64) / max(sums["count"] - 1, 1)
    values, vectors = np.linalg.eigh(covariance)
    factor = _moments.inverse_root(values, vectors, ROUNDING * values.max())
    return {"mean": sums["mean"], "factor": factor.astype(sums["mean"].dtype)}


def _to_unit(images: jax.Array) -> jax.Array:
    """Maps images in [-1, 1] to the [0, 1] of these networks, and of SSIM."""
    return 0.5 * (images + 1.0)


def _l2(factor: float, layers: tuple[str, ...]) -> optax.GradientTransformation:
    """Adds the gradient of Keras's penalty, `factor * sum(kernel^2)`."""

    def is_decayed(path, _):
        *_, layer, leaf = [entry.key for entry in path]
        return leaf == "kernel" and layer.startswith(layers)

    def mask(params):
        return jax.tree_util.tree_map_with_path(is_decayed, params)

    return optax.add_decayed_weights(2.0 * factor, mask)


def _check(config: Config) -> None:
    """Raises `InputError` unless the configuration can be built."""
    _checks.one_of("hyper.backbone", config.backbone, BACKBONES)
    _checks.one_of("hyper.splitter", config.splitter, SPLITTERS)
    _checks.one_of("hyper.distance", config.distance, splitting.DISTANCES)
    _checks.one_of("hyper.divide_by", config.divide_by, DIVISIONS)
    _checks.one_of("hyper.ssim", config.ssim, SSIM)
    _checks.one_of("hyper.decayed", config.decayed, DECAYED)
    if not 0 < config.rho < 1:
        raise _checks.InputError(
            f"`hyper.rho` (={config.rho}) must be between 0 and 1, both excluded."
        )
    if config.splitter == "authors" and config.splitting_latent % 4:
        raise _checks.InputError(
            f"`hyper.splitting_latent` (={config.splitting_latent}) must be a multiple "
            "of 4 with hyper.splitter=authors, whose latents have 2x2 places."
        )
    if config.splitting_epochs < 1:
        raise _checks.InputError(
            f"`hyper.splitting_epochs` (={config.splitting_epochs}) must be at least 1."
        )


def _check_batch(size: int, parts: int) -> None:
    """Raises `InputError` unless a batch can be made of equal parts.

    The first stage checks for the second, which needs it, so that errors come early.
    """
    if size % parts:
        raise _checks.InputError(
            f"The batch of a device (={size}) must be a multiple of {parts}, for as "
            f"many typical as atypical images{', in pairs' if parts == 4 else ''}."
        )
