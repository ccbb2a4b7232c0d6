"""A graph as a listing: one node a line, each after its operands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphc.core import Constant, Tensor, toposort
from graphc.show.names import owned, short_number
from graphc.show.notation import leaf_number
from graphc.show.template import value_text

_SHOWN = 4  # elements of an array that are written out


def listing(roots: Tensor | Iterable[Tensor]) -> str:
    """The graph as text, in an order in which it could be computed; the same text for the same graph, always.

    A comment has the label and the user's line. A node of a gradient names the forward node that it belongs to::

        %0 : f32[batch, 784] = input x           # train.py:9
        %1 : f32[784, 512]   = variable w        # train.py:11
        %2 : f32[batch, 512] = matmul(%0, %1)    # train.py:12
        %3 : f32[batch, 512] = relu(%2)          # h, train.py:12
        return %3
    """
    wanted = [roots] if isinstance(roots, Tensor) else list(roots)
    nodes = toposort(wanted)
    numbers = {node: f"%{i}" for i, node in enumerate(nodes)}
    own = owned(nodes)
    rows = [(numbers[node], str(node.type), _call(node, numbers), _comment(node, numbers, node in own)) for node in nodes]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    statement = min(max((len(row[2]) for row in rows), default=0), 60)
    lines = [
        f"{number:<{widths[0]}} : {type:<{widths[1]}} = " + (f"{call:<{statement}}  # {comment}" if comment else call)
        for number, type, call, comment in rows
    ]
    return "\n".join([*lines, f"return {', '.join(numbers[root] for root in wanted)}".rstrip()])


def _call(node: Tensor, numbers: Mapping[Tensor, str]) -> str:
    if node.op is None:
        return f"{node.kind} {_leaf(node)}".rstrip()
    attributes = [f"{name}={value_text(value)}" for name, value in node.attributes.items()]
    return f"{node.op.name}({', '.join([*(numbers[x] for x in node.inputs), *attributes])})"


def _leaf(node: Tensor) -> str:
    if not isinstance(node, Constant):
        return _line(node.label or "")
    number = leaf_number(node)
    if number is not None:
        return number
    flat = node.value.reshape(-1)
    first = [short_number(value) for value in flat[:_SHOWN]]
    return f"[{', '.join([*first, '...'] if flat.size > _SHOWN else first)}]"


def _comment(node: Tensor, numbers: Mapping[Tensor, str], own: bool) -> str:
    parts = [_line(node.label or "") if node.op is not None or isinstance(node, Constant) else ""]
    if own:
        parts.append(str(node.origin or ""))
        parts.append(f"gradient of {numbers[node.forward]}" if node.forward is not None and node.forward in numbers else "")
    return ", ".join(part for part in parts if part)


def _line(text: str) -> str:
    return " ".join(text.split())
