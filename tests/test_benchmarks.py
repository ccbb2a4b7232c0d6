"""Every workload at tiny sizes: what graphc and its peers compute is equal. Nothing is timed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.agreement import disagreement, evidence
from benchmarks.contestants import contestant, words
from benchmarks.workload import workloads

ROOT = Path(__file__).parent.parent
WORKLOADS = workloads()
# Those that differ in their sizes alone are one at tiny sizes.
DIFFERENT = {(id(one.model), one.make, str(one.tiny)): name for name, one in reversed(WORKLOADS.items())}.values()


def result(name, workload):
    who, task = contestant(name), workload.task(tiny=True)
    who.start(threads=1)
    return evidence(who, who.build(workload.model[words(name)], task), task)


@pytest.mark.parametrize("name", DIFFERENT)
def test_contestants_agree(name: str) -> None:
    workload = WORKLOADS[name]
    expected = result("reference", workload)
    found = {who: max(map(disagreement, result(who, workload), expected)) for who in ("graphc", "graphc-jax", "numpy", "jax")}
    assert {who: by for who, by in found.items() if by > 1e-3} == {}


def test_another_result_is_seen() -> None:
    workload = WORKLOADS["W6"]
    right, _ = result("numpy", workload)
    assert disagreement([values * 1.01 for values in right], right) > workload.rtol
    assert disagreement([values * float("nan") for values in right], right) == float("inf")
    assert disagreement([], right) == float("inf")


def test_command_line(tmp_path: Path) -> None:
    page, line = tmp_path / "performance.md", tmp_path / "history.json"
    page.write_text("before\n<!-- benchmarks: begin -->\nold\n<!-- benchmarks: end -->\nafter\n")
    asked = ["--only", "W2-predict", "--peers", "numpy", "--tiny", "--seconds", "0.02", "--threads", "1"]
    command = [sys.executable, "-m", "benchmarks", *asked, "--markdown", page, "--json", line]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert "W2-predict" in done.stdout
    assert page.read_text() == f"before\n<!-- benchmarks: begin -->\n{done.stdout}<!-- benchmarks: end -->\nafter\n"
    found = json.loads(line.read_text())["workloads"]["W2-predict"]
    assert {"graphc", "graphc-jax", "numpy", "gemms"} <= {name for name, one in found.items() if one.get("median")}
