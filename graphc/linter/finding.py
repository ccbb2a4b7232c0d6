"""What lint finds: one record for each place, and the list of them, which prints itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from os.path import basename
from typing import Any, Final

SEVERITIES: Final = ("error", "warning", "note")
"""``error``: the values are wrong, or NaN, for every input; ``warning``: for some; ``note``: a surprise, or a loss of digits."""
_GITHUB: Final = {"error": "error", "warning": "warning", "note": "notice"}


@dataclass(frozen=True)
class Finding:
    """One thing that is probably not what was meant.

    ``file`` and ``line`` are the user's, empty and 0 for what belongs to no line; ``text`` is that line, where it can be read. ``node``
    is the node in words. ``count`` is how many nodes of the line the rule found.
    """

    code: str
    name: str
    severity: str
    file: str
    line: int
    text: str
    node: str
    reason: str
    cure: str
    count: int = 1

    @property
    def place(self) -> str:
        """``train.py:12``, or what the node is where it has no line."""
        return f"{basename(self.file)}:{self.line}" if self.file else self.node

    def __str__(self) -> str:
        more = f" ({self.count} times)" if self.count > 1 else ""
        lines = [f"{self.place}: {self.code} {self.name}, {self.severity}: {self.reason}{more}"]
        if self.text:
            lines.append(f"    {self.text}")
        return "\n".join([*lines, f"  cure: {self.cure}"])


class Findings(tuple[Finding, ...]):
    """Findings in the order of files, lines and codes. Printing them lists them, each with its line and cure."""

    __slots__ = ()

    def __new__(cls, found: Iterable[Finding] = ()) -> Findings:
        """The findings, sorted."""
        return super().__new__(cls, sorted(found, key=lambda one: (one.file, one.line, one.code, one.node)))

    @property
    def codes(self) -> list[str]:
        """The code of each finding, in order."""
        return [one.code for one in self]

    def __str__(self) -> str:
        if not self:
            return "no findings"
        counts = [(severity, sum(one.severity == severity for one in self)) for severity in SEVERITIES]
        total = ", ".join(f"{count} {severity}{'s' * (count > 1)}" for severity, count in counts if count)
        return "\n".join([*map(str, self), total])

    __repr__ = __str__

    def as_json(self) -> str:
        """A list of objects with the fields of the findings."""
        return json.dumps([asdict(one) for one in self], indent=2)

    def as_github(self) -> str:
        """A workflow command for each finding, which GitHub shows beside the line."""
        return "\n".join(map(_command, self))


def _command(one: Finding) -> str:
    where = f" file={_property(one.file)},line={one.line},title={_property(f'{one.code} {one.name}')}" if one.file else ""
    return f"::{_GITHUB[one.severity]}{where}::{_message(f'{one.reason} Cure: {one.cure}')}"


def _message(text: Any) -> str:
    return str(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: Any) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
