"""Pages: headings, tables and code that are read in a terminal, in a notebook, or by way of rich."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

INDENT: Final = "  "
_CELL: Final = "text-align:{}; padding:0 1em 0 0; vertical-align:top"


@dataclass(frozen=True, slots=True)
class Code:
    """Lines of a program or of formulas, shown as they are."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, with a line of titles if there is a ``head``; the columns in ``right`` have numbers."""

    rows: Sequence[Sequence[str]]
    head: Sequence[str] = ()
    right: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a title. A notebook folds them away if they are ``folded``, and other readers never do."""

    title: str
    blocks: Sequence[Block] = ()
    folded: bool = False


Block = str | Code | Table | Section
"""A paragraph, or one of the others."""


@dataclass(frozen=True, repr=False)
class Page:
    """A section that shows itself: ``print`` gives text, a notebook HTML, and rich has it where it is installed."""

    section: Section = field(repr=False)

    def __str__(self) -> str:
        return "\n".join(text_lines(self.section))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html(self.section)

    def __rich__(self) -> Any:
        return rich_of(self.section)


def text_lines(block: Block) -> Iterator[str]:
    """The block as lines of text, what is in a section indented."""
    if isinstance(block, str):
        yield from block.splitlines()
    elif isinstance(block, Code):
        yield from block.text.splitlines()
    elif isinstance(block, Table):
        yield from _table_lines(block)
    else:
        yield from block.title.splitlines()
        for inner in block.blocks:
            for line in text_lines(inner):
                yield f"{INDENT}{line}" if line else ""


def _table_lines(table: Table) -> Iterator[str]:
    rows = [*([table.head] if table.head else []), *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{cell:{'>' if i in table.right else '<'}{width}}" for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        yield "  ".join(cells).rstrip()


def html(block: Block) -> str:
    """The block as HTML with no script and no style sheet, in the colours of the page that it stands on."""
    if isinstance(block, str):
        return f"<div>{escape(block)}</div>".replace("\n", "<br>")
    if isinstance(block, Code):
        return f'<pre style="line-height:1.3; margin:0.3em 0">{escape(block.text)}</pre>'
    if isinstance(block, Table):
        return _html_table(block)
    inner = f'<div style="margin-left:1.2em">{"".join(map(html, block.blocks))}</div>' if block.blocks else ""
    title = f"<b>{escape(block.title)}</b>".replace("\n", "<br>")
    if block.folded:
        return f"<details><summary>{title}</summary>{inner}</details>"
    return f"<div>{title}{inner}</div>"


def _html_table(table: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        styles = [_CELL.format("right" if i in table.right else "left") for i in range(len(cells))]
        return "".join(f'<{tag} style="{style}">{escape(cell)}</{tag}>' for style, cell in zip(styles, cells, strict=True))

    head = f"<thead><tr>{row(table.head, 'th')}</tr></thead>" if table.head else ""
    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in table.rows)
    return f'<table style="border-collapse:collapse">{head}<tbody>{body}</tbody></table>'


def rich_of(block: Block) -> Any:
    """The block as what rich prints."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    if isinstance(block, str):
        return Text(block)
    if isinstance(block, Code):
        return Text(block.text, style="cyan")
    if isinstance(block, Table):
        return _rich_table(block)
    return Group(Text(block.title, style="bold"), *[Padding(rich_of(inner), (0, 0, 0, len(INDENT))) for inner in block.blocks])


def _rich_table(table: Table) -> Any:
    from rich.table import Table as RichTable
    from rich.text import Text

    made = RichTable(box=None, show_header=bool(table.head), padding=(0, 2, 0, 0), header_style="bold")
    for i in range(max(map(len, [table.head, *table.rows]), default=0)):
        made.add_column(table.head[i] if table.head else "", justify="right" if i in table.right else "left")
    for cells in table.rows:
        made.add_row(*map(Text, cells))
    return made
