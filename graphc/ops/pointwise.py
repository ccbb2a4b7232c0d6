"""Element by element: one row an op. ``d`` are the partial derivatives, from which every gradient follows.

In a partial ``y`` is the result and ``a``, ``b`` or ``x`` the operands. None of them may cancel: each is right to a few units in
the last place of float32 wherever the op is defined.
"""

# A row is made of lambdas, whose parameters the type checker cannot know; Op checks them when the row is read.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from graphc.core import OPS, Op, Tensor, as_tensor, case, dtypes, register, sizes
from graphc.core.attributes import DTypeName
from graphc.core.errors import ArgumentError, DTypeError
from graphc.core.expr import Constant
from graphc.core.op import Partial, as_dtype
from graphc.core.sizes import Dim
from graphc.core.types import TensorType

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cast",
    "cbrt",
    "ceil",
    "celu",
    "clip",
    "cos",
    "cosh",
    "deg2rad",
    "divide",
    "elu",
    "equal",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "hard_silu",
    "hypot",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "leaky_relu",
    "less",
    "less_equal",
    "log",
    "log10",
    "log1mexp",
    "log1p",
    "log2",
    "log_sigmoid",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mish",
    "mod",
    "multiply",
    "nan_to_num",
    "negative",
    "not_equal",
    "power",
    "rad2deg",
    "reciprocal",
    "relu",
    "relu6",
    "round",
    "rsqrt",
    "selu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinc",
    "sinh",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "stop_gradient",
    "subtract",
    "tan",
    "tanh",
    "trunc",
    "where",
    "xlog1py",
    "xlogy",
]

LN2, LN10 = math.log(2), math.log(10)
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848, 1.0507009873554804934


def _out(emit: str) -> str | None:
    """``np.f(x)`` becomes ``np.f(x, out=$out)``; only plain calls of ufuncs have that form."""
    if not emit.startswith("xp.") or emit.count("(") != 1:
        return None
    return emit.replace("xp.", "np.", 1)[:-1] + ", out=$out)"


def unary(
    name: str, title: str, emit: str | None = "", *, d: Partial, returns: Any = "", compute: Any = dtypes.floating, **fields: Any
) -> Op:
    """Declare a function of one operand. ``emit=None`` leaves the target to decompose it; ``returns`` is a dtype, or a function of one."""

    def rule(x: TensorType) -> TensorType:
        made: Any = returns(x.dtype) if callable(returns) else returns
        return x.with_dtype(made or x.dtype)

    rule.__doc__ = title
    source = None if emit is None else emit or f"xp.{name}($x)"
    if source and not returns:
        fields.setdefault("out", _out(source))
    fields.setdefault("domain", ((-3.0, 3.0),))
    return register(name, rule, emit=source, pointwise=True, partials=(d,), promote=("x",), compute=compute, group="pointwise", **fields)


def family(name: str, rule: Callable[..., TensorType], *, d: Partial, **fields: Any) -> Op:
    """Declare functions of one operand that are told apart by attributes, as the type rule has them."""
    fields = {"compute": dtypes.floating, "domain": ((-3.0, 3.0),), "group": "pointwise"} | fields
    return register(name, rule, pointwise=True, partials=(d,), promote=("x",), **fields)


def binary(
    name: str, title: str, emit: str | None = "", *, d: tuple[Partial, Partial], returns: str = "", compute: Any = None, **fields: Any
) -> Op:
    """Declare a function of two operands, which broadcast. ``emit=None`` leaves the target to decompose it."""

    def rule(a: TensorType, b: TensorType) -> TensorType:
        return TensorType(returns or a.dtype, sizes.broadcast([a.shape, b.shape]))

    rule.__doc__ = title
    source = None if emit is None else emit or f"xp.{name}($a, $b)"
    if source and not returns:
        fields.setdefault("out", _out(source))
    fields.setdefault("domain", ((-3.0, 3.0), (-3.0, 3.0)))
    return register(name, rule, emit=source, pointwise=True, partials=d, promote=("a", "b"), compute=compute, group="pointwise", **fields)


def one_where(condition: Tensor, like: Tensor) -> Tensor:
    """1 where the condition holds and 0 elsewhere, in the dtype of ``like``."""
    return cast(condition, dtype=like.dtype)


def _half(first: Callable[..., Tensor], second: Callable[..., Tensor]) -> Partial:
    """1 where both conditions hold, 1/2 where one does: ties split evenly."""
    return lambda y, a, b: 0.5 * (one_where(first(a, b), y) + one_where(second(a, b), y))


# ---------------------------------------------------------------- arithmetic
add = binary(
    "add",
    "Sum of two tensors.",
    d=(1, 1),
    text="$a + $b",
    tex="$a + $b",
    binds=3,
    sympy="a + b",
    linear=("a", "b"),
    laws=("commutative", "associative", ("unit", 0)),
)
subtract = binary(
    "subtract",
    "Difference of two tensors.",
    d=(1, -1),
    compute=dtypes.numeric,
    text="$a - $b",
    tex="$a - $b",
    binds=3,
    sympy="a - b",
    linear=("a", "b"),
    laws=(("right unit", 0),),
)
multiply = binary(
    "multiply",
    "Product, element by element.",
    d=(lambda y, a, b: b, lambda y, a, b: a),
    text="$a ⊙ $b",
    tex=r"$a \odot $b",
    binds=2,
    sympy="a * b",
    laws=("commutative", "associative", ("unit", 1), ("zero", 0)),
    precision="promote",
)
divide = binary(
    "divide",
    "Quotient; integers are divided as floats.",
    d=(lambda y, a, b: reciprocal(b), lambda y, a, b: -y / b),
    compute=dtypes.averaging,
    text="$a / $b",
    tex=r"\frac{$a}{$b}",
    binds=2,
    sympy="a / b",
    domain=((-3.0, 3.0), (0.3, 3.0)),
    laws=(("right unit", 1),),
    precision="promote",
)
negative = unary(
    "negative", "``-x``.", d=-1, compute=dtypes.numeric, text="-$x", tex="-$x", binds=2, sympy="-x", linear=("x",), laws=("involution",)
)
reciprocal = unary(
    "reciprocal",
    "``1 / x``.",
    compute=dtypes.inexact,
    d=lambda y, x: -square(y),
    domain=((0.3, 3.0),),
    text="1 / $x",
    tex=r"\frac{1}{$x}",
    binds=2,
    sympy="1 / x",
)
square = unary("square", "``x * x``.", d=lambda y, x: 2 * x, compute=dtypes.counting, text="$x²", tex="$x^2", binds=1, sympy="x**2")
sqrt = unary(
    "sqrt",
    "Square root.",
    compute=dtypes.inexact,
    d=lambda y, x: 0.5 / y,
    domain=((0.1, 4.0),),
    text="√$x",
    tex=r"\sqrt{$x}",
    binds=1,
    sympy="sqrt(x)",
)
cbrt = unary(
    "cbrt",
    "Cube root, also of negative numbers.",
    d=lambda y, x: reciprocal(3 * square(y)),
    domain=((0.1, 4.0),),
    tex=r"\sqrt[3]{$x}",
    sympy="cbrt(x)",
)
rsqrt = unary(
    "rsqrt",
    "``1 / sqrt(x)``.",
    "1 / xp.sqrt($x)",
    compute=dtypes.inexact,
    flops=2,
    d=lambda y, x: -0.5 * y / x,
    domain=((0.1, 4.0),),
    tex=r"$x^{-1/2}",
    text="$x^(-1/2)",
    binds=1,
    sympy="x**Rational(-1, 2)",
)


def _direction(x: Tensor) -> Tensor:
    """``|z + dz| = |z| + Re(p dz)`` with this p; of a real number its sign."""
    if not dtypes.is_complex(x.dtype):
        return sign(x)
    size = abs(x)
    return where(equal(size, 0), 0, OPS["conj"](x) / size)


abs = unary(
    "abs",
    "Absolute value; of a complex number its distance from 0.",
    d=lambda y, x: _direction(x),
    compute=None,
    returns=dtypes.real,
    out="np.abs($x, out=$out)",
    text="|$x|",
    tex="|$x|",
    sympy="Abs(x)",
    kinks=lambda x: equal(x, 0),
    kink_note="0 at 0",
    laws=("idempotent",),
    precision="promote",
)
sign = unary(
    "sign",
    "-1, 0 or 1; NaN of NaN.",
    d=0,
    compute=dtypes.signed,
    sympy="sign(x)",
    laws=("idempotent",),
    zero_gradient="sign is flat between its steps",
)


def _exponent(b: Tensor) -> Any:
    return b.uniform if isinstance(b, Constant) else None


def _power_base(y: Tensor, a: Tensor, b: Tensor) -> Any:
    n = _exponent(b)
    if n is None:
        return where(equal(b, 0), 0, b * power(a, b - 1))
    plain = {0: 0, 1: 1, 2: 2 * a}
    return plain[n] if n in plain else b * power(a, b - 1)


def _power_exponent(y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    at_zero: Any = 0 if dtypes.is_complex(b.dtype) else where(greater_equal(b, 0), 0, -math.inf)
    return where(equal(a, 0), at_zero, y * log(a))


power = binary(
    "power",
    "``a`` to the power ``b``.",
    d=(_power_base, _power_exponent),
    compute=dtypes.counting,
    domain=((0.3, 3.0), (-2.0, 2.0)),
    text="$a^$b",
    tex="$a^{$b}",
    binds=1,
    sympy="a**b",
    raises=True,  # a negative power of an integer
    laws=(("right unit", 1),),
    ulps=64,
)
mod = binary(
    "mod",
    "Remainder with the sign of ``b``, as Python has it.",
    d=(1, lambda y, a, b: -floor_divide(a, b)),
    compute=dtypes.counting_in_order,
    domain=((4.3, 4.6), (1.0, 1.05)),
    ulps=8,
)
floor_divide = binary(
    "floor_divide",
    "Quotient rounded down.",
    d=(0, 0),
    compute=dtypes.counting_in_order,
    domain=((1.2, 1.8), (0.95, 1.05)),
    zero_gradient="rounding is flat between its steps",
)
maximum = binary(
    "maximum",
    "The larger of two; NaN if one is.",
    compute=dtypes.ordered,
    d=(_half(lambda a, b: a > b, lambda a, b: a >= b), _half(lambda a, b: b > a, lambda a, b: b >= a)),
    kinks=lambda a, b: equal(a, b),
    kink_note="1/2 each where equal",
    sympy="Max(a, b)",
    text="max($a, $b)",
    tex=r"\max($a, $b)",
    laws=("commutative", "associative", "idempotent"),
    precision="promote",
)
minimum = binary(
    "minimum",
    "The smaller of two; NaN if one is.",
    compute=dtypes.ordered,
    d=(_half(lambda a, b: a < b, lambda a, b: a <= b), _half(lambda a, b: b < a, lambda a, b: b <= a)),
    kinks=lambda a, b: equal(a, b),
    kink_note="1/2 each where equal",
    sympy="Min(a, b)",
    text="min($a, $b)",
    tex=r"\min($a, $b)",
    laws=("commutative", "associative", "idempotent"),
    precision="promote",
)

# ---------------------------------------------------------------- exponentials and logarithms
exp = unary("exp", "``e`` to the power ``x``.", compute=dtypes.inexact, d=lambda y, x: y, tex="e^{$x}", sympy="exp(x)")
expm1 = unary(
    "expm1", "``exp(x) - 1`` without cancellation.", compute=dtypes.inexact, d=lambda y, x: exp(x), tex="(e^{$x} - 1)", sympy="exp(x) - 1"
)
exp2 = unary("exp2", "2 to the power ``x``.", d=lambda y, x: y * LN2, tex="2^{$x}", sympy="2**x")
log = unary(
    "log",
    "Natural logarithm.",
    compute=dtypes.inexact,
    d=lambda y, x: reciprocal(x),
    domain=((0.1, 4.0),),
    tex=r"\log $x",
    binds=2,
    sympy="log(x)",
    text="log($x)",
)
log1p = unary(
    "log1p",
    "``log(1 + x)`` without cancellation.",
    d=lambda y, x: reciprocal(1 + x),
    domain=((-0.8, 4.0),),
    tex=r"\log(1 + $x)",
    sympy="log(1 + x)",
    text="log(1 + $x)",
)
log2 = unary("log2", "Logarithm to base 2.", d=lambda y, x: 1 / (LN2 * x), domain=((0.1, 4.0),), tex=r"\log_2($x)", sympy="log(x, 2)")
log10 = unary(
    "log10",
    "Logarithm to base 10.",
    compute=dtypes.inexact,
    d=lambda y, x: 1 / (LN10 * x),
    domain=((0.1, 4.0),),
    tex=r"\log_{10}($x)",
    sympy="log(x, 10)",
)
logaddexp = binary(
    "logaddexp",
    "``log(exp(a) + exp(b))`` without overflow; its gradient is 0 where both are -inf.",
    None,
    jax="xp.logaddexp($a, $b)",
    flops=10,
    compute=dtypes.floating,
    d=(lambda y, a, b: _share(y, a, b), lambda y, a, b: _share(y, b, a)),
    sympy="log(exp(a) + exp(b))",
    laws=("commutative", "associative"),
)
hypot = binary(
    "hypot", "``sqrt(a * a + b * b)`` without overflow; its gradient at the origin is 0.", compute=dtypes.floating,
    d=(lambda y, a, b: _leg(y, a), lambda y, a, b: _leg(y, b)), sympy="sqrt(a**2 + b**2)", laws=("commutative",),
    kinks=lambda a, b: logical_and(equal(a, 0), equal(b, 0)), kink_note="0 at the origin", tex=r"\sqrt{$a^2 + $b^2}"
)  # fmt: skip
xlogy = binary(
    "xlogy",
    "``a * log(b)``, and 0 where ``a`` is 0.",
    "xp.where($a == 0, $a, $a * xp.log(xp.where($a == 0, 1, $b)))",
    flops=5,
    out=None,
    d=(lambda y, a, b: log(b), lambda y, a, b: _ratio(a, b)),
    compute=dtypes.floating,
    domain=((-3.0, 3.0), (0.2, 3.0)),
    sympy="a * log(b)",
)
xlog1py = binary(
    "xlog1py",
    "``a * log1p(b)``, and 0 where ``a`` is 0.",
    "xp.where($a == 0, $a, $a * xp.log1p(xp.where($a == 0, 1, $b)))",
    flops=5,
    out=None,
    d=(lambda y, a, b: log1p(b), lambda y, a, b: _ratio(a, 1 + b)),
    compute=dtypes.floating,
    domain=((-3.0, 3.0), (-0.8, 3.0)),
    sympy="a * log(1 + b)",
)
log1mexp = unary(
    "log1mexp",
    "``log(1 - exp(-x))`` of positive ``x`` without cancellation (Mächler, 2012), as JAX has it; PyTensor and Stan take ``-x``.",
    None,
    d=lambda y, x: where(x >= 0, exp(-x) / -expm1(-x), math.nan),
    domain=((0.1, 4.0),),
    sympy="log(1 - exp(-x))",
    tex=r"\log(1 - e^{-$x})",
    text="log(1 - exp(-$x))",
    flops=9,
)
log1mexp.decompose(lambda x: where(x < LN2, log(-expm1(-x)), log1p(-exp(-x))))


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """``a / b``, but 0 where both are: ``a log(b)`` is 0 along the whole line ``a = 0``."""
    return where(logical_and(equal(a, 0), equal(b, 0)), 0, a / b)


def _leg(y: Tensor, x: Tensor) -> Tensor:
    return where(equal(y, 0), 0, x / y)


def _share(y: Tensor, own: Tensor, other: Tensor) -> Tensor:
    nothing = equal(y, -math.inf)
    return where(nothing, 0, sigmoid(where(nothing, 0, own - other)))


# ---------------------------------------------------------------- trigonometry
sin = unary("sin", "Sine; radians.", compute=dtypes.inexact, d=lambda y, x: cos(x), tex=r"\sin($x)", sympy="sin(x)")
cos = unary("cos", "Cosine; radians.", compute=dtypes.inexact, d=lambda y, x: -sin(x), tex=r"\cos($x)", sympy="cos(x)")
tan = unary(
    "tan", "Tangent; radians.", compute=dtypes.inexact, d=lambda y, x: 1 + square(y), domain=((-1.2, 1.2),), tex=r"\tan($x)", sympy="tan(x)"
)
asin = unary("asin", "Inverse sine.", "xp.arcsin($x)", d=lambda y, x: rsqrt((1 - x) * (1 + x)), domain=((-0.9, 0.9),), sympy="asin(x)")
acos = unary(
    "acos", "Inverse cosine.", "xp.arccos($x)", d=lambda y, x: -rsqrt((1 - x) * (1 + x)), domain=((-0.9, 0.9),), sympy="acos(x)", ulps=8
)
atan = unary("atan", "Inverse tangent.", "xp.arctan($x)", d=lambda y, x: reciprocal(1 + square(x)), sympy="atan(x)")
sinh = unary("sinh", "Hyperbolic sine.", compute=dtypes.inexact, d=lambda y, x: cosh(x), tex=r"\sinh($x)", sympy="sinh(x)")
cosh = unary("cosh", "Hyperbolic cosine.", compute=dtypes.inexact, d=lambda y, x: sinh(x), tex=r"\cosh($x)", sympy="cosh(x)")
asinh = unary("asinh", "Inverse hyperbolic sine.", "xp.arcsinh($x)", d=lambda y, x: reciprocal(hypot(x, 1)), sympy="asinh(x)")
acosh = unary(
    "acosh",
    "Inverse hyperbolic cosine.",
    "xp.arccosh($x)",
    d=lambda y, x: rsqrt(x - 1) * rsqrt(x + 1),
    domain=((1.2, 4.0),),
    sympy="acosh(x)",
)
atanh = unary(
    "atanh",
    "Inverse hyperbolic tangent.",
    "xp.arctanh($x)",
    d=lambda y, x: reciprocal((1 - x) * (1 + x)),
    domain=((-0.9, 0.9),),
    sympy="atanh(x)",
)
atan2 = binary(
    "atan2",
    "Angle of the point ``(b, a)``, in the quadrant where it lies; its gradient at the origin is 0.",
    "xp.arctan2($a, $b)",
    compute=dtypes.floating,
    d=(lambda y, a, b: _turn(b, a), lambda y, a, b: -_turn(a, b)),
    domain=((-3.0, 3.0), (0.3, 3.0)),
    kinks=lambda a, b: logical_and(equal(a, 0), equal(b, 0)),
    kink_note="0 at the origin",
    sympy="atan2(a, b)",
)
deg2rad = unary(
    "deg2rad",
    "Degrees as radians.",
    d=lambda y, x: as_like(math.pi / 180, x),
    linear=("x",),
    sympy="x * pi / 180",
    tex=r"$x^\circ",
    binds=1,
)
rad2deg = unary("rad2deg", "Radians as degrees.", d=lambda y, x: as_like(180 / math.pi, x), linear=("x",), sympy="x * 180 / pi")


def _turn(own: Tensor, other: Tensor) -> Tensor:
    """``own / (own**2 + other**2)`` without overflow, and 0 at the origin."""
    r = hypot(own, other)
    return _leg(r, own) / where(equal(r, 0), 1, r)


_SINC_TERMS = 14


def _sinc_flops(node: Tensor) -> Dim:
    return node.size * (2 * _SINC_TERMS + 6 * node.attributes["order"] + 8)


def _sinc_type(x: TensorType, *, order: int = 0) -> TensorType:
    """The derivative of this order of ``sinc``."""
    return x


sinc = unary(
    "sinc",
    "``sin(pi * x) / (pi * x)``, and 1 at 0.",
    None,
    jax="xp.sinc($x)",
    d=lambda y, x: sinc_derivative(x, order=1),
    compute=dtypes.averaging_in_order,
    sympy="sin(pi * x) / (pi * x)",
    flops=5,
)
sinc_derivative = family(
    "sinc_derivative",
    _sinc_type,
    d=lambda y, x, order: sinc_derivative(x, order=order + 1),
    compute=dtypes.averaging_in_order,
    flops=_sinc_flops,
    cases=tuple([case((3,), order=order) for order in (1, 2, 3)]),
)


@sinc.decompose
def _(x: Tensor) -> Tensor:
    z = math.pi * x
    return where(equal(x, 0), 1, sin(z) / z)


@sinc_derivative.decompose
def _(x: Tensor, order: int) -> Tensor:
    """Leibniz's rule for ``x * sinc(x)`` gives one order from the one before, but cancels near 0, where Taylor's series does not."""
    z = math.pi * x
    waves = sin(z), cos(z), -sin(z), -cos(z)
    far = sinc(x)
    for n in range(1, order + 1):
        far = (math.pi ** (n - 1) * waves[n % 4] - n * far) / x
    return where(abs(x) < (1 + order) / 4, _sinc_series(x, order), far)


def _sinc_series(x: Tensor, order: int) -> Tensor:
    """The derivative of this order of the sum of ``(-1)**k (pi x)**(2k) / (2k + 1)!``, by Horner's rule."""
    first = (order + 1) // 2
    total: Any = 0.0
    for k in reversed(range(first, first + _SINC_TERMS)):
        total = (-1) ** k * math.pi ** (2 * k) / ((2 * k + 1) * math.factorial(2 * k - order)) + square(x) * total
    return x * total if order % 2 else total


# ---------------------------------------------------------------- activations
tanh = unary(
    "tanh",
    "Hyperbolic tangent.",
    compute=dtypes.inexact,
    d=lambda y, x: _tanh_slope(x),
    tex=r"\tanh($x)",
    sympy="tanh(x)",
    precision="promote",
)
sigmoid = unary(
    "sigmoid",
    "``1 / (1 + exp(-x))``.",
    None,
    jax="jax.nn.sigmoid($x)",
    d=lambda y, x: sigmoid_slope(x),
    text="σ($x)",
    tex=r"\sigma($x)",
    sympy="1 / (1 + exp(-x))",
    flops=4,
    precision="promote",
)
# The derivatives of tanh and sigmoid by one function that cancels nowhere; both are even, and their own derivatives smooth at 0.
sech2 = unary(
    "sech2",
    "``1 / cosh(x)**2``, the derivative of ``tanh``.",
    None,
    jax="sech2($x)",
    jax_helper='''
def sech2(x):
    """1 / cosh(x)**2 by one exponential, where XLA's cosh takes two."""
    e = jnp.exp(-2 * jnp.abs(x))
    return 4 * e / jnp.square(1 + e)
''',
    d=lambda y, x: -2 * tanh(x) * y,
    text="sech²($x)",
    tex=r"\operatorname{sech}^2($x)",
    sympy="1 / cosh(x)**2",
    flops=4,
    ulps=8,
)
sigmoid_slope = unary(
    "sigmoid_slope",
    "``sigmoid(x) * sigmoid(-x)``, the derivative of ``sigmoid``.",
    None,
    jax="sigmoid_slope($x)",
    jax_helper='''
def sigmoid_slope(x):
    """exp(-|x|) / (1 + exp(-|x|))**2: one exponential, and no overflow."""
    e = jnp.exp(-jnp.abs(x))
    return e / jnp.square(1 + e)
''',
    d=lambda y, x: -y * tanh(0.5 * x),
    text="σ'($x)",
    tex=r"\sigma'($x)",
    sympy="exp(-x) / (1 + exp(-x))**2",
    flops=5,
    ulps=8,
)
softplus = unary(
    "softplus",
    "``log(1 + exp(x))`` without overflow.",
    None,
    jax="xp.logaddexp($x, 0)",
    d=lambda y, x: sigmoid(x),
    sympy="log(1 + exp(x))",
    flops=6,
)
log_sigmoid = unary(
    "log_sigmoid", "``log(sigmoid(x))`` without underflow.", None, d=lambda y, x: sigmoid(-x), sympy="-log(1 + exp(-x))", flops=8
)
relu = unary(
    "relu",
    "``max(x, 0)``.",
    "xp.maximum($x, 0)",
    d=lambda y, x: one_where(x > 0, x),
    compute=dtypes.signed,
    sympy="Max(x, 0)",
    kinks=lambda x: equal(x, 0),
    kink_note="0 at 0",
    laws=("idempotent",),
    precision="promote",
)
relu6 = unary(
    "relu6",
    "``min(max(x, 0), 6)``.",
    None,
    d=lambda y, x: one_where(logical_and(x > 0, x < 6), x),
    compute=dtypes.signed,
    sympy="Min(Max(x, 0), 6)",
    kinks=lambda x: logical_or(equal(x, 0), equal(x, 6)),
    kink_note="0 at 0 and at 6",
    laws=("idempotent",),
    flops=2,
    precision="promote",
)
silu = unary(
    "silu",
    "``x * sigmoid(x)``, also called swish.",
    None,
    d=lambda y, x: sigmoid(x) * (1 + x * sigmoid(-x)),
    sympy="x / (1 + exp(-x))",
    flops=5,
    ulps=8,
    precision="promote",
)
mish = unary(
    "mish", "``x * tanh(softplus(x))`` (Misra, 2019).", None, d=lambda y, x: _mish(x), sympy="x * tanh(log(1 + exp(x)))", flops=8, ulps=8
)
softsign = unary(
    "softsign",
    "``x / (1 + |x|)``.",
    None,
    d=lambda y, x: reciprocal(square(1 + abs(x))),
    sympy="x / (1 + Abs(x))",
    flops=3,
    precision="promote",
)
hard_sigmoid = unary(
    "hard_sigmoid",
    "``relu6(x + 3) / 6``.",
    None,
    d=lambda y, x: one_where(logical_and(x > -3, x < 3), x) / 6,
    domain=((-2.9, 2.9),),
    flops=4,
    kinks=lambda x: equal(abs(x), 3),
    kink_note="0 at -3 and at 3",
    sympy="Min(Max(x + 3, 0), 6) / 6",
    ulps=8,
    precision="promote",
)
hard_silu = unary(
    "hard_silu",
    "``x * hard_sigmoid(x)``, also called hard swish (Howard et al., 2019).",
    None,
    d=lambda y, x: where(less(abs(x), 3), (2 * x + 3) / 6, one_where(x >= 3, x)),
    domain=((-2.9, 2.9),),
    flops=5,
    kinks=lambda x: equal(abs(x), 3),
    kink_note="0 at -3 and 1 at 3",
    sympy="x * Min(Max(x + 3, 0), 6) / 6",
    ulps=8,
    precision="promote",
)
selu = unary(
    "selu",
    "``1.0507 * elu(x, alpha=1.6733)``, which keeps mean 0 and variance 1 (Klambauer et al., 2017).",
    None,
    d=lambda y, x: where(x > 0, SELU_SCALE, SELU_SCALE * SELU_ALPHA * exp(minimum(x, 0))),
    kinks=lambda x: equal(x, 0),
    kink_note="1.0507 * 1.6733, the slope on the left, at 0",
    sympy=f"Piecewise(({SELU_SCALE} * x, x > 0), ({SELU_SCALE} * {SELU_ALPHA} * (exp(x) - 1), True))",
    flops=6,
)


def _tanh_slope(x: Tensor) -> Tensor:
    return sech2(x) if dtypes.is_float(x.dtype) else reciprocal(square(cosh(x)))


def _mish(x: Tensor) -> Tensor:
    s = softplus(x)
    return tanh(s) + x * sech2(s) * sigmoid(x)


@functools.cache
def by_vectors(function: str, dtype: str) -> bool:
    """Whether NumPy computes this function by vectors on this processor; one by one it takes ten times as long.

    Only where that holds is ``cosh`` cheaper than ``exp`` with what has to be done around it.
    """
    from numpy.lib import introspect

    types = {"float32": "ff", "float64": "dd"}.get(dtype, "")
    loop: Any = introspect.opt_func_info(func_name=f"^{function}$").get(function, {}).get(types)
    return loop is not None and not loop["current"].startswith("baseline")


def never_positive(x: Tensor) -> bool:
    """Whether it is written as ``-|a|``, of which ``exp`` never overflows."""
    return x.op is negative and x.inputs[0].op is abs


@sigmoid.decompose
def _(x: Tensor) -> Tensor:
    if never_positive(x):
        return exp(x) / (1 + exp(x))
    # The sum is at least 1, so that expm1, which is quicker, does as well as exp.
    return reciprocal(2 + expm1(-x) if x.dtype == "float32" and by_vectors("expm1", x.dtype) else 1 + exp(-x))


@softplus.decompose
def _(x: Tensor) -> Tensor:
    """NumPy's logaddexp takes thirty times as long."""
    return log1p(exp(x)) if never_positive(x) else maximum(x, 0) + log1p(exp(-abs(x)))


@sech2.decompose
def _(x: Tensor) -> Tensor:
    if by_vectors("cosh", x.dtype):
        return reciprocal(square(cosh(x)))
    e = exp(-2 * abs(x))
    return 4 * e / square(1 + e)


@sigmoid_slope.decompose
def _(x: Tensor) -> Tensor:
    if by_vectors("cosh", x.dtype):
        return 0.25 / square(cosh(0.5 * x))
    e = exp(-abs(x))
    return e / square(1 + e)


@logaddexp.decompose
def _(a: Tensor, b: Tensor) -> Tensor:
    apart = a - b
    return where(isnan(apart), a + b, maximum(a, b) + log1p(exp(-abs(apart))))  # two infinities of one sign are NaN apart


log_sigmoid.decompose(lambda x: -softplus(-x))
relu6.decompose(lambda x: minimum(relu(x), 6))
silu.decompose(lambda x: x * sigmoid(x))
mish.decompose(lambda x: x * tanh(softplus(x)))
softsign.decompose(lambda x: x / (1 + abs(x)))
hard_sigmoid.decompose(lambda x: relu6(x + 3) / 6)
hard_silu.decompose(lambda x: x * hard_sigmoid(x))
selu.decompose(lambda x: SELU_SCALE * where(x > 0, x, SELU_ALPHA * expm1(minimum(x, 0))))


def _elu_type(x: TensorType, *, alpha: float = 1.0) -> TensorType:
    """``x`` where positive, else ``alpha * (exp(x) - 1)`` (Clevert et al., 2015)."""
    return x


def _leaky_type(x: TensorType, *, negative_slope: float = 0.2) -> TensorType:
    """``x`` where positive, else ``negative_slope * x``; the slope at 0 is ``negative_slope``."""
    return x


def _celu_type(x: TensorType, *, alpha: float = 1.0) -> TensorType:
    """``x`` where positive, else ``alpha * (exp(x / alpha) - 1)``: an elu whose slope has no step (Barron, 2017). ``alpha`` is positive."""
    if not alpha > 0:
        raise ArgumentError(f"alpha is {alpha}", fits="a positive number")
    return x


elu = family(
    "elu",
    _elu_type,
    flops=5,
    d=lambda y, x, alpha: where(x > 0, 1, alpha * exp(minimum(x, 0))),
    kinks=lambda x, alpha: equal(x, 0),
    kink_note="alpha at 0",
    sympy="Piecewise((x, x > 0), (alpha * (exp(x) - 1), True))",
    cases=(case((3,), alpha=0.5),),
)
leaky_relu = family(
    "leaky_relu",
    _leaky_type,
    flops=3,
    d=lambda y, x, negative_slope: where(x > 0, 1, as_like(negative_slope, x)),
    kinks=lambda x, negative_slope: equal(x, 0),
    kink_note="the negative slope at 0",
    sympy="Piecewise((x, x > 0), (negative_slope * x, True))",
    precision="promote",
)
celu = family(
    "celu",
    _celu_type,
    flops=6,
    d=lambda y, x, alpha: exp(minimum(x, 0) / alpha),
    sympy="Piecewise((x, x > 0), (alpha * (exp(x / alpha) - 1), True))",
    cases=(case((2, 3), alpha=0.3),),
)
celu.decompose(lambda x, alpha: where(x > 0, x, alpha * expm1(minimum(x, 0) / alpha)))
elu.decompose(lambda x, alpha: where(x > 0, x, alpha * expm1(minimum(x, 0))))
leaky_relu.decompose(lambda x, negative_slope: where(x > 0, x, negative_slope * x))

# ---------------------------------------------------------------- rounding
_flat: Any = {
    "d": 0,
    "compute": dtypes.ordered,
    "domain": ((0.2, 0.8),),
    "zero_gradient": "rounding is flat between its steps",
    "laws": ("idempotent",),
}
floor = unary("floor", "The next whole number below.", sympy="floor(x)", text="⌊$x⌋", tex=r"\lfloor $x \rfloor", **_flat)
ceil = unary("ceil", "The next whole number above.", sympy="ceiling(x)", text="⌈$x⌉", tex=r"\lceil $x \rceil", **_flat)
round = unary(
    "round", "The nearest whole number, halves to the even one.", **(_flat | {"domain": ((0.1, 0.4),), "compute": dtypes.numeric})
)
trunc = unary("trunc", "The whole number next to it towards 0.", **_flat)

# ---------------------------------------------------------------- comparison and logic: no gradient passes
_compare: dict[str, Any] = {"d": (None, None), "returns": "bool", "binds": 4, "zero_gradient": "a comparison is flat between its steps"}
_order: dict[str, Any] = _compare | {"compute": dtypes.ordered}
equal = binary("equal", "Whether two are equal.", text="$a == $b", tex="$a = $b", laws=("commutative",), **_compare)
not_equal = binary("not_equal", "Whether two differ.", text="$a != $b", tex=r"$a \ne $b", laws=("commutative",), **_compare)
less = binary("less", "Whether ``a < b``.", text="$a < $b", tex="$a < $b", **_order)
less_equal = binary("less_equal", "Whether ``a <= b``.", text="$a <= $b", tex=r"$a \le $b", **_order)
greater = binary("greater", "Whether ``a > b``.", text="$a > $b", tex="$a > $b", **_order)
greater_equal = binary("greater_equal", "Whether ``a >= b``.", text="$a >= $b", tex=r"$a \ge $b", **_order)
_logic: dict[str, Any] = {
    "d": (None, None),
    "returns": "bool",
    "binds": 4,
    "compute": lambda dtype: "bool",
    "zero_gradient": "truth values carry no gradient",
}
logical_and = binary(
    "logical_and",
    "Whether both hold.",
    text="$a and $b",
    tex=r"$a \wedge $b",
    laws=("commutative", "associative", "idempotent", ("unit", True)),
    **_logic,
)
logical_or = binary(
    "logical_or",
    "Whether one holds.",
    text="$a or $b",
    tex=r"$a \vee $b",
    laws=("commutative", "associative", "idempotent", ("unit", False)),
    **_logic,
)
logical_xor = binary(
    "logical_xor",
    "Whether one holds and the other does not.",
    text="$a xor $b",
    tex=r"$a \oplus $b",
    laws=("commutative", "associative", ("unit", False)),
    **_logic,
)
logical_not = unary(
    "logical_not",
    "Whether it does not hold.",
    d=None,
    returns="bool",
    compute=lambda dtype: "bool",
    text="not $x",
    tex=r"\neg $x",
    binds=4,
    laws=("involution",),
    zero_gradient="truth values carry no gradient",
)
_test: dict[str, Any] = {"d": None, "returns": "bool", "compute": None, "zero_gradient": "a test is flat between its steps"}
isnan = unary("isnan", "Whether it is NaN.", **_test)
isinf = unary("isinf", "Whether it is inf or -inf.", **_test)
isfinite = unary("isfinite", "Whether it is neither NaN nor infinite.", **_test)


def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether ``|a - b| <= atol + rtol * |b|``; an infinity is close to itself alone, and a NaN to a NaN where ``equal_nan``."""
    a, b = as_tensor(a), as_tensor(b)
    near = logical_and(less_equal(abs(subtract(a, b)), atol + rtol * abs(b)), isfinite(b))
    close = logical_or(near, equal(a, b))
    return logical_or(close, logical_and(isnan(a), isnan(b))) if equal_nan else close


# ---------------------------------------------------------------- selection and conversion
def _where_type(c: TensorType, a: TensorType, b: TensorType) -> TensorType:
    """``a`` where ``c`` holds, else ``b``; the three broadcast.

    The gradient never sees the branch that was not taken, whatever it is: the mask goes with the cotangent down to the ops that
    would make NaN of ``0 * inf``.
    """
    if c.dtype != "bool":
        raise DTypeError(f"the condition is {c.dtype}", fits="a tensor of truth values, such as x > 0; gc.cast(c, 'bool')")
    return TensorType(a.dtype, sizes.broadcast([c.shape, a.shape, b.shape]))


_CHOOSE = '''
def choose(c, a, b, out=None):
    """a where c holds, else b. Done with the bits of numbers of 4 and 8 bytes: a branch that cannot be guessed costs ten times as much."""
    if out is None:
        out = np.empty(np.broadcast_shapes(np.shape(c), np.shape(a), np.shape(b)), np.result_type(a, b))
    bits = {4: np.int32, 8: np.int64}.get(out.itemsize)
    if bits is None or out.size < 64:
        out[...] = np.where(c, a, b)
        return out if out.shape else out[()]
    mask = np.negative(np.asarray(c).view(np.int8)).astype(bits)
    one, other = np.asarray(a).view(bits), np.asarray(b).view(bits)
    if not other.shape and not other:
        np.bitwise_and(one, mask, out=out.view(bits))
        return out
    picked = np.bitwise_and(np.bitwise_xor(one, other), mask)
    np.bitwise_xor(picked, other, out=out.view(bits))
    return out
'''
where = register(
    "where",
    _where_type,
    emit="choose($c, $a, $b)",
    out="choose($c, $a, $b, $out)",
    jax="xp.where($c, $a, $b)",
    helper=_CHOOSE,
    inplace=("a", "b"),
    pointwise=True,
    promote=("a", "b"),
    group="pointwise",
    domain=((-3.0, 3.0),) * 3,
    partials=(None, lambda y, c, a, b: one_where(c, y), lambda y, c, a, b: one_where(logical_not(c), y)),
    linear=("a", "b"),
    text="($a if $c else $b)",
    tex=r"\begin{cases}$a & $c \\ $b & \text{else}\end{cases}",
)


@where.vjp
def _(g: Tensor, y: Tensor, c: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor | None, ...]:
    return None, where(c, g, 0), where(c, 0, g)


@where.jvp
def _(t: tuple[Tensor | None, ...], y: Tensor, c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    moved = where(c, 0 if t[1] is None else t[1], 0 if t[2] is None else t[2])
    return moved if moved.shape == y.shape else OPS["broadcast_to"](moved, shape=y.shape)


def _clip_type(x: TensorType, low: TensorType, high: TensorType) -> TensorType:
    """``x`` brought into ``[low, high]``; the gradient is 1 in the closed interval and 0 outside."""
    return x.with_shape(sizes.broadcast([x.shape, low.shape, high.shape]))


clip = register(
    "clip",
    _clip_type,
    emit="xp.clip($x, $low, $high)",
    out="np.clip($x, $low, $high, out=$out)",
    pointwise=True,
    promote=("x", "low", "high"),
    compute=dtypes.ordered,
    group="pointwise",
    domain=((-3.0, 3.0), (-1.1, -0.9), (0.9, 1.1)),
    kinks=lambda x, low, high: logical_or(equal(x, low), equal(x, high)),
    kink_note="1 at the bounds, which count as inside",
    flops=2,
    partials=(
        lambda y, x, low, high: one_where(logical_and(x >= low, x <= high), y),
        lambda y, x, low, high: one_where(x < low, y),
        lambda y, x, low, high: one_where(x > high, y),
    ),
    precision="promote",
)


def _number_or_none(value: Any, types: tuple[TensorType, ...]) -> float | None:
    return None if value is None else float(value)


_Limit = Annotated[float | None, _number_or_none]


def _nan_to_num_type(x: TensorType, *, nan: float = 0.0, posinf: _Limit = None, neginf: _Limit = None) -> TensorType:
    """Numbers in place of NaN, inf and -inf; by default 0, the largest and the smallest of the dtype. Their gradient is 0."""
    return x


nan_to_num = register(
    "nan_to_num",
    _nan_to_num_type,
    jax="xp.nan_to_num($x, nan=$nan, posinf=$posinf, neginf=$neginf)",
    pointwise=True,
    promote=("x",),
    group="pointwise",
    domain=((-3.0, 3.0),),
    flops=6,
    partials=(lambda y, x, nan, posinf, neginf: one_where(isfinite(x), x),),
    laws=("idempotent",),
    cases=(case((2, 3), nan=1.0, posinf=2.0, neginf=-2.0),),
    precision="promote",
)


@nan_to_num.decompose
def _(x: Tensor, nan: float, posinf: float | None, neginf: float | None) -> Tensor:
    """Not by NumPy's own, which takes bfloat16 for no float and leaves its NaN."""
    if not dtypes.is_float(x.dtype):
        return x
    largest = _largest(x.dtype)
    above = as_like(largest if posinf is None else posinf, x)
    below = as_like(-largest if neginf is None else neginf, x)
    return where(isnan(x), as_like(nan, x), where(equal(x, math.inf), above, where(equal(x, -math.inf), below, x)))


def _largest(dtype: str) -> float:
    """The number next to infinity."""
    zero, infinity = np.array([0, math.inf], dtypes.numpy_dtype(dtype))
    return float(np.nextafter(infinity, zero))


def _cast_type(x: TensorType, *, dtype: DTypeName) -> TensorType:
    """The values in another dtype. Floats to integers lose the fraction; the gradient passes between floats.

    Raises :class:`DTypeError` for a complex number that would lose its imaginary part.
    """
    if dtypes.is_complex(x.dtype) and not dtypes.is_complex(dtype) and dtype != "bool":
        raise DTypeError(f"{x.dtype} to {dtype} would lose the imaginary part", fits="gc.real(x), gc.imag(x), gc.abs(x)")
    return x.with_dtype(dtype)


def as_like(value: float, x: Tensor) -> Tensor:
    """A literal as a tensor of x's dtype."""
    return as_dtype(value, x.dtype)


cast = register(
    "cast",
    _cast_type,
    emit="$x.astype($dtype)",
    out="np.copyto($out, $x, casting='unsafe')",
    inplace=(),
    pointwise=True,
    group="pointwise",
    domain=((-3.0, 3.0),),
    partials=(1,),
    cases=(case((2, 3), dtype="float64"), case((3,), dtype="float32")),
    text="$dtype($x)",
    tex=r"\mathrm{$dtype}($x)",
    flops=0,
)


@cast.vjp
def _(g: Tensor, y: Tensor, x: Tensor, dtype: str) -> tuple[Tensor | None, ...]:
    return (cast(OPS["real"](g) if dtypes.is_complex(g.dtype) and not dtypes.is_complex(x.dtype) else g, dtype=x.dtype),)


stop_gradient = unary(
    "stop_gradient",
    "``x``, as a constant to every gradient.",
    "$x",
    d=0,
    compute=None,
    view=True,
    flops=0,
    out=None,
    zero_gradient="stop_gradient was asked to cut the path",
)
