"""Programs 2, 3, 4, 12 and 13: models of layers, trained by fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphc.compat.tensorflow.keras.utils import to_categorical

import graphc.compat.tensorflow as tf
from graphc.compat.tensorflow import keras
from graphc.compat.tensorflow.keras import layers

NOTED = [(0.255, 0.925), (0.103, 0.970), (0.068, 0.979), (0.050, 0.985), (0.037, 0.989)]


def classifier() -> Any:
    keras.utils.set_random_seed(0)
    return keras.Sequential([layers.Dense(512, activation="relu"), layers.Dense(10, activation="softmax")])


@pytest.mark.slow
def test_2_and_3_a_network_for_digits(mnist: Any) -> None:
    model = classifier()
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(mnist.train_rows, mnist.train_labels, epochs=5, batch_size=128, verbose=0).history
    for (loss, accuracy), noted in zip(zip(history["loss"], history["accuracy"], strict=True), NOTED, strict=True):
        assert loss == pytest.approx(noted[0], rel=0.1)
        assert accuracy == pytest.approx(noted[1], abs=0.005)
    predictions = model.predict(mnist.test_rows[0:10], verbose=0)
    assert predictions.shape == (10, 10)
    assert predictions[0].argmax() == 7 == mnist.test_labels[0]
    assert predictions[0][7] > 0.999
    _, test_acc = model.evaluate(mnist.test_rows, mnist.test_labels, verbose=0)
    assert 0.975 <= test_acc <= 0.985


@pytest.mark.slow
def test_4_labels_one_hot(mnist: Any) -> None:
    model = classifier()
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    labels = to_categorical(mnist.train_labels)
    assert labels.shape == (60000, 10)
    history = model.fit(mnist.train_rows, labels, epochs=5, batch_size=128, verbose=0).history
    assert history["loss"][0] == pytest.approx(NOTED[0][0], rel=0.1)
    _, test_acc = model.evaluate(mnist.test_rows, to_categorical(mnist.test_labels), verbose=0)
    assert 0.975 <= test_acc <= 0.985


# ---------------------------------------------------------------- 12
class SimpleDense(keras.layers.Layer):
    def __init__(self, units: int, activation: Any = None) -> None:
        super().__init__()
        self.units = units
        self.activation = activation

    def build(self, input_shape: Any) -> None:
        input_dim = input_shape[-1]
        self.W = self.add_weight(shape=(input_dim, self.units), initializer="random_normal")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        y = tf.matmul(inputs, self.W) + self.b
        if self.activation is not None:
            y = self.activation(y)
        return y


def test_12_a_layer_of_ones_own() -> None:
    my_dense = SimpleDense(units=32, activation=tf.nn.relu)
    output_tensor = my_dense(tf.ones(shape=(2, 784)))
    assert output_tensor.shape == (2, 32)
    assert isinstance(output_tensor, tf.Tensor)
    expected = np.maximum(np.ones((2, 784)) @ my_dense.W.value + my_dense.b.value, 0)
    np.testing.assert_allclose(output_tensor.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_12_in_a_model(mnist: Any) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [SimpleDense(32, activation=tf.nn.relu), SimpleDense(64, activation=tf.nn.relu), SimpleDense(10, tf.nn.softmax)]
    )
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(mnist.train_rows[:6400], mnist.train_labels[:6400], epochs=3, batch_size=128, verbose=0).history
    assert history["loss"][2] < history["loss"][0]
    assert history["accuracy"][2] > 0.8


# ---------------------------------------------------------------- 13
@pytest.mark.parametrize("by_name", [True, False])
def test_13_compile_fit_and_predict(by_name: bool) -> None:
    from graphc.nn.datasets import point_clouds

    inputs, targets = point_clouds(1000, seed=0)
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Dense(1)])
    if by_name:
        model.compile(optimizer="rmsprop", loss="mean_squared_error", metrics=["accuracy"])
    else:
        model.compile(
            optimizer=keras.optimizers.RMSprop(learning_rate=0.01),
            loss=keras.losses.MeanSquaredError(),
            metrics=[keras.metrics.BinaryAccuracy()],
        )
    order = np.random.default_rng(0).permutation(len(inputs))
    inputs, targets = inputs[order], targets[order]
    held = int(0.3 * len(inputs))
    history = model.fit(
        inputs[held:], targets[held:], epochs=5, batch_size=16, validation_data=(inputs[:held], targets[:held]), verbose=0
    ).history
    names = {"loss", "val_loss", *(("accuracy", "val_accuracy") if by_name else ("binary_accuracy", "val_binary_accuracy"))}
    assert set(history) == names
    assert all(len(values) == 5 for values in history.values())
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert model.evaluate(inputs[:held], targets[:held], batch_size=128, verbose=0)[0] == pytest.approx(history["val_loss"][-1], rel=1e-4)
    predictions = model.predict(inputs[:held], batch_size=128, verbose=0)
    assert predictions.shape == (held, 1)
    if not by_name:  # at 0.001 it has only begun to learn
        assert np.mean((predictions > 0.5) == targets[:held]) > 0.95
