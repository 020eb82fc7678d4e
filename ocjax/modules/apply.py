"""Applying one of several networks whose parameters and statistics are named.

Outputs are float32 whatever a network computes in.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
from flax import errors

from ocjax._checks import InputError
from ocjax.modules import precision

Networks = Mapping[str, Any]  # {"encoder": ..., "decoder": ...}


def init(module: nn.Module, key: jax.Array, *inputs) -> tuple[Any, Any]:
    """Returns fresh parameters and BatchNorm statistics (`{}` without BatchNorm)."""
    variables = module.init(key, *inputs, train=True)
    return variables["params"], variables.get("batch_stats", {})


def train(
    module: nn.Module,
    name: str,
    params: Networks,
    stats: Networks,
    *inputs,
    key: jax.Array | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Applies network `name` with the statistics of this batch.

    Args:
      module: the network.
      name: key of its parameters and statistics in `params` and `stats`.
      params: parameters of all networks.
      stats: BatchNorm statistics of all networks.
      *inputs: arguments of the network.
      key: randomness of dropout, needed by a network that has any; the same key drops
        the same units again.

    Returns:
      The module's outputs, and the updated statistics `{name: ...}`.
    """
    outputs, updated = _apply(
        module,
        name,
        params,
        stats,
        inputs,
        train=True,
        mutable=["batch_stats"],
        rngs=None if key is None else {"dropout": key},
    )
    return outputs, {name: updated.get("batch_stats", {})}


def infer(
    module: nn.Module, name: str, params: Networks, stats: Networks, *inputs
) -> Any:
    """Applies network `name` with its stored statistics, and returns its outputs."""
    return _apply(module, name, params, stats, inputs, train=False, mutable=[])[0]


def batchwise(
    module: nn.Module, name: str, params: Networks, stats: Networks, *inputs
) -> Any:
    """Applies network `name` with the statistics of this very batch, storing none.

    Some published code does this at test time; an output then depends on its batch.
    For networks without dropout.
    """
    return train(module, name, params, stats, *inputs)[0]


def sown(
    module: nn.Module, name: str, params: Networks, stats: Networks, *inputs
) -> tuple[Any, Any]:
    """Applies as `infer` does; returns outputs, and what the network has sown."""
    outputs, collections = _apply(
        module, name, params, stats, inputs, train=False, mutable=["intermediates"]
    )
    return outputs, collections["intermediates"]


def _apply(module, name, params, stats, inputs, **options) -> tuple[Any, Any]:
    """Returns the outputs, widened, and the collections that `mutable` names."""
    variables = {"params": params[name], "batch_stats": stats[name]}
    with _refuse_misfits(name):
        applied: Any = module.apply(variables, *inputs, **options)
    outputs, collections = applied
    return jax.tree.map(precision.widen, outputs), collections


@contextlib.contextmanager
def _refuse_misfits(name: str) -> Iterator[None]:
    """Raises `ValueError` by name where inputs do not fit the parameters."""
    try:
        yield
    except (errors.ScopeParamShapeError, errors.ScopeParamNotFoundError) as error:
        raise InputError(
            "Expected `images` of the size and channels of training; the network "
            f"{name!r} cannot take these."
        ) from error
