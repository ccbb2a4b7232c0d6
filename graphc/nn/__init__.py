"""Learning on top of graphs, by the names that Keras has: models, layers, losses, metrics, optimisers, data sets.

A model's ``compile`` builds static graphs of public operations, one for a step of training, one for evaluation, one for prediction, which
run on NumPy or JAX. This module is the only door: import from here, not from the modules behind it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from graphc.core.errors import UnknownNameError, near, opened
from graphc.nn import optimizers

if TYPE_CHECKING:
    from graphc.nn import activations, callbacks, constraints, datasets, initializers, layers, losses, metrics, regularizers
    from graphc.nn.configured import register
    from graphc.nn.forward import Forward
    from graphc.nn.functional import Input
    from graphc.nn.hooks import Callback, History
    from graphc.nn.job import Job, JobError, run
    from graphc.nn.layer import Layer
    from graphc.nn.model import Model, Sequential
    from graphc.nn.nonfinite import NonFiniteWarning
    from graphc.nn.progress import ProgressBar
    from graphc.nn.saving import SavingWarning, load_model
    from graphc.nn.seeds import SeedGenerator, set_random_seed
    from graphc.nn.weights import WeightsError, load_weights, save_weights

# What a program may do without comes when it is first asked for: data sets bring the network and its certificates along.
_MODULES = ("activations", "callbacks", "constraints", "datasets", "initializers", "layers", "losses", "metrics", "regularizers")
_LATER = {
    "Callback": "hooks",
    "Forward": "forward",
    "History": "hooks",
    "Input": "functional",
    "Job": "job",
    "JobError": "job",
    "Layer": "layer",
    "Model": "model",
    "NonFiniteWarning": "nonfinite",
    "ProgressBar": "progress",
    "SavingWarning": "saving",
    "SeedGenerator": "seeds",
    "Sequential": "model",
    "WeightsError": "weights",
    "load_model": "saving",
    "load_weights": "weights",
    "register": "configured",
    "run": "job",
    "save_weights": "weights",
    "set_random_seed": "seeds",
}

__all__ = [
    "Callback",
    "Forward",
    "History",
    "Input",
    "Job",
    "JobError",
    "Layer",
    "Model",
    "NonFiniteWarning",
    "ProgressBar",
    "SavingWarning",
    "SeedGenerator",
    "Sequential",
    "WeightsError",
    "activations",
    "callbacks",
    "constraints",
    "datasets",
    "initializers",
    "layers",
    "load_model",
    "load_weights",
    "losses",
    "metrics",
    "optimizers",
    "register",
    "regularizers",
    "run",
    "save_weights",
    "set_random_seed",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"graphc.nn.{name}")
    if name not in _LATER:
        raise UnknownNameError(f"module 'graphc.nn' has no attribute {name!r}{near(name, __all__)}", fits=", ".join(__all__))
    value = opened(getattr(importlib.import_module(f"graphc.nn.{_LATER[name]}"), name), (__name__, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
