"""Optimisers as graph updates: from gradients, which are graphs, the new value of each variable, which is one too.

What an optimiser remembers between steps are variables as well, its slots; they are updated by the same call of the same
compiled function. Names, arguments, defaults and formulas are Keras's (F. Chollet et al., Keras 3, keras.optimizers); where a class departs
from them, its docstring says so.
"""

from typing import Any, Final

from graphc.core.errors import ArgumentError
from graphc.nn.naming import find, spelled
from graphc.nn.optimizers import schedules
from graphc.nn.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from graphc.nn.optimizers.base import LearningRate, Optimizer, Step, Updates
from graphc.nn.optimizers.descent import SGD, Ftrl, Lion
from graphc.nn.optimizers.loss_scale import LossScaleOptimizer
from graphc.nn.optimizers.matrices import Adafactor, Muon
from graphc.nn.optimizers.moments import Adam, Adamax, AdamW, Lamb, Nadam

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "LearningRate",
    "Lion",
    "LossScaleOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "Step",
    "Updates",
    "get",
    "schedules",
]

OPTIMIZERS: Final = (Adadelta, Adafactor, Adagrad, Adam, Adamax, AdamW, Ftrl, Lamb, Lion, Muon, Nadam, RMSprop, SGD)
"""Those that a name finds."""
_BY_NAME: Final = spelled(OPTIMIZERS)


def get(identifier: Any) -> Optimizer:
    """The optimiser that is meant: a name such as ``"rmsprop"``, a class, a config, or an optimiser itself.

    Raises :class:`ArgumentError` for another name, which says the nearest one, and for what is none of these.
    """
    found = find(identifier, "optimizer", _BY_NAME)
    if not isinstance(found, Optimizer):
        raise ArgumentError(f"{identifier!r} is no optimizer", fits='an optimizer, or a name such as "rmsprop"')
    return found
