"""Every rule of the table on every small instance of it."""

from pathlib import Path

import pytest

from graphc.core import OPS
from graphc.core.pattern import var
from graphc.ops import exp, log, sqrt, square, tanh
from graphc.rewrite import ALL, DEFAULT, SAFETIES, UNSAFE, rule
from graphc.rewrite.document import page

x, y = var("x"), var("y")


@pytest.mark.parametrize("one", list(ALL), ids=lambda one: one.name)
def test_rule_holds(one, rule_check):
    assert rule_check.check_rule(one) > 0


def test_the_default_level_assumes_nothing_of_values():
    assert {one.safety for one in DEFAULT} == set(SAFETIES) - {"nan_unsafe"}
    assert set(UNSAFE) - set(DEFAULT) == set(ALL.within("nan_unsafe"))


def test_each_law_has_its_rules():
    laws = [law for op in OPS.values() for law in op.laws if law not in ("commutative", "associative")]
    assert len([one for one in ALL if one.group == "laws"]) == len(laws) + sum(law[0] == "zero" for law in laws if isinstance(law, tuple))


def _wrong(pattern, body, safety):
    body.__doc__ = "A rule that is wrong."
    return rule(pattern, safety=safety)(body)


def _exp_of_log(x):
    return x


def _less_a_little(x):
    return x * (1 + 1e-4)


def _added(x, y):
    return x + y


@pytest.mark.parametrize(
    ("pattern", "body", "safety", "complaint"),
    [
        pytest.param(exp(log(x)), _exp_of_log, "exact", "other bits", id="rounding called exact"),
        pytest.param(exp(log(x)), _exp_of_log, "rounding", "NaN", id="a domain that grows"),
        pytest.param(x + 0, lambda x: x, "exact", "other bits", id="the sign of zero"),
        pytest.param(x * 0, lambda x: 0, "rounding", "NaN and inf", id="0 times inf"),
        pytest.param(x * 0, lambda x: 0, "overflow", "a NaN is lost", id="0 times NaN"),
        pytest.param(x - y, _added, "nan_unsafe", "ulp|other", id="wrong everywhere"),
        pytest.param(x * 1, _less_a_little, "rounding", "ulp", id="a little off"),
        pytest.param(tanh(x), lambda x: tanh(tanh(x) * 0 + x), "rounding", "dearer|feeds", id="dearer"),
        pytest.param(square(sqrt(x)), _exp_of_log, "rounding", "NaN", id="square(sqrt)"),
        pytest.param(sqrt(square(x)), _exp_of_log, "overflow", "ulp", id="sqrt(square) as if it were square(sqrt)"),
    ],
)
def test_a_wrong_rule_is_caught(pattern, body, safety, complaint, rule_check):
    with pytest.raises(Exception, match=complaint):
        rule_check.check_rule(_wrong(pattern, body, safety))


def test_a_rule_that_never_fires_is_caught(rule_check):
    with pytest.raises(rule_check.BrokenRuleError, match="fires on no instance"):
        rule_check.check_rule(_wrong(x - y, lambda x, y: None, "exact"))


def test_the_page_of_the_rules_is_up_to_date():
    path = Path(__file__).parents[2] / "docs" / "rules.md"
    assert path.read_text(encoding="utf-8") == page(), "python -m graphc.rewrite.document > docs/rules.md"
