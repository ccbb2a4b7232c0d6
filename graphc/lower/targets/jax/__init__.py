"""The JAX target: emitted source under ``jax.jit``, with variables that stay on the device between calls."""

from graphc.lower.targets.jax.devices import import_jax
from graphc.lower.targets.jax.inspect import Cost, cost_of
from graphc.lower.targets.jax.many import Many
from graphc.lower.targets.jax.processes import distributed
from graphc.lower.targets.jax.program import JaxProgram

__all__ = ["Cost", "JaxProgram", "Many", "cost_of", "distributed", "import_jax"]
