"""The Boundary Attack: along the boundary towards the image, by decisions alone."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ocjax._checks import InputError
from ocjax.attacks.result import Attacked, Logits, attacked, check

DIRECTIONS = 1000  # Noise images that are tried as a start.
BLENDS = 50  # Steps of the line between image and noise.
EVERY = 10  # Steps between looks at how often proposals are adversarial.
ORTHOGONAL, TOWARDS = 100, 30  # Looks over which the rate of each step is taken.


class _Rate(NamedTuple):
    """Rate of adversarial proposals over the last looks, for each image."""

    hits: jax.Array  # bool [B, looks], a ring.
    seen: jax.Array  # int32 [B], looks since it was cleared.

    def add(self, hit: jax.Array) -> "_Rate":
        looks = self.hits.shape[1]
        place = jax.nn.one_hot(self.seen % looks, looks, dtype=bool)
        return _Rate(jnp.where(place, hit[:, None], self.hits), self.seen + 1)

    def where(self, low: float, high: float) -> tuple[jax.Array, jax.Array]:
        """Whether the rate of a full ring is above `high`, and below `low`."""
        full, rate = self.seen >= self.hits.shape[1], self.hits.mean(1)
        return full & (rate > high), full & (rate < low)

    def cleared(self, images: jax.Array) -> "_Rate":
        """Forgets the looks at images, of which `images` is a mask, bool [B]."""
        return self._replace(seen=jnp.where(images, 0, self.seen))


class _Search(NamedTuple):
    """State of the search."""

    step: jax.Array  # Number of proposals so far.
    best: jax.Array  # Nearest adversarial images so far, [B, D].
    orthogonal: jax.Array  # Relative lengths of orthogonal steps, [B].
    towards: jax.Array  # Relative lengths of steps towards the original, [B].
    orthogonal_rate: _Rate
    towards_rate: _Rate


class _Settings(NamedTuple):
    """Numbers that the search depends on, as `boundary` explains them."""

    steps: int
    orthogonal_step: float
    towards_step: float
    converged_step: float
    adaptation: float


def boundary(
    logits: Logits,
    images: ArrayLike,
    labels: ArrayLike,
    key: jax.Array,
    *,
    steps: int = 25_000,
    orthogonal_step: float = 1e-2,
    towards_step: float = 1e-2,
    converged_step: float = 1e-7,
    adaptation: float = 1.5,
) -> Attacked:
    """Walks from a misclassified noise image towards the original, never back inside.

    A proposal is a random step orthogonal to the direction of the original and then a
    step towards it; it is taken if it is misclassified and nearer. Lengths of both
    steps follow how often proposals are misclassified.

    Args:
      logits: function of the classifier, images `[B, H, W, C]` -> `[B, classes]`, of
        which only the largest is looked at; compiled once for each such function.
      images: floats in [0, 1].
      labels: true classes, int `[B]`.
      key: randomness; an image's depends on its place in the batch, not on the others.
      steps: largest number of proposals.
      orthogonal_step: first length of an orthogonal step, relative to the distance.
      towards_step: first length of a step towards the original, relative likewise.
      converged_step: length of the step towards the original that ends the search.
      adaptation: factor by which lengths change.

    Returns:
      `Attacked`; where no start was found an image stays as it is, without success.

    Raises:
      InputError: an argument is out of its range.

    References:
      Brendel et al., [Decision-based adversarial
      attacks](https://arxiv.org/abs/1712.04248), 2018.
    """
    images, labels = check(images, labels)
    lengths = {"orthogonal_step": orthogonal_step, "towards_step": towards_step}
    for name, value in {"steps": steps, **lengths}.items():
        if value <= 0:
            raise InputError(f"`{name}` (={value}) must be positive.")
    if adaptation <= 1:
        raise InputError(f"`adaptation` (={adaptation}) must be above 1.")
    settings = _Settings(
        steps=steps,
        orthogonal_step=orthogonal_step,
        towards_step=towards_step,
        converged_step=converged_step,
        adaptation=adaptation,
    )
    return _boundary(logits, images, labels, key, settings)


@functools.partial(jax.jit, static_argnames="logits")
def _boundary(logits, images, labels, key, settings: _Settings):
    fooled = lambda x: logits(x.reshape(images.shape)).argmax(-1) != labels
    original = images.reshape(len(images), -1)
    start_keys, walk_keys = (
        jax.vmap(functools.partial(jax.random.fold_in, half))(jnp.arange(len(images)))
        for half in jax.random.split(key)
    )
    start, has_start = _start(fooled, original, start_keys)

    def rate(looks):
        hits = jnp.zeros((len(images), looks), bool)
        return _Rate(hits, jnp.zeros(len(images), jnp.int32))

    def unfinished(search):
        return has_start & (search.towards >= settings.converged_step)

    def goes_on(search):
        return (search.step < settings.steps) & unfinished(search).any()

    def walk(search):
        """Takes the steps until rates are looked at, the last of them with a look."""
        propose = functools.partial(_propose, original, walk_keys)

        def accept(search, candidate, hit):
            distance = jnp.linalg.norm(original - search.best, axis=-1)
            nearer = jnp.linalg.norm(original - candidate, axis=-1) < distance
            accepted = (unfinished(search) & hit & nearer)[:, None]
            best = jnp.where(accepted, candidate, search.best)
            return search._replace(step=search.step + 1, best=best)

        def plain(_, search):
            candidate, _ = propose(search)
            return accept(search, candidate, fooled(candidate))

        last = jnp.minimum(settings.steps - search.step, EVERY)
        search = jax.lax.fori_loop(0, last - 1, plain, search)
        candidate, aside = propose(search)
        hit = fooled(candidate)
        return _adapt(
            accept(search, candidate, hit), fooled(aside), hit, settings.adaptation
        )

    lengths = jnp.ones(len(images))
    search = _Search(
        step=jnp.int32(0),
        best=start,
        orthogonal=settings.orthogonal_step * lengths,
        towards=settings.towards_step * lengths,
        orthogonal_rate=rate(ORTHOGONAL),
        towards_rate=rate(TOWARDS),
    )
    best = jax.lax.while_loop(goes_on, walk, search).best
    best = jnp.where(has_start[:, None], best, original)
    return attacked(logits, images, best.reshape(images.shape), labels)


def _start(fooled, original, keys) -> tuple[jax.Array, jax.Array]:
    """Misclassified blends with noise `[B, D]`, and whether there is one, `[B]`."""

    def draw(carry):
        number, noise, fools = carry
        draw_keys = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
        uniform = jax.vmap(lambda key: jax.random.uniform(key, original.shape[1:]))
        candidate = uniform(draw_keys)
        noise = jnp.where(fools[:, None], noise, candidate)
        return number + 1, noise, fools | fooled(candidate)

    goes_on = lambda carry: (carry[0] < DIRECTIONS) & ~carry[2].all()
    first = 0, original, jnp.zeros(len(original), bool)
    _, noise, fools = jax.lax.while_loop(goes_on, draw, first)

    def blend(i, share):
        """Lowers the share of noise where an image of less is misclassified."""
        less = (BLENDS - i) / BLENDS
        hit = fooled((1 - less) * original + less * noise)
        return jnp.where(hit, less, share)

    share = jnp.ones(len(original))
    share = jax.lax.fori_loop(0, BLENDS + 1, blend, share)[:, None]
    return jnp.clip((1 - share) * original + share * noise, 0.0, 1.0), fools


def _propose(original, keys, search: _Search) -> tuple[jax.Array, jax.Array]:
    """Images a step aside and towards the original, and a step aside alone, [B, D]."""
    away = original - search.best
    distance = jnp.linalg.norm(away, axis=-1, keepdims=True)
    direction = away / jnp.maximum(distance, 1e-12)
    step_keys = jax.vmap(lambda key: jax.random.fold_in(key, search.step))(keys)
    side = jax.vmap(lambda key: jax.random.normal(key, original.shape[1:]))(step_keys)
    side = side - jnp.sum(side * direction, axis=-1, keepdims=True) * direction
    length = search.orthogonal[:, None]
    side = side * length * distance / jnp.linalg.norm(side, axis=-1, keepdims=True)
    # Pythagoras leads back to the sphere around the original.
    aside = original + (side - away) / jnp.sqrt(jnp.square(length) + 1)
    aside = jnp.clip(aside, 0.0, 1.0)
    rest = original - aside
    rest_distance = jnp.linalg.norm(rest, axis=-1, keepdims=True)
    # Clipping may have come nearer already.
    go = search.towards[:, None] * distance + rest_distance - distance
    go = jnp.maximum(go, 0.0) / jnp.maximum(rest_distance, 1e-12)
    return jnp.clip(aside + go * rest, 0.0, 1.0), aside


def _adapt(search: _Search, aside_hit, hit, factor) -> _Search:
    """Lengthens steps where proposals are often adversarial, shortens where rarely."""
    aside, both = search.orthogonal_rate.add(aside_hit), search.towards_rate.add(hit)
    change = lambda often, rarely: (
        jnp.where(often, factor, 1.0) / jnp.where(rarely, factor, 1.0)
    )
    # Half of the steps aside stay outside where the boundary looks straight.
    often, rarely = aside.where(0.2, 0.5)
    orthogonal = search.orthogonal * change(often, rarely)
    towards = search.towards * change(often, rarely)
    aside = aside.cleared(often | rarely)
    often, rarely = both.where(0.1, 0.25)
    towards = towards * change(often, rarely)
    both = both.cleared(often | rarely)
    return search._replace(
        orthogonal=orthogonal,
        towards=towards,
        orthogonal_rate=aside,
        towards_rate=both,
    )
