"""Layouts: which axis of a value is spread over which axis of the mesh. Nothing here needs JAX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, cast

from graphc.core import Tensor, Variable, describe, sizes
from graphc.core.errors import ArgumentError, ShapeError
from graphc.core.sizes import Shape
from graphc.lower.schedule import Schedule

Layout = tuple[str | None, ...]
"""For the first axes of a value the axis of the mesh over which each is spread, or None; the other axes are whole."""
Rules = list[tuple[str, Any]]


def of_value(shape: Shape, axes: Mapping[str, str], mesh: Mapping[str, int], known: Mapping[str, int]) -> Layout:
    """The layout of an input or output: axes with a name of ``axes`` are spread, as long as the mesh divides them.

    An axis of the mesh is used once.
    """
    layout: list[str | None] = []
    for dim in shape:
        name = None if isinstance(dim, int) else sizes.name_of(dim)
        over = axes.get(name or "")
        layout.append(over if over and name and over not in layout and known[name] % mesh[over] == 0 else None)
    return tuple(layout)


def of_variables(shard: Any, axes: Mapping[str, str], mesh: Mapping[str, int], schedule: Schedule) -> dict[Variable, Layout]:
    """The layout of each variable, by ``shard=``.

    ``None``: whole on every device. ``"full"``: over the data axis of the mesh, which is the first one that ``axes`` names, along the
    largest axis of the variable that it divides (as in ZeRO-3, S. Rajbhandari et al., 2020). A mapping of rules: the first
    pattern that a variable's name matches says ``None``, ``"full"``, or an axis of the mesh or None for each of the variable's axes. A
    variable that matches none, such as the slot of an optimiser, is laid out as the one that it belongs to.

    Raises :class:`ArgumentError` for rules that make no sense, or that match nothing though there are updates (a function that only
    reads may have a part of the variables), :class:`ShapeError` for axes that are not divided.
    """
    data = next(iter((axes or dict.fromkeys(mesh, next(iter(mesh)))).values()))
    rules = _rules(shard)
    asked = {variable: what for variable in schedule.variables if (what := _asked(rules, variable)) is not None}
    if schedule.updates:
        _check_used(rules, schedule.variables)
    for group in _belonging(schedule):
        first = next((variable for variable in schedule.variables if variable in group and variable in asked), None)
        if first is not None:
            asked |= {variable: asked[first] for variable in group if variable not in asked}
    return {variable: _layout(variable, asked.get(variable, ()), data, mesh) for variable in schedule.variables}


def _rules(shard: Any) -> Rules:
    if shard is None:
        return []
    if isinstance(shard, str):
        return [("*", shard)]
    try:
        return [(str(pattern), () if what is None else what) for pattern, what in dict(shard).items()]
    except (TypeError, ValueError):
        raise ArgumentError(f"shard={shard!r}", fits='None, "full", or {pattern of names: axes of the mesh}') from None


def _asked(rules: Rules, variable: Variable) -> Any:
    name = variable.label or ""
    return next((what for pattern, what in rules if fnmatchcase(name, pattern)), None)


def _check_used(rules: Rules, variables: Sequence[Variable]) -> None:
    for pattern, _ in rules:
        if not any(fnmatchcase(variable.label or "", pattern) for variable in variables):
            raise ArgumentError(
                f"shard: no variable has a name like {pattern!r}",
                given=[describe(variable) for variable in variables],
                fits="patterns of these names, with *, ? and [...]",
            )


def _layout(variable: Variable, what: Any, data: str, mesh: Mapping[str, int]) -> Layout:
    shape = cast("tuple[int, ...]", variable.shape)
    if what == "full":
        return _full(shape, data, mesh[data])
    if isinstance(what, str) or not isinstance(what, Sequence):
        raise ArgumentError(f"shard: {what!r} for {variable.label}", fits=f'None, "full", or for each axis one of {_names(mesh)} or None')
    layout: Layout = tuple(cast("Sequence[Any]", what))
    used = [over for over in layout if over is not None]
    if len(layout) > len(shape) or len(set(used)) < len(used) or not set(used) <= set(mesh):
        raise ArgumentError(
            f"shard: {layout} does not lay out {variable.label}",
            given=[describe(variable)],
            fits=f"at most {len(shape)} of {_names(mesh)} or None, each axis of the mesh once",
        )
    for size, over in zip(shape, layout, strict=False):
        if over is not None and size % mesh[over]:
            raise ShapeError(
                f"shard: {over!r} has {mesh[over]} devices, which do not divide {size}",
                given=[describe(variable)],
                fits=f"a size that {mesh[over]} divides, or None for this axis",
            )
    return layout


def _names(mesh: Mapping[str, int]) -> str:
    return ", ".join(map(repr, mesh))


def _full(shape: tuple[int, ...], data: str, devices: int) -> Layout:
    divided = [axis for axis, size in enumerate(shape) if size and size % devices == 0]
    if not divided:
        return ()
    largest = max(divided, key=lambda axis: shape[axis])
    return (*[None] * largest, data)


def _belonging(schedule: Schedule) -> list[set[Variable]]:
    """Groups of variables that belong together: element i of one is computed from element i of another.

    So an optimiser's slots and its weight are a group, but two weights of one shape are not, since a product of matrices lies between.
    """
    groups: list[set[Variable]] = []
    for variable, new in schedule.updates.items():
        joined = {variable} | _read_by_element(new)
        apart = [group for group in groups if not group & joined]
        groups = [*apart, joined.union(*[group for group in groups if group & joined])]
    return groups


def _read_by_element(new: Tensor) -> set[Variable]:
    """The variables of this shape from which it is computed by pointwise ops alone."""
    known, waiting = {new}, [new]
    while waiting:
        node = waiting.pop()
        if node.op is None or not node.op.pointwise:
            continue
        further = [x for x in node.inputs if x.shape == new.shape and x not in known]
        known.update(further)
        waiting += further
    return {node for node in known if isinstance(node, Variable)}
