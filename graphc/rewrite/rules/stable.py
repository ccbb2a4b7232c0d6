"""Naive spellings of functions that have a stable one: digits that cancel come back, and what overflows on the way is finite.

Nothing else may count on these rules, for a level may leave them out.
"""

from __future__ import annotations

from typing import Any, Final

from graphc.core import Tensor
from graphc.ops import (
    broadcast_to,
    exp,
    expm1,
    log,
    log1p,
    log_sigmoid,
    log_softmax,
    logsumexp,
    max,
    maximum,
    minimum,
    reciprocal,
    relu,
    relu6,
    rsqrt,
    sigmoid,
    silu,
    softmax,
    softplus,
    sqrt,
    sum,
)
from graphc.rewrite.rule import rule
from graphc.rewrite.rules.common import axis, has_items, keepdims, x, y


@rule(log(exp(x)), safety="overflow")
def log_of_exp(x: Tensor) -> Tensor:
    """The logarithm undoes ``exp``, also where ``exp`` overflows."""
    return x


@rule(log(1 + x), safety="rounding")
def log_one_plus(x: Tensor) -> Tensor:
    """``log1p`` keeps the digits that ``1 + x`` rounds away."""
    return log1p(x)


@rule(log(1 - x), safety="rounding")
def log_one_minus(x: Tensor) -> Tensor:
    """``log1p`` keeps the digits that ``1 - x`` rounds away."""
    return log1p(-x)


@rule(exp(x) - 1, safety="rounding")
def exp_minus_one(x: Tensor) -> Tensor:
    """``expm1`` keeps the digits that cancel in ``exp(x) - 1``."""
    return expm1(x)


@rule(1 - exp(x), safety="rounding")
def one_minus_exp(x: Tensor) -> Tensor:
    """``expm1`` keeps the digits that cancel in ``1 - exp(x)``."""
    return -expm1(x)


@rule(log1p(exp(x)), safety="overflow")
def log_one_plus_exp(x: Tensor) -> Tensor:
    """``softplus`` is finite where ``exp`` overflows."""
    return softplus(x)


@rule(log(sigmoid(x)), safety="overflow")
def log_of_sigmoid(x: Tensor) -> Tensor:
    """``log_sigmoid`` is finite where the sigmoid underflows."""
    return log_sigmoid(x)


@rule(
    log(softmax(x, axis=axis)),
    safety="overflow",
    cases=(
        lambda leaf: log(softmax(leaf(2, 3))),
        lambda leaf: log(softmax(leaf(2, 3), axis=0)),
        lambda leaf: log(softmax(leaf(2, 3), axis=(0, 1))),
    ),
)
def log_of_softmax(x: Tensor, axis: tuple[int, ...]) -> Tensor:
    """``log_softmax`` is finite where the softmax underflows."""
    return log_softmax(x, axis=axis)


@rule(
    log(sum(exp(x), axis=axis, keepdims=keepdims)),
    safety="overflow",
    cases=(
        lambda leaf: log(sum(exp(leaf(2, 3)))),
        lambda leaf: log(sum(exp(leaf(2, 3)), axis=0)),
        lambda leaf: log(sum(exp(leaf(3)), keepdims=True)),
    ),
)
def log_of_sum_of_exp(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor | None:
    """``logsumexp`` is finite where ``exp`` overflows."""
    # The sum of nothing is 0, while logsumexp refuses nothing.
    return logsumexp(x, axis=axis, keepdims=keepdims) if has_items(x, axis) else None


_shifted: Final[Any] = exp(x - max(x, axis=axis, keepdims=True))


@rule(
    _shifted / sum(_shifted, axis=axis, keepdims=True),
    safety="rounding",
    cases=(lambda leaf: _spelt_softmax(leaf(2, 3), 1), lambda leaf: _spelt_softmax(leaf(2, 3), 0)),
)
def shifted_softmax(x: Tensor, axis: tuple[int, ...]) -> Tensor:
    """The softmax spelt out with the largest element taken off."""
    return softmax(x, axis=axis)


def _spelt_softmax(x: Tensor, axis: int) -> Tensor:
    e = exp(x - max(x, axis=axis, keepdims=True))
    return e / sum(e, axis=axis, keepdims=True)


@rule(
    exp(x) / sum(exp(x), axis=axis, keepdims=True),
    safety="nan_unsafe",
    cases=(lambda leaf: _naive(leaf(2, 3)),),
)
def naive_softmax(x: Tensor, axis: tuple[int, ...]) -> Tensor | None:
    """The softmax spelt out; the stable one makes more NaN of an infinite ``x``, and no overflow of a large one."""
    return softmax(x, axis=axis) if has_items(x, axis) else None


def _naive(x: Tensor) -> Tensor:
    return exp(x) / sum(exp(x), axis=1, keepdims=True)


@rule(reciprocal(1 + exp(-x)), safety="rounding")
def logistic(x: Tensor) -> Tensor:
    """The sigmoid spelt out."""
    return sigmoid(x)


@rule(exp(x) / (1 + exp(x)), safety="overflow")
def logistic_of_exp(x: Tensor) -> Tensor:
    """The sigmoid spelt out with ``exp`` above and below, of which both may overflow."""
    return sigmoid(x)


@rule((y / (1 + exp(x))) * exp(x), safety="overflow")
def slope_of_log_one_plus_exp(y: Tensor, x: Tensor) -> Tensor:
    """The gradient of ``log(1 + exp(x))`` spelt out, of which both parts may overflow."""
    return y * sigmoid(x)


@rule(sigmoid(x) * exp(-x), safety="overflow")
def sigmoid_times_exp(x: Tensor) -> Tensor:
    """The other side of the sigmoid spelt out, of which one factor may overflow where the other underflows."""
    return sigmoid(-x)


@rule((y * sigmoid(x)) * exp(-x), safety="overflow")
def slope_times_exp(y: Tensor, x: Tensor) -> Tensor:
    """The other side of the sigmoid spelt out, of which one factor may overflow where the other underflows."""
    return y * sigmoid(-x)


@rule(1 - sigmoid(x), safety="overflow")
def one_minus_sigmoid(x: Tensor) -> Tensor:
    """The sigmoid of ``-x`` keeps the digits that cancel in ``1 - sigmoid(x)``."""
    return sigmoid(-x)


@rule(exp(log_sigmoid(x)), safety="rounding")
def exp_of_log_sigmoid(x: Tensor) -> Tensor:
    """``exp`` undoes the logarithm."""
    return sigmoid(x)


@rule(
    exp(log_softmax(x, axis=axis)),
    safety="rounding",
    cases=(lambda leaf: exp(log_softmax(leaf(2, 3))), lambda leaf: exp(log_softmax(leaf(2, 3), axis=0))),
)
def exp_of_log_softmax(x: Tensor, axis: tuple[int, ...]) -> Tensor:
    """``exp`` undoes the logarithm."""
    return softmax(x, axis=axis)


_share: Final[Any] = y / softmax(x, axis=axis)


@rule(
    softmax(x, axis=axis) * (_share - sum(_share * softmax(x, axis=axis), axis=axis, keepdims=True)),
    safety="overflow",
    cases=(lambda leaf: _slope_of_log_softmax(leaf(3), leaf(3), 0), lambda leaf: _slope_of_log_softmax(leaf(1, 3), leaf(3), 1)),
)
def slope_of_log_of_softmax(x: Tensor, y: Tensor, axis: tuple[int, ...]) -> Tensor:
    """The gradient of ``log(softmax(x))`` spelt out divides by what may have underflowed; for a cross-entropy it is ``p - target``."""
    y = broadcast_to(y, shape=x.shape)
    return y - softmax(x, axis=axis) * sum(y, axis=axis, keepdims=True)


@rule(
    softmax(x, axis=axis) * (sum(_share * softmax(x, axis=axis), axis=axis, keepdims=True) - _share),
    safety="overflow",
    cases=(lambda leaf: _slope_of_minus_log_softmax(leaf(3), leaf(3), 0), lambda leaf: _slope_of_minus_log_softmax(leaf(1, 3), leaf(3), 1)),
)
def slope_of_minus_log_of_softmax(x: Tensor, y: Tensor, axis: tuple[int, ...]) -> Tensor:
    """The gradient of ``-log(softmax(x))`` spelt out divides by what may have underflowed; for a cross-entropy it is ``p - target``."""
    y = broadcast_to(y, shape=x.shape)
    return softmax(x, axis=axis) * sum(y, axis=axis, keepdims=True) - y


def _slope_of_log_softmax(x: Tensor, y: Tensor, axis: int) -> Tensor:
    p = softmax(x, axis=axis)
    return p * (y / p - sum(y / p * p, axis=axis, keepdims=True))


def _slope_of_minus_log_softmax(x: Tensor, y: Tensor, axis: int) -> Tensor:
    p = softmax(x, axis=axis)
    return p * (sum(y / p * p, axis=axis, keepdims=True) - y / p)


@rule(x * sigmoid(x), safety="rounding")
def x_times_sigmoid(x: Tensor) -> Tensor:
    """``silu`` spelt out."""
    return silu(x)


@rule(reciprocal(sqrt(x)), safety="rounding")
def reciprocal_of_sqrt(x: Tensor) -> Tensor:
    """``rsqrt`` is one instruction where there is one."""
    return rsqrt(x)


@rule(maximum(x, 0), safety="exact")
def maximum_with_zero(x: Tensor) -> Tensor:
    """``relu`` spelt out."""
    return relu(x)


@rule(minimum(relu(x), 6), safety="exact")
def relu_below_six(x: Tensor) -> Tensor:
    """``relu6`` spelt out."""
    return relu6(x)
