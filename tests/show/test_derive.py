"""Derivations: those of the textbook by hand, steps that make up the gradient, and what is written of them."""

import re
import xml.dom.minidom

import numpy as np
import pytest

import graphc as gc
from graphc.show.mathml import mathml

rng = np.random.default_rng(7)


def _x(name, shape=(), dtype="float64"):
    return gc.input(name, shape, dtype)


def _softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


KEPT = []


# ---------------------------------------------------------------- by hand: the formula, and its value in NumPy
def polynomial():
    x = _x("x")
    return x**2 + 2 * x + 3, x, "2 x + 2", lambda v: 2 * v["x"] + 2


def sigmoid():
    x = _x("x")
    return gc.sigmoid(x), x, "σ(x) (1 - σ(x))", lambda v: _sigmoid(v["x"]) * (1 - _sigmoid(v["x"]))


def product_and_quotient():
    x = _x("x")
    by_hand = "cos(x) / x - sin(x) / x²"
    return gc.sin(x) / x, x, by_hand, lambda v: np.cos(v["x"]) / v["x"] - np.sin(v["x"]) / v["x"] ** 2


def linear_regression():
    x, w, b, y = _x("X", (6, 3)), _x("w", (3,)), _x("b"), _x("y", (6,))
    value = lambda v: 2 * v["X"].T @ (v["X"] @ v["w"] + v["b"] - v["y"]) / 6  # noqa: E731
    return gc.mean(gc.square(x @ w + b - y)), w, "Xᵀ (X w + b - y) / 3", value


def ridge_regression():
    x, w, y, rate = _x("X", (6, 3)), _x("w", (3,)), _x("y", (6,)), _x("λ")
    loss = gc.sum(gc.square(x @ w - y)) + rate * gc.sum(gc.square(w))
    return loss, w, "2 λ w + 2 Xᵀ (X w - y)", lambda v: 2 * v["X"].T @ (v["X"] @ v["w"] - v["y"]) + 2 * v["λ"] * v["w"]


def logistic_regression():
    x, w, b, y = _x("X", (6, 3)), _x("w", (3,)), _x("b"), _x("y", (6,))
    loss = gc.mean(gc.binary_crossentropy(y, gc.sigmoid(x @ w + b)))
    return loss, w, "Xᵀ (σ(X w + b) - y) / 6", lambda v: v["X"].T @ (_sigmoid(v["X"] @ v["w"] + v["b"]) - v["y"]) / 6


def softmax_crossentropy():
    z, t = _x("z", (5,)), _x("t", (5,))
    loss = -gc.sum(t * gc.log(gc.softmax(z)))
    return loss, z, "(Σ t) softmax(z) - t", lambda v: v["t"].sum() * _softmax(v["z"]) - v["t"]


def two_layers():
    x, y = _x("X", (6, 4)), gc.input("y", (6,), "int32")
    w1, b1, w2, b2 = _x("W1", (4, 5)), _x("b1", (5,)), _x("W2", (5, 3)), _x("b2", (3,))
    a = (x @ w1 + b1).named("A")
    p = gc.softmax((gc.relu(a) @ w2 + b2).named("Z")).named("P")
    KEPT.append(p)  # the loss is one of the logits, so that nothing else would
    by_hand = """Xᵀ ((P - Y) W2ᵀ ⊙ 1[A > 0]) / 6
where P = softmax(Z)        (6 × 3)
      Y = onehot(y)         (6 × 3)
      A = X W1 + b1         (6 × 5)
      Z = relu(A) W2 + b2   (6 × 3)"""

    def value(v):
        a = v["X"] @ v["W1"] + v["b1"]
        p = _softmax(np.maximum(a, 0) @ v["W2"] + v["b2"])
        return v["X"].T @ ((p - np.eye(3)[v["y"]]) @ v["W2"].T * (a > 0)) / 6

    return gc.mean(gc.sparse_categorical_crossentropy(y, p)), w1, by_hand, value


def quadratic_form():
    a, x = _x("A", (4, 4)), _x("x", (4,))
    return x @ a @ x, x, "Aᵀ x + A x", lambda v: (v["A"] + v["A"].T) @ v["x"]


def quadratic_form_of_its_matrix():
    a, x = _x("A", (4, 4)), _x("x", (4,))
    return x @ a @ x, a, "x xᵀ", lambda v: np.outer(v["x"], v["x"])


def log_determinant():
    a = _x("A", (4, 4))
    return gc.linalg.slogdet(a)[1], a, "A⁻ᵀ", lambda v: np.linalg.inv(v["A"]).T


def trace_of_inverse():
    a = _x("A", (4, 4))
    return gc.trace(gc.linalg.inv(a)), a, "-A⁻ᵀ A⁻ᵀ", lambda v: -(np.linalg.inv(v["A"]) @ np.linalg.inv(v["A"])).T


def frobenius_norm():
    a = _x("A", (3, 4))
    return gc.norm(a), a, "(0 if ‖A‖ == 0 else A / ‖A‖)", lambda v: v["A"] / np.sqrt((v["A"] ** 2).sum())


def recurrent_step():
    w, u, h, x, g = _x("W", (4, 4)), _x("U", (4, 3)), _x("h", (4,)), _x("x", (3,)), _x("g", (4,))
    s = gc.tanh(w @ h + u @ x).named("s")
    by_hand = "(g ⊙ (1 - s²)) hᵀ\nwhere s = tanh(W h + U x)   (4)"
    return gc.sum(g * s), w, by_hand, lambda v: np.outer(v["g"] * (1 - np.tanh(v["W"] @ v["h"] + v["U"] @ v["x"]) ** 2), v["h"])


def attention():
    q, k, u, g = _x("Q", (5, 4)), _x("K", (5, 4)), _x("V", (5, 4)), _x("G", (5, 4))
    p = gc.softmax(q @ k.T / 2.0).named("P")
    by_hand = "(P ⊙ (G Vᵀ - Σ₁ G Vᵀ ⊙ P)) K / 2\nwhere P = softmax(Q Kᵀ / 2)   (5 × 5)"

    def value(v):
        p, g = _softmax(v["Q"] @ v["K"].T / 2), v["G"] @ v["V"].T
        return p * (g - (g * p).sum(1, keepdims=True)) @ v["K"] / 2

    return gc.sum(g * (p @ u)), q, by_hand, value


def layer_norm():
    x, g = _x("X", (6, 5)), _x("G", (6, 5))
    by_hand = """(G - mean₁(G) - t1 ⊙ mean₁(G ⊙ t1)) / √(mean₁((X - mean₁(X))²) + 1e-7)
where t1 = layer_norm(X)   (6 × 5)"""

    def value(v):
        c = v["X"] - v["X"].mean(1, keepdims=True)
        s = np.sqrt((c**2).mean(1, keepdims=True) + 1e-7)
        n, g = c / s, v["G"]
        return (g - g.mean(1, keepdims=True) - n * (g * n).mean(1, keepdims=True)) / s

    return gc.sum(g * gc.layer_norm(x)), x, by_hand, value


BY_HAND = [
    polynomial,
    sigmoid,
    product_and_quotient,
    linear_regression,
    ridge_regression,
    logistic_regression,
    softmax_crossentropy,
    two_layers,
    quadratic_form,
    quadratic_form_of_its_matrix,
    log_determinant,
    trace_of_inverse,
    frobenius_norm,
    recurrent_step,
    attention,
    layer_norm,
]


def _values(y):
    leaves = [node for node in gc.core.toposort([y]) if node.kind == "input"]
    return {x: rng.integers(0, 3, x.shape) if x.dtype == "int32" else rng.uniform(0.2, 1.4, x.shape) for x in leaves}


@pytest.mark.parametrize("function", BY_HAND)
def test_it_is_the_derivation_by_hand(function):
    y, x, by_hand, value = function()
    found = gc.derive(y, x)
    top = re.match(r"∂(\w+)/", found.title[0])[1]
    lines = [re.sub(r" {2,}\(", "   (", line) for line in found.result.text.splitlines()]
    assert "\n".join(lines) == f"∂{top}/∂{x.label} = " + "\n".join(re.sub(r" {2,}\(", "   (", line) for line in by_hand.splitlines())
    given = _values(y)
    wanted = value({leaf.label: array for leaf, array in given.items()})
    composed, simplified, gradient = gc.evaluate([found.gradient, found.simplified, gc.grad(y, x)], given)
    for array in (composed, simplified, gradient):
        np.testing.assert_allclose(array, wanted, rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------- the steps make up the gradient
def _loop():
    a, xs, h0 = _x("A", (3, 3)), _x("xs", (4, 3)), _x("h0", (3,))

    def step(h, x):
        h = gc.tanh(h @ a + x)
        return h, h

    return gc.mean(gc.square(gc.scan(step, h0, xs)[1])), a


def _masked():
    x, w = _x("x", (5,)), _x("w", (5,))
    return gc.sum(gc.where(x > 0.7, gc.log(x * w), w)), w


def _factored():
    a = _x("A", (3, 3))
    q, r = gc.linalg.qr(a)
    return gc.sum(gc.sin(q) * r), a


def _convolved():
    x, k = _x("x", (2, 5, 5, 2)), _x("K", (3, 3, 2, 3))
    return gc.mean(gc.relu(gc.conv(x, k) - 4.0)), k


def _shared():
    x, w = _x("x", (3,)), _x("w", (3,))
    h = gc.exp(x * w)
    return gc.sum(h * gc.cumsum(h) + gc.max(h) / h[0]), w


def _broadcast():
    x, b = _x("x", (4, 3)), _x("b", (3,))
    return gc.sum(gc.square(x * b - gc.reshape(b, (1, 3)))), b


def _second_order():
    x, w = _x("x", (4,)), _x("w", (4,))
    return gc.sum(gc.square(gc.grad(gc.sum(gc.exp(x * w) * w), w))), w


def _contracted():
    a, b = _x("A", (2, 3, 4)), _x("B", (2, 4, 2))
    return gc.sum(gc.tanh(gc.einsum("bij,bjk->ik", a, b))), b


OTHERS = [_loop, _masked, _factored, _convolved, _shared, _broadcast, _second_order, _contracted]


def _stepped(found, given):
    """The derivative, each step computed of the numbers that the steps before gave."""
    known = dict(given)
    last = None
    for step in found.steps:
        last = gc.evaluate(step.value, known)
        if step.symbol.kind == "input" and step.symbol not in known:
            known[step.symbol] = last
    assert found.steps[-1].node is found.x or found.x in [step.node for step in found.steps]
    return {step.node: known.get(step.symbol, last) for step in found.steps}[found.x]


@pytest.mark.parametrize("function", [*BY_HAND, *OTHERS])
def test_the_steps_make_up_the_gradient(function):
    y, x, *_ = function()
    found = gc.derive(y, x)
    given = _values(y)
    wanted = gc.evaluate(gc.grad(y, x), given)
    for array in (_stepped(found, given), *gc.evaluate([found.gradient, found.simplified], given)):
        np.testing.assert_allclose(array, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("function", [*BY_HAND, *OTHERS])
def test_it_is_well_written(function):
    y, x, *_ = function()
    found = gc.derive(y, x)
    assert found.text == str(found) == repr(found) == gc.derive(y, x).text
    assert not re.search(r"\$|<\w+ |[(=+⊙] derivative", found.text), found.text
    xml.dom.minidom.parseString(mathml(found.latex))
    xml.dom.minidom.parseString(found._repr_html_().replace("&emsp;", ""))
    assert found._repr_latex_() == f"$${found.latex}$$"
    for link in [link for step in found.steps for link in step.links]:
        assert link.reason
        assert link.relation[0]


def test_a_step_has_a_local_derivative_a_running_one_and_a_reason():
    x, w, b = _x("X", (6, 3)), _x("W", (3, 2)), _x("b", (2,))
    h = gc.relu((x @ w + b).named("A")).named("H")
    found = gc.derive(gc.mean(h).named("loss"), w)
    assert (
        found.text
        == """∂loss/∂W, step by step

Values
  t1 = X W        (6 × 2)
  A = t1 + b      (6 × 2)
  H = relu(A)     (6 × 2)
  loss = mean(H)

Chain rule
  1. ∂loss/∂loss = 1
     a value changes as much as itself
  2. loss = mean(H)
     g ↦ g / 12
     linear: each element has its share in the total
     ∂loss/∂H = 1 / 12  (6 × 2)
  3. H = relu(A)
     ∂H/∂A = 1[A > 0]
     chain rule, element by element: times the slope; where it has none: 0 at 0
     ∂loss/∂A = ∂loss/∂H ⊙ 1[A > 0] = 1[A > 0] / 12  (6 × 2)
  4. A = t1 + b
     ∂A/∂t1 = 1
     sum rule: it changes as much as this term
     ∂loss/∂t1 = ∂loss/∂A = 1[A > 0] / 12  (6 × 2)
  5. t1 = X W
     g ↦ Xᵀ g
     product rule: times the other factor, transposed
     ∂loss/∂W = Xᵀ ∂loss/∂t1 = Xᵀ · 1[A > 0] / 12  (3 × 2)

Result
  ∂loss/∂W = Xᵀ · 1[A > 0] / 12
  where A = X W + b  (6 × 2)"""
    )


def test_paths_join():
    x = _x("x")
    h = gc.sin(x).named("h")
    text = gc.derive(h * gc.exp(h), x).text
    assert "paths join: their shares add up" in text
    assert "product rule: times what this factor is multiplied by" in text


def test_what_is_repeated_is_summed():
    x, b = _x("X", (6, 3)), _x("b", (3,))
    assert "repeated along axis 0, so summed over it" in gc.derive(gc.sum(gc.exp(x + b)), b).text


def test_rules_have_a_name_and_a_law():
    y, x, *_ = logistic_regression()
    text = gc.derive(y, x).text
    assert "probability_minus_label: (1 - y) p - y (1 - p) is p - y, where p is a sigmoid." in text
    assert "(1 - y) ⊙ σ(t2) - y ⊙ σ(-t2) = σ(t2) - y" in text


def test_a_tensor_is_weighted():
    x, w = _x("x", (3,)), _x("w", (3,))
    found = gc.derive(x * w, w)
    assert found.result.text == "∂L/∂w = g ⊙ x"
    assert "any weights for the elements" in found.text


def test_of_a_gradient():
    x = _x("x")
    assert gc.derive(gc.grad(x**3, x), x).result.text == "∂L/∂x = 6 x"


def test_of_itself():
    x = _x("x", (2,))
    assert gc.derive(x, x).result.text == "∂x/∂x = g"


def test_long_chains_take_their_time_once():
    x = h = _x("x", (4, 4))
    for i in range(60):
        h = gc.tanh(h @ _x(f"W{i}", (4, 4)))
    found = gc.derive(gc.sum(h), x)
    assert len(found.steps) == 122
    assert max(map(len, found.text.splitlines())) < 160


def test_formula_simplifies_on_request():
    z, y = _x("Z", ("n", 3)), gc.input("y", ("n",), "int32")
    p = gc.softmax(z).named("P")
    loss = gc.mean(-gc.sum(gc.one_hot(y, 3, dtype="float64") * gc.log(p), axis=-1))
    assert gc.formula(gc.grad(loss, z), simplify=True).text.startswith("(P - Y) / n\n")
    assert not gc.formula(gc.grad(loss, z)).text.startswith("(P - Y) / n\n")


def test_errors():
    x, w, i = _x("x", (3,)), _x("w", (3,)), gc.input("i", (3,), "int32")
    with pytest.raises(gc.errors.GradientError, match="no path leads from one to the other") as caught:
        gc.derive(gc.sum(x), w)
    assert "computed from x" in str(caught.value)
    with pytest.raises(gc.errors.GradientError, match="every path from x to y is cut: at floor"):
        gc.derive(gc.sum(gc.floor(w)), w)
    with pytest.raises(gc.errors.DTypeError, match="x is int32"):
        gc.derive(gc.sum(x), i)
    with pytest.raises(gc.errors.DTypeError, match="derive: x is "):
        gc.derive(gc.sum(x), [x])
    with pytest.raises(gc.errors.DTypeError, match="derive: y is 3"):
        gc.derive(3, x)
