"""The sweep itself: what ``grad`` and its kin return, in which shapes and dtypes, of any order."""

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import toposort
from graphc.grad import carries, flows, value_and_grad, vjp
from graphc.testing import check_gradient

rng = np.random.default_rng(0)


def test_a_list_in_gives_a_list_out_and_one_gives_one() -> None:
    x, w = gc.input("x", (2,)), gc.input("w", (2,))
    y = gc.sum(x * w)
    assert isinstance(gc.grad(y, x), gc.Tensor)
    assert isinstance(gc.grad(y, [x]), list)
    assert isinstance(gc.grad(y, (x, w)), list)
    value, (dx, dw) = value_and_grad(y, [x, w])
    assert value is y
    assert (dx.type, dw.type) == (x.type, w.type)


def test_with_respect_to_itself_is_1_and_to_an_inner_node_is_its_cotangent() -> None:
    x = gc.input("x", (3,), "float64")
    h = gc.exp(x)
    y = gc.sum(h * h)
    one, dh, dx = gc.evaluate([gc.grad(y, y), gc.grad(y, h), gc.grad(y, x)], {x: [0.0, 1.0, 2.0]})
    e = np.exp([0.0, 1.0, 2.0])
    assert one == 1
    np.testing.assert_allclose(dh, 2 * e)
    np.testing.assert_allclose(dx, 2 * e * e)


def test_gradients_have_the_dtype_and_shape_of_what_they_are_of() -> None:
    x, w = gc.input("x", ("n", 3), "float16"), gc.input("w", (3, 1), "float64")
    y = gc.sum(x @ w)
    assert [g.type for g in gc.grad(y, [x, w])] == [x.type, w.type]


def test_a_gradient_is_the_sum_over_paths() -> None:
    x = gc.input("x", (), "float64")
    a = x * 2
    y = gc.sin(a) * gc.exp(a) + a
    found = gc.evaluate(gc.grad(y, x), {x: 0.3})
    a = 0.6
    np.testing.assert_allclose(found, 2 * (np.cos(a) * np.exp(a) + np.sin(a) * np.exp(a) + 1))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_orders(order: int) -> None:
    x = gc.input("x", (), "float64")
    y = gc.sin(x) * gc.exp(x * 2)
    for _ in range(order):
        y = gc.grad(y, x)
    exact = ((2 + 1j) ** order * np.exp((2 + 1j) * 0.3)).imag
    np.testing.assert_allclose(gc.evaluate(y, {x: 0.3}), exact)


def test_a_gradient_of_a_linear_function_has_gradient_zero() -> None:
    x = gc.input("x", (3,), "float64")
    dx = gc.grad(gc.sum(x * 3), x)
    with pytest.raises(gc.errors.GradientError):
        gc.grad(gc.sum(dx), x)
    np.testing.assert_array_equal(gc.evaluate(gc.grad(gc.sum(dx), x, disconnected="zero")), [0, 0, 0])


def test_a_hessian_is_symmetric() -> None:
    x = gc.input("x", (4,), "float64")
    y = gc.logsumexp(gc.tanh(x) * gc.sum(x)) + gc.max(x) * x[1]
    dx = gc.grad(y, x)
    rows = [gc.grad(dx[i], x) for i in range(4)]
    hessian = np.array(gc.evaluate(rows, {x: rng.normal(size=4)}))
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    assert np.abs(hessian).max() > 0.1


def test_vjp_is_linear_in_the_cotangent() -> None:
    x, v = gc.input("x", (3,), "float64"), gc.input("v", (2,), "float64")
    w = gc.constant(rng.normal(size=(2, 3)))
    product = vjp(gc.sin(w @ x), x, v)
    run = gc.compile([x, v], product)
    point = rng.normal(size=3)
    jacobian = np.cos(w.value @ point)[:, None] * w.value
    np.testing.assert_allclose(run(point, [1.0, 0.0]), jacobian[0])
    np.testing.assert_allclose(run(point, [2.0, -3.0]), 2 * jacobian[0] - 3 * jacobian[1])


def test_flows_are_the_edges_of_the_reversed_graph() -> None:
    """Each edge A to B of the forward graph comes back as B to A with grad(B, A); a gradient is the product along a path."""
    x = gc.input("x", (), "float64")
    a = gc.exp(x)
    b = gc.sin(a)
    y = b * a
    edges = flows(y, [x])
    assert {(edge.node, edge.node.inputs[edge.index]) for edge in edges} == {(y, b), (y, a), (b, a), (a, x)}
    at = {x: 0.4}
    local = {(e.node, e.node.inputs[e.index]): float(gc.evaluate(gc.core.as_tensor(e.local), at)) for e in edges}
    product = local[y, b] * local[b, a] * local[a, x] + local[y, a] * local[a, x]
    np.testing.assert_allclose(product, gc.evaluate(gc.grad(y, x), at))


def test_only_what_leads_to_wrt_is_differentiated() -> None:
    x, z = gc.input("x", (3,)), gc.input("z", (3,))
    y = gc.sum(x * gc.tanh(gc.exp(z)))
    names = {node.op.name for node in toposort([gc.grad(y, x)]) if node.op}
    assert "cosh" not in names
    assert "sigmoid" not in names


def test_carries_is_false_for_integers_and_steps() -> None:
    x, i = gc.input("x", (3,)), gc.input("i", (3,), "int32")
    assert carries(x + 1, 0)
    assert not carries(i + 1, 0)
    assert not carries(gc.floor(x), 0)
    assert not carries(gc.take(x, i), 1)
    assert not carries(x, 0)


def test_a_cast_carries_between_floats_and_stops_at_integers() -> None:
    x = gc.input("x", (2,), "float64")
    np.testing.assert_array_equal(gc.evaluate(gc.grad(gc.sum(gc.cast(x, "float32") * 3), x), {x: [1.0, 2.0]}), [3, 3])
    assert "carries no gradient" in gc.why_no_gradient(gc.sum(gc.cast(gc.cast(x, "int32"), "float32")), x)


def test_gradients_share_subexpressions_with_the_forward_pass() -> None:
    x = gc.input("x", (3,))
    y = gc.exp(x)
    assert y in toposort([gc.grad(gc.sum(y), x)])


# ---------------------------------------------------------------- check_gradient itself
def test_check_gradient_passes_and_prints_both_numbers() -> None:
    x = gc.input("x", ("n", 3))
    w = gc.variable(rng.normal(size=(3, 2)).astype("float32"), "w")
    report = check_gradient(gc.softmax(gc.tanh(x @ w)), [x, w], order=2, modes="reverse")
    assert report
    assert len(report.entries) == 2 * (2 * 3 + 6)
    assert "by graphc" in str(report)
    assert "by differences" in repr(report)


def test_check_gradient_fails_for_a_gradient_that_is_wrong_and_names_the_worst_entry() -> None:
    x = gc.input("x", (3,), "float64")
    wrong = gc.stop_gradient(gc.sin(x)) * x  # the gradient leaves a term out
    report = check_gradient(wrong, x, at={x: [0.0, 1.0, 1.6]}, modes="reverse")
    assert not report
    assert "most likely at fault: stop_gradient (test_reverse.py:" in str(report)
    assert report.worst.place == "x[1]"
    assert "2 of 3" in str(report)
    terms = [entry.differences - entry.declared for entry in report.entries]
    assert 0 < sum(abs(term) > 1e-3 for term in terms) <= 3


def test_check_gradient_fails_for_nan_and_tells_of_a_kink() -> None:
    x = gc.input("x", (), "float64")
    assert not check_gradient(gc.sqrt(x * x), x, at={x: 0.0})
    assert len(check_gradient(gc.relu(x) * 3, x, at={x: 0.0}, modes="reverse").kinks) == 1
    assert not check_gradient(gc.relu(x) * 3, x, at={x: 0.1}).kinks


def test_check_gradient_sees_a_wrong_second_order() -> None:
    x = gc.input("x", (2,), "float64")
    y = gc.sum(gc.sin(x))
    cut = gc.sum(gc.stop_gradient(gc.cos(x)) * x)  # right to first order where sin(x) = its value, not to second
    assert check_gradient(y, x, order=3)
    assert not check_gradient(cut * cut, x, order=2)


def test_check_gradient_wants_leaves_and_values_for_integers() -> None:
    x, i = gc.input("x", (3,)), gc.input("i", (2,), "int32")
    with pytest.raises(gc.errors.ArgumentError, match="is not a leaf"):
        check_gradient(gc.sum(gc.exp(x)), gc.exp(x))
    y = gc.take(x, i) * 2
    with pytest.raises(gc.errors.ArgumentError, match="only floats get random values"):
        check_gradient(y, x)
    assert check_gradient(y, x, at={i: [0, 0]})


# ---------------------------------------------------------------- programs
def _layer_norm(x: Any) -> Any:
    centred = x - gc.mean(x, axis=-1, keepdims=True)
    return centred / gc.sqrt(gc.var(x, axis=-1, keepdims=True) + 1e-5)


PROGRAMS: dict[str, Any] = {
    "layer norm": _layer_norm,
    "attention": lambda x: gc.softmax(x @ x.T / 2.0) @ x,
    "a quotient of sums": lambda x: gc.sum(x * x, axis=0) / gc.sum(gc.exp(x)),
    "strides and joins": lambda x: gc.concatenate([x[::2], x[1::2] * 2], axis=0) * x,
    "broadcasting": lambda x: gc.expand_dims(x, axis=1) * gc.expand_dims(x, axis=0) + x[0],
    "probabilities": lambda x: gc.categorical_crossentropy(gc.softmax(x * 2), gc.sigmoid(x)),
    "logits": lambda x: gc.categorical_crossentropy(gc.softmax(x * 2), x, from_logits=True),
    "binary": lambda x: gc.binary_crossentropy(gc.sigmoid(x * 2), gc.sigmoid(x)),
    "repeated": lambda x: gc.stack([x, x, gc.sin(x)], axis=1).reshape(-1) ** 2,
    "power": lambda x: gc.exp(x) ** gc.sin(x),
    "a vector on both sides": lambda x: x[0] @ x.T @ x,
    "extrema": lambda x: gc.max(x, axis=0) * gc.min(x) + gc.logsumexp(x, axis=1)[:3],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_of_small_programs(name: str) -> None:
    x = gc.input("x", (4, 3), "float64")
    report = check_gradient(PROGRAMS[name](x), x, order=2, seed=3)
    assert report, report
