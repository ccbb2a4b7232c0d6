"""Sizes of axes: whole numbers, names such as ``"batch"``, and the polynomials that arithmetic on names gives.

A named size is one number for the whole graph, known when the compiled function is called. Two sizes are equal when they are
the same polynomial, so every decision that is taken while a graph is built holds for each value that the names may get.
"""

from __future__ import annotations

import functools
import keyword
import operator
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Self, TypeAlias, Union, cast

from graphc.core.errors import ShapeError
from graphc.core.record import Record

Dim: TypeAlias = Union[int, "Size"]
Shape: TypeAlias = tuple[Dim, ...]
RESERVED: Final = frozenset({"np", "jax", "jnp", "bfloat16", "len", "range", "float", "slice", "make", "step", "checks"})
"""Names that mean something else where the emitted source uses sizes."""


class Sliced(Record):
    """How many items ``[start:stop:step]`` takes from an axis whose length has a name in it."""

    length: Size
    start: int | None
    stop: int | None
    step: int | None

    def __str__(self) -> str:
        bounds = ["" if bound is None else str(bound) for bound in (self.start, self.stop, self.step)]
        return f"len(range({self.length})[{':'.join(bounds if bounds[2] else bounds[:2])}])"

    def bind(self, sizes: Mapping[str, int]) -> int:
        """The number of items when the names have these values."""
        return len(range(bind(self.length, sizes))[self.start : self.stop : self.step])


Atom: TypeAlias = str | Sliced
Monomial: TypeAlias = tuple[Atom, ...]
Terms: TypeAlias = tuple[tuple[Monomial, int], ...]


class Size:
    """A polynomial with whole coefficients over named sizes, such as ``2*batch + 1``. It is never a plain number.

    Equal polynomials are the same object, so that tables of shapes and types ask no questions of them.
    """

    __slots__ = ("terms",)
    _table: Final[dict[Terms, Size]] = {}
    terms: Terms

    def __new__(cls, terms: Mapping[Monomial, int]) -> Self:
        """The one polynomial of these terms: monomials, each with its coefficient."""
        key = tuple(sorted(terms.items(), key=_order))
        found = cls._table.get(key)
        if found is None:
            found = object.__new__(cls)
            found.terms = key
            found = cls._table.setdefault(key, found)
        return found  # type: ignore[return-value]

    def __reduce__(self) -> tuple[Any, ...]:
        return Size, (dict(self.terms),)

    def __add__(self, other: Dim) -> Dim:
        total = dict(self.terms)
        for monomial, count in _terms(other):
            total[monomial] = total.get(monomial, 0) + count
        return _size(total)

    def __mul__(self, other: Dim) -> Dim:
        return _product(self, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + other * -1

    def __rsub__(self, other: Dim) -> Dim:
        return -self + other

    def __str__(self) -> str:
        """A Python expression over the names, as the emitted source has it."""
        text = " + ".join(_written(monomial, count) for monomial, count in self.terms)
        return text.replace("+ -", "- ")

    __repr__ = __str__


def _order(term: tuple[Monomial, int]) -> tuple[int, list[str]]:
    return -len(term[0]), [str(atom) for atom in term[0]]


def _terms(size: Dim) -> Iterable[tuple[Monomial, int]]:
    return size.terms if isinstance(size, Size) else (((), size),)


def _size(terms: Mapping[Monomial, int]) -> Dim:
    kept = {monomial: count for monomial, count in terms.items() if count}
    if not kept:
        return 0
    return kept[()] if set(kept) == {()} else Size(kept)


@functools.lru_cache(maxsize=4096)
def _product(a: Size, b: Dim) -> Dim:
    total: dict[Monomial, int] = {}
    for left, m in a.terms:
        for right, n in _terms(b):
            key = tuple(sorted(left + right, key=str))
            total[key] = total.get(key, 0) + m * n
    return _size(total)


def _written(monomial: Monomial, count: int) -> str:
    factors = [str(atom) for atom in monomial]
    if count == -1 and factors:
        return "-" + "*".join(factors)
    return "*".join(factors if count == 1 and factors else [str(count), *factors])


@functools.lru_cache(maxsize=4096)
def named(name: str) -> Size:
    """The size called ``name``, which has to be a Python identifier, since the emitted source uses it as one."""
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name) or name.startswith("_") or name in RESERVED:
        raise ShapeError(
            f"{name!r} cannot name a size", fits="an identifier such as 'batch' or 'n', which the emitted source does not use itself"
        )
    return Size({(name,): 1})


def canonical(shape: object) -> Shape:
    """A shape from what a user writes: a whole number, a name, or a sequence of them. Raises :class:`ShapeError`."""
    items = cast("Iterable[object]", shape) if isinstance(shape, list | tuple) else (shape,)
    return tuple([_dim(item) for item in items])


def _dim(item: Any) -> Dim:
    if isinstance(item, Size) or (item.__class__ is int and item >= 0):
        return item
    if isinstance(item, str):
        return named(item)
    try:
        number = operator.index(item)
    except TypeError:
        raise ShapeError(f"{item!r} is not a size", fits="a whole number, or a name such as 'batch'") from None
    if number < 0:
        raise ShapeError(f"a size cannot be {number}", fits="0 or more")
    return int(number)


def product(shape: Shape) -> Dim:
    """How many elements a tensor of this shape has."""
    total: Dim = 1
    for size in shape:
        total = total * size
    return total


def total(parts: Iterable[Dim]) -> Dim:
    """The sum of sizes, in one go: of many this is much quicker than one after the other."""
    found: dict[Monomial, int] = {}
    for part in parts:
        for monomial, count in _terms(part):
            found[monomial] = found.get(monomial, 0) + count
    return _size(found)


def divide(total: Dim, part: Dim) -> Dim | None:
    """``total / part`` where it is a size for every value of the names, else None. Only one-term divisors are tried."""
    if isinstance(total, int) and isinstance(part, int):
        return total // part if part and total % part == 0 else None
    terms = list(_terms(part))
    if len(terms) != 1:
        return 1 if total == part else None
    monomial, count = terms[0]
    quotient: dict[Monomial, int] = {}
    for factors, n in _terms(total):
        left = _without(factors, monomial)
        if left is None or not count or n % count:
            return None
        quotient[left] = n // count
    return _size(quotient)


def _without(factors: Monomial, taken: Monomial) -> Monomial | None:
    left = list(factors)
    for atom in taken:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def sliced(size: Dim, start: int | None, stop: int | None, step: int | None) -> Dim:
    """The length of ``range(size)[start:stop:step]``."""
    if isinstance(size, int):
        return len(range(size)[start:stop:step])
    forward, backward = start in (None, 0) and step in (None, 1), start is None and step == -1
    if stop is None and (forward or backward):
        return size
    return Size({(Sliced(size, start, stop, step),): 1})


def is_size(size: Dim) -> bool:
    """Whether it is 0 or more for every value of the names, as its signs show."""
    return all(count >= 0 for _, count in _terms(size))


def names(size: Dim) -> set[str]:
    """The names that occur in ``size``."""
    found: set[str] = set()
    for monomial, _ in _terms(size):
        for atom in monomial:
            found |= {atom} if isinstance(atom, str) else names(atom.length)
    return found if isinstance(size, Size) else set()


def name_of(size: Dim) -> str | None:
    """The name, where the size is a name alone and no formula."""
    if isinstance(size, Size) and len(size.terms) == 1:
        (monomial, count), *_ = size.terms
        if count == 1 and len(monomial) == 1 and isinstance(monomial[0], str):
            return monomial[0]
    return None


def bind(size: Dim, sizes: Mapping[str, int]) -> int:
    """The number that ``size`` is when the names have these values."""
    if isinstance(size, int):
        return size
    total = 0
    for monomial, count in size.terms:
        for atom in monomial:
            count *= sizes[atom] if isinstance(atom, str) else atom.bind(sizes)
        total += count
    return total


TYPICAL: Final = 64
"""What a named size counts as where a number is needed to choose between ways that are all right."""


def typical(size: Dim, known: Mapping[str, int] = MappingProxyType({})) -> int:
    """The number that ``size`` is when these names have these values, and others are :data:`TYPICAL`."""
    if isinstance(size, int):
        return size
    return bind(size, {**dict.fromkeys(names(size), TYPICAL), **known})


def broadcast(shapes: Iterable[Shape]) -> Shape:
    """NumPy's broadcast of the shapes. A named size meets itself or 1. Raises :class:`ShapeError`."""
    shapes = tuple(shapes)
    return shapes[0] if shapes.count(shapes[0]) == len(shapes) else _broadcast(shapes)


@functools.lru_cache(maxsize=4096)
def _broadcast(shapes: tuple[Shape, ...]) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple([_meet(sizes) for sizes in zip(*padded, strict=True)])


def _meet(sizes: tuple[Dim, ...]) -> Dim:
    wide = list(dict.fromkeys([size for size in sizes if size != 1]))
    if len(wide) > 1:
        raise ShapeError(f"sizes {wide[0]} and {wide[1]} do not broadcast", fits="equal sizes, or 1, counted from the last axis")
    return wide[0] if wide else 1
