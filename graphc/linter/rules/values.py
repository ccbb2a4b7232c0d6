"""GC1: values that become NaN or infinite, or lose their digits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

from graphc.core import Constant, Tensor, dtypes
from graphc.core.sizes import Dim
from graphc.linter.program import Program, moved, name_of, value_of
from graphc.linter.rule import Hit, rule
from graphc.ranges import Range, peeled

_KEPT: Final = ("expand_dims", "reshape", "broadcast_to", "cast")
_LOGARITHMS: Final = ("log", "log2", "log10")


@rule(
    "GC101",
    "warning",
    cure="gc.log_softmax(x), gc.log_sigmoid(x), or a cross-entropy with from_logits=True",
    bad="""
    x = gc.input("x", ("batch", 10))
    w = gc.variable(gc.init.glorot_uniform((10, 3), seed=0), "w")
    entropy = -gc.mean(gc.log(gc.softmax(x @ w)))  # here
    """,
    good="""
    x = gc.input("x", ("batch", 10))
    w = gc.variable(gc.init.glorot_uniform((10, 3), seed=0), "w")
    entropy = -gc.mean(gc.log_softmax(x @ w))
    """,
)
def log_of_softmax(program: Program) -> Iterator[Hit]:
    """A softmax or sigmoid underflows to 0; its logarithm is -inf there and the gradient NaN. The compiler writes the stable form of the
    value, and of some gradients.
    """
    for node in program.forward:
        inner = peeled(node.inputs[0], ("cast",)) if name_of(node) in _LOGARITHMS else node
        if name_of(inner) in ("softmax", "sigmoid") and inner is not node:
            yield node, f"the logarithm of a {name_of(inner)}, which underflows to 0: its gradient may be NaN there"


@rule(
    "GC102",
    "warning",
    cure="gc.log(gc.maximum(x, 1e-7)), gc.log1p(x), gc.log_sigmoid(-x) for the log of 1 - sigmoid(x), or gc.xlogy(a, x) for a * log(x)",
    bad="""
    x = gc.input("x", ("batch", 10))
    y = gc.log(gc.relu(x))  # here
    """,
    good="""
    x = gc.input("x", ("batch", 10))
    y = gc.log1p(gc.relu(x))
    z = gc.where(x > 0, gc.log(gc.maximum(x, 1e-7)), 0.0)
    """,
)
def log_of_zero(program: Program) -> Iterator[Hit]:
    """The argument of a logarithm may be 0 (-inf) or negative (NaN), by the ranges of the ops that make it."""
    for node in program.forward:
        least = {**dict.fromkeys(_LOGARITHMS, 0.0), "log1p": -1.0}.get(name_of(node))
        if least is None:
            continue
        known = program.ranges[node.inputs[0]]
        if (_reaches_down_to(known, least)) and not program.guarded(node):
            yield node, f"the argument of {name_of(node)} is {_told(known)}: the result is -inf or NaN at {least:g} and below"


@rule(
    "GC103",
    "warning",
    cure="gc.norm(x) for the square root of a sum of squares, gc.std(x) for that of a variance, or gc.sqrt(x + 1e-7)",
    bad="""
    w = gc.variable(np.ones(3, "float32"), "w")
    loss = gc.sqrt(gc.sum(gc.square(w)))  # here
    slope = gc.grad(loss, w)
    """,
    good="""
    w = gc.variable(np.ones(3, "float32"), "w")
    loss = gc.norm(w)
    slope = gc.grad(loss, w)
    """,
)
def sqrt_at_zero(program: Program) -> Iterator[Hit]:
    """A root is differentiated whose argument may be 0, where its slope is infinite; times a 0 from above that is NaN. ``norm``, ``std``
    and ``hypot`` have the gradient 0 there.
    """
    for node in program.forward:
        if node in program.differentiated and _is_root(node):
            known = program.ranges[node.inputs[0]]
            if known.known and known.reaches(0) and not program.guarded(node):
                yield node, f"the argument of {name_of(node)} is {_told(known)}, and at 0 its gradient is infinite, or NaN"


def _is_root(node: Tensor) -> bool:
    if name_of(node) in ("sqrt", "cbrt"):
        return True
    exponent = value_of(node.inputs[1]) if name_of(node) == "power" else None
    return isinstance(exponent, int | float) and 0 < exponent < 1


@rule(
    "GC104",
    "warning",
    cure="gc.l2_normalize(x) for x / norm(x), x / (d + 1e-7), x / gc.maximum(d, 1e-7), or gc.where(d > 0, x / d, 0)",
    bad="""
    x = gc.input("x", ("batch", 10))
    y = (x - gc.mean(x, axis=0)) / gc.std(x, axis=0)  # here
    """,
    good="""
    x = gc.input("x", ("batch", 10))
    y = (x - gc.mean(x, axis=0)) / (gc.std(x, axis=0) + 1e-7)
    total = gc.sum(gc.abs(x), axis=-1, keepdims=True)
    share = gc.where(total > 0, x / total, 0.0)
    """,
)
def division_by_zero(program: Program) -> Iterator[Hit]:
    """The divisor may be 0, by the ranges of the ops that make it: the quotient is infinite, or NaN where both are 0."""
    for node in program.forward:
        divisor = _divisor(node)
        if divisor is None:
            continue
        known = program.ranges[divisor]
        if known.known and known.reaches(0) and not program.guarded(node):
            yield node, f"the divisor is {_told(known)}: the quotient is infinite, or NaN, at 0"


def _divisor(node: Tensor) -> Tensor | None:
    match name_of(node):
        case "divide" | "floor_divide" | "mod":
            return node.inputs[1]
        case "reciprocal" | "rsqrt":
            return node.inputs[0]
        case "power":
            exponent = value_of(node.inputs[1])
            return node.inputs[0] if isinstance(exponent, int | float) and exponent < 0 else None
        case _:
            return None


_DOMAINS: Final = {
    "sqrt": (0.0, math.inf),
    "rsqrt": (0.0, math.inf),
    "asin": (-1.0, 1.0),
    "acos": (-1.0, 1.0),
    "atanh": (-1.0, 1.0),
    "erfinv": (-1.0, 1.0),
    "acosh": (1.0, math.inf),
}


@rule(
    "GC105",
    "warning",
    cure="gc.clip or gc.maximum brings the argument into the domain, gc.abs if the size is meant",
    bad="""
    x = gc.input("x", ("batch", 10))
    y = gc.sqrt(gc.tanh(x))  # here
    """,
    good="""
    x = gc.input("x", ("batch", 10))
    y = gc.sqrt(gc.sigmoid(x))
    """,
)
def outside_the_domain(program: Program) -> Iterator[Hit]:
    """The argument of a root, or of an inverse function, may lie where that is not defined, by the ranges of the ops that make it."""
    for node in program.forward:
        low, high = _DOMAINS.get(name_of(node), (-math.inf, math.inf))
        known = program.ranges[node.inputs[0]] if node.inputs else Range()
        below, above = known.low < low and known.low_reached, known.high > high and known.high_reached
        if (below or above) and dtypes.is_float(node.dtype) and not program.guarded(node):
            yield (
                node,
                f"the argument of {name_of(node)} is {_told(known)}: the result is NaN {f'below {low:g}' if below else f'above {high:g}'}",
            )


@rule(
    "GC106",
    "warning",
    cure="gc.softmax(x, axis), gc.logsumexp(x, axis)",
    bad="""
    x = gc.input("x", ("batch", 10))
    e = gc.exp(x)
    p = e / gc.sum(e, axis=-1, keepdims=True)  # here
    """,
    good="""
    x = gc.input("x", ("batch", 10))
    p = gc.softmax(x)
    e = gc.exp(x - gc.max(x, axis=-1, keepdims=True))
    q = e / gc.sum(e, axis=-1, keepdims=True)
    """,
)
def unshifted_exponentials(program: Program) -> Iterator[Hit]:
    """A softmax or a log-sum-exp is spelt out without taking off the largest element: ``exp`` overflows above 88 in float32, above 11 in
    float16. The compiler knows the plain spellings; others, and ``optimize=False``, give NaN.
    """
    for node in program.forward:
        top = _exponentials(node)
        if top is not None:
            known = program.ranges[top.inputs[0]]
            if known.high > math.log(dtypes.finfo(top.dtype).max):
                yield node, "exponentials are summed of which none is kept from overflowing"


def _exponentials(node: Tensor) -> Tensor | None:
    """The ``exp`` in ``exp(x) / sum(exp(x))`` and in ``log(sum(exp(x)))``."""
    if name_of(node) == "divide":
        total = peeled(node.inputs[1], _KEPT)
        if name_of(node.inputs[0]) == "exp" and name_of(total) == "sum" and total.inputs[0] is node.inputs[0]:
            return node.inputs[0]
    if name_of(node) == "log" and name_of(node.inputs[0]) == "sum" and name_of(node.inputs[0].inputs[0]) == "exp":
        return node.inputs[0].inputs[0]
    return None


@rule(
    "GC107",
    "warning",
    cure="gc.var(x, axis), or gc.mean(gc.square(x - gc.mean(x, axis, keepdims=True)), axis)",
    bad="""
    x = gc.input("x", ("batch", 10))
    v = gc.mean(x * x, axis=0) - gc.mean(x, axis=0) ** 2  # here
    """,
    good="""
    x = gc.input("x", ("batch", 10))
    v = gc.var(x, axis=0)
    """,
)
def cancelling_variance(program: Program) -> Iterator[Hit]:
    """``mean(x²) - mean(x)²`` loses the digits that both have in common, and may be negative: a variance of 1 around 10,000 has none left
    in float32.
    """
    for node in program.forward:
        if name_of(node) == "subtract":
            squares, square = [peeled(x, _KEPT) for x in node.inputs]
            mean = _squared(square)
            inner = _squared(squares.inputs[0]) if name_of(squares) == "mean" else None
            if mean is not None and inner is not None and name_of(peeled(mean, _KEPT)) == "mean" and peeled(mean, _KEPT).inputs[0] is inner:
                yield node, "the variance as a difference of two large numbers, in which the digits cancel"


def _squared(node: Tensor) -> Tensor | None:
    """``x``, if this is its square."""
    match name_of(node):
        case "square":
            return node.inputs[0]
        case "multiply" if node.inputs[0] is node.inputs[1]:
            return node.inputs[0]
        case "power" if value_of(node.inputs[1]) == 2:
            return node.inputs[0]
        case _:
            return None


_ROUNDED: Final = frozenset(
    [
        "add",
        "subtract",
        "multiply",
        "divide",
        "power",
        "exp",
        "log",
        "sin",
        "cos",
        "tan",
        "tanh",
        "sqrt",
        "matmul",
        "sum",
        "mean",
        "softmax",
        "sigmoid",
        "norm",
        "var",
        "std",
        "dot",
        "einsum",
    ]
)


@rule(
    "GC108",
    "note",
    cure="gc.abs(a - b) < tolerance",
    bad="""
    x = gc.input("x", ("batch",))
    same = gc.equal(x * 0.1, gc.exp(x))  # here
    """,
    good="""
    x = gc.input("x", ("batch",))
    near = gc.abs(x * 0.1 - gc.exp(x)) < 1e-6
    largest = gc.equal(x * 0.1, gc.max(x * 0.1))
    empty = gc.equal(gc.sum(gc.abs(x)), 0)
    """,
)
def float_equality(program: Program) -> Iterator[Hit]:
    """Two computed floats are compared for equality. They are rounded, so whether they are equal depends on the order of operations, on the
    backend and on the optimisations.
    """
    for node in program.forward:
        if name_of(node) in ("equal", "not_equal"):
            a, b = node.inputs
            if dtypes.is_inexact(a.dtype) and _is_rounded(a, program) and _is_rounded(b, program) and not _selects(a, b):
                yield node, f"two computed {a.dtype} numbers are compared for equality, which rounding decides"


def _is_rounded(node: Tensor, program: Program) -> bool:
    """Whether it is the result of arithmetic on numbers that are not whole."""
    node = moved(node)
    if name_of(node) not in _ROUNDED:
        return False
    return not all(_is_whole(x, 4) for x in node.inputs) or name_of(node) not in ("add", "subtract", "multiply", "sum", "matmul")


def _is_whole(node: Tensor, depth: int) -> bool:
    if isinstance(node, Constant):
        number = node.uniform
        return isinstance(number, int | float) and number == math.floor(number) if number is not None else False
    if not dtypes.is_inexact(node.dtype) or name_of(node) in ("round", "floor", "ceil", "trunc", "sign", "one_hot", "count"):
        return True
    steps = (
        "cast",
        "add",
        "subtract",
        "multiply",
        "sum",
        "where",
        "negative",
        "abs",
        "square",
        "max",
        "min",
        "relu",
        "reshape",
        "expand_dims",
    )
    return depth > 0 and name_of(node) in steps and all(_is_whole(x, depth - 1) for x in node.inputs)


_SELECTING: Final = frozenset(
    [
        "max",
        "min",
        "sort",
        "take",
        "take_along_axis",
        "getitem",
        "maximum",
        "minimum",
        "clip",
        "window_max",
        "cummax",
        "cummin",
        "top_k",
        "part",
        "where",
    ]
)


def _selects(a: Tensor, b: Tensor) -> bool:
    """Whether one is chosen among the values of the other, and so has the bits of one of them."""
    for x, y in ((moved(a), moved(b)), (moved(b), moved(a))):
        while name_of(x) in _SELECTING or name_of(x) in ("expand_dims", "reshape", "broadcast_to"):
            x = moved(x.inputs[-1] if name_of(x) == "where" else x.inputs[0])
            if x is y:
                return True
    return a is b


_ARITHMETIC: Final = ("add", "subtract", "multiply", "divide", "power", "exp", "square")


@rule(
    "GC109",
    "error",
    cure="a number that the dtype holds, a wider dtype, or gc.where for what is to be left out",
    bad="""
    x = gc.input("x", ("batch",), dtype="float16")
    y = gc.exp(x) * 2.0**17  # here
    """,
    good="""
    x = gc.input("x", ("batch",), dtype="float16")
    y = gc.cast(gc.exp(x), "float32") * 2.0**17
    """,
)
def overflow(program: Program) -> Iterator[Hit]:
    """A number, or a value whatever the inputs are, is beyond the largest of its dtype (65,504 in float16, 3.4e38 in float32), and so is
    computed with as infinite.
    """
    for node in program.forward:
        if not dtypes.is_float(node.dtype) or name_of(node) not in _ARITHMETIC:
            continue
        largest = float(dtypes.finfo(node.dtype).max)
        if any(isinstance(x, Constant) and isinstance(x.uniform, float) and math.isinf(x.uniform) for x in node.inputs):
            yield node, f"a number beyond {largest:.3g}, the largest {node.dtype}, is infinite in {name_of(node)}"
            continue
        known = program.ranges[node]
        finite = all(abs(bound) <= largest for x in node.inputs for bound in _bounds(program.ranges[x]))
        if finite and (known.low > largest or known.high < -largest):
            yield node, f"the result is beyond {largest:.3g}, the largest {node.dtype}, for every input"


def _bounds(known: Range) -> list[float]:
    return [bound for bound in known[:2] if not math.isinf(bound)]


_LITERAL: Final = re.compile(r"(?<![\w.])\d+(?:\.\d*)?[eE]-\d+")


@rule(
    "GC110",
    "error",
    cure="a number that the dtype holds (1e-4 in float16), or a wider dtype",
    bad="""
    x = gc.input("x", ("batch",), dtype="float16")
    y = x / (gc.exp(x) + 1e-9)  # here
    """,
    good="""
    x = gc.input("x", ("batch",), dtype="float16")
    y = x / (gc.exp(x) + 1e-4)
    """,
)
def vanished_epsilon(program: Program) -> Iterator[Hit]:
    """A small number that the line has was rounded to 0 in the dtype that it meets: it keeps nothing from being 0."""
    for node in program.forward:
        guards = dtypes.is_float(node.dtype) and name_of(node) in ("add", "subtract", "maximum", "clip")
        if guards and any(value_of(x) == 0 for x in node.inputs):
            least = float(dtypes.finfo(node.dtype).smallest_subnormal) / 2
            small = [text for text in _LITERAL.findall(program.text(node)) if 0 < float(text) < least]
            if small:
                yield node, f"{small[0]} is 0 in {node.dtype}"


@rule(
    "GC111",
    "error",
    cure="a shape whose axis has elements, or gc.sum",
    bad="""
    x = gc.input("x", ("batch", 0))
    y = gc.mean(x, axis=1)  # here
    """,
    good="""
    x = gc.input("x", ("batch", 0))
    y = gc.sum(x, axis=1)
    """,
)
def mean_of_nothing(program: Program) -> Iterator[Hit]:
    """A mean, a variance or a standard deviation is taken along an axis of size 0, or of no more elements than ``ddof``: it is NaN."""
    for node in program.forward:
        if name_of(node) in ("mean", "var", "std"):
            sizes: list[Dim] = [node.inputs[0].shape[axis] for axis in node.attributes["axis"]]
            count = math.prod([size for size in sizes if isinstance(size, int)])
            if count == 0 or (all(isinstance(size, int) for size in sizes) and count <= node.attributes.get("ddof", -1)):
                yield node, f"{name_of(node)} of {count} element{'s' * (count != 1)} is NaN"


def _reaches_down_to(known: Range, least: float) -> bool:
    return known.known and (known.reaches(least) or (known.low < least and known.low_reached) or known.high < least)


def _told(known: Range) -> str:
    left, right = "[" if known.low_reached else "(", "]" if known.high_reached else ")"
    return f"in {left}{known.low:.6g}, {known.high:.6g}{right}"
