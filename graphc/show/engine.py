"""Graphviz engines: where one is found, and how it runs without ever hanging the caller.

The order: the one named as an argument, ``$GRAPHC_DOT``, ``dot`` on the PATH,
the engine inside pygraphviz (the extra ``draw``: no root needed), and a
graphviz-pure that the user installed.  Each runs in a child process with a
time limit, so that a hang and a crash cost a message and not the session.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from graphc.core.errors import DrawError, DrawWarning
from graphc.show.child import Failure, output

Format = Literal["svg", "png", "pdf"]

VARIABLE: Final = "GRAPHC_DOT"
"""The environment variable that names an engine."""
BUNDLED: Final = "pygraphviz"
"""The name of the engine that pip brings."""
PLAIN: Final = "plain"
"""The name of graphc's own layout, which needs no engine."""
TIMEOUT: Final = 30.0
"""Seconds that one attempt may take: 3,000 nodes take 4 to 10."""

INSTALL: Final = """To install Graphviz:
  pip (any system, no root):  python -m pip install "graphc[draw]"
  Debian, Ubuntu:             sudo apt-get install graphviz
  macOS:                      brew install graphviz
  Windows:                    winget install Graphviz.Graphviz
or point $GRAPHC_DOT at a dot binary."""

# nslimit keeps Graphviz's network simplex from running for minutes; a limit in the DOT text wins.
_LIMITS: Final = ("-Gnslimit=2", "-Gnslimit1=2")
# Straight lines need no routing, which is what fails or hangs on a hard graph.
_ATTEMPTS: Final = ((), ("-Gsplines=line",))
_SIGNATURES: Final[Mapping[Format, tuple[bytes, bytes]]] = {
    "svg": (b"<svg", b"</svg>"),
    "png": (b"\x89PNG\r\n\x1a\n", b"IEND"),
    "pdf": (b"%PDF-", b"%%EOF"),
}
# Graphviz says so and still ends with status 0.
_LOST: Final = re.compile(rb"lost .* edge|triangulation failed|trouble in init_rank|[uU]nable to .*route", re.DOTALL)

# Runs in a child: a crash of libgvc would take the caller with it.
_PYGRAPHVIZ: Final = """
import sys
from pygraphviz import AGraph
text = sys.stdin.buffer.read().decode()
picture = AGraph(string=text).draw(format=sys.argv[1], prog="dot", args=" ".join(sys.argv[2:]))
sys.stdout.buffer.write(picture)
"""


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that reads DOT from its input and writes a picture to its output."""

    name: str
    command: tuple[str, ...]
    format_flag: str = "-T"

    def arguments(self, form: Format, options: tuple[str, ...] = ()) -> list[str]:
        """The whole command line for one picture."""
        return [*self.command, f"{self.format_flag}{form}", *_LIMITS, *options]


@dataclass(frozen=True, slots=True)
class Drawing:
    """The bytes of a picture, and the engine that drew it."""

    data: bytes
    drawn_by: str


# A copy: os.environ itself cannot be pickled, and a picture of a search that can change would be no value.
def _environment() -> Mapping[str, str]:
    return dict(os.environ)


@dataclass(frozen=True, slots=True)
class Search:
    """Where engines are looked for; the defaults are this process's own surroundings.

    ``path`` is a list of folders as in ``$PATH`` (None: that of ``environment``),
    ``python`` the interpreter that may hold pygraphviz (None: do not look there).
    """

    environment: Mapping[str, str] = field(default_factory=_environment)
    path: str | None = None
    python: str | None = sys.executable

    @property
    def asked(self) -> str:
        """The engine that ``$GRAPHC_DOT`` names, or nothing."""
        return self.environment.get(VARIABLE, "").strip()

    def which(self, name: str) -> str | None:
        """The program ``name``: a path, or a name to be found in the folders searched."""
        return shutil.which(os.path.expanduser(name), path=self.folders)

    @property
    def folders(self) -> str:
        """The folders searched for programs, as one text."""
        return self.environment.get("PATH", os.defpath) if self.path is None else self.path

    @property
    def has_bundled(self) -> bool:
        """True if the interpreter holds pygraphviz; finds out without importing it."""
        return bool(self.python) and find_spec("pygraphviz") is not None


def named(name: str, search: Search) -> Engine | Failure:
    """The engine of that name or path, or why there is none."""
    if name == PLAIN:
        return Failure(PLAIN, "is graphc's own layout, which draws SVG only")
    if name == BUNDLED:
        return _bundled(search) or Failure(BUNDLED, "is not installed for this Python")
    found = search.which(name)
    return Engine(name, (found,)) if found else Failure(name, "is no program: no such file, or it may not be run")


def engines(search: Search) -> Iterator[Engine | Failure]:
    """The engines found, best first; what ``$GRAPHC_DOT`` names may be a failure."""
    if search.asked:
        yield named(search.asked, search)
    found: tuple[Engine | None, ...] = (_program("dot", search), _bundled(search), _pure(search))
    yield from (engine for engine in found if engine)


def _program(name: str, search: Search) -> Engine | None:
    found = search.which(name)
    return Engine(name, (found,)) if found else None


def _bundled(search: Search) -> Engine | None:
    if not search.has_bundled or not search.python:
        return None
    # -P: a file of the same name in the working directory is not what was meant.
    return Engine(BUNDLED, (search.python, "-P", "-c", _PYGRAPHVIZ), format_flag="")


# pip puts the program beside the interpreter, which is not on the PATH of an environment that is not activated.
def _pure(search: Search) -> Engine | None:
    beside = [str(Path(search.python).parent)] if search.python else []
    found = shutil.which("graphviz-pure", path=os.pathsep.join([search.folders, *beside]))
    return Engine("graphviz-pure", (found,)) if found else None


def render(dot: str, form: Format, *, engine: str | None = None, timeout: float = TIMEOUT, search: Search | None = None) -> Drawing:
    """The picture of a DOT text in one format, by the first engine that manages it.

    Raises ``DrawError`` where the engine given as an argument fails, and where
    none of those found works: its message then says how to install one.
    Warns (``DrawWarning``) of engines that failed before one worked.
    """
    search = search or Search()
    if engine is not None:
        return _only(dot, form, named(engine, search), timeout)
    failures: list[Failure] = []
    for candidate in engines(search):
        result = _tried(dot, form, candidate, timeout)
        if isinstance(result, Drawing):
            _warn_of(failures, result)
            return result
        failures.append(result)
    raise _none_works(form, failures)


def _only(dot: str, form: Format, engine: Engine | Failure, timeout: float) -> Drawing:
    result = _tried(dot, form, engine, timeout)
    if isinstance(result, Drawing):
        return result
    raise DrawError(
        f"drawing a {form} picture with engine {result.who!r}: it failed",
        given=str(result).splitlines(),
        fits=f"a path to a dot binary, {BUNDLED!r}, {PLAIN!r} (SVG only), or no engine: then the first that works is taken\n{INSTALL}",
    )


def _tried(dot: str, form: Format, engine: Engine | Failure, timeout: float) -> Drawing | Failure:
    if isinstance(engine, Failure):
        return engine
    failures: list[Failure] = []
    for options in _ATTEMPTS:
        result = _once(dot, form, engine, options, timeout)
        if isinstance(result, Drawing):
            return result
        failures.append(result)
    return failures[0]


def _once(dot: str, form: Format, engine: Engine, options: tuple[str, ...], timeout: float) -> Drawing | Failure:
    ran = output(engine.name, engine.arguments(form, options), dot.encode(), timeout)
    if isinstance(ran, Failure):
        return ran
    if not _is_picture(ran.data, form):
        return Failure(engine.name, f"wrote no {form.upper()} but {ran.data[:40]!r}")
    if _LOST.search(ran.messages):
        return Failure(engine.name, f"lost edges: {ran.messages[:200].decode(errors='replace').strip()}")
    return Drawing(ran.data, engine.name)


def _is_picture(data: bytes, form: Format) -> bool:
    first, last = _SIGNATURES[form]
    begins = first in data if form == "svg" else data.startswith(first)  # SVG: after a prolog with the title, of any length
    return begins and last in data[-100:]


def _warn_of(failures: list[Failure], drawing: Drawing) -> None:
    if not failures:
        return
    said = "; ".join(map(str, failures))
    warn(f"{said}; drawn by {drawing.drawn_by} instead")


def warn(text: str) -> None:
    """Warn (``DrawWarning``) at the line of the caller's that lies outside graphc."""
    frame, level = inspect.currentframe(), 1
    while frame and frame.f_globals.get("__name__", "").split(".")[0] in ("graphc", "functools"):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, DrawWarning, stacklevel=level)


def _none_works(form: Format, failures: list[Failure]) -> DrawError:
    return DrawError(
        f"drawing a {form} picture: no Graphviz engine works here",
        given=[str(failure) for failure in failures] or ["no engine found"],
        fits=INSTALL,
    )
