"""Derivatives of tensors with respect to tensors, and of gradients: Jacobians, Hessians, and their products with vectors."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from graphc import ops
from graphc.core import Tensor, as_tensor, constant, describe, input, toposort
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.sizes import Dim
from graphc.grad.batch import batched
from graphc.grad.forward import pushforward, tangents_of
from graphc.grad.reverse import Kinks, pullback
from graphc.grad.transforms import check_tensors, grad, missing
from graphc.ops.index import getitem
from graphc.ops.shape import narrow

if TYPE_CHECKING:
    from graphc.grad.sparsity import Colouring

Mode = Literal["auto", "forward", "reverse", "coloured"]
MOST_PARTS = 16
"""Of how many parts each gets columns by itself: every one is a sweep over the graph."""


def jvp(y: Any, xs: Any, tangents: Any, *, kinks: Kinks = "zero") -> Any:
    """The Jacobian-vector product: how ``y`` moves when each x moves along its tangent. Forward mode, one sweep.

    Args:
        y: a tensor, or a sequence of them.
        xs: a tensor of the graph, or a sequence of them.
        tangents: for each x a tensor, or array, of its shape.
        kinks: as for ``grad``.

    Returns:
        A tensor of y's type, or a list of them. Zeros where a y does not depend on the xs.

    Raises:
        ShapeError: a tangent does not have the shape of its x. DTypeError: a tensor that carries no gradient.
    """
    many = not isinstance(y, Tensor)
    ys: list[Tensor] = list(y) if many else [y]
    targets: list[Tensor] = [xs] if isinstance(xs, Tensor) else list(xs)
    given = [tangents] if isinstance(xs, Tensor) else list(tangents)
    if len(targets) != len(given):
        raise ArgumentError(f"jvp(y, xs, tangents): {len(given)} tangents for {len(targets)} xs", fits="one for each")
    for one in ys:
        check_tensors("jvp", one, targets, "raise", kinks)
    moved = {x: _like("jvp", "tangent", t, x) for x, t in zip(targets, given, strict=True)}
    found = tangents_of(ys, moved, kinks)
    return found if many else found[0]


def _like(name: str, role: str, value: Any, x: Tensor) -> Tensor:
    t = as_tensor(value)
    if t.shape != x.shape:
        raise ShapeError(f"{name}: a {role} has shape {t.shape}", given=[f"x: {describe(x)}"], fits=str(x.shape))
    return t if t.dtype == x.dtype else ops.cast(t, dtype=x.dtype)


def hvp(y: Tensor, x: Any, v: Any, *, kinks: Kinks = "zero") -> Any:
    """The product of the Hessian of the scalar ``y`` with ``v``, which has the shape of ``x``: forward over reverse, no Hessian is made.

    ``x`` and ``v`` may be sequences. Raises what ``grad`` and ``jvp`` raise.
    """
    return jvp(grad(y, x, kinks=kinks), x, v, kinks=kinks)


def hessian(y: Tensor, x: Tensor, *, kinks: Kinks = "zero") -> Tensor:
    """The second derivatives of the scalar ``y``: of shape ``(*x.shape, *x.shape)``. Raises what ``grad`` raises."""
    return jacobian(grad(y, x, kinks=kinks), x, kinks=kinks, disconnected="zero")


def jacobian(y: Tensor, x: Tensor, *, mode: Mode = "auto", disconnected: str = "raise", kinks: Kinks = "zero") -> Tensor:
    """The derivative of each element of ``y`` with respect to each of ``x``: of shape ``(*y.shape, *x.shape)``.

    All columns (``"forward"``) or all rows (``"reverse"``) are computed at once, on stacks. Where sizes are known and most elements
    of ``y`` depend on few of ``x``, columns that share no row are computed as one (``"coloured"``; Curtis, Powell and Reid, 1974):
    an elementwise function takes one sweep. ``"auto"`` takes the one with the fewest sweeps. Where ``x`` is read in parts only, as
    parameters that lie in one vector are, the columns of each part are computed by themselves: the other parts do not move.

    Raises:
        GradientError: ``y`` does not depend on ``x``. ArgumentError: ``mode="coloured"`` with sizes that are names.
    """
    check_tensors("jacobian", y, [x], disconnected, kinks)
    if mode not in ("auto", "forward", "reverse", "coloured"):
        raise ArgumentError(f"jacobian: mode={mode!r}", fits="'auto', 'forward', 'reverse' or 'coloured'")
    absent = missing(y, x, disconnected)
    if absent is not None:
        return ops.zeros((*y.shape, *x.shape), y.dtype)
    if mode in ("auto", "coloured"):
        groups = _groups(y, x, forced=mode == "coloured")
        if groups is not None and (mode == "coloured" or groups.count < min(_number(y), _number(x))):
            return _coloured(y, x, groups, kinks)
    parts = _parts(y, x) if mode != "reverse" else []
    if mode == "forward" or (mode == "auto" and (_fewer(x.size, y.size) or (parts and x.size == y.size))):
        return _forward_by_parts(y, x, parts, kinks) if parts else _forward(y, x, kinks)
    return _reverse(y, x, kinks)


def _whole(size: Dim) -> int:
    assert isinstance(size, int)
    return size


def _number(x: Tensor) -> int:
    return _whole(x.size)


def _fewer(a: Dim, b: Dim) -> bool:
    return isinstance(a, int) and (not isinstance(b, int) or a < b)


def _groups(y: Tensor, x: Tensor, forced: bool) -> Colouring | None:
    if not isinstance(x.size, int) or not isinstance(y.size, int):
        if forced:
            raise ArgumentError("jacobian: colouring needs known sizes", given=[describe(y), describe(x)], fits="'forward' or 'reverse'")
        return None
    from graphc.grad.sparsity import colouring, pattern  # brings the lowering along, which an import of graphc can do without

    found = pattern(y, x)
    return None if found is None else colouring(found)


def _basis(x: Tensor) -> Tensor:
    """One element 1 and the others 0, for each element: of shape ``(size, *x.shape)``."""
    return ops.reshape(ops.eye(x.size, dtype=x.dtype), (x.size, *x.shape))


def _columns(y: Tensor, x: Tensor, seeds: Tensor, kinks: Kinks) -> Tensor:
    t = input("t", x.shape, x.dtype)
    (found,) = pushforward([y], {x: t}, kinks)
    assert found is not None
    return _with_seeds(found, t, seeds)


def _with_seeds(found: Tensor, t: Tensor, seeds: Tensor) -> Tensor:
    return batched([found], {t: (seeds, True)} | _as_they_are(found, t), seeds.shape[0])[0]


def _as_they_are(found: Tensor, t: Tensor) -> dict[Tensor, tuple[Tensor, bool]]:
    """What does not depend on the seed stays outside of the stacks, as the nodes that it is."""
    depends = {t}
    for node in toposort([found]):
        if any(x in depends for x in node.inputs):
            depends.add(node)
    return {node: (node, False) for node in toposort([found]) if node not in depends}


def _forward(y: Tensor, x: Tensor, kinks: Kinks) -> Tensor:
    columns = _columns(y, x, _basis(x), kinks)
    return ops.reshape(ops.moveaxis(columns, 0, -1), (*y.shape, *x.shape))


def _parts(y: Tensor, x: Tensor) -> list[Tensor]:
    """The parts in which alone ``y`` reads ``x``, if they are a few that have no element in common; else none."""
    readers = [node for node in toposort([y]) if x in node.inputs]
    apart = 1 < len(readers) <= MOST_PARTS and all(node.op in (getitem, narrow) and isinstance(node.size, int) for node in readers)
    if not apart or not isinstance(x.size, int):
        return []
    from graphc.lower import compute  # as above

    places = np.arange(x.size).reshape([_whole(size) for size in x.shape])
    taken = np.concatenate([compute(node, [places]).ravel() for node in readers])
    return readers if len(np.unique(taken)) == len(taken) else []


def _forward_by_parts(y: Tensor, x: Tensor, parts: list[Tensor], kinks: Kinks) -> Tensor:
    blocks = [_put(_forward(y, part, kinks), y, x, part) for part in parts if part.size]
    return ops.reshape(functools.reduce(ops.add, blocks), (*y.shape, *x.shape))


def _put(block: Tensor, y: Tensor, x: Tensor, part: Tensor) -> Tensor:
    """The columns of a part among zeros for the rest: each row is what a cotangent of the part is for ``x``."""
    row = input("row", part.shape, x.dtype)
    (whole,) = pullback([part], [row], [x])
    return batched([whole], {row: (ops.reshape(block, (y.size, *part.shape)), True)}, y.size)[0]


def _reverse(y: Tensor, x: Tensor, kinks: Kinks) -> Tensor:
    g = input("g", y.shape, y.dtype)
    (found,) = pullback([y], [g], [x], kinks)
    return ops.reshape(_with_seeds(found, g, _basis(y)), (*y.shape, *x.shape))


def _coloured(y: Tensor, x: Tensor, groups: Colouring, kinks: Kinks) -> Tensor:
    """One sweep a colour; then each entry is read where its column's colour put it."""
    n, m = _number(y), _number(x)
    seeds = np.zeros((groups.count, m))
    seeds[groups.colour, np.arange(m)] = 1
    lines = _columns(y, x, ops.reshape(constant(seeds, x.dtype), (groups.count, *x.shape)), kinks)
    dense = ops.take(ops.transpose(ops.reshape(lines, (groups.count, n))), constant(groups.colour, "int64"), axis=1)
    return ops.reshape(ops.where(constant(groups.pattern), dense, 0), (*y.shape, *x.shape))
