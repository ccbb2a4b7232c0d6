"""Random numbers from counters: the same key gives the same numbers, on every backend.

A key is a tensor like any other, two words of 32 bits, so nothing here has a state: whoever wants other numbers asks with another key,
which :func:`split` and :func:`fold_in` make. The bits are those of Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw,
"Parallel random numbers: as easy as 1, 2, 3", 2011), counted as JAX counts them, so that ``jax.random`` gives the same ones.
"""

from __future__ import annotations

import math
import operator
from typing import Any, Final, SupportsIndex, overload

import numpy as np

from graphc.core import Constant, Tensor, TensorType, as_tensor, case, constant, describe, dtypes, op, sizes
from graphc.core.attributes import DTypeName, Target, axis_of
from graphc.core.errors import ArgumentError, DTypeError, ShapeError
from graphc.core.op import as_dtype
from graphc.core.sizes import Dim, Shape
from graphc.ops import pointwise as p
from graphc.ops.bits import bitwise_and, bitwise_or, right_shift
from graphc.ops.index import take
from graphc.ops.reduce import argmax
from graphc.ops.shape import number, reshape, stack
from graphc.ops.sorting import argsort
from graphc.ops.special import erf, erfinv

__all__ = [
    "bernoulli",
    "bits",
    "categorical",
    "choice",
    "exponential",
    "fold_in",
    "gumbel",
    "key",
    "laplace",
    "normal",
    "permutation",
    "randint",
    "split",
    "truncated_normal",
    "uniform",
]

WORD: Final = 2**32
SQRT2: Final = math.sqrt(2)


# ---------------------------------------------------------------- ops
def _operands(key: Tensor, counter: Tensor) -> tuple[Tensor, Tensor]:
    return p.cast(key, dtype="uint32"), p.cast(counter, dtype="uint64")


@op(
    "random_bits($key, $counter, $shape, $dtype)",
    helper='''
def random_bits(key, counter, shape, dtype):
    """Threefry-2x32-20 of the counters from ``counter`` on, one a number; so many at a time that they stay in the cache."""
    size = 1
    for n in shape:
        size *= n
    batch = np.broadcast_shapes(key.shape[:-1], np.shape(counter))
    keys = np.broadcast_to(key, (*batch, 2)).reshape(-1, 2)
    start = np.broadcast_to(counter, batch).reshape(-1, 1)
    y = np.empty((len(keys), size), dtype)
    words = keys[:, :1], keys[:, 1:], keys[:, :1] ^ keys[:, 1:] ^ 0x1BD11BDA
    width = max(1, 32768 // max(1, len(keys)))
    for first in range(0, size, width):
        part = y[:, first:first + width]
        count = start + np.arange(first, first + part.shape[1], dtype=np.uint64)
        a, b = (count >> 32).astype(np.uint32), count.astype(np.uint32)
        a += words[0]
        b += words[1]
        moved = np.empty_like(b)
        for i in range(5):
            for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
                a += b
                np.right_shift(b, 32 - turn, out=moved)
                np.left_shift(b, turn, out=b)
                b |= moved
                b ^= a
            a += words[(i + 1) % 3]
            b += words[(i + 2) % 3] + np.uint32(i + 1)
        part[...] = a.astype(np.uint64) << 32 | b if y.itemsize == 8 else a ^ b
    return y.reshape(batch + shape)
''',
    jax_helper='''
def random_bits(key, counter, shape, dtype):
    """Threefry-2x32-20 of the counters from ``counter`` on, one a number. Written out, XLA makes one loop of it.
    It would take a key that was computed into the loop, and a key of that one too; the barrier keeps them out."""
    key = jax.lax.optimization_barrier(key)
    size = 1
    for n in shape:
        size *= n
    batch = jnp.broadcast_shapes(key.shape[:-1], counter.shape)
    count = counter[..., None] + jax.lax.iota(jnp.uint64, size)
    words = key[..., :1], key[..., 1:], key[..., :1] ^ key[..., 1:] ^ jnp.uint32(0x1BD11BDA)
    a, b = (count >> 32).astype(jnp.uint32) + words[0], count.astype(jnp.uint32) + words[1]
    for i in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
            a = a + b
            b = (b << turn | b >> 32 - turn) ^ a
        a, b = a + words[(i + 1) % 3], b + words[(i + 2) % 3] + jnp.uint32(i + 1)
    y = a.astype(jnp.uint64) << 32 | b.astype(jnp.uint64) if dtype == jnp.uint64 else (a ^ b).astype(dtype)
    return y.reshape(batch + shape)
''',
    flops=110,
    zero_gradient="bits carry no gradient",
    domain=((0.0, 1000.0), (0.0, 1000.0)),
    cases=(
        case((2,), (), shape=(3, 5), through=_operands),
        case((2,), (), shape=(), dtype="uint64", through=_operands),
        case((2,), (), shape=(2, 0), dtype="uint8", through=_operands),
        case((3, 2), (), shape=(4,), dtype="uint16", through=_operands),
        case((3, 1, 2), (2,), shape=(), through=_operands),
    ),
)
def random_bits(key: TensorType, counter: TensorType, *, shape: Target = (), dtype: DTypeName = "uint32") -> TensorType:
    """Random words: block ``counter + i`` of Threefry-2x32-20 for the i-th in row-major order.

    A block is two words of 32 bits. Both, the first one high, are a uint64; narrower dtypes take the low bits of their exclusive or.
    Keys stacked along leading axes and counters of such a shape broadcast, and give a tensor of ``shape`` each.
    """
    if key.dtype != "uint32" or counter.dtype != "uint64":
        raise DTypeError(f"a key of {key.dtype} and a counter of {counter.dtype}", fits="a uint32 key and a uint64 counter")
    if key.shape[-1:] != (2,):
        raise ShapeError(f"a key is two words, not {key.shape}", fits="shape (2,), or (..., 2) for several keys")
    if dtype not in dtypes.UNSIGNED:
        raise DTypeError(f"{dtype} is more than bits", fits=", ".join(dtypes.UNSIGNED))
    return TensorType(dtype, (*sizes.broadcast([key.shape[:-1], counter.shape]), *shape))


@random_bits.vmap
def _(mapped: tuple[bool, ...], key: Tensor, counter: Tensor, shape: Shape, dtype: str) -> Tensor:
    own = key.ndim - 1 - mapped[0], counter.ndim - mapped[1]
    if mapped[0]:
        key = reshape(key, (key.shape[0], *(1,) * (max(own) - own[0]), *key.shape[1:]))
    if mapped[1]:
        counter = reshape(counter, (counter.shape[0], *(1,) * (max(own) - own[1]), *counter.shape[1:]))
    return random_bits(key, counter, shape=shape, dtype=dtype)


@op(
    "$x.view($dtype)",
    view=True,
    flops=0,
    zero_gradient="the bits of a number carry no gradient",
    precision="declared",
    cases=(case((2, 3), integers={"x": 9}, dtype="float64"), case((), integers={"x": 9}, dtype="uint64")),
)
def bitcast(x: TensorType, *, dtype: DTypeName) -> TensorType:
    """The same bits, read as another dtype of the same width."""
    if "bool" in (x.dtype, dtype) or dtypes.itemsize(x.dtype) != dtypes.itemsize(dtype):
        raise DTypeError(f"the bits of {x.dtype} are no {dtype}", fits="two dtypes of one width, neither of them bool")
    return x.with_dtype(dtype)


@bitcast.vmap
def _(mapped: tuple[bool, ...], x: Tensor, dtype: str) -> Tensor:
    return bitcast(x, dtype=dtype)


# ---------------------------------------------------------------- arguments
def _checked_key(name: str, key: Any) -> Tensor:
    key = as_tensor(key)
    fits = "gc.random.key(seed), or an input or variable of shape (2,) and dtype uint32"
    if key.dtype != "uint32":
        raise DTypeError(f"random.{name}: a key is two uint32 words, not {key.dtype}", given=[describe(key)], fits=fits)
    if key.shape != (2,):
        raise ShapeError(f"random.{name}: a key has shape (2,), not {key.shape}", given=[describe(key)], fits=fits)
    return key


def _checked_number(name: str, value: Any, least: int, end: int) -> int:
    fits = f"{least} to {end - 1}"
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentError(f"random.{name}: this is no whole number", given=[repr(value)], fits=fits) from None
    if not least <= number < end:
        raise ArgumentError(f"random.{name}: the number has too many bits", given=[repr(value)], fits=fits)
    return number


def _checked_float(name: str, dtype: Any) -> str:
    dtype = dtypes.canonical(dtype)
    if not dtypes.is_float(dtype):
        raise DTypeError(f"random.{name}: the numbers have a fraction", given=[f"dtype: {dtype}"], fits=", ".join(dtypes.FLOATS))
    return dtype


def _checked_shape(name: str, shape: Any, **parameters: Tensor) -> Shape:
    """The shape, or that in which the parameters meet if it is None; no parameter may be larger than the result."""
    given = [f"shape: {shape}", *(f"{parameter}: {describe(x)}" for parameter, x in parameters.items())]
    try:
        met = sizes.broadcast([(), *(x.shape for x in parameters.values())])
        shape = met if shape is None else sizes.canonical(shape)
        whole = sizes.broadcast([shape, met])
    except ShapeError as error:
        raise ShapeError(f"random.{name}: {error.asked}", given=given, fits=error.fits) from None
    if whole != shape:
        raise ShapeError(f"random.{name}: the parameters have shape {met}, more than was asked", given=given, fits=f"shape={whole}")
    return shape


def _refuse(name: str, wrong: Any, why: str, fits: str, **given: Any) -> None:
    if np.any(wrong):
        raise ArgumentError(f"random.{name}: {why}", given=[f"{key}: {value}" for key, value in given.items()], fits=fits)


def _refuse_empty_range(name: str, low: Tensor, high: Tensor) -> None:
    if isinstance(low, Constant) and isinstance(high, Constant):
        _refuse(name, low.value >= high.value, "the range is empty", "low < high", low=low.value, high=high.value)


# ---------------------------------------------------------------- keys
def _words(x: Tensor) -> Tensor:
    """The two halves of 64 bits, the high one first, along a new last axis."""
    return stack([p.cast(_high(x), dtype="uint32"), p.cast(x, dtype="uint32")], axis=x.ndim)


@overload
def key(seed: Tensor) -> Tensor: ...
@overload
def key(seed: SupportsIndex) -> Constant: ...
def key(seed: Any) -> Tensor:
    """A key, uint32 of shape (2,), from a whole number of up to 64 bits: a constant of a number, a graph of an integer tensor."""
    if isinstance(seed, Tensor):
        if not dtypes.is_integer(seed.dtype) or seed.shape:
            raise DTypeError("random.key(seed): the seed is one whole number", given=[describe(seed)], fits="an integer of shape ()")
        whole = p.cast(seed, dtype="uint64")
        return _words(whole if dtypes.itemsize(seed.dtype) == 8 else _low(whole))  # a sign does not reach the high word, as in JAX
    number = _checked_number("key", seed, -(2**63), 2**64)
    return constant([number // WORD % WORD, number % WORD], "uint32")


def split(key: Any, num: Any = 2) -> Tensor:
    """New keys, uint32 of shape (num, 2), which can be unpacked: ``a, b = gc.random.split(key)``. Do not use the old one again."""
    return _words(bits(_checked_key("split", key), _checked_shape("split", num), "uint64"))


def fold_in(key: Any, data: Any) -> Tensor:
    """A new key from a key and a whole number of up to 32 bits, such as the number of a step or a layer."""
    key = _checked_key("fold_in", key)
    data = data if isinstance(data, Tensor) else constant(_checked_number("fold_in", data, 0, WORD), "uint32")
    if not dtypes.is_integer(data.dtype) or data.shape:
        raise DTypeError("random.fold_in(key, data): data is one whole number", given=[describe(data)], fits="an integer of shape ()")
    return _words(random_bits(key, _low(as_dtype(data, "uint64")), dtype="uint64"))


# ---------------------------------------------------------------- distributions
_FORMATS: Final = {
    "float16": (10, -14, "uint16"),
    "bfloat16": (7, -126, "uint8"),
    "float32": (23, -126, "uint32"),
    "float64": (52, -1022, "uint64"),
}
"""Of a float: the bits of its fraction, its smallest exponent, and the bits that are drawn for it."""
_SAME_WIDTH: Final = {2: "uint16", 4: "uint32", 8: "uint64"}


def _below_one(dtype: str) -> float:
    """The largest number below 1."""
    return 1 - 2.0 ** -(_FORMATS[dtype][0] + 1)


def bits(key: Any, shape: Any = (), dtype: Any = "uint32") -> Tensor:
    """Random bits as unsigned integers of 8, 16, 32 or 64 bits."""
    return random_bits(_checked_key("bits", key), constant(0, "uint64"), shape=_checked_shape("bits", shape), dtype=dtype)


def _unit(key: Tensor, shape: Shape, dtype: str) -> Tensor:
    """Uniform in [0, 1): random bits as the fraction of a number in [1, 2), less 1."""
    fraction, smallest, drawn = _FORMATS[dtype]
    kept = right_shift(bits(key, shape, drawn), 8 * dtypes.itemsize(drawn) - fraction)
    one = (1 - smallest) << fraction
    return bitcast(bitwise_or(as_dtype(kept, _SAME_WIDTH[dtypes.itemsize(dtype)]), one), dtype=dtype) - 1


def uniform(key: Any, shape: Any = (), low: Any = 0.0, high: Any = 1.0, dtype: Any = "float32") -> Tensor:
    """Uniform in [low, high); ``low`` and ``high`` broadcast to the shape. Rounding may give ``high`` itself where it is not 1 over 0.

    There are as many numbers as the fraction has values, 2**23 in float32, evenly spaced. Gradients pass to ``low`` and ``high``.
    """
    key, dtype = _checked_key("uniform", key), _checked_float("uniform", dtype)
    low, high = as_dtype(low, dtype), as_dtype(high, dtype)
    _refuse_empty_range("uniform", low, high)
    return _between(key, _checked_shape("uniform", shape, low=low, high=high), low, high)


def _between(key: Tensor, shape: Shape, low: Tensor, high: Tensor) -> Tensor:
    width = constant(high.value - low.value, low.dtype) if isinstance(low, Constant) and isinstance(high, Constant) else high - low
    return _moved(_unit(key, shape, low.dtype), width, low)


def _moved(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``x * scale + shift`` of parameters no larger than x, without what changes nothing."""
    x = x if isinstance(scale, Constant) and scale.uniform == 1 else x * scale
    return x if isinstance(shift, Constant) and shift.uniform == 0 else x + shift


def _open(key: Tensor, shape: Shape, dtype: str) -> Tensor:
    """Uniform in (-1, 1), without -1."""
    return _between(key, shape, constant(-_below_one(dtype), dtype), constant(1, dtype))


def normal(key: Any, shape: Any = (), mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32") -> Tensor:
    """Normal with this mean and standard deviation, which broadcast to the shape and get gradients (``mean + stddev * z``).

    Inversion: ``z = sqrt(2) * erfinv(u)`` of a uniform ``u`` in (-1, 1). In float32 no ``z`` is further out than 5.5.
    """
    key, dtype = _checked_key("normal", key), _checked_float("normal", dtype)
    mean, stddev = as_dtype(mean, dtype), as_dtype(stddev, dtype)
    z = erfinv(_open(key, _checked_shape("normal", shape, mean=mean, stddev=stddev), dtype)) * SQRT2
    return _moved(z, stddev, mean)


def truncated_normal(key: Any, lower: Any, upper: Any, shape: Any = None, dtype: Any = "float32") -> Tensor:
    """Standard normal, given that it lies in [lower, upper]; the bounds broadcast to the shape, which is theirs by default.

    By inversion between ``erf(lower / sqrt(2))`` and ``erf(upper / sqrt(2))``, which meet far out: bounds that are both beyond 4 on one
    side leave few numbers in float32. Gradients pass to the bounds.
    """
    key, dtype = _checked_key("truncated_normal", key), _checked_float("truncated_normal", dtype)
    lower, upper = as_dtype(lower, dtype), as_dtype(upper, dtype)
    _refuse_empty_range("truncated_normal", lower, upper)
    shape, most = _checked_shape("truncated_normal", shape, lower=lower, upper=upper), _below_one(dtype)
    u = _between(key, shape, erf(lower / SQRT2), erf(upper / SQRT2))
    return p.clip(erfinv(p.clip(u, -most, most)) * SQRT2, lower, upper)


def exponential(key: Any, shape: Any = (), dtype: Any = "float32") -> Tensor:
    """Exponential with mean 1: ``-log(1 - u)``."""
    return -p.log1p(-uniform(key, shape, dtype=dtype))


def laplace(key: Any, shape: Any = (), dtype: Any = "float32") -> Tensor:
    """Laplace with mean 0 and scale 1: ``sign(u) * log(1 - |u|)`` of a uniform ``u`` in (-1, 1)."""
    u = _open(_checked_key("laplace", key), _checked_shape("laplace", shape), _checked_float("laplace", dtype))
    return p.sign(u) * p.log1p(-p.abs(u))


def gumbel(key: Any, shape: Any = (), dtype: Any = "float32") -> Tensor:
    """Gumbel, that is the largest of many: ``-log(-log(u))``."""
    dtype = _checked_float("gumbel", dtype)
    return -p.log(-p.log(uniform(key, shape, 2.0 ** _FORMATS[dtype][1], 1.0, dtype)))


def bernoulli(key: Any, p: Any = 0.5, shape: Any = None) -> Tensor:
    """True with probability ``p``, which broadcasts to the shape; that of ``p`` by default. Literals are float32.

    ``uniform < p``, so that in float32 a probability is rounded up to a multiple of 2**-23.
    """
    key = _checked_key("bernoulli", key)
    p = as_dtype(p, "float32") if isinstance(p, int | float) else as_tensor(p)
    dtype = _checked_float("bernoulli", p.dtype)
    if isinstance(p, Constant):
        wrong = ~((p.value >= 0) & (p.value <= 1))  # NaN too
        _refuse("bernoulli", wrong, "a probability is not between 0 and 1", "0 <= p <= 1", p=p.value)
    return _unit(key, _checked_shape("bernoulli", shape, p=p), dtype) < p


def categorical(key: Any, logits: Any, axis: int = -1, shape: Any = None) -> Tensor:
    """Indices, int64, with the probabilities ``softmax(logits, axis)``; the shape is that of ``logits`` without the axis by default.

    A longer shape draws more: (10, *that) ten for each. The largest of ``logits + gumbel`` (Gumbel, 1954; Maddison et al., 2014).
    """
    key, logits = _checked_key("categorical", key), as_tensor(logits)
    dtype, axis = _checked_float("categorical", logits.dtype), axis_of(axis, logits.ndim) - logits.ndim
    shape = _checked_shape("categorical", shape, best=argmax(logits, axis=axis))
    place = len(shape) + axis + 1
    noise = gumbel(key, (*shape[:place], logits.shape[axis], *shape[place:]), dtype)
    return argmax(noise + logits, axis=axis)


def randint(key: Any, shape: Any, low: Any, high: Any, dtype: Any = "int64") -> Tensor:
    """Whole numbers in [low, high), which broadcast to the shape; ``low`` itself where a call finds ``high <= low``.

    ``floor(x * (high - low) / 2**n)`` of ``n`` random bits, 128 for 64-bit integers and 64 for the others (Lemire, 2019, without
    rejection): no number's probability is further than ``2**-n`` from ``1 / (high - low)``, whatever the range.
    """
    key, dtype = _checked_key("randint", key), dtypes.canonical(dtype)
    if not dtypes.is_integer(dtype):
        raise DTypeError("random.randint: the numbers are whole", given=[f"dtype: {dtype}"], fits="an integer dtype")
    wide = dtype if dtypes.itemsize(dtype) == 8 else "int64"
    start, count = _range(low, high, dtype, wide)
    shape = _checked_shape("randint", shape, low=start, high=count)
    return as_dtype(start + as_dtype(_below(key, shape, count, twice=wide == dtype), wide), dtype)


def _range(low: Any, high: Any, dtype: str, wide: str) -> tuple[Tensor, Tensor]:
    """The first number, and how many there are as uint64."""
    if isinstance(low, int) and isinstance(high, int):
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        _refuse("randint", low >= high, "the range is empty", "low < high", low=low, high=high)
        outside = low < least or high > most + 1 or high - low == 2**64
        _refuse("randint", outside, f"the range is larger than {dtype}", f"{least} to {most + 1}; random.bits for all", low=low, high=high)
        return constant(low, wide), constant(high - low, "uint64")
    low, high = _whole(low, wide), _whole(high, wide)
    _refuse_empty_range("randint", low, high)
    return low, p.cast(p.maximum(high, low) - low, dtype="uint64")


def _whole(x: Any, dtype: str) -> Tensor:
    x = as_tensor(x)
    if not dtypes.is_integer(x.dtype):
        raise DTypeError("random.randint: a bound is no whole number", given=[describe(x)], fits="integers; gc.cast(x, 'int64')")
    return as_dtype(x, dtype)


def _below(key: Tensor, shape: Shape, count: Tensor, *, twice: bool) -> Tensor:
    """The integer part of ``x * count / 2**n``, with 64 random bits for a ``count`` of up to 32, or ``twice`` as many for any."""
    if not twice:
        x = bits(key, shape, "uint64")
        return _high(_high(x) * count + _high(_low(x) * count))
    x = bits(key, (2, *shape), "uint64")
    product = x[0] * count
    carried = p.less(product + _high_word(x[1], count), product)
    return _high_word(x[0], count) + p.cast(carried, dtype="uint64")


def _high(x: Tensor) -> Tensor:
    return right_shift(x, 32)


def _low(x: Tensor) -> Tensor:
    """The low 32 of 64 bits. XLA of JAX 0.8 leaves out a cast to uint32 on the way from a negative number of 8 bits."""
    return bitwise_and(x, WORD - 1)


def _high_word(a: Tensor, b: Tensor) -> Tensor:
    """The high 64 of the 128 bits of a product, digit by digit (Knuth, The Art of Computer Programming 2, 4.3.1)."""
    middle = _high(a) * _low(b) + _high(_low(a) * _low(b))
    return _high(a) * _high(b) + _high(middle) + _high(_low(a) * _high(b) + _low(middle))


def permutation(key: Any, x: Any, axis: int = 0) -> Tensor:
    """The items of an axis in random order; of a size, the indices below it in random order.

    They are sorted by random words, again and again until ties are too rare to matter.
    """
    key = _checked_key("permutation", key)
    if isinstance(x, int | str | sizes.Size):
        return _order(key, sizes.canonical(x)[0])
    x = as_tensor(x)
    axis = axis_of(axis, x.ndim)
    return take(x, _order(key, x.shape[axis]), axis=axis)


def _order(key: Tensor, size: Dim) -> Tensor:
    """Random indices below ``size``: sorted by ``3 log2(size)`` bits at least, as JAX has it; by 64 where the size has a name."""
    if not isinstance(size, int):
        return argsort(bits(split(key)[1], (size,), "uint64"))
    order: Tensor = constant(np.arange(size), "int64")
    for _ in range(math.ceil(3 * math.log(max(1, size)) / math.log(WORD - 1))):
        key, own = split(key)
        order = take(order, argsort(bits(own, (size,))), axis=0)
    return order


def choice(key: Any, x: Any, shape: Any = (), replace: bool = True, axis: int = 0) -> Tensor:
    """Items of an axis, or of the whole numbers below a size, each as likely as the others; :func:`categorical` for other odds.

    ``replace=False`` takes no item twice. Then the shape has a known number of elements, no more than there are items.
    """
    key, shape = _checked_key("choice", key), _checked_shape("choice", shape)
    x = sizes.canonical(x)[0] if isinstance(x, int | str | sizes.Size) else as_tensor(x)
    axis = axis_of(axis, x.ndim) if isinstance(x, Tensor) else 0
    size = x.shape[axis] if isinstance(x, Tensor) else x
    indices = randint(key, shape, 0, number(size, "int64")) if replace else _distinct(key, size, shape)
    return take(x, indices, axis=axis) if isinstance(x, Tensor) else indices


def _distinct(key: Tensor, size: Dim, shape: Shape) -> Tensor:
    count = sizes.product(shape)
    if not isinstance(count, int) or (isinstance(size, int) and count > size):
        raise ArgumentError(
            f"random.choice: {count} items cannot be taken out of {size}", given=[f"shape: {shape}"], fits=f"at most {size}, a known number"
        )
    return reshape(_order(key, size)[:count], shape)
