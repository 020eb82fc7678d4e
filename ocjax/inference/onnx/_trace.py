"""Translation from JAX to a graph: trace, inline, write one equation after another."""

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
    has_image_axis,
)
from ocjax.inference.onnx._operations import ELEMENTWISE, OPERATIONS


def traced_model(onnx: Any, function: Callable, shape: Sequence[int]) -> Any:
    """Writes the model `images uint8 [N, *shape] -> (scores, anomalous, heatmaps)`."""
    like = jax.ShapeDtypeStruct((COUNT, *shape), jnp.uint8)
    traced = jax.make_jaxpr(function)(like)
    inlined = lambda images: _inline(traced.jaxpr, traced.consts, images)
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

    for equation in _live(closed.jaxpr):
        results = _write(graph, equation, [read(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, results, strict=True))
    outputs = [
        graph.output(name, graph.whole(read(atom), atom.aval.shape))  # pyright: ignore
        for name, atom in zip(OUTPUTS, closed.jaxpr.outvars, strict=True)
    ]
    return graph.model(onnx, like, outputs, [x.aval for x in closed.jaxpr.outvars])


def _live(jaxpr: core.Jaxpr) -> list:
    """Equations that results depend on, in their order."""
    variables = {x for x in jaxpr.outvars if isinstance(x, core.Var)}
    equations = []
    for equation in reversed(jaxpr.eqns):
        if not variables.isdisjoint(equation.outvars):
            equations.append(equation)
            variables.update(x for x in equation.invars if isinstance(x, core.Var))
    return equations[::-1]


def _inline(jaxpr: core.Jaxpr, consts: Sequence, *arguments) -> list:
    """Evaluates, with all calls inlined, loops unrolled and one platform's branches."""
    values = dict(zip(jaxpr.constvars, consts, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))
    read = lambda x: x.val if isinstance(x, core.Literal) else values[x]
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        inputs = [read(x) for x in equation.invars]
        if name == "platform_index":
            # The branch for any other platform has `lax` convolutions.
            results = [np.int32(params["platforms"].index(None))]
        elif name == "cond" and isinstance(inputs[0], int | np.ndarray | np.generic):
            branch = params["branches"][int(inputs[0])]
            results = _inline(branch.jaxpr, branch.consts, *inputs[1:])
        elif name == "scan":
            results = _unroll(equation, inputs)
        elif name in _CALLS:
            inner = params[_CALLS[name]]
            closed = hasattr(inner, "consts")
            body, consts_inside = (inner.jaxpr, inner.consts) if closed else (inner, [])
            results = _inline(body, consts_inside, *inputs)
        else:
            results = _bind(equation, inputs)
        values.update(zip(equation.outvars, results, strict=True))
    return [read(x) for x in jaxpr.outvars]


def _bind(equation: core.JaxprEqn, inputs: Sequence) -> list:
    """Evaluates one equation."""
    results = equation.primitive.bind(*inputs, **equation.params)
    return results if equation.primitive.multiple_results else [results]


# Primitives that call a program, and the parameter that holds it.
_CALLS = {
    "checkpoint": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "jit": "jaxpr",
    "pjit": "jaxpr",
}


def _unroll(scan: core.JaxprEqn, inputs: list) -> list:
    """Evaluates a scan, one step after another."""
    params, body = scan.params, scan.params["jaxpr"]
    # Releases of JAX count carried values in other ways; only rows lose an axis.
    rank = lambda var: len(var.aval.shape)
    pairs = zip(scan.outvars, body.jaxpr.outvars, strict=True)
    carried = sum(rank(outer) == rank(inner) for outer, inner in pairs)
    pairs = zip(scan.invars, body.jaxpr.invars, strict=True)
    split = sum(rank(outer) == rank(inner) for outer, inner in pairs)
    consts, carry = inputs[: split - carried], inputs[split - carried : split]
    steps, rows = range(params["length"]), []
    for i in reversed(steps) if params["reverse"] else steps:
        row = [lax.index_in_dim(x, i, keepdims=False) for x in inputs[split:]]
        results = _inline(body.jaxpr, body.consts, *consts, *carry, *row)
        carry = results[:carried]
        rows.append([lax.expand_dims(y, [0]) for y in results[carried:]])
    rows = rows[::-1] if params["reverse"] else rows
    return [*carry, *(lax.concatenate(ys, 0) for ys in zip(*rows, strict=True))]


# Bytes of constants that stay as narrow as they are; smaller ones are computed with.
LARGE = 2**20


def _widens(name: str, values: list[Value]) -> bool:
    """Whether an operation turns a large constant of half precision into a wider one.

    Where that is left to the runtime, the file is half as large.
    """
    if name != "convert_element_type":
        return False
    array = values[0].array
    return array is not None and array.dtype == np.float16 and array.nbytes > LARGE


def _write(graph: Graph, equation: core.JaxprEqn, values: list[Value]) -> list[Value]:
    """Writes an equation whose inputs are `values`."""
    name, params = equation.primitive.name, equation.params
    shapes = [var.aval.shape for var in equation.outvars]  # pyright: ignore
    elementwise = name in ELEMENTWISE
    constants = all(x.array is not None for x in values)
    if not elementwise and name != "broadcast_in_dim":
        values = [
            graph.whole(x, atom.aval.shape)  # pyright: ignore
            for x, atom in zip(values, equation.invars, strict=True)
        ]
        constants = all(x.array is not None for x in values)
        constants = constants and not any(map(has_image_axis, shapes))
    if constants and name != "broadcast_in_dim" and not _widens(name, values):
        arrays = [x.array for x in values]
        if elementwise:
            arrays = np.broadcast_arrays(*arrays)  # pyright: ignore
        results = _bind(equation, [jnp.asarray(array) for array in arrays])
        return [constant(np.asarray(y)) for y in results]
    if elementwise:
        written = ELEMENTWISE[name](graph, params, *values)
    elif name in OPERATIONS:
        written = OPERATIONS[name](graph, params, shapes[0], *values)
    else:
        raise InputError(f"ONNX files cannot have JAX's operation {name!r}.")
    return written if isinstance(written, list) else [written]
