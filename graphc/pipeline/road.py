"""From a graph to a function, stage by stage, each with its time and its number of nodes."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

from graphc.backends import NAMES, Backend, Jax, options_of
from graphc.core import (
    Tensor,
    TensorType,
    Variable,
    as_tensor,
    collecting_paused,
    describe,
    map_bodies,
    order_remembered,
    sizes,
    substitute,
    toposort,
)
from graphc.core.errors import ArgumentError, DTypeError, ShapeError, near
from graphc.core.expr import Input
from graphc.core.signature import structured
from graphc.grad.loops import has_loops
from graphc.lower import Estimate, NumpyProgram, expand, prune, schedule
from graphc.pipeline.function import Function
from graphc.pipeline.report import Pass, Report

if TYPE_CHECKING:
    from graphc.checking import Check
    from graphc.lower.targets.jax import JaxProgram
    from graphc.rewrite import Application, Known, RuleSet, Saturated, Simplified

OPTIMISATIONS: Final = {
    "rules": "the graph is rewritten by named rules; a group of them may be named alone",
    "masks": "where relu(x) is there, it is asked what x > 0 would be asked of x, which need not be kept then",
    "sharing": "functions of one operand share their exponentials",
    "fuse": "pointwise steps and reductions run in loops over blocks of rows that stay in the cache",
    "threads": "blocks of rows are spread over the processors",
    "order": "steps are put in an order that lowers the peak of memory",
    "rolling": "equal layers are a loop over stacked layers, or calls of one function, so that XLA compiles less; on JAX",
    "reuse": "values live in buffers that are kept between calls, and share them where they are not alive at once",
}
"""What ``compile(..., without=...)`` can leave out."""
RAISING: Final = ("stable",)
"""Groups of rules that put a whole for its pieces; after ``expand`` has taken the wholes apart they rest."""
BACKENDS: Final = NAMES


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
    check: bool | Check = False,
    debug_nans: bool = False,
) -> Function:
    """Compile a graph into a function of ``inputs`` that returns ``outputs`` and updates variables.

    Args:
        inputs: an input, or the inputs in the order of the call.
        outputs: a tensor, or a list, tuple or dict of them; the function returns the same structure.
        updates: for each variable to be written, its new value. All are computed from the values before the call.
        backend: ``"numpy"``, ``"jax"``, or :class:`graphc.Jax`, which is JAX with options.
        optimize: False leaves the graph as it was written, and computes it node by node.
        unsafe_math: allow rewrites that are wrong for NaN and inf, such as ``0 * x`` to 0.
        without: optimisations to leave out, by their names in ``graphc.pipeline.OPTIMISATIONS``, or groups of rules.
        memory_budget: bytes that a call may need beside inputs, variables and constants; what does not fit is computed again.
        saturate: search for a cheaper graph by equality saturation too, which takes seconds and seldom finds one.
        check: compute each call in other ways too, and compare: the plain graph, the plan with freed buffers filled with NaN, the other
            backend. :class:`graphc.Check` has options. A difference raises :class:`CheckError`, which names the first node that differs.
        debug_nans: stop at the first node that makes a NaN or an inf out of finite values, if it reaches a result: :class:`NonFiniteError`.

    Both cost time, and leave variables with their old values when they raise.

    Raises:
        ArgumentError: an input is missing, or something is no tensor. DTypeError, ShapeError: an update does not fit its
        variable. BackendError: the backend is not installed, or the budget cannot be met.
    """
    leaves = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    _check_inputs(leaves)
    jax = options_of(backend)
    structure = _structure(outputs)
    roots = _roots(structure)
    new = {variable: _new_value(variable, value) for variable, value in (updates or {}).items()}
    options = _Options(_dropped(optimize, without), memory_budget, saturate)
    if check or debug_nans:
        options = options._replace(dropped=options.dropped | {"rolling"})  # a variable keeps an array of its own, to be brought back
    rules = _rules(unsafe_math, options.dropped, "jax" if jax else "numpy")
    with collecting_paused(), order_remembered():
        function = _Compilation(jax, rules, options).run(leaves, structure, roots, new)
    if not check and not debug_nans:
        return function
    from graphc.checking import check_options, watcher

    same = {"optimize": optimize, "unsafe_math": unsafe_math, "without": without, "saturate": saturate}
    return function.watch(watcher(check_options(check), debug_nans, compile, same))


def _dropped(optimize: bool, without: Iterable[str]) -> frozenset[str]:
    """What is left out."""
    asked = frozenset([without] if isinstance(without, str) else without)
    if unknown := sorted(asked - set(OPTIMISATIONS)):
        from graphc.rewrite import ALL

        groups = sorted({one.group for one in ALL})
        if strange := [name for name in unknown if name not in groups]:
            known = [*OPTIMISATIONS, *groups]
            raise ArgumentError(f"without: there is no optimisation {strange[0]!r}{near(strange[0], known)}", fits=", ".join(known))
    return asked if optimize else frozenset(OPTIMISATIONS)


@functools.cache
def _rules(unsafe_math: bool, dropped: frozenset[str], backend: str) -> RuleSet | None:
    if "rules" in dropped:
        return None
    from graphc.rewrite import DEFAULT, UNSAFE  # a hundred rules are made when the first graph is compiled, not with every import

    rules = (UNSAFE if unsafe_math else DEFAULT).on(backend)
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

    def __init__(self, jax: Jax | None, rules: RuleSet | None, options: _Options) -> None:
        self.jax, self.backend = jax, "jax" if jax else "numpy"
        self.rules, self.options = rules, options
        self.saturated: Saturated | None = None
        self.passes: list[Pass] = []
        self.applied: list[Application] = []
        self._became: list[Mapping[Tensor, Tensor]] = []
        self._known: Known | None = None
        self._counted: tuple[list[Tensor], int] = [], 0
        self._started = time.perf_counter()

    def run(self, inputs: tuple[Input, ...], structure: Any, roots: list[Tensor], updates: dict[Variable, Tensor]) -> Function:
        graph = [*roots, *updates.values()]
        self._done("declared", graph)
        declared = tuple(graph)
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
            if self.jax:
                from graphc.grad import loops

                graph = loops.tell_once(graph)
        if self._wants("sharing"):
            from graphc.rewrite import share_exponentials

            share = functools.partial(share_exponentials, backend=self.backend)
            graph = share(map_bodies(graph, share))
            self._done("sharing", graph)
        graph = expand(graph, self.backend, self._became)
        self._done("expand", graph)
        graph = self._simplify("polish", graph, self.rules and _without_raising(self.rules))
        if self.jax and self._wants("xla"):
            from graphc.rewrite import PHASES

            graph = self._simplify("xla", graph, PHASES["spell"])
        plan = schedule(inputs, graph[: len(roots)], dict(zip(updates, graph[len(roots) :], strict=True)))
        self._done("schedule", graph)
        program: NumpyProgram | JaxProgram
        if self.jax:
            from graphc.lower.targets.jax import JaxProgram

            program = JaxProgram(plan, "step", self.options.memory_budget, self.jax, rolling="rolling" not in self.options.dropped)
        else:
            program = NumpyProgram(plan, "step", self.options.dropped, self.options.memory_budget)
        self._done("emit", graph)
        applied, changed = tuple(self.applied), tuple(updates)
        report = Report(self.backend, tuple(self.passes), applied, declared, tuple(graph), program, self.saturated, changed)
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
            graph = map_bodies(graph, lambda outputs: self._simplified(outputs, rules).roots, self._became)
            done = self._simplified(graph, rules, self._known)
            graph, self._known = done.roots, done.known
        self._done(name, graph)
        return graph

    def _simplified(self, graph: list[Tensor], rules: RuleSet, known: Known | None = None) -> Simplified:
        from graphc.rewrite import masks_by_results, simplify

        first = masks_by_results(graph) if known is None and self._wants("masks") else ()
        done = simplify(graph, rules, known=known, first=first)
        self.applied += done.applied
        self._became.append(done.changed)
        return done

    def _done(self, name: str, graph: list[Tensor]) -> None:
        if self._counted[0] != graph:
            self._counted = graph, len(toposort(graph))
        now = time.perf_counter()
        fired = tuple(self.applied[sum([len(stage.applied) for stage in self.passes]) :])
        self.passes.append(Pass(name, self._counted[1], now - self._started, tuple(graph), tuple(self._became), fired))
        self._started, self._became = now, []


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
