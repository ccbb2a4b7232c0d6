"""All rules in the order in which they are tried, and the sets that the levels use."""

from __future__ import annotations

from typing import Final

from graphc.rewrite.fold import fold_constants
from graphc.rewrite.laws import LAWS
from graphc.rewrite.rule import RuleSet
from graphc.rewrite.rules import ALGEBRA, CONSTANTS, MOVEMENT, PRODUCT, STABLE

ALL: Final = RuleSet([fold_constants]) + STABLE + LAWS + ALGEBRA + MOVEMENT + PRODUCT + CONSTANTS
"""Every rule."""
DEFAULT: Final = ALL.within("exact", "rounding", "overflow")
"""What runs unless the user asks for less or more."""
UNSAFE: Final = ALL
"""``DEFAULT`` with the rules that assume that no NaN and no inf occurs."""
