"""The explorer as one HTML file: style, script and data are in it, and nothing else is ever loaded.

The content security policy allows the one script and the one style by their hashes. The data are JSON in a block that no browser runs,
with ``<`` escaped so that no text can end it; the script puts texts into the page as texts.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Final

from graphc.show.explorer.chart import chart
from graphc.show.explorer.exhibit import Exhibit

SCRIPTS: Final = ("layout.js", "tree.js", "view.js", "panels.js", "main.js")
BLOCK: Final = 100
"""Lines of source that the browser lays out together, when they come into sight."""


def to_html(exhibit: Exhibit) -> str:
    """The page: the same text for the same exhibit, always."""
    script, style = _script(), _resource("explorer.css")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    values = {
        "policy": policy,
        "title": _text(exhibit.title),
        "style": style,
        "summary": _text(exhibit.summary),
        "last": str(len(exhibit.passes) - 1),
        "stops": "".join(_stops(exhibit)),
        "source": "".join(_source(exhibit)),
        "count": str(len(_lines(exhibit))),
        "memory": _memory(exhibit),
        "data": _data(exhibit),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], _resource("explorer.html"))


@functools.cache
def _resource(name: str) -> str:
    return files("graphc.show.explorer").joinpath(name).read_text(encoding="utf-8")


@functools.cache
def _script() -> str:
    """All scripts as one, in a scope of its own."""
    head = 'const data = JSON.parse(document.getElementById("data").textContent);\n'
    return f'"use strict";\n{{\n{head}{"".join(map(_resource, SCRIPTS))}}}\n'


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _data(exhibit: Exhibit) -> str:
    """The record as JSON that cannot end its block."""
    text = json.dumps(exhibit.record(), ensure_ascii=False, separators=(",", ":"))
    return _printable(text).translate(_ESCAPED)


_UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What a page cannot hold: control characters, lone surrogates, non-characters."""
_ESCAPED: Final = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def _printable(text: str) -> str:
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def _text(text: str) -> str:
    return escape(_printable(text))


def _stops(exhibit: Exhibit) -> Iterator[str]:
    for one in exhibit.passes:
        quiet = "" if one.changed or one.gone or one is exhibit.passes[0] else ' class="quiet"'
        yield f'<li><button type="button"{quiet} title="{_text(one.sentence)}">{_text(one.title)}</button></li>'


def _lines(exhibit: Exhibit) -> list[str]:
    return exhibit.source.rstrip("\n").split("\n")


def _source(exhibit: Exhibit) -> Iterator[str]:
    lines = _lines(exhibit)
    for start in range(0, len(lines), BLOCK):
        yield '<div class="block">'
        for number, line in enumerate(lines[start : start + BLOCK], start + 1):
            linked = " linked" if number in exhibit.lines else ""
            yield f'<div class="line{linked}" id="L{number}" data-n="{number}">{_coloured(line)}</div>'
        yield "</div>"


_COMMENT: Final = re.compile(r"^(.*?)((?:^|\s\s)#.*)?$", re.DOTALL)


def _coloured(line: str) -> str:
    """A line with its comment in another colour. Strings of emitted source have no two blanks before a hash."""
    found = _COMMENT.match(line)
    code, comment = (found[1], found[2] or "") if found else (line, "")
    return _text(code) + (f"<i>{_text(comment)}</i>" if comment else "")


def _memory(exhibit: Exhibit) -> str:
    memory = exhibit.memory
    if memory is None:
        return '<p class="quiet">Nothing is held: every step gives a view or a result.</p>'
    filled = _resource("memory.html").replace("{{note}}", _text(memory.note)).replace("{{most}}", str(len(memory.used) - 1))
    return filled.replace("{{chart}}", chart(memory, list(exhibit.nodes)))
