"""``explore``: what it takes, and the page that it writes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

from graphc import ops
from graphc.core import Tensor, collecting_paused, toposort
from graphc.core.errors import ArgumentError, DrawError
from graphc.core.expr import Input
from graphc.core.files import state_of, write_whole
from graphc.exploration.gradient import gradient_of, root_of
from graphc.exploration.passes import Passes
from graphc.grad import vjp
from graphc.lower.targets.jax import JaxProgram
from graphc.pipeline import Function, Report, compile
from graphc.show import explorer

_HEIGHT: Final = 720
"""Pixels that the page takes in a notebook."""


@dataclass(frozen=True, repr=False)
class Exploration:
    """A page that was written to ``path``. A notebook shows it in a frame."""

    path: Path
    title: str

    @property
    def html(self) -> str:
        """The page."""
        return self.path.read_text(encoding="utf-8")

    def _repr_html_(self) -> str:
        style = "width: 100%; border: 1px solid #8888"
        return f'<iframe title="{escape(self.title)}" srcdoc="{escape(self.html)}" height="{_HEIGHT}" style="{style}"></iframe>'

    def __repr__(self) -> str:
        return f"<Exploration of {self.title!r}: {self.path}>"


def explore(
    graph: Any, path: str | os.PathLike[str] = "graph.html", *, wrt: Tensor | Sequence[Tensor] = (), title: str = ""
) -> Exploration:
    """Write a page that shows a graph, what the compiler did with it, the source that it became, and its memory.

    ``graph`` is a compiled function, a model that was fitted (its step of training), or a tensor, which is compiled for NumPy, with ``wrt``
    together with its gradient. The page is one file, which loads nothing and which any browser opens.

    In it groups (``gc.scope``, layers of models, bodies of loops) fold; a node tells its type, formula, line, cost, memory, cotangent, and
    the rules that touched it; a slider goes through the passes of the compiler; lines of the emitted source and nodes lead to one another.
    Sizes are those of the function's last call; before it, named ones are taken for small numbers.

    Raises :class:`ArgumentError` for what is no graph, and for ``wrt`` with a function, whose gradient is in it or not; what ``gc.vjp``
    raises for ``wrt``; :class:`DrawError` where the page cannot be written.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise _refusal(target, f"no folder {str(target.parent)!r}", "a path in a folder that exists")
    targets = [wrt] if isinstance(wrt, Tensor) else list(wrt)
    with collecting_paused():
        exhibit = _exhibit(*_subject(graph, targets), targets, title)
        content = explorer.to_html(exhibit).encode()
    try:
        write_whole(target, content)
    except OSError as error:
        given = f"{error.strerror or error}; {state_of(target)}"
        raise _refusal(target, given, f"a folder that can be written to, with {len(content)} bytes free") from error
    return Exploration(target, exhibit.title)


def _refusal(target: Path, given: str, fits: str) -> DrawError:
    return DrawError(f"explore(..., {str(target)!r}): the page cannot go there", given=(given,), fits=fits)


def _subject(graph: Any, wrt: list[Tensor]) -> tuple[Report, Tensor | None, str]:
    """The report of the compilation, the tensor that was differentiated, and a title."""
    if isinstance(graph, Tensor):
        results = [graph, *(vjp(graph, wrt, ops.ones_like(graph)) if wrt else ())]
        inputs = [x for x in toposort(results) if isinstance(x, Input)]
        return compile(inputs, results).report, graph if wrt else None, graph.label or "graph"
    if wrt:
        raise ArgumentError("explore: wrt= is for a tensor", given=[repr(graph)], fits="no wrt=: the gradient is in a function, or not")
    training = getattr(graph, "training", None)
    step = training.latest().function if training is not None else graph
    report = getattr(step, "report", None)
    if not isinstance(report, Report):
        raise ArgumentError(f"explore: {graph!r} is no graph", fits="a tensor, a function that gc.compile returned, or a fitted model")
    names = ", ".join([str(x.label) for x in step.inputs]) if isinstance(step, Function) else ""
    title = getattr(graph, "name", None) or f"function of ({names})"
    return report, root_of(report.declared), str(title)


def _exhibit(report: Report, root: Tensor | None, called: str, wrt: Sequence[Tensor], title: str) -> explorer.Exhibit:
    passes = Passes(report)
    places = passes.last
    lines: dict[int, dict[int, None]] = {}
    for node, spots in report.program.places().items():
        for spot in spots:
            lines.setdefault(spot.line, {}).update(dict.fromkeys(places.get(node, ())))
    first, last = passes.passes[0], passes.passes[-1]
    backend = "NumPy" if report.backend == "numpy" else "JAX"
    summary = f"compiled for {backend}: {len(first.nodes)} nodes declared, {len(last.nodes)} run, {len(report.applied)} uses of rules"
    return explorer.Exhibit(
        title or called,
        summary,
        passes.nodes,
        passes.groups,
        list(passes.origins),
        [explorer.Rule(rule.name, rule.safety, rule.sentence) for rule in passes.rules],
        passes.passes,
        report.program.source.text,
        {line: tuple(nodes) for line, nodes in lines.items() if nodes},
        gradient_of(passes, root, wrt),
        _memory(report, passes),
    )


def _memory(report: Report, passes: Passes) -> explorer.Memory | None:
    program, places = report.program, passes.last
    found = program.timeline()
    if not found.steps:
        return None
    values = [
        explorer.Held(places[one.node][0], one.first, one.last, one.nbytes, one.begin, _where(one.buffer, isinstance(program, JaxProgram)))
        for one in found.values
        if one.node in places
    ]
    steps = [tuple([places[node][0] for node in step if node in places]) for step in found.steps]
    sizes = ", ".join([f"{name} = {size}" for name, size in program.known.items()])
    names = sizes or ("Before the first call named sizes are taken for typical ones." if program.source.sizes else "")
    about = (
        "When each value is needed, in the order of the source; XLA fuses and plans its own memory."
        if isinstance(program, JaxProgram)
        else "Buffers lie where the arena has them; what a call allocates lies above. Inputs and variables are not shown."
    )
    return explorer.Memory(values, found.used, steps, f"{about} {names}".strip())


def _where(buffer: int | None, is_jax: bool) -> str:
    return "needed" if is_jax else "allocated by the call" if buffer is None else f"buffer{buffer}"
