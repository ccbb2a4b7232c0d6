"""One node at a time on NumPy: for constant folding, and as the plain reference that optimised code is compared with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.core import Bundle, Op, Subgraph, Tensor, constant, dtypes, toposort
from graphc.core.errors import BackendError
from graphc.core.expr import Constant
from graphc.lower.template import Written, attribute, fill, helpers, imports, in_namespace, numpy_dtype_source, template_of

Array = np.ndarray[Any, Any]


def compute(node: Tensor, values: Sequence[Any]) -> Any:
    """The value of one node, given its inputs' values, as an array of the node's dtype and shape; a tuple of several results."""
    template = template_of(node, "numpy")
    with np.errstate(all="ignore"):
        if template is None:
            return _expanded(node, values)
        assert node.op is not None
        result = _kernel(node.op, node.attrs, template)(*values)
    if isinstance(node.type, Bundle):
        return tuple([np.asarray(r, dtypes.numpy_dtype(t.dtype)) for r, t in zip(result, node.type.parts, strict=True)])
    return np.asarray(result, dtypes.numpy_dtype(node.dtype))


def interpret(roots: Sequence[Tensor], values: Mapping[Tensor, Any]) -> list[Array]:
    """The values of the roots, node by node in plain order, with no rewrites, buffers or fusion. Leaves are in ``values``."""
    known: dict[Tensor, Any] = dict(values)
    for node in toposort(roots):
        if node in known:
            continue
        known[node] = node.value if isinstance(node, Constant) else compute(node, [known[x] for x in node.inputs])
    return [known[root] for root in roots]


def _expanded(node: Tensor, values: Sequence[Any]) -> Any:
    assert node.op is not None
    if node.op.expand is None:
        raise BackendError(f"the op {node.op.name} has neither a NumPy form nor a decomposition", fits="emit= or @op.decompose")
    inputs = [constant(value, x.dtype) for value, x in zip(values, node.inputs, strict=True)]
    result = node.op.expand(*inputs, **node.op.keywords(node))
    return tuple(interpret(result, {})) if isinstance(node.type, Bundle) else interpret([result], {})[0]


@functools.lru_cache(maxsize=4096)
def _kernel(op: Op, attrs: tuple[Any, ...], template: str) -> Callable[..., Any]:
    names = [f"x{i}" for i in range(len(op.operands))]
    functions = {value: f"body{i}" for i, value in enumerate(attrs) if isinstance(value, Subgraph)}
    written = Written(numpy_dtype_source, functions)
    attributes = {name: attribute(value, name, written) for name, value in zip(op.attributes, attrs, strict=True)}
    operands = {op.operands[0]: "*xs"} if op.variadic else dict(zip(op.operands, names, strict=True))
    body = fill(in_namespace(template, "np"), operands | attributes)
    namespace: dict[str, Any] = {"np": np} | {name: functools.partial(_call, value) for value, name in functions.items()}
    if "bfloat16" in body:
        namespace["bfloat16"] = dtypes.numpy_dtype("bfloat16").type
    exec(imports([op]) + helpers([op]), namespace)
    return eval(f"lambda {'*xs' if op.variadic else ', '.join(names)}: {body}", namespace)


def _call(body: Subgraph, *arguments: Any) -> tuple[Any, ...]:
    return tuple(interpret(body.outputs, dict(zip(body.parameters, arguments, strict=True))))
