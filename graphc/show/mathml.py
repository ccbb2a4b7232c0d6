"""Formulas for web pages: the LaTeX that graphc writes, as MathML, which browsers show without any script.

It reads the small part of LaTeX that formulas are written in and nothing else, so it also says whether a formula is well formed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Final

_TOKEN: Final = re.compile(r"\\[a-zA-Z]+|\\.|[\d.]+|\s+|.", re.DOTALL)
_FUNCTIONS: Final = frozenset({"arg", "cos", "cosh", "det", "exp", "log", "max", "min", "sin", "sinh", "tan", "tanh"})
_LETTERS: Final = {
    "Gamma": "Γ",
    "Phi": "Φ",
    "infty": "∞",
    "partial": "∂",
    "psi": "ψ",
    "sigma": "σ",
    "zeta": "ζ",
    "top": "⊤",
    "bot": "⊥",
}
_OPERATORS: Final = {
    "&": "&",
    "#": "#",
    "$": "$",
    "%": "%",
    "_": "_",
    "{": "{",
    "}": "}",
    "ast": "∗",
    "backslash": "\\",
    "cdot": "⋅",
    "circ": "∘",
    "dots": "…",
    "ge": "≥",
    "gg": "≫",
    "in": "∈",
    "lVert": "‖",
    "rVert": "‖",
    "lceil": "⌈",
    "rceil": "⌉",
    "lfloor": "⌊",
    "rfloor": "⌋",
    "le": "≤",
    "ll": "≪",
    "mapsto": "↦",
    "mid": "|",
    "nabla": "∇",
    "ne": "≠",
    "neg": "¬",
    "odot": "⊙",
    "oplus": "⊕",
    "prod": "∏",
    "sim": "∼",
    "star": "⋆",
    "sum": "∑",
    "times": "×",
    "to": "→",
    "vee": "∨",
    "wedge": "∧",
}
_SPACES: Final = {",": "0.17em", ";": "0.28em", " ": "0.3em", "quad": "1em", "qquad": "2em", "!": "-0.17em"}
_ALPHABETS: Final = {"mathbb": {"1": "𝟙", "R": "ℝ"}, "mathbf": {"1": "𝟏"}, "mathcal": {"F": "ℱ"}}


def mathml(latex: str, *, alt: str = "", display: bool = True) -> str:
    """The formula as a ``<math>`` element, a block of its own or in a line, which says ``alt`` where it cannot be seen.

    Raises :class:`ValueError` for LaTeX that formulas are not written in.
    """
    body = _Reader(latex).row(None)
    block = ' display="block"' if display else ' displaystyle="true"'
    said = f' alttext="{escape(alt)}"' if alt else ""
    return f"<math{block}{said}>{body}</math>"


class _Reader:
    """The tokens of a formula, read from left to right."""

    def __init__(self, latex: str) -> None:
        self.latex, self.tokens, self.at = latex, _TOKEN.findall(latex), 0

    def fail(self, what: str) -> ValueError:
        return ValueError(f"{what} at {''.join(self.tokens[self.at : self.at + 8])!r} of {self.latex!r}")

    @property
    def next(self) -> str | None:
        """The token that comes next."""
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self) -> str:
        """The next token, which is then behind."""
        if self.next is None:
            raise self.fail("the formula ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def skip_spaces(self) -> None:
        while self.next is not None and self.next.isspace():
            self.at += 1

    def row(self, end: str | None) -> str:
        """All up to ``end``, as one element; ``end`` is then behind."""
        return _row(self.items(end))

    def items(self, end: str | None) -> list[str]:
        """The elements up to ``end``."""
        found: list[str] = []
        self.skip_spaces()
        while self.next != end:
            found.append(self.scripted())
            self.skip_spaces()
        if end is not None:
            self.take()
        return found

    def scripted(self) -> str:
        """One element with what is below and above it."""
        base = self.atom()
        below = above = ""
        self.skip_spaces()
        while self.next in ("_", "^", "'"):
            mark = self.take()
            script = "<mo>′</mo>" if mark == "'" else self.argument()
            if (below and mark == "_") or (above and mark == "^"):
                raise self.fail("a second script")
            below, above = (script, above) if mark == "_" else (below, above + script)
            self.skip_spaces()
        above = _row([above]) if above.count("<") else above
        if below and above:
            return f"<msubsup>{base}{below}<mrow>{above}</mrow></msubsup>"
        return f"<msub>{base}{below}</msub>" if below else f"<msup>{base}<mrow>{above}</mrow></msup>" if above else base

    def argument(self) -> str:
        """A group in braces, or one element."""
        self.skip_spaces()
        if self.next == "{":
            self.take()
            return self.row("}")
        return self.atom()

    def raw(self) -> str:
        """A group in braces as it stands."""
        self.skip_spaces()
        if self.take() != "{":
            raise self.fail("no group")
        depth, found = 1, ""
        while depth:
            token = self.take()
            depth += {"{": 1, "}": -1}.get(token, 0)
            found += token if depth else ""
        return found

    def atom(self) -> str:
        """One element without scripts."""
        token = self.take()
        if token == "{":
            return self.row("}")
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[0].isdigit() or (token[0] == "." and len(token) > 1):
            return f"<mn>{token}</mn>"
        if token in ("^", "_", "}", "&"):
            self.at -= 1
            raise self.fail(f"{token!r} where an element has to be")
        if token in "()[]|":
            return f'<mo stretchy="false">{token}</mo>'
        return f"<mi>{escape(token)}</mi>" if token.isalpha() else f"<mo>{escape(_MINUS.get(token, token))}</mo>"

    def command(self, name: str) -> str:
        """What a command makes of what follows."""
        if name in _SPACES:
            return f'<mspace width="{_SPACES[name]}"/>'
        if name in _FUNCTIONS:
            self.skip_spaces()
            spaced = self.next not in ("(", "\\left", "^", "_")
            return f"<mi>{name}</mi>" + (f'<mspace width="{_SPACES[","]}"/>' if spaced else "")
        if name in _LETTERS:
            return f"<mi>{_LETTERS[name]}</mi>"
        if name in _OPERATORS:
            return f"<mo>{escape(_OPERATORS[name])}</mo>"
        if name not in _COMMANDS:
            raise self.fail(f"the command \\{name} is not known")
        return _COMMANDS[name](self)

    # ------------------------------------------------------------ commands
    def fraction(self) -> str:
        return f"<mfrac>{self.argument()}{self.argument()}</mfrac>"

    def root(self) -> str:
        self.skip_spaces()
        if self.next != "[":
            return f"<msqrt>{self.argument()}</msqrt>"
        self.take()
        index = self.row("]")
        return f"<mroot>{self.argument()}{index}</mroot>"

    def overline(self) -> str:
        return f'<mover>{self.argument()}<mo stretchy="true">‾</mo></mover>'

    def hat(self) -> str:
        return f"<mover>{self.argument()}<mo>^</mo></mover>"

    def text(self) -> str:
        words = re.sub(r"\\(.)", r"\1", self.raw())
        return f"<mtext>{escape(words).replace(' ', NO_BREAK)}</mtext>"

    def bold(self) -> str:
        return f'<mtext style="font-weight: bold">{escape(self.raw()).replace(" ", NO_BREAK)}</mtext>'

    def upright(self) -> str:
        raw = self.raw()
        inner = raw[len("\\mathrm{") : -1] if raw.startswith("\\mathrm{") else raw
        name = re.sub(r"\\(.)", r"\1", inner.replace(r"^\top", "ᵀ").replace(r"\hat{}", "^").replace("\\sim ", "~"))
        return f'<mi mathvariant="normal">{escape(name.replace("backslash ", chr(92)))}</mi>'

    def alphabet(self, name: str) -> str:
        letters = self.raw()
        return f"<mi>{''.join(_ALPHABETS[name].get(letter, letter) for letter in letters)}</mi>"

    def fenced(self) -> str:
        opening = self.fence()
        inner = self.items("\\right")
        return f'<mrow><mo fence="true">{opening}</mo>{"".join(inner)}<mo fence="true">{self.fence()}</mo></mrow>'

    def fence(self) -> str:
        token = self.take()
        return escape(_OPERATORS.get(token[1:], token) if token.startswith("\\") else token)

    def environment(self) -> str:
        name = self.raw()
        if name not in ("aligned", "cases"):
            raise self.fail(f"the environment {name} is not known")
        rows: list[list[str]] = [[]]
        cell: list[str] = []
        while True:
            self.skip_spaces()
            if self.next in ("&", "\\\\", "\\end"):
                token = self.take()
                rows[-1].append("".join(cell))
                cell = []
                if token == "\\end":
                    break
                if token == "\\\\":
                    rows.append([])
                continue
            cell.append(self.scripted())
        if self.raw() != name:
            raise self.fail(f"another end than that of {name}")
        table = _table(rows, name)
        return f'<mrow><mo fence="true">{{</mo>{table}</mrow>' if name == "cases" else table


def _table(rows: list[list[str]], name: str) -> str:
    found = "".join(f"<mtr>{''.join(_cell(cell, i, name) for i, cell in enumerate(row))}</mtr>" for row in rows)
    return f'<mtable displaystyle="{"true" if name == "aligned" else "false"}">{found}</mtable>'


def _cell(cell: str, column: int, name: str) -> str:
    side = "right" if name == "aligned" and column == 0 else "left"
    return f'<mtd style="text-align: {side}; text-align: -webkit-{side}">{_row([cell])}</mtd>'


def _row(items: list[str]) -> str:
    """Elements as one."""
    return items[0] if len(items) == 1 and items[0].startswith("<mrow>") else f"<mrow>{''.join(items)}</mrow>"


NO_BREAK: Final = "\u00a0"
_MINUS: Final = {"-": "−"}
_COMMANDS: Final[dict[str, Callable[[_Reader], str]]] = {
    "begin": _Reader.environment,
    "frac": _Reader.fraction,
    "hat": _Reader.hat,
    "left": _Reader.fenced,
    "mathbb": lambda reader: reader.alphabet("mathbb"),
    "mathbf": lambda reader: reader.alphabet("mathbf"),
    "mathbin": _Reader.argument,
    "mathcal": lambda reader: reader.alphabet("mathcal"),
    "mathrm": _Reader.upright,
    "operatorname": _Reader.upright,
    "overline": _Reader.overline,
    "sqrt": _Reader.root,
    "text": _Reader.text,
    "textbf": _Reader.bold,
}
