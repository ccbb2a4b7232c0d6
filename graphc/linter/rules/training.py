"""GC5: networks that cannot learn, and parts of a program that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from graphc.core import Tensor, Variable, dtypes, toposort
from graphc.linter.program import Program, differentiated, moved, name_of
from graphc.linter.rule import Hit, rule

_PRODUCTS: Final = ("matmul", "convolution", "einsum", "moved_product", "turned_product")
_RELUS: Final = ("relu", "relu6")


@rule(
    "GC501",
    "warning",
    cure="gc.init.he_normal for the weights and gc.init.zeros for the bias",
    bad="""
    x = gc.input("x", ("batch", 4))
    w = gc.variable(gc.init.glorot_uniform((4, 8), seed=0), "w")
    b = gc.variable(np.full(8, -10.0, "float32"), "b")
    h = gc.relu(x @ w + b)  # here
    """,
    good="""
    x = gc.input("x", ("batch", 4))
    w = gc.variable(gc.init.he_normal((4, 8), seed=0), "w")
    b = gc.variable(gc.init.zeros((8,)), "b")
    h = gc.relu(x @ w + b)
    """,
)
def dead_relu(program: Program) -> Iterator[Hit]:
    """Every unit of a relu starts where it is 0, and so is its gradient: the weights before it are 0, or the bias is so far below 0 that
    inputs of mean 0 and variance 1 do not lift it (it is below minus two deviations of the sum).
    """
    for node in program.forward:
        if name_of(node) not in _RELUS:
            continue
        weight, bias = _layer(node.inputs[0])
        if weight is None or not weight.size:
            continue
        values, shift = _values(weight), None if bias is None else _values(bias)
        most = 0.0 if shift is None or not shift.size else float(shift.max())
        if not values.any() and most <= 0:
            yield node, f"the weights {weight.label or ''} are all 0, so every unit is 0, and so is its gradient".replace("  ", " ")
        elif most < 0 and most < -2 * _deviation(values):
            yield node, f"the bias {bias.label if bias is not None else ''} is at most {most:.3g}, so every unit is 0 at the start"


def _layer(node: Tensor) -> tuple[Variable | None, Variable | None]:
    """The weights and the bias of ``x @ w + b``."""
    bias = None
    if name_of(node) == "add":
        leaves = [moved(x) for x in node.inputs]
        bias = next((x for x in leaves if isinstance(x, Variable)), None)
        node = next((x for x in node.inputs if moved(x) is not bias), node)
    node = moved(node)
    if name_of(node) not in _PRODUCTS:
        return None, None
    return next((x for x in map(moved, node.inputs) if isinstance(x, Variable)), None), bias


def _values(variable: Variable) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    value = variable.value
    return np.asarray(value.real if np.iscomplexobj(value) else value, "float64")


def _deviation(weights: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """The standard deviation of a sum of products with inputs of variance 1; the last axis is that of the units."""
    fan_in = weights.size // max(1, weights.shape[-1])
    return float(np.sqrt(np.mean(np.square(weights)) * fan_in))


@rule(
    "GC502",
    "warning",
    cure="random weights: gc.init.glorot_uniform, gc.init.he_normal",
    bad="""
    x = gc.input("x", ("batch", 4))
    w1 = gc.variable(np.full((4, 8), 0.1, "float32"), "w1")
    w2 = gc.variable(gc.init.glorot_uniform((8, 3), seed=0), "w2")
    y = gc.tanh(x @ w1) @ w2  # here
    """,
    good="""
    x = gc.input("x", ("batch", 4))
    w1 = gc.variable(gc.init.glorot_uniform((4, 8), seed=1), "w1")
    w2 = gc.variable(gc.init.zeros((8, 3)), "w2")
    y = gc.tanh(x @ w1) @ w2
    """,
)
def equal_units(program: Program) -> Iterator[Hit]:
    """All weights of a hidden layer are one number, so that its units compute the same. Their gradients differ by the weights after them
    alone, and such a layer learns little more than one unit would. The last layer may start so.
    """
    for node in program.forward:
        if name_of(node) not in _PRODUCTS:
            continue
        weight = next((x for x in map(moved, node.inputs) if isinstance(x, Variable)), None)
        if weight is None or weight.ndim < 2 or weight.shape[-1] == 1 or not dtypes.is_inexact(weight.dtype) or not weight.size:
            continue
        values = _values(weight)
        if (values == values.flat[0]).all() and _is_hidden(program, node) and not (_feeds_relu(program, node) and not values.any()):
            yield node, f"all weights of {weight.label or 'a layer'} are {values.flat[0]:.3g}, so its units compute the same"


def _is_hidden(program: Program, product: Tensor) -> bool:
    """Whether what comes of it goes through an op that bends it, and into another product with weights."""
    seen, waiting = {product}, [(product, False)]
    while waiting:
        node, bent = waiting.pop()
        for reader in program.readers[node]:
            if reader.forward is not None or reader in seen or reader.op is None:
                continue
            seen.add(reader)
            if name_of(reader) in _PRODUCTS:
                if bent and any(isinstance(moved(x), Variable) for x in reader.inputs):
                    return True
            elif reader.op.pointwise:
                waiting.append((reader, bent or name_of(reader) not in ("add", "subtract", "multiply", "cast")))
            elif name_of(reader) in ("reshape", "transpose", "expand_dims", "window_max", "window_sum"):
                waiting.append((reader, bent))
    return False


def _feeds_relu(program: Program, product: Tensor) -> bool:
    """Whether ``dead-relu`` says it already."""
    readers = [reader for reader in program.readers[product] if reader.forward is None]
    after = [second for reader in readers if name_of(reader) == "add" for second in program.readers[reader]]
    return any(name_of(reader) in _RELUS for reader in [*readers, *after])


@rule(
    "GC503",
    "warning",
    cure="the variable among those of gc.grad and of updates=; gc.stop_gradient(w) says that it is to stay as it is",
    bad="""
    x, t = gc.input("x", ("batch", 4)), gc.input("t", ("batch", 1))
    w = gc.variable(gc.init.glorot_uniform((4, 1), seed=0), "w")
    b = gc.variable(gc.init.zeros((1,)), "b")
    loss = gc.mean(gc.square(x @ w + b - t))  # here
    step = gc.compile([x, t], loss, updates={w: w - 0.1 * gc.grad(loss, w)})
    """,
    good="""
    x, t = gc.input("x", ("batch", 4)), gc.input("t", ("batch", 1))
    w = gc.variable(gc.init.glorot_uniform((4, 1), seed=0), "w")
    b = gc.variable(gc.init.zeros((1,)), "b")
    loss = gc.mean(gc.square(x @ w + b - t))
    slopes = gc.grad(loss, [w, b])
    step = gc.compile([x, t], loss, updates={v: v - 0.1 * g for v, g in zip([w, b], slopes)})
    """,
)
def missed_update(program: Program) -> Iterator[Hit]:
    """A step of training leaves a variable as it is that the loss depends on as it does on those that are trained. Variables of layers
    with ``trainable=False`` are not meant.
    """
    for graph in program.graphs:
        if not graph.updates:
            continue
        nodes = toposort(graph.roots)
        if all(node.forward is None for node in nodes):
            continue
        trained = differentiated(nodes)
        for variable in nodes:
            left = isinstance(variable, Variable) and variable not in graph.updates and variable not in graph.frozen
            if not left or not dtypes.is_inexact(variable.dtype) or not variable.ndim:
                continue
            reader = next((node for node in nodes if node.forward is None and variable in node.inputs and node in trained), None)
            if reader is not None and name_of(reader) != "stop_gradient":
                yield reader, f"{variable.label or 'a variable'} is not among the updates, and the loss depends on it"


@rule(
    "GC504",
    "note",
    cure="the list of inputs without it, or the graph with it",
    bad="""
    x = gc.input("x", ("batch", 4))
    y = gc.input("y", ("batch", 4))  # here
    f = gc.compile([x, y], gc.sum(x * x))
    """,
    good="""
    x = gc.input("x", ("batch", 4))
    y = gc.input("y", ("batch", 4))
    f = gc.compile([x, y], gc.sum(x * y))
    """,
)
def unused_input(program: Program) -> Iterator[Hit]:
    """A function takes an input that none of its outputs and updates reads. Each call has to bring a value for it."""
    for graph in program.graphs:
        read = set(toposort(graph.roots)) if graph.inputs else set[Tensor]()
        for x in graph.inputs or ():
            if x not in read:
                yield x, f"{graph.name or 'the function'} takes {x.label or 'an input'}, and nothing reads it"


@rule(
    "GC505",
    "note",
    cure="the program without it, or a graph that reads it",
    bad="""
    x = gc.input("x", ("batch", 4))
    w = gc.variable(gc.init.glorot_uniform((4, 3), seed=0), "w")
    b = gc.variable(gc.init.zeros((3,)), "b")  # here
    f = gc.compile([x], x @ w)
    """,
    good="""
    x = gc.input("x", ("batch", 4))
    w = gc.variable(gc.init.glorot_uniform((4, 3), seed=0), "w")
    b = gc.variable(gc.init.zeros((3,)), "b")
    f = gc.compile([x], x @ w + b)
    """,
)
def unused_variable(program: Program) -> Iterator[Hit]:
    """A variable of the program is read by none of its graphs: a bias that was never added."""
    read = set(program.nodes) | {variable for graph in program.graphs for variable in graph.updates or {}}
    for name, variable in program.known.items():
        if variable not in read:
            yield variable, f"no graph reads {variable.label or name}"


@rule(
    "GC506",
    "warning",
    cure="training=False for the layer, or no dropout where nothing is trained",
    bad="""
    x = gc.input("x", ("batch", 4))
    layer = gc.nn.layers.Dropout(0.5)  # here
    y = layer(x, training=True)
    predict = gc.compile([x], y)
    """,
    good="""
    x = gc.input("x", ("batch", 4))
    layer = gc.nn.layers.Dropout(0.5)
    y = layer(x, training=False)
    predict = gc.compile([x], y)
    """,
)
def dropout_in_inference(program: Program) -> Iterator[Hit]:
    """A function that trains nothing draws random numbers in a layer of regularisation (dropout, noise): its answers differ from call to
    call, or are all disturbed in one way.
    """
    for graph in program.graphs:
        nodes = toposort(graph.roots)
        if graph.inputs is None or any(node.forward is not None for node in nodes):
            continue
        for node in nodes:
            groups = node.origin.scope if name_of(node) == "random_bits" and node.origin is not None else ()
            layer = groups[-1] if groups else ""
            if "dropout" in layer or "noise" in layer:
                yield node, f"the layer {layer} draws random numbers in a function that trains nothing"
