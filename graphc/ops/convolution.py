"""Convolutions in one, two and three dimensions, and what is made of them.

All are one op, :data:`convolution`, whose gradient for ``x`` is this op again (as with ``lax.conv_general_dilated`` of JAX), and that
for the kernel one whose own gradients are convolutions. So derivatives of every order cost what a convolution costs. The functions
that users call bring their arguments to the op's form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from graphc.core import Case, Tensor, TensorType, as_tensor, case, describe, dtypes, op, sizes
from graphc.core.attributes import Target
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.sizes import Dim, Shape
from graphc.ops.index import getitem
from graphc.ops.shape import reshape, transpose
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
    window_count,
)
from graphc.ops.window_source import COLUMNS, LANDING

__all__ = [
    "conv",
    "conv_transpose",
    "depthwise_conv",
    "separable_conv",
]


# ---------------------------------------------------------------- the op
def _flops(node: Tensor) -> Dim:
    return node.size * sizes.product(node.inputs[1].shape[:-1]) * 2


def _jax_source(strides: tuple[int, ...]) -> str:
    space = "".join(map(str, range(len(strides))))
    return (
        "jax.lax.conv_general_dilated($x, $kernel, $strides, $padding, $input_dilation, $kernel_dilation, "
        f"('N{space}C', '{space}IO', 'N{space}C'), feature_group_count=$groups)"
    )


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


_CASES: tuple[Case, ...] = (
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
)


def _scratch(node: Tensor) -> Dim:
    """A block of windows as the rows of a matrix, and the kernel, or its gradient, in another order."""
    kernel = node.inputs[1] if node.op is convolution else node
    return kernel.type.nbytes * 2 + (1 << 19)


@op(
    "convolution($x, $kernel, $strides, $padding, $input_dilation, $kernel_dilation, $groups)",
    jax=_jax_source,
    out="convolution($x, $kernel, $strides, $padding, $input_dilation, $kernel_dilation, $groups, $out)",
    helper=COLUMNS
    + "\n\n\n"
    + LANDING
    + '''


def convolution(x, kernel, strides, padding, input_dilation, kernel_dilation, groups, out=None):
    """The windows of x times the kernel, or the items of x times the taps, added where they land: what takes less time.

    The costs beside the multiplications are measured: of copying an item into a window, and of adding it where it lands.
    """
    *taps, inner, outputs = kernel.shape
    places = tuple([
        ((n - 1) * e + low + high - (k - 1) * d) // s + 1
        for n, e, (low, high), k, d, s in zip(x.shape[1:-1], input_dilation, padding, taps, kernel_dilation, strides)
    ])
    y = np.empty((len(x), *places, outputs), x.dtype) if out is None else out
    if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
        x, kernel = x.astype(np.float32), kernel.astype(np.float32)
        y[...] = convolution(x, kernel, strides, padding, input_dilation, kernel_dilation, groups)
        return y
    outer = outputs // groups
    by_windows = product(places) * inner * (outer + (60 if inner == 1 < groups else 6))
    by_items = product(x.shape[1:-1]) * outer * (inner + (60 if inner == 1 else 28))
    if product(strides) == 1 and by_items < by_windows:
        by_landing(x, kernel, [low for low, _ in padding], input_dilation, kernel_dilation, groups, y)
        return y
    if inner == 1 < groups:
        by_channel(spread(x, padding, input_dilation), kernel, strides, kernel_dilation, y)
        return y
    weights = np.moveaxis(kernel.reshape(-1, groups, outer), 1, 0)
    for part, matrix in columns(x, taps, places, strides, padding, input_dilation, kernel_dilation, groups):
        if groups == 1:
            np.matmul(matrix[0], weights[0], out=y[part].reshape(-1, outer))
        else:
            np.matmul(matrix, weights, out=np.moveaxis(y[part].reshape(-1, groups, outer), 1, 0))
    return y


def by_channel(x, kernel, strides, dilation, y):
    """One channel a group leaves no product of matrices: the sum over the taps, element by element."""
    *taps, _, outputs = kernel.shape
    shape = (*y.shape[1:-1], x.shape[-1], outputs // x.shape[-1])
    for some in parts(y.shape[:1], 2**15 // max(1, product(y.shape[1:]))):
        images = x[some]
        total = y[some].reshape(len(images), *shape)
        for tap in np.ndindex(*taps):
            at = [slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, shape, strides)]
            share = images[(slice(None), *at)][..., None] * kernel[tap].reshape(shape[-2:])
            np.add(total, share, out=total) if any(tap) else np.copyto(total, share)
''',
    scratch=_scratch,
    linear=("x", "kernel"),
    promote=("x", "kernel"),
    compute=dtypes.numeric,
    flops=_flops,
    text="$x ∗ $kernel",
    tex=r"$x \ast $kernel",
    binds=2,
    ulps=32,
    precision="low",
    cases=_CASES,
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
    n = len(strides)
    attributes: dict[str, Any] = {"kernel_dilation": kernel_dilation, "groups": groups}
    around = adjoint_pads(x, kernel.shape[:n], y, strides, padding, input_dilation, kernel_dilation)
    swapped: dict[str, Any] = attributes | {"strides": input_dilation, "padding": around, "input_dilation": strides}
    to_x = convolution(g, turned(kernel, groups), **swapped)
    if all(stride == 1 for stride in strides) and any(rate > 1 for rate in input_dilation):  # the items are fewer than the places
        return to_x, turned(convolution_kernel_gradient(g, x, taps=kernel.shape[:n], **swapped), groups)
    attributes |= {"strides": strides, "padding": padding, "input_dilation": input_dilation}
    return to_x, convolution_kernel_gradient(x, g, taps=kernel.shape[:n], **attributes)


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


# ---------------------------------------------------------------- its gradient with respect to the kernel
def _of_kernel(of: Case) -> Case:
    """The case of the gradient for the kernel of a case of a convolution."""
    x, kernel = of.shapes
    y: Any = convolution.rule(TensorType("float64", x), TensorType("float64", kernel), **of.attributes)
    return case(x, y.shape, taps=kernel[:-2], **of.attributes)


def _kernel_flops(node: Tensor) -> Dim:
    return node.inputs[1].size * sizes.product(node.shape[:-1]) * 2


@op(
    "convolution_kernel_gradient($x, $cotangent, $taps, $strides, $padding, $input_dilation, $kernel_dilation, $groups)",
    out="convolution_kernel_gradient($x, $cotangent, $taps, $strides, $padding, $input_dilation, $kernel_dilation, $groups, $out)",
    helper=COLUMNS
    + '''


def convolution_kernel_gradient(x, g, taps, strides, padding, input_dilation, kernel_dilation, groups, out=None):
    """The windows of x, transposed, times g: block by block, added up."""
    inner, places, outputs = x.shape[-1] // groups, g.shape[1:-1], g.shape[-1]
    y = np.empty((*taps, inner, outputs), x.dtype) if out is None else out
    if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
        x, g = x.astype(np.float32), g.astype(np.float32)
        y[...] = convolution_kernel_gradient(x, g, taps, strides, padding, input_dilation, kernel_dilation, groups)
        return y
    total = np.zeros((groups, inner * product(taps), outputs // groups), x.dtype)
    if inner == 1 < groups:
        x = spread(x, padding, input_dilation)
        by_channel_gradient(x, g, taps, strides, kernel_dilation, total)
    else:
        for part, matrix in columns(x, taps, places, strides, padding, input_dilation, kernel_dilation, groups):
            right = np.moveaxis(g[part].reshape(-1, groups, outputs // groups), 1, 0)
            total += (matrix[0].T @ right[0]) if groups == 1 else np.matmul(matrix.swapaxes(1, 2), right)
    y[...] = np.moveaxis(total, 0, 1).reshape(y.shape)
    return y


def by_channel_gradient(x, g, taps, strides, dilation, total):
    """One channel a group: products element by element, and their sum over all places."""
    groups, count, outer = total.shape
    for some in parts(g.shape[:1], 2**15 // max(1, product(g.shape[1:]))):
        images = x[some]
        right = g[some].reshape(len(images), *g.shape[1:-1], groups, outer)
        one = np.ones(product(right.shape[:-2]), x.dtype)
        for number, tap in enumerate(np.ndindex(*taps)):
            at = [slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, right.shape[1:], strides)]
            share = images[(slice(None), *at)][..., None] * right
            total[:, number] += (one @ share.reshape(len(one), groups * outer)).reshape(groups, outer)
''',
    jax_helper='''
def convolution_kernel_gradient(x, g, taps, strides, padding, input_dilation, kernel_dilation, groups):
    """The transpose of the convolution in its kernel, as XLA has it.

    Operands are laid out so that it is a convolution of channels last, taps first: any other is 20 times as slow in a loop on a processor
    (jax-ml/jax#12868).
    """
    def convolved(kernel):
        space = "".join(map(str, range(len(taps))))
        layout = (f"C{space}N", f"I{space}O", f"{space}NC")
        return jax.lax.conv_general_dilated(
            jnp.swapaxes(x, 0, -1), kernel, strides, padding, input_dilation, kernel_dilation, layout, feature_group_count=groups
        )

    kernel = jax.ShapeDtypeStruct((x.shape[-1] // groups, *taps, g.shape[-1]), x.dtype)
    return jnp.moveaxis(jax.linear_transpose(convolved, kernel)(jnp.moveaxis(g, 0, -2))[0], 0, -2)
''',
    scratch=_scratch,
    linear=("x", "cotangent"),
    promote=("x", "cotangent"),
    compute=dtypes.numeric,
    flops=_kernel_flops,
    ulps=32,
    precision="low",
    text="$x ⋆ $cotangent",
    tex=r"$x \star $cotangent",
    binds=2,
    cases=tuple([_of_kernel(c) for c in _CASES]),
)
def convolution_kernel_gradient(
    x: TensorType,
    cotangent: TensorType,
    *,
    taps: Target,
    strides: tuple[int, ...],
    padding: Pads,
    input_dilation: tuple[int, ...],
    kernel_dilation: tuple[int, ...],
    groups: Dim,
) -> TensorType:
    """What a convolution of ``x`` by a kernel (*taps, channels / groups, outputs) passes on to the kernel from the ``cotangent``.

    ``y[t, c, o] = sum over b and p of X[b, p * strides + t * kernel_dilation, c] * cotangent[b, p, o]``, with ``X`` as in ``convolution``;
    the groups are those of the convolution.
    """
    inner = sizes.divide(x.shape[-1], groups)
    if inner is None:
        raise ShapeError(f"{x.shape[-1]} channels are not {groups} equal groups", fits=f"a multiple of {groups}")
    kernel = TensorType(x.dtype, (*taps, inner, cotangent.shape[-1]))
    attributes: dict[str, Any] = {"input_dilation": input_dilation, "kernel_dilation": kernel_dilation, "groups": groups}
    y = convolution.rule(x, kernel, strides=strides, padding=padding, **attributes)
    assert isinstance(y, TensorType)
    if y.shape != cotangent.shape:
        raise ShapeError(f"a cotangent {cotangent} of a convolution that gives {y}", fits=f"the shape {y.shape}")
    return kernel


@convolution_kernel_gradient.vjp
def _(
    g: Tensor,
    y: Tensor,
    x: Tensor,
    cotangent: Tensor,
    taps: Shape,
    strides: tuple[int, ...],
    padding: Pads,
    input_dilation: tuple[int, ...],
    kernel_dilation: tuple[int, ...],
    groups: Dim,
) -> tuple[Tensor, Tensor]:
    around = adjoint_pads(x, taps, cotangent, strides, padding, input_dilation, kernel_dilation)
    attributes: dict[str, Any] = {"kernel_dilation": kernel_dilation, "groups": groups}
    to_x = convolution(cotangent, turned(g, groups), strides=input_dilation, padding=around, input_dilation=strides, **attributes)
    return to_x, convolution(x, g, strides=strides, padding=padding, input_dilation=input_dilation, **attributes)


@convolution_kernel_gradient.vmap
def _(
    mapped: tuple[bool, ...],
    x: Tensor,
    cotangent: Tensor,
    taps: Shape,
    strides: tuple[int, ...],
    padding: Pads,
    input_dilation: tuple[int, ...],
    kernel_dilation: tuple[int, ...],
    groups: Dim,
) -> Tensor:
    attributes: dict[str, Any] = {
        "taps": taps,
        "strides": strides,
        "padding": padding,
        "input_dilation": input_dilation,
        "kernel_dilation": kernel_dilation,
    }
    n = len(taps)
    count = (x if mapped[0] else cotangent).shape[0]
    inner, outer = sizes.divide(x.shape[-1], groups), sizes.divide(cotangent.shape[-1], groups)
    assert inner is not None
    assert outer is not None
    if all(mapped):  # each of the stack is one more group
        y = convolution_kernel_gradient(_beside(x, 1), _beside(cotangent, 1), groups=count * groups, **attributes)
        return transpose(reshape(y, (*taps, inner, count, groups * outer)), axes=(n + 1, *range(n + 1), n + 2))
    if mapped[0]:
        y = convolution_kernel_gradient(_beside(x, groups), cotangent, groups=groups, **attributes)
        return transpose(reshape(y, (*taps, count, inner, groups * outer)), axes=(n, *range(n), n + 1, n + 2))
    y = convolution_kernel_gradient(x, _beside(cotangent, groups), groups=groups, **attributes)
    y = transpose(reshape(y, (*taps, inner, groups, count, outer)), axes=(n + 2, *range(n + 2), n + 3))
    return reshape(y, (count, *taps, inner, groups * outer))


def _beside(x: Tensor, groups: Dim) -> Tensor:
    """A stack of tensors with their channels beside each other, in each group."""
    count, *shape, channels = x.shape
    inner = sizes.divide(channels, groups)
    assert inner is not None
    n = len(shape)
    parts = transpose(reshape(x, (count, *shape, groups, inner)), axes=(*range(1, n + 2), 0, n + 2))
    return reshape(parts, (*shape, count * channels))


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
        x = channels_last(inputs, data_format)
        attributes = _attributes(x.type, kernel.type, strides, padding, dilation_rate, groups)
    return as_before(convolution(x, kernel, **attributes), data_format)


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
        x = channels_last(inputs, data_format)
        spread = _of_groups(x.type, kernel)
        attributes = _attributes(x.type, spread.type, strides, padding, dilation_rate, kernel.shape[-2])
    return as_before(convolution(x, spread, **attributes), data_format)


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
    """:func:`depthwise_conv`, and a :func:`conv` of its outputs by a kernel of one tap, (1, ..., 1, channels * multiplier, outputs).

    Arguments and errors are those of these two; a pointwise kernel of more taps raises :class:`ShapeError`.
    """
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
        x = channels_last(inputs, data_format)
        if kernel.ndim != x.ndim or kernel.shape[-1] != x.shape[-1]:
            raise ShapeError(f"a kernel of shape {kernel.shape} for {x.shape[-1]} channels", fits=f"(*spatial, outputs, {x.shape[-1]})")
        attributes = _transposed(x.type, kernel.type, strides, padding, output_padding, dilation_rate)
        flipped = turned(kernel)
        convolution.rule(x.type, flipped.type, **attributes)
    return as_before(convolution(x, flipped, **attributes), data_format)


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
