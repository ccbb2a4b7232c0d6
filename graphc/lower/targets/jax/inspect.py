"""What XLA makes of a function: its program as text, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast


@dataclass(frozen=True)
class Cost:
    """What XLA says of one call, on one device. ``print`` it; None is what XLA does not say on this platform.

    ``flops`` are operations on numbers, ``transcendentals`` functions such as ``exp`` among the rest, ``nbytes`` the bytes that all
    operations read and write. The other fields are bytes of memory: of arguments (inputs and variables), of results (outputs and new
    values), of results that take the memory of donated variables, of what is alive between operations, and of the code.
    """

    flops: float | None = None
    transcendentals: float | None = None
    nbytes: float | None = None
    argument_bytes: int | None = None
    result_bytes: int | None = None
    donated_bytes: int | None = None
    temporary_bytes: int | None = None
    code_bytes: int | None = None

    @property
    def peak_bytes(self) -> int | None:
        """Memory of arguments, results and what is between them."""
        parts = (self.argument_bytes, self.result_bytes, self.temporary_bytes)
        if self.donated_bytes is None or None in parts:
            return None
        return sum(cast("tuple[int, ...]", parts)) - self.donated_bytes

    def __str__(self) -> str:
        said = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return "\n".join([f"{name:<16} {value:,.0f}" for name, value in said if value is not None])


def cost_of(compiled: Any) -> Cost:
    """The cost of what XLA compiled (``jax.stages.Compiled``)."""
    work = _work(compiled)
    memory = compiled.memory_analysis()

    def nbytes(name: str) -> int | None:
        return getattr(memory, f"{name}_size_in_bytes", None)

    return Cost(
        work.get("flops"),
        work.get("transcendentals"),
        work.get("bytes accessed"),
        nbytes("argument"),
        nbytes("output"),
        nbytes("alias"),
        nbytes("temp"),
        nbytes("generated_code"),
    )


def _work(compiled: Any) -> Mapping[str, float]:
    """XLA's counts by their names. Some platforms count nothing, and some count by computation."""
    try:
        found: Any = compiled.cost_analysis()
    except NotImplementedError:
        return {}
    by_computation: list[Mapping[str, float]] = [found or {}] if not isinstance(found, list) else cast("Any", found)
    return by_computation[0] if by_computation else {}
