"""Emitted source that is looked into: memory that nobody needs any more is filled with NaN, and values are noted as they come and go.

``"free"`` fills every buffer at the start of a call, and again after the step that reads it last, so that reading it later shows. With
``"note"`` each step of ``step`` also notes the values that it reads and those that it has written: :func:`noting` collects them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np

from graphc.core import Tensor
from graphc.lower.buffers import Plan
from graphc.lower.schedule import read_by, written_by

if TYPE_CHECKING:
    from graphc.lower.source.lines import Line
    from graphc.lower.source.writer import Writer

Watching = Literal["", "free", "note"]
"""What emitted source does beside its work."""
MODULE = "watching"
"""What the source calls this module."""
IMPORT = f"from graphc.lower.source import {MODULE}\n"


class Note(NamedTuple):
    """What one step read and wrote, copied."""

    step: int
    read: tuple[Any, ...]
    written: tuple[Any, ...]


_notes: ContextVar[list[Note] | None] = ContextVar("notes", default=None)


@contextmanager
def noting() -> Generator[list[Note], None, None]:
    """Collect what steps note in this block, in the order in which they are done."""
    notes: list[Note] = []
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)


# ---------------------------------------------------------------- what the source calls
def free(*buffers: np.ndarray[Any, Any]) -> None:
    """Fill memory that holds nothing with NaN; integers with the least there is, truth values with True."""
    for buffer in buffers:
        buffer.fill(np.iinfo(buffer.dtype).min if buffer.dtype.kind in "iu" else True if buffer.dtype.kind == "b" else np.nan)


def read(step: int, *values: Any) -> None:
    """Note what a step is about to read."""
    notes = _notes.get()
    if notes is not None:
        notes.append(Note(step, tuple([_copied(value) for value in values]), ()))


def wrote(step: int, *values: Any) -> None:
    """Note what a step has written."""
    notes = _notes.get()
    if notes:
        notes[-1] = Note(step, notes[-1].read, tuple([_copied(value) for value in values]))


def _copied(value: Any) -> Any:
    """A loop's function returns a tuple or a list of its results."""
    return tuple([np.array(part) for part in cast("tuple[Any, ...]", value)]) if isinstance(value, tuple | list) else np.array(value)


# ---------------------------------------------------------------- the lines that call it
def at_start(w: Writer, buffers: Sequence[str]) -> list[Line]:
    """The line with which a function begins."""
    return [_call(w, "free", buffers)] if w.watching and buffers else []


def before(w: Writer, number: int, step: Any) -> list[Line]:
    """The line before those of a step."""
    return [_call(w, "read", [w.name[x] for x in read_by(step)], number)] if _notes_here(w) else []


def after(w: Writer, number: int, step: Any, plan: Plan, buffers: Sequence[str]) -> list[Line]:
    """The lines behind those of a step."""
    if not w.watching:
        return []
    lines = [_call(w, "wrote", [w.name[x] for x in written_by(step)], number)] if _notes_here(w) else []
    dead = [buffers[place] for place in freed(plan, number, written_by(step))]
    return [*lines, *([_call(w, "free", dead)] if dead else [])]


def freed(plan: Plan, number: int, written: Sequence[Tensor]) -> list[int]:
    """The buffers that hold nothing after this step, which wrote these values."""
    held = {plan.place[node] for node in written if node in plan.place and plan.last_use[node] > number}
    ended = [place for node, place in plan.place.items() if plan.last_use[node] == number]
    return [place for place in dict.fromkeys(ended) if place not in held]


def _notes_here(w: Writer) -> bool:
    return w.watching == "note" and not w.inside


def _call(w: Writer, name: str, names: Sequence[str], number: int | None = None) -> Line:
    holes = ", ".join([*([] if number is None else [str(number)]), *["%s"] * len(names)])
    return w.plain(f"{MODULE}.{name}({holes})", names)
