"""Lint: what is probably wrong with a graph though it compiles, each thing with the user's line, a reason and a cure."""

from graphc.linter.finding import Finding, Findings
from graphc.linter.linting import lint, lint_script, lint_values

__all__ = ["Finding", "Findings", "lint", "lint_script", "lint_values"]
