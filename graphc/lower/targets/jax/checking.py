"""What the source of ``check=True`` calls: whether values are finite and indices in bounds, and how a body says so."""

from __future__ import annotations

from typing import Any

from graphc.lower.targets.jax.devices import import_jax

jax = import_jax()
jnp = jax.numpy
_reports: set[int] = set()
"""The numbers of the checks that failed in bodies. One checked call runs at a time."""


def kind(*values: Any) -> Any:
    """2 if there is a NaN in the values, 1 if there is an inf, else 0."""
    found: Any = 0
    for value in values:
        worst = jnp.where(jnp.any(jnp.isnan(value)), 2, jnp.where(jnp.all(jnp.isfinite(value)), 0, 1))
        found = jnp.maximum(found, worst)
    return found


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
