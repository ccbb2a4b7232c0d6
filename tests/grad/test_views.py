"""Loops that tell no slice of what else they tell."""

import numpy as np
import pytest

import graphc as gc
from graphc.core import toposort
from graphc.grad.loops import tell_once
from graphc.grad.loops.loop import is_loop

RNG = np.random.default_rng(0)
N = 3


def gated(carry, x):
    """A step that tells a value, both halves of it, one of them put beside another value, and the carry."""
    z = x * carry
    left, right = gc.split(z, 2, axis=1)
    wide = gc.concatenate([right * 2, right], axis=1)
    return carry + gc.concatenate([left, right], axis=1), (z, left, wide, right, right * 2, carry)


def scanned(steps, batch):
    x = gc.input("x", (steps, batch, 2 * N))
    start = gc.input("start", (batch, 2 * N))
    last, told = gc.scan(gated, start, x)
    return [start, x], [last, *told]


def told(roots):
    (loop,) = [node for node in toposort(roots) if is_loop(node)]
    return len(loop.type.parts)


def test_a_slice_is_told_once():
    inputs, roots = scanned(4, 2)
    new = tell_once(roots)
    assert told(roots) == 8  # with the history
    assert told(new) == 4  # the last carry, z, wide, and the carries before each step
    values = [RNG.normal(size=x.shape).astype("float32") for x in inputs]
    run = [gc.compile(inputs, graph, optimize=False)(*values) for graph in (roots, new)]
    for plain, sliced in zip(*run, strict=True):
        np.testing.assert_array_equal(sliced, plain)


def test_named_sizes_and_bodies_in_bodies():
    _, roots = scanned("steps", "batch")
    assert [x.type for x in tell_once(roots)] == [x.type for x in roots]
    assert told(tell_once(roots)) == 4
    outer = gc.scan(lambda c, x: (c + sum(map(gc.sum, gc.scan(gated, x[0], x)[1])), ()), 0.0, gc.input("xs", (2, 4, 2, 2 * N)))[0]
    (body,) = [node.attributes["body"] for node in toposort(tell_once([outer])) if is_loop(node)]
    assert told(list(body.outputs)) < 8


def test_what_tells_no_slice_stays_as_it_is():
    last, told = gc.scan(lambda c, x: (c * x, (c, x + c)), gc.input("c", (2,)), gc.input("x", (3, 2)))
    assert tell_once([last, *told]) == [last, *told]


def test_a_recurrent_layer_on_jax_tells_once():
    pytest.importorskip("jax")
    w = gc.input("w", (N, 2 * N))
    xs = gc.input("xs", (4, 2, 2 * N))

    def cell(h, x):
        z = gc.sigmoid(x + h @ w)
        return z[:, :N] * gc.tanh(h) + z[:, N:], ()

    loss = gc.sum(gc.square(gc.scan(cell, gc.zeros((2, N)), xs)[0]))
    graph = [loss, *gc.grad(loss, [w, xs])]
    values = [RNG.normal(size=x.shape).astype("float32") for x in (w, xs)]
    for one, other in zip(gc.compile([w, xs], graph)(*values), gc.compile([w, xs], graph, backend="jax")(*values), strict=True):
        np.testing.assert_allclose(np.asarray(other), one, rtol=2e-5, atol=1e-6)
