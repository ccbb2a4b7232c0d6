"""Passes over memory that go: constants that meet outside of products and sums, and what is taken off a whole row."""

import numpy as np
import pytest

import graphc as gc
import graphc.ops as o
from graphc.core import input, toposort
from graphc.lower import interpret
from graphc.ops.index import pick
from graphc.rewrite import simplify

RNG = np.random.default_rng(5)


def leaf(*shape, dtype="float32"):
    return input("v", shape, dtype)


def count(roots, *names):
    return sum(node.op.name in names for node in toposort(roots) if node.op is not None)


def simplified(*roots):
    new = simplify(list(roots)).roots
    leaves = [node for node in toposort(roots) if node.kind == "input" and node.dtype.startswith("float")]
    values = {x: RNG.normal(size=x.shape).astype(x.dtype) for x in leaves}
    values |= {x: np.array([1, 0, 2], "int32") for x in toposort(roots) if x.kind == "input" and x.dtype == "int32"}
    for plain, fast in zip(interpret(roots, values), interpret(new, values), strict=True):
        np.testing.assert_allclose(fast, plain, rtol=2e-5, atol=1e-6)
    return new


def test_constants_of_a_product_meet():
    v, w = leaf(3, 4), leaf(3, 4)
    (new,) = simplified((2 * v) * (0.25 * o.exp(w)))
    assert count([new], "multiply") == 2
    (new,) = simplified((3 * v) / o.exp(w) * 7)
    assert count([new], "multiply") == 1


@pytest.mark.parametrize("sign", [1, -1])
def test_one_constant_of_two_terms_is_multiplied_once(sign):
    v, w = leaf(3, 4), leaf(3, 4)
    for root in (0.1 * v + 0.1 * sign * o.exp(w), 0.1 * v - 0.1 * sign * o.exp(w)):
        (new,) = simplified(root)
        assert count([new], "multiply") == 1


def test_the_seed_of_a_mean_is_multiplied_once_for_each_gradient():
    x, w = leaf(5, 6), leaf(5, 6)
    loss = o.mean(o.square(o.tanh(x * w)) * o.sin(x) + 0.5 * o.exp(-o.square(x)))
    (new,) = simplified(*gc.grad(loss, [w]))
    constants = [node for node in toposort([new]) if node.op is o.multiply and any(x.kind == "constant" for x in node.inputs)]
    assert len(constants) == 1


def test_a_constant_stays_where_moving_it_would_cost():
    v, w, row = leaf(3, 4), leaf(3, 4), leaf(4)
    shared = 0.1 * v
    for roots in ([shared * w, o.exp(shared)], [(0.1 * row) * v]):
        new = simplified(*roots)
        assert count(new, "multiply") == count(roots, "multiply")
        assert any(x.shape == roots[0].inputs[0].shape for x in new[0].inputs)
    narrow = leaf(3, dtype="float16"), leaf(3, dtype="float16")
    root = (narrow[0] * 0.001) * narrow[1]
    assert simplify([root]).roots == [root]


def test_log_softmax_is_not_made_whole_for_one_number_a_row():
    x, y, i = leaf(3, 4), leaf(3, 1), leaf(3, dtype="int32")
    (new,) = simplified(pick(x - y, i))
    assert new.op is o.subtract
    assert new.shape == new.inputs[0].shape == (3,)
    whole = x - y
    assert simplify([pick(whole, i), whole]).roots[0].op is pick
