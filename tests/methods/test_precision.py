"""Methods whose networks compute in bfloat16, beside the same in float32."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core
from tiny_methods import MAIN, STEPPING, step_of_each_stage

from ocjax.methods import Method, State

IMAGES = jax.random.uniform(jax.random.key(0), (8, 32, 32, 1), minval=-1)
PRODUCTS = {"dot_general", "conv_general_dilated"}
PLAIN = "knn", "lof", "iforest"  # They project nothing, as they are there.
EXPONENTIALS = {"exp", "expm1", "log", "log1p", "logistic", "tanh", "sqrt", "rsqrt"}


class Case(NamedTuple):
    method: Method
    program: core.Jaxpr | None  # A step of each stage, where all have steps.
    state: State  # After two steps of each stage.
    metrics: Any
    scores: jax.Array


@pytest.fixture(scope="module", params=[n for n in MAIN if n not in PLAIN])
def cases(request):
    """The method in float32, and in bfloat16."""
    build, config = MAIN[request.param]
    return _case(build(config)), _case(build(config, dtype=jnp.bfloat16))


def _case(method):
    state, metrics = jax.jit(method.init)(jax.random.key(1), IMAGES), {}
    step, program = functools.partial(step_of_each_stage, method), None
    if not method.computes:
        traced = jax.jit(step).trace(state, IMAGES, jax.random.key(2))
        step, program = traced.lower().compile(), traced.jaxpr.jaxpr
    for i in range(2):
        state, metrics = step(state, IMAGES, jax.random.key(2 + i))
    scores = jax.jit(method.score)(state, IMAGES)
    return Case(method, program, state, metrics, scores)


def test_what_is_learned_and_returned_is_finite_and_of_float32(cases):
    kinds = lambda case: jax.tree.map(lambda x: (x.shape, x.dtype), case[2:])
    single, half = cases
    assert kinds(half) == kinds(single)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(half[2:]))
    for function in (half.method.embed, half.method.reconstruct):
        if function is not None:
            assert jax.eval_shape(function, half.state, IMAGES).dtype == jnp.float32


def test_scores_are_near_those_of_float32(cases):
    single, half = cases
    np.testing.assert_allclose(half.scores, single.scores, rtol=0.05, atol=1e-4)
    assert (half.scores != single.scores).any()


def _equations(jaxpr):
    """All equations of a program, those of its parts too."""
    yield from jaxpr.eqns
    for part in core.subjaxprs(jaxpr):
        yield from _equations(part)


@pytest.mark.parametrize("cases", STEPPING, indirect=True)
def test_products_are_of_bfloat16_but_no_sum_and_no_exponential(cases):
    half = [
        equation
        for equation in _equations(cases[1].program)
        if equation.invars and equation.invars[0].aval.dtype == jnp.bfloat16
    ]
    names = {equation.primitive.name for equation in half}
    assert names >= PRODUCTS and not names & EXPONENTIALS
    for equation in half:
        if equation.primitive.name == "reduce_sum":  # Only of axes of one place.
            assert equation.invars[0].aval.size == equation.outvars[0].aval.size
