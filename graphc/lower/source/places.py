"""Where a value is in emitted source: the lines that compute it. Asked for by few, so the source is written once more to find out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from graphc.core import Tensor

_MARK = "\0"
_Marks = list[tuple[Sequence[Tensor], Sequence[str]]]
_marks: ContextVar[_Marks | None] = ContextVar("marks", default=None)


class Place(NamedTuple):
    """A line that computes a value or hands it on: its number, from 1, its text, and the value's name there, if it has one."""

    line: int
    text: str
    name: str


Places = Mapping[Tensor, tuple[Place, ...]]
"""The places of each value, in the order of the lines."""


def marked(text: str, nodes: Sequence[Tensor], names: Sequence[str]) -> str:
    """A line of source, with a mark of its nodes and their names while :func:`places` looks for them."""
    marks = _marks.get()
    if marks is None or not nodes:
        return text
    marks.append((nodes, names))
    return f"{text}{_MARK}{len(marks) - 1}"


def is_marking() -> bool:
    """Whether :func:`places` is looking."""
    return _marks.get() is not None


def places(emit: Callable[[], Any]) -> Places:
    """Where the values are in the text that ``emit`` writes."""
    marks: _Marks = []
    token = _marks.set(marks)
    try:
        text = str(emit())
    finally:
        _marks.reset(token)
    found: dict[Tensor, list[Place]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        written, mark, index = line.partition(_MARK)
        if mark:
            for node, name in dict(zip(*marks[int(index)], strict=True)).items():
                found.setdefault(node, []).append(Place(number, written.strip(), name))
    return {node: tuple(lines) for node, lines in found.items()}
