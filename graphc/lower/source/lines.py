"""Lines of a function as values: what equal lines have in common is made once, and text only of the lines that are written."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from graphc.core import Origin, Tensor, TensorType
from graphc.lower.source.places import marked


class Form:
    """A line but for its names: ``text`` has a hole ``%s`` for each. Two lines of one form do the same to values of the same type.

    ``before`` and ``after`` are what the comment says before and after the value's label. ``pick`` takes the names out of those of the
    operands and the target. The first ``defines`` names are assigned; ``target`` is the place among the names of the one that gets the
    value, -1 where that is said by no name. ``drops`` says that the line deletes its names.
    """

    __slots__ = ("after", "before", "defines", "drops", "pick", "target", "text")

    def __init__(
        self, text: str, node: Tensor | None = None, note: str = "", *, order: Sequence[int] = (), defines: int = 0, target: int = -1
    ) -> None:
        self.text = text
        self.before = written_type(node.type) if node is not None else ""
        self.after = [part for part in (note, _written_origin(node.origin) if node is not None else "") if part]
        self.pick = _picker(tuple(order))
        self.defines, self.target = defines, target
        self.drops = text.startswith("del ")


class Line(NamedTuple):
    """A line: its form, the names that it mentions, the label of its value, and the nodes that it computes or hands on.

    Where it calls what computes several nodes, ``called`` are the names that they have around it.
    """

    form: Form
    names: tuple[str, ...]
    label: str | None = None
    nodes: tuple[Tensor, ...] = ()
    called: tuple[str, ...] = ()

    def written(self) -> str:
        """The text, with the comment."""
        line = self.form.text % self.names
        text = commented(line, [self.form.before, self.label, *self.form.after]) if self.form.before else line
        return marked(text, self.nodes, self.called or (self.name,) * len(self.nodes))

    @property
    def name(self) -> str:
        """What the value is called, if the line computes one."""
        return self.names[self.form.target] if self.form.target >= 0 else ""


@functools.lru_cache(maxsize=4096)
def _picker(order: tuple[int, ...]) -> Callable[[Sequence[str]], Any]:
    if len(order) < 2:
        return lambda names: tuple([names[i] for i in order])
    return itemgetter(*order)


def comment(line: str, node: Tensor, note: str = "", origin: Origin | None = None) -> str:
    """The line with the node's type, its label, a note and the user's line behind it, which is ``origin`` if the node has none."""
    text = commented(line, [written_type(node.type), node.label, note, _written_origin(node.origin or origin)])
    return marked(text, (node,), (line.partition(" = ")[0],))


def commented(line: str, parts: Sequence[str | None]) -> str:
    """The line with these parts as a comment."""
    return f"{line:<48}  # {_plain('  '.join([part for part in parts if part]))}"


@functools.lru_cache(maxsize=4096)
def written_type(type: TensorType) -> str:
    """The type as a comment says it."""
    return str(type)


@functools.lru_cache(maxsize=4096)
def _written_origin(origin: Any) -> str:
    return str(origin) if origin else ""


def _plain(text: str) -> str:
    """A comment ends with its line, whatever the user called things."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
