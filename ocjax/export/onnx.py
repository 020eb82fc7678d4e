"""A scorer as an ONNX file, which any ONNX runtime can run.

The graph is `images -> (scores, anomalous, heatmaps)`, of any number of images `uint8
[count, S, S, C]`, parameters inside; its metadata hold, under `ocjax`, what
`scorer.Card` holds, and the format.

What JAX traces is written operation by operation. Convolutions are ONNX's own, and what
does not depend on the images is computed on writing. Networks of lower precision
compute in float32 here.
"""

import json
import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from ocjax import _files
from ocjax._checks import InputError
from ocjax.data.images import to_float
from ocjax.export import archive
from ocjax.export.scorer import Card, Scorer
from ocjax.export.stablehlo import in_chunks

if TYPE_CHECKING:
    from ocjax.methods import Method, State

KIND, METADATA = "onnx", "ocjax"
INPUT, OUTPUTS = "images", ("scores", "anomalous", "heatmaps")
_OPSET, _IR = 18, 8  # Of 2022: runtimes since read it.
# Graphs are traced for so many images, a prime that no other axis has as a factor: an
# axis of this length is that of the images, which has any length in the file.
_COUNT = 1_000_003
_DOMAINS = {"", "ai.onnx"}


def save(
    path: str | os.PathLike, card: Card, method: "Method", state: "State"
) -> pathlib.Path:
    """Writes the file, whole or not at all; returns its path.

    Args:
      path: of the file; its folder is made.
      card: what the scorer says of itself; without a threshold nothing is anomalous.
      method: any, of images `[B, S, S, C]`.
      state: its trained state.

    Raises:
      InputError: packages are missing, or the method computes what cannot be written.
    """
    onnx, _ = _packages()
    from ocjax.evaluation import heatmaps  # With flax: `load` needs it not.

    explain = heatmaps.explained(method)
    threshold = np.float32(np.inf if card.threshold is None else card.threshold)

    def judge(images):
        scores, maps = explain(state, to_float(images))
        return scores, scores > threshold, maps

    model = _model(onnx, judge, card)
    described = json.dumps(archive.described(KIND, card))
    onnx.helper.set_model_props(model, {METADATA: described})
    path = pathlib.Path(path)
    with _files.replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
    return path


def load(path: str | os.PathLike) -> Scorer:
    """The scorer in a file, run by onnxruntime on the processor.

    Args:
      path: of a file that `save` wrote.

    Raises:
      InputError: packages are missing, or the file is none of those, is damaged, of
        another version, does not fit its card, or would do more than compute.
    """
    onnx, runtime = _packages()
    path = pathlib.Path(path)
    content = path.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        described = json.loads(metadata.get(METADATA, "null"))
    except Exception as error:  # Of damaged bytes anything may come.
        raise InputError(f"{path} is no model file, or is damaged: {error!r}") from None
    kind, card = archive.parse(described, path)
    if kind != KIND:
        raise InputError(f"{path} is a model file of the unknown kind {kind!r}.")
    if found := _suspicious(onnx, model):
        raise InputError(
            f"{path} has a program with {found}, which no exported detector has: it is "
            "not run."
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = _cores()
    options.log_severity_level = 4  # What is wrong is raised, in one line.
    start = lambda content: runtime.InferenceSession(
        # By itself it prints what is wrong, and tries again.
        content,
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,
    )
    try:
        everything = start(content)
        fits = _fits(everything, card)
        # A session computes all of its outputs, whichever are asked for.
        only_scores = start(_only_scores(model)) if fits else None
    except Exception as error:
        raise InputError(f"{path} has a damaged program: {error!r}") from None
    if only_scores is None:
        raise InputError(f"{path} has a program that does not fit its card.")

    def score(images):
        run = lambda x: only_scores.run(OUTPUTS[:1], {INPUT: x})
        return in_chunks(run, images)[0]

    def explain(images):
        run = lambda x: everything.run(OUTPUTS[::2], {INPUT: x})
        scores, maps = in_chunks(run, images)
        return scores, maps

    return Scorer(card, score, explain)


def _packages() -> tuple[Any, Any]:
    """`onnx` and `onnxruntime`."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f'ONNX files need {error.name}: pip install "ocjax[onnx]"'
        ) from error
    return onnx, onnxruntime


def _cores() -> int:
    """Those that the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _suspicious(onnx: Any, model: Any) -> str | None:
    """What a graph has that `save` never writes and that could do harm."""
    kinds = onnx.AttributeProto
    plain = {kinds.FLOAT, kinds.INT, kinds.STRING, kinds.TENSOR}
    plain |= {kinds.FLOATS, kinds.INTS, kinds.STRINGS}
    graph = model.graph
    attributes = [one for node in graph.node for one in node.attribute]
    tensors = [*graph.initializer, *(one.t for one in attributes)]
    domains = {part.domain for part in (*graph.node, *model.opset_import)} - _DOMAINS
    if domains:
        return f"operations of {', '.join(map(repr, sorted(domains)))}"
    if model.functions or any(one.type not in plain for one in attributes):
        return "programs inside"
    if any(map(onnx.external_data_helper.uses_external_data, tensors)):
        return "parameters in other files"
    return "sparse parameters" if graph.sparse_initializer else None


def _fits(session: Any, card: Card) -> bool:
    """Whether a session takes what the card says and gives what it should."""
    takes = [(one.name, one.type, one.shape[1:]) for one in session.get_inputs()]
    gives = tuple(one.name for one in session.get_outputs())
    if takes != [(INPUT, "tensor(uint8)", list(card.shape))] or gives != OUTPUTS:
        return False
    for count in (1, 2):
        found = session.run(None, {INPUT: np.zeros((count, *card.shape), np.uint8)})
        like = [(x.dtype, x.shape) for x in found]
        if like != [
            (np.float32, (count,)),
            (np.bool_, (count,)),
            (np.float32, (count, card.size, card.size)),
        ]:
            return False
    return True


def _only_scores(model: Any) -> bytes:
    """The model without what its scores do not depend on; changes `model`."""
    graph = model.graph
    nodes, needed = _live(graph.node, OUTPUTS[:1])
    initializers = [x for x in graph.initializer if x.name in needed]
    for field, kept in (
        (graph.node, nodes),
        (graph.initializer, initializers),
        (graph.output, [graph.output[0]]),
    ):
        kept = list(kept)
        del field[:]
        field.extend(kept)
    return model.SerializeToString()


def _live(nodes: Sequence, outputs: Sequence[str]) -> tuple[list, set[str]]:
    """The nodes that outputs depend on, and the names of what they take."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            needed.update(node.input)
    return kept[::-1], needed


# From JAX to a graph: trace, inline, then write one equation after another.


def _model(onnx: Any, function: Callable, card: Card) -> Any:
    """The model of `images -> (scores, anomalous, heatmaps)`."""
    like = jax.ShapeDtypeStruct((_COUNT, *card.shape), jnp.uint8)
    traced = jax.make_jaxpr(function)(like)
    inlined = lambda images: _inlined(traced.jaxpr, traced.consts, images)
    closed = jax.make_jaxpr(inlined)(like)

    graph = _Graph(onnx)
    values: dict[Any, _Value] = {}
    for var, const in zip(closed.jaxpr.constvars, closed.consts, strict=True):
        values[var] = _constant(np.asarray(const))
    values[closed.jaxpr.invars[0]] = _Value(like.shape, name=INPUT)

    def read(atom):
        if isinstance(atom, core.Literal):
            return _constant(np.asarray(atom.val, atom.aval.dtype))  # pyright: ignore
        return values[atom]

    for equation in _needed(closed.jaxpr):
        found = graph.convert(equation, [read(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, found, strict=True))
    outputs = [
        graph.output(name, graph.whole(read(atom), atom.aval.shape))
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
            found = _unrolled(params, inputs)
        elif name in _CALLS:
            inner = params[_CALLS[name]]
            closed = isinstance(inner, core.ClosedJaxpr)
            body, own = (inner.jaxpr, inner.consts) if closed else (inner, [])
            found = _inlined(body, own, *inputs)
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


def _unrolled(params: dict, inputs: list) -> list:
    """What a scan gives, one step after another."""
    body, split = params["jaxpr"], params["num_consts"] + params["num_carry"]
    consts, carry = inputs[: params["num_consts"]], inputs[params["num_consts"] : split]
    steps, rows = range(params["length"]), []
    for i in reversed(steps) if params["reverse"] else steps:
        row = [lax.index_in_dim(x, i, keepdims=False) for x in inputs[split:]]
        found = _inlined(body.jaxpr, body.consts, *consts, *carry, *row)
        carry = found[: len(carry)]
        rows.append([lax.expand_dims(y, [0]) for y in found[len(carry) :]])
    rows = rows[::-1] if params["reverse"] else rows
    return [*carry, *(lax.concatenate(ys, 0) for ys in zip(*rows, strict=True))]


class _Value(NamedTuple):
    """A tensor of the graph, or an array that is not in it yet.

    An axis may have length 1 where JAX has repeated values: operations on single
    elements repeat them by themselves.
    """

    shape: tuple[int, ...]
    name: str = ""
    array: np.ndarray | None = None


def _constant(array: np.ndarray) -> _Value:
    return _Value(array.shape, array=array)


class _Graph:
    """A graph in the making; what is written twice is there once."""

    def __init__(self, onnx: Any):
        self._helper, self._numpy = onnx.helper, onnx.numpy_helper
        self._nodes, self._constants = {}, {}
        self._made: dict[str, tuple] = {}  # name -> (operation, inputs)

    def convert(self, equation: core.JaxprEqn, values: list[_Value]) -> list[_Value]:
        """Writes an equation; its inputs are `values`."""
        name, params = equation.primitive.name, equation.params
        shapes = [var.aval.shape for var in equation.outvars]  # pyright: ignore
        alone, known = name in _ELEMENTWISE, all(x.array is not None for x in values)
        if not alone and name != "broadcast_in_dim":
            values = [
                self.whole(x, atom.aval.shape)  # pyright: ignore
                for x, atom in zip(values, equation.invars, strict=True)
            ]
            known = all(x.array is not None for x in values)
            known &= not any(map(_counted, shapes))
        if known and name != "broadcast_in_dim":
            arrays = [x.array for x in values]
            if alone:
                arrays = np.broadcast_arrays(*arrays)  # pyright: ignore
            found = equation.primitive.bind(*map(jnp.asarray, arrays), **params)
            found = found if equation.primitive.multiple_results else [found]
            return [_constant(np.asarray(y)) for y in found]
        if alone:
            found = _ELEMENTWISE[name](self, params, *values)
        elif name in _OPERATIONS:
            found = _OPERATIONS[name](self, params, shapes[0], *values)
        else:
            raise InputError(f"ONNX files cannot have JAX's operation {name!r}.")
        return found if isinstance(found, list) else [found]

    def op(
        self,
        kind: str,
        *inputs: _Value,
        shape: Sequence[int] | None = None,
        **attributes,
    ) -> _Value:
        """Writes an operation; without `shape`, one on single elements."""
        if shape is None:
            shape = np.broadcast_shapes(*(x.shape for x in inputs))
        names = tuple(map(self._name, inputs))
        key = kind, names, repr(attributes)
        if key not in self._nodes:
            out = f"{kind.lower()}_{len(self._nodes)}"
            self._nodes[key] = self._helper.make_node(kind, names, [out], **attributes)
            self._made[out] = kind, inputs
        return _Value(tuple(shape), self._nodes[key].output[0])

    def whole(self, x: _Value, shape: Sequence[int]) -> _Value:
        """With values repeated to `shape`."""
        if x.shape == tuple(shape):
            return x
        if x.array is not None and not _counted(shape):
            return _constant(np.broadcast_to(x.array, shape))
        parts: list[_Value] = [
            _integers([1 if n == m else n])
            if n != _COUNT or m == _COUNT
            else self.op("Shape", _Value((), INPUT), shape=(1,), start=0, end=1)
            for n, m in zip(shape, x.shape, strict=True)
        ]
        sizes = self.op("Concat", *parts, shape=(len(parts),), axis=0)
        return self.op("Expand", x, sizes, shape=shape)

    def reshape(self, x: _Value, shape: Sequence[int]) -> _Value:
        """With other axes."""
        if x.shape == tuple(shape):
            return x
        if x.array is not None:
            return _constant(x.array.reshape(shape))
        # The number of images, or what it is a factor of, is left to the runtime.
        sizes = _integers([-1 if n % _COUNT == 0 else n for n in shape])
        return self.op("Reshape", x, sizes, shape=shape)

    def transpose(self, x: _Value, order: Sequence[int]) -> _Value:
        """With axes in another order."""
        order = [int(i) for i in order]
        shape = tuple(x.shape[i] for i in order)
        if order == sorted(order):
            return x
        if x.array is not None:
            return _constant(x.array.transpose(order))
        return self.op("Transpose", x, shape=shape, perm=order)

    def made(self, x: _Value, kind: str) -> tuple:
        """Inputs of the operation that gave `x`, if it was of this kind."""
        found, inputs = self._made.get(x.name, ("", ()))
        return inputs if found == kind else ()

    def output(self, name: str, x: _Value) -> str:
        """Gives a tensor the name of an output."""
        node = self._helper.make_node("Identity", [self._name(x)], [name])
        self._nodes[name] = node
        return name

    def model(self, onnx: Any, like: Any, outputs: list[str], avals: list) -> Any:
        """The whole, without what nothing depends on."""
        nodes, needed = _live([*self._nodes.values()], outputs)
        initializers = [x for x in self._constants.values() if x.name in needed]
        graph = self._helper.make_graph(
            nodes,
            "ocjax",
            [self._described(INPUT, like)],
            [self._described(*pair) for pair in zip(outputs, avals, strict=True)],
            initializers,
        )
        return self._helper.make_model(
            graph,
            ir_version=_IR,
            opset_imports=[self._helper.make_opsetid("", _OPSET)],
            producer_name="ocjax",
        )

    def type_of(self, dtype: Any) -> int:
        """ONNX's number of a type."""
        dtype = np.dtype(np.float32 if dtype == jnp.bfloat16 else dtype)
        return self._helper.np_dtype_to_tensor_dtype(dtype)

    def _described(self, name: str, like: Any) -> Any:
        shape = ["count" if n == _COUNT else n for n in like.shape]
        return self._helper.make_tensor_value_info(
            name, self.type_of(like.dtype), shape
        )

    def _name(self, x: _Value) -> str:
        if x.array is None:
            return x.name
        array = x.array
        if array.dtype == jnp.bfloat16:
            array = array.astype(np.float32)
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            tensor = self._numpy.from_array(np.ascontiguousarray(array), name)
            self._constants[key] = tensor
        return self._constants[key].name


def _counted(shape: Sequence[int]) -> bool:
    """Whether an axis is that of the images."""
    return any(n and n % _COUNT == 0 for n in shape)


def _integers(values: Sequence) -> _Value:
    return _constant(np.array([int(x) for x in values], np.int64))


def _same(x: _Value, y: _Value) -> bool:
    return x.array is None and y.array is None and x.name == y.name


def _is(x: _Value, number: float) -> bool:
    return x.array is not None and bool((x.array == number).all())


# Operations on single elements: `(graph, params, *values) -> value`.


def _plain(kind: str) -> Callable:
    return lambda graph, params, *values: graph.op(kind, *values)


def _maximum(graph, params, x, y):
    # What runtimes join with the convolution before it.
    return graph.op("Relu", x) if _is(y, 0) else graph.op("Max", x, y)


def _power(graph, params, x):
    if params["y"] == 2:
        return graph.op("Mul", x, x)
    return graph.op("Pow", x, _constant(np.array(params["y"], np.float32)))


def _select(graph, params, which, *cases):
    if len(cases) != 2:
        raise InputError("ONNX files cannot have JAX's 'select_n' of many cases.")
    no, yes = cases
    # Maxima and leaky rectifiers that were chosen; runtimes choose slowly.
    compared = graph.made(which, "Greater")
    if compared and _same(compared[0], yes) and _same(compared[1], no):
        return graph.op("Max", yes, no)
    compared, factors = graph.made(which, "GreaterOrEqual"), graph.made(no, "Mul")
    if compared and factors and _same(compared[0], yes) and _is(compared[1], 0):
        x, slope = factors if factors[0].array is None else factors[::-1]
        if _same(x, yes) and slope.array is not None and slope.array.size == 1:
            return graph.op("LeakyRelu", yes, alpha=float(slope.array.item()))
    return graph.op("Where", which, yes, no)


def _cast(graph, params, x):
    return graph.op("Cast", x, to=graph.type_of(params["new_dtype"]))


_ELEMENTWISE: dict[str, Callable] = {
    "abs": _plain("Abs"),
    "add": _plain("Add"),
    "add_any": _plain("Add"),
    "and": _plain("And"),
    "convert_element_type": _cast,
    "copy": lambda graph, params, x: x,
    "div": _plain("Div"),
    "eq": _plain("Equal"),
    "exp": _plain("Exp"),
    "ge": _plain("GreaterOrEqual"),
    "gt": _plain("Greater"),
    "integer_pow": _power,
    "le": _plain("LessOrEqual"),
    "log": _plain("Log"),
    "logistic": _plain("Sigmoid"),
    "lt": _plain("Less"),
    "max": _maximum,
    "min": _plain("Min"),
    "mul": _plain("Mul"),
    "ne": lambda graph, params, *xs: graph.op("Not", graph.op("Equal", *xs)),
    "neg": _plain("Neg"),
    "not": _plain("Not"),
    "or": _plain("Or"),
    "rsqrt": lambda graph, params, x: graph.op("Reciprocal", graph.op("Sqrt", x)),
    "select_n": _select,
    "sign": _plain("Sign"),
    "sqrt": _plain("Sqrt"),
    "square": lambda graph, params, x: graph.op("Mul", x, x),
    "sub": _plain("Sub"),
    "tanh": _plain("Tanh"),
}


# Others: `(graph, params, shape of the result, *values) -> value`.


def _broadcast(graph, params, shape, x, *_):
    narrow = [1] * len(shape)
    for axis, size in zip(params["broadcast_dimensions"], x.shape, strict=True):
        narrow[axis] = size
    return graph.reshape(x, narrow)


def _reduce(kind: str) -> Callable:
    def reduce(graph, params, shape, x):
        axes = _integers(params["axes"])
        return graph.op(kind, x, axes, shape=shape, keepdims=0)

    return reduce


def _argmax(graph, params, shape, x):
    (axis,) = map(int, params["axes"])
    place = graph.op("ArgMax", x, shape=shape, axis=axis, keepdims=0)
    return graph.op("Cast", place, to=graph.type_of(params["index_dtype"]))


def _gather(graph, params, shape, x, places):
    """One value along an axis for each place of the others."""
    dims = params["dimension_numbers"]
    axis, *more = map(int, dims.start_index_map)
    batch = [*map(int, dims.operand_batching_dims)]
    index = [n if i in batch else 1 for i, n in enumerate(x.shape)]
    if (
        more
        or batch != sorted(batch)
        or [*dims.start_indices_batching_dims]
        != sorted(dims.start_indices_batching_dims)
        or any(index[i] != n for i, n in enumerate(x.shape) if i != axis)
        or math.prod(index) != math.prod(places.shape)
    ):
        raise InputError("ONNX files cannot have this kind of JAX's 'gather'.")
    places = graph.reshape(places, index)
    found = graph.op("GatherElements", x, places, shape=index, axis=axis)
    return graph.reshape(found, shape)


def _cut(graph, x, starts, stops, steps=None):
    """A part of a tensor; along axes that are taken whole, nothing is written."""
    steps = steps or [1] * len(x.shape)
    axes = [
        i
        for i, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True))
        if (start, stop, step) != (0, x.shape[i], 1)
    ]
    if not axes:
        return x
    bounds = zip(starts, stops, steps, strict=True)
    shape = [-(-(stop - start) // step) for start, stop, step in bounds]
    picked = [_integers([part[i] for i in axes]) for part in (starts, stops)]
    more = [_integers(axes), _integers([steps[i] for i in axes])]
    return graph.op("Slice", x, *picked, *more, shape=shape)


def _slice(graph, params, shape, x):
    return _cut(
        graph, x, params["start_indices"], params["limit_indices"], params["strides"]
    )


def _split(graph, params, shape, x):
    axis, parts, start = params["axis"], [], 0
    for size in params["sizes"]:
        starts, stops = [0] * len(x.shape), list(x.shape)
        starts[axis], stops[axis] = start, start + size
        parts.append(_cut(graph, x, starts, stops))
        start += size
    return parts


def _starts(x, size, places):
    """Where a part of that size begins, at places known on writing."""
    if any(place.array is None for place in places):
        raise InputError("ONNX files cannot have places that images decide.")
    last = zip(places, x.shape, size, strict=True)
    return [min(max(int(p.array), 0), n - m) for p, n, m in last]


def _dynamic_slice(graph, params, shape, x, *places):
    starts = _starts(x, shape, places)
    return _cut(graph, x, starts, [i + n for i, n in zip(starts, shape, strict=True)])


def _dynamic_update_slice(graph, params, shape, x, part, *places):
    starts = _starts(x, part.shape, places)
    stops = [i + n for i, n in zip(starts, part.shape, strict=True)]
    inside = np.zeros([1 if n == _COUNT else n for n in shape], bool)
    inside[tuple(map(slice, starts, stops))] = True
    ends = [n - i for n, i in zip(shape, stops, strict=True)]
    padded = _padded(graph, part, starts, ends)
    return graph.op("Where", _constant(inside), padded, x)


def _padded(graph, x, low, high, value=None):
    """Padded by a number of values, or cropped by a negative one."""
    if not any((*low, *high)):
        return x
    bounds = zip(low, x.shape, high, strict=True)
    shape = [before + n + after for before, n, after in bounds]
    value = value or _constant(np.zeros((), np.float32))
    return graph.op("Pad", x, _integers((*low, *high)), value, shape=shape)


def _pad(graph, params, shape, x, value):
    low, high, inside = zip(*params["padding_config"], strict=True)
    for axis, gap in enumerate(inside):
        if gap:  # An axis of length 1 behind it takes the values between.
            before, after = x.shape[: axis + 1], x.shape[axis + 1 :]
            x = graph.reshape(x, (*before, 1, *after))
            more = [gap if i == axis + 1 else 0 for i in range(len(x.shape))]
            x = _padded(graph, x, [0] * len(more), more, value)
            x = graph.reshape(x, (*before[:-1], before[-1] * (gap + 1), *after))
            less = [-gap if i == axis else 0 for i in range(len(x.shape))]
            x = _padded(graph, x, [0] * len(less), less)
    return _padded(graph, x, low, high, value)


def _product(graph, params, shape, x, y):
    (x_sum, y_sum), (x_batch, y_batch) = params["dimension_numbers"]
    rest = lambda z, used: [i for i in range(len(z.shape)) if i not in used]
    x_rows = rest(x, {*x_sum, *x_batch})
    y_columns = rest(y, {*y_sum, *y_batch})
    x = graph.transpose(x, (*x_batch, *x_rows, *x_sum))
    y = graph.transpose(y, (*y_batch, *y_sum, *y_columns))
    batch, terms = (
        x.shape[: len(x_batch)],
        math.prod(x.shape[len(x.shape) - len(x_sum) :]),
    )
    rows = x.shape[len(batch) : len(batch) + len(x_rows)]
    columns = math.prod(y.shape[len(batch) + len(y_sum) :])
    if batch:  # Else rows may have any number of axes.
        rows = (math.prod(rows),)
    x = graph.reshape(x, (*batch, *rows, terms))
    y = graph.reshape(y, (*batch, terms, columns))
    found = graph.op("MatMul", x, y, shape=(*batch, *rows, columns))
    return graph.reshape(found, shape)


def _convolution(graph, params, shape, x, kernel):
    dims, padding = params["dimension_numbers"], params["padding"]
    strides, gaps = params["window_strides"], params["lhs_dilation"]
    dilations, groups = params["rhs_dilation"], params["feature_group_count"]
    x = graph.transpose(x, dims.lhs_spec)
    kernel = graph.transpose(kernel, dims.rhs_spec)
    shape = [shape[i] for i in dims.out_spec]
    lows, highs = zip(*padding, strict=True)
    simple = {*strides, *dilations, groups} == {1} and kernel.array is not None
    if params["batch_group_count"] != 1 or ({*gaps} != {1} and not simple):
        raise InputError("ONNX files cannot have this kind of JAX's convolution.")
    if simple and ({*gaps} != {1} or x.shape[2:] == (1, 1)):
        y = _transposed(graph, shape, x, kernel.array, gaps, lows, highs)
    else:
        y = graph.op(
            "Conv",
            x,
            kernel,
            shape=shape,
            strides=[*strides],
            dilations=[*dilations],
            group=groups,
            pads=[*lows, *highs],
        )
    return graph.transpose(y, np.argsort(dims.out_spec))


def _transposed(graph, shape, x, kernel, gaps, lows, highs):
    """A convolution of an image with zeros between its pixels, by its transpose."""
    kernel = kernel.swapaxes(0, 1)[:, :, ::-1, ::-1]
    sides = kernel.shape[2:]
    lows, highs = (
        [k - 1 - p for k, p in zip(sides, padding, strict=True)]
        for padding in (lows, highs)
    )
    if x.shape[2:] == (1, 1) and min(*lows, *highs) >= 0:
        # Of one pixel every image is a row of a product: runtimes take all at once.
        (top, left), (bottom, right) = (
            lows,
            [k - p for k, p in zip(sides, highs, strict=True)],
        )
        kernel = kernel[:, :, top:bottom, left:right].reshape(len(kernel), -1)
        x, y = graph.reshape(x, x.shape[:2]), _constant(kernel)
        found = graph.op("MatMul", x, y, shape=(x.shape[0], kernel.shape[1]))
        return graph.reshape(found, shape)
    pads = [max(0, n) for n in (*lows, *highs)]
    # The transpose crops; what it cannot add are zeros.
    low, high = ([0, 0, *(max(0, -n) for n in ends)] for ends in (lows, highs))
    before = [n - i - j for n, i, j in zip(shape, low, high, strict=True)]
    y = graph.op(
        "ConvTranspose",
        x,
        _constant(kernel),
        shape=before,
        strides=[*gaps],
        pads=pads,
    )
    return _padded(graph, y, low, high)


_OPERATIONS: dict[str, Callable] = {
    "argmax": _argmax,
    "broadcast_in_dim": _broadcast,
    "concatenate": lambda graph, params, shape, *xs: graph.op(
        "Concat", *xs, shape=shape, axis=params["dimension"]
    ),
    "conv_general_dilated": _convolution,
    "dot_general": _product,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "pad": _pad,
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_sum": _reduce("ReduceSum"),
    "reshape": lambda graph, params, shape, x: graph.reshape(x, shape),
    "slice": _slice,
    "split": _split,
    "squeeze": lambda graph, params, shape, x: graph.reshape(x, shape),
    "transpose": lambda graph, params, shape, x: graph.transpose(
        x, params["permutation"]
    ),
}
