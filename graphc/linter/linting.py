"""``gc.lint``, of tensors, functions and models, and of all that a file has at its top level."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from graphc import script
from graphc.core import Input, Tensor, Variable, input, tree
from graphc.core.errors import ArgumentError
from graphc.linter.finding import Finding, Findings
from graphc.linter.program import Graph, Program
from graphc.linter.rules import but_for
from graphc.pipeline import Function

FITS = "a tensor, a compiled function, a model, or a list, tuple or dict of them"


def lint(what: Any, *, ignore: Iterable[str] = ()) -> Findings:
    """What is probably wrong with a graph though it compiles: each finding has a code, the user's line, a reason and a cure.

    Args:
        what: a tensor, a compiled function, a model, or a list, tuple or dict of them. Of a function the graph is looked at that was
            declared; of a model that of its last step of training, or of its outputs before it was trained.
        ignore: rules to leave out, by code (``"GC103"``) or by name. A line that says ``# noqa: GC103`` is left out too.

    Returns:
        The findings, in the order of files and lines; ``print`` them. docs/lint.md has the rules.

    Raises:
        ArgumentError: there is no such rule (with the near one), or ``what`` is nothing that can be looked at.
    """
    wanted = but_for(ignore)
    program = program_of(what)
    return Findings([found for one in wanted for found in one.findings(program)])


def lint_script(spec: str, *, ignore: Iterable[str] = ()) -> Findings:
    """The findings of what ``FILE.py`` has at its top level, or of ``FILE.py:NAME`` alone, as ``graphc lint`` prints them.

    The file is run under the name ``__graphc__``, as an import would run it; nothing that it defines is called. Raises
    :class:`ArgumentError` if there is no such file, name or rule, :class:`ScriptError` if the file fails.
    """
    but_for(ignore)
    ran = script.run(spec, "lint")
    if ran.name is None:
        return lint_values(ran.values, ignore=ignore)
    name, value = ran.pick("lint", "tensor, compiled function or model", _is_graph, "name = gc.compile(...)")
    return lint({name: value}, ignore=ignore)


def lint_values(values: Mapping[str, Any], *, ignore: Iterable[str] = ()) -> Findings:
    """The same of what a module has under its names: tensors, functions and models, and variables that none of them reads."""
    wanted = but_for(ignore)
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor) and value.op is not None}
    graphs = [graph for name, value in values.items() if name[:1] != "_" for graph in _graphs_among(value, name)]
    known = {name: value for name, value in values.items() if isinstance(value, Variable)} if graphs else {}
    program = Program(graphs, known, {value: name for name, value in tensors.items()})
    found: list[Finding] = [finding for one in wanted for finding in one.findings(program)]
    return Findings(found)


def program_of(what: Any) -> Program:
    """The graphs of what is to be looked at. Raises :class:`ArgumentError` for anything else."""
    items: Sequence[Any]
    if isinstance(what, Mapping):
        named = cast("Mapping[Any, Any]", what)
        return Program(
            [graph for name, value in named.items() for graph in graphs_of(value, str(name))],
            names={value: str(name) for name, value in named.items() if isinstance(value, Tensor)},
        )
    items = cast("Sequence[Any]", what) if isinstance(what, list | tuple) else [what]
    return Program([graph for item in items for graph in graphs_of(item, "")])


def _graphs_among(value: Any, name: str) -> list[Graph]:
    """The graphs of a value of a module, which may be none, and of lists and dicts of such."""
    if isinstance(value, Mapping):
        parts = list(cast("Mapping[Any, Any]", value).values())
    elif isinstance(value, list | tuple):
        parts = list(cast("Sequence[Any]", value))
    else:
        parts = [value]
    return [graph for part in parts if _is_graph(part) for graph in graphs_of(part, name)]


def _is_graph(value: Any) -> bool:
    return (isinstance(value, Tensor) and value.op is not None) or isinstance(value, Function) or _is_model(value)


def _is_model(value: Any) -> bool:
    models = sys.modules.get("graphc.nn.model")  # who has a model has imported it
    return models is not None and isinstance(value, models.Model)


def graphs_of(what: Any, name: str) -> list[Graph]:
    """The graphs of one tensor, function or model. Raises :class:`ArgumentError` for anything else."""
    if isinstance(what, Tensor):
        return [Graph(name, (what,))]
    if isinstance(what, Function):
        return [_of_function(what, name, what.inputs)]
    if _is_model(what):
        return _of_model(what, name)
    raise ArgumentError(f"lint: {what!r} has no graph", given=[type(what).__name__], fits=FITS)


def _of_function(function: Any, name: str, inputs: tuple[Input, ...], frozen: frozenset[Variable] = frozenset()) -> Graph:
    report = function.report
    outputs = len(report.declared) - len(report.updated)
    updates = dict(zip(report.updated, report.declared[outputs:], strict=True))
    return Graph(name, report.declared[:outputs], inputs, updates, frozen)


def _of_model(model: Any, name: str) -> list[Graph]:
    """The steps that were compiled; before there are any, the loss if it is known, or the outputs."""
    name = name or model.name
    if model.compiled and model.training.steps:
        frozen = frozenset(model.variables) - frozenset(model.training.trained())
        return [_of_function(step.function, name, step.inputs, frozen) for step in model.training.steps]
    if model.network is None:
        raise ArgumentError(f"lint: {name} has no graph yet", fits="a model with an Input, or one that was trained before")
    if model.compiled and model.training.loss is not None:
        return [Graph(name, (model.training.declared(),))]
    leaves, arranged = tree.flatten(model.input)
    outputs = model(arranged([input(x.label or "x", x.shape, x.dtype) for x in leaves]))
    return [Graph(name, tuple(tree.flatten(outputs)[0]))]
