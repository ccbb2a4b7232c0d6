"""A graph as a listing: one node a line, each after its operands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphc.core import Bundle, Constant, Subgraph, Tensor, toposort
from graphc.show.bodies import Body, bodies_of, is_part, shown_attributes
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

    What a loop, a branch or a call does stands below its node, with numbers of its own; a body that comes twice is written once::

        %3 : (f32[4], f32[time, 4]) = scan(%0, %1, %2, length=time, reverse=False, truncate=None, history=())
            body(carry p0: f32[4], item p1: f32[4], read p2: f32[4, 4]):
                %0 : f32[4] = matmul(p0, p2)
                %1 : f32[4] = add(%0, p1)
                %2 : f32[4] = tanh(%1)
                return %2, %2
        %4 : f32[time, 4]           = %3[1]
    """
    wanted = [roots] if isinstance(roots, Tensor) else list(roots)
    return "\n".join(_block(wanted, (), "", {}))


def _block(wanted: Sequence[Tensor], parameters: Sequence[Tensor], path: str, written: dict[Subgraph, str]) -> list[str]:
    """The lines of a graph or a body; ``path`` leads to it, and ``written`` tells where the bodies stand that came before."""
    names = {x: f"p{i}" for i, x in enumerate(parameters)}
    nodes = [node for node in toposort(wanted) if node not in names]
    numbers = names | {node: f"%{i}" for i, node in enumerate(nodes)}
    own = owned(nodes)
    rows = [(numbers[node], str(node.type), _call(node, numbers), _comment(node, numbers, node in own)) for node in nodes]
    single = [row for node, row in zip(nodes, rows, strict=True) if not isinstance(node.type, Bundle)]
    widths = [max((len(row[column]) for row in single), default=0) for column in range(2)]
    statement = min(max((len(row[2]) for row in rows), default=0), 60)
    lines: list[str] = []
    for node, (number, type, call, comment) in zip(nodes, rows, strict=True):
        line = f"{number:<{widths[0]}} : {type:<{widths[1]}} = "
        lines.append(line + (f"{call:<{statement}}  # {comment}" if comment else call))
        lines += [f"    {line}" for body in _bodies(node) for line in _body(body, f"{path}{number}.{body.name}", written)]
    return [*lines, f"return {', '.join(numbers[root] for root in wanted)}".rstrip()]


def _bodies(node: Tensor) -> list[Body]:
    return bodies_of(node) if node.attrs else []


def _body(body: Body, path: str, written: dict[Subgraph, str]) -> list[str]:
    if body.graph in written:
        return [f"{body.name}: that of {written[body.graph]}"]
    written[body.graph] = path
    parameters = body.graph.parameters
    head = ", ".join(f"{role} p{i}: {p.type}" for i, (role, p) in enumerate(zip(body.roles, parameters, strict=True)))
    lines = _block(body.graph.outputs, parameters, f"{path}.", written)
    return [f"{body.name}({head}):", *(f"    {line}" for line in lines)]


def _call(node: Tensor, numbers: Mapping[Tensor, str]) -> str:
    if node.op is None:
        return f"{node.kind} {_leaf(node)}".rstrip()
    if is_part(node):
        return f"{numbers[node.inputs[0]]}[{node.attrs[0]}]"
    attributes = [f"{name}={value_text(value)}" for name, value in shown_attributes(node).items()]
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
