"""The one road: declare -> grad -> compile. Here a graph becomes a function, stage by stage, and each stage can be looked at."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

import numpy as np

from graphc.core import (
    Tensor,
    TensorType,
    Variable,
    as_tensor,
    collecting_paused,
    describe,
    dtypes,
    map_bodies,
    order_remembered,
    sizes,
    substitute,
    toposort,
)
from graphc.core.errors import ArgumentError, BackendError, DTypeError, KinkError, ShapeError
from graphc.core.expr import Input
from graphc.core.sizes import Dim
from graphc.grad.loops import has_loops
from graphc.lower import Estimate, Footprint, JaxProgram, NumpyProgram, Totals, dearest, expand, prune, schedule, totals

if TYPE_CHECKING:
    from graphc.rewrite import Application, Known, RuleSet, Saturated, Simplified

Backend = Literal["numpy", "jax"]
OPTIMISATIONS: Final = {
    "rules": "the graph is rewritten by named rules; a group of them may be named alone",
    "masks": "where relu(x) is there, it is asked what x > 0 would be asked of x, which need not be kept then",
    "sharing": "functions of one operand share their exponentials; on NumPy",
    "fuse": "pointwise steps and reductions run in loops over blocks of rows that stay in the cache",
    "threads": "blocks of rows are spread over the processors",
    "order": "steps are put in an order that lowers the peak of memory",
    "reuse": "values live in buffers that are kept between calls, and share them where they are not alive at once",
}
"""What ``compile(..., without=...)`` can leave out."""
RAISING = ("stable",)
"""Groups of rules that put a whole for its pieces; after ``expand`` has taken the wholes apart they rest."""
BACKENDS: Final = ("numpy", "jax")
KNOWN_SHAPES: Final = 1024
"""For how many combinations of shapes a function remembers that they fit."""


@dataclass(frozen=True)
class Pass:
    """One stage of a compilation: what it did to the number of nodes, and how long it took."""

    name: str
    nodes: int
    seconds: float


@dataclass(frozen=True)
class Report:
    """What the compiler did. ``print`` it; the fields hold the same for programs.

    ``before`` and ``after`` are the totals of the graph as it was declared and as it runs: operations and bytes as formulas of the named
    sizes, and an estimate of the time. ``memory`` is what a call needs, at the sizes that came last; before the first call a name counts
    as one. ``buffer_bytes`` is a formula too. The last two are None where the backend plans memory. ``saturated`` is the result of
    ``saturate=True``.
    """

    backend: str
    passes: tuple[Pass, ...]
    applied: tuple[Application, ...]
    declared: tuple[Tensor, ...]
    lowered: tuple[Tensor, ...]
    program: NumpyProgram | JaxProgram
    saturated: Saturated | None = None

    @property
    def rules(self) -> Counter[str]:
        """How often each rule fired."""
        return Counter(application.rule.name for application in self.applied)

    @property
    def seconds(self) -> dict[str, float]:
        """Time by pass."""
        return {stage.name: stage.seconds for stage in self.passes}

    @cached_property
    def before(self) -> Totals:
        """Operations, bytes and estimated time of the graph that was declared."""
        return totals(self.declared, Estimate())

    @cached_property
    def after(self) -> Totals:
        """The same of the graph that runs, node by node; loops over rows read and write less."""
        return totals(self.lowered, Estimate())

    @property
    def flops(self) -> Dim:
        """Floating-point operations of a call, as a formula of the named sizes."""
        return self.after.work.flops

    @property
    def nbytes(self) -> Dim:
        """Bytes read and written in a call, as a formula of the named sizes."""
        return self.after.work.nbytes

    @property
    def buffer_bytes(self) -> Dim | None:
        """Bytes of all buffers, before they share memory."""
        return self.program.buffer_bytes

    @property
    def memory(self) -> Footprint | None:
        """What a call needs beside inputs and variables, and what holds it when it is most."""
        return self.program.memory()

    def dearest(self, count: int = 10) -> list[str]:
        """The nodes that take longest by the estimate, with the user's lines."""
        return dearest(self.lowered, Estimate(), count)

    def __str__(self) -> str:
        lines = [f"compiled for {self.backend}"]
        lines += [f"  {stage.name:<10} {stage.nodes:>7} nodes  {1e3 * stage.seconds:8.2f} ms" for stage in self.passes]
        lines += ["rules that fired:"] + [
            f"  {count:>4} x {name}" for name, count in sorted(self.rules.items(), key=lambda item: (-item[1], item[0]))
        ]
        lines += [str(self.saturated)] if self.saturated else []
        lines += [f"declared: {self.before}", f"lowered:  {self.after}"]
        lines += ["the dearest nodes:", *self.dearest(5)]
        return "\n".join([*lines, *([str(self.memory)] if self.memory else [])])


class Function:
    """A compiled graph. Call it with a value for each input; named sizes are read off the values.

    ``source`` is the code that runs, ``report`` what the compiler did. A call leaves the inputs as they are, updates the
    variables, and returns fresh arrays (NumPy arrays and scalars, or JAX arrays on JAX) in the structure of the outputs.
    It may be called from several threads; calls that update variables wait for one another.
    """

    def __init__(self, inputs: tuple[Input, ...], structure: Any, program: NumpyProgram | JaxProgram, report: Report) -> None:
        self.inputs, self.report = inputs, report
        self._structure, self._program = structure, program
        self._dtypes = [dtypes.numpy_dtype(x.dtype) for x in inputs]
        self._updates = bool(program.schedule.updates)
        self._lock = threading.Lock()
        self._known_shapes: dict[tuple[tuple[int, ...], ...], tuple[int, ...]] = {}

    @property
    def source(self) -> str:
        """The Python source that runs: ``make(sizes and constants)`` allocates and returns ``step(inputs, variables)``."""
        return self._program.source.text

    def __call__(self, *values: Any) -> Any:
        """Run on these values. Raises :class:`ShapeError` and :class:`DTypeError` for values that do not fit the inputs."""
        bound = self._known_shapes.get(tuple([value.shape for value in values])) if self._fits(values) else None
        if bound is None:
            values, bound = self._checked(values)
        return self._run(values, bound)

    def prepared(self, *values: Any) -> Callable[..., Any]:
        """The call for values of the shapes and dtypes of these, which are then not looked at again. Raises as a call does."""
        arrays, bound = self._checked(values)
        if any(array is not value for array, value in zip(arrays, values, strict=True)):
            return self  # each value has to be brought to its dtype
        return lambda *values: self._run(values, bound)

    @property
    def holds_inputs(self) -> bool:
        """Whether values may still be read after a call has returned, as JAX does."""
        return self.report.backend == "jax"

    def _run(self, values: Sequence[Any], bound: tuple[int, ...]) -> Any:
        try:
            if not self._updates:
                return structured(self._structure, self._program.run(values, bound))
            with self._lock:
                return structured(self._structure, self._program.run(values, bound))
        except ArithmeticError as error:
            raise KinkError(str(error)) from None

    def _fits(self, values: Sequence[Any]) -> bool:
        """Whether these are arrays of the inputs' own dtypes, of which only the shapes may be unknown."""
        if len(values) != len(self._dtypes):
            return False
        return all(getattr(value, "dtype", None) is dtype for value, dtype in zip(values, self._dtypes, strict=True))

    def _checked(self, values: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[int, ...]]:
        """The values as arrays of the inputs' dtypes, and the numbers for the named sizes."""
        if len(values) != len(self.inputs):
            raise ArgumentError(
                f"the function was given {len(values)} values",
                given=[describe(x) for x in self.inputs],
                fits=f"{len(self.inputs)} values, in this order",
            )
        arrays = tuple([_value(value, x, dtype) for value, x, dtype in zip(values, self.inputs, self._dtypes, strict=True)])
        bound = self._sizes(arrays)
        if len(self._known_shapes) >= KNOWN_SHAPES:
            self._known_shapes.clear()
        self._known_shapes[tuple([array.shape for array in arrays])] = bound
        return arrays, bound

    def _sizes(self, arrays: Sequence[Any]) -> tuple[int, ...]:
        found: dict[str, tuple[int, Input]] = {}
        for array, x in zip(arrays, self.inputs, strict=True):
            _bind_shape(array.shape, x, found)
        known = {name: size for name, (size, _) in found.items()}
        for array, x in zip(arrays, self.inputs, strict=True):
            _check_formulas(array.shape, x, known)
        return tuple([known[name] for name in self._program.source.sizes])

    def __repr__(self) -> str:
        return f"<graphc function of ({', '.join(str(x.label) for x in self.inputs)}) on {self.report.backend}>"


def structured(like: Any, results: Sequence[Any]) -> Any:
    """The results as what the outputs were: one, a list, a tuple or a dict."""
    if isinstance(like, Tensor):
        return results[0]
    if isinstance(like, Mapping):
        return dict(zip(like, results, strict=True))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return type(like)(results)


def _value(value: Any, x: Input, dtype: np.dtype[Any]) -> Any:
    if getattr(value, "dtype", None) == dtype and hasattr(value, "shape"):
        return value
    array = np.asarray(value)
    if array.dtype == dtype:
        return array
    if not np.can_cast(array.dtype, dtype, "same_kind") and array.size:
        raise DTypeError(f"the value of {x.label} is {array.dtype}", given=[describe(x)], fits=f"{x.dtype}, or a dtype that casts to it")
    cast = array.astype(dtype)
    if array.dtype.kind in "iu" and dtype.kind in "iu" and not np.array_equal(cast, array):
        raise DTypeError(
            f"the value of {x.label} has numbers that {x.dtype} does not hold", given=[describe(x)], fits=f"numbers that {x.dtype} holds"
        )
    return cast


def _bind_shape(shape: tuple[int, ...], x: Input, found: dict[str, tuple[int, Input]]) -> None:
    if len(shape) != x.ndim:
        raise ShapeError(f"the value of {x.label} has shape {shape}", given=[describe(x)], fits=f"{x.ndim} axes")
    for declared, given in zip(x.shape, shape, strict=True):
        if isinstance(declared, int):
            if declared != given:
                raise ShapeError(f"the value of {x.label} has shape {shape}", given=[describe(x)], fits=f"{x.type}")
            continue
        name = sizes.name_of(declared)
        if name is None:
            continue  # a formula of names: _check_formulas
        known, first = found.setdefault(name, (given, x))
        if known != given:
            raise ShapeError(
                f"the size {name!r} would be {known} and {given} in one call",
                given=[f"{known}: {describe(first)}", f"{given}: {describe(x)}"],
                fits="values that agree on every named size",
            )


def _check_formulas(shape: tuple[int, ...], x: Input, known: Mapping[str, int]) -> None:
    """Compare the sizes that are formulas of named sizes, such as ``n + 1``, with the values' own."""
    for declared, given in zip(x.shape, shape, strict=True):
        if isinstance(declared, int) or sizes.name_of(declared) is not None:
            continue
        missing = sorted(sizes.names(declared) - set(known))
        if missing:
            raise ShapeError(
                f"the size {missing[0]!r} is no input's own size", given=[describe(x)], fits=f"an input with an axis of {missing[0]!r}"
            )
        if sizes.bind(declared, known) != given:
            raise ShapeError(
                f"the value of {x.label} has shape {shape}", given=[describe(x)], fits=f"{declared} = {sizes.bind(declared, known)}"
            )


def compile(
    inputs: Input | Sequence[Input],
    outputs: Any,
    updates: Mapping[Variable, Any] | None = None,
    *,
    backend: Backend = "numpy",
    optimize: bool = True,
    unsafe_math: bool = False,
    without: Iterable[str] = (),
    memory_budget: int | None = None,
    saturate: bool = False,
) -> Function:
    """Compile a graph into a function of ``inputs`` that returns ``outputs`` and updates variables.

    Args:
        inputs: an input, or the inputs in the order of the call.
        outputs: a tensor, or a list, tuple or dict of them; the function returns the same structure.
        updates: for each variable to be written, its new value. All are computed from the values before the call.
        backend: ``"numpy"`` or ``"jax"``.
        optimize: False leaves the graph as it was written, and computes it node by node.
        unsafe_math: allow rewrites that are wrong for NaN and inf, such as ``0 * x`` to 0.
        without: optimisations to leave out, by their names in ``graphc.pipeline.OPTIMISATIONS``, or groups of rules.
        memory_budget: bytes that a call may need beside inputs, variables and constants; what does not fit is computed again.
        saturate: search for a cheaper graph by equality saturation too, which takes seconds and seldom finds one.

    Raises:
        ArgumentError: an input is missing, or something is no tensor. DTypeError, ShapeError: an update does not fit its
        variable. BackendError: the backend is not installed, or the budget cannot be met.
    """
    leaves = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    _check_inputs(leaves)
    if backend not in BACKENDS:
        raise BackendError(f"there is no backend {backend!r}", fits=", ".join(map(repr, BACKENDS)))
    structure = _structure(outputs)
    roots = _roots(structure)
    new = {variable: _new_value(variable, value) for variable, value in (updates or {}).items()}
    options = _Options(_dropped(optimize, without), memory_budget, saturate)
    with collecting_paused(), order_remembered():
        return _Compilation(backend, _rules(unsafe_math, options.dropped), options).run(leaves, structure, roots, new)


def _dropped(optimize: bool, without: Iterable[str]) -> frozenset[str]:
    """What is left out."""
    asked = frozenset([without] if isinstance(without, str) else without)
    if unknown := sorted(asked - set(OPTIMISATIONS)):
        from graphc.rewrite import ALL

        groups = sorted({one.group for one in ALL})
        if strange := [name for name in unknown if name not in groups]:
            raise ArgumentError(f"without: there is no optimisation {strange[0]!r}", fits=", ".join([*OPTIMISATIONS, *groups]))
    return asked if optimize else frozenset(OPTIMISATIONS)


@functools.cache
def _rules(unsafe_math: bool, dropped: frozenset[str]) -> RuleSet | None:
    if "rules" in dropped:
        return None
    from graphc.rewrite import DEFAULT, UNSAFE  # a hundred rules are made when the first graph is compiled, not with every import

    rules = UNSAFE if unsafe_math else DEFAULT
    return rules.without(*dropped) if dropped - set(OPTIMISATIONS) else rules


@functools.cache
def _without_raising(rules: RuleSet) -> RuleSet:
    return rules.without(*RAISING)


class _Options(NamedTuple):
    dropped: frozenset[str]
    memory_budget: int | None
    saturate: bool


class _Compilation:
    """The stages, with a clock."""

    def __init__(self, backend: Backend, rules: RuleSet | None, options: _Options) -> None:
        self.backend: Backend = backend
        self.rules, self.options = rules, options
        self.saturated: Saturated | None = None
        self.passes: list[Pass] = []
        self.applied: list[Application] = []
        self._known: Known | None = None
        self._counted: tuple[list[Tensor], int] = [], 0
        self._started = time.perf_counter()

    def run(self, inputs: tuple[Input, ...], structure: Any, roots: list[Tensor], updates: dict[Variable, Tensor]) -> Function:
        graph = [*roots, *updates.values()]
        self._done("declared", graph)
        declared = tuple(graph)
        if self._wants("masks"):
            from graphc.rewrite import masks_by_results

            graph = masks_by_results(map_bodies(graph, masks_by_results))
            self._done("masks", graph)
        looping = self.rules is not None and has_loops(graph)
        if looping:
            graph = self._simplify_loops("keep", graph)
        graph = self._simplify("simplify", graph, self.rules)
        if self.options.saturate:
            graph = self._saturate(graph)
        graph = prune(graph)
        self._done("prune", graph)
        if looping:
            graph = self._simplify_loops("lift", graph)
        if self._wants("sharing") and self.backend == "numpy":
            from graphc.rewrite import share_exponentials

            graph = share_exponentials(map_bodies(graph, share_exponentials))
            self._done("sharing", graph)
        graph = expand(graph, self.backend)
        self._done("expand", graph)
        graph = self._simplify("polish", graph, self.rules and _without_raising(self.rules))
        plan = schedule(inputs, graph[: len(roots)], dict(zip(updates, graph[len(roots) :], strict=True)))
        self._done("schedule", graph)
        program: NumpyProgram | JaxProgram
        if self.backend == "jax":
            program = JaxProgram(plan, "step", self.options.memory_budget)
        else:
            program = NumpyProgram(plan, "step", self.options.dropped, self.options.memory_budget)
        self._done("emit", graph)
        report = Report(self.backend, tuple(self.passes), tuple(self.applied), declared, tuple(graph), program, self.saturated)
        return Function(inputs, structure, program, report)

    def _saturate(self, graph: list[Tensor]) -> list[Tensor]:
        from graphc.rewrite import RuleSet, saturate

        self.saturated = found = saturate(graph, self.rules or RuleSet(), Estimate())
        self.applied += found.applied
        self._done("saturate", found.roots)
        return found.roots

    def _wants(self, name: str) -> bool:
        return self.rules is not None and name not in self.options.dropped

    def _simplify_loops(self, name: Literal["keep", "lift"], graph: list[Tensor]) -> list[Tensor]:
        from graphc.grad import loops

        assert self.rules is not None
        graph = loops.keep(self._simplified(graph, self.rules).roots) if name == "keep" else loops.lift(graph)
        self._done(name, graph)
        return graph

    def _simplify(self, name: str, graph: list[Tensor], rules: RuleSet | None) -> list[Tensor]:
        if rules is not None:
            graph = map_bodies(graph, lambda outputs: self._simplified(outputs, rules).roots)
            done = self._simplified(graph, rules, self._known)
            graph, self._known = done.roots, done.known
        self._done(name, graph)
        return graph

    def _simplified(self, graph: list[Tensor], rules: RuleSet, known: Known | None = None) -> Simplified:
        from graphc.rewrite import simplify

        done = simplify(graph, rules, known=known)
        self.applied += done.applied
        return done

    def _done(self, name: str, graph: list[Tensor]) -> None:
        if self._counted[0] != graph:
            self._counted = graph, len(toposort(graph))
        now = time.perf_counter()
        self.passes.append(Pass(name, self._counted[1], now - self._started))
        self._started = now


def _check_inputs(leaves: tuple[Any, ...]) -> None:
    for x in leaves:
        if not isinstance(x, Input):
            raise ArgumentError(f"compile: {x!r} is no input", fits="tensors made by gc.input; variables need not be listed")
    if len(set(leaves)) < len(leaves):
        raise ArgumentError("compile: an input is listed twice", given=[describe(x) for x in leaves], fits="each input once")


def _structure(outputs: Any) -> Any:
    """The outputs as the caller has them, but for a literal, which becomes a tensor."""
    return cast("Any", outputs) if isinstance(outputs, Tensor | Mapping | list | tuple) else as_tensor(outputs)


def _roots(structure: Any) -> list[Tensor]:
    if isinstance(structure, Tensor):
        return [structure]
    items: Iterable[Any] = cast("Mapping[Any, Any]", structure).values() if isinstance(structure, Mapping) else structure
    return [as_tensor(item) for item in items]


def _new_value(variable: Any, value: Any) -> Tensor:
    if not isinstance(variable, Variable):
        raise ArgumentError(f"updates: {variable!r} is no variable", fits="{variable: new value} with variables made by gc.variable")
    new = as_tensor(value)
    if new.shape != variable.shape:
        raise ShapeError(
            f"updates: the new value of {variable.label} has another shape",
            given=[describe(variable), describe(new)],
            fits=str(variable.type),
        )
    if new.dtype != variable.dtype:
        raise DTypeError(
            f"updates: the new value of {variable.label} has another dtype",
            given=[describe(variable), describe(new)],
            fits=f"gc.cast(value, {variable.dtype!r})",
        )
    return new


def evaluate(y: Any, values: Mapping[Tensor, Any] | None = None, *, backend: Backend = "numpy", optimize: bool = True) -> Any:
    """Compile and run once: the value of ``y`` (a tensor, or a list, tuple or dict of them), given a value for each input.

    ``values`` may also give values to variables, for this evaluation alone. Errors are those of ``compile`` and of the call.
    """
    given = dict(values or {})
    inputs = [x for x in given if isinstance(x, Input)]
    replaced: dict[Tensor, Input] = {x: _stand_in(x) for x in given if isinstance(x, Variable)}
    if replaced:
        structure = _structure(y)
        results = substitute(_roots(structure), replaced)
        run = compile([*inputs, *replaced.values()], results, backend=backend, optimize=optimize)
        return structured(structure, run(*[given[x] for x in inputs], *[given[x] for x in replaced]))
    return compile(inputs, y, backend=backend, optimize=optimize)(*[given[x] for x in inputs])


def _stand_in(variable: Variable) -> Input:
    node = Input(None, (), (), TensorType(variable.dtype, sizes.canonical(variable.shape)))
    node.label = variable.label
    return node
