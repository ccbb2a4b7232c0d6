"""Learning on top of graphs: data sets, networks, optimisers as graph updates, training, weights in files.

This module is the only door: import from here, not from the modules behind it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from graphc.nn import optimizers
from graphc.nn.progress import progress  # now, since a later import of the module would take its name

if TYPE_CHECKING:
    from graphc.nn import datasets
    from graphc.nn.classifier import Classifier, dense_classifier
    from graphc.nn.job import Job, JobError, run
    from graphc.nn.training import Score, Standing, evaluate, features, train
    from graphc.nn.weights import WeightsError, load_weights, save_weights

# Data sets bring the network and its certificates along: 50 ms that who asks for an optimiser can do without.
_LATER = {
    "Classifier": "classifier",
    "Job": "job",
    "JobError": "job",
    "Score": "training",
    "Standing": "training",
    "WeightsError": "weights",
    "dense_classifier": "classifier",
    "evaluate": "training",
    "features": "training",
    "load_weights": "weights",
    "run": "job",
    "save_weights": "weights",
    "train": "training",
}

__all__ = [
    "Classifier",
    "Job",
    "JobError",
    "Score",
    "Standing",
    "WeightsError",
    "datasets",
    "dense_classifier",
    "evaluate",
    "features",
    "load_weights",
    "optimizers",
    "progress",
    "run",
    "save_weights",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return importlib.import_module("graphc.nn.datasets")
    if name not in _LATER:
        raise AttributeError(f"module 'graphc.nn' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"graphc.nn.{_LATER[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
