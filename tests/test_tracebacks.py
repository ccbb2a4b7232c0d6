"""An error that leaves graphc has the user's frames and one of graphc's, on whatever way it came; all of them if that was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import errors

ROOT = Path(__file__).parents[1]
PACKAGE = str(ROOT / "graphc")
nn = gc.nn


def x(shape: Any = (2, 3)) -> Any:
    return gc.input("x", shape)


@pytest.fixture(autouse=True)
def short() -> Iterator[None]:
    before = errors._full
    errors.full_tracebacks(False)
    yield
    errors.full_tracebacks(before)


def frames(call: Callable[[], Any]) -> list[traceback.FrameSummary]:
    with pytest.raises(errors.GraphcError) as caught:
        call()
    return [frame for frame in traceback.extract_tb(caught.value.__traceback__) if frame.filename != __file__]


def trained(**options: Any) -> Any:
    model = nn.Sequential([nn.Input((4,)), nn.layers.Dense(1)])
    model.compile("adam", "mse", **options)
    return model


WAYS: dict[str, Callable[[], Any]] = {
    "an op": lambda: gc.matmul(x(), x()),
    "an operator": lambda: x() @ x(),
    "an operator the other way round": lambda: np.zeros((2, 4), "float32") + x(),
    "a unary operator": lambda: -(x() > 0),
    "a bitwise operator": lambda: x() & x(),
    "a method": lambda: x().sum(axis=4),
    "an index": lambda: x()[5],
    "a truth value": lambda: bool(x()),
    "an argument that is misspelt": lambda: gc.sum(x(), axs=1),
    "an argument too many": lambda: gc.exp(x(), 1, 2, 3),
    "a composition": lambda: gc.dropout(x(), 3, 1),
    "linear algebra": lambda: gc.linalg.det(x()),
    "a Fourier transform": lambda: gc.fft.fft(x(), axis=7),
    "random numbers": lambda: gc.random.uniform(gc.random.key(0), (2, -1)),
    "first values": lambda: gc.init.he_normal((3,)),
    "an input": lambda: gc.input("x", (-1,)),
    "a constant": lambda: gc.constant(1, "int3"),
    "a gradient": lambda: gc.grad(x(), x()),
    "a batch": lambda: gc.vmap(lambda a: a)(gc.constant(1.0)),
    "a compilation": lambda: gc.compile([], x()),
    "an evaluation": lambda: gc.evaluate(x() + 1),
    "a call": lambda: gc.compile([a := x()], a + 1)(np.zeros((4, 4), "float32")),
    "values of a variable": lambda: gc.variable([1.0], "w").assign([1.0, 2.0]),
    "a name": lambda: gc.sofmax,
    "a formula": lambda: gc.from_sympy("x", {}),
    "a drawing": lambda: gc.draw(x() + 1, derection="down"),
    "a layer": lambda: nn.layers.Dense(-1),
    "a layer's argument": lambda: nn.layers.Dense(3, activaton="relu"),
    "a call of a layer": lambda: nn.layers.Dense(3)(gc.constant(1.0)),
    "a loss": lambda: nn.losses.Huber(delt=3),
    "a loss of tensors": lambda: nn.losses.mean_squared_error(x(), x((2, 4))),
    "a model": lambda: trained(metrics=["accuracyy"]),
    "training": lambda: trained().fit(np.zeros((4, 4)), np.zeros((3, 1)), verbose=0),
    "data": lambda: nn.datasets.load_mnist("nowhere"),
    "a file": lambda: trained().load_weights("nowhere.safetensors"),
    "batches": lambda: gc.Batches([], 3),
    "lint": lambda: gc.lint(3.0),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_error_has_at_most_one_frame_of_graphc(way: str) -> None:
    assert len(frames(WAYS[way])) <= 1


@pytest.mark.parametrize("way", ["an operator", "a composition", "training"])
def test_all_frames_are_there_if_asked_for(way: str) -> None:
    errors.full_tracebacks()
    found = frames(WAYS[way])
    assert len(found) > 1
    assert any(frame.filename.startswith(PACKAGE) for frame in found)


def test_a_function_of_the_users_that_graphc_calls_keeps_its_frames() -> None:
    def body(carry: Any, row: Any) -> Any:
        return carry @ row, carry

    with pytest.raises(gc.errors.ShapeError) as caught:
        gc.scan(body, x(), x((4, 5)))
    own = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__) if frame.filename == __file__]
    assert own == ["test_a_function_of_the_users_that_graphc_calls_keeps_its_frames", "body"]


def test_other_errors_of_the_users_keep_all_frames() -> None:
    def body(carry: Any, row: Any) -> Any:
        raise LookupError("mine")

    with pytest.raises(LookupError) as caught:
        gc.scan(body, x(), x((4, 5)))
    assert any(frame.filename.startswith(PACKAGE) for frame in traceback.extract_tb(caught.value.__traceback__))


def test_a_cause_loses_its_frames_too_and_stays() -> None:
    inner = gc.errors.ShapeError("inner", fits="it")
    outer = gc.errors.ArgumentError("outer", fits="it")

    @errors.entry
    def ask() -> None:
        try:
            raise inner
        except gc.errors.ShapeError as error:
            raise outer from error

    with pytest.raises(gc.errors.ArgumentError) as caught:
        ask()
    assert caught.value is outer
    assert caught.value.__cause__ is inner
    with pytest.raises(gc.errors.GraphcError) as caught:
        trained().load_weights("nowhere.safetensors")
    cause = caught.value.__cause__
    assert cause is None or not any(frame.filename.startswith(PACKAGE) for frame in traceback.extract_tb(cause.__traceback__))


def test_debuggers_are_told_to_hide_the_frame() -> None:
    with pytest.raises(gc.errors.GraphcError) as caught:
        gc.dropout(x(), 3, 1)
    last: Any = caught.value.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    assert last.tb_frame.f_locals["__tracebackhide__"]


def test_entries_are_what_they_were() -> None:
    assert gc.dropout.__name__ == "dropout"
    assert "Srivastava" in (gc.dropout.__doc__ or "")
    assert gc.dropout is gc.ops.dropout
    assert errors.opened(gc.dropout) is gc.dropout
    assert gc.compile.__wrapped__.__module__ == "graphc.pipeline.road"  # type: ignore[attr-defined]


def test_a_warning_is_at_the_users_line() -> None:
    model = nn.Sequential([nn.Input((4,)), nn.layers.Dense(1)])
    w = gc.variable([1.0], "w")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nn.optimizers.SGD().apply_gradients([(None, w), (np.ones(1, "float32"), model.weights[1])])
    assert [Path(one.filename).name for one in caught] == ["test_tracebacks.py"]


PROGRAM = """import graphc as gc

def layer(x, w):
    return x @ w

layer(gc.input("x", (2, 3)), gc.variable([[1.0]], "w"))
"""


def test_a_script_prints_the_users_lines(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    told = []
    for mode in ("", "full"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "GRAPHC_TRACEBACK": mode}
        told.append(subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False, env=environment).stderr)
    short, full = told
    assert [line.split(", in ")[1] for line in short.splitlines() if line.startswith("  File")] == ["<module>", "layer", "matmul"]
    assert "graphc.core.errors.ShapeError: matmul(a, b): inner sizes differ, 3 and 1" in short
    assert PACKAGE not in short
    assert f'File "{PACKAGE}/core/op.py"' in full
