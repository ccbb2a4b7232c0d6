"""Rewriting: rules that make a graph cheaper or more stable, and the engine that applies them. No rule changes a type."""

from graphc.rewrite.engine import Application, Simplified, simplify
from graphc.rewrite.match import matches
from graphc.rewrite.rule import SAFETIES, Rule, RuleSet, rule
from graphc.rewrite.table import ALL, DEFAULT, UNSAFE

__all__ = [
    "ALL",
    "DEFAULT",
    "SAFETIES",
    "UNSAFE",
    "Application",
    "Rule",
    "RuleSet",
    "Simplified",
    "matches",
    "rule",
    "simplify",
]
