"""Values that a user's script defines, for commands: ``train.py:loss`` is what ``loss`` is when ``train.py`` has run."""

from __future__ import annotations

import difflib
import re
import runpy
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from graphc.core.errors import ArgumentError, ScriptError


class Script(NamedTuple):
    """A script that was run: its file, the name after the colon, if there was one, and the values of its module by name."""

    path: Path
    name: str | None
    values: dict[str, Any]

    def pick(self, asked: str, what: str, fits: Callable[[Any], bool], example: str) -> tuple[str, Any]:
        """The value of the script's name, or the only one that ``fits`` if there is no name.

        Raises :class:`ArgumentError` for a name that is not there, with the near ones, and for a value that is no ``what``; without a name
        if there is not exactly one such value.
        """
        found = {name: value for name, value in self.values.items() if not name.startswith("_") and fits(value)}
        if self.name is None:
            if len(found) == 1:
                return next(iter(found.items()))
            told = f"which {what} of {self.path}?" if found else f"{self.path} defines no {what}"
            raise ArgumentError(f"{asked}: {told}", given=[f"{self.path}:{name}" for name in found], fits=f"FILE.py:NAME with {example}")
        if self.name in found:
            return self.name, found[self.name]
        if self.name in self.values:
            value = self.values[self.name]
            raise ArgumentError(
                f"{asked}: {self.path}:{self.name} is no {what}",
                given=[f"{self.name}: {type(value).__name__} {_short(repr(value))}"],
                fits=f"{example}{self._others(found)}",
            )
        raise ArgumentError(
            f"{asked}: {self.path} defines no {what} {self.name}", given=near(self.name, found), fits=f"{example}{self._others(found)}"
        )

    def _others(self, found: dict[str, Any]) -> str:
        return f"; there are {', '.join(found)}" if found else ""


class Named(NamedTuple):
    """A file, and a name in it if there was a colon."""

    path: Path
    name: str | None


def named(spec: str) -> Named:
    """The two halves of ``FILE.py:NAME``. A file whose own name has a colon is taken for what it is."""
    path = Path(spec)
    parts = None if path.is_file() else re.fullmatch(r"(.+):(\w+)", spec)
    return Named(Path(parts[1]), parts[2]) if parts else Named(path, None)


def run(spec: str, asked: str) -> Script:
    """Run the script of ``FILE.py`` or ``FILE.py:NAME``, as ``python FILE.py`` does, but for its ``__name__``, which is ``__graphc__``.

    ``asked`` is the command that wants it. Raises :class:`ArgumentError` if there is no such file, :class:`ScriptError` if it fails.
    """
    path, name = named(spec)
    if not path.is_file():
        beside = [file.name for file in path.parent.glob("*.py")] if path.parent.is_dir() else []
        what = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
        raise ArgumentError(f"{asked}: {what}", given=near(path.name, beside), fits="script.py, or script.py:name")
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # where the script finds what lies beside it
    try:
        return Script(path, name, runpy.run_path(str(path), run_name="__graphc__"))
    except SystemExit as stop:
        raise ScriptError(f"{asked}: {path} ended itself: SystemExit({stop.code!r})", fits=_GUARDED) from None
    except Exception as error:  # whatever it is, it is the user's
        raise ScriptError(f"{asked}: {path} failed", given=_lines(error, path), fits="a script that runs without errors") from None


_GUARDED = 'what is not to run here under `if __name__ == "__main__":`'


def near(name: str, known: Iterable[str]) -> list[str]:
    """A line that asks whether a name was meant that is nearly this one; none if there is no such name."""
    found = difflib.get_close_matches(name, list(known), 2)
    return [f"is {' or '.join(found)} meant?"] if found else []


def _lines(error: BaseException, path: Path) -> list[str]:
    """The traceback from the user's script on, but for graphc's own lines."""
    report = traceback.TracebackException.from_exception(error)
    package = str(Path(__file__).parent)
    files = [frame.filename for frame in report.stack]
    start = files.index(str(path)) if str(path) in files else len(files)
    frames = [frame for frame in report.stack[start:] if not frame.filename.startswith((package, "<graphc>"))]
    text = "".join([*traceback.StackSummary.from_list(frames).format(), *report.format_exception_only()])
    return text.rstrip("\n").splitlines()


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:59]}…"
