"""The page of the rules, from their table: ``python -m graphc.rewrite.document > docs/rules.md``."""

from __future__ import annotations

from typing import Any

from graphc.core.pattern import Pattern, Var
from graphc.rewrite.rule import SAFETIES, Rule, RuleSet
from graphc.rewrite.table import ALL

_ABOUT = """# Rewrite rules

Made by `python -m graphc.rewrite.document`. Rules are tried in this order, from the leaves of a graph up, until none fits. The
default level takes `exact`, `rounding` and `overflow`; `nan_unsafe` comes on request. Where "becomes" is empty, the rule looks at
shapes or values first.
"""


def page(rules: RuleSet = ALL) -> str:
    """The page as Markdown."""
    classes = "\n".join(f"- `{name}`: {promise}" for name, promise in SAFETIES.items())
    groups = dict.fromkeys(one.group for one in rules)
    tables = [_table(group, [one for one in rules if one.group == group]) for group in groups]
    return "\n".join([_ABOUT, classes, "", f"{len(rules)} rules.", *tables]) + "\n"


def _table(group: str, rules: list[Rule]) -> str:
    rows = "\n".join(_row(one) for one in rules)
    return f"\n## {group}\n\n| rule | pattern | becomes | safety | |\n|---|---|---|---|---|\n{rows}"


def _row(one: Rule) -> str:
    becomes = _becomes(one)
    cells = [f"`{one.name}`", f"`{spell(one.pattern)}`", f"`{becomes}`" if becomes else "", one.safety, one.sentence.replace("\n", " ")]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _becomes(one: Rule) -> str:
    """What the body makes of its own pattern: rules that look at types and values cannot be shown so."""
    try:
        result = one.body(**{name: Var(name) for name in one.parameters})
    except (AttributeError, TypeError):
        return ""
    return "" if result is None else spell(result)


def spell(part: Any) -> str:
    """A pattern as a formula."""
    if not isinstance(part, Pattern) or part.op is None:
        return repr(part)
    op = part.op
    if not op.binds or part.attributes or op.text.startswith(op.name):
        keywords = [f"{name}={spell(value)}" for name, value in part.attributes.items()]
        return f"{op.name}({', '.join([*map(spell, part.operands), *keywords])})"
    text = op.text
    for name, operand in zip(op.operands, part.operands, strict=True):
        inner = isinstance(operand, Pattern) and operand.op is not None and operand.op.binds
        text = text.replace(f"${name}", f"({spell(operand)})" if inner else spell(operand))
    return text


if __name__ == "__main__":
    print(page(), end="")
