"""``docs/errors.md``: a section for every class of error and warning. Print it with ``python -m graphc.error_reference``.

What a class means is its docstring; causes, cure and example are in the table below. Examples are run for the page, so that the messages
are those that a program would print.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

from graphc.core.errors import GraphcError


@dataclass(frozen=True)
class Explained:
    """A class, by module and name, with what typically raises it, what cures it, and a program that does raise it.

    Without a program, ``causes`` say why there is none.
    """

    module: str
    name: str
    causes: tuple[str, ...]
    cure: str
    example: str = ""

    @property
    def type(self) -> type[BaseException]:
        """The class itself."""
        return getattr(importlib.import_module(self.module), self.name)


def _core(name: str, causes: tuple[str, ...], cure: str, example: str = "") -> Explained:
    return Explained("graphc.core.errors", name, causes, cure, dedent(example).strip())


def _of(module: str, name: str, causes: tuple[str, ...], cure: str, example: str = "") -> Explained:
    return Explained(module, name, causes, cure, dedent(example).strip())


ERRORS: Final = (
    _core(
        "ShapeError",
        (
            "a matrix that should be transposed, or a batch axis that is missing",
            "two sizes with different names, which may be different numbers",
            "a value of another shape than the input was declared with",
        ),
        "compare the shapes in the message with the line that it names; `gc.listing(x)` prints those of all nodes",
        """
        x = gc.input("x", ("batch", 784))
        w = gc.variable(gc.init.glorot_uniform((10, 784), seed=0), "w")
        y = x @ w
        """,
    ),
    _core(
        "DTypeError",
        ("floats where indices or labels belong", "truth values where numbers belong", "a misspelt dtype", "something that is no tensor"),
        "`gc.cast(x, dtype)`, or the dtype where the input or variable is declared",
        """
        x = gc.input("x", ("batch", 10))
        y = gc.take(x, gc.input("i", (3,)))
        """,
    ),
    _core(
        "ArgumentError",
        ("a misspelt option or name", "an axis that is not there", "options that do not go together"),
        "what stands after `fits`",
        """
        x = gc.input("x", ("batch", 10))
        y = gc.sum(x, axes=1)
        """,
    ),
    _core(
        "SignatureError",
        ("an operand that was forgotten", "an attribute that was meant to be part of a list: `gc.transpose(x, 1, 0)`"),
        "the arguments that stand after `fits`",
        """
        x = gc.input("x", ("batch", 10))
        y = gc.matmul(x)
        """,
    ),
    _core(
        "UnknownNameError",
        ("a misspelt name", "a function of NumPy or Keras that graphc does not have; docs/ops.md lists those that it has"),
        "the name that the message suggests",
        """
        y = gc.sofmax
        """,
    ),
    _core(
        "UnknownSizeError",
        ("`len(x)`, or a loop over the rows of a tensor whose first size has a name",),
        "`x.shape[0]`, which may be a name; `gc.map` or `gc.scan` for a loop over rows",
        """
        x = gc.input("x", ("batch", 10))
        n = len(x)
        """,
    ),
    _core(
        "FrozenError",
        ("a setting that is changed after the object was made",),
        "another object with the other setting",
        """
        loss = gc.nn.losses.Huber(delta=1.0)
        loss.delta = 2.0
        """,
    ),
    _core(
        "DeclarationError",
        ("an op or a rewrite rule of one's own whose parts do not fit together",),
        "docs/adding.md",
        """
        @gc.exp.vjp
        def _(g, x):
            return (g,)
        """,
    ),
    _core(
        "UnfinishedError",
        ("a class of one's own without the method that its kind needs",),
        "that method; the docstring of the base class says what it takes and returns",
        """
        class Scaled(gc.nn.Layer):
            pass


        y = Scaled()(gc.input("x", ("batch", 10)))
        """,
    ),
    _core(
        "BoundsError",
        ("an index that counts from 1, or a table that is too short", "with `gc.Jax(check=True)`, an index that comes with the data"),
        "an index within the bounds that the message has; without a check NumPy raises IndexError, and JAX takes an index within them",
        """
        x = gc.input("x", (3,))
        y = x[3]
        """,
    ),
    _core(
        "GradientError",
        (
            "a loss of each sample, which is no number yet",
            "an integer variable: `gc.variable([1, 2])`",
            "no path from the variable to the loss: `gc.why_no_gradient(y, x)` names the edge that cuts it",
        ),
        '`gc.mean(loss)`; `dtype="float32"`; or `disconnected="zero"`, if zeros are meant',
        """
        x = gc.input("x", ("batch", 10))
        g = gc.grad(gc.square(x), x)
        """,
    ),
    _core(
        "KinkError",
        ("a relu, an absolute value, a maximum or a norm at its kink, in a gradient that was asked to say so",),
        "another point, or the policy by default, which `print(gc.kinks())` lists",
        """
        x = gc.input("x", (2,))
        slope = gc.compile([x], gc.grad(gc.sum(gc.abs(x)), x, kinks="raise"))
        slope([1.0, 0.0])
        """,
    ),
    _core(
        "NonFiniteError",
        ("a logarithm of 0, a division by 0, an overflow: the message names the node and the line",),
        "`gc.lint(loss)` may know a stable form",
        """
        x = gc.input("x", (2,))
        f = gc.compile([x], gc.sum(gc.log(x)), debug_nans=True)
        f([1.0, 0.0])
        """,
    ),
    _core(
        "CheckError",
        ("a bug of graphc, so there is no example here; the message names the first node that differs and the road that went astray",),
        "report it with the script that the message names; `without=` leaves the optimisation out meanwhile",
    ),
    _core(
        "RewriteError",
        ("a rewrite rule of one's own that changes a type, or undoes what another does",),
        'a rule that keeps shape and dtype, or `rules - "its_name"`',
        """
        from graphc.core.pattern import Var
        from graphc.rewrite import RuleSet, rule, simplify

        x = Var("x")


        @rule(gc.exp(x), safety="exact")
        def shorter(x):
            \"\"\"Wrong: it has another shape.\"\"\"
            return gc.broadcast_to(x, shape=(2, 3))


        simplify([gc.exp(gc.input("x", (3,)))], RuleSet([shorter]))
        """,
    ),
    _core(
        "BackendError",
        ("JAX is not installed", "a device that is not there", "something that only one of the backends has"),
        '`pip install "graphc[jax]"`; `graphc devices` prints the devices',
        """
        f = gc.compile([], gc.constant(1.0), backend="jaxx")
        """,
    ),
    _core(
        "ScriptError",
        ("`graphc draw`, `explain`, `lint` and the like run a file that fails",),
        'the traceback in the message; what is not to run there goes under `if __name__ == "__main__":`',
        """
        from pathlib import Path
        from graphc import script

        Path("train.py").write_text("import graphc as gc\\nx = gc.input('x', (2, 3))\\ny = x @ x\\n")
        script.run("train.py", "lint")
        """,
    ),
    _core(
        "DrawError",
        ("a file name with another suffix", "a format that needs Graphviz, where there is none"),
        'a suffix that the message lists; `pip install "graphc[draw]"`',
        """
        x = gc.input("x", (3,))
        gc.draw(gc.exp(x)).save("x.bmp")
        """,
    ),
    _of(
        "graphc.nn.forward",
        "PassError",
        ("`add_loss` or `add_update` in a layer's `__init__` or `build`, or called from outside",),
        "the `call` method, or a block of `nn.Forward`",
        """
        layer = gc.nn.layers.Dense(3)
        layer.add_loss(gc.constant(1.0))
        """,
    ),
    _of(
        "graphc.nn.weights",
        "WeightsError",
        ("a file of another model, or of another version of it", "a file that is damaged, or none of weights"),
        "a model with the same layers in the same order; `skip_mismatch=True` leaves out what does not fit",
        """
        from graphc.nn import Input, Sequential, layers

        Sequential([Input((4,)), layers.Dense(3, name="out")]).save_weights("w.safetensors")
        Sequential([Input((4,)), layers.Dense(2, name="out")]).load_weights("w.safetensors")
        """,
    ),
    _of(
        "graphc.export.errors",
        "ExportError",
        ("a file that `Function.save` did not write, or a damaged one", "a graph that has no portable form"),
        "what stands after `fits`",
        """
        x = gc.input("x", (2,))
        slope = gc.compile([x], gc.grad(gc.sum(gc.abs(x)), x, kinks="raise"))
        slope.save("slope.graphc")
        """,
    ),
    _of(
        "graphc.nn.job",
        "JobError",
        ("`graphc train --out` names a place where nothing can be written",),
        "another folder",
        """
        from pathlib import Path

        Path("out").write_text("a file")
        gc.nn.run(gc.nn.Job("digits", Path("out")))
        """,
    ),
    _of(
        "graphc.nn.datasets.errors",
        "DatasetError",
        ("it is the base of the three below, for `except`, and is not raised itself, so there is no example",),
        "theirs",
    ),
    _of(
        "graphc.nn.datasets.errors",
        "NoDatasetError",
        ("`--data` or `$GRAPHC_DATA` names a folder without the files", "no network"),
        "the files in a folder that is named; the message lists all that was tried",
        """
        gc.nn.datasets.load_mnist("nowhere")
        """,
    ),
    _of(
        "graphc.nn.datasets.errors",
        "DamagedDataError",
        ("a download that broke off, or a file of another set; it is one of the reasons in a NoDatasetError, so there is no example",),
        "the file removed, so that it is fetched again",
    ),
    _of(
        "graphc.nn.datasets.errors",
        "FetchError",
        ("a source that does not answer; it is one of the reasons in a NoDatasetError, so there is no example",),
        "another network, or `--data` with the files",
    ),
    _of(
        "graphc.compat.tensorflow.tape",
        "TapeError",
        ("a tape that is asked twice", "a tape that recorded nothing of the target"),
        "`tf.GradientTape(persistent=True)`; `tape.watch(x)` for what is no variable",
        """
        import graphc.compat.tensorflow as tf

        x = tf.Variable(3.0)
        with tf.GradientTape() as tape:
            y = x * x
        tape.gradient(y, x)
        tape.gradient(y, x)
        """,
    ),
)
"""Every class of error, in the order of the page."""

WARNINGS: Final = (
    Explained("graphc.core.errors", "DrawWarning", ("no Graphviz was found, or it failed",), '`pip install "graphc[draw]"`'),
    Explained(
        "graphc.core.errors", "PlacementWarning", ("a size that the number of devices does not divide",), "another size of the batch"
    ),
    Explained("graphc.nn.nonfinite", "NonFiniteWarning", ("a loss of NaN in `fit`; the message names the first node",), "`gc.lint(model)`"),
    Explained("graphc.nn.saving", "SavingWarning", ("a state that does not go into the file, or out of it",), "what the message says"),
    Explained("graphc.nn.callbacks.monitors", "MonitorWarning", ("a misspelt figure in `monitor=`",), "a name that the message lists"),
    Explained("graphc.lower.machine", "MachineWarning", ("a calibration of another machine or version",), "`graphc calibrate`"),
)

_ABOUT = """# Errors

Made by `python -m graphc.error_reference`. Every error that graphc raises on purpose is a class, a `gc.errors.GraphcError` and mostly one
of Python's own too, so that `except ValueError` and the like work. The message has three parts: the call and what is wrong with it; what
it was given, with your names and lines; and, after `fits`, what would be accepted. They are `error.asked`, `error.given` and `error.fits`.

A traceback has your lines and one of graphc's, the call that raised; pytest and IPython leave out that one too. With
`GRAPHC_TRACEBACK=full` in the environment, or after `gc.errors.full_tracebacks()`, it has all of graphc's own. A name that is misspelt is
answered with the near one.

Examples begin with `import graphc as gc`; the message is the one that they print.
"""


def page() -> str:
    """The page as Markdown."""
    return "\n".join([_ABOUT, *map(_section, ERRORS), "## Warnings", "", *map(_warning, WARNINGS)]) + "\n"


def _section(one: Explained) -> str:
    lines = [
        f"## {one.name}",
        "",
        f"{_meaning(one)}{_base(one)}",
        "",
        *[f"- {cause}" for cause in one.causes],
        "",
        f"Cure: {one.cure}.",
        "",
    ]
    if one.example:
        lines += ["```python", one.example, "```", "", "```text", message(one), "```", ""]
    return "\n".join(lines)


def _base(one: Explained) -> str:
    """Which of Python's own errors it is, if it is a narrower one than any."""
    base = next(base.__name__ for base in one.type.__mro__ if base.__module__ == "builtins")
    return "" if base == "Exception" else f" Python's own class for it is `{base}`."


def _warning(one: Explained) -> str:
    return f"- `{one.name}`: {_meaning(one)} Typically {'; '.join(one.causes)}. Cure: {one.cure}."


def _meaning(one: Explained) -> str:
    return " ".join((one.type.__doc__ or "").split())


def message(one: Explained) -> str:
    """What the example prints at its end: the class and the message of the error that it raises."""
    with _elsewhere(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(compile(f"import graphc as gc\n{one.example}\n", "example.py", "exec"), {"__name__": "example"})
        except GraphcError as error:
            return f"{type(error).__name__}: {error}"
    raise AssertionError(f"the example of {one.name} raises nothing")


@contextlib.contextmanager
def _elsewhere() -> Generator[None, None, None]:
    """A folder of its own to work in, since examples write files."""
    before, path = Path.cwd(), list(sys.path)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
            sys.path[:] = path


if __name__ == "__main__":
    print(page(), end="")
