"""JAX source of equal layers: a loop over them, or a function that each of them calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from graphc.core import Constant, Tensor, TensorType
from graphc.lower.rolling import Calls, Items, Loop
from graphc.lower.source.lines import comment
from graphc.lower.source.writer import Writer, written_shape


def node_line(w: Writer, node: Tensor) -> str:
    """The line that computes a node, which has its name from then on."""
    assert node.op is not None
    text = w.expression(node)
    w.name[node] = w.local(node.label)
    return comment(f"{w.name[node]} = {text}", node, node.op.name, w.schedule.lines.get(node))


def function_lines(w: Writer, name: str, calls: Calls) -> Iterator[str]:
    """The function that the layers call. JAX traces and lowers it once; XLA puts it in each place."""
    own = replace(w.schedule, inputs=(), variables=(), constants=(), hoisted=(), steps=calls.nodes, outputs=(), updates={})
    inner = Writer(own, "jax", w)
    inner.name |= {x: w.name[x] for node in calls.nodes for x in node.inputs if isinstance(x, Constant)}
    for x in calls.arguments[0]:
        inner.name[x] = inner.names.fresh(x.label, "x")
    parameters = ", ".join([inner.name[x] for x in calls.arguments[0]])
    lines = [node_line(inner, node) for node in calls.nodes]
    lines.append(f"return {', '.join([inner.name[node] for node in calls.results[0]])}")
    yield from ["", "@jax.jit", f"{f'def {name}({parameters}):':<52}  # each of {len(calls.arguments)} equal layers", *_indented(lines), ""]


def call_lines(w: Writer, name: str, calls: Calls) -> Iterator[str]:
    """The calls, a line for each layer."""
    for arguments, results in zip(calls.arguments, calls.results, strict=True):
        given = ", ".join([w.name[x] for x in arguments])
        for node in results:
            w.name[node] = w.local(node.label)
        yield comment(f"{', '.join([w.name[node] for node in results])} = {name}({given})", results[-1])


def loop_lines(w: Writer, name: str, loop: Loop) -> Iterator[str]:
    """The loop: the function of one layer, and the ``scan`` over all of them."""
    given = [items for items in loop.items if items.aligned(loop.count)]
    indexed = [items for items in loop.items if items not in given]
    index = w.local("i") if indexed else ""
    start = [w.name[carry.before] if carry.before is not None else _zeros(w, carry.after.type) for carry in loop.carries]
    sequences = [*[w.name[items.stack] for items in given], *([f"jnp.arange({loop.count})"] if index else [])]
    firsts = [*[carry.before for carry in loop.carries if carry.before is not None], *[items.first for items in loop.items]]
    around = {x: w.name[x] for x in firsts if x in w.name}

    reads = [_read(w, items, index) for items in indexed]
    carried = [_named(w, carry.before) if carry.before is not None else w.local("_") for carry in loop.carries]
    parts = [*[_named(w, items.first) for items in given], *([index] if index else [])]
    lines = [*_unpacked(carried, "carry"), *_unpacked(parts, "items")]
    lines += [comment(f"{_named(w, items.first)} = {text}", items.first) for items, text in zip(indexed, reads, strict=True)]
    lines += [node_line(w, node) for node in loop.nodes]
    lines.append(f"return {_tuple([w.name[carry.after] for carry in loop.carries])}, {_tuple([w.name[node] for node, _ in loop.told])}")
    yield f"{f'def {name}(carry, items):':<48}  # each of {loop.count} equal layers{', the last one first' if loop.reverse else ''}"
    yield from _indented(lines)

    for x in (*loop.nodes, *firsts):  # these names are the function's own
        w.name.pop(x, None)
    w.name |= around
    last = [_named(w, carry.last) if carry.last is not None else "_" for carry in loop.carries]
    options = [*([f"length={loop.count}"] if not sequences else []), *(["reverse=True"] if loop.reverse else [])]
    arguments = ", ".join([name, _tuple(start), _tuple(sequences), *options])
    told = _tuple([_named(w, stack) for _, stack in loop.told])
    yield comment(f"{_tuple(last)}, {told} = jax.lax.scan({arguments})", loop.nodes[-1])
    w.name |= {node: f"{w.name[stack]}[{item}]" for node, (stack, item) in loop.single.items()}


def _read(w: Writer, items: Items, index: str) -> str:
    """The item of a layer by its index."""
    place = {(1, 0): index, (1, 1): f"{index} + {items.shift}", (1, -1): f"{index} - {-items.shift}"}.get(
        (items.slope, (items.shift > 0) - (items.shift < 0)), f"{items.shift} - {index}"
    )
    text = f"jax.lax.dynamic_index_in_dim({w.name[items.stack]}, {place}, keepdims=False)"
    for i, x in items.others.items():
        text = f"jnp.where({index} == {i}, {w.name[x]}, {text})"
    return text


def _zeros(w: Writer, type: TensorType) -> str:
    return f"jnp.zeros({written_shape(type.shape)}, {w.dtype(type.dtype)})"


def _named(w: Writer, node: Tensor) -> str:
    w.name[node] = w.local(node.label)
    return w.name[node]


def _unpacked(names: Sequence[str], source: str) -> list[str]:
    return [f"{', '.join(names)}{',' if len(names) == 1 else ''} = {source}"] if names else []


def _tuple(names: Sequence[str]) -> str:
    return f"({', '.join(names)}{',' if len(names) == 1 else ''})"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
