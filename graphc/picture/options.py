"""What ``draw`` is asked for, checked: names that exist, and which one is meant by one that does not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Final, Literal, get_args

from graphc.core.errors import ArgumentError
from graphc.show.style import DIRECTIONS, THEMES

Level = Literal["layers", "ops", "program"]
Quantity = Literal["gradient norm", "nan", "time", "flops", "bytes", "dead units"]
LEVELS: Final[tuple[str, ...]] = get_args(Level)
QUANTITIES: Final[tuple[str, ...]] = get_args(Quantity)
OF_VALUES: Final = ("gradient norm", "nan", "dead units")
"""What only values tell."""
_OPTIONS: Final = ("wrt", "level", "depth", "direction", "theme", "values", "color_by", "path", "title", "engine")


def refuse_unknown(options: Iterable[str]) -> None:
    """Raise :class:`ArgumentError` for an option that ``draw`` does not have."""
    for name in options:
        raise ArgumentError(f"draw has no option {name!r}{_meant(name, _OPTIONS)}", fits=", ".join(_OPTIONS))


def chosen(option: str, value: Any, known: tuple[str, ...]) -> Any:
    """The value, which is one of these names. Raises :class:`ArgumentError` for any other."""
    name = value.replace("_", " ") if isinstance(value, str) and option == "color_by" else value
    if name in known:
        return name
    raise ArgumentError(f"draw({option}={value!r}){_meant(str(value), known)}", fits=", ".join(map(repr, known)))


def check(level: Any, direction: Any, theme: Any, color_by: Any, depth: Any) -> Quantity | None:
    """Raise :class:`ArgumentError` for what ``draw`` does not know; the quantity to colour by, as it is spelt here."""
    chosen("level", level, LEVELS)
    chosen("direction", direction, DIRECTIONS)
    chosen("theme", theme, tuple(THEMES))
    if depth is not None and not (isinstance(depth, int) and depth >= 1 and level == "layers"):
        raise ArgumentError(f"draw(depth={depth!r}, level={level!r})", fits="level='layers', and a depth from 1 on")
    return None if color_by is None else chosen("color_by", color_by, QUANTITIES)


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.lower(), list(known), 1) or [x for x in known if name and x.lower() == name.lower()]
    return f"; is {near[0]!r} meant?" if near else ""
