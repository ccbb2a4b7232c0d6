"""Layers around layers: both directions, each step. Keras's values are in test_keras_sequences.py."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.core.errors import ArgumentError, ShapeError
from graphc.nn.configured import packed, unpacked
from graphc.nn.layers import GRU, LSTM, RNN, Bidirectional, Dense, Dropout, Embedding, LSTMCell, TimeDistributed, Wrapper

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 1, 1, 0]], bool)
MERGES: dict[Any, Any] = {
    "sum": np.add,
    "mul": np.multiply,
    "ave": lambda a, b: (a + b) / 2,
    "concat": lambda a, b: np.concatenate([a, b], axis=-1),
    None: lambda a, b: (a, b),
}


@pytest.mark.parametrize("mode", MERGES)
@pytest.mark.parametrize("sequences", [False, True])
def test_both_directions(mode: Any, sequences: bool) -> None:
    layer = Bidirectional(LSTM(3, return_sequences=sequences, return_state=True), merge_mode=mode)
    *y, h, c, other_h, other_c = layer(X, mask=MASK)
    one, other = LSTM(3, return_sequences=sequences, return_state=True), LSTM(3, return_sequences=sequences, return_state=True)
    for cell, weights in (one, layer.get_weights()[:3]), (other, layer.get_weights()[3:]):
        cell(X)
        cell.set_weights(weights)
    first, second = one(X, mask=MASK), other(X[:, ::-1], mask=MASK[:, ::-1])
    counts = MASK[..., None] if sequences else 1
    wanted = MERGES[mode](first[0] * counts, (second[0][:, ::-1] if sequences else second[0]) * counts)
    for a, b in zip([*y, h, c, other_h, other_c], [*(wanted if mode is None else [wanted]), *first[1:], *second[1:]], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_bidirectional_states_weights_and_masks() -> None:
    layer = Bidirectional(GRU(2, return_sequences=True, stateful=True))
    y = layer(X)
    assert (layer(X) != y).any()
    layer.reset_states()
    np.testing.assert_array_equal(layer(X), y)
    assert [w.label.split("/")[0].split("_")[0] for w in layer.weights] == ["forward"] * 3 + ["backward"] * 3
    again = Bidirectional(GRU(2, return_sequences=True), weights=layer.get_weights())
    np.testing.assert_array_equal(again(X), y)
    states = [RNG.normal(size=(3, 2)).astype("float32") for _ in range(2)]
    begun = again(X, initial_state=states)
    np.testing.assert_array_equal(begun[..., :2], again.forward_layer(X, initial_state=states[:1]))
    own = Bidirectional(LSTM(2), backward_layer=RNN(LSTMCell(3), go_backwards=True))
    assert own(X).shape == (3, 5)
    with nn.Forward() as forward:
        words = Embedding(5, 4, mask_zero=True)(gc.constant([[1, 2, 0], [3, 0, 0]]))
        seen = again(words)
    assert forward.masks[seen] is forward.masks[words]
    assert not gc.evaluate(seen)[1, 1:].any()


def test_each_step() -> None:
    layer, dense = TimeDistributed(Dense(2)), Dense(2)
    y = layer(X)
    dense(X)
    dense.set_weights(layer.get_weights())
    np.testing.assert_allclose(y, dense(X), rtol=1e-6)
    x = gc.input("x", ("batch", "steps", "inner", 4), "float32")
    recurrent = GRU(3, return_state=True)
    with nn.Forward():
        ys = TimeDistributed(recurrent)(x)
    assert [str(y.shape) for y in ys] == ["(batch, steps, 3)"] * 2
    values = RNG.normal(size=(2, 3, 4, 4)).astype("float32")
    for y in gc.compile(x, list(ys))(values):
        for step in range(3):
            np.testing.assert_allclose(y[:, step], recurrent(values[:, step])[0], rtol=1e-5, atol=1e-6)


def test_each_step_passes_on_masks_and_training() -> None:
    words = np.array([[[1, 2, 0], [3, 0, 0]], [[0, 0, 0], [4, 4, 4]]])
    embedding, within = Embedding(5, 4, mask_zero=True), GRU(3)
    model = nn.Sequential([embedding, TimeDistributed(within)])
    y = model(words)
    np.testing.assert_allclose(y[0, 1], within(embedding(words[0, 1:, :1]))[0], rtol=1e-5, atol=1e-6)
    assert not y[1, 0].any()
    dropped = TimeDistributed(Dropout(0.5))(X, training=True) == 0
    assert dropped.any()
    assert (dropped[:, 0] != dropped[:, 1]).any()
    model = nn.Sequential([nn.Input((None, 4)), TimeDistributed(nn.Sequential([Dense(3), Dense(2)])), Bidirectional(GRU(2))])
    assert model(X).shape == (3, 4)
    assert len(model.weights) == 10


@pytest.mark.parametrize(
    "layer",
    [
        TimeDistributed(Dense(2, activation="relu")),
        Bidirectional(GRU(2, return_sequences=True), merge_mode="ave"),
        Bidirectional(LSTM(2), backward_layer=LSTM(2, activation="relu", go_backwards=True)),
        Bidirectional(RNN([LSTMCell(2), LSTMCell(3)])),
    ],
    ids=["each step", "one", "two", "stacked"],
)
def test_a_config_makes_the_layer_again(layer: Any) -> None:
    written = json.loads(json.dumps(packed(layer)))
    again = unpacked(written)
    assert packed(again) == written
    wanted = layer(X)
    again(X)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(X), wanted)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: Wrapper(3), ArgumentError, "is no layer"),
        (lambda: Bidirectional(Dense(2)), ArgumentError, "has no direction"),
        (lambda: Bidirectional(LSTM(2), merge_mode="max"), ArgumentError, "merge_mode is 'max'"),
        (lambda: Bidirectional(LSTM(2), backward_layer=LSTM(2)), ArgumentError, "in both layers"),
        (
            lambda: Bidirectional(LSTM(2), backward_layer=LSTM(2, go_backwards=True, return_state=True)),
            ArgumentError,
            "return_state is False in one",
        ),
        (lambda: TimeDistributed(Dense(2))(X[0]), ShapeError, r"\(batch, steps, features\)"),
        (lambda: TimeDistributed(Dense(2))(X, mask=MASK[:, :2]), ShapeError, "a mask of shape"),
    ],
)
def test_errors(wrong: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        wrong()
