"""JAX's operations, each written as those of ONNX."""

import math
from collections.abc import Callable

import numpy as np

from ocjax._checks import InputError
from ocjax.inference.onnx._graph import COUNT, constant, equals, integers, same

# Operations on single elements are written by functions `(graph, params, *values) ->
# value`.


def _plain(kind: str) -> Callable:
    return lambda graph, params, *values: graph.op(kind, *values)


def _maximum(graph, params, x, y):
    # Runtimes join a `Relu` with the convolution before it.
    return graph.op("Relu", x) if equals(y, 0) else graph.op("Max", x, y)


def _power(graph, params, x):
    if params["y"] == 2:
        return graph.op("Mul", x, x)
    return graph.op("Pow", x, constant(np.array(params["y"], np.float32)))


def _select(graph, params, condition, *cases):
    if len(cases) != 2:
        raise InputError("ONNX files cannot have JAX's 'select_n' of many cases.")
    no, yes = cases
    # Maxima and leaky rectifiers are written as such, since runtimes choose slowly.
    compared = graph.inputs(condition, "Greater")
    if compared and same(compared[0], yes) and same(compared[1], no):
        return graph.op("Max", yes, no)
    compared = graph.inputs(condition, "GreaterOrEqual")
    factors = graph.inputs(no, "Mul")
    if compared and factors and same(compared[0], yes) and equals(compared[1], 0):
        x, slope = factors if factors[0].array is None else factors[::-1]
        if same(x, yes) and slope.array is not None and slope.array.size == 1:
            return graph.op("LeakyRelu", yes, alpha=float(slope.array.item()))
    return graph.op("Where", condition, yes, no)


def _cast(graph, params, x):
    return graph.op("Cast", x, to=graph.type_of(params["new_dtype"]))


ELEMENTWISE: dict[str, Callable] = {
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
    "stop_gradient": lambda graph, params, x: x,
    "square": lambda graph, params, x: graph.op("Mul", x, x),
    "sub": _plain("Sub"),
    "tanh": _plain("Tanh"),
}


# Other operations are written by functions `(graph, params, shape of the result,
# *values) -> value`.


def _broadcast(graph, params, shape, x, *_):
    narrow = [1] * len(shape)
    for axis, size in zip(params["broadcast_dimensions"], x.shape, strict=True):
        narrow[axis] = size
    return graph.reshape(x, narrow)


def _reduce(kind: str) -> Callable:
    def reduce(graph, params, shape, x):
        axes = integers(params["axes"])
        return graph.op(kind, x, axes, shape=shape, keepdims=0)

    return reduce


def _argmax(graph, params, shape, x):
    (axis,) = map(int, params["axes"])
    place = graph.op("ArgMax", x, shape=shape, axis=axis, keepdims=0)
    return graph.op("Cast", place, to=graph.type_of(params["index_dtype"]))


def _top_k(graph, params, shape, x):
    """Finds the largest values along the last axis, and their places."""
    count = integers([params["k"]])
    values, places = graph.several("TopK", x, count, shapes=[shape] * 2, axis=-1)
    return [values, graph.op("Cast", places, to=graph.type_of(np.int32))]


def _taken(graph, params, shape, x, places):
    """Whole slices along an axis, as `jnp.take` takes them; None of another gather."""
    dims = params["dimension_numbers"]
    (axis,), before = dims.start_index_map, places.shape[:-1]
    whole = [1 if i == axis else n for i, n in enumerate(x.shape)]
    inside = range(axis, axis + len(before))
    outside = tuple(i for i in range(len(shape)) if i not in inside)
    if (
        dims.operand_batching_dims
        or (*dims.collapsed_slice_dims,) != (axis,)
        or list(params["slice_sizes"]) != whole
        or (*dims.offset_dims,) != outside
    ):
        return None
    places = graph.reshape(places, before)
    return graph.op("Gather", x, places, shape=shape, axis=int(axis))


def _gather(graph, params, shape, x, places):
    """Whole slices, or one value along an axis for each place of the others."""
    dims = params["dimension_numbers"]
    if len(dims.start_index_map) == 1:
        taken = _taken(graph, params, shape, x, places)
        if taken is not None:
            return taken
    axis, *more = map(int, dims.start_index_map)
    batch = [*map(int, dims.operand_batching_dims)]
    index = [n if i in batch else 1 for i, n in enumerate(x.shape)]
    if axis == len(index) - 1:  # Any number of places there.
        index[axis] = math.prod(places.shape) // math.prod(index)
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
    gathered = graph.op("GatherElements", x, places, shape=index, axis=axis)
    return graph.reshape(gathered, shape)


def _cut(graph, x, starts, stops, steps=None):
    """Cuts a part out of a tensor; nothing is written along axes that stay whole."""
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
    ends = [integers([part[i] for i in axes]) for part in (starts, stops)]
    steps = integers([steps[i] for i in axes])
    return graph.op("Slice", x, *ends, integers(axes), steps, shape=shape)


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
    """Begins of a part of that size, at places known on writing."""
    if any(place.array is None for place in places):
        raise InputError("ONNX files cannot have places that images decide.")
    axes = zip(places, x.shape, size, strict=True)
    return [min(max(int(p.array), 0), n - m) for p, n, m in axes]


def _dynamic_slice(graph, params, shape, x, *places):
    starts = _starts(x, shape, places)
    return _cut(graph, x, starts, [i + n for i, n in zip(starts, shape, strict=True)])


def _dynamic_update_slice(graph, params, shape, x, part, *places):
    starts = _starts(x, part.shape, places)
    stops = [i + n for i, n in zip(starts, part.shape, strict=True)]
    inside = np.zeros([1 if n == COUNT else n for n in shape], bool)
    inside[tuple(map(slice, starts, stops))] = True
    ends = [n - i for n, i in zip(shape, stops, strict=True)]
    padded = _pad_ends(graph, part, starts, ends)
    return graph.op("Where", constant(inside), padded, x)


def _pad_ends(graph, x, low, high, value=None):
    """Pads a tensor by numbers of values, or crops it by negative ones."""
    if not any((*low, *high)):
        return x
    bounds = zip(low, x.shape, high, strict=True)
    shape = [before + n + after for before, n, after in bounds]
    value = value or constant(np.zeros((), np.float32))
    return graph.op("Pad", x, integers((*low, *high)), value, shape=shape)


def _pad(graph, params, shape, x, value):
    low, high, inside = zip(*params["padding_config"], strict=True)
    for axis, gap in enumerate(inside):
        if gap:  # An axis of length 1 behind it takes the values between.
            before, after = x.shape[: axis + 1], x.shape[axis + 1 :]
            x = graph.reshape(x, (*before, 1, *after))
            gaps = [gap if i == axis + 1 else 0 for i in range(len(x.shape))]
            x = _pad_ends(graph, x, [0] * len(gaps), gaps, value)
            x = graph.reshape(x, (*before[:-1], before[-1] * (gap + 1), *after))
            excess = [-gap if i == axis else 0 for i in range(len(x.shape))]
            x = _pad_ends(graph, x, [0] * len(excess), excess)
    return _pad_ends(graph, x, low, high, value)


def _product(graph, params, shape, x, y):
    (x_sum, y_sum), (x_batch, y_batch) = params["dimension_numbers"]
    rest = lambda z, used: [i for i in range(len(z.shape)) if i not in used]
    x_rows = rest(x, {*x_sum, *x_batch})
    y_columns = rest(y, {*y_sum, *y_batch})
    x = graph.transpose(x, (*x_batch, *x_rows, *x_sum))
    y = graph.transpose(y, (*y_batch, *y_sum, *y_columns))
    batch = x.shape[: len(x_batch)]
    terms = math.prod(x.shape[len(x.shape) - len(x_sum) :])
    rows = x.shape[len(batch) : len(batch) + len(x_rows)]
    columns = math.prod(y.shape[len(batch) + len(y_sum) :])
    if batch:  # Without batches rows may have any number of axes.
        rows = (math.prod(rows),)
    x = graph.reshape(x, (*batch, *rows, terms))
    y = graph.reshape(y, (*batch, terms, columns))
    product = graph.op("MatMul", x, y, shape=(*batch, *rows, columns))
    return graph.reshape(product, shape)


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
    """Writes a convolution of an image with zeros between its pixels, transposed."""
    kernel = kernel.swapaxes(0, 1)[:, :, ::-1, ::-1]
    sides = kernel.shape[2:]
    lows, highs = (
        [k - 1 - p for k, p in zip(sides, padding, strict=True)]
        for padding in (lows, highs)
    )
    if x.shape[2:] == (1, 1) and min(*lows, *highs) >= 0:
        # Images of one pixel are the rows of a product, which runtimes take at once.
        top, left = lows
        bottom, right = (k - p for k, p in zip(sides, highs, strict=True))
        kernel = kernel[:, :, top:bottom, left:right].reshape(len(kernel), -1)
        x, y = graph.reshape(x, x.shape[:2]), constant(kernel)
        product = graph.op("MatMul", x, y, shape=(x.shape[0], kernel.shape[1]))
        return graph.reshape(product, shape)
    pads = [max(0, n) for n in (*lows, *highs)]
    # The transpose crops by itself, but zeros must be added behind it.
    low, high = ([0, 0, *(max(0, -n) for n in ends)] for ends in (lows, highs))
    before = [n - i - j for n, i, j in zip(shape, low, high, strict=True)]
    y = graph.op(
        "ConvTranspose",
        x,
        constant(kernel),
        shape=before,
        strides=[*gaps],
        pads=pads,
    )
    return _pad_ends(graph, y, low, high)


OPERATIONS: dict[str, Callable] = {
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
    "top_k": _top_k,
    "transpose": lambda graph, params, shape, x: graph.transpose(
        x, params["permutation"]
    ),
}
