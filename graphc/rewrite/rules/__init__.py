"""The rules that are written out, by what they are about."""

from typing import Final

from graphc.rewrite.rule import Rule, RuleSet
from graphc.rewrite.rules import algebra, constants, control, movement, pooling, product, stable, xla


def _all_of(module: object) -> RuleSet:
    return RuleSet(value for value in vars(module).values() if isinstance(value, Rule))


ALGEBRA: Final = _all_of(algebra)
CONSTANTS: Final = _all_of(constants)
CONTROL: Final = _all_of(control)
MOVEMENT: Final = _all_of(movement) + movement.REDUCTIONS
POOLING: Final = _all_of(pooling)
PRODUCT: Final = _all_of(product)
STABLE: Final = _all_of(stable)
XLA: Final = _all_of(xla)

__all__ = ["ALGEBRA", "CONSTANTS", "CONTROL", "MOVEMENT", "POOLING", "PRODUCT", "STABLE", "XLA"]
