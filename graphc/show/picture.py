"""A picture of a graph: looked at in a notebook, or saved to a file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Final

from graphc.core.errors import DrawError
from graphc.show.dot import to_dot
from graphc.show.engine import PLAIN, TIMEOUT, Drawing, Format, Search, render, warn
from graphc.show.plain import to_svg
from graphc.show.sketch import Sketch, printable

_PROLOG: Final = re.compile(r"\A.*?(?=<svg\b)", re.DOTALL)


@dataclass(frozen=True, repr=False)
class Picture:
    """A sketch as DOT text, SVG text, and PNG or PDF bytes; Jupyter shows it by itself.

    ``engine`` is a path to a ``dot`` binary, ``"pygraphviz"``, ``"plain"`` (graphc's
    own layout) or None: then the first that works of ``$GRAPHC_DOT``, ``dot`` on
    the PATH, pygraphviz, graphviz-pure and, with a warning, graphc's own layout.
    ``timeout`` is in seconds for one attempt of an engine.
    """

    sketch: Sketch
    engine: str | None = None
    timeout: float = TIMEOUT
    search: Search = field(default_factory=Search, compare=False)

    @property
    def title(self) -> str:
        """What the picture is of."""
        return self.sketch.title

    @cached_property
    def dot(self) -> str:
        """The picture as DOT text, Graphviz's language; needs no engine."""
        return to_dot(self.sketch)

    @property
    def svg(self) -> str:
        """The picture as SVG text, ready for a file or a page; raises ``DrawError`` if the engine asked for fails."""
        return self._svg.data.decode()

    @property
    def png(self) -> bytes:
        """The picture as PNG; raises ``DrawError`` where no Graphviz engine works."""
        return self._png.data

    @property
    def pdf(self) -> bytes:
        """The picture as PDF; raises ``DrawError`` where no Graphviz engine works."""
        return self._pdf.data

    @property
    def drawn_by(self) -> str:
        """The engine that drew the SVG: its name or path, or ``"plain"``."""
        return self._svg.drawn_by

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to ``path`` in the format of its suffix, and return the path.

        The file appears whole or not at all.  Raises ``DrawError`` for a suffix
        that is no format, a folder that does not exist, and where the format
        needs a Graphviz engine and none works; ``OSError`` where it cannot be written.
        """
        target = Path(path)
        write = _FORMATS.get(target.suffix.lower())
        if write is None:
            raise _refusal(target, f"the suffix {target.suffix!r}", f"a path that ends in {', '.join(_FORMATS)}")
        if not target.parent.is_dir():
            raise _refusal(target, f"no folder {str(target.parent)!r}", "a path in a folder that exists")
        _replace(target, write(self))
        return target

    def __repr__(self) -> str:
        return f"<Picture {self.title!r}: {self.sketch.description}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}

    @property
    def _wants_plain(self) -> bool:
        return (self.engine or self.search.asked) == PLAIN

    @cached_property
    def _svg(self) -> Drawing:
        if self._wants_plain:
            return self._plain()
        try:
            drawing = self._rendered("svg")
        except DrawError as error:
            if self.engine is not None:
                raise
            warn(f"{error}\nuntil then graphc draws a plain layout, which crosses more edges")
            return self._plain()
        return Drawing(_accessible(drawing.data.decode(), self.sketch).encode(), drawing.drawn_by)

    @cached_property
    def _png(self) -> Drawing:
        return self._rendered("png")

    @cached_property
    def _pdf(self) -> Drawing:
        return self._rendered("pdf")

    def _rendered(self, form: Format) -> Drawing:
        return render(self.dot, form, engine=self.engine, timeout=self.timeout, search=self.search)

    def _plain(self) -> Drawing:
        return Drawing(to_svg(self.sketch).encode(), PLAIN)


_FORMATS: Final[Mapping[str, Callable[[Picture], bytes]]] = {
    ".svg": lambda picture: picture.svg.encode(),
    ".png": lambda picture: picture.png,
    ".pdf": lambda picture: picture.pdf,
    ".dot": lambda picture: picture.dot.encode(),
    ".gv": lambda picture: picture.dot.encode(),
}


def _refusal(target: Path, given: str, fits: str) -> DrawError:
    return DrawError(f"Picture.save({str(target)!r}): the picture cannot go there", given=(given,), fits=fits)


def _replace(target: Path, data: bytes) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


# Without the prolog, whose document type points at w3.org, the text also fits into a page.
def _accessible(svg: str, sketch: Sketch) -> str:
    title, told = escape(printable(sketch.title)), escape(printable(sketch.description))
    opening, rest = _PROLOG.sub("", svg, count=1).split(">", 1)
    opening = opening.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
    return f"{opening}>\n<title>{title}</title>\n<desc>{told}</desc>{rest}"
