"""A scorer as a compiled program in one file, which JAX alone can run.

The file is a zip archive with two members:

* `card.json`: the fields of `scorer.Card`, and the format;
* `program.jaxexport`: the function `images -> (scores, anomalous, heatmaps)` of any
  number of images `uint8 [N, S, S, C]`, for CPU, CUDA and TPU, parameters inside.
"""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from ocjax._checks import InputError
from ocjax.data.images import to_float
from ocjax.inference import archive
from ocjax.inference.scorer import Card, Scorer, in_chunks

if TYPE_CHECKING:
    from ocjax.methods import Method, State

KIND, PROGRAM = "stablehlo", "program.jaxexport"
PLATFORMS = ("cpu", "cuda", "tpu")
_CALLED = re.compile(r"custom_call\s*@([\w.]+)")
_HARMLESS = {"shape_assertion", "mhlo.topk"}


def program(card: Card, method: "Method", state: "State"):
    """Makes the function `images uint8 [N, S, S, C] -> (scores, anomalous, heatmaps)`.

    `N` is any number. Without a threshold nothing is anomalous.
    """
    from ocjax.evaluation import heatmaps  # Here, since `load` does not need flax.

    # Functions of their own, so that what they make of the state alone, which may be
    # larger than it is, is computed when they run, and not written down.
    explain, inner = jax.jit(heatmaps.explained(method)), jax.jit(method.score)
    threshold = np.float32(np.inf if card.threshold is None else card.threshold)

    # Networks get one image, so that none sees the number of images, a symbol.
    def score(image):
        return inner(state, to_float(image)[None])[0]

    def explain_one(image):
        return explain(state, to_float(image)[None])[1][0]

    def judge(images):
        scores = jax.vmap(score)(images)
        if method.reconstruct is not None or method.anomaly_map is not None:
            maps = jax.vmap(explain_one)(images)
        else:  # `vmap` would make convolutions of that symbol, unused, for gradients.
            maps = jax.lax.map(explain_one, images)
        return scores, scores > threshold, maps

    return judge


def save(
    path: str | os.PathLike, card: Card, method: "Method", state: "State"
) -> pathlib.Path:
    """Writes the file, whole or not at all; returns its path."""
    (count,) = export.symbolic_shape("count")
    images = jax.ShapeDtypeStruct((count, *card.shape), jnp.uint8)
    judge = jax.jit(program(card, method, state))
    with _without_folders():
        exported = export.export(judge, platforms=PLATFORMS)(images)
    return archive.write(path, KIND, card, {PROGRAM: bytes(exported.serialize())})


@contextlib.contextmanager
def _without_folders() -> Iterator[None]:
    """Lets programs name their source files, but not the folders of those."""
    name = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, name)
    jax.config.update(name, ".*/")
    try:
        yield
    finally:
        jax.config.update(name, before)


def load(file: archive.Archive) -> Scorer:
    """Loads the scorer in an opened file.

    Raises:
      InputError: its program is damaged, does not fit its card, or would do more than
        compute.
    """
    try:
        exported = export.deserialize(bytearray(file.members[PROGRAM]))
        module = exported.mlir_module()
        (count, *shape) = exported.in_avals[0].shape
    except Exception as error:  # Damaged bytes may raise anything.
        raise InputError(f"{file.path} has a damaged program: {error!r}") from error
    shapes = [[str(n) for n in aval.shape] for aval in exported.out_avals]
    side = str(file.card.size)
    if (
        [aval.dtype for aval in exported.in_avals] != [np.uint8]
        or tuple(shape) != file.card.shape
        or shapes != [[str(count)], [str(count)], [str(count), side, side]]
    ):
        raise InputError(f"{file.path} has a program that does not fit its card.")
    if unknown := set(_CALLED.findall(module)) - _HARMLESS:
        raise InputError(
            f"{file.path} has a program that calls {', '.join(unknown)}, which no "
            "exported detector does: it is not run."
        )
    everything = jax.jit(exported.call)
    only_scores = jax.jit(lambda x: exported.call(x)[0])

    def score(images):
        return in_chunks(lambda x: (only_scores(x),), images)[0]

    def explain(images):
        scores, _, maps = in_chunks(everything, images)
        return scores, maps

    return Scorer(file.card, score, explain)
