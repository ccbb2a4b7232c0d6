"""Every workload at tiny sizes: what graphc and its peers compute is equal. Nothing is timed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import targets
from benchmarks.__main__ import switches
from benchmarks.agreement import disagreement, evidence
from benchmarks.contestants import WITHOUT, contestant, words
from benchmarks.tables import ablated
from benchmarks.timing import Measurement
from benchmarks.workload import workloads

ROOT = Path(__file__).parent.parent
WORKLOADS = workloads()
# Those that differ in their sizes alone are one at tiny sizes.
DIFFERENT = {(id(one.model), one.make, str(one.tiny)): name for name, one in reversed(WORKLOADS.items())}.values()


def result(name, workload, threads=1):
    who, task = contestant(name), workload.task(tiny=True)
    who.start(threads)
    return evidence(who, who.build(workload.model[words(name)], task), task)


@pytest.mark.parametrize("name", DIFFERENT)
def test_contestants_agree(name: str) -> None:
    workload = WORKLOADS[name]
    expected = result("reference", workload)
    found = {who: max(map(disagreement, result(who, workload), expected)) for who in ("graphc", "graphc-jax", "numpy", "jax")}
    assert {who: by for who, by in found.items() if by > 1e-3} == {}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", [name for name in DIFFERENT if "tuned" in WORKLOADS[name].model and WORKLOADS[name].section == "speed"])
def test_tuned_agrees(name: str, threads: int) -> None:
    pytest.importorskip("threadpoolctl")
    workload = WORKLOADS[name]
    results, moves = map(disagreement, result("tuned", workload, threads), result("reference", workload))
    assert results <= workload.rtol
    assert moves <= workload.drift


def test_another_result_is_seen() -> None:
    workload = WORKLOADS["W6"]
    right, _ = result("numpy", workload)
    assert disagreement([values * 1.01 for values in right], right) > workload.rtol
    assert disagreement([values * float("nan") for values in right], right) == float("inf")
    assert disagreement([], right) == float("inf")


def test_targets_come_from_results() -> None:
    def measured(**seconds: float) -> dict[str, Measurement]:
        return {name.replace("_", "-"): Measurement(median=value) for name, value in seconds.items()}

    results = {"W1": measured(graphc=1.9, jax=2.0, gemms=0.5), "W1-64": measured(graphc=1.0, jax=1.0), "W5": measured(graphc=1.0)}
    found = targets.found(results, {"import": {"graphc": 0.13, "numpy": 0.1}})
    assert {what: (round(one["measured"], 3), one["reached"]) for what, one in found.items()} == {
        "W1: graphc / jax": (0.95, False),
        "W1: graphc / GEMMs": (3.8, False),
        "W1-64: graphc / jax, over that of W1": (1.053, True),
        "import graphc / import numpy": (1.3, True),
    }
    assert len(targets.shown(results, {}).splitlines()) == 5
    assert targets.shown({}, {}) == ""


def test_targets_name_workloads() -> None:
    assert {*targets.OVER_JAX, *targets.ON_JAX, *targets.ALIKE, *targets.ALIKE.values()} <= set(WORKLOADS)


def test_ablation_marks_noise() -> None:
    one = {"graphc": Measurement(1.0, 0.1), "a": Measurement(1.05, 0.1), "b": Measurement(4.0, 0.1), "c": Measurement()}
    text = ablated({"W1": one}, WORKLOADS, list(one), "median")
    assert [cell.strip() for cell in text.splitlines()[2].split("|")[2:-1]] == ["1.05~", "4.00"]
    assert [cell.strip() for cell in text.splitlines()[3].split("|")[2:-1]] == ["1.05", "4.00"]


def test_every_optimisation_can_be_left_out() -> None:
    workload = WORKLOADS["W1"]
    expected = result("reference", workload)
    for switch in switches():
        assert max(map(disagreement, result(f"graphc{WITHOUT}{switch}", workload), expected)) < 1e-3


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


def test_the_stages_are_timed(capsys):
    from benchmarks import stages

    assert stages.main(["--depths", "2,3", "--ops", "4"]) == 0
    printed = capsys.readouterr().out
    assert "3 layers" in printed
    assert "4 ops" in printed
    assert {"declare", "grad", "simplify", "emit", "first call", "all"} <= {line.split("  ")[0] for line in printed.splitlines()}
