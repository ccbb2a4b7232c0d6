"""The rules of lint, a module for each kind: importing them fills the table."""

from graphc.linter.rule import RULES, but_for
from graphc.linter.rules import dtypes, losses, shapes, training, values

__all__ = ["RULES", "but_for", "dtypes", "losses", "shapes", "training", "values"]
