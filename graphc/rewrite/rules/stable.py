"""Naive spellings of functions that have a stable one. No result may depend on these: see the policy in docs."""

from __future__ import annotations

from typing import Any, Final

from graphc.core import Tensor
from graphc.core.pattern import attr, var
from graphc.ops import (
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

x: Final[Any] = var("x")
axis: Final[Any] = attr("axis")
keepdims: Final[Any] = attr("keepdims")


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
    if not all(isinstance(x.shape[i], int) and x.shape[i] for i in axis):
        return None  # the sum of nothing is 0, while logsumexp refuses nothing
    return logsumexp(x, axis=axis, keepdims=keepdims)


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
    if not all(isinstance(x.shape[i], int) and x.shape[i] for i in axis):
        return None
    return softmax(x, axis=axis)


def _naive(x: Tensor) -> Tensor:
    return exp(x) / sum(exp(x), axis=1, keepdims=True)


@rule(reciprocal(1 + exp(-x)), safety="rounding")
def logistic(x: Tensor) -> Tensor:
    """The sigmoid spelt out."""
    return sigmoid(x)


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
