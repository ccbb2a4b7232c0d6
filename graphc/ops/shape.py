"""Ops that move elements and change none. All are linear, and most are views on NumPy."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal, TypeAlias, cast

import numpy as np

from graphc.core import Bundle, Op, Tensor, TensorType, as_tensor, case, constant, describe, op, sizes
from graphc.core.attributes import Axis, DTypeName, NewAxes, Permutation, Reshaped, Target, axes_of, axis_of, several
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.sizes import Dim, Shape

__all__ = [
    "broadcast_to",
    "concatenate",
    "diag",
    "diagonal",
    "expand_dims",
    "flip",
    "full",
    "meshgrid",
    "moveaxis",
    "ones",
    "ones_like",
    "pad",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "transpose",
    "tril",
    "triu",
    "unstack",
    "zeros",
    "zeros_like",
]


def after(axes: Sequence[int]) -> tuple[int, ...]:
    """The axes where one more stands before them all."""
    return tuple([axis + 1 for axis in axes])


def along_the_next(op: Op) -> Callable[..., Tensor]:
    """The ``vmap`` rule of an op whose one attribute is an axis."""

    def rule(mapped: Sequence[bool], x: Tensor, axis: int) -> Tensor:
        return op(x, axis=axis + 1)

    return rule


def spread_to(x: Tensor, shape: Shape) -> Tensor:
    """``x`` broadcast to a shape that it need not have yet."""
    return x if x.shape == shape else broadcast_to(x, shape=shape)


def stacked(mapped: Sequence[bool], operands: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The operands with a leading axis each: where one has none, it is repeated."""
    count = next(x.shape[0] for x, own in zip(operands, mapped, strict=True) if own)
    return tuple([x if own else broadcast_to(x, shape=(count, *x.shape)) for x, own in zip(operands, mapped, strict=True)])


def aligned(mapped: Sequence[bool], operands: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Operands that broadcast, with axes of size 1 after the new first axis, so that shorter ones still do from the last axis."""
    rank = max([x.ndim - own for x, own in zip(operands, mapped, strict=True)])
    return tuple(
        [
            reshape(x, (x.shape[0], *[1] * (rank + 1 - x.ndim), *x.shape[1:])) if own and x.ndim <= rank else x
            for x, own in zip(operands, mapped, strict=True)
        ]
    )


@op(
    "$x.reshape($shape)",
    view=True,
    linear=("x",),
    flops=0,
    cases=(case((2, 3), shape=(3, 2)), case((2, 3), shape=-1), case((4,), shape=(1, 2, -1)), case((), shape=(1,))),
)
def reshape(x: TensorType, *, shape: Reshaped) -> TensorType:
    """The same elements, in row-major order, in another shape; one size may be -1."""
    if sizes.product(shape) != x.size:
        raise ShapeError(f"{x.size} elements do not fit into {shape}", fits=f"a shape of {x.size} elements, or one size as -1")
    return x.with_shape(shape)


@reshape.vjp
def _(g: Tensor, y: Tensor, x: Tensor, shape: Shape) -> tuple[Tensor]:
    return (reshape(g, x.shape),)


@reshape.vmap
def _(mapped: tuple[bool, ...], x: Tensor, shape: Shape) -> Tensor:
    return reshape(x, (x.shape[0], *shape))


def ravel(x: Any) -> Tensor:
    """The elements along one axis, in row-major order."""
    return reshape(x, (-1,))


def _turned(axes: tuple[int, ...]) -> str:
    return "$x.T" if axes == tuple(reversed(range(len(axes)))) else "$x.transpose($axes)"


@op(
    _turned,
    view=True,
    linear=("x",),
    flops=0,
    text="$xᵀ",
    tex=r"$x^\top",
    binds=1,
    cases=(case((2, 3)), case((2, 3, 4), axes=(1, 2, 0)), case((3,)), case(())),
)
def transpose(x: TensorType, *, axes: Permutation = None) -> TensorType:  # type: ignore[assignment]
    """Permute the axes: axis ``i`` of the result is axis ``axes[i]`` of ``x``; by default they are reversed."""
    return x.with_shape(tuple([x.shape[axis] for axis in axes]))


@transpose.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor]:
    return (transpose(g, axes=tuple([axes.index(i) for i in range(len(axes))])),)


@transpose.vmap
def _(mapped: tuple[bool, ...], x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return transpose(x, axes=(0, *after(axes)))


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Bring the axes ``source`` to the places ``destination``; the others keep their order."""
    x = as_tensor(x)
    sources, places = axes_of(source, x.ndim), axes_of(destination, x.ndim)
    if len(sources) != len(places):
        raise ArgumentError(
            f"moveaxis: {len(sources)} axes do not go to {len(places)} places", given=[f"x: {describe(x)}"], fits="as many places as axes"
        )
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return transpose(x, axes=tuple(order)) if order != sorted(order) else x


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Exchange two axes."""
    x = as_tensor(x)
    order, (a, b) = list(range(x.ndim)), (axis_of(axis1, x.ndim), axis_of(axis2, x.ndim))
    order[a], order[b] = b, a
    return transpose(x, axes=tuple(order))


def _indexed(x: TensorType, axis: tuple[int, ...]) -> str:
    """New axes by an index, a tenth of what a call of ``expand_dims`` costs."""
    last = 1 + max(axis, default=-1)
    return f"$x[{', '.join('None' if i in axis else ':' for i in range(last))}]" if last else "$x"


@op(
    _indexed,
    view=True,
    linear=("x",),
    flops=0,
    cases=(case((2, 3), axis=0), case((2, 3), axis=-1), case((), axis=(0, 1))),
)
def expand_dims(x: TensorType, *, axis: NewAxes) -> TensorType:
    """Insert axes of size 1 at these places of the result."""
    shape = list(x.shape)
    for place in axis:
        shape.insert(place, 1)
    return x.with_shape(tuple(shape))


@expand_dims.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: tuple[int, ...]) -> tuple[Tensor]:
    return (reshape(g, x.shape),)


@expand_dims.vmap
def _(mapped: tuple[bool, ...], x: Tensor, axis: tuple[int, ...]) -> Tensor:
    return expand_dims(x, axis=after(axis))


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """Drop axes of size 1: all of them, or those named. Raises :class:`ShapeError` for another size."""
    x = as_tensor(x)
    ones = [i for i, size in enumerate(x.shape) if size == 1]
    dropped = ones if axis is None else axes_of(axis if isinstance(axis, int) else tuple(axis), x.ndim)
    if set(dropped) - set(ones):
        raise ShapeError(f"squeeze: axes {tuple(dropped)} of {x.type} are not all of size 1", fits=f"some of {tuple(ones)}")
    return reshape(x, tuple([size for i, size in enumerate(x.shape) if i not in dropped]))


@op(
    "xp.broadcast_to($x, $shape)",
    view=True,
    linear=("x",),
    flops=0,
    cases=(case((3,), shape=(2, 3)), case((), shape=(2,)), case((2, 1), shape=(2, 3))),
)
def broadcast_to(x: TensorType, *, shape: Target) -> TensorType:
    """Repeat ``x`` along new axes and those of size 1, without a copy."""
    if sizes.broadcast([x.shape, shape]) != shape:
        raise ShapeError(f"{x} does not broadcast to {shape}", fits="equal sizes or 1, counted from the last axis")
    return x.with_shape(shape)


@broadcast_to.vmap
def _(mapped: tuple[bool, ...], x: Tensor, shape: Shape) -> Tensor:
    count, *own = x.shape
    aligned = reshape(x, (count, *[1] * (len(shape) - len(own)), *own)) if len(own) < len(shape) else x
    return broadcast_to(aligned, shape=(count, *shape))


def tile(x: Any, reps: Any) -> Tensor:
    """The whole of ``x`` over and over, ``reps`` times along each axis; a number alone is for the last axis."""
    x, times = as_tensor(x), sizes.canonical(reps)
    ndim = max(x.ndim, len(times))
    shape: Shape = (*[1] * (ndim - x.ndim), *x.shape)
    times = (*[1] * (ndim - len(times)), *times)
    return _repeated(x, [(1, size) for size in shape], list(zip(times, shape, strict=True)))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each item of one axis ``repeats`` times, one copy beside the other; without an axis each element of the raveled tensor."""
    x = ravel(x) if axis is None else as_tensor(x)
    place, (times,) = axis_of(axis or 0, x.ndim), sizes.canonical(repeats)
    pairs = [(size, times if i == place else 1) for i, size in enumerate(x.shape)]
    return _repeated(x, [(size, 1) for size in x.shape], pairs)


def _repeated(x: Tensor, apart: Sequence[tuple[Dim, Dim]], pairs: Sequence[tuple[Dim, Dim]]) -> Tensor:
    """``x`` with two axes in the place of each, which broadcast to ``pairs`` and are then one again."""
    wide = broadcast_to(reshape(x, tuple(itertools.chain(*apart))), shape=tuple(itertools.chain(*pairs)))
    return reshape(wide, tuple([a * b for a, b in pairs]))


def meshgrid(*xs: Any, indexing: Literal["xy", "ij"] = "xy", sparse: bool = False) -> tuple[Tensor, ...]:
    """The coordinates of a grid: the vector ``i`` repeated along the axes of the others.

    The axes come in the order of the vectors (``"ij"``), or with the first two exchanged (``"xy"``). ``sparse`` leaves axes of size 1
    where the vector would be repeated.
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing={indexing!r}", given=[f"{len(xs)} vectors"], fits="'xy' or 'ij'")
    vectors = [ravel(x) for x in xs]
    places = list(range(len(vectors)))
    if indexing == "xy":
        places[:2] = reversed(places[:2])
    grid = [reshape(x, tuple([-1 if i == place else 1 for i in places])) for place, x in enumerate(vectors)]
    whole = sizes.broadcast([x.shape for x in grid]) if grid else ()
    return tuple(grid) if sparse else tuple([broadcast_to(x, shape=whole) for x in grid])


@op(
    "xp.concatenate([$xs], axis=$axis)",
    out="np.concatenate([$xs], axis=$axis, out=$out)",
    linear=("xs",),
    promote=("xs",),
    flops=0,
    cases=(case((2, 3), (1, 3)), case((2, 3), (2, 1), (2, 2), axis=1), case((2,), axis=-1)),
)
def concatenate(*xs: TensorType, axis: Axis = 0) -> TensorType:
    """Join tensors along one axis; all other sizes are equal."""
    if not xs:
        raise ArgumentError("there is nothing to join", fits="at least one tensor")
    first = xs[0]
    rest = first.shape[:axis] + first.shape[axis + 1 :]
    for x in xs:
        if x.ndim != first.ndim or x.shape[:axis] + x.shape[axis + 1 :] != rest:
            raise ShapeError(f"{first} and {x} cannot be joined along axis {axis}", fits="shapes that are equal but for that axis")
    total: Dim = 0
    for x in xs:
        total = x.shape[axis] + total
    return first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))


@concatenate.vjp
def _(g: Tensor, y: Tensor, *xs: Tensor, axis: int) -> tuple[Tensor, ...]:
    start: Dim = 0
    parts: list[Tensor] = []
    for x in xs:
        parts.append(narrow(g, axis=axis, start=start, length=x.shape[axis]))
        start = x.shape[axis] + start
    return tuple(parts)


@concatenate.vmap
def _(mapped: tuple[bool, ...], *xs: Tensor, axis: int) -> Tensor:
    return concatenate(list(stacked(mapped, xs)), axis=axis + 1)


def stack(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis."""
    return concatenate([expand_dims(as_tensor(x), axis=axis) for x in xs], axis=axis)


def _narrow_source(axis: int, start: Dim, length: Dim) -> str:
    return f"$x[{':, ' * axis}{start}:{start + length}]"


@op(
    _narrow_source,
    view=True,
    linear=("x",),
    flops=0,
    cases=(case((2, 3), axis=1, start=1, length=2), case((4,), axis=0, start=0, length=0)),
)
def narrow(x: TensorType, *, axis: Axis, start: Dim, length: Dim) -> TensorType:
    """``length`` items of one axis, from ``start``; both may be named sizes."""
    return x.with_shape((*x.shape[:axis], length, *x.shape[axis + 1 :]))


@narrow.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: int, start: Dim, length: Dim) -> tuple[Tensor]:
    return (widen(g, axis=axis, start=start, total=x.shape[axis]),)


@narrow.vmap
def _(mapped: tuple[bool, ...], x: Tensor, axis: int, start: Dim, length: Dim) -> Tensor:
    return narrow(x, axis=axis + 1, start=start, length=length)


@op(
    "widen($x, $axis, $start, $total)",
    jax="jax.lax.pad($x, xp.zeros((), $x.dtype), "
    "((0, 0, 0),) * $axis + (($start, $total - $start - $x.shape[$axis], 0),) + ((0, 0, 0),) * ($x.ndim - $axis - 1))",
    helper='''
def widen(x, axis, start, total):
    """x in a tensor of zeros, from ``start`` on of an axis of ``total`` items."""
    y = np.zeros((*x.shape[:axis], total, *x.shape[axis + 1 :]), x.dtype)
    y[(slice(None),) * axis + (slice(start, start + x.shape[axis]),)] = x
    return y
''',
    linear=("x",),
    flops=0,
    cases=(case((2, 3), axis=1, start=1, total=5), case((0,), axis=0, start=2, total=2)),
)
def widen(x: TensorType, *, axis: Axis, start: Dim, total: Dim) -> TensorType:
    """Zeros, but for ``x`` from ``start`` on of one axis: the adjoint of ``narrow``."""
    return x.with_shape((*x.shape[:axis], total, *x.shape[axis + 1 :]))


@widen.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: int, start: Dim, total: Dim) -> tuple[Tensor]:
    return (narrow(g, axis=axis, start=start, length=x.shape[axis]),)


@widen.vmap
def _(mapped: tuple[bool, ...], x: Tensor, axis: int, start: Dim, total: Dim) -> Tensor:
    return widen(x, axis=axis + 1, start=start, total=total)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Cut one axis into so many equal sections, or before each of the indices, which may be named sizes too."""
    x = as_tensor(x)
    axis = axis_of(axis, x.ndim)
    size = x.shape[axis]
    if isinstance(indices_or_sections, int):
        length = sizes.divide(size, indices_or_sections)
        if length is None or indices_or_sections < 1:
            raise ShapeError(
                f"split: {size} items in {indices_or_sections} equal sections",
                given=[f"x: {describe(x)}"],
                fits="a divisor of the size",
            )
        return [narrow(x, axis=axis, start=length * i, length=length) for i in range(indices_or_sections)]
    cuts = list(several(indices_or_sections))
    if all(isinstance(cut, int) for cut in cuts):
        return [x[_along(axis, slice(*bounds))] for bounds in itertools.pairwise([0, *cuts, None])]
    bounds = itertools.pairwise((0, *sizes.canonical(cuts), size))
    return [narrow(x, axis=axis, start=start, length=stop - start) for start, stop in bounds]


def unstack(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The items along one axis, whose size has to be known: what :func:`stack` joins."""
    x = as_tensor(x)
    axis = axis_of(axis, x.ndim)
    size = x.shape[axis]
    if not isinstance(size, int):
        raise ShapeError(f"unstack: the size of axis {axis} is not known", given=[f"x: {describe(x)}"], fits="an axis with a whole number")
    return tuple([x[_along(axis, i)] for i in range(size)])


def _along(axis: int, item: Any) -> tuple[Any, ...]:
    """An index that is ``item`` at one axis."""
    return (*[slice(None)] * axis, item)


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """Reverse the order of the items along axes, all of them by default."""
    x = as_tensor(x)
    chosen = axes_of(axis, x.ndim)
    return x[tuple([slice(None, None, -1) if i in chosen else slice(None) for i in range(x.ndim)])] if chosen else x


def _whole(value: Any, types: tuple[TensorType, ...]) -> tuple[int, ...]:
    try:
        return tuple([operator.index(item) for item in several(value)])
    except TypeError:
        raise ArgumentError(f"shift={value!r}", fits="whole numbers") from None


def _some(value: Any, types: tuple[TensorType, ...]) -> tuple[int, ...] | None:
    """Axes, of which one may come more than once; None for the raveled tensor."""
    return None if value is None else tuple([axis_of(axis, types[0].ndim) for axis in several(value)])


@op(
    "xp.roll($x, $shift, $axis)",
    linear=("x",),
    flops=0,
    cases=(
        case((2, 3), shift=1, axis=1),
        case((2, 3), shift=-4),
        case((2, 3), shift=(1, 2), axis=(0, 1)),
        case((0, 3), shift=1, axis=0),
        case((), shift=1),
    ),
)
def roll(x: TensorType, *, shift: Annotated[tuple[int, ...], _whole], axis: Annotated[tuple[int, ...] | None, _some] = None) -> TensorType:
    """Move items along an axis by ``shift`` places; those that leave at the end come in at the beginning.

    ``shift`` and ``axis`` may be several. Without an axis the elements move in row-major order.
    """
    axes = (0,) if axis is None else axis
    if 1 not in (len(shift), len(axes)) and len(shift) != len(axes):
        raise ArgumentError(f"{len(shift)} shifts do not fit {len(axes)} axes", fits="one of them, or as many")
    return x


@roll.vjp
def _(g: Tensor, y: Tensor, x: Tensor, shift: tuple[int, ...], axis: tuple[int, ...] | None) -> tuple[Tensor]:
    return (roll(g, shift=tuple([-places for places in shift]), axis=axis),)


@roll.vmap
def _(mapped: tuple[bool, ...], x: Tensor, shift: tuple[int, ...], axis: tuple[int, ...] | None) -> Tensor:
    if axis is not None:
        return roll(x, shift=shift, axis=after(axis))
    rows = reshape(x, (x.shape[0], sizes.product(x.shape[1:])))
    return reshape(roll(rows, shift=shift, axis=(1,)), x.shape)


# ---------------------------------------------------------------- padding
PadWidth: TypeAlias = tuple[tuple[int, int], ...]


def _pairs(value: Any, ndim: int, what: str) -> list[list[Any]]:
    """A pair for each axis from NumPy's spellings: one number, one pair, or a pair for each axis."""
    try:
        return np.broadcast_to(np.asarray(value), (ndim, 2)).tolist()
    except ValueError:
        raise ArgumentError(
            f"{what}={value!r} is no pair for each of {ndim} axes", fits="a number, a pair, or a pair for each axis"
        ) from None


def _widths(value: Any, types: tuple[TensorType, ...]) -> PadWidth:
    pairs = _pairs(value, types[0].ndim, "pad_width")
    if not all(isinstance(width, int) and width >= 0 for pair in pairs for width in pair):
        raise ArgumentError(f"pad_width={value!r}", fits="whole numbers, 0 or more")
    return tuple([(int(before), int(behind)) for before, behind in pairs])


@op(
    "xp.pad($x, $pad_width)",
    name="pad",
    linear=("x",),
    flops=0,
    cases=(case((2, 3), pad_width=1), case((2, 3), pad_width=((0, 0), (2, 1))), case((0,), pad_width=(1, 2))),
)
def pad_zeros(x: TensorType, *, pad_width: Annotated[PadWidth, _widths]) -> TensorType:
    """Zeros before and after the items of each axis, as many as ``pad_width`` says."""
    return x.with_shape(tuple([size + (before + behind) for size, (before, behind) in zip(x.shape, pad_width, strict=True)]))


@pad_zeros.vjp
def _(g: Tensor, y: Tensor, x: Tensor, pad_width: PadWidth) -> tuple[Tensor]:
    for axis, (before, behind) in enumerate(pad_width):
        if before or behind:
            g = narrow(g, axis=axis, start=before, length=x.shape[axis])
    return (g,)


@pad_zeros.vmap
def _(mapped: tuple[bool, ...], x: Tensor, pad_width: PadWidth) -> Tensor:
    return pad_zeros(x, pad_width=((0, 0), *pad_width))


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Tensor:
    """Make each axis longer at both ends, by the pairs of ``pad_width``.

    ``mode`` is what stands there: ``"constant"`` the ``constant_values``; ``"edge"`` the outermost items; ``"reflect"`` the items mirrored
    at the outermost, ``"symmetric"`` mirrored behind it; ``"wrap"`` the items of the other end. The last three need a known size.
    """
    x = as_tensor(x)
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise ArgumentError(f"pad: mode={mode!r}", given=[f"x: {describe(x)}"], fits="'constant', 'edge', 'reflect', 'symmetric' or 'wrap'")
    widths = _widths(pad_width, (x.type,))
    if mode == "constant" and x.ndim and not np.any(constant_values) and not np.any(np.signbit(constant_values)):
        return pad_zeros(x, pad_width=widths)
    numbers = _pairs(constant_values, x.ndim, "constant_values")
    for axis, (width, outside) in enumerate(zip(widths, numbers, strict=True)):
        if any(width):
            pieces = _constants(x, axis, width, outside) if mode == "constant" else _mirrored(x, axis, width, mode)
            x = concatenate([piece for piece in pieces if piece.shape[axis] != 0], axis=axis)
    return x


def _constants(x: Tensor, axis: int, width: tuple[int, int], numbers: Sequence[Any]) -> list[Tensor]:
    before, behind = [full(_resized(x, axis, n), number, x.dtype) for n, number in zip(width, numbers, strict=True)]
    return [before, x, behind]


def _resized(x: Tensor, axis: int, size: Dim) -> Shape:
    return (*x.shape[:axis], size, *x.shape[axis + 1 :])


def _mirrored(x: Tensor, axis: int, width: tuple[int, int], mode: str) -> list[Tensor]:
    size = x.shape[axis]
    if size != 0 and mode == "edge":
        ends = narrow(x, axis=axis, start=0, length=1), narrow(x, axis=axis, start=size - 1, length=1)
        before, behind = [broadcast_to(end, shape=_resized(x, axis, n)) for end, n in zip(ends, width, strict=True)]
        return [before, x, behind]
    if size == 0 or not isinstance(size, int):
        raise ShapeError(
            f"pad: an axis of size {size} cannot be padded with mode={mode!r}",
            given=[f"x: {describe(x)}"],
            fits="an axis of known size with items, or mode='constant'",
        )
    items: list[int] = np.pad(np.arange(size), width, cast("Any", mode)).tolist()
    return [_run(x, axis, items[start:stop]) for start, stop in _runs(items)]


def _runs(items: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where the numbers go on by one step, up or down: from where to where."""
    start = 0
    while start < len(items):
        stop = start + 1
        step = items[stop] - items[start] if stop < len(items) else 0
        while abs(step) == 1 and stop < len(items) and items[stop] - items[stop - 1] == step:
            stop += 1
        yield start, stop
        start = stop


def _run(x: Tensor, axis: int, items: Sequence[int]) -> Tensor:
    part = narrow(x, axis=axis, start=min(items), length=len(items))
    return part if items[0] <= items[-1] else flip(part, axis)


# ---------------------------------------------------------------- diagonals and triangles
def _diagonal_shape(shape: Shape, offset: int, axis1: int, axis2: int) -> Shape:
    if axis1 == axis2:
        raise ArgumentError("a diagonal runs along two axes", fits="two different ones")
    below, beside = shape[axis1] - max(-offset, 0), shape[axis2] - max(offset, 0)
    longer = below - beside
    length = beside if isinstance(longer, int) and longer > 0 else below
    if isinstance(length, int) and isinstance(longer, int):
        length = max(length, 0)
    elif not isinstance(longer, int) or not sizes.is_size(length):
        raise ShapeError(
            f"the diagonal {offset} of sizes {shape[axis1]} and {shape[axis2]} has no known length", fits="known or equal sizes, offset=0"
        )
    return (*[size for i, size in enumerate(shape) if i not in (axis1, axis2)], length)


@op(
    "xp.diagonal($x, $offset, $axis1, $axis2)",
    view=True,
    linear=("x",),
    flops=0,
    cases=(
        case((3, 3)),
        case((2, 4), offset=1),
        case((4, 2), offset=-1),
        case((2, 3, 4), axis1=2, axis2=-2),
        case((2, 2), offset=5),
        case((0, 2)),
    ),
)
def diagonal(x: TensorType, *, offset: int = 0, axis1: Axis = 0, axis2: Axis = 1) -> TensorType:
    """The diagonal of two axes, as the last axis of the result; ``offset`` counts from the main diagonal along ``axis2``."""
    return x.with_shape(_diagonal_shape(x.shape, offset, axis1, axis2))


@diagonal.vjp
def _(g: Tensor, y: Tensor, x: Tensor, offset: int, axis1: int, axis2: int) -> tuple[Tensor]:
    return (place_diagonal(g, shape=x.shape, offset=offset, axis1=axis1, axis2=axis2),)


@diagonal.vmap
def _(mapped: tuple[bool, ...], x: Tensor, offset: int, axis1: int, axis2: int) -> Tensor:
    return diagonal(x, offset=offset, axis1=axis1 + 1, axis2=axis2 + 1)


@op(
    "place_diagonal($x, $shape, $offset, $axis1, $axis2)",
    helper='''
def place_diagonal(x, shape, offset, axis1, axis2):
    """x as a diagonal of two axes of a tensor of zeros."""
    y = np.zeros(shape, x.dtype)
    i = np.arange(x.shape[-1])
    np.moveaxis(y, (axis1, axis2), (-2, -1))[..., i + max(-offset, 0), i + max(offset, 0)] = x
    return y
''',
    jax_helper='''
def place_diagonal(x, shape, offset, axis1, axis2):
    """x as a diagonal of two axes of a tensor of zeros."""
    i = jnp.arange(x.shape[-1])
    y = jnp.moveaxis(jnp.zeros(shape, x.dtype), (axis1, axis2), (-2, -1))
    return jnp.moveaxis(y.at[..., i + max(-offset, 0), i + max(offset, 0)].set(x), (-2, -1), (axis1, axis2))
''',
    linear=("x",),
    flops=0,
    cases=(case((3,), shape=(3, 3)), case((2,), shape=(2, 4), offset=1), case((2, 3), shape=(4, 2, 3), offset=-1, axis1=0, axis2=2)),
)
def place_diagonal(x: TensorType, *, shape: Target, offset: int = 0, axis1: int = 0, axis2: int = 1) -> TensorType:
    """Zeros of this shape, but for ``x`` on a diagonal: the adjoint of ``diagonal``. The axes are counted from the front."""
    if x.shape != _diagonal_shape(shape, offset, axis1, axis2):
        raise ShapeError(f"{x} is not a diagonal of {shape}", fits=str(_diagonal_shape(shape, offset, axis1, axis2)))
    return x.with_shape(shape)


@place_diagonal.vjp
def _(g: Tensor, y: Tensor, x: Tensor, shape: Shape, offset: int, axis1: int, axis2: int) -> tuple[Tensor]:
    return (diagonal(g, offset=offset, axis1=axis1, axis2=axis2),)


@place_diagonal.vmap
def _(mapped: tuple[bool, ...], x: Tensor, shape: Shape, offset: int, axis1: int, axis2: int) -> Tensor:
    return place_diagonal(x, shape=(x.shape[0], *shape), offset=offset, axis1=axis1 + 1, axis2=axis2 + 1)


def diag(x: Any, k: int = 0) -> Tensor:
    """The diagonal ``k`` of a matrix, or the matrix of zeros with this diagonal."""
    x = as_tensor(x)
    if x.ndim not in (1, 2):
        raise ShapeError("diag: neither a vector nor a matrix", given=[f"x: {describe(x)}"], fits="one or two axes; gc.diagonal for stacks")
    if x.ndim == 2:
        return diagonal(x, offset=k)
    size = x.shape[0] + abs(k)
    return place_diagonal(x, shape=(size, size), offset=k)


_TRIANGLE: dict[str, Any] = {
    "linear": ("x",),
    "flops": 0,
    "cases": (case((3, 3)), case((2, 4), k=1), case((2, 3, 2), k=-1), case((0, 2))),
}


def _refuse_vectors(x: TensorType) -> None:
    if x.ndim < 2:
        raise ShapeError("a triangle is part of a matrix", fits="two axes or more")


@op("xp.tril($x, $k)", **_TRIANGLE)
def tril(x: TensorType, *, k: int = 0) -> TensorType:
    """The lower triangle of the last two axes, up to the diagonal ``k``, and zeros above."""
    _refuse_vectors(x)
    return x


@tril.vjp
def _(g: Tensor, y: Tensor, x: Tensor, k: int) -> tuple[Tensor]:
    return (tril(g, k=k),)


@tril.vmap
def _(mapped: tuple[bool, ...], x: Tensor, k: int) -> Tensor:
    return tril(x, k=k)


@op("xp.triu($x, $k)", **_TRIANGLE)
def triu(x: TensorType, *, k: int = 0) -> TensorType:
    """The upper triangle of the last two axes, from the diagonal ``k`` on, and zeros below."""
    _refuse_vectors(x)
    return x


@triu.vjp
def _(g: Tensor, y: Tensor, x: Tensor, k: int) -> tuple[Tensor]:
    return (triu(g, k=k),)


@triu.vmap
def _(mapped: tuple[bool, ...], x: Tensor, k: int) -> Tensor:
    return triu(x, k=k)


# ---------------------------------------------------------------- several results
@op("$x[$index]", view=True, linear=("x",), flops=0, text="$x[$index]", tex="{$x}_{$index}", group="internal")
def part(x: TensorType, *, index: int) -> TensorType:
    """One of the results of an op that has several."""
    assert isinstance(x, Bundle)
    return x.parts[index]


# ---------------------------------------------------------------- creation
@op("$dtype($size)", flops=0, text="$size", tex="$size", cases=(case(size=3, dtype="float32"),))
def count(*, size: Dim, dtype: DTypeName) -> TensorType:
    """A size as a number: what a mean divides by when the batch has a name."""
    return TensorType(dtype, ())


def number(size: Dim, dtype: str) -> Tensor:
    """A size as a tensor: a constant where it is known, else a :data:`count`."""
    return constant(size, dtype) if isinstance(size, int) else count(size=size, dtype=dtype)


def full(shape: Any, value: Any, dtype: Any = "float32") -> Tensor:
    """One number in every place of a tensor of this shape."""
    scalar = constant(value, dtype)
    shape = sizes.canonical(shape)
    return broadcast_to(scalar, shape=shape) if shape else scalar


def zeros(shape: Any, dtype: Any = "float32") -> Tensor:
    """Zeros of this shape."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any = "float32") -> Tensor:
    """Ones of this shape."""
    return full(shape, 1, dtype)


def zeros_like(x: Any) -> Tensor:
    """Zeros of x's shape and dtype."""
    x = as_tensor(x)
    return full(x.shape, 0, x.dtype)


def ones_like(x: Any) -> Tensor:
    """Ones of x's shape and dtype."""
    x = as_tensor(x)
    return full(x.shape, 1, x.dtype)
