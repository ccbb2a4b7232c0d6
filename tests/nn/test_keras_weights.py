"""Weights of Keras 3: models with the weights of recorded files give the recorded predictions; and what does not fit is said."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import nn
from graphc.nn import layers
from graphc.nn.layers.attention import MultiHeadAttention
from graphc.nn.layers.recurrent import GRU, LSTM, SimpleRNN
from graphc.nn.layers.wrappers import Bidirectional, TimeDistributed
from graphc.nn.naming import reset_names

h5py = pytest.importorskip("h5py")
HERE = Path(__file__).parent / "reference"
RECORDED = json.loads((HERE / "keras_weights.json").read_text())["models"]


def functional() -> Any:
    x = nn.Input((3,), name="x")
    late, early = layers.Dense(4, activation="tanh"), layers.Dense(4, activation="relu")
    shared = layers.Dense(4)
    block = nn.Sequential([nn.Input((4,)), layers.Dense(4, activation="tanh"), layers.BatchNormalization()])
    a, b = early(x), late(x)
    y = layers.Concatenate()([shared(block(b)), shared(a)])
    return nn.Model(x, layers.Dense(2)(y))


def recurrent() -> Any:
    stack = [LSTM(2, return_sequences=True), Bidirectional(GRU(2, return_sequences=True)), TimeDistributed(layers.Dense(3))]
    return nn.Sequential([nn.Input((4, 3)), *stack, SimpleRNN(2), layers.Dense(1)])


def images() -> Any:
    stack = [
        layers.Conv2D(2, 2),
        layers.SeparableConv2D(2, 2),
        layers.LayerNormalization(),
        layers.PReLU(),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(2),
    ]
    return nn.Sequential([nn.Input((4, 4, 1)), *stack])


def attention() -> Any:
    x = nn.Input((3, 4))
    return nn.Model(x, layers.LayerNormalization()(MultiHeadAttention(2, 2)(x, x)))


MODELS: dict[str, Callable[[], Any]] = {make.__name__: make for make in (functional, recurrent, images, attention)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("keras")
    zipfile.ZipFile(HERE / "keras_weights.zip").extractall(found)
    return found


@pytest.mark.parametrize("shift", [0, 3], ids=["same names", "other names"])
@pytest.mark.parametrize("name", MODELS)
def test_recorded_weights_give_the_recorded_predictions(name: str, shift: int, folder: Path) -> None:
    reset_names()
    for _ in range(shift):
        layers.Dense(1)
    model = MODELS[name]()
    model.load_weights(folder / f"{name}.weights.h5")
    expected = RECORDED[name]
    y = model.predict(np.array(expected["x"], "float32"), verbose=0)
    np.testing.assert_allclose(y, np.array(expected["y"], "float32"), rtol=2e-5, atol=2e-6)


def test_weights_within_an_archive(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "images.weights.h5", "model.weights.h5")
    model = images()
    model.load_weights(path)
    expected = RECORDED["images"]
    np.testing.assert_allclose(model(np.array(expected["x"], "float32")), expected["y"], rtol=2e-5, atol=2e-6)
    with pytest.raises(nn.WeightsError, match=r"a file of Keras[\s\S]*load_weights"):
        nn.load_model(path)


def dense(*units: int, inputs: int = 15) -> Any:
    return nn.Sequential([nn.Input((inputs,)), *[layers.Dense(n) for n in units]])


def of_keras(path: Path, *shapes: tuple[tuple[int, ...], ...]) -> Path:
    with h5py.File(path, "w") as file:
        for place, layer in enumerate(shapes):
            group = file.create_group(f"layers/dense{f'_{place}' if place else ''}/vars")
            for number, shape in enumerate(layer):
                group[str(number)] = np.ones(shape, "float32")
    return path


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ((((15, 2), (2,)),), "there is no dense_1"),
        ((((15, 2), (2,)), ((2, 1), (1,)), ((1, 1), (1,))), "dense_2.*in the file, and not in the model"),
        ((((15, 2), (2,)), ((3, 1), (1,))), r"\[3, 1\] in the file"),
        ((((15, 2),), ((2, 1), (1,))), "2 weights, and 1 in the file"),
    ],
)
def test_other_layers_are_an_error_and_nothing_changes(shapes: Any, said: str, tmp_path: Path) -> None:
    model, path = dense(2, 1), of_keras(tmp_path / "a.weights.h5", *shapes)
    before = model.get_weights()
    with pytest.raises(nn.WeightsError, match=said):
        model.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    with pytest.warns(UserWarning, match="left as they are"):
        model.load_weights(path, skip_mismatch=True)


def test_files_that_are_none(tmp_path: Path) -> None:
    for name, content in (("a.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 100), ("b.keras", b"PK\x03\x04 and no more")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(nn.WeightsError, match="no weights of Keras can be read"):
            dense(1).load_weights(tmp_path / name)
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names"] = ["dense"]
    with pytest.raises(nn.WeightsError, match="of Keras 2"):
        dense(1).load_weights(tmp_path / "old.h5")
