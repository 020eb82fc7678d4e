"""Applying one of several networks whose parameters and statistics are named."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

Networks = Mapping[str, Any]  # {"encoder": ..., "decoder": ...}


def init(module: nn.Module, key: jax.Array, *inputs) -> tuple[Any, Any]:
    """Returns fresh parameters and BatchNorm statistics (`{}` without BatchNorm)."""
    variables = module.init(key, *inputs, train=True)
    return variables["params"], variables.get("batch_stats", {})


def train(module: nn.Module, name: str, params: Networks, stats: Networks, *inputs):
    """Applies network `name` with the statistics of this batch.

    Returns:
      The module's outputs, and the updated statistics `{name: ...}`.
    """
    variables = {"params": params[name], "batch_stats": stats[name]}
    outputs, updated = module.apply(
        variables, *inputs, train=True, mutable=["batch_stats"]
    )
    return outputs, {name: updated.get("batch_stats", {})}


def infer(module: nn.Module, name: str, params: Networks, stats: Networks, *inputs):
    """Applies network `name` with its stored statistics, and returns its outputs."""
    variables = {"params": params[name], "batch_stats": stats[name]}
    return module.apply(variables, *inputs, train=False)
