"""A problem as a program of its own: it declares the graph, and calls the function on the values with which it fails."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphc.checking.problem import Problem, holding
from graphc.checking.python import Program
from graphc.core.files import write_whole

NAME = "difference.py"
USUAL = {"optimize": True, "unsafe_math": False, "without": (), "saturate": False}
"""Options of ``compile`` that need not be said."""


def script(problem: Problem, told: str, options: Mapping[str, Any], backend: Any) -> Program:
    """The program; ``told`` is its first words."""
    program = Program(keeps=True, origins=True)
    with holding(problem.variables, problem.values):
        program.declare(problem.inputs)
        names = program.declare(problem.roots)
        updated = program.declare(problem.updated)
    inputs = program.declare(problem.inputs)
    outputs = names[: problem.outputs]
    updates = [f"{variable}: {value}" for variable, value in zip(updated, names[problem.outputs :], strict=True)]
    returned = outputs[0] if len(outputs) == 1 else f"[{', '.join(outputs)}]"
    arguments = [f"[{', '.join(inputs)}]", returned, *([f"{{{', '.join(updates)}}}"] if updates else [])]
    arguments += [f"{name}={value!r}" for name, value in options.items() if value != USUAL[name]]
    arguments += [f"backend={'' if isinstance(backend, str) else 'gc.'}{backend!r}"] if backend != "numpy" else []
    values = [program.array(problem.values[x], x.label or "value") for x in problem.inputs]
    program.lines += [f"step = gc.compile({', '.join([*arguments, 'check=gc.Check(script=False)'])})", f"print(step({', '.join(values)}))"]
    program.told = told
    return program


def write(program: Program, folder: str | os.PathLike[str] | None) -> Path:
    """Write it, and its arrays beside it. Returns the path of the program. Raises :class:`OSError` where that cannot be done."""
    home = Path(tempfile.mkdtemp(prefix="graphc-check-") if folder is None else folder)
    home.mkdir(parents=True, exist_ok=True)
    target = home / NAME
    if program.arrays:
        content = io.BytesIO()
        np.savez(content, **program.arrays)  # pyright: ignore[reportArgumentType]
        write_whole(target.with_suffix(".npz"), content.getvalue())
    write_whole(target, program.text().encode())
    return target
