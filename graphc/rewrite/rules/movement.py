"""Ops that move elements: those that move nothing go, and those in a row become one."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from graphc.core import OPS, Tensor, dtypes
from graphc.core.op import as_dtype
from graphc.core.pattern import attr, var
from graphc.core.sizes import Dim, Shape, product
from graphc.ops import add, broadcast_to, cast, concatenate, exp, expand_dims, reshape, sum, transpose
from graphc.ops.index import Index, Span, getitem, place
from graphc.ops.shape import narrow, widen
from graphc.rewrite.rule import Rule, RuleSet, rule
from graphc.rewrite.rules.common import axes, axis, has_items, keepdims, shape, with_axes_in_front, x

node: Final[Any] = var("node")


# ---------------------------------------------------------------- reshape
@rule(reshape(x, shape=shape), safety="exact", cases=(lambda leaf: reshape(leaf(2, 3), (2, -1)), lambda leaf: reshape(leaf(), ())))
def reshape_to_itself(x: Tensor, shape: Shape) -> Tensor | None:
    """A reshape to the shape that is there already."""
    return x if x.shape == shape else None


@rule(reshape(reshape(x), shape=shape), safety="exact", cases=(lambda leaf: reshape(reshape(leaf(2, 3), (3, 2)), (6,)),))
def reshape_again(x: Tensor, shape: Shape) -> Tensor:
    """The last of two reshapes decides."""
    return reshape(x, shape=shape)


@rule(
    reshape(expand_dims(x), shape=shape),
    safety="exact",
    cases=(lambda leaf: reshape(expand_dims(leaf(2, 3), 1), (6,)), lambda leaf: reshape(expand_dims(leaf(0, 3), 0), (3, 0))),
)
def reshape_of_expanded(x: Tensor, shape: Shape) -> Tensor:
    """A reshape has no use for axes of size 1 before it."""
    return reshape(x, shape=shape)


@rule(expand_dims(reshape(x)), safety="exact", cases=(lambda leaf: expand_dims(reshape(leaf(2, 3), (6,)), 1),))
def expanded_reshape(node: Tensor, x: Tensor) -> Tensor:
    """A reshape can insert axes of size 1 itself."""
    return reshape(x, shape=node.shape)


@rule(expand_dims(expand_dims(x)), safety="exact", cases=(lambda leaf: expand_dims(expand_dims(leaf(2, 3), 1), 0),))
def expanded_twice(node: Tensor, x: Tensor) -> Tensor:
    """Axes of size 1 are inserted at once."""
    return reshape(x, shape=node.shape)


@rule(expand_dims(x, axis=()), safety="exact", cases=(lambda leaf: expand_dims(leaf(2, 3), ()),))
def expanded_by_nothing(x: Tensor) -> Tensor:
    """No axis is inserted."""
    return x


# ---------------------------------------------------------------- transpose
@rule(
    transpose(x, axes=axes),
    safety="exact",
    cases=(lambda leaf: transpose(leaf(2, 3), (0, 1)), lambda leaf: transpose(leaf(3)), lambda leaf: transpose(leaf())),
)
def transpose_of_nothing(x: Tensor, axes: tuple[int, ...]) -> Tensor | None:
    """A permutation that leaves every axis where it is."""
    return x if axes == tuple(range(x.ndim)) else None


@rule(
    transpose(transpose(x, axes=attr("first")), axes=axes),
    safety="exact",
    cases=(lambda leaf: transpose(transpose(leaf(2, 3, 4), (1, 2, 0)), (0, 2, 1)), lambda leaf: leaf(2, 3).T.T),
)
def transpose_again(x: Tensor, first: tuple[int, ...], axes: tuple[int, ...]) -> Tensor:
    """Two permutations are one."""
    return transpose(x, axes=tuple([first[i] for i in axes]))


# ---------------------------------------------------------------- broadcast
@rule(broadcast_to(x, shape=shape), safety="exact", cases=(lambda leaf: broadcast_to(leaf(2, 3), (2, 3)),))
def broadcast_to_itself(x: Tensor, shape: Shape) -> Tensor | None:
    """A broadcast to the shape that is there already."""
    return x if x.shape == shape else None


@rule(
    broadcast_to(broadcast_to(x), shape=shape), safety="exact", cases=(lambda leaf: broadcast_to(broadcast_to(leaf(3), (2, 3)), (4, 2, 3)),)
)
def broadcast_again(x: Tensor, shape: Shape) -> Tensor:
    """The last of two broadcasts decides."""
    return broadcast_to(x, shape=shape)


@rule(broadcast_to(expand_dims(x), shape=shape), safety="exact", cases=(lambda leaf: broadcast_to(expand_dims(leaf(3), 0), (2, 3)),))
def broadcast_of_expanded(node: Tensor, x: Tensor, shape: Shape) -> Tensor | None:
    """A broadcast adds axes in front by itself."""
    return broadcast_to(x, shape=shape) if _only_leads(x, node.inputs[0]) else None


@rule(broadcast_to(reshape(x), shape=shape), safety="exact", cases=(lambda leaf: broadcast_to(reshape(leaf(3), (1, 3)), (2, 3)),))
def broadcast_of_reshaped(node: Tensor, x: Tensor, shape: Shape) -> Tensor | None:
    """A broadcast adds axes in front by itself."""
    return broadcast_to(x, shape=shape) if _only_leads(x, node.inputs[0]) else None


_MOVES: Final = (reshape, expand_dims, transpose)


@rule(
    node,
    safety="exact",
    reads=(broadcast_to,),
    cases=(
        lambda leaf: reshape(broadcast_to(leaf(), (6,)), (2, 3)),
        lambda leaf: expand_dims(broadcast_to(leaf(1), (6,)), 1),
        lambda leaf: transpose(broadcast_to(leaf(1, 1), (2, 3))),
    ),
)
def moves_of_one_number(node: Tensor) -> Tensor | None:
    """One number everywhere is the same in any order."""
    number = node.inputs[0].inputs[0] if node.op in _MOVES else node
    return broadcast_to(reshape(number, shape=()), shape=node.shape) if number.size == 1 and number is not node else None


def _only_leads(x: Tensor, wider: Tensor) -> bool:
    return wider.shape == with_axes_in_front(x.shape, wider.ndim)


@rule(
    node,
    safety="rounding",
    reads=(broadcast_to,),
    cases=(
        lambda leaf: exp(broadcast_to(leaf(3), (2, 3))),
        lambda leaf: leaf(2, 3) * broadcast_to(leaf(1), (2, 3)),
        lambda leaf: broadcast_to(leaf(3), (0, 3)) + leaf(),
    ),
)
def broadcast_outwards(node: Tensor) -> Tensor | None:
    """What is done element by element is done before a broadcast, or broadcasts by itself."""
    op = node.op
    if op is None or not op.pointwise:
        return None
    return op.apply(tuple([x.inputs[0] if x.op is broadcast_to else x for x in node.inputs]), node.attrs)


# ---------------------------------------------------------------- cast
_DIGITS: Final = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


@rule(cast(x, dtype=attr("dtype")), safety="exact", cases=(lambda leaf: as_dtype(leaf(2, 3), leaf(2, 3).dtype).astype(leaf(2, 3).dtype),))
def cast_to_itself(x: Tensor, dtype: str) -> Tensor | None:
    """A cast to the dtype that is there already."""
    return x if x.dtype == dtype else None


@rule(
    cast(cast(x, dtype=attr("middle")), dtype=attr("dtype")),
    safety="exact",
    cases=(
        lambda leaf: leaf(2, 3, dtype="bool").astype("float32").astype("float64"),
        lambda leaf: leaf(2, 3, dtype="float32").astype("float64").astype("float32"),
        lambda leaf: leaf(2, 3, dtype="int8").astype("int32").astype("int16"),
    ),
)
def cast_again(x: Tensor, middle: str, dtype: str) -> Tensor | None:
    """The last of two casts decides, where the first keeps every value."""
    plain = dtypes.is_float(dtype) or dtype == "bool" or keeps_every_value(x.dtype, dtype) or not dtypes.is_float(middle)
    return cast(x, dtype=dtype) if plain and keeps_every_value(x.dtype, middle) else None


def keeps_every_value(old: str, new: str) -> bool:
    """Whether ``new`` holds each value of ``old``. NumPy's safe casts lose digits of int64 in float64."""
    if old in (new, "bool"):
        return True
    if dtypes.is_integer(old) and dtypes.is_float(new):
        return dtypes.itemsize(old) * 8 - (old in dtypes.SIGNED) <= _DIGITS[new]
    if dtypes.is_float(old) and dtypes.is_float(new):
        return dtypes.itemsize(old) < dtypes.itemsize(new)
    return dtypes.is_integer(old) and dtypes.is_integer(new) and np.can_cast(old, new)


# ---------------------------------------------------------------- sums
@rule(
    sum(x, axis=axis),
    safety="rounding",
    cases=(
        lambda leaf: sum(leaf(2, 1), axis=1),
        lambda leaf: sum(leaf(2, 1), axis=-1, keepdims=True),
        lambda leaf: sum(leaf(2, 3), axis=()),
        lambda leaf: sum(leaf()),
    ),
)
def sum_of_one(node: Tensor, x: Tensor, axis: tuple[int, ...]) -> Tensor | None:
    """A sum over axes of size 1, or over none, adds nothing up."""
    return reshape(x, shape=node.shape) if all(x.shape[i] == 1 for i in axis) else None


@rule(
    sum(-x, axis=axis, keepdims=keepdims),
    safety="rounding",
    cases=(lambda leaf: sum(-leaf(2, 3)), lambda leaf: sum(-leaf(2, 3), axis=0, keepdims=True), lambda leaf: sum(-leaf(0, 3), axis=0)),
)
def sum_of_negative(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    """The sign is changed once, after the sum."""
    return -sum(x, axis=axis, keepdims=keepdims)


@rule(
    sum(sum(x, axis=attr("first"), keepdims=keepdims), axis=axis, keepdims=keepdims),
    safety="rounding",
    cases=(
        lambda leaf: sum(sum(leaf(2, 3, 4), axis=1), axis=1),
        lambda leaf: sum(sum(leaf(2, 3, 4), axis=0), axis=0),
        lambda leaf: sum(sum(leaf(2, 3), axis=1, keepdims=True), axis=(0, 1), keepdims=True),
    ),
)
def sum_again(x: Tensor, first: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> Tensor:
    """Two sums in a row are one over the axes of both, each counted as in ``x``."""
    return sum(x, axis=_axes_of_both(x, first, axis, keepdims), keepdims=keepdims)


def _axes_of_both(x: Tensor, first: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """The axes of ``x`` that go in two reductions, of which the second counts those that the first has left."""
    left = list(range(x.ndim)) if keepdims else [i for i in range(x.ndim) if i not in first]
    return tuple(sorted({*first, *[left[i] for i in axis]}))


@rule(
    sum(transpose(x, axes=axes), axis=axis, keepdims=False),
    safety="rounding",
    cases=(
        lambda leaf: sum(leaf(2, 3).T),
        lambda leaf: sum(transpose(leaf(2, 3, 4), (1, 0, 2)), axis=0),
        lambda leaf: sum(transpose(leaf(2, 3, 4), (2, 0, 1)), axis=0),
    ),
)
def sum_of_transpose(x: Tensor, axes: tuple[int, ...], axis: tuple[int, ...]) -> Tensor | None:
    """A sum has no use for a permutation, if the axes that are left keep their order."""
    before = _axes_before(axes, axis)
    return None if before is None else sum(x, axis=before)


def _axes_before(axes: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axes of a reduction as they were before a permutation, if those that are left keep their order."""
    left = [axes[i] for i in range(len(axes)) if i not in axis]
    return tuple([axes[i] for i in axis]) if left == sorted(left) else None


@rule(
    sum(broadcast_to(x), axis=axis),
    safety="rounding",
    cases=(
        lambda leaf: sum(broadcast_to(leaf(3), (2, 3)), axis=0),
        lambda leaf: sum(broadcast_to(leaf(), (2, 3))),
        lambda leaf: sum(broadcast_to(leaf(2, 1), (2, 3)), axis=1, keepdims=True),
        lambda leaf: sum(broadcast_to(leaf(2, 1, 3), (2, 4, 3)), axis=(0, 1)),
    ),
)
def sum_of_broadcast(node: Tensor, x: Tensor, axis: tuple[int, ...]) -> Tensor | None:
    """A sum over copies is a multiple; their number has to be known, since 0 times inf is not the sum of nothing."""
    wide = node.inputs[0]
    narrow = with_axes_in_front(x.shape, wide.ndim)
    copied = [i for i in axis if narrow[i] == 1]
    count = product(tuple([wide.shape[i] for i in copied]))
    if not copied or not isinstance(count, int) or not 0 < count <= 2 ** _DIGITS.get(x.dtype, 30):
        return None
    others = tuple([i for i in axis if i not in copied])
    if not others:
        keepdims = node.ndim == wide.ndim
        return reshape(x * count, shape=tuple([size for i, size in enumerate(narrow) if keepdims or i not in axis]))
    kept = tuple([1 if i in copied else size for i, size in enumerate(wide.shape)])
    return reshape(sum(broadcast_to(reshape(x * count, shape=narrow), shape=kept), axis=others), shape=node.shape)


@rule(
    sum(reshape(x), axis=axis, keepdims=False),
    safety="rounding",
    regroups=True,
    cases=(lambda leaf: sum(reshape(leaf(2, 3), (6,))), lambda leaf: sum(expand_dims(reshape(leaf(2, 3), (3, 2)), 1))),
)
def sum_of_reshaped(node: Tensor, x: Tensor, axis: tuple[int, ...]) -> Tensor | None:
    """The sum of everything has no use for a shape."""
    return sum(x) if len(axis) == node.inputs[0].ndim else None


# ---------------------------------------------------------------- largest, smallest, any, all
def _reductions(op: Any) -> list[Rule]:
    """The rules of a reduction that does not mind repetitions: no element counts twice."""
    name = op.name

    def again(x: Tensor, first: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> Tensor:
        return op(x, axis=_axes_of_both(x, first, axis, keepdims), keepdims=keepdims)

    def of_transpose(x: Tensor, axes: tuple[int, ...], axis: tuple[int, ...]) -> Tensor | None:
        before = _axes_before(axes, axis)
        return None if before is None else op(x, axis=before)

    def of_broadcast(node: Tensor, x: Tensor, axis: tuple[int, ...]) -> Tensor | None:
        wide = node.inputs[0]
        narrow = with_axes_in_front(x.shape, wide.ndim)
        if not all(narrow[i] == 1 for i in axis) or not has_items(wide, axis):
            return None  # of nothing it would be another thing
        kept = tuple([1 if i in axis else size for i, size in enumerate(wide.shape)])
        return reshape(broadcast_to(x, shape=kept), shape=node.shape)

    def declared(kind: str, pattern: Any, body: Any, sentence: str, *cases: Any) -> Rule:
        body.__doc__ = sentence
        return rule(pattern, safety="exact", name=f"{name}_{kind}", cases=cases)(body)

    dtype = "bool" if name in ("any", "all") else None
    return [
        declared(
            "of_" + name,
            op(op(x, axis=attr("first"), keepdims=keepdims), axis=axis, keepdims=keepdims),
            again,
            f"Two ``{name}`` in a row are one over the axes of both, each counted as in ``x``.",
            lambda leaf: op(op(leaf(2, 3, 4, dtype=dtype), axis=1), axis=1),
            lambda leaf: op(op(leaf(2, 3, dtype=dtype), axis=1, keepdims=True), axis=(0, 1), keepdims=True),
        ),
        declared(
            "of_transpose",
            op(transpose(x, axes=axes), axis=axis, keepdims=False),
            of_transpose,
            f"``{name}`` has no use for a permutation, if the axes that are left keep their order.",
            lambda leaf: op(transpose(leaf(2, 3, 4, dtype=dtype), (1, 0, 2)), axis=0),
        ),
        declared(
            "of_broadcast",
            op(broadcast_to(x), axis=axis),
            of_broadcast,
            f"``{name}`` over copies is what they are copies of.",
            lambda leaf: op(broadcast_to(leaf(3, dtype=dtype), (2, 3)), axis=0),
            lambda leaf: op(broadcast_to(leaf(2, 1, dtype=dtype), (2, 3)), axis=1, keepdims=True),
        ),
    ]


REDUCTIONS: Final = RuleSet(one for name in ("max", "min", "any", "all") for one in _reductions(OPS[name]))


# ---------------------------------------------------------------- parts
@rule(
    getitem(x, index=attr("index")),
    safety="exact",
    cases=(lambda leaf: leaf(2, 3)[:], lambda leaf: leaf(2, 3)[0:, ...], lambda leaf: leaf(2, 3)[:2, :5]),
)
def index_of_everything(x: Tensor, index: Index) -> Tensor | None:
    """Slices that take every item in order."""
    whole = [isinstance(item, Span) and _takes_all(item, size) for item, size in zip(index.items, x.shape, strict=False)]
    return x if len(index.items) == x.ndim and all(whole) else None


def _takes_all(item: Span, size: Dim) -> bool:
    to_the_end = item.stop is None or (isinstance(size, int) and item.stop >= size)
    return item.start in (None, 0) and item.step in (None, 1) and to_the_end


@rule(
    narrow(x, start=0, length=attr("length"), axis=axis),
    safety="exact",
    cases=(lambda leaf: narrow(leaf(2, 3), axis=1, start=0, length=3),),
)
def narrow_to_everything(x: Tensor, axis: int, length: Dim) -> Tensor | None:
    """A part that is the whole."""
    return x if x.shape[axis] == length else None


@rule(
    narrow(narrow(x, axis=axis, start=attr("first")), axis=axis, start=attr("start"), length=attr("length")),
    safety="exact",
    cases=(lambda leaf: narrow(narrow(leaf(2, 5), axis=1, start=1, length=4), axis=1, start=2, length=1),),
)
def narrow_again(x: Tensor, axis: int, first: Dim, start: Dim, length: Dim) -> Tensor:
    """A part of a part is a part."""
    return narrow(x, axis=axis, start=start + first, length=length)


@rule(
    narrow(widen(x, axis=axis, start=attr("start")), axis=axis, start=attr("start"), length=attr("length")),
    safety="exact",
    cases=(lambda leaf: narrow(widen(leaf(2, 3), axis=1, start=1, total=5), axis=1, start=1, length=3),),
)
def narrow_of_widened(x: Tensor, axis: int, start: Dim, length: Dim) -> Tensor | None:
    """What was put between zeros comes back."""
    return x if x.shape[axis] == length else None


@rule(concatenate([x]), safety="exact", cases=(lambda leaf: concatenate([leaf(2, 3)], axis=1),))
def concatenate_one(x: Tensor) -> Tensor:
    """Nothing is joined to it."""
    return x


@rule(
    node,
    safety="exact",
    reads=(transpose,),
    reads_all=True,
    cases=(
        lambda leaf: concatenate([leaf(2, 3).T, leaf(4, 3).T], axis=1),
        lambda leaf: concatenate([transpose(leaf(2, 3, 4), (1, 2, 0))] * 2),
    ),
)
def concatenate_transposed(node: Tensor) -> Tensor | None:
    """Tensors that are transposed alike are joined first: their elements are copied in the order in which they lie."""
    orders = {x.attributes["axes"] for x in node.inputs} if node.op is concatenate else set[tuple[int, ...]]()
    if len(orders) != 1:
        return None
    (order,) = orders
    return transpose(concatenate([x.inputs[0] for x in node.inputs], axis=order[node.attributes["axis"]]), axes=order)


@rule(
    narrow(x, axis=axis, start=attr("start"), length=attr("length")),
    safety="exact",
    cases=(
        lambda leaf: narrow(concatenate([leaf(2, 3), leaf(2, 1)], axis=1), axis=1, start=3, length=1),
        lambda leaf: narrow(concatenate([leaf(2), leaf(3), leaf(1)]), axis=0, start=2, length=3),
    ),
)
def narrow_of_concatenated(x: Tensor, axis: int, start: Dim, length: Dim) -> Tensor | None:
    """A part of what was joined along the same axis is one of the tensors that were joined."""
    if x.op is not concatenate or x.attributes["axis"] != axis:
        return None
    offset: Dim = 0
    for part in x.inputs:
        if offset == start and part.shape[axis] == length:
            return part
        offset = part.shape[axis] + offset
    return None


# ---------------------------------------------------------------- parts put back in their places
def _segment(x: Tensor) -> tuple[int, int, int, Tensor] | None:
    """Of a ``widen``, or a ``place`` along one axis: the axis, where its part begins and ends, and the part with all axes."""
    (part,) = x.inputs
    if x.op is widen:
        axis: int = x.attributes["axis"]
        start, length = x.attributes["start"], part.shape[axis]
        return (axis, start, start + length, part) if isinstance(start, int) and isinstance(length, int) else None
    items = x.attributes["index"].items
    if not all(isinstance(item, int) or (isinstance(item, Span) and item.step in (None, 1)) for item in items):
        return None
    numbers = tuple([i for i, item in enumerate(items) if isinstance(item, int)])
    part = expand_dims(part, axis=numbers) if numbers else part
    moved = [i for i, (size, whole) in enumerate(zip(part.shape, x.shape, strict=True)) if size != whole]
    if len(moved) != 1:
        return None
    item, length, whole = items[moved[0]], part.shape[moved[0]], x.shape[moved[0]]
    if not isinstance(length, int) or not isinstance(whole, int) or not length:
        return None
    start = range(whole)[item] if isinstance(item, int) else range(whole)[slice(item.start, item.stop)].start
    return moved[0], start, start + length, part


_MOST: Final = 64
"""Of how many parts a sum is looked at, so that a long one does not take time that grows with its square."""


def _placed_terms(node: Tensor) -> list[Tensor]:
    """The terms of a sum of sums; none if they are too many, or not all parts among zeros."""
    found: list[Tensor] = []
    waiting = [node]
    while waiting:
        x = waiting.pop()
        if x.op is add:
            waiting += x.inputs
        elif x.op not in (place, widen) or len(found) == _MOST:
            return []
        else:
            found.append(x)
    return found


@rule(
    node,
    safety="rounding",
    reads=(place, widen),
    cases=(
        lambda leaf: widen(leaf(2, 3), axis=1, start=0, total=5) + widen(leaf(2, 2), axis=1, start=3, total=5),
        lambda leaf: _in_places(leaf(2, 3), leaf(2, 1), leaf(2, 2)),
        lambda leaf: place(leaf(2, 3), shape=(2, 3, 2), index=(..., -1)) + place(leaf(2, 3), shape=(2, 3, 2), index=(..., 0)),
    ),
)
def parts_in_their_places(node: Tensor) -> Tensor | None:
    """A sum of parts among zeros, each in a place of its own, that fill an axis is these parts joined."""
    terms = _placed_terms(node) if node.op is add else []
    found = [segment for term in terms if (segment := _segment(term)) is not None]
    if not found or len(found) < len(terms) or len({segment[0] for segment in found}) > 1:
        return None
    found.sort(key=lambda segment: segment[1])
    axis = found[0][0]
    ends = [0, *[segment[2] for segment in found]]
    if [segment[1] for segment in found] != ends[:-1] or ends[-1] != node.shape[axis]:
        return None
    return concatenate([segment[3] for segment in found], axis=axis)


def _in_places(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    def put(x: Tensor, columns: slice) -> Tensor:
        return place(x, shape=(2, 6), index=(slice(None), columns))

    return put(b, slice(3, 4)) + put(a, slice(3)) + put(c, slice(-2, None))
