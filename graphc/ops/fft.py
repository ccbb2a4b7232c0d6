"""Discrete Fourier transforms, with NumPy's names, arguments and normalisations.

The adjoint of a transform is its inverse with the other normalisation, so that every derivative is a transform again. A real
transform keeps half of the frequencies; its adjoint weighs those that stand for two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from graphc.core import Tensor, TensorType, as_tensor, case, dtypes, op, sizes
from graphc.core.attributes import Axes, Axis, axes_of, axis_of
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.sizes import Dim
from graphc.ops import pointwise as p
from graphc.ops.complex_numbers import both_parts, complex, real
from graphc.ops.creation import arange
from graphc.ops.shape import after, concatenate, narrow, number, reshape, roll, zeros

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

Norm = Literal["backward", "ortho", "forward"]
_OTHER: dict[str, Norm] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
_LAST_TWO = (-2, -1)


def _normalisation(value: Any, types: tuple[TensorType, ...]) -> Norm:
    if value is None:
        return "backward"
    if value not in _OTHER:
        raise ArgumentError(f"norm={value!r}", fits="'backward' (the inverse divides by n), 'forward', or 'ortho' (both by its root)")
    return value


Normalisation = Annotated[str, _normalisation]


def _flops(signal: Tensor, axes: Sequence[int]) -> Dim:
    """Five n log n (Cooley and Tukey, 1965), with the logarithm of a thousand where n is a name."""
    sides = [signal.shape[axis] for axis in axes]
    return signal.size * 5 * sum([(n - 1).bit_length() if isinstance(n, int) else 10 for n in sides])


def _complex_flops(node: Tensor) -> Dim:
    return _flops(node.inputs[0], node.attributes["axes"])


def _real_flops(node: Tensor) -> Dim:
    """Half of what a complex signal costs."""
    signal = node.inputs[0] if dtypes.is_complex(node.dtype) else node
    return sizes.sliced(_flops(signal, [node.attributes["axis"]]), None, None, 2)


def _emit(inverse: bool) -> str:
    return f"xp.fft.{'i' if inverse else ''}fftn($z, axes=$axes, norm=$norm)"


@op(
    _emit,
    name="fft",
    linear=("z",),
    promote=("z",),
    compute=dtypes.complex_of,
    flops=_complex_flops,
    ulps=16,
    text="fft($z)",
    tex=r"\mathcal{F}($z)",
    cases=(
        case((4,), (4,), through=complex, seen=both_parts, axes=(0,), inverse=False, norm="backward"),
        case((2, 3), (2, 3), through=complex, seen=both_parts, axes=(0, 1), inverse=True, norm="ortho"),
        case((2, 3), (2, 3), through=complex, seen=both_parts, axes=(0,), inverse=True, norm="forward"),
        case((2, 1), (2, 1), through=complex, seen=both_parts, axes=(1,), inverse=True, norm="backward"),
    ),
)
def transform(z: TensorType, *, axes: Axes, inverse: bool, norm: Normalisation) -> TensorType:
    """The discrete Fourier transform over axes, or its inverse: ``sum_j z_j exp(-2 pi i j k / n)``."""
    for axis in axes:
        if z.shape[axis] == 0:
            raise ShapeError(f"axis {axis} is empty", fits="at least one item")
    return z


@transform.vjp
def _(g: Tensor, y: Tensor, z: Tensor, axes: tuple[int, ...], inverse: bool, norm: Norm) -> tuple[Tensor]:
    return (transform(g, axes=axes, inverse=not inverse, norm=_OTHER[norm]),)


@transform.vmap
def _(mapped: tuple[bool, ...], z: Tensor, axes: tuple[int, ...], inverse: bool, norm: Norm) -> Tensor:
    return transform(z, axes=after(axes), inverse=inverse, norm=norm)


def _half(n: Dim) -> Dim:
    """How many frequencies of a real signal of n items are kept: ``n // 2 + 1``."""
    return sizes.sliced(n + 1, None, None, 2)


@op(
    "xp.fft.rfft($x, axis=$axis, norm=$norm)",
    name="rfft",
    linear=("x",),
    promote=("x",),
    compute=dtypes.part,
    flops=_real_flops,
    ulps=16,
    text="rfft($x)",
    tex=r"\mathcal{F}($x)",
    cases=(
        case((4,), seen=both_parts, axis=0, norm="backward"),
        case((2, 5), seen=both_parts, axis=1, norm="ortho"),
        case((3, 2), seen=both_parts, axis=0, norm="forward"),
        case((1,), seen=both_parts, axis=0, norm="backward"),
    ),
)
def real_transform(x: TensorType, *, axis: Axis, norm: Normalisation) -> TensorType:
    """The first half of the transform of a real tensor along one axis; the rest are the conjugates."""
    if x.shape[axis] == 0:
        raise ShapeError(f"axis {axis} is empty", fits="at least one item")
    shape = (*x.shape[:axis], _half(x.shape[axis]), *x.shape[axis + 1 :])
    return TensorType(dtypes.complex_of(x.dtype), shape)


@real_transform.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: int, norm: Norm) -> tuple[Tensor]:
    n = x.shape[axis]
    return (real_inverse(g * _weights(g, axis, n, 0.5), axis=axis, n=n, norm=_OTHER[norm]),)


@real_transform.vmap
def _(mapped: tuple[bool, ...], x: Tensor, axis: int, norm: Norm) -> Tensor:
    return real_transform(x, axis=axis + 1, norm=norm)


@op(
    "xp.fft.irfft($z, $n, axis=$axis, norm=$norm)",
    name="irfft",
    linear=("z",),
    promote=("z",),
    compute=dtypes.complex_of,
    flops=_real_flops,
    ulps=16,
    text="irfft($z)",
    tex=r"\mathcal{F}^{-1}($z)",
    cases=(
        case((3,), (3,), through=complex, axis=0, n=4, norm="backward"),
        case((2, 3), (2, 3), through=complex, axis=1, n=5, norm="ortho"),
        case((2, 3), (2, 3), through=complex, axis=0, n=2, norm="forward"),
        case((1,), (1,), through=complex, axis=0, n=1, norm="backward"),
    ),
)
def real_inverse(z: TensorType, *, axis: Axis, n: Dim, norm: Normalisation) -> TensorType:
    """The real tensor of ``n`` items along one axis whose transform begins with ``z``."""
    if z.shape[axis] != _half(n):
        raise ShapeError(f"{z.shape[axis]} frequencies are not those of {n} items", fits=f"{_half(n)} frequencies")
    return TensorType(dtypes.real(z.dtype), (*z.shape[:axis], n, *z.shape[axis + 1 :]))


@real_inverse.vjp
def _(g: Tensor, y: Tensor, z: Tensor, axis: int, n: Dim, norm: Norm) -> tuple[Tensor]:
    back = real_transform(g, axis=axis, norm=_OTHER[norm])
    return (back * _weights(back, axis, n, 2.0),)


@real_inverse.vmap
def _(mapped: tuple[bool, ...], z: Tensor, axis: int, n: Dim, norm: Norm) -> Tensor:
    return real_inverse(z, axis=axis + 1, n=n, norm=norm)


def _weights(z: Tensor, axis: int, n: Dim, middle: float) -> Tensor:
    """1 for the frequencies that are their own conjugates (0, and n/2 if n is even), ``middle`` for those that stand for two."""
    k = arange(z.shape[axis], dtype="int64")
    alone = p.logical_or(p.equal(k, 0), p.equal(2 * k, number(n, "int64")))
    weights = p.where(alone, p.as_like(1.0, real(z)), p.as_like(middle, real(z)))
    return reshape(weights, (*[1] * axis, z.shape[axis], *[1] * (z.ndim - axis - 1)))


# ---------------------------------------------------------------- NumPy's functions
def _resized(x: Tensor, n: Dim, axis: int) -> Tensor:
    """The first n items of an axis, and zeros after them where it has fewer."""
    own = x.shape[axis]
    if own == n:
        return x
    if not isinstance(own, int) or not isinstance(n, int):
        raise ShapeError(f"fft: {own} items cannot be brought to {n}", given=[f"x: {x.type}"], fits="n=None where a size is a name")
    if n < 1:
        raise ArgumentError(f"fft: n={n}", fits="1 or more")
    if n < own:
        return narrow(x, axis=axis, start=0, length=n)
    return concatenate([x, zeros((*x.shape[:axis], n - own, *x.shape[axis + 1 :]), x.dtype)], axis=axis)


def _over(x: Any, s: Sequence[int] | None, axes: Sequence[int] | None) -> tuple[Tensor, list[int], list[Dim]]:
    """The tensor, its axes, and how many items each is to have."""
    x = as_tensor(x)
    if axes is None:
        axes = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    places = list(axes_of(tuple(axes), x.ndim))
    if not places:
        raise ArgumentError("fft: there is no axis to transform", fits="at least one axis")
    lengths: list[Dim] = [x.shape[axis] for axis in places] if s is None else list(s)
    if len(lengths) != len(places):
        raise ArgumentError(f"fft: s has {len(lengths)} numbers for {len(places)} axes", fits="one each")
    return x, places, lengths


def fftn(x: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Tensor:
    """The transform over several axes (all by default), as ``numpy.fft.fftn``: complex64 of float32, complex128 of float64."""
    return _both(x, s, axes, False, norm)


def ifftn(x: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Tensor:
    """The inverse of :func:`fftn`."""
    return _both(x, s, axes, True, norm)


def _both(x: Any, s: Sequence[int] | None, axes: Sequence[int] | None, inverse: bool, norm: str | None) -> Tensor:
    z, places, lengths = _over(x, s, axes)
    for axis, n in zip(places, lengths, strict=True):
        z = _resized(z, n, axis)
    return transform(z, axes=tuple(places), inverse=inverse, norm=norm)


def fft2(x: Any, s: Sequence[int] | None = None, axes: Sequence[int] = _LAST_TWO, norm: str | None = None) -> Tensor:
    """The transform over two axes, the last ones by default, as ``numpy.fft.fft2``."""
    return fftn(x, s, axes, norm)


def ifft2(x: Any, s: Sequence[int] | None = None, axes: Sequence[int] = _LAST_TWO, norm: str | None = None) -> Tensor:
    """The inverse of :func:`fft2`."""
    return ifftn(x, s, axes, norm)


def fft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Tensor:
    """The transform along one axis, cut or filled with zeros to ``n`` items, as ``numpy.fft.fft``."""
    return fftn(x, None if n is None else (n,), (axis,), norm)


def ifft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of :func:`fft`."""
    return ifftn(x, None if n is None else (n,), (axis,), norm)


def rfft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Tensor:
    """The first ``n // 2 + 1`` frequencies of a real tensor along one axis, as ``numpy.fft.rfft``."""
    return rfftn(x, None if n is None else (n,), (axis,), norm)


def irfft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of :func:`rfft`: ``n`` real items along one axis, ``2 (m - 1)`` of m frequencies by default."""
    return irfftn(x, None if n is None else (n,), (axis,), norm)


def rfftn(x: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Tensor:
    """The transform of a real tensor over several axes, half of it along the last, as ``numpy.fft.rfftn``."""
    z, places, lengths = _over(x, s, axes)
    for axis, n in zip(places, lengths, strict=True):
        z = _resized(z, n, axis)
    half = real_transform(z, axis=places[-1], norm=norm)
    return transform(half, axes=tuple(places[:-1]), inverse=False, norm=norm) if len(places) > 1 else half


def irfftn(x: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Tensor:
    """The inverse of :func:`rfftn`."""
    z, places, lengths = _over(x, s, axes)
    if s is None:
        lengths[-1] = (lengths[-1] - 1) * 2
    for axis, n in zip(places[:-1], lengths[:-1], strict=True):
        z = _resized(z, n, axis)
    z = _resized(z, _half(lengths[-1]), places[-1])
    if len(places) > 1:
        z = transform(z, axes=tuple(places[:-1]), inverse=True, norm=norm)
    return real_inverse(z, axis=places[-1], n=lengths[-1], norm=norm)


def rfft2(x: Any, s: Sequence[int] | None = None, axes: Sequence[int] = _LAST_TWO, norm: str | None = None) -> Tensor:
    """The transform of a real tensor over two axes, as ``numpy.fft.rfft2``."""
    return rfftn(x, s, axes, norm)


def irfft2(x: Any, s: Sequence[int] | None = None, axes: Sequence[int] = _LAST_TWO, norm: str | None = None) -> Tensor:
    """The inverse of :func:`rfft2`."""
    return irfftn(x, s, axes, norm)


def fftfreq(n: int, d: float = 1.0, dtype: Any = "float32") -> Tensor:
    """The frequencies of :func:`fft` of ``n`` items that are ``d`` apart: 0, 1, ... then the negative ones, over ``n d``."""
    k = arange(n, dtype="int64")
    return p.cast(p.where(k < (n + 1) // 2, k, k - n), dtype=dtype) / (n * d)


def rfftfreq(n: int, d: float = 1.0, dtype: Any = "float32") -> Tensor:
    """The frequencies of :func:`rfft` of ``n`` items that are ``d`` apart."""
    return p.cast(arange(n // 2 + 1, dtype="int64"), dtype=dtype) / (n * d)


def _shifted(x: Any, axes: int | Sequence[int] | None, way: int) -> Tensor:
    x = as_tensor(x)
    places = range(x.ndim) if axes is None else [axis_of(axis, x.ndim) for axis in ([axes] if isinstance(axes, int) else axes)]
    for axis in places:
        size = x.shape[axis]
        if not isinstance(size, int):
            raise ShapeError("fftshift: half of a named size is not known", given=[f"x: {x.type}"], fits="axes of known size")
        x = roll(x, size // 2 if way > 0 else -(size // 2), axis)
    return x


def fftshift(x: Any, axes: int | Sequence[int] | None = None) -> Tensor:
    """Frequency 0 brought to the middle of the axes (all by default), as ``numpy.fft.fftshift``."""
    return _shifted(x, axes, 1)


def ifftshift(x: Any, axes: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of :func:`fftshift`."""
    return _shifted(x, axes, -1)
