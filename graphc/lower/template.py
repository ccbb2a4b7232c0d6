"""Filling in the templates of the op records: ``$x`` becomes the name of a value, ``$axis`` the source of an attribute.

What comes out is Python source that will be executed, so nothing of the user's may pass as it is: values have names that graphc
gave, strings are quoted, and everything else is a number, a dtype or a size.
"""

from __future__ import annotations

import builtins
import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from graphc.core import Op, Subgraph, Tensor, TensorType, dtypes
from graphc.core.errors import BackendError
from graphc.core.sizes import Size

_HOLE = re.compile(r"\$(\w+)")
_NAMESPACE = re.compile(r"\bxp\.")
_CALLED = re.compile(r"\b(?:xp|np)\.(\w+)(?=[.(])")
_INTO = re.compile(r"np\.(\w+)\(((?:\$\w+, )*\$\w+), out=\$out\)")


def fill(template: str, holes: Mapping[str, str]) -> str:
    """The template with every ``$name`` replaced."""
    return "".join([holes[piece] if number % 2 else piece for number, piece in enumerate(_pieces(template))])


@functools.lru_cache(maxsize=4096)
def _pieces(template: str) -> tuple[str, ...]:
    """The template in pieces: text and the names of holes, in turn."""
    return tuple(_HOLE.split(template))


def in_namespace(template: str, module: str) -> str:
    """The template with the namespace ``xp`` as this module."""
    return _NAMESPACE.sub(f"{module}.", template)


@functools.lru_cache(maxsize=4096)
def called_by_name(template: str) -> tuple[str, frozenset[str]]:
    """A NumPy template with NumPy's functions under their own names, and these names: a look-up less in each call.

    A ufunc gets ``out`` as its last operand, which is quicker than by keyword. Names that would hide a builtin stay as they are.
    """
    names: set[str] = set()

    def bare(match: re.Match[str]) -> str:
        name = match.group(1)
        function = getattr(np, name, None)
        if not callable(function) or isinstance(function, type) or hasattr(builtins, name):
            return f"np.{name}"
        names.add(name)
        return name

    whole = _INTO.fullmatch(template)
    ufunc = whole and getattr(np, whole.group(1), None)
    if whole and isinstance(ufunc, np.ufunc) and whole.group(2).count("$") == ufunc.nin and whole.group(1) not in ("maximum", "minimum"):
        template = f"np.{whole.group(1)}({whole.group(2)}, $out)"  # NumPy asks for out= by keyword of these two alone
    return _CALLED.sub(bare, template), frozenset(names)


def template_of(node: Tensor, target: str) -> str | None:
    """The op's template for ``"numpy"`` or ``"jax"``, or None if it has to be decomposed there."""
    op = node.op
    if op is None:
        return None
    return _for_node(op.emit if target == "numpy" else op.jax or op.emit, node)


def out_template(node: Tensor) -> str | None:
    """The op's NumPy template that writes into ``$out``, or None if it has none for this node."""
    return None if node.op is None else _for_node(node.op.out, node)


def _for_node(template: Any, node: Tensor) -> str | None:
    """A template that is a function gets the attributes and the operands' types that it has parameters for."""
    if not callable(template):
        return template
    assert node.op is not None
    return _made(template, node.op, node.attrs, tuple([x.type for x in node.inputs]))


@functools.lru_cache(maxsize=4096)
def _made(template: Any, op: Op, attrs: tuple[Any, ...], types: tuple[TensorType, ...]) -> str | None:
    known = dict(zip(op.operands, types, strict=False)) | dict(zip(op.attributes, attrs, strict=True))
    code = template.__code__
    return template(**{name: known[name] for name in code.co_varnames[: code.co_argcount]})


def call(node: Tensor, template: str, operands: Sequence[str], written: Written, out: str = "") -> str:
    """The source of the node's call on operands of these names, into ``out`` where the template has that hole."""
    text, order = pattern_of(node, template, written)
    names = [*operands, out]
    return text % tuple([names[place] for place in order])


def pattern_of(node: Tensor, template: str, written: Written) -> tuple[str, list[int]]:
    """The source of the node's call with ``%s`` for each name, and which operands these are; ``$out`` counts as one more operand."""
    op = node.op
    assert op is not None
    count = len(node.inputs)
    text: list[str] = []
    order: list[int] = []
    for number, piece in enumerate(_pieces(template)):
        if number % 2 == 0:
            text.append(piece.replace("%", "%%"))
        elif piece in op.attributes:
            text.append(attribute(node.attrs[op.attributes.index(piece)], piece, written).replace("%", "%%"))
        else:
            places = [count] if piece == "out" else range(count) if op.variadic else [op.operands.index(piece)]
            text.append(", ".join(["%s"] * len(places)))
            order += places
    return "".join(text), order


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


def imports(ops: Sequence[Op], text: str | None = None) -> str:
    """The imports that these ops need in NumPy source; with ``text``, those that it uses."""
    lines = sorted({op.imports for op in ops if op.imports})
    return "".join(f"{line}\n" for line in lines if text is None or f"{line.split()[-1]}." in text)


def helpers(ops: Sequence[Op], target: str = "numpy", text: str | None = None) -> str:
    """The functions that these ops need beside the source; with ``text``, those that it calls, and those that these call."""
    wanted = dict.fromkeys([op.helper if target == "numpy" else op.jax_helper for op in ops])
    functions = list(dict.fromkeys(function for helper in wanted if helper for function in helper.strip("\n").split("\n\n\n")))
    if text is not None:
        functions = _reached(functions, text)
    return "".join(f"{function}\n\n\n" for function in functions)


def _reached(functions: Sequence[str], text: str) -> list[str]:
    reached = {function for function in functions if any(f"{name}(" in text for name in defined(function))}
    waiting = list(reached)
    while waiting:
        words = _words(waiting.pop())
        found = {function for function in functions if not words.isdisjoint(defined(function))} - reached
        reached |= found
        waiting += found
    return [function for function in functions if function in reached]


@functools.cache
def _words(helper: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", helper))


@functools.cache
def defined(helper: str) -> tuple[str, ...]:
    """The functions that a helper's source defines."""
    return tuple(re.findall(r"^def (\w+)", helper, re.MULTILINE))


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
