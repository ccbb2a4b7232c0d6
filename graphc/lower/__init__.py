"""From a graph to a function: order, memory, source. This package knows the op records, and no op.

The target for JAX is ``lower.targets.jax``, which who compiles for NumPy does not import.
"""

from graphc.lower.buffers import Plan, assign
from graphc.lower.compute import compute, interpret
from graphc.lower.cost import Estimate, Totals, dearest, totals
from graphc.lower.expand import expand
from graphc.lower.footprint import Footprint
from graphc.lower.prune import prune
from graphc.lower.schedule import Schedule, schedule
from graphc.lower.source import Place, Places, Source, emit_numpy, size_names
from graphc.lower.targets.numpy import NumpyProgram

__all__ = [
    "Estimate",
    "Footprint",
    "NumpyProgram",
    "Place",
    "Places",
    "Plan",
    "Schedule",
    "Source",
    "Totals",
    "assign",
    "compute",
    "dearest",
    "emit_numpy",
    "expand",
    "interpret",
    "prune",
    "schedule",
    "size_names",
    "totals",
]
