"""Calls of ops, and what a record promises of them: what graphc's tests are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from graphc import ops
from graphc.core import Input, Op, Tensor, TensorType, case, dtypes, input, toposort
from graphc.core.errors import DTypeError
from graphc.core.graph import ancestors_through
from graphc.core.op import Case
from graphc.grad import carries
from graphc.lower import interpret
from graphc.pipeline import compile
from graphc.testing.gradients import check_gradient

Array = np.ndarray[Any, Any]


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
    # Forward mode has a test of its own, and no value of these is at a kink.
    report = check_gradient(
        call.node(inputs), wrt, at=dict(zip(inputs, call.values(), strict=True)), order=order, modes="reverse", kinks=False
    )
    if not report:
        yield str(report)
