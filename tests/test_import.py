"""``import graphc`` costs little more than ``import numpy``: what is slow and not always needed is imported where it is used.

Which modules are absent is tested, not milliseconds, since the latter depend on the machine.
"""

import functools
import pickle
import subprocess
import sys

import pytest

import graphc as gc

# Times are what a whole process takes to import it (Python 3.11, 2 cores, compiled).
ABSENT = {
    "jax": "0.8 s, and only the JAX target needs it",
    "sympy": "0.5 s; it proves and prints, and compiles nothing",
    "networkx": "0.4 s; to_networkx and the layout of last resort need it",
    "scipy": "only tests need it, and it is not among the dependencies",
    "graphviz": "0.08 s; drawing needs it",
    "pygraphviz": "it loads Graphviz's libraries, and is optional",
    "h5py": "only weights that Keras wrote need it",
    "rich": "0.03 s and more; only a progress bar needs it",
    "ml_dtypes": "a shared library that only bfloat16 and its like need",
    "safetensors": "saving and loading need it",
    "sklearn": "one small data set comes from it, and it is not among the dependencies either",
}


@functools.cache
def loaded() -> frozenset[str]:
    """The top-level modules that a bare ``import graphc`` leaves behind."""
    program = "import graphc, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return frozenset(name.partition(".")[0] for name in done.stdout.split())


def test_graphc_itself_is_loaded() -> None:
    assert {"graphc", "numpy"} <= loaded()


@pytest.mark.parametrize("name", ABSENT)
def test_import_leaves_out(name: str) -> None:
    assert name not in loaded(), f"import {name} inside the function that uses it: {ABSENT[name]}"


def test_what_is_public_can_be_sent_to_another_process() -> None:
    for name in gc.__all__:
        value = getattr(gc, name)
        if callable(value):
            assert pickle.loads(pickle.dumps(value)) is value, name
