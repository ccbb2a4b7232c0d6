"""Callbacks by the names that they have in Keras: what is told of a training, and may stop it, change its rate, save and log it.

One of one's own is a subclass of :class:`Callback`. Callbacks that save hear after the others, so that a file has what those did.
"""

from graphc.nn.callbacks.checkpoints import BackupAndRestore, ModelCheckpoint
from graphc.nn.callbacks.logs import CSVLogger, LambdaCallback
from graphc.nn.callbacks.monitors import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN
from graphc.nn.callbacks.rates import LearningRateScheduler
from graphc.nn.callbacks.tensorboard import TensorBoard
from graphc.nn.hooks import Callback, History
from graphc.nn.progress import ProgressBar

ProgbarLogger = ProgressBar  # Keras's name

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ProgressBar",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]
