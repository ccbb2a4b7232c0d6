"""Complex numbers: their parts, conjugates and angles.

The gradient of a real number with respect to ``z = x + iy`` is ``dL/dx + i dL/dy``, the direction of steepest ascent, as PyTorch and
TensorFlow have it (JAX gives its conjugate). A partial derivative ``p`` of a complex operand means ``dy = p dz``, and ``dy = Re(p dz)``
where the result is real; the cotangent goes back through its conjugate.
"""

from __future__ import annotations

from graphc.core import Tensor, TensorType, case, dtypes, op, sizes
from graphc.core.errors import DTypeError
from graphc.ops import pointwise as p
from graphc.ops.reduce import sum_to
from graphc.ops.shape import aligned, zeros_like

__all__ = ["angle", "complex", "conj", "imag", "real"]


def _unlike(z: TensorType) -> TensorType:
    return z.with_dtype(dtypes.real(z.dtype))


def _complex(a: Tensor, b: Tensor) -> Tensor:
    return complex(a, b)


def both_parts(z: Tensor) -> list[Tensor]:
    """The real and the imaginary part: what tests may compare."""
    return [real(z), imag(z)]


@op(
    "xp.real($z)",
    view=True,
    linear=("z",),
    flops=0,
    tex=r"\operatorname{Re}($z)",
    cases=(case((2, 3)), case((2,), (2,), through=_complex), case((), (), through=_complex)),
)
def real(z: TensorType) -> TensorType:
    """The real part; a real number itself."""
    return _unlike(z)


@real.vmap
def _(mapped: tuple[bool, ...], z: Tensor) -> Tensor:
    return real(z)


@real.vjp
def _(g: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor]:
    return (p.cast(g, dtype=z.dtype) if g.dtype != z.dtype else g,)


@op(
    "xp.imag($z)",
    view=True,
    linear=("z",),
    flops=0,
    tex=r"\operatorname{Im}($z)",
    cases=(case((2,), (2,), through=_complex), case((), (), through=_complex)),
)
def imag(z: TensorType) -> TensorType:
    """The imaginary part of a complex number. Raises :class:`DTypeError` for a real one, whose imaginary part is 0."""
    if not dtypes.is_complex(z.dtype):
        raise DTypeError(f"{z.dtype} numbers have no imaginary part", fits="complex64 or complex128; gc.zeros_like(x)")
    return _unlike(z)


@imag.vmap
def _(mapped: tuple[bool, ...], z: Tensor) -> Tensor:
    return imag(z)


@imag.vjp
def _(g: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor]:
    return (complex(zeros_like(g), g),)


@op(
    "xp.conj($z)",
    out="np.conjugate($z, out=$out)",
    promote=("z",),
    compute=dtypes.counting,
    domain=((-3.0, 3.0),),
    laws=("involution",),
    tex=r"\overline{$z}",
    cases=(case((2, 3)), case((2,), (2,), through=_complex, seen=both_parts)),
)
def conj(z: TensorType) -> TensorType:
    """The complex conjugate; a real number itself."""
    return z


@conj.vmap
def _(mapped: tuple[bool, ...], z: Tensor) -> Tensor:
    return conj(z)


@conj.vjp
def _(g: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor]:
    return (conj(g) if dtypes.is_complex(g.dtype) else g,)


@op(
    "complex_of($a, $b)",
    jax="jax.lax.complex(*xp.broadcast_arrays($a, $b))",
    promote=("a", "b"),
    compute=dtypes.part,
    flops=0,
    tex=r"($a + i \, $b)",
    text="($a + i $b)",
    helper='''
def complex_of(a, b):
    """a + ib; an infinite b makes no NaN of a, as a + 1j * b would."""
    z = np.empty(np.broadcast_shapes(np.shape(a), np.shape(b)), np.result_type(a, np.complex64))
    z.real, z.imag = a, b
    return z
''',
    cases=(case((2,), (2,), seen=both_parts), case((2, 3), (3,), seen=both_parts), case((), (), seen=both_parts)),
)
def complex(a: TensorType, b: TensorType) -> TensorType:
    """``a + ib`` of two real tensors, which broadcast: complex64 of float32, complex128 of float64."""
    return TensorType(dtypes.complex_of(a.dtype), sizes.broadcast([a.shape, b.shape]))


@complex.vjp
def _(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return sum_to(real(g), a.shape), sum_to(imag(g), b.shape)


@complex.vmap
def _(mapped: tuple[bool, ...], a: Tensor, b: Tensor) -> Tensor:
    return complex(*aligned(mapped, (a, b)))


def _squared(z: Tensor) -> Tensor:
    """The square of the absolute value."""
    return p.square(real(z)) + p.square(imag(z))


def _at_zero(y: Tensor, z: Tensor) -> tuple[Tensor | None]:
    return (p.equal(_squared(z), 0) if dtypes.is_complex(z.dtype) else None,)


@op(
    "xp.angle($z)",
    promote=("z",),
    compute=dtypes.inexact,
    tex=r"\arg($z)",
    text="arg($z)",
    kink_note="0 at 0",
    choice=_at_zero,
    cases=(case((2,), (2,), through=_complex),),
)
def angle(z: TensorType) -> TensorType:
    """The angle of a complex number, in radians, from -pi to pi; of a real one 0 or pi. Its gradient at 0 is 0."""
    return _unlike(z)


@angle.vmap
def _(mapped: tuple[bool, ...], z: Tensor) -> Tensor:
    return angle(z)


@angle.vjp
def _(g: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor]:
    if not dtypes.is_complex(z.dtype):
        return (zeros_like(z),)
    square = _squared(z)
    scale = p.where(p.equal(square, 0), 0, g / square)
    return (complex(-scale * imag(z), scale * real(z)),)
