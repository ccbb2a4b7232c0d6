"""Between which numbers the values of a node lie, whatever the inputs are: intervals, from the ops' own ranges.

This is the interval domain of P. Cousot and R. Cousot (Abstract interpretation, 1977), with one bit more for each bound: whether some input
leads there. A bound that is not *reached* is a bound and no more, so that a rule which warns of a zero asks for a zero that is reached, and
not for one that the arithmetic of intervals cannot exclude. Rounding counts: a sigmoid of 17 is 1 in float32.
Inputs may be any numbers of their dtype and variables too, since steps change them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from graphc.core import Constant, Input, Tensor, Variable, dtypes, sizes
from graphc.core.subgraph import Parameter

INF: Final = math.inf


class Range(NamedTuple):
    """Values from ``low`` to ``high``; ``low_reached`` and ``high_reached`` say that some input leads there."""

    low: float = -INF
    high: float = INF
    low_reached: bool = False
    high_reached: bool = False

    @property
    def known(self) -> bool:
        """Whether anything is known."""
        return self.low > -INF or self.high < INF

    def reaches(self, value: float) -> bool:
        """Whether some input leads to this number: it is a bound that is reached, or lies between two that are."""
        if value == self.low:
            return self.low_reached
        if value == self.high:
            return self.high_reached
        return self.low < value < self.high and self.low_reached and self.high_reached

    @property
    def above_zero(self) -> bool:
        """Whether no value is 0 or less."""
        return self.low > 0 or (self.low == 0 and not self.low_reached)

    def __neg__(self) -> Range:
        return Range(-self.high, -self.low, self.high_reached, self.low_reached)

    def __or__(self, other: Range) -> Range:
        """The values of both."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Range(
            low,
            high,
            any(one.low_reached for one in (self, other) if one.low == low),
            any(one.high_reached for one in (self, other) if one.high == high),
        )


ANY: Final = Range()
UNIT: Final = Range(0, 1, True, True)
NOT_NEGATIVE: Final = Range(0, INF, True)
POSITIVE: Final = Range(0, INF)


def ranges(nodes: Iterable[Tensor]) -> dict[Tensor, Range]:
    """The range of each of these nodes, which are sorted: inputs come before their readers."""
    found: dict[Tensor, Range] = {}
    for node in nodes:
        found[node] = _of(node, found)
    return found


DEEP: Final = 16
"""So many nodes above one are asked for its range."""


def range_of(node: Tensor) -> Range:
    """The range of one node, from those that are at most ``DEEP`` steps before it."""
    found: dict[Tensor, Range] = {}

    def look(x: Tensor, left: int) -> None:
        if x in found:
            return
        if x.inputs and not left:
            found[x] = _of_dtype(x.dtype)
            return
        for operand in x.inputs:
            look(operand, left - 1)
        found[x] = _of(x, found)

    look(node, DEEP)
    return found[node]


def _of(node: Tensor, found: Mapping[Tensor, Range]) -> Range:
    if isinstance(node, Constant):
        return _of_constant(node.value)
    if node.op is None or isinstance(node, Input | Variable | Parameter):
        return _of_dtype(node.dtype)
    operands = [found[x] for x in node.inputs]
    rule = RULES.get(node.op.name)
    if rule is not None:
        return rule(node, *operands)
    if node.op.name in BOUNDED:
        return BOUNDED[node.op.name]
    return _of_dtype(node.dtype)


def _of_dtype(dtype: str) -> Range:
    if dtype == "bool":
        return UNIT
    return Range(0, INF, True) if dtype in dtypes.UNSIGNED else ANY


def _of_constant(value: np.ndarray[Any, Any]) -> Range:
    if not value.size or value.dtype.kind == "c":
        return ANY
    low, high = float(value.min()), float(value.max())
    return ANY if math.isnan(low) or math.isnan(high) else Range(low, high, True, True)


# ---------------------------------------------------------------- ops
def _same(_node: Tensor, x: Range, *_more: Range) -> Range:
    return x


def _monotone(f: Callable[[float], float], low: float, high: float, reached: tuple[bool, bool] = (False, False)) -> Callable[..., Range]:
    """A rising function, the bounds of its results, and whether numbers of moderate size are rounded to them."""

    def rule(_node: Tensor, x: Range) -> Range:
        return Range(
            low if x.low == -INF else f(x.low),
            high if x.high == INF else f(x.high),
            reached[0] if x.low == -INF else x.low_reached,
            reached[1] if x.high == INF else x.high_reached,
        )

    return rule


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else INF


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -INF


def _add(node: Tensor, a: Range, b: Range) -> Range:
    closed = _one_is_constant(node)
    return Range(
        a.low + b.low if -INF not in (a.low, b.low) else -INF,
        a.high + b.high if INF not in (a.high, b.high) else INF,
        a.low_reached and b.low_reached and (closed or a.low == b.low == 0),
        a.high_reached and b.high_reached and closed,
    )


def _subtract(node: Tensor, a: Range, b: Range) -> Range:
    x, y = node.inputs
    if _is_extreme(x, y, "max"):
        return Range(-INF, 0, False, True)
    if _is_extreme(x, y, "min"):
        return Range(0, INF, True)
    return _add(node, a, -b)


def _is_extreme(x: Tensor, y: Tensor, op: str) -> bool:
    """Whether ``y`` is the largest (or smallest) of ``x``, with its axes kept or put back."""
    y = peeled(y, ("expand_dims", "reshape", "broadcast_to", "stop_gradient", "getitem"))
    return y.op is not None and y.op.name == op and y.inputs[0] is x


def _one_is_constant(node: Tensor) -> bool:
    return any(isinstance(x, Constant) and x.uniform is not None for x in node.inputs)


def _times(a: float, b: float) -> float:
    return 0.0 if 0 in (a, b) else a * b


def _multiply(node: Tensor, a: Range, b: Range) -> Range:
    if node.inputs[0] is node.inputs[1]:
        return _square(node, a)
    if a.low >= 0 and b.low >= 0:
        zero = (a.low == 0 and a.low_reached) or (b.low == 0 and b.low_reached)
        high = _times(a.high, b.high)
        return Range(a.low * b.low, high, zero or (a.low_reached and b.low_reached), a.high_reached and b.high_reached)
    if b.high <= 0:
        return -_multiply_kept(a, -b)
    if a.high <= 0:
        return -_multiply_kept(-a, b)
    return _multiply_kept(a, b)


def _multiply_kept(a: Range, b: Range) -> Range:
    """The bounds of a product, of which it is not asked whether they are reached unless a factor is one number."""
    if a.low == a.high and a.low > 0:
        a, b = b, a
    if b.low == b.high and b.low > 0:
        return Range(_times(a.low, b.low), _times(a.high, b.low), a.low_reached, a.high_reached)
    if a.low >= 0 and b.low >= 0:
        zero = (a.low == 0 and a.low_reached) or (b.low == 0 and b.low_reached)
        return Range(a.low * b.low, _times(a.high, b.high), zero, False)
    corners = [_times(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return Range(min(corners), max(corners))


def _square(_node: Tensor, x: Range) -> Range:
    size = _size(x)
    return Range(size.low**2, min(size.high, 1e200) ** 2 if size.high < INF else INF, size.low_reached, size.high_reached)


def _abs(_node: Tensor, x: Range) -> Range:
    return _size(x)


def _size(x: Range) -> Range:
    if x.low >= 0:
        return x
    if x.high <= 0:
        return -x
    return Range(0, max(-x.low, x.high), True, False)


def _divide(node: Tensor, a: Range, b: Range) -> Range:
    if b.low > 0 or (b.low == 0 and a.low >= 0):
        bounds = [_quotient(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        zero = a.low == 0 and a.low_reached
        found = Range(min(bounds), max(bounds), zero, False)
        return Range(0, 1, zero, False) if _is_share(node, a) else found
    return ANY


def _is_share(node: Tensor, a: Range) -> bool:
    """Whether this is ``x / sum(x)`` of numbers that are not negative."""
    x, y = node.inputs
    y = peeled(y, ("expand_dims", "reshape", "broadcast_to", "cast"))
    return a.low >= 0 and y.op is not None and y.op.name in ("sum", "max") and y.inputs[0] is x


def _quotient(a: float, b: float) -> float:
    if b == INF:
        return 0.0
    if b == 0:
        return 0.0 if a == 0 else math.copysign(INF, a)
    return a / b


def _power(node: Tensor, a: Range, b: Range) -> Range:
    if b.low != b.high:
        return POSITIVE if a.above_zero else (NOT_NEGATIVE if a.low >= 0 and b.low >= 0 else ANY)
    n = b.low
    if n == 0:
        return Range(1, 1, True, True)
    if n < 0:
        return POSITIVE if a.low >= 0 or n % 2 == 0 else ANY
    if n % 2 == 0:
        size = _size(a)
        return Range(_raised(size.low, n), _raised(size.high, n), size.low_reached, size.high_reached)
    return Range(_raised(a.low, n), _raised(a.high, n), a.low_reached, a.high_reached) if a.low >= 0 else ANY


def _raised(x: float, n: float) -> float:
    try:
        return x**n
    except OverflowError:
        return INF


def _maximum(_node: Tensor, a: Range, b: Range) -> Range:
    low, high = max(a.low, b.low), max(a.high, b.high)
    return Range(low, high, _bound_reached(a, b, low), any(one.high_reached for one in (a, b) if one.high == high))


def _bound_reached(a: Range, b: Range, low: float) -> bool:
    """Whether the greater of the lower bounds is reached: it is, if the other operand may be below it."""
    return any(one.low == low and one.low_reached and (other.low != low or other.low_reached) for one, other in ((a, b), (b, a)))


def _minimum(node: Tensor, a: Range, b: Range) -> Range:
    return -_maximum(node, -a, -b)


def _clip(node: Tensor, x: Range, low: Range, high: Range) -> Range:
    return _minimum(node, _maximum(node, x, low), high)


def _where(node: Tensor, _c: Range, a: Range, b: Range) -> Range:
    condition, x, y = node.inputs
    return _given(condition, True, x, a) | _given(condition, False, y, b)


def _given(condition: Tensor, holds: bool, x: Tensor, known: Range) -> Range:
    """The range of ``x`` where a comparison of it with a constant holds, or does not."""
    if condition.op is None:
        return known
    name = condition.op.name
    if name == "logical_not":
        return _given(condition.inputs[0], not holds, x, known)
    if name not in _COMPARISONS:
        return known
    left, right = condition.inputs
    if right is x:
        name, left, right = _MIRRORED[name], right, left
    limit = right.uniform if isinstance(right, Constant) else None
    if left is not x or not isinstance(limit, int | float):
        return known
    return _narrowed(name if holds else _OPPOSITE[name], limit, known)


_COMPARISONS: Final = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
_MIRRORED: Final = {
    "greater": "less",
    "greater_equal": "less_equal",
    "less": "greater",
    "less_equal": "greater_equal",
    "equal": "equal",
    "not_equal": "not_equal",
}
_OPPOSITE: Final = {
    "greater": "less_equal",
    "greater_equal": "less",
    "less": "greater_equal",
    "less_equal": "greater",
    "equal": "not_equal",
    "not_equal": "equal",
}


def _narrowed(name: str, limit: float, x: Range) -> Range:
    match name:
        case "greater" if limit >= x.low:
            return x._replace(low=limit, low_reached=False)
        case "greater_equal" if limit > x.low:
            return x._replace(low=limit, low_reached=True)
        case "less" if limit <= x.high:
            return x._replace(high=limit, high_reached=False)
        case "less_equal" if limit < x.high:
            return x._replace(high=limit, high_reached=True)
        case "equal":
            return Range(limit, limit, True, True)
        case "not_equal" if limit == x.low:
            return x._replace(low_reached=False)
        case "not_equal" if limit == x.high:
            return x._replace(high_reached=False)
        case _:
            return x


def _sum(node: Tensor, x: Range) -> Range:
    count = _items(node)
    if count is None:
        low, high = (x.low if x.low >= 0 else -INF), (x.high if x.high <= 0 else INF)
        return Range(low, high, x.low_reached and low == 0, x.high_reached and high == 0)
    return Range(_times(x.low, count), _times(x.high, count), x.low_reached, x.high_reached)


def _items(node: Tensor) -> int | None:
    """How many elements go into one element of a reduction, where that is known."""
    axes: tuple[int, ...] = node.attributes["axis"]
    total = sizes.product(tuple([node.inputs[0].shape[axis] for axis in axes]))
    return total if isinstance(total, int) else None


def _product(node: Tensor, a: Range, b: Range) -> Range:
    """Sums of products: of matrices and the like."""
    if node.inputs[0] is node.inputs[1] or (a.low >= 0 and b.low >= 0):
        return NOT_NEGATIVE
    return ANY


def _cast(node: Tensor, x: Range) -> Range:
    if node.dtype == "bool":
        return UNIT
    if dtypes.is_integer(node.dtype) and dtypes.is_float(node.inputs[0].dtype):
        return Range(_whole(x.low), _whole(x.high), x.low_reached, x.high_reached)
    return x


def _whole(x: float) -> float:
    return x if math.isinf(x) else float(math.trunc(x))


def _joined(_node: Tensor, *xs: Range) -> Range:
    found = xs[0]
    for x in xs[1:]:
        found = found | x
    return found


def _with_zero(_node: Tensor, x: Range, *_more: Range) -> Range:
    return x | Range(0, 0, True, True)


def _elu(node: Tensor, x: Range) -> Range:
    alpha = abs(node.attributes.get("alpha", 1.0))
    return Range(-alpha, INF) if x.low < 0 else x


def _arange(node: Tensor) -> Range:
    given = node.attributes
    start, step = given["start"], given["step"]
    return Range(start, INF, True) if isinstance(start, int | float) and isinstance(step, int | float) and step > 0 else ANY


def _log1mexp(_node: Tensor, _x: Range) -> Range:
    return Range(-INF, 0)


REARRANGING: Final = (
    "reshape",
    "transpose",
    "expand_dims",
    "broadcast_to",
    "narrow",
    "roll",
    "diagonal",
    "getitem",
    "take",
    "pick",
    "stop_gradient",
)
"""Ops whose results have the values of their first operand, elsewhere, and none beside."""
_SAME = [
    *REARRANGING,
    "take_along_axis",
    "sort",
    "max",
    "min",
    "mean",
    "cummax",
    "cummin",
    "window_max",
    "guard",
    "dynamic_slice",
    "real",
    "conj",
    "part",
]
_PADDED = ["widen", "pad", "place_diagonal", "tril", "triu", "place", "on_diagonals", "windows"]
_ADDED = ["add_at", "add_along_axis", "overlap_add"]
_PRODUCTS = ["matmul", "moved_product", "turned_product", "convolution"]

BOUNDED: Final[dict[str, Range]] = {
    "softmax": Range(0, 1, False, True),
    "log_softmax": Range(-INF, 0, False, True),
    "sin": Range(-1, 1, True, True),
    "cos": Range(-1, 1, True, True),
    "sech2": Range(0, 1, True, True),
    "sigmoid_slope": Range(0, 0.25, True, True),
    "softsign": Range(-1, 1),
    "hard_sigmoid": UNIT,
    "cosh": Range(1, INF, True),
    "acosh": NOT_NEGATIVE,
    "acos": Range(0, math.pi, True, True),
    "gaussian": Range(0, INF),
    "var": NOT_NEGATIVE,
    "std": NOT_NEGATIVE,
    "norm": NOT_NEGATIVE,
    "hypot": NOT_NEGATIVE,
    "svdvals": NOT_NEGATIVE,
    "sign": Range(-1, 1, True, True),
    "one_hot": UNIT,
    "eye": UNIT,
    "argmax": NOT_NEGATIVE,
    "argmin": NOT_NEGATIVE,
    "argsort": NOT_NEGATIVE,
    "searchsorted": NOT_NEGATIVE,
    "random_bits": NOT_NEGATIVE,
    "count": Range(1, INF, True),
    "softmax_crossentropy": ANY,
    "sparse_softmax_crossentropy": NOT_NEGATIVE,
    "sigmoid_crossentropy": ANY,
    "silu": Range(-0.2785, INF, True),
    "mish": Range(-0.3089, INF, True),
}
"""Ops whose results are bounded whatever their operands are. That a softmax underflows is a rule of its own, so its 0 is not reached."""


def _added(_node: Tensor, x: Range, *_indices: Range) -> Range:
    """Values land where others did, and nowhere there is 0."""
    return NOT_NEGATIVE if x.low >= 0 else ANY


def _zero_or_more(_node: Tensor, x: Range) -> Range:
    return NOT_NEGATIVE._replace(low_reached=x.low_reached and x.low == 0) if x.low >= 0 else ANY


def _relu6(node: Tensor, x: Range) -> Range:
    return _minimum(node, _relu(node, x), Range(6, 6, True, True))


def _selu(_node: Tensor, x: Range) -> Range:
    return Range(-1.7581, INF) if x.low < 0 else Range(0, INF, x.low == 0 and x.low_reached)


def _reciprocal(_node: Tensor, x: Range) -> Range:
    return POSITIVE if x.low >= 0 else ANY


def _relu(node: Tensor, x: Range) -> Range:
    return _maximum(node, x, Range(0, 0, True, True))


RULES: Final[dict[str, Callable[..., Range]]] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(_PADDED, _with_zero),
    **dict.fromkeys(_ADDED, _added),
    **dict.fromkeys(_PRODUCTS, _product),
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "negative": lambda node, x: -x,
    "square": _square,
    "abs": _abs,
    "power": _power,
    "maximum": _maximum,
    "minimum": _minimum,
    "clip": _clip,
    "where": _where,
    "sum": _sum,
    "cumsum": _zero_or_more,
    "window_sum": _zero_or_more,
    "prod": _zero_or_more,
    "cast": _cast,
    "concatenate": _joined,
    "relu": _relu,
    "relu6": _relu6,
    "elu": _elu,
    "celu": _elu,
    "selu": _selu,
    "sigmoid": _monotone(lambda x: 1 / (1 + _exp(-x)) if x > -700 else 0.0, 0, 1, (False, True)),
    "tanh": _monotone(math.tanh, -1, 1, (True, True)),
    "erf": _monotone(math.erf, -1, 1, (True, True)),
    "ndtr": _monotone(lambda x: math.erfc(-x / math.sqrt(2)) / 2, 0, 1, (True, True)),
    "atan": _monotone(math.atan, -math.pi / 2, math.pi / 2),
    "exp": _monotone(_exp, 0, INF),
    "exp2": _monotone(lambda x: _exp(x * math.log(2)), 0, INF),
    "expm1": _monotone(lambda x: _exp(x) - 1, -1, INF),
    "log": _monotone(_log, -INF, INF),
    "log1p": _monotone(lambda x: _log(1 + x), -INF, INF),
    "log2": _monotone(lambda x: _log(x) / math.log(2), -INF, INF),
    "log10": _monotone(lambda x: _log(x) / math.log(10), -INF, INF),
    "log_sigmoid": _monotone(lambda x: -math.log1p(_exp(-x)), -INF, 0, (False, True)),
    "log1mexp": _log1mexp,
    "softplus": _monotone(lambda x: x if x > 30 else math.log1p(_exp(x)), 0, INF),
    "sqrt": _monotone(lambda x: math.sqrt(max(x, 0)), 0, INF),
    "cbrt": _monotone(lambda x: math.copysign(abs(x) ** (1 / 3), x), -INF, INF),
    "rsqrt": lambda node, x: POSITIVE,
    "reciprocal": _reciprocal,
    "floor": _monotone(math.floor, -INF, INF),
    "ceil": _monotone(math.ceil, -INF, INF),
    "round": _monotone(round, -INF, INF),
    "trunc": _monotone(math.trunc, -INF, INF),
    "arange": _arange,
}
"""Of ops whose range depends on those of their operands."""


def peeled(node: Tensor, names: Iterable[str]) -> Tensor:
    """What is under ops of these names, through their first operand."""
    names = tuple(names)
    while node.op is not None and node.op.name in names:
        node = node.inputs[0]
    return node
