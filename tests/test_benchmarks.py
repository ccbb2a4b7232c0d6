"""Every workload at tiny sizes: what graphc and its peers compute is equal. Nothing is timed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.agreement import disagreement, evidence
from benchmarks.contestants import contestant, words
from benchmarks.workload import workloads

ROOT = Path(__file__).parent.parent
WORKLOADS = workloads()


def result(name, workload):
    who, task = contestant(name), workload.task(tiny=True)
    who.start(threads=1)
    return evidence(who, who.build(workload.model[words(name)], task), task)


@pytest.mark.parametrize("name", WORKLOADS)
def test_contestants_agree(name: str) -> None:
    workload = WORKLOADS[name]
    expected = result("reference", workload)
    found = {who: disagreement(result(who, workload), expected) for who in ("graphc", "graphc-jax", "numpy", "jax")}
    assert {who: by for who, by in found.items() if by > 1e-4} == {}
