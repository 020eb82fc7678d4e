"""Convolutions that are exact and fast on every platform.

XLA's CPU backend differentiates `lax.conv` slowly, inside a loop catastrophically
(jax-ml/jax issue 12868). On CUDA, a training step with cuDNN's convolutions takes 1.9
times as long as with matrix products of patches, and four times where many models
train at once under `vmap` (benchmarks/convolutions.py). So these functions are matrix
products (`products.py`) on both, and `lax.conv_general_dilated` elsewhere; which form
it is, is decided when the program is lowered for a platform, unless a caller names one
or the environment does: with `OCJAX_CONVOLUTIONS=lax`, read once at import, every
convolution of the process that is called without a form has this one. Benchmarks
compare whole networks so.

Kernels are matrices, the same for both functions: `[O, k * k * C]`, where the `O` side
is the smaller image. A convolution reads `C` channels and writes `O`; the transposed
convolution with the same kernel reads `O` and writes `C`. Patches are laid out as
`(k, k, C)`. Images are `[B, H, W, C]`; kernels are square. Both are of one dtype, which
is that of the result; products of bfloat16 are added up in float32.
"""

import functools
import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from ocjax import _checks
from ocjax.modules import products
from ocjax.modules.products import Geometry

# Fastest form on each platform.
PLATFORMS = {"cpu": "products", "cuda": "patches", "default": "lax"}

# Form of convolutions that are called without one, in place of the platform's.
_ENVIRONMENT = os.environ.get("OCJAX_CONVOLUTIONS") or None


def conv(
    x: jax.Array, kernel: jax.Array, geometry: Geometry, form: str | None = None
) -> jax.Array:
    """Convolves images.

    Args:
      x: images, shape `[B, H, W, C]`.
      kernel: matrix of shape `[O, k * k * C]`.
      geometry: kernel side, stride and padding.
      form: "lax"; "products", the one that `products.choose` names; or one of
        `products.FORMS`, and patches where it does not fit. None is the form of
        `OCJAX_CONVOLUTIONS`, else that of `PLATFORMS`.

    Returns:
      Images of shape `[B, H', W', O]`, `H' = (H + 2 p - k) // s + 1`.

    Raises:
      InputError: there is no form of this name.
    """
    return _conv(x, kernel, geometry, _form_or_default(form))


def conv_transpose(
    x: jax.Array, kernel: jax.Array, geometry: Geometry, form: str | None = None
) -> jax.Array:
    """Convolves images transposed, the adjoint of `conv` with the same kernel.

    Args:
      x: images, shape `[B, H', W', O]`.
      kernel: matrix of shape `[O, k * k * C]`.
      geometry: kernel side, stride and padding.
      form: form of the computation, as for `conv`.

    Returns:
      Images of shape `[B, H, W, C]`, `H = s (H' - 1) + k - 2 p`.

    Raises:
      InputError: there is no form of this name.
    """
    return _conv_transpose(x, kernel, geometry, _form_or_default(form))


def _form_or_default(form: str | None) -> str | None:
    name = "form of convolution" if form else "OCJAX_CONVOLUTIONS"
    form = form or _ENVIRONMENT
    if not form:
        return None
    return _checks.one_of(name, form, ("lax", "products", *products.FORMS))


# Matrix products. With K for `expand(kernel)`, one product or a list of them:
#
#     conv:            y = collect(gather(x) K^T)    dx = scatter(spread(dy) K)
#     transposed conv: y = scatter(spread(x) K)      dx = collect(gather(dy) K^T)
#
# and dK is the product of what `spread` and `gather` return.


def _conv_matmul(form, geometry, x, kernel):
    maps = _products(form, geometry, x, kernel)
    return _to_smaller(maps, x, kernel)


def _conv_transpose_matmul(form, geometry, x, kernel):
    height, width = map(geometry.larger, x.shape[1:3])
    channels = kernel.shape[1] // geometry.kernel**2
    larger = jax.ShapeDtypeStruct((len(x), height, width, channels), x.dtype)
    maps = _products(form, geometry, larger, kernel)
    return _to_larger(maps, x, kernel)


def _conv_matmul_backward(form, geometry, x, kernel, dy):
    maps = _products(form, geometry, x, kernel)
    return _to_larger(maps, dy, kernel), _outer(maps, dy, x)


def _conv_transpose_matmul_backward(form, geometry, x, kernel, dy):
    maps = _products(form, geometry, dy, kernel)
    return _to_smaller(maps, dy, kernel), _outer(maps, x, dy)


def _products(form, geometry, larger, kernel) -> products.Products:
    larger = jax.ShapeDtypeStruct(larger.shape, larger.dtype)
    if form == "products":
        form = products.choose(geometry, larger, len(kernel))
    if not products.fits(form, geometry, larger):
        form = "patches"
    return products.build(form, geometry, larger, len(kernel))


def _to_smaller(maps, x, kernel):
    pairs = zip(maps.gather(x), maps.expand(kernel), strict=True)
    return maps.collect([_dot(v, u.T) for v, u in pairs]).astype(x.dtype)


def _to_larger(maps, y, kernel):
    pairs = zip(maps.spread(y), maps.expand(kernel), strict=True)
    return maps.scatter([_dot(m, u) for m, u in pairs]).astype(y.dtype)


def _outer(maps, smaller, larger):
    """Gradient of the kernel; `m^T v` is the order that is fast on CPU."""
    pairs = zip(maps.spread(smaller), maps.gather(larger), strict=True)
    return maps.contract([_dot(m.T, v) for m, v in pairs]).astype(smaller.dtype)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """Product `a b`, added up and returned in float32, or a wider type if given one."""
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return jnp.matmul(a, b, preferred_element_type=wide)


# The form "lax": `lax.conv_general_dilated`, which adds bfloat16 up in float32.


def _conv_lax(geometry, x, kernel):
    k, s, p = geometry
    kernel = kernel.reshape(-1, k, k, x.shape[-1])
    return lax.conv_general_dilated(
        x, kernel, (s, s), [(p, p)] * 2, dimension_numbers=("NHWC", "OHWI", "NHWC")
    )


def _conv_transpose_lax(geometry, x, kernel):
    k, s, p = geometry
    kernel = kernel.reshape(x.shape[-1], k, k, -1)[:, ::-1, ::-1]
    return lax.conv_general_dilated(
        x,
        kernel,
        (1, 1),
        [(k - 1 - p, k - 1 - p)] * 2,
        lhs_dilation=(s, s),
        dimension_numbers=("NHWC", "IHWO", "NHWC"),
    )


def _lax_backward(forward: Callable) -> Callable:
    def backward(geometry, x, kernel, dy):
        return jax.vjp(functools.partial(forward, geometry), x, kernel)[1](dy)

    return backward


def _differentiable(matmul: Callable, backward: Callable, on_lax: Callable) -> Callable:
    """Makes a function of (x, kernel, geometry, form) whose gradient is fast."""
    lax_backward = _lax_backward(on_lax)

    @functools.lru_cache(64)
    def compiled(form_fn, lax_fn, geometry, form):
        def in_form(form):
            if form == "lax":
                return functools.partial(lax_fn, geometry)
            return functools.partial(form_fn, form, geometry)

        if form is None:
            by_platform = {name: in_form(fast) for name, fast in PLATFORMS.items()}
            chosen = functools.partial(lax.platform_dependent, **by_platform)
        else:
            chosen = in_form(form)
        return jax.jit(chosen, inline=True)  # Traced once for equal shapes.

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
    def function(x, kernel, geometry, form):
        return compiled(matmul, on_lax, geometry, form)(x, kernel)

    def run_forward(x, kernel, geometry, form):
        return function(x, kernel, geometry, form), (x, kernel)

    def run_backward(geometry, form, residuals, dy):
        return compiled(backward, lax_backward, geometry, form)(*residuals, dy)

    function.defvjp(run_forward, run_backward)
    return function


_conv = _differentiable(_conv_matmul, _conv_matmul_backward, _conv_lax)
_conv_transpose = _differentiable(
    _conv_transpose_matmul, _conv_transpose_matmul_backward, _conv_transpose_lax
)


def to_hwio(kernel: jax.Array, size: int) -> jax.Array:
    """Turns a matrix kernel `[O, k * k * C]` into `[k, k, C, O]`."""
    return kernel.reshape(kernel.shape[0], size, size, -1).transpose(1, 2, 3, 0)


def from_hwio(kernel: jax.Array) -> jax.Array:
    """Turns a kernel `[k, k, C, O]` into the matrix `[O, k * k * C]`."""
    return kernel.transpose(3, 0, 1, 2).reshape(kernel.shape[-1], -1)
