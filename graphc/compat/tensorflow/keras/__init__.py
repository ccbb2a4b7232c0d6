"""``tf.keras``: the modules and classes of ``graphc.nn`` by Keras's names.

``keras.layers`` is ``graphc.nn.layers`` itself, and so on; ``from graphc.compat.tensorflow.keras.layers import Dense`` works too.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any, Final

from graphc.core.errors import UnknownNameError, near

MODULES: Final = {
    "activations": "graphc.nn.activations",
    "callbacks": "graphc.nn.callbacks",
    "constraints": "graphc.nn.constraints",
    "datasets": "graphc.nn.datasets",
    "datasets.fashion_mnist": "graphc.nn.datasets.fashion_mnist",
    "datasets.mnist": "graphc.nn.datasets.mnist",
    "initializers": "graphc.nn.initializers",
    "layers": "graphc.nn.layers",
    "losses": "graphc.nn.losses",
    "metrics": "graphc.nn.metrics",
    "optimizers": "graphc.nn.optimizers",
    "optimizers.schedules": "graphc.nn.optimizers.schedules",
    "regularizers": "graphc.nn.regularizers",
    "utils": "graphc.nn.utils",
}
"""Keras's modules, and those of graphc that they are."""
NAMES: Final = ("Input", "Layer", "Model", "Sequential")


def _join(name: str, there: str) -> None:
    """Make a module of graphc one of this package: who imports it by this name gets that one."""
    sys.modules[f"{__name__}.{name}"] = module = importlib.import_module(there)
    if "." not in name:
        globals()[name] = module


for _name, _there in MODULES.items():
    if importlib.util.find_spec(_there):
        _join(_name, _there)


def __getattr__(name: str) -> Any:
    if name == "models":
        return importlib.import_module(f"{__name__}.models")
    if name in NAMES:
        from graphc import nn

        return getattr(nn, name)
    known = sorted({*NAMES, *MODULES, "models"})
    raise UnknownNameError(f"graphc.compat.tensorflow.keras has no {name!r}{near(name, known)}", fits=", ".join(known))


def __dir__() -> list[str]:
    return sorted({*globals(), *NAMES, "models"})
