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
    from graphc import core, init, ops
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
    from graphc.checking import Check, to_python
    from graphc.derivation import derive
    from graphc.exploration import explore
    from graphc.feed import Batches, epoch
    from graphc.linter import lint
    from graphc.lower.machine import calibrate
    from graphc.lower.targets.jax import distributed
    from graphc.picture import draw
    from graphc.pipeline import Function, compile, evaluate
    from graphc.pipeline.saving import load
    from graphc.precision import LossScale, mixed_precision
    from graphc.reading import formula
    from graphc.show import listing
    from graphc.show.diff import diff
    from graphc.symbolic import from_sympy, pointwise, to_sympy
    from graphc.testing import check_gradient

__version__ = "0.1.0"


def _shown(protocol: str) -> Any:
    def show(x: Tensor) -> Any:
        from graphc.show import tensors

        return getattr(tensors, protocol)(x)

    return show


core.SHOWN.update({protocol: _shown(protocol) for protocol in ("text", "latex", "html", "rich")})

# What a program may do without comes when it is first asked for, so that `import graphc` is about as quick as `import numpy`.
_LATER = {
    "Batches": "graphc.feed",
    "Check": "graphc.checking",
    "calibrate": "graphc.lower.machine",
    "distributed": "graphc.lower.targets.jax",
    "epoch": "graphc.feed",
    "Jax": "graphc.backends",
    "nn": "graphc.nn",
    "compile": "graphc.pipeline",
    "evaluate": "graphc.pipeline",
    "explore": "graphc.exploration",
    "Function": "graphc.pipeline",
    "diff": "graphc.show.diff",
    "draw": "graphc.picture",
    "derive": "graphc.derivation",
    "formula": "graphc.reading",
    "listing": "graphc.show",
    "check_gradient": "graphc.testing",
    "lint": "graphc.linter",
    "LossScale": "graphc.precision",
    "load": "graphc.pipeline.saving",
    "mixed_precision": "graphc.precision",
    "from_sympy": "graphc.symbolic",
    "pointwise": "graphc.symbolic",
    "to_python": "graphc.checking",
    "to_sympy": "graphc.symbolic",
}

__all__ = [
    "Batches",
    "Check",
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
    "diff",
    "derive",
    "distributed",
    "draw",
    "epoch",
    "errors",
    "evaluate",
    "explore",
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
    "lint",
    "listing",
    "load",
    "map",
    "mixed_precision",
    "nn",
    "pointwise",
    "random",
    "scan",
    "scope",
    "to_python",
    "to_sympy",
    "value_and_grad",
    "variable",
    "vjp",
    "vmap",
    "while_loop",
    "why_no_gradient",
]
__all__ += ops.__all__
errors.open_to_users(globals(), [name for name in __all__ if name not in _LATER])


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise errors.UnknownNameError(f"module 'graphc' has no attribute {name!r}{errors.near(name, __all__)}", fits="dir(graphc)")
    with collecting_paused():
        module = importlib.import_module(_LATER[name])
    value = module if name == "nn" else errors.opened(getattr(module, name), (__name__, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
