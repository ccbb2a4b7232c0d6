"""Checks of gradients and of ops: for those who write their own, and what graphc's tests are made of."""

from graphc.testing.calls import (
    Call,
    OpReport,
    calls,
    check_op,
    gradient_problems,
    takes_integers_alone,
    type_problems,
    value_problems,
)
from graphc.testing.gradients import check_gradient
from graphc.testing.report import Blame, Entry, GradientReport

__all__ = [
    "Blame",
    "Call",
    "Entry",
    "GradientReport",
    "OpReport",
    "calls",
    "check_gradient",
    "check_op",
    "gradient_problems",
    "takes_integers_alone",
    "type_problems",
    "value_problems",
]
