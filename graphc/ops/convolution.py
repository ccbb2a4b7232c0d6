"""Convolutions in one, two and three dimensions, and what is made of them.

All are one op, :data:`convolution`, whose derivatives are again this op (as with ``lax.conv_general_dilated`` of JAX), so that
derivatives of every order cost what a convolution costs. The functions that users call bring their arguments to its form.
"""

from __future__ import annotations

import operator
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, cast

from graphc.core import Tensor, TensorType, as_tensor, case, describe, dtypes, op, sizes
from graphc.core.attributes import several
from graphc.core.errors import ArgumentError, GraphcError, ShapeError
from graphc.core.sizes import Dim, Shape
from graphc.ops.index import getitem
from graphc.ops.shape import reshape, transpose

__all__ = [
    "conv",
    "conv_transpose",
    "depthwise_conv",
    "separable_conv",
]

Pads: TypeAlias = tuple[tuple[Dim, Dim], ...]
"""What is put before and after each spatial axis; negative numbers crop."""
Format: TypeAlias = Literal["channels_last", "channels_first"]
"""Where the channels are: ``(batch, *spatial, channels)`` or ``(batch, channels, *spatial)``."""
Padding: TypeAlias = Literal["valid", "same"] | int | Sequence[int | tuple[int, int]]
"""``"valid"`` pads nothing, ``"same"`` gives ``ceil(size / stride)`` items; a number an axis, or a pair (before, after)."""


# ---------------------------------------------------------------- windows over spatial axes
def dilated(size: Dim, rate: int) -> Dim:
    """How far ``size`` items reach that are ``rate`` apart."""
    return size if rate == 1 or size == 0 else (size - 1) * rate + 1


def window_count(size: Dim, window: Dim, stride: int) -> Dim:
    """How many windows fit into an axis. Raises :class:`ShapeError` if none does."""
    left = size - window
    if isinstance(left, int):
        if left < 0:
            raise ShapeError(f"a window of {window} does not fit into {size} items", fits="a smaller window, or more padding")
        return left // stride + 1
    exact = sizes.divide(left, stride)
    return sizes.sliced(left + 1, None, None, stride) if exact is None else exact + 1


def an_axis(value: Any, count: int, name: str, least: int = 1) -> tuple[int, ...]:
    """A number for each of ``count`` axes, given one for all of them or a sequence."""
    try:
        numbers = [operator.index(item) for item in several(value)] * (1 if isinstance(value, list | tuple) else count)
    except TypeError:
        numbers = []
    if len(numbers) != count or min(numbers) < least:
        raise ArgumentError(f"{name}={value!r}", fits=f"a number of {least} or more, or {count} of them: one for each spatial axis")
    return tuple(numbers)


def pads(padding: Any, spatial: Shape, windows: Sequence[Dim], strides: Sequence[int]) -> Pads:
    """What ``padding`` asks for, as two numbers an axis; ``windows`` are the reaches of the windows."""
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise ArgumentError(f"padding={padding!r}", fits="'valid', 'same', a number, or a pair of numbers for each spatial axis")
        if padding == "valid":
            return ((0, 0),) * len(spatial)
        return tuple([_same(*axis) for axis in zip(spatial, windows, strides, strict=True)])
    items = several(padding) if isinstance(padding, list | tuple) else [padding] * len(spatial)
    found = [_pair(item) for item in items]
    if len(found) != len(spatial) or None in found:
        raise ArgumentError(f"padding={padding!r}", fits="'valid', 'same', a number, or a pair of numbers for each spatial axis")
    return tuple([pair for pair in found if pair is not None])


def _pair(item: Any) -> tuple[int, int] | None:
    try:
        low, high = [operator.index(number) for number in (several(item) if isinstance(item, list | tuple) else (item, item))]
    except (TypeError, ValueError):
        return None
    return (low, high) if min(low, high) >= 0 else None


def _same(size: Dim, window: Dim, stride: int) -> tuple[Dim, Dim]:
    """TensorFlow's rule: ``ceil(size / stride)`` windows, and the odd item of padding goes behind."""
    if isinstance(size, int) and isinstance(window, int):
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        return total // 2, total - total // 2
    if window == 1:
        return 0, 0
    if not isinstance(window, int) or window < stride:
        raise ShapeError(
            f"'same' padding of {size} items for windows of {window}, {stride} apart, is not one formula",
            fits="a size that is a number, a stride up to the window, or padding in numbers",
        )
    needed = (sizes.sliced(size, None, None, stride) - 1) * stride + window - size
    low = sizes.sliced(needed, 1, None, 2)
    return low, needed - low


def channels_last(x: Tensor, data_format: str) -> Tensor:
    """``x`` with its channels on the last axis."""
    if data_format not in ("channels_last", "channels_first"):
        raise ArgumentError(f"data_format={data_format!r}", fits="'channels_last' or 'channels_first'")
    return x if data_format == "channels_last" else transpose(x, axes=(0, *range(2, x.ndim), 1))


def as_before(y: Tensor, data_format: str) -> Tensor:
    """A result with channels last in the format that was asked for: the inverse of :func:`channels_last`."""
    return y if data_format == "channels_last" else transpose(y, axes=(0, y.ndim - 1, *range(1, y.ndim - 1)))


def spatial_rank(x: Tensor) -> int:
    """How many spatial axes. Raises :class:`ShapeError` unless there are one to three."""
    if x.ndim not in (3, 4, 5):
        raise ShapeError(f"{x.ndim} axes", fits="a batch, one to three spatial axes, and channels")
    return x.ndim - 2


@contextmanager
def explained(call: str, **tensors: Tensor) -> Generator[None]:
    """Errors within say what was asked and given, as those of an op do."""
    try:
        yield
    except GraphcError as error:
        if error.given:
            raise
        given = [f"{name}: {describe(x)}" for name, x in tensors.items()]
        raise type(error)(f"{call}({', '.join(tensors)}): {error.asked}", given=given, fits=error.fits) from None


# ---------------------------------------------------------------- the op
SPREAD = '''
def spread(x, padding, dilation, fill=0):
    """x with ``fill`` between its items and around them, in the order in memory that x has; negative padding crops."""
    if all(p == (0, 0) for p in padding) and all(d == 1 for d in dilation):
        return x
    shape = [(n - 1) * d + 1 + low + high for n, (low, high), d in zip(x.shape[1:-1], padding, dilation)]
    y = np.full_like(x, fill, shape=(x.shape[0], *shape, x.shape[-1]))
    into, out = landing(x.shape[1:-1], [low for low, _ in padding], dilation, shape)
    y[into] = x[out]
    return y


def landing(sizes, starts, steps, totals):
    """Items that land on an axis of ``total``, the first at ``start`` and the others ``step`` apart: where, and which they are."""
    into, out = [slice(None)], [slice(None)]
    for n, start, step, total in zip(sizes, starts, steps, totals):
        first = max(0, -(start // step))
        end = max(first, min(n, -((start - total) // step)))
        into.append(slice(start + first * step, max(0, start + (end - 1) * step + 1), step))
        out.append(slice(first, end))
    return tuple(into), tuple(out)
'''.strip()
"""What the NumPy source of all windows has in common."""


def _flops(node: Tensor) -> Dim:
    return node.size * sizes.product(node.inputs[1].shape[:-1]) * 2


def _jax_source(strides: tuple[int, ...]) -> str:
    space = "".join(map(str, range(len(strides))))
    return (
        "jax.lax.conv_general_dilated($x, $kernel, $strides, $padding, $input_dilation, $kernel_dilation, "
        f"('N{space}C', '{space}IO', 'N{space}C'), feature_group_count=$groups)"
    )


def each_axis(value: Any, count: int) -> tuple[Any, ...]:
    """A number for each of ``count`` axes, as the cases of ops write it in short."""
    return cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,) * count


def _call(
    x: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: Any = 1,
    padding: Any = (0, 0),
    spread: Any = 1,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    n = len(x) - 2
    attributes: dict[str, Any] = {
        "strides": each_axis(strides, n),
        "padding": padding if isinstance(padding[0], tuple) else (padding,) * n,
        "input_dilation": each_axis(spread, n),
        "kernel_dilation": each_axis(dilation, n),
    }
    return case(x, kernel, groups=groups, **attributes)


@op(
    "convolution($x, $kernel, $strides, $padding, $input_dilation, $kernel_dilation, $groups)",
    jax=_jax_source,
    helper=SPREAD
    + '''


def convolution(x, kernel, strides, padding, input_dilation, kernel_dilation, groups):
    """Windows of x beside each other as the rows of a matrix, times the kernel: one product of matrices."""
    dtype, taps = x.dtype, kernel.shape[:-2]
    if dtype.itemsize == 2 and dtype.kind not in "iu":
        x, kernel = x.astype(np.float32), kernel.astype(np.float32)
    inner, outer = kernel.shape[-2], kernel.shape[-1] // groups
    places = tuple([
        ((n - 1) * e + low + high - (k - 1) * d) // s + 1
        for n, e, (low, high), k, d, s in zip(x.shape[1:-1], input_dilation, padding, taps, kernel_dilation, strides)
    ])
    if max(input_dilation) > 1 == max(strides) and np.prod(taps) <= np.prod(places):
        starts = [low for low, _ in padding]
        return by_landing(x, kernel, starts, input_dilation, kernel_dilation, places, groups).astype(dtype, copy=False)
    x = spread(x, padding, input_dilation)
    batch = len(x)
    first, *steps, last = x.strides
    moves, reach = [n * s for n, s in zip(steps, strides)], [n * d for n, d in zip(steps, kernel_dilation)]
    windows = np.lib.stride_tricks.as_strided(
        x, (groups, batch, *places, *taps, inner), (inner * last, first, *moves, *reach, last), writeable=False
    )
    if inner == 1 < groups:
        y = depthwise(windows, kernel, places, taps, outer)
    elif windows.size > 2**23 and windows.size > x.size:
        y = by_taps(windows, kernel, places, taps, outer)
    else:
        y = by_matrix(windows, kernel, places, taps, outer)
    return y.astype(dtype, copy=False)


def by_landing(x, kernel, starts, steps, kernel_dilation, places, groups):
    """Items that are apart, as in the gradient of a convolution with strides: what each tap makes of them is added where it lands."""
    *taps, inner, outputs = kernel.shape
    batch, *space, _ = x.shape
    rows = np.moveaxis(x.reshape(-1, groups, inner), 1, 0)
    y = np.zeros((batch, *places, outputs), x.dtype)
    for tap in np.ndindex(*taps):
        weights = np.moveaxis(kernel[tap].reshape(inner, groups, -1), 1, 0)
        part = rows * weights if inner == 1 else rows @ weights
        into, out = landing(space, [start - t * d for start, t, d in zip(starts, tap, kernel_dilation)], steps, places)
        y[into] += np.moveaxis(part, 0, 1).reshape(batch, *space, outputs)[out]
    return y


def by_matrix(windows, kernel, places, taps, outer):
    """The copy that makes the matrix runs along x's order in memory: the channels come before the batch in a kernel's gradient."""
    groups, batch, inner, n = len(windows), windows.shape[1], windows.shape[-1], len(places)
    rows, columns = batch * np.prod(places, dtype=int), inner * np.prod(taps, dtype=int)
    kernel = kernel.reshape(*taps, inner, groups, outer)
    if windows.strides[1] < windows.strides[-1]:
        order = (0, 2 * n + 2, *range(n + 2, 2 * n + 2), *range(2, n + 2), 1)
        left = np.transpose(windows, order).reshape(groups, columns, rows).swapaxes(1, 2)
        right = np.transpose(kernel, (n + 1, n, *range(n), n + 2)).reshape(groups, columns, outer)
        y = np.matmul(left, right).reshape(groups, *places, batch, outer)
        return np.transpose(y, (n + 1, *range(1, n + 1), 0, n + 2)).reshape(batch, *places, groups * outer)
    left = windows.reshape(groups, rows, columns)
    right = np.moveaxis(kernel.reshape(columns, groups, outer), 1, 0)
    y = left[0] @ right[0] if groups == 1 else np.moveaxis(np.matmul(left, right), 0, 1)
    return y.reshape(batch, *places, groups * outer)


def by_taps(windows, kernel, places, taps, outer):
    """The sum over the taps, or the places where they are fewer: what the matrix would hold does not exist at once."""
    groups, batch, inner, n = len(windows), windows.shape[1], windows.shape[-1], len(places)
    y = np.zeros((batch, *places, groups * outer), windows.dtype)
    one = (1,) * n
    if np.prod(taps) <= np.prod(places):
        for tap in np.ndindex(*taps):
            at = (slice(None),) * (n + 2) + tuple([slice(t, t + 1) for t in tap])
            y += by_matrix(windows[at], kernel[tap], places, one, outer)
    else:
        for place in np.ndindex(*places):
            at = (slice(None),) * 2 + tuple([slice(p, p + 1) for p in place])
            y[(slice(None), *place)] = by_matrix(windows[at], kernel, one, taps, outer).reshape(batch, -1)
    return y


def depthwise(windows, kernel, places, taps, outer):
    """One channel a group leaves no product of matrices: the sum over the taps, element by element."""
    groups, batch, n = len(windows), windows.shape[1], len(places)
    if np.prod(taps) > np.prod(places):
        return by_matrix(windows, kernel, places, taps, outer)
    windows = np.moveaxis(windows, 0, n + 1)
    y = np.zeros((batch, *places, groups, outer), windows.dtype)
    for tap in np.ndindex(*taps):
        y += windows[(..., *tap, slice(None))] * kernel[tap].reshape(groups, outer)
    return y.reshape(batch, *places, groups * outer)
''',
    linear=("x", "kernel"),
    promote=("x", "kernel"),
    compute=dtypes.numeric,
    flops=_flops,
    text="$x ∗ $kernel",
    tex=r"$x \ast $kernel",
    binds=2,
    ulps=32,
    cases=(
        _call((2, 5, 2), (3, 2, 3)),
        _call((1, 7, 1), (2, 1, 2), strides=2, padding=((1, 2),), dilation=2),
        _call((2, 3, 3, 2), (1, 1, 2, 3)),
        _call((1, 4, 5, 2), (2, 3, 2, 2), strides=(2, 1), padding=((1, 1), (0, 2))),
        _call((1, 4, 3, 4), (2, 2, 2, 4), groups=2),
        _call((2, 4, 2), (3, 1, 4), padding=(1, 1), groups=2),
        _call((1, 3, 1), (2, 1, 1), spread=3, padding=((-1, 2),), strides=2),
        _call((1, 2, 3, 2, 1), (2, 2, 1, 1, 2), padding=((0, 1), (0, 0), (1, 0))),
        _call((0, 4, 2), (3, 2, 2)),
        _call((1, 1, 1), (1, 1, 1)),
    ),
)
def convolution(
    x: TensorType,
    kernel: TensorType,
    *,
    strides: tuple[int, ...],
    padding: Pads,
    input_dilation: tuple[int, ...],
    kernel_dilation: tuple[int, ...],
    groups: Dim,
) -> TensorType:
    """Correlation of ``x`` (batch, *spatial, channels) with ``kernel`` (*spatial, channels / groups, outputs), channels last.

    ``y[b, p, o] = sum over t and c of X[b, p * strides + t * kernel_dilation, c] * kernel[t, c, o]``, where ``X`` is ``x`` with
    ``input_dilation - 1`` zeros between its items and ``padding`` around them, which crops where it is negative. The channels and
    the outputs are cut into ``groups``, each of which is a convolution of its own.
    """
    _check_channels(x, kernel, groups)
    places: list[Dim] = []
    for i, (low, high) in enumerate(padding):
        size, taps = x.shape[i + 1], kernel.shape[i]
        if 0 in (size, taps):
            raise ShapeError(f"spatial axis {i} is empty", fits="at least one item")
        places.append(window_count(dilated(size, input_dilation[i]) + low + high, dilated(taps, kernel_dilation[i]), strides[i]))
    return TensorType(x.dtype, (x.shape[0], *places, kernel.shape[-1]))


def _check_channels(x: TensorType, kernel: TensorType, groups: Dim) -> None:
    if kernel.ndim != x.ndim:
        raise ShapeError(
            f"a kernel of {kernel.ndim} axes for {x.ndim - 2} spatial axes", fits=f"{x.ndim} axes: spatial ones, channels, outputs"
        )
    channels, inner, outputs = x.shape[-1], kernel.shape[-2], kernel.shape[-1]
    if inner * groups != channels:
        each = sizes.divide(channels, inner) if inner != 0 and groups == 1 else None
        instead = "" if each is None else f", or groups={each}"
        known = channels if groups == 1 else sizes.divide(channels, groups) or f"channels / {groups}"
        raise ShapeError(f"{channels} channels meet a kernel for {inner * groups}", fits=f"a kernel (*spatial, {known}, outputs){instead}")
    if sizes.divide(outputs, groups) is None:
        raise ShapeError(f"{outputs} outputs are not {groups} equal groups", fits=f"a multiple of {groups}")


@convolution.vjp
def _(
    g: Tensor,
    y: Tensor,
    x: Tensor,
    kernel: Tensor,
    strides: tuple[int, ...],
    padding: Pads,
    input_dilation: tuple[int, ...],
    kernel_dilation: tuple[int, ...],
    groups: Dim,
) -> tuple[Tensor, Tensor]:
    widths = [dilated(n, d) for n, d in zip(x.shape[1:-1], input_dilation, strict=True)]
    reaches = [dilated(n, d) for n, d in zip(kernel.shape[:-2], kernel_dilation, strict=True)]
    spans = [dilated(n, d) for n, d in zip(y.shape[1:-1], strides, strict=True)]
    axes = list(zip(widths, reaches, spans, padding, strict=True))
    to_x = convolution(
        g,
        turned(kernel, groups),
        strides=input_dilation,
        padding=tuple([(reach - 1 - low, width - span + low) for width, reach, span, (low, _) in axes]),
        input_dilation=strides,
        kernel_dilation=kernel_dilation,
        groups=groups,
    )
    n = len(strides)
    to_kernel = convolution(
        _exchanged(x, groups),
        transpose(g, axes=(*range(1, n + 1), 0, n + 1)),
        strides=kernel_dilation,
        padding=tuple([(low, reach + span - 1 - width - low) for width, reach, span, (low, _) in axes]),
        input_dilation=input_dilation,
        kernel_dilation=strides,
        groups=groups,
    )
    return to_x, transpose(to_kernel, axes=(*range(1, n + 1), 0, n + 1))


def turned(kernel: Tensor, groups: Dim = 1) -> Tensor:
    """The kernel with its spatial axes reversed, and channels and outputs of each group exchanged."""
    n = kernel.ndim - 2
    back = getitem(kernel, index=(slice(None, None, -1),) * n)
    if groups == 1:
        return transpose(back, axes=(*range(n), n + 1, n))
    *taps, inner, outputs = kernel.shape
    outer = sizes.divide(outputs, groups)
    assert outer is not None
    parts = transpose(reshape(back, (*taps, inner, groups, outer)), axes=(*range(n), n + 2, n + 1, n))
    return reshape(parts, (*taps, outer, inner * groups))


def _exchanged(x: Tensor, groups: Dim) -> Tensor:
    """Batch and channels of ``x`` exchanged, group by group: (batch, *s, groups * c) becomes (c, *s, groups * batch)."""
    n = x.ndim - 2
    if groups == 1:
        return transpose(x, axes=(n + 1, *range(1, n + 1), 0))
    batch, *space, channels = x.shape
    inner = sizes.divide(channels, groups)
    assert inner is not None
    parts = transpose(reshape(x, (batch, *space, groups, inner)), axes=(n + 2, *range(1, n + 2), 0))
    return reshape(parts, (inner, *space, groups * batch))


@convolution.vmap
def _(
    mapped: tuple[bool, ...],
    x: Tensor,
    kernel: Tensor,
    strides: tuple[int, ...],
    padding: Pads,
    input_dilation: tuple[int, ...],
    kernel_dilation: tuple[int, ...],
    groups: Dim,
) -> Tensor:
    attributes: dict[str, Any] = {
        "strides": strides,
        "padding": padding,
        "input_dilation": input_dilation,
        "kernel_dilation": kernel_dilation,
    }
    n = len(strides)
    if not mapped[1]:
        count, batch, *rest = x.shape
        y = convolution(reshape(x, (count * batch, *rest)), kernel, groups=groups, **attributes)
        return reshape(y, (count, batch, *y.shape[1:]))
    count, *taps, inner, outputs = kernel.shape
    outer = sizes.divide(outputs, groups)
    assert outer is not None
    parts = reshape(kernel, (count, *taps, inner, groups, outer))
    if mapped[0]:  # each of the stack is one more group
        parts = transpose(parts, axes=(*range(1, n + 2), 0, n + 2, n + 3))
        x = transpose(x, axes=(*range(1, n + 2), 0, n + 2))
        x = reshape(x, (*x.shape[:-2], x.shape[-2] * x.shape[-1]))
        y = convolution(x, reshape(parts, (*taps, inner, count * outputs)), groups=count * groups, **attributes)
        return transpose(reshape(y, (*y.shape[:-1], count, outputs)), axes=(n + 1, *range(n + 1), n + 2))
    parts = transpose(parts, axes=(*range(1, n + 3), 0, n + 3))
    y = convolution(x, reshape(parts, (*taps, inner, count * outputs)), groups=groups, **attributes)
    y = transpose(reshape(y, (*y.shape[:-1], groups, count, outer)), axes=(n + 2, *range(n + 2), n + 3))
    return reshape(y, (*y.shape[:-2], outputs))


# ---------------------------------------------------------------- what users call
def conv(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    data_format: Format = "channels_last",
    dilation_rate: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution (correlation, as everywhere in machine learning) over one, two or three spatial axes.

    ``inputs`` is (batch, *spatial, channels), or (batch, channels, *spatial) with ``data_format="channels_first"``; ``kernel`` is
    (*spatial, channels / groups, outputs) in both. Sizes with names work; ``"same"`` with a stride above the kernel's reach needs
    numbers. Raises :class:`ShapeError` where channels, groups or sizes do not fit, :class:`ArgumentError` for an option that is none.
    """
    inputs, kernel = as_tensor(inputs), as_tensor(kernel)
    with explained("conv", inputs=inputs, kernel=kernel):
        attributes = _attributes(channels_last_type(inputs, data_format), kernel.type, strides, padding, dilation_rate, groups)
    return as_before(convolution(channels_last(inputs, data_format), kernel, **attributes), data_format)


def channels_last_type(x: Tensor, data_format: str) -> TensorType:
    """The type of ``x`` with its channels on the last axis. Raises :class:`ShapeError` unless there are one to three spatial axes."""
    spatial_rank(x)
    return channels_last(x, data_format).type


def _attributes(x: TensorType, kernel: TensorType, strides: Any, padding: Any, dilation_rate: Any, groups: Any) -> dict[str, Any]:
    """The attributes of the op for these arguments, tried on the op's type rule."""
    n = x.ndim - 2
    (groups,) = an_axis(groups, 1, "groups")
    _check_channels(x, kernel, groups)
    strides, dilation = an_axis(strides, n, "strides"), an_axis(dilation_rate, n, "dilation_rate")
    reaches = [dilated(size, rate) for size, rate in zip(kernel.shape[:-2], dilation, strict=True)]
    attributes: dict[str, Any] = {
        "strides": strides,
        "padding": pads(padding, x.shape[1:-1], reaches, strides),
        "input_dilation": (1,) * n,
        "kernel_dilation": dilation,
        "groups": groups,
    }
    convolution.rule(x, kernel, **attributes)
    return attributes


def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    data_format: Format = "channels_last",
    dilation_rate: int | Sequence[int] = 1,
) -> Tensor:
    """Each channel convolved by itself: ``kernel`` is (*spatial, channels, multiplier), the outputs channels * multiplier.

    Arguments and errors are those of :func:`conv`; the outputs of one channel are beside each other.
    """
    inputs, kernel = as_tensor(inputs), as_tensor(kernel)
    with explained("depthwise_conv", inputs=inputs, kernel=kernel):
        x = channels_last_type(inputs, data_format)
        spread = _of_groups(x, kernel)
        attributes = _attributes(x, spread.type, strides, padding, dilation_rate, kernel.shape[-2])
    return as_before(convolution(channels_last(inputs, data_format), spread, **attributes), data_format)


def _of_groups(x: TensorType, kernel: Tensor) -> Tensor:
    """(*spatial, channels, multiplier) as a kernel whose groups are the channels."""
    if kernel.ndim != x.ndim or kernel.shape[-2] != x.shape[-1] or not isinstance(x.shape[-1], int):
        raise ShapeError(f"a kernel of shape {kernel.shape} for {x.shape[-1]} channels", fits=f"(*spatial, {x.shape[-1]}, multiplier)")
    return reshape(kernel, (*kernel.shape[:-2], 1, kernel.shape[-2] * kernel.shape[-1]))


def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: Padding = "valid",
    data_format: Format = "channels_last",
    dilation_rate: int | Sequence[int] = 1,
) -> Tensor:
    """:func:`depthwise_conv`, and a :func:`conv` of its outputs by a kernel of one tap, (1, ..., 1, channels * multiplier, outputs)."""
    between = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    pointwise_kernel = as_tensor(pointwise_kernel)
    if any(size != 1 for size in pointwise_kernel.shape[:-2]):
        raise ShapeError(
            "separable_conv(inputs, depthwise_kernel, pointwise_kernel): the pointwise kernel has more than one tap",
            given=[f"pointwise_kernel: {describe(pointwise_kernel)}"],
            fits=f"spatial axes of size 1, {between.shape[-1 if data_format == 'channels_last' else 1]} channels",
        )
    return conv(between, pointwise_kernel, data_format=data_format)


def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: Literal["valid", "same"] = "valid",
    output_padding: int | Sequence[int] | None = None,
    data_format: Format = "channels_last",
    dilation_rate: int | Sequence[int] = 1,
) -> Tensor:
    """The transpose of :func:`conv`: what its gradient does to a cotangent. ``kernel`` is (*spatial, outputs, channels).

    With ``k`` the reach of the kernel, an axis of ``n`` items becomes ``n * strides`` for ``"same"`` and
    ``(n - 1) * strides + max(k, strides)`` for ``"valid"``; with ``output_padding`` it is ``(n - 1) * strides + k % 2 +
    output_padding`` for ``"same"`` and ``(n - 1) * strides + k + output_padding`` for ``"valid"``. These are Keras's rules.
    """
    inputs, kernel = as_tensor(inputs), as_tensor(kernel)
    with explained("conv_transpose", inputs=inputs, kernel=kernel):
        x = channels_last_type(inputs, data_format)
        if kernel.ndim != x.ndim or kernel.shape[-1] != x.shape[-1]:
            raise ShapeError(f"a kernel of shape {kernel.shape} for {x.shape[-1]} channels", fits=f"(*spatial, outputs, {x.shape[-1]})")
        attributes = _transposed(x, kernel.type, strides, padding, output_padding, dilation_rate)
        flipped = turned(kernel)
        convolution.rule(x, flipped.type, **attributes)
    return as_before(convolution(channels_last(inputs, data_format), flipped, **attributes), data_format)


def _transposed(x: TensorType, kernel: TensorType, strides: Any, padding: str, output_padding: Any, dilation_rate: Any) -> dict[str, Any]:
    n = x.ndim - 2
    if padding not in ("valid", "same"):
        raise ArgumentError(f"padding={padding!r}", fits="'valid' or 'same'")
    strides, dilation = an_axis(strides, n, "strides"), an_axis(dilation_rate, n, "dilation_rate")
    extra = (None,) * n if output_padding is None else an_axis(output_padding, n, "output_padding", least=0)
    around: list[tuple[int, int]] = []
    for taps, stride, rate, more in zip(kernel.shape[:-2], strides, dilation, extra, strict=True):
        reach = dilated(taps, rate)
        if not isinstance(reach, int):
            raise ShapeError(f"a kernel with the named size {taps}", fits="a number of taps")
        cut = _cut(reach, stride, padding, more)  # items of the full result, (n - 1) * stride + reach, that are left out
        low = max(cut, 0) // 2
        around.append((reach - 1 - low, reach - 1 - (cut - low)))
    return {"strides": (1,) * n, "padding": tuple(around), "input_dilation": strides, "kernel_dilation": dilation, "groups": 1}


def _cut(reach: int, stride: int, padding: str, extra: int | None) -> int:
    if padding == "valid":
        return min(reach - stride, 0) if extra is None else -extra
    return reach - stride if extra is None else reach - reach % 2 - extra
