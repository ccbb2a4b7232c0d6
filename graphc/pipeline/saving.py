"""Functions as files: ``Function.save`` and ``graphc.load``."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphc.backends import Jax
from graphc.core import Input, Variable, variable
from graphc.core.errors import ArgumentError
from graphc.export import (
    ALL_PLATFORMS,
    ExportedProgram,
    ExportError,
    Leaf,
    Record,
    deserialized,
    read,
    serialized,
    structure_like,
    structure_of,
    write,
)
from graphc.lower import NumpyProgram
from graphc.lower.targets.jax import JaxProgram
from graphc.pipeline.function import Function
from graphc.pipeline.report import Report
from graphc.pipeline.road import compile


def save(
    path: str | os.PathLike[str],
    program: JaxProgram,
    structure: Any,
    platforms: Sequence[str],
    known: Mapping[str, int],
) -> Path:
    """Write a program and the values of its variables to a file; see :meth:`Function.save`."""
    asked = (platforms,) if isinstance(platforms, str) else tuple(platforms)
    if not asked or not set(asked) <= set(ALL_PLATFORMS):
        raise ArgumentError(f"save: platforms={platforms!r}", fits=f"some of {', '.join(map(repr, ALL_PLATFORMS))}")
    names = program.source.sizes
    for name, size in known.items():
        if name not in names or type(size) is not int or size < 0:
            fits = f"numbers for {', '.join(names)}" if names else "no sizes=, since none is a name"
            raise ArgumentError(f"save: sizes={{{name!r}: {size!r}}}", fits=fits)
    if program.source.checks:
        raise ExportError('save: a gradient with kinks="raise" has no portable form', fits='kinks="nan", or the policy by default')
    versions = {name: importlib.import_module(name).__version__ for name in ("graphc", "jax")}
    content = serialized(program, asked, known)
    values = [variable.value for variable in program.schedule.variables]
    return write(path, _record(program, structure, known), content, values, versions | {"platforms": ",".join(asked)})


def portable(inputs: Sequence[Input], program: JaxProgram | NumpyProgram, report: Report) -> JaxProgram:
    """A program as it runs on one device of JAX, with the variables that the user has; one for NumPy is compiled anew."""
    if isinstance(program, ExportedProgram):
        return program
    if isinstance(program, NumpyProgram):
        count = len(report.declared) - len(report.updated)
        updates = dict(zip(report.updated, report.declared[count:], strict=True))
        other = compile(inputs, list(report.declared[:count]), updates, backend="jax").report
        return portable(inputs, other.program, other)
    return JaxProgram(program.plain, "step", options=Jax(precision=program.options.precision), rolling=False)


def _record(program: JaxProgram, structure: Any, known: Mapping[str, int]) -> Record:
    schedule = program.schedule
    kind, keys = structure_of(structure)
    return Record(
        kind,
        keys,
        tuple([Leaf.of(x, known) for x in schedule.inputs]),
        tuple([Leaf.of(y, known) for y in schedule.outputs]),
        tuple([Leaf.of(v, known) for v in schedule.variables]),
        tuple([schedule.variables.index(v) for v in schedule.updates]),
        tuple([name for name in program.source.sizes if name not in known]),
        program.wide,
    )


def load(path: str | os.PathLike[str]) -> Function:
    """Read a function that :meth:`Function.save` wrote. It is called as the original is, on JAX, and has variables of its own.

    ``variables`` lists them in the order in which they were saved, with the values that they had. The program that declared the function
    is not needed, and nothing in the file is run as Python; what it gives XLA may do no more than compute. A named size has to be 1 or
    more in a call. Raises :class:`ExportError` for a file that is no such file, is damaged, of a newer format, or not for this platform,
    and :class:`BackendError` without JAX or flatbuffers.
    """
    record, content, values, made = read(path)
    exported = deserialized(content, record, made)
    variables: list[Variable] = [variable(value, leaf.label) for value, leaf in zip(values, record.variables, strict=True)]
    program = ExportedProgram(exported, record, variables)
    outputs = program.schedule.outputs
    report = Report("jax", (), (), outputs, outputs, program)
    return Function(program.schedule.inputs, structure_like(record, outputs), program, report)
