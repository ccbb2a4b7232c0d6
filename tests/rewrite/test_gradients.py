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
    (named,) = simplify([leaf("n", "k") @ leaf("k", "m") @ leaf("m")]).roots
    assert [len(node.shape) for node in toposort([named]) if node.op] == [1, 1]


def test_the_mean_of_the_rows_of_a_layer_is_a_layer_of_the_mean():
    x, w, b, c = leaf("n", 7, 3), leaf(3, 4), leaf(4), leaf(4, 2)
    y = o.mean(o.relu(x) @ w + b, axis=1) @ c
    loss = o.sum(o.square(y))
    for root in (y, *gc.grad(loss, [w, b])):
        (new,) = simplify(simplify([root]).roots).roots
        products = [node for node in toposort([new]) if node.op is o.matmul]
        assert products
        assert all("7" not in str(x.shape) for node in products for x in node.inputs)
    values = [RNG.normal(size=(5, 7, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=4), RNG.normal(size=(4, 2))]
    plain, fast = [gc.compile([x, w, b, c], gc.grad(loss, [x, w, b]), optimize=level)(*values) for level in (False, True)]
    for found, expected in zip(fast, plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_product_is_written_where_the_next_one_reads_it():
    weights, values = leaf("n", 4, 6, 6), leaf("n", 6, 4, 8)
    y = o.reshape(gc.einsum("nhqk,nkhd->nqhd", weights, values), (-1, 32))
    run = gc.compile([weights, values], y)
    assert "transpose((0, 2, 1, 3))" in run.source
    a, b = RNG.normal(size=(3, 4, 6, 6)).astype("float32"), RNG.normal(size=(3, 6, 4, 8)).astype("float32")
    np.testing.assert_allclose(run(a, b), np.einsum("nhqk,nkhd->nqhd", a, b).reshape(-1, 32), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scaled", [lambda y: 0.3 * y, lambda y: y / 3])
def test_a_scale_goes_to_the_weights_of_a_named_batch_unless_a_view_that_others_read_is_in_between(scaled):
    x, w = leaf("n", 5), leaf(5, 8)
    (new,) = simplify([scaled(x @ w)]).roots
    assert new.op is o.matmul
    heads = o.transpose(o.reshape(x @ w, ("n", 2, 4)), (1, 0, 2))
    scores = scaled(heads @ o.transpose(o.reshape(x @ leaf(5, 8), ("n", 2, 4)), (1, 2, 0)))
    (new,) = simplify([scores]).roots
    assert new.op is o.matmul
    kept, _ = simplify([scores, heads]).roots
    assert kept.op is scores.op


def test_rows_are_fetched_and_added_up_in_the_place_of_products_with_one_hot_ones_on_request():
    labels, table, g = input("labels", (6,), "int32"), leaf(50, 3), leaf(6, 3)
    y = o.one_hot(labels, 50) @ table
    dw = gc.grad(o.sum(y * g), table)
    assert [root.op is o.matmul for root in simplify([y, dw]).roots] == [True, True]
    values = [np.array([3, 0, 49, 3, -1, 50], "int32"), RNG.normal(size=(50, 3)), RNG.normal(size=(6, 3))]
    plain, fast = [gc.compile([labels, table, g], [y, dw], unsafe_math=on) for on in (False, True)]
    assert "dot" in plain.source
    assert "dot" not in fast.source
    for found, expected in zip(fast(*values), plain(*values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


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
