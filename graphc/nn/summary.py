"""A model as a table: its layers, what they give, and how many numbers they have."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from graphc.core import Variable, tree
from graphc.nn.functional import Call, InputLayer, Symbol
from graphc.nn.layer import Layer
from graphc.show import page
from graphc.show.page import Page

if TYPE_CHECKING:
    from graphc.nn.model import Model

WIDTH = 80
_COUNT = "Param #"


def of_model(model: Model, width: int | None = None, nested: bool = False) -> str:
    """The table, and below it how many parameters there are and the memory that they take."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.HEAVY_HEAD, show_lines=True, width=width or (WIDTH if _is_linear(model) else WIDTH + 20))
    for title in _titles(model):
        table.add_column(title, justify="right" if title == _COUNT else "left", overflow="fold")
    for row in _rows(model, nested):
        table.add_row(*row)
    out = io.StringIO()
    console = Console(file=out, width=max(width or 0, WIDTH + 20), color_system=None, legacy_windows=False)
    console.print(f'Model: "{model.name}"', markup=False, highlight=False)
    console.print(table)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join([*lines, *_totals(model)])


def page_of(model: Model) -> Page:
    """The same as a page, for a notebook."""
    table = page.Table(list(_rows(model, nested=False)), _titles(model), frozenset({_titles(model).index(_COUNT)}))
    totals = "\n".join([line.strip() for line in _totals(model)])
    return Page(page.Section(f'Model: "{model.name}"', [table, totals]))


def html_of(model: Model) -> str:
    """The page as HTML."""
    return page.html(page_of(model).section)


def _titles(model: Model) -> list[str]:
    return ["Layer (type)", "Output Shape", _COUNT, *([] if _is_linear(model) else ["Connected to"])]


def _rows(model: Model, nested: bool) -> Iterator[list[str]]:
    for layer, depth in _layers(model, nested):
        name = f"{'└ ' * depth}{layer.name} ({type(layer).__name__})"
        yield [name, _shape(layer), _count(layer), *([] if _is_linear(model) else [_connections(layer, model)])]


def memory(count: int) -> str:
    """Bytes in words: ``1.55 MB``, with 1,024 to a step as in Keras."""
    size, unit = float(count), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            break
        size /= 1024
    return f"{size:.2f} {unit}"


def _is_linear(model: Model) -> bool:
    from graphc.nn.model import Sequential

    return model.network is None or isinstance(model, Sequential)


def _layers(model: Layer, nested: bool, depth: int = 0) -> Iterator[tuple[Layer, int]]:
    from graphc.nn.model import Model

    own = model.layers if isinstance(model, Model) else model._sublayers()  # pyright: ignore[reportPrivateUsage]
    for layer in own:
        yield layer, depth
        if nested:
            yield from _layers(layer, nested, depth + 1)


def _shape(layer: Layer) -> str:
    shape = layer.batch_shape if isinstance(layer, InputLayer) else layer.last_shape
    return "?" if shape is None else ", ".join(map(str, _shapes(shape)))


def _shapes(structure: Any) -> list[Any]:
    """The shapes, which are tuples of sizes, in a structure."""
    if isinstance(structure, tuple) and all(size is None or isinstance(size, int | str) for size in cast("tuple[Any, ...]", structure)):
        return [cast("tuple[Any, ...]", structure)]
    items = cast("Iterable[Any]", structure.values() if isinstance(structure, dict) else structure)
    return [shape for item in items for shape in _shapes(item)]


def _count(layer: Layer) -> str:
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _connections(layer: Layer, model: Model) -> str:
    """The layers that a layer reads, in this model."""
    calls: list[Call] = [] if model.network is None else [call for call in model.network.calls if call.layer is layer]
    found = [f"{source.call.layer.name}[{_place(source)}]" for call in calls for source in _sources(call)]
    return ", ".join(dict.fromkeys(found)) or "-"


def _sources(call: Call) -> list[Symbol]:
    from graphc.core import toposort

    return [node for node in toposort(call.tensors) if isinstance(node, Symbol)]


def _place(symbol: Symbol) -> str:
    outputs, _ = tree.flatten(symbol.call.outputs)
    calls = symbol.call.layer._calls  # pyright: ignore[reportPrivateUsage]
    return f"{calls.index(symbol.call)}][{outputs.index(symbol)}"


def _totals(model: Model) -> list[str]:
    trainable, fixed = model.trainable_weights, model.non_trainable_weights
    state = list(model.optimizer.variables) if model.compiled and model.optimizer is not None else []
    if state == [] or len(state) <= 2:
        state = []
    rows = [("Total", [*trainable, *fixed, *state]), ("Trainable", trainable), ("Non-trainable", fixed)]
    rows += [("Optimizer", state)] if state else []
    return [f" {name} params: {sum(map(_numbers, own)):,} ({memory(sum(map(_bytes, own)))})" for name, own in rows]


def _numbers(variable: Variable) -> int:
    return cast("int", variable.size)


def _bytes(variable: Variable) -> int:
    return cast("int", variable.type.nbytes)
