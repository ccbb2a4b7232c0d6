"""The rewrites that other systems got wrong (calculus, section 3), as far as the ops exist, on the whole table."""

import numpy as np
import pytest

import graphc.ops as o
from graphc.core import constant, input, toposort
from graphc.core.errors import ShapeError
from graphc.lower import interpret
from graphc.ops.index import add_at, place
from graphc.rewrite import ALL, DEFAULT, simplify

x = input("x", (5,), "float32")
m = input("m", (2, 3), "float32")
i = input("i", (3,), "int32")
VALUES = {x: np.array([-2, -0.5, 0, 1, 3], "float32"), m: np.array([[1, -2, 3], [4, 5, -6]], "float32"), i: np.array([1, 1, 0], "int32")}


def _put(part, shape, *index):
    return place(part, shape=shape, index=index)


PROGRAMS = {
    "indexing a negative-stride slice": lambda: x[3:0:-1][1],
    "indexing a negative-stride slice to the end": lambda: x[::-1][0:],
    "reduce of a concatenate along another axis": lambda: o.sum(o.concatenate([m, m * 2], axis=1), axis=0),
    "reduce of a concatenate along its axis": lambda: o.sum(o.concatenate([m, m * 2], axis=1), axis=1),
    "max of a concatenate": lambda: o.max(o.concatenate([m, m * 2], axis=0), axis=1),
    "two reductions in a row": lambda: o.sum(o.sum(m, axis=0), axis=0),
    "two reductions in a row, the axes counted anew": lambda: o.sum(o.sum(m + o.reshape(x[:4], (4, 1, 1)), axis=0), axis=0),
    "two reductions in a row of two kinds": lambda: o.max(o.sum(m, axis=0), axis=0),
    "sum of a division by a broadcast": lambda: o.sum(m / o.reshape(m[:, 0], (2, 1)), axis=0),
    "sum of a division by a broadcast along the axis": lambda: o.sum(m / o.sum(m, axis=1, keepdims=True), axis=1),
    "sum of a product with a broadcast": lambda: o.sum(o.broadcast_to(m[0], (2, 3)) * m, axis=0),
    "add on duplicate indices": lambda: add_at(m[0], i, axis=0, length=2),
    "argmax through softmax": lambda: o.argmax(o.softmax(m * 1000), axis=1),
    "argmax through softmax along another axis": lambda: o.argmax(o.softmax(m, axis=0), axis=1),
    "sqrt(square)": lambda: o.sqrt(o.square(x)),
    "square(sqrt)": lambda: o.square(o.sqrt(x)),
    "CSE that forgets a parameter": lambda: o.sum(m, axis=0, keepdims=True) + o.sum(m, axis=1, keepdims=True),
    "CSE that forgets the axis": lambda: o.softmax(m, axis=0) - o.softmax(m, axis=1),
    "exp(log)": lambda: o.exp(o.log(x)),
    "(x + 1e16) - 1e16": lambda: (o.cast(x, dtype="float64") + 1e16) - 1e16,
    "where pushed into a partial function": lambda: o.where(x > 0, o.log(x), 0),
    "0 * inf": lambda: o.exp(x * 1000) * 0,
    "inf - inf": lambda: o.exp(x * 1000) - o.exp(x * 1000),
    "0 / 0": lambda: x / x,
    "sum of a product that repeats a factor": lambda: o.sum(o.expand_dims(m, 2) * o.expand_dims(m.T, 0), axis=1),
    "sum of a product along a repeated axis": lambda: o.sum(m * x[:3], axis=0),
    "parts that meet in one place": lambda: _put(m[0], (5,), slice(0, 3)) + _put(m[1], (5,), slice(2, 5)),
    "parts that leave a gap": lambda: _put(x[:2], (5,), slice(0, 2)) + _put(x[:2], (5,), slice(3, 5)),
    "parts with a step": lambda: _put(m[0], (6,), slice(0, None, 2)) + _put(m[1], (6,), slice(1, None, 2)),
    "parts along two axes": lambda: _put(m[:1], (2, 3), slice(0, 1), slice(None)) + _put(m[:, :1], (2, 3), slice(None), slice(2, 3)),
    "max of the elements of max, the axes counted anew": lambda: o.max(o.max(m + o.reshape(x[:4], (4, 1, 1)), axis=0), axis=0),
    "a stack of transposed products": lambda: o.sum(o.reshape(m, (2, 3, 1)) @ o.reshape(m, (2, 1, 3)), axis=0),
    "a + b - b": lambda: (x + 1e8) - 1e8,
    "NaN == NaN": lambda: o.equal(o.log(x), o.log(x)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_are_kept(name):
    root = PROGRAMS[name]()
    result = simplify([root])
    (plain,), (fast,) = interpret([root], VALUES), interpret(result.roots, VALUES)
    assert result.roots[0].type is root.type
    np.testing.assert_allclose(fast, plain, rtol=1e-6)


@pytest.mark.parametrize("factor", [1e30, [1e30, 1e30, 1e30]], ids=["scalar", "array"])
def test_constants_are_not_folded_to_inf(factor):
    big = constant(factor, "float32")
    v = input("v", (3,), "float32")
    root = v * big * big
    assert simplify([root]).roots[0] is root
    (value,) = interpret(simplify([root]).roots, {v: np.full(3, 1e-30, "float32")})
    np.testing.assert_allclose(value, 1e30, rtol=1e-6)


def test_constants_are_not_folded_to_zero():
    v = input("v", (3,), "float32")
    root = v * 1e-30 * 1e-30
    assert simplify([root]).roots[0] is root


def test_an_int_literal_leaves_a_float32_graph_alone():
    v = input("v", (3,), "float32")
    for root in (v * 2 + 1, v / 2, v**2, 1 / v, (v + 1) + 2, o.sum(o.broadcast_to(v, (4, 3)), axis=0)):
        assert {node.dtype for node in toposort(simplify([root]).roots)} == {"float32"}


def test_shapes_are_checked_before_any_rewrite():
    v, w = input("v", (3,)), input("w", (4,))
    for build in (lambda: v + o.zeros_like(w), lambda: v - v + w, lambda: o.where(v > 0, w, w)):
        with pytest.raises(ShapeError):
            build()


def test_x_minus_x_keeps_the_broadcast():
    v, w = input("v", (3,)), input("w", (2, 3))
    root = v - v + w * 0 + 1
    assert simplify([root], ALL).roots[0].type is root.type


@pytest.mark.parametrize("n", [0, 1, 3])
def test_named_sizes_may_be_anything(n):
    v = input("v", ("n", 2), "float32")
    w = input("w", (2,), "float32")
    values = {v: np.full((n, 2), np.inf, "float32"), w: np.array([np.inf, 1], "float32")}
    roots = [o.log(o.sum(o.exp(v), axis=0)), o.sum(-v, axis=0), o.sum(v, axis=0), v - v, o.sum(v * 2 + w * 0, axis=1)]
    for plain, fast in zip(interpret(roots, values), interpret(simplify(roots, DEFAULT).roots, values), strict=True):
        np.testing.assert_allclose(fast, plain)


def test_scales_do_not_chase_each_other_around_empty_products():
    a, b = input("a", (0, 0), "float64"), input("b", (0, 3), "float64")
    simplify([(a * 0.5) @ b * 2.0, 0.5 * (a @ a), a @ (0.5 * a), o.sum(a * 0.5) * 2.0])
