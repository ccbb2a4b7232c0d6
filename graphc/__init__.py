"""graphc: declare a graph of tensor operations, differentiate it, draw it, and compile it to NumPy or JAX.

>>> import graphc as gc
>>> x = gc.input("x", ("batch", 3))
>>> y = gc.sum(gc.square(x))
>>> step = gc.compile([x], gc.grad(y, x))
"""

import importlib
from typing import TYPE_CHECKING, Any

from graphc.core.collecting import collecting_paused

with collecting_paused():  # a third of the time, with NumPy's objects walked again and again
    from graphc import init, ops
    from graphc.core import Constant, Input, Tensor, TensorType, Variable, constant, errors, input, scope, variable
    from graphc.grad import (
        checkpoint,
        cond,
        custom_gradient,
        grad,
        hessian,
        hvp,
        jacobian,
        jvp,
        map,
        scan,
        value_and_grad,
        vjp,
        vmap,
        while_loop,
        why_no_gradient,
    )
    from graphc.grad import policy as kinks
    from graphc.ops import *  # noqa: F403  (every op is public under its own name)
    from graphc.ops import fft, linalg, random

if TYPE_CHECKING:
    from graphc import nn
    from graphc.backends import Jax
    from graphc.feed import Batches, epoch
    from graphc.lower.machine import calibrate
    from graphc.lower.targets.jax import distributed
    from graphc.picture import draw
    from graphc.pipeline import Function, compile, evaluate
    from graphc.pipeline.saving import load
    from graphc.precision import LossScale, mixed_precision
    from graphc.show import formula, listing
    from graphc.symbolic import from_sympy, pointwise, to_sympy
    from graphc.testing import check_gradient

__version__ = "0.1.0"

# What a program may do without comes when it is first asked for, so that `import graphc` is about as quick as `import numpy`.
_LATER = {
    "Batches": "graphc.feed",
    "calibrate": "graphc.lower.machine",
    "distributed": "graphc.lower.targets.jax",
    "epoch": "graphc.feed",
    "Jax": "graphc.backends",
    "nn": "graphc.nn",
    "compile": "graphc.pipeline",
    "evaluate": "graphc.pipeline",
    "Function": "graphc.pipeline",
    "draw": "graphc.picture",
    "formula": "graphc.show",
    "listing": "graphc.show",
    "check_gradient": "graphc.testing",
    "LossScale": "graphc.precision",
    "load": "graphc.pipeline.saving",
    "mixed_precision": "graphc.precision",
    "from_sympy": "graphc.symbolic",
    "pointwise": "graphc.symbolic",
    "to_sympy": "graphc.symbolic",
}

__all__ = [
    "Batches",
    "Constant",
    "Function",
    "Input",
    "Jax",
    "LossScale",
    "Tensor",
    "TensorType",
    "Variable",
    "calibrate",
    "check_gradient",
    "checkpoint",
    "compile",
    "cond",
    "constant",
    "custom_gradient",
    "distributed",
    "draw",
    "epoch",
    "errors",
    "evaluate",
    "fft",
    "formula",
    "from_sympy",
    "grad",
    "hessian",
    "hvp",
    "init",
    "input",
    "jacobian",
    "jvp",
    "kinks",
    "linalg",
    "listing",
    "load",
    "map",
    "mixed_precision",
    "nn",
    "pointwise",
    "random",
    "scan",
    "scope",
    "to_sympy",
    "value_and_grad",
    "variable",
    "vjp",
    "vmap",
    "while_loop",
    "why_no_gradient",
]
__all__ += ops.__all__


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        import difflib

        near = difflib.get_close_matches(name, __all__, 1)
        raise AttributeError(f"module 'graphc' has no attribute {name!r}" + (f"; is {near[0]!r} meant?" if near else ""))
    with collecting_paused():
        module = importlib.import_module(_LATER[name])
    value = module if name == "nn" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
