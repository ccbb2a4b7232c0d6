"""Gradients made shorter, by Keras's formulas (R. Pascanu, T. Mikolov, Y. Bengio, 2013)."""

from __future__ import annotations

from collections.abc import Sequence

import graphc as gc
from graphc.core import Tensor, dtypes
from graphc.core.op import as_dtype


def by_norm(g: Tensor, most: float) -> Tensor:
    """The gradient, times ``most / norm`` where its norm is larger than ``most``."""
    return g * (most / gc.maximum(gc.sqrt(_squares(g)), most))


def by_global_norm(gradients: Sequence[Tensor], most: float) -> list[Tensor]:
    """All gradients times one number, so that their norm together is at most ``most``; NaN where it is not finite."""
    norm = gc.sqrt(sum([_squares(g) for g in gradients[1:]], _squares(gradients[0])))
    factor = gc.where(gc.isfinite(norm), most / gc.maximum(norm, most), float("nan"))
    return [g * as_dtype(factor, dtypes.real(g.dtype)) for g in gradients]


def _squares(g: Tensor) -> Tensor:
    return gc.sum(gc.square(gc.abs(g) if dtypes.is_complex(g.dtype) else g))
