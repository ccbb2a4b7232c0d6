"""What the rules make of gradients: the products that they end in, the passes over memory that go, and their values."""

import numpy as np
import pytest

import graphc as gc
import graphc.ops as o
from graphc.core import input, toposort
from graphc.lower import interpret
from graphc.rewrite import simplify

RNG = np.random.default_rng(3)


def ops_of(roots):
    return [node.op.name for node in toposort(roots) if node.op is not None]


def leaf(*shape, name="v"):
    return input(name, shape, "float32")


def same_values(roots, new, rtol=2e-5):
    leaves = [node for node in toposort(roots) if node.kind == "input"]
    values = {x: RNG.normal(size=x.shape).astype("float32") for x in leaves}
    for plain, fast, old, made in zip(interpret(roots, values), interpret(new, values), roots, new, strict=True):
        assert old.type is made.type
        np.testing.assert_allclose(fast, plain, rtol=rtol, atol=rtol * np.max(np.abs(plain), initial=0))


def simplified(*roots):
    new = simplify(list(roots)).roots
    same_values(list(roots), new)
    return new


# ---------------------------------------------------------------- products
def test_the_gradient_of_weights_on_a_stack_is_one_product():
    x, w, t = leaf(4, 5, 3), leaf(3, 2), leaf(4, 5, 2)
    (new,) = simplified(gc.grad(o.sum((x @ w) * t), [w])[0])
    assert new.op is o.matmul
    assert [node.shape for node in new.inputs] == [(3, 20), (20, 2)]


def test_a_chain_is_done_in_the_order_of_least_work():
    a, b, v = leaf(30, 20), leaf(20, 40), leaf(40)
    (new,) = simplified(a @ b @ v)
    assert [node.shape for node in toposort([new]) if node.op] == [(20,), (30,)]
    (new,) = simplified(leaf(30) @ (a @ b))
    assert [node.shape for node in toposort([new]) if node.op] == [(20,), (40,)]
    unknown = leaf("n", "k") @ leaf("k", "m") @ leaf("m")
    assert simplify([unknown]).roots == [unknown]


@pytest.mark.parametrize(
    ("left", "right", "axis"),
    [((2, 3, 1), (3, 4), 1), ((2, 1, 3), (4, 3), -1), ((5, 1, 2, 3), (4, 2, 3), (2, 3)), ((3,), (2, 3), 1), ((5, 1, 2, 3), (4, 2, 1), 2)],
)
def test_a_sum_of_a_product_that_repeats_a_factor_is_a_product_of_matrices(left, right, axis):
    (new,) = simplified(o.sum(leaf(*left) * leaf(*right), axis=axis))
    assert "matmul" in ops_of([new])
    assert "sum" not in ops_of([new])


def test_a_number_goes_to_the_smaller_factor():
    q, k = leaf(2, 8, 3), leaf(2, 3, 8)
    (new,) = simplified(0.3 * (q @ k))
    assert new.op is o.matmul
    (new,) = simplified(0.3 * leaf(2, 1) * (leaf(2, 5) * 2.0))
    assert [node.shape for node in toposort([new]) if node.op is o.multiply] == [(2, 1), (2, 5)]


# ---------------------------------------------------------------- patterns of gradients
def test_the_gates_of_a_cell_are_joined():
    z = leaf(3, 8)
    i, f, g, u = [z[:, 2 * k : 2 * k + 2] for k in range(4)]
    (gradient,) = gc.grad(o.sum(o.sigmoid(f) * o.sigmoid(i) * o.tanh(g) * u), [z])
    (new,) = simplified(gradient)
    assert new.op is o.concatenate
    assert "place" not in ops_of([new])


def test_cross_entropy_spelt_out_is_p_minus_target():
    x, t = leaf(4, 5), leaf(4, 5)
    (gradient,) = gc.grad(-o.sum(t * o.log(o.softmax(x))), [x])
    (new,) = simplified(gradient)
    assert "divide" not in ops_of([new])
    far = {x: np.tile(np.array([0, 200, 0, 0, 0], "float32"), (4, 1)), t: np.tile(np.array([1, 0, 0, 0, 0], "float32"), (4, 1))}
    np.testing.assert_array_equal(interpret([new], far)[0], np.tile(np.array([-1, 1, 0, 0, 0], "float32"), (4, 1)))


def test_the_gradient_of_log_one_plus_exp_does_not_overflow():
    x = leaf(3)
    for spelt in (o.log(1 + o.exp(x)), o.log(1 + o.exp(-x))):
        new = simplify(gc.grad(o.sum(spelt), [x])).roots
        value = interpret(new, {x: np.array([-200.0, 0.0, 200.0], "float32")})[0]
        assert np.isfinite(value).all()
        np.testing.assert_allclose(np.abs(value[1]), 0.5)


def test_rules_keep_the_values_of_random_programs():
    for seed in range(25):
        rng = np.random.default_rng(seed)
        x, w, v = leaf(4, 3), leaf(3, 5), leaf(5)
        h = [o.tanh, o.relu, o.sigmoid, o.softplus][rng.integers(4)](x @ w + v)
        h = [lambda h: h * h[:, :1], lambda h: h.T @ h, lambda h: o.softmax(h), lambda h: o.expand_dims(h, 0) * 2.0][rng.integers(4)](h)
        loss = [o.mean, o.sum, lambda h: o.sum(o.square(h)) / 7][rng.integers(3)](h)
        gradients = gc.grad(loss, [x, w, v])
        roots = [loss, *[p - 0.05 * g for p, g in zip([x, w, v], gradients, strict=True)]]
        same_values(roots, simplify(roots).roots, rtol=1e-4)
