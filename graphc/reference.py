"""``docs/ops.md``: a page of every op, written from the records. Print it with ``python -m graphc.reference``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import cast

from graphc.core import Op, Tensor, dtypes, input, toposort
from graphc.core.op import table
from graphc.grad import pullback
from graphc.show import formula
from graphc.testing import calls

LONGEST = 120
"""Characters of a gradient that fit into a table; longer ones are told by what they are made of."""

_TITLES = {"fft": "Fourier transforms", "linalg": "Linear algebra"}
_HEAD = """# The ops

Every op of graphc, written from its record by `python -m graphc.reference`. `g` is the cotangent of the result `y`; a gradient is what
reaches the operand, for its first small case, before it is summed to the operand's shape. *Domain*: where the op is sampled by the
tests; what is not bounded there is any number. *Kinks*: where the derivative is a choice, and which (`gc.kinks()` prints them alone).
*Backends*: "native" is one call of the library, "helper" a function that the emitted source brings along, "pieces" its decomposition.
"""


def page() -> str:
    """The page as Markdown."""
    sections = [_HEAD]
    for group, found in groupby(sorted(table(), key=lambda op: op.group), key=lambda op: op.group):
        if group != "internal":
            sections.append(_section(group, list(found)))
    return "\n".join(sections)


def _section(group: str, found: list[Op]) -> str:
    rows = [
        f"\n## {_TITLES.get(group) or group.replace('_', ' ').capitalize()}\n",
        "| op | is | formula | gradient | domain | kinks | NumPy | JAX |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*rows, *map(_row, found), ""])


def _row(op: Op) -> str:
    title = (op.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ").replace("    ", "")
    cells = [f"`{op.name}`", title, f"${_formula(op)}$", _gradient(op), _domain(op), op.kink_note, _form(op, "numpy"), _form(op, "jax")]
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _formula(op: Op) -> str:
    text = op.tex
    for name in sorted((*op.operands, *op.attributes), key=len, reverse=True):
        text = text.replace(f"${name}", name.replace("_", r"\_"))
    return text


def _gradient(op: Op) -> str:
    if op.zero_gradient:
        return f"0: {op.zero_gradient}"
    found = list(dict.fromkeys(_shares(op)))
    return "<br>".join(found) if found else "none"


def _shares(op: Op) -> Iterator[str]:
    small = next(iter(calls(op)), None)
    if small is None or (op.reverse is None and not op.pointwise):
        return
    made = small.operands(small.inputs())
    names = [f"{op.operands[0]}{i}" for i in range(len(made))] if op.variadic else op.operands
    operands = [input(name, x.shape, x.dtype) for name, x in zip(names, made, strict=True)]
    node = op(operands, **small.case.attributes) if op.variadic else op(*operands, **small.case.attributes)
    results = cast("tuple[Tensor, ...]", node if isinstance(node, tuple) else (node,))
    g = [input("g" if len(results) == 1 else f"g{i}", y.shape, y.dtype) for i, y in enumerate(results)]
    for x in operands:
        if dtypes.is_inexact(x.dtype) and any(dtypes.is_inexact(y.dtype) for y in results):
            (share,) = pullback(results, g, [x])
            text = str(formula(share))
            short = len(text) <= LONGEST and "\n" not in text
            yield f"d{x.label}: `{text}`" if short else f"d{x.label}: made of {_pieces(share)}"


def _pieces(share: Tensor) -> str:
    return ", ".join(dict.fromkeys(f"`{node.op.name}`" for node in toposort([share]) if node.op is not None))


def _domain(op: Op) -> str:
    return ", ".join(f"{low:g} to {high:g}" for low, high in dict.fromkeys(op.domain))


def _form(op: Op, target: str) -> str:
    template = op.emit if target == "numpy" else op.jax or op.emit
    if template is None:
        return "pieces"
    own = op.helper if target == "numpy" else op.jax_helper
    return "helper" if own else "native"


if __name__ == "__main__":
    print(page(), end="")
