"""Graphs in wider dtypes: in float64 for differences, and with complex numbers for steps off the real line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from graphc import ops
from graphc.core import Constant, Input, Op, Subgraph, Tensor, TensorType, Variable, constant, dtypes, input, toposort
from graphc.core.errors import GraphcError


def in_float64(y: Tensor) -> tuple[Tensor, dict[Tensor, Input]]:
    """The graph in float64 over fresh inputs, and the input that stands for each leaf. Nodes keep their lines."""
    found = [node for node in toposort([y]) if isinstance(node, Input | Variable)]
    leaves: dict[Tensor, Input] = {node: input(node.label or "x", node.shape, _wide(node.dtype)) for node in found}
    return _widened([y], dict(leaves))[0], leaves


def _widened(roots: Sequence[Tensor], new: dict[Tensor, Tensor]) -> list[Tensor]:
    for node in toposort(roots):
        if isinstance(node, Constant):
            new[node] = constant(node.value, _wide(node.dtype))
        elif node.op is not None:
            # What is made of integers and has no gradient keeps its dtype: random bits have a width of their own.
            kept = node.op.zero_gradient and not any(dtypes.is_inexact(x.dtype) for x in node.inputs)
            attrs = node.attrs if kept else tuple([_wide_attribute(name, value) for name, value in node.attributes.items()])
            made = node.op.apply(tuple([new[x] for x in node.inputs]), attrs, node)
            new[node] = ops.cast(made, dtype=_wide(made.dtype)) if made.dtype != _wide(made.dtype) else made
    return [new[root] for root in roots]


def _wide_attribute(name: str, value: Any) -> Any:
    if name == "dtype":
        return _wide(value)
    if isinstance(value, TensorType):
        return value.with_dtype(_wide(value.dtype))
    if isinstance(value, tuple):
        return tuple([_wide_attribute("", item) for item in cast("tuple[Any, ...]", value)])
    if isinstance(value, Subgraph):
        types = [p.type.with_dtype(_wide(p.dtype)) for p in value.parameters]
        stand_ins: dict[Tensor, Tensor] = dict(zip(value.parameters, Subgraph(types, ()).parameters, strict=True))
        return Subgraph(types, _widened(value.outputs, stand_ins))
    return value


def _wide(dtype: str) -> str:
    return "float64" if dtypes.is_float(dtype) else "complex128" if dtypes.is_complex(dtype) else dtype


# ---------------------------------------------------------------- off the real line
_NOT_ANALYTIC: Final = re.compile(r"Abs|sign|Piecewise|Max|Min|\bre\b|\bim\b|conjugate|floor|ceiling|Heaviside|arg|atan2|Mod")


def in_complex(y: Tensor, xs: Sequence[Input]) -> tuple[Tensor, dict[Tensor, Input]] | None:
    """The graph with complex numbers for ``xs``, where every operation that they come to is analytic and takes such numbers; else None.

    The imaginary part of a small step is then the derivative, without a difference (Squire and Trapp, 1998).
    """
    stand_ins: dict[Tensor, Input] = {x: input(x.label or "x", x.shape, "complex128") for x in xs}
    new: dict[Tensor, Tensor] = dict(stand_ins)
    for node in toposort([y]):
        if node in new:
            continue
        inputs = tuple([new[x] for x in node.inputs])
        if node.op is None or inputs == node.inputs:
            new[node] = node
            continue
        if node.op.name == "cast" and node.dtype == node.inputs[0].dtype:  # one that the widening has made idle
            new[node] = inputs[0]
            continue
        if not _is_analytic(node.op, node, new):
            return None
        try:
            new[node] = node.op.remade(inputs, node.attrs)
        except GraphcError:
            return None  # the op takes no complex numbers
    return (new[y], stand_ins) if dtypes.is_complex(new[y].dtype) else None


def _is_analytic(op: Op, node: Tensor, new: Mapping[Tensor, Tensor]) -> bool:
    """Whether the result depends on its complex operands alone, and not on their conjugates, as far as the record tells."""
    if op.group == "complex_numbers" or op.name == "cast" or op.kinks is not None or op.choice is not None:
        return False
    if op.pointwise:
        return op.sympy is not None and not _NOT_ANALYTIC.search(op.sympy) and None not in op.partials
    moved = [i for i, x in enumerate(node.inputs) if new[x] is not x]
    names = op.operands * len(node.inputs) if op.variadic else op.operands
    return all(names[i] in op.linear for i in moved)
