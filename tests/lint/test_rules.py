"""Each rule finds the marked line of its bad example, no rule finds anything else there, and none anything in the good one."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from graphc.linter import Findings, lint_script
from graphc.linter.rule import RULES

HEAD = "import numpy as np\nimport graphc as gc\n\n"


def found(text: str, folder: Path) -> Findings:
    file = folder / "program.py"
    file.write_text(HEAD + text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's own words about a number that overflows
        return lint_script(str(file))


@pytest.mark.parametrize("code", RULES)
def test_the_bad_example_has_this_finding_and_no_other(code: str, tmp_path: Path) -> None:
    one = RULES[code]
    lines = (HEAD + one.bad).splitlines()
    marked = [number for number, line in enumerate(lines, 1) if line.endswith("# here")]
    (finding,) = found(one.bad, tmp_path)
    assert (finding.code, finding.name, finding.severity) == (code, one.name, one.severity)
    assert [finding.line] == marked
    assert finding.text == lines[finding.line - 1].strip()
    assert finding.reason
    assert finding.cure == one.cure


@pytest.mark.parametrize("code", RULES)
def test_the_good_example_is_clean(code: str, tmp_path: Path) -> None:
    assert str(found(RULES[code].good, tmp_path)) == "no findings"


def test_codes_are_in_groups_and_names_are_unique() -> None:
    assert all(code[:2] == "GC" and len(code) == 5 and code[2:].isdigit() for code in RULES)
    assert len({one.name for one in RULES.values()}) == len(RULES) >= 25
