"""The page of the ops is what the records say today."""

from pathlib import Path

from graphc import reference

PAGE = Path(__file__).parents[1] / "docs" / "ops.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference.page(), "python -m graphc.reference > docs/ops.md"


def test_every_op_has_a_row_but_for_internal_ones() -> None:
    from graphc.core import OPS

    text = reference.page()
    missing = [op.name for op in OPS.values() if op.group != "internal" and f"| `{op.name}` |" not in text]
    assert not missing
