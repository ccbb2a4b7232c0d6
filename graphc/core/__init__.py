"""What a computation is: types, tensors, ops, graphs. This package knows nothing of the others."""

from graphc.core import dtypes, errors, sizes, tree
from graphc.core.collecting import collecting_paused
from graphc.core.expr import OPS, SHOWN, Constant, Input, Tensor, TensorLike, constant, describe
from graphc.core.graph import consumers, order_remembered, rebuild, substitute, toposort
from graphc.core.leaf import Variable, input, variable
from graphc.core.op import Case, Op, as_tensor, case, op, parts, register
from graphc.core.origin import Origin, derived_from, here, scope
from graphc.core.subgraph import Subgraph, bodies, close, every_node, map_bodies
from graphc.core.types import Bundle, TensorType

__all__ = [
    "OPS",
    "SHOWN",
    "Bundle",
    "Case",
    "Constant",
    "Input",
    "Op",
    "Origin",
    "Subgraph",
    "Tensor",
    "TensorLike",
    "TensorType",
    "Variable",
    "as_tensor",
    "bodies",
    "case",
    "close",
    "collecting_paused",
    "constant",
    "consumers",
    "derived_from",
    "describe",
    "dtypes",
    "errors",
    "every_node",
    "here",
    "input",
    "map_bodies",
    "op",
    "parts",
    "order_remembered",
    "rebuild",
    "register",
    "scope",
    "sizes",
    "substitute",
    "toposort",
    "tree",
    "variable",
]
