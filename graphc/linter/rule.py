"""A lint rule: one record with its code, what it finds, why that matters, what cures it, and two programs that show it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from textwrap import dedent
from typing import Final, TypeAlias

from graphc.core import Tensor
from graphc.core.errors import ArgumentError
from graphc.linter.finding import SEVERITIES, Finding
from graphc.linter.program import Program, spelled, text_of

Hit: TypeAlias = tuple[Tensor, str]
"""A node, and what is the matter with it in one sentence."""
Find: TypeAlias = Callable[[Program], Iterable[Hit]]


@dataclass(frozen=True)
class Rule:
    """What lint looks for. ``about`` says it in general, for the documentation; ``find`` what it is in a program.

    ``bad`` is a program of which the rule finds the line that ends in ``# here``, and no rule anything else; ``good`` does the same right.
    """

    code: str
    name: str
    severity: str
    about: str
    cure: str
    bad: str
    good: str
    find: Find

    def findings(self, program: Program) -> Iterator[Finding]:
        """What the rule finds, each line once; a line that says ``# noqa: GC101`` (or whatever the code is) is left out."""
        found: dict[tuple[str, int, str], tuple[Tensor, str, int]] = {}
        for node, reason in self.find(program):
            place = program.place(node)
            key = ("", 0, spelled(node)) if place is None else (place.file, place.line, "")
            first, told, count = found.get(key, (node, reason, 0))
            found[key] = first, told, count + 1
        for (file, line, _), (node, reason, count) in found.items():
            place = program.place(node)
            text = "" if place is None else text_of(place)
            if not _silenced(text, self.code):
                yield Finding(self.code, self.name, self.severity, file, line, text, spelled(node), reason, self.cure, count)


def _silenced(text: str, code: str) -> bool:
    comment = re.search(r"#\s*noqa:\s*([\w, ]+)", text)
    return comment is not None and code in re.findall(r"\w+", comment[1])


RULES: Final[dict[str, Rule]] = {}
"""Every rule by its code. The modules of ``graphc.linter.rules`` fill it as they are imported."""


def rule(code: str, severity: str, *, cure: str, bad: str, good: str) -> Callable[[Find], Find]:
    """Make the generator below a rule: its name with hyphens and its docstring are the rule's."""
    assert severity in SEVERITIES

    def declare(find: Find) -> Find:
        about = " ".join((find.__doc__ or "").split())
        assert about
        assert code not in RULES
        RULES[code] = Rule(code, find.__name__.replace("_", "-"), severity, about, cure, _program(bad), _program(good), find)
        return find

    return declare


def _program(text: str) -> str:
    return dedent(text).strip() + "\n"


def but_for(ignored: Iterable[str]) -> list[Rule]:
    """The rules without those of these codes or names. Raises :class:`ArgumentError` for one that there is not, with the near one."""
    names = {one.name: code for code, one in RULES.items()}
    dropped: set[str] = set()
    for asked in [ignored] if isinstance(ignored, str) else ignored:
        code = names.get(asked, asked.upper())
        if code not in RULES:
            near = difflib.get_close_matches(code, RULES, 1) or difflib.get_close_matches(asked.lower(), names, 1)
            guess = f"; is {near[0]!r} meant?" if near else ""
            raise ArgumentError(f"lint: there is no rule {asked!r}{guess}", fits=", ".join(sorted(RULES)))
        dropped.add(code)
    return [one for code, one in sorted(RULES.items()) if code not in dropped]
