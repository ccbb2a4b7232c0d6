"""The same computation on many items at once: every tensor gets an axis more, and the graph works on stacks.

Inside, the new axis is always the first. An op gets there by its kind: pointwise ops broadcast, an op with a ``vmap`` rule follows
it, an op that decomposes is taken apart, and what is left is done item by item in a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from graphc import ops
from graphc.core import Bundle, Op, Tensor, TensorType, as_tensor, close, derived_from, describe, input, parts, sizes, toposort, tree
from graphc.core.attributes import axis_of
from graphc.core.errors import ArgumentError, ShapeError, entry
from graphc.core.sizes import Dim
from graphc.grad.control import loop_with_history
from graphc.ops.shape import aligned

Mapped = tuple[Any, bool]
"""A tensor (or the results of a node that has several), and whether it has the new axis."""


def stacked_first(x: Tensor, size: Dim) -> Tensor:
    """``x`` as often as there are items, along a new first axis."""
    return ops.broadcast_to(x, shape=(size, *x.shape))


def batched(outputs: Sequence[Tensor], known: Mapping[Any, Mapped], size: Dim) -> list[Tensor]:
    """The outputs on stacks of ``size`` items, each with the new axis first, given what stands for the nodes below."""
    new: dict[Tensor, Mapped] = dict(known)
    for node in toposort(outputs):
        if node not in new:
            with derived_from(node):
                new[node] = _on_stacks(node, [new[x] for x in node.inputs], size)
    return [x if mapped else stacked_first(x, size) for x, mapped in (new[y] for y in outputs)]


def _on_stacks(node: Tensor, inputs: list[Mapped], size: Dim) -> Mapped:
    op, values = node.op, [x for x, _ in inputs]
    mapped = tuple([m for _, m in inputs])
    if op is None:
        return node, False
    if op is ops.part:
        return values[0][node.attributes["index"]], mapped[0]
    if not any(mapped):
        again = op.apply(tuple(values), node.attrs)
        return (parts(again) if isinstance(node.type, Bundle) else again), False
    attributes = op.keywords(node)
    if op.batch is not None:
        return op.batch(mapped, *values, **attributes), True
    if op.pointwise:
        return op.apply(aligned(mapped, values), node.attrs), True
    if op.expand is not None:
        return _taken_apart(node, op, inputs, size), True
    return _looped(node, op, inputs, size), True


def _taken_apart(node: Tensor, op: Op, inputs: list[Mapped], size: Dim) -> Any:
    assert op.expand is not None
    stand_ins = [input("x", old.shape, old.dtype) for old in node.inputs]
    result: Any = op.expand(*stand_ins, **op.keywords(node))
    several = isinstance(node.type, Bundle)
    found = batched(result if several else (result,), dict(zip(stand_ins, inputs, strict=True)), size)
    return tuple(found) if several else found[0]


def _looped(node: Tensor, op: Op, inputs: list[Mapped], size: Dim) -> Any:
    """One call an item. The mapped operands are the sequences of a loop without a carry, the others what every step reads."""
    order = [i for i, (_, mapped) in enumerate(inputs) if mapped] + [i for i, (_, mapped) in enumerate(inputs) if not mapped]
    stand_ins = [input("x", node.inputs[i].shape, node.inputs[i].dtype) for i in order]
    step = op.apply(tuple([stand_ins[order.index(i)] for i in range(len(order))]), node.attrs)
    results = parts(step) if isinstance(node.type, Bundle) else (step,)
    body, _ = close(stand_ins, results)
    stacks, shared = ([x for x, mapped in inputs if mapped == own] for own in (True, False))
    found = loop_with_history(body, (), stacks, shared, size)
    return found if isinstance(node.type, Bundle) else found[0]


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """``f`` on many items at once, as ``jax.vmap``: a function of tensors with an axis more, which loops over nothing.

    Args:
        f: a function of tensors (or tuples, lists and dicts of them), called once, while the graph is built. Tensors that it reads
            from outside are the same for all items.
        in_axes: where each argument has the axis of the items: a number, the name of a size, or None for an argument that all items
            share; or a tuple, list or dict of these, as the arguments are built. A name stands for the axis of that size, and for
            None in a tensor that has no such axis.
        out_axes: where the results have it: a number for all, or a structure of them.

    Raises:
        ShapeError: two arguments differ in the number of items. ArgumentError: no argument has the axis.
    """

    def call(*arguments: Any) -> Any:
        leaves, rebuild = tree.flatten(arguments)
        tensors = [as_tensor(x) for x in leaves]
        axes = [_axis(axis, x) for axis, x in zip(_spread(in_axes, arguments), tensors, strict=True)]
        size = _items(tensors, axes)
        items = [input(x.label or "x", _without(x.type, axis).shape, x.dtype) for x, axis in zip(tensors, axes, strict=True)]
        results, rebuild_results = tree.flatten(f(*rebuild(items)))
        outputs = [as_tensor(y) for y in results]
        known: dict[Tensor, Mapped] = {
            item: (x if axis is None else ops.moveaxis(x, axis, 0), axis is not None)
            for item, x, axis in zip(items, tensors, axes, strict=True)
        }
        found = batched(outputs, known, size)
        places = _spread(out_axes, rebuild_results(outputs))
        return rebuild_results([ops.moveaxis(y, 0, axis_of(axis, y.ndim)) for y, axis in zip(found, places, strict=True)])

    return entry(call)


def _spread(axes: Any, structure: Any) -> list[Any]:
    """One axis a leaf: the axes have the structure, or stop above it."""
    if isinstance(axes, int | str) or axes is None:
        return [axes] * len(tree.flatten(structure)[0])
    below: Any = structure
    if isinstance(below, Mapping):
        names = list(cast("Mapping[Any, Any]", below))
        axes, below = [axes[name] for name in names], [below[name] for name in names]
    if len(axes) != len(below):
        raise ArgumentError(f"vmap: {len(axes)} axes for {len(below)} tensors", fits="one axis each, or one for all")
    return [axis for one, part in zip(axes, below, strict=True) for axis in _spread(one, part)]


def _axis(axis: Any, x: Tensor) -> int | None:
    if isinstance(axis, str):
        return next((i for i, size in enumerate(x.shape) if sizes.name_of(size) == axis), None)
    return None if axis is None else axis_of(axis, x.ndim)


def _items(tensors: Sequence[Tensor], axes: Sequence[int | None]) -> Dim:
    found = [(x.shape[axis], x) for x, axis in zip(tensors, axes, strict=True) if axis is not None]
    if not found:
        raise ArgumentError(
            "vmap: no argument has the axis of the items", given=[describe(x) for x in tensors], fits="in_axes with an axis"
        )
    if any(size != found[0][0] for size, _ in found):
        raise ShapeError(
            f"vmap: the arguments have {' and '.join(map(str, dict.fromkeys(size for size, _ in found)))} items",
            given=[describe(x) for _, x in found],
            fits="as many items in each; in_axes=None for what all share",
        )
    return found[0][0]


def _without(type: TensorType, axis: int | None) -> TensorType:
    return type if axis is None else type.with_shape(type.shape[:axis] + type.shape[axis + 1 :])
