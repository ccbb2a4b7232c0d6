"""Texts that show themselves as they are, in a terminal, in a notebook and by way of rich."""

from __future__ import annotations

from html import escape
from typing import Any


class Preformatted(str):
    """A string whose lines and spaces count. It is its own ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f'<pre style="line-height:1.3">{escape(self)}</pre>'


class SourceText(Preformatted):
    """A program in Python."""

    __slots__ = ()

    def __rich__(self) -> Any:
        from rich.syntax import Syntax

        return Syntax(str(self), "python", background_color="default", word_wrap=True)
