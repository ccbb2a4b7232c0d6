"""All rules in the order in which they are tried, and the sets that the levels use."""

from __future__ import annotations

from collections import Counter
from typing import Final

from graphc.rewrite.fold import fold_constants
from graphc.rewrite.laws import LAWS
from graphc.rewrite.rule import RuleSet
from graphc.rewrite.rules import ALGEBRA, CONSTANTS, CONTROL, MOVEMENT, POOLING, PRODUCT, STABLE, XLA

ALL: Final = RuleSet([fold_constants]) + STABLE + LAWS + ALGEBRA + MOVEMENT + PRODUCT + POOLING + CONTROL + CONSTANTS + XLA
"""Every rule."""


class Phases(dict[str, RuleSet]):
    """Named parts of a rule set. Printing it lists them, each with the number of its rules and their groups."""

    def __str__(self) -> str:
        lines: list[str] = []
        for name, rules in self.items():
            groups = Counter(one.group for one in rules)
            lines.append(f"{name:12}  {len(rules):4} rules  {', '.join(f'{group} ({count})' for group, count in groups.items())}")
        return "\n".join(lines)


def _of_groups(*groups: str) -> RuleSet:
    return RuleSet([one for one in ALL if one.group in groups])


# One fixpoint serves all of them: a rule of one phase makes room for those of another, and a walk for each would cost as much again.
PHASES: Final = Phases(
    canonicalise=_of_groups("fold", "laws", "movement"),
    stabilise=_of_groups("stable"),
    specialise=_of_groups("algebra", "constants", "control", "pooling"),
    fuse=_of_groups("product"),
    spell=_of_groups("xla"),
)
"""Every rule by what it is for: one spelling of equal things; a stable function for its naive spelling; cheaper ops for dear ones; fewer
and larger products; what a backend is told in words of its own, in a walk of its own at the end. ``rules.without(*groups)`` leaves one
out."""
UNSAFE: Final = ALL.without("xla")
"""``DEFAULT`` with the rules that assume that no NaN and no inf occurs."""
DEFAULT: Final = UNSAFE.within("exact", "rounding", "overflow")
"""What runs unless the user asks for less or more."""
