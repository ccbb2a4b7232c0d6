"""What values and numbers are called in formulas, listings and pictures."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from graphc.core import Tensor

_PLAIN: Final = re.compile(r"[^\W\d][\w.]*['′]*")
_INDEXED: Final = re.compile(r"([^\W\d_])(?:_?(\d+)|_([^\W_]{1,3}))?(['′]*)")
_TEX_ESCAPES: Final = str.maketrans({c: f"\\{c}" for c in "{}$&#_%"} | {"\\": r"\backslash ", "^": r"\hat{}", "~": r"\sim ", "ᵀ": r"^\top"})


def shown(text: str) -> str:
    """A text of the user's on one line, without what a terminal or a reader would take for a command: escapes, turns of the direction."""
    return " ".join("".join([letter if letter.isprintable() or letter.isspace() else "\ufffd" for letter in text]).split())


def plain_name(label: str) -> str:
    """A label as formulas have it: as it is where it reads like a name, else in quotes."""
    label = shown(label)
    return label if _PLAIN.fullmatch(label) else f'"{label}"'


def tex_name(name: str) -> str:
    """A name in LaTeX: ``W1`` is a letter with an index, a word stands upright, ``∂y/∂x`` is a fraction."""
    above, slash, below = name.partition("/∂")
    if slash and name.startswith("∂"):
        return rf"\frac{{\partial {tex_name(above[1:])}}}{{\partial {tex_name(below)}}}"
    indexed = _INDEXED.fullmatch(name)
    if indexed:
        index = indexed[2] or indexed[3]
        return indexed[1] + (f"_{{{index}}}" if index else "") + indexed[4].replace("′", "'")
    if name.isdigit():
        return name
    word = name.strip('"').translate(_TEX_ESCAPES).replace(" ", r"\ ")
    return rf"\mathrm{{{word}}}"


def short_number(value: Any) -> str:
    """The shortest text that is this number in its own precision: ``0.1``, ``2``, ``1e-7``, ``∞``, ``1 - 2i``."""
    kind = np.asarray(value).dtype.kind
    if kind == "c":
        return _complex(short_number(np.real(value)), short_number(np.imag(value)))
    if kind in "biu":
        return str(value).lower()
    size = abs(float(value))
    if not math.isfinite(size):
        return "NaN" if math.isnan(size) else "∞" if value > 0 else "-∞"
    digits = np.float32(value) if kind == "V" else value  # bfloat16 is no float to NumPy
    if size == 0 or 1e-4 <= size < 1e6:
        return np.format_float_positional(digits, trim="-")
    return np.format_float_scientific(digits, trim="-", exp_digits=1).replace("e+", "e")


def _complex(real: str, imaginary: str) -> str:
    if imaginary in ("0", "-0"):
        return real
    unit = {"1": "i", "-1": "-i"}.get(imaginary, f"{imaginary}i")
    if real in ("0", "-0"):
        return unit
    return f"{real} - {unit[1:]}" if unit.startswith("-") else f"{real} + {unit}"


def capital(node: Tensor) -> str | None:
    """The letter of the one-hot rows of a tensor that has a small letter for a name."""
    label = node.inputs[0].label if node.op is not None and node.op.name == "one_hot" else None
    return label.upper() if label and len(label) == 1 and label.islower() else None


def owned(nodes: Iterable[Tensor]) -> set[Tensor]:
    """Those of the sorted ``nodes`` that read an input or a variable.

    What is computed from constants alone is one node for the whole process, so that its line and its forward node may be those of
    another graph that was there first.
    """
    found: set[Tensor] = set()
    for node in nodes:
        if node.kind in ("input", "variable") or not found.isdisjoint(node.inputs):
            found.add(node)
    return found


@dataclass(slots=True)
class Namer:
    """Hands out names that no other value has. ``labels`` are kept for those values that bring them."""

    labels: set[str] = field(default_factory=set[str])
    taken: set[str] = field(default_factory=set[str])
    counts: Counter[str] = field(default_factory=Counter[str])

    @classmethod
    def of(cls, nodes: Iterable[Tensor], taken: Iterable[str] = ()) -> Namer:
        """A namer that leaves the labels of ``nodes`` to them."""
        return cls({plain_name(node.label) for node in nodes if node.label}, set(taken))

    def name(self, node: Tensor) -> str:
        """A name for the value: its label, else ``t1``... for operators, ``v1``... for variables, ``c0``... for constants.

        Classes that are called ``y`` are ``Y`` as rows of zeros and ones.
        """
        if node.label:
            return self.unlike_others(plain_name(node.label))
        letter = capital(node)
        if letter is not None and letter not in self.labels | self.taken:
            return self.unlike_others(letter)
        letter = {"variable": "v", "constant": "c", "input": "x"}.get(node.kind, "t")
        return self._numbered(letter, 0 if letter == "c" else 1)

    def unlike_others(self, name: str) -> str:
        """``name``, with a number where it is taken."""
        candidate = name
        while candidate in self.taken:
            self.counts[name] += 1
            candidate = f"{name}_{self.counts[name] + 1}"
        self.taken.add(candidate)
        return candidate

    def _numbered(self, letter: str, first: int) -> str:
        while True:
            candidate = f"{letter}{first + self.counts[letter]}"
            self.counts[letter] += 1
            if candidate not in self.taken and candidate not in self.labels:
                self.taken.add(candidate)
                return candidate
