"""The physical floor: a workload's products of matrices by the BLAS of NumPy and nothing else, and its memory traffic as copies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.workload import Gemm, Workload

FLOORS = ("gemms", "copies")


def floor(kind: str, workload: Workload, tiny: bool) -> Callable[[], None] | None:
    """What has to be done at least, as a call; None if there is nothing of that kind."""
    gemms, copies = workload.floor(tiny)
    work = [(np.dot, _products(gemms)), (np.copyto, _pairs(copies))][FLOORS.index(kind)]
    function, arguments = work
    if not arguments:
        return None

    def call() -> None:
        for arrays in arguments:
            function(*arrays)

    return call


def _products(gemms: list[Gemm]) -> list[tuple[np.ndarray, ...]]:
    made = {gemm: _product(*gemm) for gemm in gemms}
    return [made[gemm] for gemm in gemms]


def _product(transposed: str, m: int, k: int, n: int) -> tuple[np.ndarray, ...]:
    first, second = transposed
    a = _filled(k, m).T if first == "t" else _filled(m, k)
    b = _filled(n, k).T if second == "t" else _filled(k, n)
    return a, b, np.empty((m, n), "float32")


def _pairs(copies: list[int]) -> list[tuple[np.ndarray, ...]]:
    made = {size: (_filled(size), _filled(size)) for size in copies}
    return [made[size] for size in copies]


def _filled(*shape: int) -> np.ndarray:
    return np.full(shape, 0.5, "float32")
