"""The scripts that compare estimates with measurements, and saturation with the worklist, run on tiny sizes."""

import pytest

from benchmarks import estimates, saturation
from benchmarks.contestants import SATURATED
from benchmarks.timing import Measurement


@pytest.mark.parametrize("name", ["W1", "W3", "W8"])
def test_estimates_of_a_workload(name, capsys):
    estimates.main([name, "--tiny"])
    head, _, row = capsys.readouterr().out.splitlines()[:3]
    assert head.startswith("| workload")
    assert row.startswith(f"| {name}")


def test_saturation_beside_the_worklist(capsys):
    saturation.main(["W1", "--tiny", "--nodes", "200", "--samples", "0"])
    rows = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert len(rows) == 2 + len(list(saturation.algebra())) + 1
    assert "x y + x z + x²" in rows[4]


def test_calls_with_saturation_are_measured(tmp_path, capsys, monkeypatch):
    found = {"graphc": Measurement(1.0, 0.01, first=2.0), SATURATED: Measurement(0.5, 0.01, first=3.0)}
    monkeypatch.setattr(saturation, "measure", lambda *_: found)
    monkeypatch.setattr(saturation, "fix_threads", lambda _: None)
    page = tmp_path / "performance.md"
    saturation.main(["W1", "--tiny", "--nodes", "200", "--samples", "0.01", "--markdown", str(page)])
    printed = capsys.readouterr().out
    assert [cell.strip() for cell in printed.split("\n\n")[0].splitlines()[-1].split("|")[-3:-1]] == ["0.50", "1.50"]
    assert page.read_text() == f"<!-- saturation: begin -->\n{printed}<!-- saturation: end -->\n"
