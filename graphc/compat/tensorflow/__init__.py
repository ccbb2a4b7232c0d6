"""TensorFlow's names over graphc: ``import graphc.compat.tensorflow as tf``.

Enough for programs like those of F. Chollet's *Deep Learning with Python*: tensors that have values at once, variables, ``GradientTape``,
functions, random numbers, and ``tf.keras``. Every function is made of graphc's operations; what a tape records is a graph of graphc
(``tape.graph(loss)``), which can be drawn and compiled; and in the ``call`` of a layer the same functions build the model's graph.

Dtypes follow TensorFlow: Python's floats are float32, its whole numbers int32, arrays keep theirs, and tensors of two dtypes do not mix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from graphc.compat.tensorflow import linalg, math, nn, random
from graphc.compat.tensorflow.dtypes import DTYPES, DType, TensorShape, as_dtype
from graphc.compat.tensorflow.functions import (
    abs,
    acos,
    add,
    add_n,
    argmax,
    argmin,
    argsort,
    asin,
    atan,
    atan2,
    boolean_mask,
    broadcast_to,
    cast,
    clip_by_value,
    concat,
    constant,
    convert_to_tensor,
    cos,
    cosh,
    cumsum,
    divide,
    einsum,
    equal,
    exp,
    expand_dims,
    eye,
    fill,
    floor,
    gather,
    greater,
    greater_equal,
    identity,
    is_tensor,
    less,
    less_equal,
    linspace,
    logical_and,
    logical_not,
    logical_or,
    matmul,
    maximum,
    minimum,
    multiply,
    negative,
    norm,
    not_equal,
    one_hot,
    ones,
    ones_like,
    pad,
    pow,
    range,
    rank,
    reduce_all,
    reduce_any,
    reduce_logsumexp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
    repeat,
    reshape,
    reverse,
    round,
    shape,
    sigmoid,
    sign,
    sin,
    sinh,
    size,
    sort,
    split,
    sqrt,
    square,
    squeeze,
    stack,
    stop_gradient,
    subtract,
    tan,
    tanh,
    tensordot,
    tile,
    transpose,
    unstack,
    where,
    zeros,
    zeros_like,
)
from graphc.compat.tensorflow.tape import GradientTape, UnconnectedGradients
from graphc.compat.tensorflow.tensor import Tensor
from graphc.compat.tensorflow.variable import Variable
from graphc.core.errors import UnknownNameError, near

if TYPE_CHECKING:
    from graphc.compat.tensorflow import keras

F = TypeVar("F", bound=Callable[..., Any])
newaxis = None
float16, bfloat16, float32, float64 = DTYPES["float16"], DTYPES["bfloat16"], DTYPES["float32"], DTYPES["float64"]
int8, int16, int32, int64 = DTYPES["int8"], DTYPES["int16"], DTYPES["int32"], DTYPES["int64"]
uint8, uint16, uint32, uint64 = DTYPES["uint8"], DTYPES["uint16"], DTYPES["uint32"], DTYPES["uint64"]
complex64, complex128, bool = DTYPES["complex64"], DTYPES["complex128"], DTYPES["bool"]


@overload
def function(func: F) -> F: ...
@overload
def function(func: None = None, **options: Any) -> Callable[[F], F]: ...
def function(func: Any = None, **options: Any) -> Any:
    """The function itself: what it computes is compiled by its parts. Options do nothing."""
    return _same if func is None else func


def _same(func: F) -> F:
    return func


def executing_eagerly() -> Any:
    """Whether functions compute at once: not in the ``call`` of a layer whose graph is being built."""
    from graphc.nn.forward import current

    return current() is None


def __getattr__(name: str) -> Any:
    if name == "keras":
        import importlib

        return importlib.import_module(f"{__name__}.keras")
    raise UnknownNameError(f"graphc.compat.tensorflow has no {name!r}{near(name, globals())}", fits="what programs of the book need")


__all__ = [
    "DType",
    "GradientTape",
    "Tensor",
    "TensorShape",
    "UnconnectedGradients",
    "Variable",
    "abs",
    "acos",
    "add",
    "add_n",
    "argmax",
    "argmin",
    "argsort",
    "as_dtype",
    "asin",
    "atan",
    "atan2",
    "bfloat16",
    "bool",
    "boolean_mask",
    "broadcast_to",
    "cast",
    "clip_by_value",
    "complex64",
    "complex128",
    "concat",
    "constant",
    "convert_to_tensor",
    "cos",
    "cosh",
    "cumsum",
    "divide",
    "einsum",
    "equal",
    "executing_eagerly",
    "exp",
    "expand_dims",
    "eye",
    "fill",
    "float16",
    "float32",
    "float64",
    "floor",
    "function",
    "gather",
    "greater",
    "greater_equal",
    "identity",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_tensor",
    "keras",
    "less",
    "less_equal",
    "linalg",
    "linspace",
    "logical_and",
    "logical_not",
    "logical_or",
    "math",
    "matmul",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "newaxis",
    "nn",
    "norm",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "pad",
    "pow",
    "random",
    "range",
    "rank",
    "reduce_all",
    "reduce_any",
    "reduce_logsumexp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "repeat",
    "reshape",
    "reverse",
    "round",
    "shape",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "size",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "stop_gradient",
    "subtract",
    "tan",
    "tanh",
    "tensordot",
    "tile",
    "transpose",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "unstack",
    "where",
    "zeros",
    "zeros_like",
]
