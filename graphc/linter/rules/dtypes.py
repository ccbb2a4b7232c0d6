"""GC3: dtypes that are wider, narrower or other than meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from graphc.core import Constant, Tensor, Variable, dtypes, toposort
from graphc.linter.program import MOVING, Program, moved, name_of
from graphc.linter.rule import Hit, rule
from graphc.ranges import peeled

_NARROW: Final = ("float32", "float16", "bfloat16")
_ASKED: Final = re.compile(r"cast\(|astype|float64|complex128|double")


@rule(
    "GC301",
    "warning",
    cure='a Python number instead of np.float64, array.astype("float32"), gc.variable(value, dtype="float32")',
    bad="""
    x = gc.input("x", ("batch", 10))
    y = x * np.sqrt(2.0)  # here
    """,
    good="""
    x = gc.input("x", ("batch", 10))
    y = x * 2.0**0.5
    """,
)
def float64_leak(program: Program) -> Iterator[Hit]:
    """A float32 tensor meets a float64 one (``np.sqrt(2)`` is one, and so is an array of Python's numbers) and becomes float64 itself:
    everything after it takes twice the memory and time, on accelerators much more.
    """
    for node in program.forward:
        if node.op is None or node.dtype not in ("float64", "complex128") or not node.op.promote:
            continue
        if node.origin is not None and "metrics" in node.origin.scope:
            continue  # a model's metrics add up in float64 where that is needed, and nothing is learned from them
        widened = [x for x in node.inputs if name_of(x) == "cast" and x.forward is None and x.inputs[0].dtype in _NARROW]
        wide = [x for x in node.inputs if x not in widened and x.dtype == node.dtype]
        if widened and any(map(_is_wide_itself, wide)) and not _ASKED.search(program.text(node)):
            yield node, f"{widened[0].inputs[0].dtype} meets {node.dtype} in {name_of(node)}, and all that follows is {node.dtype}"


def _is_wide_itself(node: Tensor) -> bool:
    """Whether no narrower float went into it, which would have been widened before, and it is no weight of integers (GC305)."""
    if isinstance(moved(node), Variable) and dtypes.is_integer(moved(node).dtype):
        return False
    return all(not dtypes.is_float(x.dtype) or x.dtype == "float64" for x in toposort([node]))


@rule(
    "GC302",
    "note",
    cure="a // b, which is exact for integers of any size; for quotients that are to be rounded towards 0, gc.trunc says so",
    bad="""
    n = gc.input("n", ("batch",), dtype="int64")
    half = gc.cast(n / 2, "int64")  # here
    """,
    good="""
    n = gc.input("n", ("batch",), dtype="int64")
    half = n // 2
    towards_zero = gc.cast(gc.trunc(n / 2), "int64")
    """,
)
def quotient_of_integers(program: Program) -> Iterator[Hit]:
    """Integers are divided as floats, and the quotient is cut off to an integer: it is wrong above 2⁵³, and rounds towards 0 where ``//``
    rounds down.
    """
    for node in program.forward:
        quotient = node.inputs[0] if name_of(node) == "cast" and dtypes.is_integer(node.dtype) else node
        if name_of(quotient) == "divide" and quotient is not node and all(map(_is_integer, quotient.inputs)):
            yield node, "a quotient of integers goes through floats, and is cut off"


def _is_integer(node: Tensor) -> bool:
    value = node.uniform if isinstance(node, Constant) else None
    return dtypes.is_integer(peeled(node, ("cast",)).dtype) or (isinstance(value, int | float) and float(value).is_integer())


@rule(
    "GC303",
    "note",
    cure="one of the two casts, or gc.trunc, gc.round, gc.floor if the fraction is to go",
    bad="""
    x = gc.input("x", ("batch",))
    y = gc.cast(gc.cast(x, "float16"), "float32")  # here
    """,
    good="""
    x = gc.input("x", ("batch",))
    y = gc.cast(gc.exp(gc.cast(x, "float16")), "float32")
    z = gc.trunc(x)
    """,
)
def cast_down_and_up(program: Program) -> Iterator[Hit]:
    """A value is cast to a narrower dtype and back, with nothing computed between: digits are lost, a float16 overflows above 65,504, and
    where the narrow one is an integer the gradient is 0.
    """
    for node in program.forward:
        inner = node.inputs[0] if name_of(node) == "cast" else node
        if name_of(inner) == "cast" and inner is not node:
            dtype = inner.inputs[0].dtype
            if node.dtype == dtype and dtypes.is_float(dtype) and _is_narrower(inner.dtype, dtype):
                yield node, f"{dtype} is cast to {inner.dtype} and back"


def _is_narrower(a: str, b: str) -> bool:
    return dtypes.is_integer(a) or (dtypes.is_float(a) and dtypes.itemsize(a) < dtypes.itemsize(b))


@rule(
    "GC304",
    "warning",
    cure="a smooth form: gc.sigmoid for a threshold, gc.softmax for argmax; gc.custom_gradient for a straight-through estimate",
    bad="""
    x = gc.input("x", ("batch", 4))
    w = gc.variable(gc.init.glorot_uniform((4, 3), seed=0), "w")
    loss = gc.mean(gc.round(x @ w))  # here
    slope = gc.grad(loss, w)
    """,
    good="""
    x = gc.input("x", ("batch", 4))
    w = gc.variable(gc.init.glorot_uniform((4, 3), seed=0), "w")
    loss = gc.mean(gc.tanh(x @ w))
    slope = gc.grad(loss, w)
    """,
)
def gradient_that_is_zero(program: Program) -> Iterator[Hit]:
    """Every way from a float variable to the loss goes through an op whose derivative is 0 everywhere: rounding, a comparison, a cast to an
    integer, ``argmax``. The variable does not learn. With respect to an integer, and where there is no way at all, ``gc.grad`` raises.
    """
    losses = [root for graph in program.graphs for root in graph.outputs if program.is_loss(root)]
    open_, ends = _slopes(losses)
    learned = {x for x in toposort(losses) if isinstance(x, Variable) and dtypes.is_inexact(x.dtype) and x not in open_}
    for end in ends if learned else ():
        cut = [x for x in toposort([end]) if x in learned]
        learned.difference_update(cut)
        if cut:
            called = ", ".join([str(x.label or "a variable") for x in cut])
            yield end, f"{name_of(end)} has the derivative 0 everywhere, and {called} reaches the loss by no other way"


def _slopes(roots: list[Tensor]) -> tuple[set[Tensor], list[Tensor]]:
    """What the roots depend on with a slope, and the ops at which slopes end."""
    found: set[Tensor] = set()
    ends: list[Tensor] = []
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found.add(node)
        if node.op is not None and _is_flat(node):
            ends.append(node)
        else:
            waiting += node.inputs
    return found.difference(ends), ends


def _is_flat(node: Tensor) -> bool:
    """Whether the derivative is 0 everywhere, and was not asked to be."""
    assert node.op is not None
    if name_of(node) == "stop_gradient":
        return False
    return bool(node.op.zero_gradient) or (name_of(node) == "cast" and not dtypes.is_inexact(node.dtype))


@rule(
    "GC305",
    "warning",
    cure='gc.variable([1.0, 2.0]) or gc.variable(value, dtype="float32")',
    bad="""
    x = gc.input("x", ("batch", 2))
    w = gc.variable([1, 2], "w")  # here
    loss = gc.mean(gc.square(gc.sum(x * w, axis=-1) - 1.0))
    """,
    good="""
    x = gc.input("x", ("batch", 2))
    w = gc.variable([1.0, 2.0], "w")
    loss = gc.mean(gc.square(gc.sum(x * w, axis=-1) - 1.0))
    """,
)
def integer_weight(program: Program) -> Iterator[Hit]:
    """A variable of integers is multiplied with floats on its way to a loss. It has no gradient (``gc.grad`` refuses it), and in float32 it
    makes a float64 graph.
    """
    updated = {variable for graph in program.graphs for variable in graph.updates or {}}
    for variable in program.nodes:
        if not isinstance(variable, Variable) or not dtypes.is_integer(variable.dtype) or variable in updated or not variable.ndim:
            continue
        if any(_multiplies(reader, program) for reader in program.readers[variable]):
            yield variable, f"{variable.label or 'a variable'} is {variable.dtype}, is multiplied with floats, and cannot be trained"


def _multiplies(reader: Tensor, program: Program) -> bool:
    if name_of(reader) not in MOVING or reader.forward is not None:
        return False
    if name_of(reader) == "cast" and dtypes.is_inexact(reader.dtype):
        return any(name_of(node) in ("multiply", "matmul", "einsum", "convolution") for node in program.readers[reader])
    return any(_multiplies(node, program) for node in program.readers[reader])
