"""Lines that repeat, as those of equal layers do, become one function that is called: less text to write, to compile and to read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from graphc.core import Tensor
from graphc.lower.names import Names, is_owned
from graphc.lower.repeats import Repeat, repeats
from graphc.lower.source.lines import Form, Line
from graphc.lower.source.places import is_marking
from graphc.lower.source.writer import Writer

SAVED = 100
"""Lines that a part has to save: a call in each of its places takes a tenth of a microsecond in every step."""
SHORTEST = 3
"""Lines from which on they are a part."""


def with_parts(w: Writer, lines: Sequence[Line]) -> tuple[list[str], list[Line]]:
    """The functions of the parts, for ``make``, and the lines with a call in the place of each part.

    A part takes as arguments what differs from place to place and what belongs to the function around it; what ``make`` owns, and is the
    same everywhere, it just reads. It returns what it assigns and others read. What it is given it cannot delete, so such a line stays
    where it was, between two parts.
    """
    found = repeats([line[:2] for line in lines], SAVED) if len(lines) > SAVED else []
    if not found:
        return [], list(lines)
    last = _last_mentions(lines)
    head: list[str] = []
    short: list[Line] = []
    stop = 0
    for repeat in found:
        pieces = list(_pieces(lines, repeat))
        if _saved(pieces, repeat) < SAVED:
            continue
        short += lines[stop : repeat.start]
        made = [_part(w, piece, last) if piece.together else piece for piece in pieces]
        head += [line for one in made if isinstance(one, _Part) for line in one.text]
        places = [one.calls if isinstance(one, _Part) else one.each() for one in made]
        short += [line for place in zip(*places, strict=True) for lines_of_it in place for line in lines_of_it]
        stop = repeat.stop
    return head, [*short, *lines[stop:]]


def _last_mentions(lines: Sequence[Line]) -> dict[str, int]:
    last: dict[str, int] = {}
    for number, line in enumerate(lines):
        for name in line.names:
            last[name] = number
    return last


@dataclass(frozen=True)
class _Piece:
    """So many lines from ``start`` on, and again after each ``period`` lines, as often as ``count`` says; as a part if ``together``."""

    lines: Sequence[Line]
    start: int
    length: int
    period: int
    count: int
    together: bool

    def at(self, offset: int) -> Iterator[Line]:
        """One of the lines, in each place."""
        first = self.start + offset
        return islice(self.lines, first, first + self.period * (self.count - 1) + 1, self.period)

    def each(self) -> list[Sequence[Line]]:
        """The lines of each place."""
        starts = range(self.start, self.start + self.period * self.count, self.period)
        return [self.lines[start : start + self.length] for start in starts]


def _pieces(lines: Sequence[Line], repeat: Repeat) -> Iterator[_Piece]:
    """The segment between the lines that delete what was not assigned in the same piece, and these lines."""
    made: set[str] = set()
    first = repeat.start
    behind = repeat.start + repeat.period

    def piece(start: int, stop: int, together: bool) -> _Piece:
        return _Piece(lines, start, stop - start, repeat.period, repeat.count, together)

    for number in range(first, behind):
        form, names, *_ = lines[number]
        if form.drops and not made.issuperset(names):
            if number > first:
                yield piece(first, number, number - first >= SHORTEST)
            yield piece(number, number + 1, together=False)
            first = number + 1
            made.clear()
        made.update(names[: form.defines])
    if behind > first:
        yield piece(first, behind, behind - first >= SHORTEST)


def _saved(pieces: Sequence[_Piece], repeat: Repeat) -> int:
    """How many lines fewer there are."""
    calls = sum([1 if piece.together else piece.length for piece in pieces])
    return (repeat.period - calls) * repeat.count - sum([piece.length + 3 for piece in pieces if piece.together])


class _Part(NamedTuple):
    """A part's function, as lines of ``make``, and the call in each place."""

    text: list[str]
    calls: list[Sequence[Line]]


class _Name(NamedTuple):
    """A name of a part in its first place: whether it is assigned there, and what stands for it in each place."""

    name: str
    assigned: bool
    each: list[str]


def _part(w: Writer, piece: _Piece, last: dict[str, int]) -> _Part:
    names = list(_names(piece))
    closed = {x.name for x in names if is_owned(x.name) and not any(other != x.name for other in x.each)}
    given = [x for x in names if not x.assigned and x.name not in closed]
    stops = range(piece.start + piece.length, piece.start + piece.length + piece.period * piece.count, piece.period)
    results = [x for x in names if x.assigned and any(last[y] >= stop for y, stop in zip(x.each, stops, strict=True))]
    inner = Names(w.reserved | closed)
    called = {x.name: x.name if x.name in closed else inner.fresh(_base(x.each), "v") for x in names}
    part = w.owned("part")
    head = f"def {part}({', '.join([called[x.name] for x in given])}):"
    body = [_inside(piece, i, called) for i in range(piece.length)]
    if results:
        body.append(f"return {', '.join([called[x.name] for x in results])}")
    arguments, targets = [", ".join(["%s"] * len(group)) for group in (given, results)]
    form = Form(f"{targets} = {part}({arguments})" if results else f"{part}({arguments})", defines=len(results))
    columns = [x.each for x in (*results, *given)]
    lines = piece.each() if is_marking() else [()] * piece.count
    every = zip(*columns, strict=True) if columns else [()] * piece.count
    calls: list[Sequence[Line]] = [[Line(form, each, None, _nodes(of), _called(of, each))] for each, of in zip(every, lines, strict=True)]
    return _Part(["", f"{head:<52}  # {piece.count} times", *(f"    {line}" for line in body)], calls)


def _names(piece: _Piece) -> Iterator[_Name]:
    """The names of the piece, in the order of their first mentions."""
    seen: set[str] = set()
    for offset in range(piece.length):
        form, names, *_ = piece.lines[piece.start + offset]
        for place, name in enumerate(names):
            if name not in seen:
                seen.add(name)
                yield _Name(name, place < form.defines, [line.names[place] for line in piece.at(offset)])


def _nodes(lines: Iterable[Line]) -> tuple[Tensor, ...]:
    return tuple([node for line in lines for node in line.nodes])


def _called(lines: Iterable[Line], known: Sequence[str]) -> tuple[str, ...]:
    """What the nodes of these lines are called where a part stands for the lines; nothing, if only the part has a name for them."""
    names = [name for line in lines for name in line.called or (line.name,) * len(line.nodes)]
    return tuple([name if name in known or is_owned(name) else "" for name in names])


def _base(each: Sequence[str]) -> str:
    """What the places call it, without their numbers; one in the middle is asked, since the first or the last may read an input."""
    middle = each[len(each) // 2]
    return middle if middle == each[0] == each[-1] else re.sub(r"_?\d+$", "", middle)


def _inside(piece: _Piece, offset: int, called: dict[str, str]) -> str:
    """A line of the part. It bears a label if all of them bear the same."""
    form, names, label, *_ = piece.lines[piece.start + offset]
    if label and any(line.label != label for line in piece.at(offset)):
        label = None
    nodes = _nodes(piece.at(offset)) if is_marking() else ()
    return Line(form, tuple([called[name] for name in names]), label, nodes).written()
