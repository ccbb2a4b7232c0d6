"""``grad`` and its kin. A list of tensors in gives a list of gradients out, a single one a single one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

from graphc import ops
from graphc.core import Tensor, as_tensor, describe, dtypes, toposort
from graphc.core.errors import ArgumentError, DTypeError, GradientError, ShapeError
from graphc.core.graph import ancestors_through
from graphc.grad.reverse import Flow, Kinks, Sweep, carries

Disconnected = Literal["raise", "zero"]


@overload
def grad(y: Tensor, xs: Tensor, *, disconnected: Disconnected = ..., kinks: Kinks = ...) -> Tensor: ...
@overload
def grad(y: Tensor, xs: Sequence[Tensor], *, disconnected: Disconnected = ..., kinks: Kinks = ...) -> list[Tensor]: ...
def grad(y: Tensor, xs: Any, *, disconnected: Disconnected = "raise", kinks: Kinks = "zero") -> Any:
    """The gradient of the scalar ``y`` with respect to each of ``xs``: graphs of the shapes and dtypes of ``xs``.

    Args:
        y: a float tensor without axes.
        xs: a float tensor of the graph, or a sequence of them; they need not be leaves.
        disconnected: when ``y`` does not depend on an x, ``"raise"`` or give ``"zero"``.
        kinks: at a kink the policy's number (``"zero"``, see ``gc.kinks``), ``"nan"``, or an error of the call (``"raise"``).

    Raises:
        GradientError: ``y`` is not a scalar, or does not depend on an x. DTypeError: a tensor that is no float.
    """
    return vjp(_scalar(y), xs, _one(y), disconnected=disconnected, kinks=kinks)


def _scalar(y: Tensor) -> Tensor:
    if y.shape != ():
        raise GradientError(
            f"grad(y, xs): y is not a scalar but {y.type}",
            given=[f"y: {describe(y)}"],
            fits="gc.sum(y) or gc.mean(y); gc.vjp(y, xs, cotangent) for a weighted sum of its elements; gc.jacobian(y, x) for all of them",
        )
    if dtypes.is_complex(y.dtype):
        raise DTypeError(f"grad(y, xs): y is {y.dtype}", given=[f"y: {describe(y)}"], fits="a real y: gc.real(y), gc.imag(y), gc.abs(y)")
    return y


def value_and_grad(y: Tensor, xs: Any, *, disconnected: Disconnected = "raise", kinks: Kinks = "zero") -> tuple[Tensor, Any]:
    """``(y, grad(y, xs))``."""
    gradients: Any = vjp(_scalar(y), xs, _one(y), disconnected=disconnected, kinks=kinks)
    return y, gradients


def vjp(y: Tensor, xs: Any, cotangent: Any, *, disconnected: Disconnected = "raise", kinks: Kinks = "zero") -> Any:
    """The vector-Jacobian product: the gradient of ``sum(cotangent * y)`` with respect to each of ``xs``.

    ``cotangent`` has the shape of ``y``. Arguments and errors are otherwise those of ``grad``.
    """
    many = not isinstance(xs, Tensor)
    targets: list[Tensor] = list(xs) if many else [xs]
    check_tensors("grad", y, targets, disconnected, kinks)
    seed = ops.cast(as_tensor(cotangent), dtype=y.dtype) if not isinstance(cotangent, Tensor) or cotangent.dtype != y.dtype else cotangent
    if seed.shape != y.shape:
        raise ShapeError(f"vjp(y, xs, cotangent): the cotangent has shape {seed.shape}", given=[f"y: {describe(y)}"], fits=str(y.shape))
    found = Sweep([(y, seed)], targets, kinks).cotangents
    gradients = [found[x] if x in found else _zeros(y, x, disconnected) for x in targets]
    return gradients if many else gradients[0]


def _one(y: Tensor) -> Tensor:
    return ops.ones((), y.dtype) if dtypes.is_float(y.dtype) else y


def check_tensors(name: str, y: Tensor, xs: list[Tensor], disconnected: str, kinks: str) -> None:
    """Raise what a transform of this name raises for arguments that it cannot differentiate."""
    if disconnected not in ("raise", "zero"):
        raise ArgumentError(f"disconnected={disconnected!r}", fits="'raise' or 'zero'")
    if kinks not in ("zero", "nan", "raise"):
        raise ArgumentError(f"kinks={kinks!r}", fits="'zero', 'nan' or 'raise'")
    for role, tensor in (("y", y), *(("x", x) for x in xs)):
        check_differentiable(name, role, tensor)


def check_differentiable(name: str, role: str, tensor: Any) -> None:
    """Raise :class:`DTypeError`, in the name of a transform, unless this is a tensor of floats."""
    if not isinstance(tensor, Tensor):
        raise DTypeError(f"{name}: {role} is {tensor!r}", fits="a tensor of the graph: gc.input, gc.variable, or an expression of them")
    if not dtypes.is_inexact(tensor.dtype):
        raise DTypeError(
            f"{name}: {role} is {tensor.dtype}, and only floats have gradients",
            given=[f"{role}: {describe(tensor)}"],
            fits=", ".join((*dtypes.FLOATS, *dtypes.COMPLEX)),
        )


def _zeros(y: Tensor, x: Tensor, disconnected: str) -> Tensor:
    missing(y, x, disconnected)
    return ops.zeros_like(x)


def missing(y: Tensor, x: Tensor, disconnected: str) -> str | None:
    """Why no gradient passes from ``y`` to ``x``, or None if one does. Raises :class:`GradientError` when no path at all leads there."""
    reason = why_no_gradient(y, x)
    if reason is None or disconnected == "zero" or x in toposort([y]):
        return reason
    leaves = [node for node in toposort([y]) if node.kind in ("input", "variable")]
    raise GradientError(
        f"grad(y, x): {reason}",
        given=[f"y: {describe(y)}", f"x: {describe(x)}", *(f"y depends on: {describe(leaf)}" for leaf in leaves[:8])],
        fits="disconnected='zero' for zeros, or a y that is computed from x",
    )


def reversed_graph(y: Tensor, wrt: Sequence[Tensor]) -> tuple[list[Flow], Mapping[Tensor, Tensor]]:
    """What each edge between ``y`` and ``wrt`` carries back, from ``y`` on, and the cotangent of each node."""
    check_tensors("grad", y, list(wrt), "raise", "zero")
    sweep = Sweep([(y, ops.ones_like(y))], wrt)
    return sweep.flows, sweep.cotangents


def flows(y: Tensor, wrt: Sequence[Tensor]) -> list[Flow]:
    """The edges of :func:`reversed_graph`."""
    return reversed_graph(y, wrt)[0]


def why_no_gradient(y: Tensor, x: Tensor) -> str | None:
    """Why the gradient of ``y`` with respect to ``x`` is missing or zero everywhere, in words; None if there is one.

    It names each edge that cuts a path from ``x`` to ``y``: the op, the user's line and the reason.
    """
    if not dtypes.is_inexact(x.dtype):
        return f"x is {x.dtype}, and only floats have gradients"
    order = toposort([y])
    if x not in order:
        return "y does not depend on x: no path leads from one to the other"
    carrying = ancestors_through(order, [x], carries)
    if y in carrying:
        return None
    dependent = ancestors_through(order, [x], lambda node, i: True)
    cuts = [(node, i) for node in order for i, a in enumerate(node.inputs) if a in carrying and node in dependent and not carries(node, i)]
    return "every path from x to y is cut: " + "; ".join(_cut(node, i) for node, i in cuts)


def _cut(node: Tensor, index: int) -> str:
    assert node.op is not None
    reason = node.op.zero_gradient or f"{node.inputs[index].dtype} becomes {node.dtype}, which carries no gradient"
    return f"at {node.op.name}{f' ({node.origin})' if node.origin else ''}, {reason}"
