"""NumPy tuned by hand for single workloads: what can be reached with NumPy's own functions by who knows sizes and machine.

A model of the contestant ``tuned`` takes a task and a number of threads, and returns a step, which writes the parameters in place, and
a function that lists them in the order of the task. BLAS has one thread for each of the threads here, so that each takes its own part of a
batch through the whole network and no two of them wait in between.
"""

from benchmarks.tuned import attention, convolutional, deep, elementwise, mlp, recurrent

__all__ = ["attention", "convolutional", "deep", "elementwise", "mlp", "recurrent"]
