"""What the source of ``check=True`` calls: whether values are finite and indices in bounds, and how a body says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc.lower.nonfinite import FINITE, INF, NAN
from graphc.lower.targets.jax.devices import import_jax

jax = import_jax()
jnp = jax.numpy
_reports: set[int] = set()
"""The numbers of the checks that failed in bodies. One checked call runs at a time."""


def kind(*values: Any) -> Any:
    """``NAN`` if there is a NaN in the values, ``INF`` if there is an inf, else ``FINITE``."""
    found: Any = FINITE
    for value in values:
        worst = jnp.where(jnp.any(jnp.isnan(value)), NAN, jnp.where(jnp.all(jnp.isfinite(value)), FINITE, INF))
        found = jnp.maximum(found, worst)
    return found


@jax.jit
def _kinds(values: Sequence[Any]) -> Any:
    return kind(*values)


def kind_of(values: Sequence[Any]) -> int:
    """The same as a number, of values that are there."""
    return int(_kinds([value for value in values if jnp.issubdtype(value.dtype, jnp.inexact)]))


def outside(indices: Any, size: int) -> Any:
    """Whether an index is not in ``-size`` to ``size - 1``."""
    indices = jnp.asarray(indices)
    return jnp.any((indices < -size) | (indices >= size))


def report(failed: Any, number: int) -> None:
    """Take note of a check that failed in the body of a loop or a branch, which has no results of its own for it."""
    jax.lax.cond(failed, lambda: jax.debug.callback(lambda: _reports.add(number)), lambda: None)


def reported() -> list[int]:
    """The checks in bodies that failed since this was asked last, when all calls are done."""
    jax.effects_barrier()
    found = sorted(_reports)
    _reports.clear()
    return found
