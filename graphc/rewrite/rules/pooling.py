"""Relu after the pool and not before it: it keeps the order of numbers, and there are fewer of them then.

A bias would go the same way, but for numbers that are not finite: with those, other items of a window are its largest.
"""

from __future__ import annotations

from typing import Any, Final

from graphc.core import Constant, Tensor
from graphc.core.pattern import attr, var
from graphc.ops.pointwise import cast, greater, relu
from graphc.ops.pooling import window_max, window_max_gradient
from graphc.rewrite.rule import rule
from graphc.rewrite.rules.common import g, x

largest: Final[Any] = var("largest")
zero: Final[Any] = var("zero")
_WINDOWS: Final[dict[str, Any]] = {name: attr(name) for name in ("size", "strides", "padding", "dilation")}


def _plain(size: Any, padding: Any) -> bool:
    """Whether every window has an item that is no padding, and nothing is cropped."""
    return all(isinstance(p, int) and 0 <= p < k for k, pair in zip(size, padding, strict=True) for p in pair)


def _windows(size: Any, strides: Any, padding: Any, dilation: Any) -> dict[str, Any]:
    return {"size": size, "strides": strides, "padding": padding, "dilation": dilation}


_TWO: Final = _windows((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
_OVER: Final = _windows((3,), (1,), ((1, 1),), (1,))


@rule(
    window_max(relu(x), **_WINDOWS),
    safety="exact",
    cases=(lambda leaf: window_max(relu(leaf(2, 4, 4, 3)), **_TWO), lambda leaf: window_max(relu(leaf(2, 5, 1)), **_OVER)),
)
def relu_after_pool(x: Tensor, size: Any, strides: Any, padding: Any, dilation: Any) -> Tensor | None:
    """The largest of rectified items is the largest, rectified."""
    return relu(window_max(x, **_windows(size, strides, padding, dilation))) if _plain(size, padding) else None


def _rectified(leaf: Any, windows: Any, *shape: int) -> Tensor:
    y = relu(leaf(*shape))
    top = window_max(y, **windows)
    return window_max_gradient(top * 0.5, y, top, **windows) * cast(greater(y, 0), dtype=y.dtype)


@rule(
    window_max_gradient(g, relu(x), largest, **_WINDOWS) * cast(greater(relu(x), zero), dtype=attr("dtype")),
    safety="rounding",
    cases=(lambda leaf: _rectified(leaf, _TWO, 2, 4, 4, 3),),
)
def pool_gradient_of_rectified(
    g: Tensor, x: Tensor, largest: Tensor, zero: Tensor, size: Any, strides: Any, padding: Any, dilation: Any, dtype: str
) -> Tensor | None:
    """The mask of relu goes on the windows' cotangents, of which there are fewer."""
    if not isinstance(zero, Constant) or zero.value.size != 1 or zero.value.item() != 0 or dtype != g.dtype:
        return None
    if not _plain(size, padding) or 1 in strides:  # as many windows as items
        return None
    windows = _windows(size, strides, padding, dilation)
    return window_max_gradient(g * cast(greater(largest, zero), dtype=dtype), x, window_max(x, **windows), **windows)
