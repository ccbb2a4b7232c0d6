"""The page of the lint rules, from their table: ``python -m graphc.linter.document > docs/lint.md``."""

from __future__ import annotations

from graphc.linter.finding import SEVERITIES
from graphc.linter.rule import Rule
from graphc.linter.rules import RULES

_ABOUT = """# Lint

Made by `python -m graphc.linter.document`. `gc.lint(x)` looks at the graph of a tensor, a compiled function or a model (or a list or
dict of them) for what compiles and is probably wrong all the same. It computes nothing. Each finding has a code, a severity, your line,
a reason and a cure:

```python
print(gc.lint(loss))
print(gc.lint([step, model], ignore=["GC103"]))
```

`graphc lint train.py` runs a file as an import would (its `__name__` is `__graphc__`), calls nothing that it defines, and looks at the
tensors, functions and models at its top level, `graphc lint train.py:loss` at one of them. The exit code is 1 if there are findings,
`--ignore GC103,GC504` leaves rules out, `--format json` is for programs, and `--format github` shows findings beside the lines of a pull
request. A line that ends in `# noqa: GC103` is left out of that rule.

What may be 0, negative or too large is known from the ops: each has a range that follows from those of its operands (a square is not
negative, a softmax lies in 0 to 1), and a bound is warned of only if some input reaches it. Inputs and variables may be any numbers.
The graph that a rule looks at is the one that you wrote: what the compiler makes of it may be better, and the gradient worse.

"""
_SEVERITIES = {
    "error": "wrong, or NaN, whatever the inputs are",
    "warning": "wrong for some inputs, or hardly what was meant",
    "note": "a surprise, a loss of digits, or something that nobody reads",
}
_GROUPS = {"1": "Values", "2": "Shapes", "3": "Dtypes", "4": "Losses", "5": "Training"}


def page() -> str:
    """The page as Markdown."""
    found = [RULES[code] for code in sorted(RULES)]
    lines = [_ABOUT + "\n".join(f"- **{name}**: {_SEVERITIES[name]}" for name in SEVERITIES), ""]
    lines += ["| code | rule | severity |", "|---|---|---|"]
    lines += [f"| [{one.code}](#{one.code.lower()}-{one.name}) | {one.name} | {one.severity} |" for one in found]
    for group, title in _GROUPS.items():
        lines += ["", f"## {title}", *[_section(one) for one in found if one.code[2] == group]]
    return "\n".join(lines) + "\n"


def _section(one: Rule) -> str:
    return f"""
### {one.code} {one.name}

{one.about}

```python
{one.bad}```

Cure: {one.cure}.

```python
{one.good}```"""


if __name__ == "__main__":
    print(page(), end="")
