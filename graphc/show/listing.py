"""A graph as a listing: one node a line, each after its operands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from graphc.core import Bundle, Constant, Subgraph, Tensor, toposort
from graphc.show.bodies import Body, bodies_of, is_part, shown_attributes
from graphc.show.names import owned, short_number, shown
from graphc.show.notation import leaf_number
from graphc.show.template import told, value_text
from graphc.show.text import Preformatted

_SHOWN = 4  # elements of an array that are written out
LONGEST: Final = 400
"""Characters of a node that is spelt in one line."""
PRINTED: Final = 400
"""Nodes of a graph that ``print`` writes."""


class Listing(Preformatted):
    """A listing."""

    __slots__ = ()

    def __rich__(self) -> Any:
        from rich.text import Text

        text = Text(str(self), no_wrap=True, overflow="ignore")
        for pattern, style in _STYLES.items():
            text.highlight_regex(pattern, style)
        return text


_STYLES: Final = {r"[%p]\d+": "cyan", r"(?<= : )[^=]+(?= = )": "green", r"(?<== )\w+": "bold", r"# .*": "dim"}


def printed(y: Tensor) -> Listing:
    """What ``print`` writes of a graph: its listing, of a long one the nodes nearest to the result."""
    return listing(y, limit=PRINTED)


def listing(roots: Tensor | Iterable[Tensor], *, limit: int | None = None) -> Listing:
    """The graph as text, in an order in which it could be computed; the same text for the same graph, always.

    ``print(y)`` writes the listing of a tensor, of the last 400 nodes; ``limit`` says how many there are here, all without one.

    A comment has the label, the user's line and the groups (:class:`graphc.scope`) in which the node was made. A node of a gradient
    names the forward node that it belongs to::

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
    return Listing("\n".join(_block(wanted, (), "", {}, limit)))


def _block(
    wanted: Sequence[Tensor], parameters: Sequence[Tensor], path: str, written: dict[Subgraph, str], limit: int | None = None
) -> list[str]:
    """The lines of a graph or a body; ``path`` leads to it, and ``written`` tells where the bodies stand that came before."""
    names = {x: f"p{i}" for i, x in enumerate(parameters)}
    nodes = [node for node in toposort(wanted) if node not in names]
    numbers = names | {node: f"%{i}" for i, node in enumerate(nodes)}
    own = owned(nodes)
    left = 0 if limit is None else max(0, len(nodes) - limit)
    nodes = nodes[left:]
    rows = [(*row(node, numbers), _comment(node, numbers, node in own)) for node in nodes]
    single = [row for node, row in zip(nodes, rows, strict=True) if not isinstance(node.type, Bundle)]
    widths = [max((len(row[column]) for row in single), default=0) for column in range(2)]
    statement = min(max((len(row[2]) for row in rows), default=0), 60)
    lines = [f"… {left:,} nodes before; gc.listing(y) has them all"] if left else []
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


def row(node: Tensor, numbers: Mapping[Tensor, str]) -> tuple[str, str, str]:
    """The columns of a node's line: its number, its type, and what computes it."""
    return numbers[node], str(node.type), _call(node, numbers)


def call_text(y: Tensor, names: Mapping[Tensor, str]) -> str:
    """A node as a program would spell it, ``0.1 * (x @ w)``, down to the values that have names.

    It tells apart what a formula writes alike.
    """
    texts: dict[Tensor, str] = {}
    for node in _entered(y, names):
        text = names[node] if node in names else _spelt(node, texts, names)
        texts[node] = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"  # what is shared would double at every step
    return texts[y]


def _entered(y: Tensor, names: Mapping[Tensor, str]) -> list[Tensor]:
    """The nodes down to those that have names, each after its operands."""
    order: dict[Tensor, None] = {}
    stack = [y]
    while stack:
        node = stack[-1]
        waiting = [] if node in names or node in order else [x for x in node.inputs if x not in order]
        if waiting:
            stack += reversed(waiting)
        else:
            order.setdefault(stack.pop())
    return list(order)


_INFIX: Final = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "matmul": "@", "power": "**", "greater": ">", "less": "<"}


def _spelt(node: Tensor, texts: Mapping[Tensor, str], names: Mapping[Tensor, str]) -> str:
    if node.op is None:
        return _leaf(node) or node.kind
    if node.op.name in _INFIX:
        return f" {_INFIX[node.op.name]} ".join([f"({texts[x]})" if _is_infix(x) and x not in names else texts[x] for x in node.inputs])
    operands = [texts[x] for x in node.inputs]
    if is_part(node):
        return f"{operands[0]}[{node.attrs[0]}]"
    return f"{node.op.name}({', '.join([*operands, *[f'{name}={value_text(value)}' for name, value in told(node).items()]])})"


def _is_infix(node: Tensor) -> bool:
    return node.op is not None and node.op.name in _INFIX


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
        parts.append(_place(node))
        parts.append(f"gradient of {numbers[node.forward]}" if node.forward is not None and node.forward in numbers else "")
    return ", ".join(part for part in parts if part)


def _place(node: Tensor) -> str:
    origin = node.origin
    if origin is None:
        return ""
    return f"{origin} in {_line('/'.join(origin.scope))}" if origin.scope else str(origin)


def _line(text: str) -> str:
    return shown(text)
