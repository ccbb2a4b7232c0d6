"""What ``graphc draw``, ``explain``, ``derive``, ``formula`` and ``diff`` do: they look at graphs that a user's script declares."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

import graphc as gc
from graphc import script
from graphc.core import Tensor, Variable, every_node, toposort, tree
from graphc.core.errors import ArgumentError, DrawError, DrawWarning
from graphc.core.expr import Input
from graphc.pipeline import Backend, Function

FORMATS: Final = ("svg", "png", "pdf", "dot", "html")
"""What a graph is drawn as; html is the explorer."""
STDOUT: Final = "-"
_GRAPH: Final = "a tensor, a compiled function or a model"


@dataclass(frozen=True)
class Drawing:
    """What ``graphc draw`` was asked to do; ``options`` are those of ``gc.draw`` that are no tensors, by name."""

    spec: str
    format: str | None = None
    out: str | None = None
    wrt: Sequence[str] = ()
    path: str | None = None
    values: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def given(self) -> list[str]:
        """The options that were given, as they are typed."""
        own = [name for name in ("path", "values") if getattr(self, name)]
        return [f"--{name.replace('_', '-')}" for name in (*own, *self.options)]


def draw(request: Drawing) -> None:
    """Draw a graph of a script into a file, and say which.

    Raises :class:`ArgumentError` for what the script does not have and a format that does not go with the file's suffix, :class:`DrawError`
    where the picture cannot be made, :class:`ScriptError` if the script fails.
    """
    kind = _format(request)
    found, name, value = _picked(request.spec, "draw")
    out = request.out or f"{name}.{kind}"
    targets = [named(target, found.values, value, "draw --wrt") for target in request.wrt]
    if kind == "html":
        if request.given:
            raise ArgumentError(
                f"draw: {', '.join(request.given)} with --format html", fits="svg, png, pdf or dot; the page has its own controls"
            )
        if out == STDOUT:
            raise ArgumentError("draw: --format html with --out -", fits="--out FILE.html")
        _written(out, lambda path: gc.explore(value, path, wrt=targets))
        return
    options = {**request.options}
    if request.path is not None:
        options["path"] = (named(request.path, found.values, value, "draw --path"), graph_of(value))
    if request.values is not None:
        options["values"] = _values(request.values)
    picture = gc.draw(value, targets, **options)
    if out != STDOUT:
        _written(out, picture.save)
        return
    with _warnings_as_words():
        data = picture.svg.encode() if kind == "svg" else picture.dot.encode() if kind == "dot" else getattr(picture, kind)
    sys.stdout.buffer.write(data)


def _values(path: str) -> dict[str, Any]:
    try:
        with np.load(path) as file:
            return dict(file)
    except (OSError, ValueError, TypeError) as error:
        fits = "a file that numpy.savez wrote, with an array for each input by its name"
        raise ArgumentError(f"draw --values {path}: {getattr(error, 'strerror', None) or error}", fits=fits) from None


def _format(request: Drawing) -> str:
    suffix = Path(request.out).suffix.lower().removeprefix(".") if request.out not in (None, STDOUT) else ""
    suffix = {"gv": "dot", "htm": "html"}.get(suffix, suffix)
    if request.format and suffix and suffix != request.format:
        raise ArgumentError(f"draw: --format {request.format} into {request.out}", fits=f"a file that ends in .{request.format}")
    kind = request.format or suffix or "svg"
    if kind not in FORMATS:
        raise ArgumentError(f"draw: --out {request.out}: nothing is drawn as .{kind}", fits=", ".join(f".{name}" for name in FORMATS))
    return kind


def _written(out: str, save: Callable[[Path], Any]) -> None:
    path = Path(out)
    if not path.parent.is_dir():
        raise DrawError(f"--out {out}", given=[f"there is no folder {path.parent}"], fits="a file in a folder that exists")
    try:
        with _warnings_as_words():
            save(path)
    except OSError as error:
        raise DrawError(f"--out {out}: {error.strerror or error}", fits="a file that can be written") from None
    print(f"saved {path}")


@contextlib.contextmanager
def _warnings_as_words() -> Generator[None]:
    """A warning about the picture without the line of Python that gave it."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DrawWarning)
        yield
    for warning in told:
        print(f"graphc: {warning.message}", file=sys.stderr)


def explain(spec: str, node: str | None, backend: Backend) -> None:
    """Print what became of a node of a compiled function, or every rule that fired; a graph is compiled for that."""
    found, _, value = _picked(spec, "explain")
    function = value
    if not isinstance(value, Function):
        graph = graph_of(value)
        function = gc.compile([x for x in toposort([graph]) if isinstance(x, Input)], graph, backend=backend)
    what: Any = node
    own = found.values.get(node) if node is not None else None
    if isinstance(own, Tensor) and own in every_node(function.report.declared):
        what = own
    _show(function.explain(what))


def derive(spec: str, weight: str, form: str, out: str | None) -> None:
    """Print, or write, how the gradient of a script's loss for a weight comes about."""
    found, _, value = _picked(spec, "derive")
    loss = graph_of(value)
    _say(gc.derive(loss, named(weight, found.values, loss, "derive")), form, out)


def formula(spec: str, form: str, out: str | None) -> None:
    """Print, or write, a graph as a formula."""
    _say(gc.formula(graph_of(_picked(spec, "formula")[2])), form, out)


def diff(one: str, other: str, out: str | None) -> None:
    """Print what tells two graphs of scripts apart, and with ``out`` draw it too."""
    first, _, value = _picked(one, "diff")
    second = script.named(other)
    if second.path == first.path:  # one run, so that both read the same leaves
        again = first._replace(name=second.name).pick("diff", "graph", _is_graph, _GRAPH)[1]
    else:
        again = _picked(other, "diff")[2]
    found = gc.diff(value, again, names=(one, other))
    print(found)
    if out is not None:
        _written(out, found.draw().save)


# ---------------------------------------------------------------- what a script has
def _picked(spec: str, asked: str) -> tuple[script.Script, str, Any]:
    """The script, and the name and the graph that are meant. What the script prints goes where it is no part of the result."""
    with contextlib.redirect_stdout(sys.stderr):
        found = script.run(spec, asked)
    return (found, *found.pick(asked, "graph", _is_graph, _GRAPH))


def _is_graph(value: Any) -> bool:
    from graphc.nn import Model

    return isinstance(value, Function | Model) or (isinstance(value, Tensor) and value.op is not None)


def graph_of(value: Any) -> Tensor:
    """A tensor itself, the first output of a function, or the first of what a model gives."""
    if isinstance(value, Tensor):
        return value
    return value.report.declared[0] if isinstance(value, Function) else tree.flatten(value.graph())[0][0]


def named(name: str, values: Mapping[str, Any], graph: Any, asked: str) -> Tensor:
    """The tensor of the script's name, or that of this label in the graph. Raises :class:`ArgumentError` if there is none."""
    value = values.get(name)
    if isinstance(value, Tensor):
        return value
    roots = graph.report.declared if isinstance(graph, Function) else [graph_of(graph)]
    nodes = [x for x in toposort(roots) if x.label]
    found = next((x for x in nodes if x.label == name), None)
    if found is not None:
        return found
    leaves = dict.fromkeys(str(x.label) for x in nodes if isinstance(x, Variable | Input))
    given = script.near(name, [str(x.label) for x in nodes])
    raise ArgumentError(f"{asked}: there is no {name}", given=given, fits=", ".join([*leaves][:12]) or "the name of a tensor")


# ---------------------------------------------------------------- how it is said
def _show(page: Any) -> None:
    """In a terminal with colours, else as text."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(page)
    else:
        print(page)


def _say(found: Any, form: str, out: str | None) -> None:
    text = found.latex if form == "latex" else found._repr_html_() if form == "html" else str(found)
    if out is None:
        print(text)
        return
    _written(out, lambda path: path.write_text(f"{text}\n", encoding="utf-8"))
