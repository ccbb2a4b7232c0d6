"""Compiled functions as files: what XLA runs, what it is called with, and the values of the variables.

A file is read as data and never run as Python; what it holds for XLA may do no more than compute (see :mod:`graphc.export.program`).
"""

from graphc.export.errors import ExportError
from graphc.export.file import FORMAT, read, write
from graphc.export.program import ALL_PLATFORMS, PLATFORMS, ExportedProgram, deserialized, serialized
from graphc.export.record import Leaf, Record, structure_like, structure_of

__all__ = [
    "ALL_PLATFORMS",
    "FORMAT",
    "PLATFORMS",
    "ExportError",
    "ExportedProgram",
    "Leaf",
    "Record",
    "deserialized",
    "read",
    "serialized",
    "structure_like",
    "structure_of",
    "write",
]
