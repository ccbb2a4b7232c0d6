"""A derivation: what it consists of, and how it is written as text, LaTeX and HTML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from textwrap import wrap
from typing import Final

from graphc.core import Tensor
from graphc.show.formula import Formula
from graphc.show.mathml import mathml

Both = tuple[str, str]
"""A formula in both notations: text and LaTeX."""
_WIDTH: Final = 90
"""Characters past which a step takes a second line."""
_START: Final = "a value changes as much as itself"
_JOIN: Final = "paths join: their shares add up"
_SEED: Final = "any weights for the elements: the derivative of their weighted sum"


@dataclass(frozen=True)
class Link:
    """One edge that is gone back: what its node is, the local derivative, the share that it brings, and why."""

    relation: Both
    local: Both
    share: Both
    reason: str


@dataclass(frozen=True)
class Step:
    """The derivative with respect to one value of the graph.

    ``value`` is it as a tensor in terms of the derivatives of the steps before, of which each is the input ``symbol`` of its step;
    ``formula`` writes it so, and ``expanded`` in terms of the values of the graph, where that is short and says more.
    """

    node: Tensor
    symbol: Tensor
    value: Tensor
    name: Both
    formula: Both
    expanded: Both | None
    shape: Both
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Simplification:
    """One use of a rule: its name, its law in words, and both sides where they are short."""

    rule: str
    law: str
    sides: tuple[Both, Both] | None


@dataclass(frozen=True, eq=False, repr=False)
class Derivation:
    """How a derivative comes about. ``print`` shows it; a notebook gets HTML; ``latex`` is for a page.

    ``values`` are the values between ``x`` and ``y`` as name, formula and shape, ``steps`` the chain rule from ``y`` back to ``x``,
    ``simplifications`` the rules that led from there to ``result``. ``gradient`` is the graph that the steps make up, and
    ``simplified`` the one that ``result`` writes.
    """

    y: Tensor
    x: Tensor
    title: Both
    values: tuple[tuple[Both, Both, Both], ...]
    steps: tuple[Step, ...]
    simplifications: tuple[Simplification, ...]
    gradient: Tensor
    simplified: Tensor
    result: Formula

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    @cached_property
    def text(self) -> str:
        """The derivation as plain text."""
        return "\n".join(_text(self))

    @cached_property
    def latex(self) -> str:
        """The derivation as LaTeX for display mathematics, without dollars."""
        return r"\begin{aligned} " + r" \\ ".join(_latex(self)) + r" \end{aligned}"

    @cached_property
    def html(self) -> str:
        """The derivation as a piece of HTML that needs nothing else: formulas are MathML."""
        return _html(self)

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"

    def _repr_html_(self) -> str:
        return self.html


def _reason_of_start(found: Derivation) -> str:
    return _START if found.y.shape == () and found.steps[0].formula[0] == "1" else _SEED


# ---------------------------------------------------------------- text
def _text(found: Derivation) -> Iterator[str]:
    yield f"{found.title[0]}, step by step"
    if found.values:
        yield from ("", "Values")
    heads = [f"  {name[0]} = {formula[0]}" for name, formula, _ in found.values]
    width = min(max(map(len, heads), default=0), 76)
    for head, (_, _, shape) in zip(heads, found.values, strict=True):
        yield f"{head:<{width}}  {shape[0]}".rstrip()
    yield from ("", "Chain rule")
    for i, step in enumerate(found.steps, 1):
        yield from _text_step(found, i, step)
    if found.simplifications:
        yield from ("", "Simplification")
        for one in found.simplifications:
            yield from wrap(f"{one.rule}: {one.law}", _WIDTH + 10, initial_indent="  ", subsequent_indent="      ")
            if one.sides is not None:
                yield f"      {one.sides[0][0]} = {one.sides[1][0]}"
    yield from ("", "Result")
    yield from [f"  {line}" for line in found.result.text.splitlines()]


def _text_step(found: Derivation, number: int, step: Step) -> Iterator[str]:
    label = f"{number:>3}. "
    margin = " " * len(label)
    for link in step.links:
        yield label + link.relation[0]
        label = margin
        if link.local[0]:
            yield f"{margin}{link.local[0]}"
        yield f"{margin}{link.reason}"
    if len(step.links) > 1:
        yield margin + _JOIN
    lines = [f"{label}{step.name[0]} = {step.formula[0]}"]
    if step.expanded is not None:
        room = len(lines[0]) + len(step.expanded[0]) <= _WIDTH
        lines = [f"{lines[0]} = {step.expanded[0]}"] if room else [*lines, f"{margin}{' ' * len(step.name[0])} = {step.expanded[0]}"]
    yield from lines[:-1]
    yield f"{lines[-1]}  {step.shape[0]}".rstrip()
    if not step.links:
        yield margin + _reason_of_start(found)


# ---------------------------------------------------------------- LaTeX
def _latex(found: Derivation) -> Iterator[str]:
    if found.values:
        yield _heading("Values")
    for name, formula, shape in found.values:
        yield rf"& {name[1]} = {formula[1]}" + (rf" \quad {shape[1]}" if shape[1] else "")
    yield _heading("Chain rule")
    for i, step in enumerate(found.steps, 1):
        yield from _latex_step(found, i, step)
    if found.simplifications:
        yield _heading("Simplification")
        for one in found.simplifications:
            yield f"& {_words(f'{one.rule}: {one.law}')}"
            if one.sides is not None:
                yield rf"& \qquad {one.sides[0][1]} = {one.sides[1][1]}"
    yield _heading("Result")
    yield f"& {found.result.latex}"


def _latex_step(found: Derivation, number: int, step: Step) -> Iterator[str]:
    start = rf"& \text{{{number}.}} \quad "
    for link in step.links:
        yield start + link.relation[1] + (rf",\quad {link.local[1]}" if link.local[1] else "")
        start = r"& \qquad "
        yield start + _words(link.reason)
    if len(step.links) > 1:
        yield start + _words(_JOIN)
    yield f"{start}{step.name[1]} = {step.formula[1]}" + (f" = {step.expanded[1]}" if step.expanded else "")
    if not step.links:
        yield rf"& \qquad {_words(_reason_of_start(found))}"


def _heading(text: str) -> str:
    return rf"& \textbf{{{text}}}"


def _words(text: str) -> str:
    return rf"\text{{{text.translate(_ESCAPES)}}}"


_ESCAPES: Final = str.maketrans({c: f"\\{c}" for c in "{}$&#_%"} | {"\\": "/", "^": r"\^{}", "~": " "})


# ---------------------------------------------------------------- HTML
_STYLE: Final = """
.graphc-derivation{font:1em/1.5 system-ui,sans-serif;max-width:60em}
.graphc-derivation h3{font-size:1em;margin:1em 0 .3em}
.graphc-derivation ol,.graphc-derivation ul{margin:0;padding-left:2.2em}
.graphc-derivation li{margin:.5em 0}
.graphc-derivation p{margin:.15em 0}
.graphc-derivation .reason{opacity:.8;font-size:.92em}
.graphc-derivation math{font-size:1.08em}
.graphc-derivation .scroll{overflow-x:auto}
.graphc-derivation code{font-family:ui-monospace,monospace}
"""


def _html(found: Derivation) -> str:
    values = "".join(f"<p>{_math(_joined(name, formula))} {_inline(shape)}</p>" for name, formula, shape in found.values)
    sections = [_section("Values", values)] if values else []
    sections.append(_section("Chain rule", f"<ol>{''.join(_html_step(found, step) for step in found.steps)}</ol>"))
    if found.simplifications:
        items = "".join(_html_rule(one) for one in found.simplifications)
        sections.append(_section("Simplification", f"<ul>{items}</ul>"))
    sections.append(_section("Result", f"<p>{_math((found.result.text, found.result.latex))}</p>"))
    heading = f"<h2>{_math(found.title)}, step by step</h2>"
    return f'<section class="graphc-derivation"><style>{_STYLE}</style>{heading}{"".join(sections)}</section>'


def _section(title: str, body: str) -> str:
    return f'<h3>{title}</h3><div class="scroll">{body}</div>'


def _html_step(found: Derivation, step: Step) -> str:
    lines = [_html_link(link) for link in step.links]
    if len(step.links) > 1:
        lines.append(_reason(_JOIN))
    text, tex = _joined(step.name, step.formula)
    if step.expanded is not None:
        text, tex = f"{text} = {step.expanded[0]}", f"{tex} = {step.expanded[1]}"
    lines.append(f"<p>{_math((text, tex))} {_inline(step.shape)}</p>")
    if not step.links:
        lines.append(_reason(_reason_of_start(found)))
    return f"<li>{''.join(lines)}</li>"


def _html_link(link: Link) -> str:
    local = f", &emsp;{_math(link.local)}" if link.local[0] else ""
    return f"<p>{_math(link.relation)}{local}</p>{_reason(link.reason)}"


def _html_rule(one: Simplification) -> str:
    sides = f"<p>{_math(_joined(*one.sides))}</p>" if one.sides is not None else ""
    return f"<li><p><code>{escape(one.rule)}</code>: {escape(one.law)}</p>{sides}</li>"


def _reason(words: str) -> str:
    return f'<p class="reason">{escape(words)}</p>'


def _joined(left: Both, right: Both) -> Both:
    return f"{left[0]} = {right[0]}", f"{left[1]} = {right[1]}"


def _math(formula: Both) -> str:
    return mathml(formula[1], alt=formula[0], display=False)


def _inline(shape: Both) -> str:
    return f"&emsp;{_math(shape)}" if shape[1] else ""
