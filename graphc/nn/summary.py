"""A model as a table: its layers, what they give, and how many numbers they have."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from graphc.core import Variable, tree
from graphc.nn.functional import Call, InputLayer, Symbol
from graphc.nn.layer import Layer

if TYPE_CHECKING:
    from graphc.nn.model import Model

WIDTH = 80


def of_model(model: Model, width: int | None = None, nested: bool = False) -> str:
    """The table, and below it how many parameters there are and the memory that they take."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    linear = _is_linear(model)
    table = Table(box=box.HEAVY_HEAD, show_lines=True, width=width or (WIDTH if linear else WIDTH + 20))
    for title in ("Layer (type)", "Output Shape", "Param #", *([] if linear else ["Connected to"])):
        table.add_column(title, justify="right" if title == "Param #" else "left", overflow="fold")
    for layer, depth in _layers(model, nested):
        name = f"{'└ ' * depth}{layer.name} ({type(layer).__name__})"
        table.add_row(name, _shape(layer), _count(layer), *([] if linear else [_connections(layer, model)]))
    out = io.StringIO()
    console = Console(file=out, width=max(width or 0, WIDTH + 20), color_system=None, legacy_windows=False)
    console.print(f'Model: "{model.name}"', markup=False, highlight=False)
    console.print(table)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join([*lines, *_totals(model)])


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
