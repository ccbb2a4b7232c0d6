"""Why a node makes a NaN or an inf: the numbers that went into one element of it, and what is known of the op there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from graphc.checking.values import at
from graphc.core import Bundle, Tensor, dtypes

_Test = Callable[..., bool]


def _one(test: Callable[[float], bool]) -> _Test:
    """A test of a function of one number."""
    return test


def _two(test: Callable[[float, float], bool]) -> _Test:
    """A test of a function of two."""
    return test


_ROOT: Final = (_one(lambda x: x < 0), "a negative number has no real root")
_LOG: Final = ((_one(lambda x: x == 0), "log(0) is infinite"), (_one(lambda x: x < 0), "a negative number has no real logarithm"))
_ENDS: Final = (
    (_one(lambda x: abs(x) == 1), "the function is infinite at -1 and 1"),
    (_one(lambda x: abs(x) > 1), "the function is defined between -1 and 1"),
)
_OUTSIDE: Final[Mapping[str, Sequence[tuple[_Test, str]]]] = {
    "acos": ((_one(lambda x: abs(x) > 1), "acos is defined from -1 to 1"),),
    "acosh": ((_one(lambda x: x < 1), "acosh is defined from 1 on"),),
    "asin": ((_one(lambda x: abs(x) > 1), "asin is defined from -1 to 1"),),
    "atanh": _ENDS,
    "divide": (
        (_two(lambda a, b: a == 0 and b == 0), "0 / 0 has no value"),
        (_two(lambda a, b: b == 0), "something is divided by 0"),
        (_two(lambda a, b: math.isinf(a) and math.isinf(b)), "inf / inf has no value"),
    ),
    "erfinv": _ENDS,
    "lgamma": ((_one(lambda x: x <= 0 and x == round(x)), "lgamma is infinite at 0, -1, -2..."),),
    "log": _LOG,
    "log10": _LOG,
    "log1p": ((_one(lambda x: x == -1), "log1p is infinite at -1"), (_one(lambda x: x < -1), "log1p is defined from -1 on")),
    "log2": _LOG,
    "mod": ((_two(lambda a, b: b == 0), "the remainder of a division by 0"),),
    "multiply": ((_two(lambda a, b: {0.0, math.inf} <= {abs(a), abs(b)}), "0 * inf has no value"),),
    "power": (
        (_two(lambda a, b: a == 0 and b < 0), "0 to a negative power is infinite"),
        (_two(lambda a, b: a < 0 and b != round(b)), "a negative number to a broken power has no real value"),
    ),
    "reciprocal": ((_one(lambda x: x == 0), "1 / 0 is infinite"),),
    "rsqrt": ((_one(lambda x: x == 0), "1 / sqrt(0) is infinite"), _ROOT),
    "sqrt": (_ROOT,),
    "xlogy": ((_two(lambda a, b: b == 0), "log(0) is infinite"), (_two(lambda a, b: b < 0), "a negative number has no real logarithm")),
}
"""Where pointwise functions have no value or an infinite one, in the order in which it is looked for."""
_SLOPES: Final = {
    "abs": "abs has no slope at 0",
    "acos": "the slope of acos is infinite at -1 and 1",
    "asin": "the slope of asin is infinite at -1 and 1",
    "cbrt": "the slope of cbrt is infinite at 0",
    "divide": "the slope of a / b is infinite where b is 0",
    "log": "the slope of log is infinite at 0",
    "norm": "the slope of a norm is 0 / 0 at 0",
    "power": "the slope of a power below 1 is infinite at 0",
    "rsqrt": "the slope of 1 / sqrt(x) is infinite at 0",
    "sqrt": "the slope of sqrt is infinite at 0",
}
"""What is known of gradients at the ends of a domain."""


def likely(node: Tensor, operands: Sequence[Any], value: Any) -> list[str]:
    """What can be said of why: the element, the numbers that went into it, and the op's domain. Nothing for several results."""
    if isinstance(node.type, Bundle) or node.op is None:
        return []
    array = np.asarray(value)
    place = _first_bad(array)
    if place is None:
        return []
    bad = array[place]
    if not node.op.pointwise:
        return [f"likely cause: {_overflow(node, bad)}"] if np.isinf(bad) and _all_finite(operands) else []
    numbers = [np.broadcast_to(np.asarray(x), array.shape)[place] for x in operands]
    call = f"{node.op.name}({', '.join(map(_written, numbers))}) is {_written(bad)}"
    return [f"at {at(place) or 'the only element'}: {call}", *[f"likely cause: {one}" for one in _reason(node, numbers, bad)]]


def _first_bad(array: np.ndarray[Any, Any]) -> tuple[int, ...] | None:
    """The place of the first NaN, or else of the first inf."""
    for bad in (np.isnan(array), np.isinf(array)):
        if bad.any():
            return tuple([int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape)])
    return None


def _all_finite(operands: Sequence[Any]) -> bool:
    return all(np.isfinite(np.asarray(x)).all() for x in operands if not isinstance(x, tuple))


def _written(number: Any) -> str:
    return str(number.item() if hasattr(number, "item") else number)


def _reason(node: Tensor, numbers: Sequence[Any], bad: Any) -> list[str]:
    assert node.op is not None
    found: list[str] = []
    if not any(np.iscomplexobj(x) for x in numbers):
        plain = [float(x) for x in numbers]
        tests = _OUTSIDE.get(node.op.name, ())
        found += [why for test, why in tests if len(plain) == len(node.op.operands) and _holds(test, plain)][:1]
    if node.forward is not None and node.forward.op is not None and node.forward.op.name in _SLOPES:
        found.append(_SLOPES[node.forward.op.name])
    if not found and np.isinf(bad) and all(np.isfinite(x) for x in numbers):
        found.append(_overflow(node, bad))
    if not found and any(np.isinf(x) for x in numbers):
        found.append("an operand is infinite already")
    return found


def _holds(test: _Test, numbers: Sequence[float]) -> bool:
    try:
        return test(*numbers)
    except (ValueError, OverflowError):  # round(inf), round(nan)
        return False


def _overflow(node: Tensor, bad: Any) -> str:
    largest = f"{_largest(node.dtype):.4g}"
    return f"overflow: {node.dtype} holds no number beyond {largest}"


def _largest(dtype: str) -> float:
    own = dtypes.numpy_dtype(dtypes.real(dtype))
    return float(np.nextafter(np.array(math.inf, own), np.array(0, own)))
