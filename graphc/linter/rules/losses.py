"""GC4: losses that are given something other than what they take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from graphc.core import Constant, Tensor
from graphc.linter.program import MOVING, Program, moved, name_of, value_of
from graphc.linter.rule import Hit, rule
from graphc.ranges import peeled

_FROM_LOGITS: Final = ("softmax_crossentropy", "sparse_softmax_crossentropy", "sigmoid_crossentropy")
_PROBABILITIES: Final = ("softmax", "sigmoid", "hard_sigmoid", "ndtr")
_LINEAR: Final = ("add", "subtract", "matmul", "einsum", "convolution", "multiply", "moved_product", "turned_product")


@rule(
    "GC401",
    "warning",
    cure="the logits themselves, without the softmax or sigmoid; or from_logits=False",
    bad="""
    x, t = gc.input("x", ("batch", 10)), gc.input("t", ("batch",), dtype="int32")
    p = gc.softmax(x)
    loss = gc.mean(gc.sparse_categorical_crossentropy(t, p, from_logits=True))  # here
    """,
    good="""
    x, t = gc.input("x", ("batch", 10)), gc.input("t", ("batch",), dtype="int32")
    loss = gc.mean(gc.sparse_categorical_crossentropy(t, x, from_logits=True))
    same = gc.mean(gc.sparse_categorical_crossentropy(t, gc.softmax(x)))
    """,
)
def probabilities_as_logits(program: Program) -> Iterator[Hit]:
    """A loss that takes logits is given probabilities, so a softmax is taken of a softmax: the loss never comes near 0, and it learns
    slowly, and nothing says so.
    """
    for node in program.forward:
        if name_of(node) in _FROM_LOGITS:
            given = moved(node.inputs[1])
            if name_of(given) in _PROBABILITIES:
                yield node, f"the loss takes logits, and is given the {name_of(given)} of them"


@rule(
    "GC402",
    "warning",
    cure="from_logits=True, or gc.softmax (gc.sigmoid) of the output",
    bad="""
    x, t = gc.input("x", ("batch", 4)), gc.input("t", ("batch",), dtype="int32")
    w = gc.variable(gc.init.glorot_uniform((4, 3), seed=0), "w")
    loss = gc.mean(gc.sparse_categorical_crossentropy(t, x @ w))  # here
    """,
    good="""
    x, t = gc.input("x", ("batch", 4)), gc.input("t", ("batch",), dtype="int32")
    w = gc.variable(gc.init.glorot_uniform((4, 3), seed=0), "w")
    loss = gc.mean(gc.sparse_categorical_crossentropy(t, x @ w, from_logits=True))
    """,
)
def logits_as_probabilities(program: Program) -> Iterator[Hit]:
    """A loss that takes probabilities is given numbers that may be negative or above 1: they are clipped to ``[1e-7, 1 - 1e-7]``, and
    where they are, nothing is learned.
    """
    for node in program.forward:
        if name_of(node) == "clip" and _is_bounding(node) and any(_is_logarithm(reader) for reader in program.readers[node]):
            given = _predicted(node.inputs[0])
            known = program.ranges[given]
            computed = name_of(given) in _LINEAR or known.known
            if computed and given.op is not None and (known.low < 0 or known.high > 1) and not _is_share(given):
                yield node, f"the loss takes probabilities, and is given the result of {name_of(given)}, which may be any number"


def _is_bounding(node: Tensor) -> bool:
    low, high = value_of(node.inputs[1]), value_of(node.inputs[2])
    return isinstance(low, float) and isinstance(high, float) and 0 < low < 1e-3 and 0.99 < high <= 1


def _is_logarithm(node: Tensor) -> bool:
    return name_of(node) == "log" or (name_of(node) in ("negative", "subtract") and node.forward is None)


def _predicted(node: Tensor) -> Tensor:
    """What the loss was given: under the division by its sum and the choice of the true class."""
    while name_of(node) in MOVING:
        node = node.inputs[0]
    if name_of(node) == "divide" and _is_share(node):
        return moved(node.inputs[0])
    return node


def _is_share(node: Tensor) -> bool:
    if name_of(node) != "divide":
        return False
    total = peeled(node.inputs[1], ("expand_dims", "reshape", "broadcast_to", "cast"))
    return name_of(total) == "sum" and moved(total.inputs[0]) is moved(node.inputs[0])


@rule(
    "GC403",
    "warning",
    cure="one softmax",
    bad="""
    x = gc.input("x", ("batch", 10))
    p = gc.softmax(x)
    q = gc.softmax(p)  # here
    """,
    good="""
    x = gc.input("x", ("batch", 10))
    p = gc.softmax(x)
    """,
)
def softmax_twice(program: Program) -> Iterator[Hit]:
    """A softmax, or a sigmoid, is taken of probabilities: of ten classes none gets more than 0.23."""
    for node in program.forward:
        if name_of(node) in ("softmax", "log_softmax", "sigmoid", "log_sigmoid"):
            inner = peeled(node.inputs[0], ("cast", "reshape", "expand_dims"))
            if name_of(inner) in _PROBABILITIES:
                yield node, f"the {name_of(node)} of a {name_of(inner)}"


@rule(
    "GC404",
    "warning",
    cure="logits without an activation",
    bad="""
    x = gc.input("x", ("batch", 4))
    w = gc.variable(gc.init.glorot_uniform((4, 3), seed=0), "w")
    p = gc.softmax(gc.relu(x @ w))  # here
    """,
    good="""
    x = gc.input("x", ("batch", 4))
    w = gc.variable(gc.init.glorot_uniform((4, 3), seed=0), "w")
    p = gc.softmax(x @ w)
    """,
)
def relu_of_logits(program: Program) -> Iterator[Hit]:
    """Logits go through a relu before a softmax, a sigmoid or a loss: classes that are ruled out all weigh the same, and where the relu is
    0 nothing is learned.
    """
    for node in program.forward:
        if name_of(node) in ("softmax", "log_softmax", "sigmoid", "log_sigmoid", *_FROM_LOGITS):
            given = moved(node.inputs[-1])
            if name_of(given) == "relu" and not isinstance(given.inputs[0], Constant):
                yield node, f"{name_of(node)} is given the relu of its logits"
