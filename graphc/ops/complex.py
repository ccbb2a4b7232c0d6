"""Complex numbers: their parts, conjugates and angles."""

from __future__ import annotations

from graphc.core import Tensor, TensorType, dtypes, op

__all__ = ["conj"]


@op("xp.conj($x)", out="np.conjugate($x, out=$out)", promote=("x",), laws=("involution",), tex=r"\overline{$x}")
def conj(x: TensorType) -> TensorType:
    """The complex conjugate; a real number is its own."""
    return x


@conj.vjp
def _(g: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor]:
    return (conj(g) if dtypes.is_complex(g.dtype) else g,)
