"""The precision that networks compute in.

Parameters and BatchNorm statistics are float32. A network casts its inputs to its field
`dtype`, and a layer computes in the dtype of its input, to which it casts its
parameters. In bfloat16 that leaves products, biases and rectifiers in half precision;
sums of many numbers and whatever is made of exponentials are widened to float32, and so
is all that `apply` returns.
"""

import jax
import jax.numpy as jnp


def widen(x: jax.Array) -> jax.Array:
    """Returns `x` in float32, or in its own type if that is wider."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
