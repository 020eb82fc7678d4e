"""ONNX graphs: their tensors, and the operations that make them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

INPUT, OUTPUTS = "images", ("scores", "anomalous", "heatmaps")
# Number of images that graphs are traced for, a prime that no other axis has as a
# factor: an axis of this length is that of the images, of any length in the file.
COUNT = 1_000_003
_OPSET, _IR = 18, 8  # Versions of 2022, which runtimes since then read.


class Value(NamedTuple):
    """A tensor of the graph, or an array that is not in it yet.

    An axis may have length 1 where JAX repeats values: operations on single elements
    repeat them by themselves.
    """

    shape: tuple[int, ...]
    name: str = ""
    array: np.ndarray | None = None


def constant(array: np.ndarray) -> Value:
    """Makes a tensor that is known on writing."""
    return Value(array.shape, array=array)


def integers(values: Sequence) -> Value:
    """Makes a tensor of integers."""
    return constant(np.array([int(x) for x in values], np.int64))


def has_image_axis(shape: Sequence[int]) -> bool:
    """Whether an axis of a shape is that of the images."""
    return any(n and n % COUNT == 0 for n in shape)


def same(x: Value, y: Value) -> bool:
    """Whether both are one tensor of the graph."""
    return x.array is None and y.array is None and x.name == y.name


def equals(x: Value, number: float) -> bool:
    """Whether a tensor is known on writing, and is this number everywhere."""
    return x.array is not None and bool((x.array == number).all())


class Graph:
    """A graph in the making, in which equal operations are one."""

    def __init__(self, onnx: Any):
        self._helper, self._numpy = onnx.helper, onnx.numpy_helper
        self._nodes, self._constants = {}, {}
        self._origins: dict[str, tuple] = {}  # Operation and inputs by tensor's name.

    def op(
        self,
        kind: str,
        *inputs: Value,
        shape: Sequence[int] | None = None,
        **attributes,
    ) -> Value:
        """Writes an operation, which is on single elements if no `shape` is given."""
        if shape is None:
            shape = np.broadcast_shapes(*(x.shape for x in inputs))
        return self.several(kind, *inputs, shapes=[shape], **attributes)[0]

    def several(
        self, kind: str, *inputs: Value, shapes: Sequence[Sequence[int]], **attributes
    ) -> list[Value]:
        """Writes an operation with several outputs, whose shapes are given."""
        names = tuple(map(self._name, inputs))
        key = kind, names, repr(attributes)
        if key not in self._nodes:
            first = f"{kind.lower()}_{len(self._nodes)}"
            outputs = [first, *(f"{first}_{i}" for i in range(1, len(shapes)))]
            node = self._helper.make_node(kind, names, outputs, **attributes)
            self._nodes[key], self._origins[first] = node, (kind, inputs)
        outputs = self._nodes[key].output
        pairs = zip(shapes, outputs, strict=True)
        return [Value(tuple(shape), output) for shape, output in pairs]

    def whole(self, x: Value, shape: Sequence[int]) -> Value:
        """Repeats the values of a tensor to `shape`."""
        if x.shape == tuple(shape):
            return x
        if x.array is not None and not has_image_axis(shape):
            return constant(np.broadcast_to(x.array, shape))
        parts: list[Value] = []
        for n, m in zip(shape, x.shape, strict=True):
            if n == m:
                parts.append(integers([1]))
            elif n == COUNT:
                images = Value((), INPUT)
                parts.append(self.op("Shape", images, shape=(1,), start=0, end=1))
            else:
                parts.append(integers([n]))
        sizes = self.op("Concat", *parts, shape=(len(parts),), axis=0)
        return self.op("Expand", x, sizes, shape=shape)

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """Gives a tensor other axes."""
        if x.shape == tuple(shape):
            return x
        if x.array is not None:
            return constant(x.array.reshape(shape))
        # The number of images, or a multiple of it, is left to the runtime.
        sizes = integers([-1 if n % COUNT == 0 else n for n in shape])
        return self.op("Reshape", x, sizes, shape=shape)

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        """Puts the axes of a tensor in another order."""
        order = [int(i) for i in order]
        shape = tuple(x.shape[i] for i in order)
        if order == sorted(order):
            return x
        if x.array is not None:
            return constant(x.array.transpose(order))
        return self.op("Transpose", x, shape=shape, perm=order)

    def inputs(self, x: Value, kind: str) -> tuple:
        """Inputs of the operation that gave `x`, if it was of this kind."""
        operation, inputs = self._origins.get(x.name, ("", ()))
        return inputs if operation == kind else ()

    def output(self, name: str, x: Value) -> str:
        """Gives a tensor the name of an output."""
        node = self._helper.make_node("Identity", [self._name(x)], [name])
        self._nodes[name] = node
        return name

    def model(self, onnx: Any, like: Any, outputs: list[str], avals: list) -> Any:
        """Makes the model, without operations that no output depends on."""
        nodes, names = live([*self._nodes.values()], outputs)
        initializers = [x for x in self._constants.values() if x.name in names]
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
        """Number that ONNX has for a type."""
        dtype = np.dtype(np.float32 if dtype == ml_dtypes.bfloat16 else dtype)
        return self._helper.np_dtype_to_tensor_dtype(dtype)

    def _described(self, name: str, like: Any) -> Any:
        shape = ["count" if n == COUNT else n for n in like.shape]
        return self._helper.make_tensor_value_info(
            name, self.type_of(like.dtype), shape
        )

    def _name(self, x: Value) -> str:
        if x.array is None:
            return x.name
        array = x.array
        if array.dtype == ml_dtypes.bfloat16:
            array = array.astype(np.float32)
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            tensor = self._numpy.from_array(np.ascontiguousarray(array), name)
            self._constants[key] = tensor
        return self._constants[key].name


def live(nodes: Sequence, outputs: Sequence[str]) -> tuple[list, set[str]]:
    """Nodes that outputs depend on, and names of all tensors among these."""
    names, live_nodes = set(outputs), []
    for node in reversed(nodes):
        if not names.isdisjoint(node.output):
            live_nodes.append(node)
            names.update(node.input)
    return live_nodes[::-1], names
