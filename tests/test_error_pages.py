"""Every error has a class and a page, three parts, and a near name where a name was misspelt."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import cli, error_reference, parallel
from graphc.core.errors import GraphcError
from graphc.rewrite import DEFAULT

ROOT = Path(__file__).parents[1]
nn = gc.nn


def subclasses(cls: type) -> Iterator[type]:
    for one in cls.__subclasses__():
        yield one
        yield from subclasses(one)


@pytest.fixture(scope="module")
def classes() -> set[type]:
    for module in pkgutil.walk_packages(gc.__path__, "graphc."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {one for one in [*subclasses(GraphcError), *subclasses(Warning)] if one.__module__.startswith("graphc.")}


def test_every_class_has_a_section(classes: set[type]) -> None:
    told = {one.type for one in (*error_reference.ERRORS, *error_reference.WARNINGS)}
    assert {one.__name__ for one in classes ^ told} == set()


@pytest.mark.parametrize("one", error_reference.ERRORS, ids=lambda one: one.name)
def test_the_example_raises_this_class(one: Any) -> None:
    assert one.causes
    assert one.cure
    if not one.example:
        assert any("no example" in cause for cause in one.causes)
        return
    message = error_reference.message(one)
    assert message.startswith(f"{one.name}: ")
    assert "\n  fits: " in message


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "errors.md").read_text() == error_reference.page(), "python -m graphc.error_reference > docs/errors.md"


# ---------------------------------------------------------------- the source
REASONS = ("FetchError", "DamagedDataError")
"""They are told as reasons in the message of a NoDatasetError, which says what would fit."""
PYTHONS = {
    "export/record.py": "what of_json makes an ExportError of",
    "lower/machine.py": "what the reader makes a warning of",
    "nn/datasets/pickled.py": "pickle's own error, of which the loader makes one",
    "nn/datasets/unpack.py": "the same of zipfile's",
    "nn/datasets/fetch.py": "what cannot happen",
    "nn/datasets/web.py": "caught where it is tried again",
    "nn/job.py": "KeyboardInterrupt is no error",
    "cli.py": "argparse's own, which it prints",
    "show/mathml.py": "a formula that cannot be set is shown as text",
}
"""Where other errors than graphc's are raised, and why."""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            yield name, node


def sources() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted((ROOT / "graphc").rglob("*.py")):
        yield path.relative_to(ROOT / "graphc").as_posix(), ast.parse(path.read_text())


def test_every_error_says_what_would_fit(classes: set[type]) -> None:
    names = {one.__name__ for one in classes if issubclass(one, GraphcError)} - set(REASONS)
    missing = [
        f"{path}:{call.lineno}"
        for path, tree in sources()
        for name, call in calls(tree)
        if name in names and not any(keyword.arg in ("fits", None) for keyword in call.keywords)
    ]
    assert missing == []


def test_what_is_raised_is_an_error_of_graphc() -> None:
    """A Python error is raised in the files that say why alone."""
    python = {name for name in dir(__builtins__) if name.endswith("Error")} | {"AssertionError", "TypeError", "ValueError", "RuntimeError"}
    strange: list[str] = []
    for path, tree in sources():
        for node in ast.walk(tree):
            raised = node.exc if isinstance(node, ast.Raise) else None
            raised = raised.func if isinstance(raised, ast.Call) else raised
            if isinstance(raised, ast.Name) and raised.id in python and path not in (*PYTHONS, "error_reference.py"):
                strange.append(f"{path}:{raised.lineno} {raised.id}")
    assert strange == []


# ---------------------------------------------------------------- near names
def x() -> Any:
    return gc.input("x", ("batch", 4))


def model() -> Any:
    return nn.Sequential([nn.Input((4,)), nn.layers.Dense(2, name="hidden"), nn.layers.Dense(1, name="out")])


MISSPELT: dict[str, tuple[Any, str]] = {
    "a function": (lambda: gc.sofmax, "'softmax'"),
    "a part of nn": (lambda: nn.Sequental, "'Sequential'"),
    "an argument of an op": (lambda: gc.sum(x(), axs=1), "'axis'"),
    "a dtype": (lambda: gc.input("x", (3,), "flaot32"), "'float32'"),
    "a backend": (lambda: gc.compile([], gc.constant(1.0), backend="numpi"), "'numpy'"),
    "an optimisation": (lambda: gc.compile([], gc.constant(1.0), without=["fues"]), "'fuse'"),
    "a rule": (lambda: DEFAULT["log_one_plsu"], "'log_one_plus'"),
    "a rule that is to go": (lambda: DEFAULT - ["log_one_plsu"], "'log_one_plus'"),
    "a safety class": (lambda: DEFAULT.within("exakt"), "'exact'"),
    "a rule of lint": (lambda: gc.lint(x() + 1, ignore=["log-of-softmx"]), "'log-of-softmax'"),
    "an optimiser": (lambda: model().compile("adamm", "mse"), "'adam'"),
    "a loss": (lambda: model().compile("adam", "mean_squard_error"), "'mean_squared_error'"),
    "a metric": (lambda: model().compile("adam", "mse", metrics=["acuracy"]), "'accuracy'"),
    "an activation": (lambda: nn.layers.Dense(3, activation="rleu"), "'relu'"),
    "an initialiser": (lambda: nn.layers.Dense(3, kernel_initializer="glorot_unifrom"), "'glorot_uniform'"),
    "a layer of a model": (lambda: model().get_layer("hiden"), "'hidden'"),
    "an output": (lambda: (m := model()).compile("adam", {"oot": "mse"}) or m.fit(np.ones((2, 4)), np.ones((2, 1)), verbose=0), "'out'"),
    "an argument of a loss": (lambda: nn.losses.Huber(delt=1.0), "'delta'"),
    "an argument of a layer": (lambda: nn.layers.Dense(3, activaton="relu"), "'activation'"),
    "an option of JAX": (lambda: gc.Jax(precision="hihg"), "'high'"),
    "a hook": (lambda: nn.callbacks.LambdaCallback(on_epoch_ends=print), "'on_epoch_end'"),
    "a name of tf": (lambda: importlib.import_module("graphc.compat.tensorflow").matmull, "'matmul'"),
    "a name of keras": (lambda: importlib.import_module("graphc.compat.tensorflow.keras").Sequentail, "'Sequential'"),
    "an option of draw": (lambda: gc.draw(x() + 1, derection="down"), "'direction'"),
}


@pytest.mark.parametrize("name", MISSPELT)
def test_a_misspelt_name_is_answered_with_the_near_one(name: str) -> None:
    call, near = MISSPELT[name]
    with pytest.raises(GraphcError) as caught:
        call()
    assert near in str(caught.value).replace('"', "'")
    assert caught.value.fits


@pytest.mark.parametrize(
    ("arguments", "near"),
    [(["lnit", "x.py"], "lint"), (["train", "mnits"], "'mnist'"), (["bench", "--backend", "numpi"], "'numpy'")],
)
def test_a_misspelt_word_of_the_command_line(arguments: list[str], near: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert near in capsys.readouterr().err


# ---------------------------------------------------------------- single calls
def test_labels_and_indices_of_other_types_and_shapes() -> None:
    logits = gc.input("z", (2, 3))
    with pytest.raises(gc.errors.DTypeError, match="labels of dtype float32"):
        gc.sparse_categorical_crossentropy(gc.input("t", (2,)), logits, from_logits=True)
    with pytest.raises(gc.errors.ShapeError, match="do not name an element of each row"):
        gc.ops.index.pick(logits, gc.input("t", (3,), "int32"))


def test_a_number_of_threads_that_is_none_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_THREADS", "many")
    with pytest.warns(RuntimeWarning, match="GRAPHC_THREADS is 'many'"):
        assert parallel.available() >= 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parallel.available() >= 1  # once is enough
    monkeypatch.setenv("GRAPHC_THREADS", "3")
    assert parallel.available() == 3


def test_calls_with_arguments_that_are_missing_or_too_many() -> None:
    for call in (lambda: gc.matmul(x()), lambda: gc.exp(x(), 1, 2), lambda: gc.sum(x(), x=1), lambda: gc.reshape(x())):
        with pytest.raises(gc.errors.SignatureError) as caught:
            call()
        assert isinstance(caught.value, TypeError)
        assert caught.value.fits
