"""Good programs have no findings: the examples, up to where they would run, and models of every kind of layer."""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.nn import book
from graphc.pipeline import Function

nn = gc.nn
layers = nn.layers
ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DATA = Path(os.environ.get("GRAPHC_TEST_MNIST") or ROOT.parent / "shared" / "mnist")
ARGUMENTS = {"cnn_mnist": ["--data", str(DATA)], "mlp_mnist": ["--data", str(DATA)], "mlp_by_hand": [str(DATA)]}
# The formula of the book, as it is written there; the compiler knows it.
JUSTIFIED = {"backprop_graph": ["GC101"], "book_figures": ["GC101"]}


class EnoughError(Exception):
    """The example has declared its graphs, and begins to run."""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_have_no_findings(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if path.stem in ARGUMENTS and not any((DATA / f"train-images-idx3-ubyte{end}").is_file() for end in ("", ".gz")):
        pytest.skip(f"no MNIST in {DATA}; $GRAPHC_TEST_MNIST names a folder")
    made: list[Any] = []
    make = Function.__init__

    def remember(function: Function, *arguments: Any) -> None:
        make(function, *arguments)
        made.append(function)

    def stop(*_: Any, **__: Any) -> None:
        raise EnoughError

    def fitted(model: Any, *_: Any, **__: Any) -> None:
        made.append(model)
        raise EnoughError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), *ARGUMENTS.get(path.stem, [])])
    monkeypatch.setattr(Function, "__init__", remember)
    monkeypatch.setattr(Function, "__call__", stop)
    monkeypatch.setattr(Function, "prepared", stop)
    monkeypatch.setattr(nn.Model, "fit", fitted)
    with contextlib.suppress(EnoughError):
        made += [value for value in runpy.run_path(str(path), run_name="__main__").values() if isinstance(value, gc.Tensor)]
    assert made or path.stem == "backprop_graph"
    assert gc.lint(made).codes == JUSTIFIED.get(path.stem, []), str(gc.lint(made))


def images(*stack: Any) -> Any:
    return nn.Sequential([nn.Input((8, 8, 2)), *stack])


def rows(*stack: Any) -> Any:
    return nn.Sequential([nn.Input((6,)), *stack])


def steps(*stack: Any) -> Any:
    return nn.Sequential([nn.Input((5, 4)), *stack])


def attentive() -> Any:
    x = nn.Input((5, 4))
    y = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
    return nn.Model(x, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(y)))


MODELS: dict[str, tuple[Callable[[], Any], str, tuple[int, ...], str]] = {
    "dense": (lambda: rows(layers.Dense(8, "relu"), layers.Dense(3, "softmax")), "sparse_categorical_crossentropy", (), "int32"),
    "one-hot": (lambda: rows(layers.Dense(8, "gelu"), layers.Dense(3, "softmax")), "categorical_crossentropy", (3,), "float32"),
    "binary": (lambda: rows(layers.Dense(8, "selu"), layers.Dense(1, "sigmoid")), "binary_crossentropy", (1,), "float32"),
    "regression": (lambda: rows(layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(2)), "mse", (2,), "float32"),
    "cosine": (lambda: rows(layers.Dense(4), layers.UnitNormalization()), "cosine_similarity", (4,), "float32"),
    "huber": (lambda: rows(layers.Dense(4, "tanh"), layers.Dense(1)), "huber", (1,), "float32"),
    "log_cosh": (lambda: rows(layers.Dense(1)), "log_cosh", (1,), "float32"),
    "poisson": (lambda: rows(layers.Dense(1, "exponential")), "poisson", (1,), "float32"),
    "divergence": (lambda: rows(layers.Dense(3, "softmax")), "kl_divergence", (3,), "float32"),
    "score": (lambda: rows(layers.Dense(2)), "mae", (2,), "float32"),
    "hinge": (lambda: rows(layers.Dense(1)), "hinge", (1,), "float32"),
    "convolution": (
        lambda: images(
            layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(), layers.GroupNormalization(2), layers.Flatten(), layers.Dense(3)
        ),
        "mse",
        (3,),
        "float32",
    ),
    "lstm": (lambda: steps(layers.LSTM(3, return_sequences=True), layers.GRU(3), layers.Dense(1)), "mse", (1,), "float32"),
    "attention": (attentive, "sparse_categorical_crossentropy", (), "int32"),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_have_no_findings(name: str) -> None:
    make, loss, shape, dtype = MODELS[name]
    model = make()
    model.compile("adam", loss, metrics=["accuracy"] if dtype == "int32" else [nn.metrics.R2Score()] if loss == "mae" else None)
    assert str(gc.lint(model)) == "no findings"
    batch = np.zeros((4, *model.input_shape[1:]), "float32")
    model.fit(batch, np.zeros((4, *shape), dtype), verbose=0)
    assert str(gc.lint(model)) == "no findings"


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "AdamW", "Lion", "Ftrl", "Lamb", "Adafactor"])
def test_optimisers_have_no_findings(name: str) -> None:
    x, t = gc.input("x", ("batch", 4)), gc.input("t", ("batch", 2))
    w = gc.variable(gc.init.glorot_uniform((4, 2), seed=0), "w")
    loss = gc.mean(gc.square(x @ w - t))
    updates = getattr(nn.optimizers, name)().updates({w: gc.grad(loss, w)})
    assert str(gc.lint(gc.compile([x, t], loss, updates=updates))) == "no findings"


def test_the_network_of_the_book_has_no_findings() -> None:
    assert str(gc.lint(book.loss_of(book.network())[2])) == "no findings"
