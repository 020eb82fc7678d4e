"""Several processes that work as one: agreement, and one that writes.

All run the same program and take the same decisions in the same order. Where clocks,
signals or files decide, process 0 decides for all; it alone writes.
"""

import json

import jax
import numpy as np

AXIS = "process"
HEARTBEAT_SECONDS = 20  # Time without a sign of life until a process is lost.


def start(
    coordinator: str, count: int | None = None, number: int | None = None
) -> None:
    """Joins a job; nothing else may be done with JAX before.

    Args:
      coordinator: address of process 0, "host:port"; or "auto" where the environment
        tells all (Slurm, Cloud TPU, Kubernetes, Open MPI).
      count: number of processes.
      number: number of this process, from 0 on.
    """
    # JAX would catch SIGTERM, which is ours to handle.
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        None if coordinator == "auto" else coordinator,
        count,
        number,
        heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
    )
    # Connections are made on first use, within 30 s of each other, so it is here.
    ones = np.ones((jax.local_device_count(), 1), np.float32)
    everywhere = jax.pmap(
        lambda x: jax.lax.psum(x, AXIS), axis_name=AXIS, devices=jax.devices()
    )
    jax.block_until_ready(everywhere(ones))
    agree(0)


def primary() -> bool:
    """Whether this process writes."""
    return jax.process_index() == 0


def agree(value: int) -> int:
    """Value of process 0."""
    if jax.process_count() == 1:
        return value
    return int(share(np.array(value)))


def largest(value: int) -> int:
    """Largest value of all processes."""
    if jax.process_count() == 1:
        return value
    return int(np.max(gather(np.array([value]))))


def gather(tree):
    """Arrays of all processes in their order, joined along the first axis."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(tree, tiled=True)


def share(tree):
    """Arrays of process 0, to the last bit; others pass arrays of the same shapes."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    leaves, structure = jax.tree.flatten(jax.device_get(tree))
    leaves = [np.asarray(leaf) for leaf in leaves]
    # They travel as integers: a broadcast is a sum, which loses the sign of -0.0.
    raw = b"".join(leaf.tobytes() for leaf in leaves)
    words = np.frombuffer(raw + bytes(-len(raw) % 4), np.uint32)
    raw = np.asarray(multihost_utils.broadcast_one_to_all(words)).tobytes()
    shared, start = [], 0
    for leaf in leaves:
        values = np.frombuffer(raw, leaf.dtype, leaf.size, start)
        shared.append(values.reshape(leaf.shape))
        start += leaf.nbytes
    return jax.tree.unflatten(structure, shared)


def share_mappings(tree):
    """Nested mappings of process 0's arrays; others may have other names and shapes."""
    if jax.process_count() == 1:
        return tree
    kinds = jax.tree.map(lambda x: [np.shape(x), np.result_type(x).name], tree)
    text = np.frombuffer(json.dumps(kinds).encode(), np.uint8)
    size = agree(len(text))
    text = share(text if primary() else np.zeros(size, np.uint8))
    is_kind = lambda x: isinstance(x, list)
    zeros = jax.tree.map(
        lambda kind: np.zeros(*kind), json.loads(text.tobytes()), is_leaf=is_kind
    )
    return share(tree if primary() else zeros)


def lost(error: BaseException) -> bool:
    """Whether an error says that another process is gone."""
    signs = ("Gloo", "coordination service", "Connection closed by peer", "NCCL")
    text = str(error)
    return jax.process_count() > 1 and any(sign in text for sign in signs)
