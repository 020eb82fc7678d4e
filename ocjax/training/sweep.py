"""Many models of one method: other classes, seeds or hyper-parameters.

Devices share out the models, and each trains some of its own at once: one after another
in the same compiled program, as suits a CPU, or several under `vmap`, as suits an
accelerator. The images and the randomness of a model never depend on that. One after
another, each gets the very bits of a run of its own.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ocjax.methods.base import Method
from ocjax.training.lane import Model, Progress
from ocjax.training.loop import together
from ocjax.training.parallel import Devices, ModelDevices


def sweep(
    build: Callable[..., Method],
    images: np.ndarray,
    models: Sequence[Model],
    *,
    devices: Devices | None = None,
    **options,
) -> Iterator[tuple[int, Progress]]:
    """Trains models, as many at once as there are lanes.

    Args:
      build: function `build(**hyper)` that gives the method. Several lanes take `hyper`
        as arguments of one program, so they must be `traceable`; a single lane has a
        program for each choice of them.
      images: images `[N, S, S, C]` of all models, as of `train`.
      models: models to train; all have a value for the same hyper-parameters.
      devices: devices that share out the models, or share the batches of one after
        another, as methods with a pass need it; by default one, as wide as suits it.
      **options: options of `together`.

    Yields:
      The number of a model and its `Progress`, as `together` does. A model that ends
      with an error does not stop the others.
    """
    if not models:
        return
    built = functools.cache(build)
    if devices is None and built(**models[0].hyper).computes:
        devices = Devices()
    devices = devices or ModelDevices(width=width(len(models)))
    alone = devices.lanes == 1
    shared = not alone and models[0].hyper
    programs = _steps(build, models[0].hyper) if shared else None
    for start in range(0, len(models), devices.lanes):
        group = models[start : start + devices.lanes]
        method = built(**group[0].hyper)
        if alone:
            group = [group[0]._replace(hyper={})]
        for number, progress in together(
            method, images, group, devices=devices, programs=programs, **options
        ):
            yield start + number, progress


def width(models: int, devices: int = 1, at_once: int = 0) -> int:
    """Number of models that each device trains at once, in nearly equal groups.

    Args:
      models: number of models in all.
      devices: number of devices that share them out.
      at_once: largest number on each device; 0 for one on CPUs, else all.
    """
    share = -(-models // devices)
    if not at_once:
        at_once = 1 if jax.default_backend() == "cpu" else share
    rounds = -(-share // at_once)
    return -(-share // rounds)


def traceable(
    build: Callable[..., Method], hyper: Mapping[str, float], shape: tuple[int, ...]
) -> bool:
    """Whether one program can take hyper-parameters as arguments.

    It cannot where they decide what is computed.

    Args:
      build: function `build(**hyper)` that gives the method.
      hyper: values of hyper-parameters.
      shape: shape of a batch of images.
    """
    images, key = jnp.zeros(shape), jax.random.key(0)
    state = jax.eval_shape(build(**hyper).init, key, images[:1])
    try:
        for step in _steps(build, hyper):
            jax.eval_shape(step, state, images, key, **hyper)
    except (jax.errors.ConcretizationTypeError, TypeError):
        return False
    return True


def _steps(build: Callable[..., Method], hyper: Mapping[str, float]) -> list[Callable]:
    """Steps of all stages, which take hyper-parameters as arguments."""
    return [_step(build, stage) for stage in range(len(build(**hyper).stages))]


@functools.lru_cache(8)
def _step(build: Callable[..., Method], stage: int) -> Callable:
    def step(state, images, key, **hyper):
        inner: Any = build(**hyper).stages[stage].step
        return inner(state, images, key)

    return step
