"""The scripts that compare estimates with measurements, and saturation with the worklist, run on tiny sizes."""

import pytest

from benchmarks import estimates, saturation


@pytest.mark.parametrize("name", ["W1", "W3", "W8"])
def test_estimates_of_a_workload(name, capsys):
    estimates.main([name, "--tiny"])
    head, _, row = capsys.readouterr().out.splitlines()[:3]
    assert head.startswith("| workload")
    assert row.startswith(f"| {name}")


def test_saturation_beside_the_worklist(capsys):
    saturation.main(["W1", "--tiny", "--nodes", "200"])
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + len(list(saturation.algebra())) + 1
    assert "x y + x z + x²" in rows[4]
