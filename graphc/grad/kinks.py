"""Points where a derivative is a choice: what ``kinks="nan"`` and ``kinks="raise"`` put in the place of the policy's number."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from graphc import ops
from graphc.core import OPS, Op, Tensor, TensorType, op
from graphc.core.errors import GradientError
from graphc.ops.shape import spread_to


def choices(node: Tensor, op: Op, y: Any, operands: Sequence[Tensor], kinks: str) -> Sequence[Tensor | None]:
    """For each operand of an op with a VJP where its share is a choice, if that has to be told; None where it is none."""
    if op.choice is None or kinks == "zero":
        return [None] * len(operands)
    found = op.choice(y, *operands, **op.keywords(node))
    return [at if at is None else spread_to(at, x.shape) for at, x in zip(found, operands, strict=True)]


_asked: ContextVar[Any] = ContextVar("kinks", default="zero")


def asked() -> Any:
    """What the derivative that is being taken does at kinks: bodies of loops and branches are differentiated in its name."""
    return _asked.get()


@contextmanager
def asking(kinks: str) -> Generator[None, None, None]:
    """Derivatives that are taken in this block do this at kinks unless they say otherwise."""
    token = _asked.set(kinks)
    try:
        yield
    finally:
        _asked.reset(token)


def guarded(partial: Tensor, node: Tensor, at_kink: Tensor, kinks: str) -> Tensor:
    """The partial derivative, share or tangent: NaN at the kink (``"nan"``), or with an error of the call that meets it (``"raise"``)."""
    if kinks == "nan":
        return ops.where(at_kink, math.nan, partial)
    if kinks == "raise":
        assert node.op is not None
        where = f" ({node.origin})" if node.origin else ""
        return guard(partial, at_kink, message=f"{node.op.name}{where} was differentiated at a kink; the policy there: {node.op.kink_note}")
    raise GradientError(f"kinks={kinks!r} is no policy", fits="'zero', 'nan' or 'raise'")


@op(
    "guard($x, $bad, $message)",
    jax="guard($x, $bad, checks)",
    helper='''
def guard(x, bad, message):
    """x, if nothing is bad."""
    if np.any(bad):
        raise ArithmeticError(message)
    return x
''',
    jax_helper='''
def guard(x, bad, checks):
    """x; the call looks at the checks when it is done."""
    checks.append(jnp.any(bad))
    return x
''',
    raises=True,
    view=True,
    flops=0,
    group="internal",
)
def guard(x: TensorType, bad: TensorType, *, message: str) -> TensorType:
    """``x``; the call raises :class:`KinkError` with this message when one element of ``bad`` holds."""
    return x


@guard.vjp
def _(g: Tensor, y: Tensor, x: Tensor, bad: Tensor, message: str) -> tuple[Tensor | None, ...]:
    return g, None


def policy() -> str:
    """The choices at kinks, one op a line, from the op records."""
    rows = [(op.name, op.kink_note) for op in OPS.values() if op.kink_note]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {note}" for name, note in rows)
