"""From JAX to a graph: trace, inline, then write one equation after another."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from ocjax._checks import InputError
from ocjax.inference.onnx._graph import (
    COUNT,
    INPUT,
    OUTPUTS,
    Graph,
    Value,
    constant,
    counted,
)
from ocjax.inference.onnx._operations import ELEMENTWISE, OPERATIONS


def traced_model(onnx: Any, function: Callable, shape: Sequence[int]) -> Any:
    """The model of `images uint8 [N, *shape] -> (scores, anomalous, heatmaps)`."""
    like = jax.ShapeDtypeStruct((COUNT, *shape), jnp.uint8)
    traced = jax.make_jaxpr(function)(like)
    inlined = lambda images: _inlined(traced.jaxpr, traced.consts, images)
    closed = jax.make_jaxpr(inlined)(like)

    graph = Graph(onnx)
    values: dict[Any, Value] = {}
    for var, const in zip(closed.jaxpr.constvars, closed.consts, strict=True):
        values[var] = constant(np.asarray(const))
    values[closed.jaxpr.invars[0]] = Value(like.shape, name=INPUT)

    def read(atom):
        if isinstance(atom, core.Literal):
            return constant(np.asarray(atom.val, atom.aval.dtype))  # pyright: ignore
        return values[atom]

    for equation in _needed(closed.jaxpr):
        found = _written(graph, equation, [read(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, found, strict=True))
    outputs = [
        graph.output(name, graph.whole(read(atom), atom.aval.shape))  # pyright: ignore
        for name, atom in zip(OUTPUTS, closed.jaxpr.outvars, strict=True)
    ]
    return graph.model(onnx, like, outputs, [x.aval for x in closed.jaxpr.outvars])


def _needed(jaxpr: core.Jaxpr) -> list:
    """The equations that results depend on, in their order."""
    needed, kept = {x for x in jaxpr.outvars if isinstance(x, core.Var)}, []
    for equation in reversed(jaxpr.eqns):
        if not needed.isdisjoint(equation.outvars):
            kept.append(equation)
            needed.update(x for x in equation.invars if isinstance(x, core.Var))
    return kept[::-1]


def _inlined(jaxpr: core.Jaxpr, consts: Sequence, *arguments) -> list:
    """Evaluates, with all calls inlined, loops unrolled and one platform's branches."""
    values = dict(zip(jaxpr.constvars, consts, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))
    read = lambda x: x.val if isinstance(x, core.Literal) else values[x]
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        inputs = [read(x) for x in equation.invars]
        if name == "platform_index":
            # Of convolutions, those of any other platform are `lax` convolutions.
            found = [np.int32(params["platforms"].index(None))]
        elif name == "cond" and isinstance(inputs[0], int | np.ndarray | np.generic):
            branch = params["branches"][int(inputs[0])]
            found = _inlined(branch.jaxpr, branch.consts, *inputs[1:])
        elif name == "scan":
            found = _unrolled(equation, inputs)
        elif name in _CALLS:
            inner = params[_CALLS[name]]
            closed = hasattr(inner, "consts")
            body, consts_inside = (inner.jaxpr, inner.consts) if closed else (inner, [])
            found = _inlined(body, consts_inside, *inputs)
        else:
            found = equation.primitive.bind(*inputs, **params)
            found = found if equation.primitive.multiple_results else [found]
        values.update(zip(equation.outvars, found, strict=True))
    return [read(x) for x in jaxpr.outvars]


# Primitives that call, and the parameter that says what.
_CALLS = {
    "checkpoint": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "jit": "jaxpr",
    "pjit": "jaxpr",
}


def _unrolled(scan: core.JaxprEqn, inputs: list) -> list:
    """What a scan gives, one step after another."""
    params, body = scan.params, scan.params["jaxpr"]
    # Releases of JAX count what is carried in other ways; only rows lose an axis.
    rank = lambda var: len(var.aval.shape)
    pairs = zip(scan.outvars, body.jaxpr.outvars, strict=True)
    carried = sum(rank(outer) == rank(inner) for outer, inner in pairs)
    pairs = zip(scan.invars, body.jaxpr.invars, strict=True)
    split = sum(rank(outer) == rank(inner) for outer, inner in pairs)
    consts, carry = inputs[: split - carried], inputs[split - carried : split]
    steps, rows = range(params["length"]), []
    for i in reversed(steps) if params["reverse"] else steps:
        row = [lax.index_in_dim(x, i, keepdims=False) for x in inputs[split:]]
        found = _inlined(body.jaxpr, body.consts, *consts, *carry, *row)
        carry = found[:carried]
        rows.append([lax.expand_dims(y, [0]) for y in found[carried:]])
    rows = rows[::-1] if params["reverse"] else rows
    return [*carry, *(lax.concatenate(ys, 0) for ys in zip(*rows, strict=True))]


def _written(graph: Graph, equation: core.JaxprEqn, values: list[Value]) -> list[Value]:
    """Writes an equation; its inputs are `values`."""
    name, params = equation.primitive.name, equation.params
    shapes = [var.aval.shape for var in equation.outvars]  # pyright: ignore
    alone, known = name in ELEMENTWISE, all(x.array is not None for x in values)
    if not alone and name != "broadcast_in_dim":
        values = [
            graph.whole(x, atom.aval.shape)  # pyright: ignore
            for x, atom in zip(values, equation.invars, strict=True)
        ]
        known = all(x.array is not None for x in values)
        known &= not any(map(counted, shapes))
    if known and name != "broadcast_in_dim":
        arrays = [x.array for x in values]
        if alone:
            arrays = np.broadcast_arrays(*arrays)  # pyright: ignore
        found = equation.primitive.bind(*map(jnp.asarray, arrays), **params)
        found = found if equation.primitive.multiple_results else [found]
        return [constant(np.asarray(y)) for y in found]
    if alone:
        found = ELEMENTWISE[name](graph, params, *values)
    elif name in OPERATIONS:
        found = OPERATIONS[name](graph, params, shapes[0], *values)
    else:
        raise InputError(f"ONNX files cannot have JAX's operation {name!r}.")
    return found if isinstance(found, list) else [found]
