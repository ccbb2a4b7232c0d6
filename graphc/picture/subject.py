"""What a picture is of: tensors, the graph of a compiled function, or that of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from graphc.core import Tensor, Variable
from graphc.core.errors import ArgumentError
from graphc.pipeline.report import Report


@dataclass(frozen=True)
class Subject:
    """The results whose graph is drawn, what it is called, and which variables are given new values, by result."""

    roots: tuple[Tensor, ...]
    title: str = ""
    updates: Mapping[Tensor, Variable] | None = None


def subject_of(y: Any, targets: list[Tensor]) -> Subject:
    """What ``draw`` was given. Raises :class:`ArgumentError` for what has no graph, and for a gradient of several results."""
    found = _subject(y)
    outputs = [root for root in found.roots if root not in (found.updates or {})]
    if targets and len(outputs) != 1:
        raise ArgumentError(f"draw(wrt=...): the gradient of {len(outputs)} results", fits="one result: draw(loss, wrt=...)")
    return Subject(tuple(outputs), found.title) if targets else found


def report_of(y: Any) -> Report | None:
    """What the compiler did, of a compiled function."""
    report = getattr(y, "report", None)
    return report if isinstance(report, Report) else None


def _subject(y: Any) -> Subject:
    if isinstance(y, Tensor):
        return Subject((y,), y.label or "")
    report = report_of(y)
    if report is not None:
        outputs = len(report.declared) - len(report.updated)
        new = dict(zip(report.declared[outputs:], report.updated, strict=True))
        return Subject(tuple(dict.fromkeys(report.declared)), f"a function on {report.backend}", new)
    if callable(getattr(y, "graph", None)):  # a model: layers are above this package
        return Subject(_subject(y.graph()).roots, str(getattr(y, "name", "")))
    items: list[Any] = []
    if isinstance(y, Mapping | list | tuple):
        items = list(cast("Mapping[Any, Any]", y).values() if isinstance(y, Mapping) else cast("Sequence[Any]", y))
    if items and all(isinstance(x, Tensor) for x in items):
        return Subject(tuple(dict.fromkeys(items)))
    raise ArgumentError(f"draw({y!r})", fits="a tensor, a list or dict of them, a compiled function, or a model")
