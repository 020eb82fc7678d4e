"""A scorer as an ONNX file, which any ONNX runtime can run.

The graph is `images -> (scores, anomalous, heatmaps)`, of any number of images `uint8
[count, S, S, C]`, parameters inside. Its metadata hold, under `ocjax`, the fields of
`scorer.Card` and the format; and, at the file's end, a checksum of all before.

The program that JAX traces is written operation by operation: `_trace` goes through
them, `_operations` writes each, `_graph` collects the nodes. Convolutions are ONNX's
own, and values that do not depend on the images are computed on writing. Networks of
lower precision compute in float32 here.
"""

import hashlib
import json
import os
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ocjax import _extras, _files
from ocjax._checks import InputError
from ocjax.inference import archive
from ocjax.inference.onnx._graph import INPUT, OUTPUTS, live
from ocjax.inference.scorer import Card, Scorer, in_chunks

if TYPE_CHECKING:
    from ocjax.methods import Method, State

__all__ = ["load", "save"]

KIND, METADATA, CHECKSUM = "onnx", "ocjax", "ocjax_sha256"
_DOMAINS = {"", "ai.onnx"}
_VERSION = b"\x08"  # Tag of the field that ONNX writes first.


def save(
    path: str | os.PathLike, card: Card, method: "Method", state: "State"
) -> pathlib.Path:
    """Writes the file, whole or not at all; returns its path.

    Args:
      path: file to write; its folder is made.
      card: description of the scorer; without a threshold nothing is anomalous.
      method: any method of images `[B, S, S, C]`.
      state: trained state of the method.

    Raises:
      InputError: packages are missing, or the method has operations that cannot be
        written.
    """
    onnx, _ = _packages()
    # JAX and flax are imported here: `load` does not need them.
    from ocjax.data.images import to_float
    from ocjax.evaluation import heatmaps
    from ocjax.inference.onnx._trace import traced_model

    explain = heatmaps.explained(method)
    threshold = np.float32(np.inf if card.threshold is None else card.threshold)

    def judge(images):
        scores, maps = explain(state, to_float(images))
        return scores, scores > threshold, maps

    model = traced_model(onnx, judge, card.shape)
    described = json.dumps(archive.described(KIND, card))
    onnx.helper.set_model_props(model, {METADATA: described})
    path = pathlib.Path(path)
    with _files.replacing(path) as temporary:
        temporary.write_bytes(sealed(onnx, model.SerializeToString()))
    return path


def sealed(onnx: Any, content: bytes) -> bytes:
    """Joins the bytes of a model, and metadata with their checksum.

    Bytes of two messages that follow each other are those of one with the fields of
    both, so any runtime reads the file.
    """
    end = onnx.ModelProto()
    end.metadata_props.add(key=CHECKSUM, value=hashlib.sha256(content).hexdigest())
    return content + end.SerializeToString()


def load(path: str | os.PathLike) -> Scorer:
    """Loads the scorer in a file, run by onnxruntime on the processor.

    Args:
      path: file that `save` wrote.

    Raises:
      InputError: packages are missing, or `save` did not write the file, or it is
        damaged, of another version, does not fit its card, or would do more than
        compute.
    """
    path = pathlib.Path(path)
    content = path.read_bytes()
    if not content.startswith(_VERSION):
        raise InputError(f"{path} is no model file, or is damaged.")
    onnx, runtime = _packages()
    try:
        model = onnx.load_model_from_string(content)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        described = json.loads(metadata.get(METADATA, "null"))
    except Exception as error:  # Damaged bytes may raise anything.
        raise InputError(f"{path} is no model file, or is damaged: {error!r}") from None
    kind, card = archive.parse(described, path)
    if kind != KIND:
        raise InputError(f"{path} is a model file of the unknown kind {kind!r}.")
    if suspicion := _suspicion(onnx, model):
        raise InputError(
            f"{path} has a program with {suspicion}, which no exported detector has: "
            "it is not run."
        )
    if content != sealed(onnx, content[: -len(sealed(onnx, b""))]):
        raise InputError(f"{path} is damaged, or was changed: its checksum differs.")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = _cores()
    options.log_severity_level = 4  # Errors are raised, and need not be printed.
    start = lambda content: runtime.InferenceSession(
        content,
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # A fallback would print an error, and try again.
    )
    scores_name, _, maps_name = OUTPUTS
    try:
        everything = start(content)
        fits = _fits(everything, card)
        # A session computes all of its outputs, also those that are not asked for.
        only_scores = start(_only_scores(model)) if fits else None
    except Exception as error:
        raise InputError(f"{path} has a damaged program: {error!r}") from None
    if only_scores is None:
        raise InputError(f"{path} has a program that does not fit its card.")

    def score(images):
        run = lambda x: only_scores.run([scores_name], {INPUT: x})
        return in_chunks(run, images)[0]

    def explain(images):
        run = lambda x: everything.run([scores_name, maps_name], {INPUT: x})
        scores, maps = in_chunks(run, images)
        return scores, maps

    return Scorer(card, score, explain)


def _packages() -> tuple[Any, Any]:
    """Imports `onnx` and `onnxruntime`."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"ONNX files need {error.name}: {_extras.install('onnx')}"
        ) from error
    return onnx, onnxruntime


def _cores() -> int:
    """Number of processor cores that the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _suspicion(onnx: Any, model: Any) -> str | None:
    """Name of a part of a graph that `save` never writes and that could do harm."""
    kinds = onnx.AttributeProto
    plain = {kinds.FLOAT, kinds.INT, kinds.STRING, kinds.TENSOR}
    plain |= {kinds.FLOATS, kinds.INTS, kinds.STRINGS}
    graph = model.graph
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    tensors = [*graph.initializer, *(attribute.t for attribute in attributes)]
    domains = {part.domain for part in (*graph.node, *model.opset_import)} - _DOMAINS
    if domains:
        return f"operations of {', '.join(map(repr, sorted(domains)))}"
    if model.functions or any(x.type not in plain for x in attributes):
        return "programs inside"
    if any(map(onnx.external_data_helper.uses_external_data, tensors)):
        return "parameters in other files"
    return "sparse parameters" if graph.sparse_initializer else None


def _fits(session: Any, card: Card) -> bool:
    """Whether a session takes the card's images and gives the three outputs."""
    inputs = [(x.name, x.type, x.shape[1:]) for x in session.get_inputs()]
    outputs = tuple(x.name for x in session.get_outputs())
    if inputs != [(INPUT, "tensor(uint8)", list(card.shape))] or outputs != OUTPUTS:
        return False
    for count in (1, 2):
        arrays = session.run(None, {INPUT: np.zeros((count, *card.shape), np.uint8)})
        if [(x.dtype, x.shape) for x in arrays] != [
            (np.float32, (count,)),
            (np.bool_, (count,)),
            (np.float32, (count, card.size, card.size)),
        ]:
            return False
    return True


def _only_scores(model: Any) -> bytes:
    """Bytes of the model without parts that its scores do not need; changes `model`."""
    graph = model.graph
    nodes, names = live(graph.node, OUTPUTS[:1])
    initializers = [x for x in graph.initializer if x.name in names]
    for field, items in (
        (graph.node, nodes),
        (graph.initializer, initializers),
        (graph.output, [graph.output[0]]),
    ):
        del field[:]
        field.extend(items)
    return model.SerializeToString()
