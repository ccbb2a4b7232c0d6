"""Graphviz engines: where one may be found, and how it is run so that a hang or a crash of it is survived.

In this order: the engine given as an argument, the program that ``$GRAPHC_DOT`` names, ``dot`` on the PATH, the engine that
pygraphviz bundles (``pip install "graphc[draw]"``, no root needed), a ``graphviz-pure`` that the user installed.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final, Literal, get_args

from graphc.core.errors import DrawError
from graphc.show.process import Finished, run

Format = Literal["svg", "png", "pdf"]

VARIABLE: Final = "GRAPHC_DOT"
"""The environment variable that names a program to draw with."""
TIMEOUT: Final = 30.0
"""Seconds that one attempt may take; each engine has two, the second with straight lines."""
INSTALL: Final = (
    "  with pip:        python -m pip install \"graphc[draw]\"\n"
    "  Debian, Ubuntu:  sudo apt install graphviz\n"
    "  macOS:           brew install graphviz\n"
    "  Windows:         winget install Graphviz.Graphviz\n"
    f"  or let ${VARIABLE} name a dot program that you have"
)
"""What to install so that Graphviz draws, for each system."""

_STRAIGHT: Final = "-Gsplines=line"
# The child reads DOT and writes a picture, as dot does.  AGraph(text) would guess an encoding from the text: from_string does not.
_CHILD: Final = """
import sys, pygraphviz
graph = pygraphviz.AGraph()
graph.from_string(sys.stdin.buffer.read().decode("utf-8"))
picture = graph.draw(format=sys.argv[1].removeprefix("-T"), prog="dot", args=" ".join(sys.argv[2:]))
sys.stdout.buffer.write(picture)
"""


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that takes DOT on its input and options like those of ``dot``; ``name`` tells people which one it is."""

    name: str
    command: tuple[str, ...]
    formats: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where engines are looked for: the environment, the folders of programs, and whether pygraphviz is installed."""

    environ: Mapping[str, str]
    path: str
    pygraphviz: bool

    @classmethod
    def here(cls) -> Surroundings:
        """The surroundings of this process.  A venv's programs are found though the venv is not active."""
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), sysconfig.get_path("scripts")])
        return cls(os.environ, path, find_spec("pygraphviz") is not None)

    def program(self, name: str) -> str | None:
        """The program of this name or at this path, if it is there and may be run."""
        return shutil.which(os.path.expanduser(name), path=self.path)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What drawing came to: the picture and who drew it, or None; and a line for each attempt that failed before."""

    data: bytes | None
    engine: str
    failures: tuple[str, ...] = field(default=())


def draw(dot: str, form: Format, *, engine: str | None = None, timeout: float = TIMEOUT, where: Surroundings | None = None) -> Outcome:
    """Draw DOT text with the first engine that can.

    ``engine`` is ``"pygraphviz"``, or the name or path of a program that takes the options of ``dot``; ``timeout`` is in seconds
    for each attempt.  An engine that fails is tried again with straight lines, then the next one is.

    Raises `DrawError` if ``engine`` is given and fails.  If no engine works the outcome's data is None.
    """
    where = where or Surroundings.here()
    if engine is not None:
        return _draw_with(dot, form, engine, timeout, where)
    return _first(list(engines(where)), dot, form, timeout)


def engines(where: Surroundings) -> Iterator[Engine | str]:
    """The engines that are there, best first; a line of text for one that was asked for and is not."""
    if named := where.environ.get(VARIABLE):
        yield named_engine(named, where, f"${VARIABLE}: ")
    if dot := where.program("dot"):
        yield Engine(f"dot on the PATH: {dot}", (dot,))
    if where.pygraphviz:
        yield _bundled()
    if pure := where.program("graphviz-pure"):
        yield _pure(pure)


def named_engine(name: str, where: Surroundings, prefix: str = "") -> Engine | str:
    """The engine that goes by this name or lies at this path, or a line of text that says why there is none."""
    if name == "pygraphviz":
        return _bundled() if where.pygraphviz else f"{prefix}pygraphviz is not installed"
    program = where.program(name)
    if program is None:
        return f"{prefix}{name!r} is no program that can be found and run"
    is_pure = os.path.basename(program).lower().startswith("graphviz-pure")
    return _pure(program) if is_pure else Engine(f"{prefix}{program}", (program,))


def _bundled() -> Engine:
    # -P: a graphviz.py in the user's folder must not be imported in place of the library.
    return Engine("the engine bundled with pygraphviz", (sys.executable, "-P", "-c", _CHILD))


def _pure(program: str) -> Engine:
    return Engine(f"graphviz-pure: {program}", (program,), ("svg", "png"))


def _draw_with(dot: str, form: Format, name: str, timeout: float, where: Surroundings) -> Outcome:
    outcome = _first([named_engine(name, where)], dot, form, timeout)
    if outcome.data is None:
        raise DrawError(
            f"a picture as {form}, drawn with engine={name!r}",
            given=outcome.failures,
            fits=f'an engine that works: "pygraphviz", the name or path of a dot program, "plain" (SVG only); to install one:\n{INSTALL}',
        )
    return outcome


def _first(candidates: list[Engine | str], dot: str, form: Format, timeout: float) -> Outcome:
    failures: list[str] = []
    for candidate in candidates:
        result = candidate if isinstance(candidate, str) else _attempt(candidate, dot, form, timeout)
        if isinstance(result, Outcome):
            return Outcome(result.data, result.engine, tuple(failures))
        failures.append(result)
    return Outcome(None, "", tuple(failures))


def _attempt(engine: Engine, dot: str, form: Format, timeout: float) -> Outcome | str:
    if form not in engine.formats:
        return f"{engine.name}: makes no {form}"
    result = run((*engine.command, f"-T{form}"), dot, timeout)
    fault = _fault(result, form)
    if fault is None:
        return Outcome(result.output, engine.name)
    if not result.started:
        return f"{engine.name}: {fault}"
    # Routing curves is what fails and what takes long: straight lines still show the graph.
    again = run((*engine.command, f"-T{form}", _STRAIGHT), dot, timeout)
    if _fault(again, form) is None:
        return Outcome(again.output, f"{engine.name}, with straight lines")
    return f"{engine.name}: {fault}"


def _fault(result: Finished, form: Format) -> str | None:
    if result.fault:
        return result.fault
    if not is_whole(result.output, form):
        return f"printed {len(result.output)} bytes that are no {form}: {result.output[:40]!r}"
    return None


def is_whole(data: bytes, form: Format) -> bool:
    """Whether the bytes are a picture in this format from its first mark to its last."""
    if form == "svg":
        return b"<svg" in data and data.rstrip().endswith(b"</svg>")
    if form == "png":
        return data.startswith(b"\x89PNG\r\n\x1a\n") and b"IEND" in data[-16:]
    return data.startswith(b"%PDF-") and b"%%EOF" in data[-64:]
