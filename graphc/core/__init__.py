"""What a computation is: types, tensors, ops, graphs. This package knows nothing of the others."""

from graphc.core import dtypes, errors, sizes
from graphc.core.expr import OPS, Constant, Input, Tensor, TensorLike, constant, describe
from graphc.core.graph import consumers, rebuild, substitute, toposort
from graphc.core.leaf import Variable, input, variable
from graphc.core.op import Case, Op, as_tensor, case, op, parts, register
from graphc.core.origin import Origin, derived_from
from graphc.core.types import Bundle, TensorType

__all__ = [
    "OPS",
    "Bundle",
    "Case",
    "Constant",
    "Input",
    "Op",
    "Origin",
    "Tensor",
    "TensorLike",
    "TensorType",
    "Variable",
    "as_tensor",
    "case",
    "constant",
    "consumers",
    "derived_from",
    "describe",
    "dtypes",
    "errors",
    "input",
    "op",
    "parts",
    "rebuild",
    "register",
    "sizes",
    "substitute",
    "toposort",
    "variable",
]
