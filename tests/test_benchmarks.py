"""Every workload at tiny sizes: what graphc and its peers compute is equal. Nothing is timed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import targets
from benchmarks.__main__ import lacking
from benchmarks.agreement import disagreement, evidence
from benchmarks.contestants import ONE_THREAD, SATURATED, contestant, words
from benchmarks.tables import ablated, contention, publish, standing
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


def test_every_setting_of_graphc_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_THREADS", "1")  # what ONE_THREAD sets, so that it is taken back
    workload = WORKLOADS["W1"]
    expected = result("reference", workload)
    for name in (SATURATED, ONE_THREAD, *lacking()):
        assert max(map(disagreement, result(name, workload), expected)) < 1e-3


def test_settings_of_graphc_are_no_peers() -> None:
    one = {name: Measurement(median, busy=2.0) for name, median in (("graphc", 1.0), (ONE_THREAD, 0.5), ("numpy", 2.0), ("gemms", 0.1))}
    assert [row.split("|")[1].strip() for row in contention(one).splitlines()[2:]] == ["graphc", ONE_THREAD, "numpy"]
    assert [cell.strip() for cell in standing({"W1": {**one, "copies": Measurement()}}, WORKLOADS).splitlines()[2].split("|")][7:9] == [
        "numpy",
        "0.50",
    ]


def test_each_section_of_a_page_is_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- memory: begin -->\nold\n<!-- memory: end -->\nb\n")
    publish("new", "memory", page)
    publish("more", "budget", page)
    publish("newest", "memory", page)
    publish("nowhere", "memory", None)
    written = "a\n<!-- memory: begin -->\nnewest\n<!-- memory: end -->\nb\n<!-- budget: begin -->\nmore\n<!-- budget: end -->\n"
    assert page.read_text() == written
    assert capsys.readouterr().out == "new\nmore\nnewest\nnowhere\n"


def test_the_page_has_a_section_for_each_command() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    for section in ("memory", "budget", "ablation", "saturation", "benchmarks"):
        assert text.index(f"<!-- {section}: begin -->") < text.index(f"<!-- {section}: end -->")


def command(module: str, *arguments: object) -> str:
    line = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True).stdout


def test_two_checkouts_take_turns() -> None:
    printed = command("benchmarks.compare", ROOT, "W3", "--tiny", "--turns", 1, "--threads", 1)
    assert [line.split("|")[1].strip() for line in printed.splitlines()] == ["", "--", "W3"]


def test_command_line(tmp_path: Path) -> None:
    page, line = tmp_path / "performance.md", tmp_path / "history.json"
    page.write_text("before\n<!-- benchmarks: begin -->\nold\n<!-- benchmarks: end -->\nafter\n")
    asked = ["--only", "W2-predict", "--peers", "numpy", "--tiny", "--seconds", "0.02", "--threads", "1"]
    printed = command("benchmarks", *asked, "--markdown", page, "--json", line)
    assert "W2-predict" in printed
    assert page.read_text() == f"before\n<!-- benchmarks: begin -->\n{printed}<!-- benchmarks: end -->\nafter\n"
    found = json.loads(line.read_text())["workloads"]["W2-predict"]
    assert {"graphc", "graphc-jax", "numpy", "gemms"} <= {name for name, one in found.items() if one.get("median")}


def test_memory_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    printed = command("benchmarks.memory", "W1", "--tiny", "--markdown", page)
    _, predicted, allocated, _, ratio = (cell.strip() for cell in printed.splitlines()[2].strip("|").split("|"))
    assert 0 < float(ratio) <= 1
    assert float(predicted) <= float(allocated)
    assert page.read_text() == f"<!-- memory: begin -->\n{printed}<!-- memory: end -->\n"


def test_a_memory_budget_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    printed = command("benchmarks.memory", "compile-100", "--budget", "--seconds", 0.02, "--markdown", page)
    title, plain, halved, _, _, reached, *_, same = (cell.strip() for cell in printed.splitlines()[2].strip("|").split("|"))
    assert title == "compile-100: 100 layers of 64"
    assert float(halved) < float(plain)
    assert 0.3 < float(reached) <= 0.5
    assert same == "yes"
    assert page.read_text() == f"<!-- budget: begin -->\n{printed}<!-- budget: end -->\n"


def test_the_stages_are_timed(capsys):
    from benchmarks import stages

    assert stages.main(["--depths", "2,3", "--ops", "4"]) == 0
    printed = capsys.readouterr().out
    assert "3 layers" in printed
    assert "4 ops" in printed
    assert {"declare", "grad", "simplify", "emit", "first call", "all"} <= {
        line.split("|")[1].strip() for line in printed.splitlines() if line
    }
