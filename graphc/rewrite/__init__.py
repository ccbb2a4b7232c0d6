"""Rewriting: rules that make a graph cheaper or more stable, and the engine that applies them. No rule changes a type."""

from graphc.rewrite.engine import Application, Known, Simplified, simplify
from graphc.rewrite.match import matches
from graphc.rewrite.rule import SAFETIES, Rule, RuleSet, rule
from graphc.rewrite.saturation import Saturated, saturate
from graphc.rewrite.sharing import masks_by_results, share_exponentials
from graphc.rewrite.table import ALL, DEFAULT, PHASES, UNSAFE

__all__ = [
    "ALL",
    "DEFAULT",
    "PHASES",
    "SAFETIES",
    "UNSAFE",
    "Application",
    "Known",
    "Rule",
    "RuleSet",
    "Saturated",
    "Simplified",
    "masks_by_results",
    "matches",
    "rule",
    "saturate",
    "share_exponentials",
    "simplify",
]
