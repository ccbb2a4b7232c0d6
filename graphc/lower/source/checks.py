"""What can fail in a call on JAX: the lines of source that look for it, and the errors that they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from graphc.core import Bundle, Subgraph, Tensor, bodies, dtypes
from graphc.core.errors import BoundsError, GraphcError, KinkError
from graphc.core.sizes import Dim
from graphc.lower.nonfinite import maker, makes, not_finite, told


class Checks:
    """The flags that ``step`` returns, and what they mean.

    Guards of ``kinks="raise"`` have one each; a guard writes it itself. With ``everything`` each index says whether it is out of bounds,
    and each value whether it is finite. Bodies of loops and branches have no flags: they report numbers.
    """

    def __init__(self, everything: bool) -> None:
        self._everything = everything
        self._flags: list[Tensor | GraphcError] = []
        self._inside: list[GraphcError] = []
        self._numbers: dict[Subgraph, range] = {}

    def __bool__(self) -> bool:
        return bool(self._flags or self._inside)

    @property
    def reports(self) -> bool:
        """Whether bodies report."""
        return bool(self._inside)

    def start(self, leaves: Iterable[Tensor], names: Mapping[Tensor, str]) -> str:
        """The first line of ``step``."""
        watched = [leaf for leaf in leaves if self._everything and dtypes.is_inexact(leaf.dtype)]
        self._flags += watched
        return f"checks = [{', '.join([f'checking.kind({names[leaf]})' for leaf in watched])}]"

    def lines(self, node: Tensor, names: Mapping[Tensor, str], in_body: bool) -> Iterator[str]:
        """The lines behind that of a node whose value and operands have these names."""
        assert node.op is not None
        if node.op.name == "guard":
            self._flags.append(KinkError(node.attributes["message"], fits="a point off the kink, or kinks='zero' in gc.grad"))
        if self._everything:
            yield from self._bounds(node, names, in_body)
            yield from self._finite(node, names, in_body)

    def _bounds(self, node: Tensor, names: Mapping[Tensor, str], in_body: bool) -> Iterator[str]:
        assert node.op is not None
        for indices, size in node.op.bounds(node) if node.op.bounds else ():
            test = f"checking.outside({names[indices] if isinstance(indices, Tensor) else indices}, {size})"
            yield self._report(test, _out_of_bounds(node, size)) if in_body else f"checks.append({test})"
            if not in_body:
                self._flags.append(_out_of_bounds(node, size))

    def _finite(self, node: Tensor, names: Mapping[Tensor, str], in_body: bool) -> Iterator[str]:
        made = _inexact(node, names[node])
        if not made:
            return
        if not in_body:
            self._flags.append(node)
            yield f"checks.append({_kind(made)})"
        elif makes(node):
            read = [name for x in dict.fromkeys(node.inputs) for name in _inexact(x, names[x])]
            yield self._report(f"{_kind(made)} > {_kind(read)}", not_finite(node))

    def _report(self, test: str, error: GraphcError) -> str:
        self._inside.append(error)
        return f"checking.report({test}, {len(self._inside) - 1})"

    def mark(self) -> int:
        """How many checks in bodies there are."""
        return len(self._inside)

    def body(self, body: Subgraph, since: int) -> None:
        """Take note that the checks from a mark on are those of this body and of the bodies in it."""
        self._numbers[body] = range(since, len(self._inside))

    def error(self, flags: Sequence[Any], reported: Sequence[int], results: Sequence[Tensor]) -> GraphcError | None:
        """The error of a call with these flags and reports, if there is one.

        An index out of bounds is one, and so is a NaN or an inf that reaches a result and that a node made.
        """
        errors = [error for flag, error in zip(flags, self._flags, strict=True) if flag and isinstance(error, GraphcError)]
        errors += [self._inside[number] for number in reported if isinstance(self._inside[number], BoundsError)]
        if errors:
            return _again(errors[0])
        kinds = {node: int(flag) for flag, node in zip(flags, self._flags, strict=True) if isinstance(node, Tensor)}
        found = maker(kinds, results)
        if found is None:
            return None
        inner = [number for number in reported if any(number in self._numbers[body] for body in bodies(found))]
        return _again(self._inside[inner[0]]) if inner else not_finite(found, kinds[found])


def _inexact(node: Tensor, name: str) -> list[str]:
    """The names of a node's values that may be NaN or inf; a node of several results has one for each."""
    if isinstance(node.type, Bundle):
        return [f"{name}[{place}]" for place, part in enumerate(node.type.parts) if dtypes.is_inexact(part.dtype)]
    return [name] if dtypes.is_inexact(node.dtype) else []


def _kind(names: Sequence[str]) -> str:
    return f"checking.kind({', '.join(names)})"


def _out_of_bounds(node: Tensor, size: Dim) -> GraphcError:
    assert node.op is not None
    last = size - 1 if isinstance(size, int) else f"{size} - 1"
    fits = "no index: the axis is empty" if size == 0 else f"-{size} to {last}"
    return BoundsError(f"{node.op.name}: an index is out of bounds for an axis of size {size}", given=told(node), fits=fits)


def _again(error: GraphcError) -> GraphcError:
    """The error anew: one that was raised keeps its traceback."""
    return type(error)(error.asked, given=error.given, fits=error.fits)
