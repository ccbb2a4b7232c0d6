"""Integers bit by bit. On truth values, ``&``, ``|``, ``^`` and ``~`` are the logical ops, which give the same."""

from __future__ import annotations

from typing import Any

from graphc.core import dtypes
from graphc.core.errors import DTypeError
from graphc.ops.pointwise import binary, unary

__all__ = [
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "left_shift",
    "right_shift",
]


def _whole(dtype: str) -> str:
    if dtype != "bool" and not dtypes.is_integer(dtype):
        raise DTypeError(f"{dtype} values have no bits to work on", fits="integers or truth values; gc.cast(x, dtype='int32')")
    return dtype


def _shifted(dtype: str) -> str:
    return dtypes.counting(_whole(dtype))


_ZERO = "bits jump, and are flat between their jumps"
_two: dict[str, Any] = {"d": (None, None), "zero_gradient": _ZERO, "binds": 3, "domain": ((0.0, 8.0), (0.0, 8.0))}

bitwise_and = binary(
    "bitwise_and",
    "The bits that are set in both.",
    compute=_whole,
    text="$a & $b",
    tex=r"$a \mathbin{\&} $b",
    laws=("commutative", "associative", "idempotent", ("zero", 0)),
    **_two,
)
bitwise_or = binary(
    "bitwise_or",
    "The bits that are set in one or both.",
    compute=_whole,
    text="$a | $b",
    tex=r"$a \mid $b",
    laws=("commutative", "associative", "idempotent", ("unit", 0)),
    **_two,
)
bitwise_xor = binary(
    "bitwise_xor",
    "The bits that are set in one alone.",
    compute=_whole,
    text="$a ^ $b",
    tex=r"$a \oplus $b",
    laws=("commutative", "associative", ("unit", 0)),
    **_two,
)
bitwise_not = unary(
    "bitwise_not",
    "Every bit turned over: ``-x - 1`` of a signed integer.",
    d=None,
    compute=_whole,
    text="~$x",
    tex=r"{\sim}$x",
    binds=2,
    domain=((0.0, 8.0),),
    laws=("involution",),
    zero_gradient=_ZERO,
)
left_shift = binary(
    "left_shift",
    "The bits of ``a`` moved ``b`` places up, and 0 where all are gone: ``a * 2**b`` in the bits of the dtype.",
    compute=_shifted,
    text="$a << $b",
    tex=r"$a \ll $b",
    laws=(("right unit", 0),),
    **_two,
)
right_shift = binary(
    "right_shift",
    "The bits of ``a`` moved ``b`` places down, with copies of the sign above: ``floor(a / 2**b)``.",
    compute=_shifted,
    text="$a >> $b",
    tex=r"$a \gg $b",
    laws=(("right unit", 0),),
    **_two,
)
