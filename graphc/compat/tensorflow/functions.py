"""TensorFlow's functions of tensors, each made of graphc's.

On values they compute at once; in the ``call`` of a layer they build its graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import graphc as gc
from graphc.compat.tensorflow.dtypes import TensorShape, name_of, shape_of
from graphc.compat.tensorflow.eager import function, is_symbolic, node_of
from graphc.compat.tensorflow.tensor import OPERATIONS, Reference, Tensor, convert, tensor_of
from graphc.core import Tensor as Node
from graphc.core import as_tensor, dtypes
from graphc.core.errors import ArgumentError, DTypeError
from graphc.core.sizes import Size

Axis = int | Sequence[int] | None


# ---------------------------------------------------------------- values
def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor with this value, which is copied, and broadcast to ``shape`` if it is given.

    Arrays keep their dtype; Python's floats are float32 and its whole numbers int32, unless ``dtype`` says otherwise.
    """
    if isinstance(value, Tensor):
        return convert(value, dtype)
    tensor = convert(value, like=None if dtype is None else name_of(dtype))
    if shape is None:
        return tensor
    wanted = shape_of(shape)
    array = tensor.array
    return tensor_of(np.array(array.reshape(wanted) if array.size == np.prod(wanted) else np.broadcast_to(array, wanted)))


def convert_to_tensor(value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None) -> Any:
    """The value as a tensor; a tensor as it is. Raises :class:`DTypeError` for a tensor of another dtype."""
    if is_symbolic([value]):
        return node_of(value)
    hint = dtype if dtype is not None else dtype_hint
    return convert(convert(value, like=None if hint is None else name_of(hint)), dtype)


def is_tensor(x: Any) -> bool:
    """Whether this is a tensor or a variable."""
    return isinstance(x, Tensor | Reference | Node)


def _has_names(shape: Any) -> bool:
    return isinstance(shape, Size | str) or (isinstance(shape, list | tuple) and any(isinstance(size, Size | str) for size in shape))  # pyright: ignore[reportUnknownVariableType]


def zeros(shape: Any, dtype: Any = "float32", name: str | None = None) -> Any:
    """Zeros."""
    return fill(shape, np.zeros((), dtypes.numpy_dtype(name_of(dtype))))


def ones(shape: Any, dtype: Any = "float32", name: str | None = None) -> Any:
    """Ones."""
    return fill(shape, np.ones((), dtypes.numpy_dtype(name_of(dtype))))


def fill(dims: Any, value: Any, name: str | None = None) -> Any:
    """One number in every place of a tensor of this shape."""
    one = convert(value)
    if _has_names(dims):  # the shape of a tensor in the call of a layer
        return gc.full(dims, one.array[()], one.type.dtype)
    return tensor_of(np.full(shape_of(dims), one.array))


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str | None = None) -> Tensor:
    """The numbers from ``start`` (0 if there is one bound alone) by ``delta`` up to ``limit``, which is not among them."""
    start, limit = (0, start) if limit is None else (start, limit)
    parts: list[Any] = [np.asarray(x)[()] for x in (start, limit, delta)]
    fraction = any(np.asarray(part).dtype.kind == "f" for part in parts)
    name_or_default = ("float32" if fraction else "int32") if dtype is None else name_of(dtype)
    return tensor_of(np.asarray(np.arange(*parts), dtypes.numpy_dtype(name_or_default)))


def linspace(start: Any, stop: Any, num: Any, name: str | None = None, axis: int = 0) -> Tensor:
    """``num`` numbers at equal distances from ``start`` to ``stop``, which is the last one."""
    low, high = convert(start), convert(stop)
    dtype = low.type.dtype if dtypes.is_float(low.type.dtype) else "float32"
    return tensor_of(np.linspace(low.array, high.array, int(num), axis=axis, dtype=dtypes.numpy_dtype(dtype)))


def eye(num_rows: int, num_columns: int | None = None, batch_shape: Any = None, dtype: Any = "float32", name: str | None = None) -> Tensor:
    """A matrix with ones on the diagonal and zeros elsewhere, or a stack of them."""
    one = np.eye(int(num_rows), None if num_columns is None else int(num_columns), dtype=dtypes.numpy_dtype(name_of(dtype)))
    return tensor_of(np.array(np.broadcast_to(one, (*shape_of(() if batch_shape is None else batch_shape), *one.shape))))


def _like(x: Any, dtype: Any, value: int) -> Any:
    if is_symbolic([x]):
        return gc.full_like(node_of(x), value, None if dtype is None else name_of(dtype))
    array = convert(x).array
    return tensor_of(np.full_like(array, value, array.dtype if dtype is None else dtypes.numpy_dtype(name_of(dtype))))


def zeros_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros of a tensor's shape and dtype."""
    return _like(input, dtype, 0)


def ones_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones of a tensor's shape and dtype."""
    return _like(input, dtype, 1)


def shape(input: Any, out_type: Any = "int32", name: str | None = None) -> Any:
    """The sizes of the axes as a tensor; in the call of a layer, where they may have names, as a tuple."""
    if is_symbolic([input]):
        return TensorShape(input.shape)
    return tensor_of(np.array(convert(input).array.shape, dtypes.numpy_dtype(name_of(out_type))))


def size(input: Any, out_type: Any = "int32", name: str | None = None) -> Tensor:
    """The number of elements."""
    return tensor_of(np.array(convert(input).array.size, dtypes.numpy_dtype(name_of(out_type))))


def rank(input: Any, name: str | None = None) -> Tensor:
    """The number of axes."""
    return tensor_of(np.array(input.ndim if isinstance(input, Node) else convert(input).ndim, np.int32))


# ---------------------------------------------------------------- element by element
def _unary(operation: Callable[..., Any], floats: bool = False) -> Callable[..., Any]:
    def body(x: Any) -> Any:
        return operation(x)

    return _described(body, operation, function("x", floats=floats))


def _binary(operation: Callable[..., Any]) -> Callable[..., Any]:
    def body(x: Any, y: Any) -> Any:
        return operation(x, y)

    return _described(body, operation, function("x", "y"))


def _described(body: Callable[..., Any], operation: Any, declare: Callable[..., Any]) -> Callable[..., Any]:
    body.__name__ = getattr(operation, "name", None) or operation.__name__
    body.__qualname__, body.__doc__ = body.__name__, operation.__doc__
    return declare(body)


add, subtract, multiply = _binary(gc.add), _binary(gc.subtract), _binary(gc.multiply)
floordiv, floormod = _binary(gc.floor_divide), _binary(gc.mod)
maximum, minimum = _binary(gc.maximum), _binary(gc.minimum)
equal, not_equal = _binary(gc.equal), _binary(gc.not_equal)
less, less_equal, greater, greater_equal = _binary(gc.less), _binary(gc.less_equal), _binary(gc.greater), _binary(gc.greater_equal)
logical_and, logical_or, logical_xor = _binary(gc.logical_and), _binary(gc.logical_or), _binary(gc.logical_xor)
atan2 = _binary(gc.atan2)

negative, abs, sign, square = _unary(gc.negative), _unary(gc.abs), _unary(gc.sign), _unary(gc.square)
logical_not, reciprocal = _unary(gc.logical_not), _unary(gc.reciprocal, floats=True)
floor, ceil, round = _unary(gc.floor), _unary(gc.ceil), _unary(gc.round)
sqrt, rsqrt, exp, expm1 = [_unary(f, floats=True) for f in (gc.sqrt, gc.rsqrt, gc.exp, gc.expm1)]
log, log1p, sigmoid, softplus = [_unary(f, floats=True) for f in (gc.log, gc.log1p, gc.sigmoid, gc.softplus)]
sin, cos, tan, asin, acos, atan = [_unary(f, floats=True) for f in (gc.sin, gc.cos, gc.tan, gc.asin, gc.acos, gc.atan)]
sinh, cosh, tanh, asinh, acosh, atanh = [_unary(f, floats=True) for f in (gc.sinh, gc.cosh, gc.tanh, gc.asinh, gc.acosh, gc.atanh)]
erf, lgamma, digamma = [_unary(f, floats=True) for f in (gc.erf, gc.lgamma, gc.digamma)]
is_nan, is_inf, is_finite = _unary(gc.isnan), _unary(gc.isinf), _unary(gc.isfinite)
stop_gradient = _unary(gc.stop_gradient)


@function("x", "y")
def divide(x: Any, y: Any) -> Any:
    """``x / y``; of whole numbers in float64."""
    return gc.divide(x, y)


@function("x", "y")
def _power(x: Any, y: Any) -> Any:
    return gc.power(x, y)


@function("x")
def _power_of(x: Any, exponent: Any) -> Any:
    return gc.power(x, exponent)


def pow(x: Any, y: Any, name: str | None = None) -> Any:
    """``x`` to the power ``y``. A Python number as exponent is part of the graph, so that ``x**2`` is known to be a square."""
    number = isinstance(y, int | float) and not isinstance(y, bool)
    if number and (isinstance(y, int) or not dtypes.is_integer(_dtype_of(x))):
        return _power_of(x, exponent=y)
    return _power(x, y)


def _dtype_of(x: Any) -> str:
    return name_of(x.dtype) if isinstance(x, Tensor | Reference | Node) else convert(x).type.dtype


@function("input")
def identity(input: Any) -> Any:
    """The same values."""
    return gc.reshape(input, shape=input.shape)


def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """The values in another dtype; fractions are cut off where it has none."""
    return _cast(x, dtype=name_of(dtype))


@function("x")
def _cast(x: Any, dtype: str) -> Any:
    return gc.cast(x, dtype=dtype)


@function("t", "clip_value_min", "clip_value_max")
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any) -> Any:
    """The values brought into an interval."""
    return gc.clip(t, clip_value_min, clip_value_max)


@function("condition", "x", "y", apart=("condition",))
def _choice(condition: Any, x: Any, y: Any) -> Any:
    return gc.where(condition, x, y)


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """``x`` where the condition is true, else ``y``; without these the indices where it is true, a row each."""
    if (x is None) != (y is None):
        raise ArgumentError("where(condition, x, y): one of x and y is missing", fits="both, or neither")
    if x is None:
        return tensor_of(np.argwhere(convert(condition).array).astype(np.int64))
    return _choice(condition, x, y)


def add_n(inputs: Sequence[Any], name: str | None = None) -> Any:
    """The sum of tensors of one shape."""
    first, *others = inputs
    total = convert_to_tensor(first)
    for x in others:
        total = add(total, x)
    return total


# ---------------------------------------------------------------- reductions
def _same(x: Any, result: Any) -> Any:
    """The result in the operand's dtype, which TensorFlow keeps where NumPy widens."""
    return result if result.dtype == x.dtype else gc.cast(result, dtype=x.dtype)


@function("input_tensor")
def reduce_sum(input_tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Sum over ``axis``, in the tensor's dtype."""
    return _same(input_tensor, gc.sum(input_tensor, axis=axis, keepdims=keepdims))


@function("input_tensor")
def reduce_prod(input_tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Product over ``axis``, in the tensor's dtype."""
    return _same(input_tensor, gc.prod(input_tensor, axis=axis, keepdims=keepdims))


@function("input_tensor")
def reduce_mean(input_tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Mean over ``axis``; of whole numbers without its fraction."""
    return _same(input_tensor, gc.mean(input_tensor, axis=axis, keepdims=keepdims))


@function("input_tensor")
def reduce_max(input_tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Largest element over ``axis``."""
    return gc.max(input_tensor, axis=axis, keepdims=keepdims)


@function("input_tensor")
def reduce_min(input_tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Smallest element over ``axis``."""
    return gc.min(input_tensor, axis=axis, keepdims=keepdims)


@function("input_tensor")
def reduce_any(input_tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether one element over ``axis`` is true."""
    return gc.any(_truth("reduce_any", input_tensor), axis=axis, keepdims=keepdims)


@function("input_tensor")
def reduce_all(input_tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether every element over ``axis`` is true."""
    return gc.all(_truth("reduce_all", input_tensor), axis=axis, keepdims=keepdims)


def _truth(name: str, x: Any) -> Any:
    if x.dtype != "bool":
        raise DTypeError(f"tf.{name} of {x.dtype}", fits="truth values: x > 0, tf.cast(x, tf.bool)")
    return x


@function("input_tensor", floats=True)
def reduce_variance(input_tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Mean square distance from the mean over ``axis``."""
    return gc.var(input_tensor, axis=axis, keepdims=keepdims)


@function("input_tensor", floats=True)
def reduce_std(input_tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Square root of the variance over ``axis``."""
    return gc.std(input_tensor, axis=axis, keepdims=keepdims)


@function("input_tensor", floats=True)
def reduce_logsumexp(input_tensor: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """``log(sum(exp(x)))`` over ``axis``, without overflow."""
    return gc.logsumexp(input_tensor, axis=axis, keepdims=keepdims)


@function("x", floats=True)
def moments(x: Any, axes: Axis, shift: Any = None, keepdims: bool = False) -> Any:
    """Mean and variance over ``axes``."""
    return gc.mean(x, axis=axes, keepdims=keepdims), gc.var(x, axis=axes, keepdims=keepdims)


@function("input")
def _argmax(input: Any, axis: int, dtype: str) -> Any:
    return gc.cast(gc.argmax(input, axis=axis), dtype=dtype)


def argmax(input: Any, axis: int | None = None, output_type: Any = "int64", name: str | None = None) -> Any:
    """The index of the first of the largest elements along ``axis``, the first by default."""
    return _argmax(input, axis=axis or 0, dtype=name_of(output_type))


@function("input")
def _argmin(input: Any, axis: int, dtype: str) -> Any:
    return gc.cast(gc.argmin(input, axis=axis), dtype=dtype)


def argmin(input: Any, axis: int | None = None, output_type: Any = "int64", name: str | None = None) -> Any:
    """The index of the first of the smallest elements along ``axis``, the first by default."""
    return _argmin(input, axis=axis or 0, dtype=name_of(output_type))


@function("x")
def cumsum(x: Any, axis: int = 0) -> Any:
    """Sums of the items up to each along ``axis``."""
    return _same(x, gc.cumsum(x, axis=axis))


@function("x")
def cumprod(x: Any, axis: int = 0) -> Any:
    """Products of the items up to each along ``axis``."""
    return _same(x, gc.cumprod(x, axis=axis))


@function("tensor", floats=True)
def norm(tensor: Any, ord: Any = "euclidean", axis: Axis = None, keepdims: bool = False) -> Any:
    """The length of vectors along ``axis``, or of all elements; ``ord`` is ``"euclidean"``, 1, 2 or ``inf``."""
    flat = gc.ravel(tensor) if axis is None and not keepdims else tensor
    return gc.norm(flat, None if ord == "euclidean" else ord, axis, keepdims)


# ---------------------------------------------------------------- products
@function("a", "b")
def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    a, b = as_tensor(a), as_tensor(b)
    if a.ndim < 2 or b.ndim < 2:
        raise gc.errors.ShapeError(f"tf.matmul: {a.type} and {b.type}", fits="two axes or more each; tf.tensordot(a, b, 1) for vectors")
    return gc.matmul(_turned(a) if transpose_a else a, _turned(b) if transpose_b else b)


def _turned(x: Any) -> Any:
    return gc.swapaxes(x, -1, -2)


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, name: str | None = None) -> Any:
    """The product of matrices, or of stacks of them. ``b`` takes the dtype of ``a`` if it is no tensor."""
    return _matmul(a if is_symbolic([a, b]) else convert(a), b, transpose_a=transpose_a, transpose_b=transpose_b)


@function("a", "b")
def tensordot(a: Any, b: Any, axes: Any) -> Any:
    """Sums of products over ``axes``: a number of last and first axes, or the axes of each."""
    return gc.tensordot(a, b, axes)


@function("inputs", listed=True)
def _einsum(inputs: Any, equation: str) -> Any:
    return gc.einsum(equation, *inputs)


def einsum(equation: str, *inputs: Any, name: str | None = None) -> Any:
    """Sums of products, by the letters of axes: ``"ij,jk->ik"``."""
    return _einsum(inputs, equation=equation)


# ---------------------------------------------------------------- shapes
def reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """The same elements in another shape; one size may be -1."""
    return _reshape(tensor, shape=shape if _has_names(shape) else shape_of(shape))


@function("tensor")
def _reshape(tensor: Any, shape: Any) -> Any:
    return gc.reshape(tensor, shape=shape)


@function("a")
def transpose(a: Any, perm: Sequence[int] | None = None) -> Any:
    """Permute the axes: reverse them, unless ``perm`` says otherwise."""
    return gc.transpose(a, axes=perm)


@function("input")
def expand_dims(input: Any, axis: int) -> Any:
    """An axis of size 1 more."""
    return gc.expand_dims(input, axis=axis)


@function("input")
def squeeze(input: Any, axis: Axis = None) -> Any:
    """Without the axes of size 1, or without these of them."""
    return gc.squeeze(input, axis=axis)


def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Any:
    """The tensor repeated along axes of size 1, and along new first axes."""
    return _broadcast(input, shape=shape if _has_names(shape) else shape_of(shape))


@function("input")
def _broadcast(input: Any, shape: Any) -> Any:
    return gc.broadcast_to(input, shape=shape)


@function("values", listed=True)
def concat(values: Any, axis: int) -> Any:
    """Tensors one after the other along an axis."""
    return gc.concatenate(values, axis=axis)


@function("values", listed=True)
def stack(values: Any, axis: int = 0) -> Any:
    """Tensors along a new axis."""
    return gc.stack(values, axis=axis)


@function("value")
def unstack(value: Any, num: int | None = None, axis: int = 0) -> Any:
    """The items of an axis, each a tensor, as a list."""
    return list(gc.unstack(value, axis=axis))


@function("value")
def split(value: Any, num_or_size_splits: Any, axis: int = 0) -> Any:
    """An axis in so many parts, or in parts of these sizes, as a list."""
    sizes = num_or_size_splits
    bounds: Any = sizes if isinstance(sizes, int) else [int(bound) for bound in np.cumsum(sizes)[:-1]]
    return list(gc.split(value, bounds, axis=axis))


@function("input")
def tile(input: Any, multiples: Sequence[int]) -> Any:
    """The tensor so many times along each axis."""
    return gc.tile(input, multiples)


@function("input")
def repeat(input: Any, repeats: int, axis: int | None = None) -> Any:
    """Each item of an axis so many times."""
    return gc.repeat(input, repeats, axis=axis)


@function("tensor")
def _pad(tensor: Any, paddings: Any, mode: str, constant_values: Any) -> Any:
    return gc.pad(tensor, paddings, mode=mode, constant_values=constant_values)


def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: str | None = None) -> Any:
    """More items before and after those of each axis: ``[[before, after], ...]``."""
    pairs = tuple([tuple(map(int, pair)) for pair in paddings])
    return _pad(tensor, paddings=pairs, mode=mode.lower(), constant_values=constant_values)


@function("tensor")
def reverse(tensor: Any, axis: Axis) -> Any:
    """The items of these axes in reverse order."""
    return gc.flip(tensor, axis=axis)


@function("params", "indices", apart=("indices",))
def gather(params: Any, indices: Any, axis: int = 0) -> Any:
    """The items of an axis with these indices."""
    return gc.take(params, indices, axis=axis)


def boolean_mask(tensor: Any, mask: Any, axis: int | None = None, name: str | None = None) -> Any:
    """The items where the mask is true."""
    chosen = convert(mask).array
    first = axis or 0
    if chosen.ndim == 1:
        return gather(tensor, np.flatnonzero(chosen), axis=first)
    tensor = convert(tensor)
    sizes = tensor.shape
    flat = reshape(tensor, (*sizes[:first], chosen.size, *sizes[first + chosen.ndim :]))
    return gather(flat, np.flatnonzero(chosen), axis=first)


@function("indices")
def _one_hot(indices: Any, depth: int, axis: int, dtype: str) -> Any:
    rows = gc.one_hot(indices, num_classes=depth, dtype=dtype)
    return rows if axis == -1 else gc.moveaxis(rows, -1, axis)


def one_hot(
    indices: Any, depth: int, on_value: Any = 1, off_value: Any = 0, axis: int = -1, dtype: Any = "float32", name: str | None = None
) -> Any:
    """Rows of zeros with a one at each index; ``on_value`` and ``off_value`` in place of one and zero."""
    rows = _one_hot(indices, depth=int(depth), axis=axis, dtype=name_of(dtype))
    return rows if (on_value, off_value) == (1, 0) else add(multiply(rows, on_value - off_value), off_value)


class TopK(NamedTuple):
    """The largest items and their indices."""

    values: Any
    indices: Any


@function("input")
def top_k(input: Any, k: int = 1, sorted: bool = True) -> Any:
    """The ``k`` largest items along the last axis, the largest first, and their indices."""
    values, indices = gc.top_k(input, k=k)
    return TopK(values, gc.cast(indices, dtype="int32"))


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None) -> Any:
    """The items of an axis in order."""
    return _sort(values, axis=axis, descending=_descends(direction))


@function("values")
def _sort(values: Any, axis: int, descending: bool) -> Any:
    return gc.sort(values, axis=axis, descending=descending)


def argsort(values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None) -> Any:
    """The indices that bring the items of an axis in order; equal items stay in theirs."""
    return _argsort(values, axis=axis, descending=_descends(direction))


@function("values")
def _argsort(values: Any, axis: int, descending: bool) -> Any:
    return gc.cast(gc.argsort(values, axis=axis, descending=descending), dtype="int32")


def _descends(direction: str) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ArgumentError(f"direction={direction!r}", fits="'ASCENDING' or 'DESCENDING'")
    return direction == "DESCENDING"


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``: whole numbers, slices, ``None`` and ``...``, as in NumPy; not arrays, for which there are gather and boolean_mask."""
    if any(map(_is_array, index if isinstance(index, tuple) else (index,))):  # pyright: ignore[reportUnknownArgumentType]
        raise ArgumentError(f"x[{index!r}]", fits="whole numbers and slices; tf.gather(x, indices), tf.boolean_mask(x, mask)")
    return _getitem(x, index=index)


def _is_array(part: Any) -> bool:
    return isinstance(part, list | np.ndarray) or (isinstance(part, Tensor) and part.ndim > 0)


@function("x")
def _getitem(x: Any, index: Any) -> Any:
    return x[index]


@function("x", "y")
def _and(x: Any, y: Any) -> Any:
    return x & y


@function("x", "y")
def _or(x: Any, y: Any) -> Any:
    return x | y


@function("x", "y")
def _xor(x: Any, y: Any) -> Any:
    return x ^ y


@function("x")
def _invert(x: Any) -> Any:
    return ~x


OPERATIONS.update(
    {
        "add": add,
        "subtract": subtract,
        "multiply": multiply,
        "divide": divide,
        "floordiv": floordiv,
        "floormod": floormod,
        "pow": pow,
        "matmul": matmul,
        "and": _and,
        "or": _or,
        "xor": _xor,
        "invert": _invert,
        "less": less,
        "less_equal": less_equal,
        "equal": equal,
        "not_equal": not_equal,
        "negative": negative,
        "abs": abs,
        "stack": stack,
        "getitem": getitem,
    }
)
