"""Checks of gradients and of ops: for those who write their own, and what graphc's tests are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from graphc import ops
from graphc.core import (
    Constant,
    Input,
    Op,
    Subgraph,
    Tensor,
    TensorType,
    Variable,
    as_tensor,
    case,
    constant,
    describe,
    dtypes,
    input,
    sizes,
    toposort,
)
from graphc.core.errors import ArgumentError, DTypeError
from graphc.core.graph import ancestors_through
from graphc.core.op import Case
from graphc.grad import carries, vjp
from graphc.lower import interpret
from graphc.pipeline import compile

Array = np.ndarray[Any, Any]
_ROUNDING = 2.0**-52


# ---------------------------------------------------------------- gradients
@dataclass(frozen=True)
class Entry:
    """One element of a gradient, twice: as graphc has it and by differences."""

    place: str
    order: int
    declared: float
    differences: float
    allowed: float

    @property
    def error(self) -> float:
        """How far the two are apart, in units of what is allowed; infinite where one of them is NaN."""
        apart = abs(self.declared - self.differences)
        return apart / self.allowed if apart == apart else float("inf")

    def __str__(self) -> str:
        return f"{self.place}, order {self.order}: {self.declared:.12g} by graphc, {self.differences:.12g} by differences"


@dataclass(frozen=True)
class GradientReport:
    """The outcome of :func:`check_gradient`: true when every entry agrees."""

    entries: tuple[Entry, ...] = field(repr=False)

    @property
    def worst(self) -> Entry | None:
        """The entry that is furthest off, or None if there was nothing to compare."""
        return max(self.entries, key=lambda entry: entry.error, default=None)

    def __bool__(self) -> bool:
        return all(entry.error <= 1 for entry in self.entries)

    def __str__(self) -> str:
        wrong = sum(entry.error > 1 for entry in self.entries)
        verdict = (
            f"{wrong} of {len(self.entries)} entries of the gradient are wrong"
            if wrong
            else f"the gradient passes: {len(self.entries)} entries agree"
        )
        return f"{verdict}; worst {self.worst} ({self.worst.error:.2g} of what is allowed)" if self.worst else verdict

    __repr__ = __str__


def check_gradient(
    y: Tensor,
    xs: Tensor | Sequence[Tensor],
    *,
    at: Mapping[Tensor, Any] | None = None,
    order: int = 1,
    rtol: float = 1e-6,
    eps: float = 1e-4,
    seed: int = 0,
) -> GradientReport:
    """Compare the gradient of ``y`` with central differences, in float64 whatever the graph's own floats are.

    The differences are extrapolated once (Richardson, 1911), so that they are right to about ``1e-11`` where ``y`` is smooth. A ``y``
    with axes is checked through its sum with random weights.

    Args:
        y: a float tensor of any shape.
        xs: inputs or variables, or one of them.
        at: values of leaves. Variables have their own value otherwise, float inputs get random numbers between -1 and 1.
        order: 2 also checks the gradient of the gradient, and so on.
        rtol: what the two may differ by, beside the rounding errors of the differences.
        eps: the step, for numbers up to 1; larger numbers get one in proportion.
        seed: of the random numbers.

    Raises:
        ArgumentError: an x is not a leaf of ``y``, or an integer input has no value.
    """
    wrt = [xs] if isinstance(xs, Tensor) else list(xs)
    rng = np.random.default_rng(seed)
    wide, leaves = _in_float64(y)
    for x in wrt:
        if x not in leaves:
            raise ArgumentError(
                "check_gradient(y, xs): an x is not a leaf that y depends on", given=[describe(x)], fits="inputs and variables of y"
            )
    values = _leaf_values(leaves, dict(at or {}), rng)
    return GradientReport(tuple(_entries(wide, [leaves[x] for x in wrt], values, order, 1, _Differences(rtol, eps, rng))))


@dataclass
class _Differences:
    rtol: float
    eps: float
    rng: np.random.Generator


def _in_float64(y: Tensor) -> tuple[Tensor, dict[Tensor, Input]]:
    """The graph in float64 over fresh inputs, and the input that stands for each leaf."""
    found = [node for node in toposort([y]) if isinstance(node, Input | Variable)]
    leaves: dict[Tensor, Input] = {node: input(node.label or "x", node.shape, _wide(node.dtype)) for node in found}
    return _widened([y], dict(leaves))[0], leaves


def _widened(roots: Sequence[Tensor], new: dict[Tensor, Tensor]) -> list[Tensor]:
    for node in toposort(roots):
        if isinstance(node, Constant):
            new[node] = constant(node.value, _wide(node.dtype))
        elif node.op is not None:
            # What is made of integers and has no gradient keeps its dtype: random bits have a width of their own.
            kept = node.op.zero_gradient and not any(dtypes.is_inexact(x.dtype) for x in node.inputs)
            attrs = node.attrs if kept else tuple([_wide_attribute(name, value) for name, value in node.attributes.items()])
            made = node.op.apply(tuple([new[x] for x in node.inputs]), attrs)
            new[node] = ops.cast(made, dtype=_wide(made.dtype)) if made.dtype != _wide(made.dtype) else made
    return [new[root] for root in roots]


def _wide_attribute(name: str, value: Any) -> Any:
    if name == "dtype":
        return _wide(value)
    if isinstance(value, TensorType):
        return value.with_dtype(_wide(value.dtype))
    if isinstance(value, tuple):
        return tuple([_wide_attribute("", item) for item in cast("tuple[Any, ...]", value)])
    if isinstance(value, Subgraph):
        types = [p.type.with_dtype(_wide(p.dtype)) for p in value.parameters]
        stand_ins: dict[Tensor, Tensor] = dict(zip(value.parameters, Subgraph(types, ()).parameters, strict=True))
        return Subgraph(types, _widened(value.outputs, stand_ins))
    return value


def _wide(dtype: str) -> str:
    return "float64" if dtypes.is_float(dtype) else "complex128" if dtypes.is_complex(dtype) else dtype


def _leaf_values(leaves: Mapping[Tensor, Input], at: Mapping[Tensor, Any], rng: np.random.Generator) -> dict[Input, Array]:
    names = sorted({name for leaf in leaves for size in leaf.shape for name in sizes.names(size)})
    bound = {name: 2 + i for i, name in enumerate(names)}
    for leaf, value in at.items():
        bound |= {str(size): n for size, n in zip(leaf.shape, np.shape(value), strict=True) if not isinstance(size, int)}
    found: dict[Input, Array] = {}
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


def _entries(y: Tensor, xs: list[Input], values: dict[Input, Array], order: int, level: int, how: _Differences) -> Iterator[Entry]:
    scalar = _projected(y, values, how.rng)
    gradients = vjp(scalar, xs, ops.ones((), "float64"), disconnected="zero")
    inputs = list(values)
    declared = compile(inputs, gradients, optimize=False)(*values.values())
    value = compile(inputs, scalar, optimize=False)
    for i, x in enumerate(xs):
        yield from _compared(value, values, x, f"{x.label}", np.asarray(declared[i]), level, how)
    if level < order:
        total = sum((_projected(g, values, how.rng, always=True) for g in gradients), start=as_tensor(np.float64(0)))
        yield from _entries(total, xs, values, order, level + 1, how)


def _projected(y: Tensor, values: dict[Input, Array], rng: np.random.Generator, always: bool = False) -> Tensor:
    """The sum of y with random weights, which become one more input; a scalar stays as it is."""
    if not y.shape and not always:
        return y
    shape = np.shape(compile(list(values), y, optimize=False)(*values.values()))
    weights = input("weights", y.shape, "float64")
    values[weights] = rng.uniform(0.5, 1.5, shape)
    return ops.sum(weights * y)


def _compared(
    value: Any, values: dict[Input, Array], x: Input, name: str, declared: Array, level: int, how: _Differences
) -> Iterator[Entry]:
    place = np.array(values[x])
    arguments = [place if leaf is x else known for leaf, known in values.items()]
    scale = max(1.0, abs(float(value(*arguments))))
    for index in np.ndindex(place.shape):
        step = how.eps * max(1.0, abs(float(place[index])))
        found = _derivative(value, arguments, place, index, step)
        ours = float(declared[index])
        allowed = how.rtol * max(abs(ours), abs(found)) + 64 * _ROUNDING * scale / step
        yield Entry(f"{name}{list(index) if index else ''}", level, ours, found, allowed)


def _derivative(value: Any, arguments: list[Array], place: Array, index: tuple[int, ...], step: float) -> float:
    before = place[index]

    def slope(h: float) -> float:
        place[index] = before + h
        above = value(*arguments)
        place[index] = before - h
        below = value(*arguments)
        place[index] = before
        return float(above - below) / (2 * h)

    return (4 * slope(step / 2) - slope(step)) / 3


# ---------------------------------------------------------------- ops
@dataclass(frozen=True)
class Call:
    """One small legal call of an op, and values to run it on."""

    op: Op
    case: Case

    def __str__(self) -> str:
        parts = ["x".join(map(str, shape)) or "()" for shape in self.case.shapes]
        parts += [f"{name}={value}" for name, value in self.case.attributes.items()]
        return f"{self.op.name}({', '.join(parts)})".replace("slice(None, None, None)", ":")

    @property
    def names(self) -> list[str]:
        """A name for each input; they are the operands, but for those that go through something first."""
        if self.case.through is not None:
            return [f"x{i}" for i in range(len(self.case.shapes))]
        if self.op.variadic:
            return [f"{self.op.operands[0]}{i}" for i in range(len(self.case.shapes))]
        return list(self.op.operands)

    def operand_dtypes(self, dtype: str) -> list[str]:
        """The dtype of each operand: ``dtype``, but for indices and conditions."""
        return ["int64" if name in self.case.integers else "bool" if name in _conditions(self.op) else dtype for name in self.names]

    def inputs(self, dtype: str = "float64") -> list[Input]:
        """A fresh input for each operand."""
        return [input(name, shape, d) for name, shape, d in zip(self.names, self.case.shapes, self.operand_dtypes(dtype), strict=True)]

    def operands(self, inputs: Sequence[Any]) -> list[Any]:
        """What the op is called with, made of these inputs."""
        made: Any = inputs if self.case.through is None else self.case.through(*inputs)
        return list(cast("Sequence[Any]", made)) if isinstance(made, list | tuple) else [made]

    def node(self, inputs: Sequence[Any]) -> Tensor:
        """The call on operands made of these inputs, as far as it may be looked at."""
        operands = self.operands(inputs)
        result: Any = self.op(operands, **self.case.attributes) if self.op.variadic else self.op(*operands, **self.case.attributes)
        if self.case.seen is not None:
            result = self.case.seen(*result) if isinstance(result, tuple) else self.case.seen(result)
        return _together(cast("Sequence[Tensor]", result)) if isinstance(result, list | tuple) else result

    def values(self, dtype: str = "float64", seed: int = 0) -> list[Array]:
        """Values of the operands, inside the op's domain; no two of them tie, and none is at a kink."""
        rng = np.random.default_rng(seed)
        total = sum(int(np.prod(shape)) for shape in self.case.shapes)
        places = rng.permutation(total) + 0.37
        found: list[Array] = []
        for i, (name, shape, kind) in enumerate(zip(self.names, self.case.shapes, self.operand_dtypes(dtype), strict=True)):
            count = int(np.prod(shape))
            own, places = places[:count] / max(1, total), places[count:]
            low, high = self.op.domain[min(i, len(self.op.domain) - 1)] if self.op.domain else (-2.0, 2.0)
            if name in self.case.integers:
                own = rng.integers(0, self.case.integers[name], count)
            elif kind == "bool":
                own = own < 0.5
            else:
                own = low + (high - low) * own
            found.append(own.reshape(shape).astype(dtypes.numpy_dtype(kind)))
        return found

    def differentiable(self, inputs: Sequence[Input]) -> list[Input]:
        """Those of the operands to which a gradient passes."""
        node = self.node(inputs)
        return [x for x in inputs if dtypes.is_inexact(x.dtype) and node in ancestors_through(toposort([node]), [x], carries)]


def _together(results: Sequence[Tensor]) -> Tensor:
    """Several results as one vector."""
    return ops.concatenate([ops.reshape(result, (-1,)) for result in results])


def _conditions(op: Op) -> list[str]:
    """Operands of a differentiable pointwise op that are no numbers but choose."""
    if not op.pointwise or all(partial is None for partial in op.partials):
        return []
    return [name for name, partial in zip(op.operands, op.partials, strict=True) if partial is None]


_SHAPES: dict[int, list[tuple[tuple[int, ...], ...]]] = {
    1: [((),), ((3,),), ((2, 3),), ((1,),), ((0,),), ((2, 0, 3),)],
    2: [((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (3,)), ((2, 3), ()), ((1,), (4,)), ((0, 3), (3,)), ((1,), (0,))],
    3: [((), (), ()), ((3,), (3,), (3,)), ((2, 1), (3,), ()), ((3,), (2, 3), (2, 1)), ((), (2,), (1,)), ((0,), (1,), ())],
}


def calls(op: Op) -> list[Call]:
    """The small legal calls of an op: its cases, and for pointwise ops the shapes that broadcast, empty ones among them."""
    found = [Call(op, declared) for declared in op.cases]
    if op.pointwise and set(op.attributes) <= set(op.defaults):
        whole = dict.fromkeys(op.operands, 8) if takes_integers_alone(op) else None
        found += [Call(op, case(*shapes, integers=whole)) for shapes in _SHAPES[len(op.operands)]]
    return found


def takes_integers_alone(op: Op) -> bool:
    """Whether a pointwise op refuses floats, as those that work bit by bit do."""
    try:
        return op.compute is not None and dtypes.is_integer(op.compute("float64"))
    except DTypeError:
        return True


@dataclass(frozen=True)
class OpReport:
    """The outcome of :func:`check_op`: true when nothing failed."""

    op: Op
    calls: int
    failures: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.calls > 0 and not self.failures

    def __str__(self) -> str:
        if not self.calls:
            return f"{self.op.name}: there are no cases, so nothing was checked"
        return "\n".join(
            [f"{self.op.name}: {self.calls} calls, {len(self.failures)} failures", *(f"  {failure}" for failure in self.failures)]
        )

    __repr__ = __str__


def check_op(op: Op, *, order: int = 2, backends: Sequence[Any] = ("numpy",)) -> OpReport:
    """Check an op's declaration on its cases: type rule, value on each backend, and gradients up to ``order``."""
    small = calls(op)
    failures: list[str] = []
    for call in small:
        failures += [
            f"{call}: {problem}" for problem in (*type_problems(call), *value_problems(call, backends), *gradient_problems(call, order))
        ]
    return OpReport(op, len(small), tuple(failures))


def type_problems(call: Call, operand_types: Sequence[str] = ("float32", "float64")) -> Iterator[str]:
    """Where the declared type is not that of what NumPy returns."""
    for dtype in operand_types:
        inputs = call.inputs(dtype)
        node = call.node(inputs)
        result = np.asarray(compile(inputs, node, optimize=False)(*call.values(dtype)))
        found = TensorType(dtypes.canonical(result.dtype), result.shape)
        if found is not node.type:
            yield f"declared {node.type}, NumPy returns {found}"


def value_problems(call: Call, backends: Sequence[Any] = ("numpy",), rtol: float = 1e-9) -> Iterator[str]:
    """Where a compiled function is not what the plain interpreter has, in float64."""
    inputs, values = call.inputs(), call.values()
    node = call.node(inputs)
    (expected,) = interpret([node], dict(zip(inputs, values, strict=True)))
    for backend in backends:
        found = np.asarray(compile(inputs, node, backend=backend)(*values))
        if found.dtype != expected.dtype or not np.allclose(found, expected, rtol=rtol, atol=rtol, equal_nan=True):
            yield f"{backend} gives {found!r}, the interpreter {expected!r}"


def gradient_problems(call: Call, order: int = 2) -> Iterator[str]:
    """Where a gradient is not what differences say."""
    inputs = call.inputs()
    wrt = call.differentiable(inputs)
    if not wrt:
        return
    report = check_gradient(call.node(inputs), wrt, at=dict(zip(inputs, call.values(), strict=True)), order=order)
    if not report:
        yield str(report)
