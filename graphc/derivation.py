"""``derive``: the chain rule from a value back to a tensor, step by step, then simplified by named rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from graphc import ops
from graphc.core import Bundle, Constant, Tensor, derived_from, describe, dtypes, input, parts, substitute, toposort
from graphc.core.errors import GradientError
from graphc.core.graph import ancestors_through
from graphc.grad import carries, why_no_gradient
from graphc.grad.reverse import Flow, Sweep
from graphc.grad.transforms import check_differentiable
from graphc.reading import PLAIN, readable
from graphc.rewrite import Application
from graphc.rewrite import simplify as rewritten
from graphc.show import Formula
from graphc.show import formula as written
from graphc.show.formula import expression, shape_text, single
from graphc.show.names import Namer, capital, tex_name
from graphc.show.notation import NOTATIONS, is_layout, leaf_number, see_through
from graphc.show.reasons import reason, repeated
from graphc.show.steps import Both, Derivation, Link, Simplification, Step

SMALL: Final = 60
"""Nodes past which a derivative is not written in terms of the values of the graph."""
SHORT: Final = 72
"""Characters past which the running derivative is left in terms of the one before it, and a rule's sides are not written out."""


def derive(y: Tensor, x: Tensor) -> Derivation:
    """The derivative of ``y`` with respect to ``x``, step by step.

    Each step goes back over one operation, or over several where paths join, and says what the operation's local derivative is, what
    the derivative of ``y`` has become, and why. Then come the rules that simplify it, by name, and the formula that is left. Of a ``y``
    that is no single number it is the derivative of ``Σ g ⊙ y``, for any ``g`` of the shape of ``y``. Of a gradient it is one of second
    order; the gradient is simplified first.

    Raises:
        GradientError: no gradient leads from ``y`` to ``x``. DTypeError: one of them is no tensor of floats.
    """
    for role, tensor in (("y", y), ("x", x)):
        check_differentiable("derive", role, tensor)
    cut = why_no_gradient(y, x)
    if cut is not None:
        raise GradientError(f"derive(y, x): {cut}", given=[f"y: {describe(y)}", f"x: {describe(x)}"], fits="a y that is computed from x")
    if y.forward is not None and x.op is None:  # what a gradient has that says nothing is not differentiated again
        (y,) = rewritten([y], PLAIN).roots
    return _Writer(y, x).derivation()


class _Stepwise(Sweep):
    """A backward pass in which each cotangent is written in terms of those before it: ``symbols`` stand for them."""

    def __init__(self, y: Tensor, x: Tensor, seed: Tensor) -> None:
        self.symbols: dict[Tensor, Tensor] = {}
        self.values: dict[Tensor, Tensor] = {}
        self._root = y
        self._composed: dict[Tensor, Tensor] = {}
        super().__init__([(y, seed)], [x])

    def met(self, node: Tensor, shares: list[Tensor]) -> Tensor:
        """A symbol for the cotangent of the node; what only moves between shapes has none of its own."""
        total = super().met(node, shares)
        if node is not self._root and is_layout(node) and not node.label and len(shares) == 1:
            return total
        self.values[node] = total
        self.symbols[node] = total if node is self._root else input("derivative", node.shape, node.dtype)
        return self.symbols[node]

    def composed(self, value: Tensor) -> Tensor:
        """A value in which no symbol is left."""
        for node, symbol in self.symbols.items():
            if symbol not in self._composed and node is not self._root:
                (self._composed[symbol],) = substitute([self.values[node]], self._composed)
        return substitute([value], self._composed)[0]


class _Writer:
    """The names of the values and of the derivatives, and what is written with them."""

    def __init__(self, y: Tensor, x: Tensor) -> None:
        self.y, self.x = y, x
        order = toposort([y])
        self.active = set(ancestors_through(order, [x], carries))
        scalar = y.shape == () and not dtypes.is_complex(y.dtype)
        seed = ops.ones((), y.dtype) if scalar else input("g", y.shape, y.dtype)
        with derived_from(y, gradient=True):
            self.sweep = _Stepwise(y, x, seed)
        self.inner = set(order)
        symbols = {symbol: node for node, symbol in self.sweep.symbols.items() if node is not y}
        # What the steps read beside the graph of y, such as the softmax of a loss that is made of logits, may have a name, too.
        order = [node for node in toposort([y, seed, *self.sweep.values.values()]) if node not in symbols]
        self.forward = [node for node in order if self._is_named(node)]
        namer = Namer.of(order)
        self.names: dict[Tensor, str] = {}
        for node in order:
            if node in self.forward or (node.op is None and leaf_number(node) is None and not _is_row(node)):
                self.names[node] = self._own(node, namer)
        self.given = {node: name for node, name in self.names.items() if node.op is None or node.label or capital(node)}
        self.top = self.names[y]
        self.symbols = {symbol: self._derivative(node) for symbol, node in symbols.items()}

    def _is_named(self, node: Tensor) -> bool:
        """Whether the reader has to know the node by a name: those on the way from x to y, and those that the user named."""
        if node.op is None or isinstance(node.type, Bundle):
            return False
        return node is self.y or bool(node.label) or capital(node) is not None or (node in self.active and not is_layout(node))

    def _own(self, node: Tensor, namer: Namer) -> str:
        if node is self.y and not node.label:
            return namer.unlike_others("L" if "L" not in namer.labels else "loss")
        return namer.name(node)

    def _derivative(self, node: Tensor) -> str:
        return f"∂{self.top}/∂{self.names[node]}"

    # ------------------------------------------------------------ what is written
    def derivation(self) -> Derivation:
        sweep = self.sweep
        steps = tuple([self._step(node) for node in sweep.symbols])
        gradient = sweep.composed(sweep.cotangents[self.x])
        (simplified,), applied, _ = readable([gradient])
        inner = {node: name for node, name in self.names.items() if node.op is None}
        return Derivation(
            self.y,
            self.x,
            _named(self._derivative(self.x)),
            tuple([(_named(self.names[node]), _both(expression(node, self.names)), shape_text(node.shape)) for node in self.forward]),
            steps,
            tuple(self._simplifications(applied)),
            gradient,
            simplified,
            self._result(simplified, inner),
        )

    def _result(self, simplified: Tensor, names: Mapping[Tensor, str]) -> Formula:
        return written(simplified, {**names, simplified: self._derivative(self.x)})

    def _step(self, node: Tensor) -> Step:
        sweep = self.sweep
        value = sweep.values[node]
        known = self.names | self.symbols
        name = _named(self._derivative(node))
        formula = _both(single(value, known))
        links = [] if node is self.y else [self._link(flow, known) for flow in self._flows_to(node)]
        return Step(node, sweep.symbols[node], value, name, formula, self._expanded(value, formula), shape_text(node.shape), tuple(links))

    def _flows_to(self, node: Tensor) -> list[Flow]:
        """The edges that bring something to the node, those past a mere layout included."""
        return [flow for flow in self.sweep.flows if flow.node.inputs[flow.index] is node and flow.node.op is not ops.part]

    def _expanded(self, value: Tensor, formula: Both) -> Both | None:
        """The derivative with respect to this value in terms of the graph's own values, simplified."""
        whole = self.sweep.composed(value)
        if not _is_small(whole, self.names):
            return None
        (short,) = readable([whole]).roots
        for names in (self.given, self.names):
            others = {node: name for node, name in names.items() if node is not short}
            found = _both(single(short, others)) if _is_small(short, others) else None
            if found is not None and len(found[0]) <= SHORT:
                return found if found != formula else None
        return None

    def _link(self, flow: Flow, known: Mapping[Tensor, str]) -> Link:
        node, x = flow.node, flow.node.inputs[flow.index]
        share = _both(single(flow.contribution, known))
        moved = repeated(node, x)
        why = reason(node, flow.index, flow.local, self._read(flow))
        return Link(self._relation(node), self._local(flow, known), share, f"{why}; {moved}" if moved else why)

    def _read(self, flow: Flow) -> set[Tensor]:
        """The operands of the flow's node that its share is made of."""
        new = [one for one in toposort([flow.contribution]) if one not in self.inner]
        return {x for one in new for x in one.inputs} & set(flow.node.inputs)

    def _relation(self, node: Tensor) -> Both:
        """What the node is: ``h = relu(a)``."""
        if isinstance(node.type, Bundle):
            names = [self.names.get(part, "_") for part in parts(node)]
            left = ", ".join(names), ", ".join([r"\_" if name == "_" else tex_name(name) for name in names])
        elif node in self.names:
            left = _named(self.names[node])
        else:
            (text, tex), shape = _both(single(node, self.names)), shape_text(node.shape)
            return f"{text} as {shape[0] or 'one number'}", rf"{tex} \text{{ as }} {shape[1] or chr(92) + 'text{one number}'}"
        right = _both(expression(node, self.names))
        return f"{left[0]} = {right[0]}", f"{left[1]} = {right[1]}"

    def _local(self, flow: Flow, known: Mapping[Tensor, str]) -> Both:
        """The local derivative: a factor, element by element, or what becomes of a cotangent g."""
        node, x = flow.node, flow.node.inputs[flow.index]
        if flow.local is not None and node in self.names and x in self.names:
            head = _named(f"∂{self.names[node]}/∂{self.names[x]}")
            factor = (str(flow.local),) * 2 if isinstance(flow.local, int) else self._factor(node, flow.local)
            return f"{head[0]} = {factor[0]}", f"{head[1]} = {factor[1]}"
        share = self._probed(flow)
        return (f"g ↦ {share[0]}", rf"g \mapsto {share[1]}") if share else ("", "")

    def _factor(self, node: Tensor, local: Tensor) -> Both:
        """A slope: by a name that was only made up if it is an operand's, else as what it is."""
        is_operand = local is node or any(local is see_through(x, self.names) for x in node.inputs)
        return _both(single(local, self.names) if is_operand or local in self.given else expression(local, self.names))

    def _probed(self, flow: Flow) -> Both | None:
        """What becomes of a cotangent called g; nothing where it is one of several."""
        node, x = flow.node, flow.node.inputs[flow.index]
        if isinstance(node.type, Bundle):
            return None
        g = input("g", node.shape, node.dtype)
        found = next((one for one in Sweep([(node, g)], [x]).flows if one.node is node and one.index == flow.index), None)
        return None if found is None else _both(single(found.contribution, {**self.names, g: "g"}))

    def _simplifications(self, applied: Iterable[Application]) -> Iterator[Simplification]:
        """The rules that changed what is written, each once for the same sides."""
        seen: set[object] = set()
        for one in applied:
            before, after = _both(expression(one.before, self.names)), _both(single(one.after, self.names))
            if _reads_alike(before[0], after[0]) or (one.rule.name, before) in seen:
                continue
            seen.add((one.rule.name, before))
            law = one.rule.sentence.replace("\n", " ").replace("``", "")
            yield Simplification(one.rule.name, law, (before, after) if max(len(before[0]), len(after[0])) <= SHORT else None)


def _is_small(node: Tensor, names: Mapping[Tensor, str]) -> bool:
    """Whether a formula of it over these names may be short."""
    seen, waiting = {node}, [node]
    while waiting and len(seen) <= SMALL:
        one = waiting.pop()
        new = [x for x in one.inputs if x not in seen and x not in names]
        seen.update(new)
        waiting += new
    return len(seen) <= SMALL


def _reads_alike(before: str, after: str) -> bool:
    """Whether two sides differ in the order of their parts at most."""
    return sorted(before.replace(" ", "")) == sorted(after.replace(" ", ""))


def _is_row(node: Tensor) -> bool:
    return isinstance(node, Constant) and node.ndim == 1 and node.value.size <= 4


def _both(term: Any) -> Both:
    text, tex = [term.form(notation).text for notation in NOTATIONS]
    return text, tex


def _named(name: str) -> Both:
    return name, tex_name(name)
