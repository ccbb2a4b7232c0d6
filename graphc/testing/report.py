"""What a check of a gradient found."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphc.core.origin import Origin


@dataclass(frozen=True)
class Entry:
    """One number of a gradient, twice: as graphc has it and in another way.

    ``mode`` is reverse or forward, ``way`` how the other number came about, ``reason`` what is allowed between the two and why. ``told``
    says of an entry at a kink what the derivatives on either side are; such an entry is not wrong.
    """

    place: str
    order: int
    declared: float
    differences: float
    allowed: float
    mode: str = "reverse"
    way: str = "differences"
    reason: str = ""
    told: str = ""

    @property
    def error(self) -> float:
        """How far the two are apart, in units of what is allowed; infinite where one of them is NaN, 0 at a kink."""
        if self.told:
            return 0.0
        apart = abs(self.declared - self.differences)
        if not apart:
            return 0.0
        return apart / self.allowed if apart == apart and self.allowed else float("inf")

    def __str__(self) -> str:
        return f"{self.place}, order {self.order}, {self.mode} mode: {self.declared:.12g} by graphc, {self.differences:.12g} by {self.way}"


@dataclass(frozen=True)
class Blame:
    """The first operation whose own derivative is not what differences say, with all other values as they are."""

    name: str
    origin: Origin | None
    entry: Entry

    def __str__(self) -> str:
        where = f" ({self.origin})" if self.origin else ""
        own = f"{self.entry.declared:.6g}, and {self.entry.differences:.6g} by {self.entry.way}"
        return f"{self.name}{where}: its own derivative at {self.entry.place} is {own}"


@dataclass(frozen=True)
class GradientReport:
    """The outcome of :func:`check_gradient`: true when every entry agrees.

    ``blame`` is the operation most likely at fault, if an entry is wrong and one was found.
    """

    entries: tuple[Entry, ...] = field(repr=False)
    blame: Blame | None = None

    @property
    def worst(self) -> Entry | None:
        """The entry that is furthest off, or None if there was nothing to compare."""
        return max(self.entries, key=lambda entry: entry.error, default=None)

    @property
    def wrong(self) -> tuple[Entry, ...]:
        """The entries that are further off than is allowed."""
        return tuple([entry for entry in self.entries if not entry.error <= 1])

    @property
    def kinks(self) -> tuple[Entry, ...]:
        """The entries at kinks, where a derivative is a choice: nothing is said against them."""
        return tuple([entry for entry in self.entries if entry.told])

    def __bool__(self) -> bool:
        return not self.wrong

    def __str__(self) -> str:
        count, wrong = len(self.entries), len(self.wrong)
        verdict = f"{wrong} of {count} entries of the gradient are wrong" if wrong else f"the gradient passes: {count} entries agree"
        lines = [f"{verdict}; worst {self.worst} ({self.worst.error:.2g} of what is allowed)" if self.worst else verdict]
        if wrong and self.worst is not None:
            lines.append(f"  allowed: {self.worst.allowed:.3g}, {self.worst.reason}")
            lines.append(f"  most likely at fault: {self.blame or 'no single operation, so perhaps how they are put together'}")
        lines += [f"  at a kink: {entry.place}, {entry.told}" for entry in self.kinks[:8]]
        return "\n".join(lines)

    __repr__ = __str__
