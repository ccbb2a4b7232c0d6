"""Order: sorting, the largest k, searching.

NaN counts as larger than every number, -0.0 equals 0.0, and elements that are equal keep their order. So an ascending order ends
with NaN and a descending one begins with it.
"""

from __future__ import annotations

from graphc.core import Tensor, TensorType, case, dtypes, op
from graphc.core.attributes import Axis
from graphc.core.errors import ArgumentError, DTypeError, ShapeError
from graphc.core.sizes import Dim
from graphc.ops.index import add_along_axis, take_along_axis

__all__ = [
    "argsort",
    "searchsorted",
    "sort",
    "top_k",
]

_CASES = (
    case((4,)),
    case((2, 3), axis=0),
    case((2, 3, 2), axis=1, descending=True),
    case((3,), descending=True),
    case((2, 0)),
    case((1, 3), axis=0),
)
_ASSUMED = 1024
"""The length that an axis with a name counts for in the cost of sorting it."""


def _comparisons(node: Tensor) -> Dim:
    """``n log2(n)`` for each row."""
    x = node.inputs[0]
    axis: int = node.attributes.get("axis", -1)
    return x.size * _halvings(x.shape[axis])


def _halvings(length: Dim) -> int:
    return (length if isinstance(length, int) else _ASSUMED).bit_length()


def _search_flops(node: Tensor) -> Dim:
    return node.size * _halvings(node.inputs[0].shape[0])


def _require_order(x: TensorType) -> None:
    if dtypes.is_complex(x.dtype):
        raise DTypeError(f"{x.dtype} numbers have no order", fits="a real dtype; gc.abs(x) or gc.real(x)")
    if not x.ndim:
        raise ShapeError("a number has nothing to be put in order", fits="at least one axis")


def _jax_sort(descending: bool) -> str:
    return "xp.flip(xp.sort(xp.flip($x, $axis), axis=$axis), $axis)" if descending else "xp.sort($x, axis=$axis)"


@op(
    "sort($x, $axis, $descending)",
    jax=_jax_sort,
    helper='''
def sort(x, axis, descending):
    """x in order along an axis. NumPy cannot order bfloat16 with NaN in it, and float32 holds every one of them."""
    x = x.astype(np.float32) if x.dtype.kind == "V" else x
    if descending:
        return np.flip(np.sort(np.flip(x, axis), axis=axis, stable=True), axis)
    return np.sort(x, axis=axis, stable=True)
''',
    flops=_comparisons,
    precision="promote",
    cases=_CASES,
)
def sort(x: TensorType, *, axis: Axis = -1, descending: bool = False) -> TensorType:
    """The elements in order along one axis (the last by default). NaN counts as the largest, and equal elements keep their order.

    The gradient of each element goes back to where it came from.
    """
    _require_order(x)
    return x


@sort.vjp
def _(g: Tensor, y: Tensor, x: Tensor, axis: int, descending: bool) -> tuple[Tensor]:
    return (add_along_axis(g, argsort(x, axis=axis, descending=descending), axis=axis, length=x.shape[axis]),)


@sort.vmap
def _(mapped: tuple[bool, ...], x: Tensor, axis: int, descending: bool) -> Tensor:
    return sort(x, axis=axis + 1, descending=descending)


def _jax_argsort(descending: bool) -> str:
    if descending:
        return "($x.shape[$axis] - 1 - xp.flip(xp.argsort(xp.flip($x, $axis), axis=$axis, stable=True), $axis)).astype(xp.int64)"
    return "xp.argsort($x, axis=$axis, stable=True).astype(xp.int64)"


@op(
    "argsort($x, $axis, $descending)",
    jax=_jax_argsort,
    helper='''
def argsort(x, axis, descending):
    """Indices that bring x into order along an axis. NumPy cannot order bfloat16 with NaN in it; float32 holds every one."""
    x = x.astype(np.float32) if x.dtype.kind == "V" else x
    if descending:
        return x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, stable=True), axis)
    return np.argsort(x, axis=axis, stable=True)
''',
    flops=_comparisons,
    cases=_CASES,
    zero_gradient="an index jumps, and is flat between its jumps",
)
def argsort(x: TensorType, *, axis: Axis = -1, descending: bool = False) -> TensorType:
    """Indices, int64, that bring the elements into order along one axis, as ``sort`` has it: the first of equal ones first."""
    _require_order(x)
    return x.with_dtype("int64")


@argsort.vmap
def _(mapped: tuple[bool, ...], x: Tensor, axis: int, descending: bool) -> Tensor:
    return argsort(x, axis=axis + 1, descending=descending)


@op(
    None,
    jax="top_k($x, $k)",
    jax_helper='''
def top_k(x, k):
    """The k largest of each row and where they are. XLA's order tells -0.0 from 0.0 and one NaN from another; this one does not."""
    plain = jnp.where(x == 0, jnp.zeros_like(x), x)
    if jnp.issubdtype(x.dtype, jnp.floating):
        plain = jnp.where(jnp.isnan(x), jnp.full_like(x, jnp.nan), plain)
    places = jax.lax.top_k(plain, k)[1].astype(jnp.int64)
    return jnp.take_along_axis(x, places, axis=-1), places
''',
    flops=_comparisons,
    precision="promote",
    cases=(case((4,), k=2), case((2, 3), k=1), case((2, 3), k=3), case((2, 3), k=0)),
)
def top_k(x: TensorType, *, k: int) -> tuple[TensorType, TensorType]:
    """The ``k`` largest elements of each row, in descending order, and their indices, int64; of equal ones the first.

    NaN counts as the largest. The gradient of each value goes back to where it came from.
    """
    _require_order(x)
    last = x.shape[-1]
    if k < 0 or (isinstance(last, int) and k > last):
        raise ArgumentError(f"there are no {k} largest elements in a row of {x}", fits=f"0 to {last}")
    found = x.with_shape((*x.shape[:-1], k))
    return found, found.with_dtype("int64")


@top_k.decompose
def _(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    places = argsort(x, axis=-1, descending=True)[..., :k]
    return take_along_axis(x, places, axis=-1), places


@top_k.vjp
def _(g: tuple[Tensor, Tensor], y: tuple[Tensor, Tensor], x: Tensor, k: int) -> tuple[Tensor]:
    return (add_along_axis(g[0], y[1], axis=-1, length=x.shape[-1]),)


def _with_order(a: Tensor, v: Tensor) -> list[Tensor]:
    return [sort(a), v]


@op(
    "xp.searchsorted($a, $v, side=$side)",
    jax="xp.searchsorted($a, $v, side=$side).astype(xp.int64)",
    promote=("a", "v"),
    compute=lambda dtype: "float32" if dtype == "bfloat16" else dtype,  # NumPy compares no bfloat16 here
    flops=_search_flops,
    cases=(
        case((4,), (3,), through=_with_order),
        case((4,), (2, 2), side="right", through=_with_order),
        case((3,), (), through=_with_order),
        case((0,), (2,)),
    ),
    zero_gradient="an index jumps, and is flat between its jumps",
)
def searchsorted(a: TensorType, v: TensorType, *, side: str = "left") -> TensorType:
    """Where each of ``v`` goes into the sorted vector ``a`` so that it stays sorted, int64: before its equals, or after (``"right"``)."""
    if a.ndim != 1:
        raise ShapeError(f"{a} is not a sorted vector", fits="one axis")
    if side not in ("left", "right"):
        raise ArgumentError(f"side={side!r}", fits="'left' or 'right'")
    return TensorType("int64", v.shape)
