"""Windows over spatial axes: pooling, patches, resizing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, Literal

import numpy as np

from graphc.core import Case, Op, Tensor, TensorType, as_tensor, case, constant, dtypes, op, sizes
from graphc.core.attributes import Target
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.sizes import Dim, Shape
from graphc.ops.index import take
from graphc.ops.pointwise import cast, logical_and
from graphc.ops.product import matmul
from graphc.ops.reduce import max as _max
from graphc.ops.reduce import mean
from graphc.ops.shape import ones, reshape, stacked, zeros_like
from graphc.ops.spatial import (
    Format,
    Padding,
    Pads,
    adjoint_pads,
    an_axis,
    as_before,
    channels_last,
    dilated,
    each_axis,
    explained,
    pads,
    spatial_axes,
    window_count,
)
from graphc.ops.window_source import JAX_OVERLAP, JAX_TIES, JAX_WINDOWS, REDUCED, SPREAD, TIES, WINDOWS

__all__ = [
    "average_pool",
    "fold",
    "global_average_pool",
    "global_max_pool",
    "max_pool",
    "resize",
    "unfold",
]

Sizes = tuple[int, ...]
"""A number for each spatial axis."""


# ---------------------------------------------------------------- the ops
def _places(x: TensorType, size: Sizes, strides: Sizes, padding: Pads, dilation: Sizes) -> Shape:
    """How many windows there are along each spatial axis."""
    axes = zip(x.shape[1:-1], size, strides, padding, dilation, strict=True)
    return tuple([window_count(n + low + high, dilated(k, d), s) for n, k, s, (low, high), d in axes])


def _taps(node: Tensor) -> Dim:
    return node.size * sizes.product(node.attributes["size"])


def _added(node: Tensor) -> Dim:
    return node.inputs[0].size


def _call(shape: Sizes, size: Any, strides: Any = 1, padding: Any = (0, 0), dilation: Any = 1, **others: Any) -> Any:
    n = len(shape) - 2
    attributes = {
        "size": each_axis(size, n),
        "strides": each_axis(strides, n),
        "padding": padding if isinstance(padding[0], tuple) else (padding,) * n,
        "dilation": each_axis(dilation, n),
    }
    return case(shape, **attributes, **others)


_CASES = (
    _call((2, 5, 2), 2),
    _call((1, 6, 1), 3, strides=2, padding=(1, 1)),
    _call((1, 5, 2), 2, dilation=3, padding=((1, 2),)),
    _call((1, 3, 4, 2), (2, 3), strides=(1, 2), padding=((0, 1), (1, 0))),
    _call((1, 2, 3, 2, 1), (2, 1, 2)),
    _call((0, 4, 2), 2),
    _call((1, 1, 1), 1),
)


_IMPORT = "from graphc import parallel"


@op(
    "window_sum($x, $size, $strides, $padding, $input_dilation, $dilation)",
    jax="jax.lax.reduce_window($x, xp.zeros((), $x.dtype), jax.lax.add, (1, *$size, 1), (1, *$strides, 1), "
    "((0, 0), *$padding, (0, 0)), (1, *$input_dilation, 1), (1, *$dilation, 1))",
    out="window_sum($x, $size, $strides, $padding, $input_dilation, $dilation, $out)",
    imports=_IMPORT,
    helper=REDUCED
    + '''


def window_sum(x, size, strides, padding, input_dilation, dilation, out=None):
    """The sum of each window; items that are apart are added where they land, without the zeros between them."""
    wide = [(n - 1) * e + 1 for n, e in zip(x.shape[1:-1], input_dilation)]
    y = out if out is not None else np.empty((len(x), *places_of(wide, size, strides, padding, dilation), x.shape[-1]), x.dtype)

    def by_windows(low, high):
        reduced(np.add, spread(x[low:high], padding, input_dilation), size, strides, dilation, y[low:high])

    def by_items(low, high):
        items, total = x[low:high], y[low:high]
        total[...] = 0
        for tap in np.ndindex(*size):
            starts = [before - t * d for (before, _), t, d in zip(padding, tap, dilation)]
            into, taken = landing(x.shape[1:-1], starts, input_dilation, y.shape[1:-1])
            spot = total[into]
            np.add(spot, items[taken], out=spot)

    in_blocks(by_items if product(input_dilation) > 1 == product(strides) else by_windows, x, y)
    return y
''',
    linear=("x",),
    promote=("x",),
    compute=dtypes.numeric,
    flops=_taps,
    ulps=16,
    cases=(
        *[case(*c.shapes, **c.attributes, input_dilation=(1,) * len(c.attributes["size"])) for c in _CASES],
        _call((1, 3, 2), 2, strides=2, padding=((-1, 2),), input_dilation=(3,)),
    ),
)
def window_sum(x: TensorType, *, size: Sizes, strides: Sizes, padding: Pads, input_dilation: Sizes, dilation: Sizes) -> TensorType:
    """The sum of each window of ``x`` (batch, *spatial, channels): a convolution by ones, channel by channel.

    Like that, it is closed under its own adjoint.
    """
    widths = [dilated(n, rate) for n, rate in zip(x.shape[1:-1], input_dilation, strict=True)]
    places = _places(x.with_shape((x.shape[0], *widths, x.shape[-1])), size, strides, padding, dilation)
    return x.with_shape((x.shape[0], *places, x.shape[-1]))


@window_sum.vjp
def _(g: Tensor, y: Tensor, x: Tensor, size: Sizes, strides: Sizes, padding: Pads, input_dilation: Sizes, dilation: Sizes) -> tuple[Tensor]:
    around = adjoint_pads(x, size, y, strides, padding, input_dilation, dilation)
    attributes: dict[str, Any] = {"strides": input_dilation, "padding": around, "input_dilation": strides}
    return (window_sum(g, size=size, dilation=dilation, **attributes),)


@op(
    "windows($x, $size, $strides, $padding, $dilation)",
    helper=SPREAD + "\n\n" + WINDOWS,
    jax_helper=JAX_WINDOWS,
    linear=("x",),
    flops=0,
    cases=_CASES,
)
def windows(x: TensorType, *, size: Sizes, strides: Sizes, padding: Pads, dilation: Sizes) -> TensorType:
    """Each window of ``x`` (batch, *spatial, channels), with zeros as padding: (batch, *places, *size, channels)."""
    return x.with_shape((x.shape[0], *_places(x, size, strides, padding, dilation), *size, x.shape[-1]))


@windows.vjp
def _(g: Tensor, y: Tensor, x: Tensor, size: Sizes, strides: Sizes, padding: Pads, dilation: Sizes) -> tuple[Tensor]:
    return (overlap_add(g, space=x.shape[1:-1], strides=strides, padding=padding, dilation=dilation),)


@op(
    "overlap_add($x, $space, $strides, $padding, $dilation)",
    helper='''
def overlap_add(x, space, strides, padding, dilation):
    """Windows added up where they came from, one axis after the other; what is in the padding is dropped."""
    n = len(space)
    for axis, (total, s, (low, _), d) in enumerate(zip(space, strides, padding, dilation), 1):
        reach, lead = (x.shape[axis] - 1) * s + 1, (slice(None),) * axis
        taps = np.moveaxis(x, n + 1, 0)
        size = max(low + total, (len(taps) - 1) * d + reach)
        y = np.zeros((*x.shape[:axis], size, *taps.shape[axis + 2:]), x.dtype)
        for t, tap in enumerate(taps):
            y[(*lead, slice(t * d, t * d + reach, s))] += tap
        x = y[(*lead, slice(low, low + total))]
    return x
''',
    jax_helper=JAX_OVERLAP,
    linear=("x",),
    promote=("x",),
    compute=dtypes.numeric,
    flops=_added,
    ulps=16,
    cases=(
        case((2, 4, 2, 2), space=(5,), strides=(1,), padding=((0, 0),), dilation=(1,)),
        case((1, 3, 3, 1), space=(6,), strides=(2,), padding=((1, 1),), dilation=(1,)),
        case((1, 5, 2, 2), space=(5,), strides=(1,), padding=((1, 2),), dilation=(3,)),
        case((1, 3, 2, 2, 3, 2), space=(3, 4), strides=(1, 2), padding=((0, 1), (1, 0)), dilation=(1, 1)),
        case((0, 3, 2, 2), space=(4,), strides=(1,), padding=((0, 0),), dilation=(1,)),
    ),
)
def overlap_add(x: TensorType, *, space: Target, strides: Sizes, padding: Pads, dilation: Sizes) -> TensorType:
    """Windows (batch, *places, *size, channels) added up in a tensor (batch, *space, channels): the adjoint of ``windows``."""
    n = len(space)
    whole = x.with_shape((x.shape[0], *space, x.shape[-1]))
    size = tuple([k for k in x.shape[n + 1 : -1] if isinstance(k, int)])  # places that are taken for taps may have names
    if x.ndim != 2 * n + 2 or len(size) != n or _places(whole, size, strides, padding, dilation) != x.shape[1 : n + 1]:
        raise ShapeError(f"{x} are not the windows of {whole}", fits="(batch, *places, *size, channels)")
    return whole


@overlap_add.vjp
def _(g: Tensor, y: Tensor, x: Tensor, space: Shape, strides: Sizes, padding: Pads, dilation: Sizes) -> tuple[Tensor]:
    return (windows(g, size=x.shape[len(space) + 1 : -1], strides=strides, padding=padding, dilation=dilation),)


@op(
    "window_ties($x, $size, $strides, $padding, $dilation)",
    helper=SPREAD
    + "\n\n"
    + WINDOWS
    + '''

def window_ties(x, size, strides, padding, dilation):
    """One over how many items share the largest of a window, at each of them, and 0 elsewhere and in the padding."""
    rows, taps = windows(x, size, strides, padding, dilation, -np.inf), tuple(range(x.ndim - 1, 2 * x.ndim - 3))
    inside = windows(np.ones((1, *x.shape[1:-1], 1), bool), size, strides, padding, dilation)
    tie = (rows == rows.max(taps, keepdims=True)) & inside
    return (tie / np.maximum(tie.sum(taps, keepdims=True), 1)).astype(x.dtype)
''',
    jax_helper=JAX_TIES,
    promote=("x",),
    compute=dtypes.floating,
    flops=5,
    zero_gradient="a choice is flat between its jumps",
    cases=_CASES,
)
def window_ties(x: TensorType, *, size: Sizes, strides: Sizes, padding: Pads, dilation: Sizes) -> TensorType:
    """One over how many items share the largest of a window, at each of them: (batch, *places, *size, channels)."""
    return x.with_shape((x.shape[0], *_places(x, size, strides, padding, dilation), *size, x.shape[-1]))


def _tied(y: Tensor, x: Tensor, size: Sizes, strides: Sizes, padding: Pads, dilation: Sizes) -> tuple[Tensor]:
    """Which items share the largest of one of their windows with others."""
    share = window_ties(x, size=size, strides=strides, padding=padding, dilation=dilation)
    tied = cast(logical_and(share > 0, share < 1), dtype="float32")
    return (overlap_add(tied, space=x.shape[1:-1], strides=strides, padding=padding, dilation=dilation) > 0,)


@op(
    "window_max($x, $size, $strides, $padding, $dilation)",
    out="window_max($x, $size, $strides, $padding, $dilation, $out)",
    imports=_IMPORT,
    helper=REDUCED
    + '''


def window_max(x, size, strides, padding, dilation, out=None):
    """The largest of each window."""
    y = out if out is not None else np.empty((len(x), *places_of(x.shape[1:-1], size, strides, padding, dilation), x.shape[-1]), x.dtype)
    lowest = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf

    def block(low, high):
        reduced(np.maximum, spread(x[low:high], padding, (1,) * len(size), lowest), size, strides, dilation, y[low:high])

    in_blocks(block, x, y)
    return y
''',
    jax_helper='''
def window_max(x, size, strides, padding, dilation):
    """The largest of each window."""
    lowest = -jnp.inf if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.iinfo(x.dtype).min
    edges = ((0, 0), *padding, (0, 0))
    window = {"window_strides": (1, *strides, 1), "padding": edges, "window_dilation": (1, *dilation, 1)}
    return jax.lax.reduce_window(x, jnp.array(lowest, x.dtype), jax.lax.max, (1, *size, 1), **window)
''',
    promote=("x",),
    compute=dtypes.numeric,
    flops=_taps,
    precision="promote",
    kink_note="ties share the gradient evenly",
    choice=_tied,
    cases=_CASES,
)
def window_max(x: TensorType, *, size: Sizes, strides: Sizes, padding: Pads, dilation: Sizes) -> TensorType:
    """The largest item of each window of ``x`` (batch, *spatial, channels), with ``-inf`` as padding.

    NaN if one is NaN. Items that tie share the gradient evenly.
    """
    return x.with_shape((x.shape[0], *_places(x, size, strides, padding, dilation), x.shape[-1]))


@window_max.vjp
def _(g: Tensor, y: Tensor, x: Tensor, size: Sizes, strides: Sizes, padding: Pads, dilation: Sizes) -> tuple[Tensor]:
    return (window_max_gradient(g, x, y, size=size, strides=strides, padding=padding, dilation=dilation),)


def _windowed(of: Case) -> Sizes:
    """The shape of the windows of a case."""
    x = TensorType("float64", of.shapes[0])
    return tuple([n for n in (x.shape[0], *_places(x, **of.attributes), x.shape[-1]) if isinstance(n, int)])


def _with_largest(of: Case, shape: Sizes) -> Case:
    """The case of an op that gets something of this shape, what the windows are of, and the largest of them."""

    def operands(first: Any, x: Any) -> Any:
        return first, x, window_max(x, **of.attributes)

    return case(shape, of.shapes[0], through=operands, **of.attributes)


def _of_gradient(node: Tensor) -> Dim:
    return node.inputs[2].size * sizes.product(node.attributes["size"]) * 2


def _check_largest(x: TensorType, largest: TensorType, size: Sizes, strides: Sizes, padding: Pads, dilation: Sizes) -> None:
    whole = x.with_shape((x.shape[0], *_places(x, size, strides, padding, dilation), x.shape[-1]))
    if largest.shape != whole.shape:
        raise ShapeError(f"{largest} are not the largest of the windows of {x}", fits=f"the shape {whole.shape}")


@op(
    "window_max_gradient($cotangent, $x, $largest, $size, $strides, $padding, $dilation)",
    out="window_max_gradient($cotangent, $x, $largest, $size, $strides, $padding, $dilation, $out)",
    imports=_IMPORT,
    helper=TIES
    + '''


def window_max_gradient(g, x, largest, size, strides, padding, dilation, out=None):
    """Each item of g where the largest of its window is, in equal shares if several are."""
    into = np.empty(x.shape, g.dtype) if out is None else out
    taps = taps_of(x, largest, size, strides, padding, dilation)
    disjoint = all((k - 1) * d < s for k, s, d in zip(size, strides, dilation))
    whole = disjoint and product(size) * product(largest.shape[1:-1]) == product(x.shape[1:-1]) and not np.any(padding)

    def block(low, high):
        target = bits_of(into[low:high])
        ties, count = ties_of(taps, x[low:high], largest[low:high])
        share = g[low:high]
        if count.max(initial=0) > 1:
            share = shared(share, count)
        share, mask = bits_of(share), np.empty(share.shape, target.dtype)
        if not whole:
            target[...] = 0
        for (items, of), tie in zip(taps, ties):
            chosen = np.negative(tie, out=mask[of], dtype=mask.dtype)
            if disjoint:
                np.bitwise_and(share[of], chosen, out=target[items])
            else:
                np.bitwise_and(share[of], chosen, out=chosen)
                spot = into[low:high][items]
                np.add(spot, chosen.view(into.dtype), out=spot)

    in_blocks(block, x, largest)
    return into
''',
    jax_helper=JAX_TIES
    + JAX_OVERLAP
    + '''


def window_max_gradient(g, x, largest, size, strides, padding, dilation):
    """Each item of g where the largest of its window is, in equal shares if several are."""
    share = window_ties(x, size, strides, padding, dilation)
    g = g.reshape(*g.shape[:-1], *[1] * len(size), g.shape[-1])
    return overlap_add(g * share, x.shape[1:-1], strides, padding, dilation)
''',
    linear=("cotangent",),
    promote=("cotangent", "x", "largest"),
    compute=dtypes.floating,
    flops=_of_gradient,
    ulps=16,
    precision="promote",
    cases=tuple([_with_largest(c, _windowed(c)) for c in _CASES]),
)
def window_max_gradient(
    cotangent: TensorType, x: TensorType, largest: TensorType, *, size: Sizes, strides: Sizes, padding: Pads, dilation: Sizes
) -> TensorType:
    """What ``largest``, that of the windows of ``x``, passes on to ``x`` from its cotangent: equal shares to the items that tie."""
    _check_largest(x, largest, size, strides, padding, dilation)
    if cotangent.shape != largest.shape:
        raise ShapeError(f"a cotangent {cotangent} of {largest}", fits=f"the shape {largest.shape}")
    return x


@window_max_gradient.vjp
def _(
    g: Tensor,
    y: Tensor,
    cotangent: Tensor,
    x: Tensor,
    largest: Tensor,
    size: Sizes,
    strides: Sizes,
    padding: Pads,
    dilation: Sizes,
) -> tuple[Tensor, ...]:
    back = window_max_tangent(g, x, largest, size=size, strides=strides, padding=padding, dilation=dilation)
    return back, zeros_like(x), zeros_like(largest)


@op(
    "window_max_tangent($tangent, $x, $largest, $size, $strides, $padding, $dilation)",
    out="window_max_tangent($tangent, $x, $largest, $size, $strides, $padding, $dilation, $out)",
    imports=_IMPORT,
    helper=TIES
    + '''


def window_max_tangent(t, x, largest, size, strides, padding, dilation, out=None):
    """The mean of those items of t that stand where the largest of each window is."""
    y = np.empty(largest.shape, t.dtype) if out is None else out
    taps = taps_of(x, largest, size, strides, padding, dilation)

    def block(low, high):
        ties, count = ties_of(taps, x[low:high], largest[low:high])
        items, total = bits_of(t[low:high]), y[low:high]
        total[...] = 0
        for (there, of), tie in zip(taps, ties):
            chosen = np.negative(tie, dtype=items.dtype)
            spot = total[of]
            np.add(spot, np.bitwise_and(items[there], chosen, out=chosen).view(t.dtype), out=spot)
        if count.max(initial=0) > 1:
            total[...] = shared(total, count)

    in_blocks(block, x, y)
    return y
''',
    jax_helper=JAX_TIES
    + '''

def window_max_tangent(t, x, largest, size, strides, padding, dilation):
    """The mean of those items of t that stand where the largest of each window is."""
    n, share = len(size), window_ties(x, size, strides, padding, dilation)
    return jnp.sum(windows(t, size, strides, padding, dilation) * share, tuple(range(n + 1, 2 * n + 1)))
''',
    linear=("tangent",),
    promote=("tangent", "x", "largest"),
    compute=dtypes.floating,
    flops=_of_gradient,
    ulps=16,
    precision="promote",
    cases=tuple([_with_largest(c, c.shapes[0]) for c in _CASES]),
)
def window_max_tangent(
    tangent: TensorType, x: TensorType, largest: TensorType, *, size: Sizes, strides: Sizes, padding: Pads, dilation: Sizes
) -> TensorType:
    """The tangent of ``largest``, the largest of the windows of ``x``: the mean over the items that tie."""
    _check_largest(x, largest, size, strides, padding, dilation)
    if tangent.shape != x.shape:
        raise ShapeError(f"a tangent {tangent} of {x}", fits=f"the shape {x.shape}")
    return largest


@window_max_tangent.vjp
def _(
    g: Tensor,
    y: Tensor,
    tangent: Tensor,
    x: Tensor,
    largest: Tensor,
    size: Sizes,
    strides: Sizes,
    padding: Pads,
    dilation: Sizes,
) -> tuple[Tensor, ...]:
    back = window_max_gradient(g, x, largest, size=size, strides=strides, padding=padding, dilation=dilation)
    return back, zeros_like(x), zeros_like(largest)


# ---------------------------------------------------------------- on stacks of what they take
def _in_one_batch(f: Op, mapped: tuple[bool, ...], *operands: Tensor, **attributes: Any) -> Tensor:
    """The batches of a stack are one batch of them all."""
    whole = stacked(mapped, operands)
    y = f(*[reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:])) for x in whole], **attributes)
    return reshape(y, (*whole[0].shape[:2], *y.shape[1:]))


for _f in (window_sum, windows, overlap_add, window_ties, window_max, window_max_gradient, window_max_tangent):
    _f.batch = partial(_in_one_batch, _f)


# ---------------------------------------------------------------- what users call
def _asked(x: TensorType, size: Any, strides: Any, padding: Any, dilation_rate: Any, name: str) -> dict[str, Any]:
    """The attributes of the ops for these arguments, tried on their type rule."""
    n, space = x.ndim - 2, x.shape[1:-1]
    size = an_axis(size, n, name)
    strides = size if strides is None else an_axis(strides, n, "strides")
    dilation = an_axis(dilation_rate, n, "dilation_rate")
    reaches = [dilated(k, d) for k, d in zip(size, dilation, strict=True)]
    around = pads(padding, space, reaches, strides)
    attributes: dict[str, Any] = {"size": size, "strides": strides, "padding": around, "dilation": dilation}
    _places(x, **attributes)
    return attributes


def _pooled(x: TensorType, pool_size: Any, strides: Any, padding: Any, dilation_rate: Any) -> dict[str, Any]:
    """The attributes of a pool. Raises :class:`ShapeError` where a window has nothing but padding: it has no maximum and no mean."""
    attributes = _asked(x, pool_size, strides, padding, dilation_rate, "pool_size")
    for i, (n, places) in enumerate(zip(x.shape[1:-1], _places(x, **attributes), strict=True)):
        k, s, (low, high), d = [attributes[name][i] for name in ("size", "strides", "padding", "dilation")]
        if not (isinstance(n, int) and isinstance(places, int)):
            continue  # a formula of a name tells nothing
        if any(_misses(p * s - low, k, d, n) for p in _at_the_ends(places, s, low, d <= n) if low or high):
            raise ShapeError(f"a window along spatial axis {i} lies in the padding alone", fits="padding below the window's size")
    return attributes


def _at_the_ends(places: int, stride: int, low: int, close: bool) -> Iterable[int]:
    """Of the places of a window those that may lie in the padding alone: the last, and the first, since the further in the nearer.

    Where the taps are farther apart than the axis is long (not ``close``), they may step over it, and each place that begins in the
    padding counts.
    """
    if not places:
        return ()
    return (0, places - 1) if close else itertools.chain((places - 1,), range(min(places, -(-low // stride))))


def _misses(start: int, taps: int, dilation: int, size: int) -> bool:
    """Whether no tap of a window that begins at ``start`` is on an axis of this size."""
    first = max(0, -(start // dilation)) if start < 0 else 0
    return first >= taps or not 0 <= start + first * dilation < size


def max_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "valid",
    data_format: Format = "channels_last",
    dilation_rate: int | Sequence[int] = 1,
) -> Tensor:
    """The largest item of each window over one, two or three spatial axes; the windows are ``pool_size`` apart by default.

    Padding is ``-inf``, so that it is never the largest. Items that tie share the gradient evenly. NaN if one is NaN. Raises
    :class:`ShapeError` where a window does not fit or has nothing but padding, :class:`ArgumentError` for an option that is none.
    """
    inputs = as_tensor(inputs)
    with explained("max_pool", inputs=inputs):
        x = channels_last(inputs, data_format)
        attributes = _pooled(x.type, pool_size, strides, padding, dilation_rate)
    return as_before(window_max(x, **attributes), data_format)


def average_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "valid",
    data_format: Format = "channels_last",
    dilation_rate: int | Sequence[int] = 1,
    count_padding: bool = False,
) -> Tensor:
    """The mean of each window over one, two or three spatial axes; the windows are ``pool_size`` apart by default.

    A window that reaches over the border is divided by the items that it has, or by ``pool_size`` with ``count_padding``.
    Integers are averaged as float64. Raises as :func:`max_pool` does.
    """
    inputs = as_tensor(inputs)
    with explained("average_pool", inputs=inputs):
        attributes = _pooled(channels_last(inputs, data_format).type, pool_size, strides, padding, dilation_rate)
        dtype = dtypes.averaging(dtypes.numeric(inputs.dtype))
    attributes["input_dilation"] = (1,) * (inputs.ndim - 2)
    wide = dtype if dtypes.itemsize(dtype) > 2 else "float32"  # a sum may overflow what its mean does not
    x = channels_last(inputs if inputs.dtype == wide else cast(inputs, dtype=wide), data_format)
    total = window_sum(x, **attributes)
    if count_padding or not any(n for pair in attributes["padding"] for n in pair):
        mean = total / float(math.prod(attributes["size"]))
    else:
        mean = total / window_sum(ones((1, *x.shape[1:-1], 1), wide), **attributes)
    return as_before(mean if wide == dtype else cast(mean, dtype=dtype), data_format)


def global_average_pool(inputs: Any, data_format: Format = "channels_last", keepdims: bool = False) -> Tensor:
    """The mean over all spatial axes: (batch, channels), or with axes of size 1 for them."""
    inputs = as_tensor(inputs)
    with explained("global_average_pool", inputs=inputs):
        axes = spatial_axes(inputs, data_format)
    return mean(inputs, axis=axes, keepdims=keepdims)


def global_max_pool(inputs: Any, data_format: Format = "channels_last", keepdims: bool = False) -> Tensor:
    """The largest over all spatial axes: (batch, channels), or with axes of size 1 for them."""
    inputs = as_tensor(inputs)
    with explained("global_max_pool", inputs=inputs):
        axes = spatial_axes(inputs, data_format)
    return _max(inputs, axis=axes, keepdims=keepdims)


def unfold(
    images: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: Padding = "valid",
    data_format: Format = "channels_last",
) -> Tensor:
    """The patches of ``images``, each as one row: (batch, *places, patch), in which the channels are innermost.

    With ``data_format="channels_first"`` the patches take the place of the channels. They are ``size`` apart by default. Raises
    :class:`ShapeError` where a patch does not fit, :class:`ArgumentError` for an option that is none.
    """
    images = as_tensor(images)
    with explained("unfold", images=images):
        x = channels_last(images, data_format)
        attributes = _asked(x.type, size, strides, padding, dilation_rate, "size")
    patches = windows(x, **attributes)
    n = images.ndim - 2
    return as_before(reshape(patches, (*patches.shape[: n + 1], sizes.product(patches.shape[n + 1 :]))), data_format)


def fold(
    patches: Any,
    image_size: Sequence[int],
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: Padding = "valid",
    data_format: Format = "channels_last",
) -> Tensor:
    """Patches added up where :func:`unfold` took them from, in images of ``image_size``: its adjoint.

    Raises :class:`ShapeError` for what is not the patches of such images, :class:`ArgumentError` for an option that is none.
    """
    patches = as_tensor(patches)
    with explained("fold", patches=patches):
        rows = channels_last(patches, data_format)
        n = patches.ndim - 2
        space = sizes.canonical(image_size)
        channels = sizes.divide(rows.shape[-1], math.prod(an_axis(size, n, "size")))
        if channels is None or len(space) != n:
            raise ShapeError(
                f"rows of {rows.shape[-1]} are not patches of size {size} of images of {image_size}",
                fits="image_size and size for each spatial axis; rows of a patch's size times the channels",
            )
        attributes = _asked(rows.type.with_shape((rows.shape[0], *space, channels)), size, strides, padding, dilation_rate, "size")
        each = reshape(rows, (*rows.shape[:-1], *attributes.pop("size"), channels))
        overlap_add.rule(each.type, space=space, **attributes)
    return as_before(overlap_add(each, space=space, **attributes), data_format)


# ---------------------------------------------------------------- resizing
def _linear(distance: Any) -> Any:
    return np.maximum(1 - distance, 0)


def _cubic(t: Any) -> Any:
    """Keys, "Cubic convolution interpolation for digital image processing" (1981), with a = -1/2."""
    near, far = (1.5 * t - 2.5) * t * t + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


_KERNELS: dict[str, Callable[[Any], Any]] = {"bilinear": _linear, "bicubic": _cubic}


def resize(
    images: Any,
    size: int | Sequence[int],
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear",
    data_format: Format = "channels_last",
) -> Tensor:
    """Images, or signals and volumes, with other spatial sizes: each item is interpolated at the place of its centre.

    No low-pass filter is applied before items are left out. Linear in ``images``; integers are interpolated as float64, and stay
    what they are for ``"nearest"``. Raises :class:`ShapeError` unless the spatial sizes are numbers, :class:`ArgumentError` for an option
    that is none.
    """
    images = as_tensor(images)
    with explained("resize", images=images):
        axes = spatial_axes(images, data_format)
        targets = an_axis(size, len(axes), "size")
        if interpolation != "nearest" and interpolation not in _KERNELS:
            raise ArgumentError(f"interpolation={interpolation!r}", fits=", ".join(["'nearest'", *map(repr, _KERNELS)]))
        for axis in axes:
            if not isinstance(images.shape[axis], int) or images.shape[axis] == 0:
                raise ShapeError(f"axis {axis} has size {images.shape[axis]}", fits="a number of at least 1")
    y = images
    if interpolation != "nearest":
        dtype = dtypes.averaging(images.dtype)
        y = images if images.dtype == dtype else cast(images, dtype=dtype)
    for axis, target in zip(axes, targets, strict=True):
        y = _resized(y, axis, target, interpolation)
    return y


_WEIGHTS: Final = 1 << 26
"""The largest matrix that an axis is resized by: 256 MB, far above that of any picture."""


def _resized(x: Tensor, axis: int, target: int, interpolation: str) -> Tensor:
    size = x.shape[axis]
    assert isinstance(size, int)
    if size == target:
        return x
    if interpolation == "nearest":
        return take(x, constant((2 * np.arange(target) + 1) * size // (2 * target), "int64"), axis=axis)
    if target * size > _WEIGHTS:
        raise ShapeError(f"{size} to {target} by {interpolation} takes a matrix of {target * size} weights", fits=f"{_WEIGHTS}; 'nearest'")
    centres = (np.arange(target) + 0.5) * (size / target) - 0.5
    weights = _KERNELS[interpolation](np.abs(centres[:, None] - np.arange(size)))
    weights = weights / weights.sum(axis=1, keepdims=True)
    rows = reshape(x, (sizes.product(x.shape[:axis]), size, sizes.product(x.shape[axis + 1 :])))
    return reshape(matmul(constant(weights, x.dtype), rows), (*x.shape[:axis], target, *x.shape[axis + 1 :]))
