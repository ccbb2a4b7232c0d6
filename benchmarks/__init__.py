"""The benchmarks: ``python -m benchmarks --help``. Not shipped with the package.

A workload (``workloads/``) is a model and a task, a contestant (``contestants.py``) does the task in its own idiom, each in a process
of its own (``worker.py``) that works only while it is asked to (``timing.py``). Results are compared with a float64 reference before
anything is timed.
"""
