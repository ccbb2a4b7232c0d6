"""A short turn of ``bits.py``: all workloads at tiny sizes, in two processes that differ in everything that may not matter."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import threadpoolctl

import graphc as gc
from graphc import parallel

sys.path.insert(0, str(Path(__file__).parent))

import bits


def test_source_and_numbers_are_the_same_in_each_process() -> None:
    found = [(str(i), bits.in_a_process(["--tiny"], **bits.PROCESSES[i])) for i in (0, 2)]
    assert len(found[0][1]) > 15
    assert bits.differing(found) == ([], [])


def test_products_take_one_thread_of_blas_where_bits_may_not_depend_on_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    blas = threadpoolctl.ThreadpoolController().select(user_api="blas")
    seen: list[int] = []

    def tanh(x: Any, out: Any) -> None:
        seen.extend([library["num_threads"] for library in blas.info()])
        np.copyto(out, x)

    monkeypatch.setattr(np, "tanh", tanh)
    monkeypatch.setattr(parallel, "available", lambda: 2)
    x = gc.input("x", (300, 300))
    for told, alone in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("GRAPHC_DETERMINISTIC", told)
        seen.clear()
        with blas.limit(limits=2):
            gc.compile([x], gc.tanh(x @ x) @ x)(np.ones((300, 300), "float32"))
        assert seen
        assert (set(seen) == {1}) == alone
