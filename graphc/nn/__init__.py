"""Learning on top of graphs: data sets, networks, optimisers as graph updates, training, weights in files.

This module is the only door: import from here, not from the modules behind it.
"""

from graphc.nn import datasets, optimizers
from graphc.nn.classifier import Classifier, dense_classifier
from graphc.nn.job import Job, JobError, run
from graphc.nn.progress import progress
from graphc.nn.training import Score, Standing, evaluate, features, train
from graphc.nn.weights import WeightsError, load_weights, save_weights

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
