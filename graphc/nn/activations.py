"""Activations with Keras's names, arguments, defaults and formulas.

Most are graphc's own operations; the others are made of them here. Given tensors they make graphs, given values they compute at once.
"""

from __future__ import annotations

from typing import Any, Final

import graphc as gc
from graphc.core import as_tensor
from graphc.nn.immediate import immediate
from graphc.nn.naming import find


@immediate
def linear(x: Any) -> Any:
    """``x``."""
    return as_tensor(x)


@immediate
def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """``x`` from ``threshold`` on, ``max_value`` at most; below the threshold ``negative_slope * (x - threshold)``."""
    x = as_tensor(x)
    if threshold:
        y = gc.where(x >= threshold, x, negative_slope * (x - threshold))
    else:
        y = gc.leaky_relu(x, negative_slope=negative_slope) if negative_slope else gc.relu(x)
    return y if max_value is None else gc.minimum(y, max_value)


@immediate
def exponential(x: Any) -> Any:
    """``exp(x)``."""
    return gc.exp(x)


@immediate
def glu(x: Any, axis: int = -1) -> Any:
    """``a * sigmoid(b)`` of the two halves of an axis (Y. Dauphin et al., 2017)."""
    first, second = gc.split(as_tensor(x), 2, axis=axis)
    return first * gc.sigmoid(second)


@immediate
def hard_tanh(x: Any) -> Any:
    """``x`` within [-1, 1]."""
    return gc.clip(x, -1, 1)


@immediate
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """``x`` where ``|x|`` is more than ``threshold``, else 0."""
    x = as_tensor(x)
    return gc.where(gc.abs(x) > threshold, x, 0)


@immediate
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """``x`` brought nearer to 0 by ``threshold``, and 0 where it is as near."""
    x = as_tensor(x)
    return gc.where(gc.abs(x) > threshold, x - threshold * gc.sign(x), 0)


@immediate
def tanh_shrink(x: Any) -> Any:
    """``x - tanh(x)``."""
    x = as_tensor(x)
    return x - gc.tanh(x)


@immediate
def squareplus(x: Any, b: float = 4) -> Any:
    """``(x + sqrt(x² + b)) / 2`` (J. T. Barron, 2021)."""
    x = as_tensor(x)
    return (x + gc.sqrt(gc.square(x) + b)) / 2


@immediate
def sparse_plus(x: Any) -> Any:
    """0 below -1, ``(x + 1)² / 4`` up to 1, ``x`` above."""
    x = as_tensor(x)
    return gc.where(x <= -1, 0, gc.where(x < 1, gc.square(x + 1) / 4, x))


@immediate
def sparse_sigmoid(x: Any) -> Any:
    """``(x + 1) / 2`` within [0, 1]."""
    return gc.clip((as_tensor(x) + 1) / 2, 0, 1)


@immediate
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """``x`` where it is more than ``threshold``, else ``default_value``."""
    x = as_tensor(x)
    return gc.where(x > threshold, x, default_value)


_HERE: Final = (exponential, glu, hard_shrink, hard_tanh, linear, soft_shrink, sparse_plus, sparse_sigmoid, squareplus, tanh_shrink)
_OPS: Final = (
    *("celu", "elu", "gelu", "hard_sigmoid", "hard_silu", "leaky_relu", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu"),
    *("sigmoid", "silu", "softmax", "softplus", "softsign", "tanh"),
)
TABLE: Final[dict[str, Any]] = {
    **{f.__name__: f for f in _HERE},
    **{name: getattr(gc, name) for name in _OPS},
    "hard_swish": gc.hard_silu,
    "swish": gc.silu,
}
"""Every activation by the names that it has in Keras."""


def get(identifier: Any) -> Any:
    """The activation that is meant: a name, or a function of a tensor. None stays None, and stands for ``linear``.

    Raises:
        ArgumentError: no such activation.
    """
    return find(identifier, "activation", TABLE)
