"""GC2: shapes that fit, but not as meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphc.core import Tensor, Variable, toposort
from graphc.core.attributes import several
from graphc.core.sizes import Size
from graphc.linter.program import LOSSES, Program, name_of
from graphc.linter.rule import Hit, rule


@rule(
    "GC201",
    "warning",
    cure="gc.squeeze(b, axis=-1) or a[:, None], so that both have one shape; x[:, None] - x where all pairs are meant",
    bad="""
    t = gc.input("t", ("batch",))
    x = gc.input("x", ("batch", 4))
    w = gc.variable(gc.init.glorot_uniform((4, 1), seed=0), "w")
    loss = gc.mean(gc.square(t - x @ w))  # here
    """,
    good="""
    t = gc.input("t", ("batch",))
    x = gc.input("x", ("batch", 4))
    w = gc.variable(gc.init.glorot_uniform((4, 1), seed=0), "w")
    loss = gc.mean(gc.square(t - gc.squeeze(x @ w, axis=-1)))
    pairs = t[:, None] - t
    """,
)
def column_beside_row(program: Program) -> Iterator[Hit]:
    """A tensor of shape ``(n,)`` meets one of shape ``(n, 1)``: they broadcast to ``(n, n)``, every number with every other, and a mean of
    that is a number like any other.
    """
    for node in program.forward:
        if node.op is not None and node.op.pointwise and node.ndim == 2 and len(node.inputs) >= 2:
            row = next((x for x in node.inputs if x.ndim == 1 and x.shape[0] != 1), None)
            if row is None:
                continue
            column = next((x for x in node.inputs if x.shape == (row.shape[0], 1)), None)
            if column is not None and not _is_spread(column):
                yield (
                    node,
                    f"{name_of(node)} of shapes ({row.shape[0]},) and ({row.shape[0]}, 1) has the shape ({node.shape[0]}, {node.shape[1]})",
                )


def _is_spread(column: Tensor) -> bool:
    """Whether the column was made of a vector by an index or a new axis, as one does for all pairs."""
    if name_of(column) not in ("getitem", "expand_dims", "reshape"):
        return False
    return column.inputs[0].ndim == 1


@rule(
    "GC202",
    "error",
    cure="gc.sigmoid(x) for one probability of yes, or an axis with more than one class",
    bad="""
    x = gc.input("x", ("batch", 10))
    w = gc.variable(gc.init.glorot_uniform((10, 1), seed=0), "w")
    p = gc.softmax(x @ w)  # here
    """,
    good="""
    x = gc.input("x", ("batch", 10))
    w = gc.variable(gc.init.glorot_uniform((10, 1), seed=0), "w")
    p = gc.sigmoid(x @ w)
    """,
)
def softmax_of_one(program: Program) -> Iterator[Hit]:
    """A softmax over an axis of size 1 is 1 whatever it is given, and its gradient 0; the same goes for a cross-entropy of one class and
    for ``argmax``.
    """
    for node in program.forward:
        name = name_of(node)
        if name in ("softmax", "log_softmax", "argmax", "softmax_crossentropy", "sparse_softmax_crossentropy"):
            x = node.inputs[-1]
            axes: Sequence[int] = several(node.attributes.get("axis", x.ndim - 1))
            if axes and all(x.shape[axis] == 1 for axis in axes):
                yield node, f"{name} over an axis of size 1 does not depend on what it is given"


@rule(
    "GC203",
    "warning",
    cure="axis=-1, the default: the classes",
    bad="""
    x = gc.input("x", ("batch", 10))
    p = gc.softmax(x, axis=0)  # here
    """,
    good="""
    x = gc.input("x", ("batch", 10))
    p = gc.softmax(x, axis=-1)
    """,
)
def softmax_over_the_batch(program: Program) -> Iterator[Hit]:
    """A softmax runs over the axis of the samples, so that what a sample gets depends on the others of its batch."""
    leading = {x.shape[0] for x in program.nodes if x.kind == "input" and x.ndim and isinstance(x.shape[0], Size)}
    for node in program.forward:
        if name_of(node) in ("softmax", "log_softmax") and node.ndim > 1 and node.attributes["axis"] == (0,) and node.shape[0] in leading:
            yield node, f"{name_of(node)} over the axis {node.shape[0]}, that of the samples"


@rule(
    "GC204",
    "note",
    cure="x.T, gc.transpose(x, axes) or gc.moveaxis",
    bad="""
    x = gc.input("x", (28, 30))
    y = x.reshape(30, 28)  # here
    """,
    good="""
    x = gc.input("x", (28, 30))
    y = x.T
    z = x.reshape(15, 56)
    """,
)
def reshape_for_transpose(program: Program) -> Iterator[Hit]:
    """A matrix is reshaped to the shape that its transpose has. That keeps the order in memory, and so mixes rows and columns."""
    for node in program.forward:
        if name_of(node) == "reshape" and node.ndim == 2 == node.inputs[0].ndim and 1 not in node.shape:
            before = node.inputs[0].shape
            if node.shape == before[::-1] and before[0] != before[1]:
                yield node, f"a reshape from {before} to {node.shape} is no transpose"


@rule(
    "GC205",
    "warning",
    cure="gc.mean(loss), or gc.sum",
    bad="""
    x, t = gc.input("x", ("batch", 10)), gc.input("t", ("batch",), dtype="int32")
    w = gc.variable(gc.init.glorot_uniform((10, 3), seed=0), "w")
    loss = gc.sparse_categorical_crossentropy(t, x @ w, from_logits=True)  # here
    """,
    good="""
    x, t = gc.input("x", ("batch", 10)), gc.input("t", ("batch",), dtype="int32")
    w = gc.variable(gc.init.glorot_uniform((10, 3), seed=0), "w")
    loss = gc.mean(gc.sparse_categorical_crossentropy(t, x @ w, from_logits=True))
    """,
)
def loss_of_each_sample(program: Program) -> Iterator[Hit]:
    """What is called a loss, and depends on variables, is not one number: ``gc.grad`` refuses it, and a mean or a sum decides the scale."""
    for node in dict.fromkeys(root for graph in program.graphs for root in graph.outputs):
        called = program.called(node)
        if node.op is None or not node.ndim or called.rpartition("/")[2].lower() not in LOSSES:
            continue
        if not any(reader.forward is None for reader in program.readers[node]) and _depends_on_variables(node):
            yield node, f"{called} is not one number: its shape is ({', '.join(map(str, node.shape))})"


def _depends_on_variables(node: Tensor) -> bool:
    return any(isinstance(x, Variable) for x in toposort([node]))
