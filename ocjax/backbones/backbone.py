"""A frozen network with its weights, by its name."""

import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ocjax import _checks, _files
from ocjax.backbones import weights as sources
from ocjax.backbones.efficientnet_lite import EfficientNetLite
from ocjax.backbones.resnet import ResNet

Params = Mapping[str, Mapping[str, Any]]  # Layer -> {"kernel": ..., "bias": ...}.


class Network(NamedTuple):
    """An architecture, and the side of the pictures that it was trained on."""

    module: EfficientNetLite | ResNet
    side: int


NETWORKS = {
    "efficientnet_lite0": Network(EfficientNetLite(width=1.0, depth=1.0), 224),
    "efficientnet_lite1": Network(EfficientNetLite(width=1.0, depth=1.1), 240),
    "efficientnet_lite2": Network(EfficientNetLite(width=1.1, depth=1.2), 260),
    "resnet18": Network(ResNet((2, 2, 2, 2)), 224),
    "resnet50": Network(ResNet((3, 4, 6, 3), bottleneck=True), 224),
    "wide_resnet50_2": Network(ResNet((3, 4, 6, 3), bottleneck=True, inner=128), 224),
}


class Feature(NamedTuple):
    """Output of one layer of a network.

    Attributes:
      channels: number of channels of the map or the vector.
      stride: pixels of the picture from one place of the map to the next; None for
        vectors, which have no places.
    """

    channels: int
    stride: int | None


@dataclasses.dataclass(frozen=True, eq=False)
class Backbone:
    """A frozen network and the weights that it was trained to.

    Attributes:
      name: key of `NETWORKS`.
      version: fingerprint of the weights, 16 hexadecimal digits, the same for equal
        weights from any file.
      side: side of the pictures that it was trained on, in pixels; any other size
        works.
      params: float32 arrays of the host; `apply` takes them, or a copy on a device.
      features: features by their names, in the order in which they are computed.
      maps: name of the last map that blocks give, by stride.
      expanded: name of the last map inside a block, after its expansion and ReLU6, by
        stride; empty for networks whose blocks do not expand.
    """

    name: str
    version: str
    side: int
    params: Params
    features: Mapping[str, Feature]
    maps: Mapping[int, str]
    expanded: Mapping[int, str]

    def apply(
        self, params: Params, images: jax.typing.ArrayLike, names: Collection[str]
    ) -> dict[str, jax.Array]:
        """Computes features of images, and nothing behind the last one; pure.

        Args:
          params: parameters of the backbone.
          images: floats of shape `[B, H, W, 1 or 3]`, in [-1, 1]; any size.
          names: names of the features, keys of `features`.

        Returns:
          Maps `[B, ceil(H / stride), ceil(W / stride), C]`, or vectors `[B, C]`,
          float32, by their names.

        Raises:
          InputError: a name is no feature's.
          ValueError: the images have another shape or type.
        """
        for name in names:
            _checks.one_of(f"feature of {self.name}", name, self.features)
        module = NETWORKS[self.name].module
        return module.apply({"params": params}, images, names)  # pyright: ignore


def load(name: str, weights: str | os.PathLike | None = None) -> Backbone:
    """Loads a frozen network; equal calls in one process return the same.

    Args:
      name: key of `NETWORKS`.
      weights: file with the network's state dict (`.npz`, `.safetensors`, or `.pth`
        and `.pt`, read without PyTorch); None takes those of an installed package.

    Raises:
      InputError: there is no such network, there are no weights for it, or the file is
        damaged or another network's.
    """
    _checks.one_of("backbone", name, NETWORKS)
    if weights is None:
        return _load(name)
    path = _files.local(weights, "the file of weights")
    return _load(name, path.absolute(), sources.stamp(path))


def from_tensors(
    name: str, tensors: sources.Tensors, source: str = "The state dict"
) -> Backbone:
    """Makes a frozen network from the tensors of its state dict.

    Args:
      name: key of `NETWORKS`.
      tensors: tensors by the names that PyTorch has for them; counts of batches, and a
        classifier that the network here lacks, may be among them.
      source: origin of the tensors, which messages begin with.

    Raises:
      InputError: there is no such network, or a tensor is missing, misshapen, too
        much or no finite floats.
    """
    _checks.one_of("backbone", name, NETWORKS)
    module, side = NETWORKS[name]
    parts = layout(name)
    tensors = sources.checked(tensors, parts.tensors, module.UNUSED, name, source)
    params = {
        layer: _fold(tensors, layer, module.norm(layer), module.EPSILON)
        for layer in parts.layers
    }
    return Backbone(
        name=name,
        version=_digest(tensors),
        side=side,
        params=params,
        features=parts.features,
        maps=_last(parts.features, ("block", "layer")),
        expanded=_last(parts.features, ("expanded",)),
    )


@functools.lru_cache(maxsize=4)
def _load(
    name: str, path: pathlib.Path | None = None, stamp: tuple[int, ...] = ()
) -> Backbone:
    """Loads a network; another stamp is another file at the same path."""
    del stamp
    if path is None:
        return from_tensors(name, sources.of_package(name), f"The package of {name}")
    return from_tensors(name, sources.of_file(path), str(path))


class Layout(NamedTuple):
    """A network's layers with parameters, its state dict's shapes, and its features."""

    layers: list[str]
    tensors: dict[str, tuple[int, ...]]
    features: dict[str, Feature]


@functools.cache
def layout(name: str) -> Layout:
    """Finds the layout of a network, by tracing it."""
    module, pixels = NETWORKS[name].module, 128
    features: dict[str, Feature] = {}

    def traced(images):
        maps, variables = module.init_with_output(jax.random.key(0), images)
        for key, x in maps.items():  # Names are noted here: results lose their order.
            stride = pixels // x.shape[1] if x.ndim == 4 else None
            features[key] = Feature(x.shape[-1], stride)
        return variables["params"]

    images = jax.ShapeDtypeStruct((1, pixels, pixels, 3), jnp.float32)
    params = jax.eval_shape(traced, images)
    tensors: dict[str, tuple[int, ...]] = {}
    for layer in params:
        *sides, inputs, outputs = params[layer]["kernel"].shape
        tensors[f"{layer}.weight"] = (outputs, inputs, *sides)
        norm = module.norm(layer)
        if norm is None:
            tensors[f"{layer}.bias"] = (outputs,)
        else:
            parts = ("weight", "bias", "running_mean", "running_var")
            tensors |= {f"{norm}.{part}": (outputs,) for part in parts}
    return Layout(list(params), tensors, features)


def _fold(
    tensors: sources.Tensors, layer: str, norm: str | None, epsilon: float
) -> dict[str, np.ndarray]:
    """Kernel and bias of a layer, with the normalization that follows it inside."""
    weight = tensors[f"{layer}.weight"].astype(np.float64)
    kernel = weight.transpose(*range(2, weight.ndim), 1, 0)
    if norm is None:
        return _float32(kernel, tensors[f"{layer}.bias"])
    gain, bias, mean, variance = (
        tensors[f"{norm}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / np.sqrt(variance + epsilon)
    return _float32(kernel * scale, bias - mean * scale)


def _float32(kernel: np.ndarray, bias: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {"kernel": kernel, "bias": bias}
    return {name: np.ascontiguousarray(x, np.float32) for name, x in arrays.items()}


def _digest(tensors: sources.Tensors) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].shape} ".encode())
        digest.update(np.ascontiguousarray(tensors[name], "<f4").tobytes())
    return digest.hexdigest()[:16]


def _last(features: Mapping[str, Feature], prefixes: tuple[str, ...]) -> dict[int, str]:
    return {
        feature.stride: name
        for name, feature in features.items()
        if feature.stride is not None and name.startswith(prefixes)
    }
