"""Filling in the templates of the op records: ``$x`` becomes the name of a value, ``$axis`` the source of an attribute.

What comes out is Python source that will be executed, so nothing of the user's may pass as it is: values have names that graphc
gave, strings are quoted, and everything else is a number, a dtype or a size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from graphc.core import Op, Subgraph, Tensor, TensorType, dtypes
from graphc.core.errors import BackendError
from graphc.core.sizes import Size

_HOLE = re.compile(r"\$(\w+)")
_NAMESPACE = re.compile(r"\bxp\.")


def fill(template: str, holes: Mapping[str, str]) -> str:
    """The template with every ``$name`` replaced."""
    return _HOLE.sub(lambda hole: holes[hole.group(1)], template)


def in_namespace(template: str, module: str) -> str:
    """The template with the namespace ``xp`` as this module."""
    return _NAMESPACE.sub(f"{module}.", template)


def template_of(node: Tensor, target: str) -> str | None:
    """The op's template for ``"numpy"`` or ``"jax"``, or None if it has to be decomposed there."""
    op = node.op
    if op is None:
        return None
    template = op.emit if target == "numpy" else op.jax or op.emit
    if callable(template):
        attributes = op.keywords(node)
        used = template.__code__.co_varnames[: template.__code__.co_argcount]
        template = template(**{name: attributes[name] for name in used})
    return template


def call(node: Tensor, template: str, operands: Sequence[str], written: Written, out: str = "") -> str:
    """The source of the node's call on operands of these names, into ``out`` where the template has that hole."""
    op = node.op
    assert op is not None
    holes = {op.operands[0]: ", ".join(operands)} if op.variadic else dict(zip(op.operands, operands, strict=True))
    return fill(template, {"out": out} | holes | {name: attribute(value, name, written) for name, value in op.keywords(node).items()})


class Written(NamedTuple):
    """How a target writes dtypes, and what it calls the functions that bodies became."""

    dtype: Callable[[str], str]
    functions: dict[Subgraph, str]


def attribute(value: Any, name: str, written: Written) -> str:
    """The source of an attribute's value."""
    if name == "dtype":
        return written.dtype(value)
    if isinstance(value, Subgraph):
        return written.functions[value]
    if isinstance(value, TensorType):
        shape = "".join(f"{size}, " for size in value.shape)
        return f"(({shape}), {written.dtype(value.dtype)})"
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        return "(" + "".join(f"{attribute(item, '', written)}, " for item in items).rstrip(" " if len(items) == 1 else ", ") + ")"
    if isinstance(value, str | bool | int | None):
        return repr(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Size) or hasattr(value, "items"):
        return str(value)
    raise BackendError(
        f"the attribute {name} has a value that cannot be written as source: {value!r}", fits="numbers, strings, sizes, tuples of them"
    )


def number(value: float) -> str:
    """A float as source, also where it has no literal."""
    return repr(value) if math.isfinite(value) else f"float({str(value)!r})"


def imports(ops: Sequence[Op]) -> str:
    """The imports that these ops need in NumPy source."""
    return "".join(f"{line}\n" for line in sorted({op.imports for op in ops if op.imports}))


def helpers(ops: Sequence[Op], target: str = "numpy") -> str:
    """The functions that these ops need beside the source."""
    wanted = [op.helper if target == "numpy" else op.jax_helper for op in ops]
    texts = dict.fromkeys(function for text in wanted if text for function in text.strip("\n").split("\n\n\n"))
    return "".join(f"{text}\n\n\n" for text in texts)


def numpy_dtype_source(dtype: str) -> str:
    """A dtype as the NumPy source writes it."""
    return {"bool": "np.bool_", "bfloat16": "bfloat16"}.get(dtype, f"np.{dtype}")


def jax_dtype_source(dtype: str) -> str:
    """A dtype as the JAX source writes it."""
    return "jnp.bool_" if dtype == "bool" else f"jnp.{dtype}"


def literal(value: Any, dtype: str, dtype_source: str) -> str:
    """A scalar constant as source."""
    if dtype == "bool":
        return f"{dtype_source}({bool(value)})"
    if dtypes.is_complex(dtype):
        return f"{dtype_source}(complex({number(float(value.real))}, {number(float(value.imag))}))"
    if not dtypes.is_float(dtype):
        return f"{dtype_source}({int(value)})"
    if dtype == "bfloat16":  # its scalars neither print a -0.0 nor read an 'inf'
        return f"{dtype_source}({number(float(value))})"
    short = str(value)
    return f"{dtype_source}({short})" if math.isfinite(float(value)) else f"{dtype_source}({short!r})"
