"""One node at a time: for constant folding, and as the plain reference that optimised code is compared with."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from graphc.core import Bundle, Op, Subgraph, Tensor, bodies, dtypes, toposort
from graphc.core.errors import BackendError
from graphc.core.expr import Constant, Input
from graphc.lower.template import (
    Written,
    attribute,
    fill,
    helpers,
    imports,
    in_namespace,
    jax_dtype_source,
    numpy_dtype_source,
    template_of,
)

Array = np.ndarray[Any, Any]
Sizes = Mapping[str, int]
_NO_SIZES: Sizes = {}


def compute(node: Tensor, values: Sequence[Any]) -> Any:
    """The value of one node, given its inputs' values, as an array of the node's dtype and shape; a tuple of several results."""
    return Interpreter().compute(node, values)


def interpret(roots: Sequence[Tensor], values: Mapping[Tensor, Any], sizes: Sizes = _NO_SIZES) -> list[Array]:
    """The values of the roots, node by node in plain order, with no rewrites, buffers or fusion. Leaves are in ``values``."""
    return Interpreter(sizes).run(roots, values)


def is_several(value: Any) -> TypeGuard[tuple[Any, ...]]:
    """Whether a value is that of a node of several results."""
    return isinstance(value, tuple)


class Interpreter:
    """Computes graphs node by node in plain order, each value a fresh array: no rewrites, no buffers, no fusion.

    ``sizes`` has the numbers of the named sizes. A subclass may look at each value by ``compute``, and at each call of a body by ``call``.
    """

    target = "numpy"

    def __init__(self, sizes: Sizes = _NO_SIZES) -> None:
        self.sizes = sizes
        self._bound = tuple(sizes.items())

    def run(self, roots: Sequence[Tensor], values: Mapping[Tensor, Any]) -> list[Any]:
        """The values of the roots; what nobody reads any more is let go."""
        order = toposort(roots)
        left = Counter([*roots, *[x for node in order for x in node.inputs]])
        known: dict[Tensor, Any] = dict(values)
        for node in order:
            if node not in known:
                known[node] = self.value(node, known)
            for x in node.inputs:
                left[x] -= 1
                if not left[x]:
                    del known[x]
        return [known[root] for root in roots]

    def every(self, roots: Sequence[Tensor], values: Mapping[Tensor, Any]) -> dict[Tensor, Any]:
        """The values of all nodes under the roots, in plain order."""
        known: dict[Tensor, Any] = {}
        for node in toposort(roots):
            known[node] = values[node] if node in values else self.value(node, known)
        return known

    def value(self, node: Tensor, known: Mapping[Tensor, Any]) -> Any:
        """The value of a node whose inputs' values are known."""
        return node.value if isinstance(node, Constant) else self.compute(node, [known[x] for x in node.inputs])

    def compute(self, node: Tensor, values: Sequence[Any]) -> Any:
        """The value of one node of an op, given its inputs' values; a tuple of several results."""
        template = template_of(node, self.target)
        with np.errstate(all="ignore"):
            if template is None:
                return self._expanded(node, values)
            assert node.op is not None
            names = {body: _Body(f"body{i}") for i, body in enumerate(dict.fromkeys(bodies(node)))}
            attrs = tuple([names[value] if isinstance(value, Subgraph) else value for value in node.attrs]) if names else node.attrs
            inside = [functools.partial(self.call, node, body) for body in names]
            result = _kernel(node.op, attrs, template, self.target, self._bound, tuple(names.values()), repr(attrs))(*inside, *values)
        if isinstance(node.type, Bundle):
            return tuple([self.typed(r, t.dtype) for r, t in zip(result, node.type.parts, strict=True)])
        return self.typed(result, node.dtype)

    def typed(self, result: Any, dtype: str) -> Any:
        """What an op returned, as an array of this dtype."""
        return np.asarray(result, dtypes.numpy_dtype(dtype))

    def call(self, node: Tensor, body: Subgraph, *arguments: Any) -> tuple[Any, ...]:
        """The results of a body of the node, each time that the node calls it."""
        return tuple(self.run(body.outputs, dict(zip(body.parameters, arguments, strict=True))))

    def _expanded(self, node: Tensor, values: Sequence[Any]) -> Any:
        assert node.op is not None
        if node.op.expand is None:
            raise BackendError(f"the op {node.op.name} has neither a {self.target} form nor a decomposition", fits="emit= or @op.decompose")
        inputs = [Input(None, (), (), x.type) for x in node.inputs]
        result = node.op.expand(*inputs, **node.op.keywords(node))
        known: dict[Tensor, Any] = dict(zip(inputs, values, strict=True))
        found = self.run(result if isinstance(node.type, Bundle) else [result], known)
        owned = [value if value.base is None else value.copy() for value in found]  # the op is no view, though its last part may be
        return tuple(owned) if isinstance(node.type, Bundle) else owned[0]


class JaxInterpreter(Interpreter):
    """The same with JAX's forms of the ops, each run by itself. Loops and branches are Python's: their bodies go node by node too."""

    def __init__(self, sizes: Sizes = _NO_SIZES) -> None:
        super().__init__(sizes)
        from graphc.lower.targets.jax.devices import import_jax

        self._jax = import_jax()

    def compute(self, node: Tensor, values: Sequence[Any]) -> Any:
        """The value of one node of an op, given its inputs' values."""
        assert node.op is not None
        self.target = "numpy" if bodies(node) or node.op.name == "guard" else "jax"
        with self._jax.enable_x64(True):  # so that no value loses half of its bits; those of 32 bits stay as they are
            return super().compute(node, values)

    def typed(self, result: Any, dtype: str) -> Any:
        """What an op returned, as NumPy's array: bodies are called with rows of such arrays."""
        return np.asarray(result, dtypes.numpy_dtype(dtype))


class _Body(str):
    """What stands for a body among the attributes: a table may not keep whole graphs alive."""

    __slots__ = ()


@functools.lru_cache(maxsize=4096)
def _kernel(
    op: Op, attrs: tuple[Any, ...], template: str, target: str, sizes: tuple[tuple[str, int], ...], inside: tuple[str, ...], told: str
) -> Callable[..., Any]:
    """The op as a function of the bodies ``inside`` it and of its operands. ``told`` tells equal attributes apart: 0.0 and -0.0."""
    names = [f"x{i}" for i in range(len(op.operands))]
    written = Written(numpy_dtype_source if target == "numpy" else jax_dtype_source, {})
    attributes = {
        name: str(value) if isinstance(value, _Body) else attribute(value, name, written)
        for name, value in zip(op.attributes, attrs, strict=True)
    }
    operands = {op.operands[0]: "*xs"} if op.variadic else dict(zip(op.operands, names, strict=True))
    body = fill(in_namespace(template, "np" if target == "numpy" else "jnp"), operands | attributes)
    namespace: dict[str, Any] = {**dict(sizes), **_modules(target)}
    if "bfloat16" in body:
        namespace["bfloat16"] = dtypes.numpy_dtype("bfloat16").type
    exec((imports([op]) if target == "numpy" else "") + helpers([op], target), namespace)
    parameters = [*inside, *(["*xs"] if op.variadic else names)]
    return eval(f"lambda {', '.join(parameters)}: {body}", namespace)


def _modules(target: str) -> dict[str, Any]:
    if target == "numpy":
        return {"np": np}
    from graphc.lower.targets.jax.devices import import_jax

    jax = import_jax()
    return {"np": np, "jax": jax, "jnp": jax.numpy}
