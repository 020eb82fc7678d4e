"""A scorer as an ONNX file, which any ONNX runtime can run.

The graph is `images -> (scores, anomalous, heatmaps)`, of any number of images `uint8
[count, S, S, C]`, parameters inside. Its metadata hold, under `ocjax`, what
`scorer.Card` holds, and the format; and, at the file's end, a checksum of all before.

What JAX traces is written operation by operation: `_trace` goes through them,
`_operations` says how each is written, `_graph` collects what was. Convolutions are
ONNX's own, and what does not depend on the images is computed on writing. Networks of
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
      path: of the file; its folder is made.
      card: what the scorer says of itself; without a threshold nothing is anomalous.
      method: any, of images `[B, S, S, C]`.
      state: its trained state.

    Raises:
      InputError: packages are missing, or the method computes what cannot be written.
    """
    onnx, _ = _packages()
    # With JAX and flax, which `load` does not need.
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
    """The bytes of a model, and metadata with their checksum.

    Bytes of two messages that follow each other are those of one with the fields of
    both, so any runtime reads the file.
    """
    end = onnx.ModelProto()
    end.metadata_props.add(key=CHECKSUM, value=hashlib.sha256(content).hexdigest())
    return content + end.SerializeToString()


def load(path: str | os.PathLike) -> Scorer:
    """The scorer in a file, run by onnxruntime on the processor.

    Args:
      path: of a file that `save` wrote.

    Raises:
      InputError: packages are missing, or the file is none of those, is damaged, of
        another version, does not fit its card, or would do more than compute.
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
    if content != sealed(onnx, content[: -len(sealed(onnx, b""))]):
        raise InputError(f"{path} is damaged, or was changed: its checksum differs.")
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
            f"ONNX files need {error.name}: {_extras.install('onnx')}"
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
    nodes, needed = live(graph.node, OUTPUTS[:1])
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
