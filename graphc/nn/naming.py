"""Names as Keras spells them, for what a model is made of: ``"relu"``, ``"glorot_uniform"``, ``"mse"``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from graphc.core.errors import ArgumentError
from graphc.nn.configured import Configured, unpacked

_counts: Final[Counter[str]] = Counter()


def snake_case(name: str) -> str:
    """``MeanSquaredError`` as ``mean_squared_error``, by the rules of Keras: ``Conv2D`` is ``conv2d``, ``LSTM`` is ``lstm``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def spelled(classes: Iterable[type], **aliases: Any) -> dict[str, Any]:
    """A table for :func:`find`: each class by its name, in snake case and in small letters, and ``aliases`` as they are."""
    table: dict[str, Any] = {}
    for cls in classes:
        table |= dict.fromkeys([cls.__name__, snake_case(cls.__name__), cls.__name__.lower()], cls)
    return table | aliases


def find(what: Any, kind: str, table: Mapping[str, Any]) -> Any:
    """What is meant by ``what``: a name in ``table``, the config of an object of this kind, a class, or the object or function itself.

    None stays None. A class, named or given, is called without arguments.

    Raises:
        ArgumentError: no such name, and the nearest one; or something that is none of these.
    """
    if isinstance(what, dict):
        what = unpacked(cast("dict[str, Any]", what))
        if not isinstance(what, Configured) or what.kind != kind:
            raise ArgumentError(
                f"{what!r} is no config of a {kind}", fits=f"what {kind}.get_config() returns, with its class_name and kind"
            )
    if isinstance(what, str):
        if what not in table:
            raise _unknown(what, kind, table)
        what = table[what]
    if isinstance(what, type):
        return cast("Any", what)()
    if what is None or callable(what) or (isinstance(what, Configured) and what.kind == kind):
        return what
    raise ArgumentError(f"{what!r} of type {type(what).__name__} is no {kind}", fits=f"a {kind}, its name, or a function")


def unique_name(prefix: str) -> str:
    """``dense``, then ``dense_1``, ``dense_2``: names that objects get which were given none."""
    count = _counts[prefix]
    _counts[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def reset_names() -> None:
    """Count names from the start again."""
    _counts.clear()


def _unknown(name: str, kind: str, table: Mapping[str, Any]) -> ArgumentError:
    import difflib

    near = difflib.get_close_matches(name, table, 1) or difflib.get_close_matches(name.lower(), table, 1)
    fits = f"{near[0]!r}" if near else ", ".join(sorted({spelling for spelling in table if spelling.islower()}))
    return ArgumentError(f"there is no {kind} {name!r}", fits=fits)
