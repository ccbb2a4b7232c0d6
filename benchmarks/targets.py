"""The targets: what each says, what was measured for it in this run, and whether it is reached. Limits are the only numbers typed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.tables import BASE, Results, number, table
from benchmarks.timing import Measurement

Extra = Mapping[str, Mapping[str, float]]
"""By what was measured, ``"import"`` or ``"process"``, then by contestant; in seconds."""
Measured = Callable[[Results, Extra], float | None]
OVER_JAX = {
    "W1": 0.90,
    "W1-epoch": 0.80,
    "W2": 1.0,
    "W2-predict": 0.85,
    "W3": 1.0,
    "W3-4k": 0.45,
    "W4": 0.70,
    "W5": 0.28,
    "W6": 0.02,
    "W7": 0.5,
    "W7-hvp": 1.5,
    "W8": 0.9,
    "W9": 1.05,
    "compile-100": 0.12,
    "compile-1000": 0.06,
}
ON_JAX = {"W1": 1.03, "W1-epoch": 0.7, "W2": 1.03, "W3": 1.03, "W4": 1.03, "W5": 0.65, "W8": 1.03, "W9": 1.03}
ALIKE = {"W1-64": "W1", "W1-1000": "W1", "W3-chain": "W3", "W5-5x5": "W5", "W8-gru": "W8"}
"""Workloads of other sizes, and whose code paths they take."""


@dataclass(frozen=True)
class Target:
    what: str
    limit: float
    measured: Measured


def targets() -> Iterator[Target]:
    for key, limit in OVER_JAX.items():
        yield Target(f"{key}: graphc / {BASE}", limit, over(key, BASE))
    yield Target("W1: graphc / GEMMs", 1.9, over("W1", "gemms"))
    yield Target("W5: graphc / tensorflow", 1.2, over("W5", "tensorflow"))
    for key, named in ALIKE.items():
        yield Target(f"{key}: graphc / {BASE}, over that of {named}", 1.1, quotient(over(key, BASE), over(named, BASE)))
    slower = quotient(seconds("compile-1000", "graphc"), seconds("compile-100", "graphc"))
    yield Target("definition to first result, depth 1,000 / depth 100", 12.0, slower)
    yield Target("import graphc / import numpy", 1.3, process("import", "graphc", "numpy"))
    yield Target(f"W6 as a whole process: graphc / {BASE}", 0.35, process("process", "graphc", BASE))
    yield Target("W1 beside a foreign process / alone", 2.5, quotient(of("W1", "graphc", "busy"), seconds("W1", "graphc")))
    yield Target("W1, peak memory: graphc / tuned", 1.1, quotient(of("W1", "graphc", "peak"), of("W1", "tuned", "peak")))
    for key, limit in ON_JAX.items():
        yield Target(f"{key}: graphc-jax / {BASE}", limit, over(key, BASE, "graphc-jax"))
    yield Target(f"W7-hvp: graphc-jax - {BASE}, microseconds a call", 15.0, overhead)


def of(key: str, who: str, field: str) -> Measured:
    return lambda results, _: getattr(results.get(key, {}).get(who, Measurement()), field)


def seconds(key: str, who: str) -> Measured:
    return of(key, who, "median")


def over(key: str, base: str, who: str = "graphc") -> Measured:
    return quotient(seconds(key, who), seconds(key, base))


def process(what: str, who: str, base: str) -> Measured:
    def measured(_: Results, extra: Extra) -> float | None:
        found = extra.get(what, {})
        return found[who] / found[base] if who in found and base in found else None

    return measured


def quotient(a: Measured, b: Measured) -> Measured:
    def measured(results: Results, extra: Extra) -> float | None:
        above, below = a(results, extra), b(results, extra)
        return above / below if above is not None and below else None

    return measured


def overhead(results: Results, extra: Extra) -> float | None:
    own, base = seconds("W7-hvp", "graphc-jax")(results, extra), seconds("W7-hvp", BASE)(results, extra)
    return None if own is None or base is None else 1e6 * (own - base)


def found(results: Results, extra: Extra) -> dict[str, dict[str, Any]]:
    """Of those that have a number."""
    measured = [(target, target.measured(results, extra)) for target in targets()]
    return {t.what: {"limit": t.limit, "measured": value, "reached": value <= t.limit} for t, value in measured if value is not None}


def shown(results: Results, extra: Extra) -> str:
    """A row for each that has a number; nothing if none has."""
    rows = [
        [what, number(one["limit"]), number(one["measured"]), "yes" if one["reached"] else "no"]
        for what, one in found(results, extra).items()
    ]
    return table(["", "at most", "measured", "reached"], rows) if rows else ""
