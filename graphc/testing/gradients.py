"""``check_gradient``: a gradient beside differences, and where it is wrong, the operation that is."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np

from graphc import ops
from graphc.core import Input, Tensor, Variable, as_tensor, describe, dtypes, input, sizes
from graphc.core.errors import ArgumentError
from graphc.core.subgraph import every_node
from graphc.grad import jvp, vjp
from graphc.lower import interpret
from graphc.pipeline import compile
from graphc.testing.exact import Exact, exact
from graphc.testing.report import Entry, GradientReport
from graphc.testing.slopes import ROUNDING, Line, Slope, by_steps_of, central, kink
from graphc.testing.widening import in_complex, in_float64

Array = np.ndarray[Any, Any]
Steps = dict[Input, Array]
"""A direction: how far each x moves."""
Method = Literal["auto", "differences", "complex", "mpmath"]
_METHODS: Final = ("auto", "differences", "complex", "mpmath")
_MODES: Final = ("reverse", "forward")
_DIRECTIONS: Final = 8
_SINGLE: Final = 16
"""Of a gradient that is too large for all of its entries: so many random directions, and so many entries."""


def check_gradient(
    y: Tensor,
    xs: Tensor | Sequence[Tensor],
    *,
    at: Mapping[Tensor, Any] | None = None,
    order: int = 1,
    modes: str | Sequence[str] = ("reverse", "forward"),
    method: Method = "auto",
    rtol: float = 1e-6,
    eps: float = 1e-4,
    most: int = 2000,
    kinks: bool = True,
    seed: int = 0,
) -> GradientReport:
    """Compare the gradient of ``y`` with its differences, in float64 whatever the graph's own floats are.

    Central differences are extrapolated once, which is right to about ``1e-11`` where ``y`` is smooth. Where the gradient disagrees with
    them a better way decides: numbers of 60 digits, if SymPy has words for all of the graph; a step off the real line, if all operations
    are analytic; else differences of many steps, of the size of the number itself as well. A ``y`` with axes is checked through its sum
    with random weights, forward mode through a product of the Jacobian with random tangents. If an entry is wrong, each operation is
    checked by itself with all other values as they are, and the first that is wrong is named with its line.

    Args:
        y: a float or complex tensor of any shape.
        xs: inputs or variables, or one of them.
        at: values of leaves. Variables have their own value otherwise, float inputs get random numbers between -1 and 1.
        order: 2 also checks the gradient of the gradient, and so on.
        modes: ``"reverse"``, ``"forward"``, or both.
        method: ``"differences"``, ``"complex"`` (a step off the real line) or ``"mpmath"`` for each entry, in place of ``"auto"``.
        rtol: what the two may differ by, beside the rounding errors of the differences.
        eps: the first step, for numbers up to 1; larger numbers get one in proportion.
        most: of more elements than this, random directions and a few entries are checked, and an entry that is wrong is found by halving.
        kinks: whether entries at kinks, where a derivative is a choice, are told of even if they agree.
        seed: of the random numbers.

    Returns:
        The report: true if all agree; printing it tells the worst entry, what was allowed and why, and the operation most likely at fault.

    Raises:
        ArgumentError: an x is not a leaf of ``y``, an integer input has no value, or the graph does not allow the method.
    """
    wrt = [xs] if isinstance(xs, Tensor) else list(xs)
    wanted = (modes,) if isinstance(modes, str) else tuple(modes)
    if not wanted or not set(wanted) <= set(_MODES):
        raise ArgumentError(f"check_gradient: modes={modes!r}", fits="'reverse', 'forward', or both")
    if method not in _METHODS:
        raise ArgumentError(f"check_gradient: method={method!r}", fits=", ".join(map(repr, _METHODS)))
    rng = np.random.default_rng(seed)
    wide, leaves = in_float64(y)
    for x in wrt:
        if x not in leaves:
            raise ArgumentError(
                "check_gradient(y, xs): an x is not a leaf that y depends on", given=[describe(x)], fits="inputs and variables of y"
            )
    values = _leaf_values(leaves, dict(at or {}), rng)
    how = How(rtol, eps, most, method, wanted, kinks, rng)
    levels = list(_levels(wide, [leaves[x] for x in wrt], values, order, how))
    entries = tuple([entry for _, found in levels for entry in found])
    wrong = next((level for level, found in levels if not GradientReport(tuple(found))), None)
    if wrong is None:
        return GradientReport(entries)
    from graphc.testing.blame import at_fault

    return GradientReport(entries, at_fault(wrong.y, wrong.xs, wrong.values, how))


@dataclass
class How:
    """What was asked for."""

    rtol: float
    eps: float
    most: int
    method: str
    modes: tuple[str, ...]
    kinks: bool
    rng: np.random.Generator


def _leaf_values(leaves: Mapping[Tensor, Input], at: Mapping[Tensor, Any], rng: np.random.Generator) -> Steps:
    names = sorted({name for leaf in leaves for size in leaf.shape for name in sizes.names(size)})
    bound = {name: 2 + i for i, name in enumerate(names)}
    for leaf, value in at.items():
        bound |= {str(size): n for size, n in zip(leaf.shape, np.shape(value), strict=True) if not isinstance(size, int)}
    found: Steps = {}
    for leaf, stand_in in leaves.items():
        if leaf in at:
            found[stand_in] = np.array(at[leaf], dtype=stand_in.dtype)
        elif isinstance(leaf, Variable):
            found[stand_in] = leaf.value.astype(stand_in.dtype)
        elif dtypes.is_float(stand_in.dtype):
            found[stand_in] = rng.uniform(-1, 1, [sizes.bind(size, bound) for size in leaf.shape])
        else:
            raise ArgumentError("check_gradient: only floats get random values", given=[describe(leaf)], fits="at={leaf: value}")
    return found


def _levels(y: Tensor, xs: list[Input], values: Steps, order: int, how: How) -> Iterator[tuple[Level, list[Entry]]]:
    level = Level(projected(y, values, how.rng), xs, values, 1, how)
    while True:
        yield level, list(level.entries())
        if level.order == order:
            return
        parts = [projected(g, values, how.rng, always=True) for g in level.gradients]
        total = sum(parts, start=as_tensor(np.float64(0)))
        level = Level(total, xs, values, level.order + 1, how)


def projected(y: Tensor, values: Steps, rng: np.random.Generator, always: bool = False) -> Tensor:
    """The sum of y with random weights, which become one more input; a real scalar stays as it is."""
    if dtypes.is_complex(y.dtype):
        return projected(ops.real(y), values, rng, always=True) + projected(ops.imag(y), values, rng, always=True)
    if not y.shape and not always:
        return y
    shape = np.shape(compile(list(values), y, optimize=False)(*values.values()))
    weights = input("weights", y.shape, "float64")
    values[weights] = rng.uniform(0.5, 1.5, shape)
    return ops.sum(weights * y)


class Level:
    """The gradient of a scalar in float64 at a point, and its differences."""

    def __init__(self, y: Tensor, xs: Sequence[Input], values: Steps, order: int, how: How) -> None:
        self.y, self.xs, self.values, self.order, self.how = y, list(xs), dict(values), order, how
        self._value = compile(list(values), y, optimize=False)
        self._scale = max(1.0, abs(float(self._value(*values.values()))))

    @cached_property
    def gradients(self) -> list[Tensor]:
        """For each x, by reverse mode."""
        return vjp(self.y, self.xs, ops.ones((), "float64"), disconnected="zero")

    def entries(self) -> Iterator[Entry]:
        """What is compared: all entries, or random directions of large ones, and forward mode."""
        if "reverse" in self.how.modes:
            declared = compile(list(self.values), self.gradients, optimize=False)(*self.values.values())
            found = dict(zip(self.xs, [np.asarray(g) for g in declared], strict=True))
            if sum([self.values[x].size for x in self.xs]) <= self.how.most:
                yield from self._all(functools.partial(_inner, found), "reverse")
            else:
                yield from self._some(found)
        if "forward" in self.how.modes:
            yield from self._forward()

    # ------------------------------------------------------------ forward
    def _forward(self) -> Iterator[Entry]:
        tangents = [input(f"t{i}", x.shape, x.dtype) for i, x in enumerate(self.xs)]
        push = compile([*self.values, *tangents], jvp(self.y, self.xs, tangents), optimize=False)

        def declared(steps: Mapping[Input, Array]) -> float:
            moved = [steps.get(x, np.zeros_like(self.values[x])) for x in self.xs]
            return float(push(*self.values.values(), *moved))

        if self.how.modes == ("forward",) and sum([self.values[x].size for x in self.xs]) <= self.how.most:
            yield from self._all(declared, "forward")
        else:
            steps = self._random_direction()
            yield self._compared("a random direction", steps, declared(steps), "forward", _length(declared, steps))

    # ------------------------------------------------------------ reverse
    def _all(self, declared: Any, mode: str) -> Iterator[Entry]:
        policy = self._at_kinks if mode == "reverse" else {}
        for x in self.xs:
            for index, steps in self._single(x):
                entry = self._compared(_place(x, index), steps, declared(steps), mode)
                told = policy.get((x, index))
                yield entry if told is None or entry.told else replace(entry, told=told)

    def _single(self, x: Input) -> Iterator[tuple[tuple[int, ...], Steps]]:
        """A direction for each element, of a complex number for each of its parts."""
        for index in np.ndindex(self.values[x].shape):
            for unit in (1.0, 1j) if dtypes.is_complex(x.dtype) else (1.0,):
                step = np.zeros_like(self.values[x])
                step[index] = unit
                yield index, {x: step}

    def _some(self, found: Steps) -> Iterator[Entry]:
        """Random directions; where one of them disagrees, the entry that does, found by halving."""
        for number in range(_DIRECTIONS):
            steps = self._random_direction()
            entry = self._compared(f"random direction {number}", steps, _inner(found, steps), "reverse", _norm(found, steps))
            yield entry
            if not entry.error <= 1:
                yield self._halved(found, steps)
                return
        for _ in range(_SINGLE):
            sizes_of = [self.values[x].size for x in self.xs]
            x = self.xs[int(self.how.rng.choice(len(self.xs), p=np.array(sizes_of) / sum(sizes_of)))]
            place = int(self.how.rng.integers(self.values[x].size))
            index = tuple([int(n) for n in np.unravel_index(place, self.values[x].shape)])
            step = np.zeros_like(self.values[x])
            step[index] = 1.0
            yield self._compared(_place(x, index), {x: step}, _inner(found, {x: step}), "reverse")

    def _halved(self, found: Steps, steps: Steps) -> Entry:
        """The entry that is wrong: of two halves of a direction the one that is further off, until one element is left."""
        flat = [(x, i) for x in self.xs for i in range(self.values[x].size)]
        while len(flat) > 1:
            halves = [flat[: len(flat) // 2], flat[len(flat) // 2 :]]
            off: list[float] = []
            for half in halves:
                part = self._only(steps, half)
                slope = central(self._line(part), self.how.eps, self._scale)
                off.append(abs(_inner(found, part) - slope.value))
            flat = halves[int(np.argmax(np.nan_to_num(off, nan=np.inf)))]
        ((x, i),) = flat
        index = tuple([int(n) for n in np.unravel_index(i, self.values[x].shape)])
        step = np.zeros_like(self.values[x])
        step[index] = 1.0
        return self._compared(_place(x, index), {x: step}, _inner(found, {x: step}), "reverse")

    def _only(self, steps: Steps, kept: Sequence[tuple[Input, int]]) -> Steps:
        moved = {x for x, _ in kept}
        found: Steps = {x: np.zeros_like(self.values[x]) for x in self.xs if x in moved}
        for x in found:
            places = [i for other, i in kept if other is x]
            found[x].flat[places] = steps[x].flat[places]
        return found

    def _random_direction(self) -> Steps:
        rng = self.how.rng
        found: Steps = {}
        for x in self.xs:
            value = self.values[x]
            size = np.where(value == 0, 1.0, np.abs(value)) * rng.choice((-1.0, 1.0), value.shape)  # a small number takes small steps alone
            found[x] = (size * rng.choice((1.0, 1j), value.shape) if dtypes.is_complex(x.dtype) else size).astype(value.dtype)
        return found

    # ------------------------------------------------------------ one number
    def _compared(self, place: str, steps: Steps, declared: float, mode: str, norm: float = 0.0) -> Entry:
        """The derivative along a direction, as graphc has it and otherwise."""
        f, how = self._line(steps), self.how
        reach = self._reach(steps)
        slope = self._asked(f, steps, how.eps * reach)
        entry = self._entry(place, declared, slope, mode, norm)
        if entry.error <= 1 or how.method != "auto":
            return entry
        better = self._better(f, steps, reach)
        entry = self._entry(place, declared, better, mode, norm)
        if entry.error <= 1:
            return entry
        sides = kink(f, [how.eps * reach, 1e-2 * how.eps * reach])
        if sides is not None and min(sides) - entry.allowed <= declared <= max(sides) + entry.allowed:
            told = f"{declared:.6g} by graphc is between the derivatives on its left, {sides[0]:.6g}, and on its right, {sides[1]:.6g}"
            return replace(entry, told=told)
        return entry

    def _entry(self, place: str, declared: float, slope: Slope, mode: str, norm: float) -> Entry:
        size = max(abs(declared), abs(slope.value) if np.isfinite(slope.value) else 0.0, norm)
        allowed = self.how.rtol * size + slope.error
        reason = f"{self.how.rtol:g} of {size:.3g} by rtol, and {slope.error:.2g} for the error of {slope.way}"
        return Entry(place, self.order, declared, slope.value, allowed, mode, slope.way, reason)

    def _asked(self, f: Line, steps: Steps, step: float) -> Slope:
        match self.how.method:
            case "complex":
                return self._needed(self._off_the_line(steps), "an operation is not analytic, or takes no complex numbers")
            case "mpmath":
                return self._needed(None if self._exact is None else self._exact.along(steps), "it is large, or SymPy has no words for it")
            case _:
                return central(f, step, self._scale)

    def _needed(self, slope: Slope | None, why: str) -> Slope:
        if slope is None:
            raise ArgumentError(f"check_gradient: method={self.how.method!r} does not fit this graph: {why}", fits="method='auto'")
        return slope

    def _better(self, f: Line, steps: Steps, reach: float) -> Slope:
        """The surest way that there is, where it agrees with the others as far as they go."""
        own = max([float(np.abs(self.values[x][step != 0]).max(initial=0)) for x, step in steps.items()], default=0.0)
        rough = by_steps_of(f, [1e-1 * reach, 1e-3 * reach, *([0.1 * own] if 0 < own < 1 else [])])
        for sure in (self._off_the_line(steps), self._exact and self._exact.along(steps)):
            if sure is not None and abs(sure.value - rough.value) <= 1e-3 * abs(rough.value) + 10 * rough.error:
                return Slope(sure.value, sure.error + 64 * ROUNDING * self._scale, sure.way)
        return rough

    def _line(self, steps: Steps) -> Line:
        """The scalar along a direction. Each x is moved by what its floats can be moved by, so that a step is as long as it says."""

        def f(t: float) -> float:
            moved = [value + t * steps[x] if x in steps else value for x, value in self.values.items()]
            return float(self._value(*moved))

        return f

    def _reach(self, steps: Steps) -> float:
        """By how much longer than 1 a step may be: as the largest number that it moves alone."""
        if sum([int(np.count_nonzero(step)) for step in steps.values()]) != 1:
            return 1.0
        return max([max(1.0, float(np.abs(self.values[x][step != 0]).max())) for x, step in steps.items() if step.any()])

    @cached_property
    def _complex(self) -> tuple[Any, dict[Tensor, Input]] | None:
        if any(dtypes.is_complex(x.dtype) for x in self.xs):
            return None
        found = in_complex(self.y, self.xs)
        return None if found is None else found

    def _off_the_line(self, steps: Steps) -> Slope | None:
        if self._complex is None:
            return None
        y, stand_ins = self._complex
        tiny = 1e-20
        point: dict[Tensor, Any] = {leaf: value for leaf, value in self.values.items() if leaf not in stand_ins}
        point |= {stand_ins[x]: self.values[x] + 1j * tiny * steps.get(x, np.zeros(())) for x in self.xs}
        (value,) = interpret([y], point, self._sizes)
        slope = float(np.imag(value)) / tiny
        return Slope(slope, 64 * ROUNDING * abs(slope), "a step off the real line")

    @cached_property
    def _sizes(self) -> dict[str, int]:
        known = [(size, n) for x, value in self.values.items() for size, n in zip(x.shape, value.shape, strict=True)]
        return {str(sizes.name_of(size)): n for size, n in known if sizes.name_of(size) is not None}

    @cached_property
    def _exact(self) -> Exact | None:
        return exact(self.y, self.values)

    @cached_property
    def _at_kinks(self) -> dict[tuple[Input, tuple[int, ...]], str]:
        """The entries that pass through a kink, as ``kinks="nan"`` tells, and which operations have kinks."""
        having = [
            node for node in every_node([self.y]) if node.op is not None and (node.op.kinks is not None or node.op.choice is not None)
        ]
        if not having or not self.how.kinks:
            return {}
        marked = vjp(self.y, self.xs, ops.ones((), "float64"), disconnected="zero", kinks="nan")
        plain, found = (compile(list(self.values), graphs, optimize=False)(*self.values.values()) for graphs in (self.gradients, marked))
        names = ", ".join(dict.fromkeys([f"{node.op.name}{f' ({node.origin})' if node.origin else ''}" for node in having if node.op]))
        told = f"the derivative is a choice there; operations with kinks: {names}"
        return {
            (x, tuple([int(n) for n in index])): told
            for x, before, after in zip(self.xs, plain, found, strict=True)
            for index in np.argwhere(np.isnan(after) & ~np.isnan(before))
        }


def _inner(gradients: Mapping[Input, Array], steps: Mapping[Input, Array]) -> float:
    """What the gradient says of a direction; of a complex number it is ``dL/dRe + i dL/dIm``."""
    return float(sum([np.sum(np.real(np.conj(gradients[x]) * step)[step != 0]) for x, step in steps.items()]))


def _norm(gradients: Mapping[Input, Array], steps: Mapping[Input, Array]) -> float:
    """How large a random direction's derivative would be, which its cancellation hides."""
    return float(np.sqrt(sum([np.sum(np.abs(gradients[x] * step) ** 2) for x, step in steps.items()])))


def _length(declared: Any, steps: Steps) -> float:
    """The same from a few parts of the direction."""
    return max([abs(declared({x: step})) for x, step in steps.items()], default=0.0)


def _place(x: Input, index: Sequence[int]) -> str:
    return f"{x.label}{list(index) if index else ''}"


__all__ = ["How", "Level", "check_gradient", "projected"]
