"""Formulas: what is written, that brackets are where they must be and nowhere else, that long graphs stay readable."""

import random
import re
from fractions import Fraction
from xml.dom.minidom import parseString

import numpy as np
import pytest

from graphc import ops as gc
from graphc.core import OPS, constant, input, variable
from graphc.grad import grad, hvp, vjp
from graphc.show import formula
from graphc.show.formula import one_line
from graphc.show.mathml import mathml
from graphc.testing import calls

a, b, c = (input(name, (3, 3)) for name in "abc")
s = input("s")
batch = input("batch", ("n", 4))
cube = input("cube", (2, 3, 4))
labels = input("labels", ("n",), "int32")

WRITTEN = {
    "sum_keeps_its_order": (a - (b - c), "a - (b - c)", r"a - \left(b - c\right)"),
    "difference_of_a_sum": (a - (b + c), "a - (b + c)", r"a - \left(b + c\right)"),
    "sum_of_a_difference": (a + (b - c), "a + b - c", "a + b - c"),
    "plus_minus": (a + -b, "a - b", "a - b"),
    "minus_minus": (a - -b, "a + b", "a + b"),
    "minus_of_a_minus": (gc.negative(-a), "a", "a"),
    "minus_of_a_sum": (-(a + b), "-(a + b)", r"-\left(a + b\right)"),
    "minus_as_a_factor": (a * -b, "-a ⊙ b", r"-a \odot b"),
    "matrix_product_in_a_product": ((a @ b) * c, "a b ⊙ c", r"a \, b \odot c"),
    "product_in_a_matrix_product": (a @ (b * c), "a (b ⊙ c)", r"a \, \left(b \odot c\right)"),
    "multiples_go_with_both": ((s * a) @ b, "s a b", r"s \, a \, b"),
    "spread_numbers_are_numbers": (a * gc.full((3, 3), 2), "2 a", r"2 \, a"),
    "quotient_of_a_product": (a / (b * c), "a / (b ⊙ c)", r"\frac{a}{b \odot c}"),
    "quotient_of_a_quotient": (a / (b / c), "a ⊙ c / b", r"\frac{a \odot c}{b}"),
    "quotient_first": (a / b / c, "a / (b ⊙ c)", r"\frac{a}{b \odot c}"),
    "power_of_a_sum": ((a + b) ** 2, "(a + b)²", r"\left(a + b\right)^2"),
    "exponents": (a ** (b + 1), "a^(b + 1)", "a^{b + 1}"),
    "negative_exponent": (a**-1.5, "a^(-1.5)", "a^{-1.5}"),
    "superscripts_do_not_meet": (gc.square(gc.exp(a)), "exp(a)²", r"\left(e^{a}\right)^2"),
    "transpose_of_a_square": (gc.transpose(gc.square(a)), "(a²)ᵀ", r"\left(a^2\right)^\top"),
    "transpose_of_a_product": ((a @ b).T, "bᵀ aᵀ", r"b^\top \, a^\top"),
    "other_permutations": (
        gc.transpose(cube, axes=(1, 2, 0)),
        "transpose(cube, (1, 2, 0))",
        r"\operatorname{transpose}(\mathrm{cube}, (1, 2, 0))",
    ),
    "stacked_matrices": (gc.transpose(cube, axes=(0, 2, 1)), "cubeᵀ", r"\mathrm{cube}^\top"),
    "sum_over_all": (gc.sum(a * b) / 3, "Σ a ⊙ b / 3", r"\frac{\sum a \odot b}{3}"),
    "sum_over_an_axis": (gc.sum(a, axis=0) * b, "(Σ₀ a) ⊙ b", r"\left(\sum_{0} a\right) \odot b"),
    "sum_as_the_last_factor": (b * gc.sum(a, axis=0), "b ⊙ Σ₀ a", r"b \odot \sum_{0} a"),
    "mean_over_axes": (gc.mean(cube, axis=(0, 2)), "mean₀,₂(cube)", r"\operatorname{mean}_{0,2}(\mathrm{cube})"),
    "default_axis_is_not_told": (gc.softmax(a), "softmax(a)", r"\operatorname{softmax}(a)"),
    "other_axis_is": (gc.softmax(a, axis=0), "softmax₀(a)", r"\operatorname{softmax}_{0}(a)"),
    "indicator": (gc.relu(a) * gc.cast(a > 0, dtype="float32"), "relu(a) ⊙ 1[a > 0]", r"\operatorname{relu}(a) \odot \mathbb{1}[a > 0]"),
    "casts_of_numbers": (gc.cast(a, dtype="float64"), "float64(a)", r"\mathrm{\mathrm{float64}}(a)"),
    "conditions": (gc.cast((a > 0) & ~(b > c), dtype="float32"), "1[a > 0 and (not (b > c))]", None),
    "choice": (gc.where(a > b, a, b + c), "(a if a > b else b + c)", r"\begin{cases}a & a > b \\ b + c & \text{else}\end{cases}"),
    "prefix_in_tex": (gc.log(a + b) * c, "log(a + b) ⊙ c", r"\left(\log \left(a + b\right)\right) \odot c"),
    "minus_inside_a_call": (gc.log1p(-a), "log(1 - a)", r"\log(1 - a)"),
    "reciprocal": (gc.reciprocal(a * b), "1 / (a ⊙ b)", r"\frac{1}{a \odot b}"),
    "named_size": (gc.sum(batch) / gc.number(batch.shape[0], "float32"), "Σ batch / n", r"\frac{\sum \mathrm{batch}}{n}"),
    "index": (a[1:3], "a[1:3, :]", "a[1:3, :]"),
    "attributes": (gc.leaky_relu(a, negative_slope=0.1), "leaky_relu(a, negative_slope=0.1)", None),
    "defaults_are_not_told": (gc.leaky_relu(a), "leaky_relu(a)", r"\operatorname{leaky\_relu}(a)"),
    "several_operands": (gc.concatenate([a, b + c], axis=1), "concatenate₁(a, b + c)", r"\operatorname{concatenate}_{1}(a, b + c)"),
    "small_number": (a * 1e-7, "1e-7 a", r"10^{-7} \, a"),
    "float32_number": (a * 0.1, "0.1 a", r"0.1 \, a"),
    "infinity": (gc.maximum(a, -np.inf), "max(a, -∞)", r"\max(a, -\infty)"),
    "row": (a[0] * constant([1, 2, 3], "float32"), "a[0, :] ⊙ [1, 2, 3]", r"a[0, :] \odot [1, 2, 3]"),
    "layout_is_left_out": (gc.broadcast_to(gc.expand_dims(gc.relu(s), axis=0), shape=(3, 3)) + a, "relu(s) + a", None),
    "reshape_that_moves_is_not": (gc.reshape(a, (9,)), "reshape(a, shape=(9,))", None),
    "ones": (gc.ones((3, 3)), "1", "1"),
    "leaf": (a, "a", "a"),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_written(case):
    node, text, latex = WRITTEN[case]
    found = formula(node)
    assert str(found) == text
    assert latex is None or found.latex == latex


LEAVES = [input(f"x{i}") for i in range(16)]
VALUES = [Fraction(3 * i * i + 7, 2 * i - 15) for i in range(16)]


def _tree(rng, depth, leaves):
    """A random expression of numbers, each of them read once, and its value."""
    if depth == 0 or rng.random() < 0.15:
        i = next(leaves)
        return LEAVES[i], VALUES[i]
    x, v = _tree(rng, depth - 1, leaves)
    kind = rng.randrange(7)
    if kind < 3:
        return [(gc.negative(x), -v), (x**3, v**3), (gc.reciprocal(x), 1 / v)][kind]
    y, w = _tree(rng, depth - 1, leaves)
    if kind == 3 and y.op is not gc.negative:  # x - -y is written x + y, with the brackets that y had
        return x - y, v - w
    return [(x + y, v + w), (x + y, v + w), (x * y, v * w), (x / y, v / w)][kind - 3]


_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


def _value(text):
    # Every number a Fraction: 1 / 3 must not become a float. What stands side by side binds tighter than a slash.
    exact = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda digits: f"**{digits[0].translate(_DIGITS)}", text)
    exact = re.sub(r"(?<![\w*])\d+(?!\w)", lambda number: f"F({number[0]})", exact)
    exact = re.sub(r"(?<=[\w)]) (?=[\w(])", "*", exact)
    exact = re.sub(r"(?<=[\w)]) · (?=[\w(])", "*", exact)
    return eval(exact, {"F": Fraction}, {f"x{i}": value for i, value in enumerate(VALUES)})


@pytest.mark.parametrize("seed", range(200))
def test_brackets_are_right_and_needed(seed):
    node, value = _tree(random.Random(seed), 4, iter(range(16)))
    text = str(formula(node, width=1000))
    assert _value(text) == value
    for start, end in _pairs(text):
        # (-x) is for the eye, and (1 / x)^3 only happens to be 1 / x^3.
        if text.startswith(("(-", "(1 / "), start):
            continue
        without = text[:start] + text[start + 1 : end] + text[end + 1 :]
        assert _value(without) != value, f"{text}: the brackets at {start} do nothing"


def _pairs(text):
    opened = []
    for i, letter in enumerate(text):
        if letter == "(":
            opened.append(i)
        if letter == ")":
            yield opened.pop(), i


KEPT = []  # values that a loss is not made of, whose names gradients still use
WRITTEN_CALLS = [call for op in OPS.values() if op.group != "internal" for call in calls(op)]


def _is_well_written(found):
    assert "$" not in found.text + found.latex
    assert not re.search(r"<\w+ ", found.text), "the repr of an object"
    assert found.text.count("(") == found.text.count(")")
    for opening, closing in ("{}", "[]"):
        assert found.latex.count(opening) == found.latex.count(closing)
    assert found.latex.count(r"\left") == found.latex.count(r"\right")
    assert found.latex.count(r"\begin") == found.latex.count(r"\end")
    parseString(found.html)  # which knows the commands that may occur, and where groups have to be


@pytest.mark.parametrize("call", WRITTEN_CALLS, ids=str)
def test_every_op_is_written(call):
    inputs = call.inputs()
    operands = call.operands(inputs)
    result = call.op(operands, **call.case.attributes) if call.op.variadic else call.op(*operands, **call.case.attributes)
    found = formula(result[0] if isinstance(result, tuple) else result)
    _is_well_written(found)
    assert all(x.label in found.text for x in inputs if x.size != 0)


@pytest.mark.parametrize("call", list({call.op: call for call in reversed(WRITTEN_CALLS)}.values()), ids=str)
def test_every_gradient_is_written(call):
    inputs = call.inputs()
    y = call.node(inputs)
    for x in call.differentiable(inputs):
        _is_well_written(formula(vjp(y, x, gc.ones(y.shape, y.dtype))))


def _linear_regression():
    x, w, y = input("X", ("n", 4)), input("w", (4,)), input("y", ("n",))
    return grad(gc.mean(gc.square(x @ w - y)), w), "2 Xᵀ (X w - y) / n"


def _weight_decay():
    x, w, y, rate = input("X", ("n", 4)), input("W", (4, 2)), input("Y", ("n", 2)), input("λ")
    return grad(gc.sum(gc.square(x @ w - y)) / 2 + rate / 2 * gc.sum(gc.square(w)), w), "λ W + Xᵀ (X W - Y)"


def _descent():
    x, w, y, rate = input("X", ("n", 4)), input("w", (4,)), input("y", ("n",)), input("η")
    return w - rate * grad(gc.mean(gc.square(x @ w - y)), w), "w - 2 η Xᵀ (X w - y) / n"


def _network():
    x, y = input("X", ("n", 784)), input("y", ("n",), "int32")
    w1, b1, w2, b2 = input("W1", (784, 512)), input("b1", (512,)), input("W2", (512, 10)), input("b2", (10,))
    p = gc.softmax(gc.relu((x @ w1 + b1).named("A")) @ w2 + b2).named("P")
    KEPT.append(p)
    return grad(gc.mean(gc.sparse_categorical_crossentropy(y, p)), w1), (
        "Xᵀ ((P - Y) W2ᵀ ⊙ 1[A > 0]) / n\n"
        "where P = softmax(relu(A) W2 + b2)  (n × 10)\n"
        "      Y = onehot(y)                 (n × 10)\n"
        "      A = X W1 + b1                 (n × 512)"
    )


def _attention():
    q, k, u = (input(name, ("b", 2, "t", 16)) for name in "QKV")
    return gc.softmax(q @ gc.swapaxes(k, -1, -2) / 4.0) @ u, "softmax(Q Kᵀ / 4) V"


def _long_short_term_memory():
    h, cell, x = input("h", (5,)), input("c", (5,)), input("x", (3,))
    w, u = [input(f"W_{gate}", (5, 3)) for gate in "fiog"], [input(f"U_{gate}", (5, 5)) for gate in "fiog"]
    f, i, o = (gc.sigmoid(w[j] @ x + u[j] @ h).named(gate) for j, gate in enumerate("fio"))
    new = (f * cell + i * gc.tanh(w[3] @ x + u[3] @ h)).named("c'")
    return o * gc.tanh(new), (
        "o ⊙ tanh(c')\n"
        "where o = σ(W_o x + U_o h)                  (5)\n"
        "      c' = f ⊙ c + i ⊙ tanh(W_g x + U_g h)  (5)\n"
        "      f = σ(W_f x + U_f h)                  (5)\n"
        "      i = σ(W_i x + U_i h)                  (5)"
    )


def _normalised():
    x, scale, shift = input("X", ("n", 8)), input("γ", (8,)), input("β", (8,))
    mean = gc.mean(x, axis=0).named("μ")
    spread = gc.mean(gc.square(x - mean), axis=0).named("v")
    return (x - mean) / gc.sqrt(spread + 1e-3) * scale + shift, (
        "t1 ⊙ γ / √(v + 0.001) + β\nwhere t1 = X - μ      (n × 8)\n      v = mean₀(t1²)  (8)\n      μ = mean₀(X)    (8)"
    )


def _hessian_times_a_vector():
    m, x, u = input("A", (4, 4)), input("x", (4,)), input("v", (4,))
    return hvp(x @ m @ x, x, u), "Aᵀ v + A v"


def _contraction():
    x, y = input("A", (2, 3, 4)), input("B", (2, 4, 5))
    return gc.relu(gc.einsum("bij,bjk->bik", x, y)), "relu([Σₖ Aᵢⱼₖ Bᵢₖₗ]ᵢⱼₗ)"


def _convolution():
    x, kernel = input("x", (2, 8, 8, 3)), input("K", (3, 3, 3, 4))
    return grad(gc.sum(gc.relu(gc.conv(x, kernel))), kernel), "x ⋆ 1[x ∗ K > 0]"


def _solution():
    return gc.linalg.solve(a, s * b) @ c, "s a⁻¹ b c"


def _vectors():
    u, x = input("u", (3,)), input("x", (3,))
    return (u @ a) * (x @ u) + a @ x, "(xᵀ u) aᵀ u + a x"


def _ones():
    return a @ gc.ones((3, 3)), "a 𝟏 𝟏ᵀ"


def _outer():
    u, x = input("u", (3,)), input("x", (4,))
    return gc.expand_dims(u, axis=1) * gc.expand_dims(x, axis=0), "u xᵀ"


TEXTBOOK = [
    _linear_regression,
    _weight_decay,
    _descent,
    _network,
    _attention,
    _long_short_term_memory,
    _normalised,
    _hessian_times_a_vector,
    _contraction,
    _convolution,
    _solution,
    _vectors,
    _ones,
    _outer,
]


@pytest.mark.parametrize("case", TEXTBOOK)
def test_it_reads_like_a_textbook(case):
    node, text = case()
    found = formula(node)
    assert found.text == text
    _is_well_written(found)


def test_long_sums_are_broken_over_lines():
    xs = [input(f"x{i}") for i in range(20)]
    y = sum((gc.exp(x) for x in xs[1:]), xs[0])
    lines = formula(gc.relu(y)).text.splitlines()
    assert lines[0] == "relu(t1)"
    assert lines[1].startswith("where t1 = x0 + exp(x1) + ")
    assert all(line.startswith(" " * 11 + "+ exp(x") for line in lines[2:])
    assert formula(y).latex.startswith(r"\begin{aligned} & x_{0} + e^{x_{1}} + ")
    assert r" \\ & \quad + e^{" in formula(y).latex


def test_the_network_of_the_book_in_latex():
    assert formula(_network()[0]).latex.startswith(
        r"\begin{aligned} & \frac{X^\top \, \left(\left(P - Y\right) \, W_{2}^\top \odot \mathbb{1}[A > 0]\right)}{n} \\ "
        r"\text{where}\quad P &= \operatorname{softmax}(\operatorname{relu}(A) \, W_{2} + b_{2}) && (n \times 10) \\ "
    )


def test_mathml_says_what_it_cannot_read():
    for latex in (r"\alphabet x", "{x", "x^2^3", r"\begin{matrix}x\end{matrix}", "x}"):
        with pytest.raises(ValueError, match="of '"):
            mathml(latex)
    assert mathml(r"\frac{a}{b_1}", display=False) == (
        '<math displaystyle="true"><mrow><mfrac><mrow><mi>a</mi></mrow><mrow><msub><mi>b</mi><mn>1</mn></msub></mrow></mfrac></mrow></math>'
    )


def test_shared_parts_are_named_once():
    shared = gc.exp(a + b)
    assert str(formula(shared / gc.sum(shared))) == "t1 / (Σ t1)\nwhere t1 = exp(a + b)  (3 × 3)"
    assert formula(shared / gc.sum(shared)).latex == (
        r"\begin{aligned} & \frac{t_{1}}{\sum t_{1}} \\ \text{where}\quad t_{1} &= e^{a + b} && (3 \times 3) \end{aligned}"
    )


def test_small_shared_parts_are_repeated():
    assert str(formula(a.T @ b + b @ a.T)) == "aᵀ b + b aᵀ"


def test_labels_name_parts_and_the_whole():
    h = gc.relu(a @ b + c).named("h")
    loss = gc.mean(h * h).named("the loss")
    try:
        assert str(formula(loss)) == '"the loss" = mean(h²)\nwhere h = relu(a b + c)  (3 × 3)'
        assert formula(loss).latex.startswith(r"\begin{aligned} \mathrm{the\ loss} &= \operatorname{mean}(h^2) \\ \text{where}\quad h &=")
    finally:
        h.label = loss.label = None


def test_names_are_given_outermost_first():
    inner = gc.exp(input("a", (3, 3))).named("inner")  # of a leaf of its own: the other tests' exp(a) has no name
    outer = gc.sin(inner).named("outer")
    assert str(formula(outer + gc.exp(outer))).splitlines()[1:] == [
        "where outer = sin(inner)  (3 × 3)",
        "      inner = exp(a)      (3 × 3)",
    ]


def test_equal_labels_are_told_apart():
    one, two = input("w", (2,)), input("w", (2,))
    assert str(formula(one - two)) == "w - w_2"
    assert formula(one - two).latex.startswith("w - ")


def test_unnamed_parts_leave_labels_alone():
    t1 = input("t1", (3, 3))
    part = gc.exp(a + t1)
    assert str(formula(part / gc.sum(part))) == "t2 / (Σ t2)\nwhere t2 = exp(a + t1)  (3 × 3)"


def test_unnamed_leaves_get_letters():
    w = variable(np.zeros((3, 3), "float32"))
    big = constant(np.eye(3), "float32")
    assert str(formula(a @ w + big)) == "a v1 + c0\nwhere c0 = constant f32[3, 3]"


def test_given_names_end_the_formula():
    part = gc.relu(a @ b)
    assert str(formula(gc.mean(part), {part: "h"})) == "mean(h)"
    assert str(formula(part, {part: "h"})) == "h = relu(a b)"


def test_gradient_of_a_loss_reads_like_the_book():
    x, w, target = input("X", ("n", 4)), input("W", (4, 2)), input("Y", ("n", 2))
    loss = gc.sum(gc.square(x @ w - target)) * 0.5
    text = str(formula(grad(loss, w)))
    assert text == "Xᵀ (X W - Y)"


@pytest.mark.parametrize("length", [200, 100_000])
def test_long_chains_stay_readable(length):
    y = a
    for i in range(length):
        y = gc.sin(y) if i % 2 else y + b
    lines = str(formula(y)).splitlines()
    assert len(lines) <= 26
    assert max(map(len, lines)) <= 96
    assert (lines[-1].strip() == "… and 6,642 more") == (length == 100_000)


def test_wide_sums_are_cut_into_parts():
    y = sum((gc.exp(input(f"x{i}")) for i in range(1, 40)), input("x0"))
    text = str(formula(y))
    assert max(map(len, text.splitlines())) <= 90
    assert all(text.count(f"exp(x{i})") == 1 for i in range(1, 40))


def test_notebooks_get_both_notations():
    bundle = formula(a / b)._repr_mimebundle_()
    assert bundle == {"text/plain": "a / b", "text/latex": r"$$\frac{a}{b}$$"}
    assert repr(formula(a / b)) == "a / b"


@pytest.mark.parametrize(
    ("label", "latex"),
    [
        ("W1", "W_{1}"),
        ("b_2", "b_{2}"),
        ("α", "α"),
        ("logits", r"\mathrm{logits}"),
        ("a&b $x", r"\mathrm{a\&b\ \$x}"),
        ("h'", "h'"),
        ("W_f", "W_{f}"),
        ("h_t'", "h_{t}'"),
    ],
)
def test_names_in_latex(label, latex):
    assert formula(gc.relu(input(label))).latex == rf"\operatorname{{relu}}({latex})"


# ---------------------------------------------------------------- matrices and vectors: what is written has the value
MATRICES = [input(f"A{i}", (3, 3), "float64") for i in range(5)]
VECTORS = [input(f"v{i}", (3,), "float64") for i in range(5)]
SCALARS = [input(f"s{i}", (), "float64") for i in range(4)]
_random = np.random.default_rng(5)
NUMBERS = {x: _random.uniform(0.5, 1.5, x.shape) for x in [*MATRICES, *VECTORS, *SCALARS]}


def _products(rng, depth, ndim):
    """A random expression of so many axes, and its value."""
    if depth == 0:
        x = rng.choice([SCALARS, VECTORS, MATRICES][ndim])
        return x, NUMBERS[x]
    kind = rng.randrange(6)
    if kind == 0:
        (x, v), (y, w) = _products(rng, depth - 1, ndim), _products(rng, depth - 1, ndim)
        return (x + y, v + w) if rng.random() < 0.5 else (x - y, v - w)
    if kind == 1:
        (x, v), (y, w) = _products(rng, depth - 1, rng.choice([0, ndim])), _products(rng, depth - 1, ndim)
        return x * y, v * w
    if kind == 2:
        (x, v), (s, w) = _products(rng, depth - 1, ndim), _products(rng, 0, 0)
        return x / (2.0 * s), v / (2 * w)
    if kind == 3:
        x, v = _products(rng, depth - 1, ndim)
        return (-x, -v) if rng.random() < 0.5 else (gc.transpose(x), v.T)
    left, right = {0: (1, 1), 1: rng.choice([(2, 1), (1, 2)]), 2: rng.choice([(2, 2), (1, 1)])}[ndim]
    (x, v), (y, w) = _products(rng, depth - 1, left), _products(rng, depth - 1, right)
    if ndim == 2 and left == 1:
        return gc.expand_dims(x, axis=1) @ gc.expand_dims(y, axis=0), np.outer(v, w)
    return x @ y, v @ w


class _Reader:
    """The value of a formula: a vector is a column, and side by side binds tighter than ``⊙`` and ``/``."""

    def __init__(self, text):
        self.tokens = re.findall(r"[A-Za-z]\w*|[\d.]+|\S", text, re.ASCII)
        self.names = {x.label: value.reshape(-1, 1) if value.ndim == 1 else value for x, value in NUMBERS.items()}

    def next(self):
        return self.tokens[0] if self.tokens else ""

    def sum(self):
        sign = -1 if self.next() == "-" and self.tokens.pop(0) else 1
        value = sign * self.product()
        while self.next() in ("+", "-"):
            sign = 1 if self.tokens.pop(0) == "+" else -1
            value = value + sign * self.product()
        return value

    def product(self):
        value = self.chain()
        while self.next() in ("⊙", "/"):
            value = value * self.chain() if self.tokens.pop(0) == "⊙" else value / self.chain()
        return value

    def chain(self):
        value = self.factor()
        while self.next() not in ("", ")", "+", "-", "⊙", "/"):
            if self.next() == "·":
                self.tokens.pop(0)
            other = self.factor()
            value = value * other if 1 in (np.size(value), np.size(other)) else value @ other
        return value

    def factor(self):
        token = self.tokens.pop(0)
        value = self.sum() if token == "(" else self.names[token] if token in self.names else float(token)
        if token == "(":
            assert self.tokens.pop(0) == ")"
        while self.next() and self.next() in "ᵀ²³⁴⁵⁶":
            mark = self.tokens.pop(0)
            value = np.transpose(value) if mark == "ᵀ" else value ** int(mark.translate(_DIGITS))
        return value


@pytest.mark.parametrize("seed", range(200))
def test_products_of_matrices_are_right(seed):
    rng = random.Random(seed)
    node, value = _products(rng, 4, rng.randrange(3))
    found = _Reader(one_line(node, {x: x.label for x in NUMBERS})).sum()
    column = value.reshape(-1, 1) if np.ndim(value) == 1 else value  # all terms of a sum may cancel: then a single 0 is written
    np.testing.assert_allclose(np.reshape(found, np.shape(column)) if np.size(found) > 1 else found, column, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1 / 3, "x / 3"),
        (2 / 784, "x / 392"),
        (-5 / 6, "-5 x / 6"),
        (1 / np.sqrt(8), "x / √8"),
        (np.sqrt(1 / 8), "x / √8"),
        (-1 / np.sqrt(3), "-x / √3"),
        (np.sqrt(2 / 3), "√2 x / √3"),
        (0.25, "x / 4"),
        (0.3, "0.3 x"),
    ],
)
def test_numbers_are_read_as_fractions_and_roots(number: float, text: str, dtype: str) -> None:
    assert formula(input("x", (3,), dtype) * np.dtype(dtype).type(number)).text == text


@pytest.mark.parametrize("number", [0.70710677 + 1e-5, np.pi, np.log(2), 0.35355345])
def test_a_number_that_is_near_a_fraction_by_chance_stays_a_number(number: float) -> None:
    assert formula(input("x", (3,)) * np.float32(number)).text == f"{np.float32(number)!s} x"
